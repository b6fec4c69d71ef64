// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The difference between what a set wants and what the host has, as actions. Pure.
//!
//! **Invariant:** it looks at what is, and at nothing that an earlier run would have written down
//! for it: so whatever was killed on its way is seen as it is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use kiln_libvirt::domain::{DomainXml, RbdHost};
use kiln_libvirt::network::NetworkView;
use kiln_spec::forward::ForwardSpec;
use kiln_spec::interface::{Addressing, InterfaceSpec};
use kiln_spec::network::{NetworkMode, NetworkSpec};
use kiln_spec::set::PoolSource;
use kiln_spec::{Bytes, Tag};

use super::action::{Action, Object, What};
use super::found::{Found, HostDisk, HostMachine, HostPool};
use super::{Entry, Getting, Wanted};
use crate::error::{Class, Problem};
use crate::machine::meta::{Forward, Meta};
use crate::machine::{network, networks, pool};

/// Returns what is to be done so that the host has what is wanted.
///
/// # Errors
///
/// A name that somebody else has, a network or pool that is neither in the file nor on the host
/// (class object); a disk that is smaller than its image (class file).
pub(crate) fn compare(wanted: &Wanted, found: &Found) -> Result<Vec<Action>, Problem> {
    let mut all = Vec::new();
    of_networks(wanted, found, &mut all)?;
    of_secrets(wanted, found, &mut all)?;
    of_pools(wanted, found, &mut all)?;
    let machines = all.len();
    for (place, entry) in wanted.entries.iter().enumerate() {
        of_entry(wanted, entry, found)?;
        for number in 1..=entry.spec.machines() {
            of_machine((wanted, place, number), found, &mut all)?;
        }
    }
    let missing = missing(wanted, &all[machines..]);
    all.splice(machines..machines, missing);
    let named = |object: &Object| match object {
        Object::Machine(name) => wanted.entries.iter().any(|entry| has(entry, name)),
        Object::Network(name) => wanted.networks.iter().any(|n| n.name.as_str() == name),
        Object::Secret(name) => wanted.secrets.iter().any(|secret| secret.name == *name),
        Object::Pool(name) => wanted.pools.iter().any(|pool| pool.name.as_str() == name),
        Object::Image(_) => true,
    };
    let gone = all_of(&wanted.name, found).into_iter().filter(|action| !named(&action.object));
    for action in gone {
        still_used(wanted, &action.object)?;
        all.push(action);
    }
    Ok(all)
}

/// Returns what gets the images that are not in the store, and that these actions need.
fn missing(wanted: &Wanted, machines: &[Action]) -> Vec<Action> {
    let mut missing: BTreeMap<(&str, &Getting), bool> = BTreeMap::new();
    for action in machines {
        let (entry, only_anew) = match action.what {
            What::MakeMachine { entry, .. } => (entry, false),
            What::Anew { entry, .. } => (entry, true),
            _ => continue,
        };
        let image = &wanted.entries[entry].image;
        if let Some(how) = &image.missing {
            let anew = missing.entry((&image.name, how)).or_insert(true);
            *anew &= only_anew;
        }
    }
    let action = |((name, how), anew): ((&str, &Getting), bool)| Action {
        object: Object::Image(name.to_owned()),
        what: What::Get { how: how.clone(), anew },
    };
    missing.into_iter().map(action).collect()
}

/// Returns what takes away all that a set owns.
pub(crate) fn all_of(set: &str, found: &Found) -> Vec<Action> {
    let machines = found.machines.iter().filter(|(_, machine)| machine.set() == Some(set));
    let networks = found.networks.iter().filter(|(_, one)| one.owner.as_deref() == Some(set));
    let secrets = found.secrets.iter().filter(|(_, secret)| secret.owned);
    let pools = found.pools.iter().filter(|(_, pool)| pool.owned);
    let objects = machines
        .map(|(name, _)| Object::Machine(name.clone()))
        .chain(networks.map(|(name, _)| Object::Network(name.clone())))
        .chain(pools.map(|(name, _)| Object::Pool(name.clone())))
        .chain(secrets.map(|(name, _)| Object::Secret(name.clone())));
    objects.map(|object| Action { object, what: What::Remove }).collect()
}

