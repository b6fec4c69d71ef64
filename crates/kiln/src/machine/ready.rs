// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Waiting until one can log in, and proving it.
//!
//! Ready means: the guest agent answers, cloud-init has ended well, and a login by SSH works. A
//! guest without an agent is ready by SSH, one without cloud-init by what is left, and that is
//! said; more can be asked for ([`ready_checks`]). The console is read all the while, so that a boot that will never get there (a panic, a
//! shell in the initramfs) ends the wait at once.
//!
//! libvirt's events wake the loop; what has no event (the console's log, cloud-init's result, the
//! SSH server) is looked at once a tick.

use std::time::{Duration, Instant};

use kiln_host::{CmdError, Host, Tool, signal};
use kiln_libvirt::agent::FileMode;
use kiln_libvirt::event::{Event, Lifecycle, Subscription};
use kiln_spec::ready::ReadyCheck;

use super::cloud_init::{self, CloudInit};
use super::console_log::ConsoleLog;
use super::console_watch::{ConsoleWatch, Stage};
use super::existing::Machine;
use super::greeting::{Greeting, answers};
use super::keys;
use super::ready_checks::{self, Checks};
use super::ssh::Route;
use super::timings::Timings;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::ui::Task;

/// How often things without an event are looked at.
const TICK: Duration = Duration::from_millis(400);
/// How long the agent may take for an answer.
const AGENT: Duration = Duration::from_secs(5);
/// The most that is read of cloud-init's files.
const FILE_MOST: usize = 1 << 20;
/// How often a login is tried while there is no agent.
const TRY_SSH: Duration = Duration::from_secs(3);
/// How long a login that works is given for the agent to come, too.
const AGENT_GRACE: Duration = Duration::from_secs(10);
/// How long a login may take to be proven once everything else is done.
const LOGIN: Duration = Duration::from_secs(120);
/// The longest a single ssh run may take.
const SSH_RUN: Duration = Duration::from_secs(90);
/// There while a guest lets only root in, as during boot: pam_nologin(8), systemd-user-sessions(8).
const NOLOGIN: &str = "/run/nologin";
/// Lines of the console shown with a failure.
const EXCERPT: usize = 15;

/// What was proven.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// Whether the guest agent answers.
    pub(crate) agent: bool,
    /// How cloud-init ended.
    pub(crate) cloud_init: CloudInit,
    /// Whether a login by SSH was done; otherwise why not.
    pub(crate) ssh: Result<(), String>,
}

/// What one wait knows so far.
struct Wait<'a> {
    ctx: &'a Context,
    machine: &'a Machine,
    task: &'a Task,
    timings: &'a mut Timings,
    console: ConsoleLog,
    watch: ConsoleWatch,
    agent: bool,
    files: bool,
    cloud_init: Option<CloudInit>,
    route: Option<Route>,
    greeting: Greeting,
    login: Login,
    all_but_login: Option<Instant>,
    checks: Checks<'a>,
    /// What was asked for, and is not there yet of a machine that is ready else.
    missing: Option<ReadyCheck>,
}

/// What is known of a login by SSH.
#[derive(Debug)]
enum Login {
    NotTried,
    Failed { at: Instant, why: String },
    Works { at: Instant },
    CannotProve { why: String },
}

