// SPDX-License-Identifier: Apache-2.0 OR MIT
//! For each operation: what it removes and what it leaves. What operations do beside removing is
//! tested beside them.

use super::{
    Cause, OPERATIONS, Options, SealContext, SealReport, Selection, Subject, TreeAlone, Volume,
    seal,
};
use crate::tree::memory::MemoryTree;
use crate::tree::{Time, Tree};

/// Runs one operation on a tree.
pub(super) fn sealed(tree: &mut dyn Tree, operation: &str) -> SealReport {
    sealed_with(tree, operation, &Options::default())
}

/// Runs one operation with options.
pub(super) fn sealed_with(tree: &mut dyn Tree, operation: &str, options: &Options) -> SealReport {
    let mut selection = Selection::default();
    selection.enable(operation).unwrap();
    let now = Time { seconds: 1_800_000_000, nanos: 0 };
    let mut ctx =
        SealContext { subject: &mut TreeAlone(tree), now, options, customize: None, script: None };
    seal(&selection, &mut ctx).unwrap()
}

/// An operation's name, what it removes, what it leaves. A line of what goes may be needed by
/// another: folders of what is left are left, too.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

const FEDORA: &str = "/etc/os-release=ID=fedora\n";
const DEBIAN: &str = "/etc/os-release=ID=debian\n";

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("abrt-data", &["/var/spool/abrt/ccpp-1/coredump", "/var/spool/abrt/last"], &["/var/spool/other/x", "/var/spool/abrt/.lock"]),
    ("backup-files", &["/etc/a.bak", "/var/x/y/.z~", "/root/.bak", "/tmp/~"], &["/etc/bak", "/usr/a.bak", "/home/a/x~", "/var/d~/x", "/srv/l~ -> /etc"]),
    ("bash-history", &["/root/.bash_history", "/home/ann/.bash_history"], &["/root/.bashrc", "/srv/.bash_history", "/home/dir/.bash_history/x"]),
    ("blkid-tab", &["/run/blkid.tab", "/etc/blkid.tab", "/dev/.blkid.tab.old"], &["/var/run -> /run", "/etc/blkid/blkid.tab -> /run/x", "/run/x"]),
    ("ca-certificates", &["/etc/pki/CA/private/a.key", "/etc/pki/tls/certs/mine.crt"], &["/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/tls/certs/ca-bundle.trust.crt", "/etc/pki/CA/private/a.pem"]),
    ("cloud-init", &["/var/lib/cloud/instances/i-1/user-data.txt", "/var/lib/cloud/instance -> instances/i-1", "/var/log/cloud-init-output.log.1", "/run/cloud-init/status.json"], &["/var/lib/cloud/seed/nocloud/meta-data", "/etc/cloud/cloud.cfg"]),
    ("cloud-init-installer", &["/etc/cloud/cloud.cfg.d/99-installer.cfg", "/etc/cloud/ds-identify.cfg"], &["/etc/cloud/cloud.cfg.d/05_logging.cfg", "/etc/cloud/cloud-init.disabled"]),
    ("cloud-init-network", &["/etc/netplan/50-cloud-init.yaml", "/etc/systemd/network/10-cloud-init-eth0.network", "/etc/network/interfaces.d/50-cloud-init"], &["/etc/netplan/01-mine.yaml", "/etc/network/interfaces", "/etc/cloud/cloud.cfg"]),
    ("cloud-init-ssh", &["/etc/ssh/sshd_config.d/50-cloud-init.conf"], &["/etc/ssh/sshd_config.d/60-mine.conf"]),
    ("coredumps", &["/var/lib/systemd/coredump/core.sh.0.zst", "/var/lib/apport/coredump/c"], &["/var/lib/systemd/timers/x"]),
    ("crash-data", &["/var/crash/127.0.0.1/vmcore", "/var/log/dump/x"], &["/var/crashed", "/etc/kdump.conf"]),
    ("credential-secret", &["/var/lib/systemd/credential.secret"], &["/var/lib/systemd/linger/x"]),
    ("cron-spool", &["/var/spool/cron/crontabs/root", "/var/spool/cron/atjobs/a1", "/var/spool/at/spool/x", "/var/spool/atjobs/j"], &["/var/spool/cron/atjobs/.SEQ", "/etc/crontab", "/var/spool/cron/l -> /etc"]),
    ("customize", &[], &["/etc/hostname"]),
    ("dbus-machine-id", &["/var/lib/dbus/machine-id"], &["/etc/machine-id"]),
    ("debconf-passwords", &["/var/cache/debconf/passwords.dat", "/var/cache/debconf/passwords.dat-old"], &["/var/cache/debconf/config.dat"]),
    ("dhcp-client-state", &["/var/lib/dhcp/dhclient.eth0.leases", "/var/lib/dhclient/a/b"], &["/var/lib/dhcpd/dhcpd.leases"]),
    ("dhcp-identity", &["/var/lib/dhcpcd/duid", "/etc/dhcpcd.secret", "/var/lib/systemd/network/x/y"], &["/etc/dhcpcd.conf"]),
    ("dhcp-server-state", &["/var/lib/dhcpd/dhcpd.leases"], &["/etc/dhcp/dhcpd.conf"]),
    ("dovecot-data", &["/var/lib/dovecot/ssl-parameters.dat"], &["/var/lib/dovecot/sieve/x"]),
    ("firewall-rules", &["/etc/sysconfig/iptables", "/etc/firewalld/zones/public.xml"], &["/etc/firewalld/firewalld.conf"]),
    ("flag-reconfiguration", &[], &["/etc/hostname"]),
    ("flatpak", &["/etc/flatpak/oci-auth.json", "/home/ann/.config/flatpak/oci-auth.json", "/var/lib/flatpak/repo/tmp/x/y"], &["/var/lib/flatpak/repo/config"]),
    ("fs-uuids", &[], &["/etc/fstab"]),
    ("hostid", &["/etc/hostid"], &["/etc/hostname"]),
    ("insights-client", &["/etc/insights-client/machine-id"], &["/etc/insights-client/insights-client.conf"]),
    ("interfaces-hwaddr", &[], &["/etc/network/interfaces=auto lo\n"]),
    ("ipa-client", &["/etc/ipa/ca.crt", "/var/lib/ipa-client/pki/x", "/etc/pki/ca-trust/source/ipa.p11-kit"], &["/etc/ipa/html/x"]),
    ("iscsi-initiator", &["/etc/iscsi/initiatorname.iscsi"], &["/etc/iscsi/iscsid.conf", FEDORA]),
    ("journal", &["/var/log/journal/0123/system.journal", "/run/log/journal/x"], &["/var/log/syslog", "/var/log/journal/"]),
    ("kerberos-data", &["/var/kerberos/krb5kdc/principal"], &["/var/kerberos/krb5kdc/kdc.conf", "/var/kerberos/krb5kdc/kadm5.acl"]),
    ("kerberos-hostkeytab", &["/etc/krb5.keytab"], &["/etc/krb5.conf"]),
    ("logfiles", &["/var/log/a.log.1.gz", "/var/log/wtmp", "/var/log/apt/term.log", "/var/log/journal/0/x", "/root/anaconda-ks.cfg", "/var/lib/logrotate.status", "/var/log/syslog.1", "/var/log/installer/syslog"], &["/var/log/private/x", "/var/log/README", "/var/log/journal/", "/var/log/apt/", "/root/notes"]),
    ("lvm-system-devices", &["/etc/lvm/devices/system.devices"], &["/etc/lvm/devices/other"]),
    ("lvm-uuids", &[], &["/etc/lvm/lvm.conf"]),
    ("machine-id", &[], &["/etc/machine-id="]),
    ("mail-spool", &["/var/spool/mail/ann", "/var/mail/bob/cur/1"], &["/var/spool/postfix/x"]),
    ("management-agents", &["/etc/salt/minion_id", "/var/lib/tailscale/tailscaled.state", "/etc/puppetlabs/puppet/ssl/private_keys/x", "/var/lib/zerotier-one/identity.secret"], &["/etc/salt/minion", "/var/lib/docker/x"]),
    ("multipath", &["/etc/multipath/wwids"], &["/etc/multipath.conf"]),
    ("mysql-uuid", &["/var/lib/mysql/auto.cnf"], &["/var/lib/mysql/ibdata1"]),
    ("net-hostname", &[], &["/etc/sysconfig/network-scripts/ifcfg-lo"]),
    ("net-hwaddr", &[], &["/etc/sysconfig/network-scripts/ifcfg-lo"]),
    ("net-nmconn", &["/etc/NetworkManager/system-connections/a.nmconnection"], &[FEDORA, "/etc/NetworkManager/system-connections/b"]),
    ("net-nmconn", &[], &[DEBIAN, "/etc/NetworkManager/system-connections/a.nmconnection"]),
    ("netplan-mac", &[], &["/etc/netplan/01.yaml"]),
    ("networkd-mac", &[], &["/etc/systemd/network/a.network"]),
    ("nm-keyfiles", &["/etc/NetworkManager/system-connections/Wired 1", "/etc/NetworkManager/system-connections/a.nmconnection"], &[DEBIAN, "/etc/NetworkManager/NetworkManager.conf"]),
    ("nm-state", &["/var/lib/NetworkManager/secret_key", "/var/lib/NetworkManager/internal-1-eth0.lease"], &["/var/lib/NetworkManager/NetworkManager.state"]),
    ("ntp-drift", &["/var/lib/chrony/chrony.drift", "/var/lib/ntp/drift"], &["/var/lib/chrony/rtc"]),
    ("nvme-host", &["/etc/nvme/hostnqn", "/etc/nvme/hostid"], &["/etc/nvme/discovery.conf"]),
    ("pacct-log", &["/var/account/pacct-20260101.gz"], &[FEDORA, "/var/account/pacct", "/var/log/account/pacct.1"]),
    ("package-manager-cache", &["/var/cache/apt/archives/a.deb", "/var/cache/apt/archives/partial/b.deb", "/var/cache/zypper/x", "/var/cache/dnf/a/b"], &["/var/cache/apt/pkgcache.bin", "/var/cache/apt/archives/partial/"]),
    ("pam-data", &["/run/faillock/ann"], &["/var/run -> /run", "/run/console/"]),
    ("passwd-backups", &["/etc/passwd-", "/etc/shadow-", "/etc/subgid-"], &["/etc/passwd", "/etc/hosts-"]),
    ("popularity-contest", &[], &["/etc/popularity-contest.conf"]),
    ("program-histories", &["/root/.viminfo", "/home/ann/.mysql_history", "/home/ann/.local/share/fish/fish_history"], &["/root/.vimrc", "/home/ann/.bash_history"]),
    ("puppet-data-log", &["/var/log/puppet/a.log", "/var/lib/puppet/ssl/crl.pem", "/var/lib/puppet/ssl/private_keys/k.pem"], &["/var/lib/puppet/x"]),
    ("random-seed", &["/var/lib/systemd/random-seed", "/boot/efi/loader/random-seed"], &["/boot/loader/loader.conf"]),
    ("rh-subscription-manager", &["/etc/pki/consumer/key.pem", "/etc/pki/entitlement/1.pem"], &["/etc/pki/product/69.pem"]),
    ("rhn-systemid", &["/etc/sysconfig/rhn/systemid"], &["/etc/sysconfig/rhn/up2date"]),
    ("rpm-db", &["/var/lib/rpm/__db.001"], &["/var/lib/rpm/rpmdb.sqlite"]),
    ("samba-db-log", &["/var/log/samba/log.smbd", "/var/lib/samba/secrets.tdb", "/var/lib/samba/private/x.tdb"], &["/etc/samba/smb.conf", "/var/lib/samba/a/b/c"]),
    ("script", &[], &["/etc/hostname"]),
    ("smolt-uuid", &["/etc/smolt/uuid"], &["/etc/smolt/config.py"]),
    ("snapd", &["/var/lib/snapd/device/private-keys-v1/k", "/var/lib/snapd/assertions/asserts-v0/serial/generic/generic-classic/s/active", "/home/ann/.snap/auth.json"], &["/var/lib/snapd/snaps/core.snap", "/var/lib/snapd/assertions/asserts-v0/model/16/x"]),
    ("ssh-hostkeys", &["/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_rsa_key.pub"], &["/etc/ssh/sshd_config", "/etc/ssh/moduli"]),
    ("ssh-userdir", &["/root/.ssh/id_ed25519", "/home/ann/.ssh/authorized_keys"], &["/root/x", "/home/ann/x", "/srv/git/.ssh/authorized_keys"]),
    ("ssl-snakeoil", &["/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem"], &["/etc/ssl/certs/ca-certificates.crt"]),
    ("sssd-db-log", &["/var/log/sssd/a.log", "/var/lib/sss/db/config.ldb"], &["/etc/sssd/sssd.conf"]),
    ("tmp-files", &["/tmp/a/b", "/tmp/.hidden", "/var/tmp/x", "/tmp/l -> /etc"], &["/tmp/", "/var/tmp/", "/etc/passwd"]),
    ("ubuntu-pro", &["/var/lib/ubuntu-advantage/private/machine-token.json", "/etc/apt/auth.conf.d/90ubuntu-advantage"], &["/etc/apt/auth.conf.d/mine.conf"]),
    ("udev-persistent", &["/etc/udev/rules.d/70-persistent-cd.rules", "/etc/udev/rules.d/z25_persistent-net.rules"], &["/etc/udev/rules.d/80-net-setup-link.rules"]),
    ("udev-persistent-net", &["/etc/udev/rules.d/70-persistent-net.rules"], &["/etc/udev/rules.d/70-mine.rules"]),
    ("user-account", &["/home/ann/x"], &["/home/other/x", "/etc/passwd=ann:x:1000:1000::/home/ann:/bin/sh\n"]),
    ("utmp", &["/run/utmp"], &["/var/run -> /run", "/var/log/wtmp"]),
    ("yum-uuid", &["/var/lib/yum/uuid"], &["/var/lib/yum/history/x"]),
    ("zsh-history", &["/root/.zsh_history", "/home/ann/.zsh_history"], &["/root/.zshrc"]),
];

