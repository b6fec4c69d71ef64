// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The header of an RPM package, as its database holds it.
//!
//! Source: rpm's documentation, "Package format", "Header Structure": two counts, then entries of
//! tag, type, offset and count, then the data; all with the high byte first.

use super::super::report::Package;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCH: u32 = 1022;
/// The most entries of a header.
const MOST_ENTRIES: usize = 100_000;

/// Returns the package that a header is of; `None` if it is none, or a key of signatures.
pub(super) fn package(blob: &[u8]) -> Option<Package> {
    let entries = usize::try_from(be32(blob, 0)?).ok().filter(|&n| n <= MOST_ENTRIES)?;
    let index = blob.get(8..8 + entries * 16)?;
    let data = blob.get(8 + entries * 16..)?;
    let find = |tag: u32| -> Option<usize> {
        let entry = index.chunks_exact(16).find(|entry| be32(entry, 0) == Some(tag))?;
        usize::try_from(be32(entry, 8)?).ok()
    };
    let text = |tag: u32| -> Option<String> {
        let rest = data.get(find(tag)?..)?;
        let end = rest.iter().position(|&b| b == 0)?;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    let name = text(NAME).filter(|name| name != "gpg-pubkey")?;
    let epoch = find(EPOCH).and_then(|at| be32(data, at)).map(|epoch| format!("{epoch}:"));
    let (version, release) = (text(VERSION)?, text(RELEASE).unwrap_or_default());
    let version = format!("{}{version}-{release}", epoch.unwrap_or_default());
    Some(Package { name, version, architecture: text(ARCH).unwrap_or_default() })
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a header.
    pub(crate) fn header(name: &str, version: &str, release: &str, epoch: Option<u32>) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        let mut add = |tag: u32, kind: u32, bytes: &[u8]| {
            while kind == 4 && !data.len().is_multiple_of(4) {
                data.push(0);
            }
            for number in [tag, kind, u32::try_from(data.len()).unwrap(), 1] {
                index.extend_from_slice(&number.to_be_bytes());
            }
            data.extend_from_slice(bytes);
        };
        let texts = [(NAME, name), (VERSION, version), (RELEASE, release), (ARCH, "x86_64")];
        for (tag, text) in texts {
            add(tag, 6, format!("{text}\0").as_bytes());
        }
        if let Some(epoch) = epoch {
            add(EPOCH, 4, &epoch.to_be_bytes());
        }
        let counts = [index.len() / 16, data.len()].map(|n| u32::try_from(n).unwrap());
        let counts: Vec<u8> = counts.iter().flat_map(|n| n.to_be_bytes()).collect();
        [counts, index, data].concat()
    }

    #[test]
    fn headers_tell_the_package() {
        let package = package(&header("bash", "5.2.26", "3.fc40", None)).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("bash", "5.2.26-3.fc40"));
        let package = super::package(&header("dbus", "1.14", "1", Some(1))).unwrap();
        assert_eq!(package.version, "1:1.14-1");
        assert_eq!(package.architecture, "x86_64");
        assert_eq!(super::package(&header("gpg-pubkey", "1", "2", None)), None);
    }

    #[test]
    fn damaged_headers_are_none() {
        let whole = header("bash", "5.2.26", "3.fc40", Some(2));
        for cut in 0..whole.len() {
            super::package(&whole[..cut]);
        }
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 0xff;
            super::package(&bad);
        }
        assert_eq!(super::package(&[0xff; 64]), None);
    }
}
