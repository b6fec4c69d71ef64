// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Everything that libvirt's own test driver can do. Its host is one for the whole process, so
//! each test has names of its own.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::time::{Duration, Instant};

use kiln_libvirt::connect::VirtType;
use kiln_libvirt::domain::{Apply, Disk, DiskFormat, DiskSource, Shutdown, State, XmlKind};
use kiln_libvirt::event::{Event, Lifecycle, Stop, Subscription};
use kiln_libvirt::network::{DhcpHost, ForwardMode};
use kiln_libvirt::storage::{PoolState, VolumeSpec};
use kiln_libvirt::xml::Element;
use kiln_libvirt::{Connection, Domain, DomainSpec};
use kiln_spec::Bytes;
use kiln_spec::mac::Mac;

fn host() -> Connection {
    Connection::open("test:///default").unwrap()
}

fn spec(name: &str) -> DomainSpec {
    DomainSpec::new(name, VirtType::Test, Bytes::from_mib(64), 1)
}

/// Waits for events about a domain until one matches; returns all of them.
fn changes(events: &Subscription, domain: &Domain, last: Lifecycle) -> Vec<Lifecycle> {
    let end = Instant::now() + Duration::from_secs(10);
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        assert!(Instant::now() < end, "only {seen:?} came");
        match events.next_within(Duration::from_secs(1)) {
            Some(Event::Lifecycle { domain: subject, change }) if subject.name == domain.name() => {
                assert_eq!(subject.uuid, domain.uuid());
                seen.push(change);
            }
            _ => {}
        }
    }
    seen
}

#[test]
fn the_host_tells_about_itself() {
    let host = host();
    assert_eq!(host.uri().as_str(), "test:///default");
    assert_eq!(host.driver(), "TEST");
    assert!(host.is_local() && host.is_alive() && !host.is_session());
    assert!(host.lib_version().unwrap().major >= 9);
    assert!(host.hypervisor_version().unwrap().to_string().contains('.'));
    assert!(!host.hostname().unwrap().is_empty());
    assert_eq!(host.node_info().unwrap().cpus, 16);
    assert_eq!(host.node_info().unwrap().memory, Bytes::from_gib(3));
    assert_eq!(host.node_info().unwrap().model, "i686");
    let capabilities = Element::parse(&host.capabilities_xml().unwrap()).unwrap();
    assert_eq!(capabilities.name, "capabilities");
}

#[test]
fn a_uri_that_leads_nowhere_is_an_error_that_names_it() {
    let error = Connection::open("test:///nonexistent/file.xml").unwrap_err();
    assert_eq!(error.to_string(), "could not connect to `test:///nonexistent/file.xml`");
    assert!(error.libvirt().is_some());
    assert!(!error.is_not_found() && !error.is_connection_lost());
    let error = Connection::open("a\0b").unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "a text holds a zero byte");
}

#[test]
fn a_domain_lives_and_dies_and_its_events_are_told() {
    let host = host();
    let events = host.subscribe().unwrap();
    let domain = host.define_domain(&spec("life")).unwrap();
    assert_eq!(domain.state().unwrap(), State::Off);
    assert!(domain.is_persistent().unwrap());
    assert!(host.domains().unwrap().iter().any(|d| d.name() == "life"));
    assert_eq!(host.domain("life").unwrap().uuid(), domain.uuid());
    assert_eq!(host.domain_by_uuid(domain.uuid()).unwrap().name(), "life");

    domain.start().unwrap();
    assert_eq!(domain.state().unwrap(), State::Running);
    assert!(domain.start().is_err());
    domain.suspend().unwrap();
    assert_eq!(domain.state().unwrap(), State::Paused);
    domain.resume().unwrap();
    let info = domain.info().unwrap();
    assert_eq!((info.max_memory, info.vcpus), (Bytes::from_mib(64), 1));
    domain.destroy().unwrap();
    assert!(domain.destroy().is_err());
    assert!(domain.shutdown(Shutdown::Acpi).is_err());
    assert_eq!(domain.state().unwrap(), State::Off);
    assert!(!domain.autostart().unwrap());
    domain.set_autostart(true).unwrap();
    assert!(domain.autostart().unwrap());
    domain.undefine().unwrap();

    assert_eq!(
        changes(&events, &domain, Lifecycle::Undefined),
        [
            Lifecycle::Defined,
            Lifecycle::Started,
            Lifecycle::Suspended,
            Lifecycle::Resumed,
            Lifecycle::Stopped(Stop::Destroyed),
            Lifecycle::Undefined,
        ]
    );
    let error = host.domain("life").unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "could not find the domain `life`");
    assert!(domain.state().unwrap_err().is_not_found());
}

