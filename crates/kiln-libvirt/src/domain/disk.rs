// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<disk>`. Source: <https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms>.
//!
//! **Invariant:** a source is written as a file, a block device or a network image, never as a
//! volume of a pool: `virt-aa-helper` cannot follow that (libvirt issue 546), and the machine
//! would not start on a host with AppArmor.

use uuid::Uuid;

use crate::xml::{Element, words, xml_view};

words! {
    /// The bus that the guest sees.
    DiskBus {
        /// virtio-blk.
        Virtio = "virtio",
        /// A SCSI controller.
        Scsi = "scsi",
        /// AHCI; what a CD-ROM drive hangs on.
        Sata = "sata",
        /// USB.
        Usb = "usb",
    }
}

words! {
    /// What the guest takes the disk for.
    DiskDevice {
        /// A hard disk.
        Disk = "disk",
        /// A CD-ROM drive.
        Cdrom = "cdrom",
    }
}

words! {
    /// How the bytes are laid out.
    DiskFormat {
        /// As they are.
        Raw = "raw",
        /// QEMU's own.
        Qcow2 = "qcow2",
    }
}

words! {
    /// How the host caches.
    Cache {
        /// Not at all.
        None = "none",
        /// Writes are held back until the guest flushes.
        Writeback = "writeback",
        /// Writes go through at once.
        Writethrough = "writethrough",
        /// Flushes are ignored: for machines that are thrown away.
        Unsafe = "unsafe",
    }
}

/// One monitor of a Ceph cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RbdHost {
    /// Its name or address.
    pub name: String,
    /// Its port; Ceph's own if it is not named.
    pub port: Option<u16>,
}

/// A secret that libvirt holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RbdSecret {
    /// By its UUID.
    Uuid(Uuid),
    /// By its usage.
    Usage(String),
}

/// How the host logs in to Ceph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RbdAuth {
    /// The Ceph user, without `client.`.
    pub user: String,
    /// Where libvirt holds the key.
    pub secret: RbdSecret,
}

/// An image of a Ceph pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rbd {
    /// Ceph's pool.
    pub pool: String,
    /// The image in it.
    pub image: String,
    /// The cluster's monitors.
    pub hosts: Vec<RbdHost>,
    /// How to log in; not at all if there is none.
    pub auth: Option<RbdAuth>,
}

/// Where a disk's bytes are, on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskSource {
    /// A file.
    File(String),
    /// A block device.
    Block(String),
    /// An image of a Ceph pool.
    Rbd(Rbd),
    /// Nothing: a drive without a medium.
    Empty,
}

/// A disk of a machine to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Where its bytes are.
    pub source: DiskSource,
    /// How they are laid out. Always said, so that the guest cannot choose by writing a header.
    pub format: DiskFormat,
    /// What the guest takes it for.
    pub device: DiskDevice,
    /// Its name in libvirt: `vda`, `sda`. One disk each.
    pub target: String,
    /// The bus that the guest sees.
    pub bus: DiskBus,
    /// Whether the guest may not write.
    pub readonly: bool,
    /// Whether blocks that the guest gives up are freed on the host.
    pub discard: bool,
    /// How the host caches; libvirt's choice if it is not named.
    pub cache: Option<Cache>,
    /// Its place in the order of booting, from 1; none if it is not to be booted from.
    pub boot_order: Option<u32>,
    /// The serial number that the guest sees (`/dev/disk/by-id`), at most 20 characters for
    /// virtio.
    pub serial: Option<String>,
}

impl Disk {
    /// Returns a virtio disk that frees what the guest gives up.
    #[must_use]
    pub fn new(target: &str, source: DiskSource, format: DiskFormat) -> Self {
        Self {
            source,
            format,
            device: DiskDevice::Disk,
            target: target.to_owned(),
            bus: DiskBus::Virtio,
            readonly: false,
            discard: true,
            cache: None,
            boot_order: None,
            serial: None,
        }
    }

    /// Returns a CD-ROM drive on SATA with a medium (or [`DiskSource::Empty`]), which is raw.
    #[must_use]
    pub fn cdrom(target: &str, source: DiskSource) -> Self {
        Self {
            device: DiskDevice::Cdrom,
            bus: DiskBus::Sata,
            readonly: true,
            discard: false,
            ..Self::new(target, source, DiskFormat::Raw)
        }
    }

    /// Sets the place in the order of booting, from 1.
    #[must_use]
    pub fn boot(mut self, order: u32) -> Self {
        self.boot_order = Some(order);
        self
    }

    /// Returns the element, also to hand to [`super::Domain::update_device`].
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut driver = Element::new("driver").attr("name", "qemu").attr("type", &self.format);
        if let Some(cache) = &self.cache {
            driver = driver.attr("cache", cache);
        }
        if self.discard {
            driver = driver.attr("discard", "unmap");
        }
        Element::new("disk")
            .attr("type", self.source.kind())
            .attr("device", &self.device)
            .child(driver)
            .maybe(self.source.to_element())
            .child(Element::new("target").attr("dev", &self.target).attr("bus", &self.bus))
            .maybe(self.serial.as_ref().map(|s| Element::new("serial").text(s)))
            .maybe(self.readonly.then(|| Element::new("readonly")))
            .maybe(self.boot_order.map(|n| Element::new("boot").attr("order", n)))
    }
}

