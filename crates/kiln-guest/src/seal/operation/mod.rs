// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The operations, one file each with its record; a new one is a file and a line of
//! [`OPERATIONS`].

mod abrt_data;
mod backup_files;
mod bash_history;
mod blkid_tab;
mod ca_certificates;
mod cloud_init;
mod cloud_init_installer;
mod cloud_init_network;
mod cloud_init_ssh;
mod coredumps;
mod crash_data;
mod credential_secret;
mod cron_spool;
mod customize;
mod dbus_machine_id;
mod debconf_passwords;
mod dhcp_client_state;
mod dhcp_identity;
mod dhcp_server_state;
mod dovecot_data;
mod firewall_rules;
mod flag_reconfiguration;
mod flatpak;
mod fs_uuids;
mod hostid;
mod insights_client;
mod interfaces_hwaddr;
mod ipa_client;
mod iscsi_initiator;
mod journal;
mod kerberos_data;
mod kerberos_hostkeytab;
mod logfiles;
mod lvm_system_devices;
mod lvm_uuids;
mod machine_id;
mod mail_spool;
mod management_agents;
mod multipath;
mod mysql_uuid;
mod net_hostname;
mod net_hwaddr;
mod net_nmconn;
mod netplan_mac;
mod networkd_mac;
mod nm_keyfiles;
mod nm_state;
mod ntp_drift;
mod nvme_host;
mod pacct_log;
mod package_manager_cache;
mod pam_data;
mod passwd_backups;
mod popularity_contest;
mod program_histories;
mod puppet_data_log;
mod random_seed;
mod rh_subscription_manager;
mod rhn_systemid;
mod rpm_db;
mod samba_db_log;
mod script;
mod smolt_uuid;
mod snapd;
mod ssh_hostkeys;
mod ssh_userdir;
mod ssl_snakeoil;
mod sssd_db_log;
mod tmp_files;
mod ubuntu_pro;
mod udev_persistent;
mod udev_persistent_net;
mod user_account;
mod utmp;
mod yum_uuid;
mod zsh_history;

use super::work::Work;
use super::{Cause, Subject};
use crate::tree::TreeError;

/// All operations, by name.
pub const OPERATIONS: &[Operation] = &[
    abrt_data::OPERATION,
    backup_files::OPERATION,
    bash_history::OPERATION,
    blkid_tab::OPERATION,
    ca_certificates::OPERATION,
    cloud_init::OPERATION,
    cloud_init_installer::OPERATION,
    cloud_init_network::OPERATION,
    cloud_init_ssh::OPERATION,
    coredumps::OPERATION,
    crash_data::OPERATION,
    credential_secret::OPERATION,
    cron_spool::OPERATION,
    customize::OPERATION,
    dbus_machine_id::OPERATION,
    debconf_passwords::OPERATION,
    dhcp_client_state::OPERATION,
    dhcp_identity::OPERATION,
    dhcp_server_state::OPERATION,
    dovecot_data::OPERATION,
    firewall_rules::OPERATION,
    flag_reconfiguration::OPERATION,
    flatpak::OPERATION,
    fs_uuids::OPERATION,
    hostid::OPERATION,
    insights_client::OPERATION,
    interfaces_hwaddr::OPERATION,
    ipa_client::OPERATION,
    iscsi_initiator::OPERATION,
    journal::OPERATION,
    kerberos_data::OPERATION,
    kerberos_hostkeytab::OPERATION,
    logfiles::OPERATION,
    lvm_system_devices::OPERATION,
    lvm_uuids::OPERATION,
    machine_id::OPERATION,
    mail_spool::OPERATION,
    management_agents::OPERATION,
    multipath::OPERATION,
    mysql_uuid::OPERATION,
    net_hostname::OPERATION,
    net_hwaddr::OPERATION,
    net_nmconn::OPERATION,
    netplan_mac::OPERATION,
    networkd_mac::OPERATION,
    nm_keyfiles::OPERATION,
    nm_state::OPERATION,
    ntp_drift::OPERATION,
    nvme_host::OPERATION,
    pacct_log::OPERATION,
    package_manager_cache::OPERATION,
    pam_data::OPERATION,
    passwd_backups::OPERATION,
    popularity_contest::OPERATION,
    program_histories::OPERATION,
    puppet_data_log::OPERATION,
    random_seed::OPERATION,
    rh_subscription_manager::OPERATION,
    rhn_systemid::OPERATION,
    rpm_db::OPERATION,
    samba_db_log::OPERATION,
    script::OPERATION,
    smolt_uuid::OPERATION,
    snapd::OPERATION,
    ssh_hostkeys::OPERATION,
    ssh_userdir::OPERATION,
    ssl_snakeoil::OPERATION,
    sssd_db_log::OPERATION,
    tmp_files::OPERATION,
    ubuntu_pro::OPERATION,
    udev_persistent::OPERATION,
    udev_persistent_net::OPERATION,
    user_account::OPERATION,
    utmp::OPERATION,
    yum_uuid::OPERATION,
    zsh_history::OPERATION,
];

