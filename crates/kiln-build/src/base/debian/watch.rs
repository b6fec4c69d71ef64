// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What mmdebstrap, apt and dpkg say, read as progress and as causes of failure.
//!
//! The lines are meant for people, and none has to come: progress only becomes coarser and an
//! error only less particular when one is missing or new. Outcomes are told by exit status.
//! `LC_ALL` is `C.UTF-8`, so nothing is translated. The lines are those of apt 2.6 to 3.0.

use kiln_spec::{Bytes, yaml};

use crate::error::Drift;
use crate::stage::{Event, Stage};

/// Reads lines, one after the other.
#[derive(Debug, Default)]
pub struct Watch {
    stage: Option<Stage>,
    /// Packages that are to be installed, as far as apt has said.
    wanted: u32,
    fetched: u32,
    fetched_bytes: u64,
    set_up: u32,
    findings: Vec<Finding>,
    missing: Vec<String>,
    known: Vec<String>,
    /// Packages of the lock that the mirror has not, with versions; and the versions that it has.
    gone: Vec<(String, String)>,
    there: Vec<(String, String)>,
}

/// A cause of failure that a line told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Packages do not exist; with each the nearest name, if one is near.
    NoPackage(Vec<(String, Option<String>)>),
    /// A package cannot be installed as asked: apt's words.
    Unmet(String),
    /// The mirror has no such release.
    NoSuite {
        /// apt's name for it: address and suite.
        repository: String,
    },
    /// A file cannot be fetched.
    Fetch {
        /// Its address.
        url: String,
        /// Why.
        why: String,
    },
    /// The mirror's signature is missing or not trusted: apt's words.
    Untrusted(String),
    /// What is locked is not on the mirror.
    Locked(Vec<(String, Drift)>),
    /// The file system that the tree is made on is full.
    NoSpace,
    /// There is no such time zone.
    NoTimezone(String),
    /// There is no such locale.
    NoLocale(String),
}

impl Watch {
    /// Reads a line and returns what it means for the progress.
    pub fn line(&mut self, line: &str) -> Vec<Event> {
        self.cause(line);
        if let Some(stage) = stage_of(line) {
            return self.enter(stage);
        }
        let event = match self.stage {
            Some(Stage::Download) => self.download(line),
            Some(Stage::Install) => self.install(line),
            _ => None,
        };
        event.into_iter().collect()
    }

    /// Returns how many packages apt said it installs.
    #[must_use]
    pub fn packages(&self) -> u32 {
        self.wanted
    }

    /// Returns the cause of a failure, the first and most particular one first.
    #[must_use]
    pub fn cause_of_failure(&self) -> Option<Finding> {
        if !self.missing.is_empty() {
            let near = |name: &str| {
                let known = self.known.iter().map(String::as_str);
                yaml::nearest(name, known).map(str::to_owned)
            };
            let missing = self.missing.iter().map(|name| (name.clone(), near(name))).collect();
            return Some(Finding::NoPackage(missing));
        }
        if !self.gone.is_empty() {
            let drift = |(name, locked): &(String, String)| {
                let locked = locked.clone();
                let found = self.there.iter().rfind(|(known, _)| known == name);
                let drift = match found.map(|(_, version)| version.clone()) {
                    None => Drift::Gone { locked },
                    Some(version) if version == locked => Drift::Content { version },
                    Some(found) => Drift::Version { locked, found },
                };
                (name.clone(), drift)
            };
            return Some(Finding::Locked(self.gone.iter().map(drift).collect()));
        }
        let full = self.findings.iter().find(|f| **f == Finding::NoSpace);
        full.or(self.findings.first()).cloned()
    }

    fn enter(&mut self, stage: Stage) -> Vec<Event> {
        if self.stage == Some(stage) {
            return Vec::new();
        }
        self.stage = Some(stage);
        vec![Event::Stage(stage)]
    }

    /// apt says how much there is to fetch, and then a line for each package.
    fn download(&mut self, line: &str) -> Option<Event> {
        if let Some(new) = newly_installed(line) {
            self.wanted += new;
            return None;
        }
        let (name, bytes) = fetched(line)?;
        self.fetched += 1;
        self.fetched_bytes += bytes;
        Some(Event::Packages {
            stage: Stage::Download,
            done: self.fetched,
            of: self.wanted.max(self.fetched),
            bytes: Some(Bytes(self.fetched_bytes)),
            name,
        })
    }

    /// apt fetches the packages that are not essential in the second half.
    fn install(&mut self, line: &str) -> Option<Event> {
        if line.starts_with("Get:") || newly_installed(line).is_some() {
            return self.download(line);
        }
        let name = line.strip_prefix("Setting up ")?.split([' ', ':']).next()?;
        self.set_up += 1;
        Some(Event::Packages {
            stage: Stage::Install,
            done: self.set_up,
            of: self.wanted.max(self.set_up),
            bytes: None,
            name: name.to_owned(),
        })
    }

