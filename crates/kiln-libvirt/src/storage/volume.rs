// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Volumes. Source: <https://libvirt.org/formatstorage.html#storage-volume-xml>.

use std::sync::Arc;

use kiln_spec::Bytes;
use virt_sys as sys;

use super::Pool;
use crate::connect::Connection;
use crate::domain::DiskFormat;
use crate::error::{Attempt, Error};
use crate::ffi;
use crate::ffi::handle::Vol;
use crate::xml::{Element, xml_view};

/// A volume of a pool. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Volume {
    pub(super) connection: Connection,
    pub(super) handle: Arc<Vol>,
    name: String,
}

/// A volume to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Its name in the pool.
    pub name: String,
    /// How its bytes are laid out.
    pub format: DiskFormat,
    /// The size that a guest sees.
    pub capacity: Bytes,
    /// How much of it is allocated at once: nothing, or all of a raw volume.
    pub allocation: Bytes,
    /// What lies below it, of a qcow2 volume.
    pub backing: Option<Backing>,
    /// The permissions of its file, as in `0o600`; libvirt's choice (0600) if not named.
    pub mode: Option<u32>,
}

/// What a copy-on-write volume shows where it holds nothing itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// Its path on the host.
    pub path: String,
    /// Its format. Always said, so that nobody has to guess from bytes that a guest wrote.
    pub format: DiskFormat,
}

impl VolumeSpec {
    /// Returns a volume without backing, of which nothing is allocated yet.
    #[must_use]
    pub fn new(name: &str, format: DiskFormat, capacity: Bytes) -> Self {
        Self {
            name: name.to_owned(),
            format,
            capacity,
            allocation: Bytes(0),
            backing: None,
            mode: None,
        }
    }

    /// Takes all of its room at once, as a volume of LVM must: libvirt makes a snapshot of nothing of
    /// one that does not.
    #[must_use]
    pub fn allocated(mut self) -> Self {
        self.allocation = self.capacity;
        self
    }

    /// Sets what lies below it.
    #[must_use]
    pub fn backed_by(mut self, path: &str, format: DiskFormat) -> Self {
        self.backing = Some(Backing { path: path.to_owned(), format });
        self
    }

    /// Returns the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let size = |name: &str, size: Bytes| Element::new(name).attr("unit", "bytes").text(size.0);
        let format = |format: &DiskFormat| Element::new("format").attr("type", format);
        // The version with lazy reference counts and zero clusters; libvirt's own default is
        // the one of 2010 (`0.10`).
        let newest = (self.format == DiskFormat::Qcow2).then(|| Element::new("compat").text("1.1"));
        let mode = self.mode.map(|mode| {
            let octal = std::format!("{mode:04o}");
            Element::new("permissions").child(Element::new("mode").text(octal))
        });
        let backing = self.backing.as_ref().map(|b| {
            Element::new("backingStore")
                .child(Element::new("path").text(&b.path))
                .child(format(&b.format))
        });
        Element::new("volume")
            .child(Element::new("name").text(&self.name))
            .child(size("capacity", self.capacity))
            .child(size("allocation", self.allocation))
            .child(Element::new("target").child(format(&self.format)).maybe(mode).maybe(newest))
            .maybe(backing)
    }
}

/// What a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VolumeKind {
    /// A file.
    File,
    /// A block device.
    Block,
    /// A folder.
    Dir,
    /// Something on the network, as an RBD image.
    Network,
    /// Something else.
    Other,
}

/// Kind and sizes of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// What it is.
    pub kind: VolumeKind,
    /// The size that a guest sees.
    pub capacity: Bytes,
    /// The room that it takes on the host.
    pub allocation: Bytes,
}

