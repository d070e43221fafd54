//! Saved settings of a real IOC: listing, copying, going back.

use serde_json::Value;

use crate::beamline::Beamline;

const FILE: &str = "simplantStage_settings.sav";

/// Writes the setpoint, and waits until the IOC has saved it.
fn saved(beamline: &Beamline, instance: &str, value: &str) {
    Beamline::put(instance, "STAGE:SP", value);
    Beamline::until("the setpoint was saved", || {
        setpoint(beamline, instance, FILE) == value
    });
}

/// The setpoint in a file of saved settings.
fn setpoint(beamline: &Beamline, instance: &str, file: &str) -> String {
    let shown = beamline.json(&["autosave", "show", instance, file]);
    let name = Beamline::pv(instance, "STAGE:SP");
    let values = shown["values"].as_array().unwrap();
    let found = values.iter().find(|one| one["pv"] == name.as_str());
    let value = found.map_or(Value::Null, |one| one["value"].clone());
    value.as_str().unwrap_or_default().to_owned()
}

fn listed(beamline: &Beamline, instance: &str) -> Vec<Value> {
    let files = beamline.json(&["autosave", "ls", instance]);
    files.as_array().unwrap().clone()
}

#[test]
fn settings_are_listed_copied_and_restored() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    saved(&beamline, &instance, "27.25");
    let files = listed(&beamline, &instance);
    let [file] = files.as_slice() else {
        panic!("not one file: {files:#?}");
    };
    assert_eq!(file["file"], FILE);
    assert_eq!(file["complete"], true, "{file:#}");
    assert!(file["pvs"].as_u64().unwrap() > 1, "{file:#}");
    let table = beamline.succeed(&["autosave", "ls", &instance]);
    assert!(table.contains(FILE) && table.contains("yes"), "{table}");

    beamline.succeed(&["autosave", "copy", &instance, "backup"]);
    let copy = beamline.project().join("backup").join(FILE);
    let text = std::fs::read_to_string(&copy).unwrap();
    assert!(text.contains("27.25"), "{text}");
    let again = beamline.refuse(&["autosave", "copy", &format!("{instance}:{FILE}"), "backup/"]);
    assert!(
        again.starts_with("exit code: 5\n") && again.contains("--force"),
        "{again}"
    );

    saved(&beamline, &instance, "30.5");
    let from = format!("backup/{FILE}");
    let restore = ["autosave", "restore", &instance, "--from", &from];
    // an IOC that runs would write over it
    let runs = beamline.refuse(&restore);
    assert!(
        runs.starts_with("exit code: 5\n") && runs.contains("--restart"),
        "{runs}"
    );
    let planned = beamline.succeed(&[restore.as_slice(), &["--restart", "--dry-run"]].concat());
    assert!(planned.contains("30.5 -> 27.25"), "{planned}");
    // nobody can be asked here
    let unasked = beamline.refuse(&[restore.as_slice(), &["--restart"]].concat());
    assert!(unasked.contains("--yes"), "{unasked}");
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "30.5");
    assert_eq!(listed(&beamline, &instance).len(), 1);

    beamline.succeed(&[restore.as_slice(), &["--restart", "--yes"]].concat());
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "27.25");
    assert_eq!(beamline.row(&instance)["state"], "running");

    // what was there is kept, and can be gone back to
    let files = listed(&beamline, &instance);
    let kept = files.iter().find(|file| file["file"] != FILE).unwrap();
    assert_eq!(kept["restored_as"], FILE, "{kept:#}");
    let kept = kept["file"].as_str().unwrap().to_owned();
    assert_eq!(setpoint(&beamline, &instance, &kept), "30.5");
    beamline.succeed(&["stop", &instance, "--yes"]);
    assert_eq!(listed(&beamline, &instance).len(), 2);
    beamline.succeed(&["autosave", "restore", &instance, &kept, "--yes"]);
    assert_eq!(beamline.row(&instance)["state"], "stopped");
    beamline.succeed(&["start", &instance, "--yes"]);
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "30.5");
}

#[test]
fn what_an_ioc_would_not_restore_is_refused() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    saved(&beamline, &instance, "27.25");
    beamline.succeed(&["stop", &instance, "--yes"]);
    beamline.write("half.sav", "A 1\nB 2");
    beamline.write("other.txt", "A 1\n<END>\n");
    for (arguments, code, expected) in [
        (vec!["--from", "half.sav"], 3, "was not written to its end"),
        (
            vec!["--from", "other.txt"],
            2,
            "is not named as saved settings are",
        ),
        (vec!["../x.sav"], 2, "is not the name of a file"),
        (vec![FILE], 2, "restores anyway"),
        (vec!["none.savB"], 4, "ioc autosave ls"),
    ] {
        let all = [
            &["autosave", "restore", &instance, "--yes"],
            arguments.as_slice(),
        ]
        .concat();
        let refused = beamline.refuse(&all);
        assert!(
            refused.starts_with(&format!("exit code: {code}\n")),
            "{refused}"
        );
        assert!(refused.contains(expected), "{refused}");
    }
    assert_eq!(setpoint(&beamline, &instance, FILE), "27.25");
    assert_eq!(listed(&beamline, &instance).len(), 1);
    let missing = beamline.refuse(&["autosave", "show", &instance, "none.sav"]);
    assert!(missing.starts_with("exit code: 4\n"), "{missing}");
    let elsewhere = beamline.refuse(&["autosave", "ls", &instance, "--folder", "/nowhere"]);
    assert!(
        elsewhere.contains("mounts nothing at `/nowhere`"),
        "{elsewhere}"
    );
}
