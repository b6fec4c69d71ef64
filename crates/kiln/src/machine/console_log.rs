// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a machine wrote to its serial console since it was made.
//!
//! libvirt's log daemon writes it into a file in the pool's folder that is a volume, too, so it
//! is read through libvirt, wherever the host is.

use std::io::{self, Write};
use std::path::PathBuf;

use kiln_libvirt::storage::Volume;

use super::existing::Machine;
use crate::context::Context;

/// The most that is read at once: 1 MiB.
const MOST: usize = 1 << 20;

/// A reader that goes on where it stopped.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConsoleLog {
    offset: u64,
}

impl ConsoleLog {
    /// Returns a reader of what the machine has written since Kiln started it last.
    pub(crate) fn since_start(ctx: &Context, machine: &Machine) -> Self {
        let text = std::fs::read_to_string(began(ctx, machine)).unwrap_or_default();
        Self { offset: text.trim().parse().unwrap_or(0) }
    }

    /// Remembers that the machine is about to start: what is in the log now is of earlier times.
    ///
    /// # Errors
    ///
    /// What libvirt says; Kiln's folder cannot be written.
    pub(crate) fn begin(ctx: &Context, machine: &Machine) -> anyhow::Result<()> {
        let length = match volume(machine)? {
            Some(volume) => volume.info()?.capacity.0,
            None => return Ok(()),
        };
        let file = began(ctx, machine);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(file, length.to_string())?)
    }

    /// Returns what was written since the last call, at most 1 MiB. A machine without a log has
    /// written nothing.
    ///
    /// # Errors
    ///
    /// What libvirt says.
    pub(crate) fn read_new(&mut self, machine: &Machine) -> anyhow::Result<Vec<u8>> {
        let Some(volume) = volume(machine)? else { return Ok(Vec::new()) };
        if volume.info()?.capacity.0 < self.offset {
            // virtlogd has begun a new file: the old one had 2 MiB.
            self.offset = 0;
        }
        let mut new = Bounded::default();
        match volume.download(&mut new, self.offset, None, &mut |_| ()) {
            Ok(_) => {}
            // The bound ends the transfer; what came before it counts.
            Err(_) if new.0.len() == MOST => {}
            Err(error) => return Err(error.into()),
        }
        self.offset += u64::try_from(new.0.len()).unwrap_or(0);
        Ok(new.0)
    }
}

/// The file that says how long a machine's log was before its last start.
fn began(ctx: &Context, machine: &Machine) -> PathBuf {
    ctx.machine_folder(&machine.uuid.to_string()).join("console-began")
}

fn volume(machine: &Machine) -> Result<Option<Volume>, kiln_libvirt::Error> {
    let Some(meta) = &machine.meta else { return Ok(None) };
    let found = machine.conn.pool(&meta.console.pool).and_then(|p| p.volume(&meta.console.name));
    match found {
        Err(error) if error.is_not_found() => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// Takes at most [`MOST`] bytes.
#[derive(Debug, Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MOST - self.0.len();
        if room == 0 {
            return Err(io::Error::other("enough was read"));
        }
        let take = bytes.len().min(room);
        self.0.extend_from_slice(&bytes[..take]);
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
