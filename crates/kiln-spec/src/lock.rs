// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a recipe was built from: archives and packages, with versions and digests.
//!
//! The file lies beside the recipe, and is YAML that Kiln writes: one line for a package, in order,
//! so that a change of it can be read.
//!
//! ```yaml
//! kiln_lock: 1
//! arch: amd64
//! steps:
//!   - step: base
//!     packages:
//!       adduser: {version: "3.134", digest: "sha256:…"}
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::yaml::{self, YamlError};
use crate::{Arch, Digest};

/// The format's number.
pub const FORMAT: u32 = 1;

/// What a recipe was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// For which processors.
    pub arch: Arch,
    /// The steps that took something from elsewhere, in order.
    pub steps: Vec<LockedStep>,
}

/// What one step took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedStep {
    /// The step's name.
    pub step: String,
    /// The archive that it unpacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Digest>,
    /// The packages that it installed, by the names that dpkg gives them: `libc6:amd64`, `bash`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, LockedPackage>,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its version.
    pub version: String,
    /// The digest of its file, as the mirror's signed list has it.
    pub digest: Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    kiln_lock: u32,
    arch: Arch,
    steps: Vec<LockedStep>,
}

impl Lock {
    /// Reads a lock. `file` is how errors call it.
    ///
    /// # Errors
    ///
    /// [`YamlError`], also for a name or version that no package has.
    pub fn parse(text: &str, file: &str) -> Result<Self, YamlError> {
        let wrong = |message: String| YamlError { file: file.to_owned(), place: None, message };
        let LockFile { kiln_lock, arch, steps } = yaml::from_str(text, file)?;
        if kiln_lock != FORMAT {
            let what = format!("this kiln reads locks of format {FORMAT}, and this is {kiln_lock}");
            return Err(wrong(what));
        }
        for (name, package) in steps.iter().flat_map(|step| &step.packages) {
            if !is_name(name) || !is_version(&package.version) {
                let (name, version) = (name.escape_debug(), package.version.escape_debug());
                return Err(wrong(format!("`{name}` `{version}` is no package")));
            }
        }
        Ok(Self { arch, steps })
    }

    /// Returns the text of the file. The same lock has the same text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "# What the recipe is built from. Written by `kiln build --lock`, which also renews it.\n\
             kiln_lock: {FORMAT}\narch: {}\nsteps:",
            self.arch
        );
        if self.steps.is_empty() {
            text.push_str(" []");
        }
        text.push('\n');
        for step in &self.steps {
            // A JSON string is one of YAML, too.
            let name = serde_json::Value::from(step.step.as_str());
            writeln!(text, "  - step: {name}").ok();
            if let Some(archive) = &step.archive {
                writeln!(text, "    archive: \"{archive}\"").ok();
            }
            if !step.packages.is_empty() {
                text.push_str("    packages:\n");
            }
            for (name, LockedPackage { version, digest }) in &step.packages {
                let line = format!("{{version: \"{version}\", digest: \"{digest}\"}}");
                writeln!(text, "      \"{name}\": {line}").ok();
            }
        }
        text
    }
}

/// Whether it is a name that dpkg gives a package: Debian Policy, 5.6.1, perhaps with a processor.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let (name, arch) = text.split_once(':').unwrap_or((text, "all"));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() >= 2
        && name.starts_with(plain)
        && name.chars().all(|c| plain(c) || "+-.".contains(c))
        && !arch.is_empty()
        && arch.chars().all(|c| plain(c) || c == '-')
}

/// Whether it is a version: Debian Policy, 5.6.12.
#[must_use]
pub fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-~:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let digest = |c: char| format!("sha256:{}", c.to_string().repeat(64)).parse().unwrap();
        let package =
            |version: &str| LockedPackage { version: version.into(), digest: digest('b') };
        let base = LockedStep {
            step: "base".into(),
            archive: Some(digest('a')),
            packages: BTreeMap::new(),
        };
        let more = LockedStep {
            step: "element \"x\"".into(),
            archive: None,
            packages: BTreeMap::from([
                ("libc6:amd64".into(), package("2.36-9+deb12u10")),
                ("g++".into(), package("4:12.2.0-3~x")),
            ]),
        };
        Lock { arch: Arch::Amd64, steps: vec![base, more] }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = lock().to_text();
        assert_eq!(Lock::parse(&text, "l").unwrap(), lock());
        let empty = Lock { arch: Arch::Arm64, steps: Vec::new() };
        assert_eq!(Lock::parse(&empty.to_text(), "l").unwrap(), empty);
        assert!(text.contains("\n      \"g++\": {version: \"4:12.2.0-3~x\", digest: \"sha256:bb"));
    }

    #[test]
    fn what_could_be_a_line_or_an_option_is_refused() {
        let text = lock().to_text();
        for (good, bad) in [
            ("\"g++\"", "\"-g\""),
            ("\"g++\"", "\"g+ +\""),
            ("\"g++\"", "\"g++\\n\""),
            ("\"g++\"", "\"g++:\""),
            ("\"4:12.2.0-3~x\"", "\"4 12\""),
            ("\"4:12.2.0-3~x\"", "\"4\\nPin: 1\""),
            ("\"4:12.2.0-3~x\"", "\"$(x)\""),
            ("kiln_lock: 1", "kiln_lock: 2"),
            ("sha256:bb", "sha256:xb"),
            ("    archive:", "    archives:"),
        ] {
            let changed = text.replace(good, bad);
            assert_ne!(changed, text);
            assert!(Lock::parse(&changed, "l").is_err(), "{bad}");
        }
    }
}
