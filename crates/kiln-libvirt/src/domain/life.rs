// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A domain that the host knows, and what can be done with it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use kiln_spec::Bytes;
use kiln_spec::mac::Mac;
use uuid::Uuid;
use virt_sys as sys;

use super::{Disk, DiskSource, DomainXml, metadata};
use crate::connect::Connection;
use crate::error::{Attempt, Cause, Error};
use crate::ffi;
use crate::ffi::handle::Dom;
use crate::xml::Element;

/// A domain of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Domain {
    pub(crate) connection: Connection,
    pub(crate) handle: Arc<Dom>,
    name: String,
    uuid: Uuid,
}

/// What a domain is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It runs (or waits for something, as an idle guest does).
    Running,
    /// It is held still by the host.
    Paused,
    /// The guest is shutting down.
    ShuttingDown,
    /// It is off.
    Off,
    /// It crashed, and is kept for inspection.
    Crashed,
    /// The guest sleeps (S3).
    Asleep,
    /// libvirt does not know, or Kiln does not know libvirt's number.
    Unknown,
}

impl State {
    /// Returns whether QEMU is there: anything but off, crashed or unknown.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::ShuttingDown | Self::Asleep)
    }
}

/// How a guest is asked to shut down or to restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// By its agent. Fails at once if there is none.
    Agent,
    /// By the power button. A guest without ACPI never notices.
    Acpi,
}

/// Which of the two definitions of a domain is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XmlKind {
    /// What runs now; the same as [`Self::Inactive`] for one that is off.
    Active,
    /// What will run after the next start.
    Inactive,
    /// As [`Self::Inactive`], with its secrets. Not for logs.
    InactiveSecure,
}

/// What a change applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Apply {
    /// To what runs now only; it must run.
    Live,
    /// To the next start only.
    Config,
    /// To both; it must run.
    Both,
}

impl Apply {
    /// The numbers are the same for devices, networks and metadata
    /// (`VIR_DOMAIN_AFFECT_…`, `VIR_DOMAIN_DEVICE_MODIFY_…`, `VIR_NETWORK_UPDATE_AFFECT_…`).
    pub(crate) const fn flags(self) -> u32 {
        match self {
            Self::Live => sys::VIR_DOMAIN_AFFECT_LIVE,
            Self::Config => sys::VIR_DOMAIN_AFFECT_CONFIG,
            Self::Both => sys::VIR_DOMAIN_AFFECT_LIVE | sys::VIR_DOMAIN_AFFECT_CONFIG,
        }
    }
}

/// What a domain uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainInfo {
    /// The most memory that it can have.
    pub max_memory: Bytes,
    /// The memory that it has.
    pub memory: Bytes,
    /// Its processors.
    pub vcpus: u32,
    /// The processor time that it has used.
    pub cpu_time: Duration,
}

/// Whom to ask for a guest's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressSource {
    /// The DHCP server of a libvirt network.
    Lease,
    /// The guest's agent: what the guest says of itself.
    Agent,
    /// The host's ARP table.
    Arp,
}

/// A network interface as the guest or the network has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestInterface {
    /// Its name: in the guest if the agent was asked (`ens2`), on the host otherwise (`vnet0`).
    pub name: String,
    /// Its hardware address; the guest's loopback has one of zeros.
    pub mac: Option<Mac>,
    /// Its addresses, each with the length of its prefix. What cannot be read is left out.
    pub addresses: Vec<(IpAddr, u32)>,
}

impl Domain {
    pub(super) fn new(connection: &Connection, handle: Dom) -> Result<Self, Cause> {
        let name = ffi::domain::name(&handle);
        let uuid = Uuid::from_bytes(ffi::domain::uuid(&handle)?);
        Ok(Self { connection: connection.clone(), handle: Arc::new(handle), name, uuid })
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its UUID.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Returns the connection that it came from.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it runs already; otherwise if QEMU or something that
    /// it needs does not start.
    pub fn start(&self) -> Result<(), Error> {
        ffi::domain::start(&self.handle, 0).on("start the domain", &self.name)
    }

    /// Starts QEMU but holds the guest still; [`Self::resume`] lets it go.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_paused(&self) -> Result<(), Error> {
        ffi::domain::start(&self.handle, sys::VIR_DOMAIN_START_PAUSED)
            .on("start the domain", &self.name)
    }

