//! What is measured of a follower, in the text format of OpenMetrics.

use std::fmt::{self, Write as _};

use super::{Condition, Status};

/// All metrics.
///
/// # Errors
///
/// None that can be helped: the text is written to memory.
pub fn text(status: &Status) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let out = &mut text;
    commit(out, status)?;
    let seconds = |time: Option<jiff::Timestamp>| time.map_or(0, jiff::Timestamp::as_second);
    let gauges = [
        (
            "in_step",
            "Whether the bus is as the newest commit has it",
            i64::from(status.condition == Condition::InStep),
        ),
        (
            "commit_refused",
            "Whether the newest commit is refused",
            i64::from(status.condition == Condition::Refused),
        ),
        (
            "repository_reachable",
            "Whether the repository was reached the last time",
            i64::from(status.repository_trouble.is_none()),
        ),
        (
            "bus_reachable",
            "Whether the bus was reached the last time",
            i64::from(status.bus_trouble.is_none()),
        ),
        (
            "applied_timestamp_seconds",
            "When a commit was last applied",
            seconds(status.applied.as_ref().map(|applied| applied.at)),
        ),
        (
            "looked_timestamp_seconds",
            "When the repository was last seen",
            seconds(status.looked),
        ),
    ];
    for (name, help, value) in gauges {
        writeln!(
            out,
            "# HELP ioc_alarm_follow_{name} {help}.\n# TYPE ioc_alarm_follow_{name} gauge\nioc_alarm_follow_{name} {value}"
        )?;
    }
    let counts = &status.counts;
    let counters = [
        ("looks", "Looks at the repository", counts.looks),
        (
            "look_failures",
            "Looks at the repository that failed",
            counts.failures,
        ),
        ("commits_applied", "Commits applied", counts.applied),
        ("commits_refused", "Commits refused", counts.refused),
        (
            "branch_rewritten",
            "Times that the branch was rewritten",
            counts.rewritten,
        ),
        ("webhooks", "Calls of the code host", counts.webhooks),
        (
            "webhooks_refused",
            "Calls that were not signed as agreed",
            counts.webhooks_refused,
        ),
    ];
    for (name, help, value) in counters {
        writeln!(
            out,
            "# HELP ioc_alarm_follow_{name} {help}.\n# TYPE ioc_alarm_follow_{name} counter\nioc_alarm_follow_{name}_total {value}"
        )?;
    }
    text.push_str("# EOF\n");
    Ok(text)
}

/// The commit that is applied, as a label.
fn commit(out: &mut String, status: &Status) -> fmt::Result {
    let Some(applied) = &status.applied else {
        return Ok(());
    };
    let name = "ioc_alarm_follow_applied_commit";
    let configuration = status.configuration.as_deref().unwrap_or_default();
    writeln!(
        out,
        "# HELP {name} The commit that the bus was made as.\n# TYPE {name} info\n\
         {name}_info{{configuration=\"{}\",branch=\"{}\",path=\"{}\",commit=\"{}\"}} 1",
        label(configuration),
        label(&status.branch),
        label(&status.path),
        label(&applied.commit.commit),
    )
}

/// The value of a label.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::{Applied, CommitStatus, Shared};
    use super::*;

    #[test]
    fn the_commit_is_a_label_and_names_are_quoted() {
        let shared = Shared::new(
            "r".to_owned(),
            "a\"b",
            "a.csv",
            "bus".to_owned(),
            Timestamp::UNIX_EPOCH,
        );
        let none = text(&shared.status()).unwrap();
        assert!(!none.contains("applied_commit"), "{none}");
        assert!(none.contains("\nioc_alarm_follow_in_step 0\n"), "{none}");
        shared.update(|status| {
            let commit = CommitStatus {
                commit: "abc".to_owned(),
                subject: String::new(),
                author: String::new(),
                committed: None,
            };
            status.head = Some(commit.clone());
            status.applied = Some(Applied {
                commit,
                at: Timestamp::from_second(5).unwrap(),
                records: 0,
            });
            status.configuration = Some("X".to_owned());
            status.counts.looks = 2;
        });
        let text = text(&shared.status()).unwrap();
        for line in [
            "ioc_alarm_follow_applied_commit_info{configuration=\"X\",branch=\"a\\\"b\",path=\"a.csv\",commit=\"abc\"} 1",
            "ioc_alarm_follow_in_step 1",
            "ioc_alarm_follow_applied_timestamp_seconds 5",
            "ioc_alarm_follow_looks_total 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
