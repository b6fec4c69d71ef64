// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Operations that customize a guest: those of virt-customize under the same names, and a few
//! more. One file an operation; [`OPERATIONS`] is the list.
//!
//! Arguments become a [`Plan`]; [`customize`] carries it out, in order. Nothing here commits: on
//! an error the caller throws the tree away.
//!
//! **Invariant:** everything goes through [`Tree`](crate::tree::Tree), so no guest can make an
//! operation touch a file of the host; files of the host are only read, up to a bound.

mod add_user;
mod append_line;
mod argument;
mod boot_scripts;
mod chmod;
mod chown;
mod commands_from_file;
mod context;
mod copy;
mod copy_in;
mod customize;
mod delete;
mod edit;
mod error;
mod firstboot;
mod firstboot_command;
mod firstboot_install;
mod hostname;
mod inject;
mod install;
mod link;
pub mod manual;
mod mkdir;
mod move_;
mod no_logfile;
mod no_selinux_relabel;
mod password;
mod password_crypto;
mod perl;
mod plan;
mod report;
mod root_password;
mod run;
mod run_command;
mod scrub;
mod selinux_relabel;
mod selinux_relabel_exclude;
mod ssh_inject;
mod sudoers;
pub mod tar_in;
mod timezone;
mod touch;
mod truncate;
mod truncate_recursive;
mod uninstall;
mod unit;
mod update;
mod upload;
mod write;

use std::fmt;
use std::path::PathBuf;

pub use self::context::{EditContext, Network, Random, Scene};
pub use self::customize::customize;
pub use self::error::{ArgumentError, EditError, Problem, Wrong};
pub use self::plan::{Plan, Settings, Step};
pub use self::report::{Done, NewPassword, Report};

/// What changes a guest.
pub trait Action: fmt::Debug {
    /// Looks whether the files of the host that this needs are there and can be read, so that a
    /// mistake is told before anything is begun. Nothing is read, of a pipe neither.
    ///
    /// # Errors
    ///
    /// [`Problem::Host`].
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }

    /// Changes the guest of `scene`.
    ///
    /// # Errors
    ///
    /// See [`Problem`]. The tree may then hold a part of the change.
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem>;
}

/// What the argument of an [`Operation`] was read as.
#[derive(Debug)]
pub enum Parsed {
    /// Something to do.
    Action(Box<dyn Action>),
    /// Something that holds for all operations.
    Setting(Setting),
    /// A file with more operations.
    Commands(PathBuf),
}

/// Something that holds for all operations, wherever it stands among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// How passwords are hashed.
    Crypto(crate::system::crypt::Crypto),
    /// Files keep the SELinux labels that they have, new ones get none.
    NoRelabel,
    /// What is below this directory is not labelled.
    RelabelExclude(crate::tree::GuestPath),
    /// Taken and without effect: what it asks for is so anyway.
    Nothing,
}

/// How much of an argument may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    Whole,
    /// What comes before the first colon: the rest is contents, or a secret.
    First,
    /// Nothing: it is a secret.
    Nothing,
}

/// One operation: how it is called, what it does, how its argument is read.
#[derive(Debug)]
pub struct Operation {
    /// Its name: `append-line` is `--append-line` on a command line.
    pub name: &'static str,
    /// The syntax of its argument, such as `FILE:LINE`; `None` if it takes none.
    pub argument: Option<&'static str>,
    /// What it does: one line, imperative, no full stop.
    pub heading: &'static str,
    /// The manual's text: paragraphs, parted by empty lines; lines that begin with two blanks
    /// are examples.
    pub documentation: &'static str,
    /// Whether it runs the guest's own programs.
    pub runs_programs: bool,
    /// How much of its argument may be shown.
    pub shown: Shown,
    /// Reads the argument.
    pub parse: fn(&str) -> Result<Parsed, Wrong>,
}

impl Operation {
    /// Returns the operation of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|operation| operation.name == name).copied()
    }

    /// Returns `argument` as it may be shown: without contents and secrets, and not too long.
    #[must_use]
    pub fn show(&self, argument: &str) -> String {
        const MOST: usize = 120;
        let text = match self.shown {
            Shown::Whole => argument.to_owned(),
            Shown::First => match argument.split_once(':') {
                Some((first, _)) => format!("{first}:…"),
                None => argument.to_owned(),
            },
            Shown::Nothing => "…".to_owned(),
        };
        let text: String = text.chars().flat_map(char::escape_debug).collect();
        match text.char_indices().nth(MOST) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        }
    }
}

/// Every operation, by name.
pub const OPERATIONS: &[&Operation] = &[
    &add_user::OPERATION,
    &append_line::OPERATION,
    &chmod::OPERATION,
    &chown::OPERATION,
    &commands_from_file::OPERATION,
    &copy::OPERATION,
    &copy_in::OPERATION,
    &delete::OPERATION,
    &unit::DISABLE,
    &edit::OPERATION,
    &unit::ENABLE,
    &firstboot::OPERATION,
    &firstboot_command::OPERATION,
    &firstboot_install::OPERATION,
    &hostname::OPERATION,
    &inject::BLNSVR,
    &inject::QEMU_GA,
    &inject::VIRTIO_WIN,
    &install::OPERATION,
    &link::OPERATION,
    &unit::MASK,
    &mkdir::OPERATION,
    &move_::OPERATION,
    &no_logfile::OPERATION,
    &no_selinux_relabel::OPERATION,
    &password::OPERATION,
    &password_crypto::OPERATION,
    &root_password::OPERATION,
    &run::OPERATION,
    &run_command::OPERATION,
    &scrub::OPERATION,
    &selinux_relabel::OPERATION,
    &selinux_relabel_exclude::OPERATION,
    &ssh_inject::OPERATION,
    &sudoers::OPERATION,
    &tar_in::OPERATION,
    &timezone::OPERATION,
    &touch::OPERATION,
    &truncate::OPERATION,
    &truncate_recursive::OPERATION,
    &uninstall::OPERATION,
    &unit::UNMASK,
    &update::OPERATION,
    &upload::OPERATION,
    &write::OPERATION,
];

#[cfg(test)]
mod tests;
