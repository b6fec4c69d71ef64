// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<channel>`: the way to the guest's agent.
//! Source: <https://libvirt.org/formatdomain.html#channel>.

use crate::xml::{Element, xml_view};

/// The name of the agent's port inside the guest: QEMU's qemu-ga(8).
pub const AGENT_CHANNEL: &str = "org.qemu.guest_agent.0";

xml_view! {
    /// A channel of a domain.
    ChannelView {
        /// The port's name inside the guest.
        name, set_name: String = "target/@name";
        /// `connected` or `disconnected`, of a running domain: whether the guest has opened it.
        state, set_state: String = "target/@state";
    }
}

/// Returns the agent's channel; libvirt chooses the socket on the host.
pub(super) fn agent() -> Element {
    Element::new("channel")
        .attr("type", "unix")
        .child(Element::new("target").attr("type", "virtio").attr("name", AGENT_CHANNEL))
}
