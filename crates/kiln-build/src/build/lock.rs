// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What steps take from elsewhere: told while they run, and compared with the recipe's lock.
//!
//! Which packages a step installed is read from dpkg's own list, before and after. Their digests
//! come from apt, whose lists of packages are signed.

use std::collections::BTreeMap;

use kiln_spec::lock::{LockedPackage, LockedStep, is_name, is_version};
use kiln_spec::{Arch, Digest, Lock};

use super::plan::{Action, Plan, Step};
use crate::BuildError;
use crate::error::Drift;
use crate::workspace::{Task, Workspace, WorkspaceError};

/// Packages by name, as [`LockedStep::packages`] has them.
pub(super) type Packages = BTreeMap<String, LockedPackage>;
/// Versions of packages that a tree has, by name.
pub(super) type Status = BTreeMap<String, String>;

/// Lines for `sh` that tell what apt knows of all packages that are installed, before it forgets.
const TELL: &str = "\
apt-cache show -- $(dpkg-query -W -f '${Package}=${Version} ') 2>/dev/null |
  sed -nE 's/^(Package|Version|SHA256): /KILN: \\1 /p' || true
";
/// Where the versions stand that apt is to take.
const PINS: &str = "/run/kiln-pins";
/// Where apt is told so.
const CONFIG: &str = "/run/kiln-apt.conf";

/// What apt told of packages: digests by name and version.
#[derive(Debug, Default)]
pub(super) struct Told {
    name: String,
    version: String,
    digests: BTreeMap<(String, String), Digest>,
}

impl Told {
    /// Reads a line; returns whether it was one of these.
    pub(super) fn line(&mut self, line: &str) -> bool {
        let Some((key, value)) = line.strip_prefix("KILN: ").and_then(|line| line.split_once(' '))
        else {
            return false;
        };
        match key {
            "Package" => value.clone_into(&mut self.name),
            "Version" => value.clone_into(&mut self.version),
            "SHA256" => {
                if let Ok(digest) = format!("sha256:{value}").parse() {
                    self.digests.insert((self.name.clone(), self.version.clone()), digest);
                }
            }
            _ => return false,
        }
        true
    }

    /// Returns the packages that `after` has and `before` had not, or in another version.
    ///
    /// # Errors
    ///
    /// The name of one that apt told nothing of.
    pub(super) fn installed(self, before: &Status, after: Status) -> Result<Packages, String> {
        let mut packages = Packages::new();
        for (name, version) in after {
            if before.get(&name) == Some(&version) {
                continue;
            }
            let plain = name.split(':').next().unwrap_or_default().to_owned();
            match self.digests.get(&(plain, version.clone())) {
                Some(digest) if is_name(&name) && is_version(&version) => {
                    let digest = digest.clone();
                    packages.insert(name, LockedPackage { version, digest });
                }
                _ => return Err(name),
            }
        }
        Ok(packages)
    }
}

/// Returns what dpkg says is installed in the tree.
pub(super) fn status(workspace: &mut Workspace<'_>, arch: Arch) -> Result<Status, WorkspaceError> {
    let text = workspace.read("/var/lib/dpkg/status")?.unwrap_or_default();
    Ok(parse_status(&String::from_utf8_lossy(&text), arch))
}

fn parse_status(text: &str, native: Arch) -> Status {
    let mut all = Status::new();
    for record in text.split("\n\n") {
        let value = |key: &str| {
            let found = record.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            found.unwrap_or_default()
        };
        if value("Status") != "install ok installed" {
            continue;
        }
        let (name, arch) = (value("Package"), value("Architecture"));
        let is_native = arch == "all" || arch == native.to_string();
        let name = if is_native { name.to_owned() } else { format!("{name}:{arch}") };
        all.insert(name, value("Version").to_owned());
    }
    all
}

/// Returns apt_preferences(5) that ask for just these versions.
pub(super) fn pins(packages: &Packages) -> String {
    let pin = |(name, package): (&String, &LockedPackage)| {
        format!("Package: {name}\nPin: version {}\nPin-Priority: 1001\n\n", package.version)
    };
    packages.iter().map(pin).collect()
}

/// Returns lines `name version sha256`, as comm(1) wants them.
pub(super) fn lines(packages: &Packages) -> String {
    let mut lines: Vec<_> = packages
        .iter()
        .map(|(name, package)| {
            let name = name.split(':').next().unwrap_or_default();
            format!("{name} {} {}\n", package.version, package.digest.hex())
        })
        .collect();
    lines.sort_unstable();
    lines.concat()
}

/// Has a task of the tree's apt take the versions of a lock, if there is one, and tell what it took.
pub(super) fn watched(task: &mut Task, locked: Option<&LockedStep>) {
    let Some(script) = task.script.take() else { return };
    let script = String::from_utf8_lossy(&script).into_owned();
    let (head, rest) = script.split_once('\n').unwrap_or((&script, ""));
    let mut whole = format!("{head}\n");
    if let Some(locked) = locked {
        task.env.push(("APT_CONFIG".to_owned(), CONFIG.to_owned()));
        let pins = pins(&locked.packages);
        whole += &format!("cat > {PINS} <<'KILN'\n{pins}KILN\n");
        whole += &format!("echo 'Dir::Etc::Preferences \"{PINS}\";' > {CONFIG}\n");
    }
    task.script = Some(format!("{whole}{rest}{TELL}").into_bytes());
}

