// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `timezone`.

use super::argument::action;
use super::{Action, Operation, Problem, Scene, Shown, Wrong};
use crate::tree::GuestPath;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "timezone",
    argument: Some("TIMEZONE"),
    heading: "Set the time zone",
    documentation: "\
Sets the guest's time zone to one that it has below /usr/share/zoneinfo, such as Europe/London: \
/etc/localtime becomes a symbolic link to it. Debian's /etc/timezone follows when tzdata is next \
upgraded.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-_+/".contains(&b);
        if text.is_empty() || !text.bytes().all(good) || text.split('/').any(str::is_empty) {
            return Err(Wrong::new("a time zone is a place such as `Europe/London`"));
        }
        action(Timezone { zone: text.to_owned() })
    },
};

#[derive(Debug)]
struct Timezone {
    zone: String,
}

impl Action for Timezone {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let target = format!("/usr/share/zoneinfo/{}", self.zone);
        let zones = GuestPath::from("/usr/share/zoneinfo");
        if !scene.is_folder(&zones)? {
            return Err(Problem::refused(format!(
                "the guest has no `{zones}`: install its time zones first (tzdata)"
            )));
        }
        if !scene.is_file(&GuestPath::new(&target)?)? {
            let why = format!(
                "the guest has no time zone `{}`: it is a place such as `Europe/London`",
                self.zone
            );
            return Err(Problem::refused(why));
        }
        Ok(scene.link(&"/etc/localtime".into(), target.as_bytes())?)
    }
}
