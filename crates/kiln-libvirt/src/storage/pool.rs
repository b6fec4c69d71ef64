// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pools. Source: <https://libvirt.org/formatstorage.html#storage-pool-xml>.

use std::sync::Arc;

use kiln_spec::Bytes;
use uuid::Uuid;
use virt_sys as sys;

use super::{RbdPool, Volume, VolumeSpec};
use crate::connect::Connection;
use crate::error::{Attempt, Cause, Error, taken};
use crate::ffi;
use crate::ffi::handle;
use crate::xml::{Element, xml_view};

/// A storage pool of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool {
    pub(super) connection: Connection,
    pub(super) handle: Arc<handle::Pool>,
    name: String,
}

/// What a pool is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolState {
    /// It is not in use; its volumes cannot be seen.
    Inactive,
    /// It is being made.
    Building,
    /// It is in use.
    Running,
    /// In use but not well, or unknown.
    Degraded,
}

/// State and sizes of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolInfo {
    /// What it is doing.
    pub state: PoolState,
    /// What it can hold (of a folder: the whole file system).
    pub capacity: Bytes,
    /// What is taken.
    pub allocation: Bytes,
    /// What is free.
    pub available: Bytes,
}

xml_view! {
    /// The XML of a pool.
    PoolView {
        /// Its name.
        name, set_name: String = "name";
        /// Its UUID.
        uuid, set_uuid: Uuid = "uuid";
        /// `dir`, `rbd`, `logical`, …
        kind, set_kind: String = "@type";
        /// The folder, of a pool that is one.
        target_path, set_target_path: String = "target/path";
        /// Ceph's pool, of a pool of type `rbd`.
        source_name, set_source_name: String = "source/name";
        /// The server, of a pool of type `netfs`.
        source_host, set_source_host: String = "source/host/@name";
        /// Its folder there.
        source_dir, set_source_dir: String = "source/dir/@path";
    }
}

/// What a pool to be lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolKind {
    /// A folder of the host.
    Dir {
        /// The folder.
        folder: String,
    },
    /// A folder of an NFS server, which the host mounts.
    Nfs {
        /// The server.
        host: String,
        /// Its folder.
        export: String,
        /// Where it is mounted.
        mount: String,
    },
    /// A volume group of LVM, which is there.
    Lvm {
        /// Its name.
        group: String,
    },
    /// A pool of a Ceph cluster.
    Rbd(RbdPool),
}

impl PoolView {
    /// Returns the folder of the host that its volumes are files in, if they are.
    #[must_use]
    pub fn folder(&self) -> Option<String> {
        let kind = self.kind()?;
        self.target_path().filter(|_| matches!(kind.as_str(), "dir" | "fs" | "netfs"))
    }

    /// Returns the volume group of LVM, of a pool that is one.
    #[must_use]
    pub fn volume_group(&self) -> Option<String> {
        self.source_name().or(self.name()).filter(|_| self.kind().as_deref() == Some("logical"))
    }
}

impl PoolKind {
    /// Returns the folder of the host that its volumes are seen in, if they are files.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::Dir { folder } => Some(folder),
            Self::Nfs { mount, .. } => Some(mount),
            Self::Lvm { .. } | Self::Rbd(_) => None,
        }
    }
}

/// Returns the `<pool>` element of a pool to be; libvirt chooses its UUID if none is given.
#[must_use]
pub fn pool_element(name: &str, uuid: Option<Uuid>, kind: &PoolKind) -> Element {
    let (word, source) = match kind {
        PoolKind::Dir { .. } => ("dir", None),
        PoolKind::Nfs { host, export, .. } => {
            let source = Element::new("source")
                .child(Element::new("host").attr("name", host))
                .child(Element::new("dir").attr("path", export))
                .child(Element::new("format").attr("type", "nfs"));
            ("netfs", Some(source))
        }
        PoolKind::Lvm { group } => {
            let source = Element::new("source")
                .child(Element::new("name").text(group))
                .child(Element::new("format").attr("type", "lvm2"));
            ("logical", Some(source))
        }
        PoolKind::Rbd(rbd) => ("rbd", Some(rbd.source())),
    };
    let devices = match kind {
        PoolKind::Lvm { group } => Some(std::format!("/dev/{group}")),
        _ => None,
    };
    let target = |path: &str| Element::new("target").child(Element::new("path").text(path));
    Element::new("pool")
        .attr("type", word)
        .child(Element::new("name").text(name))
        .maybe(uuid.map(|uuid| Element::new("uuid").text(uuid)))
        .maybe(source)
        .maybe(kind.folder().or(devices.as_deref()).map(target))
}

