//! Deploying: what runs afterwards, and what operators see of it.

use crate::beamline::Beamline;

#[test]
fn three_instances_answer_channel_access() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let stage = beamline.add("ea-ioc-01");
    let motor = beamline.add("mo-ioc-01");
    let other = beamline.add("ea-ioc-02");
    beamline.succeed(&["deploy", "--all", "-b", beamline.name(), "--yes"]);

    for instance in [&stage, &motor, &other] {
        let uptime: f64 = Beamline::get(instance, "UPTIME").parse().unwrap();
        assert!((0.0..120.0).contains(&uptime), "{uptime}");
        Beamline::until("healthy", || beamline.row(instance)["state"] == "running");
    }
    // The value that a program inside the container reads is the one that this machine reads.
    Beamline::put(&stage, "STAGE:SP", "33.5");
    assert_eq!(Beamline::get(&stage, "STAGE:SP"), "33.5");
    let setpoint = Beamline::pv(&stage, "STAGE:SP");
    let inside = beamline.succeed(&["exec", &other, "--", "caget", "-t", &setpoint]);
    assert_eq!(inside.trim(), "33.5");
}

#[test]
fn a_second_deploy_has_nothing_to_do_and_restarts_nothing() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let before = beamline.engine().container_of(beamline.name(), &instance);
    beamline.succeed(&["deploy", &instance, "--yes"]);
    let after = beamline.engine().container_of(beamline.name(), &instance);
    assert_eq!(before.id, after.id);
    assert_eq!(
        before.state.unwrap().started_at,
        after.state.unwrap().started_at
    );
    let history = beamline.json(&["history", &instance]);
    assert_eq!(history.as_array().unwrap().len(), 1, "{history:#}");
}

#[test]
fn exec_ends_with_the_code_of_its_command_and_passes_its_input() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let run = beamline.run(&[
        "exec",
        &instance,
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 42",
    ]);
    assert_eq!(
        run,
        "exit code: 42\n----- stdout -----\nout\n----- stderr -----\nerr\n"
    );
    let mut command = beamline.command(&["exec", &instance, "--", "tr", "a-z", "A-Z"]);
    let input = beamline.root().join("input");
    std::fs::write(&input, "motor in position\n").unwrap();
    let output = command
        .stdin(std::fs::File::open(&input).unwrap())
        .output()
        .unwrap();
    assert_eq!(
        beamline.report(&output),
        "exit code: 0\n----- stdout -----\nMOTOR IN POSITION\n"
    );
}

#[test]
fn without_a_yes_nothing_is_deployed() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    // Not on a terminal there is nobody to ask.
    let refused = beamline.refuse(&["deploy", &instance]);
    assert!(refused.starts_with("exit code: 2\n"), "{refused}");
    assert!(refused.contains("--yes"), "{refused}");
    // On a terminal the answer counts.
    let mut terminal = crate::terminal::Terminal::run(&beamline.command(&["deploy", &instance]));
    terminal.expect("[y/N]");
    terminal.press("n\r");
    let (status, last) = terminal.end();
    assert_eq!(status.code(), Some(130), "{last}");
    assert!(
        beamline
            .engine()
            .containers(Some(beamline.name()))
            .is_empty()
    );

    let mut terminal = crate::terminal::Terminal::run(&beamline.command(&["deploy", &instance]));
    terminal.expect("[y/N]");
    terminal.press("y\r");
    let (status, last) = terminal.end();
    assert_eq!(status.code(), Some(0), "{last}");
    Beamline::get(&instance, "UPTIME");
}

#[test]
fn a_dry_run_deploys_nothing() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    beamline.succeed(&["deploy", &instance, "--dry-run"]);
    assert!(
        beamline
            .engine()
            .containers(Some(beamline.name()))
            .is_empty()
    );
    assert!(Beamline::is_silent(&instance, "UPTIME"));
}