    /// Lets a paused guest go on.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is off.
    pub fn resume(&self) -> Result<(), Error> {
        ffi::domain::resume(&self.handle).on("resume the domain", &self.name)
    }

    /// Holds the guest still.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is off.
    pub fn suspend(&self) -> Result<(), Error> {
        ffi::domain::suspend(&self.handle).on("pause the domain", &self.name)
    }

    /// Asks the guest to shut down, and returns at once.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is off, [`Error::is_agent_unresponsive`] if its
    /// agent is asked and does not answer.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        let flags = match how {
            Shutdown::Agent => sys::VIR_DOMAIN_SHUTDOWN_GUEST_AGENT,
            Shutdown::Acpi => sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
        };
        ffi::domain::shutdown(&self.handle, flags).on("shut down the domain", &self.name)
    }

    /// Asks the guest to restart, and returns at once.
    ///
    /// # Errors
    ///
    /// As [`Self::shutdown`].
    pub fn reboot(&self, how: Shutdown) -> Result<(), Error> {
        let flags = match how {
            Shutdown::Agent => sys::VIR_DOMAIN_REBOOT_GUEST_AGENT,
            Shutdown::Acpi => sys::VIR_DOMAIN_REBOOT_ACPI_POWER_BTN,
        };
        ffi::domain::reboot(&self.handle, flags).on("restart the domain", &self.name)
    }

    /// Presses the reset button. The guest loses what it had not written.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is off.
    pub fn reset(&self) -> Result<(), Error> {
        ffi::domain::reset(&self.handle).on("reset the domain", &self.name)
    }

    /// Pulls the plug. The guest loses what it had not written; a transient domain is gone.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is off.
    pub fn destroy(&self) -> Result<(), Error> {
        ffi::domain::destroy(&self.handle).on("stop the domain", &self.name)
    }

    /// Removes its definition, with its UEFI variables, saved memory, TPM and the records (not
    /// the files) of its snapshots. A running one goes on until it stops. Disks stay.
    ///
    /// # Errors
    ///
    /// If libvirt refuses.
    pub fn undefine(&self) -> Result<(), Error> {
        const WHAT: &str = "remove the domain";
        let all = sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
            | sys::VIR_DOMAIN_UNDEFINE_NVRAM
            | sys::VIR_DOMAIN_UNDEFINE_TPM;
        let result = ffi::domain::undefine(&self.handle, all).on(WHAT, &self.name);
        match result {
            // An older libvirt, or the test driver, knows fewer of the flags; it refuses the
            // call as a whole before it does anything.
            Err(e) if e.libvirt().is_some_and(|e| e.code == sys::VIR_ERR_INVALID_ARG) => {
                let old = sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                    | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
                ffi::domain::undefine(&self.handle, old).on(WHAT, &self.name)
            }
            result => result,
        }
    }

    /// Returns what it is doing.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn state(&self) -> Result<State, Error> {
        let (state, _) = ffi::domain::state(&self.handle).on("ask for the state of", &self.name)?;
        Ok(match u32::try_from(state) {
            Ok(sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED) => State::Running,
            Ok(sys::VIR_DOMAIN_PAUSED) => State::Paused,
            Ok(sys::VIR_DOMAIN_SHUTDOWN) => State::ShuttingDown,
            Ok(sys::VIR_DOMAIN_SHUTOFF) => State::Off,
            Ok(sys::VIR_DOMAIN_CRASHED) => State::Crashed,
            Ok(sys::VIR_DOMAIN_PMSUSPENDED) => State::Asleep,
            _ => State::Unknown,
        })
    }

    /// Returns whether its memory was saved by the host, to go on from at the next start.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn has_saved_memory(&self) -> Result<bool, Error> {
        ffi::domain::has_managed_save(&self.handle).on("ask for the saved memory of", &self.name)
    }

    /// Returns whether it has a definition that stays when it stops.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn is_persistent(&self) -> Result<bool, Error> {
        ffi::domain::is_persistent(&self.handle).on("ask about the domain", &self.name)
    }

    /// Returns what it uses.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn info(&self) -> Result<DomainInfo, Error> {
        let info = ffi::domain::info(&self.handle).on("ask for the use of", &self.name)?;
        Ok(DomainInfo {
            max_memory: Bytes(info.max_memory_kib.saturating_mul(1024)),
            memory: Bytes(info.memory_kib.saturating_mul(1024)),
            vcpus: info.vcpus,
            cpu_time: Duration::from_nanos(info.cpu_time_ns),
        })
    }

    /// Returns its XML.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn xml(&self, kind: XmlKind) -> Result<DomainXml, Error> {
        const WHAT: &str = "read the XML of";
        let flags = match kind {
            XmlKind::Active => 0,
            XmlKind::Inactive => sys::VIR_DOMAIN_XML_INACTIVE,
            XmlKind::InactiveSecure => sys::VIR_DOMAIN_XML_INACTIVE | sys::VIR_DOMAIN_XML_SECURE,
        };
        let text = ffi::domain::xml(&self.handle, flags).on(WHAT, &self.name)?;
        Element::parse(&text).map(DomainXml).on(WHAT, &self.name)
    }

    /// Returns Kiln's element of its metadata, without prefix; `None` if it has none, as a
    /// domain that Kiln did not make.
    ///
    /// # Errors
    ///
    /// If it is gone, or the element cannot be read.
    pub fn metadata(&self) -> Result<Option<Element>, Error> {
        const WHAT: &str = "read the metadata of";
        match ffi::domain::metadata(&self.handle, metadata::NAMESPACE, 0) {
            Ok(text) => {
                let mut element = Element::parse(&text).on(WHAT, &self.name)?;
                element.remove_indentation();
                Ok(Some(element))
            }
            Err(Cause::Libvirt(e)) if e.code == sys::VIR_ERR_NO_DOMAIN_METADATA => Ok(None),
            Err(cause) => Err(Error::new(WHAT, &self.name, cause)),
        }
    }

    /// Sets Kiln's element of its metadata (without prefix), or removes it, in the definition
    /// and, if it runs, in what runs.
    ///
    /// # Errors
    ///
    /// If it is gone or libvirt refuses.
    pub fn set_metadata(&self, element: Option<&Element>) -> Result<(), Error> {
        const WHAT: &str = "write the metadata of";
        let flags = if self.state()?.is_active() { Apply::Both } else { Apply::Config }.flags();
        let text = element.map(Element::to_string);
        ffi::domain::set_metadata(
            &self.handle,
            text.as_deref(),
            metadata::PREFIX,
            metadata::NAMESPACE,
            flags,
        )
        .on(WHAT, &self.name)
    }

    /// Adds a device.
    ///
    /// # Errors
    ///
    /// If libvirt or QEMU refuses.
    pub fn attach_device(&self, device: &Element, to: Apply) -> Result<(), Error> {
        ffi::domain::attach_device(&self.handle, &device.to_string(), to.flags())
            .on("add a device to", &self.name)
    }

    /// Removes a device. A guest may take its time to let a live one go.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is no such device.
    pub fn detach_device(&self, device: &Element, from: Apply) -> Result<(), Error> {
        ffi::domain::detach_device(&self.handle, &device.to_string(), from.flags())
            .on("remove a device from", &self.name)
    }

    /// Changes a device: the medium of a drive, the network of an interface.
    ///
    /// # Errors
    ///
    /// If there is no such device, or it cannot be changed so.
    pub fn update_device(&self, device: &Element, to: Apply) -> Result<(), Error> {
        ffi::domain::update_device(&self.handle, &device.to_string(), to.flags())
            .on("change a device of", &self.name)
    }

    /// Takes the medium out of the CD-ROM drive `target` (`sda`), now and for the next start;
    /// a guest that locked the drive is not asked. Returns whether there was a medium.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it has no such drive.
    pub fn eject(&self, target: &str) -> Result<bool, Error> {
        const WHAT: &str = "take the medium out of";
        let mut ejected = false;
        let mut kinds = vec![(XmlKind::Inactive, Apply::Config)];
        if self.state()?.is_active() {
            kinds.push((XmlKind::Active, Apply::Live));
        }
        for (kind, apply) in kinds {
            let mut disks = self.xml(kind)?.disks().into_iter();
            let found = disks.find(|d| d.target().as_deref() == Some(target));
            let missing = || crate::LibvirtError {
                code: sys::VIR_ERR_DEVICE_MISSING,
                domain: sys::VIR_FROM_NONE,
                message: ["no drive ", target].concat(),
            };
            let mut drive = found.ok_or_else(missing).on(WHAT, &self.name)?;
            if drive.source() != Some(DiskSource::Empty) {
                drive.eject();
                let flags = apply.flags() | sys::VIR_DOMAIN_DEVICE_MODIFY_FORCE;
                ffi::domain::update_device(&self.handle, &drive.0.to_string(), flags)
                    .on(WHAT, &self.name)?;
                ejected = true;
            }
        }
        Ok(ejected)
    }

    /// Puts a medium into a drive that it has, now and for the next start, as `disk` says.
    ///
    /// # Errors
    ///
    /// If it has no such drive.
    pub fn insert(&self, disk: &Disk) -> Result<(), Error> {
        let to = if self.state()?.is_active() { Apply::Both } else { Apply::Config };
        self.update_device(&disk.to_element(), to)
    }

    /// Sets the processors of one that runs, as many as it can have at most.
    ///
    /// # Errors
    ///
    /// If it is off, or these are more than it can have, or a guest cannot do without those that
    /// are to go.
    pub fn set_live_vcpus(&self, count: u32) -> Result<(), Error> {
        ffi::domain::set_vcpus(&self.handle, count, Apply::Live.flags())
            .on("set the processors of", &self.name)
    }

    /// Sets the memory of one that runs, by its balloon; the guest gives it up as it can.
    ///
    /// # Errors
    ///
    /// If it is off, or this is more than it can have.
    pub fn set_live_memory(&self, memory: Bytes) -> Result<(), Error> {
        ffi::domain::set_memory(&self.handle, memory.0 / 1024, Apply::Live.flags())
            .on("set the memory of", &self.name)
    }

    /// Makes a disk of one that runs bigger, `target` (`vda`); the guest is told.
    ///
    /// # Errors
    ///
    /// If it is off, has no such disk, or the host refuses.
    pub fn grow_disk(&self, target: &str, size: Bytes) -> Result<(), Error> {
        ffi::domain::resize_disk(&self.handle, target, size.0).on("grow a disk of", &self.name)
    }

    /// Returns whether it is started with the host.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn autostart(&self) -> Result<bool, Error> {
        ffi::domain::autostart(&self.handle).on("ask about the domain", &self.name)
    }

    /// Sets whether it is started with the host.
    ///
    /// # Errors
    ///
    /// If it has no definition that stays.
    pub fn set_autostart(&self, on: bool) -> Result<(), Error> {
        ffi::domain::set_autostart(&self.handle, on).on("set the autostart of", &self.name)
    }

    /// Returns the guest's network interfaces and addresses, in the source's order. What the
    /// agent says is the guest's word.
    ///
    /// # Errors
    ///
    /// [`Error::is_agent_unresponsive`] if the agent is asked and does not answer (libvirt may
    /// wait 5 seconds), [`Error::is_operation_invalid`] if it is off.
    pub fn interfaces(&self, source: AddressSource) -> Result<Vec<GuestInterface>, Error> {
        let source = match source {
            AddressSource::Lease => sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
            AddressSource::Agent => sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
            AddressSource::Arp => sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP,
        };
        let nics = ffi::domain::interfaces(&self.handle, source)
            .on("ask for the addresses of", &self.name)?;
        let address = |(text, prefix): (String, u32)| Some((text.parse().ok()?, prefix));
        let interface = |nic: ffi::domain::Nic| GuestInterface {
            name: nic.name,
            mac: nic.mac.parse().ok(),
            addresses: nic.addresses.into_iter().filter_map(address).collect(),
        };
        Ok(nics.into_iter().map(interface).collect())
    }
}