fn has(entry: &Entry, name: &str) -> bool {
    (1..=entry.spec.machines()).any(|number| entry.spec.nth(number).as_str() == name)
}

/// Refuses to take what the file's machines and pools use: it was taken out of the file, and they were
/// not.
fn still_used(wanted: &Wanted, object: &Object) -> Result<(), Problem> {
    let name = object.name();
    let of_machine = |uses: fn(&Entry, &str) -> bool| {
        let entry = wanted.entries.iter().find(|entry| uses(entry, name))?;
        Some((format!("`{}`", entry.spec.name), ", or give the machine another"))
    };
    let user = match object {
        Object::Machine(_) | Object::Image(_) => None,
        Object::Network(_) => {
            of_machine(|entry, name| entry.spec.networks.iter().any(|one| one.network == name))
        }
        Object::Pool(_) => of_machine(|entry, name| entry.spec.pool.as_str() == name),
        Object::Secret(_) => {
            let pool = wanted.pools.iter().find(|pool| pool.source.secret() == Some(name));
            pool.map(|pool| (format!("the pool `{}`", pool.name), ""))
        }
    };
    let Some((user, or)) = user else { return Ok(()) };
    let kind = object.kind();
    let what = format!("{user} uses the {kind} `{name}`, which the file has no more");
    let hint = format!("put it back into the file's {kind}s{or}");
    Err(Problem::new(Class::File, what).hint(hint))
}

fn others(object: &Object, set: &str, owner: Option<&str>) -> Problem {
    let (kind, name) = (object.kind(), object.name());
    let whose = owner.map_or_else(String::new, |owner| format!(" of the set `{owner}`"));
    let what = format!("the host has a {kind} `{name}`{whose} already, which `{set}` did not make");
    let hint = match object {
        Object::Machine(_) => "choose another name".to_owned(),
        _ => format!("it can be used without that: leave it out of the file's {kind}s"),
    };
    Problem::new(Class::Object, what).hint(hint)
}

fn of_networks(wanted: &Wanted, found: &Found, all: &mut Vec<Action>) -> Result<(), Problem> {
    for spec in &wanted.networks {
        let object = Object::Network(spec.name.to_string());
        let Some(there) = found.networks.get(spec.name.as_str()) else {
            all.push(Action { object, what: What::MakeNetwork(spec.clone()) });
            continue;
        };
        if there.owner.as_deref() != Some(wanted.name.as_str()) {
            return Err(others(&object, &wanted.name, there.owner.as_deref()));
        }
        let why = differences(spec, &there.view);
        if !why.is_empty() {
            all.push(Action { object: object.clone(), what: What::Differs(why) });
        }
        if !there.active {
            all.push(Action { object, what: What::Activate });
        }
    }
    Ok(())
}

