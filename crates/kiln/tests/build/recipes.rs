// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln build` of recipes on an archive.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use kiln_testkit::{Output, need_program, run_with};
use serde_json::Value;

use crate::support::{Lab, program};

/// A recipe with one step of each kind.
const WHOLE: &str = "\
kiln: 1
name: small
parameters: {greeting: hello, size: 1GiB}
base: {tar: base.tar}
disk: {size: '${size}', swap: 32MiB, label: small}
hostname: smallhost
timezone: Etc/UTC
files:
  - {path: /etc/motd, content: \"${greeting} ${HOME}\\n\", owner: debian, group: shadow, mode: 0640}
  - {path: /srv/app, source: app}
  - {path: /etc/app.conf, source: app.conf, template: true}
users:
  - {name: ops, uid: 1234, groups: [sudo], sudo: true, ssh_keys: ['ssh-ed25519 AAAA me']}
commands:
  - echo one > /srv/one
  - {name: second, run: 'cat /srv/one /srv/app/run > /srv/two; id -u >> /srv/two'}
units: {enable: [app], mask: [other]}
";

pub(crate) struct Home<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) home: &'static str,
}

impl Home<'_> {
    pub(crate) fn kiln(&self, args: &[&str]) -> Output {
        let program = program();
        let all = [&[program.as_str()], args].concat();
        run_with(&all, &[("KILN_HOME", &self.lab.text(self.home))])
    }

    /// Builds a recipe of this text.
    fn build(&self, text: &str, more: &[&str]) -> Output {
        fs::write(self.lab.path("recipe.yaml"), text).unwrap();
        self.kiln(&[&["build", &self.lab.text("recipe.yaml"), "--json"], more].concat())
    }

    /// Builds a recipe, which must go well.
    #[track_caller]
    fn built(&self, text: &str, more: &[&str]) -> Value {
        serde_json::from_str(&self.build(text, more).success().stdout).unwrap()
    }

    /// Returns which steps have layers.
    fn cached(&self, text: &str) -> Vec<String> {
        let plan = self.built(text, &["--dry-run"]);
        let steps = plan["steps"].as_array().unwrap();
        let cached = steps.iter().filter(|step| step["cached"] == true);
        cached.map(|step| step["step"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn cat(&self, path: &str) -> String {
        self.kiln(&["image", "cat", "small", path]).success().stdout
    }
}

/// Makes what recipes name, besides the archive.
fn given(lab: &Lab) -> Home<'_> {
    fs::create_dir(lab.path("app")).unwrap();
    fs::write(lab.path("app/run"), "run\n").unwrap();
    symlink("run", lab.path("app/link")).unwrap();
    fs::write(lab.path("app.conf"), "greeting=${greeting} ${other}\n").unwrap();
    fs::create_dir_all(lab.path("tree/etc/systemd/system")).unwrap();
    Home { lab, home: "home" }
}

fn with_unit(text: &str) -> String {
    let unit = "  - path: /etc/systemd/system/app.service\n    content: |\n      [Service]\n      \
                ExecStart=/srv/app/run\n      [Install]\n      WantedBy=multi-user.target\n";
    text.replace("users:\n", &format!("{unit}users:\n"))
}

#[test]
fn a_recipe_on_an_archive_has_all_that_it_says() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let whole = with_unit(WHOLE);
    let built = home.built(&whole, &["-p", "greeting=good day"]);
    assert_eq!(built["cached"], false);
    assert_eq!(built["image"]["virtual_size"], 1_u64 << 30);
    assert_eq!(home.cat("/etc/motd"), "good day ${HOME}\n");
    assert_eq!(home.cat("/etc/app.conf"), "greeting=good day ${other}\n");
    assert_eq!(home.cat("/srv/two"), "one\nrun\n0\n");
    assert_eq!(home.cat("/etc/hostname"), "smallhost\n");
    assert!(home.cat("/etc/passwd").contains("ops:x:1234:1234:"));
    assert_eq!(home.cat("/home/ops/.ssh/authorized_keys"), "ssh-ed25519 AAAA me\n");
    let list = home.kiln(&["image", "ls", "-lR", "small", "/etc/systemd/system"]).success().stdout;
    assert!(list.contains("app.service") && list.contains("/dev/null"), "{list}");
    let motd = home.kiln(&["image", "ls", "-l", "small", "/etc/motd"]).success().stdout;
    assert!(motd.contains("-rw-r-----") && motd.contains("1000"), "{motd}");
    // Again it is answered at once; with another value it is another image.
    assert_eq!(home.built(&whole, &["-p", "greeting=good day"])["cached"], true);
    assert_eq!(home.built(&whole, &[])["cached"], false);
    assert_eq!(home.cat("/etc/motd"), "hello ${HOME}\n");
}

