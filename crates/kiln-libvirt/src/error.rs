// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What goes wrong, told by libvirt's numbers and never by its English.

use virt_sys as sys;

use crate::xml::ParseError;

/// What libvirt itself said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LibvirtError {
    /// `virErrorNumber`; the numbers never change their meaning.
    pub code: u32,
    /// `virErrorDomain`: which part of libvirt it comes from.
    pub domain: u32,
    /// libvirt's text, in the language of the process.
    pub message: String,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// libvirt refused or failed.
    #[error(transparent)]
    Libvirt(#[from] LibvirtError),
    /// A text holds a zero byte, which C cannot take.
    #[error("a text holds a zero byte")]
    ZeroByte,
    /// XML from libvirt could not be read.
    #[error(transparent)]
    Xml(#[from] ParseError),
    /// An answer lacks a part that it must have, or has it in a form that cannot be.
    #[error("the answer has no usable {what}")]
    Answer {
        /// The part.
        what: &'static str,
    },
    /// Something for the guest's agent, or from it, is bigger than can be taken.
    #[error("{size} bytes are too many; at most {most} are taken")]
    TooBig {
        /// Its size.
        size: usize,
        /// The limit.
        most: usize,
    },
    /// A file or a pipe of this side failed in the middle of a transfer.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// An attempt at something that did not succeed.
///
/// Its `Display` is one line: what was attempted, on which object. The reason is its source.
#[derive(Debug, thiserror::Error)]
#[error("could not {attempt} `{object}`")]
pub struct Error {
    attempt: &'static str,
    object: String,
    #[source]
    cause: Cause,
}

impl Error {
    pub(crate) fn new(attempt: &'static str, object: &str, cause: impl Into<Cause>) -> Self {
        Self { attempt, object: object.to_owned(), cause: cause.into() }
    }

    /// Returns why it failed.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Returns the name of the object that the attempt was made on.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Returns what libvirt said, if it was libvirt that failed.
    #[must_use]
    pub fn libvirt(&self) -> Option<&LibvirtError> {
        match &self.cause {
            Cause::Libvirt(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether there is no such domain, volume, pool, network, secret, device or metadata.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.has(&[
            sys::VIR_ERR_NO_DOMAIN,
            sys::VIR_ERR_NO_STORAGE_VOL,
            sys::VIR_ERR_NO_STORAGE_POOL,
            sys::VIR_ERR_NO_NETWORK,
            sys::VIR_ERR_NO_SECRET,
            sys::VIR_ERR_NO_DOMAIN_METADATA,
            sys::VIR_ERR_DEVICE_MISSING,
        ])
    }

    /// Returns whether an object of that name exists already.
    ///
    /// # Source
    ///
    /// Measured with libvirt 11.3: a domain's, pool's or network's name that is taken gives
    /// `VIR_ERR_OPERATION_FAILED`, which can be more; the calls that define then ask for the
    /// name and answer with one of these numbers.
    #[must_use]
    pub fn is_exists(&self) -> bool {
        self.has(EXISTS)
    }

    /// Returns whether the guest's agent did not answer: not connected, not in time, not in step.
    #[must_use]
    pub fn is_agent_unresponsive(&self) -> bool {
        self.has(&[
            sys::VIR_ERR_AGENT_UNRESPONSIVE,
            sys::VIR_ERR_AGENT_UNSYNCED,
            sys::VIR_ERR_AGENT_COMMAND_TIMEOUT,
        ])
    }

    /// Returns whether the agent answered that the command failed, or knows no such command.
    #[must_use]
    pub fn is_agent_refusal(&self) -> bool {
        self.has(&[sys::VIR_ERR_AGENT_COMMAND_FAILED])
    }

    /// Returns whether the object is in a state in which this cannot be done, such as starting
    /// what runs.
    #[must_use]
    pub fn is_operation_invalid(&self) -> bool {
        self.has(&[sys::VIR_ERR_OPERATION_INVALID])
    }

    /// Returns whether the host's driver has no such function at all.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.has(&[
            sys::VIR_ERR_NO_SUPPORT,
            sys::VIR_ERR_OPERATION_UNSUPPORTED,
            sys::VIR_ERR_ARGUMENT_UNSUPPORTED,
            sys::VIR_ERR_CONFIG_UNSUPPORTED,
        ])
    }

    /// Returns whether the user may not do this on that host.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.has(&[
            sys::VIR_ERR_AUTH_FAILED,
            sys::VIR_ERR_AUTH_CANCELLED,
            sys::VIR_ERR_AUTH_UNAVAILABLE,
            sys::VIR_ERR_ACCESS_DENIED,
            sys::VIR_ERR_OPERATION_DENIED,
        ])
    }

    /// Returns whether the connection to the host was lost: a new one is needed.
    ///
    /// # Source
    ///
    /// libvirt's client reports a dead socket from its part `VIR_FROM_RPC`, as an internal or a
    /// system error or as `VIR_ERR_RPC`; calls after that give `VIR_ERR_INVALID_CONN` or the
    /// same again.
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        self.has(&[sys::VIR_ERR_INVALID_CONN])
            || self.libvirt().is_some_and(|e| {
                e.domain == sys::VIR_FROM_RPC
                    && [sys::VIR_ERR_INTERNAL_ERROR, sys::VIR_ERR_SYSTEM_ERROR, sys::VIR_ERR_RPC]
                        .contains(&e.code)
            })
    }

    fn has(&self, codes: &[u32]) -> bool {
        self.libvirt().is_some_and(|e| codes.contains(&e.code))
    }
}

