// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Elements in builds: each of Kiln's on a small tree of each family, by what it changes; and
//! small elements of diskimage-builder's kind, all phases.
//!
//! The trees' package managers are scripts that write down what they are asked for.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kiln_build::element::native::{ELEMENTS, Family, Given};
use kiln_build::workspace::{Task, Workspace};
use kiln_testkit::{Files, need_program, run};
use serde_json::json;

use crate::support::{Lab, digest, files};

/// Files of the family's own that elements change.
fn tree(family: Family) -> Files {
    let tools = ["sed", "tr", "tail", "printf", "touch", "stat", "expr"];
    let mut tree = files();
    for name in tools {
        tree = tree.link(&format!("usr/bin/{name}"), "busybox");
    }
    let unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    for name in ["acpid", "ssh", "sshd", "qemu-guest-agent"] {
        tree = tree.file(&format!("usr/lib/systemd/system/{name}.service"), unit);
    }
    let getty = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=getty.target\n";
    tree = tree
        .file("usr/lib/systemd/system/serial-getty@.service", getty)
        .file("usr/share/zoneinfo/Europe/Berlin", "TZif")
        .file("etc/ssh/sshd_config", "UsePAM yes\n")
        .file("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 old\n");
    match family {
        Family::Debian => tree
            .file("usr/share/i18n/SUPPORTED", "de_DE.UTF-8 UTF-8\n")
            .file("etc/locale.gen", "# de_DE.UTF-8 UTF-8\n")
            .file("usr/bin/locale-gen", "#!/bin/sh\ntrue\n")
            .mode(0o755)
            .file("etc/network/if-up.d/avahi-autoipd", "#!/bin/sh\n")
            .mode(0o755)
            .file("etc/apt/sources.list", "deb http://deb.debian.org/debian bookworm main\n"),
        Family::Rpm => tree
            .file("etc/os-release", "ID=fedora\nVERSION_ID=40\n")
            .file("etc/default/grub", "GRUB_CMDLINE_LINUX=\"quiet console=tty1\"\n")
            .file("boot/loader/entries/a.conf", "title x\noptions root=x console=tty1 ro\n")
            .file("etc/sysconfig/qemu-ga", "BLACKLIST_RPC=guest-exec\n")
            .file("usr/lib/locale/de_DE.utf8/LC_TIME", "x")
            .file(
                "etc/yum.repos.d/fedora.repo",
                "[fedora]\n#baseurl=http://download.example/pub/fedora/linux/releases/$releasever/\n\
                 metalink=https://m.example/\n",
            ),
    }
}

/// The parameters that an element is tried with.
fn given(name: &str) -> Given {
    let value = match name {
        "hostname" => json!({"name": "web"}),
        "timezone" => json!({"zone": "Europe/Berlin"}),
        "locale" => json!({"lang": "de_DE.UTF-8"}),
        "mirror" => json!({"url": "http://m.example/x"}),
        "ssh-keys" => json!({"user": "debian", "keys": ["ssh-ed25519 A a", "ssh-ed25519 B b"]}),
        "sshd-policy" => json!({"users": ["debian", "ops"]}),
        _ => json!({}),
    };
    serde_json::from_value(value).unwrap()
}

/// All files of a tree: path to permissions, owner, and contents or where a link leads.
fn listed(workspace: &mut Workspace<'_>, to: &Path) -> BTreeMap<String, String> {
    let mut file = fs::File::create(to).unwrap();
    workspace.tar(1_000_000_000, |from| std::io::copy(from, &mut file).unwrap()).unwrap();
    let script = "import sys, tarfile, json, hashlib\n\
        out = {}\n\
        for m in tarfile.open(sys.argv[1]):\n\
        \x20 data = t.extractfile(m).read() if m.isfile() and (t := tarfile.open(sys.argv[1])) else b''\n\
        \x20 what = m.linkname or hashlib.sha256(data).hexdigest()[:8]\n\
        \x20 if not m.isdir(): out[m.name.lstrip('./')] = f'{m.mode:o} {m.uid}:{m.gid} {what}'\n\
        print(json.dumps(out))";
    let out = run(&["python3", "-c", script, to.to_str().unwrap()]).success().stdout;
    serde_json::from_str(&out).unwrap()
}

