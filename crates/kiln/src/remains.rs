// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What commands keep on disk while they run, and what is left of it when they are killed: the
//! next command removes it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_host::namespace::{Exec, remove_left};
use kiln_host::scratch::sweep;

use crate::context::Context;

/// Returns the folder for work under way: on the disk that the store is on, since `/tmp` may be
/// memory.
pub(crate) fn folder(ctx: &Context) -> PathBuf {
    ctx.sub("run")
}

/// Returns how Kiln starts itself as a stage.
pub(crate) fn exec() -> Exec {
    Exec { program: "/proc/self/exe".into() }
}

/// Removes what killed commands left. What resists is named, and is no reason not to go on.
pub(crate) fn remove(ctx: &Context) {
    match sweep(&folder(ctx), &mut of_programs) {
        Ok(0) => {}
        Ok(count) => ctx.ui.detail(format!("removed what {count} killed commands had left")),
        Err(error) => {
            let error = anyhow::Error::new(error);
            ctx.ui.warn(format!("what a killed command left is still there: {error:#}"));
        }
    }
}

/// Removes what a guest's programs left in a folder, which belongs to the guest's users.
fn of_programs(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_left(&exec(), &entry.path()).map_err(io::Error::other)?;
        }
    }
    Ok(())
}
