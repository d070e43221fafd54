//! What the main commands print, with real instances behind it: for people, and its shape for programs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::beamline::Beamline;
use crate::context::without_times;

/// The keys of the objects in a list, for programs that read them.
fn keys(rows: &Value) -> BTreeSet<String> {
    let rows = rows.as_array().unwrap();
    assert!(!rows.is_empty());
    rows.iter()
        .flat_map(|row| row.as_object().unwrap().keys().cloned())
        .collect()
}

#[test]
fn instances_and_their_history() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    beamline.add("ea-ioc-02");
    beamline.succeed(&["deploy", &instance, "--yes", "--message", "first light"]);
    beamline.append(
        &beamline.file(&instance, "config/st.cmd"),
        "dbpf(\"$(IOC_PREFIX):STAGE:SP\", \"44\")\n",
    );
    insta::assert_snapshot!(without_times(&beamline.run(&["diff", &instance])), @r#"
    exit code: 0
    ----- stdout -----
    beamline-ea-ioc-01: compared with revision 1
      ~ ConfigMap beamline-ea-ioc-01-config
          data[st.cmd]:
              
              iocInit
            + dbpf("$(IOC_PREFIX):STAGE:SP", "44")
      ~ StatefulSet beamline-ea-ioc-01
          spec.template.metadata.labels.configHash: [ID] -> [ID]
    "#);
    insta::assert_snapshot!(without_times(&beamline.run(&["deploy", &instance, "--dry-run"])), @r#"
    exit code: 0
    ----- stdout -----
    beamline-ea-ioc-01: revision 1 -> 2
      ~ ConfigMap beamline-ea-ioc-01-config
          data[st.cmd]:
              
              iocInit
            + dbpf("$(IOC_PREFIX):STAGE:SP", "44")
      ~ StatefulSet beamline-ea-ioc-01
          spec.template.metadata.labels.configHash: [ID] -> [ID]
      replace beamline-ea-ioc-01-0: its template changed
    ----- stderr -----
    nothing was changed (--dry-run)
    "#);
    insta::assert_snapshot!(without_times(&beamline.run(&["deploy", &instance, "--yes"])), @r#"
    exit code: 0
    ----- stderr -----
    beamline-ea-ioc-01: revision 1 -> 2
      ~ ConfigMap beamline-ea-ioc-01-config
          data[st.cmd]:
              
              iocInit
            + dbpf("$(IOC_PREFIX):STAGE:SP", "44")
      ~ StatefulSet beamline-ea-ioc-01
          spec.template.metadata.labels.configHash: [ID] -> [ID]
      replace beamline-ea-ioc-01-0: its template changed
    beamline-ea-ioc-01: revision 2 deployed, `BEAMLINE-EA-IOC-01:UPTIME` answers at 127.0.0.1:[PORT]
    "#);
    insta::assert_snapshot!(without_times(&beamline.run(&["history", &instance])), @"
    exit code: 0
    ----- stdout -----
    REVISION  UPDATED  STATUS  CHART  APP VERSION  BY  DESCRIPTION
    1  [TIME]  superseded  ioc-service-1.0.0  unknown  tester@host  first light
    2  [TIME]  deployed  ioc-service-1.0.0  unknown  tester@host  Upgrade complete
    ");
    insta::assert_snapshot!(without_times(&beamline.run(&["ps", "-b", beamline.name()])), @"
    exit code: 0
    ----- stdout -----
    NAME  STATE  HEALTH  RESTARTS  VERSION  REVISION  IMAGE  NODE  UPTIME  LAST EXIT
    beamline-ea-ioc-01  running  starting  0  unknown  2  localhost/ioc-sim-runtime:it  host  [DURATION]  -
    ");
    insta::assert_debug_snapshot!(keys(&beamline.json(&["history", &instance])), @r#"
    {
        "app_version",
        "chart",
        "description",
        "revision",
        "status",
        "updated",
        "user",
    }
    "#);
    let modules = &beamline.json(&["status", &instance])["modules"];
    assert!(keys(modules).contains("sha256"), "{modules:#}");
    assert_eq!(modules[0]["name"], "epics-base");
    insta::assert_debug_snapshot!(keys(&beamline.json(&["ps", &instance])), @r#"
    {
        "beamline",
        "drift",
        "health",
        "image",
        "image_digest",
        "last_exit",
        "name",
        "namespace",
        "node",
        "note",
        "reason",
        "release_status",
        "restarts",
        "revision",
        "state",
        "stopped_by",
        "uptime_seconds",
        "version",
    }
    "#);
    insta::assert_snapshot!(without_times(&beamline.run(&["stop", &instance, "--yes"])), @"
    exit code: 0
    ----- stderr -----
    beamline-ea-ioc-01: stopped
    ");
    insta::assert_snapshot!(without_times(&beamline.run(&["ps", &instance])), @"
    exit code: 0
    ----- stdout -----
    NAME  STATE  HEALTH  RESTARTS  VERSION  REVISION  IMAGE  NODE  UPTIME  LAST EXIT
    beamline-ea-ioc-01  stopped  -  0  unknown  2  localhost/ioc-sim-runtime:it  host  -  0
    ");
    insta::assert_snapshot!(without_times(&beamline.run(&["start", &instance, "--yes"])), @"
    exit code: 0
    ----- stderr -----
    beamline-ea-ioc-01: started, `BEAMLINE-EA-IOC-01:UPTIME` answers at 127.0.0.1:[PORT]
    ");
    insta::assert_snapshot!(without_times(&beamline.run(&["delete", &instance, "--yes"])), @"
    exit code: 0
    ----- stderr -----
    beamline-ea-ioc-01: deleted
      kept [ROOT]/state/beamline/claims/beamline-ea-ioc-01-autosave
    ");
}

#[test]
fn a_check_with_the_image() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    insta::assert_snapshot!(without_times(&beamline.run(&["check", beamline.name()])), @"
    exit code: 0
    ----- stdout -----
    1 instance, 23 records: no findings
    ");
    // The image knows its records: a type and a field that it does not have.
    beamline.write(
        &beamline.file(&instance, "config/own.db"),
        "\
record(ai, \"$(P)ONE\") {
    field(SCAN, \"3 second\")
}
record(ai, \"$(P)TWO\") {
    field(SCANN, \"1 second\")
}
record(aii, \"$(P)THREE\") {
}
",
    );
    beamline.replace(
        &beamline.file(&instance, "config/st.cmd"),
        "\niocInit",
        "\ndbLoadRecords(\"own.db\", \"P=$(IOC_PREFIX):\")\ndbLoadRecord(\"own.db\")\niocInit",
    );
    insta::assert_snapshot!(without_times(&beamline.refuse(&["check", beamline.name()])), @r#"
    exit code: 1
    ----- stdout -----
    1 instance, 26 records: 3 errors, 1 warning
    ----- stderr -----
    error: `3 second` is not a value for `SCAN`: it is none of the choices
     --> beamlines/beamline/services/beamline-ea-ioc-01/config/own.db:2:17
      |
    2 |  field(SCAN, "3 second")
      |  ^^^^^^^^^^ one of `Passive`, `Event`, `I/O Intr`, `10 second`, `5 second`, `2 second`, `1 second`, `.5 second`, `.2 second`, `.1 second`
    hint: did you mean `5 second`?
    error: record type `ai` has no field `SCANN`
     --> beamlines/beamline/services/beamline-ea-ioc-01/config/own.db:5:11
      |
    5 |  field(SCANN, "1 second")
      |  ^^^^^
    hint: did you mean `SCAN` (Scan Mechanism)?
    error: record type `aii` does not exist in this IOC
     --> beamlines/beamline/services/beamline-ea-ioc-01/config/own.db:7:8
      |
    7 | record(aii, "$(P)THREE") {
      |  ^^^
    hint: did you mean `aai`?
    warning: `dbLoadRecord` is not a command of EPICS base
      --> beamlines/beamline/services/beamline-ea-ioc-01/config/st.cmd:19:1
       |
    19 | dbLoadRecord("own.db")
       | ^^^^^^^^^^^^
    hint: did you mean `dbLoadRecords`?
    "#);
}

#[test]
fn images_of_the_project() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    insta::assert_snapshot!(without_times(&beamline.run(&["image", "graph"])), @"
    exit code: 0
    ----- stdout -----
    localhost/debian:trixie
    └─ epics-base  (epics-base)
       ├─ epics-modules  (seq, sscan, calc, autosave, iocstats, asyn, busy, streamdevice)
       │  ├─ epics-areadetector  (adsupport, adcore)
       │  │  └─ ioc-adsimdetector  (adsimdetector)
       │  └─ ioc-motorsim  (motor)
       └─ ioc-sim  (simplant)
    ");
    insta::assert_snapshot!(without_sizes(&beamline.run(&["image", "ls"])), @"
    exit code: 0
    ----- stdout -----
    IMAGE  BASE  DEVELOPER  RUNTIME  OVER OS  MODULES  STATE
    epics-base  os [SIZE] [SIZE] [SIZE]  1  up to date
    epics-modules  epics-base  -  -  -  9  not built
    epics-areadetector  epics-modules  -  -  -  11  not built
    ioc-adsimdetector  epics-areadetector  -  -  -  12  not built
    ioc-motorsim  epics-modules  -  -  -  10  not built
    ioc-sim  epics-base [SIZE] [SIZE] [SIZE]  2  up to date
    ");
    insta::assert_snapshot!(without_sizes(&beamline.run(&["build", "ioc-sim", "--dry-run"])), @"
    exit code: 0
    ----- stdout -----
    IMAGE  STATE  SIZE  TIME  REASON
    localhost/epics-base-developer:it  up to date [SIZE]  -  -
    localhost/epics-base-runtime:it  up to date [SIZE]  -  -
    localhost/ioc-sim-developer:it  up to date [SIZE]  -  -
    localhost/ioc-sim-runtime:it  up to date [SIZE]  -  -
    ");
    let bill = beamline.json(&["image", "sbom", "ioc-sim"]);
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let made = bill["metadata"]["timestamp"].as_str().unwrap();
    made.parse::<jiff::Timestamp>().unwrap();
    let of = |name: &str| {
        let components = bill["components"].as_array().unwrap();
        let found = components.iter().find(|each| each["name"] == name);
        found.unwrap_or_else(|| panic!("no `{name}` in {bill:#}"))
    };
    assert!(of("epics-base")["hashes"][0]["content"].is_string());
    let library = of("libc6")["purl"].as_str().unwrap();
    assert!(
        library.starts_with("pkg:deb/debian/libc6@") && library.contains("distro=debian-13"),
        "{library}"
    );
    // What made the lowest layer depends on how the machine got its base image.
    let shown = beamline
        .run(&["image", "show", "ioc-sim"])
        .replace("ioc image bootstrap --suite trixie", "operating system");
    insta::assert_snapshot!(without_sizes(&shown), @"
    exit code: 0
    ----- stdout -----
    ioc-sim
    simulated plant for the demonstration and for tests, no hardware needed
    built on epics-base

    TARGET  SIZE  OVER OS  STATE  IMAGE
    developer [SIZE] [SIZE]  up to date  localhost/ioc-sim-developer:it
    runtime [SIZE] [SIZE]  up to date  localhost/ioc-sim-runtime:it

    MODULE  VERSION  COMMIT OR SHA256  SOURCE
    epics-base  7.0.8.1+dfsg1-7+deb13u1  [ID]  Debian source package epics-base 7.0.8.1+dfsg1-7+deb13u1
    simplant  -  [ID]  folder simplant

     LAYER  MADE BY
     [SIZE]  operating system
     [SIZE]  RUN PACKAGES=/packages bash /tools/install.sh runtime
     [SIZE]  COPY /assets/ /
     [SIZE]  RUN bash /tools/finish.sh 37630
     [SIZE]  COPY /assets/ /
    ");
}

/// Also without the sizes of images, which change with each update of the distribution.
fn without_sizes(text: &str) -> String {
    let sizes = regex::Regex::new(r" *\b\d+(\.\d+)? ?(B|kB|MB|GB)\b").unwrap();
    sizes
        .replace_all(&without_times(text), " [SIZE]")
        .into_owned()
}

#[test]
fn the_second_build_has_nothing_to_do() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let begin = std::time::Instant::now();
    let steps = beamline.json(&["build", "ioc-sim"]);
    let took = begin.elapsed();
    let states: Vec<&str> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["up to date"; 4], "{steps:#}");
    assert!(took.as_secs() < 10, "{took:?}");
}
