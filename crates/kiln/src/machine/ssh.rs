// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How OpenSSH reaches a machine: address, port, jump host, keys, known host keys.
//!
//! Source: ssh_config(5), OpenSSH 9.2. The host keys of a machine are read through the guest
//! agent and kept in a file of its own, so that nothing is trusted on first use; the file's
//! entries are under the machine's alias, so the same address used again is another machine.

use std::path::{Path, PathBuf};

use kiln_host::cmd::quote;
use kiln_host::{Cmd, Tool};
use kiln_libvirt::Uri;
use kiln_libvirt::uri::Transport;

use crate::context::Context;

/// Where a machine's SSH server is, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The name that its host keys are kept under.
    pub(crate) alias: String,
    /// The user who logs in.
    pub(crate) user: String,
    /// Address to connect to.
    pub(crate) address: String,
    /// Port to connect to.
    pub(crate) port: u16,
    /// What `ssh -W ADDRESS` needs besides to reach the host's network, for a host elsewhere.
    pub(crate) proxy: Option<Vec<String>>,
    /// Private keys to offer before ssh's own.
    pub(crate) identities: Vec<PathBuf>,
    /// The machine's known_hosts file.
    pub(crate) known_hosts: PathBuf,
    /// Whether host keys were had from the guest itself; otherwise the first seen is kept.
    pub(crate) verified: bool,
}

impl Route {
    /// Returns the options, `-o` and all, that make `ssh` and `scp` use this route. The port is
    /// among them, the address and the user are not.
    pub(crate) fn options(&self) -> Vec<String> {
        let mut args = self.trust_options();
        args.extend(["-o".to_owned(), format!("Port={}", self.port)]);
        for identity in &self.identities {
            args.extend(["-i".to_owned(), identity.display().to_string()]);
        }
        args
    }

    /// Returns the options that say by which keys the machine is known and how it is reached,
    /// without port and private keys.
    pub(crate) fn trust_options(&self) -> Vec<String> {
        let settings = self.settings().into_iter();
        settings.flat_map(|(key, value)| ["-o".to_owned(), format!("{key}={value}")]).collect()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("HostKeyAlias", self.alias.clone()),
            // In double quotes: ssh_config(5) splits the value at blanks.
            ("UserKnownHostsFile", format!("\"{}\"", self.known_hosts.display())),
            ("GlobalKnownHostsFile", "/dev/null".to_owned()),
            ("StrictHostKeyChecking", if self.verified { "yes" } else { "accept-new" }.to_owned()),
            ("CheckHostIP", "no".to_owned()),
            ("UpdateHostKeys", "no".to_owned()),
        ];
        if let Some(proxy) = &self.proxy {
            let words: Vec<_> = proxy.iter().map(|word| quote(word)).collect();
            settings.push(("ProxyCommand", format!("ssh -W [%h]:%p {}", words.join(" "))));
        }
        settings
    }

    /// Returns a run that prints what the server of the machine says first, if it is reached by way
    /// of another host.
    pub(crate) fn greeting(&self) -> Option<Cmd> {
        let words = self.proxy.as_ref()?;
        let options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"];
        let to = format!("[{}]:{}", self.address, self.port);
        Some(Cmd::new(Tool::Ssh).args(options).args(["-W", &to]).args(words))
    }

    /// Returns the machine's part of an ssh_config(5).
    pub(crate) fn config(&self) -> String {
        let mut text = format!("Host {}\n", self.alias);
        let own = [
            ("HostName", self.address.clone()),
            ("Port", self.port.to_string()),
            ("User", self.user.clone()),
        ];
        let keys = self.identities.iter();
        let keys = keys.map(|file| ("IdentityFile", format!("\"{}\"", file.display())));
        for (key, value) in own.into_iter().chain(keys).chain(self.settings()) {
            text.push_str(&format!("  {key} {value}\n"));
        }
        text
    }

    /// Returns a run of `tool` (ssh or scp) with this route's options and the user's agent.
    pub(crate) fn cmd(&self, ctx: &Context, tool: Tool) -> Cmd {
        let cmd = with_agent(ctx, Cmd::new(tool).args(self.options()));
        match &ctx.env.term {
            Some(term) => cmd.env("TERM", term),
            None => cmd,
        }
    }

    /// Returns `user@address`, as scp and ssh want it.
    pub(crate) fn destination(&self) -> String {
        format!("{}@{}", self.user, self.address)
    }

    /// Returns what to paste into a shell to log in without Kiln.
    pub(crate) fn line(&self) -> String {
        let options = self.options().iter().map(|a| quote(a)).collect::<Vec<_>>().join(" ");
        format!("ssh {options} {}", self.destination())
    }
}