#[test]
fn a_name_can_be_taken_once() {
    let host = host();
    let mut first = spec("taken");
    first.uuid = Some(uuid::Uuid::from_bytes([7; 16]));
    let domain = host.define_domain(&first).unwrap();
    let error = host.define_domain(&spec("taken")).unwrap_err();
    assert!(error.is_exists(), "{error:?}");
    assert_eq!(error.to_string(), "could not define the domain `taken`");
    // The same UUID replaces the definition.
    first.title = Some("again".to_owned());
    let again = host.define_domain(&first).unwrap();
    assert_eq!(again.xml(XmlKind::Inactive).unwrap().title().as_deref(), Some("again"));
    domain.undefine().unwrap();
}

#[test]
fn of_many_who_define_a_name_at_once_one_succeeds() {
    let host = host();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| host.define_domain(&spec("race")))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let (ok, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(ok.len(), 1);
    assert!(failed.into_iter().all(|e| e.unwrap_err().is_exists()));
    host.domain("race").unwrap().undefine().unwrap();
}

#[test]
fn a_definition_that_libvirt_refuses_is_not_taken_for_one_that_exists() {
    let xml = spec("refused").to_element();
    let mut wrong = xml.clone();
    wrong.set("os/type", "no-such-type");
    let error = host().define_domain_xml(&wrong).unwrap_err();
    assert!(!error.is_exists() && !error.is_not_found(), "{error:?}");
    assert!(host().domain("refused").unwrap_err().is_not_found());
}

#[test]
fn metadata_is_written_read_and_removed() {
    let host = host();
    let domain = host.define_domain(&spec("metadata")).unwrap();
    assert_eq!(domain.metadata().unwrap(), None);
    let first = Element::new("machine").attr("image", "a'b<c>&").child(Element::new("x").text("1"));
    domain.set_metadata(Some(&first)).unwrap();
    assert_eq!(domain.metadata().unwrap().as_ref(), Some(&first));
    assert_eq!(domain.xml(XmlKind::Inactive).unwrap().metadata().as_ref(), Some(&first));
    domain.start().unwrap();
    let second = Element::new("machine").attr("image", "second");
    domain.set_metadata(Some(&second)).unwrap();
    assert_eq!(domain.xml(XmlKind::Active).unwrap().metadata().as_ref(), Some(&second));
    assert_eq!(domain.xml(XmlKind::Inactive).unwrap().metadata(), Some(second));
    domain.set_metadata(None).unwrap();
    assert_eq!(domain.metadata().unwrap(), None);
    domain.destroy().unwrap();
    domain.undefine().unwrap();
}

#[test]
fn what_the_driver_lacks_is_told_as_unsupported() {
    let host = host();
    let domain = host.define_domain(&spec("lacks")).unwrap();
    let error = domain.agent(Duration::from_secs(1)).ping().unwrap_err();
    assert!(error.is_unsupported(), "{error:?}");
    assert_eq!(error.to_string(), "could not ask the guest agent of `lacks`");
    assert!(domain.eject("sda").unwrap_err().is_not_found());
    let disk = Disk::new("vdb", DiskSource::File("/x".to_owned()), DiskFormat::Raw);
    assert!(domain.update_device(&disk.to_element(), Apply::Config).is_err());
    domain.undefine().unwrap();
}

#[test]
fn a_reserved_address_comes_and_goes() {
    let host = host();
    assert!(host.networks().unwrap().iter().any(|n| n.name() == "default"));
    let xml = Element::new("network")
        .child(Element::new("name").text("reserved"))
        .child(Element::new("forward").attr("mode", "nat"))
        .child(
            Element::new("ip").attr("address", "10.1.2.1").attr("netmask", "255.255.255.0").child(
                Element::new("dhcp").child(
                    Element::new("range").attr("start", "10.1.2.100").attr("end", "10.1.2.199"),
                ),
            ),
        );
    let network = host.define_network_xml(&xml).unwrap();
    let error = host.define_network_xml(&xml).unwrap_err();
    assert!(error.is_exists(), "{error:?}");
    assert!(!network.is_active().unwrap());
    let one = DhcpHost {
        mac: Some(Mac::qemu([0, 0, 9])),
        ip: "10.1.2.9".parse().unwrap(),
        name: Some("web9".to_owned()),
    };
    network.add_dhcp_host(&one).unwrap();
    network.start().unwrap();
    assert!(network.is_active().unwrap());
    assert!(network.start().unwrap_err().is_operation_invalid());
    let two =
        DhcpHost { mac: Some(Mac::qemu([0, 0, 8])), ip: "10.1.2.8".parse().unwrap(), name: None };
    network.add_dhcp_host(&two).unwrap();
    assert!(network.add_dhcp_host(&two).unwrap_err().is_operation_invalid());
    let view = network.xml().unwrap();
    assert_eq!(view.forward_mode(), Some(ForwardMode::Nat));
    assert_eq!(view.ips()[0].prefix(), Some(24));
    assert_eq!(view.ips()[0].dhcp_hosts(), [one.clone(), two]);
    network.remove_dhcp_host(&one).unwrap();
    assert!(network.remove_dhcp_host(&one).unwrap_err().is_operation_invalid());
    assert_eq!(network.xml().unwrap().ips()[0].dhcp_hosts().len(), 1);
    network.set_autostart(true).unwrap();
    assert!(network.autostart().unwrap());
    network.stop().unwrap();
    network.undefine().unwrap();
    assert!(host.network("reserved").unwrap_err().is_not_found());
}

