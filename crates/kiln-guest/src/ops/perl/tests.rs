// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tests against Perl itself.

use std::fs;

use kiln_testkit::{need_program, run};

use super::Program;

const TEXT: &[u8] = b"# config\nPermitRootLogin yes\n#PermitRootLogin no\n\nfoo=bar foo=baz\n\
    a/b\\c $HOME user@host {x} [y] \tend  \ncaf\xc3\xa9 na\xefve\nlast line";

/// Expressions that Perl and Kiln must take alike.
const SAME: &[&str] = &[
    r"s/^#?PermitRootLogin .*/PermitRootLogin no/",
    r"s/foo/X/",
    r"s/foo/X/g",
    r"s/FOO/x/gi",
    r"s/(\w+)=(\w+)/$2=$1/g",
    r"s/(\w+)=(\w+)/${2}0\1/",
    r"s{a/b}{c/d}",
    r"s{(f)(o+)} {<$1|$2>}g",
    r"s|a/b|x\|y|",
    r"s#^\#\s*##",
    r"s,\\c,back\\slash,",
    r"s/\$HOME/\/root/",
    r"s/\@host/\@example.org/",
    r"s/$/ eol/",
    r"s/\s+$//",
    r"s/^\s*\n//",
    r"s/\n/\r\n/",
    r"s/e$/E/",
    r"s/[^a-z\n]//g",
    r"s/[\w.]+\@/_/",
    r"s/[]{}[]/./g",
    r"s/x*/-/",
    r"s/\bfoo\b/word/g",
    r"s/o{2}/0/g; s/a{1,}/A/",
    r"s/{x}/braces/",
    r"s/(?<=foo=)ba(?!r)/XX/",
    r"s/(.)\1/<$1$1>/g",
    r"s/(\w+)/\u$1/g",
    r"s/(\w+) (\w+)/\U$1\E \l$2/",
    r"s/.*/\L$&/",
    r"s/\xc3\xa9/e/",
    r"s/caf../coffee/",
    r"s/\W/_/g",
    r"s/a  # a letter
       \/ b/A-B/x",
    r"s/^/> /m",
    r"s/l.st/first/s if /last/",
    r"s/e/E/g unless /^#/",
    r"s/e/E/g if !/^#/",
    r"s/e/E/ if ($lineno == 2)",
    r"s/e/E/ if $lineno >= 5",
    r"$_ = '' if /^#/",
    r#"$_ = "new\n" if /foo/"#,
    r#"$_ .= "after\n" if m{^foo}"#,
    r"undef $_ if /Permit/",
    r"tr/a-z/A-Z/",
    r"y/abc/x/d",
    r"tr/a-zA-Z\n//cd",
    r"tr/a-zA-Z/ /cs",
    r"tr/o//d; s/f/F/",
    r"tr/\-a/_b/",
    r"s/[[:upper:]]/(x)/g;",
    r"s/a|e|\$/V/g",
    r"s/(a)?z?b/[$1]/g",
    r"s|\Qa/b\E|q| if /HOME/",
    r"$_ =~ s/foo/bar/",
];

#[test]
fn perl_does_the_same() {
    if !need_program("perl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    fs::write(&input, TEXT).unwrap();
    let output = folder.path().join("out");
    for expression in SAME {
        let script = format!(
            "open I, '<', '{}'; open O, '>', '{}'; $lineno = 0; \
             while (<I>) {{ $lineno++; {expression}; print O $_; }} close O;",
            input.display(),
            output.display()
        );
        drop(run(&["perl", "-e", &script]).success());
        let want = fs::read(&output).unwrap();
        let program = Program::parse(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
        let got = program.run(TEXT).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&want), "{expression}");
        assert_eq!(got, want, "{expression}");
    }
}

#[test]
fn what_is_not_known_is_an_error() {
    for (expression, word) in [
        ("", "empty"),
        ("s/a/b", "missing"),
        ("s/a", "missing"),
        ("s/a/b/e", "flag `e`"),
        ("s/a/system('id')/ee", "flag `e`"),
        ("system('id')", "runs no Perl"),
        ("s/a/b/; unlink $_", "runs no Perl"),
        ("s/$x/b/", "no variables"),
        ("s/a/$x/", "no variables"),
        ("s/me@host/x/", r"write `\@`"),
        ("s/a/me@host/", r"write `\@`"),
        ("s/(/b/", "no regular expression"),
        ("s/a/$2/", "no group 2"),
        ("s/[a/b/", "not closed"),
        ("s/a/b/ if eof", "runs no Perl"),
        ("s/a/b/q", "flag `q`"),
        ("tr/z-a/b/", "backwards"),
        ("s//x/", "empty"),
        ("s/a/b/ and print", "runs no Perl"),
        ("if (/x/) { s/a/b/ }", "runs no Perl"),
    ] {
        let error = Program::parse(expression).unwrap_err().0;
        assert!(error.contains(word), "{expression}: {error}");
    }
}

#[test]
fn lines_can_be_left_out() {
    let program = Program::parse("next if /^#/; s/^$/empty/").unwrap();
    assert_eq!(program.run(b"#a\nb\n#c").unwrap(), b"b\n");
}

#[test]
fn no_match_takes_more_than_its_bound() {
    let line = [vec![b'a'; 1000], b"b\n".to_vec()].concat();
    let begin = std::time::Instant::now();
    for expression in
        [r"s/^(a+)+\1$/b/", r"s/(a|a)*(?<!b)c/d/", r"s/^(?:(a*)*)*\1x/y/", "s/(.*?a){40}c/d/"]
    {
        // Either it is done, or it is said to be too much.
        let done = Program::parse(expression).unwrap().run(&line);
        assert!(done.as_ref().is_ok_and(|new| *new == line) || done.is_err(), "{expression}");
    }
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}
