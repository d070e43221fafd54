//! The whole story of one instance, on one page: how it is, why, and what to do. Both backends tell theirs in this form.
//!
//! Pure.

use serde::Serialize;

use crate::fleet::health::State;
use crate::fleet::overview::Row;
use crate::image::versions::ModuleVersion;

/// The story. The form of this in JSON does not change; fields may be added.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// What `ioc ps` says.
    #[serde(flatten)]
    pub row: Row,
    /// How it is, in a sentence.
    pub summary: String,
    /// What to do, most promising first; nothing when all is well.
    pub next: Vec<String>,
    /// Its release.
    pub release: Option<Release>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its volumes.
    pub volumes: Vec<Volume>,
    /// The support modules in the image of the IOC, as far as the image says.
    pub modules: Vec<ModuleVersion>,
    /// Its configuration.
    pub configuration: Option<Configuration>,
    /// The machine it runs on.
    pub machine: Option<Machine>,
    /// What happened to it lately, oldest first.
    pub events: Vec<Event>,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
}

/// The release of an instance.
#[derive(Debug, Clone, Serialize)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// The revision that is deployed, or the newest.
    pub revision: u32,
    /// State of that revision.
    pub status: String,
    /// Chart and its version.
    pub chart: String,
    /// Version of the instance.
    pub version: String,
    /// When it was deployed.
    pub updated: String,
    /// Who deployed it, where that is known.
    pub by: Option<String>,
    /// Why, in words.
    pub description: String,
    /// All revisions that are kept, oldest first, with their states.
    pub revisions: Vec<String>,
}

/// A container.
#[derive(Debug, Clone, Serialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Whether it is the IOC.
    pub is_ioc: bool,
    /// Its image.
    pub image: String,
    /// Digest of what runs.
    pub image_digest: Option<String>,
    /// `running`, `waiting` or `ended`, and why.
    pub state: String,
    /// Since when.
    pub since: Option<String>,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended last, and when.
    pub last_exit: Option<String>,
    /// The last lines before that end, when it crashed.
    pub last_lines: Vec<String>,
    /// Its probes and what is known of their results.
    pub probes: Vec<String>,
    /// Ports that it declares.
    pub ports: Vec<String>,
}

/// A volume.
#[derive(Debug, Clone, Serialize)]
pub struct Volume {
    /// Its name in the pod.
    pub name: String,
    /// What it is: a claim, a configuration, a folder of the machine.
    pub source: String,
    /// How it is, for what can be missing or unbound.
    pub state: String,
    /// Where it is mounted.
    pub mounted_at: Vec<String>,
}

/// The configuration of an instance and whether its process has it.
#[derive(Debug, Clone, Serialize)]
pub struct Configuration {
    /// Hash in the release.
    pub released: String,
    /// Hash that the pod was started with.
    pub running: Option<String>,
    /// Whether the two are the same.
    pub is_current: bool,
}

/// A machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Whether it is ready.
    pub is_ready: bool,
    /// What is wrong or unusual with it.
    pub conditions: Vec<String>,
    /// Whether the instance uses the machine's own network.
    pub host_network: bool,
    /// Addresses under which the instance can be reached.
    pub addresses: Vec<String>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When it happened last.
    pub time: String,
    /// Whether it is a warning.
    pub is_warning: bool,
    /// One word.
    pub reason: String,
    /// In words.
    pub message: String,
    /// How often.
    pub count: u32,
    /// To what it happened.
    pub object: String,
}

/// How an instance is, in a sentence.
pub fn summary(row: &Row) -> String {
    let node = if row.node.is_empty() {
        String::new()
    } else {
        format!(" on {}", row.node)
    };
    let reason = row
        .reason
        .as_deref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    match row.state {
        State::Running => format!("runs{node}"),
        State::Starting => format!("is starting{node}{reason}"),
        State::Stopping => format!("is being stopped{node}"),
        State::Stopped => match &row.stopped_by {
            Some(who) => format!("was stopped on purpose by {who}"),
            None => "is stopped on purpose: nothing of it is meant to run".to_owned(),
        },
        State::Pending => format!("has not been started yet{reason}"),
        State::Unhealthy => format!("runs{node}, and does not do its work{reason}"),
        State::Unschedulable => format!("finds no node that can take it{reason}"),
        State::ImagePull => format!("cannot get its image{node}{reason}"),
        State::CrashLooping => format!("ends again and again{node}{reason}"),
        State::Exited => format!("has ended and is not started again{node}{reason}"),
        State::NodeLost => format!("may or may not run{reason}"),
        State::Missing => format!("is released, and nothing of it is there{reason}"),
    }
}

