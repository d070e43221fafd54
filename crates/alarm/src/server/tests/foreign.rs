//! Records of other programs, good and bad: none stops the server.

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::config::Enabled;

fn record(topic: Topic, key: &str, value: Option<&str>) -> Record {
    Record {
        topic,
        key: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

/// What is complained about.
fn words(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Complain(complaint) => Some(complaint.to_string()),
            _ => None,
        })
        .collect()
}

#[test]
fn each_kind_is_told_once_and_counted() {
    let mut server = server(&[("/X/a/pv", LeafConfig::new("d"))]);
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let deeper = format!(r#"{{"description":{deep}}}"#);
    let huge = "x".repeat(2 * 1024 * 1024);
    let long = format!("config:/X/{}", "p".repeat(5000));
    let rows: [(Topic, &str, Option<&str>, &str); 16] = [
        (
            Topic::Main,
            "nothing",
            Some("{}"),
            "the record `nothing` is passed over: the key has no `:`",
        ),
        (Topic::Main, "", Some("{}"), ""),
        (
            Topic::Command,
            "without",
            Some(r#"{"command":"acknowledge"}"#),
            "",
        ),
        (Topic::Main, "what:/X/a", Some("{}"), ""),
        (Topic::Main, &long, Some("{}"), ""),
        (Topic::Main, "config:/X/\0", Some("{}"), ""),
        (
            Topic::Main,
            "config:/X/a/pv",
            Some("no JSON"),
            "the record `config:/X/a/pv` is passed over: the message is no JSON object",
        ),
        (Topic::Main, "config:/X/a/pv", Some("[]"), ""),
        (Topic::Main, "config:/X/a/pv", Some(&deep), ""),
        (Topic::Main, "config:/X/a/pv", Some(&deeper), ""),
        (
            Topic::Main,
            "config:/Y/a",
            Some(r#"{"description":"foreign"}"#),
            "",
        ),
        (
            Topic::Main,
            "config:/X/a",
            Some(r#"{"description":"a group"}"#),
            "",
        ),
        (
            Topic::Main,
            "config:/X/a/pv/b",
            Some(r#"{"description":"below a PV"}"#),
            "",
        ),
        (
            Topic::Main,
            "config:/X/a/pv",
            Some(&huge),
            "the record `config:/X/a/pv` is passed over: it has 2097152 bytes, at most 1048576 are read",
        ),
        (
            Topic::Command,
            "command:/X",
            None,
            "the record `command:/X` is passed over: a command without a value",
        ),
        (
            Topic::Command,
            "command:/X",
            Some(r#"{"command":"explode"}"#),
            "the record `command:/X` is passed over: `explode` is no command",
        ),
    ];
    for (topic, key, value, expected) in rows {
        let effects = server.record(&record(topic, key, value), at(1));
        assert_eq!(words(&effects).join("\n"), expected, "{key}");
        assert_eq!(published(&effects), Vec::<String>::new(), "{key}");
    }
    let counts: Vec<(&str, u64)> = server
        .complaints()
        .into_iter()
        .map(|(kind, count)| (kind.name(), count))
        .collect();
    assert_eq!(
        counts,
        [
            ("key", 6),
            ("too_long", 1),
            ("config", 7),
            ("command", 1),
            ("refused", 1)
        ]
    );
    // states of others mean nothing once the server runs, and nothing is left of all that
    let foreign = record(
        Topic::Main,
        "state:/X/a/pv",
        Some(r#"{"severity":"MAJOR"}"#),
    );
    assert_eq!(server.record(&foreign, at(2)), []);
    let all = server.items(&Selection::default()).unwrap();
    assert_eq!(all.count(), 3);
}

#[test]
fn slam_and_other_writers() {
    let mut server = server(&[("/X/a/pv", LeafConfig::new("d"))]);
    // fields, nulls and texts as SLAM's alarm tree writes them
    let slam = r#"{"user":"u","hostname":"h","description":"d","enabled":false,"latching":true,"annunciating":true,"delta":null,"count":null,"filter":null,"guidance":null,"commands":null,"displays":null,"actions":null}"#;
    let effects = server.record(&record(Topic::Main, "config:/X/a/pv", Some(slam)), at(1));
    assert!(effects.contains(&Effect::Disconnect("pv".to_owned())));
    let at_path = path("/X/a/pv");
    let KindView::Leaf(leaf) = server.item(&at_path).unwrap().kind else {
        panic!("a leaf");
    };
    let config = leaf.config();
    assert_eq!(
        (config.enabled, config.filter.as_str()),
        (Enabled::No, "null")
    );
    // with nulls instead of the words that Phoebus leaves out
    let enabled =
        r#"{"description":"d","enabled":"true","delay":"3","more":{"nested":[1,2]},"delay2":1}"#;
    let effects = server.record(&record(Topic::Main, "config:/X/a/pv", Some(enabled)), at(2));
    assert!(
        effects.contains(&Effect::Connect("pv".to_owned())),
        "{effects:?}"
    );
    // a command with any key prefix, and one on the wrong topic
    server.news("pv", &heard(Severity::Major, 3), at(3));
    server.tick(at(6));
    assert_eq!(server.severity(&at_path), Some(Severity::Major));
    let command = r#"{"user":null,"host":7,"command":"acknowledged by me","more":true}"#;
    server.record(
        &record(Topic::Command, "config:X/a/pv", Some(command)),
        at(7),
    );
    assert_eq!(server.severity(&at_path), Some(Severity::MajorAck));
    server.record(
        &record(Topic::Main, "command:/X", Some(r#"{"command":"unack"}"#)),
        at(8),
    );
    assert_eq!(server.severity(&at_path), Some(Severity::Major));
    // a delete marker changes nothing, the tombstone after it does
    let marker = r#"{"user":"u","host":"h","delete":"Deleting"}"#;
    assert_eq!(
        server.record(&record(Topic::Main, "config:/X/a/pv", Some(marker)), at(9)),
        []
    );
    let effects = server.record(&record(Topic::Main, "config:/X/a/pv", None), at(9));
    assert_eq!(
        published(&effects),
        [
            r#"Main state:/X/a {"severity":"OK"}"#,
            r#"Main state:/X {"severity":"OK"}"#,
            "Main state:/X/a/pv -"
        ]
    );
}

fn text() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1e400".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        "-?[0-9]{1,30}",
        "\"[a-z:0-9 ]{0,8}\"",
        Just(r#"[{"title":1,"details":null,"delay":"x"}]"#.to_owned()),
        Just(r#""2031-12-03T10:15:30""#.to_owned()),
        Just(r#"{"seconds":1,"nano":99999999999}"#.to_owned()),
    ];
    let name = prop_oneof![
        Just("description"),
        Just("enabled"),
        Just("latching"),
        Just("delay"),
        Just("count"),
        Just("filter"),
        Just("actions"),
        Just("guidance"),
        Just("severity"),
        Just("current_severity"),
        Just("message"),
        Just("value"),
        Just("time"),
        Just("current_message"),
        Just("command"),
        Just("delete"),
        Just("pending"),
        Just("shelved"),
    ];
    let fields = proptest::collection::vec((name, value), 0..8);
    let object = fields.prop_map(|fields| {
        let fields = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    });
    prop_oneof![6 => object, 1 => "\\PC{0,20}"]
}

proptest! {
    /// Whatever stands in the topics: nothing stops, and what is published reads back.
    #[test]
    fn anything_may_stand_in_the_topics(
        records in proptest::collection::vec(
            (0_usize..4, "(config|state|command|talk|memory|mode|x)?:?(/?X)?(/[ab]|/\\\\?/|/pva:|/=a){0,3}", proptest::option::of(text()), any::<bool>()),
            0..30,
        ),
        started in 0_usize..30,
    ) {
        let mut server = Server::new("X", settings()).unwrap();
        for (place, (topic, key, value, is_news)) in records.into_iter().enumerate() {
            let now = at(i64::try_from(place).unwrap());
            let mut effects = Vec::new();
            if place == started {
                effects.extend(server.start(now));
            }
            let topic = [Topic::Main, Topic::Command, Topic::Talk, Topic::Server][topic];
            effects.extend(server.record(&Record { topic, key, value }, now));
            if is_news {
                effects.extend(server.news("a", &heard(Severity::Major, 0), now));
            }
            effects.extend(server.tick(now));
            for effect in effects {
                if let Effect::Publish(record) = effect {
                    prop_assert!(record.key.contains(":/X"), "{}", record.key);
                    if let Some(value) = record.value {
                        let read: serde_json::Value = serde_json::from_str(&value).unwrap();
                        prop_assert!(read.is_object());
                    }
                }
            }
        }
        let root = server.severity(&path("/X")).unwrap();
        let worst = server.items(&Selection::default()).unwrap().map(|item| item.severity).max();
        prop_assert_eq!(Some(root), worst);
    }
}