xml_view! {
    /// The XML of a volume.
    VolumeView {
        /// Its name.
        name, set_name: String = "name";
        /// `file`, `block`, `network`, …
        kind, set_kind: String = "@type";
        /// The size that a guest sees, in bytes.
        capacity, set_capacity: u64 = "capacity";
        /// The room that it takes, in bytes.
        allocation, set_allocation: u64 = "allocation";
        /// The length of its file, in bytes.
        physical, set_physical: u64 = "physical";
        /// Its path on the host.
        path, set_path: String = "target/path";
        /// How its bytes are laid out.
        format, set_format: DiskFormat = "target/format/@type";
        /// The permissions of its file, in octal.
        mode, set_mode: String = "target/permissions/mode";
        /// What lies below it.
        backing_path, set_backing_path: String = "backingStore/path";
        /// The format of what lies below it.
        backing_format, set_backing_format: DiskFormat = "backingStore/format/@type";
    }
}

impl Connection {
    /// Returns the volume of that path on the host.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if no pool that is in use knows of it.
    pub fn volume_by_path(&self, path: &str) -> Result<Volume, Error> {
        let handle = ffi::storage::volume_by_path(self.handle(), path)
            .on("find the volume of the path", path)?;
        Ok(Volume::new(self, handle))
    }
}

impl Volume {
    pub(super) fn new(connection: &Connection, handle: Vol) -> Self {
        let name = ffi::storage::volume_name(&handle);
        Self { connection: connection.clone(), handle: Arc::new(handle), name }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its path on the host; of an RBD image `pool/image`.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn path(&self) -> Result<String, Error> {
        ffi::storage::volume_path(&self.handle).on("ask for the path of the volume", &self.name)
    }

    /// Returns its pool.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer.
    pub fn pool(&self) -> Result<Pool, Error> {
        let handle = ffi::storage::of_volume(&self.handle)
            .on("find the storage pool of the volume", &self.name)?;
        Ok(Pool::new(&self.connection, handle))
    }

    /// Returns its kind and its sizes, as they are now.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn info(&self) -> Result<VolumeInfo, Error> {
        let info =
            ffi::storage::volume_info(&self.handle).on("ask about the volume", &self.name)?;
        Ok(VolumeInfo {
            kind: match u32::try_from(info.kind) {
                Ok(sys::VIR_STORAGE_VOL_FILE) => VolumeKind::File,
                Ok(sys::VIR_STORAGE_VOL_BLOCK) => VolumeKind::Block,
                Ok(sys::VIR_STORAGE_VOL_DIR | sys::VIR_STORAGE_VOL_NETDIR) => VolumeKind::Dir,
                Ok(sys::VIR_STORAGE_VOL_NETWORK) => VolumeKind::Network,
                _ => VolumeKind::Other,
            },
            capacity: Bytes(info.capacity),
            allocation: Bytes(info.allocation),
        })
    }

    /// Returns its XML.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn xml(&self) -> Result<VolumeView, Error> {
        const WHAT: &str = "read the XML of the volume";
        let text = ffi::storage::volume_xml(&self.handle).on(WHAT, &self.name)?;
        Element::parse(&text).map(VolumeView).on(WHAT, &self.name)
    }

    /// Makes it bigger; nothing is allocated. The machine that uses it must be off.
    ///
    /// # Errors
    ///
    /// If it would become smaller, or the host refuses.
    pub fn resize(&self, capacity: Bytes) -> Result<(), Error> {
        ffi::storage::resize(&self.handle, capacity.0).on("resize the volume", &self.name)
    }

    /// Removes it, with its bytes.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn delete(&self) -> Result<(), Error> {
        ffi::storage::delete(&self.handle, 0).on("remove the volume", &self.name)
    }

    /// Removes it with its snapshots, of a pool whose volumes have some: one that another volume
    /// lies over stays, and with it the volume.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone; if something lies over it, or the pool has no
    /// snapshots.
    pub fn delete_with_snapshots(&self) -> Result<(), Error> {
        let flags = sys::VIR_STORAGE_VOL_DELETE_WITH_SNAPSHOTS;
        ffi::storage::delete(&self.handle, flags).on("remove the volume", &self.name)
    }
}
