// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `kiln plan`, `kiln up` and `kiln down` have in common.
//!
//! | module | what |
//! |---|---|
//! | `file` | the file, and what its words lead to on this client |
//! | `image` | images that come into the store |
//! | `pool` | Ceph's pools, and how the host logs in to them |
//! | `setup` | what guests are to be at their first boot |
//! | `carry` | the actions carried out, side by side where they do not need each other |
//! | `outcome` | what came of each, told |

mod carry;
mod file;
mod image;
mod outcome;
mod pool;
mod setup;

use kiln_host::lock::Lock;
use kiln_libvirt::Connection;
use uuid::Uuid;

use crate::context::Context;

pub(super) use carry::{Carry, Things, take_all};
pub(super) use file::{Source, read, resolve, sources};
pub(super) use image::get_images;
pub(super) use outcome::{Outcome, show};

/// Takes the lock of all who change a set of a host: the second of two sees what the first has
/// done.
///
/// # Errors
///
/// When Kiln's folder is not this user's to write to.
pub(super) fn lock(ctx: &Context, conn: &Connection, set: &str) -> anyhow::Result<Lock> {
    let host = Uuid::new_v5(&Uuid::NAMESPACE_URL, conn.uri().as_str().as_bytes()).simple();
    let path = ctx.sub("locks").join(format!("{host}-set-{set}"));
    if let Some(lock) = Lock::attempt(&path)? {
        return Ok(lock);
    }
    ctx.ui.say(format!("another kiln works on `{set}`: waiting for its end"));
    Ok(Lock::wait(&path)?)
}
