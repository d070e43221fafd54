use std::time::{Duration, SystemTime};

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// 2026-11-22T05:10:20.605Z
fn written() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_795_324_220_605)
}

fn record(key: Option<&str>, value: Option<&str>) -> Incoming {
    Incoming {
        topic: "Accelerator".into(),
        offset: 7,
        time: written(),
        key: key.map(str::to_owned),
        value: value.map(str::to_owned),
    }
}

/// What is read, as the JSON that users see, without what all have in common.
#[track_caller]
fn check(role: Role, key: &str, value: Option<&str>, expected: &Value) {
    let Reading::Entry(entry) = read(role, &record(Some(key), value)) else {
        panic!("{:?}", read(role, &record(Some(key), value)));
    };
    let mut found = serde_json::to_value(&entry).unwrap();
    let fields = found.as_object_mut().unwrap();
    assert_eq!(fields.remove("topic"), Some(json!("Accelerator")));
    assert_eq!(fields.remove("offset"), Some(json!(7)));
    assert_eq!(
        fields.remove("time"),
        Some(json!("2026-11-22T05:10:20.605Z"))
    );
    assert_eq!(&found, expected);
    let back: Entry = serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap();
    assert_eq!(back, *entry, "it reads back");
}

#[test]
fn states() {
    check(
        Role::Tree,
        "state:/Accelerator/A/t:ai1",
        Some(
            r#"{"severity":"MAJOR","latch":true,"message":"HIHI_ALARM","value":"95.0","time":{"seconds":1795324137,"nano":736698566},"current_severity":"MAJOR","current_message":"HIHI_ALARM"}"#,
        ),
        &json!({
            "kind": "state", "key": "state:/Accelerator/A/t:ai1", "path": "/Accelerator/A/t:ai1", "pv": "t:ai1",
            "severity": "MAJOR", "latch": true, "message": "HIHI_ALARM", "value": "95.0",
            "event_time": "2026-11-22T05:08:57.736698566Z",
            "current_severity": "MAJOR", "current_message": "HIHI_ALARM", "notify": true,
        }),
    );
    // a PV that never had a value, in maintenance mode
    check(
        Role::Tree,
        "state:/Accelerator/B/t:disabled",
        Some(
            r#"{"severity":"OK","message":"Disabled","value":"","time":{},"current_severity":"OK","current_message":"OK","mode":"maintenance","notify":false}"#,
        ),
        &json!({
            "kind": "state", "key": "state:/Accelerator/B/t:disabled", "path": "/Accelerator/B/t:disabled",
            "pv": "t:disabled", "severity": "OK", "latch": false, "message": "Disabled", "value": "",
            "current_severity": "OK", "current_message": "OK", "mode": "maintenance", "notify": false,
        }),
    );
    // severities, types and fields of others
    check(
        Role::Tree,
        r"state:/Accelerator/sim:\/\/sine",
        Some(
            r#"{"severity":"WEIRD","message":null,"value":[1,{"a":2}],"time":{"seconds":"1","nanos":5},"current_severity":null,"current_message":3.0,"extra":{"x":[]}}"#,
        ),
        &json!({
            "kind": "state", "key": "state:/Accelerator/sim://sine", "path": r"/Accelerator/sim:\/\/sine",
            "pv": "sim://sine", "severity": "WEIRD", "latch": false, "value": r#"[1,{"a":2}]"#,
            "event_time": "1970-01-01T00:00:01.000000005Z", "current_message": "3.0", "notify": true,
        }),
    );
    check(
        Role::Tree,
        "state:/Accelerator/A/t:ai1",
        None,
        &json!({
            "kind": "deletion", "key": "state:/Accelerator/A/t:ai1", "path": "/Accelerator/A/t:ai1", "pv": "t:ai1",
            "tombstone": true,
        }),
    );
}