/// Waits until `machine` is ready, and `checks` are proven of it, too.
///
/// # Errors
///
/// Class usage: a check cannot be made from here. Class guest: the boot failed, the guest stopped, cloud-init failed in a module, no login, or
/// the time is up; with the console's last lines.
pub(crate) fn wait(
    ctx: &Context,
    machine: &Machine,
    task: &Task,
    timings: &mut Timings,
    (timeout, checks): (Duration, &[ReadyCheck]),
) -> anyhow::Result<Ready> {
    ready_checks::check(machine, checks)?;
    let events = machine.conn.subscribe()?;
    let began = Instant::now();
    let mut wait = Wait {
        ctx,
        machine,
        task,
        timings,
        console: ConsoleLog::since_start(ctx, machine),
        watch: ConsoleWatch::default(),
        agent: machine.agent_connected()?,
        files: true,
        cloud_init: None,
        route: None,
        greeting: Greeting::default(),
        login: Login::NotTried,
        all_but_login: None,
        checks: Checks::new(checks),
        missing: None,
    };
    loop {
        wait.look()?;
        if let Some(ready) = wait.ready()? {
            return Ok(ready);
        }
        if signal::interrupted() {
            let what = format!("stopped waiting for `{}`; it goes on booting", machine.name);
            let hint = format!("`kiln wait {}` waits again", machine.name);
            return Err(Problem::new(Class::Guest, what).hint(hint).into());
        }
        if began.elapsed() > timeout {
            return Err(wait.time_is_up(timeout).into());
        }
        wait.next_event(&events)?;
    }
}