/// What to do about it.
pub fn next(row: &Row, configuration: Option<&Configuration>) -> Vec<String> {
    let name = &row.name;
    let mut next: Vec<String> = match row.state {
        State::Running | State::Starting | State::Stopping => Vec::new(),
        State::Stopped => vec![format!("`ioc start {name}` starts it")],
        State::Pending => vec![
            "the events below tell what it waits for: a volume, a secret, a quota".to_owned(),
        ],
        State::Unhealthy => vec![
            format!("`ioc logs {name} --tail 50` shows what it says"),
            format!("`ioc attach {name}` asks its shell; `ioc restart {name}` restarts it"),
        ],
        State::Unschedulable => vec![
            "compare its node selector, affinity and tolerations with the labels and taints of the nodes: the reason names what does not fit".to_owned(),
        ],
        State::ImagePull => vec![
            format!("check the name and tag `{}`, and that the node may pull it", row.image),
            format!("`ioc rollback {name}` goes back to the revision before"),
        ],
        State::CrashLooping => vec![
            format!("`ioc logs {name} --previous` shows everything that it said before it ended"),
            format!("`ioc rollback {name}` goes back to the revision before"),
        ],
        State::Exited => vec![
            format!("`ioc logs {name}` shows its last words"),
            format!("`ioc restart {name}` starts it anew"),
        ],
        State::NodeLost => vec![
            format!("look at node {} first: when it is back, the instance goes on by itself", row.node),
            "a pod of a StatefulSet stays there until someone is sure that the node is off and removes the node or the pod by force".to_owned(),
        ],
        State::Missing => vec![format!("`ioc deploy {name}` makes it again")],
    };
    if !row.drift.is_empty() {
        next.push(format!(
            "somebody changed it past its release: `ioc deploy {name}` puts it back, or change the services repository to match"
        ));
    }
    if configuration.is_some_and(|configuration| !configuration.is_current) {
        next.push(format!(
            "its process has an older configuration: `ioc restart {name}` gives it the new one"
        ));
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::release::Status;

    fn row(state: State) -> Row {
        Row {
            name: "a".into(),
            beamline: "t01".into(),
            namespace: "t01".into(),
            state,
            health: None,
            restarts: 0,
            version: String::new(),
            revision: Some(1),
            release_status: Status::Deployed,
            image: "x:1".into(),
            image_digest: None,
            node: "node-1".into(),
            uptime_seconds: None,
            last_exit: None,
            stopped_by: None,
            reason: Some("why".into()),
            drift: Vec::new(),
            note: None,
        }
    }

    const ALL: [State; 12] = [
        State::Running,
        State::Starting,
        State::Stopping,
        State::Stopped,
        State::Pending,
        State::Unhealthy,
        State::Unschedulable,
        State::ImagePull,
        State::CrashLooping,
        State::Exited,
        State::NodeLost,
        State::Missing,
    ];

    #[test]
    fn whatever_is_bad_has_a_reason_and_something_to_do() {
        for state in ALL {
            let row = row(state);
            if state.is_bad() {
                assert!(summary(&row).contains("why"), "{state:?}");
                assert!(!next(&row, None).is_empty(), "{state:?}");
            }
        }
        assert_eq!(summary(&row(State::Running)), "runs on node-1");
        assert_eq!(next(&row(State::Running), None), Vec::<String>::new());
    }

    #[test]
    fn drift_and_an_old_configuration_are_told() {
        let mut drifted = row(State::Running);
        drifted.drift.push("spec.replicas".into());
        let old = Configuration {
            released: "a".into(),
            running: Some("b".into()),
            is_current: false,
        };
        assert_eq!(next(&drifted, Some(&old)).len(), 2);
    }
}
