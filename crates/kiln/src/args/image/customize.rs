// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image customize`.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use kiln_guest::ops::{ArgumentError, Network, OPERATIONS, Operation, Plan, manual};

use super::target::TargetOrList;

const EXAMPLES: &str = "EXAMPLES\n  \
    kiln image customize web.qcow2 --hostname web --ssh-inject root --timezone Europe/Berlin\n  \
    kiln image customize -o new.qcow2 debian-12 --root-password random --copy-in conf:/srv\n  \
    kiln image customize --dry-run web.qcow2 --delete '/var/log/*.gz' --install nginx\n  \
    kiln image customize web.qcow2 --commands-from-file web.commands\n\n\
    SEE ALSO\n  \
    `kiln image seal` takes out what copies of an image must not share; \
    docs/customize.md has all operations on one page.";

/// Change the system in an image: files, users, keys, packages, units; all or nothing
///
/// What virt-customize does, under the same names, in process: nothing is booted. The operations
/// are done in the order in which they are given, passwords last; if one fails, the image stays as
/// it was.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Customize {
    #[command(flatten)]
    pub(crate) target: TargetOrList,
    #[command(flatten)]
    pub(crate) programs: Programs,
    /// List the operations; `=long` says all about them, `=markdown` for a document
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "short"
    )]
    pub(crate) list_operations: Option<Listing>,
    #[command(flatten)]
    pub(crate) operations: Operations,
}

/// How much is said of the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Listing {
    /// A line each
    Short,
    /// All that there is to say
    Long,
    /// The same, as Markdown
    Markdown,
}

/// What the guest's own programs may do.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Programs {
    /// Let all programs of the guest use the network, not only its package manager
    #[arg(long, conflicts_with = "no_network")]
    pub(crate) network: bool,
    /// Let no program of the guest use the network
    #[arg(long)]
    pub(crate) no_network: bool,
}

impl Programs {
    /// Returns which of them may use the network.
    pub(crate) fn network(self) -> Network {
        match (self.network, self.no_network) {
            (true, _) => Network::All,
            (_, true) => Network::None,
            _ => Network::Packages,
        }
    }
}

/// Operations with their arguments, in the order in which they were given. The options are made
/// from [`OPERATIONS`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Operations {
    pub(crate) given: Vec<(&'static Operation, Option<String>)>,
}

impl Operations {
    /// Returns the plan of these operations, in their order.
    pub(crate) fn plan(&self) -> Result<Plan, ArgumentError> {
        let mut plan = Plan::default();
        for (operation, argument) in &self.given {
            plan.add(operation.name, argument.as_deref())?;
        }
        Ok(plan)
    }
}

fn option(operation: &'static Operation) -> Arg {
    let arg = Arg::new(operation.name)
        .long(operation.name)
        .help(operation.heading)
        .long_help(format!("{}\n\n{}", operation.heading, manual::wrapped(operation.documentation)))
        .help_heading("Operations, done in the order in which they are given")
        .action(ArgAction::Append);
    match operation.argument {
        Some(syntax) => {
            let arg = arg.value_name(syntax).allow_hyphen_values(true);
            if matches!(syntax, "FILENAME" | "SCRIPT") {
                return arg.value_hint(clap::ValueHint::FilePath);
            }
            arg
        }
        None => arg.num_args(0).default_missing_value(""),
    }
}

impl Args for Operations {
    fn augment_args(command: Command) -> Command {
        command.args(OPERATIONS.iter().map(|operation| option(operation)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Operations {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut placed = Vec::new();
        for operation in OPERATIONS {
            let places = matches.indices_of(operation.name).into_iter().flatten();
            let values = matches.get_many::<String>(operation.name).into_iter().flatten();
            for (place, value) in places.zip(values) {
                let value = operation.argument.is_some().then(|| value.clone());
                placed.push((place, (*operation, value)));
            }
        }
        placed.sort_by_key(|(place, _)| *place);
        Ok(Self { given: placed.into_iter().map(|(_, given)| given).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_keep_their_order() {
        let command = Operations::augment_args(Command::new("x").no_binary_name(true));
        let line = ["--touch", "/b", "--update", "--write=/a:x", "--touch", "/c", "--update"];
        let matches = command.try_get_matches_from(line).unwrap();
        let operations = Operations::from_arg_matches(&matches).unwrap();
        let given: Vec<(&str, Option<&str>)> =
            operations.given.iter().map(|(o, value)| (o.name, value.as_deref())).collect();
        assert_eq!(
            given,
            [
                ("touch", Some("/b")),
                ("update", None),
                ("write", Some("/a:x")),
                ("touch", Some("/c")),
                ("update", None),
            ]
        );
    }
}
