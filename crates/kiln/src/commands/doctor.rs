// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln doctor`: every need, its verdict, and the command that mends it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context as _;
use kiln_host::{Tool, cmd};
use kiln_libvirt::Connection;
use kiln_libvirt::connect::VirtType;
use serde_json::json;

use crate::args::doctor::Doctor;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::forward::{self, Way};
use crate::machine::{guard, host, pool};
use crate::ui::Table;

/// The oldest libvirt that has what Kiln uses: 9.0.0 brought passt.
const LIBVIRT: (u64, u64) = (9, 0);
/// The machine type of Kiln's domains.
const MACHINE: &str = "q35";
/// Less free space than this in a folder of images is worth a warning: 5 GiB.
const SPACE: u64 = 5 << 30;

/// How a need stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Met.
    Ok,
    /// Not met; something is slower, or one verb lacks it.
    Warning,
    /// Not met, and machines need it.
    Missing,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Missing => "missing",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug)]
struct Finding {
    need: String,
    verdict: Verdict,
    detail: String,
    mend: Option<String>,
    fix: Option<Fix>,
}

/// Mends what a check found; returns what was done, for people.
type Fix = fn(&Subject<'_>) -> anyhow::Result<String>;

impl Finding {
    /// Has `--fix` mend it.
    fn fixed_by(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}

fn ok(need: &str, detail: impl Into<String>) -> Finding {
    let (need, detail) = (need.to_owned(), detail.into());
    Finding { need, verdict: Verdict::Ok, detail, mend: None, fix: None }
}

fn bad(
    need: &str,
    verdict: Verdict,
    detail: impl Into<String>,
    mend: impl Into<String>,
) -> Finding {
    let (need, detail, mend) = (need.to_owned(), detail.into(), Some(mend.into()));
    Finding { need, verdict, detail, mend, fix: None }
}

/// What the checks look at.
struct Subject<'a> {
    ctx: &'a Context,
    conn: Option<Connection>,
}

/// A check; it may find several things, or nothing when it does not apply.
type Check = fn(&Subject<'_>) -> anyhow::Result<Vec<Finding>>;

/// Every check, in the order that is shown.
const CHECKS: &[(&str, Check)] = &[
    ("qemu", qemu),
    ("acceleration", acceleration),
    ("firmware", firmware),
    ("network", network),
    ("forwards", forwards),
    ("core files", core_files),
    ("pool", storage),
    ("programs", programs),
    ("appliance", appliance),
    ("ids", subordinate_ids),
    ("space", space),
];

/// Checks what Kiln needs; 1 if something needed is missing.
pub(crate) fn run(ctx: &Context, args: &Doctor) -> anyhow::Result<u8> {
    let (conn, first) = libvirt(ctx);
    let subject = Subject { ctx, conn };
    let mut findings = look(&subject, &first);
    if args.fix && mend(&subject, &findings)? {
        findings = look(&subject, &first);
    }
    show(ctx, &findings);
    Ok(u8::from(findings.iter().any(|f| f.verdict == Verdict::Missing)))
}

fn look(subject: &Subject<'_>, first: &Finding) -> Vec<Finding> {
    let mut findings = vec![first.clone()];
    for (need, check) in CHECKS {
        match check(subject) {
            Ok(found) => findings.extend(found),
            Err(error) => {
                let mend = "see the error; run `kiln doctor -v` again when it is mended";
                findings.push(bad(need, Verdict::Warning, format!("{error:#}"), mend));
            }
        }
    }
    findings
}

/// Mends what can be mended; returns whether anything was done.
fn mend(subject: &Subject<'_>, findings: &[Finding]) -> anyhow::Result<bool> {
    let ui = &subject.ctx.ui;
    let mut done = false;
    for (finding, fix) in findings.iter().filter_map(|f| Some((f, f.fix?))) {
        if !subject.ctx.root {
            let what = format!("only root can mend `{}`", finding.need);
            let hint = format!("sudo {} doctor --fix", subject.ctx.program);
            return Err(Problem::new(Class::Host, what).hint(hint).into());
        }
        let what = || format!("could not mend `{}`", finding.need);
        ui.say(format!("{}: {}", finding.need, fix(subject).with_context(what)?));
        done = true;
    }
    if !done {
        ui.say("there is nothing that kiln can mend itself");
    }
    Ok(done)
}

fn show(ctx: &Context, findings: &[Finding]) {
    if ctx.ui.json() {
        let all: Vec<_> = findings
            .iter()
            .map(|f| json!({"need": f.need, "verdict": f.verdict.word(), "detail": f.detail, "mend": f.mend}))
            .collect();
        ctx.ui.result(&json!({ "findings": all }));
        return;
    }
    let mut table = Table::new(&["VERDICT", "NEED", "DETAIL"]);
    for f in findings {
        table.row(vec![f.verdict.word().to_owned(), f.need.clone(), f.detail.clone()]);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    for f in findings {
        if let Some(mend) = &f.mend {
            ctx.ui.out(format!("{}: {mend}", f.need));
        }
    }
}

fn libvirt(ctx: &Context) -> (Option<Connection>, Finding) {
    let conn = match host::connect(ctx) {
        Ok(conn) => conn,
        Err(error) => {
            let report = crate::error::report(&error);
            let mend = report.hints.join("; ");
            return (None, bad("libvirt", Verdict::Missing, report.chain.join(": "), mend));
        }
    };
    let finding = match conn.lib_version() {
        Ok(version) if (version.major, version.minor) >= LIBVIRT => {
            ok("libvirt", format!("{version} at {}", conn.uri()))
        }
        Ok(version) => bad(
            "libvirt",
            Verdict::Missing,
            format!("{version} at {} is older than {}.{}.0", conn.uri(), LIBVIRT.0, LIBVIRT.1),
            "install a newer one; on Debian 12: apt install -t bookworm-backports libvirt-daemon-system",
        ),
        Err(error) => bad("libvirt", Verdict::Warning, error.to_string(), "see the error"),
    };
    (Some(conn), finding)
}

fn qemu(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    let Some(conn) = &on.conn else { return Ok(Vec::new()) };
    let arch = std::env::consts::ARCH;
    Ok(match conn.domain_capabilities(arch, Some(MACHINE), VirtType::Qemu) {
        Ok(known) => {
            let version = conn.hypervisor_version()?;
            vec![ok("qemu", format!("{version}, {}", known.emulator().unwrap_or_default()))]
        }
        Err(error) => {
            let mend = "on the host: apt install qemu-system-x86";
            vec![bad("qemu", Verdict::Missing, error.to_string(), mend)]
        }
    })
}

fn acceleration(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    let Some(conn) = &on.conn else { return Ok(Vec::new()) };
    let mut all = vec![match host::accelerator(conn, None)?.warning {
        None => ok("acceleration", "kvm"),
        Some(warning) => bad(
            "acceleration",
            Verdict::Warning,
            warning,
            "switch virtualisation on in the firmware of this machine, or nested virtualisation in its host",
        ),
    }];
    let kvm = Path::new("/dev/kvm");
    if conn.is_local() && !conn.is_session() && kvm.exists() && group_of(kvm) == Some(0) {
        all.push(bad(
            "/dev/kvm",
            Verdict::Warning,
            "belongs to root's group: QEMU's user cannot open it, and libvirt probes QEMU anew on every call",
            "chown root:kvm /dev/kvm && chmod 660 /dev/kvm",
        )
        .fixed_by(give_kvm));
    }
    Ok(all)
}

/// Gives /dev/kvm to its group, as udev does where it runs.
fn give_kvm(_: &Subject<'_>) -> anyhow::Result<String> {
    let groups = std::fs::read_to_string("/etc/group")?;
    // group(5): name, password, number, members.
    let id = groups.lines().find_map(|line| line.strip_prefix("kvm:")?.split(':').nth(1));
    let id: u32 = id.context("there is no group `kvm`")?.parse()?;
    std::os::unix::fs::chown("/dev/kvm", Some(0), Some(id))?;
    std::fs::set_permissions("/dev/kvm", std::fs::Permissions::from_mode(0o660))?;
    Ok("gave /dev/kvm to the group `kvm`".to_owned())
}

fn group_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|m| m.gid())
}

fn firmware(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    let Some(conn) = &on.conn else { return Ok(Vec::new()) };
    let known = conn.domain_capabilities(std::env::consts::ARCH, Some(MACHINE), VirtType::Qemu)?;
    Ok(vec![if known.has_uefi() {
        ok("uefi", "a firmware for guests is there")
    } else {
        bad(
            "uefi",
            Verdict::Warning,
            "no UEFI firmware for guests",
            "on the host: apt install ovmf",
        )
    }])
}

fn network(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    let Some(conn) = &on.conn else { return Ok(Vec::new()) };
    if conn.is_session() {
        return Ok(vec![match Tool::Passt.find() {
            _ if !conn.is_local() => ok("network", "user-mode (passt) on the host"),
            Some(path) => ok("network", format!("user-mode: {}", path.display())),
            None => bad("network", Verdict::Missing, "passt is not installed", "apt install passt"),
        }]);
    }
    Ok(vec![match conn.network("default") {
        Ok(network) if network.is_active()? => ok("network", "`default` is active"),
        Ok(_) => bad(
            "network",
            Verdict::Missing,
            "`default` is not active",
            "virsh net-start default && virsh net-autostart default (or `kiln launch --start-network`)",
        )
        .fixed_by(start_network),
        Err(error) if error.is_not_found() => bad(
            "network",
            Verdict::Missing,
            "there is no network `default`",
            "virsh net-define /usr/share/libvirt/networks/default.xml && virsh net-start default",
        ),
        Err(error) => return Err(error.into()),
    }])
}

fn start_network(on: &Subject<'_>) -> anyhow::Result<String> {
    let conn = on.conn.as_ref().context("no host")?;
    let network = conn.network("default")?;
    match network.start() {
        // Somebody else was faster.
        Err(error) if error.is_operation_invalid() => {}
        other => other?,
    }
    network.set_autostart(true)?;
    Ok("started the network `default`, now and with the host".to_owned())
}

/// Whether the rules of forwards are in place, and what puts them back.
fn forwards(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    let Some(conn) = on.conn.as_ref().filter(|c| c.is_local() && !c.is_session()) else {
        return Ok(Vec::new());
    };
    let need = "forwards";
    let mut comments = Vec::new();
    for machine in Machine::ours(conn)? {
        let Some(meta) = machine.meta.as_ref().filter(|meta| !meta.forwards.is_empty()) else {
            continue;
        };
        if forward::find_way(&machine).is_ok_and(|way| way == Way::Host) {
            comments.extend(meta.forwards.iter().map(|f| forward::comment(&machine.name, f)));
        }
    }
    if comments.is_empty() {
        return Ok(vec![ok(need, "none of the packet filter")]);
    }
    let mut found = Vec::new();
    if let Some(there) = forward::state(on.ctx, conn)? {
        let missing = comments.iter().filter(|comment| !there.contains(*comment)).count();
        if missing > 0 {
            let what = format!("{missing} of {} are not in the packet filter", comments.len());
            let finding = bad(need, Verdict::Warning, what, "kiln forward restore");
            found.push(finding.fixed_by(restore_forwards));
        }
    }
    if !guard::is_whole() {
        let what = "nothing puts them back after a restart of the host, its firewall or a network";
        found.push(bad(need, Verdict::Warning, what, "kiln doctor --fix").fixed_by(guard_forwards));
    }
    if found.is_empty() {
        found.push(ok(need, format!("{}, put back by libvirt's hook", comments.len())));
    }
    Ok(found)
}

fn restore_forwards(on: &Subject<'_>) -> anyhow::Result<String> {
    let conn = on.conn.as_ref().context("no host")?;
    let rebuilt = forward::rebuild(on.ctx, conn, false)?;
    Ok(format!("{} are in place", rebuilt.forwards))
}

fn guard_forwards(_: &Subject<'_>) -> anyhow::Result<String> {
    let program = std::env::current_exe()?;
    let program = program.to_str().context("the path of this program is not text")?;
    let written = guard::install(program)?;
    let unit = if written.iter().any(|path| path.ends_with(".service")) {
        "`systemctl daemon-reload`, and "
    } else {
        ""
    };
    let hint = format!("to have them heeded: {unit}restart libvirt once (running machines stay)");
    Ok(format!("wrote {}; {hint}", written.join(", ")))
}

/// A session's libvirtd lifts QEMU's limit of core files, which a user whose hard limit is set may
/// not: it starts no machine then, unless told to set none (`max_core`, libvirt's qemu.conf).
fn core_files(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    let session = on.conn.as_ref().is_some_and(|conn| conn.is_session() && conn.is_local());
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
    let (true, Some(limit)) = (session, limit) else { return Ok(Vec::new()) };
    let need = "core files";
    let folder = on.ctx.env.config_home().unwrap_or_default().join("libvirt");
    let text = std::fs::read_to_string(folder.join("qemu.conf")).unwrap_or_default();
    if text.lines().any(|line| line.trim_start().starts_with("max_core")) {
        return Ok(vec![ok(need, "libvirt is told not to lift the limit")]);
    }
    let shown = folder.display();
    let mend = format!("mkdir -p {shown} && echo 'max_core = 0' >> {shown}/qemu.conf");
    let what = format!(
        "may have {limit} bytes at most (`ulimit -Hc`): libvirt asks for any size, and starts no machine"
    );
    Ok(vec![bad(need, Verdict::Missing, what, mend)])
}

fn storage(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    let Some(conn) = &on.conn else { return Ok(Vec::new()) };
    if !pool::is_active(conn, pool::DEFAULT)? {
        let place = pool::place_to_be(on.ctx, conn, pool::DEFAULT)?.path("");
        return Ok(vec![ok(
            "pool",
            format!(
                "`default` is made or started by the first launch, in {}",
                place.trim_end_matches('/')
            ),
        )]);
    }
    let info = pool::room(&conn.pool(pool::DEFAULT)?)?;
    let detail = format!("`default`: {} of {} free", info.available, info.capacity);
    Ok(vec![if info.available.0 > SPACE {
        ok("pool", detail)
    } else {
        bad("pool", Verdict::Warning, detail, "free some space, or use another pool (`--pool`)")
    }])
}

fn programs(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    // QEMU and passt are the host's: other checks ask libvirt.
    let ours = Tool::ALL.iter().filter(|t| !matches!(t, Tool::QemuSystem | Tool::Passt));
    // iptables is needed only where libvirt uses it, and then is there.
    let ours = ours.filter(|t| !matches!(t, Tool::Iptables | Tool::Ip6tables));
    on.ctx.ui.detail(format!("programs are looked for in {}", cmd::folders().join(" ")));
    Ok(ours
        .map(|tool| match tool.find() {
            Some(path) => ok(tool.program(), path.display().to_string()),
            None => bad(
                tool.program(),
                Verdict::Warning,
                format!("not installed; needed for {}", tool.needed_for()),
                format!("apt install {}", tool.package()),
            ),
        })
        .collect())
}

/// The kernel that an appliance starts with: `supermin` takes the host's.
fn appliance(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    if Tool::Guestfish.find().is_none() {
        // The list of programs says so.
        return Ok(Vec::new());
    }
    let names = std::fs::read_dir("/boot").into_iter().flatten().flatten();
    let boot = names.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"vmlinuz"));
    // Where Fedora has them.
    let modules = std::fs::read_dir("/lib/modules").into_iter().flatten().flatten();
    let modules = modules.map(|entry| entry.path().join("vmlinuz"));
    let mut kernels: Vec<_> = boot.map(|entry| entry.path()).chain(modules).collect();
    kernels.retain(|kernel| kernel.is_file());
    kernels.sort();
    on.ctx.ui.detail(format!("{} kernels for an appliance", kernels.len()));
    let needed = format!("needed for {}", Tool::Guestfish.needed_for());
    let need = "appliance";
    Ok(vec![match kernels.iter().find(|kernel| std::fs::File::open(kernel).is_ok()) {
        Some(kernel) => ok(need, format!("starts with {}", kernel.display())),
        None if kernels.is_empty() => {
            let mend = "apt install linux-image-amd64 (Ubuntu: linux-image-generic)";
            bad(need, Verdict::Warning, format!("no kernel in /boot; {needed}"), mend)
        }
        // So it is on Ubuntu.
        None => {
            let kernel = kernels[kernels.len() - 1].display().to_string();
            let what = format!("`{kernel}` can be read by root alone; {needed}");
            let mend = format!("sudo dpkg-statoverride --update --add root root 0644 {kernel}");
            bad(need, Verdict::Warning, what, mend)
        }
    }])
}

