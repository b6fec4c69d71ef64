// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A connection to a host, and what the host can do.

use std::fmt;
use std::sync::Arc;

use kiln_spec::Bytes;

use crate::error::{Attempt, Error};
use crate::event::Hub;
use crate::ffi;
use crate::ffi::handle::Conn;
use crate::uri::Uri;
use crate::xml::Element;

/// A connection to a host. Cheap to clone; closed when the last clone and the last object that
/// came from it are dropped. May be used from several threads at once.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) handle: Conn,
    pub(crate) hub: Hub,
    uri: Uri,
}

impl Drop for Inner {
    fn drop(&mut self) {
        ffi::event::off_close(&self.handle);
    }
}

/// A version as libvirt counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
    /// The third number.
    pub release: u64,
}

impl Version {
    fn from_number(n: u64) -> Self {
        Self { major: n / 1_000_000, minor: n / 1_000 % 1_000, release: n % 1_000 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.release)
    }
}

/// Memory and processors of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// The processors' architecture, as libvirt names it: `x86_64`.
    pub model: String,
    /// All the memory that the host has.
    pub memory: Bytes,
    /// Processors that are on.
    pub cpus: u32,
}

/// A virtualisation type of libvirt's QEMU driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VirtType {
    /// With the processor's help.
    Kvm,
    /// Emulated by QEMU alone (TCG).
    Qemu,
    /// libvirt's test driver, which runs nothing.
    Test,
}

impl VirtType {
    /// Returns libvirt's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Qemu => "qemu",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for VirtType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Connection {
    /// Opens a connection without asking for anything. Effects: starts libvirt's event loop in
    /// a thread of its own (once), and a user's daemon if the URI is of a session.
    ///
    /// # Errors
    ///
    /// If the URI cannot be read, the daemon cannot be reached or the user may not use it.
    pub fn open(uri: &str) -> Result<Self, Error> {
        Self::open_with(uri, false)
    }

    /// Opens a connection as [`Self::open`] does, but lets libvirt ask for user names and
    /// passwords on the terminal.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_auth(uri: &str) -> Result<Self, Error> {
        Self::open_with(uri, true)
    }

    fn open_with(uri: &str, ask: bool) -> Result<Self, Error> {
        const WHAT: &str = "connect to";
        ffi::event::start_loop().on("start libvirt for", uri)?;
        let handle = ffi::connect::open(uri, ask).on(WHAT, uri)?;
        // libvirt may have completed the URI.
        let text = ffi::connect::uri(&handle).on(WHAT, uri)?;
        let parsed = text
            .parse()
            .or_else(|_| uri.parse())
            .map_err(|_| crate::Cause::Answer { what: "URI" })
            .on(WHAT, uri)?;
        let inner = Inner { handle, hub: Hub::default(), uri: parsed };
        ffi::event::on_close(&inner.handle, inner.hub.listener())
            .on("watch the connection to", uri)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the URI, as libvirt completed it.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.inner.uri
    }

    /// Returns whether the daemon is a user's own, not the system's.
    ///
    /// # Source
    ///
    /// `remoteConnectOpen` of libvirt takes the user's socket only if the effective user is not
    /// root; root's `qemu:///session` is the system daemon's.
    #[must_use]
    pub fn is_session(&self) -> bool {
        let uri = self.uri();
        let as_root = match uri.host {
            None => rustix::process::geteuid().is_root(),
            Some(_) => uri.user.as_deref() == Some("root"),
        };
        uri.is_session() && !as_root
    }

    /// Returns whether the daemon runs on this host.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.uri().is_local()
    }

    /// Returns whether the connection still stands.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        ffi::connect::is_alive(&self.inner.handle)
    }

    /// Returns the driver's name: `QEMU`, `Test`, …
    #[must_use]
    pub fn driver(&self) -> String {
        ffi::connect::driver(&self.inner.handle)
    }

    /// Returns the host's name, as it calls itself.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer.
    pub fn hostname(&self) -> Result<String, Error> {
        ffi::connect::hostname(&self.inner.handle).on("ask for the host name of", self.text())
    }

    /// Returns the version of libvirt on the host.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer.
    pub fn lib_version(&self) -> Result<Version, Error> {
        ffi::connect::lib_version(&self.inner.handle)
            .map(Version::from_number)
            .on("ask for libvirt's version on", self.text())
    }

    /// Returns the version of the hypervisor (QEMU) on the host.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer, or finds no hypervisor.
    pub fn hypervisor_version(&self) -> Result<Version, Error> {
        ffi::connect::hypervisor_version(&self.inner.handle)
            .map(Version::from_number)
            .on("ask for the hypervisor's version on", self.text())
    }

    /// Returns what the host can do, as libvirt's `<capabilities>`.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer.
    pub fn capabilities_xml(&self) -> Result<String, Error> {
        ffi::connect::capabilities(&self.inner.handle)
            .on("ask for the capabilities of", self.text())
    }

    /// Returns what machines of this kind can have, as libvirt's `<domainCapabilities>`.
    /// `machine` is libvirt's choice if it is not named.
    ///
    /// # Errors
    ///
    /// If the host cannot run such machines.
    pub fn domain_capabilities_xml(
        &self,
        arch: &str,
        machine: Option<&str>,
        virt_type: VirtType,
    ) -> Result<String, Error> {
        let handle = &self.inner.handle;
        ffi::connect::domain_capabilities(handle, arch, machine, virt_type.as_str())
            .on("ask for the domain capabilities of", self.text())
    }

    /// Returns what machines of this kind can have; see [`Self::domain_capabilities_xml`].
    ///
    /// # Errors
    ///
    /// If the host cannot run such machines.
    pub fn domain_capabilities(
        &self,
        arch: &str,
        machine: Option<&str>,
        virt_type: VirtType,
    ) -> Result<DomainCapabilities, Error> {
        let xml = self.domain_capabilities_xml(arch, machine, virt_type)?;
        let element = Element::parse(&xml).on("read the domain capabilities of", self.text())?;
        Ok(DomainCapabilities(element))
    }

    /// Returns the host's memory and processors.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer.
    pub fn node_info(&self) -> Result<NodeInfo, Error> {
        let node = ffi::connect::node(&self.inner.handle).on("ask for the size of", self.text())?;
        let end = node.model.iter().position(|b| *b == 0).unwrap_or(node.model.len());
        Ok(NodeInfo {
            model: String::from_utf8_lossy(&node.model[..end]).into_owned(),
            memory: Bytes(node.memory_kib.saturating_mul(1024)),
            cpus: node.cpus,
        })
    }

    pub(crate) fn handle(&self) -> &Conn {
        &self.inner.handle
    }

    pub(crate) fn text(&self) -> &str {
        self.inner.uri.as_str()
    }
}

