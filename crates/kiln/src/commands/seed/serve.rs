// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed serve`.
//!
//! Source: `DataSourceNoCloudNet` and `util.read_seeded` of cloud-init 22.4 to 26.2: it asks for
//! `user-data`, `meta-data`, `vendor-data`, and since 24.3 for `network-config`. What is not there
//! it asks for again ten times, so what may be missing is empty instead.

use std::collections::BTreeMap;
use std::net::{IpAddr, TcpListener};
use std::path::Path;

use kiln_guest::seed::Contents;
use kiln_spec::{Datasource, MachineName};
use serde_json::json;

use super::contents;
use super::http::{self, Access, Answer};
use crate::args::seed::serve::Serve;
use crate::context::Context;
use crate::error::{Class, Problem, report};
use crate::machine::existing::Machine;
use crate::machine::host;

/// What is served.
struct Served<'a> {
    ctx: &'a Context,
    /// Seeds of files, by their names.
    fixed: BTreeMap<String, Contents>,
    /// The machines that are; all if there are none, and no files.
    machines: Vec<MachineName>,
    any_address: bool,
}

/// Serves seeds until a signal comes.
pub(crate) fn run(ctx: &Context, args: &Serve) -> anyhow::Result<u8> {
    let served = Served::read(ctx, args)?;
    let listener = TcpListener::bind(args.listen).map_err(|source| {
        let what = format!("could not listen on {}", args.listen);
        Problem::new(Class::Host, what).because(source)
    })?;
    let url = format!("http://{}/", listener.local_addr()?);
    if ctx.ui.json() {
        served.line(&json!({ "listening": url, "seeds": served.names() }).to_string());
    } else {
        let what =
            served.names().map_or("the seeds of all machines".to_owned(), |all| all.join(", "));
        ctx.ui.say(format!("serving {what} at {url}, until Ctrl-C"));
        if !served.fixed.is_empty() {
            let all: Vec<&str> = served.fixed.keys().map(String::as_str).collect();
            ctx.ui
                .warn(format!("everybody who can reach this address is given {}", all.join(", ")));
        }
        served.line(&url);
    }
    let answer = |path: &str, peer: IpAddr| served.answer(path, peer);
    http::serve(&listener, answer, |access| served.log(access))?;
    Ok(0)
}

impl<'a> Served<'a> {
    fn read(ctx: &'a Context, args: &Serve) -> anyhow::Result<Self> {
        let (mut fixed, mut machines) = (BTreeMap::new(), Vec::new());
        for word in &args.what {
            if !contents::is_path(word) {
                machines.push(word.parse::<MachineName>()?);
                continue;
            }
            let path = Path::new(word);
            let seed = contents::of_path(path)?;
            expect_nocloud(word, &seed)?;
            // `.` and `..` have no name before they are resolved.
            let whole = path.canonicalize()?;
            let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name = name.split('.').next().unwrap_or_default().to_owned();
            let name: MachineName = name.parse().map_err(|error| {
                Problem::new(Class::Usage, format!("`{word}` cannot be served by its name"))
                    .because(anyhow::Error::new(error))
            })?;
            if fixed.insert(name.to_string(), seed).is_some() {
                let what = format!("two of the seeds would be served as `{name}`");
                return Err(Problem::new(Class::Usage, what).into());
            }
        }
        if !machines.is_empty() {
            let conn = host::connect(ctx)?;
            for name in &machines {
                let machine = Machine::find(&conn, name.as_str())?;
                expect_nocloud(name.as_str(), &contents::of_machine(ctx, &machine)?)?;
            }
        }
        Ok(Self { ctx, fixed, machines, any_address: args.any_address })
    }

    /// Returns the names that are served; `None` for all machines.
    fn names(&self) -> Option<Vec<String>> {
        let named = self.machines.iter().map(ToString::to_string);
        let all: Vec<String> = self.fixed.keys().cloned().chain(named).collect();
        (!all.is_empty()).then_some(all)
    }

    fn answer(&self, path: &str, peer: IpAddr) -> Answer {
        let mut parts = path.split('/');
        let (Some(""), Some(name), Some(file), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Answer::NotFound("no such path".into());
        };
        let files = Datasource::NoCloud.files();
        let Some(file) = files.into_iter().find(|known| *known == file) else {
            return Answer::NotFound("no such file".into());
        };
        if let Some(seed) = self.fixed.get(name) {
            return of(seed, file);
        }
        let Ok(name) = name.parse::<MachineName>() else {
            return Answer::NotFound("no name of a machine".into());
        };
        if self.names().is_some() && !self.machines.contains(&name) {
            return Answer::NotFound("not among what is served".into());
        }
        self.of_machine(&name, file, peer).unwrap_or_else(|error| {
            let report = report(&error);
            let why = report.chain.join(": ");
            match report.class {
                Class::Object => Answer::NotFound(why),
                _ => Answer::Unavailable(why),
            }
        })
    }

    /// Answers for a machine, as it is now.
    fn of_machine(&self, name: &MachineName, file: &str, peer: IpAddr) -> anyhow::Result<Answer> {
        let machine = Machine::find(&host::connect(self.ctx)?, name.as_str())?;
        let meta = machine.meta()?;
        if !self.any_address {
            let known: Vec<IpAddr> =
                machine.addresses().iter().filter_map(|text| text.parse().ok()).collect();
            // What passt hands on comes from the host itself.
            let by_passt = meta.ssh_port.is_some() && peer.is_loopback();
            if !by_passt && !known.contains(&peer) {
                let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                let why = match known.as_slice() {
                    [] => "the machine's address is not known (--any-address)".to_owned(),
                    known => format!("the machine has {}", known.join(", ")),
                };
                return Ok(Answer::NotFound(why));
            }
        }
        let seed = contents::of_machine(self.ctx, &machine)?;
        expect_nocloud(name.as_str(), &seed)?;
        Ok(of(&seed, file))
    }

    fn log(&self, access: &Access) {
        let Access { peer, method, path, status, bytes, why } = access;
        // It is a stranger's: only what a path of ours can hold is shown.
        let allowed = |c: &char| c.is_ascii_alphanumeric() || "/-._".contains(*c);
        let path: String = path.chars().filter(allowed).take(200).collect();
        if self.ctx.ui.json() {
            let line = json!({ "peer": peer, "method": method, "path": path, "status": status,
                "bytes": bytes, "why": why });
            self.line(&line.to_string());
        } else {
            let why = why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
            self.line(&format!("{peer} {method} {path} {status} {bytes}{why}"));
        }
    }

    /// Writes a line now: it may be read by a program that waits for it.
    fn line(&self, line: &str) {
        self.ctx.ui.deliver(line).ok();
    }
}

fn of(seed: &Contents, file: &str) -> Answer {
    Answer::Bytes(seed.file(file).unwrap_or_default().to_vec())
}

/// Refuses a seed that is no `NoCloud`'s: that has no other files to be fetched.
fn expect_nocloud(name: &str, seed: &Contents) -> Result<(), Problem> {
    if seed.datasource == Datasource::NoCloud {
        return Ok(());
    }
    let what =
        format!("the seed `{name}` is a drive of the kind `configdrive`, which nobody fetches");
    Err(Problem::new(Class::Object, what))
}
