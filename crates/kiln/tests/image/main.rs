// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs of `kiln image`, by the program itself, on small disks made by other people's tools.

mod ceph;
mod check;
mod convert;
mod customize;
mod encrypted;
mod honest;
mod into;
mod killed;
mod look;
mod out;
mod seal;
mod stored;
mod support;
mod systems;
mod trust;