#[test]
fn a_pool_and_its_volumes() {
    let host = host();
    let pool = host.define_dir_pool("vols", "/vols").unwrap();
    let error = host.define_dir_pool("vols", "/elsewhere").unwrap_err();
    assert!(error.is_exists(), "{error:?}");
    assert_eq!(pool.info().unwrap().state, PoolState::Inactive);
    pool.build().unwrap();
    pool.start().unwrap();
    assert!(pool.start().unwrap_err().is_operation_invalid());
    assert!(pool.is_active().unwrap());
    pool.set_autostart(true).unwrap();
    assert!(pool.autostart().unwrap());
    assert_eq!(pool.info().unwrap().state, PoolState::Running);
    assert_eq!(pool.xml().unwrap().target_path().as_deref(), Some("/vols"));
    assert!(host.pool_by_target("/vols").unwrap_err().is_unsupported());

    let base = VolumeSpec::new("base", DiskFormat::Raw, Bytes::from_mib(8));
    let volume = pool.create_volume(&base).unwrap();
    let error = pool.create_volume(&base).unwrap_err();
    assert!(error.is_exists(), "{error:?}");
    assert_eq!(error.to_string(), "could not make the volume `base`");
    assert_eq!(volume.path().unwrap(), "/vols/base");
    assert_eq!(volume.info().unwrap().capacity, Bytes::from_mib(8));
    assert_eq!(volume.xml().unwrap().capacity(), Some(8 << 20));
    assert_eq!(volume.pool().unwrap().name(), "vols");
    assert_eq!(host.volume_by_path("/vols/base").unwrap().name(), "base");
    let copy = VolumeSpec { name: "copy".to_owned(), ..base };
    pool.clone_volume(&copy, &volume, false).unwrap();
    let mut names: Vec<_> = pool.volumes().unwrap().iter().map(|v| v.name().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["base", "copy"]);
    volume.delete().unwrap();
    assert!(pool.volume("base").unwrap_err().is_not_found());
    pool.volume("copy").unwrap().delete().unwrap();
    assert!(pool.undefine().unwrap_err().is_operation_invalid());
    pool.stop().unwrap();
    pool.undefine().unwrap();
    assert!(host.pool("vols").unwrap_err().is_not_found());
    assert!(!host.pools().unwrap().iter().any(|p| p.name() == "vols"));
}

#[test]
fn a_subscription_ends_when_it_is_dropped() {
    let host = host();
    for round in 0..50 {
        let events = host.subscribe().unwrap();
        if round % 2 == 0 {
            assert!(events.next_now().is_none() || round > 0);
        }
    }
    let events = host.subscribe().unwrap();
    let domain = host.define_domain(&spec("dropped")).unwrap();
    assert_eq!(changes(&events, &domain, Lifecycle::Defined), [Lifecycle::Defined]);
    domain.undefine().unwrap();
}

#[test]
fn the_time_in_libvirt_is_counted() {
    let (all, mine) =
        (kiln_libvirt::time_in_libvirt(), kiln_libvirt::time_in_libvirt_of_this_thread());
    let begin = Instant::now();
    host().domains().unwrap();
    let spent = kiln_libvirt::time_in_libvirt_of_this_thread() - mine;
    assert!(spent > Duration::ZERO && spent <= begin.elapsed());
    assert!(kiln_libvirt::time_in_libvirt() >= all + spent);
    let of_another = std::thread::spawn(kiln_libvirt::time_in_libvirt_of_this_thread);
    assert_eq!(of_another.join().unwrap(), Duration::ZERO);
}