#[test]
fn a_root_is_what_the_recipe_says() {
    if !["guestfish", "mkfs.xfs"].into_iter().all(need_program) {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let disk = "disk: {size: 1GiB, filesystem: xfs, lvm: vg0, label: top}";
    let built =
        home.built(&format!("kiln: 1\nname: small\nbase: {{tar: base.tar}}\n{disk}\n"), &[]);
    assert_eq!(built["image"]["virtual_size"], 1_u64 << 30);
    // An appliance of its own reads it.
    let found = home.kiln(&["-v", "image", "cat", "small", "/etc/fstab"]).success();
    assert!(found.stdout.contains(" / xfs defaults 0 0\n"), "{}", found.stdout);
    assert!(found.stderr.contains("appliance: xfs on /dev/vg0/root"), "{}", found.stderr);
}

#[test]
fn a_changed_last_step_runs_alone() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let [a, b] =
        ["first", "last"].map(|to| format!("'cat /proc/sys/kernel/random/uuid > /srv/{to}'"));
    let count = format!("commands: [{a}, {b}]\n");
    let text =
        format!("kiln: 1\nname: small\nbase: {{tar: base.tar}}\ndisk: {{size: 1GiB}}\n{count}");
    home.built(&text, &[]);
    assert_eq!(home.cached(&text), ["base", "command 1", "command 2"]);
    let (first, last) = (home.cat("/srv/first"), home.cat("/srv/last"));
    let changed = text.replace("/srv/last", "/srv/newest");
    assert_eq!(home.cached(&changed), ["base", "command 1"]);
    home.built(&changed, &[]);
    assert_eq!(home.cat("/srv/first"), first);
    assert_ne!(home.cat("/srv/newest"), last);
    assert_ne!(home.kiln(&["image", "cat", "small", "/srv/last"]).code, 0);
    // What is asked for again is done again.
    home.built(&changed, &["--from", "command 2"]);
    assert_eq!(home.cat("/srv/first"), first);
    home.built(&changed, &["--rebuild"]);
    assert_ne!(home.cat("/srv/first"), first);
    let list = home.kiln(&["cache", "list"]).success();
    assert!(list.stdout.contains("command 1"), "{}", list.stdout);
    let gone = home.kiln(&["cache", "gc", "--keep", "0", "--downloads", "--json"]).success();
    assert!(gone.stdout.contains("\"downloads\": true"), "{}", gone.stdout);
    assert_eq!(home.cached(&changed), [""; 0]);
    let out = home.build(&changed, &["--from", "comand 2"]);
    assert_eq!(out.code, 2, "{}", out.stderr);
    assert!(out.stderr.contains("did you mean `command 2`?"), "{}", out.stderr);
}

