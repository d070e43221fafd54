//! Deploying versions on a real container engine: what runs, and what the records say about it.

use super::GitRepository;
use crate::beamline::Beamline;

#[test]
fn a_whole_beamline_at_a_tag_and_what_its_records_say() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let stage = beamline.add("ea-ioc-01");
    let other = beamline.add("ea-ioc-02");
    let motor = beamline.add("mo-ioc-01");
    let repository = GitRepository::new(beamline.project());
    repository.release("2026.1.1");
    beamline.replace(
        &beamline.file(&stage, "config/st.cmd"),
        "iocInit",
        "# second\niocInit",
    );
    repository.release("2026.2.1");
    beamline.replace(
        &beamline.file(&stage, "config/st.cmd"),
        "# second",
        "# not committed",
    );

    let all = [
        "deploy",
        "--all",
        "-b",
        beamline.name(),
        "--yes",
        "--parallel",
        "3",
    ];
    let done = beamline.json(&[&all[..], &["--version", "2026.1.1", "-m", "first light"]].concat());
    let outcomes: Vec<&str> = done
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["deployed"; 3], "{done:#}");
    for instance in [&stage, &other, &motor] {
        let uptime: f64 = Beamline::get(instance, "UPTIME").parse().unwrap();
        assert!((0.0..120.0).contains(&uptime), "{uptime}");
        assert_eq!(beamline.row(instance)["version"], "2026.1.1");
        let history = beamline.json(&["history", instance]);
        assert_eq!(history[0]["app_version"], "2026.1.1");
        assert_eq!(history[0]["description"], "first light");
        assert!(
            history[0]["user"].as_str().unwrap().starts_with("tester@"),
            "{history:#}"
        );
    }
    // only what differs between the tags is restarted, and a commit alone makes no difference
    let done = beamline.json(&[&all[..], &["--version", "2026.2.1"]].concat());
    let outcomes: Vec<&str> = done
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["deployed", "unchanged", "unchanged"], "{done:#}");
    let command = [
        "exec",
        &stage,
        "--",
        "grep",
        "-c",
        "^# second$",
        "/epics/ioc/config/st.cmd",
    ];
    assert_eq!(beamline.succeed(&command).trim(), "1");

    // the tag moves: that is said
    repository.git(&["stash", "--quiet"]);
    beamline.replace(
        &beamline.file(&stage, "config/st.cmd"),
        "# second",
        "# third",
    );
    repository.commit();
    repository.git(&["tag", "--force", "2026.2.1"]);
    let report = beamline.run(&[
        "deploy",
        &stage,
        "--version",
        "2026.2.1",
        "--yes",
        "--no-wait",
    ]);
    assert!(report.starts_with("exit code: 0"), "{report}");
    assert!(
        report.contains("`2026.2.1` has moved since it was deployed"),
        "{report}"
    );
}

#[test]
fn an_ioc_that_does_not_come_up_is_reported_and_the_others_are_deployed_with_keep_going() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let bad = beamline.add("ea-ioc-01");
    let good = beamline.add("ea-ioc-02");
    beamline.write(&beamline.file(&bad, "config/st.cmd"), "exit 3\n");
    GitRepository::new(beamline.project()).release("1.0.0");
    let mut command = beamline.command(&[
        "deploy",
        "--all",
        "-b",
        beamline.name(),
        "--yes",
        "--version",
        "1.0.0",
        "--parallel",
        "1",
        "--keep-going",
        "--timeout",
        "20s",
        "-o",
        "json",
    ]);
    let output = command.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(9),
        "{}",
        beamline.report(&output)
    );
    let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done[0]["outcome"], "failed", "{done:#}");
    assert!(
        done[0]["error"].as_str().unwrap().contains(&bad),
        "{done:#}"
    );
    assert_eq!(
        (&done[1]["instance"], &done[1]["outcome"]),
        (&good.clone().into(), &"deployed".into())
    );
}