    fn cause(&mut self, line: &str) {
        if let Some(told) = line.strip_prefix("KILN: ") {
            let pair = |rest: &str| {
                let mut words = rest.split(' ').map(str::to_owned);
                (words.next().unwrap_or_default(), words.next().unwrap_or_default())
            };
            match told.split_once(' ') {
                Some(("gone", rest)) => self.gone.push(pair(rest)),
                Some(("there", rest)) => self.there.push(pair(rest)),
                Some(("no-package", name)) => self.missing.push(name.to_owned()),
                Some(("package", name)) => self.known.push(name.to_owned()),
                Some(("no-timezone", name)) => self.findings.push(Finding::NoTimezone(name.into())),
                Some(("no-locale", name)) => self.findings.push(Finding::NoLocale(name.into())),
                _ => {}
            }
            return;
        }
        if line.contains("No space left on device") {
            self.findings.push(Finding::NoSpace);
            return;
        }
        let Some(error) = line.strip_prefix("E: ") else { return };
        if let Some(name) = error.strip_prefix("Unable to locate package ") {
            self.missing.push(name.to_owned());
        } else if error.contains("was not found") || error.contains("no installation candidate") {
            self.findings.push(Finding::Unmet(error.to_owned()));
        } else if error.contains("does not have a Release file") {
            let repository = error.split('\'').nth(1).unwrap_or(error);
            let repository = repository.trim_end_matches(" Release").to_owned();
            self.findings.push(Finding::NoSuite { repository });
        } else if error.contains("is not signed") || error.contains("signature") {
            self.findings.push(Finding::Untrusted(error.to_owned()));
        } else if let Some((url, why)) =
            error.strip_prefix("Failed to fetch ").and_then(|rest| rest.split_once(' '))
        {
            self.findings.push(Finding::Fetch { url: url.into(), why: why.trim().into() });
        }
    }
}

fn stage_of(line: &str) -> Option<Stage> {
    let known = [
        ("I: running apt-get update", Stage::Lists),
        ("I: downloading packages with apt", Stage::Download),
        ("I: extracting archives", Stage::Extract),
        ("I: installing essential packages", Stage::Install),
        ("I: installing remaining packages", Stage::Install),
        ("I: running --customize-hook", Stage::Finish),
        ("update-initramfs: Generating", Stage::Initramfs),
        ("I: creating tarball", Stage::Unpack),
    ];
    known.into_iter().find(|(start, _)| line.starts_with(start)).map(|(_, stage)| stage)
}

/// Reads `0 upgraded, 158 newly installed, 0 to remove and 0 not upgraded.`
fn newly_installed(line: &str) -> Option<u32> {
    line.split(", ").find_map(|part| part.strip_suffix(" newly installed")?.parse().ok())
}

