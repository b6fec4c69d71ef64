// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hostname`.

use super::argument::action;
use super::{Action, Operation, Problem, Scene, Shown, Wrong};
use crate::system::Family;
use crate::tree::{GuestPath, Kind, Tree as _};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "hostname",
    argument: Some("HOSTNAME"),
    heading: "Set the host name",
    documentation: "\
Sets the guest's host name, where its distribution keeps it; it may have a domain, as in \
web.example.org.

Everywhere /etc/hostname is written. Debian and its kin: the old name is replaced in /etc/hosts, \
too, unless it is localhost. Fedora, Red Hat and their kin: PRETTY_HOSTNAME in /etc/machine-info is set; before version 18 \
or 7, HOSTNAME in /etc/sysconfig/network. SUSE: /etc/HOSTNAME where that is there. Gentoo: \
/etc/conf.d/hostname where that is there.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        check(text)?;
        action(Hostname { name: text.to_owned() })
    },
};

#[derive(Debug)]
struct Hostname {
    name: String,
}

impl Action for Hostname {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let major = scene.known.major().unwrap_or(u32::MAX);
        let conf = scene.is_file(&"/etc/conf.d/hostname".into())?;
        match scene.known.family {
            Family::Windows => Err(Problem::refused("kiln cannot edit Windows guests yet")),
            Family::RedHat => {
                if major < if scene.known.id == "fedora" { 18 } else { 7 } {
                    return self.set_line(scene, "/etc/sysconfig/network", "HOSTNAME", "");
                }
                self.etc_hostname(scene)?;
                self.set_line(scene, "/etc/machine-info", "PRETTY_HOSTNAME", "")
            }
            Family::Suse => {
                let old = GuestPath::from("/etc/HOSTNAME");
                // A link to /etc/hostname where both are there.
                if scene.tree.lstat(&old)?.is_some_and(|stat| stat.kind == Kind::File) {
                    scene.put(&old, format!("{}\n", self.name).as_bytes(), 0o644)?;
                }
                self.etc_hostname(scene)
            }
            Family::Gentoo if conf => {
                self.set_line(scene, "/etc/conf.d/hostname", "hostname", "\"")?;
                self.etc_hostname(scene)
            }
            _ => {
                let old = self.old_name(scene)?;
                self.etc_hostname(scene)?;
                self.etc_hosts(scene, old.as_deref())
            }
        }
    }
}

impl Hostname {
    fn etc_hostname(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let text = format!("{}\n", self.name);
        Ok(scene.put(&"/etc/hostname".into(), text.as_bytes(), 0o644)?)
    }

    fn old_name(&self, scene: &mut Scene<'_>) -> Result<Option<String>, Problem> {
        let file = "/etc/hostname".into();
        if !scene.is_file(&file)? {
            return Ok(None);
        }
        let text = scene.text(&file)?;
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(str::trim);
        Ok(lines.into_iter().find(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned))
    }

    /// Replaces the line `KEY=...` of a file of assignments, or adds it.
    fn set_line(
        &self,
        scene: &mut Scene<'_>,
        file: &'static str,
        key: &str,
        quote: &str,
    ) -> Result<(), Problem> {
        let file = file.into();
        let text = if scene.is_file(&file)? { scene.text(&file)? } else { Vec::new() };
        let start = format!("{key}=");
        let mut kept: Vec<u8> = Vec::new();
        for line in text.split_inclusive(|&b| b == b'\n') {
            if !line.starts_with(start.as_bytes()) {
                kept.extend(line);
            }
        }
        if !kept.is_empty() && !kept.ends_with(b"\n") {
            kept.push(b'\n');
        }
        kept.extend(format!("{start}{quote}{}{quote}\n", self.name).bytes());
        Ok(scene.put(&file, &kept, 0o644)?)
    }

    fn etc_hosts(&self, scene: &mut Scene<'_>, old: Option<&str>) -> Result<(), Problem> {
        let file = "/etc/hosts".into();
        if !scene.is_file(&file)? {
            return Ok(());
        }
        let text = scene.text(&file)?;
        let new = hosts(&text, old, &self.name);
        if new != text {
            scene.put(&file, &new, 0o644)?;
        }
        Ok(())
    }
}

