// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What starts with a system.

use std::collections::BTreeSet;

use super::find::Finder;
use super::report::Services;

/// The most units.
const MOST: usize = 10_000;

/// Returns what starts.
///
/// Source: systemd.unit(5): links in `NAME.wants` and `NAME.requires` enable, links to
/// `/dev/null` mask; OpenRC: links in `/etc/runlevels`; System V: `S` links in `/etc/rcN.d`.
pub(super) fn services(find: &mut Finder<'_>) -> Services {
    let folder = "/etc/systemd/system";
    let (mut enabled, mut masked) = (BTreeSet::new(), BTreeSet::new());
    for name in find.names(folder).into_iter().take(MOST) {
        let path = format!("{folder}/{name}");
        if name.ends_with(".wants") || name.ends_with(".requires") {
            enabled.extend(find.names(&path).into_iter().take(MOST));
        } else if find.link(&path).as_deref() == Some("/dev/null") {
            masked.insert(name);
        }
    }
    for level in ["boot", "default", "sysinit"] {
        enabled.extend(find.names(&format!("/etc/runlevels/{level}")).into_iter().take(MOST));
    }
    let mut sysv = BTreeSet::new();
    for level in 2..=5 {
        for folder in [format!("/etc/rc{level}.d"), format!("/etc/rc.d/rc{level}.d")] {
            let names = find.names(&folder).into_iter().take(MOST);
            sysv.extend(names.filter_map(|name| started(&name)));
        }
    }
    let default_target = find.link(&format!("{folder}/default.target"));
    let default_target =
        default_target.or_else(|| find.link("/usr/lib/systemd/system/default.target"));
    let last = |path: String| path.rsplit('/').next().map(str::to_owned);
    Services {
        enabled: enabled.into_iter().take(MOST).collect(),
        masked: masked.into_iter().collect(),
        sysv: sysv.into_iter().take(MOST).collect(),
        default_target: default_target.and_then(last),
    }
}

/// Returns the script that a link `S20name` starts.
fn started(name: &str) -> Option<String> {
    let rest = name.strip_prefix('S')?;
    let script = rest.strip_prefix(|c: char| c.is_ascii_digit())?;
    Some(script.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned())
}
