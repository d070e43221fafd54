//! check, convert and generate.

use super::with_table;
use crate::context::{TestContext, repository};

#[test]
fn the_examples_are_without_findings() {
    let context = TestContext::new();
    let folder = repository().join("alarm");
    for file in ["t01.yaml", "cryo.csv"] {
        let path = folder.join(file).display().to_string();
        let report = context.json(&["alarm", "config", "check", &path, "--strict"]);
        assert_eq!(report["files"][0]["findings"], serde_json::json!([]));
        assert!(report["files"][0]["pvs"].as_u64().unwrap() > 3);
    }
}

#[test]
fn a_folder_is_checked_file_by_file_with_its_parts() {
    let context = with_table();
    context.write(
        "sub/main.yaml",
        "configuration: Main\ngroups: {A: {include: part.yaml}}\n",
    );
    context.write("sub/part.yaml", "pvs: {X: {count: 3}}\n");
    context.write("sub/scenario.yaml", "configuration: main.yaml\nsteps: []\n");
    insta::assert_snapshot!(context.run(&["alarm", "config", "check", "."]), @"
    exit code: 0
    ----- stdout -----
    ./Lab.csv: `Lab`, 2 groups, 3 PVs: no findings
    ./sub/main.yaml: `Main`, 1 group, 1 PV: 1 warning
    ----- stderr -----
    warning: the count of `X` has no effect without a delay
     --> ./sub/part.yaml:1:7
      |
    1 | pvs: {X: {count: 3}}
      |       ^
    hint: alarms are counted within the delay
    ");
    let strict = context.run(&["alarm", "config", "check", ".", "--strict"]);
    assert!(strict.starts_with("exit code: 1"), "{strict}");
}

#[test]
fn what_phoebus_would_drop() {
    let context = with_table();
    context.write(
        "Lab.yaml",
        "configuration: Lab\nguidance: root\ngroups:\n  A: {pvs: {X: {actions: ['slack:x']}}}\n  B: {pvs: {X: , 'pva://Y': }}\n",
    );
    insta::assert_snapshot!(context.run(&["alarm", "config", "check", "Lab.yaml", "--server-compat", "phoebus"]), @"
    exit code: 0
    ----- stdout -----
    Lab.yaml: `Lab`, 2 groups, 3 PVs: 3 warnings
    ----- stderr -----
    warning: Phoebus drops guidance, displays, commands and actions of the root when it reads a file
     --> Lab.yaml:1:16
      |
    1 | configuration: Lab
      |                ^^^
    warning: Phoebus knows no `slack:` and does nothing
     --> Lab.yaml:4:28
      |
    4 |   A: {pvs: {X: {actions: ['slack:x']}}}
      |                            ^^^^^^^
    warning: Phoebus drops `/Lab/B/X`: it has `/Lab/A/X` already
     --> Lab.yaml:5:13
      |
    5 |   B: {pvs: {X: , 'pva://Y': }}
      |             ^
    hint: `ioc alarm serve` watches a PV in every branch
    ");
}

#[test]
fn findings_for_ci_systems() {
    let context = with_table();
    context.replace("Lab.csv", "'V:MODE' > 0", "'V:MODE' >");
    insta::assert_snapshot!(context.run(&["alarm", "config", "check", "Lab.csv", "--format", "github"]), @"
    exit code: 1
    ----- stdout -----
    ::error file=Lab.csv,line=4,col=37,endColumn=38::the filter of `V:2` is no formula: expected a number, a PV or `(`, but the formula ends here
    ");
    insta::assert_snapshot!(context.run(&["alarm", "config", "check", "Lab.csv", "--format", "junit"]), @r#"
    exit code: 1
    ----- stdout -----
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuite name="ioc alarm config check" tests="1" failures="1">
      <testcase classname="alarm-config" name="Lab.csv">
        <failure message="the filter of `V:2` is no formula: expected a number, a PV or `(`, but the formula ends here">Lab.csv:4:37: error: the filter of `V:2` is no formula: expected a number, a PV or `(`, but the formula ends here</failure>
      </testcase>
    </testsuite>
    "#);
    let report = context.run(&["alarm", "config", "check", "Lab.csv", "--format", "gitlab"]);
    assert!(report.contains("\"begin\": 4"), "{report}");
}

#[test]
fn converting_says_what_is_lost() {
    let context = TestContext::new();
    context.write(
        "Lab.xml",
        "<config name=\"Lab\"><component name=\"A\"><display><title>t</title><details>d.bob</details></display><pv name=\"X\"/></component></config>",
    );
    insta::assert_snapshot!(context.run(&["alarm", "config", "convert", "Lab.xml", "--to", "csv"]), @"
    exit code: 0
    ----- stdout -----
    #Indent,Branch,PV,Description,Latch,Delay,Count,Filter,Guidance,Annunciate
    0,A,,,,,,,,
    ,,X,X,TRUE,,,,,FALSE
    ----- stderr -----
    warning: CSV cannot hold everything: 1 item loses something
      /Lab/A: displays (`t: d.bob` became ``)
    ");
    insta::assert_snapshot!(context.refuse(&["alarm", "config", "convert", "Lab.xml", "--to", "Lab.csv", "--lossless"]), @"
    exit code: 10
    ----- stderr -----
    error: CSV cannot hold everything: 1 item loses something
      cause: /Lab/A: displays (`t: d.bob` became ``)
    ");
    insta::assert_snapshot!(context.run(&["alarm", "config", "convert", "Lab.xml", "--to", "yaml", "--lossless"]), @"
    exit code: 0
    ----- stdout -----
    configuration: Lab
    groups:
      A:
        displays:
        - title: t
          details: d.bob
        pvs:
          X:
            annunciating: false
    ");
}

#[test]
fn generating_from_databases_of_the_repository() {
    let context = TestContext::with_beamline();
    context.write(
        "beamlines/t02/services/t02-ea-ioc-01/config/own.db",
        "record(ai, \"T02:TEMP\") { field(DESC, \"temperature\") field(HIHI, \"80\") field(HHSV, \"MAJOR\") }\n\
         record(bi, \"T02:DOOR\") { field(OSV, \"MINOR\") }\nrecord(ai, \"T02:OTHER\") {}\n",
    );
    context.write(
        "beamlines/t02/services/t02-ea-ioc-01/config/st.cmd",
        "dbLoadDatabase(\"dbd/ioc.dbd\")\nioc_registerRecordDeviceDriver(pdbbase)\ndbLoadRecords(\"/epics/ioc/config/own.db\")\niocInit\n",
    );
    insta::assert_snapshot!(context.run(&["alarm", "config", "generate", "--from", "t02", "--no-engine"]), @r#"
    exit code: 0
    ----- stdout -----
    configuration: t02
    groups:
      ea:
        groups:
          t02-ea-ioc-01:
            pvs:
              "T02:TEMP":
                description: temperature
              "T02:DOOR": {}
    ----- stderr -----
    not looked at: whether the images exist, since no engine was asked: `localhost/ioc-sim-runtime:latest`
    not looked at: record types, fields, databases and variables that come from the images that are not at hand: `localhost/ioc-sim-runtime:latest`
    "#);
    let major = context.succeed(&[
        "alarm",
        "config",
        "generate",
        "--from",
        "t02",
        "--no-engine",
        "--severity",
        "major",
        "--by",
        "instance",
        "--format",
        "csv",
    ]);
    assert_eq!(
        major,
        "#Indent,Branch,PV,Description,Latch,Delay,Count,Filter,Guidance\n0,t02-ea-ioc-01,,,,,,,\n,,T02:TEMP,temperature,TRUE,,,,\n"
    );
}
