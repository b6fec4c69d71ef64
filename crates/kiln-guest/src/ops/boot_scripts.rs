// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Scripts that a guest runs once, at its first boot: where they lie and what starts them.
//!
//! `/usr/libexec/kiln-firstboot` holds `run` and `scripts/`. systemd starts `run` by a unit of
//! its own, other systems by a link of sysvinit or a service of OpenRC. `run` moves each script
//! away before it starts it, so that none runs twice, whatever it does.

use super::{Problem, Scene};
use crate::system::Family;
use crate::tree::{GuestPath, Tree as _};

const FOLDER: &str = "/usr/libexec/kiln-firstboot";
const UNIT: &str = "/etc/systemd/system/kiln-firstboot.service";
const WANTED: &str = "/etc/systemd/system/multi-user.target.wants";

/// What runs the scripts, in order of their names.
const RUN: &str = r#"#!/bin/sh
### BEGIN INIT INFO
# Provides:          kiln-firstboot
# Required-Start:    $remote_fs $network
# Should-Start:      $all
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: Run scripts once, at the first boot
### END INIT INFO
[ "${1:-start}" = start ] || exit 0
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/root
export PATH HOME
folder=/usr/libexec/kiln-firstboot
log=/var/log/kiln-firstboot.log
umask 077
mkdir -p "$folder/done" /var/log
say() { echo "kiln-firstboot: $*" | tee -a "$log"; }
for script in "$folder"/scripts/*; do
    [ -f "$script" ] || continue
    name=${script##*/}
    mv "$script" "$folder/done/$name" || continue
    say "$name begins"
    { "$folder/done/$name"; echo "$?" >"$folder/done/.status"; } 2>&1 | tee -a "$log"
    say "$name ended with status $(cat "$folder/done/.status")"
    rm -f "$folder/done/$name" "$folder/done/.status"
done
exit 0
"#;

const SERVICE: &str = "\
[Unit]
Description=Run scripts once, at the first boot
Wants=network-online.target
After=network-online.target remote-fs.target
ConditionDirectoryNotEmpty=/usr/libexec/kiln-firstboot/scripts

[Service]
Type=oneshot
ExecStart=/usr/libexec/kiln-firstboot/run start
RemainAfterExit=yes
TimeoutStartSec=infinity
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
";

const OPENRC: &str = "\
#!/sbin/openrc-run
description=\"Run scripts once, at the first boot\"
depend() {
    need localmount
    after *
}
start() {
    /usr/libexec/kiln-firstboot/run start
}
";

/// The highest number that the name of a script begins with.
const MOST: u32 = 9999;

/// Adds a script; those that were added before run before it.
pub(super) fn add(scene: &mut Scene<'_>, name: &str, contents: &[u8]) -> Result<(), Problem> {
    if scene.known.family == Family::Windows {
        return Err(Problem::refused("kiln cannot edit Windows guests yet"));
    }
    let scripts = GuestPath::from(FOLDER).join("scripts");
    scene.folders(&GuestPath::from(FOLDER), 0o755)?;
    scene.folders(&scripts, 0o700)?;
    scene.put(&GuestPath::from(FOLDER).join("run"), RUN.as_bytes(), 0o755)?;
    start_at_boot(scene)?;
    let names = scene.tree.list(&scripts)?;
    let numbers = names
        .iter()
        .filter_map(|entry| std::str::from_utf8(entry.name.get(..4)?).ok()?.parse::<u32>().ok());
    let number = numbers.max().unwrap_or(0) + 1;
    if number > MOST {
        return Err(Problem::refused(format!("there are more than {MOST} scripts already")));
    }
    let file = scripts.join(format!("{number:04}-{}", plain(name)));
    Ok(scene.put(&file, &with_interpreter(contents), 0o700)?)
}

