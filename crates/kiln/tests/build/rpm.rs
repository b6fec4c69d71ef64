// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bases of RPM packages: the real dnf, and a repository of small packages that the test makes and
//! signs, served on the loopback interface.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kiln_testkit::http::{Lie, Server};
use kiln_testkit::{Output, need_program, run, run_with};

use crate::support::{Lab, program};

/// What all packages have.
const HEAD: &str = "Version: 1\nRelease: 1\nSummary: of a test\nLicense: MIT\n%description\nx\n";
/// Files of a small Fedora: folders, names, and what says which system it is.
const FILESYSTEM: &str = r#"
%install
cd %{buildroot}
for d in boot/efi dev etc/ssh home proc run srv sys tmp usr/bin usr/sbin usr/lib usr/lib64 var/tmp var/cache var/log root
do mkdir -p $d; done
ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib lib; ln -s usr/lib64 lib64
printf 'ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Small Fedora"\n' > usr/lib/os-release
ln -s ../usr/lib/os-release etc/os-release
printf 'root:x:0:0:root:/root:/bin/sh\nadm:x:3:4:adm:/:/bin/sh\n' > etc/passwd
printf 'root:x:0:\nadm:x:4:\n' > etc/group
%files
/boot
%dir /dev
/etc
/home
%dir %attr(555,root,root) /proc
/run
/srv
%dir %attr(555,root,root) /sys
%attr(1777,root,root) /tmp
/usr
/var
%attr(550,root,root) /root
/bin
/sbin
/lib
/lib64
"#;
/// Programs, whose scriptlet says what it can see.
const BUSYBOX: &str = r#"
%install
mkdir -p %{buildroot}/usr/bin
cp /bin/busybox %{buildroot}/usr/bin/busybox
for n in sh cat ls id mkdir rm cp ln touch test grep ip; do ln -s busybox %{buildroot}/usr/bin/$n; done
%post
test "$(id -u)" = 0 && test -e /proc/self/status && echo x > /dev/null && echo ran > /srv/scriptlet
%files
/usr/bin/*
"#;
/// A kernel, loaders and a time zone, none of them real.
const KERNEL: &str = r#"
%install
cd %{buildroot}
mkdir -p usr/lib/modules/6.1.0-test boot/efi/EFI/fedora usr/share/zoneinfo/Etc etc/ssh
echo kernel > usr/lib/modules/6.1.0-test/vmlinuz
echo shim > boot/efi/EFI/fedora/shimx64.efi; echo grub > boot/efi/EFI/fedora/grubx64.efi
echo TZif2 > usr/share/zoneinfo/Etc/UTC
echo key > etc/ssh/ssh_host_rsa_key
mkdir -p boot/grub2
%files
/usr/lib/modules
/boot/efi/EFI
%dir /boot/grub2
/usr/share/zoneinfo
%attr(640,adm,adm) /etc/ssh/ssh_host_rsa_key
"#;
/// What an image of Kiln's asks for besides.
const PROVIDED: &str = "systemd systemd-udev dracut e2fsprogs glibc-minimal-langpack rootfiles \
    cloud-init cloud-utils-growpart tzdata NetworkManager iproute openssh-server openssh-clients \
    qemu-guest-agent sudo dnf ca-certificates grub2-tools grub2-pc-modules grub2-efi-x64 \
    grub2-efi-x64-modules shim-x64 fedora-release";

/// A folder with a repository of Fedora's shape.
struct Repository {
    lab: Lab,
    server: Server,
}

impl Repository {
    fn new() -> Option<Self> {
        let needed = ["dnf", "rpmbuild", "rpmsign", "createrepo_c", "gpg", "gpgconf"];
        if !needed.into_iter().all(need_program) {
            return None;
        }
        let lab = Lab::new()?;
        let home = lab.path("gnupg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        for key in ["own", "other"] {
            gpg(&home, &["--quick-gen-key", key, "rsa2048", "sign", "never"]);
            let file = lab.text(&format!("{key}.asc"));
            gpg(&home, &["--armor", "--output", &file, "--export", key]);
        }
        let (release, updates) =
            ("releases/43/Everything/x86_64/os", "updates/43/Everything/x86_64");
        for folder in [release, updates, "build"] {
            fs::create_dir_all(lab.path("www").join(folder)).unwrap();
        }
        let server = Server::start(&lab.path("www"));
        let repository = Self { lab, server };
        let provides: String =
            PROVIDED.split_whitespace().map(|name| format!("Provides: {name}\n")).collect();
        repository.package("filesystem", "", FILESYSTEM, Some("own"));
        let requires = "Requires: filesystem\nProvides: /bin/sh\n";
        repository.package("busybox", requires, BUSYBOX, Some("own"));
        let more = format!("Requires: busybox\nRequires(pre): filesystem\n{provides}");
        repository.package("kernel-core", &more, KERNEL, Some("own"));
        let one = |name: &str| {
            format!(
                "\n%install\nmkdir -p %{{buildroot}}/srv\necho x > %{{buildroot}}/srv/{name}\n%files\n/srv/{name}\n"
            )
        };
        repository.package("ImageMagick-core", "Requires: busybox\n", &one("magick"), Some("own"));
        repository.package("unsigned", "", &one("unsigned"), None);
        repository.package("forged", "", &one("forged"), Some("other"));
        drop(run(&["gpgconf", "--homedir", &repository.lab.text("gnupg"), "--kill", "all"]));
        for folder in [release, updates] {
            let path = repository.lab.path("www").join(folder).display().to_string();
            drop(run(&["createrepo_c", "-q", &path]).success());
        }
        Some(repository)
    }

    /// Makes a package, signs it with a key, and puts it into the repository.
    fn package(&self, name: &str, more: &str, body: &str, key: Option<&str>) {
        let spec = self.lab.path(&format!("{name}.spec"));
        fs::write(&spec, format!("Name: {name}\n{more}{HEAD}{body}")).unwrap();
        let top = self.lab.text("rpmbuild");
        let defines = [
            format!("_topdir {top}"),
            format!("_rpmdir {}", self.lab.text("www/releases/43/Everything/x86_64/os")),
            "_rpmfilename %{NAME}-%{VERSION}.%{ARCH}.rpm".to_owned(),
            "__os_install_post %{nil}".to_owned(),
            "_build_id_links none".to_owned(),
            "debug_package %{nil}".to_owned(),
            "__gpg /usr/bin/gpg".to_owned(),
            format!("_gpg_path {}", self.lab.text("gnupg")),
            format!("_gpg_name {}", key.unwrap_or("none")),
        ];
        let defined: Vec<&str> = defines.iter().flat_map(|define| ["--define", define]).collect();
        let file = spec.display().to_string();
        drop(run(&[&["rpmbuild"][..], &defined, &["-bb", &file]].concat()).success());
        if key.is_some() {
            let at = format!("www/releases/43/Everything/x86_64/os/{name}-1.x86_64.rpm");
            let rpm = self.lab.text(&at);
            drop(run(&[&["rpmsign"][..], &defined, &["--addsign", &rpm]].concat()).success());
        }
    }

    fn build(&self, more: &str, args: &[&str]) -> Output {
        let base = format!("fedora: 43, mirror: '{}', keyring: own.asc", self.server.url("x"));
        let base = base.replace("/x'", "'");
        let text = format!(
            "kiln: 1\nname: small\nbase: {{{base}}}\ndisk: {{size: 1GiB, firmware: uefi}}\n{more}"
        );
        fs::write(self.lab.path("recipe.yaml"), text).unwrap();
        self.kiln(&[&["build", &self.lab.text("recipe.yaml")], args].concat())
    }

    fn kiln(&self, args: &[&str]) -> Output {
        let program = program();
        let all = [&[program.as_str()], args].concat();
        run_with(&all, &[("KILN_HOME", &self.lab.text("home")), ("no_proxy", "127.0.0.1")])
    }

    fn cat(&self, path: &str) -> String {
        self.kiln(&["image", "cat", "small", path]).success().stdout
    }
}

fn gpg(home: &Path, args: &[&str]) {
    let home = home.display().to_string();
    let fixed = ["gpg", "--homedir", &home, "--batch", "--yes", "--passphrase", ""];
    drop(run(&[&fixed[..], args].concat()).success());
}

#[test]
fn a_fedora_is_made_of_its_packages() {
    let Some(repository) = Repository::new() else { return };
    let more = "packages: [ImageMagick-core]\nelements: [no-zeroconf]\n\
                commands: ['cat /srv/magick > /srv/copied']\n";
    drop(repository.build(more, &[]).success());
    assert_eq!(repository.cat("/srv/scriptlet"), "ran\n");
    assert_eq!(repository.cat("/srv/copied"), "x\n");
    assert_eq!(repository.cat("/boot/vmlinuz-6.1.0-test"), "kernel\n");
    assert_eq!(repository.cat("/etc/locale.conf"), "LANG=C.UTF-8\n");
    assert!(repository.cat("/etc/cloud/cloud.cfg.d/90_kiln.cfg").contains("name: \"fedora\""));
    assert!(repository.cat("/boot/grub2/grub.cfg").contains("vmlinuz-6.1.0-test"));
    let list = repository.kiln(&["image", "ls", "-lR", "small", "/"]).success().stdout;
    assert!(!list.contains("ssh_host_rsa_key") && !list.contains("dnf.log"), "{list}");
    // The tree's own rpm finds what was installed.
    assert!(list.contains("rpmdb.sqlite"), "{list}");
    // Another recipe shares the layer, and a build from nothing the packages.
    let changed = more.replace("copied", "changed");
    repository.server.forget();
    drop(repository.build(&changed, &[]).success());
    assert_eq!(repository.server.requests(), []);
    drop(repository.build(&changed, &["--rebuild"]).success());
    let rpms = repository.server.requests();
    let fetched = rpms.iter().filter(|request| request.path.ends_with(".rpm")).count();
    assert_eq!(fetched, 0);
}

#[test]
fn what_is_wrong_with_packages_is_told() {
    let Some(repository) = Repository::new() else { return };
    let cases = [
        ("packages: [ImageMagik-core]\n", 3, "did you mean `ImageMagick-core`?"),
        ("packages: [ImageMagik-core]\n", 3, "fedora 43 has no package `ImageMagik-core`"),
        ("packages: [unsigned]\n", 6, "the mirror is not to be trusted"),
        ("packages: [forged]\n", 6, "the mirror is not to be trusted"),
        ("timezone: Mars/Base\n", 3, "there is no time zone `Mars/Base`"),
        ("packages: [bash=5.2]\n", 3, "is asked for as `name-version`"),
    ];
    for (more, code, words) in cases {
        let out = repository.build(more, &[]);
        assert_eq!(out.code, code, "{more}{}", out.stderr);
        assert!(out.stderr.contains(words), "{more}{}", out.stderr);
    }
    let out = repository.build("", &["--lock"]);
    assert!(out.stderr.contains("cannot be locked"), "{}", out.stderr);
    // Nothing that is not as the list of packages says it.
    let at = "releases/43/Everything/x86_64/os/busybox-1.x86_64.rpm";
    drop(repository.kiln(&["cache", "gc", "--downloads"]).success());
    repository.server.lie(at, Lie::Flip(9000));
    let out = repository.build("", &[]);
    assert_ne!(out.code, 0, "{}", out.stderr);
    assert!(out.stderr.contains("busybox-1.x86_64.rpm"), "{}", out.stderr);
    repository.server.lie("updates/43/Everything/x86_64/repodata/repomd.xml", Lie::Status(503));
    drop(repository.kiln(&["cache", "gc", "--downloads"]).success());
    let out = repository.build("", &[]);
    assert_eq!(out.code, 6, "{}", out.stderr);
    assert!(out.stderr.contains("could not fetch `http://127.0.0.1:"), "{}", out.stderr);
    let images = repository.kiln(&["image", "list", "--json"]).success().stdout;
    assert_eq!(images.split_whitespace().collect::<String>(), "{\"images\":[]}");
}
