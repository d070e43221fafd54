//! The alarm system of `alarm/chart` on a cluster: its image as `make image` makes it, real Kafka with TLS and logins
//! outside of the cluster, the configuration from a git server, alarms of a soft IOC.
//!
//! It happens to a cluster of its own, because a node loses its power. Services have no addresses in the test bed (no
//! kube-proxy): the API is asked at the addresses of the pods.

mod system;

use std::time::{Duration, Instant};

use serde_json::Value;

use self::system::System;
use super::cluster::PrivateCluster;

/// How long nobody may lead when the leader's node has lost its power, on a busy machine; docs/alarm-replicas.md has
/// what it takes.
const TAKE_OVER: Duration = Duration::from_secs(30);

#[test]
fn alarms_go_on_when_a_node_dies_and_while_the_servers_are_upgraded() {
    let Some(private) = PrivateCluster::start("it-alarm") else {
        return;
    };
    let Some(mut system) = System::new(private.cluster()) else {
        return;
    };

    // as the documentation has it, with what this site is beside it
    let report = system.deploy(&[]);
    for line in [
        "+ StatefulSet alarm-server-staging",
        "+ Deployment alarm-follower-staging",
        "+ PriorityClass",
        "alarm: revision 1 deployed",
    ] {
        assert!(report.contains(line), "no `{line}` in:\n{report}");
    }
    image_is_as_it_should_be(&system);
    parts_have_names_of_their_own(&system);

    let leader = system.leader();
    let standby = system.standby();
    system.until("the PVs are watched", |system| {
        [&leader, &standby].iter().all(|pod| {
            let items = system.alarms(pod);
            items.len() == 2
                && items
                    .iter()
                    .all(|item| item["connection"] == "connected" && item["severity"] == "OK")
        })
    });
    all_is_well(&system);

    // raised, and acknowledged by way of the one that only stands by
    system.put("TEMP", "90");
    system.until_severity(&standby, "TEMP", "MAJOR");
    let acknowledged = system.asked(&standby, &["alarm", "ack", &system.pv("TEMP")]);
    assert!(
        acknowledged.contains("MAJOR -> MAJOR_ACK"),
        "{acknowledged}"
    );
    system.until_severity(&leader, "TEMP", "MAJOR_ACK");

    private.kill(&system.node_of(&leader));
    let killed = Instant::now();
    system.put("INTERLOCK", "90");
    system.until_severity(&standby, "INTERLOCK", "MAJOR");
    let silent = killed.elapsed();
    assert!(silent < TAKE_OVER, "nobody led for {silent:?}");
    assert_eq!(system.leader(), standby);
    system.until_severity(&standby, "TEMP", "MAJOR_ACK");
    system.asked(&standby, &["alarm", "ack", &system.pv("INTERLOCK")]);
    system.until_severity(&standby, "INTERLOCK", "MAJOR_ACK");

    private.repair();
    system.until("both servers are ready", System::servers_are_ready);
    for name in ["TEMP", "INTERLOCK"] {
        system.put(name, "20");
        system.until_severity(&standby, name, "OK");
    }

    nothing_is_missed_by_an_upgrade(&mut system);
    helm_has_the_same(&mut system);

    let history = system.ioc(&["history", "alarm"]);
    assert!(history.contains("more of the log"), "{history}");
    let deleted = system.ioc(&["delete", "alarm", "--yes"]);
    assert!(deleted.contains("kept"), "what is kept is told: {deleted}");
    system.until("nothing but the claim of the history is left", |system| {
        system.left() == ["persistentvolumeclaim/spool-alarm-logger-0"]
    });
}

/// Small, nobody is root, and all that pods need is there.
fn image_is_as_it_should_be(system: &System) {
    let follower = system.pod_of("follower");
    let there = system.exec(
        &follower,
        "follower",
        &[
            "sh",
            "-euc",
            "id -u; git --version; ssh -V 2>&1; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; ioc --version",
        ],
    );
    let lines: Vec<&str> = there.lines().collect();
    assert_eq!(lines[0], "37630", "{there}");
    assert!(lines[1].starts_with("git version"), "{there}");
    assert!(lines[2].starts_with("OpenSSH"), "{there}");
    assert!(lines[3].parse::<u32>().unwrap() > 50, "{there}");
    assert!(lines[4].starts_with("ioc "), "{there}");
}