#[test]
fn states_of_groups_are_no_entries() {
    for text in [
        r#"{"severity":"OK"}"#,
        r#"{"severity":"UNDEFINED_ACK","mode":"maintenance"}"#,
    ] {
        assert_eq!(
            read(Role::Tree, &record(Some("state:/Accelerator"), Some(text))),
            Reading::Group
        );
    }
}

#[test]
fn commands() {
    let acknowledge = json!({
        "kind": "command", "key": "command:/Accelerator/A", "path": "/Accelerator/A", "pv": "A",
        "user": "tester", "host": "labhost", "command": "acknowledge",
    });
    let text = Some(r#"{"user":"tester","host":"labhost","command":"acknowledge"}"#);
    check(Role::Commands, "command:/Accelerator/A", text, &acknowledge);
    // also found on the topic of the configuration
    check(Role::Tree, "command:/Accelerator/A", text, &acknowledge);
    // whatever stands in front
    check(
        Role::Commands,
        "whatever:Accelerator/A",
        Some(r#"{"command":"bogus","hostname":"h"}"#),
        &json!({
            "kind": "command", "key": "whatever:Accelerator/A", "path": "/Accelerator/A", "pv": "A",
            "host": "h", "command": "bogus",
        }),
    );
}

#[test]
fn configurations() {
    let text = r#"{"user":"root","host":"vm","description":"x","enabled":"2031-12-03T10:15:30","latching":false}"#;
    check(
        Role::Tree,
        "config:/Accelerator/A/x",
        Some(text),
        &json!({
            "kind": "config", "key": "config:/Accelerator/A/x", "path": "/Accelerator/A/x", "pv": "x",
            "user": "root", "host": "vm", "enabled": "2031-12-03T10:15:30", "latching": false, "text": text,
        }),
    );
    // as SLAM writes it
    let text = r#"{"user":"op","hostname":"slac","description":null,"guidance":null,"filter":null,"delta":4,"enabled":false}"#;
    check(
        Role::Tree,
        "config:/Accelerator/A/x",
        Some(text),
        &json!({
            "kind": "config", "key": "config:/Accelerator/A/x", "path": "/Accelerator/A/x", "pv": "x",
            "user": "op", "host": "slac", "enabled": "false", "latching": true, "text": text,
        }),
    );
    // the two records of a deletion
    check(
        Role::Tree,
        "config:/Accelerator/A/x",
        Some(r#"{"user":"root","host":"vm","delete":"Deleting"}"#),
        &json!({
            "kind": "deletion", "key": "config:/Accelerator/A/x", "path": "/Accelerator/A/x", "pv": "x",
            "user": "root", "host": "vm", "tombstone": false,
        }),
    );
    check(
        Role::Tree,
        "config:/Accelerator/A/x",
        None,
        &json!({
            "kind": "deletion", "key": "config:/Accelerator/A/x", "path": "/Accelerator/A/x", "pv": "x",
            "tombstone": true,
        }),
    );
}

#[test]
fn whether_a_pv_is_enabled() {
    let rows = [
        ("{}", "true"),
        (r#"{"enabled":true}"#, "true"),
        (r#"{"enabled":null}"#, "true"),
        (r#"{"enabled":0}"#, "true"),
        (r#"{"enabled":""}"#, "true"),
        (r#"{"enabled":"tomorrow"}"#, "true"),
        (r#"{"enabled":"FALSE"}"#, "false"),
        (r#"{"enabled":false}"#, "false"),
        (r#"{"enabled":"2031-12-03T10:15"}"#, "2031-12-03T10:15"),
    ];
    for (text, expected) in rows {
        let Ok(Event::Config(config)) = config(Some(text)) else {
            panic!("{text}");
        };
        assert_eq!(config.enabled, expected, "{text}");
    }
}

#[test]
fn words() {
    check(
        Role::Talk,
        "talk:/Accelerator",
        Some(r#"{"standout":false,"severity":"OK","talk":" There is 1 active alarm"}"#),
        &json!({
            "kind": "talk", "key": "talk:/Accelerator", "path": "/Accelerator", "pv": "Accelerator",
            "severity": "OK", "standout": false, "talk": " There is 1 active alarm",
        }),
    );
}

#[test]
fn what_cannot_be_read_gives_a_reason() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(r#"{{"current_severity":{deep}}}"#);
    let rows: [(Role, Option<&str>, Option<&str>, &str); 11] = [
        (Role::Tree, None, Some("{}"), "the record has no key"),
        (Role::Tree, Some("/A/b"), Some("{}"), "the key has no `:`"),
        (
            Role::Commands,
            Some("nothing"),
            Some("{}"),
            "the key has no `:`",
        ),
        (
            Role::Tree,
            Some("x:/A/b"),
            Some("{}"),
            "`x` is no kind of record",
        ),
        (
            Role::Talk,
            Some("state:/A/b"),
            None,
            "`state` is no kind of record",
        ),
        (
            Role::Tree,
            Some("config:"),
            Some("{}"),
            "the key has no path",
        ),
        (
            Role::Commands,
            Some("command:/A"),
            None,
            "the record has no value",
        ),
        (
            Role::Commands,
            Some("command:/A"),
            Some("{}"),
            "the field `command` is missing",
        ),
        (
            Role::Tree,
            Some("state:/A/b"),
            Some("{}"),
            "the field `severity` is missing",
        ),
        (
            Role::Tree,
            Some("state:/A/b"),
            Some("[]"),
            "the value is no JSON object: it is another value",
        ),
        (
            Role::Tree,
            Some("state:/A/b"),
            Some(&nested),
            "the value is no JSON object: recursion limit exceeded at line 1 column 147",
        ),
    ];
    for (role, key, value, reason) in rows {
        match read(role, &record(key, value)) {
            Reading::Unreadable(why) => assert_eq!(why.to_string(), reason, "{key:?}"),
            other => panic!("{key:?}: {other:?}"),
        }
    }
}

#[test]
fn a_value_of_5_mb_is_read() {
    let value = "x".repeat(5_000_000);
    let text = json!({ "severity": "OK", "value": value, "current_severity": "OK" }).to_string();
    let Reading::Entry(entry) = read(Role::Tree, &record(Some("state:/A/b"), Some(&text))) else {
        panic!("an entry");
    };
    assert_eq!(entry.event.state().unwrap().value, Some(value));
}

#[test]
fn paths_that_no_item_can_have() {
    let rows = [
        ("/A/b\0", Some(("/A/b\0", "b\0"))),
        (r"/A/x\/y\0", Some((r"/A/x\/y\0", "x/y\0"))),
        ("///", None),
    ];
    for (text, expected) in rows {
        let text = text.replace(r"\0", "\0");
        let found = place(&text);
        let expected = expected.map(|(path, pv)| (path.replace(r"\0", "\0"), pv.to_owned()));
        assert_eq!(found, expected, "{text:?}");
    }
    let long = format!("/A/{}", "y".repeat(10_000));
    assert_eq!(place(&long).unwrap().1, "y".repeat(10_000));
}

#[test]
fn identities_differ_where_a_topic_was_made_again() {
    let one = record(Some("state:/A/b"), None);
    let mut other = one.clone();
    other.time += Duration::from_millis(1);
    let id = |record| match read(Role::Tree, record) {
        Reading::Entry(entry) => entry.id(),
        _ => String::new(),
    };
    assert_eq!(id(&one), "Accelerator:7:1795324220605");
    assert_eq!(id(&other), "Accelerator:7:1795324220606");
}

proptest! {
    #[test]
    fn any_text_is_read_or_gives_a_reason(key in "(state|config|command|talk|x)?:?\\PC{0,20}", value in "\\PC{0,60}") {
        for role in Role::ALL {
            if let Reading::Entry(entry) = read(role, &record(Some(&key), Some(&value))) {
                prop_assert!(!entry.pv.is_empty());
            }
        }
    }
}
