// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All that a launch will do, as a value. Pure: nothing is asked, made or started here.

use kiln_guest::inspect::Processor;
use kiln_guest::seed::{Login, Seed};
use kiln_libvirt::connect::VirtType;
use kiln_libvirt::domain::{
    Cpu, Disk, DiskFormat, DomainSpec, Firmware, Interface, InterfaceKind, PortForward, Serial,
    nocloud_serial,
};
use kiln_libvirt::xml::Element;
use kiln_spec::arch::Arch;
use kiln_spec::forward::Protocol;
use kiln_spec::image::Firmware as ImageFirmware;
use kiln_spec::{Bytes, DnsServerName, MachineName, SeedUrl, Tag};
use uuid::Uuid;

use super::dns::Dns;
use super::first_boot::Told;
use super::forward::passt_ports;
use super::image::ImageFile;
use super::keys::Keys;
use super::meta::{Forward, Meta, OwnAddress, Owner, VolumeRef};
use super::network::{Attachment, Nic};
use super::pool::Place;
use super::template;
use crate::error::{Class, Problem};

/// The least memory that any machine is given: less does not hold a kernel and its initramfs.
const LEAST_MEMORY: Bytes = Bytes::from_mib(128);
/// The user that Kiln makes where the image's own default user is not known.
pub(crate) const KILN_USER: &str = "kiln";

/// What is wanted, checked and resolved: the same for each of several machines.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// The image.
    pub(crate) image: &'a ImageFile,
    /// Virtual processors.
    pub(crate) cpus: u32,
    /// What they are, if it is not the usual for [`Wanted::virt_type`].
    pub(crate) cpu: Option<&'a Cpu>,
    /// Memory.
    pub(crate) memory: Bytes,
    /// Size of the disk, if it is not the image's.
    pub(crate) disk: Option<Bytes>,
    /// Whether nothing is to lie below the disk.
    pub(crate) full: bool,
    /// The pool's name.
    pub(crate) pool: &'a str,
    /// Where its volumes are.
    pub(crate) place: &'a Place,
    /// The pool of the console's log, and where that is.
    pub(crate) consoles: (&'a str, &'a Place),
    /// Whether the firmware is UEFI.
    pub(crate) uefi: bool,
    /// What runs the guest.
    pub(crate) virt_type: VirtType,
    /// Who logs in, if it is not the image's default user.
    pub(crate) user: Option<&'a str>,
    /// The keys of the login.
    pub(crate) keys: &'a Keys,
    /// What the guest is told at its first boot.
    pub(crate) told: &'a Told,
    /// Where the guest fetches it, if it is on no drive.
    pub(crate) seed_url: Option<&'a SeedUrl>,
    /// The words by which it is put together with others.
    pub(crate) tags: &'a [Tag],
    /// The DNS server that is to have its name.
    pub(crate) dns: Option<&'a DnsServerName>,
    /// The set that it is of.
    pub(crate) owner: Option<&'a Owner>,
    /// Whether it is started when it is made.
    pub(crate) start: bool,
    /// Whether it is started with the host.
    pub(crate) autostart: bool,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// Returns the least memory of a machine of an image.
pub(crate) fn least_memory(image: &ImageFile) -> Bytes {
    image.manifest.as_ref().map_or(LEAST_MEMORY, |m| m.min_memory.max(LEAST_MEMORY))
}

/// What will be done for one machine.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Its name.
    pub(crate) name: MachineName,
    /// Its UUID.
    pub(crate) uuid: Uuid,
    /// What Kiln will remember of it: volumes, template, login.
    pub(crate) meta: Meta,
    /// The disk's size.
    pub(crate) disk_size: Bytes,
    /// What the disk is made of; it hangs on that if it is in [`Meta::template`], too.
    pub(crate) template: VolumeRef,
    /// The template's path on the host, and its format.
    pub(crate) backing: (String, String),
    /// Its interfaces.
    pub(crate) nics: Vec<Nic>,
    /// The first-boot data.
    pub(crate) seed: Seed,
    /// The domain.
    pub(crate) domain: DomainSpec,
    /// Whether it is started.
    pub(crate) start: bool,
    /// Whether it is started with the host.
    pub(crate) autostart: bool,
}

