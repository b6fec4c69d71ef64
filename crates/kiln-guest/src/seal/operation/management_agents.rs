// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `management-agents`: remove keys of management agents and overlay networks.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "management-agents",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove keys of management agents and overlay networks",
    documentation: "Clones would be one machine to Puppet, Salt, Chef, Docker, Tailscale and \
        ZeroTier.",
    notes: "",
    paths: &[
        "/etc/puppetlabs/puppet/ssl/*",
        "/etc/puppet/ssl/*",
        "/etc/salt/pki/minion/*",
        "/etc/salt/minion_id",
        "/etc/chef/client.pem",
        "/etc/docker/key.json",
        "/var/lib/docker/engine-id",
        "/var/lib/tailscale/*",
        "/var/lib/zerotier-one/identity.*",
    ],
    run: Run::RemoveTrees,
};