/// Returns in what a network is not as it is wanted.
fn differences(spec: &NetworkSpec, view: &NetworkView) -> Vec<String> {
    let mut why = Vec::new();
    let mut differs = |what: &str, is: Option<String>, wanted: Option<String>| {
        if is != wanted {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
            why.push(format!("its {what} is {} and not {}", shown(is), shown(wanted)));
        }
    };
    differs("mode", Some(networks::mode(view)), Some(spec.mode.word().to_owned()));
    let device = match &spec.mode {
        NetworkMode::Bridge(device) | NetworkMode::Macvtap(device) => Some(device.to_string()),
        _ => None,
    };
    // Of a network of its own the bridge's name is libvirt's choice.
    let is = if spec.mode.is_libvirts() { None } else { view.bridge().or(view.device()) };
    differs("device", is, device);
    let (ips, text) = (view.ips(), |net: ipnet::IpNet| net.to_string());
    let nets = |v4: bool| {
        let nets = ips.iter().filter_map(kiln_libvirt::network::IpView::net);
        nets.filter(|net| net.addr().is_ipv4() == v4).map(text).next()
    };
    differs("subnet", nets(true), spec.ipv4.map(|net| net.to_string()));
    differs("IPv6 subnet", nets(false), spec.ipv6.map(|net| net.to_string()));
    let range = ips.iter().find_map(|ip| Some(format!("{}-{}", ip.dhcp_start()?, ip.dhcp_end()?)));
    differs("range of DHCP", range, spec.dhcp.map(|range| range.to_string()));
    differs("domain", view.domain(), spec.domain.as_ref().map(ToString::to_string));
    let shown = |mut hosts: Vec<String>| {
        hosts.sort();
        (!hosts.is_empty()).then(|| hosts.join(", "))
    };
    let host = |name: &str, ip: IpAddr| format!("{name}={ip}");
    let is = view.dns_hosts().iter().map(|(name, ip)| host(name, *ip)).collect();
    let hosts = spec.hosts.iter().map(|one| host(one.name.as_str(), one.address)).collect();
    differs("names", shown(is), shown(hosts));
    why
}

fn of_secrets(wanted: &Wanted, found: &Found, all: &mut Vec<Action>) -> Result<(), Problem> {
    for secret in &wanted.secrets {
        let object = Object::Secret(secret.name.clone());
        let Some(there) = found.secrets.get(&secret.name) else {
            all.push(Action { object, what: What::MakeSecret(secret.clone()) });
            continue;
        };
        if !there.owned {
            return Err(others(&object, &wanted.name, None));
        }
        match &there.user {
            Some(user) if *user != secret.entry.user => {
                let why = format!("it is of client.{user} and not client.{}", secret.entry.user);
                all.push(Action { object, what: What::Differs(vec![why]) });
            }
            _ if there.key.as_ref() != Some(&secret.entry.key) => {
                all.push(Action { object, what: What::GiveKey(secret.clone()) });
            }
            _ => {}
        }
    }
    Ok(())
}

fn of_pools(wanted: &Wanted, found: &Found, all: &mut Vec<Action>) -> Result<(), Problem> {
    for spec in &wanted.pools {
        let object = Object::Pool(spec.name.to_string());
        let Some(there) = found.pools.get(spec.name.as_str()) else {
            all.push(Action { object, what: What::MakePool(spec.clone()) });
            continue;
        };
        if !there.owned {
            return Err(others(&object, &wanted.name, None));
        }
        let why = pool_differences(&spec.source, there);
        if !why.is_empty() {
            all.push(Action { object: object.clone(), what: What::Differs(why) });
        }
        if !there.active {
            all.push(Action { object, what: What::Activate });
        }
    }
    Ok(())
}

fn folder_differs(wanted: &str, there: &HostPool) -> Option<String> {
    let folder = there.folder.clone().unwrap_or_default();
    let same = Path::new(&folder) == Path::new(wanted);
    (!same).then(|| format!("its folder is {folder} and not {wanted}"))
}

/// Returns in what a pool is not as it is wanted.
fn pool_differences(wanted: &PoolSource, there: &HostPool) -> Vec<String> {
    let rbd = match (wanted, &there.rbd) {
        (PoolSource::Lvm(wanted), None) => {
            let Some(is) = &there.group else { return vec!["it is of another kind".to_owned()] };
            let why =
                (is != wanted).then(|| format!("it is the volume group {is} and not {wanted}"));
            return why.into_iter().collect();
        }
        (PoolSource::Dir(wanted), None) if there.nfs.is_none() && there.group.is_none() => {
            return folder_differs(wanted, there).into_iter().collect();
        }
        (PoolSource::Nfs { from, mount }, None) => {
            let Some(is) = &there.nfs else { return vec!["it is of another kind".to_owned()] };
            let why = (is != from).then(|| format!("it is of {is} and not {from}"));
            return why.into_iter().chain(folder_differs(mount, there)).collect();
        }
        (PoolSource::Rbd(rbd), Some(there)) => (rbd, there),
        _ => return vec!["it is of another kind".to_owned()],
    };
    let (wanted, is) = rbd;
    let mut why = Vec::new();
    if is.pool != wanted.pool {
        why.push(format!("it is Ceph's {} and not {}", is.pool, wanted.pool));
    }
    // Those of the file were read before.
    let monitors: Vec<RbdHost> =
        wanted.monitors.iter().filter_map(|monitor| monitor.parse().ok()).collect();
    if is.hosts != monitors {
        why.push("its monitors are others".to_owned());
    }
    let user = is.auth.as_ref().map(|auth| auth.user.as_str());
    if wanted.user.as_deref().is_some_and(|wanted| Some(wanted) != user) {
        why.push(format!("its Ceph user is {}", user.unwrap_or("none")));
    }
    why
}

