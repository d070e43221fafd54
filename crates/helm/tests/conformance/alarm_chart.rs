//! The chart of the alarm system, `alarm/chart`: by this engine as by real helm, with the values that come with it.

use std::path::{Path, PathBuf};

use crate::case::Outcome;
use crate::difference;
use crate::run::{binary, ours, theirs};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../alarm")
}

fn words(arguments: &str) -> Vec<String> {
    arguments.split_whitespace().map(str::to_owned).collect()
}

fn rendered(arguments: &str) -> Outcome {
    ours(&words(arguments), &folder())
}

#[test]
fn the_alarm_chart_is_rendered_as_by_helm() {
    let binary = binary();
    let rows = [
        "",
        "-f values-staging.yaml",
        "-f values-production.yaml",
        "-f values-staging.yaml --set namespace.create=true,monitoring.enabled=true --namespace alarm-staging",
        "-f values-production.yaml --set server.persistence.enabled=false,logger.enabled=false,serviceAccounts.create=false",
        "--set kafka.propertiesSecret=kafka,elasticsearch.url=https://search:9200,elasticsearch.secret=search,server.nodeSelector.a=b",
        "--set server.replica=3",
        "--set kafka.bootstrap=",
    ];
    for row in rows {
        let found = rendered(row);
        let Some(binary) = &binary else { continue };
        let wanted = theirs(binary, &words(row), &folder());
        if let Some(difference) = difference(&wanted, &found) {
            panic!("`{row}`:\n{difference}");
        }
    }
}

#[test]
fn a_value_that_there_is_not_is_refused() {
    let error = rendered("--set server.replica=3").unwrap_err();
    assert!(error.contains("replica"), "{error}");
    let error = rendered("--set kafka.bootstrap=").unwrap_err();
    assert!(error.contains("where are the brokers?"), "{error}");
}

/// The access list of a user of Kafka: topic and what may be done with it.
fn access(manifest: &str, user: &str) -> Vec<(String, String)> {
    let name = format!("  name: {user}\n");
    let document = manifest
        .split("\n---")
        .find(|document| document.contains("kind: KafkaUser") && document.contains(&name))
        .unwrap();
    let topics = document.split("type: topic").skip(1);
    topics
        .map(|topic| {
            let after = |word: &str| {
                let rest = topic.split(word).nth(1).unwrap();
                rest.lines().next().unwrap().trim().to_owned()
            };
            (after("name:"), after("operations:"))
        })
        .collect()
}

#[test]
fn peoples_clients_may_write_commands_only() {
    let manifest = rendered("-f values-production.yaml").unwrap();
    let read = r#"["Read","Describe","DescribeConfigs"]"#;
    let expected = [
        ("Accelerator", read),
        ("AcceleratorCommand", r#"["Write","Describe"]"#),
        ("AcceleratorTalk", read),
    ];
    let expected = expected.map(|(topic, may)| (topic.to_owned(), may.to_owned()));
    assert_eq!(access(&manifest, "alarm-operators"), expected);
    for (topic, may) in access(&manifest, "r-alarm-logger") {
        assert_eq!(may, read, "{topic}");
    }
    let follower = access(&manifest, "r-alarm-follower");
    let writes: Vec<&str> = follower
        .iter()
        .filter(|(_, may)| may.contains("Write"))
        .map(|(topic, _)| topic.as_str())
        .collect();
    assert_eq!(writes, ["Accelerator"]);
}

#[test]
fn two_servers_never_share_a_node_and_nobody_is_root() {
    for values in ["-f values-staging.yaml", "-f values-production.yaml"] {
        let manifest = rendered(values).unwrap();
        let sets: Vec<&str> = manifest
            .split("\n---")
            .filter(|document| {
                document.contains("kind: StatefulSet") || document.contains("kind: Deployment")
            })
            .collect();
        assert!(sets.len() >= 3, "{values}");
        for set in sets {
            assert!(set.contains("runAsNonRoot: true"), "{set}");
            assert!(!set.contains("automountServiceAccountToken: true"), "{set}");
            if set.contains("component: server") {
                assert!(
                    set.contains("requiredDuringSchedulingIgnoredDuringExecution"),
                    "{set}"
                );
            }
        }
    }
}
