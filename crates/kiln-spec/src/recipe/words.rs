// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The words of a recipe, each a type that holds only what may stand there.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::place::after_scheme;
pub use crate::word::WordError;
use crate::word::word;

fn lower_or_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Whether the first character fulfils `first` and all others `rest`.
fn shaped(word: &str, first: fn(char) -> bool, rest: fn(char) -> bool) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(first) && chars.all(rest)
}

word! {
    /// The name of an image in the store.
    ImageName, "image name",
    "at most 64 of a-z, 0-9, `.`, `_` and `-`, and a letter or digit first",
    |word| word.len() <= 64 && shaped(word, lower_or_digit, |c| lower_or_digit(c) || "._-".contains(c))
}

word! {
    /// A package, by its name, or, of Debian's kind, by its name and version: `nginx`,
    /// `nginx=1.22.1-9`, `NetworkManager`.
    ///
    /// Source: Debian Policy, 5.6.1 and 5.6.12; Fedora's Naming Guidelines. A name that ends in `-` is refused: apt-get(8)
    /// takes it for a package to remove.
    PackageName, "package",
    "a name is at least two letters, digits, `+`, `-`, `_` and `.`; `name=version` asks for one version",
    |word| {
        let (name, version) = word.split_once('=').unwrap_or((word, "0"));
        name.len() >= 2
            && !name.ends_with('-')
            && shaped(
                name,
                |c| c.is_ascii_alphanumeric(),
                |c| c.is_ascii_alphanumeric() || "+-._".contains(c),
            )
            && shaped(
                version,
                |c| c.is_ascii_digit(),
                |c| c.is_ascii_alphanumeric() || ".+-~:".contains(c),
            )
    }
}

word! {
    /// An address of a package mirror.
    Url, "mirror's address",
    "it begins with `http://` or `https://` and holds no space, quote or password",
    |word| {
        after_scheme(word).is_some_and(|rest| {
            shaped(
                rest,
                |c| c.is_ascii_alphanumeric() || c == '[',
                |c| c.is_ascii_alphanumeric() || "-._~:/[]%+,=".contains(c),
            )
        })
    }
}

word! {
    /// The name of an account in a machine.
    UserName, "account",
    "at most 32 of a-z, 0-9, `_` and `-`, a letter or `_` first, and not `root`",
    |word| {
        word.len() <= 32
            && word != "root"
            && shaped(
                word,
                |c| c.is_ascii_lowercase() || c == '_',
                |c| lower_or_digit(c) || "_-".contains(c),
            )
    }
}

word! {
    /// The name of a group in a machine.
    GroupName, "group",
    "at most 32 of a-z, 0-9, `_` and `-`, a letter or `_` first",
    |word| {
        word.len() <= 32
            && shaped(
                word,
                |c| c.is_ascii_lowercase() || c == '_',
                |c| lower_or_digit(c) || "_-".contains(c),
            )
    }
}

word! {
    /// Whose a file is: a user or group of the tree, by name or number.
    Owner, "owner",
    "it is a name of a-z, 0-9, `_`, `.` and `-`, or a number",
    |word| {
        word.len() <= 32
            && shaped(word, |c| lower_or_digit(c) || c == '_', |c| lower_or_digit(c) || "_.-".contains(c))
    }
}

impl Owner {
    /// Returns whether it is root, or root's group.
    #[must_use]
    pub fn is_root(&self) -> bool {
        matches!(self.as_str(), "root" | "0")
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self("root".into())
    }
}

word! {
    /// A public key of SSH: a line as it stands in authorized_keys.
    SshKey, "public key of SSH",
    "it is one line that begins with its kind, like `ssh-ed25519 AAAA… name`",
    |word| {
        word.len() <= 16_384
            && ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| word.starts_with(kind))
            && word.contains(' ')
            && !word.chars().any(char::is_control)
    }
}

word! {
    /// A unit of systemd.
    UnitName, "unit",
    "it is like `nginx` or `getty@tty1.service`",
    |word| {
        word.len() <= 255
            && shaped(
                word,
                |c| c.is_ascii_alphanumeric() || c == '_',
                |c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c),
            )
    }
}

