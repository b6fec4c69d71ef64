// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A machine's seed made over for its clone: who it is is new, all else stays.

use kiln_disk::device::Device;
use kiln_spec::mac::Mac;
use kiln_spec::{Datasource, MachineName};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Contents, SeedError, SeedFile, configdrive, drive};
use crate::yaml::{self, Node};

/// The words by which user-data name the machine, whatever the meta-data say: cloud-init's
/// `util.get_hostname_fqdn`.
const NAMES: [&str; 2] = ["hostname", "fqdn"];

/// Who the clone is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reissue {
    /// Its own instance-id, so that cloud-init takes its first boot for one.
    pub instance_id: Uuid,
    /// Its host name.
    pub hostname: MachineName,
    /// Its hardware addresses, each after that of the machine it is a clone of.
    pub macs: Vec<(Mac, Mac)>,
}

/// A seed that was made over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reissued {
    /// The drive.
    pub iso: Vec<u8>,
    /// The name that the user-data give the machine, which outweighs the new one.
    pub own_name: Option<String>,
}

/// Returns the seed on `old` with another identity: for the same data source, and only with files
/// that this knows.
///
/// # Errors
///
/// As [`Contents::of_drive`]; [`SeedError::MetaData`], [`SeedError::Drive`].
pub fn reissue(old: Box<dyn Device>, to: &Reissue, time_secs: u64) -> Result<Reissued, SeedError> {
    let Contents { datasource, files } = Contents::of_drive(old)?;
    let [meta, user, _, network] = datasource.files();
    let mut made = Vec::new();
    let mut own_name = None;
    for SeedFile { name, bytes } in files {
        let bytes = match name {
            _ if name == meta => meta_data(datasource, (name, &bytes), to)?.into_bytes(),
            _ if name == network => {
                with_macs(&String::from_utf8_lossy(&bytes), &to.macs).into_bytes()
            }
            _ => bytes,
        };
        if name == user {
            own_name = named(&String::from_utf8_lossy(&bytes));
        }
        made.push(SeedFile { name, bytes });
    }
    Ok(Reissued { iso: drive(datasource, made, time_secs)?, own_name })
}

fn meta_data(
    datasource: Datasource,
    (name, old): (&'static str, &[u8]),
    to: &Reissue,
) -> Result<String, SeedError> {
    let (id, hostname) = (to.instance_id.to_string(), to.hostname.as_str());
    match datasource {
        Datasource::NoCloud => Ok(yaml::emit(&Node::map([
            ("instance-id", Node::text(id)),
            ("local-hostname", Node::text(hostname)),
        ]))),
        Datasource::ConfigDrive => {
            // What else is in it says who may log in.
            let mut all: Value =
                serde_json::from_slice(old).map_err(|_| SeedError::MetaData { name })?;
            let Some(map) = all.as_object_mut() else { return Err(SeedError::MetaData { name }) };
            for (key, value) in [("uuid", id.as_str()), ("hostname", hostname), ("name", hostname)]
            {
                map.insert(key.to_owned(), json!(value));
            }
            Ok(configdrive::written(&all))
        }
    }
}

/// Returns a text with each old hardware address made the new one, however its letters are.
fn with_macs(text: &str, macs: &[(Mac, Mac)]) -> String {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == ':';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let word = from.find(|c| !is_part(c)).map_or(from, |end| &from[..end]);
        let mac = word.parse::<Mac>().ok();
        let new = mac.and_then(|mac| macs.iter().find(|(old, _)| *old == mac));
        out.push_str(before);
        match new {
            Some((_, new)) => out.push_str(&new.to_string()),
            None => out.push_str(word),
        }
        rest = &from[word.len()..];
    }
    out.push_str(rest);
    out
}

