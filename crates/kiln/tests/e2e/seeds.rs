// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server of seeds for guests on the network `default`.

use std::io::{BufRead, BufReader};
use std::process::Child;

use kiln_testkit::run;
use serde_json::Value;

use crate::lab::{Lab, parsed, spawn};

/// `kiln seed serve`. Dropped, it ends.
pub(crate) struct Served {
    child: Child,
    /// Its address.
    pub(crate) url: String,
}

impl Served {
    /// Serves the seeds of all machines at the host's address on the network.
    pub(crate) fn begin(lab: &Lab) -> Self {
        let network = parsed(lab.kiln(&["network", "info", "default", "--json"]));
        let host = network["subnets"][0]["host"].as_str().expect("an address").to_owned();
        let listen = format!("{host}:0");
        let mut child = spawn(lab, &["seed", "serve", "--listen", &listen, "--json"]);
        // It says so when it listens.
        let mut first = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut first).expect("a line");
        let said: Value = serde_json::from_str(&first).expect("JSON");
        Self { child, url: said["listening"].as_str().expect("an address").to_owned() }
    }

    /// Checks that a machine's seed is not given to this host, which is another.
    pub(crate) fn refuses_us(&self, machine: &str) {
        let url = format!("{}{machine}/user-data", self.url);
        let status = run(&["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", &url]).success();
        assert_eq!(status.stdout, "404");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