#[test]
fn a_step_that_fails_is_shown_and_those_before_it_are_kept() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let text = "kiln: 1\nname: small\nbase: {tar: base.tar}\ndisk: {size: 1GiB}\n\
                commands: [touch /srv/one, 'echo the reason; false']\n";
    fs::write(lab.path("recipe.yaml"), text).unwrap();
    let out = home.kiln(&["build", &lab.text("recipe.yaml")]);
    assert_eq!(out.code, 7, "{}", out.stderr);
    for words in ["the step `command 2` failed", "status 1", "the reason"] {
        assert!(out.stderr.contains(words), "{words}: {}", out.stderr);
    }
    assert_eq!(home.cached(text), ["base", "command 1"]);
    let images: Value =
        serde_json::from_str(&home.kiln(&["image", "list", "--json"]).success().stdout).unwrap();
    assert_eq!(images, serde_json::json!({"images": []}));
    home.built(&text.replace("; false", ""), &[]);
    // The network is not there, unless a command asks for it.
    let net = |how: &str| {
        let run = "test $(grep -c : /proc/net/dev) -gt 1";
        format!(
            "kiln: 1\nname: small\nbase: {{tar: base.tar}}\ndisk: {{size: 1GiB}}\n\
                 commands: [{{run: '{run}', network: {how}}}]\n"
        )
    };
    assert_eq!(home.build(&net("false"), &[]).code, 7);
    home.built(&net("true"), &[]);
}

#[test]
fn two_builds_in_two_folders_make_the_same_bytes() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let whole = with_unit(WHOLE);
    let one = home.built(&whole, &[]);
    let two = Home { lab: &lab, home: "other" }.built(&whole, &[]);
    assert_eq!(one["image"]["digest"], two["image"]["digest"]);
    // Two at once, of recipes that share steps.
    let busy = Home { lab: &lab, home: "busy" };
    let started: Vec<_> = (0..3)
        .map(|n| {
            let file = lab.text(&format!("at-once-{n}.yaml"));
            let more = format!("  - echo {n} > /srv/three\n");
            fs::write(&file, whole.replace("units:", &format!("{more}units:"))).unwrap();
            kiln(&lab, busy.home, &["build", &file, "--json"]).spawn().unwrap()
        })
        .collect();
    for child in started {
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let shared = busy.cached(&whole);
    assert!(shared.contains(&"second".to_owned()), "{shared:?}");
}