fn subordinate_ids(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    if on.ctx.root {
        return Ok(Vec::new());
    }
    let user = on.ctx.env.user.clone().unwrap_or_default();
    let has = |file: &str| {
        let start = format!("{user}:");
        std::fs::read_to_string(file).is_ok_and(|t| t.lines().any(|l| l.starts_with(&start)))
    };
    Ok(vec![if has("/etc/subuid") && has("/etc/subgid") {
        ok("subordinate ids", format!("`{user}` has a range"))
    } else {
        bad(
            "subordinate ids",
            Verdict::Warning,
            format!("`{user}` has no range in /etc/subuid and /etc/subgid; needed for kiln build"),
            format!(
                "sudo usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 {user}"
            ),
        )
    }])
}

fn space(on: &Subject<'_>) -> anyhow::Result<Vec<Finding>> {
    let folder = on.ctx.folder.ancestors().find(|f| f.exists()).unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(folder)?;
    let free = kiln_spec::Bytes(stat.f_bavail.saturating_mul(stat.f_frsize));
    let detail = format!("{free} free in {}", folder.display());
    Ok(vec![if free.0 > SPACE {
        ok("store", detail)
    } else {
        bad(
            "store",
            Verdict::Warning,
            detail,
            "free some space: `kiln image list`, `kiln image rm`",
        )
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_listed_once() {
        let mut names: Vec<_> = CHECKS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
