//! The whole life of an IOC on Podman: the same commands as on Docker, on an engine that differs in many answers.
//!
//! Images come from the shared engine, where they were built, but for the one layer that is built here with
//! Podman's own builder.

use crate::beamline::{Beamline, TAG, sim_image};
use crate::engine::Engine;
use crate::testbed;

/// The test bed's Podman with the images; `None` where it does not run.
fn podman() -> Option<Engine> {
    let host = testbed::part("podman.sh", "PODMAN_HOST")?;
    let shared = Engine::shared()?;
    sim_image(shared);
    let podman = Engine::at(&host);
    podman.clear_what_dead_runs_left();
    let names = [
        "localhost/debian:trixie".to_owned(),
        format!("localhost/epics-base-developer:{TAG}"),
        format!("localhost/epics-base-runtime:{TAG}"),
        format!("localhost/ioc-sim-developer:{TAG}"),
        format!("localhost/ioc-sim-runtime:{TAG}"),
    ];
    podman.copy_images(shared, &names);
    Some(podman)
}

#[test]
fn an_ioc_is_built_deployed_used_and_rolled_back_on_podman() {
    let Some(podman) = podman() else {
        return;
    };
    let beamline = Beamline::on(&podman);

    // A change of the support module is built by Podman, on what came from Docker.
    beamline.append(
        "generic-iocs/modules/simplant/README.md",
        "built by Podman\n",
    );
    let steps = beamline.json(&["build", "ioc-sim"]);
    let states: Vec<&str> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["state"].as_str().unwrap())
        .collect();
    assert_eq!(states[2..], ["built", "built"], "{steps:#}");

    let instance = beamline.add("ea-ioc-01");
    let deployed = beamline.run(&["deploy", &instance, "--yes", "--verbose"]);
    assert!(deployed.starts_with("exit code: 0\n"), "{deployed}");
    assert!(
        deployed.contains("Podman does not start"),
        "what Podman cannot do is named: {deployed}"
    );
    Beamline::put(&instance, "STAGE:SP", "33.5");
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "33.5");
    Beamline::until("healthy", || beamline.row(&instance)["health"] == "healthy");
    let before = podman.container_of(beamline.name(), &instance).id;
    beamline.succeed(&["deploy", &instance, "--yes"]);
    assert_eq!(before, podman.container_of(beamline.name(), &instance).id);

    // inside, and the IOC shell
    let setpoint = Beamline::pv(&instance, "STAGE:SP");
    let inside = beamline.succeed(&["exec", &instance, "--", "caget", "-t", &setpoint]);
    assert_eq!(inside.trim(), "33.5");
    let code = beamline.run(&["exec", &instance, "--", "sh", "-c", "exit 42"]);
    assert!(code.starts_with("exit code: 42\n"), "{code}");
    let script = beamline.root().join("script");
    std::fs::write(&script, format!("dbpf {setpoint} 12.5\n")).unwrap();
    let typed = beamline
        .command(&["attach", "--tail", "0", &instance])
        .stdin(std::fs::File::open(&script).unwrap())
        .output()
        .unwrap();
    assert!(typed.status.success(), "{}", beamline.report(&typed));
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "12.5");
    let logs = beamline.succeed(&["logs", &instance, "--tail", "50"]);
    let complete = "iocRun: All initialization complete\n";
    assert!(
        logs.contains(complete),
        "the prompt is a line of its own: {logs}"
    );

    // A crash; whether the command in the container lives to tell is a matter of luck.
    let _ended = beamline.run(&["exec", &instance, "--", "sh", "-c", "kill -9 $(pidof ioc)"]);
    Beamline::until("started again", || beamline.row(&instance)["restarts"] == 1);
    Beamline::get(&instance, "UPTIME");
    assert_eq!(beamline.row(&instance)["last_exit"], "137 (SIGKILL)");
    let previous = beamline.succeed(&["logs", &instance, "--previous", "--tail", "20"]);
    assert!(!previous.trim().is_empty());

    // stop is meant
    beamline.succeed(&["stop", &instance, "--yes"]);
    assert!(Beamline::is_silent(&instance, "UPTIME"));
    assert_eq!(beamline.row(&instance)["state"], "stopped");
    beamline.succeed(&["start", &instance, "--yes"]);
    Beamline::get(&instance, "UPTIME");

    // another version and back
    let file = beamline.file(&instance, "config/st.cmd");
    beamline.append(&file, "dbpf(\"$(IOC_PREFIX):STAGE:SP\", \"44\")\n");
    beamline.succeed(&["deploy", &instance, "--yes"]);
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "44");
    beamline.succeed(&["rollback", &instance, "--yes"]);
    assert_eq!(beamline.row(&instance)["revision"], 3);
    beamline.succeed(&["delete", &instance, "--yes"]);
    assert!(podman.containers(Some(beamline.name())).is_empty());
}