#[expect(clippy::disallowed_methods, reason = "the program under test is stopped")]
pub(crate) fn kiln(lab: &Lab, home: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(args)
        .env("KILN_HOME", lab.text(home))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

#[test]
fn a_killed_build_goes_on_where_it_was() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let steps: Vec<_> = (0..6).map(|n| format!("'sleep 0.05; echo {n} >> /srv/count'")).collect();
    let text = format!(
        "kiln: 1\nname: small\nbase: {{tar: base.tar}}\ndisk: {{size: 1GiB}}\ncommands: [{}]\n",
        steps.join(", ")
    );
    let file = lab.text("recipe.yaml");
    fs::write(&file, &text).unwrap();
    let mut most = 0;
    for n in 1..=8_u64 {
        let mut child = kiln(&lab, home.home, &["build", &file]).spawn().unwrap();
        std::thread::park_timeout(std::time::Duration::from_millis(90 * n));
        child.kill().unwrap();
        child.wait().unwrap();
        let cached = home.cached(&text).len();
        assert!(cached >= most, "{cached} layers, and before it were {most}");
        most = cached;
    }
    home.built(&text, &[]);
    assert_eq!(home.cat("/srv/count"), "0\n1\n2\n3\n4\n5\n");
    // Nothing of the killed ones is left.
    for folder in ["home/cache/work", "home/store/tmp", "home/run"] {
        let left = fs::read_dir(lab.path(folder)).into_iter().flatten().flatten();
        let left: Vec<_> = left.map(|e| e.file_name()).filter(|name| name != ".lock").collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
    // Nobody else of the host gets to the layers.
    let mode = fs::metadata(lab.path("home/cache")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o710);
}

#[test]
fn recipes_stand_on_recipes_and_bundles() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let below = "kiln: 1\nname: below\nbase: {tar: base.tar}\ncommands: [echo 1 > /srv/below]\n";
    fs::write(lab.path("below.yaml"), below).unwrap();
    let above = "kiln: 1\nname: small\nbase: {recipe: below.yaml}\ndisk: {size: 1GiB}\n\
                 commands: [cat /srv/below > /srv/above]\n";
    home.built(above, &[]);
    assert_eq!(home.cat("/srv/above"), "1\n");
    // The steps are the same ones.
    fs::write(lab.path("recipe.yaml"), below).unwrap();
    assert_eq!(home.cached(below), ["base", "command 1"]);
    fs::write(lab.path("below.yaml"), above.replace("below.yaml", "recipe.yaml")).unwrap();
    let out = home.build(above, &[]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(out.stderr.contains("in a circle"), "{}", out.stderr);
    let bundle = lab.text("b.tar.zst");
    let _ = home.kiln(&["bundle", "create", &lab.text("tree/"), "-o", &bundle]).success();
    let text = "kiln: 1\nname: small\nbase: {bundle: ./b.tar.zst}\ndisk: {size: 1GiB}\n";
    home.built(text, &[]);
    assert_eq!(home.cat("/srv/old"), "old\n");
}

#[test]
fn images_are_bases_and_recipes_below_get_values() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let below = "kiln: 1\nname: below\nparameters: {word: none, more: }\nbase: {tar: base.tar}\n\
                 disk: {size: 1GiB}\ncommands: ['echo ${word} ${more} > /srv/below']\n";
    fs::write(lab.path("below.yaml"), below).unwrap();
    let on = |parameters: &str| {
        format!(
            "kiln: 1\nname: small\nparameters: {{word: one}}\ndisk: {{size: 1GiB}}\n\
             base: {{recipe: below.yaml{parameters}}}\n"
        )
    };
    let out = home.build(&on(""), &[]);
    assert_eq!(out.code, 3, "{}", out.stdout);
    assert!(out.stdout.contains("needs a value"), "{}", out.stdout);
    let out = home.build(&on(", parameters: {wrod: x, more: y}"), &[]);
    assert!(out.stdout.contains("did you mean `word`?"), "{}", out.stdout);
    home.built(&on(", parameters: {word: '${word}', more: two}"), &["-p", "word=three"]);
    assert_eq!(home.cat("/srv/below"), "three two\n");
    // An image of the store, and a file of another format: the same tree.
    let path =
        home.built(&on(", parameters: {more: two}"), &[])["path"].as_str().unwrap().to_owned();
    fs::write(lab.path("below.yaml"), below.replace("more: ", "more: two")).unwrap();
    let _ = home.kiln(&["build", &lab.text("below.yaml")]).success();
    let raw = lab.text("below.raw");
    let _ = home.kiln(&["image", "convert", "below", &raw]).success();
    let image = |base: &str| {
        format!(
            "kiln: 1\nname: small\nbase: {{image: {base}}}\ndisk: {{size: 2GiB}}\n\
             commands: [cat /srv/below > /srv/above, 'ls -ln /etc/shadow >> /srv/above']\n"
        )
    };
    for base in ["below", "./below.raw"] {
        home.built(&image(base), &[]);
        assert_eq!(home.cat("/srv/old"), "old\n");
        let above = home.cat("/srv/above");
        assert!(above.starts_with("none two\n") && above.contains("-rw-r-----"), "{above}");
    }
    let tree = |name: &str| home.kiln(&["image", "ls", "-lR", name, "/usr"]).success().stdout;
    assert_eq!(tree("below"), tree("small"));
    for (base, code, words) in [
        ("belwo", 4, "did you mean `below`?"),
        ("./none.raw", 4, "none.raw"),
        ("./base.tar", 3, "base.tar"),
    ] {
        let out = home.build(&image(base), &[]);
        assert_eq!(out.code, code, "{base}: {}", out.stdout);
        assert!(out.stdout.contains(words), "{base}: {}", out.stdout);
    }
    // One that names a file of the host is not followed.
    let evil = lab.text("evil.qcow2");
    let how = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &path, &evil];
    drop(kiln_testkit::run(&how).success());
    let out = home.build(&image("./evil.qcow2"), &[]);
    assert_eq!(out.code, 3, "{}", out.stdout);
    assert!(out.stdout.contains("evil.qcow2"), "{}", out.stdout);
}

