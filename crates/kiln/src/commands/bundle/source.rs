// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a bundle is made from: a tar stream, here or at the other end of SSH.

use std::path::{Path, PathBuf};

use kiln_host::cmd::quote;
use kiln_host::tools::tar;
use kiln_host::{Cmd, Tool};
use kiln_spec::bundle::{Exclude, Origin};

use crate::args::bundle::create::Create;
use crate::args::image::target::{Opening, Source as ImageSource};
use crate::commands::ssh::route;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::host;

/// What a bundle is made from.
#[derive(Debug)]
pub(super) enum Source {
    /// The output of a command.
    Stream(Stream),
    /// The guest on a disk image.
    Image(ImageSource, String),
}

/// A command that writes a tar archive.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) cmd: Cmd,
    pub(super) from: Origin,
    /// What the bundle is named after.
    pub(super) name: String,
}

/// Finds out what is meant.
///
/// # Errors
///
/// Not there (class object), not understood (class usage).
pub(super) fn find(ctx: &Context, args: &Create, out: &[Exclude]) -> anyhow::Result<Source> {
    let wanted = args.source.as_str();
    let patterns: Vec<&str> = out.iter().map(Exclude::as_str).collect();
    if let Some(name) = wanted.strip_prefix("machine:") {
        let conn = host::connect(ctx)?;
        let machine = Machine::find(&conn, name)?;
        let route = route(ctx, &machine)?;
        let cmd = route.cmd(ctx, Tool::Ssh).arg(route.destination());
        return Ok(remote(cmd, &patterns, name));
    }
    if let Some((user, host)) = wanted.split_once('@').filter(|_| !wanted.contains('/')) {
        let (host, cmd) = ssh(ctx, args, user, host)?;
        return Ok(remote(cmd, &patterns, &host));
    }
    let path = Path::new(wanted);
    if path.is_dir() && (wanted.contains('/') || path.exists()) {
        return folder(path, &patterns);
    }
    let opening = Opening::default();
    let name = path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Ok(Source::Image(ImageSource { image: wanted.to_owned(), opening }, name))
}

fn remote(cmd: Cmd, patterns: &[&str], name: &str) -> Source {
    // The login shell there may be any; the script is for a POSIX one.
    let script = format!("sh -c {}", quote(&tar::remote_script(patterns)));
    let cmd = cmd.arg(script).also_ok(1).deadline(None);
    Source::Stream(Stream { cmd, from: Origin::Ssh, name: name.to_owned() })
}

/// Returns the host of `HOST[:PORT]`, and the beginning of a run of ssh.
fn ssh(ctx: &Context, args: &Create, user: &str, host: &str) -> anyhow::Result<(String, Cmd)> {
    let wrong = || {
        let what = format!("`{}` is no place that ssh knows", args.source);
        Problem::new(Class::Usage, what).hint("write it like `root@10.0.0.7` or `root@web1:2222`")
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| wrong())?)),
        None => (host, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-[]:%".contains(c);
    if user.is_empty() || host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
        return Err(wrong().into());
    }
    // Nobody could answer a question: the password's would wait for ever.
    let mut cmd = Cmd::new(Tool::Ssh).args(["-T", "-o", "BatchMode=yes", "-l", user]);
    if let Some(port) = port {
        cmd = cmd.args(["-p", &port.to_string()]);
    }
    if let Some(identity) = &args.identity {
        cmd = cmd.arg("-i").arg(identity);
    }
    for option in &args.ssh_option {
        cmd = cmd.args(["-o", option]);
    }
    if let Some(socket) = &ctx.env.ssh_auth_sock {
        cmd = cmd.env("SSH_AUTH_SOCK", socket);
    }
    let shown = host.trim_matches(['[', ']']).to_owned();
    Ok((shown.clone(), cmd.arg("--").arg(shown)))
}

fn folder(path: &Path, patterns: &[&str]) -> anyhow::Result<Source> {
    let real: PathBuf = path.canonicalize()?;
    let host = real == Path::new("/");
    let name = if host {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    } else {
        real.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    let cmd = tar::create(&real, &tar::with_root(&real), patterns);
    let from = if host { Origin::Host } else { Origin::Tree };
    Ok(Source::Stream(Stream { cmd, from, name }))
}
