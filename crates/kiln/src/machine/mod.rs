// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Machines: from what is wanted to a domain that one can log in to.
//!
//! | module | what |
//! |---|---|
//! | `host` | which libvirt, and what it can do |
//! | `image`, `template`, `pool`, `network`, `keys` | what a machine is made of |
//! | `first_boot` | what a guest is told: the user's files, read and checked |
//! | `ceph` | bytes of volumes in a Ceph pool, and what hangs on what there |
//! | `forward` | ports of the host that lead to machines |
//! | `dns` | names of machines in a DNS server of somebody else's |
//! | `guard` | what puts forwards back after a restart of the host |
//! | `networks`, `pools`, `secrets`, `templates` | what the host has of them, and what hangs on each |
//! | `plan` | all that will be done, as a value: pure |
//! | `make` | the plan's steps, each with its undo in the journal first |
//! | `step` | what the steps of several verbs have in common |
//! | `clone` | machines made of others |
//! | `set` | what one file wants, compared with what the host has |
//! | `undo` | what can be undone, and what killed launches left |
//! | `meta` | what is remembered of a machine, in the domain's metadata |
//! | `existing`, `life` | a machine that is there |
//! | `ready`, `console_watch`, `cloud_init`, `greeting` | the proof that one can log in |
//! | `ssh`, `console_log`, `transfer` | ways in |
//! | `timings` | how long each phase took |

pub(crate) mod ceph;
pub(crate) mod clone;
pub(crate) mod cloud_init;
pub(crate) mod console_log;
pub(crate) mod console_watch;
pub(crate) mod host;
pub(crate) mod image;
pub(crate) mod keys;

pub(crate) mod dns;
pub(crate) mod existing;
pub(crate) mod first_boot;
pub(crate) mod forward;
pub(crate) mod greeting;
pub(crate) mod guard;
pub(crate) mod life;
pub(crate) mod make;
pub(crate) mod meta;
pub(crate) mod network;
pub(crate) mod networks;
pub(crate) mod nics;
pub(crate) mod pace;
pub(crate) mod plan;
pub(crate) mod pool;
pub(crate) mod pools;
pub(crate) mod rbd_login;
pub(crate) mod ready;
pub(crate) mod ready_checks;
pub(crate) mod secrets;
pub(crate) mod set;
pub(crate) mod ssh;
pub(crate) mod step;
pub(crate) mod template;
pub(crate) mod templates;
pub(crate) mod timings;
pub(crate) mod transfer;
pub(crate) mod undo;
