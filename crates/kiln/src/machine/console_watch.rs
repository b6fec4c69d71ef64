// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads the serial console while a guest boots: how far it is, and whether it has failed.
//!
//! The console is the guest's, so nothing in it is trusted: it decides what is *said* about a
//! boot that does not get ready, and that waiting for it is pointless; it never decides that a
//! machine is ready.

/// The most of a line that is kept, in bytes.
const LINE: usize = 400;
/// How many last lines are kept.
const LINES: usize = 40;

/// How far the boot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Firmware or boot loader; nothing of a kernel was seen.
    Firmware,
    /// The kernel writes.
    Kernel,
    /// A login prompt was seen.
    Login,
}

/// A boot that will not go on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened, for people.
    pub(crate) what: &'static str,
    /// What to look at.
    pub(crate) hint: &'static str,
}

/// What a kernel writes first, on any architecture: `init/version-timestamp.c`.
const KERNEL: &[&str] = &["Linux version ", "Command line: "];

/// Words by which a failed boot is known, the program that writes them, and what to do.
const FAILURES: &[(&str, Failure)] = &[
    (
        "Kernel panic - not syncing",
        Failure {
            what: "the kernel panicked",
            hint: "look at the lines above the panic: a missing root device or init is the usual cause",
        },
    ),
    (
        "(initramfs)",
        Failure {
            what: "the boot stopped in the initramfs",
            hint: "the root file system was not found: check the image's fstab, root= and virtio drivers",
        },
    ),
    (
        "You are in emergency mode",
        Failure {
            what: "systemd stopped in emergency mode",
            hint: "a mount of the image's fstab failed",
        },
    ),
    (
        "Entering emergency mode",
        Failure {
            what: "dracut stopped in emergency mode",
            hint: "the root file system was not found: check the image's root= and drivers",
        },
    ),
    (
        "grub rescue>",
        Failure {
            what: "GRUB found no configuration",
            hint: "the image's boot loader does not fit its disk",
        },
    ),
    (
        "No bootable device",
        Failure {
            what: "the firmware found nothing to boot",
            hint: "is the image bootable by this firmware? try `--firmware uefi` or `bios`",
        },
    ),
    (
        "Boot failed: not a bootable disk",
        Failure {
            what: "the firmware found nothing to boot",
            hint: "is the image bootable by this firmware? try `--firmware uefi`",
        },
    ),
    (
        "BdsDxe: No bootable option or device was found",
        Failure {
            what: "the firmware found nothing to boot",
            hint: "is the image bootable by UEFI? try `--firmware bios`",
        },
    ),
];

/// The watcher: fed with bytes, asked for the stage, the failure and the last lines.
#[derive(Clone, Debug)]
pub(crate) struct ConsoleWatch {
    stage: Stage,
    failure: Option<Failure>,
    lines: Vec<String>,
    open: Vec<u8>,
}

impl Default for ConsoleWatch {
    fn default() -> Self {
        Self { stage: Stage::Firmware, failure: None, lines: Vec::new(), open: Vec::new() }
    }
}

impl ConsoleWatch {
    /// Takes what the guest wrote since the last call.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.open);
                self.see(&line, true);
            } else if self.open.len() < LINE {
                self.open.push(byte);
            }
        }
        // A prompt has no newline after it.
        let open = self.open.clone();
        self.see(&open, false);
    }

    /// Returns how far the boot is.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// Returns why the boot will not go on, if that was seen.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Returns the last `n` lines, oldest first, without control characters.
    pub(crate) fn last(&self, n: usize) -> Vec<String> {
        let open = clean(&self.open);
        let mut all = self.lines.clone();
        if !open.is_empty() {
            all.push(open);
        }
        all.split_off(all.len().saturating_sub(n))
    }

    fn see(&mut self, raw: &[u8], whole: bool) {
        let line = clean(raw);
        if KERNEL.iter().any(|mark| line.contains(mark)) {
            self.stage = self.stage.max(Stage::Kernel);
        }
        if line.trim_end().ends_with(" login:") {
            self.stage = Stage::Login;
        }
        if self.failure.is_none() {
            self.failure =
                FAILURES.iter().find(|(mark, _)| line.contains(mark)).map(|(_, failure)| *failure);
        }
        if whole && !line.trim().is_empty() {
            self.lines.push(line);
            if self.lines.len() > LINES {
                self.lines.remove(0);
            }
        }
    }
}

/// Returns a line of the guest's without escape sequences and control characters, so that it
/// cannot write to the user's terminal in its own way.
pub(crate) fn clean(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // ESC [ … letter, or ESC and one character.
            if chars.next() == Some('[') {
                while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
            }
        } else if !c.is_control() || c == '\t' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(text: &str) -> ConsoleWatch {
        let mut watch = ConsoleWatch::default();
        // In pieces, as it comes.
        text.as_bytes().chunks(7).for_each(|chunk| watch.feed(chunk));
        watch
    }

    #[test]
    fn a_boot_goes_through_its_stages() {
        assert_eq!(watched("SeaBIOS (version 1.16)\r\n").stage(), Stage::Firmware);
        let kernel = "[    0.000000] Linux version 6.1.0-38-cloud-amd64\r\n";
        assert_eq!(watched(kernel).stage(), Stage::Kernel);
        assert_eq!(watched(&(kernel.to_owned() + "web1 login: ")).stage(), Stage::Login);
    }

    #[test]
    fn failed_boots_are_recognised() {
        for (text, what) in [
            (
                "[ 1.2] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n",
                "the kernel panicked",
            ),
            (
                "ALERT!  UUID=x does not exist.\r\n\r\n(initramfs) ",
                "the boot stopped in the initramfs",
            ),
            ("error: no such partition.\r\ngrub rescue> ", "GRUB found no configuration"),
            ("No bootable device.\r\n", "the firmware found nothing to boot"),
        ] {
            assert_eq!(watched(text).failure().map(|f| f.what), Some(what), "{text}");
        }
        assert_eq!(watched("Welcome\r\n").failure(), None);
    }

    #[test]
    fn last_lines_cannot_steer_a_terminal() {
        let watch = watched("\u{1b}[31mred\u{1b}[0m\u{7}\r\n\u{1b}]0;title\u{7}x");
        assert_eq!(watch.last(5), ["red", "0;titlex"]);
        assert_eq!(watch.last(1), ["0;titlex"]);
    }

    #[test]
    fn a_guest_that_never_ends_its_line_fills_no_memory() {
        let mut watch = ConsoleWatch::default();
        watch.feed(&vec![b'x'; 1 << 20]);
        assert_eq!(watch.last(1)[0].len(), LINE);
    }
}
