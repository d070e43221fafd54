//! What goes wrong around a deploy: engine, image, disk, ports, other people, impatience.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::beamline::Beamline;
use crate::engine::{Engine, PrivateEngine};
use crate::testbed;

#[test]
fn an_engine_that_was_stopped() {
    let Some(private) = PrivateEngine::start("it-stopped", &[]) else {
        return;
    };
    let beamline = Beamline::on(&Engine::at(&private.host()));
    let instance = beamline.add("ea-ioc-01");
    private.stop();
    for arguments in [
        &["ps"][..],
        &["deploy", &instance, "--yes"],
        &["logs", &instance],
        &["stop", &instance, "--yes"],
    ] {
        let report = beamline.refuse(arguments);
        assert!(
            report.starts_with("exit code: 6\n"),
            "{arguments:?}: {report}"
        );
        assert!(
            report.contains("start the engine"),
            "{arguments:?}: {report}"
        );
    }
    private.start_again();
}

#[test]
fn an_image_that_is_missing() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    beamline.replace(
        &beamline.file(&instance, "values.yaml"),
        "ioc-sim-runtime",
        "ioc-never-built",
    );
    insta::assert_snapshot!(beamline.refuse(&["deploy", &instance, "--yes"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no image `localhost/ioc-never-built:it` on this machine
    hint: build it: `ioc build ioc-never-built`
    ");
}

/// A small file system in place of a folder.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(folder: &std::path::Path, size: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            testbed::not_checked("a full disk, which only root can mount");
            return None;
        }
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "ioc-it"])
            .arg(folder)
            .status()
            .unwrap();
        assert!(mounted.success());
        Some(Self(folder.to_owned()))
    }

    /// Fills it to the last byte.
    fn fill(&self) -> std::path::PathBuf {
        let file = self.0.join("filler");
        let mut filler = std::fs::File::create(&file).unwrap();
        while filler.write_all(&[0; 512]).is_ok() {}
        file
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_disk_that_is_full() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let Some(disk) = SmallDisk::mount(&beamline.state(), "1m") else {
        return;
    };
    let instance = beamline.deployed("ea-ioc-01");
    let filler = disk.fill();
    let file = beamline.file(&instance, "config/st.cmd");
    beamline.replace(
        &file,
        "\niocInit\n",
        "\niocInit\nepicsEnvSet(\"NEW\", \"1\")\n",
    );
    let report = beamline.run(&["deploy", &instance, "--yes"]);
    assert!(report.starts_with("exit code: 11\n"), "{report}");
    assert!(report.contains("No space left on device"), "{report}");
    // The IOC goes on as it was, and with space again so does everything else.
    Beamline::get(&instance, "UPTIME");
    assert_eq!(beamline.row(&instance)["revision"], 1);
    std::fs::remove_file(filler).unwrap();
    beamline.succeed(&["deploy", &instance, "--yes"]);
    assert_eq!(beamline.row(&instance)["revision"], 2);
    beamline.succeed(&["delete", &instance, "--yes"]);
    drop(disk);
}

#[test]
fn two_deploys_at_once() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    // An IOC that takes its time keeps the first deploy waiting.
    let file = beamline.file(&instance, "config/st.cmd");
    beamline.replace(&file, "iocInit\n", "epicsThreadSleep 8\niocInit\n");
    let first = beamline
        .command(&["deploy", &instance, "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Beamline::until("the first deploy made a container", || {
        !beamline
            .engine()
            .containers(Some(beamline.name()))
            .is_empty()
    });
    let second = beamline.run(&["deploy", &instance, "--yes"]);
    assert!(second.starts_with("exit code: 5\n"), "{second}");
    assert!(second.contains("tester@"), "who has it: {second}");
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{}", beamline.report(&first));
    Beamline::get(&instance, "UPTIME");
}

#[test]
fn ctrl_c_while_waiting() {
    let Some(beamline) = Beamline::new() else {
        return;
    };
    let instance = beamline.add("ea-ioc-01");
    let file = beamline.file(&instance, "config/st.cmd");
    beamline.replace(&file, "iocInit\n", "epicsThreadSleep 6\niocInit\n");
    let deploy = beamline
        .command(&["deploy", &instance, "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Beamline::until("the container runs", || {
        beamline
            .engine()
            .containers(Some(beamline.name()))
            .iter()
            .any(|container| {
                container.state == Some(bollard::models::ContainerSummaryStateEnum::RUNNING)
            })
    });
    let id = rustix::process::Pid::from_child(&deploy);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let output = deploy.wait_with_output().unwrap();
    let report = beamline.report(&output);
    assert!(report.starts_with("exit code: 130\n"), "{report}");
    // The next command knows where it stands, and a deploy goes on.
    beamline.succeed(&["ps"]);
    beamline.succeed(&["deploy", &instance, "--yes"]);
    Beamline::get(&instance, "UPTIME");
    let history = beamline.json(&["history", &instance]);
    let last = history.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["status"], "deployed", "{history:#}");
}
