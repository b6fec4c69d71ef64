// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What went wrong with a DNS server, as the program says it: class, and what to do.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kiln_dns::DnsError;

use crate::error::{Class, Problem};

/// The servers that were not there when this command asked them: they are not waited for again.
#[derive(Debug, Default)]
pub(crate) struct Silent(Mutex<BTreeMap<String, String>>);

impl Silent {
    /// Refuses to ask a server that was not there.
    ///
    /// # Errors
    ///
    /// Class host.
    pub(super) fn check(&self, server: &str) -> Result<(), Problem> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(server) {
            Some(why) => Err(Problem::new(Class::Host, why.clone()).hint(absent(server))),
            None => Ok(()),
        }
    }

    /// Keeps in mind that a server is not there, if that is what went wrong.
    pub(super) fn note(&self, server: &str, error: &DnsError) {
        if error.is_absence() {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(server.to_owned(), error.to_string());
        }
    }
}

fn absent(server: &str) -> String {
    format!("`kiln dns server list` shows where `{server}` should be")
}

/// Returns the problem of what went wrong with a server, which the user calls so.
pub(crate) fn problem(server: &str, error: DnsError) -> Problem {
    let text = error.to_string();
    let (class, hint) = match &error {
        DnsError::Host { .. } | DnsError::Unreachable { .. } | DnsError::Silent { .. } => {
            (Class::Host, absent(server))
        }
        DnsError::Garbage { .. } => (Class::Tool, absent(server)),
        DnsError::Clock { .. } => {
            (Class::Host, "set both clocks by NTP: a signature holds for five minutes".to_owned())
        }
        DnsError::UnknownKey { .. } => {
            let hint = "the server's `key` statement has the name and the algorithm that it knows";
            (Class::File, hint.to_owned())
        }
        DnsError::OtherSecret { .. } => {
            (Class::File, "take the file that the server itself includes".to_owned())
        }
        DnsError::Refused { zone, key, .. } => {
            let hint = format!(
                "have the server allow it: `update-policy {{ grant {key} zonesub ANY; }};` in its zone `{zone}`"
            );
            (Class::Tool, hint)
        }
        DnsError::NotItsZone { .. } | DnsError::Outside { .. } => {
            let hint =
                "`--zone` is that of the server's own configuration, and the server its primary";
            (Class::Object, hint.to_owned())
        }
        DnsError::NoZone { .. } => {
            let hint = "give the server such a zone, or register without `--reverse`";
            (Class::Object, hint.to_owned())
        }
        DnsError::Taken { name } => {
            (Class::Object, format!("choose another name, or remove `{name}` on the DNS server"))
        }
        DnsError::Unsigned { .. } | DnsError::Forged { .. } => {
            let hint = "nothing was believed: something answers in the server's place, or it knows no TSIG";
            (Class::Tool, hint.to_owned())
        }
        _ => (Class::Tool, "the server's own log says why".to_owned()),
    };
    let problem = Problem::new(class, text).hint(hint);
    // Its words are the problem's own; what the system said comes after.
    match error {
        DnsError::Host { source, .. } | DnsError::Unreachable { source, .. } => {
            problem.because(source)
        }
        DnsError::Key { source } => problem.because(source),
        _ => problem,
    }
}
