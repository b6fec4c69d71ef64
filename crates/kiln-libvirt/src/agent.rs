// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands to the guest's agent (`qemu-ga`), through libvirt.
//!
//! Source: QEMU's `qga/qapi-schema.json`,
//! <https://qemu-project.gitlab.io/qemu/interop/qemu-ga-ref.html>.
//!
//! **Invariant:** what the guest answers is hostile: it is limited in size, read into types, and
//! never makes Kiln panic.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_spec::mac::Mac;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::domain::Domain;
use crate::error::{Attempt, Cause, Error};
use crate::ffi;

/// The longest answer that is read. libvirt's messages carry at most 4 MiB (`REMOTE_STRING_MAX`)
/// of it, which are 3 MiB of a program's output.
const LONGEST: usize = 4 << 20;

/// The most bytes of a file that one call reads.
pub const READ_PIECE: usize = 256 << 10;

/// The most bytes of a file that one call writes.
///
/// # Source
///
/// Measured with libvirt 11.3: a message to the agent that does not fit into the buffer of a
/// Unix socket (208 KiB) sometimes never arrives; the call then ends by its time-out.
pub const WRITE_PIECE: usize = 64 << 10;

/// The most bytes that [`Exec::input`] can have, for the same reason.
pub const MOST_INPUT: usize = 96 << 10;

/// The agent of a running domain's guest.
///
/// Each call waits at most the whole seconds of its time-out for an answer (at least one), and
/// for other calls to the same agent: libvirt lets one through at a time.
#[derive(Clone, Debug)]
pub struct Agent {
    domain: Domain,
    timeout: Duration,
}

/// What the agent is and can do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AgentInfo {
    /// Its version.
    pub version: String,
    /// Its commands.
    #[serde(rename = "supported_commands", default)]
    pub commands: Vec<AgentCommand>,
}

impl AgentInfo {
    /// Returns whether it knows the command, and its configuration lets it be used.
    #[must_use]
    pub fn has(&self, command: &str) -> bool {
        self.commands.iter().any(|c| c.name == command && c.enabled)
    }
}

/// A command that the agent knows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AgentCommand {
    /// Its name.
    pub name: String,
    /// Whether its configuration lets it be used.
    pub enabled: bool,
}

/// A program to be run in the guest, by root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// The program's path, or its name in the agent's `PATH`.
    pub path: String,
    /// Its arguments, without its own name.
    pub args: Vec<String>,
    /// Its environment, `NAME=value` each; the agent's own if it is empty.
    pub env: Vec<String>,
    /// What is on its standard input, at most [`MOST_INPUT`]; more has to go through a file.
    pub input: Option<Vec<u8>>,
    /// Whether the agent keeps its output. Of more than 3 MiB in all the status cannot be asked
    /// for: it fails.
    pub capture: bool,
}

/// What became of a program in the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecStatus {
    /// Whether it has ended.
    pub exited: bool,
    /// Its exit status, if it ended by itself.
    pub code: Option<i64>,
    /// The signal that ended it.
    pub signal: Option<i64>,
    /// Its standard output; complete only when it has ended.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Whether the agent dropped some of the output.
    pub truncated: bool,
}

/// A file that the agent has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHandle(i64);

/// How a file is opened: C's `fopen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileMode {
    /// To be read.
    Read,
    /// To be written, emptied first, made if it is missing.
    Write,
    /// To be written at its end.
    Append,
}

/// A network interface, as the guest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentInterface {
    /// Its name in the guest.
    pub name: String,
    /// Its hardware address, if it has one.
    pub mac: Option<Mac>,
    /// Its addresses, each with the length of its prefix.
    pub addresses: Vec<(std::net::IpAddr, u32)>,
}

/// What the guest says that it runs; all of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct OsInfo {
    /// `debian`.
    pub id: Option<String>,
    /// `Debian GNU/Linux`.
    pub name: Option<String>,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub pretty_name: Option<String>,
    /// `12`.
    pub version_id: Option<String>,
    /// The kernel's release.
    pub kernel_release: Option<String>,
    /// The processor's architecture.
    pub machine: Option<String>,
}

impl Domain {
    /// Returns its agent. Nothing is asked of it yet. `timeout` is how long each call may take,
    /// in whole seconds, at least one.
    #[must_use]
    pub fn agent(&self, timeout: Duration) -> Agent {
        Agent { domain: self.clone(), timeout }
    }
}

