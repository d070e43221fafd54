//! What a deploy changes of the records of a real IOC, before it is done.

use crate::beamline::Beamline;

const OWN: &str =
    "record(ai, \"$(P)OWN\") { field(DESC, \"a sensor\") field(HIHI, \"$(H=80)\") }\n";

#[test]
fn records_are_part_of_every_plan() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    let script = beamline.file(&instance, "config/st.cmd");
    let database = beamline.file(&instance, "config/own.db");
    // of a first deploy everything is new: nothing is compared
    let first = beamline.run(&["deploy", &instance, "--dry-run"]);
    assert!(!first.contains("records"), "{first}");
    beamline.succeed(&["deploy", &instance, "--yes"]);

    beamline.write(&database, OWN);
    let load = "\ndbLoadRecords(\"own.db\", \"P=$(IOC_PREFIX):\")\niocInit";
    beamline.replace(&script, "\niocInit", load);
    let planned = beamline.run(&["deploy", &instance, "--dry-run"]);
    let expected = "  records: 1 added\n    + record ai BEAMLINE-EA-IOC-01:OWN  \"a sensor\"\n";
    assert!(planned.contains(expected), "{planned}");
    let planned = beamline.run(&["deploy", &instance, "--yes"]);
    assert!(planned.contains("1 added"), "{planned}");

    beamline.replace(&database, "H=80", "H=90");
    let planned = beamline.json(&["deploy", &instance, "--dry-run"]);
    let records = &planned[0]["records"];
    assert_eq!(
        records["not_compared"],
        serde_json::json!([]),
        "{records:#}"
    );
    let name = Beamline::pv(&instance, "OWN");
    assert_eq!(
        records["changes"],
        serde_json::json!([{
            "name": name, "record_type": "ai", "nature": "changed",
            "fields": [{"field": "HIHI", "before": "80", "after": "90"}],
        }]),
        "{records:#}"
    );
    // without an engine: what the configuration itself holds, and a word on the rest
    let mut command = beamline.command(&["diff", &instance]);
    let output = command
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        .output()
        .unwrap();
    let alone = beamline.report(&output);
    assert!(alone.contains("OWN  HIHI 80 -> 90"), "{alone}");
    assert!(
        alone.contains("records not compared: those of `simplantIoc.db`, `simplantStage.db`"),
        "{alone}"
    );

    // what does not parse stands by its lines, and a plan is made all the same
    beamline.append(&database, "record(ai, \"X\" {\n");
    let broken = beamline.run(&["diff", &instance]);
    assert!(broken.starts_with("exit code: 0\n"), "{broken}");
    assert!(
        broken.contains("`own.db` does not parse, line 2"),
        "{broken}"
    );
    assert!(!broken.contains("record ai BEAMLINE"), "{broken}");

    let back = beamline.run(&["rollback", &instance, "1", "--yes"]);
    assert!(
        back.contains("- record ai BEAMLINE-EA-IOC-01:OWN"),
        "{back}"
    );
}
