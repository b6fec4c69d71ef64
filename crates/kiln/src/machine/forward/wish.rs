// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The forwards of machines to be: checked before anything is made.

use kiln_libvirt::Connection;
use kiln_libvirt::network::IpView;
use kiln_spec::forward::ForwardSpec;
use kiln_spec::interface::{Addressing, InterfaceSpec};

use super::way::check_network;
use super::{Way, check_able, check_free, no_address};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::meta::Forward;
use crate::machine::network::USER;

/// Returns the forwards of each machine of these numbers, from 1: the host's ports are counted on,
/// as addresses are. The first of the interfaces gets an address that stays, if it was to have one by chance.
///
/// # Errors
///
/// What [`check_able`] and [`check_free`] say; a network that no forward leads into, or that gives
/// out no addresses (class object).
pub(crate) fn at_launch(
    ctx: &Context,
    conn: &Connection,
    specs: &[ForwardSpec],
    (interfaces, numbers, leaving): (&mut [InterfaceSpec], &[u32], &[String]),
) -> anyhow::Result<Vec<Vec<Forward>>> {
    let of = |number: &u32| {
        let counted = specs.iter().map(|spec| Ok(Forward::new(spec.counted(*number)?, None)));
        counted.collect::<Result<Vec<_>, kiln_spec::forward::ForwardError>>()
    };
    let all = numbers.iter().map(of).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| Problem::new(Class::Usage, error.to_string()))?;
    let Some(first) = interfaces.first_mut().filter(|_| !specs.is_empty()) else { return Ok(all) };
    let way = if first.network == USER { Way::Passt } else { Way::Host };
    if way == Way::Host {
        let ips = check_network(conn, &first.network)?.ips();
        check_able(ctx, conn, way)?;
        if first.addressing == Addressing::Dhcp {
            first.addressing = Addressing::Reserved(None);
        }
        let reserved = matches!(first.addressing, Addressing::Reserved(_));
        if ips.is_empty() || reserved && !ips.iter().any(gives_out) {
            return Err(no_address(&first.network).into());
        }
    }
    check_free(ctx, conn, (&all.concat(), way), (None, leaving))?;
    Ok(all)
}

/// Whether a network gives out such addresses, so that one can be reserved.
pub(crate) fn gives_out(ip: &IpView) -> bool {
    ip.dhcp_start().is_some_and(|first| first.is_ipv4())
}
