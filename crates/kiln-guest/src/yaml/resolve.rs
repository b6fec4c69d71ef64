// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which type a plain scalar has.
//!
//! Source: `resolver.py` and `constructor.py` of PyYAML 6.0. A test compares with PyYAML itself.

/// What PyYAML makes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    Null,
    Bool,
    Int,
    Float,
    Text,
    Timestamp,
    Binary,
    List,
    Map,
}

impl Type {
    /// Returns its name with its article.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool => "a truth value",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Text => "a text",
            Self::Timestamp => "a date",
            Self::Binary => "binary data",
            Self::List => "a list",
            Self::Map => "a mapping",
        }
    }
}

/// Returns the type that a tag names.
pub(super) fn tagged(tag: &str) -> Type {
    match tag {
        "null" => Type::Null,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "float" => Type::Float,
        "timestamp" => Type::Timestamp,
        "binary" => Type::Binary,
        _ => Type::Text,
    }
}

/// Returns the type of a scalar without quotes or tag.
pub(super) fn resolve(text: &str) -> Type {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Type::Null,
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "true" | "True" | "TRUE" | "false"
        | "False" | "FALSE" | "on" | "On" | "ON" | "off" | "Off" | "OFF" => Type::Bool,
        _ if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => Type::Text,
        _ if is_float(text) => Type::Float,
        _ if is_int(text) => Type::Int,
        _ if timestamp(text).is_some() => Type::Timestamp,
        _ => Type::Text,
    }
}

/// Returns why PyYAML fails on a plain scalar although its form is right, if it does.
pub(super) fn unreadable(text: &str) -> Option<&'static str> {
    match resolve(text) {
        Type::Int if !text.bytes().any(|b| b.is_ascii_digit() && b != b'0') => {
            let rest = text.trim_start_matches(['+', '-']);
            let prefixed = rest.starts_with("0b") || rest.starts_with("0x");
            let digits = rest.get(2..).unwrap_or("").trim_matches('_');
            (prefixed && digits.is_empty()).then_some("a number without digits")
        }
        Type::Timestamp => {
            let valid = timestamp(text).is_some_and(Fields::is_valid);
            (!valid).then_some("a date that does not exist")
        }
        _ => None,
    }
}

/// A text that is taken apart from its beginning.
#[derive(Clone, Copy, Debug)]
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Takes all leading characters that `wanted` accepts, `most` at most.
    fn take(&mut self, most: usize, wanted: impl Fn(u8) -> bool) -> &'a str {
        let count = self.0.bytes().take(most).take_while(|&b| b.is_ascii() && wanted(b)).count();
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let taken = self.take(most, |b| b.is_ascii_digit());
        if taken.len() < least { None } else { taken.parse().ok() }
    }

    fn one_of(&mut self, set: &str) -> Option<char> {
        let c = self.0.chars().next().filter(|&c| set.contains(c))?;
        self.0 = &self.0[c.len_utf8()..];
        Some(c)
    }

    fn is_done(self) -> bool {
        self.0.is_empty()
    }

    /// Takes `(:[0-5]?[0-9])+` and says whether it was there.
    fn sixties(&mut self) -> bool {
        let mut any = false;
        loop {
            let mut next = *self;
            if next.one_of(":").is_none() {
                return any;
            }
            let taken = next.take(2, |b| b.is_ascii_digit());
            let good = match taken.as_bytes() {
                [_] => true,
                [first, _] => *first <= b'5',
                _ => false,
            };
            if !good {
                return any;
            }
            *self = next;
            any = true;
        }
    }

    /// Takes `([eE][-+][0-9]+)?`.
    fn exponent(&mut self) {
        let mut next = *self;
        let sign = next.one_of("eE").and_then(|_| next.one_of("+-"));
        if sign.is_some() && !next.take(usize::MAX, |b| b.is_ascii_digit()).is_empty() {
            *self = next;
        }
    }
}

fn digit_or_line(b: u8) -> bool {
    b.is_ascii_digit() || b == b'_'
}

fn is_float(text: &str) -> bool {
    let mut rest = Rest(text);
    let signed = rest.one_of("+-").is_some();
    if let Some(name) = rest.0.strip_prefix('.') {
        let infinite = matches!(name, "inf" | "Inf" | "INF");
        if infinite || (!signed && matches!(name, "nan" | "NaN" | "NAN")) {
            return true;
        }
        let mut rest = Rest(name);
        let first = rest.take(1, |b| b.is_ascii_digit());
        rest.take(usize::MAX, digit_or_line);
        rest.exponent();
        return !signed && !first.is_empty() && rest.is_done();
    }
    if rest.take(1, |b| b.is_ascii_digit()).is_empty() {
        return false;
    }
    rest.take(usize::MAX, digit_or_line);
    let sixties = rest.sixties();
    if rest.one_of(".").is_none() {
        return false;
    }
    rest.take(usize::MAX, digit_or_line);
    if !sixties {
        rest.exponent();
    }
    rest.is_done()
}

