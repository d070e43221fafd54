//! A change that a replica which stands by is asked for is done by the leader, and under the name of whoever asked.

use std::os::unix::fs::PermissionsExt as _;

use super::bed::{Bed, Process};
use crate::port::free_port;
use crate::testbed::part;

/// Writes a file that nobody else can read, and gives its name.
fn secret(bed: &Bed, name: &str, text: &str) -> String {
    let path = bed.context.write(name, text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    name.to_owned()
}

/// Starts a replica that listens on a port of every address; says where it is.
fn replica(
    bed: &Bed,
    bus: &[&str],
    name: &str,
    more: &[&str],
    wanted: &[&str],
) -> (Process, String) {
    let port = free_port();
    let listen = format!("0.0.0.0:{port}");
    let words = [
        &[
            "alarm",
            "serve",
            "--replica",
            "--name",
            name,
            "--listen",
            &listen,
        ],
        bus,
        &["--token-file", "tokens"],
        more,
    ]
    .concat();
    let mut process = Process::start(&mut bed.context.command(&words));
    process.line(wanted);
    (process, format!("http://127.0.0.1:{port}"))
}

#[test]
fn whichever_replica_is_asked_the_leader_does_it() {
    let Some(servers) = part("kafka.sh", "KAFKA_SERVERS") else {
        return;
    };
    let Some(bed) = Bed::new(&["a"]) else {
        return;
    };
    let name = format!("Forward{}", std::process::id());
    let kafka = ["--kafka", servers.as_str()];
    let bus = [&["--config", &name], &kafka[..]].concat();
    bed.configure(&name, &["a"], &kafka);
    secret(
        &bed,
        "tokens",
        "operator alice only-for-tests-alice\nviewer panel only-for-tests-panel\n",
    );
    let alice = secret(&bed, "alice", "only-for-tests-alice\n");
    let panel = secret(&bed, "panel", "only-for-tests-panel\n");

    let advertise = ["--advertise", "127.0.0.1"];
    let (_first, leader) = replica(&bed, &bus, "one", &advertise, &["ready:"]);
    let stands_by = ["standing by:", "`one`"];
    let (second, standby) = replica(&bed, &bus, "two", &advertise, &stands_by);
    let ask = |server: &str, token: &str, words: &[&str]| {
        let who = ["--server", server, "--token-file", token];
        bed.context
            .command(&[words, &who].concat())
            .output()
            .unwrap()
    };
    let of_leader = ["--server", &leader, "--token-file", &panel];
    bed.put("a", "90");
    bed.until(&of_leader, |_pv, severity| severity == "MAJOR");

    // looked at by way of the other one
    bed.until(
        &["--server", &standby, "--token-file", &panel],
        |_pv, severity| severity == "MAJOR",
    );
    let mut watch = bed.watch(&["--server", &standby, "--token-file", &panel]);
    let done = ask(&standby, &alice, &["alarm", "ack", "a"]);
    let report = bed.context.report(&done);
    assert!(report.contains("MAJOR -> MAJOR_ACK"), "{report}");
    bed.until(&of_leader, |_pv, severity| severity == "MAJOR_ACK");
    watch.line(&["MAJOR_ACK"]);
    let story = ask(&leader, &panel, &["alarm", "status", "a"]);
    let story = bed.context.report(&story);
    assert!(story.contains("alice"), "whose wish it was: {story}");

    // who may not, may not here either; mistakes are answered in the leader's words
    let refused = bed
        .context
        .report(&ask(&standby, &panel, &["alarm", "unack", "a"]));
    assert!(refused.contains("`panel` is viewer"), "{refused}");
    let unknown = bed
        .context
        .report(&ask(&standby, &alice, &["alarm", "ack", "b"]));
    assert!(unknown.starts_with("exit code: 4"), "{unknown}");

    // one that does not say where it is gives no token away
    drop(second);
    let (_third, silent) = replica(&bed, &bus, "three", &[], &stands_by);
    let refused = bed
        .context
        .report(&ask(&silent, &alice, &["alarm", "unack", "a"]));
    assert!(
        refused.contains("this alarm server stands by; `one`"),
        "{refused}"
    );
}
