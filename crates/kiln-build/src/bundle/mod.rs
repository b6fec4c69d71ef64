// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bundles: the tree of a machine as a compressed archive, packed from a stream and assembled to
//! a disk.
//!
//! | module | what |
//! |---|---|
//! | `pack` | a tar stream to a bundle: looked at, compressed and hashed at the same time |
//! | `facts` | what a stream tells of its system |
//! | `file` | a bundle on disk, with its manifest; reading it with its digest checked |
//! | `assemble` | a bundle to a disk, in a file or in the store |
//! | `remote` | bundles on a web server: fetched, and put there |
//! | `shelf` | the folder of bundles that have names |
//! | `sign` | who made a bundle |
//!
//! **Invariant:** a disk of a bundle whose digest is not its manifest's is never visible.

mod assemble;
mod error;
mod facts;
mod file;
mod pack;
mod remote;
mod shelf;
mod sign;

pub(crate) use assemble::user_of;
pub use assemble::{Assembly, Disk, InStore};
pub use error::BundleError;
pub use file::{BundleFile, is_bundle};
pub use pack::{About, Packer};
pub use remote::{OnBytes, pull, push};
pub use shelf::Shelf;
pub use sign::{Checked, sign};