impl Wanted<'_> {
    /// Checks what does not depend on a machine's name.
    ///
    /// # Errors
    ///
    /// Memory or disk too small, an image of another firmware or architecture.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let image = &self.image.name;
        if self.place.is_lvm() && (self.full || self.image.file.is_none()) {
            let what = format!("machines in the LVM pool `{}` hang on their image", self.pool);
            let hint = "they are made of images of the store or of files, and without `--full`";
            return Err(Problem::new(Class::Usage, what).hint(hint));
        }
        let manifest = self.image.manifest.as_ref();
        let least = least_memory(self.image);
        if self.memory < least {
            let what = format!(
                "image `{image}` needs {least} of memory, and `--memory` is {}",
                self.memory
            );
            return Err(Problem::new(Class::Usage, what));
        }
        let size = self.image.virtual_size;
        if self.disk.is_some_and(|disk| disk < size) {
            let asked = self.disk.unwrap_or_default();
            let what =
                format!("image `{image}` has a disk of {size}, and `--disk` is only {asked}");
            let problem = Problem::new(Class::Usage, what);
            return Err(problem.hint("a disk can be bigger than its image, not smaller"));
        }
        if let Some(uefi) = self.image.uefi.filter(|uefi| *uefi != self.uefi) {
            let (has, other) = if uefi { ("UEFI", "uefi") } else { ("BIOS", "bios") };
            let what = format!("the machine that template `{image}` was made of boots by {has}");
            return Err(Problem::new(Class::Usage, what).hint(format!("use `--firmware {other}`")));
        }
        if let Some(m) = manifest {
            let wanted = if self.uefi { ImageFirmware::Uefi } else { ImageFirmware::Bios };
            if !m.firmware.contains(&wanted) {
                let (has, other) = if self.uefi { ("BIOS", "bios") } else { ("UEFI", "uefi") };
                let what = format!("image `{image}` boots by {has} only");
                return Err(
                    Problem::new(Class::Usage, what).hint(format!("use `--firmware {other}`"))
                );
            }
        }
        let processor = match self.image.processor() {
            None => return Ok(()),
            Some(Processor::Known(arch)) if Some(arch) == Arch::native() => return Ok(()),
            Some(Processor::Known(arch)) => arch.to_string(),
            Some(Processor::Other(machine)) => format!("another processor (ELF machine {machine})"),
        };
        let what = format!("image `{image}` is for {processor}, and this host is not");
        Err(Problem::new(Class::Host, what).hint("use an image of the host's architecture"))
    }

    /// Plans the machine `name` with the identity `uuid` (version 7), these interfaces, and these
    /// forwards to the first of them.
    pub(crate) fn plan(
        &self,
        name: &MachineName,
        uuid: Uuid,
        (nics, forwards): (Vec<Nic>, Vec<Forward>),
    ) -> Plan {
        let stem = self.place.stem(name, uuid);
        let volume = |suffix: &str| VolumeRef {
            pool: self.pool.to_owned(),
            name: format!("{stem}{suffix}"),
        };
        let console =
            VolumeRef { pool: self.consoles.0.to_owned(), name: format!("{name}-console.log") };
        let template = template::of(self.image, (self.pool, self.place));
        let (user, is_default_user) = self.login();
        let ssh_port = nics.iter().find_map(|nic| match nic.attachment {
            Attachment::User { ssh_port } => Some(ssh_port),
            Attachment::Network { .. } => None,
        });
        let own = |nic: &Nic| {
            let mac = nic.mac.to_string();
            let one = move |net: &ipnet::IpNet| OwnAddress { mac: mac.clone(), ip: net.addr() };
            nic.own().iter().map(one).collect::<Vec<_>>()
        };
        let meta = Meta {
            image: self.image.name.clone(),
            digest: self.image.digest.clone(),
            template: (!self.full).then(|| template.clone()),
            origin: None,
            owner: self.owner.cloned(),
            instance_id: uuid,
            user: user.clone(),
            made_at: self.now,
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            disk: volume(&format!(".{}", self.place.disk_format())),
            data: Vec::new(),
            seed: volume("-seed.iso"),
            console,
            reservations: Vec::new(),
            addresses: nics.iter().flat_map(own).collect(),
            tags: self.tags.iter().map(Tag::to_string).collect(),
            ssh_port,
            forwards,
            dns: self.dns.map(|server| Dns { server: server.to_string(), records: Vec::new() }),
        };
        let seed = Seed {
            datasource: self.told.datasource,
            instance_id: uuid.to_string(),
            hostname: name.clone(),
            fqdn: None,
            login: Login { name: user, is_default_user, ssh_keys: self.keys.public.clone() },
            setup: self.told.setup.clone(),
            user_data: self.told.user_data.clone(),
            network_config: self.told.network(&nics),
            vendor_data: self.told.vendor_data.clone(),
        };
        let domain = self.domain(name, &meta, interfaces(&nics, &meta.forwards));
        Plan {
            name: name.clone(),
            uuid,
            disk_size: self.disk.unwrap_or(self.image.virtual_size),
            backing: (self.place.path(&template.name), self.image.format.clone()),
            template,
            nics,
            seed,
            domain,
            meta,
            start: self.start,
            autostart: self.autostart,
        }
    }

    fn login(&self) -> (String, bool) {
        let default = self.image.manifest.as_ref().map(|m| m.user.as_str());
        let default = default.or(self.image.user.as_deref());
        // Of an image that others made it may not be known.
        let default = default.filter(|user| !user.is_empty());
        match (self.user, default) {
            (Some(user), default) => (user.to_owned(), Some(user) == default),
            (None, Some(default)) => (default.to_owned(), true),
            (None, None) => (KILN_USER.to_owned(), false),
        }
    }

    fn domain(&self, name: &MachineName, meta: &Meta, interfaces: Vec<Interface>) -> DomainSpec {
        let disk = self.place.source(&meta.disk.name);
        let seed = self.place.source(&meta.seed.name);
        let mut domain = DomainSpec::new(name.as_str(), self.virt_type, self.memory, self.cpus);
        if let Some(arch) = Arch::native() {
            domain.arch = arch;
        }
        if let Some(cpu) = self.cpu {
            domain.cpu = cpu.clone();
        }
        domain.uuid = Some(meta.instance_id);
        domain.metadata = Some(meta.element());
        domain.firmware =
            if self.uefi { Firmware::Uefi { secure_boot: false } } else { Firmware::Bios };
        domain.disks = vec![Disk::new("vda", disk, self.place.disk_format()).boot(1)];
        domain.interfaces = interfaces;
        // What the firmware says is wanted where a guest does not boot.
        domain.serial =
            Serial { log: Some(self.consoles.1.path(&meta.console.name)), firmware: !self.uefi };
        if let Some(url) = self.seed_url {
            domain.system_serial = Some(nocloud_serial(&url.of(name)));
            return domain;
        }
        // The seed is a virtio disk, no CD-ROM: kernels for clouds have no drivers for SATA (seen
        // with Debian's), and cloud-init looks for the label on any block device. It stays: a
        // boot without it would be another instance to cloud-init, with new host keys.
        let mut seed = Disk::new("vdb", seed, DiskFormat::Raw);
        seed.readonly = true;
        seed.discard = false;
        domain.disks.push(seed);
        domain
    }
}

