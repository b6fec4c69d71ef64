// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Updates against BIND's `named`, and against what is no server.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::Instant;

use kiln_dns::claim::{Claim, Withdrawn, point, unpoint};
use kiln_dns::record::reverse;
use kiln_dns::{Data, DnsError, Record, Server, TsigKey};
use kiln_testkit::named::{Named, ZONE};
use uuid::Uuid;

const NAME: &str = "web1.lab.example";

fn key(path: &Path) -> TsigKey {
    TsigKey::parse(&std::fs::read_to_string(path).expect("a key file")).expect("a key")
}

fn now() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program hands the time in; so does this test"
    )]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).expect("it is later").as_secs()
}

fn server(named: &Named) -> Server {
    Server::new(("127.0.0.1", named.port), key(&named.key), now)
}

fn claim(machine: u128) -> Claim<'static> {
    Claim { zone: ZONE, name: NAME, machine: Uuid::from_u128(machine), ttl: 60 }
}

fn a(text: &str) -> Data {
    Data::of(text.parse().expect("an address"))
}

macro_rules! named {
    ($folder:ident) => {{
        let Some(named) = Named::start($folder.path()) else { return };
        named
    }};
}

#[test]
fn a_name_is_taken_changed_and_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let named = named!(folder);
    let server = server(&named);
    let (one, six, two) = (a("10.1.2.3"), a("fd00::5"), a("10.1.2.4"));
    claim(7).check(&server).unwrap();
    assert!(named.dig(NAME, "ANY").is_empty(), "a question changes nothing");
    // Twice: as after an answer that was lost.
    for _ in 0..2 {
        claim(7).put(&server, &[], &[one.clone(), six.clone()]).unwrap();
        assert_eq!(named.dig(NAME, "A"), ["10.1.2.3"]);
        assert_eq!(named.dig(NAME, "AAAA"), ["fd00::5"]);
    }
    assert_eq!(named.dig(NAME, "DHCID").len(), 1);
    claim(7).put(&server, &[one, six.clone()], &[two.clone(), six.clone()]).unwrap();
    assert_eq!(named.dig(NAME, "A"), ["10.1.2.4"]);
    // What others add to it is theirs.
    let other = format!("update add {NAME} 60 TXT \"rack 4\"");
    named.nsupdate(&[&other]);
    assert_eq!(claim(7).withdraw(&server, &[two.clone(), six]).unwrap(), Withdrawn::Gone);
    assert_eq!(named.dig(NAME, "TXT"), ["\"rack 4\""]);
    for kind in ["A", "AAAA", "DHCID"] {
        assert!(named.dig(NAME, kind).is_empty(), "{kind}");
    }
    assert_eq!(claim(7).withdraw(&server, &[two]).unwrap(), Withdrawn::NotOurs);
}

#[test]
fn an_address_leads_to_its_machine() {
    let folder = tempfile::tempdir().unwrap();
    let named = named!(folder);
    let server = server(&named);
    for (ip, zone) in [("10.1.2.3", "10.in-addr.arpa"), ("fd00::5", "d.f.ip6.arpa")] {
        let name = reverse(ip.parse().unwrap());
        assert_eq!(server.zone_of(&name).unwrap(), zone);
        let to = |name: &str| Data::Ptr(name.to_owned());
        let record = Record { zone: zone.to_owned(), name: name.clone(), data: to(NAME) };
        for _ in 0..2 {
            point(&server, &record, 60).unwrap();
            assert_eq!(named.dig(&name, "PTR"), [format!("{NAME}.")]);
        }
        let other = Record { data: to("web2.lab.example"), ..record.clone() };
        let error = point(&server, &other, 60).unwrap_err();
        assert_eq!(error.to_string(), format!("the name `{name}` is somebody else's in DNS"));
        unpoint(&server, &other).unwrap();
        assert_eq!(named.dig(&name, "PTR").len(), 1, "that of another stays");
        unpoint(&server, &record).unwrap();
        assert!(named.dig(&name, "PTR").is_empty());
    }
    let error = server.zone_of(&reverse("192.0.2.1".parse().unwrap())).unwrap_err();
    assert!(matches!(error, DnsError::NoZone { .. } | DnsError::Answered { .. }), "{error}");
}

