//! Several `ioc alarm serve` of one configuration on the bus in files and on Kafka: one leads, the others stand by.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::bed::{Bed, PATIENCE, Process};
use crate::testbed::part;

/// Starts one that stands by, and waits until it does.
fn stand_by(bed: &Bed, more: &[&str], name: &str) -> Process {
    let words = [&["alarm", "serve", "--replica", "--name", name], more].concat();
    let mut process = Process::start(&mut bed.context.command(&words));
    process.line(&["standing by:", "leads"]);
    process
}

/// What a server is, as all say on the bus.
fn role_of(bed: &Bed, more: &[&str], name: &str) -> Option<String> {
    let found = bed.context.json(&[&["alarm", "replicas"], more].concat());
    let one = found
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == name)?;
    Some(one["role"].as_str().unwrap().to_owned())
}

/// Waits until one of these is that; gives its place.
fn until_one_is(bed: &Bed, more: &[&str], names: &[&str], role: &str) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_it = |name: &&str| role_of(bed, more, name).as_deref() == Some(role);
        if let Some(place) = names.iter().position(is_it) {
            return place;
        }
        assert!(Instant::now() < deadline, "none of {names:?} is {role}");
        // asks again: they say so every second
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_next_one_goes_on() {
    let Some(bed) = Bed::new(&["a", "b"]) else {
        return;
    };
    bed.configure("Two", &["a", "b"], &[]);
    let mut first = bed.serve("Two", &[]);
    let said = refusal(&mut bed.context.command(&["alarm", "serve", "--config", "Two"]));
    assert!(
        said.contains("an alarm server of `Two` runs already: process "),
        "{said}"
    );
    // also if it has no address that answers
    std::fs::remove_file(bed.announcement("Two")).unwrap();
    let said = refusal(&mut bed.context.command(&["alarm", "serve", "--config", "Two"]));
    assert!(
        said.contains("runs already: process ") && said.contains("since"),
        "{said}"
    );
    assert!(said.contains("--replica"), "{said}");

    let more = ["--config", "Two"];
    let mut second = stand_by(&bed, &more, "second");
    bed.put("a", "90");
    bed.put("b", "60");
    until_one_is(&bed, &more, &["second"], "stand-by");

    first.end(Signal::KILL);
    second.line(&["taking the lead: the process of the leader has ended"]);
    second.line(&["ready:"]);
    bed.until(&[], |pv, severity| {
        severity == if pv == "a" { "MAJOR" } else { "MINOR" }
    });
    bed.context.succeed(&["alarm", "ack", "a"]);
    assert_eq!(role_of(&bed, &more, "second").as_deref(), Some("leader"));

    let mut third = stand_by(&bed, &more, "third");
    assert_eq!(second.end(Signal::TERM), Some(0));
    third.line(&["taking the lead:"]);
    third.line(&["ready:"]);
    bed.until(&[], |pv, severity| {
        severity == if pv == "a" { "MAJOR_ACK" } else { "MINOR" }
    });
    bed.put("a", "20");
    bed.put("b", "20");
    bed.context.succeed(&["alarm", "ack", "b"]);
    bed.until(&[], |_pv, severity| severity == "OK");
    assert_eq!(third.end(Signal::TERM), Some(0));
}

#[test]
fn on_kafka_one_that_was_stopped_finds_that_another_leads() {
    let Some(servers) = part("kafka.sh", "KAFKA_SERVERS") else {
        return;
    };
    let Some(bed) = Bed::new(&["a", "b"]) else {
        return;
    };
    let configuration = format!("Replicas{}", std::process::id());
    let bus = ["--kafka", servers.as_str()];
    let more = [&["--config", &configuration], &bus[..]].concat();
    bed.configure(&configuration, &["a", "b"], &bus);
    let serve = [&more[..], &["--listen", "127.0.0.1:0"]].concat();
    let names = ["one", "two", "zwei"];
    let words = [
        &bus[..],
        &["--replica", "--name", "one", "--listen", "127.0.0.1:0"],
    ]
    .concat();
    let mut first = bed.serve(&configuration, &words);
    let mut others = ["two", "zwei"].map(|name| stand_by(&bed, &serve, name));
    for name in ["two", "zwei"] {
        until_one_is(&bed, &more, &[name], "stand-by");
    }
    bed.put("a", "90");
    bed.put("b", "60");
    bed.until(&more, |pv, severity| {
        severity == if pv == "a" { "MAJOR" } else { "MINOR" }
    });

    first.signal(Signal::STOP);
    let leader = 1 + until_one_is(&bed, &more, &names[1..], "leader");
    others[leader - 1].line(&["taking the lead: nothing was heard of the leader for"]);
    others[leader - 1].line(&["ready:"]);
    bed.context
        .succeed(&[&["alarm", "ack", "a"], &more[..]].concat());
    bed.put("b", "20");
    first.signal(Signal::CONT);
    first.line(&["another server leads by now; standing by again"]);
    first.line(&["standing by:", names[leader]]);
    bed.until(&more, |pv, severity| {
        severity == if pv == "a" { "MAJOR_ACK" } else { "MINOR" }
    });

    assert_eq!(others[leader - 1].end(Signal::TERM), Some(0));
    let mut left = names;
    left[leader] = "nobody";
    let next = until_one_is(&bed, &more, &left, "leader");
    let mut next = match next {
        0 => first,
        other => {
            let [two, zwei] = others;
            if other == 1 { two } else { zwei }
        }
    };
    next.line(&["taking the lead: the leader handed over"]);
    next.line(&["ready:"]);
    bed.until(&more, |pv, severity| {
        severity == if pv == "a" { "MAJOR_ACK" } else { "MINOR" }
    });
    assert_eq!(next.end(Signal::TERM), Some(0));
}