/// What an element changes: `+new`, `~changed`, `-gone`.
fn changes(lab: &Lab, workspace: &mut Workspace<'_>, before: &BTreeMap<String, String>) -> String {
    let after = listed(workspace, &lab.path("after.tar"));
    let mut found = Vec::new();
    for (path, what) in &after {
        match before.get(path) {
            None => found.push(format!("+{path}")),
            Some(old) if old != what => found.push(format!("~{path}")),
            Some(_) => {}
        }
    }
    found.extend(before.keys().filter(|path| !after.contains_key(*path)).map(|p| format!("-{p}")));
    found.join(" ")
}

/// What each element changes in a tree of the Debian and of the RPM family, besides its packages.
const CHANGES: &[(&str, &str, &str)] = &[
    ("acpid", "", ""),
    (
        "cloud-init",
        "+etc/cloud/cloud.cfg.d/95-kiln-datasources.cfg",
        "+etc/cloud/cloud.cfg.d/95-kiln-datasources.cfg",
    ),
    (
        "growpart",
        "+etc/cloud/cloud.cfg.d/95-kiln-growpart.cfg",
        "+etc/cloud/cloud.cfg.d/95-kiln-growpart.cfg",
    ),
    ("guest-agent", "", "~etc/sysconfig/qemu-ga"),
    ("hostname", "~etc/hostname ~etc/hosts", "~etc/hostname ~etc/hosts"),
    ("locale", "+etc/default/locale ~etc/locale.gen", "+etc/locale.conf"),
    (
        "mirror",
        "~etc/apt/sources.list +etc/cloud/cloud.cfg.d/95-kiln-mirror.cfg",
        "~etc/yum.repos.d/fedora.repo",
    ),
    (
        "no-zeroconf",
        "+etc/NetworkManager/conf.d/50-kiln-no-zeroconf.conf ~etc/network/if-up.d/avahi-autoipd",
        "+etc/NetworkManager/conf.d/50-kiln-no-zeroconf.conf +etc/sysconfig/network",
    ),
    (
        "serial-console",
        "+etc/default/grub.d/50-kiln-serial-console.cfg",
        "~boot/loader/entries/a.conf ~etc/default/grub",
    ),
    ("ssh-keys", "+home/debian/.ssh/authorized_keys", "+home/debian/.ssh/authorized_keys"),
    (
        "sshd-policy",
        "~etc/ssh/sshd_config +etc/ssh/sshd_config.d/10-kiln.conf",
        "~etc/ssh/sshd_config +etc/ssh/sshd_config.d/10-kiln.conf",
    ),
    (
        "swap",
        "+etc/systemd/system/kiln-swap.service +usr/local/sbin/kiln-swap",
        "+etc/systemd/system/kiln-swap.service +usr/local/sbin/kiln-swap",
    ),
    ("timezone", "+etc/localtime +etc/timezone", "+etc/localtime"),
];

