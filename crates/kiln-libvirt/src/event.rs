// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What happens on the host, as it happens.
//!
//! libvirt's event loop runs in a thread of its own and only puts events into channels; whoever
//! subscribed takes them out when it likes.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;
use virt_sys as sys;

use crate::connect::Connection;
use crate::error::{Cause, Error};
use crate::ffi::event::{self as ffi, CallbackId, Raw};
use crate::ffi::handle::Conn;

/// Which domain an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: Uuid,
}

/// Something that happened on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A domain came, went, started, stopped.
    Lifecycle {
        /// The domain.
        domain: Subject,
        /// What became of it.
        change: Lifecycle,
    },
    /// A guest's agent connected or disconnected. libvirt tells only of changes, so ask the
    /// agent first.
    Agent {
        /// The domain.
        domain: Subject,
        /// Whether it is connected now.
        connected: bool,
    },
    /// The connection to the host is lost; nothing more will come.
    Closed(CloseReason),
}

/// What became of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lifecycle {
    /// It was defined, or its definition changed.
    Defined,
    /// It was undefined.
    Undefined,
    /// It was started.
    Started,
    /// It was paused.
    Suspended,
    /// It goes on.
    Resumed,
    /// It is no longer running.
    Stopped(Stop),
    /// The guest has shut down; it stops next.
    Shutdown,
    /// The guest sleeps (S3).
    Slept,
    /// The guest's kernel panicked.
    Crashed,
    /// An event that Kiln does not know, with libvirt's numbers.
    Other {
        /// `virDomainEventType`.
        event: i32,
        /// Its detail.
        detail: i32,
    },
}

/// Why a domain is no longer running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stop {
    /// The guest shut down.
    Shutdown,
    /// Somebody stopped it hard.
    Destroyed,
    /// The guest, or QEMU, crashed.
    Crashed,
    /// The host could not go on running it.
    Failed,
    /// It went elsewhere, to a file or to a snapshot.
    Other,
}

/// Why a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// An error on the wire.
    Error,
    /// The daemon ended.
    Eof,
    /// The daemon gave no sign of life in time.
    Keepalive,
    /// This side closed it.
    Client,
}

/// A stream of [`Event`]s of one connection, which ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    connection: Connection,
    id: u64,
    events: Receiver<Event>,
}

impl Connection {
    /// Begins to listen to what happens to domains and to the connection itself. Events from
    /// before this call are not told.
    ///
    /// # Errors
    ///
    /// If libvirt does not answer. A driver without agent events is no error.
    pub fn subscribe(&self) -> Result<Subscription, Error> {
        let (sender, events) = mpsc::channel();
        let hub = &self.inner.hub;
        // Held until libvirt knows: see `Hub::callbacks`.
        let mut callbacks = lock(&hub.callbacks);
        let id = hub.add(sender);
        let subscription = Subscription { connection: self.clone(), id, events };
        if callbacks.is_empty()
            && let Err(cause) = hub.listen(self.handle(), &mut callbacks)
        {
            // The subscription's own end needs the lock.
            drop(callbacks);
            return Err(Error::new("listen to the events of", self.text(), cause));
        }
        Ok(subscription)
    }
}

impl Subscription {
    /// Waits for the next event, at most so long; `None` if none came.
    #[must_use]
    pub fn next_within(&self, most: Duration) -> Option<Event> {
        // It cannot be disconnected: the connection holds a sender as long as we do.
        self.events.recv_timeout(most).ok()
    }

    /// Returns the next event that is there already.
    #[must_use]
    pub fn next_now(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let hub = &self.connection.inner.hub;
        let mut callbacks = lock(&hub.callbacks);
        if hub.remove(self.id) == 0 {
            for id in callbacks.drain(..) {
                ffi::off(self.connection.handle(), id);
            }
        }
    }
}

/// Spreads the events of a connection over its subscriptions: libvirt takes one callback of a
/// kind from each connection.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    /// Those of domains, registered while there are subscriptions. Locked before `subscribers`,
    /// and never by the event loop's thread.
    callbacks: Mutex<Vec<CallbackId>>,
    subscribers: Arc<Subscribers>,
}

#[derive(Debug, Default)]
struct Subscribers(Mutex<Senders>);

#[derive(Debug, Default)]
struct Senders {
    last: u64,
    all: Vec<(u64, Sender<Event>)>,
}

