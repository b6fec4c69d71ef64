// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether the guest's programs are for a processor that the host has.
//!
//! Source: elf(5); numbers of `e_machine` in `include/uapi/linux/elf-em.h` of Linux.

use super::namespace::Head;
use crate::tree::{GuestPath, Kind, Tree, TreeError};

/// Programs of which every guest has one.
const PROGRAMS: [&str; 3] = ["/bin/sh", "/bin/bash", "/sbin/init"];
/// The largest program that is looked at.
const MOST: u64 = 64 << 20;

/// Machines by number, with the name that the project gives them.
const MACHINES: &[(u16, &str)] = &[
    (3, "i386"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "ppc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

/// Returns why the guest's programs cannot run here, if they cannot.
pub(super) fn unfit(tree: &mut dyn Tree) -> Result<Option<String>, TreeError> {
    for program in PROGRAMS {
        let path = GuestPath::from(program);
        let stat = match tree.stat(&path) {
            Ok(Some(stat)) => stat,
            Ok(None) | Err(TreeError::Loop { .. }) => continue,
            Err(error) => return Err(error),
        };
        if stat.kind != Kind::File || stat.size > MOST {
            continue;
        }
        let mut head = [0; 20];
        tree.copy_out(&path, &mut Head(&mut head, 0))?;
        if head.starts_with(b"\x7fELF") {
            let bytes = [head[18], head[19]];
            let little = head[5] == 1;
            let number = if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
            return Ok(judge(number, little));
        }
    }
    Ok(None)
}

fn judge(number: u16, little: bool) -> Option<String> {
    let host = std::env::consts::ARCH;
    let guest = MACHINES.iter().find(|(n, _)| *n == number).map(|(_, name)| *name);
    let fits = little
        && match guest {
            Some("i386") => matches!(host, "x86_64" | "x86"),
            // Whether an arm64 processor still runs 32-bit programs only a try can tell.
            Some("arm") => matches!(host, "aarch64" | "arm"),
            Some(guest) => guest == host,
            None => false,
        };
    let guest = guest.map_or_else(|| format!("machine {number}"), str::to_owned);
    (!fits).then(|| format!("its programs are for {guest}, and this host is {host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_processors_are_refused_by_name() {
        let other = if cfg!(target_arch = "aarch64") { (62, "x86_64") } else { (183, "aarch64") };
        assert!(judge(other.0, true).unwrap().contains(other.1));
        assert!(judge(9999, true).unwrap().contains("machine 9999"));
        let own = MACHINES.iter().find(|(_, name)| *name == std::env::consts::ARCH).unwrap();
        assert_eq!(judge(own.0, cfg!(target_endian = "little")), None);
    }
}
