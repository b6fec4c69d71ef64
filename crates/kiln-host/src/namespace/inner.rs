// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The inner stage: process 1 of the new namespaces. Mounts what the program sees, leaves the
//! host's files for good, starts the program and waits for its end.
//!
//! Source: pivot_root(2) for the way with `.` and `.`; Documentation/filesystems/{fuse,overlayfs}.rst
//! of Linux. From `pivot` on every path, with all links of the guest on it, is one of the guest's.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_change, move_mount, open_tree, unmount,
};
use rustix::process::WaitOptions;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use super::job::Job;
use super::middle::{become_root, die_with_starter};
use super::wire::{Message, Wire};
use super::{PROGRAM_FILE, PROGRAM_PATH, Root, Setup, SpaceError, View, layers, loopback};

/// Devices of the host that the program may use.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
/// Links in `/dev`: name, target.
const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// What a package manager and its scripts need; all else is taken from the program for good.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::AUDIT_WRITE);
/// Capabilities that there can be: the bits of `cap_t` in the kernel's masks.
const CAPABILITIES: u32 = 64;

/// Is the inner stage, to its end.
pub(super) fn run(jobs: &[Job]) -> Result<(), SpaceError> {
    become_root()?;
    die_with_starter()?;
    let mut wire = Wire::stdin().map_err(SpaceError::system("open the wire"))?;
    let Message::Setup(setup) = wire.expect()? else { return Err(SpaceError::Lost) };
    rustix::process::setsid().map_err(|e| refused("begin a session", e))?;
    if !setup.network {
        loopback::up().map_err(SpaceError::system("switch the loopback on"))?;
    }
    rustix::system::sethostname(&setup.hostname).map_err(|e| refused("set the host name", e))?;
    let data = data(&mut wire, &setup)?;
    let spares = stack(&mut wire, &setup)?;
    let root = match &setup.root {
        Root::Fuse => "root",
        Root::Layers(layers) => layers.root(),
    };
    pivot(root)?;
    let end = if let Root::Layers(layers::Layers { view: View::Bare { job, request }, .. }) =
        &setup.root
    {
        leave_host()?;
        let Some(job) = jobs.iter().find(|known| known.name == job) else {
            return Err(SpaceError::Lost);
        };
        Message::Answered((job.run)(request, data.map(File::from)))
    } else {
        furnish(&setup, spares)?;
        Message::Ended(program(&setup, data)?)
    };
    wire.send(&end).map_err(SpaceError::system("speak"))
}

/// Takes the descriptor that is handed over.
fn data(wire: &mut Wire, setup: &Setup) -> Result<Option<OwnedFd>, SpaceError> {
    if !setup.data {
        return Ok(None);
    }
    let Message::Data = wire.expect()? else { return Err(SpaceError::Lost) };
    wire.take_fd().map(Some).ok_or(SpaceError::Lost)
}

pub(super) fn refused(what: &str, errno: Errno) -> SpaceError {
    SpaceError::System { what: what.into(), source: errno.into() }
}

/// What is taken along from the host's files, before they are left.
struct Spares {
    devices: Vec<(&'static str, OwnedFd)>,
    aside: Vec<OwnedFd>,
    program: Option<File>,
    /// Mounts with their places in the tree, and whether they may be written.
    binds: Vec<layers::Taken>,
}

/// Mounts the guest's files and the overlay upon them, in the scratch folder.
fn stack(wire: &mut Wire, setup: &Setup) -> Result<Spares, SpaceError> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|e| refused("make mounts private", e))?;
    let binds = match &setup.root {
        Root::Fuse => {
            mount_fuse(wire)?;
            overlay("lower", "root")?;
            Vec::new()
        }
        Root::Layers(layers) => layers.mount()?,
    };
    let mut devices = Vec::new();
    for name in DEVICES {
        devices.push((*name, clone(&format!("/dev/{name}"))?));
    }
    let aside = (0..setup.aside.len()).map(|n| clone(&format!("aside/{n}")));
    let aside = aside.collect::<Result<_, _>>()?;
    let program = setup.file.then(|| File::open(PROGRAM_FILE)).transpose();
    let program = program.map_err(SpaceError::system("open the program's file"))?;
    Ok(Spares { devices, aside, program, binds })
}

/// Mounts the guest's files on `lower`, and hands their connection over.
fn mount_fuse(wire: &mut Wire) -> Result<(), SpaceError> {
    let fuse = rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| refused("open `/dev/fuse`", e))?;
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
        fuse.as_raw_fd()
    );
    on("kiln", "lower", "fuse", MountFlags::RDONLY, &options)?;
    wire.send_fd(&Message::Fuse, fuse.as_fd()).map_err(SpaceError::system("speak"))
}

/// Lays an overlay over the folders `lower`, separated by colons.
pub(super) fn overlay(lower: &str, target: &str) -> Result<(), SpaceError> {
    let options = format!("lowerdir={lower},upperdir=upper,workdir=work,userxattr");
    on("overlay", target, "overlay", MountFlags::empty(), &options).map_err(|error| match error {
        // Of an overlay below an overlay, as in a container, or NFS, the kernel says no more.
        SpaceError::System { source, .. } if source.kind() == io::ErrorKind::InvalidInput => {
            let what = "lay an overlay on the scratch folder: its file system does not allow it";
            SpaceError::System { what: what.into(), source }
        }
        other => other,
    })
}

/// Takes a mount along, out of the host's files.
pub(super) fn clone(path: &str) -> Result<OwnedFd, SpaceError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, path, flags).map_err(|e| refused(&format!("take `{path}` along"), e))
}

