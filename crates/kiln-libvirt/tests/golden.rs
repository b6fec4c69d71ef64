// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Specifications become the XML of `golden/`, which libvirt's own schema accepts and libvirt's
//! test driver defines. `KILN_BLESS=1` writes the files anew.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::path::{Path, PathBuf};

use kiln_libvirt::connect::VirtType;
use kiln_libvirt::domain::{
    Cache, ChannelView, Cpu, DirectMode, Disk, DiskBus, DiskFormat, DiskSource, DiskView,
    DomainXml, Firmware, Interface, InterfaceKind, InterfaceView, PortForward, Rbd, RbdAuth,
    RbdHost, RbdSecret, Serial, SerialView,
};
use kiln_libvirt::network::{self, IpView, NetworkView};
use kiln_libvirt::storage::{PoolKind, PoolView, VolumeSpec, VolumeView, pool_element};
use kiln_libvirt::xml::Element;
use kiln_libvirt::{Connection, DomainSpec};
use kiln_spec::forward::Protocol;
use kiln_spec::mac::Mac;
use kiln_spec::network::{NetworkMode, NetworkSpec};
use kiln_spec::{Arch, Bytes};
use kiln_testkit::{need_program, run, variable};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn uuid(last: u8) -> uuid::Uuid {
    let mut bytes = [0x4b; 16];
    bytes[15] = last;
    uuid::Uuid::from_bytes(bytes)
}

fn file(path: &str) -> DiskSource {
    DiskSource::File(path.to_owned())
}

/// A machine with as little as possible.
fn least() -> DomainSpec {
    let mut spec = DomainSpec::new("least", VirtType::Kvm, Bytes::from_mib(512), 1);
    spec.uuid = Some(uuid(1));
    spec.agent = false;
    spec
}

/// What `kiln launch` makes in a session.
fn session() -> DomainSpec {
    let mut spec = DomainSpec::new("web1", VirtType::Qemu, Bytes::from_gib(2), 2);
    spec.uuid = Some(uuid(2));
    spec.title = Some("web <1> & more".to_owned());
    spec.metadata = Some(
        Element::new("machine")
            .attr("image", "debian-12")
            .child(Element::new("forward").attr("host", 2201).attr("guest", 22)),
    );
    spec.disks = vec![
        Disk::new("vda", file("/pool/web1.qcow2"), DiskFormat::Qcow2).boot(1),
        Disk::cdrom("sda", file("/pool/web1-seed.iso")),
        Disk::cdrom("sdb", DiskSource::Empty),
    ];
    let forward = |protocol, address: Option<&str>, host_port, guest_port| PortForward {
        protocol,
        address: address.map(|a| a.parse().unwrap()),
        host_port,
        guest_port,
    };
    let forwards = vec![
        forward(Protocol::Tcp, Some("127.0.0.1"), 2201, 22),
        forward(Protocol::Udp, None, 5353, 53),
    ];
    let mac = Some(Mac::qemu([1, 2, 3]));
    spec.interfaces = vec![Interface::new(InterfaceKind::User { forwards }, mac)];
    spec.serial = Serial { log: Some("/pool/web1.log".to_owned()), firmware: true };
    spec
}

/// Ceph, UEFI without secure boot, each kind of interface, each knob of a disk.
fn cluster() -> DomainSpec {
    let mut spec = DomainSpec::new("db1", VirtType::Kvm, Bytes::from_gib(4), 4);
    spec.uuid = Some(uuid(3));
    spec.firmware = Firmware::Uefi { secure_boot: false };
    let rbd = |image: &str, secret| {
        DiskSource::Rbd(Rbd {
            pool: "vms".to_owned(),
            image: image.to_owned(),
            hosts: vec![
                RbdHost { name: "172.16.1.10".to_owned(), port: Some(6789) },
                RbdHost { name: "mon2".to_owned(), port: None },
            ],
            auth: Some(RbdAuth { user: "libvirt".to_owned(), secret }),
        })
    };
    let mut data = Disk::new("sdc", DiskSource::Block("/dev/vg/data".to_owned()), DiskFormat::Raw);
    data.bus = DiskBus::Scsi;
    data.cache = Some(Cache::None);
    data.serial = Some("data-1".to_owned());
    data.readonly = true;
    let usage = RbdSecret::Usage("client.libvirt".to_owned());
    spec.disks = vec![
        Disk::new("vda", rbd("db1", RbdSecret::Uuid(uuid(9))), DiskFormat::Raw).boot(1),
        Disk::new("vdb", rbd("db1-more", usage), DiskFormat::Raw),
        data,
    ];
    let direct = InterfaceKind::Direct { device: "eth0".to_owned(), mode: DirectMode::Bridge };
    spec.interfaces = vec![
        Interface::new(InterfaceKind::Network("default".to_owned()), Some(Mac::qemu([0, 0, 1]))),
        Interface::new(InterfaceKind::Bridge("br0".to_owned()), None),
        Interface::new(direct, None),
    ];
    spec
}