#[test]
fn a_tree_that_is_larger_than_its_disk_says_how_much() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let text = "kiln: 1\nname: small\nbase: {tar: base.tar}\n\
                disk: {size: 1GiB, esp: 500MiB, swap: 400MiB}\n\
                commands: [dd if=/dev/urandom of=/srv/x bs=1M count=200]\n";
    let out = home.build(text, &[]);
    assert_eq!(out.code, 3, "{}", out.stdout);
    assert!(out.stdout.contains("the tree needs a disk of 1."), "{}", out.stdout);
    let hint = out.stdout.split("set `disk: {size: ").nth(1).unwrap();
    let size = hint.split('}').next().unwrap();
    home.built(&text.replace("size: 1GiB", &format!("size: {size}")), &[]);
}

#[test]
fn a_full_file_system_is_named_and_nothing_is_left() {
    let Some(lab) = Lab::new() else { return };
    // A user cannot mount; these tests run as root, too.
    if !rustix::process::geteuid().is_root() || !kiln_testkit::need_program("unshare") {
        return;
    }
    let text = "kiln: 1\nname: small\nbase: {tar: base.tar}\ncommands: [echo > /srv/one, \
                dd if=/dev/zero of=/srv/x bs=1M count=2000]\n";
    fs::write(lab.path("recipe.yaml"), text).unwrap();
    fs::create_dir(lab.path("home")).unwrap();
    let (home, recipe, program) = (lab.text("home"), lab.text("recipe.yaml"), program());
    // Where a stage had to be killed its last process may outlive the program for a moment, and
    // with it the room of what was removed.
    let script = format!(
        "mount -t tmpfs -o size=600m none {home}; export KILN_HOME={home}\n\
         {program} build {recipe}; echo code $?\n\
         {program} cache list; find {home}/cache/work {home}/store/tmp -mindepth 1 ! -name .lock\n\
         used() {{ df --output=pcent {home} | tr -dc 0-9; }}\n\
         for i in $(seq 300); do [ $(used) -lt 10 ] && break; sleep 0.1; done\n\
         echo end; used"
    );
    let out = kiln_testkit::run(&["unshare", "--mount", "sh", "-c", &script]).success();
    let told = format!("{}{}", out.stdout, out.stderr);
    for words in ["code 5", "there is no space left in", "were free", "command 1", "\nend\n"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("failed command 2"), "{told}");
    let (before, after) = out.stdout.split_once("\nend\n").unwrap();
    assert!(!before.lines().any(|line| line.starts_with(&home)), "{told}");
    let percent: u32 = after.parse().unwrap();
    assert!(percent < 10, "{told}");
}

#[test]
fn recipes_that_cannot_be_built_say_why() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    fs::write(lab.path("secret"), "s").unwrap();
    fs::create_dir(lab.path("in")).unwrap();
    symlink(lab.path("secret"), lab.path("in/out")).unwrap();
    let head = "kiln: 1\nname: small\ndisk: {size: 1GiB}\n";
    let cases: &[(&str, u8, &str)] = &[
        ("base: {tar: none.tar}\n", 4, "none.tar"),
        ("base: {bundle: none}\n", 4, "none"),
        ("base: {tar: secret}\n", 3, "archive"),
        ("base: {tar: base.tar}\nfiles: [{path: /x, source: none}]\n", 4, "none"),
        ("base: {tar: base.tar}\nfiles: [{path: /x, source: ../x}]\n", 3, "recipe's folder"),
        ("base: {tar: base.tar}\nfiles: [{path: /x, content: a, owner: nope}]\n", 3, "`nope`"),
        ("base: {tar: base.tar}\nusers: [{name: debian}]\n", 3, "has a user `debian` already"),
        ("base: {tar: base.tar}\nusers: [{name: x, groups: [nope]}]\n", 3, "no group `nope`"),
        ("base: {tar: base.tar}\nunits: {enable: [nope]}\n", 3, "nope"),
        ("base: {tar: base.tar}\npackages: [vim]\n", 3, "package manager"),
        ("base: {tar: base.tar}\nbases: 1\n", 3, "did you mean `base`?"),
        ("base: {tar: base.tar, mirror: 'http://m/'}\n", 3, "go with `mirror`"),
        ("base: {tar: base.tar}\nparameters: {p: }\n", 3, "`-p p=VALUE`"),
    ];
    for (text, code, words) in cases {
        let out = home.build(&format!("{head}{text}"), &[]);
        assert_eq!(out.code, i32::from(*code), "{text}{}", out.stderr);
        assert!(out.stderr.contains(words) || out.stdout.contains(words), "{text}{}", out.stderr);
    }
    let text = format!("{head}base: {{tar: base.tar}}\n");
    let out = home.build(&text, &["-p", "nothing=1"]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    // A link that leads out of the recipe's folder, which is `in` here.
    fs::write(
        lab.path("in/recipe.yaml"),
        format!("{head}base: {{tar: ../base.tar}}\nfiles: [{{path: /x, source: out}}]\n"),
    )
    .unwrap();
    let out = home.kiln(&["build", &lab.text("in/recipe.yaml")]);
    assert!(out.stderr.contains("leads out of the recipe's folder"), "{}", out.stderr);
    assert!(!Path::new(&lab.text("home/store/images/names/small")).exists());
}