impl Hub {
    /// Returns a listener that tells every subscription.
    pub(crate) fn listener(&self) -> ffi::Listener {
        let subscribers = Arc::clone(&self.subscribers);
        Box::new(move |raw| {
            let event = Event::from_raw(raw);
            for (_, sender) in &lock(&subscribers.0).all {
                // The receiver may be on its way out.
                let _ = sender.send(event.clone());
            }
        })
    }

    fn listen(&self, conn: &Conn, callbacks: &mut Vec<CallbackId>) -> Result<(), Cause> {
        callbacks.push(ffi::on_lifecycle(conn, self.listener())?);
        match ffi::on_agent(conn, self.listener()) {
            Ok(id) => callbacks.push(id),
            // A driver without agents.
            Err(Cause::Libvirt(e)) if e.code == sys::VIR_ERR_NO_SUPPORT => {}
            Err(cause) => return Err(cause),
        }
        Ok(())
    }

    fn add(&self, sender: Sender<Event>) -> u64 {
        let mut senders = lock(&self.subscribers.0);
        senders.last += 1;
        let id = senders.last;
        senders.all.push((id, sender));
        id
    }

    /// Returns how many are left.
    fn remove(&self, id: u64) -> usize {
        let mut senders = lock(&self.subscribers.0);
        senders.all.retain(|(i, _)| *i != id);
        senders.all.len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Event {
    fn from_raw(raw: Raw) -> Self {
        let subject = |s: ffi::Subject| Subject { name: s.name, uuid: Uuid::from_bytes(s.uuid) };
        match raw {
            Raw::Lifecycle { domain, event, detail } => {
                Self::Lifecycle { domain: subject(domain), change: lifecycle(event, detail) }
            }
            Raw::Agent { domain, state } => Self::Agent {
                domain: subject(domain),
                connected: is(state, sys::VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED),
            },
            Raw::Closed { reason } => Self::Closed(match u32::try_from(reason) {
                Ok(sys::VIR_CONNECT_CLOSE_REASON_EOF) => CloseReason::Eof,
                Ok(sys::VIR_CONNECT_CLOSE_REASON_KEEPALIVE) => CloseReason::Keepalive,
                Ok(sys::VIR_CONNECT_CLOSE_REASON_CLIENT) => CloseReason::Client,
                _ => CloseReason::Error,
            }),
        }
    }
}

fn is(number: i32, constant: u32) -> bool {
    u32::try_from(number) == Ok(constant)
}

fn lifecycle(event: i32, detail: i32) -> Lifecycle {
    match u32::try_from(event) {
        Ok(sys::VIR_DOMAIN_EVENT_DEFINED) => Lifecycle::Defined,
        Ok(sys::VIR_DOMAIN_EVENT_UNDEFINED) => Lifecycle::Undefined,
        Ok(sys::VIR_DOMAIN_EVENT_STARTED) => Lifecycle::Started,
        Ok(sys::VIR_DOMAIN_EVENT_SUSPENDED) => Lifecycle::Suspended,
        Ok(sys::VIR_DOMAIN_EVENT_RESUMED) => Lifecycle::Resumed,
        Ok(sys::VIR_DOMAIN_EVENT_STOPPED) => Lifecycle::Stopped(match u32::try_from(detail) {
            Ok(sys::VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN) => Stop::Shutdown,
            Ok(sys::VIR_DOMAIN_EVENT_STOPPED_DESTROYED) => Stop::Destroyed,
            Ok(sys::VIR_DOMAIN_EVENT_STOPPED_CRASHED) => Stop::Crashed,
            Ok(sys::VIR_DOMAIN_EVENT_STOPPED_FAILED) => Stop::Failed,
            _ => Stop::Other,
        }),
        Ok(sys::VIR_DOMAIN_EVENT_SHUTDOWN) => Lifecycle::Shutdown,
        Ok(sys::VIR_DOMAIN_EVENT_PMSUSPENDED) => Lifecycle::Slept,
        Ok(sys::VIR_DOMAIN_EVENT_CRASHED) => Lifecycle::Crashed,
        _ => Lifecycle::Other { event, detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_words() {
        assert_eq!(lifecycle(5, 1), Lifecycle::Stopped(Stop::Destroyed));
        assert_eq!(lifecycle(5, 0), Lifecycle::Stopped(Stop::Shutdown));
        assert_eq!(lifecycle(2, 0), Lifecycle::Started);
        assert_eq!(lifecycle(99, 7), Lifecycle::Other { event: 99, detail: 7 });
        assert_eq!(lifecycle(-1, 7), Lifecycle::Other { event: -1, detail: 7 });
        assert_eq!(Event::from_raw(Raw::Closed { reason: 1 }), Event::Closed(CloseReason::Eof));
    }
}