impl Connection {
    /// Returns the pool of that name.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none.
    pub fn pool(&self, name: &str) -> Result<Pool, Error> {
        let handle =
            ffi::storage::by_name(self.handle(), name).on("find the storage pool", name)?;
        Ok(Pool::new(self, handle))
    }

    /// Returns the pool whose target is that folder.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none.
    pub fn pool_by_target(&self, path: &str) -> Result<Pool, Error> {
        let handle = ffi::storage::by_target(self.handle(), path)
            .on("find the storage pool of the folder", path)?;
        Ok(Pool::new(self, handle))
    }

    /// Returns every pool, in use or not. None of them is touched.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer.
    pub fn pools(&self) -> Result<Vec<Pool>, Error> {
        let handles =
            ffi::storage::all(self.handle()).on("list the storage pools of", self.text())?;
        Ok(handles.into_iter().map(|h| Pool::new(self, h)).collect())
    }

    /// Defines a pool that is a folder of the host; it is not made and not in use yet
    /// ([`Pool::build`], [`Pool::start`]).
    ///
    /// # Errors
    ///
    /// [`Error::is_exists`] if another pool has its name; otherwise if libvirt refuses, as when
    /// the folder is another pool's.
    pub fn define_dir_pool(&self, name: &str, path: &str) -> Result<Pool, Error> {
        let kind = PoolKind::Dir { folder: path.to_owned() };
        self.define_pool_xml(&pool_element(name, None, &kind))
    }

    /// Defines a pool from its XML, as [`Self::define_dir_pool`] does.
    ///
    /// # Errors
    ///
    /// As [`Self::define_dir_pool`].
    pub fn define_pool_xml(&self, xml: &Element) -> Result<Pool, Error> {
        const WHAT: &str = "define the storage pool";
        let name = xml.get("name").unwrap_or_default();
        ffi::storage::define(self.handle(), &xml.to_string())
            .map(|handle| Pool::new(self, handle))
            .map_err(|cause| {
                taken(cause, sys::VIR_ERR_STORAGE_VOL_EXIST, || {
                    ffi::storage::by_name(self.handle(), &name).is_ok()
                })
            })
            .on(WHAT, &name)
    }
}

impl Pool {
    pub(super) fn new(connection: &Connection, handle: handle::Pool) -> Self {
        let name = ffi::storage::name(&handle);
        Self { connection: connection.clone(), handle: Arc::new(handle), name }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the connection that it came from.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Makes what it lies on: the folder, with the folders above it. One that is there stays.
    ///
    /// # Errors
    ///
    /// If the host refuses.
    pub fn build(&self) -> Result<(), Error> {
        ffi::storage::build(&self.handle, 0).on("make the storage pool", &self.name)
    }

    /// Removes what [`Pool::build`] made, if it is empty. The pool must not be in use.
    ///
    /// # Errors
    ///
    /// If it is not empty, not there, or the host refuses.
    pub fn remove_empty(&self) -> Result<(), Error> {
        ffi::storage::delete_pool(&self.handle).on("remove the folder of the pool", &self.name)
    }

    /// Takes it into use.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is in use already.
    pub fn start(&self) -> Result<(), Error> {
        ffi::storage::start(&self.handle).on("start the storage pool", &self.name)
    }

    /// Takes it out of use; its volumes stay.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is not in use.
    pub fn stop(&self) -> Result<(), Error> {
        ffi::storage::destroy(&self.handle).on("stop the storage pool", &self.name)
    }

    /// Removes its definition; its volumes stay.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is in use.
    pub fn undefine(&self) -> Result<(), Error> {
        ffi::storage::undefine(&self.handle).on("remove the storage pool", &self.name)
    }

    /// Has libvirt look for volumes that others made or removed. Takes time with the number of
    /// volumes; an RBD pool whose cluster is gone hangs.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is not in use.
    pub fn refresh(&self) -> Result<(), Error> {
        ffi::storage::refresh(&self.handle).on("read the storage pool", &self.name)
    }

    /// Returns whether it is in use.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn is_active(&self) -> Result<bool, Error> {
        ffi::storage::is_active(&self.handle).on("ask about the storage pool", &self.name)
    }

