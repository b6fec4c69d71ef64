// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finding, listing and defining domains.

use uuid::Uuid;

use super::{Domain, DomainSpec};
use crate::connect::Connection;
use crate::error::{Attempt, Error, taken};
use crate::ffi;
use crate::xml::Element;

impl Connection {
    /// Returns the domain of that name.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none.
    pub fn domain(&self, name: &str) -> Result<Domain, Error> {
        const WHAT: &str = "find the domain";
        let handle = ffi::domain::by_name(self.handle(), name).on(WHAT, name)?;
        Domain::new(self, handle).on(WHAT, name)
    }

    /// Returns the domain of that UUID.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none.
    pub fn domain_by_uuid(&self, uuid: Uuid) -> Result<Domain, Error> {
        const WHAT: &str = "find the domain";
        let object = uuid.to_string();
        let handle = ffi::domain::by_uuid(self.handle(), uuid.as_bytes()).on(WHAT, &object)?;
        Domain::new(self, handle).on(WHAT, &object)
    }

    /// Returns every domain of the host, running or not, in libvirt's order.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer.
    pub fn domains(&self) -> Result<Vec<Domain>, Error> {
        const WHAT: &str = "list the domains of";
        let handles = ffi::domain::all(self.handle()).on(WHAT, self.text())?;
        handles.into_iter().map(|handle| Domain::new(self, handle).on(WHAT, self.text())).collect()
    }

    /// Defines a domain; it is not started.
    ///
    /// # Errors
    ///
    /// [`Error::is_exists`] if another domain has its name. libvirt itself decides that, so of
    /// two who define the same name at once only one succeeds.
    pub fn define_domain(&self, spec: &DomainSpec) -> Result<Domain, Error> {
        self.define_domain_xml(&spec.to_element())
    }

    /// Defines a domain from its XML, as [`Self::define_domain`] does. With the UUID of one that
    /// exists, its definition is replaced.
    ///
    /// # Errors
    ///
    /// As [`Self::define_domain`].
    pub fn define_domain_xml(&self, xml: &Element) -> Result<Domain, Error> {
        const WHAT: &str = "define the domain";
        let name = xml.get("name").unwrap_or_default();
        let handle = ffi::domain::define(self.handle(), &xml.to_string())
            .map_err(|cause| {
                taken(cause, virt_sys::VIR_ERR_DOM_EXIST, || {
                    ffi::domain::by_name(self.handle(), &name).is_ok()
                })
            })
            .on(WHAT, &name)?;
        Domain::new(self, handle).on(WHAT, &name)
    }
}