/// Returns what is left of a tree: what has no folder of `top` in it.
fn files(tree: &MemoryTree) -> Vec<String> {
    tree.paths().into_iter().filter(|path| !path.ends_with('/')).collect()
}

#[test]
fn each_operation_removes_what_it_must_and_leaves_the_rest() {
    for (name, gone, kept) in CASES {
        let mut tree = MemoryTree::of(kept);
        gone.iter().for_each(|line| tree.add(line));
        let wanted = files(&MemoryTree::of(kept));
        let before = files(&tree);
        sealed(&mut tree, name);
        let mut left = files(&tree);
        left.retain(|path| before.contains(path));
        assert_eq!(left, wanted, "{name}");
        for dir in kept.iter().filter(|line| line.ends_with('/')) {
            assert!(tree.paths().contains(&String::from(*dir)), "{name}: {dir}");
        }
    }
}

#[test]
fn each_operation_has_a_case() {
    for operation in OPERATIONS {
        assert!(CASES.iter().any(|(name, ..)| *name == operation.name), "{}", operation.name);
    }
}

#[test]
fn a_second_seal_changes_nothing() {
    let mut tree = MemoryTree::of(&[DEBIAN]);
    for (_, gone, kept) in CASES {
        for line in gone.iter().chain(*kept).filter(|line| !line.contains(" -> ")) {
            let path = line.split('=').next().unwrap();
            if tree.stat(&crate::tree::GuestPath::new(path).unwrap()).ok().flatten().is_none() {
                tree.add(line);
            }
        }
    }
    let mut selection = Selection::default();
    selection.add_list("all,-flag-reconfiguration").unwrap();
    let now = Time { seconds: 1_800_000_000, nanos: 0 };
    for round in 0..2 {
        let mut ctx = SealContext {
            subject: &mut TreeAlone(&mut tree),
            now,
            options: &Options::default(),
            customize: None,
            script: None,
        };
        let report = seal(&selection, &mut ctx).unwrap();
        let edits = report.done.iter().map(|done| done.edits.list.len()).sum::<usize>();
        assert_eq!(edits == 0, round == 1, "{report:?}");
    }
}