/// The numbers that say that a name is taken.
const EXISTS: &[u32] =
    &[sys::VIR_ERR_DOM_EXIST, sys::VIR_ERR_NETWORK_EXIST, sys::VIR_ERR_STORAGE_VOL_EXIST];

/// Turns `operation failed`, which is all that libvirt says of some names that are taken, into
/// the number that says so; `exists` asks whether that is it.
pub(crate) fn taken(cause: Cause, number: u32, exists: impl FnOnce() -> bool) -> Cause {
    match cause {
        Cause::Libvirt(mut error) if error.code == sys::VIR_ERR_OPERATION_FAILED && exists() => {
            error.code = number;
            Cause::Libvirt(error)
        }
        cause => cause,
    }
}

/// Names the attempt and the object of a failed call.
pub(crate) trait Attempt<T> {
    /// Turns the cause into an [`Error`].
    fn on(self, attempt: &'static str, object: &str) -> Result<T, Error>;
}

impl<T, C: Into<Cause>> Attempt<T> for Result<T, C> {
    fn on(self, attempt: &'static str, object: &str) -> Result<T, Error> {
        self.map_err(|cause| Error::new(attempt, object, cause))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn error(code: u32, domain: u32) -> Error {
        let cause = LibvirtError { code, domain, message: "irgendwas".to_owned() };
        Error::new("start the domain", "web1", cause)
    }

    #[test]
    fn display_names_attempt_and_object_and_leaves_the_reason_to_the_source() {
        let error = error(sys::VIR_ERR_NO_DOMAIN, sys::VIR_FROM_DOMAIN);
        assert_eq!(error.to_string(), "could not start the domain `web1`");
        assert_eq!(error.source().unwrap().to_string(), "irgendwas");
        assert_eq!(error.object(), "web1");
    }

    #[test]
    fn classes_are_told_by_number() {
        assert!(error(42, 10).is_not_found());
        assert!(error(50, 18).is_not_found());
        assert!(error(90, 18).is_exists());
        assert!(error(86, 10).is_agent_unresponsive());
        assert!(error(113, 10).is_agent_refusal());
        assert!(error(55, 10).is_operation_invalid());
        assert!(error(45, 46).is_denied());
        assert!(error(3, 10).is_unsupported());
        assert!(error(38, 7).is_connection_lost());
        assert!(!error(38, 10).is_connection_lost());
        assert!(!error(1, 10).is_connection_lost());
    }
}
