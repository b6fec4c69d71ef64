// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tabs, which PyYAML takes in quotes, in blocks and in comments only, and our parser between any
//! two words.

use super::Spot;

/// Text that may hold tabs: from the first place up to, and without, the second.
pub(super) type Exempt = (Spot, Spot);

/// Returns the first tab that PyYAML would not take. `exempt` is in order.
pub(super) fn first(text: &str, exempt: &[Exempt]) -> Option<Spot> {
    let mut exempt = exempt.iter().peekable();
    for (line, content) in (1..).zip(text.lines()) {
        let mut before = ' ';
        for (column, c) in (1..).zip(content.chars()) {
            let here = (line, column);
            while exempt.next_if(|(_, end)| (end.line, end.column) <= here).is_some() {}
            if exempt.peek().is_some_and(|(start, _)| (start.line, start.column) <= here) {
                before = c;
                continue;
            }
            match c {
                '\t' => return Some(Spot { line, column }),
                // YAML 1.1, 6.6: a comment begins after white space.
                '#' if before == ' ' => break,
                _ => before = c,
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::load;

    #[test]
    fn tabs_are_taken_where_pyyaml_takes_them() {
        for text in [
            "a: \"x\ty\"\n",
            "a: 'x\ty'\nb: 1\n",
            "a: |\n  x\ty\n  \tz\nb: 1\n",
            "a: >-\n  x\ty\n",
            "# a\tcomment\na: 1 # and\tanother\n",
        ] {
            assert!(load(text).is_ok(), "{text:?}");
        }
        for (text, line, column) in [
            ("a:\n\tb: 1\n", 2, 2),
            ("a:\tb\n", 1, 3),
            ("a: b\t\n", 1, 5),
            ("a: b\tc\n", 1, 5),
            ("a: |\n  x\ty\nb:\t1\n", 3, 3),
            ("a: 'x\ty'\t\n", 1, 9),
        ] {
            let spot = load(text).unwrap_err().spot;
            assert_eq!((spot.line, spot.column), (line, column), "{text:?}");
        }
    }
}