/// Checks what is the same for all machines of an entry.
fn of_entry(wanted: &Wanted, entry: &Entry, found: &Found) -> Result<(), Problem> {
    let (spec, image) = (&entry.spec, &entry.image);
    let name = &spec.name;
    if let Some(disk) = spec.disk.filter(|disk| *disk < image.size) {
        let what = format!(
            "the disk of `{name}` is to have {disk}, and its image `{}` has {}",
            image.name, image.size
        );
        return Err(Problem::new(Class::File, what)
            .hint("a disk can be bigger than its image, not smaller"));
    }
    if spec.memory < image.least_memory {
        let (memory, least) = (spec.memory, image.least_memory);
        let what = format!(
            "`{name}` is to have {memory} of memory, and its image `{}` needs {least}",
            image.name
        );
        return Err(Problem::new(Class::File, what));
    }
    let missing = |kind: &str, word: &str| {
        let what =
            format!("`{name}` needs the {kind} `{word}`, which is neither there nor in the file");
        let hint =
            format!("name it in the file's {kind}s, or make it: `kiln {kind} create {word} …`");
        Err(Problem::new(Class::Object, what).hint(hint))
    };
    let here = |pool: &str| wanted.pools.iter().any(|own| own.name.as_str() == pool);
    let pool = spec.pool.as_str();
    if pool != pool::DEFAULT && !here(pool) && !found.pools.contains_key(pool) {
        return missing("pool", pool);
    }
    for interface in &spec.networks {
        let of = interface.network.as_str();
        let here = wanted.networks.iter().any(|own| own.name.as_str() == of);
        if of != network::USER && !here && !found.networks.contains_key(of) {
            return missing("network", of);
        }
    }
    Ok(())
}

