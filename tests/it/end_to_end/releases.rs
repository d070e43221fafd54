//! Revisions: upgrading, going back, and what an IOC that does not start leads to.

use crate::beamline::Beamline;

/// Changes the upper alarm limit in the start-up script.
fn set_high(beamline: &Beamline, instance: &str, high: &str) {
    let file = beamline.file(instance, "config/st.cmd");
    let text = std::fs::read_to_string(beamline.project().join(&file)).unwrap();
    let changed: String = text
        .lines()
        .map(|line| {
            if line.contains("simplantStage.db") {
                format!(
                    "dbLoadRecords(\"simplantStage.db\", \"P=$(IOC_PREFIX):,R=STAGE:,PORT=STAGE,HIGH={high}\")\n"
                )
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    assert_ne!(text, changed);
    beamline.write(&file, changed);
}

#[test]
fn an_upgrade_is_shown_deployed_and_rolled_back() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    set_high(&beamline, &instance, "60");
    beamline.succeed(&["deploy", &instance, "--yes", "--message", "first"]);
    assert_eq!(Beamline::get(&instance, "STAGE:TEMP.HIGH"), "60");
    let same = beamline.run(&["diff", &instance, "--exit-code"]);
    assert!(same.starts_with("exit code: 0\n"), "{same}");

    set_high(&beamline, &instance, "61.5");
    let diff = beamline.run(&["diff", &instance, "--exit-code"]);
    assert!(diff.starts_with("exit code: 1\n"), "{diff}");
    assert!(
        diff.contains("HIGH=60") && diff.contains("HIGH=61.5"),
        "{diff}"
    );
    // and what it means, with the database of the image
    let record = "~ record ai BEAMLINE-EA-IOC-01:STAGE:TEMP  HIGH 60 -> 61.5";
    assert!(diff.contains(record), "{diff}");
    // looking changed nothing
    assert_eq!(Beamline::get(&instance, "STAGE:TEMP.HIGH"), "60");

    beamline.succeed(&[
        "deploy",
        &instance,
        "--yes",
        "--message",
        "limit for the furnace",
    ]);
    assert_eq!(Beamline::get(&instance, "STAGE:TEMP.HIGH"), "61.5");
    let history = beamline.succeed(&["history", &instance]);
    assert!(history.contains("limit for the furnace"), "{history}");

    beamline.succeed(&["rollback", &instance, "--yes"]);
    assert_eq!(Beamline::get(&instance, "STAGE:TEMP.HIGH"), "60");
    let history = beamline.json(&["history", &instance]);
    let revisions: Vec<(u64, &str)> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["revision"].as_u64().unwrap(),
                row["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        revisions,
        [(1, "superseded"), (2, "superseded"), (3, "deployed")],
        "{history:#}"
    );

    // forward again, by number
    beamline.succeed(&["rollback", &instance, "2", "--yes"]);
    assert_eq!(Beamline::get(&instance, "STAGE:TEMP.HIGH"), "61.5");
}

#[test]
fn a_rollback_needs_neither_repository_nor_project() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    set_high(&beamline, &instance, "60");
    beamline.succeed(&["deploy", &instance, "--yes"]);
    set_high(&beamline, &instance, "70");
    beamline.succeed(&["deploy", &instance, "--yes"]);
    let services = format!("beamlines/{}/services", beamline.name());
    std::fs::remove_dir_all(beamline.project().join(services)).unwrap();
    beamline.succeed(&["rollback", &instance, "--yes"]);
    assert_eq!(Beamline::get(&instance, "STAGE:TEMP.HIGH"), "60");
}

#[test]
fn an_ioc_that_ends_again_and_again_is_shown_with_its_last_lines() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    let file = beamline.file(&instance, "config/st.cmd");
    beamline.replace(&file, "iocInit\n", "echo no beam today\nexit 3\n");
    let report = beamline.run(&["deploy", &instance, "--yes", "--timeout", "20s"]);
    assert!(report.starts_with("exit code: 9\n"), "{report}");
    assert!(report.contains("no beam today"), "{report}");
    assert!(report.contains(&"ioc logs".to_owned()), "{report}");
    let row = beamline.row(&instance);
    assert_ne!(row["health"], "healthy", "{row:#}");
}

#[test]
fn atomic_goes_back_by_itself() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    set_high(&beamline, &instance, "60");
    beamline.succeed(&["deploy", &instance, "--yes"]);
    let file = beamline.file(&instance, "config/st.cmd");
    beamline.replace(&file, "iocInit\n", "exit 3\n");
    let report = beamline.run(&["deploy", &instance, "--yes", "--atomic", "--timeout", "10s"]);
    assert!(report.starts_with("exit code: 9\n"), "{report}");
    assert_eq!(Beamline::get(&instance, "STAGE:TEMP.HIGH"), "60");
    let history = beamline.json(&["history", &instance]);
    let statuses: Vec<&str> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["superseded", "failed", "deployed"],
        "{history:#}"
    );
}

#[test]
fn atomic_leaves_nothing_of_a_first_deploy_that_failed() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    let file = beamline.file(&instance, "config/st.cmd");
    beamline.replace(&file, "iocInit\n", "exit 3\n");
    let report = beamline.run(&["deploy", &instance, "--yes", "--atomic", "--timeout", "10s"]);
    assert!(report.starts_with("exit code: 9\n"), "{report}");
    assert!(
        beamline
            .engine()
            .containers(Some(beamline.name()))
            .is_empty()
    );
}
