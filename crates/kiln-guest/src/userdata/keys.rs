// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The top-level keys of a cloud-config and the types of their values.
//!
//! Source: `schema-cloud-config-v1.json` of cloud-init 22.4 and of 26.2; where they differ, what
//! either of them takes. The last group is read by cloud-init and missing in its schema.

use crate::yaml::Type;

/// One letter a type: what a value may be.
///
/// `S` text, `B` truth value, `I` whole number, `L` list, `M` mapping, `0` nothing.
pub(super) type Letters = &'static str;

/// A key, the types of its value, and those of the items if it is a list (empty: any).
pub(super) type Key = (&'static str, Letters, Letters);

/// All keys, sorted.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    ("allow_public_ssh_keys", "B", ""),
    ("ansible", "M", ""),
    ("apk_repos", "M", ""),
    ("apt", "M", ""),
    ("apt_pipelining", "BIS", ""),
    ("apt_reboot_if_required", "B", ""),
    ("apt_update", "B", ""),
    ("apt_upgrade", "B", ""),
    ("authkey_hash", "S", ""),
    ("autoinstall", "M", ""),
    ("bootcmd", "L", "LS"),
    ("byobu_by_default", "S", ""),
    ("ca-certs", "M", ""),
    ("ca_certs", "M", ""),
    ("chef", "M", ""),
    ("chpasswd", "M", ""),
    ("cloud_config_modules", "L", ""),
    ("cloud_final_modules", "L", ""),
    ("cloud_init_modules", "L", ""),
    ("create_hostname_file", "B", ""),
    ("datasource", "M", ""),
    ("datasource_list", "L", "S"),
    ("debug", "M", ""),
    ("device_aliases", "M", ""),
    ("disable_ec2_metadata", "B", ""),
    ("disable_root", "B", ""),
    ("disable_root_opts", "S", ""),
    ("disk_setup", "M", ""),
    ("drivers", "M", ""),
    ("fan", "M", ""),
    ("final_message", "S", ""),
    ("fqdn", "S", ""),
    ("fs_setup", "L", "M"),
    ("groups", "LMS", "MS"),
    ("growpart", "M", ""),
    ("grub-dpkg", "M", ""),
    ("grub_dpkg", "M", ""),
    ("hostname", "S", ""),
    ("keyboard", "M", ""),
    ("landscape", "M", ""),
    ("launch-index", "I", ""),
    ("locale", "BS", ""),
    ("locale_configfile", "S", ""),
    ("lxd", "M", ""),
    ("manage_etc_hosts", "BS", ""),
    ("manage_resolv_conf", "B", ""),
    ("mcollective", "M", ""),
    ("merge_how", "LS", ""),
    ("merge_type", "LS", ""),
    ("migrate", "B", ""),
    ("mount_default_fields", "L", "0S"),
    ("mounts", "L", "L"),
    ("network", "M", ""),
    ("no_ssh_fingerprints", "B", ""),
    ("ntp", "0M", ""),
    ("output", "M", ""),
    ("package_reboot_if_required", "B", ""),
    ("package_update", "B", ""),
    ("package_upgrade", "B", ""),
    ("packages", "L", "LMS"),
    ("password", "S", ""),
    ("phone_home", "M", ""),
    ("power_state", "M", ""),
    ("prefer_fqdn_over_hostname", "B", ""),
    ("preserve_hostname", "B", ""),
    ("puppet", "M", ""),
    ("random_seed", "M", ""),
    ("reporting", "M", ""),
    ("resize_rootfs", "BS", ""),
    ("resolv_conf", "M", ""),
    ("rh_subscription", "M", ""),
    ("rpi", "M", ""),
    ("rsyslog", "M", ""),
    ("runcmd", "L", "0LS"),
    ("salt_minion", "M", ""),
    ("snap", "M", ""),
    ("spacewalk", "M", ""),
    ("ssh", "M", ""),
    ("ssh_authorized_keys", "L", "S"),
    ("ssh_deletekeys", "B", ""),
    ("ssh_fp_console_blacklist", "L", "S"),
    ("ssh_genkeytypes", "L", "S"),
    ("ssh_import_id", "L", "S"),
    ("ssh_key_console_blacklist", "L", "S"),
    ("ssh_keys", "M", ""),
    ("ssh_publish_hostkeys", "M", ""),
    ("ssh_pwauth", "BS", ""),
    ("ssh_quiet_keygen", "B", ""),
    ("ssh_svcname", "S", ""),
    ("swap", "M", ""),
    ("system_info", "M", ""),
    ("timezone", "S", ""),
    ("ubuntu_advantage", "M", ""),
    ("ubuntu_pro", "M", ""),
    ("updates", "M", ""),
    ("user", "MS", ""),
    ("users", "LMS", "LMS"),
    ("vendor_data", "M", ""),
    ("version", "S", ""),
    ("warnings", "M", ""),
    ("wireguard", "0M", ""),
    ("write_files", "L", "M"),
    ("yum_repo_dir", "S", ""),
    ("yum_repos", "M", ""),
    ("zypper", "M", ""),
];

/// The keys of one of `users` whose types matter to Kiln, which adds to them.
pub(super) const USER_KEYS: &[Key] = &[
    ("name", "S", ""),
    ("plain_text_passwd", "S", ""),
    ("ssh-authorized-keys", "L", "S"),
    ("ssh_authorized_keys", "L", "S"),
];

/// Returns whether a value of this type is among the letters. A whole number is none of the
/// others, and neither is a date: cloud-init's schema sees them so, too.
pub(super) fn allows(letters: Letters, found: Type) -> bool {
    let letter = match found {
        Type::Null => '0',
        Type::Bool => 'B',
        Type::Int => 'I',
        Type::Text | Type::Binary => 'S',
        Type::List => 'L',
        Type::Map => 'M',
        Type::Float | Type::Timestamp => return letters.is_empty(),
    };
    letters.is_empty() || letters.contains(letter)
}

/// Returns the types in words: `a list or a mapping`.
pub(super) fn wanted(letters: Letters) -> String {
    let types: Vec<&str> = letters
        .chars()
        .map(|letter| match letter {
            '0' => Type::Null.name(),
            'B' => Type::Bool.name(),
            'I' => Type::Int.name(),
            'L' => Type::List.name(),
            'M' => Type::Map.name(),
            _ => Type::Text.name(),
        })
        .collect();
    types.join(" or ")
}

/// Returns a key by its name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|(key, ..)| *key == name)
}

/// Returns the known key that needs the fewest changes, if they are few.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let most = match name.chars().count() {
        0..4 => 1,
        4..8 => 2,
        _ => 3,
    };
    let name = name.to_ascii_lowercase().replace('-', "_");
    let near = KEYS.iter().map(|(key, ..)| (distance(&name, key), *key));
    near.min().filter(|(changes, _)| *changes <= most).map(|(_, key)| key)
}

/// Returns how many characters must be changed, added or taken away.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // Names longer than any key are far from all of them; the bound keeps hostile ones cheap.
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_unique() {
        assert!(KEYS.windows(2).all(|w| w[0].0 < w[1].0));
    }

    #[test]
    fn near_keys_are_found() {
        assert_eq!(nearest("package"), Some("packages"));
        assert_eq!(nearest("run_cmd"), Some("runcmd"));
        assert_eq!(nearest("write-files"), Some("write_files"));
        assert_eq!(nearest("ssh-authorized-key"), Some("ssh_authorized_keys"));
        assert_eq!(nearest("HostName"), Some("hostname"));
        assert_eq!(nearest("services"), None);
        assert_eq!(nearest(""), None);
    }
}