/// Lets a run of ssh use the user's agent.
pub(crate) fn with_agent(ctx: &Context, cmd: Cmd) -> Cmd {
    match &ctx.env.ssh_auth_sock {
        Some(socket) => cmd.env("SSH_AUTH_SOCK", socket),
        None => cmd,
    }
}

/// Returns what `ssh -W ADDRESS` needs besides to reach the network of the host behind `uri`; `None`
/// when that host is this machine or is not reached by ssh.
///
/// Its source is libvirt's remote URI (uri.html, "Extra parameters"): `keyfile`, `no_verify`,
/// `known_hosts`, and user and port of the authority.
pub(crate) fn proxy(uri: &Uri) -> Option<Vec<String>> {
    if !matches!(uri.transport, Transport::Ssh | Transport::LibSsh) {
        return None;
    }
    let host = uri.host.as_deref()?;
    let mut words = Vec::new();
    if let Some(port) = uri.port {
        words.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(user) = &uri.user {
        words.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(file) = uri.param("keyfile") {
        words.extend(["-i".to_owned(), file.to_owned()]);
    }
    if let Some(file) = uri.param("known_hosts") {
        words.extend(["-o".to_owned(), format!("UserKnownHostsFile={file}")]);
    }
    if uri.param("no_verify").is_some_and(|v| v != "0") {
        // A key that has changed would not stop ssh then, but it would refuse to forward.
        for option in ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        {
            words.extend(["-o".to_owned(), option.to_owned()]);
        }
    }
    words.extend(["--".to_owned(), host.to_owned()]);
    Some(words)
}

/// Returns the contents of a known_hosts file: each of the guest's public host keys under
/// `alias`. Lines that are no public keys are left out: the guest is not trusted to write others.
pub(crate) fn known_hosts(alias: &str, public_keys: &[String]) -> String {
    let mut text = String::new();
    for key in public_keys {
        let mut words = key.split_whitespace();
        if let (Some(kind), Some(data)) = (words.next(), words.next()) {
            let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-");
            let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
            if known && data.starts_with("AAAA") && data.chars().all(base64) {
                text.push_str(&format!("{alias} {kind} {data}\n"));
            }
        }
    }
    text
}

/// Returns the path of the known_hosts file in a machine's folder.
pub(crate) fn known_hosts_file(machine_folder: &Path) -> PathBuf {
    machine_folder.join("known_hosts")
}

#[cfg(test)]
impl Route {
    /// The way to `web1`, for tests.
    pub(crate) fn sample() -> Self {
        Self {
            alias: "web1".into(),
            user: "debian".into(),
            address: "192.168.122.7".into(),
            port: 22,
            proxy: None,
            identities: vec!["/k/id".into()],
            known_hosts: "/k/known hosts".into(),
            verified: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_behind_ssh_is_jumped_through() {
        let to = |uri: &str| Route { proxy: proxy(&uri.parse().unwrap()), ..Route::sample() };
        assert_eq!(to("qemu:///system").greeting(), None);
        let route = to("qemu+ssh://root@kvm1:2222/system?keyfile=/k%20x&no_verify=1");
        let gateway = "-p 2222 -l root -i '/k x' -o StrictHostKeyChecking=no \
                       -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -- kvm1";
        let wanted = ("ProxyCommand", format!("ssh -W [%h]:%p {gateway}"));
        assert!(route.settings().contains(&wanted), "{:?}", route.settings());
        let asked = route.greeting().unwrap().to_string();
        assert_eq!(
            asked,
            format!("ssh -o BatchMode=yes -o ConnectTimeout=10 -W '[192.168.122.7]:22' {gateway}")
        );
    }

    #[test]
    fn only_public_keys_get_into_known_hosts() {
        let keys = [
            "ssh-ed25519 AAAAC3 root@web1".to_owned(),
            "@cert-authority * ssh-ed25519 AAAA".to_owned(),
            "ssh-rsa AAAA\n* ssh-rsa AAAAevil".to_owned(),
        ];
        assert_eq!(known_hosts("web1", &keys), "web1 ssh-ed25519 AAAAC3\nweb1 ssh-rsa AAAA\n");
    }

    #[test]
    fn a_route_is_spelled_out() {
        let route = Route::sample();
        assert_eq!(
            route.line(),
            "ssh -o HostKeyAlias=web1 -o 'UserKnownHostsFile=\"/k/known hosts\"' \
             -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes -o CheckHostIP=no \
             -o UpdateHostKeys=no -o Port=22 -i /k/id debian@192.168.122.7"
        );
        assert_eq!(
            route.config(),
            "Host web1\n  HostName 192.168.122.7\n  Port 22\n  User debian\n  IdentityFile \"/k/id\"\n  \
             HostKeyAlias web1\n  UserKnownHostsFile \"/k/known hosts\"\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  CheckHostIP no\n  \
             UpdateHostKeys no\n"
        );
    }
}