/// Where an operation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// virt-sysprep has it, with this name, default and effect.
    Sysprep,
    /// It is Kiln's own.
    Kiln,
}

/// The record of an operation: what the help and the manual say of it, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name: lower-case words with `-`.
    pub name: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it runs if nothing else is said.
    pub default: bool,
    /// What it does, in one line: imperative, no full stop.
    pub heading: &'static str,
    /// What more there is to say; may be empty.
    pub documentation: &'static str,
    /// What to look out for; may be empty.
    pub notes: &'static str,
    /// The paths that it is about, as patterns of a shell.
    pub paths: &'static [&'static str],
    pub(super) run: Run,
}

/// How an operation is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    /// All but directories that its paths name is removed.
    RemoveFiles,
    /// All that its paths name is removed, with what is below.
    RemoveTrees,
    /// What this function does to the tree.
    Tree(fn(&mut Work<'_, '_>) -> Result<(), TreeError>),
    /// Scripts of the user run on the mounted tree.
    Script,
    /// The user's edits are made.
    Customize,
    /// What this function does to whole file systems; the lines are for the user.
    Volumes(fn(&mut dyn Subject, &mut Vec<String>) -> Result<(), Cause>),
}

impl Run {
    /// Returns when it is its turn: edits come after all other changes of the tree, file systems
    /// after the tree.
    pub(super) fn stage(self) -> u8 {
        match self {
            Self::RemoveFiles | Self::RemoveTrees | Self::Tree(_) | Self::Script => 0,
            Self::Customize => 1,
            Self::Volumes(_) => 2,
        }
    }
}

impl Operation {
    /// Runs an operation on a tree.
    pub(super) fn run_on(&self, work: &mut Work<'_, '_>) -> Result<(), TreeError> {
        match self.run {
            Run::RemoveFiles => work.remove_files(self.paths).map(drop),
            Run::RemoveTrees => work.remove_trees(self.paths),
            Run::Tree(run) => run(work),
            Run::Script | Run::Customize | Run::Volumes(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_says_enough() {
        assert!(OPERATIONS.is_sorted_by(|a, b| a.name < b.name));
        for op in OPERATIONS {
            assert!(op.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", op.name);
            let heading = op.heading.chars();
            assert!(heading.clone().next().is_some_and(char::is_uppercase), "{}", op.name);
            assert!(!op.heading.ends_with('.') && op.heading.len() < 76, "{}", op.name);
            for text in [op.documentation, op.notes] {
                assert!(
                    text.is_empty() || text.ends_with('.') || text.ends_with(')'),
                    "{}",
                    op.name
                );
                assert!(!text.contains("  "), "{}: {text}", op.name);
            }
            assert!(op.paths.iter().all(|path| path.starts_with('/')), "{}", op.name);
            let by_paths = matches!(op.run, Run::RemoveFiles | Run::RemoveTrees);
            assert!(!by_paths || !op.paths.is_empty(), "{}", op.name);
        }
    }

    /// Source: virt-sysprep --list-operations of guestfs-tools 1.56; `*` runs by default.
    #[test]
    fn virt_syspreps_operations_are_all_there_with_its_defaults() {
        const THEIRS: &str = "abrt-data* backup-files* bash-history* blkid-tab* ca-certificates \
            crash-data* cron-spool* customize* dhcp-client-state* dhcp-server-state* \
            dovecot-data* firewall-rules flag-reconfiguration fs-uuids ipa-client* kerberos-data \
            kerberos-hostkeytab* logfiles* lvm-system-devices* lvm-uuids* machine-id* \
            mail-spool* net-hostname* net-hwaddr* net-nmconn* pacct-log* package-manager-cache* \
            pam-data* passwd-backups* puppet-data-log* rh-subscription-manager* rhn-systemid* \
            rpm-db* samba-db-log* script* smolt-uuid* ssh-hostkeys* ssh-userdir* sssd-db-log* \
            tmp-files* udev-persistent-net* user-account utmp* yum-uuid* zsh-history*";
        let ours = OPERATIONS.iter().filter(|op| op.origin == Origin::Sysprep);
        let ours = ours.map(|op| format!("{}{}", op.name, if op.default { "*" } else { "" }));
        assert_eq!(ours.collect::<Vec<_>>(), THEIRS.split_whitespace().collect::<Vec<_>>());
    }
}
