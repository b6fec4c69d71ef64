// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `backup-files`: remove backup copies that editors have left.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::walk::find;
use crate::tree::{GuestPath, Kind, TreeError};

/// What names of backup copies end in.
const ENDS: [&[u8]; 2] = [b".bak", b"~"];

pub(super) const OPERATION: Operation = Operation {
    name: "backup-files",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove backup copies that editors have left",
    documentation: "Files whose names end in .bak or ~, at any depth below these directories.",
    notes: "",
    paths: &["/etc", "/root", "/srv", "/tmp", "/var"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let mut wanted = |path: &GuestPath, kind: Kind| {
        let fits = |name: &[u8]| ENDS.iter().any(|end| name.ends_with(end));
        kind == Kind::File && path.name().is_some_and(fits)
    };
    for &top in OPERATION.paths {
        let top = GuestPath::from(top);
        if work.lstat(&top)?.is_some_and(|stat| stat.kind == Kind::Directory) {
            for file in find(work.tree, &top, &mut wanted)? {
                work.remove_file(&file)?;
            }
        }
    }
    Ok(())
}