fn interfaces(nics: &[Nic], forwards: &[Forward]) -> Vec<Interface> {
    let one = |(n, nic): (usize, &Nic)| {
        let kind = match &nic.attachment {
            Attachment::Network { name } => InterfaceKind::Network(name.clone()),
            Attachment::User { ssh_port } => {
                // They lead to the first interface: the host's packet filter makes them, or this.
                let own = if n == 0 { forwards } else { &[] };
                InterfaceKind::User { forwards: passt_ports(Some(*ssh_port), own) }
            }
        };
        Interface::new(kind, Some(nic.mac))
    };
    nics.iter().enumerate().map(one).collect()
}

/// Returns the forward that leads a port of the host, on its loopback only, to the guest's SSH.
pub(crate) fn ssh_forward(port: u16) -> PortForward {
    PortForward {
        protocol: Protocol::Tcp,
        address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        host_port: port,
        guest_port: 22,
    }
}

impl Plan {
    /// Returns the domain's XML.
    pub(crate) fn xml(&self) -> Element {
        self.domain.to_element()
    }

    /// Returns what will be done, in order, a line each.
    pub(crate) fn lines(&self, template_there: bool) -> Vec<String> {
        let meta = &self.meta;
        let mut lines = Vec::new();
        let template = &self.template;
        if !template_there {
            lines.push(format!(
                "upload image `{}` into pool `{}` as template `{}`",
                meta.image, template.pool, template.name
            ));
        }
        lines.push(format!("define domain `{}` ({})", self.name, self.uuid));
        let how = if meta.template.is_some() { "linked clone" } else { "full copy" };
        lines.push(format!(
            "create volume `{}`, {}, a {how} of the template",
            meta.disk.name, self.disk_size
        ));
        let served = self.domain.system_serial.is_some();
        let how = if served { ", which `kiln seed serve` hands to the guest" } else { "" };
        lines.push(format!("create volume `{}`, the cloud-init seed{how}", meta.seed.name));
        lines.push(format!("create volume `{}`, the console's log", meta.console.name));
        lines.extend(self.nics.iter().filter_map(|nic| match (nic.wish()?, nic.mac) {
            ((network, Some(ip)), mac) => {
                Some(format!("reserve {ip} in network `{network}` for {mac}"))
            }
            ((network, None), mac) => {
                Some(format!("reserve an address in network `{network}` for {mac}"))
            }
        }));
        if let Some(port) = meta.ssh_port {
            lines.push(format!("forward 127.0.0.1:{port} to the machine's port 22"));
        }
        lines.extend(meta.forwards.iter().map(|forward| {
            format!("forward the host's port {forward} to the machine's port {}", forward.to)
        }));
        if self.autostart {
            lines.push(format!("have the host start `{}` with itself", self.name));
        }
        if self.start {
            lines.push(format!("start `{}`", self.name));
        }
        if let Some(dns) = &meta.dns {
            lines.push(format!("put its name into the DNS server `{}`", dns.server));
        }
        lines
    }