impl Step {
    /// Whether it may install packages that a lock has.
    pub(super) fn installs(&self) -> bool {
        matches!(
            self.action,
            Action::Debian(_) | Action::Rpm(_) | Action::Packages(_) | Action::Element(..)
        )
    }

    /// Compares what the step took with its lock.
    pub(super) fn check(&self, taken: &Packages) -> Result<(), BuildError> {
        let empty = Packages::new();
        let locked = self.lock.as_ref().map_or(&empty, |lock| &lock.packages);
        let mut found = Vec::new();
        for (name, package) in locked {
            let drift = match taken.get(name) {
                None => Drift::Gone { locked: package.version.clone() },
                Some(now) if now.version != package.version => {
                    let (locked, found) = (package.version.clone(), now.version.clone());
                    Drift::Version { locked, found }
                }
                Some(now) if now.digest != package.digest => {
                    Drift::Content { version: now.version.clone() }
                }
                Some(_) => continue,
            };
            found.push((name, drift));
        }
        let more = taken.iter().filter(|(name, _)| !locked.contains_key(*name));
        found.extend(more.map(|(name, now)| (name, Drift::New { found: now.version.clone() })));
        BuildError::of_drift(found.into_iter().map(|(name, drift)| (name.clone(), drift)).collect())
    }
}

impl Plan<'_> {
    /// Has the plan take just what `lock` says.
    ///
    /// # Errors
    ///
    /// [`BuildError::StaleLock`] if the lock is not one of this recipe; [`BuildError::LockedArchive`].
    pub fn lock(&mut self, lock: &Lock) -> Result<(), BuildError> {
        let stale = |why: String| Err(BuildError::StaleLock { why });
        if lock.arch != self.arch {
            return stale(format!("it is for {}", lock.arch));
        }
        let mut rest = lock.steps.iter().peekable();
        for step in &mut self.steps {
            let Some(section) = rest.next_if(|section| section.step == step.name) else { continue };
            let path = match &step.action {
                Action::Archive(file) => Some(&file.path),
                Action::Image(path) => Some(path),
                _ => None,
            };
            if let (Some(path), Some(locked), Some(found)) =
                (path, &section.archive, step.archive())
                && *locked != found
            {
                let (path, locked) = (path.clone(), locked.clone());
                return Err(BuildError::LockedArchive { path, locked, found });
            }
            step.lock = Some(section.clone());
        }
        if let Some(section) = rest.next() {
            return stale(format!("the recipe has no step `{}` there", section.step));
        }
        self.is_locked = true;
        self.chain();
        Ok(())
    }

    /// Keeps what a step took, which is part of its digest from now on.
    pub(super) fn lock_step(&mut self, n: usize, packages: Packages) {
        let step = &mut self.steps[n];
        let archive = step.archive();
        step.lock = (archive.is_some() || !packages.is_empty()).then(|| LockedStep {
            step: step.name.clone(),
            archive,
            packages,
        });
        self.chain();
    }

    /// Returns what the plan takes from elsewhere.
    pub(super) fn taken(&self) -> Lock {
        let steps = self.steps.iter().filter_map(|step| step.lock.clone()).collect();
        Lock { arch: self.arch, steps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "1111111111111111111111111111111111111111111111111111111111111111";

    #[test]
    fn what_was_installed_is_told_from_what_was_there() {
        let status = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\
                      Version: 5.2\n\nPackage: vim\nStatus: deinstall ok config-files\n\
                      Architecture: amd64\nVersion: 9\n\nPackage: libc6\n\
                      Status: install ok installed\nArchitecture: i386\nVersion: 2.36-9\n";
        let after = parse_status(status, Arch::Amd64);
        let mut told = Told::default();
        assert!(!told.line("Package: bash"));
        for (name, version) in [("bash", "5.2"), ("libc6", "2.36-9"), ("vim", "9")] {
            assert!(told.line(&format!("KILN: Package {name}")));
            assert!(told.line(&format!("KILN: Version {version}")));
            assert!(told.line(&format!("KILN: SHA256 {SHA}")));
        }
        let before = Status::from([("bash".into(), "5.2".into())]);
        let all = told.installed(&before, after.clone()).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["libc6:i386"]);
        assert_eq!(lines(&all), format!("libc6 2.36-9 {SHA}\n"));
        assert_eq!(pins(&all), "Package: libc6:i386\nPin: version 2.36-9\nPin-Priority: 1001\n\n");
        let none = Told::default().installed(&Status::new(), after);
        assert_eq!(none.unwrap_err(), "bash");
    }
}
