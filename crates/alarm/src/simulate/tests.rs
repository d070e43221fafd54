//! Scenarios, as somebody who tests a configuration writes them.

use pretty_assertions::assert_eq;

use super::*;
use crate::config::LeafConfig;

fn path(text: &str) -> AlarmPath {
    AlarmPath::parse(text).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn value(at: u64, pv: &str, value: f64) -> Step {
    Step {
        at: seconds(at),
        what: Happens::Value {
            pv: pv.to_owned(),
            value: Value::Double(value),
            alarm: None,
        },
    }
}

fn scenario() -> Scenario {
    let mut slow = LeafConfig::new("Water level");
    slow.delay = 10;
    slow.filter = "beam > 0".to_owned();
    Scenario {
        configuration: "X".to_owned(),
        items: vec![
            (path("/X/water/level"), ConfigMessage::Leaf(slow)),
            (
                path("/X/water/flow"),
                ConfigMessage::Leaf(LeafConfig::new("Flow")),
            ),
        ],
        settings: Settings::default(),
        begins: Time::new(1_800_000_000, 0),
        limits: BTreeMap::from([(
            "level".to_owned(),
            Limits {
                hihi: Some((90.0, Severity::Major)),
                high: Some((80.0, Severity::Minor)),
                ..Limits::default()
            },
        )]),
        steps: vec![
            value(1, "level", 50.0),
            value(1, "beam", 1.0),
            value(5, "level", 95.0),
            value(40, "level", 20.0),
            Step {
                at: seconds(45),
                what: Happens::Request(Request::Acknowledge(vec!["level".to_owned()])),
            },
            Step {
                at: seconds(46),
                what: Happens::Request(Request::Acknowledge(vec!["levl".to_owned()])),
            },
        ],
        expectations: Vec::new(),
        lasts: seconds(60),
    }
}

fn expect(at: u64, item: &str, severity: Severity) -> Expectation {
    Expectation {
        severity: Some(severity),
        ..Expectation::new(seconds(at), path(item))
    }
}

#[test]
fn a_delayed_alarm_is_latched_and_acknowledged() {
    let mut scenario = scenario();
    scenario.expectations = vec![
        expect(14, "/X/water/level", Severity::Ok),
        Expectation {
            announced: Some(1),
            message: Some("HIHI_ALARM".to_owned()),
            disabled: Some(false),
            ..expect(15, "/X/water/level", Severity::Major)
        },
        // nothing was ever heard of it
        expect(30, "/X/water/flow", Severity::Undefined),
        Expectation {
            current_severity: Some(Severity::Ok),
            ..expect(41, "/X/water/level", Severity::Major)
        },
        expect(45, "/X/water/level", Severity::Ok),
    ];
    let outcome = run(&scenario).unwrap();
    assert_eq!(outcome.mismatches, []);
    let told: Vec<String> = outcome
        .events
        .iter()
        .filter_map(|event| match &event.what {
            Did::Talk(_, words) => Some(format!("{:?} {}", event.at, words.words)),
            Did::Refused(refusal) => Some(format!("{:?} {refusal}", event.at)),
            _ => None,
        })
        .collect();
    assert_eq!(
        told,
        [
            "0ns  Alarm server started. Everything is going to be all right.",
            "15s MAJOR Alarm: Water level",
            "30s UNDEFINED Alarm: Flow",
            "46s there is no item `levl`",
        ]
    );
}

#[test]
fn a_pv_that_is_enabled_tells_what_it_has() {
    let mut scenario = scenario();
    let mut off = LeafConfig::new("d");
    off.enabled = crate::config::Enabled::No;
    scenario.items = vec![(path("/X/ca:\\/\\/level"), ConfigMessage::Leaf(off))];
    scenario.steps = vec![
        value(1, "level", 95.0),
        Step {
            at: seconds(2),
            what: Happens::Request(Request::Enable(vec!["level".to_owned()])),
        },
    ];
    scenario.expectations = vec![
        expect(1, "/X/ca:\\/\\/level", Severity::Ok),
        expect(2, "/X/ca:\\/\\/level", Severity::Major),
    ];
    let outcome = run(&scenario).unwrap();
    assert_eq!(outcome.mismatches, [], "{:#?}", outcome.events);
}

#[test]
fn what_is_not_as_expected_is_told() {
    let mut scenario = scenario();
    scenario.expectations = vec![
        Expectation {
            announced: Some(2),
            ..expect(20, "/X/water/level", Severity::Minor)
        },
        expect(20, "/X/water/nothing", Severity::Ok),
        Expectation {
            message: Some("x".to_owned()),
            ..Expectation::new(seconds(20), path("/X/water"))
        },
    ];
    let words: Vec<String> = run(&scenario)
        .unwrap()
        .mismatches
        .iter()
        .map(|one| {
            format!(
                "{}: {} is {}, expected {}",
                one.expectation, one.field, one.found, one.expected
            )
        })
        .collect();
    assert_eq!(
        words,
        [
            "0: severity is MAJOR, expected MINOR",
            "0: announced is 1, expected 2",
            "1: path is no such item, expected /X/water/nothing",
            "2: message is a group has none, expected x",
        ]
    );
}

#[test]
fn limits_as_records_have_them() {
    let limits = Limits {
        hihi: Some((2.0, Severity::Major)),
        high: Some((1.0, Severity::Minor)),
        low: Some((-1.0, Severity::Ok)),
        lolo: Some((-2.0, Severity::Invalid)),
    };
    let rows = [
        (3.0, Severity::Major, "HIHI_ALARM"),
        (2.0, Severity::Major, "HIHI_ALARM"),
        (1.0, Severity::Minor, "HIGH_ALARM"),
        (0.0, Severity::Ok, "NO_ALARM"),
        (-1.5, Severity::Ok, "NO_ALARM"),
        (-2.0, Severity::Invalid, "LOLO_ALARM"),
        (f64::NAN, Severity::Ok, "NO_ALARM"),
    ];
    for (value, severity, message) in rows {
        assert_eq!(limits.alarm(value), (severity, message.into()), "{value}");
    }
}
