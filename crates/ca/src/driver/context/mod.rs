//! The long-lived client: watches, and reads and writes over the same circuits.
//!
//! All state is in [`Channels`](crate::channels::Channels), behind one lock that is never held across a wait. The tasks around it only move bytes: one
//! for searching, one for beacons, one for each connection, and the repeater if this process is it.

mod beacon_task;
mod circuit_task;
mod repeater_task;
mod search_task;
mod shared;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Error, deadline_after};
use crate::Configuration;
use crate::channels::{
    Description, Failure, Operation, Outcome, Progress, RequestId, Statistics, Trouble,
};
use crate::circuit;
use crate::event::{Event, Reading, WatchId};
use crate::name::PvName;
use crate::proto::{Mask, Value};

use shared::{Phase, Shared};

/// Watches whose events are taken at once.
const BATCH: usize = 1024;

/// A long-lived Channel Access client. A cheap handle; the background tasks end when the last one is dropped or closed.
#[derive(Clone, Debug)]
pub struct Context {
    handle: Arc<Handle>,
}

/// Ends the tasks when the last user is gone.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.begin_close();
    }
}

/// Where the events of a [`Context`] come out. There is one for each context; without it events are thrown away.
#[derive(Debug)]
pub struct Events {
    shared: Arc<Shared>,
}

impl Context {
    /// Starts the background tasks. Must be called within a tokio runtime with network and time.
    pub fn start(configuration: Configuration) -> (Self, Events) {
        let shared = Arc::new(Shared::new(configuration));
        tokio::spawn(search_task::run(Arc::clone(&shared)));
        let events = Events {
            shared: Arc::clone(&shared),
        };
        let handle = Arc::new(Handle { shared });
        (Self { handle }, events)
    }

    /// Watches a PV from now until [`Context::unwatch`], through all connections and disconnections. A number that is
    /// in use already now stands for the new PV.
    ///
    /// There is one channel and one subscription for each name: a second watch of it renews the subscription for what both
    /// want, and both get the present value.
    pub fn watch(&self, id: WatchId, name: PvName, mask: Mask) {
        let shared = &self.handle.shared;
        shared.with(|channels, now| channels.watch(id, name, mask, now));
    }

    /// Ends a watch; no event of it comes any more, except those that were taken already. Unknown numbers are ignored.
    pub fn unwatch(&self, id: WatchId) {
        self.handle
            .shared
            .with(|channels, now| channels.unwatch(id, now));
    }

    /// Reads a PV: all its elements, alarm state, time stamp, and the label of a state. Waits for a server if there is none
    /// yet, all in all for at most `timeout`.
    pub async fn get(&self, name: &PvName, timeout: Duration) -> Result<Reading, Error> {
        self.read(name, None, timeout).await
    }

    /// [`Context::get`] of the first `count` elements; fewer if there are not as many, at least one.
    pub async fn get_first(
        &self,
        name: &PvName,
        count: u32,
        timeout: Duration,
    ) -> Result<Reading, Error> {
        self.read(name, Some(count), timeout).await
    }

    async fn read(
        &self,
        name: &PvName,
        count: Option<u32>,
        timeout: Duration,
    ) -> Result<Reading, Error> {
        match self
            .request(name, Operation::Read { count }, timeout)
            .await?
        {
            Outcome::Reading(reading) => Ok(reading),
            other => Err(mismatch(name, &other)),
        }
    }

    /// Asks who serves a PV, what it is, what may be done with it, and for its units, limits and labels.
    pub async fn describe(&self, name: &PvName, timeout: Duration) -> Result<Description, Error> {
        match self.request(name, Operation::Describe, timeout).await? {
            Outcome::Description(description) => Ok(*description),
            other => Err(mismatch(name, &other)),
        }
    }

    /// Writes a PV and waits until its record has processed, for at most `timeout`. A write whose time is over may still
    /// be done by the server.
    ///
    /// The server converts. Text (at most 39 bytes) is read by it as a number or as the label of a state; an array of
    /// characters takes text as it is. A state is written by its number.
    pub async fn put(&self, name: &PvName, value: Value, timeout: Duration) -> Result<(), Error> {
        match self.request(name, Operation::Write(value), timeout).await? {
            Outcome::Written => Ok(()),
            other => Err(mismatch(name, &other)),
        }
    }

    /// Numbers about the client, for metrics.
    pub fn statistics(&self) -> Statistics {
        self.handle.shared.with(|channels, _| channels.statistics())
    }

