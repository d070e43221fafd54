//! `ioc alarm doctor`: an alarm system as it should be, and one in which everything is missing.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::Value;

use super::bed::Bed;
use crate::testbed::part;

/// What was looked at and how it is, and the exit code.
fn verdicts(bed: &Bed, more: &[&str]) -> (BTreeMap<String, String>, Option<i32>) {
    let words = [&["alarm", "doctor", "--timeout", "2", "-o", "json"], more].concat();
    let output = bed.context.command(&words).output().unwrap();
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", bed.context.report(&output)));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = checks.iter().map(|check| {
        let place = format!("{}: {}", text(&check["part"]), text(&check["what"]));
        (place, text(&check["verdict"]))
    });
    (rows.collect(), output.status.code())
}

/// How the things are whose names contain a text.
fn of<'a>(rows: &'a BTreeMap<String, String>, name: &str) -> Vec<&'a str> {
    let rows = rows.iter().filter(|(place, _)| place.contains(name));
    rows.map(|(_, verdict)| verdict.as_str()).collect()
}

#[test]
fn of_a_bus_in_files_with_a_server_everything_is_good_until_the_ioc_ends() {
    let Some(mut bed) = Bed::new(&["a", "b"]) else {
        return;
    };
    let (rows, code) = verdicts(&bed, &["--config", "Doctor"]);
    assert_eq!(
        (of(&rows, "bus:"), code),
        (vec!["bad"], Some(1)),
        "{rows:?}"
    );
    bed.configure("Doctor", &["a", "b"], &[]);
    let mut server = bed.serve("Doctor", &["--with-logger"]);
    let (rows, code) = verdicts(&bed, &["--config", "Doctor"]);
    assert!(rows.values().all(|verdict| verdict == "good"), "{rows:?}");
    assert_eq!(code, Some(0));
    for part in [
        "bus:",
        "history:",
        "server:",
        "clock: alarm server",
        "clock: IOCs",
    ] {
        assert!(!of(&rows, part).is_empty(), "{part}: {rows:?}");
    }
    bed.kill_ioc();
    let (rows, code) = verdicts(&bed, &["--config", "Doctor"]);
    assert_eq!(of(&rows, "channel access"), ["bad"], "{rows:?}");
    assert_eq!(code, Some(1));
    server.end(Signal::TERM);
}

#[test]
fn topics_and_brokers_on_kafka_are_judged() {
    let Some(servers) = part("kafka.sh", "KAFKA_SERVERS") else {
        return;
    };
    let Some(bed) = Bed::new(&["a"]) else {
        return;
    };
    let name = format!("Doctor{}", std::process::id());
    let bus = ["--config", &name, "--kafka", &servers];
    let (rows, code) = verdicts(&bed, &bus);
    assert_eq!(of(&rows, "broker"), ["good"], "{rows:?}");
    assert_eq!(of(&rows, "topic:"), ["bad"; 4], "{rows:?}");
    assert_eq!(code, Some(1));
    bed.configure(&name, &["a"], &["--kafka", &servers]);
    let (rows, code) = verdicts(&bed, &bus);
    assert_eq!(of(&rows, "topic:"), ["good"; 4], "{rows:?}");
    assert_eq!(of(&rows, "PVs of the configuration"), ["good"], "{rows:?}");
    // no server runs and nobody has logged: that is no fault of what is there
    assert_eq!(code, Some(0), "{rows:?}");
    let (rows, code) = verdicts(&bed, &["--config", &name, "--kafka", "127.0.0.1:1"]);
    assert_eq!(
        (of(&rows, "bus:"), code),
        (vec!["bad"], Some(1)),
        "{rows:?}"
    );
    assert_eq!(of(&rows, "channel access"), ["unknown"], "{rows:?}");
}
