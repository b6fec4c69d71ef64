// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln logs`.

use std::io::Write;
use std::time::Duration;

use kiln_host::signal;
use kiln_libvirt::event::{Event, Lifecycle};
use serde_json::json;

use crate::args::logs::Logs;
use crate::context::Context;
use crate::machine::console_log::ConsoleLog;
use crate::machine::console_watch::clean;
use crate::machine::existing::Machine;
use crate::machine::host;

/// How often the log is looked at with `-f`: a log that grows has no event.
const TICK: Duration = Duration::from_millis(300);

/// Shows the console's log, without what would steer the terminal.
pub(crate) fn run(ctx: &Context, args: &Logs) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, &args.name)?;
    machine.meta()?;
    let mut log = ConsoleLog::default();
    let mut all = Vec::new();
    loop {
        let new = log.read_new(&machine)?;
        if new.is_empty() {
            break;
        }
        all.extend(new);
    }
    let mut lines: Vec<String> = all.split(|b| *b == b'\n').map(clean).collect();
    let whole = all.is_empty() || all.ends_with(b"\n");
    if whole {
        lines.pop();
    }
    if let Some(most) = args.lines {
        lines.drain(..lines.len().saturating_sub(most));
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "name": machine.name, "lines": lines }));
        return Ok(0);
    }
    // The last line may go on.
    let last = if args.follow && !whole { lines.pop() } else { None };
    lines.iter().for_each(|line| ctx.ui.out(line));
    if args.follow {
        let rest = last.map(String::into_bytes).unwrap_or_default();
        follow(ctx, &machine, &mut log, rest)?;
    }
    Ok(0)
}

fn follow(
    ctx: &Context,
    machine: &Machine,
    log: &mut ConsoleLog,
    mut rest: Vec<u8>,
) -> anyhow::Result<()> {
    let events = machine.conn.subscribe()?;
    let mut running = machine.domain.state()?.is_active();
    loop {
        let new = log.read_new(machine)?;
        let quiet = new.is_empty();
        rest.extend(new);
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            ctx.ui.out(clean(&line));
        }
        if signal::interrupted() || (quiet && !running) {
            break;
        }
        match events.next_within(TICK) {
            Some(Event::Lifecycle { domain, change: Lifecycle::Stopped(_) })
                if domain.uuid == machine.uuid =>
            {
                running = false;
            }
            Some(Event::Closed(_)) => break,
            _ => {}
        }
    }
    if !rest.is_empty() {
        ctx.ui.out(clean(&rest));
    }
    std::io::stdout().flush().ok();
    Ok(())
}
