//! The whole life of an alarm, seen by the clients of the server: on the bus in files and on Kafka.

use rustix::process::Signal;
use serde_json::Value;

use super::bed::Bed;
use crate::testbed::part;

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// From the alarm to its end: served, seen, acknowledged, cleared, shelved, through a restart.
fn life_of_an_alarm(bed: &mut Bed, name: &str, bus: &[&str]) {
    let more = [&["--config", name], bus].concat();
    bed.configure(name, &["a", "b"], bus);
    let mut server = bed.serve(name, bus);
    let mut watch = bed.watch(&more);
    bed.until(&more, |_pv, severity| severity == "OK");

    bed.put("a", "90");
    let line = json(&watch.line(&["MAJOR", "/Area/a"]));
    assert_eq!(line["message"], "HIHI_ALARM");
    assert_eq!(line["value"], "90.0");
    let active = bed.severities(&[&more[..], &["--active"]].concat());
    assert_eq!(active, [("a".to_owned(), "MAJOR".to_owned())]);

    let ack = [&["alarm", "ack", "a"], &more[..]].concat();
    let done = bed.context.json(&ack);
    assert_eq!(
        (
            &done["changed"],
            &done["written"],
            &done["items"][0]["severity"]
        ),
        (
            &Value::from(true),
            &Value::from(true),
            &Value::from("MAJOR_ACK")
        )
    );
    watch.line(&["MAJOR_ACK", "/Area/a"]);
    watch.line(&["audit", "acknowledge", "tester"]);
    let again = bed.context.json(&ack);
    assert_eq!(again["changed"], false, "{again}");

    // what was acknowledged stays so when the server is killed, and whoever watches goes on
    server.end(Signal::KILL);
    watch.line(&["\"event\":\"lost\""]);
    let mut server = bed.serve(name, bus);
    let back = json(&watch.line(&["\"event\":\"back\""]));
    assert_eq!(back["changed"], 0, "{back}");
    assert_eq!(
        bed.severities(&[&more[..], &["--acknowledged"]].concat()),
        [("a".to_owned(), "MAJOR_ACK".to_owned())]
    );

    bed.put("a", "20");
    watch.line(&["\"severity\":\"OK\"", "/Area/a"]);

    // an IOC that is away, and back
    bed.kill_ioc();
    watch.line(&["UNDEFINED", "/Area/b"]);
    bed.start_ioc();
    watch.line(&["\"current_severity\":\"OK\"", "/Area/b"]);
    let all = format!("/{name}");
    bed.context
        .succeed(&[&["alarm", "ack", &all], &more[..]].concat());
    bed.until(&more, |_pv, severity| severity == "OK");

    bed.context.succeed(
        &[
            &[
                "alarm",
                "shelve",
                "b",
                "--for",
                "1h",
                "--reason",
                "pump is out",
            ],
            &more[..],
        ]
        .concat(),
    );
    let shelved = bed
        .context
        .json(&[&["alarm", "ls", "--shelved"], &more[..]].concat());
    assert_eq!(shelved[0]["pv"], "b");
    assert_eq!(shelved[0]["shelved"]["reason"], "pump is out");
    assert_eq!(shelved[0]["shelved"]["user"], "tester");
    bed.context
        .succeed(&[&["alarm", "unshelve", "b"], &more[..]].concat());

    let status = bed
        .context
        .succeed(&[&["alarm", "status", "a"], &more[..]].concat());
    for words in [
        "OK a",
        "temperature of a",
        "connected to 127.0.0.1:",
        "latching",
    ] {
        assert!(status.contains(words), "no `{words}` in:\n{status}");
    }
    for (verb, words) in [
        ("maintenance", "maintenance mode is on"),
        ("notify", "notifications are on already"),
    ] {
        let said = bed
            .context
            .succeed(&[&["alarm", verb, "on"], &more[..]].concat());
        assert_eq!(said.trim(), words);
    }
    assert_eq!(server.end(Signal::TERM), Some(0));
    assert_eq!(watch.end(Signal::INT), Some(0));
}

#[test]
fn on_files() {
    let Some(mut bed) = Bed::new(&["a", "b"]) else {
        return;
    };
    life_of_an_alarm(&mut bed, "Files", &[]);
    assert!(!bed.announcement("Files").exists());
}

#[test]
fn on_kafka() {
    let Some(servers) = part("kafka.sh", "KAFKA_SERVERS") else {
        return;
    };
    let Some(mut bed) = Bed::new(&["a", "b"]) else {
        return;
    };
    // brokers keep topics of runs before this one
    let name = format!("It{}", std::process::id());
    life_of_an_alarm(&mut bed, &name, &["--kafka", &servers]);
}

#[test]
fn tokens_decide_who_may_do_what() {
    let Some(bed) = Bed::new(&["a"]) else { return };
    bed.configure("Tokens", &["a"], &[]);
    let tokens = bed.context.write(
        "tokens",
        "viewer wall 0123456789abcdef-wall\noperator alice 0123456789abcdef-alice\n",
    );
    let wall = bed.context.write("wall", "0123456789abcdef-wall\n");
    let alice = bed.context.write("alice", "0123456789abcdef-alice\n");
    let stranger = bed.context.write("stranger", "0123456789abcdef-nobody\n");
    for file in [&tokens, &wall, &alice, &stranger] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut server = bed.serve("Tokens", &["--token-file", "tokens"]);
    let run = |words: &[&str]| bed.context.run(words);
    insta::assert_snapshot!(run(&["alarm", "ls"]), @r"
    exit code: 13
    ----- stderr -----
    error: a token is needed
    hint: `--token-file FILE`, or `token-file` below `[alarm]` in `ioc.toml`: a file with your token, mode 600
    ");
    insta::assert_snapshot!(run(&["alarm", "ls", "--token-file", "stranger"]), @r"
    exit code: 13
    ----- stderr -----
    error: the token is not known here
    hint: `--token-file FILE`, or `token-file` below `[alarm]` in `ioc.toml`: a file with your token, mode 600
    ");
    insta::assert_snapshot!(run(&["alarm", "ack", "a", "--token-file", "wall"]), @r"
    exit code: 13
    ----- stderr -----
    error: `wall` is viewer; this needs the role operator
    ");
    insta::assert_snapshot!(run(&["alarm", "reload", "--token-file", "alice"]), @r"
    exit code: 13
    ----- stderr -----
    error: `alice` is operator; this needs the role admin
    ");
    bed.put("a", "60");
    bed.until(&["--token-file", "wall"], |_pv, severity| {
        severity == "MINOR"
    });
    bed.context
        .succeed(&["alarm", "ack", "/Tokens/Area/a", "--token-file", "alice"]);
    let events = bed
        .context
        .json(&["alarm", "status", "a", "--token-file", "wall"]);
    let audit = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["kind"] == "audit");
    // the name is that of the token, not what the client says of itself
    let audit = audit.map(|event| (&event["data"]["user"], &event["data"]["proved"]));
    assert_eq!(audit, Some((&Value::from("alice"), &Value::from(true))));
    assert_eq!(server.end(Signal::TERM), Some(0));
}
