// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns server list`.

use serde_json::json;

use crate::context::Context;
use crate::machine::dns;
use crate::ui::Table;

/// Lists the servers that are known.
pub(crate) fn run(ctx: &Context) -> anyhow::Result<u8> {
    let (mut all, mut table) =
        (Vec::new(), Table::new(&["NAME", "ADDRESS", "ZONE", "KEY", "REVERSE", "SUBNETS"]));
    for name in dns::all(ctx)? {
        let config = dns::find(ctx, &name)?;
        all.push(config.json(&name));
        let subnets: Vec<String> = config.subnets.iter().map(ToString::to_string).collect();
        let subnets = if subnets.is_empty() { "all".to_owned() } else { subnets.join(", ") };
        let reverse = if config.reverse { "yes" } else { "no" }.to_owned();
        let (address, zone) = (config.address.to_string(), config.zone.to_string());
        let key = config.key.name().to_owned();
        table.row(vec![name, address, zone, key, reverse, subnets]);
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "servers": all }));
    } else if all.is_empty() {
        let how = "`kiln dns server add NAME --address HOST --zone ZONE --tsig-file FILE`";
        ctx.ui.say(format!("no DNS servers are known; {how} makes one known"));
    } else {
        table.lines().iter().for_each(|line| ctx.ui.out(line));
    }
    Ok(0)
}