#[test]
fn what_is_somebody_elses_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let named = named!(folder);
    let server = server(&named);
    let taken = format!("the name `{NAME}` is somebody else's in DNS");
    let refused = |error: DnsError| assert_eq!(error.to_string(), taken);
    // Of another machine, and by another program, of another type.
    claim(8).put(&server, &[], &[a("10.9.9.9")]).unwrap();
    refused(claim(7).check(&server).unwrap_err());
    refused(claim(7).put(&server, &[], &[a("10.1.2.3")]).unwrap_err());
    assert_eq!(claim(7).withdraw(&server, &[a("10.9.9.9")]).unwrap(), Withdrawn::NotOurs);
    assert_eq!(named.dig(NAME, "A"), ["10.9.9.9"]);
    claim(8).withdraw(&server, &[a("10.9.9.9")]).unwrap();
    let alias = format!("update add {NAME} 60 CNAME other.example.");
    named.nsupdate(&[&alias]);
    refused(claim(7).put(&server, &[], &[a("10.1.2.3")]).unwrap_err());
    assert_eq!(named.dig(NAME, "CNAME"), ["other.example."]);
}

#[test]
fn two_that_want_one_name_at_once_do_not_both_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let named = named!(folder);
    let server = &server(&named);
    let all: Vec<u128> = (1..=8).collect();
    let got: Vec<u128> = std::thread::scope(|scope| {
        let one = |machine: u128| {
            let ip = a(&format!("10.0.0.{machine}"));
            move || claim(machine).put(server, &[], &[ip]).is_ok().then_some(machine)
        };
        let threads: Vec<_> = all.iter().map(|machine| scope.spawn(one(*machine))).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    let [winner] = got.as_slice() else { panic!("{got:?}") };
    assert_eq!(named.dig(NAME, "A"), [format!("10.0.0.{winner}")]);
}

#[test]
fn a_key_or_a_zone_that_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let named = named!(folder);
    let of = |key, now| Server::new(("127.0.0.1", named.port), key, now);
    let at = format!("the DNS server at 127.0.0.1:{}", named.port);
    let check = |server: &Server, zone: &str| {
        let name = format!("web1.{zone}");
        let claim = Claim { zone, name: &name, machine: Uuid::nil(), ttl: 60 };
        claim.check(server).map_err(|error| error.to_string())
    };
    let good = server(&named);
    assert_eq!(check(&good, ZONE), Ok(()));
    let wrong = check(&of(key(&named.wrong), now), ZONE);
    assert_eq!(wrong, Err(format!("{at} has another secret for the key `kiln`")));
    let text = std::fs::read_to_string(&named.key).unwrap();
    let other = TsigKey::parse(&text.replace("\"kiln\"", "\"other\"")).unwrap();
    let unknown = |key: &str| Err(format!("{at} does not know the key `{key}` of this algorithm"));
    assert_eq!(check(&of(other, now), ZONE), unknown("other"));
    let ahead = check(&of(key(&named.key), || now() - 3600), ZONE).unwrap_err();
    assert!(ahead.starts_with("the clock of the DNS server at "), "{ahead}");
    assert!(ahead.ends_with(" s ahead"), "{ahead}");
    let behind = check(&of(key(&named.key), || now() + 3600), ZONE).unwrap_err();
    assert!(behind.ends_with(" s behind"), "{behind}");
    let elsewhere = check(&good, "elsewhere.example");
    assert_eq!(elsewhere, Err(format!("{at} is not that of the zone `elsewhere.example`")));
    let claim = Claim {
        zone: "closed.example",
        name: "web1.closed.example",
        machine: Uuid::nil(),
        ttl: 60,
    };
    let refused = claim.put(&good, &[], &[a("10.0.0.1")]).unwrap_err().to_string();
    let said = format!("{at} refuses to change the zone `closed.example` for the key `kiln`");
    assert_eq!(refused, said);
    let outside = Claim { zone: ZONE, name: "web1.other.example", ..claim };
    let said = format!("{at} says that a name is outside the zone `{ZONE}`");
    assert_eq!(outside.put(&good, &[], &[a("10.0.0.1")]).unwrap_err().to_string(), said);
}