    /// Closes all circuits and ends the background tasks. Other handles of the same context then do nothing: their requests
    /// end with their time.
    pub async fn close(&self) {
        let shared = &self.handle.shared;
        shared.begin_close();
        let mut phase = shared.phase.subscribe();
        // the sender is in `shared`, which lives
        phase.wait_for(|phase| *phase == Phase::Closed).await.ok();
    }

    async fn request(
        &self,
        name: &PvName,
        operation: Operation,
        timeout: Duration,
    ) -> Result<Outcome, Error> {
        let shared = &self.handle.shared;
        if shared.nowhere_to_search() {
            return Err(Error::NowhereToSearch { pv: name.clone() });
        }
        let deadline: Instant = deadline_after(timeout);
        let action = match operation {
            Operation::Read { .. } | Operation::Describe => "reading",
            Operation::Write(_) => "writing",
        };
        let (sender, receiver) = oneshot::channel();
        let request = shared.request(name, operation, sender);
        let guard = Guard { shared, request };
        match timeout_at(deadline, receiver).await {
            Ok(Ok(Ok(outcome))) => Ok(outcome),
            Ok(Ok(Err(failure))) => Err(failed(name, failure)),
            // out of time, or the context is closed
            Ok(Err(_)) | Err(_) => Err(guard.late(name, action, timeout)),
        }
    }
}

/// Cancels a request that is not waited for any more.
struct Guard<'a> {
    shared: &'a Shared,
    request: Option<RequestId>,
}

impl Guard<'_> {
    /// Why a request has not been done in time.
    fn late(&self, pv: &PvName, action: &'static str, after: Duration) -> Error {
        let pv = pv.clone();
        match self.shared.with(|channels, _| channels.progress(&pv)) {
            None | Some(Progress::Searching(None)) => Error::NotFound {
                pv,
                after,
                searched: self.shared.searched(),
            },
            Some(Progress::Searching(Some(trouble))) => lost(&pv, trouble),
            Some(Progress::Joining(server)) => Error::Timeout {
                pv,
                server: server.into(),
                action: "creating the channel",
                after,
            },
            Some(Progress::Connected(server)) => Error::Timeout {
                pv,
                server: server.into(),
                action,
                after,
            },
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request {
            self.shared.cancel(request);
        }
    }
}

fn failed(pv: &PvName, failure: Failure) -> Error {
    let pv = pv.clone();
    match failure {
        Failure::NoReadAccess(server) => {
            let server = server.into();
            Error::NoReadAccess { pv, server }
        }
        Failure::NoWriteAccess(server) => {
            let server = server.into();
            Error::NoWriteAccess { pv, server }
        }
        Failure::ReadRefused(server, source) => {
            let server = server.into();
            Error::ReadRefused { pv, server, source }
        }
        Failure::WriteRefused(server, source) => {
            let server = server.into();
            Error::WriteRefused { pv, server, source }
        }
        Failure::Lost(trouble) => lost(&pv, trouble),
        Failure::Violation(server, source) => Error::Connection {
            pv,
            server: server.into(),
            source: Arc::new(circuit::Error::Protocol(source)),
        },
        Failure::Text { length, longest } => Error::ValueText {
            pv,
            length,
            longest,
        },
    }
}

fn lost(pv: &PvName, trouble: Trouble) -> Error {
    let pv = pv.clone();
    let server = SocketAddr::V4(trouble.server);
    match trouble.reason {
        Some(source) => Error::Connection { pv, server, source },
        None => Error::NotCreated { pv, server },
    }
}

/// A request always ends with what was asked for; this is for the compiler.
fn mismatch(pv: &PvName, outcome: &Outcome) -> Error {
    tracing::error!(?outcome, "a request for `{pv}` ended with something else");
    Error::NotFound {
        pv: pv.clone(),
        after: Duration::ZERO,
        searched: Arc::default(),
    }
}

impl Events {
    /// Waits for the next events, those of the watch that has waited longest first; the events of one watch keep their order.
    /// `None` after the context is closed or dropped and all events are taken.
    ///
    /// A reader that is slow finds only the latest value of each PV, with the number of those it missed. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> Option<Vec<(WatchId, Event)>> {
        loop {
            let events = self.shared.take_events(BATCH);
            if !events.is_empty() {
                return Some(events);
            }
            if self.shared.is_closed() {
                return None;
            }
            self.shared.events.notified().await;
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.with(|channels, _| channels.discard_events());
    }
}
