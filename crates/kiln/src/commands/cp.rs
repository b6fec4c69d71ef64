// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln cp`.

use std::path::{Path, PathBuf};

use kiln_host::{Host, Tool};
use serde_json::json;

use super::ssh;
use crate::args::cp::{Cp, Via};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::{host, transfer};

/// One end of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place<'a> {
    Here(&'a str),
    There { machine: &'a str, path: &'a str },
}

/// Copies to or from a machine.
pub(crate) fn run(ctx: &Context, args: &Cp) -> anyhow::Result<u8> {
    let (from, to) = (place(&args.from), place(&args.to));
    let (name, path, here, out) = match (&from, &to) {
        (Place::There { machine, path }, Place::Here(here)) => (machine, path, here, true),
        (Place::Here(here), Place::There { machine, path }) => (machine, path, here, false),
        _ => {
            let what = "one of the two must be MACHINE:PATH, and the other a path here";
            return Err(Problem::new(Class::Usage, what)
                .hint("a path here with `:` in it: write `./a:b`")
                .into());
        }
    };
    if !out && !Path::new(here).exists() {
        return Err(Problem::new(Class::Object, format!("there is no `{here}` here")).into());
    }
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, name)?;
    let via = match args.via {
        Some(via) => via,
        None if machine.meta.is_some() && ssh::route(ctx, &machine).is_ok() => Via::Scp,
        None => Via::Agent,
    };
    ctx.ui.detail(format!("by {via:?}"));
    match via {
        Via::Scp => by_scp(ctx, &machine, args, (path, here, out))?,
        Via::Agent => by_agent(&machine, args, (path, here, out))?,
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "copied": { "from": args.from, "to": args.to } }));
    }
    Ok(0)
}

/// `name:path` is in a machine, unless a `/` comes before the colon: scp(1)'s rule.
fn place(text: &str) -> Place<'_> {
    match text.split_once(':') {
        Some((machine, path)) if !machine.is_empty() && !machine.contains('/') => {
            Place::There { machine, path }
        }
        _ => Place::Here(text),
    }
}

type Ends<'a> = (&'a str, &'a str, bool);

fn by_scp(
    ctx: &Context,
    machine: &Machine,
    args: &Cp,
    (path, here, out): Ends<'_>,
) -> anyhow::Result<()> {
    let above = Path::new(here).parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above.filter(|above| out && !above.is_dir()) {
        let what = format!("there is no folder `{}` here", above.display());
        return Err(Problem::new(Class::Object, what).into());
    }
    let route = ssh::route(ctx, machine)?;
    let there = format!("{}:{path}", route.destination());
    // What begins with `-` is no option, what has `:` in it no host.
    let here_path = here;
    let here = if here.starts_with('/') { here.to_owned() } else { format!("./{here}") };
    let cmd = route.cmd(ctx, Tool::Scp).arg("-q");
    let cmd = if args.recursive { cmd.arg("-r") } else { cmd };
    let cmd = cmd.arg("--");
    let cmd = if out { cmd.arg(there).arg(here) } else { cmd.arg(here).arg(there) };
    ctx.ui.detail(cmd.to_string());
    match ctx.host.interactive(&cmd.deadline(None))? {
        0 => Ok(()),
        _ => {
            let what = format!("scp could not copy `{}` to `{}`", args.from, args.to);
            let hint = if args.recursive {
                "scp says why above; where its user may not, `--via agent` copies one file as root"
            } else if !out && Path::new(here_path).is_dir() {
                "folders need `-r`"
            } else {
                "scp says why above: folders need `-r`; where its user may not, `--via agent` copies one file as root"
            };
            Err(Problem::new(Class::Tool, what).hint(hint).into())
        }
    }
}

fn by_agent(machine: &Machine, args: &Cp, (path, here, out): Ends<'_>) -> anyhow::Result<()> {
    if args.recursive || (!out && Path::new(here).is_dir()) {
        let what = "the agent copies single files only";
        return Err(Problem::new(Class::Usage, what).hint("use `--via scp` for folders").into());
    }
    if out {
        let target =
            with_name(Path::new(here), Path::new(here).is_dir() || here.ends_with('/'), path);
        transfer::fetch(machine, path, &target)?;
    } else {
        let target = if path.is_empty() || path.ends_with('/') {
            let name = Path::new(here).file_name().unwrap_or_default().to_string_lossy();
            let folder = if path.is_empty() { "/root/" } else { path };
            format!("{folder}{name}")
        } else {
            path.to_owned()
        };
        transfer::send(machine, Path::new(here), &target)?;
    }
    Ok(())
}

fn with_name(here: &Path, folder: bool, of: &str) -> PathBuf {
    match Path::new(of).file_name() {
        Some(name) if folder => here.join(name),
        _ => here.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_and_paths_are_told_apart() {
        assert_eq!(place("web1:/etc/motd"), Place::There { machine: "web1", path: "/etc/motd" });
        assert_eq!(place("web1:"), Place::There { machine: "web1", path: "" });
        assert_eq!(place("./a:b"), Place::Here("./a:b"));
        assert_eq!(place("/x"), Place::Here("/x"));
        assert_eq!(place(":x"), Place::Here(":x"));
    }
}