fn is_int(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all = |digits: &str, wanted: fn(u8) -> bool| {
        !digits.is_empty() && digits.bytes().all(|b| b == b'_' || wanted(b))
    };
    if let Some(digits) = body.strip_prefix("0b") {
        all(digits, |b| matches!(b, b'0' | b'1'))
    } else if let Some(digits) = body.strip_prefix("0x") {
        all(digits, |b| b.is_ascii_hexdigit())
    } else if let Some(digits) = body.strip_prefix('0') {
        digits.is_empty() || all(digits, |b| matches!(b, b'0'..=b'7'))
    } else {
        let mut rest = Rest(body);
        let some = !rest.take(usize::MAX, digit_or_line).is_empty();
        rest.sixties();
        some && !body.starts_with('_') && rest.is_done()
    }
}

/// The parts of a timestamp.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    date: (u32, u32, u32),
    time: (u32, u32, u32),
    zone: (u32, u32),
}

impl Fields {
    fn is_valid(self) -> bool {
        let (year, month, day) = self.date;
        let (hour, minute, second) = self.time;
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        let clock = hour < 24 && minute < 60 && second < 60;
        let zone = self.zone.0 * 60 + self.zone.1 < 24 * 60;
        year > 0 && (1..=days).contains(&day) && clock && zone
    }
}

fn timestamp(text: &str) -> Option<Fields> {
    let mut rest = Rest(text);
    let mut fields = Fields::default();
    let bytes = text.as_bytes();
    fields.date.0 = rest.digits(4, 4)?;
    rest.one_of("-")?;
    fields.date.1 = rest.digits(1, 2)?;
    rest.one_of("-")?;
    fields.date.2 = rest.digits(1, 2)?;
    if rest.is_done() {
        // A date alone has two digits each.
        return (bytes.len() == 10).then_some(fields);
    }
    let blanks = rest.take(usize::MAX, |b| matches!(b, b' ' | b'\t'));
    if blanks.is_empty() {
        rest.one_of("Tt")?;
    }
    fields.time.0 = rest.digits(1, 2)?;
    rest.one_of(":")?;
    fields.time.1 = rest.digits(2, 2)?;
    rest.one_of(":")?;
    fields.time.2 = rest.digits(2, 2)?;
    if rest.one_of(".").is_some() {
        rest.take(usize::MAX, |b| b.is_ascii_digit());
    }
    if rest.is_done() {
        return Some(fields);
    }
    rest.take(usize::MAX, |b| matches!(b, b' ' | b'\t'));
    if rest.one_of("Z").is_none() {
        rest.one_of("+-")?;
        fields.zone.0 = rest.digits(1, 2)?;
        if rest.one_of(":").is_some() {
            fields.zone.1 = rest.digits(2, 2)?;
        }
    }
    rest.is_done().then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_1_1_not_1_2() {
        for (text, expected) in [
            ("yes", Type::Bool),
            ("Off", Type::Bool),
            ("y", Type::Text),
            ("0644", Type::Int),
            ("0o644", Type::Text),
            ("1:20", Type::Int),
            ("1:20.5", Type::Float),
            ("1:60", Type::Text),
            ("1e5", Type::Text),
            ("1.0e+5", Type::Float),
            ("1.2.3", Type::Text),
            ("-.inf", Type::Float),
            ("-.nan", Type::Text),
            ("1_000", Type::Int),
            ("089", Type::Text),
            ("2024-02-30", Type::Timestamp),
            ("2024-2-3", Type::Text),
            ("2024-2-3 1:02:03 +1", Type::Timestamp),
            ("", Type::Null),
            ("-", Type::Text),
            ("+", Type::Text),
            (".", Type::Text),
            ("1ä", Type::Text),
        ] {
            assert_eq!(resolve(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_pyyaml_chokes_on() {
        for text in ["0x_", "-0b_", "2024-02-30", "2024-13-01", "0000-01-01", "2024-01-01 24:00:00"]
        {
            assert!(unreadable(text).is_some(), "{text}");
        }
        for text in ["0x_a", "0b_0", "0x0", "0", "0_", "2024-02-29", "2024-01-01 23:59:59 Z"] {
            assert!(unreadable(text).is_none(), "{text}");
        }
    }
}
