// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether the tables of an image's file are in order, by the judgement of `qemu-img check`.
//!
//! **Invariant:** it is told the format, and that there is no backing file: it opens no file but
//! the image.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kiln_host::tools::qemu_img::{self, Checked};
use kiln_host::tools::qemu_storage_daemon::{Backing, Node, Source, plain};
use rustix::fs::OFlags;

use super::{CheckError, Means, Part, State, What};
use crate::format::qcow2::{Encryption, Qcow2Info};
use crate::format::{self, Format, FormatError, foreign};
use crate::image::{FormatName, ImageError, OpenOptions};

/// The most clusters of a file that is given to `qemu-img check`, which counts each of them in
/// memory. With clusters of 64 KiB that is a file of 8 TiB.
const MOST_CLUSTERS: u64 = 1 << 27;

/// What is known of an image's format.
pub(super) struct Looked {
    /// `None` for a raw disk, which has no tables of its own.
    pub(super) part: Option<Part>,
    /// What can mend it.
    pub(super) mender: Option<Mender>,
}

/// What can mend the format of an image.
#[derive(Debug)]
pub(super) struct Mender {
    driver: &'static str,
}

/// Checks the format of the file at `path`.
pub(super) fn look(
    path: &Path,
    options: &OpenOptions,
    means: &mut Means<'_>,
) -> Result<Looked, CheckError> {
    let name = path.display().to_string();
    let raw = Ok(Looked { part: None, mender: None });
    if options.format == Some(FormatName::Raw) {
        return raw;
    }
    // Without O_NONBLOCK opening a pipe would wait for its other end.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag of open(2) is an int");
    let file = File::options().read(true).custom_flags(flags).open(path);
    let mut file = file.map_err(ImageError::io("open", &name))?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        // A disk of the host is not probed: it is raw unless the user says otherwise.
        return raw;
    }
    let foreign = match options.format {
        None => foreign::probe(&mut file, &name),
        Some(_) => Ok(None),
    };
    let foreign = match foreign {
        Ok(found) => found,
        Err(error @ (FormatError::Foreign { .. } | FormatError::Truncated { .. })) => {
            let part = Part::with(What::File, State::Unmendable, error.to_string());
            return Ok(Looked { part: Some(part), mender: None });
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(found) = foreign {
        let what = What::Format(found.format.name());
        let node = found.node(path, false)?;
        let mut part = verdict(what, &node, &name, means)?;
        if part.state == State::Damaged {
            // QEMU mends some of these, but not all or nothing.
            part.state = State::Unmendable;
        }
        return Ok(Looked { part: Some(part), mender: None });
    }
    let what = What::Format("qcow2");
    let info = match format::probe(&mut file, &name) {
        Ok(found) => match found.format {
            Format::Qcow2(info) => info,
            Format::Raw(_) => return raw,
        },
        Err(error @ (FormatError::Header { .. } | FormatError::Truncated { .. })) => {
            let part = Part::with(what, State::Unmendable, error.to_string());
            return Ok(Looked { part: Some(part), mender: None });
        }
        // The disk that it may be is told of when it is opened.
        Err(FormatError::Length { .. }) => return raw,
        Err(error) => return Err(error.into()),
    };
    let size = file.metadata().map_err(ImageError::io("read", &name))?.len();
    let part = qcow2((path, &name), &info, size, means)?;
    Ok(Looked { part: Some(part), mender: Some(Mender { driver: "qcow2" }) })
}

fn qcow2(
    (path, name): (&Path, &str),
    info: &Qcow2Info,
    size: u64,
    means: &mut Means<'_>,
) -> Result<Part, CheckError> {
    let what = What::Format("qcow2");
    if let Some(data) = info.data_file.clone() {
        return Err(FormatError::DataFile { name: name.to_owned(), data }.into());
    }
    if info.encryption != Encryption::None {
        return Ok(Part::with(what, State::NotChecked, "it is encrypted"));
    }
    if size / info.cluster_size.0 > MOST_CLUSTERS {
        return Ok(Part::with(what, State::NotChecked, "it has too many clusters"));
    }
    let path = absolute(path, name)?;
    let mut part = verdict(what, &node("qcow2", path), name, means)?;
    if info.corrupt {
        part.findings.insert(0, "it is marked as corrupt".to_owned());
        if part.state == State::Clean {
            part.state = State::Damaged;
        }
    }
    Ok(part)
}

fn absolute(path: &Path, name: &str) -> Result<PathBuf, ImageError> {
    std::path::absolute(path).map_err(ImageError::io("open", name))
}

fn node(driver: &str, path: PathBuf) -> Node {
    let source = Source::File(path);
    Node { driver: driver.to_owned(), source, backing: Backing::None, key: None }
}

fn verdict(what: What, node: &Node, name: &str, means: &mut Means<'_>) -> Result<Part, CheckError> {
    (means.on)(&what, None);
    let tool = |source| CheckError::Tool { name: name.to_owned(), source };
    let done = means.host.run(&qemu_img::check(node)).map_err(tool)?;
    if done.code == NO_CHECK {
        return Ok(Part::with(what, State::NotChecked, "QEMU has no check for this format"));
    }
    let Some(found) = qemu_img::parse_check(&done.stdout) else {
        let mut part = Part::with(what, State::Unmendable, "QEMU cannot read it");
        part.report = plain(&done.stderr);
        return Ok(part);
    };
    let mut part = Part::clean(what);
    part.findings = lines(found);
    if !part.findings.is_empty() {
        part.state = State::Damaged;
        part.report = plain(&done.stderr);
    }
    Ok(part)
}

/// The exit status for a format without a check.
const NO_CHECK: i32 = 63;

fn lines(found: Checked) -> Vec<String> {
    let counts = [
        (found.corruptions, "error of its tables", "errors of its tables"),
        (
            found.leaks,
            "cluster that nothing uses is not free",
            "clusters that nothing uses are not free",
        ),
        (found.errors, "place could not be read", "places could not be read"),
    ];
    let found = counts.into_iter().filter(|(count, ..)| *count > 0);
    found.map(|(n, one, more)| format!("{n} {}", if n == 1 { one } else { more })).collect()
}

impl Mender {
    /// Mends the file at `copy`; `part` is what was found. The answer is the part afterwards.
    pub(super) fn mend(
        &self,
        copy: &Path,
        part: Part,
        means: &mut Means<'_>,
    ) -> Result<Part, CheckError> {
        let name = copy.display().to_string();
        let node = node(self.driver, absolute(copy, &name)?);
        (means.on)(&part.what, None);
        let tool = |source| CheckError::Tool { name: name.clone(), source };
        means.host.run(&qemu_img::mend(&node)).map_err(tool)?;
        let after = verdict(part.what.clone(), &node, &name, means)?;
        if after.state == State::Clean {
            return Ok(Part { state: State::Mended, ..part });
        }
        Ok(Part { state: State::Unmendable, ..after })
    }
}