#[test]
fn links_lead_no_removal_astray() {
    // Each folder that operations empty is a link to one that must not be touched.
    for (link, kept) in [("/tmp/a -> /precious", "/precious/x"), ("/root/.ssh -> /etc", "/etc/x")] {
        let mut tree = MemoryTree::of(&[link, kept, "/home/ann/.ssh -> /precious"]);
        let mut selection = Selection::default();
        selection.add_list("all").unwrap();
        let mut ctx = SealContext {
            subject: &mut TreeAlone(&mut tree),
            now: Time { seconds: 1, nanos: 0 },
            options: &Options::default(),
            customize: None,
            script: None,
        };
        seal(&selection, &mut ctx).unwrap();
        assert!(files(&tree).contains(&String::from(kept)), "{link}");
    }
}

/// A tree with disks that note what is done to them.
struct Disks {
    tree: MemoryTree,
    done: Vec<&'static str>,
}

impl Subject for Disks {
    fn tree(&mut self) -> &mut dyn Tree {
        &mut self.tree
    }

    fn volumes(&mut self) -> Vec<Volume> {
        ["ext4", "ntfs"].map(|fs| Volume { name: format!("{fs}-disk"), fs: fs.into() }).into()
    }

    fn new_uuid(&mut self, volume: &Volume) -> Result<bool, Cause> {
        self.done.push("uuid");
        Ok(volume.fs == "ext4")
    }