/// Returns the name that a cloud-config gives the machine.
fn named(user_data: &str) -> Option<String> {
    let tree = user_data.starts_with("#cloud-config").then(|| yaml::load(user_data).ok())??;
    NAMES.iter().find_map(|key| tree.get(key)?.as_text().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Login, Seed, Setup, network_data};
    use kiln_disk::device::RawFile;
    use kiln_disk::fs::iso9660::Iso;
    use kiln_spec::interface::Addressing;
    use std::io::Write as _;

    fn drive(files: &[(&str, &str)]) -> Box<dyn Device> {
        let iso = Iso::new("cidata", 1_700_000_000);
        let iso = files.iter().fold(iso, |iso, (name, text)| iso.file(*name, *text));
        device(&iso.build().unwrap())
    }

    fn device(bytes: &[u8]) -> Box<dyn Device> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Box::new(RawFile::new(file).unwrap())
    }

    fn to() -> Reissue {
        Reissue {
            instance_id: Uuid::from_u128(7),
            hostname: "web2".parse().unwrap(),
            macs: vec![(Mac::qemu([0, 0, 0xa]), Mac::qemu([0, 0, 2]))],
        }
    }

    fn file(iso: &[u8], name: &str) -> Option<String> {
        let read = Contents::of_drive(device(iso)).unwrap();
        read.file(name).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn who_the_machine_is_is_new_and_the_rest_stays() {
        let config =
            "version: 2\nethernets:\n  eth0:\n    match: {macaddress: '52:54:00:00:00:0A'}\n";
        let old = [
            ("meta-data", "instance-id: old\nlocal-hostname: web1\n"),
            ("user-data", "#cloud-config\nusers: [default]\n"),
            ("network-config", config),
        ];
        let made = reissue(drive(&old), &to(), 1_700_000_000).unwrap();
        let wanted = format!("instance-id: \"{}\"\nlocal-hostname: web2\n", Uuid::from_u128(7));
        assert_eq!(file(&made.iso, "meta-data"), Some(wanted));
        assert_eq!(file(&made.iso, "user-data").as_deref(), Some(old[1].1));
        let network = config.replace("52:54:00:00:00:0A", "52:54:00:00:00:02");
        assert_eq!(file(&made.iso, "network-config"), Some(network));
        assert_eq!((file(&made.iso, "vendor-data"), made.own_name), (None, None));
    }

    #[test]
    fn a_name_that_the_users_data_give_is_told() {
        let old = [("meta-data", "{}"), ("user-data", "#cloud-config\nhostname: fixed\n")];
        let made = reissue(drive(&old), &to(), 0).unwrap();
        assert_eq!(made.own_name.as_deref(), Some("fixed"));
    }

    #[test]
    fn what_is_no_drive_is_refused() {
        let error = reissue(device(&[0; 65_536]), &to(), 0).unwrap_err();
        assert_eq!(error.to_string(), "the seed cannot be read");
    }

    #[test]
    fn a_drive_of_openstacks_stays_one() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let seed = Seed {
            datasource: Datasource::ConfigDrive,
            instance_id: "old".into(),
            hostname: "web1".parse().unwrap(),
            fqdn: None,
            login: Login {
                name: "debian".into(),
                is_default_user: true,
                ssh_keys: vec![key.into()],
            },
            setup: Setup::default(),
            user_data: None,
            network_config: Some(network_data(&[(Mac::qemu([0, 0, 0xa]), &Addressing::Dhcp)])),
            vendor_data: None,
        };
        let made = reissue(device(&seed.to_iso(0).unwrap()), &to(), 0).unwrap();
        let [meta, user, vendor, network] = Datasource::ConfigDrive.files();
        let meta: Value = serde_json::from_str(&file(&made.iso, meta).unwrap()).unwrap();
        let id = Uuid::from_u128(7).to_string();
        let keys = json!({ "kiln-1": key });
        assert_eq!(
            meta,
            json!({ "uuid": id, "hostname": "web2", "name": "web2", "public_keys": keys })
        );
        assert!(file(&made.iso, user).unwrap().contains(key));
        assert!(file(&made.iso, network).unwrap().contains("52:54:00:00:00:02"));
        assert_eq!(file(&made.iso, vendor), None);
    }
}