    /// Returns whether it is taken into use with the host.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn autostart(&self) -> Result<bool, Error> {
        ffi::storage::autostart(&self.handle).on("ask about the storage pool", &self.name)
    }

    /// Sets whether it is taken into use with the host.
    ///
    /// # Errors
    ///
    /// If it has no definition that stays.
    pub fn set_autostart(&self, on: bool) -> Result<(), Error> {
        ffi::storage::set_autostart(&self.handle, on)
            .on("set the autostart of the storage pool", &self.name)
    }

    /// Returns its state and sizes, as of the last refresh.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn info(&self) -> Result<PoolInfo, Error> {
        let info =
            ffi::storage::pool_info(&self.handle).on("ask about the storage pool", &self.name)?;
        Ok(PoolInfo {
            state: match u32::try_from(info.state) {
                Ok(sys::VIR_STORAGE_POOL_INACTIVE) => PoolState::Inactive,
                Ok(sys::VIR_STORAGE_POOL_BUILDING) => PoolState::Building,
                Ok(sys::VIR_STORAGE_POOL_RUNNING) => PoolState::Running,
                _ => PoolState::Degraded,
            },
            capacity: Bytes(info.capacity),
            allocation: Bytes(info.allocation),
            available: Bytes(info.available),
        })
    }

    /// Returns its XML.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if it is gone.
    pub fn xml(&self) -> Result<PoolView, Error> {
        const WHAT: &str = "read the XML of the storage pool";
        let text = ffi::storage::pool_xml(&self.handle).on(WHAT, &self.name)?;
        Element::parse(&text).map(PoolView).on(WHAT, &self.name)
    }

    /// Returns the volumes that libvirt knows of, in its order.
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is not in use.
    pub fn volumes(&self) -> Result<Vec<Volume>, Error> {
        let handles = ffi::storage::volumes(&self.handle)
            .on("list the volumes of the storage pool", &self.name)?;
        Ok(handles.into_iter().map(|h| Volume::new(&self.connection, h)).collect())
    }

    /// Returns the volume of that name.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if libvirt knows of none.
    pub fn volume(&self, name: &str) -> Result<Volume, Error> {
        let handle =
            ffi::storage::volume_by_name(&self.handle, name).on("find the volume", name)?;
        Ok(Volume::new(&self.connection, handle))
    }

    /// Makes a volume.
    ///
    /// # Errors
    ///
    /// [`Error::is_exists`] if libvirt knows of one of that name. If only its file is there, the
    /// call fails, too, and [`Self::refresh`] makes it known.
    pub fn create_volume(&self, spec: &VolumeSpec) -> Result<Volume, Error> {
        let xml = spec.to_element().to_string();
        let handle = ffi::storage::create_volume(&self.handle, &xml, 0)
            .map_err(|cause| self.volume_taken(cause, &spec.name))
            .on("make the volume", &spec.name)?;
        Ok(Volume::new(&self.connection, handle))
    }

    /// Makes a volume with the bytes of another one of the same host, converted if the formats
    /// differ. With `reflink` the two share blocks, or it fails.
    ///
    /// # Errors
    ///
    /// [`Error::is_exists`] if there is one of that name; if blocks cannot be shared.
    pub fn clone_volume(
        &self,
        spec: &VolumeSpec,
        from: &Volume,
        reflink: bool,
    ) -> Result<Volume, Error> {
        let xml = spec.to_element().to_string();
        let flags = if reflink { sys::VIR_STORAGE_VOL_CREATE_REFLINK } else { 0 };
        let handle = ffi::storage::clone_volume(&self.handle, &xml, &from.handle, flags)
            .map_err(|cause| self.volume_taken(cause, &spec.name))
            .on("make the volume", &spec.name)?;
        Ok(Volume::new(&self.connection, handle))
    }

    fn volume_taken(&self, cause: Cause, name: &str) -> Cause {
        taken(cause, sys::VIR_ERR_STORAGE_VOL_EXIST, || {
            ffi::storage::volume_by_name(&self.handle, name).is_ok()
        })
    }
}