    fn new_lvm_uuids(&mut self) -> Result<Option<bool>, Cause> {
        self.done.push("lvm");
        Ok(Some(false))
    }
}

#[test]
fn edits_come_after_removals_and_disks_after_trees() {
    let mut disks = Disks { tree: MemoryTree::of(&["/tmp/x", "/etc/y"]), done: Vec::new() };
    let mut selection = Selection::default();
    selection.enable("lvm-uuids,fs-uuids,customize,tmp-files,script").unwrap();
    let mut customize = |tree: &mut dyn Tree| {
        tree.write(&"/tmp/kept".into(), &mut &b"1"[..], &crate::tree::Attrs::default())?;
        Ok(vec![String::from("made")])
    };
    let mut ctx = SealContext {
        subject: &mut disks,
        now: Time { seconds: 1, nanos: 0 },
        options: &Options::default(),
        customize: Some(&mut customize),
        script: None,
    };
    let report = seal(&selection, &mut ctx).unwrap();
    let names: Vec<_> = report.done.iter().map(|done| done.operation).collect();
    assert_eq!(names, ["script", "tmp-files", "customize", "fs-uuids", "lvm-uuids"]);
    assert_eq!(report.done[2].notes, ["made"]);
    assert_eq!(report.done[3].notes.len(), 2);
    assert_eq!(disks.done, ["uuid", "uuid", "lvm"]);
    assert_eq!(files(&disks.tree), ["/etc/y", "/tmp/kept"]);
}

#[test]
fn options_need_their_operation() {
    let options = Options { keep_users: [String::from("ann")].into(), ..Options::default() };
    let mut selection = Selection::default();
    let error = options.check(&selection).unwrap_err().to_string();
    assert_eq!(
        error,
        "`--keep-user-accounts` is for the operation `user-account`, which is not selected"
    );
    selection.add_list("defaults,user-account").unwrap();
    options.check(&selection).unwrap();
}
