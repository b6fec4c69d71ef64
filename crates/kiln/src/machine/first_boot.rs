// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest is told at its first boot: the user's files, read and checked.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use kiln_guest::seed::{
    NetworkVersion, SeedError, Setup, check_network_config, network_config, network_data,
};
use kiln_guest::userdata::{UserData, UserDataError};
use kiln_host::read;
use kiln_spec::interface::{Addressing, InterfaceSpec};
use kiln_spec::{Arch, Datasource, SeedUrl};

use super::network::Nic;
use crate::args::first_boot::FirstBoot;
use crate::args::launch::{Launch, WantedConfig};
use crate::context::Context;
use crate::error::{Class, Problem, unreadable};

/// The most that is read of a file: far more than any cloud takes (16 KiB on most).
pub(crate) const MOST: u64 = 16 << 20;

/// How long a server that is there may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// What a guest is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// Who reads it.
    pub(crate) datasource: Datasource,
    /// What it is to be besides, as a set's file says it.
    pub(crate) setup: Setup,
    /// The user's own user-data.
    pub(crate) user_data: Option<UserData>,
    /// What holds unless these say otherwise.
    pub(crate) vendor_data: Option<UserData>,
    /// How it is told of its interfaces.
    pub(crate) network_config: NetworkConfig,
}

/// How a guest is told of its interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum NetworkConfig {
    /// In the usual format, where cloud-init by itself would not do the same: it asks DHCP for the
    /// addresses of one interface.
    #[default]
    Needed,
    /// In this format, whatever the interfaces are.
    Always(NetworkVersion),
    /// By the user's own text.
    Theirs(String),
}

impl Told {
    /// Returns the network configuration for these interfaces, if there is to be one.
    pub(crate) fn network(&self, nics: &[Nic]) -> Option<String> {
        let usual = matches!(nics, [one] if !matches!(one.addressing, Addressing::Static(_)));
        let all: Vec<_> = nics.iter().map(|nic| (nic.mac, &nic.addressing)).collect();
        match (&self.network_config, self.datasource) {
            (NetworkConfig::Theirs(text), _) => Some(text.clone()),
            (NetworkConfig::Needed, _) if usual => None,
            (_, Datasource::ConfigDrive) => Some(network_data(&all)),
            (NetworkConfig::Needed, Datasource::NoCloud) => {
                Some(network_config(&all, NetworkVersion::default()))
            }
            (NetworkConfig::Always(version), Datasource::NoCloud) => {
                Some(network_config(&all, *version))
            }
        }
    }
}

/// Reads and checks the user's files, and says what looks wrong in them.
///
/// # Errors
///
/// Not there (class object); class file, with the place.
pub(crate) fn told(ctx: &Context, args: &FirstBoot) -> anyhow::Result<Told> {
    let data =
        |path: &Option<_>, what| path.as_deref().map(|path| data(ctx, path, what)).transpose();
    Ok(Told {
        datasource: args.datasource.into(),
        setup: Setup::default(),
        user_data: data(&args.user_data, "user-data")?,
        vendor_data: data(&args.vendor_data, "vendor-data")?,
        network_config: NetworkConfig::Needed,
    })
}

fn data(ctx: &Context, path: &Path, what: &str) -> anyhow::Result<UserData> {
    let shown = path.display().to_string();
    let bytes = read::bounded(path, MOST)
        .map_err(|source| unreadable(&format!("could not read the {what} `{shown}`"), source))?;
    let parsed = UserData::parse(&bytes, &shown)
        .map_err(|error| wrong(format!("`{shown}` is no valid {what}"), error))?;
    parsed.warnings().iter().for_each(|warning| ctx.ui.warn(warning.to_string()));
    Ok(parsed)
}

/// Reads and checks what the guests are told at their first boot.
///
/// # Errors
///
/// As [`told`] and [`network_file`]; a format that the data source does not
/// have (class usage).
pub(crate) fn of_launch(ctx: &Context, args: &Launch) -> anyhow::Result<Told> {
    let told = told(ctx, &args.first_boot)?;
    let network_config = match &args.network_config {
        None => NetworkConfig::Needed,
        Some(WantedConfig::Version(_)) if told.datasource == Datasource::ConfigDrive => {
            let what =
                "a drive of the kind `configdrive` has OpenStack's own format, no `v1` or `v2`";
            return Err(Problem::new(Class::Usage, what)
                .hint("leave `--network-config` out")
                .into());
        }
        Some(WantedConfig::Version(version)) => NetworkConfig::Always(*version),
        Some(WantedConfig::File(path)) => {
            NetworkConfig::Theirs(network_file(path, told.datasource)?)
        }
    };
    Ok(Told { network_config, ..told })
}

