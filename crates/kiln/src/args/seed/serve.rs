// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln seed serve`.

use std::net::{IpAddr, SocketAddr};

use clap::Args;

/// Hand seeds to guests that fetch them by HTTP
///
/// A machine that `kiln launch --seed-url` made asks here for its seed at each boot. It gets its
/// own alone, told by the address that it asks from. Ends with Ctrl-C.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln seed serve --listen 192.168.122.1:8000
  kiln launch debian-12 web1 --seed-url http://192.168.122.1:8000/
  kiln seed serve --listen 10.0.0.1:8000 ./web1.iso ./db1/")]
pub(crate) struct Serve {
    /// Machines, and paths (with a `/` or a `.` in them) of drives' images and folders, which are
    /// served below the name before the first `.`; without any all machines that Kiln made
    #[arg(value_name = "MACHINE|FILE")]
    pub(crate) what: Vec<String>,
    /// The address to listen on, with a port or without
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = listen)]
    pub(crate) listen: SocketAddr,
    /// Hand a machine's seed to whoever asks: where its address cannot be known
    #[arg(long)]
    pub(crate) any_address: bool,
}

/// The port without one that is named: not that of web servers, which only root may take.
const PORT: u16 = 8000;

fn listen(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT));
    text.parse::<SocketAddr>().or(alone).map_err(|_| {
        format!("`{text}` is no address to listen on; write it like `192.168.122.1:8000`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_be_left_out() {
        let is = |text: &str| listen(text).map(|at| at.to_string());
        assert_eq!(is("127.0.0.1").unwrap(), "127.0.0.1:8000");
        assert_eq!(is("[::1]:80").unwrap(), "[::1]:80");
        assert!(is("eth0:80").unwrap_err().contains("is no address to listen on"));
    }
}
