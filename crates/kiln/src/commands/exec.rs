// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln exec`.

use std::io::{self, IsTerminal, Read, Write};

use anyhow::Context as _;
use serde_json::json;

use crate::args::exec::Exec;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::{host, transfer};

/// Runs a program in the guest; its exit status is ours.
pub(crate) fn run(ctx: &Context, args: &Exec) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, &args.name)?;
    let mut input = Vec::new();
    if !io::stdin().is_terminal() {
        io::stdin().lock().read_to_end(&mut input).context("could not read standard input")?;
    }
    let done = transfer::exec(&machine, &args.command, &input, args.timeout)?;
    if done.truncated {
        ctx.ui.warn("the agent kept only the first 16 MiB of the output");
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "name": machine.name,
            "status": done.code,
            "stdout": String::from_utf8_lossy(&done.stdout),
            "stderr": String::from_utf8_lossy(&done.stderr),
        }));
    } else {
        io::stdout().lock().write_all(&done.stdout).ok();
        io::stdout().lock().flush().ok();
        io::stderr().lock().write_all(&done.stderr).ok();
    }
    Ok(done.code)
}