/// Returns the partitions of a built image, as sfdisk reads the table: start, name or type.
pub(crate) fn partitions(lab: &Lab, image: &Value) -> Vec<String> {
    let digest = image["image"]["digest"].as_str().unwrap().trim_start_matches("sha256:");
    let disk = lab.text(&format!("home/store/images/sha256/{digest}/disk.qcow2"));
    let raw = lab.text("table.raw");
    let _ = kiln_testkit::run(&["qemu-img", "convert", "-O", "raw", &disk, &raw]).success();
    let dump = kiln_testkit::run(&["sfdisk", "-J", &raw]).success().stdout;
    let table: Value = serde_json::from_str(&dump).unwrap();
    let parts = table["partitiontable"]["partitions"].as_array().unwrap();
    let one = |part: &Value| {
        let mib = part["size"].as_u64().unwrap() / 2048;
        let name = part["name"].as_str().or(part["type"].as_str()).unwrap();
        format!("{name} {mib}")
    };
    parts.iter().map(one).collect()
}

#[test]
fn partitions_of_a_recipe_have_what_lies_at_their_mount_points() {
    if !kiln_testkit::need_program("sfdisk") || !kiln_testkit::need_program("qemu-img") {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let text = "kiln: 1\nname: small\nbase: {tar: base.tar}\ndisk:\n  size: 1GiB\n  swap: 32MiB\n  \
                partitions:\n    - {mount: /boot, size: 64MiB, label: boot}\n    \
                - {mount: /, size: 300MiB}\n    - {mount: /srv, grow: true, options: noatime}\n\
                files: [{path: /srv/a, content: x}]\n";
    let built = home.built(text, &[]);
    assert_eq!(
        partitions(&lab, &built),
        ["bios-boot 1", "esp 64", "swap 32", "boot 64", "root-x86-64 300", "srv 561"]
    );
    assert_eq!(home.cat("/srv/a"), "x");
    assert!(home.cat("/etc/fstab").contains(" /srv ext4 noatime 0 2\n"));
    let firmware = text.replace("  swap: 32MiB\n", "  table: mbr\n  firmware: uefi\n");
    let built = home.built(&firmware, &[]);
    assert_eq!(partitions(&lab, &built), ["ef 64", "83 64", "83 300", "83 595"]);
}

#[test]
fn a_dry_run_says_what_is_wrong_with_a_disk_as_a_build_does() {
    let Some(lab) = Lab::new() else { return };
    let home = given(&lab);
    let text = "kiln: 1\nname: small\nbase: {tar: base.tar}\ndisk: {size: 1GiB, swap: 990MiB}\n";
    for more in [&["--dry-run"][..], &[]] {
        let out = home.build(text, more);
        assert_eq!(out.code, 3, "{}", out.stderr);
        let why = "the partitions do not fit a disk of 1 GiB";
        assert!(out.stderr.contains(why), "{}", out.stderr);
    }
    drop(home.built(&text.replace("990", "64"), &["--dry-run"]));
}
