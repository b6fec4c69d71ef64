// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<cpu>`. Source: <https://libvirt.org/formatdomain.html#cpu-model-and-topology>.

use crate::xml::Element;

/// Which processor the guest sees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cpu {
    /// The host's own, as it is. Only with KVM.
    HostPassthrough,
    /// All that the emulator can do. The choice for TCG, whose default (`qemu64`) lacks what
    /// today's distributions ask for (x86-64-v2).
    Maximum,
    /// A model by its name.
    Named(String),
    /// libvirt's choice: no element is written.
    Default,
}

impl Cpu {
    pub(super) fn to_element(&self) -> Option<Element> {
        let cpu = Element::new("cpu");
        match self {
            Self::HostPassthrough => {
                Some(cpu.attr("mode", "host-passthrough").attr("check", "none"))
            }
            Self::Maximum => Some(cpu.attr("mode", "maximum").attr("check", "none")),
            Self::Named(model) => Some(
                cpu.attr("mode", "custom")
                    .attr("match", "exact")
                    .child(Element::new("model").attr("fallback", "forbid").text(model)),
            ),
            Self::Default => None,
        }
    }
}