impl Wait<'_> {
    /// Looks at everything that has no event, and moves on from phase to phase.
    fn look(&mut self) -> anyhow::Result<()> {
        self.read_console()?;
        if self.agent && self.cloud_init.is_none() {
            self.ask_agent()?;
        }
        if self.route.is_none() {
            self.route = self.machine.route(self.ctx)?;
        }
        if self.login_is_due() {
            self.try_login();
        }
        self.show();
        Ok(())
    }

    fn read_console(&mut self) -> anyhow::Result<()> {
        let before = self.watch.stage();
        let new = self.console.read_new(self.machine)?;
        self.watch.feed(&new);
        if before == Stage::Firmware && self.watch.stage() > Stage::Firmware && !self.agent {
            self.timings.lap("firmware+kernel");
        }
        match self.watch.failure() {
            Some(failure) if !self.agent => {
                let what = format!("`{}` did not boot: {}", self.machine.name, failure.what);
                Err(self.problem(what).hint(failure.hint).into())
            }
            _ => Ok(()),
        }
    }

    /// Asks the agent for cloud-init's result and the host keys.
    fn ask_agent(&mut self) -> anyhow::Result<()> {
        if !self.files {
            return Ok(());
        }
        let agent = self.machine.domain.agent(AGENT);
        let read = |path: &str| match agent.read_file(path, FILE_MOST) {
            Ok(bytes) => Ok(Some(bytes)),
            // A file that is not there: the agent answers with an error.
            Err(error) if error.is_agent_refusal() => Ok(None),
            Err(error) => Err(error),
        };
        let there = |path: &str| match agent.open(path, FileMode::Read) {
            Ok(file) => agent.close(file).map(|()| true),
            Err(error) if error.is_agent_refusal() => Ok(false),
            Err(error) => Err(error),
        };
        let mut ask = || -> Result<Option<CloudInit>, kiln_libvirt::Error> {
            if let Some(result) = read(cloud_init::RESULT)? {
                let status = read(cloud_init::STATUS)?;
                return Ok(cloud_init::read(&result, status.as_deref()));
            }
            if there(cloud_init::DISABLED)? || !there("/usr/bin/cloud-init")? {
                if !there("/etc/os-release")? {
                    self.files = false;
                    return Ok(None);
                }
                // Until its services are up it lets nobody in, whoever has a key.
                return Ok((!there(NOLOGIN)?).then_some(CloudInit::Absent));
            }
            Ok(None)
        };
        match ask() {
            Ok(found) => self.cloud_init = found,
            // The agent went away for a moment (it is restarted by a package, say).
            Err(error) if error.is_agent_unresponsive() => {}
            Err(error) => return Err(error.into()),
        }
        if self.cloud_init.is_some() {
            self.timings.lap("cloud-init");
            self.machine.learn_host_keys(self.ctx, AGENT)?;
            self.route = self.machine.route(self.ctx)?;
        }
        Ok(())
    }

    fn login_is_due(&mut self) -> bool {
        let Some(route) = &self.route else { return false };
        match &self.login {
            Login::Works { .. } | Login::CannotProve { .. } => return false,
            Login::Failed { at, .. } if at.elapsed() < TRY_SSH => return false,
            _ => {}
        }
        if self.cloud_init.is_some() {
            return true;
        }
        // Without an agent SSH is all there is; an agent whose files are closed tells nothing of
        // cloud-init.
        (!self.agent || !self.files)
            && self.watch.stage() != Stage::Firmware
            && self.greeting.came(route)
    }

    fn try_login(&mut self) {
        let Some(route) = self.route.clone() else { return };
        let nobodys = matches!(self.cloud_init, Some(CloudInit::Absent));
        // Who greets before a login and refuses it does not want it; after it, may only have begun.
        let greeted = (nobodys || !keys::usable_unasked(self.ctx, &route.identities))
            && answers(self.ctx, &route);
        let cmd = route
            .cmd(self.ctx, Tool::Ssh)
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "-o", "LogLevel=ERROR", "-T"])
            .arg(route.destination())
            .arg("true")
            .deadline(Some(SSH_RUN));
        self.login = match self.ctx.host.run(&cmd) {
            Ok(_) => Login::Works { at: Instant::now() },
            Err(CmdError::Missing { .. }) => {
                Login::CannotProve { why: "ssh is not installed here".to_owned() }
            }
            Err(error) if greeted && nobodys => {
                self.ctx.ui.detail(error.to_string());
                Login::CannotProve { why: "nobody put a key into the guest".to_owned() }
            }
            Err(error) if greeted => {
                self.ctx.ui.detail(error.to_string());
                Login::CannotProve {
                    why: "no private key here can be used without a question (a passphrase, say)"
                        .to_owned(),
                }
            }
            Err(error) => Login::Failed { at: Instant::now(), why: error.to_string() },
        };
        if matches!(self.login, Login::Works { .. }) {
            if self.cloud_init.is_none() {
                self.ask_by_ssh(&route);
            }
            self.timings.lap("ssh");
        }
    }

    /// Without the agent: asks for cloud-init's result by SSH.
    fn ask_by_ssh(&mut self, route: &Route) {
        let remote = format!(
            "if [ -e {result} ]; then cat {result}; elif [ -e {disabled} ] || ! [ -x /usr/bin/cloud-init ]; \
             then echo absent; fi",
            result = cloud_init::RESULT,
            disabled = cloud_init::DISABLED
        );
        let cmd = route
            .cmd(self.ctx, Tool::Ssh)
            .args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-T"])
            .arg(route.destination())
            .arg(remote)
            .deadline(Some(SSH_RUN));
        let answer = self.ctx.host.run(&cmd).map(|out| out.stdout).unwrap_or_default();
        self.cloud_init = match answer.trim_ascii() {
            b"absent" => Some(CloudInit::Absent),
            json => cloud_init::read(json, None),
        };
        if self.cloud_init.is_none() {
            // Not done yet: the login is tried again, and with it this.
            let why = "cloud-init is still at work".to_owned();
            self.login = Login::Failed { at: Instant::now(), why };
        }
    }

    /// Returns what was proven, when it is enough.
    fn ready(&mut self) -> anyhow::Result<Option<Ready>> {
        let Some(cloud_init) = &self.cloud_init else { return Ok(None) };
        if let CloudInit::Failed { errors } = cloud_init {
            let what = format!("cloud-init failed in `{}`", self.machine.name);
            let mut problem = Problem::new(Class::Guest, what)
                .excerpt(errors.iter().map(cloud_init::ModuleError::line).collect());
            let name = &self.machine.name;
            problem = problem
                .hint(format!("`kiln exec {name} -- cat /var/log/cloud-init-output.log` has more"));
            return Err(problem.into());
        }
        let since = *self.all_but_login.get_or_insert_with(Instant::now);
        let ssh = match &self.login {
            Login::Works { at } if self.agent || at.elapsed() > AGENT_GRACE => Ok(()),
            Login::CannotProve { why } => Err(why.clone()),
            Login::Failed { why, .. } if since.elapsed() > LOGIN => {
                let what = format!("nobody can log in to `{}` by SSH", self.machine.name);
                let cause = anyhow::anyhow!("{why}");
                return Err(self.problem(what).because(cause).into());
            }
            Login::NotTried if self.route.is_none() && since.elapsed() > LOGIN => {
                let what = format!("`{}` has no address", self.machine.name);
                let hint = "does its network give out addresses? see `kiln info`";
                return Err(self.problem(what).hint(hint).into());
            }
            _ => return Ok(None),
        };
        let ready = Ready { agent: self.agent, cloud_init: cloud_init.clone(), ssh };
        self.missing = self.checks.missing(self.machine, (&ready, self.route.as_ref()))?;
        Ok(self.missing.is_none().then_some(ready))
    }

    fn next_event(&mut self, events: &Subscription) -> anyhow::Result<()> {
        match events.next_within(TICK) {
            Some(Event::Agent { domain, connected }) if domain.uuid == self.machine.uuid => {
                if connected && !self.agent {
                    self.timings.lap("agent");
                }
                self.agent = connected;
            }
            Some(Event::Lifecycle {
                domain,
                change: Lifecycle::Stopped(_) | Lifecycle::Crashed,
            }) if domain.uuid == self.machine.uuid => {
                return Err(self.stopped());
            }
            Some(Event::Closed(_)) => {
                let what = format!("the connection to `{}` was lost", self.machine.conn.uri());
                let name = &self.machine.name;
                let hint = format!("the machine itself goes on; `kiln wait {name}` waits again");
                return Err(Problem::new(Class::Host, what).hint(hint).into());
            }
            _ => {}
        }
        Ok(())
    }

    fn stopped(&mut self) -> anyhow::Error {
        // What it wrote last says why.
        if let Ok(new) = self.console.read_new(self.machine) {
            self.watch.feed(&new);
        }
        let what = format!("`{}` stopped before it was ready", self.machine.name);
        self.problem(what).into()
    }

    fn time_is_up(&self, timeout: Duration) -> Problem {
        let waited = timeout.as_secs();
        let what =
            format!("`{}` was not ready after {waited} s: {}", self.machine.name, self.phase());
        let cause = match (&self.login, self.agent, self.watch.stage()) {
            _ if self.missing.is_some() => "all else was there".to_owned(),
            (Login::Failed { why, .. }, ..) => format!("the last try to log in: {why}"),
            (_, true, _) => "cloud-init has not ended; see /var/log/cloud-init.log in the guest".to_owned(),
            (_, false, Stage::Firmware) => {
                "nothing of a kernel was seen on the console: is the image bootable, and does it write to a serial console?".to_owned()
            }
            (_, false, Stage::Kernel) => "the kernel started, and no agent and no login came: it may be booting still".to_owned(),
            (_, false, Stage::Login) => "it shows a login prompt, but no agent answers and SSH lets nobody in".to_owned(),
        };
        let name = &self.machine.name;
        self.problem(what).hint(cause).hint(format!(
            "the machine was kept: `kiln logs {name}`, `kiln console {name}`, `kiln wait {name}`"
        ))
    }

    fn problem(&self, what: String) -> Problem {
        Problem::new(Class::Guest, what).excerpt(self.watch.last(EXCERPT))
    }

    fn phase(&self) -> String {
        let phase = match (&self.cloud_init, self.agent, self.watch.stage()) {
            _ if self.missing.is_some() => "waiting",
            (Some(_), ..) => "waiting for a login by SSH",
            (None, true, _) => "cloud-init is at work",
            (None, false, Stage::Firmware) => "firmware",
            (None, false, Stage::Kernel) => "booting",
            (None, false, Stage::Login) => "waiting for the guest agent",
        };
        match self.missing {
            Some(check) => format!("{phase} for {check}"),
            None => phase.to_owned(),
        }
    }

    fn show(&self) {
        let last = self.watch.last(1).pop().unwrap_or_default();
        self.task.phase(&self.phase(), &last);
    }
}
