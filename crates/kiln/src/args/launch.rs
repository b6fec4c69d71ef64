// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln launch`.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use kiln_guest::seed::NetworkVersion;
use kiln_spec::forward::ForwardSpec;
use kiln_spec::interface::InterfaceSpec;
use kiln_spec::ready::ReadyCheck;
use kiln_spec::{Bytes, DnsServerName, MachineName, SeedUrl, Tag};

use super::bundle::trust::Trust;
use super::duration;
use super::first_boot::FirstBoot;

/// Make a machine from an image, start it and wait until one can log in
///
/// The image is the name of one in the store (`kiln image list`, `kiln build`) or the path of a
/// qcow2 or raw file; or a bundle, of which a disk is made first, and only once. The first launch copies it into the host's pool as a template; each machine
/// is a linked clone of that, with its own identity.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln launch debian-12 web1
  kiln launch debian-12 web -n 3 --memory 2GiB --cpus 2
  kiln launch ./disk.qcow2 try --user-data setup.yaml --timings
  kiln launch debian-12 db1 --network default --network lan,static=10.0.0.5/24
  kiln launch debian-12 web2 --forward 2202:22 --forward 8080:80
  kiln -c qemu+ssh://admin@kvm1/system launch debian-12 web1")]
pub(crate) struct Launch {
    /// The image: a name in the store, or a path (with a `/` in it), or the address of a bundle; or
    /// a template of the pool
    pub(crate) image: String,
    /// The machine's name, which becomes its host name; without it the image's name
    pub(crate) name: Option<MachineName>,
    /// Make this many machines: NAME-1, NAME-2 and so on
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) count: Option<u32>,
    /// Virtual processors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub(crate) cpus: u32,
    /// The processor that the guest sees: `host`, `max`, or a model that libvirt knows
    ///
    /// `host` is the host's own, and needs KVM, where it is what is taken without this. `max` is
    /// all that QEMU can do; it is taken without KVM. There an old model is faster: with `qemu64`
    /// Debian 12 boots in three quarters of the time, but programs that ask for AVX do not start.
    #[arg(long, value_name = "MODEL")]
    pub(crate) cpu: Option<String>,
    /// Memory
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) memory: Bytes,
    /// Size of the root disk; not smaller than the image
    #[arg(long, value_name = "SIZE")]
    pub(crate) disk: Option<Bytes>,
    /// Copy the template wholly: nothing lies below the disk, which takes as much as the template
    #[arg(long)]
    pub(crate) full: bool,
    /// An interface on a network of the host: NAME, with more after commas (repeatable)
    ///
    /// `user` is user-mode networking with a forward for SSH. Without it: `default` of a system
    /// host, `user` in a session.
    ///
    /// `ip=ADDRESS` or `ip=auto` has the network reserve an IPv4 address; `static=ADDRESS/BITS`
    /// (repeatable) with `gateway=ADDRESS` and `dns=ADDRESS` is told to the guest;
    /// `mac=ADDRESS` is the hardware address. Addresses are counted on for several machines. In
    /// the guest the interfaces are eth0, eth1 and so on if there are several, or any is static.
    #[arg(long, value_name = "NAME[,KEY=VALUE]")]
    pub(crate) network: Vec<InterfaceSpec>,
    /// Reserve an IPv4 address for the first interface: `auto`, or the address itself
    ///
    /// Without it the network's DHCP server gives one out, by the machine's hardware address. A
    /// reservation holds when many machines come and go; libvirt takes half a second for it.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<WantedIp>,
    /// Lead a port of the host to a port of the machine: `2201:22`, `5353:53/udp` (repeatable)
    ///
    /// The host's port is counted on for several machines. The machine's address is reserved for
    /// it, as with `--ip auto`. More with `kiln forward`.
    #[arg(long, value_name = "PORT:PORT[/udp]")]
    pub(crate) forward: Vec<ForwardSpec>,
    /// Put the machine's name into a DNS server: one of `kiln dns server list`
    ///
    /// Its address is reserved for it, as with `--ip auto`. The name goes with the machine.
    #[arg(long, value_name = "SERVER")]
    pub(crate) dns: Option<DnsServerName>,
    /// A word that the machine is found by: a group of `kiln inventory` (repeatable)
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<Tag>,
    /// Start it with the host, too
    #[arg(long)]
    pub(crate) autostart: bool,
    /// The pool for the machine's volumes
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) pool: String,
    /// Firmware
    #[arg(long, value_enum, default_value_t = Firmware::Bios)]
    pub(crate) firmware: Firmware,
    /// Who logs in; without it the image's own default user
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// A public key that may log in (repeatable)
    ///
    /// Without it: the keys that `ssh` would use, from the agent and ~/.ssh; with none there, a
    /// key that Kiln makes and keeps.
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_key: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) first_boot: FirstBoot,
    /// Have the guest fetch its seed from `kiln seed serve` at this address, instead of a drive
    ///
    /// `http://192.168.122.1:8000/`: the guest asks there for NAME/user-data and the like, at each
    /// boot. It must be told of its network by DHCP. x86 guests only.
    #[arg(long, value_name = "URL")]
    pub(crate) seed_url: Option<SeedUrl>,
    /// How the guest is told of its interfaces: a file for cloud-init, or the format, `v1` or `v2`
    ///
    /// Without it cloud-init asks DHCP for one interface, and several interfaces or static
    /// addresses are told in the format v2. A file has one of these formats, or OpenStack's
    /// `network_data.json` with `--datasource configdrive`. A name with a `/` in it is a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) network_config: Option<WantedConfig>,
    /// How the processor is run; without it `kvm` if it works
    #[arg(long, value_enum)]
    pub(crate) virt_type: Option<VirtType>,
    /// Start the host's network if it is not active
    #[arg(long)]
    pub(crate) start_network: bool,
    /// Return as soon as the machine runs
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// What is to be proven besides, before it is ready: `agent`, `cloud-init`, `ssh`, `tcp:PORT`
    ///
    /// By itself Kiln waits for a login, for cloud-init if there is one, and for the agent if it
    /// comes soon. With this what is named must be there; something must answer on a `tcp:` port.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', conflicts_with = "no_wait")]
    pub(crate) ready: Vec<ReadyCheck>,
    /// How long to wait until the machine is ready: `90s`, `10m`, `1h`
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Remove the machine if it does not get ready; otherwise it is kept to be looked at
    #[arg(long)]
    pub(crate) rm_on_failure: bool,
    /// Show how long each phase took
    #[arg(long)]
    pub(crate) timings: bool,
    /// Print what would be done, the XML included, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten, next_help_heading = "Bundles from a web server")]
    pub(crate) trust: Trust,
}