#[test]
fn each_element_changes_what_it_says_in_both_families() {
    if !need_program("python3") {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    let cache = lab.cache();
    for (number, family) in [Family::Debian, Family::Rpm].into_iter().enumerate() {
        let folder = lab.path(family.name());
        fs::create_dir(&folder).unwrap();
        tree(family).unpack(&folder);
        let (from, tar) = (folder.display().to_string(), lab.text("family.tar"));
        let words = ["tar", "-C", &from, "--owner=0", "--group=0", "-cf", &tar, "."];
        drop(run(&words).success());
        let name = digest(char::from_digit(u32::try_from(number).unwrap() + 5, 10).unwrap());
        let claim = cache.find_or_claim(&name, &mut || ()).unwrap().unwrap_err();
        let mut workspace = Workspace::open(&cache, &[]).unwrap();
        workspace.unpack(&mut fs::File::open(&tar).unwrap(), "/").unwrap();
        let layer = workspace.keep(claim, "base").unwrap();
        let before = listed(&mut workspace, &lab.path("before.tar"));
        let mut seen = Vec::new();
        for source in ELEMENTS {
            let Some((_, debian, rpm)) = CHANGES.iter().find(|(name, ..)| *name == source.name)
            else {
                continue;
            };
            let expansion = source.expand(&given(source.name), family).unwrap();
            let mut workspace = Workspace::open(&cache, std::slice::from_ref(&layer)).unwrap();
            workspace.edit(&expansion.edits(), 1_000_000_000).unwrap();
            if let Some(script) = expansion.script {
                let task = Task { env: script.env, ..Task::shell(source.name, script.text) };
                let mut text = String::new();
                let ran = workspace.run(&task, &mut |line| text += &format!("{line}\n"));
                ran.unwrap_or_else(|error| panic!("{}: {error:?}\n{text}", source.name));
                // Once more it changes nothing.
                let once = listed(&mut workspace, &lab.path("once.tar"));
                workspace.run(&task, &mut |_| ()).unwrap();
                let twice = listed(&mut workspace, &lab.path("twice.tar"));
                assert!(once == twice, "{} is not the same twice", source.name);
            }
            let wanted = if family == Family::Debian { debian } else { rpm };
            let found = changes(&lab, &mut workspace, &before);
            assert_eq!(found, *wanted, "{} {family:?}", source.name);
            for path in found.split_whitespace().filter_map(|word| word.strip_prefix(['+', '~'])) {
                let bytes = workspace.read(&format!("/{path}")).unwrap().unwrap_or_default();
                seen.push(format!("{path}:{}", String::from_utf8_lossy(&bytes)));
            }
        }
        let seen = seen.join("\n");
        let lines: &[&str] = match family {
            Family::Debian => &[
                "deb http://m.example/x bookworm main",
                "127.0.1.1 web",
                "AllowUsers debian ops",
                "PasswordAuthentication no",
                "datasource_list: [ NoCloud, ConfigDrive, OpenStack, None ]",
                "ssh-ed25519 A a\nssh-ed25519 B b",
            ],
            Family::Rpm => &[
                "GRUB_CMDLINE_LINUX=\"quiet console=tty0 console=ttyS0,115200\"",
                "options root=x ro console=tty0 console=ttyS0,115200",
                "#BLACKLIST_RPC=guest-exec",
                "NOZEROCONF=yes",
                "baseurl=http://m.example/x/releases/$releasever/\n#metalink=",
                "LANG=de_DE.UTF-8",
            ],
        };
        for line in lines {
            assert!(seen.contains(line), "{line}\n{seen}");
        }
    }
}

/// Makes an executable script of an element.
fn script(lab: &Lab, path: &str, text: &str) {
    let path = lab.path("elements").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Elements with something in every phase, each of which writes down what it sees.
fn small_elements(lab: &Lab) {
    let tree = lab.path("tree").display().to_string();
    script(lab, "small/element-provides", "operating-system\n");
    script(lab, "small/element-deps", "more\n");
    script(
        lab,
        "small/environment.d/10-small.bash",
        "export DISTRO_NAME=debian DIB_SMALL=${DIB_SMALL:-1}\n",
    );
    script(lab, "small/static/tree.tar", "");
    drop(
        run(&["tar", "-C", &tree, "-cf", &lab.text("elements/small/static/tree.tar"), "."])
            .success(),
    );
    // bash and what it needs come from the host, which these scripts see.
    script(
        lab,
        "small/root.d/10-tree",
        "#!/bin/bash\nset -eu\nsudo tar -C $TARGET_ROOT -xf $TMP_HOOKS_PATH/static/tree.tar\n\
         for f in /bin/bash $(ldd /bin/bash | grep -o '/[^ ]*'); do\n\
         sudo mkdir -p $TARGET_ROOT$(dirname $f); sudo cp -L $f $TARGET_ROOT$f; done\n\
         for name in sort basename tee; do sudo ln -s busybox $TARGET_ROOT/usr/bin/$name; done\n\
         echo \"nameserver 192.0.2.1\" | sudo tee $TARGET_ROOT/etc/resolv.conf >/dev/null\n",
    );
    let say = |where_: &str| {
        format!(
            "#!/bin/bash\nset -eu\necho \"$(basename $0) $DIB_SMALL $DISTRO_NAME\" | sudo tee -a {where_}/said\n"
        )
    };
    for (phase, number) in
        [("extra-data", 9), ("post-root", 6), ("pre-finalise", 7), ("cleanup", 8)]
    {
        script(lab, &format!("more/{phase}.d/{number}0-{phase}"), &say("$TMP_MOUNT_PATH"));
    }
    script(
        lab,
        "more/extra-data.d/91-hook",
        "#!/bin/bash\necho from outside > $TMP_HOOKS_PATH/handed\n",
    );
    let inside = "#!/bin/bash\nset -eu\necho \"${0##*/} $DIB_SMALL $DISTRO_NAME\" >> /said\n";
    for phase in ["pre-install", "install", "post-install", "finalise"] {
        script(lab, &format!("more/{phase}.d/10-{phase}"), inside);
    }
    script(lab, "small/install.d/9-first", "#!/bin/bash\ncat /tmp/in_target.d/handed >> /said\n");
    script(lab, "more/install.d/20-no-script.sh", "#!/bin/bash\nfalse\n");
}

const RECIPE: &str = "\
kiln: 1
name: small
base:
  dib:
    paths: [elements]
    elements: [small]
    variables: {DIB_SMALL: two words}
disk: {size: 1GiB}
";

fn kiln(lab: &Lab, args: &[&str]) -> kiln_testkit::Output {
    let program = crate::support::program();
    kiln_testkit::run_with(
        &[&[program.as_str()], args].concat(),
        &[("KILN_HOME", &lab.text("home"))],
    )
}

#[test]
fn diskimage_builders_phases_run_in_its_order() {
    let Some(lab) = Lab::new() else { return };
    if !need_program("ldd") {
        return;
    }
    small_elements(&lab);
    let recipe = lab.text("recipe.yaml");
    fs::write(&recipe, RECIPE).unwrap();
    drop(kiln(&lab, &["build", &recipe]).success());
    let said = kiln(&lab, &["image", "cat", "small", "/said"]).success().stdout;
    let phases = [
        "90-extra-data",
        "10-pre-install",
        "from outside",
        "10-install",
        "10-post-install",
        "60-post-root",
        "70-pre-finalise",
        "10-finalise",
        "80-cleanup",
    ];
    let wanted: String = phases
        .map(|name| {
            if name.starts_with("from") {
                format!("{name}\n")
            } else {
                format!("{name} two words debian\n")
            }
        })
        .concat();
    assert_eq!(said, wanted);
    // What only the build needed is gone, and the resolvers are the image's own.
    let ls = kiln(&lab, &["image", "ls", "small", "/tmp"]).success().stdout;
    assert!(!ls.contains("in_target.d") && !ls.contains("grub"), "{ls}");
    let resolv = kiln(&lab, &["image", "cat", "small", "/etc/resolv.conf"]).success().stdout;
    assert_eq!(resolv, "nameserver 192.0.2.1\n");
    let gone = kiln(&lab, &["image", "cat", "small", "/etc/resolv.conf.ORIG"]);
    assert_ne!(gone.code, 0);

    // A changed script of a late phase: only its files are another value, so all phases run again;
    // the same files answer from the store.
    let again = kiln(&lab, &["build", &recipe, "--json"]).success().stdout;
    assert!(again.contains("\"cached\": true") || again.contains("\"cached\":true"), "{again}");
}

#[test]
fn a_script_that_fails_is_named_with_its_element() {
    let Some(lab) = Lab::new() else { return };
    if !need_program("ldd") {
        return;
    }
    small_elements(&lab);
    script(&lab, "more/install.d/50-fails", "#!/bin/bash\necho the cause >&2\nexit 3\n");
    let recipe = lab.text("recipe.yaml");
    fs::write(&recipe, RECIPE).unwrap();
    let out = kiln(&lab, &["build", &recipe]);
    assert_ne!(out.code, 0);
    let text = out.stderr;
    assert!(text.contains("`install.d/50-fails` of the element `more` failed"), "{text}");
    assert!(text.contains("the cause"), "{text}");
}

#[test]
fn wrong_elements_are_told_before_anything_is_built() {
    let Some(lab) = Lab::new() else { return };
    let recipe = lab.text("recipe.yaml");
    let told = |text: &str| {
        fs::write(&recipe, format!("kiln: 1\nname: small\n{text}")).unwrap();
        let out = kiln(&lab, &["build", &recipe]);
        assert_ne!(out.code, 0);
        out.stderr
    };
    let tar = "base: {tar: base.tar}\n";
    let text = told(&format!("{tar}elements: [sshd-polcy]\n"));
    assert!(text.contains("no element `sshd-polcy`") && text.contains("`sshd-policy`"), "{text}");
    let text = told(&format!("{tar}elements: [{{name: hostname, with: {{nam: x}}}}]\n"));
    assert!(text.contains("no parameter `nam`; did you mean `name`?"), "{text}");
    let text = told("base: {dib: {paths: [nowhere], elements: [a]}}\n");
    assert!(text.contains("could not read the folder of elements"), "{text}");
    fs::create_dir_all(lab.path("elements/a")).unwrap();
    let text = told("base: {dib: {paths: [elements], elements: [a]}}\n");
    assert!(text.contains("no element provides `operating-system`"), "{text}");
}

#[test]
fn elements_of_a_recipe_are_applied_in_order() {
    let Some(lab) = Lab::new() else { return };
    let recipe = lab.text("recipe.yaml");
    let text = "kiln: 1\nname: small\nbase: {tar: base.tar}\ndisk: {size: 1GiB}\nelements:\n\
                - {name: hostname, with: {name: web}}\n";
    fs::write(&recipe, text).unwrap();
    let out = kiln(&lab, &["build", &recipe, "--dry-run", "--json"]).success().stdout;
    assert!(out.contains("element hostname"), "{out}");
}

#[test]
fn the_block_device_of_elements_is_carried_out() {
    let Some(lab) = Lab::new() else { return };
    if !["ldd", "sfdisk", "qemu-img"].into_iter().all(need_program) {
        return;
    }
    small_elements(&lab);
    // The folder of downloads is there for whoever looks first.
    script(
        &lab,
        "small/root.d/05-cache",
        "#!/bin/bash\ntouch $DIB_IMAGE_CACHE/x $DIB_LOCKFILES/x\n",
    );
    let of_element = "- local_loop: {name: image0}\n- partitioning:\n    base: image0\n    label: gpt\n    \
                      partitions:\n      \
                      - {name: ESP, type: EF00, size: 50MiB, mkfs: {type: vfat, mount: {mount_point: /boot/efi, fstab: {}}}}\n      \
                      - {name: BSP, type: EF02, size: 2MiB}\n      \
                      - {name: root, size: 50%, mkfs: {label: top, mount: {mount_point: /, fstab: {}}}}\n      \
                      - {name: data, size: 100%, mkfs: {type: ext4, mount: {mount_point: /data, fstab: {options: noatime}}}}\n";
    script(&lab, "small/block-device-default.yaml", of_element);
    let recipe = lab.text("recipe.yaml");
    let build = |text: &str| {
        fs::write(&recipe, text).unwrap();
        kiln(&lab, &["build", &recipe, "--json"])
    };
    let built = |text: &str| serde_json::from_str(&build(text).success().stdout).unwrap();
    let partitions = |text: &str| crate::recipes::partitions(&lab, &built(text));
    let wanted = ["ESP 50", "BSP 2", "root-x86-64 485", "data 485"];
    assert_eq!(partitions(RECIPE), wanted);
    let fstab = kiln(&lab, &["image", "cat", "small", "/etc/fstab"]).success().stdout;
    assert!(fstab.contains(" /data ext4 noatime 0 2\n"), "{fstab}");
    // A variable wins over the element, and the recipe over both.
    fs::write(lab.path("own.yaml"), of_element.replace("50MiB", "40MiB")).unwrap();
    let from_file = RECIPE.replace("two words", "x, DIB_BLOCK_DEVICE_CONFIG: 'file://own.yaml'");
    assert_eq!(partitions(&from_file)[0], "ESP 40");
    let own = format!("{}  table: mbr\n", RECIPE.replace("{size: 1GiB}", "\n  size: 1GiB"));
    assert!(!partitions(&own).contains(&"data 485".to_owned()));
    script(&lab, "small/block-device-default.yaml", &of_element.replace("type: ext4", "type: zfs"));
    let refused = build(RECIPE);
    assert_ne!(refused.code, 0);
    let why = "kiln makes ext4, XFS, btrfs and FAT, not zfs (`data`)";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
}

#[test]
fn elements_are_applied_to_the_tree_of_another_recipe() {
    let Some(lab) = Lab::new() else { return };
    if !need_program("ldd") {
        return;
    }
    small_elements(&lab);
    let below = RECIPE.replace("name: small", "name: below");
    fs::write(lab.path("below.yaml"), below).unwrap();
    script(&lab, "top/root.d/10-top", "#!/bin/bash\ntouch $TARGET_ROOT/top\n");
    // What is beside the tree reads the recipe's files where it starts; in the tree, scripts know
    // the distribution.
    let copy = "#!/bin/bash\nset -eu\n[ -f $DIB_WANTED ]\nsudo cp $(readlink -f $DIB_WANTED) $TMP_MOUNT_PATH/copied\n\
                cp deep/er/x $TMP_MOUNT_PATH/deep\n";
    script(&lab, "top/extra-data.d/10-copy", copy);
    script(
        &lab,
        "top/install.d/10-say",
        "#!/bin/bash\nset -eu\necho \"$DISTRO_NAME $DIB_RELEASE\" > /which\n",
    );
    fs::create_dir_all(lab.path("deep/er")).unwrap();
    fs::write(lab.path("deep/er/x"), "deep\n").unwrap();
    fs::write(lab.path("wanted.conf"), "one\n").unwrap();
    let recipe = lab.text("recipe.yaml");
    let text = "kiln: 1\nname: small\nbase:\n  dib:\n    on: below.yaml\n    paths: [elements]\n    \
                elements: [top]\n    files: [wanted.conf, deep]\n    variables: {DIB_WANTED: wanted.conf}\n\
                disk: {size: 1GiB}\n";
    fs::write(&recipe, text).unwrap();
    drop(kiln(&lab, &["build", &recipe]).success());
    let cat = |path: &str| kiln(&lab, &["image", "cat", "small", path]).success().stdout;
    assert_eq!(cat("/copied") + &cat("/deep"), "one\ndeep\n");
    let release = run(&["cat", &lab.text("tree/etc/os-release")]).stdout;
    let id = release.lines().find_map(|line| line.strip_prefix("ID=")).unwrap_or_default();
    let which = cat("/which");
    assert!(which.starts_with(&format!("{} ", id.trim_matches('"'))), "{which} {release}");
    assert!(which.trim().contains(' ') && cat("/said").contains("10-install"));
    drop(kiln(&lab, &["image", "ls", "small", "/top"]).success());
    // A changed file runs them again, and the recipe below stays.
    fs::write(lab.path("wanted.conf"), "two\n").unwrap();
    drop(kiln(&lab, &["build", &recipe]).success());
    assert_eq!(kiln(&lab, &["image", "cat", "small", "/copied"]).success().stdout, "two\n");
    // Without a tree, somebody has to make one.
    fs::write(&recipe, text.replace("    on: below.yaml\n", "")).unwrap();
    let refused = kiln(&lab, &["build", &recipe]);
    assert!(
        refused.stderr.contains("no element provides `operating-system`"),
        "{}",
        refused.stderr
    );
}
