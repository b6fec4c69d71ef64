// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Forwards: ports of the host that lead to ports of machines.
//!
//! | module | what |
//! |---|---|
//! | `way` | what makes a machine's forwards: the host's packet filter, or passt; and who may |
//! | `taken` | who has which port already |
//! | `target` | where a forward leads: the addresses that are known of a machine |
//! | `rules` | the packet filter's rules, as values: pure |
//! | `accept` | what lets them through where libvirt refuses: pure |
//! | `install` | both of them, put into the kernel |
//! | `wish` | those of machines to be |
//! | `change` | adding forwards to a machine that is there, and taking them away |
//!
//! **Invariant:** the rules are made of what all machines remember, all of them each time, in one
//! transaction. So whatever was killed or flushed, the next one that is done makes it right.

mod accept;
mod change;
mod install;
mod rules;
mod taken;
mod target;
mod way;
mod wish;

use std::path::PathBuf;

use kiln_host::lock::Lock;
use kiln_libvirt::domain::PortForward;

use super::meta::Forward;
use super::plan::ssh_forward;
use crate::context::Context;

pub(crate) use change::{Change, add, no_address, take};
pub(crate) use install::{rebuild, rebuild_if_able, state};
pub(crate) use rules::comment;
pub(crate) use taken::{check_free, check_start};
pub(crate) use target::{Target, targets};
pub(crate) use way::{Way, check_able, find_way, listen_is_ours, place};
pub(crate) use wish::{at_launch, gives_out};

/// Takes the lock of all who change forwards. The host's rules are one thing, whichever folder
/// Kiln has, so root's lock is the host's.
pub(crate) fn lock(ctx: &Context) -> anyhow::Result<Lock> {
    let path = if ctx.root {
        // Only root may make this folder, so nobody else can hold root up.
        PathBuf::from("/run/kiln/forwards.lock")
    } else {
        ctx.sub("locks").join("forwards.lock")
    };
    Ok(Lock::wait(&path)?)
}

/// Returns what libvirt is told of a forward that passt makes.
pub(crate) fn of_passt(forward: &Forward) -> PortForward {
    PortForward {
        protocol: forward.protocol,
        address: forward.listen,
        host_port: forward.port,
        guest_port: forward.to,
    }
}

/// Returns all that libvirt is told of an interface of passt: the forward for SSH first, since that
/// is how a start finds it.
pub(crate) fn passt_ports(ssh: Option<u16>, forwards: &[Forward]) -> Vec<PortForward> {
    ssh.map(ssh_forward).into_iter().chain(forwards.iter().map(of_passt)).collect()
}