/// libvirt's `<domainCapabilities>`.
/// Source: <https://libvirt.org/formatdomaincaps.html>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainCapabilities(pub Element);

impl DomainCapabilities {
    /// Returns the emulator's path on the host.
    #[must_use]
    pub fn emulator(&self) -> Option<String> {
        self.0.get("path")
    }

    /// Returns the machine type that the answer is for: `pc-q35-10.0`.
    #[must_use]
    pub fn machine(&self) -> Option<String> {
        self.0.get("machine")
    }

    /// Returns the most virtual processors of one machine.
    #[must_use]
    pub fn max_vcpus(&self) -> Option<u32> {
        self.0.get("vcpu/@max")?.parse().ok()
    }

    /// Returns whether libvirt can choose a UEFI firmware by itself.
    #[must_use]
    pub fn has_uefi(&self) -> bool {
        self.values("os", "firmware").iter().any(|v| v == "efi")
    }

    /// Returns whether a way of choosing the processor (`host-passthrough`, `maximum`, …) can
    /// be used.
    #[must_use]
    pub fn has_cpu_mode(&self, mode: &str) -> bool {
        self.0
            .find_all("cpu/mode")
            .iter()
            .any(|m| m.attribute("name") == Some(mode) && m.attribute("supported") == Some("yes"))
    }

    /// Returns the models of processors that a machine can be given.
    #[must_use]
    pub fn cpu_models(&self) -> Vec<String> {
        let modes = self.0.find_all("cpu/mode");
        let custom = modes.into_iter().filter(|mode| mode.attribute("name") == Some("custom"));
        let models = custom.flat_map(|mode| mode.find_all("model"));
        let usable = models.filter(|model| model.attribute("usable") != Some("no"));
        usable.map(|model| model.content().into_owned()).collect()
    }

    /// Returns the values of an `<enum>` of an element: `values("devices/disk", "bus")`.
    #[must_use]
    pub fn values(&self, path: &str, name: &str) -> Vec<String> {
        let Some(element) = self.0.find(path) else { return Vec::new() };
        let mut enums = element.find_all("enum").into_iter();
        let Some(found) = enums.find(|e| e.attribute("name") == Some(name)) else {
            return Vec::new();
        };
        found.find_all("value").iter().map(|v| v.content().into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_counted_in_thousands() {
        let version = Version::from_number(11_003_000);
        assert_eq!(version.to_string(), "11.3.0");
        assert!(version > Version { major: 9, minor: 10, release: 1 });
    }

    #[test]
    fn domain_capabilities_are_read() {
        let caps = DomainCapabilities(
            "<domainCapabilities><path>/usr/bin/q</path><machine>pc-q35-10.0</machine>
             <vcpu max='288'/><os supported='yes'><enum name='firmware'><value>bios</value>
             <value>efi</value></enum></os><cpu><mode name='host-passthrough' supported='no'/>
             <mode name='maximum' supported='yes'/><mode name='custom' supported='yes'>
             <model usable='yes'>qemu64</model><model usable='no'>EPYC-Rome</model></mode></cpu>
             </domainCapabilities>"
                .parse()
                .unwrap(),
        );
        assert_eq!(caps.emulator().as_deref(), Some("/usr/bin/q"));
        assert_eq!(caps.machine().as_deref(), Some("pc-q35-10.0"));
        assert_eq!(caps.max_vcpus(), Some(288));
        assert!(caps.has_uefi());
        assert!(caps.has_cpu_mode("maximum"));
        assert!(!caps.has_cpu_mode("host-passthrough"));
        assert_eq!(caps.cpu_models(), ["qemu64"]);
        assert_eq!(caps.values("os", "firmware"), ["bios", "efi"]);
        assert_eq!(caps.values("os", "nothing"), [""; 0]);
    }
}