word! {
    /// A file or folder in the recipe's folder, by its path from there.
    SourcePath, "file of the recipe's folder",
    "it is a path without `/` at its beginning and without `..`: nothing outside of the folder is taken",
    |word| {
        word.len() < 4096
            && !word.chars().any(char::is_control)
            && !word.starts_with('/')
            && word.trim_end_matches('/').split('/').all(|part| !matches!(part, "" | ".."))
    }
}

word! {
    /// The name of a property of an image, as OpenStack's image service has them:
    /// `hw_disk_bus`.
    PropertyName, "name of a property",
    "at most 255 letters, digits, `_`, `-`, `.` and `:`, and a letter first",
    |word| {
        word.len() <= 255
            && shaped(word, |c| c.is_ascii_alphabetic(), |c| c.is_ascii_alphanumeric() || "_-.:".contains(c))
    }
}

word! {
    /// The value of a property.
    PropertyValue, "value of a property",
    "it is at most 4096 bytes without control characters",
    |word| word.len() <= 4096 && !word.chars().any(char::is_control)
}

word! {
    /// The label of a file system.
    Label, "label",
    "it is 1 to 16 printable ASCII characters",
    |word| !word.is_empty() && word.len() <= 16 && word.bytes().all(|b| b.is_ascii_graphic())
}

word! {
    /// The name of a volume group of LVM.
    VolumeGroup, "volume group",
    "it is at most 32 of a-z, 0-9 and `_`, and a letter first",
    |word| {
        word.len() <= 32
            && shaped(word, |c| c.is_ascii_lowercase(), |c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
            })
    }
}

word! {
    /// A language of the C library.
    Locale, "locale",
    "it is like `C.UTF-8` or `de_DE.UTF-8`",
    |word| {
        let name = word.strip_suffix(".UTF-8").unwrap_or_default();
        shaped(
            name,
            |c| c.is_ascii_alphabetic(),
            |c| c.is_ascii_alphanumeric() || "_@".contains(c),
        )
    }
}

word! {
    /// The name of an element: Kiln's, or a folder of diskimage-builder's.
    ElementName, "element",
    "at most 128 letters, digits, `.`, `_`, `+` and `-`, and neither `.` nor `-` first",
    |word| {
        word.len() <= 128
            && shaped(
                word,
                |c| c.is_ascii_alphanumeric() || "_+".contains(c),
                |c| c.is_ascii_alphanumeric() || "._+-".contains(c),
            )
    }
}

word! {
    /// The name of a variable that elements read: `DIB_RELEASE`.
    VariableName, "variable for elements",
    "letters, digits and `_`, and `DIB_` first",
    |word| {
        word.strip_prefix("DIB_").is_some_and(|rest| {
            rest.len() <= 124 && !rest.is_empty()
                && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
    }
}

word! {
    /// A time zone, by its name in the tz database.
    Timezone, "time zone",
    "it is like `Etc/UTC` or `Europe/Berlin`",
    |word| word.split('/').all(|part| {
        shaped(
            part,
            |c| c.is_ascii_alphanumeric(),
            |c| c.is_ascii_alphanumeric() || "_+-".contains(c),
        )
    })
}

word! {
    /// The path of a file in an image: absolute, and nothing in it leads elsewhere.
    GuestPath, "path of a file",
    "it begins with `/`, does not end with it, and has no `.`, `..`, `//` or control character",
    |word| {
        word.len() < 4096
            && !word.chars().any(char::is_control)
            && word.strip_prefix('/').is_some_and(|rest| {
                rest.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
            })
    }
}

word! {
    /// How a file system is mounted, as in fstab(5): `rw,noatime`.
    MountOptions, "list of mount options",
    "it has letters, digits and the characters -_.,=:/@+ only",
    |word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,=:/@+".contains(c);
        !word.is_empty() && word.len() <= 255 && word.chars().all(plain)
    }
}

word! {
    /// Words for the kernel's command line, separated by spaces.
    KernelWords, "kernel command line",
    "it is one line without quotes, backslashes, backquotes and the characters $;{}|&<>#()!*?",
    // What means something to GRUB's language, or to the shell that reads /etc/default/grub.
    |word| {
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        word.chars().all(|c| plain(c) && !"\"'\\$`;{}|&<>#()!*?".contains(c))
    }
}

impl KernelWords {
    /// Returns these words, followed by others.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self(format!("{self} {others}"))
    }
}

/// The permissions of a file, written in octal: `0644`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileMode(pub u32);

impl JsonSchema for FileMode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FileMode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        crate::schema::word("file mode", "it is three or four octal digits, like `0644`")
    }
}

