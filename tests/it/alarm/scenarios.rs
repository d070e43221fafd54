//! simulate.

use crate::context::{TestContext, repository};

#[test]
fn the_example_holds() {
    let context = TestContext::new();
    let path = repository()
        .join("alarm/scenarios/overheated.yaml")
        .display()
        .to_string();
    let played = context.json(&["alarm", "simulate", &path]);
    assert_eq!(played[0]["differences"], serde_json::json!([]));
    assert_eq!(played[0]["expectations"], 9);
}

fn lab() -> TestContext {
    let context = TestContext::new();
    context.write(
        "Lab.yaml",
        "configuration: Lab\ngroups: {A: {pvs: {X: {}}}}\n",
    );
    context
}

#[test]
fn what_is_not_as_expected_is_shown_where_it_is_expected() {
    let context = lab();
    context.write(
        "s.yaml",
        "configuration: Lab.yaml\nlimits:\n  X: {high: 1 MINOR}\nsteps:\n  - at: 1\n    set: {X: 2}\n    expect:\n      X: {severity: MAJOR, current: MINOR}\n      /Lab/A: MINOR\n",
    );
    insta::assert_snapshot!(context.run(&["alarm", "simulate", "s.yaml"]), @"
    exit code: 1
    ----- stdout -----
    s.yaml: 2 expectations, 1 difference
    ----- stderr -----
    error: at 1 s the severity of `/Lab/A/X` is MINOR
     --> s.yaml:8:7
      |
    8 |       X: {severity: MAJOR, current: MINOR}
      |       ^ expected MAJOR
    ");
    insta::assert_snapshot!(context.run(&["alarm", "simulate", "s.yaml", "-v"]), @"
    exit code: 1
    ----- stdout -----
    s.yaml: 2 expectations, 1 difference
    ----- stderr -----
        0.000 s  talk     /Lab  Alarm server started. Everything is going to be all right.
        0.000 s  group    /Lab/A OK
        0.000 s  group    /Lab OK
        1.000 s  state    /Lab/A/X MINOR HIGH_ALARM (the PV: MINOR HIGH_ALARM)
        1.000 s  group    /Lab/A MINOR
        1.000 s  group    /Lab MINOR
        1.000 s  talk     /Lab/A/X MINOR Alarm: X
    error: at 1 s the severity of `/Lab/A/X` is MINOR
     --> s.yaml:8:7
      |
    8 |       X: {severity: MAJOR, current: MINOR}
      |       ^ expected MAJOR
    ");
}

#[test]
fn scenarios_that_are_wrong() {
    let context = lab();
    for (text, _why) in [
        ("steps: []\n", "no configuration"),
        ("configuration: Lap.yaml\nsteps: []\n", "no such file"),
        ("configuration: Lab.yaml\nstep: []\n", "unknown key"),
        (
            "configuration: Lab.yaml\nsteps:\n  - at: -1\n",
            "a time before the start",
        ),
        (
            "configuration: Lab.yaml\nsteps:\n  - at: 1\n    set: {Y: 1}\n",
            "no such PV",
        ),
        (
            "configuration: Lab.yaml\nsteps:\n  - at: 1\n    expect: {X: BAD}\n",
            "no severity",
        ),
        (
            "configuration: Lab.yaml\nsteps:\n  - at: 1\n    expect: {X: {sevrity: OK}}\n",
            "unknown key in an expectation",
        ),
        (
            "configuration: Lab.yaml\nsteps:\n  - at: 1\n    acknowledge: [X, /Lab/B]\n",
            "no such item",
        ),
        (
            "configuration: Lab.yaml\nlimits: {X: {high: 1}}\nsteps: []\n",
            "a limit without a severity",
        ),
    ] {
        context.write("s.yaml", text);
        insta::assert_snapshot!(context.refuse(&["alarm", "simulate", "s.yaml"]));
    }
}
