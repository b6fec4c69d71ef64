// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `program-histories`: remove what users have typed in other shells and programs.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "program-histories",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove what users have typed in other shells and programs",
    documentation: "Statements typed into database shells often hold passwords.",
    notes: "Homes are looked for in /root and in /home only.",
    paths: &[
        "/root/.ash_history",
        "/home/*/.ash_history",
        "/root/.ksh_history",
        "/home/*/.ksh_history",
        "/root/.lesshst",
        "/home/*/.lesshst",
        "/root/.local/share/fish/fish_history",
        "/home/*/.local/share/fish/fish_history",
        "/root/.mysql_history",
        "/home/*/.mysql_history",
        "/root/.node_repl_history",
        "/home/*/.node_repl_history",
        "/root/.psql_history",
        "/home/*/.psql_history",
        "/root/.python_history",
        "/home/*/.python_history",
        "/root/.rediscli_history",
        "/home/*/.rediscli_history",
        "/root/.sh_history",
        "/home/*/.sh_history",
        "/root/.sqlite_history",
        "/home/*/.sqlite_history",
        "/root/.viminfo",
        "/home/*/.viminfo",
        "/root/.wget-hsts",
        "/home/*/.wget-hsts",
    ],
    run: Run::RemoveFiles,
};
