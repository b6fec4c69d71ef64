// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Boot loaders, put in place without running anything of the guest's.
//!
//! GRUB's modules come out of the guest's own tree, so that its version is the guest's;
//! `grub-mkimage` of the host links them. It parses them, and so trusts them as the packages that
//! they came in are trusted.

pub mod grub_bios;
pub mod grub_efi;

use std::io;
use std::path::{Path, PathBuf};

use kiln_host::tools::grub_mkimage::{self, CoreImage};
use kiln_host::{CmdError, Host};

use crate::fs::ext::{ExtError, ExtFs, Kind, shown};

/// Where distributions keep GRUB's modules: Debian, Fedora and their relatives, Arch; openSUSE.
const GRUB_FOLDERS: [&str; 2] = ["/usr/lib/grub", "/usr/share/grub2"];
/// The most bytes of one file of GRUB, and of all of a platform.
const MOST_FILE: u64 = 16 << 20;
const MOST_ALL: u64 = 64 << 20;

/// Why a boot loader could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// GRUB's files could not be read out of the tree.
    #[error("could not read GRUB's files in the tree")]
    Tree {
        /// What the file system said.
        source: ExtError,
    },
    /// GRUB's files are larger than they can be.
    #[error("GRUB's files in `{folder}` take more than {MOST_ALL} bytes")]
    TooMuch {
        /// Which folder of the tree.
        folder: String,
    },
    /// A file of GRUB that every version has is missing in the tree, or is not what it must be.
    #[error("`{file}` in the tree is not GRUB's")]
    NotGrub {
        /// The file.
        file: String,
    },
    /// The core image does not fit its partition.
    #[error("GRUB's core image has {size} bytes, and its partition {room}")]
    NoRoom {
        /// Bytes of the image.
        size: u64,
        /// Bytes of the partition.
        room: u64,
    },
    /// `grub-mkimage` failed.
    #[error("could not make GRUB's core image")]
    Tool {
        /// What it said.
        source: CmdError,
    },
    /// A file of the host could not be read or written.
    #[error("could not use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk could not be read or written.
    #[error("could not write the boot loader to the disk")]
    Disk {
        /// What the device said.
        source: io::Error,
    },
}

/// Where GRUB finds its own files once it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home<'a> {
    /// UUID of the file system.
    pub root_uuid: &'a str,
    /// The modules of GRUB that read it: `part_gpt` and `ext2`, say.
    pub modules: &'a [&'static str],
    /// Its place, as GRUB names it: `,gpt3`. Where the UUID is not found, that one is taken.
    pub place: &'a str,
    /// The folder with `grub.cfg`: `/boot/grub`, of Fedora and its relatives `/boot/grub2`.
    pub folder: &'a str,
}

impl Home<'_> {
    /// Returns the commands that find the root file system and GRUB's files in it.
    fn find(&self) -> String {
        let Home { root_uuid, folder, .. } = self;
        format!("search.fs_uuid {root_uuid} root\nset prefix=($root){folder}\n")
    }
}

/// GRUB's modules of one platform, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modules {
    platform: &'static str,
    /// Name and contents, sorted by name.
    files: Vec<(String, Vec<u8>)>,
}

impl Modules {
    /// Reads the modules of `platform` (`i386-pc`) out of a tree; `None` if it has none.
    ///
    /// # Errors
    ///
    /// [`BootError::Tree`], [`BootError::TooMuch`].
    pub fn read(fs: &mut ExtFs, platform: &'static str) -> Result<Option<Self>, BootError> {
        for folder in GRUB_FOLDERS {
            if let Some(modules) = Self::read_in(fs, &format!("{folder}/{platform}"), platform)? {
                return Ok(Some(modules));
            }
        }
        Ok(None)
    }

    fn read_in(
        fs: &mut ExtFs,
        folder: &str,
        platform: &'static str,
    ) -> Result<Option<Self>, BootError> {
        let tree = |source| BootError::Tree { source };
        let Some(dir) = fs.resolve(folder.as_bytes()).map_err(tree)? else { return Ok(None) };
        if !fs.is_directory(dir).map_err(tree)? {
            return Ok(None);
        }
        let mut files = Vec::new();
        let mut left = MOST_ALL;
        for entry in fs.list(dir).map_err(tree)? {
            let stat = fs.stat(entry.node).map_err(tree)?;
            let Ok(name) = String::from_utf8(entry.name) else { continue };
            if stat.kind != Kind::File {
                continue;
            }
            let enough = left.checked_sub(stat.size);
            left = enough.ok_or_else(|| BootError::TooMuch { folder: folder.to_owned() })?;
            files.push((name, fs.read_file(entry.node, MOST_FILE).map_err(tree)?));
        }
        let found = files.iter().any(|(name, _)| name == "moddep.lst");
        Ok(found.then_some(Self { platform, files }))
    }

    /// Returns the platform's name: a folder below `/boot/grub`.
    #[must_use]
    pub fn platform(&self) -> &'static str {
        self.platform
    }

    /// Returns the files that GRUB loads while it runs, and that `grub-install` would have put
    /// into `/boot/grub/<platform>`: modules and lists.
    pub fn loadable(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .filter(|(name, _)| name.ends_with(".mod") || name.ends_with(".lst"))
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Returns one of the files.
    fn file(&self, name: &str) -> Option<&[u8]> {
        let (_, bytes) = self.files.iter().find(|(other, _)| other == name)?;
        Some(bytes)
    }

    /// Runs `grub-mkimage` in the empty folder `work` and returns the image.
    fn link(
        &self,
        host: &dyn Host,
        work: &Path,
        (config, prefix, with): (&str, &str, &[&str]),
    ) -> Result<Vec<u8>, BootError> {
        let failed = |path: &Path, source| BootError::File { path: path.to_owned(), source };
        let folder = work.join(self.platform);
        std::fs::create_dir(&folder).map_err(|source| failed(&folder, source))?;
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|source| failed(&path, source))?;
        }
        let early = work.join(format!("{}.cfg", self.platform));
        std::fs::write(&early, config).map_err(|source| failed(&early, source))?;
        let to = work.join(format!("{}.img", self.platform));
        let image =
            CoreImage { platform: self.platform, modules: &folder, config: &early, prefix, with };
        let cmd = grub_mkimage::make(&image, &to);
        host.run(&cmd).map_err(|source| BootError::Tool { source })?;
        std::fs::read(&to).map_err(|source| failed(&to, source))
    }
}

/// Reads a file of the tree, following its symbolic links; `None` if it is not there.
fn read(fs: &mut ExtFs, path: &str) -> Result<Option<Vec<u8>>, BootError> {
    let tree = |source| BootError::Tree { source };
    let Some(node) = fs.resolve(path.as_bytes()).map_err(tree)? else { return Ok(None) };
    if fs.stat(node).map_err(tree)?.kind != Kind::File {
        return Err(BootError::NotGrub { file: shown(path.as_bytes()) });
    }
    fs.read_file(node, MOST_FILE).map(Some).map_err(tree)
}
