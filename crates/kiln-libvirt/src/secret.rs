// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Secrets that a host keeps. Source: <https://libvirt.org/formatsecret.html>.

use std::sync::Arc;

use uuid::Uuid;

use crate::connect::Connection;
use crate::error::{Attempt, Error};
use crate::ffi;
use crate::ffi::handle;
use crate::keyring::Key;
use crate::xml::{Element, xml_view};

/// A secret of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Secret {
    handle: Arc<handle::Secret>,
    uuid: Uuid,
}

xml_view! {
    /// The XML of a secret; its value is not in it.
    SecretView {
        /// Whether it is forgotten when libvirt's daemon ends: `yes` or `no`.
        ephemeral, set_ephemeral: String = "@ephemeral";
        /// Whether nobody but the host itself gets its value: `yes` or `no`.
        private, set_private: String = "@private";
        /// Words for people.
        description, set_description: String = "description";
        /// What it is for: `ceph`, `volume`, …
        usage_kind, set_usage_kind: String = "usage/@type";
        /// What it is called by, of type `ceph`.
        usage_name, set_usage_name: String = "usage/name";
    }
}

impl SecretView {
    /// Returns what it is called by, whatever it is for.
    #[must_use]
    pub fn usage(&self) -> Option<String> {
        ["usage/name", "usage/volume", "usage/target"].iter().find_map(|path| self.0.get(path))
    }
}

/// Returns the `<secret>` element of a Ceph key to be kept: it stays, and who may define domains
/// may read it.
#[must_use]
pub fn secret_element(name: &str, uuid: Uuid, description: &str) -> Element {
    Element::new("secret")
        .attr("ephemeral", "no")
        .attr("private", "no")
        .child(Element::new("uuid").text(uuid))
        .child(Element::new("description").text(description))
        .child(Element::new("usage").attr("type", "ceph").child(Element::new("name").text(name)))
}

impl Connection {
    /// Returns every secret of the host.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer, or has no secrets.
    pub fn secrets(&self) -> Result<Vec<Secret>, Error> {
        let handles = ffi::secret::all(self.handle()).on("list the secrets of", self.text())?;
        handles.into_iter().map(Secret::new).collect()
    }

    /// Returns the secret of that UUID.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none.
    pub fn secret_by_uuid(&self, uuid: Uuid) -> Result<Secret, Error> {
        let shown = uuid.to_string();
        Secret::new(ffi::secret::by_uuid(self.handle(), uuid).on("find the secret", &shown)?)
    }

    /// Returns the secret of type `ceph` that is called `name`.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none.
    pub fn ceph_secret(&self, name: &str) -> Result<Secret, Error> {
        Secret::new(ffi::secret::ceph_by_name(self.handle(), name).on("find the secret", name)?)
    }

    /// Defines a secret from its XML; it has no value yet.
    ///
    /// # Errors
    ///
    /// If libvirt refuses, as when another one of its type is called so.
    pub fn define_secret(&self, xml: &Element) -> Result<Secret, Error> {
        let name = SecretView(xml.clone()).usage().unwrap_or_default();
        Secret::new(
            ffi::secret::define(self.handle(), &xml.to_string()).on("define the secret", &name)?,
        )
    }
}

impl Secret {
    fn new(handle: handle::Secret) -> Result<Self, Error> {
        let uuid = ffi::secret::uuid(&handle).on("ask about a secret of", "the host")?;
        Ok(Self { handle: Arc::new(handle), uuid })
    }

    /// Returns its UUID.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Returns its XML.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn xml(&self) -> Result<SecretView, Error> {
        const WHAT: &str = "read the XML of the secret";
        let shown = self.uuid.to_string();
        let text = ffi::secret::xml(&self.handle).on(WHAT, &shown)?;
        Element::parse(&text).map(SecretView).on(WHAT, &shown)
    }

    /// Gives it its value: a Ceph key.
    ///
    /// # Errors
    ///
    /// If the host cannot keep it.
    pub fn set_key(&self, key: &Key) -> Result<(), Error> {
        let shown = self.uuid.to_string();
        ffi::secret::set_value(&self.handle, key.bytes()).on("set the value of the secret", &shown)
    }

    /// Returns its value, taken for a Ceph key.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it has none; [`Error::is_denied`] or another refusal if it is
    /// private.
    pub fn key(&self) -> Result<Key, Error> {
        let shown = self.uuid.to_string();
        let bytes = ffi::secret::value(&self.handle).on("read the value of the secret", &shown)?;
        Ok(Key::from_bytes(bytes))
    }

    /// Removes it.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn undefine(&self) -> Result<(), Error> {
        ffi::secret::undefine(&self.handle).on("remove the secret", &self.uuid.to_string())
    }
}
