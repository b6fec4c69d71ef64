// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A network that the host knows, and what can be done with it.

use std::net::IpAddr;
use std::sync::Arc;

use kiln_spec::mac::Mac;
use virt_sys as sys;

use super::{DhcpHost, NetworkView};
use crate::connect::Connection;
use crate::domain::Apply;
use crate::error::{Attempt, Cause, Error, taken};
use crate::ffi;
use crate::ffi::handle::Net;
use crate::xml::Element;

/// A network of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Network {
    handle: Arc<Net>,
    name: String,
}

/// An address that a network's DHCP server gave to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The machine's hardware address, if it said one that can be read.
    pub mac: Option<Mac>,
    /// The address.
    pub address: IpAddr,
    /// The length of the network's prefix.
    pub prefix: u32,
    /// The name that the machine gave itself: its own word.
    pub hostname: Option<String>,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
}

impl Connection {
    /// Returns the network of that name.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none.
    pub fn network(&self, name: &str) -> Result<Network, Error> {
        ffi::network::by_name(self.handle(), name).map(Network::new).on("find the network", name)
    }

    /// Returns every network, active or not.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer.
    pub fn networks(&self) -> Result<Vec<Network>, Error> {
        let handles = ffi::network::all(self.handle()).on("list the networks of", self.text())?;
        Ok(handles.into_iter().map(Network::new).collect())
    }

    /// Defines a network from its XML; it is not started.
    ///
    /// # Errors
    ///
    /// [`Error::is_exists`] if another network has its name.
    pub fn define_network_xml(&self, xml: &Element) -> Result<Network, Error> {
        const WHAT: &str = "define the network";
        let name = xml.get("name").unwrap_or_default();
        ffi::network::define(self.handle(), &xml.to_string())
            .map(Network::new)
            .map_err(|cause| {
                taken(cause, sys::VIR_ERR_NETWORK_EXIST, || {
                    ffi::network::by_name(self.handle(), &name).is_ok()
                })
            })
            .on(WHAT, &name)
    }
}

impl Network {
    fn new(handle: Net) -> Self {
        let name = ffi::network::name(&handle);
        Self { handle: Arc::new(handle), name }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether it is active.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn is_active(&self) -> Result<bool, Error> {
        ffi::network::is_active(&self.handle).on("ask about the network", &self.name)
    }

    /// Starts it: its bridge, its firewall rules, its DHCP server.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is active already.
    pub fn start(&self) -> Result<(), Error> {
        ffi::network::start(&self.handle).on("start the network", &self.name)
    }

    /// Stops it. Machines on it lose their connection.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is not active.
    pub fn stop(&self) -> Result<(), Error> {
        ffi::network::destroy(&self.handle).on("stop the network", &self.name)
    }

    /// Removes its definition; if it is active, it goes on until it stops.
    ///
    /// # Errors
    ///
    /// If libvirt refuses.
    pub fn undefine(&self) -> Result<(), Error> {
        ffi::network::undefine(&self.handle).on("remove the network", &self.name)
    }

    /// Returns whether it is started with the host.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn autostart(&self) -> Result<bool, Error> {
        ffi::network::autostart(&self.handle).on("ask about the network", &self.name)
    }

    /// Sets whether it is started with the host.
    ///
    /// # Errors
    ///
    /// If it has no definition that stays.
    pub fn set_autostart(&self, on: bool) -> Result<(), Error> {
        ffi::network::set_autostart(&self.handle, on)
            .on("set the autostart of the network", &self.name)
    }

    /// Returns its XML: of what is active if it is, of its definition otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn xml(&self) -> Result<NetworkView, Error> {
        const WHAT: &str = "read the XML of the network";
        let text = ffi::network::xml(&self.handle).on(WHAT, &self.name)?;
        Element::parse(&text).map(NetworkView).on(WHAT, &self.name)
    }

    /// Returns the addresses that its DHCP server gave away.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer, or the driver has no leases.
    pub fn leases(&self) -> Result<Vec<Lease>, Error> {
        let leases = ffi::network::leases(&self.handle)
            .on("ask for the leases of the network", &self.name)?;
        let lease = |raw: ffi::network::RawLease| {
            Some(Lease {
                mac: raw.mac.parse().ok(),
                address: raw.address.parse().ok()?,
                prefix: raw.prefix,
                hostname: Some(raw.hostname).filter(|h| !h.is_empty()),
                expires: raw.expires,
            })
        };
        Ok(leases.into_iter().filter_map(lease).collect())
    }

    /// Reserves an address: in its definition, and at once if it is active.
    ///
    /// # Errors
    ///
    /// If the address, the hardware address or the name is reserved already (libvirt says
    /// [`Error::is_operation_invalid`]), or does not lie in the network.
    pub fn add_dhcp_host(&self, host: &DhcpHost) -> Result<(), Error> {
        self.update_host(sys::VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, host)
            .on("reserve an address on the network", &self.name)
    }

    /// Gives a reserved address back; every part of `host` that is named must be the same.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is not reserved.
    pub fn remove_dhcp_host(&self, host: &DhcpHost) -> Result<(), Error> {
        self.update_host(sys::VIR_NETWORK_UPDATE_COMMAND_DELETE, host)
            .on("give an address back on the network", &self.name)
    }

    fn update_host(&self, command: u32, host: &DhcpHost) -> Result<(), Cause> {
        let apply =
            if ffi::network::is_active(&self.handle)? { Apply::Both } else { Apply::Config };
        ffi::network::update_host(
            &self.handle,
            command,
            &host.to_element().to_string(),
            apply.flags(),
        )
    }
}