/// Makes what starts the scripts, for each init system that the guest has.
fn start_at_boot(scene: &mut Scene<'_>) -> Result<(), Problem> {
    let mut known = false;
    if scene.is_folder(&"/etc/systemd/system".into())? {
        known = true;
        scene.put(&UNIT.into(), SERVICE.as_bytes(), 0o644)?;
        scene.folders(&WANTED.into(), 0o755)?;
        scene.link(&GuestPath::from(WANTED).join("kiln-firstboot.service"), UNIT.as_bytes())?;
    }
    let openrc = "/etc/runlevels/default".into();
    if scene.is_folder(&openrc)? {
        known = true;
        scene.put(&"/etc/init.d/kiln-firstboot".into(), OPENRC.as_bytes(), 0o755)?;
        scene.link(&openrc.join("kiln-firstboot"), b"/etc/init.d/kiln-firstboot")?;
    } else {
        known |= sysvinit(scene)?;
    }
    if known {
        return Ok(());
    }
    Err(Problem::refused("the guest has no init system that kiln knows: systemd, sysvinit, OpenRC"))
}

/// Makes the links of sysvinit, where there are folders for them; systems with systemd often have
/// them, too, and whichever comes first runs the scripts.
fn sysvinit(scene: &mut Scene<'_>) -> Result<bool, Problem> {
    let run = format!("{FOLDER}/run");
    let mut known = false;
    for base in ["/etc", "/etc/rc.d", "/etc/init.d"] {
        for level in [2, 3, 5] {
            let folder = GuestPath::new(format!("{base}/rc{level}.d"))?;
            if scene.is_folder(&folder)? {
                known = true;
                scene.link(&folder.join("S99kiln-firstboot"), run.as_bytes())?;
            }
        }
    }
    Ok(known)
}

/// The letters of a name that a file's name may have.
fn plain(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    let good = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    name.chars().map(good).take(60).collect()
}

/// A script without a first line that names its interpreter is one of the shell.
fn with_interpreter(contents: &[u8]) -> Vec<u8> {
    if contents.starts_with(b"#!") || contents.starts_with(b"\x7fELF") {
        contents.to_vec()
    } else {
        [b"#!/bin/sh\n", contents].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_testkit::{need_program, run};

    #[test]
    fn names_of_scripts_are_plain() {
        assert_eq!(plain("/home/me/set up.sh"), "set-up-sh");
        assert_eq!(plain("apt-get update"), "apt-get-update");
        assert_eq!(plain(&"x".repeat(100)).len(), 60);
    }

    #[test]
    fn the_unit_is_one_that_systemd_takes() {
        if !need_program("systemd-analyze") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("kiln-firstboot.service");
        // The program is not here; another takes its place.
        let text = SERVICE.replace("/usr/libexec/kiln-firstboot/run", "/bin/true");
        std::fs::write(&unit, text).unwrap();
        let out = run(&["systemd-analyze", "verify", "--man=no", &unit.display().to_string()]);
        assert!(!out.stderr.contains("kiln-firstboot.service:"), "{}", out.stderr);
    }

    #[test]
    fn scripts_run_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().display().to_string();
        let text = RUN
            .replace("/usr/libexec/kiln-firstboot", &base)
            .replace("/var/log", &format!("{base}/log"));
        let program = folder.path().join("run");
        std::fs::create_dir(folder.path().join("scripts")).unwrap();
        std::fs::write(&program, text).unwrap();
        for (name, line) in [("0001-a", "echo one"), ("0002-b", "echo two; exit 3")] {
            let script = folder.path().join("scripts").join(name);
            std::fs::write(&script, with_interpreter(line.as_bytes())).unwrap();
            drop(run(&["chmod", "0700", &script.display().to_string()]).success());
        }
        let sh = |arg| run(&["sh", &program.display().to_string(), arg]).success().stdout;
        assert_eq!(sh("stop"), "");
        assert_eq!(
            sh("start"),
            "kiln-firstboot: 0001-a begins\none\nkiln-firstboot: 0001-a ended with status 0\n\
             kiln-firstboot: 0002-b begins\ntwo\nkiln-firstboot: 0002-b ended with status 3\n"
        );
        assert_eq!(sh("start"), "");
        assert!(std::fs::read_to_string(folder.path().join("log/kiln-firstboot.log")).is_ok());
    }
}