fn of_machine(
    (wanted, entry, number): (&Wanted, usize, u32),
    found: &Found,
    all: &mut Vec<Action>,
) -> Result<(), Problem> {
    let Entry { spec, image, .. } = &wanted.entries[entry];
    let name = spec.nth(number).to_string();
    let object = Object::Machine(name.clone());
    let mut push = |what| all.push(Action { object: object.clone(), what });
    let interfaces = interfaces(spec, number, &found.usual)?;
    let forwards = forwards(&spec.forwards, number)?;
    let Some(there) = found.machines.get(&name) else {
        let cpus = if spec.cpus == 1 { "cpu" } else { "cpus" };
        let mut detail = format!("image {}, {} {cpus}, {}", image.name, spec.cpus, spec.memory);
        let known = image.missing.is_none().then_some(image.size);
        detail.extend(spec.disk.or(known).map(|disk| format!(", disk {disk}")));
        detail.extend(interfaces.iter().map(|interface| format!(", {interface}")));
        detail.extend(forwards.iter().map(|forward| format!(", {forward} to {}", forward.to)));
        detail.extend(spec.dns.iter().map(|server| format!(", name in the DNS server {server}")));
        push(What::MakeMachine { entry, number, detail });
        return Ok(());
    };
    let meta = match &there.meta {
        Some(meta) if there.set() == Some(wanted.name.as_str()) => meta,
        _ => return Err(others(&object, &wanted.name, there.set())),
    };
    let why = anew(&wanted.entries[entry], meta, there, &interfaces);
    if !why.is_empty() {
        push(What::Anew { entry, number, why });
    }
    let mut waits = Vec::new();
    if let Some(is) = there.xml.vcpus().filter(|is| *is != spec.cpus) {
        push(What::Cpus(is, spec.cpus));
    }
    if let Some(is) = there.xml.memory().filter(|is| *is != whole_kib(spec.memory)) {
        push(What::Memory(is, spec.memory));
    }
    if let (HostDisk::Is(is), Some(disk)) = (there.disk, spec.disk)
        && is < disk
    {
        push(What::Disk(is, disk));
    }
    if let Some(wish) = spec.autostart.filter(|wish| *wish != there.autostart) {
        push(What::Autostart(wish));
    }
    let tags: Vec<String> = spec.tags.iter().map(Tag::to_string).collect();
    if tags != meta.tags {
        push(What::Tags(tags));
    }
    names(spec, meta).into_iter().for_each(&mut push);
    let gone = without(&meta.forwards, &forwards);
    let new = without(&forwards, &meta.forwards);
    let passt = interfaces.first().is_some_and(|first| first.network == network::USER);
    let told = passt && (!gone.is_empty() || !new.is_empty());
    if !gone.is_empty() {
        push(What::TakeForwards(gone));
    }
    if !new.is_empty() {
        push(What::AddForwards(new));
    }
    let Some(live) = &there.live else {
        push(What::Start);
        return Ok(());
    };
    let cpus = (there.xml.vcpus(), live.vcpus(), live.online_vcpus());
    if waits_for(spec.cpus, cpus) {
        waits.push("its processors");
    }
    let memory = (there.xml.memory(), live.memory(), live.current_memory());
    if waits_for(whole_kib(spec.memory), memory) {
        waits.push("its memory");
    }
    if told || ports(live) != ports(&there.xml) {
        waits.push("its forwards");
    }
    if !waits.is_empty() {
        push(What::Restart(waits.join(" and ")));
    }
    Ok(())
}

/// Returns whether what a machine is to have comes only with a restart: it is more than the machine was
/// started with, or its next start has it, and the guest would not give back what it has more now.
fn waits_for<T: PartialOrd>(wish: T, (next, most, now): (Option<T>, Option<T>, Option<T>)) -> bool {
    let wish = Some(wish);
    wish > most || (next == wish && now != wish)
}

/// libvirt keeps memory in KiB.
fn whole_kib(memory: Bytes) -> Bytes {
    Bytes(memory.0 / 1024 * 1024)
}

/// Returns what passt is told, as it stands.
fn ports(xml: &DomainXml) -> Vec<String> {
    let all = xml.0.find_all("devices/interface/portForward");
    all.into_iter().map(ToString::to_string).collect()
}

/// Returns what is done so that a DNS server has a machine's name. One that has nothing of it yet was
/// not there when it was asked.
fn names(spec: &kiln_spec::set::MachineSpec, meta: &Meta) -> Vec<What> {
    let wished = spec.dns.as_ref().map(ToString::to_string);
    let has = meta.dns.as_ref();
    let gone = has.filter(|dns| Some(&dns.server) != wished.as_ref());
    let there =
        has.is_some_and(|dns| Some(&dns.server) == wished.as_ref() && !dns.records.is_empty());
    let gone = gone.map(|dns| What::Unname(dns.server.clone()));
    gone.into_iter().chain(wished.filter(|_| !there).map(What::Name)).collect()
}

fn without(all: &[Forward], others: &[Forward]) -> Vec<Forward> {
    all.iter().filter(|forward| !others.contains(forward)).cloned().collect()
}

/// Returns the interfaces of the machine of this number.
fn interfaces(
    spec: &kiln_spec::set::MachineSpec,
    number: u32,
    usual: &str,
) -> Result<Vec<InterfaceSpec>, Problem> {
    let usual = [InterfaceSpec::on(usual)];
    let first: &[InterfaceSpec] = if spec.networks.is_empty() { &usual } else { &spec.networks };
    let all = first.iter().map(|interface| interface.counted(number));
    // The reader has counted them, too.
    all.collect::<Result<_, _>>().map_err(|error| Problem::new(Class::File, error.to_string()))
}