/// Reads `Get:29 http://… bookworm/main amd64 diffutils amd64 1:3.8-4 [352 kB]`: name and bytes.
fn fetched(line: &str) -> Option<(String, u64)> {
    let rest = line.strip_prefix("Get:")?;
    let (words, size) = rest.strip_suffix(']')?.rsplit_once(" [")?;
    let name = words.split(' ').nth(4)?;
    let (number, unit) = size.split_once(' ')?;
    // apt counts in powers of 1000, with three digits.
    let unit = match unit {
        "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let bytes = whole.replace(',', "").parse::<u64>().ok()? * unit
        + tenth.get(..1)?.parse::<u64>().ok()? * unit / 10;
    Some((name.to_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BuildError;

    fn watched(text: &str) -> (Watch, Vec<Event>) {
        let mut watch = Watch::default();
        let events = text.lines().flat_map(|line| watch.line(line)).collect();
        (watch, events)
    }

    /// From a build of Debian 12 with apt 2.6.1, shortened.
    const BUILD: &str = "\
I: chroot architecture amd64 is equal to the host's architecture
I: running apt-get update...
Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]
Fetched 9415 kB in 1s (6500 kB/s)
I: downloading packages with apt...
0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
Need to get 29.7 MB of archives.
Get:1 http://deb.debian.org/debian bookworm/main amd64 diffutils amd64 1:3.8-4 [352 kB]
Get:2 http://deb.debian.org/debian bookworm/main amd64 perl-base amd64 5.36.0-7+deb12u3 [1,609 kB]
I: extracting archives...
I: installing essential packages...
Unpacking diffutils (1:3.8-4) ...
Setting up diffutils (1:3.8-4) ...
Setting up perl-base (5.36.0-7+deb12u3) ...
I: installing remaining packages inside the chroot...
0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.
Get:1 http://deb.debian.org/debian bookworm/main amd64 libexpat1 amd64 2.5.0-1 [12.3 MB]
Unpacking libexpat1:amd64 (2.5.0-1) ...
Setting up libexpat1:amd64 (2.5.0-1) ...
I: running --customize-hook in shell: sh -c '# What' exec /tmp/mmdebstrap.N6UBuS1AWA
update-initramfs: Generating /boot/initrd.img-6.1.0-56-cloud-amd64
I: creating tarball...
";

    #[test]
    fn a_build_is_followed_package_by_package() {
        let (watch, events) = watched(BUILD);
        let shown: Vec<_> = events
            .iter()
            .map(|event| match (event, event.progress()) {
                (Event::Stage(stage), _) => format!("= {stage}"),
                (_, Some((stage, text))) => format!("{stage}: {text}"),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "= package lists",
                "= download",
                "download: 1/2 (343.7 KiB) diffutils",
                "download: 2/2 (1.8 MiB) perl-base",
                "= unpack",
                "= install",
                "install: 1/2 diffutils",
                "install: 2/2 perl-base",
                "download: 3/3 (13.6 MiB) libexpat1",
                "install: 3/3 libexpat1",
                "= finish",
                "= initramfs",
                "= archive",
            ]
        );
        assert_eq!(watch.packages(), 3);
        assert_eq!(watch.cause_of_failure(), None);
    }

    #[test]
    fn packages_that_do_not_exist_are_named_with_the_nearest() {
        let (watch, _) = watched(
            "KILN: no-package ngnix\nKILN: package nginx\nKILN: package ngircd\n\
             KILN: no-package zzzz\nE: setup failed\n",
        );
        assert_eq!(
            watch.cause_of_failure(),
            Some(Finding::NoPackage(vec![
                ("ngnix".into(), Some("nginx".into())),
                ("zzzz".into(), None)
            ]))
        );
    }

    #[test]
    fn what_is_locked_and_not_there_is_named_with_what_is() {
        let (watch, _) = watched(
            "KILN: gone bash 5.1 aa\nKILN: gone vim 9 aa\nKILN: gone x 1 aa\n\
             KILN: there bash 5.2 bb\nKILN: there vim 9 bb\nE: setup failed\n",
        );
        let Some(Finding::Locked(all)) = watch.cause_of_failure() else { panic!("{watch:?}") };
        let told: Vec<_> = [0, 1, 2]
            .iter()
            .map(|n| BuildError::of_drift(vec![all[*n].clone()]).unwrap_err().to_string())
            .collect();
        assert_eq!(
            told,
            [
                "`bash` is locked to 5.1, and the mirror has 5.2",
                "the mirror's `vim` 9 is not the file that was locked",
                "`x` is locked to 1, and the mirror does not have it",
            ]
        );
        let error = BuildError::of_drift(all).unwrap_err().to_string();
        assert_eq!(error, "`bash` is locked to 5.1, and the mirror has 5.2, and 2 more differ");
    }

    /// Recorded with apt 2.6.1 and mmdebstrap 1.5.5.
    #[test]
    fn causes_are_read_from_what_apt_says() {
        let cases = [
            (
                "E: Failed to fetch http://127.0.0.1:1/dists/bookworm/InRelease  Could not connect \
                 to 127.0.0.1:1 (127.0.0.1). - connect (111: Connection refused)\n\
                 E: Some index files failed to download. They have been ignored, or old ones used \
                 instead.\n",
                Finding::Fetch {
                    url: "http://127.0.0.1:1/dists/bookworm/InRelease".into(),
                    why: "Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: \
                          Connection refused)"
                        .into(),
                },
            ),
            (
                "Err:2 http://deb.debian.org/debian nosuite Release\n  404  Not Found [IP: \
                 192.0.2.1 80]\nE: The repository 'http://deb.debian.org/debian nosuite Release' \
                 does not have a Release file.\n",
                Finding::NoSuite { repository: "http://deb.debian.org/debian nosuite".into() },
            ),
            (
                "E: Unable to locate package nosuchpkg\n",
                Finding::NoPackage(vec![("nosuchpkg".into(), None)]),
            ),
            (
                "E: Version '9' for 'vim' was not found\n",
                Finding::Unmet("Version '9' for 'vim' was not found".into()),
            ),
            (
                "E: The repository 'http://m bookworm InRelease' is not signed.\n",
                Finding::Untrusted(
                    "The repository 'http://m bookworm InRelease' is not signed.".into(),
                ),
            ),
            (
                "E: Failed to fetch http://m/x  500\n\
                 dpkg: error: failed to write status database: No space left on device\n",
                Finding::NoSpace,
            ),
            ("KILN: no-timezone Mars/Base\n", Finding::NoTimezone("Mars/Base".into())),
        ];
        for (text, finding) in cases {
            assert_eq!(watched(text).0.cause_of_failure(), Some(finding), "{text}");
        }
    }

    #[test]
    fn any_text_at_all_does_no_harm() {
        let lines = [
            "",
            "Get:",
            "Get:1",
            "Get:1 a b c d []",
            "Get:9 a b c d e [x kB]",
            "KILN: ",
            "E: ",
            "I: ",
        ];
        for before in
            ["", "I: downloading packages with apt...\n", "I: installing essential packages...\n"]
        {
            let (watch, _) = watched(&format!("{before}{}\n", lines.join("\n")));
            assert_eq!(watch.cause_of_failure(), None);
        }
    }
}
