// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln ssh`.

use std::time::Duration;

use kiln_host::{Host, Tool};

use crate::args::ssh::Ssh;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::greeting::answers;
use crate::machine::host;
use crate::machine::ssh::Route;

/// How long the agent may take to tell the host keys.
const AGENT: Duration = Duration::from_secs(5);

/// Runs ssh; its exit status is ours.
pub(crate) fn run(ctx: &Context, args: &Ssh) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, &args.name)?;
    let mut route = route(ctx, &machine)?;
    if let Some(user) = &args.login {
        route.user.clone_from(user);
    }
    // ssh takes options before and after the destination; what follows `--` is the command.
    let words = args.args.iter().map(String::as_str);
    let (options, command) = split(words.collect());
    let cmd = route
        .cmd(ctx, Tool::Ssh)
        .args(options)
        .arg(route.destination())
        .args(command)
        .deadline(None);
    ctx.ui.detail(cmd.to_string());
    drop(conn);
    let status = ctx.host.interactive(&cmd)?;
    // ssh's own, or the command's: not to be told apart.
    if status == 255 && !answers(ctx, &route) {
        let name = &args.name;
        ctx.ui.warn(format!(
            "no SSH server answers in `{name}`: `kiln wait {name}` waits until one does"
        ));
    }
    Ok(u8::try_from(status).unwrap_or(255))
}

/// Options are what begins with `-` before the first other word; those of ssh that take a value
/// are in its synopsis: ssh(1).
fn split(words: Vec<&str>) -> (Vec<&str>, Vec<&str>) {
    const WITH_VALUE: &str = "BbcDEeFIiJLlmOopQRSWw";
    let mut options = Vec::new();
    let mut rest = words.into_iter().peekable();
    while let Some(word) = rest.next_if(|w| w.starts_with('-')) {
        if word == "--" {
            break;
        }
        options.push(word);
        let takes_value =
            word.len() == 2 && word.chars().last().is_some_and(|c| WITH_VALUE.contains(c));
        if takes_value {
            options.extend(rest.next());
        }
    }
    (options, rest.collect())
}

/// Returns the way to a running machine, its host keys known if the agent tells them.
///
/// # Errors
///
/// Off, or without an address (class object).
pub(crate) fn route(ctx: &Context, machine: &Machine) -> anyhow::Result<Route> {
    machine.meta()?;
    let name = &machine.name;
    machine.expect_running()?;
    let route = machine.route(ctx)?;
    let known = route.as_ref().is_some_and(|route| route.verified);
    if !known && machine.agent_connected()? {
        machine.learn_host_keys(ctx, AGENT)?;
    }
    let Some(route) = machine.route(ctx)? else {
        let problem = Problem::new(Class::Object, format!("`{name}` has no address yet"));
        return Err(problem.hint(format!("`kiln wait {name}`")).into());
    };
    if !route.verified {
        ctx.ui.warn(format!("the host key of `{name}` is not known: it is taken on first use"));
    }
    Ok(route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_command_are_told_apart() {
        assert_eq!(
            split(vec!["-o", "A=b", "-v", "ls", "-l"]),
            (vec!["-o", "A=b", "-v"], vec!["ls", "-l"])
        );
        assert_eq!(split(vec!["--", "-x"]), (vec![], vec!["-x"]));
        assert_eq!(split(vec!["-L8080:x:80"]), (vec!["-L8080:x:80"], vec![]));
        assert_eq!(split(vec![]), (vec![], vec![]));
    }
}