    /// Returns whether the host's packet filter makes its forwards.
    pub(crate) fn filters(&self) -> bool {
        let first = self.nics.first().map(|nic| &nic.attachment);
        !self.meta.forwards.is_empty() && matches!(first, Some(Attachment::Network { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_spec::interface::Addressing;

    fn image() -> ImageFile {
        ImageFile {
            name: "debian-12".into(),
            file: None,
            template: None,
            user: None,
            uefi: None,
            format: "qcow2".into(),
            virtual_size: Bytes::from_gib(2),
            file_size: Bytes::from_mib(600),
            digest: "sha256:0123456789abcdef".into(),
            glance: kiln_guest::inspect::Glance::default(),
            manifest: None,
        }
    }

    fn folder() -> &'static Place {
        static FOLDER: std::sync::OnceLock<Place> = std::sync::OnceLock::new();
        FOLDER.get_or_init(|| Place::Folder("/var/lib/libvirt/images".into()))
    }

    fn usual() -> &'static Told {
        static TOLD: std::sync::OnceLock<Told> = std::sync::OnceLock::new();
        TOLD.get_or_init(Told::default)
    }

    fn wanted<'a>(image: &'a ImageFile, keys: &'a Keys) -> Wanted<'a> {
        Wanted {
            image,
            cpus: 2,
            cpu: None,
            memory: Bytes::from_gib(1),
            disk: Some(Bytes::from_gib(20)),
            full: false,
            pool: "default",
            place: folder(),
            consoles: ("default", folder()),
            uefi: false,
            virt_type: VirtType::Qemu,
            user: None,
            keys,
            told: usual(),
            start: true,
            autostart: false,
            seed_url: None,
            tags: &[],
            dns: None,
            owner: None,
            now: 1_700_000_000,
        }
    }

    fn keys() -> Keys {
        Keys {
            public: vec!["ssh-ed25519 AAAAC3 me".into()],
            identities: Vec::new(),
            origin: "test".into(),
        }
    }

    fn nic(attachment: Attachment, addressing: Addressing) -> Nic {
        Nic { mac: kiln_spec::mac::Mac::qemu([0, 0, 1]), attachment, addressing }
    }

    fn user() -> Vec<Nic> {
        vec![nic(Attachment::User { ssh_port: 20_022 }, Addressing::Dhcp)]
    }

    #[test]
    fn a_guest_is_told_of_its_interfaces_where_it_would_not_guess_right() {
        let (image, keys) = (image(), keys());
        let name = "web1".parse().unwrap();
        let plan = |nics| wanted(&image, &keys).plan(&name, Uuid::from_u128(1), (nics, Vec::new()));
        assert_eq!(plan(user()).seed.network_config, None);
        let own: kiln_spec::interface::InterfaceSpec = "lan,static=10.0.0.5/24".parse().unwrap();
        let fixed = nic(Attachment::Network { name: "lan".into() }, own.addressing);
        let plan = plan([user(), vec![fixed]].concat());
        assert!(plan.seed.network_config.unwrap().contains("10.0.0.5/24"));
        assert_eq!(plan.meta.addresses[0].ip.to_string(), "10.0.0.5");
        assert_eq!(plan.domain.interfaces.len(), 2);
    }

    #[test]
    fn a_plan_says_what_it_will_do() {
        let (image, keys) = (image(), keys());
        let name = "web1".parse().unwrap();
        let plan = wanted(&image, &keys).plan(
            &name,
            Uuid::from_u128(0xabcdef),
            (user(), vec![Forward::new("8080:80".parse().unwrap(), None)]),
        );
        assert_eq!(
            plan.lines(false),
            [
                "upload image `debian-12` into pool `default` as template `kiln-debian-12-0123456789ab.qcow2`",
                "define domain `web1` (00000000-0000-0000-0000-000000abcdef)",
                "create volume `web1.qcow2`, 20 GiB, a linked clone of the template",
                "create volume `web1-seed.iso`, the cloud-init seed",
                "create volume `web1-console.log`, the console's log",
                "forward 127.0.0.1:20022 to the machine's port 22",
                "forward the host's port 8080/tcp to the machine's port 80",
                "start `web1`",
            ]
        );
    }

    #[test]
    fn a_seed_from_a_server_is_on_no_drive() {
        let (image, keys) = (image(), keys());
        let url: SeedUrl = "http://192.168.122.1:8000".parse().unwrap();
        let plan = Wanted { seed_url: Some(&url), ..wanted(&image, &keys) }.plan(
            &"web1".parse().unwrap(),
            Uuid::from_u128(1),
            (user(), Vec::new()),
        );
        let xml = plan.xml();
        assert_eq!(xml.find_all("devices/disk").len(), 1);
        assert_eq!(xml.get("os/smbios/@mode").as_deref(), Some("sysinfo"));
        assert_eq!(
            xml.get("sysinfo/system/entry").as_deref(),
            Some("ds=nocloud;dsmode=net;s=http://192.168.122.1:8000/web1/")
        );
        assert!(plan.lines(true).contains(
            &"create volume `web1-seed.iso`, the cloud-init seed, which `kiln seed serve` hands to the guest"
                .to_owned()
        ));
    }

    #[test]
    fn the_same_wish_makes_the_same_xml() {
        let (image, keys) = (image(), keys());
        let name = "web1".parse().unwrap();
        let xml =
            || wanted(&image, &keys).plan(&name, Uuid::from_u128(1), (user(), Vec::new())).xml();
        assert_eq!(xml().to_string(), xml().to_string());
        let disk = xml().find("devices").unwrap().find_all("disk")[0].clone();
        assert_eq!(disk.attribute("type"), Some("file"));
        assert_eq!(disk.get("source/@file").as_deref(), Some("/var/lib/libvirt/images/web1.qcow2"));
    }

    #[test]
    fn in_a_ceph_pool_every_disk_has_all_monitors_and_the_login() {
        let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|host| host.parse().unwrap());
        let secret = kiln_libvirt::domain::RbdSecret::Uuid(Uuid::from_u128(9));
        let auth = Some(kiln_libvirt::domain::RbdAuth { user: "libvirt".into(), secret });
        let (pool, hosts) = ("vms".into(), hosts.into());
        let place = Place::Rbd(kiln_libvirt::storage::RbdPool { pool, hosts, auth });
        let (image, keys) = (image(), keys());
        let plan = Wanted { pool: "ceph", place: &place, ..wanted(&image, &keys) }.plan(
            &"web1".parse().unwrap(),
            Uuid::from_u128(0xabcdef),
            (user(), Vec::new()),
        );
        let template = plan.meta.template.clone().unwrap();
        assert_eq!(template.name, "kiln-debian-12-0123456789ab.raw");
        let names: Vec<String> =
            plan.meta.volumes().iter().map(|v| format!("{}/{}", v.pool, v.name)).collect();
        let wanted =
            ["ceph/web1-00abcdef.raw", "ceph/web1-00abcdef-seed.iso", "default/web1-console.log"];
        assert_eq!(names, wanted);
        let xml = plan.xml();
        let disks = xml.find_all("devices/disk");
        for disk in &disks {
            assert_eq!(disk.find_all("source/host").len(), 3, "{disk}");
            let secret = disk.get("source/auth/secret/@uuid");
            assert_eq!(secret, Some(Uuid::from_u128(9).to_string()), "{disk}");
        }
        assert_eq!(disks.len(), 2);
        assert_eq!(disks[0].get("source/@name").as_deref(), Some("vms/web1-00abcdef.raw"));
    }

    #[test]
    fn an_image_of_another_processor_is_refused() {
        let (mut image, keys) = (image(), keys());
        image.glance.processor = Some(Processor::Other(22));
        assert_eq!(
            wanted(&image, &keys).check().unwrap_err().to_string(),
            "image `debian-12` is for another processor (ELF machine 22), and this host is not"
        );
    }

    #[test]
    fn too_little_is_refused_with_the_numbers() {
        let (image, keys) = (image(), keys());
        let mut small = wanted(&image, &keys);
        small.disk = Some(Bytes::from_gib(1));
        assert_eq!(
            small.check().unwrap_err().to_string(),
            "image `debian-12` has a disk of 2 GiB, and `--disk` is only 1 GiB"
        );
        let mut small = wanted(&image, &keys);
        small.memory = Bytes::from_mib(64);
        assert_eq!(
            small.check().unwrap_err().to_string(),
            "image `debian-12` needs 128 MiB of memory, and `--memory` is 64 MiB"
        );
    }
}