impl Agent {
    /// Returns the agent with another time-out.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        Self { domain: self.domain.clone(), timeout }
    }

    /// Asks whether it answers.
    ///
    /// # Errors
    ///
    /// [`Error::is_agent_unresponsive`] if it does not; [`Error::is_operation_invalid`] if the
    /// domain is off.
    pub fn ping(&self) -> Result<(), Error> {
        self.call::<Value>("guest-ping", json!({})).map(drop)
    }

    /// Returns what it is and can do.
    ///
    /// # Errors
    ///
    /// As [`Self::ping`].
    pub fn info(&self) -> Result<AgentInfo, Error> {
        self.call("guest-info", json!({}))
    }

    /// Starts a program in the guest and returns its process's number, for
    /// [`Self::exec_status`]. The agent forgets a process when its end was asked for.
    ///
    /// # Errors
    ///
    /// [`Error::is_agent_refusal`] if it cannot be started; if the input is too big; otherwise
    /// as [`Self::ping`].
    pub fn exec(&self, program: &Exec) -> Result<i64, Error> {
        #[derive(Deserialize)]
        struct Answer {
            pid: i64,
        }
        let mut arguments = json!({
            "path": program.path,
            "arg": program.args,
            "capture-output": program.capture,
        });
        if !program.env.is_empty() {
            arguments["env"] = json!(program.env);
        }
        if let Some(input) = &program.input {
            if input.len() > MOST_INPUT {
                return Err(self.error(Cause::TooBig { size: input.len(), most: MOST_INPUT }));
            }
            arguments["input-data"] = json!(STANDARD.encode(input));
        }
        self.call::<Answer>("guest-exec", arguments).map(|a| a.pid)
    }

    /// Returns what became of a program.
    ///
    /// # Errors
    ///
    /// [`Error::is_agent_refusal`] if it knows no such process; otherwise as [`Self::ping`].
    pub fn exec_status(&self, pid: i64) -> Result<ExecStatus, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Answer {
            exited: bool,
            exitcode: Option<i64>,
            signal: Option<i64>,
            out_data: Option<String>,
            err_data: Option<String>,
            #[serde(default)]
            out_truncated: bool,
            #[serde(default)]
            err_truncated: bool,
        }
        let answer: Answer = self.call("guest-exec-status", json!({ "pid": pid }))?;
        let output = |text: Option<String>| match text {
            Some(text) => self.decode(&text),
            None => Ok(Vec::new()),
        };
        Ok(ExecStatus {
            exited: answer.exited,
            code: answer.exitcode,
            signal: answer.signal,
            stdout: output(answer.out_data)?,
            stderr: output(answer.err_data)?,
            truncated: answer.out_truncated || answer.err_truncated,
        })
    }

    /// Opens a file of the guest. It must be closed again: the agent keeps it open for ever.
    ///
    /// # Errors
    ///
    /// [`Error::is_agent_refusal`] if it cannot be opened; otherwise as [`Self::ping`].
    pub fn open(&self, path: &str, mode: FileMode) -> Result<FileHandle, Error> {
        let mode = match mode {
            FileMode::Read => "r",
            FileMode::Write => "w",
            FileMode::Append => "a",
        };
        self.call("guest-file-open", json!({ "path": path, "mode": mode })).map(FileHandle)
    }

    /// Reads the next bytes of a file, at most [`READ_PIECE`]; none at its end.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn read(&self, file: FileHandle, most: usize) -> Result<Vec<u8>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "buf-b64")]
            bytes: String,
        }
        let most = most.min(READ_PIECE);
        let answer: Answer =
            self.call("guest-file-read", json!({ "handle": file.0, "count": most }))?;
        let bytes = self.decode(&answer.bytes)?;
        if bytes.len() > most {
            return Err(self.error(Cause::TooBig { size: bytes.len(), most }));
        }
        Ok(bytes)
    }

    /// Writes all the bytes to a file, in pieces.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn write(&self, file: FileHandle, bytes: &[u8]) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Answer {
            count: usize,
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(WRITE_PIECE)];
            let arguments = json!({ "handle": file.0, "buf-b64": STANDARD.encode(piece) });
            let answer: Answer = self.call("guest-file-write", arguments)?;
            if answer.count == 0 || answer.count > piece.len() {
                return Err(self.error(Cause::Answer { what: "count of bytes written" }));
            }
            rest = &rest[answer.count..];
        }
        Ok(())
    }

    /// Closes a file; what was written is then in the guest's file system.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn close(&self, file: FileHandle) -> Result<(), Error> {
        self.call::<Value>("guest-file-close", json!({ "handle": file.0 })).map(drop)
    }

    /// Reads a whole file of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// If it is bigger; otherwise as [`Self::open`].
    pub fn read_file(&self, path: &str, most: usize) -> Result<Vec<u8>, Error> {
        let file = self.open(path, FileMode::Read)?;
        let result = self.read_all(file, most);
        let closed = self.close(file);
        let bytes = result?;
        closed.map(|()| bytes)
    }

    fn read_all(&self, file: FileHandle, most: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        loop {
            let piece = self.read(file, READ_PIECE)?;
            if piece.is_empty() {
                return Ok(bytes);
            }
            bytes.extend(piece);
            if bytes.len() > most {
                return Err(self.error(Cause::TooBig { size: bytes.len(), most }));
            }
        }
    }

    /// Writes a whole file, emptied first. Its owner and mode are the agent's choice (root,
    /// 0644 less its umask) if it is new.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn write_file(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let file = self.open(path, FileMode::Write)?;
        let result = self.write(file, bytes);
        let closed = self.close(file);
        result.and(closed)
    }

    /// Returns the guest's network interfaces, with their addresses.
    ///
    /// # Errors
    ///
    /// As [`Self::ping`].
    pub fn interfaces(&self) -> Result<Vec<AgentInterface>, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Nic {
            name: String,
            hardware_address: Option<String>,
            #[serde(default)]
            ip_addresses: Vec<Ip>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Ip {
            ip_address: String,
            prefix: u32,
        }
        let nics: Vec<Nic> = self.call("guest-network-get-interfaces", json!({}))?;
        let address = |ip: Ip| Some((ip.ip_address.parse().ok()?, ip.prefix));
        let interface = |nic: Nic| AgentInterface {
            name: nic.name,
            mac: nic.hardware_address.and_then(|m| m.parse().ok()),
            addresses: nic.ip_addresses.into_iter().filter_map(address).collect(),
        };
        Ok(nics.into_iter().map(interface).collect())
    }

    /// Returns the guest's host name.
    ///
    /// # Errors
    ///
    /// As [`Self::ping`].
    pub fn hostname(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Answer {
            host_name: String,
        }
        self.call::<Answer>("guest-get-host-name", json!({})).map(|a| a.host_name)
    }

    /// Returns what the guest says that it runs.
    ///
    /// # Errors
    ///
    /// As [`Self::ping`].
    pub fn os_info(&self) -> Result<OsInfo, Error> {
        self.call("guest-get-osinfo", json!({}))
    }

    /// Sends a command with its arguments and reads the answer's `return` into a type.
    ///
    /// # Errors
    ///
    /// [`Error::is_agent_refusal`] if the agent refuses it, or does not know it; otherwise as
    /// [`Self::ping`].
    pub fn call<T: DeserializeOwned>(&self, command: &str, arguments: Value) -> Result<T, Error> {
        let request = match &arguments {
            Value::Object(map) if map.is_empty() => json!({ "execute": command }),
            _ => json!({ "execute": command, "arguments": arguments }),
        };
        let seconds = u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX).max(1);
        let answer = ffi::domain::agent_command(&self.domain.handle, &request.to_string(), seconds)
            .on(WHAT, self.domain.name())?;
        read_answer(&answer).map_err(|cause| self.error(cause))
    }

    fn decode(&self, text: &str) -> Result<Vec<u8>, Error> {
        STANDARD.decode(text).map_err(|_| self.error(Cause::Answer { what: "base64 text" }))
    }

    fn error(&self, cause: Cause) -> Error {
        Error::new(WHAT, self.domain.name(), cause)
    }
}

