//! What follows from the states of all revisions of a release.

use crate::fleet::release::record::{Status, is_unfinished};

/// A revision and its state.
pub type Revision = (u32, Status);

/// How many revisions Helm keeps unless told otherwise.
pub const HISTORY_LIMIT: usize = 10;

/// The revision that a new one gets.
pub fn next_revision(history: &[Revision]) -> u32 {
    history
        .iter()
        .map(|(revision, _)| *revision)
        .max()
        .unwrap_or(0)
        .saturating_add(1)
}

/// The revision that runs: the newest that is deployed.
pub fn deployed(history: &[Revision]) -> Option<u32> {
    newest(history, |status| status == Status::Deployed)
}

fn newest(history: &[Revision], wanted: impl Fn(Status) -> bool) -> Option<u32> {
    history
        .iter()
        .filter(|(_, status)| wanted(*status))
        .map(|(revision, _)| *revision)
        .max()
}

/// Revisions to forget so that one more fits into `limit`: the oldest, never the one that runs, nor one that
/// could be gone back to when none is deployed.
pub fn prune(history: &[Revision], limit: usize) -> Vec<u32> {
    let kept = deployed(history).or_else(|| newest(history, |status| status == Status::Superseded));
    let mut revisions: Vec<u32> = history
        .iter()
        .map(|(revision, _)| *revision)
        .filter(|revision| Some(*revision) != kept)
        .collect();
    revisions.sort_unstable();
    let surplus = (history.len() + 1).saturating_sub(limit.max(1));
    revisions.truncate(surplus);
    revisions
}

/// Why a revision cannot be gone back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// It does not exist (any more).
    #[error("there is no revision {0}")]
    Unknown(u32),
    /// It is what runs.
    #[error("revision {0} is what is deployed")]
    Current(u32),
    /// It never ran.
    #[error("revision {0} was never deployed: it is {1}")]
    NeverRan(u32, Status),
    /// Nothing before the current one was deployed.
    #[error("no earlier revision was deployed")]
    NoEarlier,
}

/// The revision that a rollback means: the asked one, or the newest before the current that was deployed.
///
/// # Errors
///
/// When there is none, or it cannot be gone back to.
pub fn rollback_target(history: &[Revision], asked: Option<u32>) -> Result<u32, NoTarget> {
    let current = deployed(history);
    if let Some(asked) = asked {
        let found = history.iter().find(|(revision, _)| *revision == asked);
        return match found {
            None => Err(NoTarget::Unknown(asked)),
            Some((_, Status::Deployed)) if current == Some(asked) => Err(NoTarget::Current(asked)),
            Some((_, Status::Deployed | Status::Superseded)) => Ok(asked),
            Some((_, status)) => Err(NoTarget::NeverRan(asked, *status)),
        };
    }
    history
        .iter()
        .filter(|(revision, status)| {
            *status == Status::Superseded && current.is_none_or(|current| *revision < current)
        })
        .map(|(revision, _)| *revision)
        .max()
        .ok_or(NoTarget::NoEarlier)
}

/// What puts a release right after a command was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Everything of the revision is on the engine: it counts as deployed.
    Finish {
        /// The revision that was under way.
        revision: u32,
    },
    /// The engine goes back to an earlier revision; the one under way counts as failed.
    Restore {
        /// The revision that was under way.
        revision: u32,
        /// The revision that is to run.
        to: u32,
    },
    /// A first deploy did not get through: what there is of it is removed, and it counts as failed.
    Withdraw {
        /// The revision that was under way.
        revision: u32,
    },
    /// A deletion did not get through: it is finished.
    Delete {
        /// The newest revision.
        revision: u32,
    },
}

/// What to do about the newest revision, if it was cut short.
///
/// `complete` tells whether the engine has everything that the revision asks for. Must only be asked while the
/// release is locked: a pending revision of a command that still runs looks the same.
pub fn repair(history: &[Revision], complete: bool) -> Option<Repair> {
    let (revision, status) = history
        .iter()
        .copied()
        .max_by_key(|(revision, _)| *revision)?;
    if !is_unfinished(status) {
        return None;
    }
    if status == Status::Uninstalling {
        return Some(Repair::Delete { revision });
    }
    if complete {
        return Some(Repair::Finish { revision });
    }
    let before =
        deployed(history).or_else(|| newest(history, |status| status == Status::Superseded));
    Some(match before {
        Some(to) => Repair::Restore { revision, to },
        None => Repair::Withdraw { revision },
    })
}
