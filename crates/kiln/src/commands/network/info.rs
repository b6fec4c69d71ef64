// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network info`.

use kiln_libvirt::Connection;
use kiln_libvirt::network::{DhcpHost, IpView, Lease, Network, NetworkView};
use serde_json::{Value, json};

use crate::args::network::info::Info;
use crate::context::Context;
use crate::machine::host;
use crate::machine::networks::{self, Attached};

/// Shows a network.
pub(crate) fn run(ctx: &Context, args: &Info) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let network = networks::find(&conn, &args.name)?;
    if args.xml {
        ctx.ui.xml(&network.xml()?.0);
        return Ok(0);
    }
    let known = Known::of(&conn, &network)?;
    if ctx.ui.json() {
        ctx.ui.result(&known.json());
    } else {
        known.lines().iter().for_each(|line| ctx.ui.out(line));
    }
    Ok(0)
}

/// What there is to know of a network.
#[derive(Debug)]
pub(super) struct Known {
    name: String,
    active: bool,
    autostart: bool,
    view: NetworkView,
    leases: Vec<Lease>,
    machines: Vec<Attached>,
}

impl Known {
    /// Asks for it.
    pub(super) fn of(conn: &Connection, network: &Network) -> anyhow::Result<Self> {
        let active = network.is_active()?;
        let view = network.xml()?;
        // A network that is a bridge of others gives nothing out.
        let has_dhcp = view.ips().iter().any(IpView::has_dhcp);
        Ok(Self {
            name: network.name().to_owned(),
            active,
            // One that is not defined, only started, has no autostart.
            autostart: network.autostart().unwrap_or(false),
            leases: if active && has_dhcp { network.leases()? } else { Vec::new() },
            machines: networks::attached(conn, network.name())?,
            view,
        })
    }

    fn reservations(&self) -> Vec<DhcpHost> {
        self.view.ips().iter().flat_map(IpView::dhcp_hosts).collect()
    }

    /// Returns it as JSON.
    pub(super) fn json(&self) -> Value {
        let subnets = self.view.ips().into_iter().map(|ip| {
            let range = ip.dhcp_start().zip(ip.dhcp_end());
            json!({
                "net": ip.net().map(|net| net.to_string()),
                "host": ip.address(),
                "dhcp": range.map(|(first, last)| json!({ "first": first, "last": last })),
            })
        });
        let mac = |mac: Option<kiln_spec::mac::Mac>| mac.map(|mac| mac.to_string());
        let reserved = self
            .reservations()
            .into_iter()
            .map(|host| json!({ "mac": mac(host.mac), "address": host.ip, "name": host.name }));
        let leases = self.leases.iter().map(|lease| {
            json!({ "mac": mac(lease.mac), "address": lease.address, "name": lease.hostname, "expires": lease.expires })
        });
        let machines =
            self.machines.iter().map(|m| json!({ "name": m.name, "running": m.running }));
        let names = self.view.dns_hosts().into_iter();
        json!({
            "name": self.name,
            "uuid": self.view.uuid(),
            "active": self.active,
            "autostart": self.autostart,
            "mode": networks::mode(&self.view),
            "bridge": self.view.bridge(),
            "device": self.view.device(),
            "domain": self.view.domain(),
            "subnets": subnets.collect::<Vec<_>>(),
            "dns_hosts": names.map(|(name, ip)| json!({ "name": name, "address": ip })).collect::<Vec<_>>(),
            "reservations": reserved.collect::<Vec<_>>(),
            "leases": leases.collect::<Vec<_>>(),
            "machines": machines.collect::<Vec<_>>(),
            "made_by_kiln": self.view.metadata().is_some(),
        })
    }

    /// Returns it as lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = |name: &str, value: String| lines.push(format!("{name:<12}{value}"));
        line("name", self.name.clone());
        let state = if self.active { "active" } else { "inactive" };
        let with_host = if self.autostart { ", starts with the host" } else { "" };
        line("state", format!("{state}{with_host}"));
        line("mode", networks::mode(&self.view));
        [
            ("bridge", self.view.bridge()),
            ("interface", self.view.device()),
            ("domain", self.view.domain()),
        ]
        .into_iter()
        .for_each(|(name, value)| value.into_iter().for_each(|value| line(name, value)));
        for ip in self.view.ips() {
            let net = ip.net().map_or_else(String::new, |net| net.to_string());
            let own = ip.address().map_or_else(String::new, |ip| format!(", the host is {ip}"));
            line("subnet", format!("{net}{own}"));
            if let Some((first, last)) = ip.dhcp_start().zip(ip.dhcp_end()) {
                line("dhcp", format!("{first}-{last}"));
            }
        }
        for (name, ip) in self.view.dns_hosts() {
            line("dns", format!("{name} is {ip}"));
        }
        for host in self.reservations() {
            let of = host.mac.map_or_else(String::new, |mac| format!(" ({mac})"));
            line("reserved", format!("{} for {}{of}", host.ip, host.name.unwrap_or_default()));
        }
        for lease in &self.leases {
            let mac = lease.mac.map_or_else(String::new, |mac| mac.to_string());
            line("lease", format!("{} to {mac}", lease.address));
        }
        for machine in &self.machines {
            let runs = if machine.running { "running" } else { "not running" };
            line("machine", format!("{} ({runs})", machine.name));
        }
        if self.view.metadata().is_none() {
            line("made by", "somebody else than kiln".to_owned());
        }
        lines
    }
}
