// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Starting, stopping and waiting for a machine that is there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kiln_host::signal;
use kiln_libvirt::Connection;
use kiln_libvirt::domain::{Shutdown, State};
use kiln_libvirt::event::{Event, Lifecycle, Subscription};
use kiln_spec::Bytes;

use super::console_log::ConsoleLog;
use super::existing::Machine;
use super::forward;
use super::meta::Reservation;
use super::network;
use super::plan::ssh_forward;
use crate::args::stop::How;
use crate::context::Context;
use crate::error::{Class, Problem};

/// How long the agent may take to take a request.
const AGENT: Duration = Duration::from_secs(5);
/// The longest wait for an event before a signal is looked for.
const TICK: Duration = Duration::from_millis(300);

/// How a machine came to be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It was off.
    Already,
    /// The guest shut down.
    ByGuest,
    /// Switched off, as was asked for.
    Hard,
    /// Switched off, because the guest took too long.
    HardAfterTimeout,
}

impl Stopped {
    /// Returns the word that `--json` uses.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Already => "already",
            Self::ByGuest => "by-guest",
            Self::Hard => "hard",
            Self::HardAfterTimeout => "hard-after-timeout",
        }
    }
}

impl Machine {
    /// Finds several machines, each once; all of them, or it is an error.
    ///
    /// # Errors
    ///
    /// The first that is not there.
    pub(crate) fn find_all(conn: &Connection, names: &[String]) -> anyhow::Result<Vec<Self>> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for name in names {
            let machine = Self::find(conn, name)?;
            if seen.insert(machine.uuid) {
                found.push(machine);
            }
        }
        Ok(found)
    }

    /// Returns the processors.
    pub(crate) fn cpus(&self) -> Option<u32> {
        self.xml.vcpus()
    }

    /// Returns the memory.
    pub(crate) fn memory(&self) -> Option<Bytes> {
        self.xml.memory()
    }

    /// Returns the addresses as they are shown: a forward of this machine's as `address:port`.
    pub(crate) fn shown_addresses(&self, state: State) -> Vec<String> {
        match self.meta.as_ref().and_then(|meta| meta.ssh_port) {
            Some(port) => vec![format!("127.0.0.1:{port}")],
            None if state.is_active() => self.addresses(),
            None => self.known_addresses(),
        }
    }

    /// Returns what `kiln rm` takes away, a line each.
    pub(crate) fn to_be_removed(&self) -> Vec<String> {
        let mut lines = vec![format!("domain `{}` ({})", self.name, self.uuid)];
        if let Some(meta) = &self.meta {
            let volume =
                |v: &super::meta::VolumeRef| format!("volume `{}` in pool `{}`", v.name, v.pool);
            lines.extend(meta.volumes().into_iter().map(volume));
            let reservation =
                |r: &Reservation| format!("reservation of {} in network `{}`", r.ip, r.network);
            lines.extend(meta.reservations.iter().map(reservation));
            lines.extend(meta.forwards.iter().map(|f| format!("forward of the host's port {f}")));
            let records = meta.dns.iter().flat_map(|dns| &dns.records);
            lines.extend(records.map(|record| format!("`{record}` in DNS")));
        }
        lines
    }

    /// Starts the machine. Returns `false` if it runs already. A paused one goes on.
    ///
    /// # Errors
    ///
    /// What libvirt says.
    pub(crate) fn start(&self, ctx: &Context) -> anyhow::Result<bool> {
        match self.domain.state()? {
            State::Running | State::ShuttingDown => return Ok(false),
            State::Paused => {
                self.domain.resume()?;
                return Ok(true);
            }
            _ => {}
        }
        self.move_forward(ctx)?;
        self.check_ports()?;
        self.check_networks()?;
        ConsoleLog::begin(ctx, self)?;
        match self.domain.start() {
            // Somebody else was faster.
            Err(error) if error.is_operation_invalid() && self.domain.state()?.is_active() => {
                Ok(false)
            }
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Refuses to start where a network is missing, which libvirt says in its own words only.
    fn check_networks(&self) -> anyhow::Result<()> {
        for name in self.xml.interfaces().iter().filter_map(|interface| interface.network()) {
            let active = match self.conn.network(&name) {
                Err(error) if error.is_not_found() => None,
                other => Some(other?.is_active()?),
            };
            let problem = |what: &str| {
                let what = format!("the network `{name}` of `{}` {what}", self.name);
                Problem::new(Class::Object, what)
            };
            match active {
                Some(true) => {}
                Some(false) => {
                    let hint = format!("`kiln network start {name}`");
                    return Err(problem("is not active").hint(hint).into());
                }
                None => {
                    let hint = format!("`kiln network create {name}` makes one");
                    return Err(problem("is not there").hint(hint).into());
                }
            }
        }
        Ok(())
    }

    /// With user-mode networking: takes another port of the host for SSH if somebody has taken
    /// the machine's since it was last running.
    fn move_forward(&self, ctx: &Context) -> anyhow::Result<()> {
        let Some(meta) = &self.meta else { return Ok(()) };
        let Some(port) = meta.ssh_port else { return Ok(()) };
        if !self.conn.is_local() || std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        let Ok(free) = network::free_port(self.uuid) else {
            let what = format!("port {port} of the host, which leads to `{}`, is taken", self.name);
            return Err(Problem::new(Class::Object, what).into());
        };
        let mut meta = meta.clone();
        meta.ssh_port = Some(free);
        let mut xml = self.xml.0.clone();
        if let Some(forward) = xml.find_mut("devices/interface/portForward") {
            *forward = ssh_forward(free).to_element();
        }
        self.conn.define_domain_xml(&xml)?;
        self.domain.set_metadata(Some(&meta.element()))?;
        ctx.ui.say(format!("port {port} is taken; `{}` is now at port {free}", self.name));
        Ok(())
    }

    /// With user-mode networking: refuses a start that passt would make fail without a word of
    /// which port it is.
    fn check_ports(&self) -> anyhow::Result<()> {
        let Some(meta) = self.meta.as_ref().filter(|meta| !meta.forwards.is_empty()) else {
            return Ok(());
        };
        let passt = forward::find_way(self).is_ok_and(|way| way == forward::Way::Passt);
        if passt && self.conn.is_local() {
            forward::check_start(&self.name, &meta.forwards)?;
        }
        Ok(())
    }

    /// Returns an error unless the machine runs.
    ///
    /// # Errors
    ///
    /// It is off (class object), with what starts it.
    pub(crate) fn expect_running(&self) -> anyhow::Result<()> {
        if self.domain.state()?.is_active() {
            return Ok(());
        }
        let problem = Problem::new(Class::Object, format!("`{}` is off", self.name));
        Err(problem.hint(format!("`kiln start {}`", self.name)).into())
    }

    /// Stops the machine: by the agent if it is connected, else by ACPI; after the time-out, or
    /// at once if that is wanted, it is switched off.
    ///
    /// # Errors
    ///
    /// What libvirt says; a signal.
    pub(crate) fn stop(&self, ctx: &Context, how: How) -> anyhow::Result<Stopped> {
        if !self.domain.state()?.is_active() {
            return Ok(Stopped::Already);
        }
        if how.hard {
            self.switch_off()?;
            return Ok(Stopped::Hard);
        }
        let events = self.conn.subscribe()?;
        let task = ctx.ui.task(&self.name);
        task.phase("shutting down", "");
        self.ask_to_stop()?;
        if self.stopped_within(&events, how.timeout)? {
            return Ok(Stopped::ByGuest);
        }
        task.phase("switching off", "");
        self.switch_off()?;
        Ok(Stopped::HardAfterTimeout)
    }

    fn ask_to_stop(&self) -> anyhow::Result<()> {
        if self.agent_connected()? && self.domain.agent(AGENT).ping().is_ok() {
            match self.domain.shutdown(Shutdown::Agent) {
                // It went away just now: ACPI is left.
                Err(error) if error.is_agent_unresponsive() => {}
                Err(error) if error.is_operation_invalid() => return Ok(()),
                other => return Ok(other?),
            }
        }
        match self.domain.shutdown(Shutdown::Acpi) {
            // Off by itself in the meantime.
            Err(error) if error.is_operation_invalid() => Ok(()),
            other => Ok(other?),
        }
    }

    fn switch_off(&self) -> anyhow::Result<()> {
        match self.domain.destroy() {
            Err(error) if error.is_operation_invalid() => Ok(()),
            other => Ok(other?),
        }
    }

    fn stopped_within(&self, events: &Subscription, timeout: Duration) -> anyhow::Result<bool> {
        let began = Instant::now();
        // It may have stopped before the events were listened to.
        while self.domain.state()?.is_active() {
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            if signal::interrupted() {
                let what = format!("stopped waiting for `{}` to shut down", self.name);
                return Err(Problem::new(Class::Guest, what).into());
            }
            match events.next_within(left.min(TICK)) {
                Some(Event::Lifecycle { domain, change: Lifecycle::Stopped(_) })
                    if domain.uuid == self.uuid =>
                {
                    return Ok(true);
                }
                Some(Event::Closed(_)) => {
                    let what = format!("the connection to `{}` was lost", self.conn.uri());
                    return Err(Problem::new(Class::Host, what).into());
                }
                _ => {}
            }
        }
        Ok(true)
    }

    /// Waits until the machine is off.
    ///
    /// # Errors
    ///
    /// Class guest when the time is up.
    pub(crate) fn await_stop(&self, timeout: Duration) -> anyhow::Result<()> {
        let events = self.conn.subscribe()?;
        if self.stopped_within(&events, timeout)? {
            return Ok(());
        }
        let what = format!("`{}` still runs after {} s", self.name, timeout.as_secs());
        Err(Problem::new(Class::Guest, what).hint(format!("`kiln stop {}`", self.name)).into())
    }

    /// Waits until the guest agent answers.
    ///
    /// # Errors
    ///
    /// Class guest when the time is up or the machine is off.
    pub(crate) fn await_agent(&self, timeout: Duration) -> anyhow::Result<()> {
        let events = self.conn.subscribe()?;
        let began = Instant::now();
        loop {
            if !self.domain.state()?.is_active() {
                return Err(Problem::new(Class::Guest, format!("`{}` is off", self.name)).into());
            }
            if self.agent_connected()? && self.domain.agent(AGENT).ping().is_ok() {
                return Ok(());
            }
            if signal::interrupted() || began.elapsed() > timeout {
                let secs = began.elapsed().as_secs();
                let what = format!("no guest agent answers in `{}` after {secs} s", self.name);
                let hint = "the guest may be booting still, or have no qemu-guest-agent";
                return Err(Problem::new(Class::Guest, what).hint(hint).into());
            }
            // Its event, or the tick, ends this.
            drop(events.next_within(TICK));
        }
    }
}
