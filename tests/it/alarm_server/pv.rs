//! `ioc pv` on a real IOC.

use rustix::process::Signal;

use super::bed::{Bed, Process};

#[test]
fn get_put_and_monitor() {
    let Some(mut bed) = Bed::new(&["a"]) else {
        return;
    };
    let values = bed.context.json(&["pv", "get", "a", "state", "--info"]);
    assert_eq!(values[0]["value"], 20.0);
    assert_eq!(values[0]["units"], "degC");
    assert_eq!(values[0]["severity"], "NO_ALARM");
    assert_eq!(
        (&values[1]["value"], &values[1]["index"]),
        (&"Heating".into(), &1.into())
    );
    assert_eq!(values[1]["labels"], serde_json::json!(["Off", "Heating"]));

    let mut monitor =
        Process::start(&mut bed.context.command(&["pv", "monitor", "a", "-o", "json"]));
    monitor.line(&["\"event\":\"value\"", "20.0"]);
    assert_eq!(
        bed.context.succeed(&["pv", "put", "a", "90.5"]),
        "a: 20 -> 90.5\n"
    );
    monitor.line(&["90.5", "MAJOR", "HIHI"]);
    assert_eq!(
        bed.context.succeed(&["pv", "put", "a", "-5"]),
        "a: 90.5 -> -5\n"
    );
    assert_eq!(
        bed.context.succeed(&["pv", "put", "state", "Off"]),
        "state: Heating (1) -> Off (0)\n"
    );
    bed.context.succeed(&["pv", "put", "wave", "1", "2.5", "3"]);
    let wave = bed.context.json(&["pv", "get", "wave"]);
    assert_eq!(wave[0]["value"], serde_json::json!([1.0, 2.5, 3.0]));
    let wave = bed.context.json(&["pv", "get", "wave", "--count", "2"]);
    assert_eq!(wave[0]["value"], serde_json::json!([1.0, 2.5]));

    // an IOC that goes and comes back
    bed.kill_ioc();
    monitor.line(&["\"event\":\"disconnected\""]);
    bed.start_ioc();
    monitor.line(&["\"event\":\"connected\""]);
    monitor.line(&["\"event\":\"value\"", "20.0"]);
    assert_eq!(monitor.end(Signal::INT), Some(0));

    let text = bed
        .context
        .succeed(&["pv", "monitor", "a", "state", "--updates", "2"]);
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn what_a_pv_does_not_take() {
    let Some(bed) = Bed::new(&["a"]) else { return };
    insta::assert_snapshot!(bed.context.run(&["pv", "put", "state", "Heat"]), @r"
    exit code: 2
    ----- stderr -----
    error: `state` has no state `Heat`
    hint: its states are Off, Heating
    ");
    insta::assert_snapshot!(bed.context.run(&["pv", "put", "a", "1", "2"]), @r"
    exit code: 2
    ----- stderr -----
    error: `a` takes 1 value, not 2
    ");
    insta::assert_snapshot!(bed.context.run(&["pv", "put", "wave", "1", "many"]), @r"
    exit code: 2
    ----- stderr -----
    error: `many` is no number that `wave` takes
    ");
    let report = bed.context.run(&["pv", "get", "none", "--timeout", "0.3"]);
    assert!(report.starts_with("exit code: 4\n"), "{report}");
    assert!(
        report.contains("no server answered for `none` within 0.3 s"),
        "{report}"
    );
    let report = bed
        .context
        .run(&["pv", "get", "a", "none", "--timeout", "1"]);
    assert!(report.starts_with("exit code: 4\n"), "{report}");
    assert!(report.contains("a     20"), "{report}");
    let report = bed.context.run(&["pv", "put", "fixed", "2"]);
    assert!(!report.starts_with("exit code: 0\n"), "{report}");
}