#[test]
fn what_is_too_long_for_udp_goes_by_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let named = named!(folder);
    let server = server(&named);
    // BIND takes a hundred records of a type.
    let many: Vec<Data> = (0..90).map(|n| a(&format!("10.3.0.{n}"))).collect();
    claim(7).put(&server, &[], &many).unwrap();
    assert_eq!(named.dig(NAME, "A").len(), 90);
    assert_eq!(claim(7).withdraw(&server, &many).unwrap(), Withdrawn::Gone);
    assert!(named.dig(NAME, "A").is_empty());
}

/// A key that no server is asked about.
fn any_key() -> TsigKey {
    TsigKey::parse("key kiln { algorithm hmac-sha256; secret c2VjcmV0; };").expect("a key")
}

/// Answers each message as `answer` says, until the test ends.
fn answering(answer: fn(&[u8]) -> Vec<u8>) -> Server {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("a port").port();
    let tcp = TcpListener::bind(("127.0.0.1", port)).expect("a port");
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            socket.send_to(&answer(&buffer[..len]), from).ok();
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            // What it is asked is not read to its end: it says something, and is gone.
            stream.read_exact(&mut [0; 2]).ok();
            stream.write_all(b"HTTP/1.1 400 Bad Request").ok();
        }
    });
    Server::new(("127.0.0.1", port), any_key(), now)
}

/// The head of an answer to a message, with a code, and the bit for an answer that was cut short.
fn head(message: &[u8], code: u8, cut: bool) -> Vec<u8> {
    let mut answer = message.to_vec();
    answer.truncate(12);
    answer[2] |= 0x80 | if cut { 2 } else { 0 };
    answer[3] = code;
    answer[4..12].fill(0);
    answer
}

#[test]
fn an_answer_that_is_not_signed_does_not_count() {
    let said = |server: &Server| claim(7).put(server, &[], &[a("10.0.0.1")]).unwrap_err();
    for (code, yes) in [(0, true), (6, true), (8, true), (5, false), (2, false)] {
        let server = match code {
            0 => answering(|message| head(message, 0, false)),
            6 => answering(|message| head(message, 6, false)),
            8 => answering(|message| head(message, 8, false)),
            5 => answering(|message| head(message, 5, false)),
            _ => answering(|message| head(message, 2, false)),
        };
        let error = said(&server);
        assert_eq!(matches!(error, DnsError::Unsigned { .. }), yes, "{code}: {error}");
        assert_eq!(error.is_unknown(), yes);
    }
    // It gives back the very signature that it was sent.
    let echo = answering(|message| {
        let mut answer = message.to_vec();
        answer[2] |= 0x80;
        answer
    });
    let error = said(&echo);
    assert!(matches!(error, DnsError::Forged { .. }), "{error}");
}

#[test]
fn garbage_is_no_answer() {
    let began = Instant::now();
    let garbage = answering(|_| b"garbage".to_vec());
    let error = claim(7).check(&garbage).unwrap_err();
    assert!(matches!(error, DnsError::Garbage { .. }), "{error}");
    // One that cuts its answer short is asked by TCP, where this one talks another language.
    let other = answering(|message| head(message, 0, true));
    let error = claim(7).check(&other).unwrap_err();
    assert!(matches!(error, DnsError::Unreachable { .. }), "{error}");
    assert!(began.elapsed().as_secs() < 60, "it has a time limit");
}

#[test]
fn a_server_that_is_not_there_is_not_waited_for_long() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let began = Instant::now();
    let error = claim(7).check(&Server::new(("127.0.0.1", port), any_key(), now)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the DNS server at 127.0.0.1:{port} did not answer within 5 s")
    );
    assert!(error.is_absence() && began.elapsed().as_secs() < 30);
    drop(silent);
    let error = claim(7).check(&Server::new(("127.0.0.1", port), any_key(), now)).unwrap_err();
    assert!(matches!(error, DnsError::Unreachable { .. }), "{error}");
    let error = claim(7).check(&Server::new(("nowhere.invalid", 53), any_key(), now)).unwrap_err();
    assert!(matches!(error, DnsError::Host { .. }), "{error}");
}
