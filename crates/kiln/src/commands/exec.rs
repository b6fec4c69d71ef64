// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln exec`.

use std::io::{self, IsTerminal, Read, Write};

use anyhow::Context as _;
use serde_json::json;

use crate::args::exec::Exec;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;
use crate::machine::transfer::{self, Sinks};

/// Runs a program in the guest; its exit status is ours.
pub(crate) fn run(ctx: &Context, args: &Exec) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, &args.name)?;
    let mut input = Vec::new();
    if !io::stdin().is_terminal() {
        io::stdin().lock().read_to_end(&mut input).context("could not read standard input")?;
    }
    let json = ctx.ui.json();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut out = |piece: &[u8]| {
        if json {
            stdout.extend_from_slice(piece);
        } else {
            let mut to = io::stdout().lock();
            to.write_all(piece).and_then(|()| to.flush()).ok();
        }
    };
    let mut err = |piece: &[u8]| {
        if json {
            stderr.extend_from_slice(piece);
        } else {
            io::stderr().lock().write_all(piece).ok();
        }
    };
    let sinks = Sinks { stdout: &mut out, stderr: &mut err };
    let code = transfer::exec(&machine, &args.command, &input, args.timeout, sinks)?;
    if json {
        ctx.ui.result(&json!({
            "name": machine.name,
            "status": code,
            "stdout": String::from_utf8_lossy(&stdout),
            "stderr": String::from_utf8_lossy(&stderr),
        }));
    }
    Ok(code)
}
