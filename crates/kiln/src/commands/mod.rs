// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What each verb does: parse, plan, run, show. One file a verb.

pub(crate) mod build;
pub(crate) mod bundle;
pub(crate) mod cache;
pub(crate) mod catalog;
pub(crate) mod clone;
pub(crate) mod completions;
pub(crate) mod console;
pub(crate) mod cp;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod element;
pub(crate) mod exec;
pub(crate) mod flatten;
pub(crate) mod forward;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod inventory;
pub(crate) mod launch;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod man;
mod many;
pub(crate) mod network;
pub(crate) mod plan;
pub(crate) mod pool;
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod secret;
mod set;
pub(crate) mod ssh;
pub(crate) mod ssh_config;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod template;
pub(crate) mod up;
pub(crate) mod wait;