fn forwards(specs: &[ForwardSpec], number: u32) -> Result<Vec<Forward>, Problem> {
    let all = specs.iter().map(|spec| Ok(Forward::new(spec.counted(number)?, None)));
    let all: Result<Vec<_>, kiln_spec::forward::ForwardError> = all.collect();
    all.map_err(|error| Problem::new(Class::File, error.to_string()))
}

/// Returns why a machine would have to be made anew to be as it is wanted.
fn anew(entry: &Entry, meta: &Meta, there: &HostMachine, wish: &[InterfaceSpec]) -> Vec<String> {
    let (spec, image) = (&entry.spec, &entry.image);
    let mut why = Vec::new();
    // One that hangs on nothing, made so or since, knows its template by name only.
    let same = match (&image.template, &meta.template) {
        (Some(template), Some(own)) => template == own,
        (Some(_), None) => meta.image == image.name,
        (None, _) => meta.digest == image.digest,
    };
    if image.missing.is_some() {
        why.push(format!("its image `{}` is not in the store yet", image.name));
    } else if !same {
        why.push(format!("its image is another `{}`", image.name));
    }
    if spec.full && meta.template.is_some() {
        why.push("its disk hangs on a template".to_owned());
    }
    if meta.disk.pool != spec.pool.as_str() {
        why.push(format!("its disk is in the pool `{}`", meta.disk.pool));
    }
    match there.disk {
        HostDisk::Gone => why.push("its disk is gone".to_owned()),
        HostDisk::Is(is) if spec.disk.is_some_and(|disk| disk < is) => {
            why.push(format!("its disk of {is} cannot shrink"));
        }
        HostDisk::Is(_) | HostDisk::Unknown => {}
    }
    if there.xml.is_uefi() != spec.uefi {
        why.push("its firmware is the other one".to_owned());
    }
    let own = meta.owner.as_ref();
    if own.is_some_and(|own| own.login != entry.owner.login) {
        why.push("its login is another".to_owned());
    }
    if own.is_some_and(|own| own.user_data != entry.owner.user_data) {
        why.push("what it was told at its first boot (user-data and the like) is other".to_owned());
    }
    if !attached(meta, &there.xml, wish) {
        why.push("its interfaces are others".to_owned());
    } else if own.is_some_and(|own| own.told != entry.owner.told) {
        why.push("its guest was told of other networks, gateways or name servers".to_owned());
    }
    why
}

/// Returns whether a machine has these interfaces, in this order.
fn attached(meta: &Meta, xml: &DomainXml, wish: &[InterfaceSpec]) -> bool {
    let all = xml.interfaces();
    let alike = |(wish, is): (&InterfaceSpec, &kiln_libvirt::domain::InterfaceView)| {
        let place = match is.kind().as_deref() {
            Some("user") => network::USER.to_owned(),
            _ => is.network().unwrap_or_default(),
        };
        let Some(mac) = is.mac() else { return false };
        if place != wish.network || wish.mac.is_some_and(|wish| wish != mac) {
            return false;
        }
        let mac = mac.to_string();
        let told: Vec<IpAddr> =
            meta.addresses.iter().filter(|own| own.mac == mac).map(|own| own.ip).collect();
        match &wish.addressing {
            Addressing::Static(own) => {
                told == own.addresses.iter().map(ipnet::IpNet::addr).collect::<Vec<_>>()
            }
            Addressing::Reserved(Some(ip)) => {
                let ip = ip.to_string();
                meta.reservations.iter().any(|own| own.mac == mac && own.ip == ip)
            }
            // A reservation that a forward has made is no reason.
            Addressing::Dhcp => told.is_empty(),
            Addressing::Reserved(None) => meta.reservations.iter().any(|own| own.mac == mac),
        }
    };
    all.len() == wish.len() && wish.iter().zip(&all).all(alike)
}
