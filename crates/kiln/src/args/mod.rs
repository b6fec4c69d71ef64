// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The command line: one file a verb. The doc comments are the help texts.

pub(crate) mod build;
pub(crate) mod bundle;
pub(crate) mod cache;
pub(crate) mod catalog;
pub(crate) mod clone;
pub(crate) mod completions;
pub(crate) mod console;
pub(crate) mod cp;
pub(crate) mod dns;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod element;
pub(crate) mod exec;
pub(crate) mod first_boot;
pub(crate) mod flatten;
pub(crate) mod forward;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod inventory;
pub(crate) mod launch;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod network;
pub(crate) mod plan;
pub(crate) mod pool;
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod schema;
pub(crate) mod secret;
pub(crate) mod seed;
pub(crate) mod set;
pub(crate) mod ssh;
pub(crate) mod ssh_config;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod template;
pub(crate) mod up;
pub(crate) mod wait;

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Make KVM virtual machines and their images
#[derive(Debug, Parser)]
#[command(name = "kiln", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options that every verb takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`
    ///
    /// Without it: LIBVIRT_DEFAULT_URI, then qemu:///system for root and qemu:///session for
    /// others, which libvirt starts by itself.
    #[arg(short, long, global = true, value_name = "URI")]
    pub(crate) connect: Option<String>,
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print errors and warnings only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Tell each decision
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Never use colour (also: NO_COLOR in the environment)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Launch(Box<launch::Launch>),
    Up(up::Up),
    Plan(plan::Plan),
    Down(down::Down),
    Clone(Box<clone::Clone>),
    Flatten(flatten::Flatten),
    List(list::List),
    Info(info::Info),
    Start(start::Start),
    Stop(stop::Stop),
    Restart(restart::Restart),
    Rm(rm::Rm),
    Wait(wait::Wait),
    Logs(logs::Logs),
    Console(console::Console),
    Ssh(ssh::Ssh),
    Exec(exec::Exec),
    Cp(cp::Cp),
    SshConfig(ssh_config::SshConfig),
    Inventory(inventory::Inventory),
    Build(build::Build),
    #[command(subcommand)]
    Cache(cache::Cache),
    #[command(subcommand)]
    Bundle(bundle::Bundle),
    #[command(subcommand)]
    Image(image::Image),
    #[command(subcommand)]
    Catalog(catalog::Catalog),
    #[command(subcommand)]
    Network(network::Network),
    #[command(subcommand)]
    Forward(forward::Forward),
    #[command(subcommand)]
    Dns(dns::Dns),
    #[command(subcommand)]
    Pool(pool::Pool),
    #[command(subcommand)]
    Secret(secret::Secret),
    #[command(subcommand)]
    Seed(seed::Seed),
    #[command(subcommand)]
    Template(template::Template),
    #[command(subcommand)]
    Element(element::Element),
    Doctor(doctor::Doctor),
    Schema(schema::Schema),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Reads a duration: `90`, `90s`, `2m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it like `90s`, `2m` or `1h`");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match &text[digits..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(
            duration("soon").unwrap_err(),
            "`soon` is no duration; write it like `90s`, `2m` or `1h`"
        );
    }
}
