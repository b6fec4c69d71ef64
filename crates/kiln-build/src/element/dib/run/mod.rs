// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs diskimage-builder's elements, as they are, on a tree under construction.
//!
//! Each phase is one program: a script of Kiln's that runs the elements' scripts in order, beside
//! the tree (`outside.sh`) or in it (`inside.sh`). What elements expect around them (`sudo`,
//! `$TMP_HOOKS_PATH`, `$_LIB`, their own Python) lies in a *kit*, a folder that is copied into the
//! sandbox. Nothing runs with rights on the host, and nothing touches a block device: the disk is
//! made by Kiln's assembler.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kiln_spec::{Arch, Digest};
use serde_json::json;

use super::deps::Resolved;
use super::find::Element;
use super::hooks::Hooks;
use super::phase::{Phase, Place};
use crate::element::ElementError;
use crate::workspace::{Mount, Task, Workspace, WorkspaceError};

const OUTSIDE: &str = include_str!("outside.sh");
const INSIDE: &str = include_str!("inside.sh");
/// Programs that stand before the host's.
const PROGRAMS: [(&str, &str); 3] = [
    ("sudo", include_str!("sudo.sh")),
    ("chroot", include_str!("chroot.sh")),
    ("mount", include_str!("mount.sh")),
];
/// Where the kit is seen.
const KIT: &str = "/kiln/dib";
/// The phases that run, in order. The disk is Kiln's.
pub const PHASES: [Phase; 9] = [
    Phase::Root,
    Phase::ExtraData,
    Phase::PreInstall,
    Phase::Install,
    Phase::PostInstall,
    Phase::PostRoot,
    Phase::PreFinalise,
    Phase::Finalise,
    Phase::Cleanup,
];
/// The most files of an element.
const FILES_MOST: usize = 100_000;
/// How the lines begin that tell which script runs.
const TELLS: &str = "KILN: script ";