/// Makes the overlay the root. The host's files stay mounted above it until `furnish` is done
/// with them: a new `/proc` may only be mounted where another one is seen.
fn pivot(root: &str) -> Result<(), SpaceError> {
    rustix::process::chdir(root)
        .and_then(|()| rustix::process::pivot_root(".", "."))
        .map_err(|e| refused("change the root", e))
}

/// Lets go of the host's files.
fn leave_host() -> Result<(), SpaceError> {
    unmount(".", UnmountFlags::DETACH).map_err(|e| refused("leave the host's files", e))?;
    rustix::process::chdir("/").map_err(|e| refused("change the folder", e))
}

/// Mounts the system's own places in the guest's tree, and lets go of the host's files.
fn furnish(setup: &Setup, spares: Spares) -> Result<(), SpaceError> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    on("proc", "/proc", "proc", safe | MountFlags::NOEXEC, "")?;
    leave_host()?;
    // No namespaces below this one: they would be a way back to capabilities. Best effort, since
    // the kernel may lack the limit, and the namespace above holds anyway.
    fs::write("/proc/sys/user/max_user_namespaces", "0").ok();
    on("dev", "/dev", "tmpfs", MountFlags::NOSUID, "mode=755,size=64k")?;
    let make = || {
        fs::create_dir("/dev/pts")?;
        fs::create_dir("/dev/shm")?;
        LINKS.iter().try_for_each(|(name, target)| symlink(target, format!("/dev/{name}")))
    };
    make().map_err(SpaceError::system("make `/dev`"))?;
    let pts = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    // A guest without a group 5 in its ids has terminals of the root group.
    on("devpts", "/dev/pts", "devpts", quiet, pts)
        .or_else(|_| on("devpts", "/dev/pts", "devpts", quiet, "newinstance,ptmxmode=0666"))?;
    on("shm", "/dev/shm", "tmpfs", safe | MountFlags::NOEXEC, "mode=1777")?;
    for (name, device) in spares.devices {
        let path = format!("/dev/{name}");
        File::create(&path).map_err(SpaceError::system(format!("make `{path}`")))?;
        attach(&device, path.as_bytes())?;
    }
    on("run", "/run", "tmpfs", safe, "mode=755")?;
    let make = || {
        fs::create_dir("/run/lock")?;
        fs::set_permissions("/run/lock", fs::Permissions::from_mode(0o1777))?;
        if let Some(mut from) = spares.program {
            let mut to = File::create_new(PROGRAM_PATH)?;
            io::copy(&mut from, &mut to)?;
            to.set_permissions(fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    };
    make().map_err(SpaceError::system("make `/run`"))?;
    for (path, folder) in setup.aside.iter().zip(&spares.aside) {
        match attach(folder, path) {
            // A guest that has no such folder keeps nothing there.
            Err(SpaceError::System { source, .. })
                if matches!(
                    source.kind(),
                    // A file is InvalidInput: a directory cannot be mounted on it.
                    io::ErrorKind::NotFound
                        | io::ErrorKind::NotADirectory
                        | io::ErrorKind::InvalidInput
                ) => {}
            other => other?,
        }
    }
    match &setup.root {
        Root::Fuse => Ok(()),
        Root::Layers(layers) => layers.furnish(&spares.binds, setup.network),
    }
}

pub(super) fn on(
    source: &str,
    target: &str,
    kind: &str,
    flags: MountFlags,
    options: &str,
) -> Result<(), SpaceError> {
    let data = CString::new(options)
        .map_err(|e| SpaceError::System { what: "mount".into(), source: io::Error::other(e) })?;
    mount(source, target, kind, flags, &*data)
        .map_err(|e| refused(&format!("mount {kind} on `{target}`"), e))
}

pub(super) fn attach(tree: &OwnedFd, path: &[u8]) -> Result<(), SpaceError> {
    let empty: &CStr = c"";
    let path = OsStr::from_bytes(path);
    move_mount(tree, empty, CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| refused(&format!("mount on `{}`", path.display()), e))
}

/// Starts the program, and buries all that it leaves. Returns its exit status.
fn program(setup: &Setup, data: Option<OwnedFd>) -> Result<i32, SpaceError> {
    let kept = match &setup.root {
        // The host's own programs, which make a tree: they mount in it.
        Root::Layers(layers) if layers.view == View::Outside => KEPT | CapabilitySet::SYS_ADMIN,
        _ => KEPT,
    };
    for bit in 0..CAPABILITIES {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if !kept.contains(one) {
            match remove_capability_from_bounding_set(one) {
                // Beyond the last that this kernel knows.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(errno) => return Err(refused("give up capabilities", errno)),
            }
        }
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let Some((name, args)) = setup.argv.split_first() else { return Err(SpaceError::Lost) };
    let os = |bytes: &Vec<u8>| OsStr::from_bytes(bytes).to_owned();
    #[expect(clippy::disallowed_methods, reason = "the guest's program, in its namespaces")]
    let mut command = Command::new(os(name));
    command
        .args(args.iter().map(os))
        .env_clear()
        .envs(setup.env.iter().map(|(k, v)| (os(k), os(v))))
        .current_dir(os(&setup.cwd))
        .process_group(0)
        .stdin(data.map_or_else(Stdio::null, Stdio::from));
    let child = match command.spawn() {
        Ok(child) => child,
        // As a shell would: 127 for a program that is not there, 126 for one that is none.
        Err(error) => {
            use io::Write;
            let name = OsStr::from_bytes(name).display();
            writeln!(io::stderr(), "kiln: cannot start {name}: {error}").ok();
            return Ok(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 });
        }
    };
    let main = i32::try_from(child.id()).map_err(|_| SpaceError::Lost)?;
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == main => {
                let code = status.exit_status();
                return Ok(code.or(status.terminating_signal().map(|n| 128 + n)).unwrap_or(255));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(refused("wait for the program", errno)),
        }
    }
}
