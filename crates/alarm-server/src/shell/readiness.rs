//! What of the server is ready, each part once and for all until the end.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// A part that has to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The bus is open and its topics are there.
    Bus,
    /// The configuration and the states are read to their end.
    Configuration,
    /// The alarms are published and the PVs are looked for.
    Alarms,
}

const PARTS: [Part; 3] = [Part::Bus, Part::Configuration, Part::Alarms];

#[derive(Debug, Default)]
struct Inner {
    done: Vec<Part>,
    draining: bool,
}

/// Which parts are ready.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<Inner>);

/// How far a server is.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Everything is there, and the server is not about to end.
    pub ready: bool,
    /// The server is about to end.
    pub draining: bool,
    /// What is not ready yet.
    pub waiting_for: Vec<Part>,
}

impl Readiness {
    /// A part is ready.
    pub fn latch(&self, part: Part) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.done.contains(&part) {
            inner.done.push(part);
        }
    }

    /// The server is about to end.
    pub fn drain(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .draining = true;
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting_for: Vec<Part> = PARTS
            .into_iter()
            .filter(|part| !inner.done.contains(part))
            .collect();
        Status {
            ready: waiting_for.is_empty() && !inner.draining,
            draining: inner.draining,
            waiting_for,
        }
    }

    /// Whether it is not ready for the first time yet.
    pub fn is_starting(&self) -> bool {
        let status = self.status();
        !status.waiting_for.is_empty() && !status.draining
    }
}
