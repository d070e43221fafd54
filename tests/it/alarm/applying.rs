//! diff, apply and export.

use std::time::{Duration, Instant};

use super::{TABLE, with_table};
use crate::context::TestContext;

#[test]
fn what_was_applied_comes_back_in_every_format() {
    let context = with_table();
    insta::assert_snapshot!(context.run(&["alarm", "config", "apply", "Lab.csv", "--yes"]), @"
    exit code: 0
    ----- stdout -----
    + group /Lab/Vacuum
    + PV    /Lab/Vacuum/V:1
    + PV    /Lab/Vacuum/V:2
    + group /Lab/Water
    + PV    /Lab/Water/V:1
    `Lab` on the bus in `[ROOT]/state/alarm-bus`: 3 PVs new, 2 groups new, 0 PVs as they are; 5 records
    ----- stderr -----
    published
    ");
    let exported = context.succeed(&[
        "alarm", "config", "export", "--config", "Lab", "--format", "csv",
    ]);
    assert_eq!(exported, TABLE);
    for format in ["xml", "yaml", "json"] {
        let file = format!("again/Lab.{format}");
        std::fs::create_dir_all(context.project().join("again")).unwrap();
        context.succeed(&[
            "alarm", "config", "export", "--config", "Lab", "--to", &file,
        ]);
        let diff = context.succeed(&["alarm", "config", "diff", &file, "--exit-code"]);
        assert!(diff.ends_with("3 PVs as they are; 0 records\n"), "{diff}");
    }
    insta::assert_snapshot!(context.succeed(&["alarm", "config", "export", "--config", "Lab"]), @r#"
    configuration: Lab
    groups:
      Vacuum:
        guidance:
        - Call the vacuum group
        pvs:
          "V:1":
            description: Pressure 1
          "V:2":
            description: Pressure 2
            delay: 5
            count: 3
            filter: "'V:MODE' > 0"
            guidance:
            - Close the valve
      Water:
        pvs:
          "V:1":
            description: Pressure 1
            latching: false
    "#);
}

#[test]
fn only_the_difference_is_published_and_deleting_is_asked_for() {
    let context = with_table();
    insta::assert_snapshot!(context.run(&["alarm", "config", "diff", "Lab.csv", "--exit-code"]), @"
    exit code: 1
    ----- stdout -----
    + group /Lab/Vacuum
    + PV    /Lab/Vacuum/V:1
    + PV    /Lab/Vacuum/V:2
    + group /Lab/Water
    + PV    /Lab/Water/V:1
    `Lab` on the bus in `[ROOT]/state/alarm-bus`: 3 PVs new, 2 groups new, 0 PVs as they are; 5 records
    ");
    assert!(
        !context.state().join("alarm-bus").exists(),
        "a diff made a bus"
    );
    context.succeed(&["alarm", "config", "apply", "Lab.csv", "--yes"]);
    context.replace("Lab.csv", "Pressure 2,TRUE,5", "Pressure 2,TRUE,7");
    context.replace(
        "Lab.csv",
        "0,Water,,,,,,,\n,,V:1,Pressure 1,FALSE,,,,\n",
        "0,Air,,,,,,,\n,,A:1,,,,,,\n",
    );
    insta::assert_snapshot!(context.run(&["alarm", "config", "apply", "Lab.csv", "--dry-run"]), @"
    exit code: 0
    ----- stdout -----
    ~ PV    /Lab/Vacuum/V:2
              delay: 5 -> 7
    + group /Lab/Air
    + PV    /Lab/Air/A:1
    `Lab` on the bus in `[ROOT]/state/alarm-bus`: 1 PV new, 1 group new, 1 PV changed, 1 PV as they are; 3 records
      2 items are on the bus and not in the file: `--prune` deletes them
    ----- stderr -----
    nothing was published: this was a dry run
    ");
    insta::assert_snapshot!(context.run(&["alarm", "config", "apply", "Lab.csv", "--yes"]), @"
    exit code: 0
    ----- stdout -----
    ~ PV    /Lab/Vacuum/V:2
              delay: 5 -> 7
    + group /Lab/Air
    + PV    /Lab/Air/A:1
    `Lab` on the bus in `[ROOT]/state/alarm-bus`: 1 PV new, 1 group new, 1 PV changed, 1 PV as they are; 3 records
      2 items are on the bus and not in the file: `--prune` deletes them
    ----- stderr -----
    published
    ");
    insta::assert_snapshot!(context.run(&["alarm", "config", "apply", "Lab.csv", "--yes", "--prune"]), @"
    exit code: 0
    ----- stdout -----
    - PV    /Lab/Water/V:1
    - group /Lab/Water
    `Lab` on the bus in `[ROOT]/state/alarm-bus`: 1 PV deleted, 1 group deleted, 3 PVs as they are; 4 records
    ----- stderr -----
    published
    ");
    insta::assert_snapshot!(context.run(&["alarm", "config", "apply", "Lab.csv", "--yes", "--prune"]), @"
    exit code: 0
    ----- stdout -----
    `Lab` on the bus in `[ROOT]/state/alarm-bus`: 3 PVs as they are; 0 records
    ----- stderr -----
    nothing to publish
    ");
    let json = context.json(&["alarm", "config", "diff", "Lab.csv"]);
    assert_eq!(json["steps"], serde_json::json!([]));
    assert_eq!(json["unchanged_pvs"], 3);
}

#[test]
fn without_a_terminal_nothing_is_published_unasked() {
    let context = with_table();
    context.succeed(&["alarm", "config", "apply", "Lab.csv", "--yes"]);
    context.replace("Lab.csv", "Pressure 2,TRUE,5", "Pressure 2,TRUE,7");
    insta::assert_snapshot!(context.run(&["alarm", "config", "apply", "Lab.csv"]), @"
    exit code: 2
    ----- stderr -----
    ~ PV    /Lab/Vacuum/V:2
              delay: 5 -> 7
    `Lab` on the bus in `[ROOT]/state/alarm-bus`: 1 PV changed, 2 PVs as they are; 1 record
    error: this needs a confirmation and standard input is not a terminal
    hint: add `--yes` to go on without asking
    ");
    let diff = context.succeed(&["alarm", "config", "diff", "Lab.csv"]);
    assert!(diff.contains("delay: 5 -> 7"), "{diff}");
}

#[test]
fn the_bus_is_that_of_the_project() {
    let context = with_table();
    context.write("ioc.toml", "[alarm]\nconfig = \"Named\"\nbus = \"bus\"\n");
    context.succeed(&["alarm", "config", "apply", "Lab.csv", "--yes"]);
    assert!(context.project().join("bus").is_dir());
    let exported = context.json(&["alarm", "config", "export"]);
    assert_eq!(exported["configuration"], "Named");
    let other = context.project().join("other").display().to_string();
    let report = context.run(&["alarm", "config", "export", "--bus", &other]);
    assert!(report.starts_with("exit code: 4"), "{report}");
}

/// Ten thousand PVs, and ten of them changed.
#[test]
fn ten_changes_of_ten_thousand_are_ten_records() {
    let context = TestContext::new().without_engine();
    let table = |delay: usize| {
        let mut text = "#Indent,Branch,PV,Description,Latch,Delay\n".to_owned();
        for area in 0..100 {
            text.push_str(&format!("0,Area {area},,,,\n"));
            for pv in 0..100 {
                let delay = if pv == 7 && area % 10 == 0 { delay } else { 1 };
                text.push_str(&format!(",,A{area}:PV{pv},what it is,TRUE,{delay}\n"));
            }
        }
        text
    };
    context.write("Big.csv", table(1));
    context.succeed(&["alarm", "config", "apply", "Big.csv", "--yes", "--quiet"]);
    context.write("Big.csv", table(2));
    let begin = Instant::now();
    let report = context.json(&["alarm", "config", "apply", "Big.csv", "--yes"]);
    let took = begin.elapsed();
    assert_eq!(report["records"], 10);
    assert_eq!(report["unchanged_pvs"], 9990);
    assert_eq!(report["applied"], true);
    // far less in a release build; this only finds what takes for ever
    assert!(took < Duration::from_mins(1), "{took:?}");
}