impl Launch {
    /// Returns the launch of an image without any options.
    pub(crate) fn of(image: String, name: MachineName) -> Self {
        Self {
            image,
            name: Some(name),
            count: None,
            cpus: 1,
            cpu: None,
            memory: Bytes::from_gib(1),
            disk: None,
            full: false,
            network: Vec::new(),
            ip: None,
            forward: Vec::new(),
            dns: None,
            tag: Vec::new(),
            autostart: false,
            pool: "default".to_owned(),
            firmware: Firmware::Bios,
            user: None,
            ssh_key: Vec::new(),
            first_boot: FirstBoot::default(),
            seed_url: None,
            network_config: None,
            virt_type: None,
            start_network: false,
            no_wait: false,
            ready: Vec::new(),
            timeout: Duration::from_secs(600),
            rm_on_failure: false,
            timings: false,
            dry_run: false,
            trust: Trust::default(),
        }
    }
}

/// Which address is to be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WantedIp {
    /// Any that is free.
    Auto,
    /// This one.
    This(Ipv4Addr),
}

impl FromStr for WantedIp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            text => text
                .parse()
                .map(Self::This)
                .map_err(|_| format!("`{text}` is neither an IPv4 address nor `auto`")),
        }
    }
}

/// How the guest is to be told of its interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WantedConfig {
    /// In this format.
    Version(NetworkVersion),
    /// By the text of this file.
    File(PathBuf),
}

impl FromStr for WantedConfig {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "v1" => Self::Version(NetworkVersion::V1),
            "v2" => Self::Version(NetworkVersion::V2),
            file => Self::File(file.into()),
        })
    }
}

/// What starts the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Firmware {
    /// SeaBIOS
    Bios,
    /// UEFI, chosen by libvirt from what the host has
    Uefi,
}

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum VirtType {
    /// The processor itself
    Kvm,
    /// QEMU's translation (TCG): slow, works everywhere
    Qemu,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches as _;

    #[test]
    fn a_launch_without_options_is_the_command_without_options() {
        let command = Launch::augment_args(clap::Command::new("launch"));
        let matches = command.try_get_matches_from(["launch", "web", "web1"]).unwrap();
        let read = Launch::from_arg_matches(&matches).unwrap();
        let made = Launch::of("web".into(), "web1".parse().unwrap());
        assert_eq!(format!("{read:?}"), format!("{made:?}"));
    }
}