/// The release is no IOC: `ioc status` and `ioc logs` want to know which part is meant, and say which there are.
fn parts_have_names_of_their_own(system: &System) {
    let refused = system.refuse(&["logs", "alarm"]);
    assert!(
        refused.contains("`alarm-follower-staging`, `alarm-logger`, `alarm-server-staging`"),
        "{refused}"
    );
    let status = system.ioc(&["status", "alarm-server-staging"]);
    assert!(status.contains("alarm revision 1 (deployed)"), "{status}");
    let log = system.ioc(&["logs", "alarm-logger"]);
    assert!(log.contains("alarm logger of `Staging`"), "{log}");
}

/// `ioc alarm doctor` of every server, without an option.
fn all_is_well(system: &System) {
    for pod in [system.leader(), system.standby()] {
        let text = system.exec(&pod, "server", &["ioc", "-o", "json", "alarm", "doctor"]);
        let checks: Vec<Value> = serde_json::from_str(&text).unwrap();
        let parts: Vec<&str> = checks
            .iter()
            .map(|check| check["part"].as_str().unwrap())
            .collect();
        for part in ["bus", "topic", "server", "channel access"] {
            assert!(
                parts.contains(&part),
                "{pod} says nothing of {part}: {text}"
            );
        }
        let ill: Vec<&Value> = checks
            .iter()
            // the history is in the pod of the logger
            .filter(|check| check["verdict"] != "good" && check["part"] != "history")
            .collect();
        assert!(ill.is_empty(), "{pod}: {ill:#?}");
    }
}

/// A PV goes into alarm and out of it while the servers are exchanged one after the other: each change is in the
/// history, once and in its place.
fn nothing_is_missed_by_an_upgrade(system: &mut System) {
    let before = system.changes("TEMP").len();
    let pods = system.server_pods();
    let upgrade = system.start_deploy(&["--set", "server.log=debug", "-m", "more of the log"]);
    let mut wanted = Vec::new();
    let mut upgrade = Some(upgrade);
    while let Some(running) = upgrade.take() {
        for (value, severity) in [("90", "MAJOR"), ("20", "OK")] {
            system.put("TEMP", value);
            wanted.push(severity.to_owned());
            // nothing to await: the alarm is to be as long as one is that two servers hear
            std::thread::sleep(Duration::from_secs(3));
        }
        upgrade = running.unless_ended(system);
    }
    assert!(wanted.len() >= 4, "the upgrade was too short: {wanted:?}");
    assert!(
        pods.iter().all(|(pod, uid)| system.uid(pod) != *uid),
        "every server is another one"
    );
    system.until("the history has all changes", |system| {
        system.changes("TEMP").len() >= before + wanted.len()
    });
    assert_eq!(system.changes("TEMP")[before..], wanted);
    all_is_well(system);
}

/// Real helm goes on from what `ioc` has deployed, here with the network of the nodes and broadcasts.
fn helm_has_the_same(system: &mut System) {
    system.kubectl(&[
        "label",
        "--overwrite",
        "namespace",
        &system.namespace(),
        "pod-security.kubernetes.io/enforce=privileged",
    ]);
    system.helm_upgrade(&[
        "--set",
        "server.hostNetwork=true,channelAccess.autoAddressList=true,channelAccess.addressList=",
    ]);
    let leader = system.leader();
    let pod = system.pod(&leader);
    assert_eq!(pod["status"]["podIP"], pod["status"]["hostIP"]);
    all_is_well(system);
    for (value, severity) in [("90", "MAJOR"), ("20", "OK")] {
        system.put("TEMP", value);
        system.until_severity(&leader, "TEMP", severity);
    }
}