/// Why elements could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The elements are not fit to be run.
    #[error("the elements cannot be run")]
    Element(#[source] ElementError),
    /// An element wants to make the disk itself.
    #[error("the element `{element}` makes the disk itself (`{script}`), which kiln does")]
    Disk {
        /// The element.
        element: String,
        /// Its script.
        script: String,
    },
    /// A file of the kit could not be written.
    #[error("could not write `{}`", path.display())]
    Kit {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A script failed.
    #[error("`{script}`{} failed", of(element.as_deref()))]
    Script {
        /// The script, with its phase: `install.d/10-x`.
        script: String,
        /// The element that it is of, if that is known.
        element: Option<String>,
        /// How it ended, and what it wrote last.
        source: WorkspaceError,
    },
}

fn of(element: Option<&str>) -> String {
    element.map_or_else(String::new, |name| format!(" of the element `{name}`"))
}

impl From<ElementError> for RunError {
    fn from(error: ElementError) -> Self {
        Self::Element(error)
    }
}

/// Elements that are ready to be run.
#[derive(Clone, Debug)]
pub struct Runner {
    resolved: Resolved,
    hooks: Hooks,
    image: String,
    arch: Arch,
    variables: BTreeMap<String, String>,
    /// The digest of all files that scripts may read.
    files: Digest,
    /// Files that variables name, as scripts see them and as they are on the host; their digests.
    given: Vec<(String, PathBuf, Digest)>,
    /// Whether the tree is there before the first phase.
    on_tree: bool,
}

impl Runner {
    /// Looks whether elements can be run, for an image of this name and processor. `variables` are
    /// those that the recipe sets: `DIB_RELEASE` and the like.
    ///
    /// # Errors
    ///
    /// [`RunError::Element`], [`RunError::Disk`]; [`RunError::Kit`] if files cannot be read.
    pub fn new(
        resolved: Resolved,
        image: &str,
        arch: Arch,
        variables: BTreeMap<String, String>,
    ) -> Result<Self, RunError> {
        let hooks = Hooks::of(&resolved)?;
        if let Some((script, hook)) = hooks.scripts(Phase::BlockDevice).first() {
            let element = hook.element.name.clone();
            return Err(RunError::Disk { element, script: format!("block-device.d/{script}") });
        }
        let mut all = String::new();
        let mut packages = BTreeSet::new();
        for element in &resolved.elements {
            let path = &element.path;
            all += &format!("{} {}\n", element.name, digest_of(path).map_err(kit(path))?);
            packages.extend(path.parent().and_then(Path::parent));
        }
        for package in packages {
            let lib = package.join("lib");
            if lib.is_dir() {
                all += &format!("lib {}\n", digest_of(&lib).map_err(kit(&lib))?);
            }
        }
        let files = crate::digest::of_bytes(all.as_bytes());
        let (image, given) = (image.to_owned(), Vec::new());
        Ok(Self { hooks, image, arch, variables, files, given, on_tree: false, resolved })
    }

    /// Has scripts beside the tree find a copy of the file or folder `path` as `name` in the folder
    /// that they start in.
    ///
    /// # Errors
    ///
    /// [`RunError::Kit`] if it cannot be read.
    pub fn add_file(&mut self, name: &str, path: &Path) -> Result<(), RunError> {
        let digest = if path.is_dir() {
            digest_of(path)
        } else {
            crate::digest::of_file(path, &mut |_| true)
        };
        self.given.push((name.to_owned(), path.to_owned(), digest.map_err(kit(path))?));
        Ok(())
    }

    /// Says that the elements are applied to a tree that is there already. What its `os-release`
    /// says is the distribution that they see, if variables say nothing else.
    pub fn on_a_tree(&mut self) {
        self.on_tree = true;
    }

    /// Returns the elements.
    #[must_use]
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// Returns all that goes into a phase, for its digest: the scripts, the elements' files, the
    /// variables.
    #[must_use]
    pub fn value(&self, phase: Phase) -> serde_json::Value {
        json!({
            "phase": phase.name(),
            "scripts": [OUTSIDE, INSIDE],
            "programs": PROGRAMS,
            "files": self.files,
            "given": self.given.iter().map(|(name, _, digest)| (name, digest)).collect::<Vec<_>>(),
            "env": self.environment(),
        })
    }

    /// Makes the folder that scripts see as [`KIT`], below `temp`.
    fn make_kit(&self, temp: &Path) -> Result<tempfile::TempDir, RunError> {
        let made = tempfile::tempdir_in(temp).map_err(kit(temp))?;
        let at = made.path();
        for folder in ["hooks", "bin", "lib", "python", "elements", "files"] {
            let path = at.join(folder);
            fs::create_dir(&path).map_err(kit(&path))?;
        }
        self.hooks.write(&at.join("hooks"))?;
        for (name, text) in PROGRAMS {
            let path = at.join("bin").join(name);
            fs::write(&path, text).map_err(kit(&path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(kit(&path))?;
        }
        for element in &self.resolved.elements {
            element.copy_to(&at.join("elements").join(&element.name))?;
            copy_package(element, at).map_err(kit(&element.path))?;
        }
        for (name, path, _) in &self.given {
            let to = at.join("files").join(name);
            copy_all(path, &to).map_err(kit(path))?;
        }
        install_type(&at.join("hooks"), &self.variables).map_err(kit(at))?;
        Ok(made)
    }

    /// Runs a phase. `on_line` gets what its scripts write; what they are to see is copied below
    /// `temp` for the time.
    ///
    /// # Errors
    ///
    /// [`RunError::Script`] with the script that failed; [`RunError::Kit`].
    pub fn run(
        &self,
        phase: Phase,
        workspace: &mut Workspace<'_>,
        temp: &Path,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<(), RunError> {
        let (script, place) = match phase.place() {
            Place::Outside => (OUTSIDE, phase.place()),
            Place::Inside => (INSIDE, phase.place()),
        };
        let mut task = Task::new(phase.folder(), [phase.name()]);
        task.script = Some(script.as_bytes().to_vec());
        task.env = self.environment();
        task.network = true;
        let mut current = phase.folder();
        let mut hear = |line: &str| {
            if let Some(script) = line.strip_prefix(TELLS) {
                script.clone_into(&mut current);
            }
            on_line(line);
        };
        let ran = match place {
            Place::Outside => {
                let kit = self.make_kit(temp)?;
                task.mounts = vec![
                    Mount::Files { from: kit.path().to_owned(), at: KIT.into() },
                    Mount::Cache { name: "dib".into(), at: "/kiln/dib-cache".into() },
                ];
                workspace.run_outside(&task, &mut hear)
            }
            Place::Inside => workspace.run(&task, &mut hear),
        };
        ran.map_err(|source| {
            let name = current.split_once('/').map(|(_, name)| name);
            let folder = phase.folder();
            let mut known = self.hooks.folder(&folder);
            let element = known.find(|(known, _)| Some(*known) == name);
            let element = element.map(|(_, hook)| hook.element.name.clone());
            RunError::Script { script: current, element, source }
        })
    }

    fn environment(&self) -> Vec<(String, String)> {
        let elements = &self.resolved.elements;
        let names: Vec<_> = elements.iter().map(|element| element.name.as_str()).collect();
        let path = |name: &str| format!("{KIT}/elements/{name}");
        let array: Vec<_> = names.iter().map(|name| format!("[{name}]={}", path(name))).collect();
        let yaml: String = names.iter().map(|name| format!("{name}: {}\n", path(name))).collect();
        let loads = names.contains(&"bootloader");
        let (arch, loaders) = match self.arch {
            Arch::Arm64 => ("arm64", "grub-efi-arm64-bin grub2-common"),
            _ => ("amd64", "grub-pc-bin grub-efi-amd64-bin grub2-common"),
        };
        let fixed = [
            ("ARCH", arch),
            ("ELEMENTS_PATH", "/kiln/dib/elements"),
            ("_LIB", "/kiln/dib/lib"),
            ("PYTHONPATH", "/kiln/dib/python"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("DIB_PYTHON_EXEC", "/usr/bin/python3"),
            // Elements take Python 2 for Debian's otherwise, which no release has any more.
            ("DIB_PYTHON_VERSION", "3"),
            ("IMAGE_NAME", &self.image),
            ("IMAGE_TYPE", "qcow2"),
            ("DIB_IMAGE_CACHE", "/kiln/dib-cache/image-create"),
            ("DIB_LOCKFILES", "/kiln/dib-cache/lockfiles"),
            // Two builds at once would wait for apt's one lock.
            ("DIB_APT_LOCAL_CACHE", "0"),
            ("DIB_OFFLINE", ""),
            ("DIB_DEBUG_TRACE", "0"),
            ("DIB_CHECKSUM", "0"),
            ("DIB_NO_TMPFS", "1"),
            ("DIB_MIN_TMPFS", "2"),
            ("DIB_ARGS", ""),
            ("DIB_ENV", ""),
            ("DIB_DEFAULT_INSTALLTYPE", "source"),
            ("DIB_ROOT_LABEL", "root"),
            ("DIB_ROOT_FSTYPE", "ext4"),
            ("DIB_BOOT_LABEL", ""),
            ("DIB_MOUNTPOINTS", "/"),
            ("FS_TYPE", "ext4"),
            ("IMAGE_BLOCK_DEVICE", ""),
            ("IMAGE_BLOCK_DEVICES", ""),
            ("KILN_LOADERS", if loads { loaders } else { "" }),
            ("KILN_ON_TREE", if self.on_tree { "1" } else { "" }),
        ];
        let mut all: BTreeMap<String, String> =
            fixed.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        all.insert("IMAGE_ELEMENT".into(), names.join(" "));
        all.insert("IMAGE_ELEMENT_YAML".into(), yaml);
        all.insert("KILN_ELEMENT_ARRAY".into(), array.join(" "));
        all.extend(self.variables.clone());
        all.into_iter().collect()
    }
}

fn kit(path: &Path) -> impl FnOnce(std::io::Error) -> RunError + use<> {
    let path = path.to_owned();
    move |source| RunError::Kit { path, source }
}

/// Copies what elements need of the package that they are of: its library, and the modules of
/// Python that its programs load.
fn copy_package(element: &Element, kit: &Path) -> std::io::Result<()> {
    let Some(package) = element.path.parent().and_then(Path::parent) else { return Ok(()) };
    copy_files(&package.join("lib"), &kit.join("lib"))?;
    if !package.join("__init__.py").is_file() {
        return Ok(());
    }
    let Some(name) = package.file_name() else { return Ok(()) };
    let modules = kit.join("python");
    copy_files(package, &modules.join(name))?;
    // Beside the package, where pip puts it; the host's own otherwise.
    for beside in ["yaml", "_yaml"] {
        copy_files(&package.with_file_name(beside), &modules.join(beside))?;
    }
    Ok(())
}

/// Copies the files of a folder that is there and not yet copied, without its folders.
fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    let done = to.is_dir() && fs::read_dir(to)?.next().is_some();
    if done || !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Copies a file, or a folder with the files and folders in it, without links.
fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(above) = to.parent() {
        fs::create_dir_all(above)?;
    }
    let mut todo = vec![(from.to_owned(), to.to_owned())];
    let mut seen = 0;
    while let Some((from, to)) = todo.pop() {
        seen += 1;
        if seen > FILES_MOST {
            return Err(std::io::Error::other(format!("it has more than {FILES_MOST} files")));
        }
        // A link in a folder could lead anywhere.
        let kind = fs::symlink_metadata(&from)?.file_type();
        if kind.is_dir() {
            fs::create_dir(&to)?;
            for entry in fs::read_dir(&from)? {
                let entry = entry?;
                todo.push((entry.path(), to.join(entry.file_name())));
            }
        } else if kind.is_file() {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Tells the tree's scripts how elements are installed if nothing else is said.
fn install_type(hooks: &Path, variables: &BTreeMap<String, String>) -> std::io::Result<()> {
    let kind = variables.get("DIB_DEFAULT_INSTALLTYPE").map_or("source", String::as_str);
    let plain = kind.chars().all(|c| c.is_ascii_alphanumeric());
    let kind = if plain { kind } else { "source" };
    let folder = hooks.join("environment.d");
    fs::create_dir_all(&folder)?;
    let line = format!("export DIB_DEFAULT_INSTALLTYPE=${{DIB_DEFAULT_INSTALLTYPE:-{kind}}}\n");
    fs::write(folder.join("11-dib-install-type.bash"), line)
}

/// Returns the digest of all files of a folder: names, permissions, contents.
fn digest_of(folder: &Path) -> std::io::Result<Digest> {
    let mut lines = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(folder.join(&at))? {
            let entry = entry?;
            let path = at.join(entry.file_name());
            let kind = entry.file_type()?;
            let what = if kind.is_dir() {
                todo.push(path.clone());
                continue;
            } else if kind.is_symlink() {
                format!("link {}", fs::read_link(entry.path())?.display())
            } else if kind.is_file() {
                let mode = entry.metadata()?.permissions().mode() & 0o777;
                let digest = crate::digest::of_file(&entry.path(), &mut |_| true)?;
                format!("{mode:o} {digest}")
            } else {
                continue;
            };
            if lines.len() == FILES_MOST {
                return Err(std::io::Error::other(format!("it has more than {FILES_MOST} files")));
            }
            lines.push(format!("{} {what}", path.display()));
        }
    }
    lines.sort_unstable();
    Ok(crate::digest::of_bytes(lines.join("\n").as_bytes()))
}
