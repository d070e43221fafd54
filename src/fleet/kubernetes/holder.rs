//! Who works on a release, and whether they still do: an annotation of the Secret of the revision under way.
//!
//! The holder renews it every few seconds. A command that finds it decides: the process is on this machine and has
//! ended, or it is elsewhere and the annotation does not change for a while (clocks are not compared). Helm leaves no such
//! annotation; its revisions under way count as dead after Helm's own default timeout.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The annotation.
pub const HOLDER: &str = "ioc/holder";
/// How often a holder shows that it lives.
pub const RENEWAL: Duration = Duration::from_secs(4);
/// How long an annotation must not change until its holder counts as dead.
pub const SILENCE: Duration = Duration::from_secs(12);
/// After this age a revision under way of a command that leaves no sign counts as dead: Helm's default timeout.
pub const AGE_OF_OTHERS: Duration = Duration::from_mins(5);

/// Who works on a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `user@host`.
    pub user: String,
    /// Name of the machine.
    pub host: String,
    /// Process.
    pub pid: i32,
    /// When the process began, in ticks since the machine did: a number may be used again.
    pub begun: u64,
    /// Which processes it sees: a container on this machine has processes of its own.
    #[serde(default)]
    pub processes: String,
    /// What it does: `deploys`.
    pub doing: String,
    /// When it began.
    #[serde(default)]
    pub since: Timestamp,
    /// Counts up while it lives.
    pub renewed: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} (process {} on {})",
            self.user, self.pid, self.host
        )
    }
}

/// What a look at the holder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs on this machine.
    Alive,
    /// It ran on this machine and has ended.
    Dead,
    /// It is on another machine: only time tells.
    Elsewhere,
}

impl Holder {
    /// This process.
    pub fn this(user: &str, doing: &str) -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let now = Timestamp::now();
        Self {
            user: user.to_owned(),
            host: crate::fleet::session::node_name(),
            pid,
            begun: process_begun(pid).unwrap_or_default(),
            processes: visible_processes(),
            doing: doing.to_owned(),
            since: now,
            renewed: now,
        }
    }

    /// Whether it is the same command, renewals aside.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.host, self.pid, self.begun) == (&other.host, other.pid, other.begun)
    }

    /// Whether it has shown that it lives since it began; one that may not patch Secrets never does.
    pub fn has_renewed(&self) -> bool {
        self.renewed != self.since
    }

    /// The annotation's text.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the annotation; what is not ours is nobody's.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether it lives, as far as this machine can tell.
    pub fn life(&self) -> Life {
        if self.host != crate::fleet::session::node_name() || self.processes != visible_processes()
        {
            return Life::Elsewhere;
        }
        match process_begun(self.pid) {
            Some(begun) if begun == self.begun => Life::Alive,
            _ => Life::Dead,
        }
    }
}

/// The name of this process's table of processes.
fn visible_processes() -> String {
    fs_err::read_link("/proc/self/ns/pid")
        .map(|link| link.display().to_string())
        .unwrap_or_default()
}

/// The 22nd field of `/proc/PID/stat`; the second may contain blanks.
fn process_begun(pid: i32) -> Option<u64> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit_once(')')?.1;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_and_the_dead_are_told_apart() {
        let holder = Holder::this("anna@here", "deploys");
        assert_eq!(holder.life(), Life::Alive);
        assert_eq!(Holder::from_text(&holder.to_text()).unwrap(), holder);
        let reused = Holder {
            begun: holder.begun + 1,
            ..holder.clone()
        };
        assert_eq!(reused.life(), Life::Dead);
        assert!(!reused.is_same(&holder));
        let elsewhere = Holder {
            host: "other.site".into(),
            ..holder
        };
        assert_eq!(elsewhere.life(), Life::Elsewhere);
        assert_eq!(Holder::from_text("{}"), None);
    }

    #[test]
    fn a_process_that_has_ended_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let begun = process_begun(pid).unwrap();
        child.wait().unwrap();
        let holder = Holder {
            pid,
            begun,
            ..Holder::this("anna@here", "deploys")
        };
        assert_eq!(holder.life(), Life::Dead);
    }
}
