// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln man`.

use std::fs;

use anyhow::Context as _;
use clap::CommandFactory;

use crate::args::Cli;
use crate::args::man::Man;
use crate::context::Context;
use crate::error::Class;

/// Writes a page for the program and one for each verb.
pub(crate) fn run(ctx: &Context, args: &Man) -> anyhow::Result<u8> {
    let shown = args.folder.display();
    fs::create_dir_all(&args.folder).with_context(|| format!("could not make `{shown}`"))?;
    let exit = Class::ALL
        .iter()
        .map(|(class, _, text)| format!("{:<3} {text}", class.code()))
        .collect::<Vec<_>>()
        .join("\n");
    let mut command = Cli::command()
        .after_long_help(format!("EXIT STATUS\n0   done\n{exit}\n128+n ended by signal n"));
    command.build();
    pages(&command, "kiln", &mut |name, command| {
        let path = args.folder.join(format!("{name}.1"));
        let mut page = Vec::new();
        let command = command.clone().name(name.to_owned());
        clap_mangen::Man::new(command).date("").render(&mut page)?;
        fs::write(&path, page).with_context(|| format!("could not write `{}`", path.display()))
    })?;
    ctx.ui.say(format!("wrote the manual pages into {shown}"));
    Ok(0)
}

type Write<'a> = &'a mut dyn FnMut(&str, &clap::Command) -> anyhow::Result<()>;

fn pages(command: &clap::Command, name: &str, write: Write<'_>) -> anyhow::Result<()> {
    write(name, command)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        pages(sub, &format!("{name}-{}", sub.get_name()), write)?;
    }
    Ok(())
}
