// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Machines: their XML, their life, their console.
//!
//! [`DomainSpec`] says what a machine is to be and writes its XML; [`Domain`] is one that the
//! host knows; [`DomainXml`] and the views beside it read what the host tells of it. One file an
//! element.

mod channel;
mod console;
mod cpu;
mod disk;
mod interface;
mod life;
mod list;
pub mod metadata;
mod os;
mod serial;
mod smbios;
mod spec;
mod view;

pub use channel::{AGENT_CHANNEL, ChannelView};
pub use console::{Console, ConsoleMode, Read};
pub use cpu::Cpu;
pub use disk::{
    Cache, Disk, DiskBus, DiskDevice, DiskFormat, DiskSource, DiskView, Rbd, RbdAuth, RbdHost,
    RbdSecret,
};
pub use interface::{DirectMode, Interface, InterfaceKind, InterfaceView, PortForward};
pub use life::{
    AddressSource, Apply, Domain, DomainInfo, GuestInterface, Shutdown, State, XmlKind,
};
pub use os::Firmware;
pub use serial::{Serial, SerialView};
pub use smbios::{forget_nocloud, nocloud_serial};
pub use spec::DomainSpec;
pub use view::DomainXml;