const WHAT: &str = "ask the guest agent of";

fn read_answer<T: DeserializeOwned>(answer: &str) -> Result<T, Cause> {
    #[derive(Deserialize)]
    struct Answer<T> {
        #[serde(rename = "return")]
        value: T,
    }
    if answer.len() > LONGEST {
        return Err(Cause::TooBig { size: answer.len(), most: LONGEST });
    }
    serde_json::from_str::<Answer<T>>(answer)
        .map(|a| a.value)
        .map_err(|_| Cause::Answer { what: "`return` of the kind expected" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_into_types() {
        let info: AgentInfo = read_answer(
            r#"{"return":{"version":"10.0.2","supported_commands":[
                {"enabled":true,"name":"guest-exec","success-response":true},
                {"enabled":false,"name":"guest-ssh-get-authorized-keys","success-response":true}]}}"#,
        )
        .unwrap();
        assert!(info.has("guest-exec"));
        assert!(!info.has("guest-ssh-get-authorized-keys"));
        assert!(!info.has("guest-nothing"));
        let os: OsInfo =
            read_answer(r#"{"return":{"id":"debian","version-id":"12","new":[1]}}"#).unwrap();
        assert_eq!((os.id.as_deref(), os.version_id.as_deref()), (Some("debian"), Some("12")));
        assert_eq!(os.kernel_release, None);
    }

    #[test]
    fn hostile_answers_are_errors() {
        let deep = ["{\"return\":", &"[".repeat(100_000), &"]".repeat(100_000), "}"].concat();
        let big = ["{\"return\":\"", &"x".repeat(LONGEST), "\"}"].concat();
        for answer in ["", "{}", "null", "{\"return\":7}", "{\"return\":{\"version\":", &deep] {
            let error = read_answer::<AgentInfo>(answer).unwrap_err().to_string();
            assert_eq!(error, "the answer has no usable `return` of the kind expected");
        }
        assert_eq!(
            read_answer::<String>(&big).unwrap_err().to_string(),
            "4194317 bytes are too many; at most 4194304 are taken"
        );
    }
}