impl FromStr for FileMode {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        let digits = word.strip_prefix("0o").unwrap_or(word);
        Some(digits)
            .filter(|d| matches!(d.len(), 3..=4) && d.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|d| u32::from_str_radix(d, 8).ok())
            .map(Self)
            .ok_or_else(|| WordError {
                word: word.to_owned(),
                what: "file mode",
                why: "it is three or four octal digits, like `0644`",
            })
    }
}

impl TryFrom<String> for FileMode {
    type Error = WordError;

    fn try_from(word: String) -> Result<Self, WordError> {
        word.parse()
    }
}

impl From<FileMode> for String {
    fn from(mode: FileMode) -> Self {
        mode.to_string()
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Default for FileMode {
    fn default() -> Self {
        Self(0o644)
    }
}

impl Default for UserName {
    fn default() -> Self {
        Self("debian".into())
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self("C.UTF-8".into())
    }
}

impl Default for Timezone {
    fn default() -> Self {
        Self("Etc/UTC".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: FromStr<Err = WordError> + fmt::Debug>(words: &[&str]) {
        for word in words {
            let error = word.parse::<T>().expect_err(word);
            assert_eq!(error.word, *word);
        }
    }

    fn taken<T: FromStr<Err = WordError> + fmt::Display>(words: &[&str]) {
        for word in words {
            assert_eq!(word.parse::<T>().unwrap_or_else(|e| panic!("{e}")).to_string(), *word);
        }
    }

    #[test]
    fn words_that_fit_are_taken() {
        taken::<ImageName>(&["a", "debian-12", "web_1.2", &"a".repeat(64)]);
        taken::<PackageName>(&["g++", "nginx", "libstdc++6", "nginx=1.22.1-9", "xy=1:2~rc1+b1"]);
        taken::<Url>(&[
            "http://deb.debian.org/debian",
            "https://[::1]:8080/d",
            "http://127.0.0.1:1/",
        ]);
        taken::<UserName>(&["debian", "_x", "a-b_c1"]);
        taken::<Locale>(&["C.UTF-8", "de_DE.UTF-8", "sr_RS@latin.UTF-8"]);
        taken::<Timezone>(&["UTC", "Etc/GMT+1", "America/Argentina/Buenos_Aires"]);
        taken::<GuestPath>(&["/etc/motd", "/a b/ü", "/..."]);
        taken::<KernelWords>(&["", "quiet mitigations=off", "console=tty0 x=a,b:c"]);
        taken::<FileMode>(&["0644", "4755"]);
    }

    #[test]
    fn words_that_could_do_harm_are_refused() {
        refused::<ImageName>(&["", ".x", "-x", "../x", "A", "a b", &"a".repeat(65)]);
        refused::<PackageName>(&[
            "", "x", "-y", "vim-", "a b", "a,b", "?all", "a/b", "xy=", "xy=$(x)",
        ]);
        refused::<Url>(&[
            "",
            "deb.debian.org",
            "file:///etc",
            "ftp://x",
            "http://u:p@h/",
            "http://h/ x",
            "http://h/\"",
            "http://",
            "http://-x",
        ]);
        refused::<UserName>(&["", "root", "A", "1a", "-a", "a b", "a:b", &"a".repeat(33)]);
        refused::<Locale>(&["", "C", "de_DE", "de_DE.UTF-8\n", ".UTF-8", "../x.UTF-8"]);
        refused::<Timezone>(&["", "/etc/passwd", "../x", "a//b", "Europe/", "a b"]);
        refused::<GuestPath>(&["", "etc", "/", "/a/", "/a/../b", "/./a", "//a", "/a\nb", "/a\0"]);
        refused::<KernelWords>(&[
            "a\nb",
            "a\"b",
            "$(x)",
            "`x`",
            "ü",
            "quiet; reboot",
            "a#b",
            "x=*",
        ]);
        refused::<FileMode>(&["", "8", "0888", "rw", "-644", "+644", "07777777"]);
    }

    #[test]
    fn an_error_says_what_is_wrong_on_one_line() {
        let error = "a\nb".parse::<GuestPath>().unwrap_err().to_string();
        assert_eq!(
            error,
            r"`a\nb` is no path of a file: it begins with `/`, does not end with it, and has no `.`, `..`, `//` or control character"
        );
    }
}
