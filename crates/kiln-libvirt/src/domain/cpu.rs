// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<cpu>`. Source: <https://libvirt.org/formatdomain.html#cpu-model-and-topology>.

use kiln_spec::Arch;

use crate::xml::Element;

/// Which processor the guest sees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cpu {
    /// The host's own, as it is. Only with KVM.
    HostPassthrough,
    /// All that the emulator can do, but for page tables of five levels, which no guest of ours
    /// is large enough for, and which take TCG a third of a kernel's start. The choice for TCG,
    /// whose default (`qemu64`) lacks what today's distributions ask for (x86-64-v2, -v3).
    Maximum,
    /// A model by its name.
    Named(String),
    /// libvirt's choice: no element is written.
    Default,
}

impl Cpu {
    pub(super) fn to_element(&self, arch: Arch) -> Option<Element> {
        let cpu = Element::new("cpu");
        match self {
            Self::HostPassthrough => {
                Some(cpu.attr("mode", "host-passthrough").attr("check", "none"))
            }
            Self::Maximum => {
                let five_levels =
                    Element::new("feature").attr("policy", "disable").attr("name", "la57");
                let cpu = cpu.attr("mode", "maximum").attr("check", "none");
                Some(cpu.maybe((arch == Arch::Amd64).then_some(five_levels)))
            }
            Self::Named(model) => Some(
                cpu.attr("mode", "custom")
                    .attr("match", "exact")
                    .child(Element::new("model").attr("fallback", "forbid").text(model)),
            ),
            Self::Default => None,
        }
    }
}
