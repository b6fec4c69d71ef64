// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The program: verb to function.
//!
//! | folder | what |
//! |---|---|
//! | `args` | the command line |
//! | `commands` | what each verb does |
//! | `machine` | machines: plan, steps, readiness |
//! | `remains` | what killed commands left |
//! | `ui` | all that is printed |
//! | `error` | classes, exit codes, hints |

mod args;
mod build_errors;
mod commands;
mod context;
mod error;
mod machine;
mod remains;
mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Verb};
use crate::context::{Context, Env};
use crate::error::{Class, report};
use crate::ui::{Ui, UiOptions};

fn main() -> ExitCode {
    // A stage of a run in a guest: before anything starts a thread.
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if kiln_host::namespace::is_entry(&args) {
        return ExitCode::from(kiln_host::namespace::enter(&args, kiln_build::workspace::JOBS));
    }
    let cli = match Cli::try_parse_from(asked(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and the version are asked for; everything else is wrong usage.
            let code = if error.use_stderr() { Class::Usage.code() } else { 0 };
            error.print().ok();
            return ExitCode::from(code);
        }
    };
    if let Err(error) = kiln_host::signal::listen() {
        return fail(&Ui::new(UiOptions::default()), &anyhow::Error::new(error));
    }
    let mut context = match Context::new(Env::read(), cli.global) {
        Ok(context) => context,
        Err(problem) => return fail(&Ui::new(UiOptions::default()), &problem.into()),
    };
    remains::remove(&context);
    match (run(&context, cli.verb), context.ui.lost()) {
        (Ok(code), None) => ExitCode::from(code),
        (Ok(_), Some(lost)) => {
            let error = anyhow::Error::new(lost).context("could not write the result");
            fail(&context.ui, &error)
        }
        (Err(error), _) => fail(&context.ui, &error),
    }
}

/// Returns the command line, `help VERB` as `VERB --help`: so a verb's name that is misspelt is
/// answered with those like it, which clap's own `help` does not do.
fn asked(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.len() > 2 && args[1] == "help" {
        args.remove(1);
        args.push("--help".into());
    }
    args
}

fn fail(ui: &Ui, error: &anyhow::Error) -> ExitCode {
    let report = report(error);
    ui.failure(&report);
    ExitCode::from(report.code)
}

/// Runs a verb; returns the exit code.
fn run(ctx: &Context, verb: Verb) -> anyhow::Result<u8> {
    match verb {
        Verb::Launch(args) => commands::launch::run(ctx, &args),
        Verb::Up(args) => commands::up::run(ctx, &args),
        Verb::Plan(args) => commands::plan::run(ctx, &args),
        Verb::Down(args) => commands::down::run(ctx, &args),
        Verb::Clone(args) => commands::clone::run(ctx, &args),
        Verb::Flatten(args) => commands::flatten::run(ctx, &args),
        Verb::List(args) => commands::list::run(ctx, &args),
        Verb::Info(args) => commands::info::run(ctx, &args),
        Verb::Start(args) => commands::start::run(ctx, &args),
        Verb::Stop(args) => commands::stop::run(ctx, &args),
        Verb::Restart(args) => commands::restart::run(ctx, &args),
        Verb::Rm(args) => commands::rm::run(ctx, &args),
        Verb::Wait(args) => commands::wait::run(ctx, &args),
        Verb::Logs(args) => commands::logs::run(ctx, &args),
        Verb::Console(args) => commands::console::run(ctx, &args),
        Verb::Ssh(args) => commands::ssh::run(ctx, &args),
        Verb::Exec(args) => commands::exec::run(ctx, &args),
        Verb::Cp(args) => commands::cp::run(ctx, &args),
        Verb::SshConfig(args) => commands::ssh_config::run(ctx, &args),
        Verb::Inventory(args) => commands::inventory::run(ctx, &args),
        Verb::Build(args) => commands::build::run(ctx, &args),
        Verb::Cache(args) => commands::cache::run(ctx, &args),
        Verb::Bundle(args) => commands::bundle::run(ctx, &args),
        Verb::Image(args) => commands::image::run(ctx, &args),
        Verb::Catalog(args) => commands::catalog::run(ctx, &args),
        Verb::Network(args) => commands::network::run(ctx, &args),
        Verb::Forward(args) => commands::forward::run(ctx, &args),
        Verb::Dns(args) => commands::dns::run(ctx, &args),
        Verb::Pool(args) => commands::pool::run(ctx, &args),
        Verb::Secret(args) => commands::secret::run(ctx, &args),
        Verb::Seed(args) => commands::seed::run(ctx, &args),
        Verb::Template(args) => commands::template::run(ctx, &args),
        Verb::Element(args) => commands::element::run(ctx, &args),
        Verb::Doctor(args) => commands::doctor::run(ctx, &args),
        Verb::Schema(args) => commands::schema::run(ctx, &args),
        Verb::Completions(args) => commands::completions::run(ctx, &args),
        Verb::Man(args) => commands::man::run(ctx, &args),
    }
}

#[cfg(test)]
mod tests {
    use clap::error::{ContextKind, ContextValue, ErrorKind};

    use super::*;

    #[test]
    fn help_for_a_misspelt_verb_names_those_like_it() {
        let parse = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            Cli::try_parse_from(asked(words)).unwrap_err()
        };
        for line in ["kiln help launch", "kiln help image ls", "kiln help"] {
            assert_eq!(parse(line).kind(), ErrorKind::DisplayHelp, "{line}");
        }
        for (line, meant) in [("kiln help lanch", "launch"), ("kiln help image inspct", "inspect")]
        {
            let error = parse(line);
            assert_eq!(error.kind(), ErrorKind::InvalidSubcommand);
            let Some(ContextValue::Strings(like)) = error.get(ContextKind::SuggestedSubcommand)
            else {
                panic!("{error}");
            };
            assert!(like.iter().any(|verb| verb == meant), "{like:?}");
        }
    }
}