/// Refuses what a guest cannot be told by a server: it must have a network to reach that, and
/// before cloud-init 24.3 it asks there for nothing but its name, user-data and vendor-data.
///
/// # Errors
///
/// Class usage.
pub(crate) fn check_served(told: &Told, all: &[Vec<InterfaceSpec>]) -> Result<(), Problem> {
    let fixed = |one: &InterfaceSpec| matches!(one.addressing, Addressing::Static(_));
    let what = if told.datasource != Datasource::NoCloud {
        "`--datasource configdrive` is a drive, and `--seed-url` is none"
    } else if told.network_config != NetworkConfig::Needed
        || all.iter().any(|specs| specs.len() > 1 || specs.iter().any(fixed))
    {
        "a guest that fetches its seed knows one interface, by DHCP: it is told of no others"
    } else if Arch::native() != Some(Arch::Amd64) {
        "`--seed-url` is told by SMBIOS, which guests of this architecture do not have"
    } else {
        return Ok(());
    };
    Err(Problem::new(Class::Usage, what).hint("leave `--seed-url` out: a drive tells it all"))
}

/// Says so if nobody answers where a guest is to fetch its seed: its boot would wait in vain.
pub(crate) fn warn_of_silence(ctx: &Context, url: &SeedUrl) {
    let (host, port) = url.server();
    let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let answers = |at: &SocketAddr| TcpStream::connect_timeout(at, ANSWER).is_ok();
    if !found.is_ok_and(|all| all.iter().any(answers)) {
        ctx.ui.warn(format!(
            "nothing answers at {host} port {port}: `kiln seed serve` must run there when the guest boots"
        ));
    }
}

/// Reads and checks a network configuration for who reads it.
///
/// # Errors
///
/// Not there (class object); class file, with the place.
pub(crate) fn network_file(path: &Path, datasource: Datasource) -> anyhow::Result<String> {
    let shown = path.display().to_string();
    let bytes = read::bounded(path, MOST).map_err(|source| {
        unreadable(&format!("could not read the network configuration `{shown}`"), source)
    })?;
    let not_text = |_| Problem::new(Class::File, format!("`{shown}` is not text in UTF-8"));
    let text = String::from_utf8(bytes).map_err(not_text)?;
    check_network_config(&text, &shown, datasource)
        .map_err(|error| wrong(format!("`{shown}` is no valid network configuration"), error))?;
    Ok(text)
}

fn wrong(what: String, error: UserDataError) -> Problem {
    let excerpt = error.snippet().unwrap_or_default().lines().map(str::to_owned).collect();
    let hint = error.hint();
    Problem::new(Class::File, what).because(error).excerpt(excerpt).maybe_hint(hint)
}

/// Returns the problem of a seed that cannot be made of what was given.
pub(crate) fn no_seed(error: SeedError) -> Problem {
    Problem::new(Class::Usage, "no first-boot data can be made of this").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::network::Attachment;
    use kiln_spec::mac::Mac;

    #[test]
    fn a_guest_is_told_of_its_interfaces_where_it_would_not_guess_right() {
        let attachment = Attachment::User { ssh_port: 20_022 };
        let nic = Nic { mac: Mac::qemu([0, 0, 1]), attachment, addressing: Addressing::Dhcp };
        let one = [nic.clone()];
        let told =
            |network_config, datasource| Told { datasource, network_config, ..Told::default() };
        let needed = |datasource| told(NetworkConfig::Needed, datasource);
        assert_eq!(needed(Datasource::NoCloud).network(&one), None);
        assert_eq!(needed(Datasource::ConfigDrive).network(&one), None);
        let two = [nic.clone(), nic];
        let text = needed(Datasource::NoCloud).network(&two).unwrap();
        assert!(text.starts_with("version: 2"), "{text}");
        let text = needed(Datasource::ConfigDrive).network(&two).unwrap();
        assert!(text.starts_with("{\n  \"links\""), "{text}");
        assert!(
            check_served(&needed(Datasource::NoCloud), &[vec!["lan".parse().unwrap()]]).is_ok()
        );
        let two: Vec<InterfaceSpec> = ["lan", "db"].map(|text| text.parse().unwrap()).into();
        assert!(check_served(&needed(Datasource::NoCloud), &[two]).is_err());
        assert!(check_served(&needed(Datasource::ConfigDrive), &[]).is_err());
        let first = told(NetworkConfig::Always(NetworkVersion::V1), Datasource::NoCloud);
        assert!(first.network(&one).unwrap().starts_with("version: 1"));
    }
}