/// Secure boot, and a processor by name.
fn secure() -> DomainSpec {
    let mut spec = DomainSpec::new("secure", VirtType::Qemu, Bytes::from_gib(1), 1);
    spec.uuid = Some(uuid(4));
    spec.firmware = Firmware::Uefi { secure_boot: true };
    spec.machine = Some("pc-q35-7.2".to_owned());
    spec.cpu = Cpu::Named("Skylake-Client".to_owned());
    spec
}

/// 64-bit ARM.
fn arm() -> DomainSpec {
    let mut spec = DomainSpec::new("arm", VirtType::Qemu, Bytes::from_gib(1), 1);
    spec.uuid = Some(uuid(5));
    spec.arch = Arch::Arm64;
    spec.firmware = Firmware::Uefi { secure_boot: false };
    spec.cpu = Cpu::Default;
    spec
}

fn domains() -> [(&'static str, DomainSpec); 5] {
    [
        ("least", least()),
        ("session", session()),
        ("cluster", cluster()),
        ("secure", secure()),
        ("arm", arm()),
    ]
}

fn volumes() -> [(&'static str, VolumeSpec); 2] {
    let mut raw = VolumeSpec::new("raw & more", DiskFormat::Raw, Bytes::from_mib(8));
    raw.allocation = Bytes::from_mib(8);
    raw.mode = Some(0o640);
    let clone = VolumeSpec::new("web1.qcow2", DiskFormat::Qcow2, Bytes::from_gib(20))
        .backed_by("/pool/debian-12.qcow2", DiskFormat::Qcow2);
    [("volume-raw", raw), ("volume-clone", clone)]
}

fn networks() -> [(&'static str, Element); 3] {
    let element = |mode, own: bool| {
        let spec = NetworkSpec {
            name: "lan".parse().unwrap(),
            mode,
            ipv4: own.then(|| "192.168.101.0/24".parse().unwrap()),
            dhcp: own.then(|| "192.168.101.100-192.168.101.199".parse().unwrap()),
            ipv6: own.then(|| "fd00:101::/64".parse().unwrap()),
            domain: own.then(|| "shop.lan".parse().unwrap()),
            hosts: own.then(|| "db.shop.lan=192.168.101.5".parse().unwrap()).into_iter().collect(),
        };
        network::element(&spec, uuid(6), &Element::new("network").attr("by", "test"))
    };
    [
        ("network-nat", element(NetworkMode::Nat, true)),
        ("network-bridge", element(NetworkMode::Bridge("br0".parse().unwrap()), false)),
        ("network-macvtap", element(NetworkMode::Macvtap("eth0".parse().unwrap()), false)),
    ]
}

/// Compares with the golden file, and lets libvirt's schema judge the file.
#[track_caller]
fn check(name: &str, schema: &str, xml: &Element) {
    let path = folder().join(name).with_extension("xml");
    let text = xml.to_string() + "\n";
    if variable("KILN_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{name}");
    validate(&path, schema);
}

#[track_caller]
fn validate(path: &Path, schema: &str) {
    if need_program("virt-xml-validate") {
        let _ = run(&["virt-xml-validate", path.to_str().unwrap(), schema]).success();
    }
}

#[test]
fn domains_are_written_as_the_schema_wants() {
    for (name, spec) in domains() {
        check(name, "domain", &spec.to_element());
    }
}

#[test]
fn pools_are_written_as_the_schema_wants() {
    let folder = tempfile::tempdir().unwrap();
    let text = str::to_owned;
    for kind in [
        PoolKind::Dir { folder: text("/srv/vms") },
        PoolKind::Nfs { host: text("nas"), export: text("/x"), mount: text("/mnt/x") },
        PoolKind::Lvm { group: text("vg0") },
    ] {
        let xml = pool_element("fast", Some(uuid(1)), &kind);
        let file = folder.path().join("pool.xml");
        std::fs::write(&file, xml.to_string()).unwrap();
        validate(&file, "storagepool");
        let view = PoolView(xml);
        assert_eq!(view.folder().as_deref(), kind.folder());
        let group = matches!(kind, PoolKind::Lvm { .. }).then(|| text("vg0"));
        assert_eq!(view.volume_group(), group);
    }
}

#[test]
fn volumes_are_written_as_the_schema_wants() {
    for (name, spec) in volumes() {
        check(name, "storagevol", &spec.to_element());
    }
}

#[test]
fn networks_are_written_as_the_schema_wants() {
    for (name, xml) in networks() {
        check(name, "network", &xml);
    }
}

#[test]
fn the_test_driver_defines_every_domain_and_tells_it_back() {
    let host = Connection::open("test:///default").unwrap();
    for (name, spec) in domains() {
        // The test driver chooses no firmware, and runs its own kind only.
        let is_uefi = spec.firmware != Firmware::Bios;
        let mut ours = spec.clone();
        ours.virt_type = VirtType::Test;
        ours.firmware = Firmware::Bios;
        ours.name = ["golden-", name].concat();
        let domain = host.define_domain(&ours).unwrap();
        let xml = domain.xml(kiln_libvirt::domain::XmlKind::Inactive).unwrap();
        domain.undefine().unwrap();
        assert!(!xml.is_uefi(), "{name}");
        assert_eq!(DomainXml(spec.to_element()).is_uefi(), is_uefi, "{name}");
        assert_eq!(xml.uuid(), spec.uuid, "{name}");
        assert_eq!(xml.memory(), Some(spec.memory), "{name}");
        assert_eq!(xml.vcpus(), Some(spec.vcpus), "{name}");
        assert_eq!(xml.title(), spec.title, "{name}");
        assert_eq!(xml.metadata(), spec.metadata, "{name}");
        let sources: Vec<_> = xml.disks().iter().map(|d| d.source().unwrap()).collect();
        let wanted: Vec<_> = spec.disks.iter().map(|d| d.source.clone()).collect();
        assert_eq!(sources, wanted, "{name}");
        for (view, disk) in xml.disks().iter().zip(&spec.disks) {
            assert_eq!(view.target().as_ref(), Some(&disk.target), "{name}");
            assert_eq!(view.is_readonly(), disk.readonly, "{name}");
            assert_eq!(view.boot_order(), disk.boot_order, "{name}");
        }
        for (view, interface) in xml.interfaces().iter().zip(&spec.interfaces) {
            if let InterfaceKind::User { forwards } = &interface.kind {
                assert_eq!(&view.forwards(), forwards, "{name}");
            }
            assert_eq!(view.model().as_ref(), Some(&interface.model), "{name}");
        }
        assert_eq!(xml.interfaces().len(), spec.interfaces.len(), "{name}");
        assert_eq!(xml.serials()[0].log(), spec.serial.log, "{name}");
        assert_eq!(xml.channels().len(), usize::from(spec.agent), "{name}");
    }
}

/// A domain as libvirt tells it, which Kiln did not make, with what Kiln never writes.
fn foreign() -> Element {
    let path = folder().join("foreign-domain.xml");
    Element::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn an_edit_keeps_what_kiln_does_not_know() {
    let before = std::fs::read_to_string(folder().join("foreign-domain.xml")).unwrap();
    let mut domain = DomainXml(foreign());
    assert_eq!(domain.0.to_string() + "\n", before);
    domain.set_title(&"changed".to_owned());
    let after = domain.0.to_string() + "\n";
    assert_eq!(after, before.replace("<title>by hand</title>", "<title>changed</title>"));
}

#[test]
fn a_drive_is_emptied_and_the_rest_of_it_stays() {
    let mut drive = DomainXml(foreign()).disks().into_iter().nth(1).unwrap();
    assert_eq!(drive.source(), Some(file("/iso/x.iso")));
    drive.eject();
    assert_eq!(drive.source(), Some(DiskSource::Empty));
    assert_eq!(drive.target().as_deref(), Some("sda"));
    assert!(drive.is_readonly());
    assert_eq!(drive.0.get("address/@unit").as_deref(), Some("0"));
}

/// Each property of each view is in a file that libvirt's schema accepts.
#[test]
fn every_property_of_every_view_is_exercised() {
    for (name, schema) in [
        ("foreign-domain.xml", "domain"),
        ("foreign-pool.xml", "storagepool"),
        ("foreign-pool-dir.xml", "storagepool"),
        ("foreign-pool-netfs.xml", "storagepool"),
        ("foreign-volume.xml", "storagevol"),
        ("foreign-network.xml", "network"),
    ] {
        validate(&folder().join(name), schema);
    }
    let read = |name: &str| {
        Element::parse(&std::fs::read_to_string(folder().join(name)).unwrap()).unwrap()
    };
    let domains = [foreign(), session().to_element(), cluster().to_element()];
    let parts = |path: &str| -> Vec<Element> {
        domains.iter().flat_map(|d| d.find_all(path)).cloned().collect()
    };
    let foreign_network = read("foreign-network.xml");
    let ips = foreign_network.find_all("ip").into_iter().cloned().collect();
    let networks = networks().map(|(_, xml)| xml).into_iter().chain([foreign_network]).collect();
    let pools = ["foreign-pool", "foreign-pool-dir", "foreign-pool-netfs"];
    let pools = pools.map(|name| read(&format!("{name}.xml"))).to_vec();
    for (view, props, elements) in [
        ("DomainXml", DomainXml::PROPS, domains.to_vec()),
        ("DiskView", DiskView::PROPS, parts("devices/disk")),
        ("InterfaceView", InterfaceView::PROPS, parts("devices/interface")),
        ("SerialView", SerialView::PROPS, parts("devices/serial")),
        ("ChannelView", ChannelView::PROPS, parts("devices/channel")),
        ("VolumeView", VolumeView::PROPS, vec![read("foreign-volume.xml")]),
        ("PoolView", PoolView::PROPS, pools),
        ("NetworkView", NetworkView::PROPS, networks),
        ("IpView", IpView::PROPS, ips),
    ] {
        for (prop, path) in props {
            let found = elements.iter().any(|e| e.get(path).is_some_and(|v| !v.is_empty()));
            assert!(found, "no golden file has {view}::{prop} ({path})");
        }
    }
}