impl DiskSource {
    /// Returns the type of a disk that has it: `file`, `block`, `network`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Empty => "file",
            Self::Block(_) => "block",
            Self::Rbd(_) => "network",
        }
    }

    /// Returns its element, unless it is nothing.
    #[must_use]
    pub fn to_element(&self) -> Option<Element> {
        let source = Element::new("source");
        match self {
            Self::File(path) => Some(source.attr("file", path)),
            Self::Block(path) => Some(source.attr("dev", path)),
            Self::Rbd(rbd) => {
                let name = [rbd.pool.as_str(), rbd.image.as_str()].join("/");
                let hosts = rbd.hosts.iter().map(RbdHost::to_element);
                Some(
                    source
                        .attr("protocol", "rbd")
                        .attr("name", name)
                        .children(hosts)
                        .maybe(rbd.auth.as_ref().map(RbdAuth::to_element)),
                )
            }
            Self::Empty => None,
        }
    }
}

impl RbdHost {
    pub(crate) fn to_element(&self) -> Element {
        let host = Element::new("host").attr("name", &self.name);
        match self.port {
            Some(port) => host.attr("port", port),
            None => host,
        }
    }

    pub(crate) fn of(host: &Element) -> Option<Self> {
        let port = host.attribute("port").and_then(|port| port.parse().ok());
        Some(Self { name: host.attribute("name")?.to_owned(), port })
    }
}

impl RbdAuth {
    pub(crate) fn of(auth: &Element) -> Option<Self> {
        let uuid = auth.get("secret/@uuid").and_then(|uuid| uuid.parse().ok());
        let usage = || auth.get("secret/@usage").map(RbdSecret::Usage);
        Some(Self {
            user: auth.attribute("username")?.to_owned(),
            secret: uuid.map(RbdSecret::Uuid).or_else(usage)?,
        })
    }

    fn to_element(&self) -> Element {
        let secret = self.secret.named_in(Element::new("secret").attr("type", "ceph"));
        Element::new("auth").attr("username", &self.user).child(secret)
    }
}

impl RbdSecret {
    /// Names it in a `<secret>` element.
    pub(crate) fn named_in(&self, secret: Element) -> Element {
        match self {
            Self::Uuid(uuid) => secret.attr("uuid", uuid),
            Self::Usage(usage) => secret.attr("usage", usage),
        }
    }
}

xml_view! {
    /// A disk of a domain.
    DiskView {
        /// `file`, `block`, `network`, `volume`, …
        kind, set_kind: String = "@type";
        /// What the guest takes it for.
        device, set_device: DiskDevice = "@device";
        /// How the bytes are laid out.
        format, set_format: DiskFormat = "driver/@type";
        /// How the host caches.
        cache, set_cache: Cache = "driver/@cache";
        /// `unmap` or `ignore`.
        discard, set_discard: String = "driver/@discard";
        /// The file, of a disk of type `file`.
        file, set_file: String = "source/@file";
        /// The block device, of a disk of type `block`.
        block, set_block: String = "source/@dev";
        /// The pool, of a disk of type `volume`.
        pool, set_pool: String = "source/@pool";
        /// The volume, of a disk of type `volume`.
        volume, set_volume: String = "source/@volume";
        /// `rbd`, …, of a disk of type `network`.
        protocol, set_protocol: String = "source/@protocol";
        /// The image's name, of a disk of type `network`.
        network_name, set_network_name: String = "source/@name";
        /// Its name in libvirt.
        target, set_target: String = "target/@dev";
        /// The bus that the guest sees.
        bus, set_bus: DiskBus = "target/@bus";
        /// The serial number that the guest sees.
        serial, set_serial: String = "serial";
        /// Its place in the order of booting.
        boot_order, set_boot_order: u32 = "boot/@order";
    }
}

impl DiskView {
    /// Returns whether the guest may not write.
    #[must_use]
    pub fn is_readonly(&self) -> bool {
        self.0.find("readonly").is_some()
    }

    /// Returns where the bytes are, if it is a kind of place that Kiln knows.
    #[must_use]
    pub fn source(&self) -> Option<DiskSource> {
        match self.kind()?.as_str() {
            "file" => Some(self.file().map_or(DiskSource::Empty, DiskSource::File)),
            "block" => Some(self.block().map_or(DiskSource::Empty, DiskSource::Block)),
            "network" if self.protocol().as_deref() == Some("rbd") => self.rbd(),
            _ => None,
        }
    }

    fn rbd(&self) -> Option<DiskSource> {
        let name = self.network_name()?;
        let (pool, image) = name.split_once('/')?;
        let source = self.0.find("source")?;
        let hosts = source.find_all("host").into_iter().filter_map(RbdHost::of);
        let auth = source.find("auth").or_else(|| self.0.find("auth"));
        Some(DiskSource::Rbd(Rbd {
            pool: pool.to_owned(),
            image: image.to_owned(),
            hosts: hosts.collect(),
            auth: auth.and_then(RbdAuth::of),
        }))
    }

    /// Takes the medium out of a drive. Hand the result to
    /// [`super::Domain::update_device`].
    pub fn eject(&mut self) {
        self.0.remove("source");
        self.0.remove("backingStore");
    }
}
