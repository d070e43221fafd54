//! Following a configuration in git: what is known about it, how it is told to others, and whether a call of a code host
//! is one.
//!
//! Fetching, comparing and publishing are the command's (`crate::commands::alarm::config::follow`).

pub mod metrics;
pub mod serve;
pub mod webhook;

use std::sync::Mutex;

use jiff::Timestamp;
use serde::Serialize;

use crate::versions::branch::Head;

/// So many findings of a refused commit are kept.
const MOST_FINDINGS: usize = 50;

/// A commit, as others are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommitStatus {
    /// Its full name.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// When it was committed.
    pub committed: Option<Timestamp>,
}

impl From<&Head> for CommitStatus {
    fn from(head: &Head) -> Self {
        Self {
            commit: head.commit.to_string(),
            subject: head.subject.clone(),
            author: head.author.clone(),
            committed: Timestamp::from_second(head.seconds).ok(),
        }
    }
}

/// A commit that the bus was made as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Which.
    #[serde(flatten)]
    pub commit: CommitStatus,
    /// When.
    pub at: Timestamp,
    /// How many records that took.
    pub records: usize,
}

/// A commit that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Which.
    #[serde(flatten)]
    pub commit: CommitStatus,
    /// When that was seen.
    pub at: Timestamp,
    /// Why not.
    pub why: String,
    /// What is wrong in it, each with its place.
    pub findings: Vec<String>,
}

impl Refused {
    /// The same with findings, as many as are kept.
    #[must_use]
    pub fn with_findings(mut self, findings: impl Iterator<Item = String>) -> Self {
        self.findings = findings.take(MOST_FINDINGS).collect();
        self
    }
}

/// Something that will be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// Since when it has been failing.
    pub since: Timestamp,
    /// How often it has failed in a row.
    pub times: u64,
    /// What was said the last time.
    pub what: String,
}

/// How it is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Nothing was looked at yet.
    Starting,
    /// The bus is as the newest commit has it.
    InStep,
    /// The newest commit is refused; the bus is as the last good one has it.
    Refused,
    /// The repository cannot be reached, or has no such branch.
    NoRepository,
    /// The bus cannot be reached.
    NoBus,
}

/// What is known. Times are UTC.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Repository, without passwords.
    pub repository: String,
    /// Branch.
    pub branch: String,
    /// File in the repository.
    pub path: String,
    /// Name of the configuration, once it is known.
    pub configuration: Option<String>,
    /// The bus in words.
    pub bus: String,
    /// When this process began.
    pub since: Timestamp,
    /// How it is.
    pub condition: Condition,
    /// What the bus was made as.
    pub applied: Option<Applied>,
    /// What the branch is at.
    pub head: Option<CommitStatus>,
    /// What cannot be applied.
    pub refused: Option<Refused>,
    /// The repository, if it cannot be had.
    pub repository_trouble: Option<Trouble>,
    /// The bus, if it cannot be had.
    pub bus_trouble: Option<Trouble>,
    /// When the repository was last seen.
    pub looked: Option<Timestamp>,
    /// How often somebody was looked for, and what came of it.
    pub counts: Counts,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Looks at the repository.
    pub looks: u64,
    /// Of these, in vain.
    pub failures: u64,
    /// Commits that were applied, also those that changed nothing.
    pub applied: u64,
    /// Commits that were refused.
    pub refused: u64,
    /// Times that the branch was rewritten.
    pub rewritten: u64,
    /// Calls of a code host that were followed.
    pub webhooks: u64,
    /// Calls that were refused.
    pub webhooks_refused: u64,
}

/// The status, shared between who follows and who tells.
#[derive(Debug)]
pub struct Shared(Mutex<Status>);

impl Shared {
    /// At the beginning.
    pub fn new(repository: String, branch: &str, path: &str, bus: String, now: Timestamp) -> Self {
        Self(Mutex::new(Status {
            repository,
            branch: branch.to_owned(),
            path: path.to_owned(),
            configuration: None,
            bus,
            since: now,
            condition: Condition::Starting,
            applied: None,
            head: None,
            refused: None,
            repository_trouble: None,
            bus_trouble: None,
            looked: None,
            counts: Counts::default(),
        }))
    }

    /// As it is now.
    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    /// Changes something; the condition follows.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.lock();
        change(&mut status);
        status.condition = status.judge();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Status> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Status {
    fn judge(&self) -> Condition {
        let is_at = |commit: &CommitStatus| self.head.as_ref() == Some(commit);
        if self.repository_trouble.is_some() {
            Condition::NoRepository
        } else if self.bus_trouble.is_some() {
            Condition::NoBus
        } else if self.refused.as_ref().is_some_and(|one| is_at(&one.commit)) {
            Condition::Refused
        } else if self.applied.as_ref().is_some_and(|one| is_at(&one.commit)) {
            Condition::InStep
        } else {
            Condition::Starting
        }
    }

    /// Whether the repository has been seen and the bus has been asked.
    pub fn is_ready(&self) -> bool {
        self.applied.is_some() || self.refused.is_some()
    }
}

/// Notes a failure after those before it.
pub fn again(trouble: Option<&Trouble>, what: String, now: Timestamp) -> Trouble {
    Trouble {
        since: trouble.map_or(now, |trouble| trouble.since),
        times: trouble.map_or(0, |trouble| trouble.times) + 1,
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(name: &str) -> CommitStatus {
        CommitStatus {
            commit: name.to_owned(),
            subject: "new limits".to_owned(),
            author: "alice".to_owned(),
            committed: None,
        }
    }

    fn shared() -> Shared {
        Shared::new(
            "https://host/a.git".to_owned(),
            "main",
            "a.csv",
            "the bus".to_owned(),
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn the_condition_follows_from_what_is_known() {
        let shared = shared();
        assert_eq!(shared.status().condition, Condition::Starting);
        assert!(!shared.status().is_ready());
        let at = Timestamp::UNIX_EPOCH;
        shared.update(|status| {
            status.head = Some(commit("1"));
            status.applied = Some(Applied {
                commit: commit("1"),
                at,
                records: 3,
            });
        });
        assert_eq!(shared.status().condition, Condition::InStep);
        assert!(shared.status().is_ready());
        shared.update(|status| {
            status.head = Some(commit("2"));
            status.refused = Some(Refused {
                commit: commit("2"),
                at,
                why: "no".to_owned(),
                findings: Vec::new(),
            });
        });
        assert_eq!(shared.status().condition, Condition::Refused);
        shared.update(|status| {
            status.repository_trouble = Some(again(None, "gone".to_owned(), at));
        });
        assert_eq!(shared.status().condition, Condition::NoRepository);
        shared.update(|status| {
            status.repository_trouble = None;
            status.head = Some(commit("3"));
        });
        assert_eq!(shared.status().condition, Condition::Starting);
    }

    #[test]
    fn trouble_keeps_its_beginning() {
        let first = again(None, "a".to_owned(), Timestamp::UNIX_EPOCH);
        let later = Timestamp::from_second(60).unwrap();
        let second = again(Some(&first), "b".to_owned(), later);
        assert_eq!((second.since, second.times), (Timestamp::UNIX_EPOCH, 2));
        assert_eq!(second.what, "b");
    }
}
