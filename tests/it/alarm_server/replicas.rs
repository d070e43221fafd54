//! Several `ioc alarm serve` of one configuration on the bus in files: one leads, the others stand by.

use std::process::Command;

use rustix::process::Signal;

use super::bed::{Bed, Process};

/// Starts one that stands by, and waits until it does.
fn stand_by(bed: &Bed, name: &str) -> Process {
    let words = [
        "alarm",
        "serve",
        "--config",
        "Two",
        "--replica",
        "--name",
        name,
    ];
    let mut process = Process::start(&mut bed.context.command(&words));
    process.line(&["standing by:", "leads"]);
    process
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

    let mut second = stand_by(&bed, "second");
    bed.put("a", "90");
    bed.put("b", "60");
    let of = |name: &str| {
        let found = bed.context.json(&["alarm", "replicas", "--config", "Two"]);
        let found = found.as_array().unwrap().clone();
        found
            .into_iter()
            .find(|one| one["name"] == name)
            .map(|one| one["role"].as_str().unwrap().to_owned())
    };
    // it says so every two seconds
    let deadline = std::time::Instant::now() + super::bed::PATIENCE;
    while of("second").as_deref() != Some("stand-by") {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }

    first.end(Signal::KILL);
    second.line(&["taking the lead: the process of the leader has ended"]);
    second.line(&["ready:"]);
    bed.until(&[], |pv, severity| {
        severity == if pv == "a" { "MAJOR" } else { "MINOR" }
    });
    bed.context.succeed(&["alarm", "ack", "a"]);
    assert_eq!(of("second").as_deref(), Some("leader"));

    let mut third = stand_by(&bed, "third");
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