fn check(name: &str) -> Result<(), Wrong> {
    // HOST_NAME_MAX of Linux; hostname(7).
    const MOST: usize = 64;
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(good)
    };
    if name.len() > MOST {
        return Err(Wrong::new(format!("a host name has {MOST} characters at most")));
    }
    if !name.split('.').all(label) {
        let why = "a host name has letters, digits and dashes, and dots between them";
        return Err(Wrong::new(why));
    }
    Ok(())
}

/// Replaces the old name in /etc/hosts: whole and short names, those that Debian's installer
/// leaves where it knew none, and all of the line of 127.0.1.1, which is the host's own. All
/// else stays byte for byte.
fn hosts(text: &[u8], old: Option<&str>, new: &str) -> Vec<u8> {
    let (short, domain) = new.split_once('.').unwrap_or((new, ""));
    // `localhost` is no machine's own: it stays.
    let old = old.filter(|old| *old != "localhost" && !old.starts_with("localhost."));
    let old_short = old.map(|old| old.split_once('.').map_or(old, |(short, _)| short));
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&b| b == b'\n') {
        let comment = line.iter().position(|b| matches!(b, b'#' | b'\n')).unwrap_or(line.len());
        let (names, rest) = line.split_at(comment);
        let words = names.split(|b| b.is_ascii_whitespace()).filter(|w| !w.is_empty());
        let words: Vec<&[u8]> = words.collect();
        let own = words.first() == Some(&&b"127.0.1.1"[..]);
        let known = |word: &&[u8]| {
            let is = |name: Option<&str>| name.is_some_and(|n| n.as_bytes() == *word);
            is(old) || is(old_short) || word.starts_with(b"unassigned-hostname")
        };
        if own && words.len() > 1 && !words[1..].iter().any(known) {
            out.extend(b"127.0.1.1\t");
            out.extend(new.as_bytes());
            if !domain.is_empty() {
                out.push(b' ');
                out.extend(short.as_bytes());
            }
            out.extend(rest);
            continue;
        }
        let mut first = true;
        for word in names.split_inclusive(|b| b.is_ascii_whitespace()) {
            let end = word.iter().position(u8::is_ascii_whitespace).unwrap_or(word.len());
            let (name, blank) = word.split_at(end);
            let replaced = if first || name.is_empty() {
                name
            } else if old.is_some_and(|old| old.as_bytes() == name) {
                new.as_bytes()
            } else if old_short.is_some_and(|old| old.as_bytes() == name)
                || name == b"unassigned-hostname"
            {
                short.as_bytes()
            } else if name == b"unassigned-hostname.unassigned-domain" && !domain.is_empty() {
                new.as_bytes()
            } else {
                name
            };
            first = first && name.is_empty();
            out.extend(replaced);
            out.extend(blank);
        }
        out.extend(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_name_is_replaced_in_hosts() {
        for (text, old, new, want) in [
            (
                "127.0.0.1\tlocalhost\n127.0.1.1\told.example.org\told # old\n",
                Some("old.example.org"),
                "web.lan",
                "127.0.0.1\tlocalhost\n127.0.1.1\tweb.lan\tweb # old\n",
            ),
            ("10.0.0.1 older old\n", Some("old"), "web", "10.0.0.1 older web\n"),
            (
                "127.0.1.1 unassigned-hostname.unassigned-domain unassigned-hostname",
                None,
                "web.lan",
                "127.0.1.1 web.lan web",
            ),
            ("127.0.1.1 stray\n", Some("old"), "web.lan", "127.0.1.1\tweb.lan web\n"),
            ("127.0.0.1 localhost\n", Some("localhost"), "web", "127.0.0.1 localhost\n"),
            (
                "127.0.1.1 localhost.localdomain localhost\n",
                Some("localhost.localdomain"),
                "web",
                "127.0.1.1\tweb\n",
            ),
            ("# old\n\nold old\n", Some("old"), "web", "# old\n\nold web\n"),
        ] {
            let got = hosts(text.as_bytes(), old, new);
            assert_eq!(String::from_utf8(got).unwrap(), want);
        }
    }

    #[test]
    fn names_are_checked() {
        for good in ["web", "web-1.example.org", "a_b", "1"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "a b", "-a", "a-", ".a", "a..b", "a\n", "ü", &"x".repeat(65)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
