//! Stopping, starting, restarting, deleting, and what survives.

use crate::beamline::{Beamline, TAG};
use crate::engine::{Engine, PrivateEngine};

#[test]
fn stop_is_meant_and_survives_a_deploy() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    beamline.succeed(&["stop", &instance, "--yes"]);
    assert!(Beamline::is_silent(&instance, "UPTIME"));
    let row = beamline.row(&instance);
    assert_eq!(row["state"], "stopped", "{row:#}");

    // A change that is deployed meanwhile is there after the start, not before.
    beamline.append(
        &beamline.file(&instance, "config/st.cmd"),
        "dbpf(\"$(IOC_PREFIX):STAGE:SP\", \"44\")\n",
    );
    beamline.succeed(&["deploy", &instance, "--yes"]);
    assert!(Beamline::is_silent(&instance, "UPTIME"));
    assert_eq!(beamline.row(&instance)["state"], "stopped");

    beamline.succeed(&["start", &instance, "--yes"]);
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "44");
    Beamline::until("healthy", || beamline.row(&instance)["state"] == "running");
}

#[test]
fn restart_begins_anew_and_a_crash_is_counted() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let started = |beamline: &Beamline| {
        let container = beamline.engine().container_of(beamline.name(), &instance);
        let state = container.state.unwrap();
        (state.running.unwrap_or(false), state.started_at.unwrap())
    };
    let first = started(&beamline);
    beamline.succeed(&["restart", &instance, "--yes"]);
    let second = started(&beamline);
    assert_ne!(first.1, second.1);
    Beamline::get(&instance, "UPTIME");
    assert_eq!(
        beamline.row(&instance)["restarts"],
        0,
        "a restart that was asked for is no crash"
    );

    // The process of the IOC dies inside its container: the engine starts it again.
    beamline.succeed(&["exec", &instance, "--", "sh", "-c", "kill -9 $(pidof ioc)"]);
    Beamline::until("started again", || {
        let now = started(&beamline);
        now.0 && now.1 != second.1
    });
    Beamline::get(&instance, "UPTIME");
    let row = beamline.row(&instance);
    assert_eq!(row["restarts"], 1, "{row:#}");
    // Docker itself says 0 by now
    assert_eq!(row["last_exit"], "137 (SIGKILL)", "{row:#}");
}

#[test]
fn after_a_power_failure_what_ran_runs_and_what_was_stopped_does_not() {
    let Some(private) = PrivateEngine::start("it-reboot", &[]) else {
        return;
    };
    let Some(shared) = Beamline::new() else {
        return;
    };
    let engine = Engine::at(&private.host());
    engine.copy_images(
        shared.engine(),
        &[format!("localhost/ioc-sim-runtime:{TAG}")],
    );
    let beamline = Beamline::on(&engine);
    let running = beamline.deployed("ea-ioc-01");
    let stopped = beamline.deployed("mo-ioc-01");
    beamline.succeed(&["stop", &stopped, "--yes"]);
    private.crash();
    assert!(Beamline::is_silent(&running, "UPTIME"));
    private.start_again();
    Beamline::get(&running, "UPTIME");
    let row = beamline.row(&running);
    assert_eq!(row["revision"], 1, "{row:#}");
    assert_eq!(beamline.row(&stopped)["state"], "stopped");
    assert!(Beamline::is_silent(&stopped, "UPTIME"));
    // and everything goes on from there
    beamline.succeed(&["restart", &running, "--yes"]);
    beamline.succeed(&["start", &stopped, "--yes"]);
    Beamline::get(&stopped, "UPTIME");
}

#[test]
fn saved_settings_survive_a_new_version_and_a_delete() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    Beamline::put(&instance, "STAGE:SP", "27.25");
    Beamline::until("the setpoint was saved", || {
        let saved = beamline.run(&["exec", &instance, "--", "grep", "-r", "27.25", "/autosave"]);
        saved.starts_with("exit code: 0")
    });

    beamline.append(
        &beamline.file(&instance, "config/st.cmd"),
        "# a new version\n",
    );
    beamline.succeed(&["deploy", &instance, "--yes"]);
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "27.25");

    beamline.succeed(&["delete", &instance, "--yes"]);
    assert!(Beamline::is_silent(&instance, "UPTIME"));
    assert!(
        beamline
            .engine()
            .containers(Some(beamline.name()))
            .is_empty()
    );
    let gone = beamline.refuse(&["history", &instance]);
    assert!(gone.starts_with("exit code: 4\n"), "{gone}");

    beamline.succeed(&["deploy", &instance, "--yes"]);
    assert_eq!(Beamline::get(&instance, "STAGE:SP"), "27.25");

    beamline.succeed(&["delete", &instance, "--yes", "--volumes"]);
    beamline.succeed(&["deploy", &instance, "--yes"]);
    assert_ne!(Beamline::get(&instance, "STAGE:SP"), "27.25");
}

#[test]
fn all_means_those_of_the_beamline() {
    let (Some(beamline), Some(other)) = (Beamline::new(), Beamline::new()) else {
        return;
    };
    let here = [
        beamline.deployed("ea-ioc-01"),
        beamline.deployed("mo-ioc-01"),
    ];
    let there = other.deployed("ea-ioc-01");
    beamline.succeed(&["stop", "--all", "-b", beamline.name(), "--yes"]);
    for instance in &here {
        assert_eq!(beamline.row(instance)["state"], "stopped");
    }
    Beamline::get(&there, "UPTIME");
}
