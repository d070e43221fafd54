//! Parts of the cluster that break: the API server while `ioc` changes something. This happens to a cluster of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::cluster::PrivateCluster;
use super::site::{Site, states};

#[test]
fn an_api_server_that_restarts_in_the_middle_of_a_deploy() {
    let Some(private) = PrivateCluster::start("it-api") else {
        return;
    };
    let Some(site) = Site::on(private.cluster()) else {
        return;
    };
    let instance = site.add("ea-ioc-01");
    let begin = Instant::now();
    site.succeed(&["deploy", &instance, "--yes"]);
    let whole = begin.elapsed();

    let rounds = if std::env::var_os("IOC_SOAK").is_some() {
        12
    } else {
        3
    };
    for round in 1..=rounds {
        let note = format!("round {round}");
        site.write(&site.file(&instance, "config/note.txt"), &note);
        let child = site
            .command(&["deploy", &instance, "--yes", "--timeout", "2m"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // No event tells how far a command is; the moments are spread over the time that it takes.
        std::thread::sleep(whole * round / (rounds + 1));
        private.kill("apiserver");
        private.repair();
        let output = child.wait_with_output().unwrap();
        let report = format!("{note}: {}", site.report(&output));
        assert!(output.status.success(), "{report}");
        let manifest = site.helm(&["get", "manifest", &instance]);
        assert!(manifest.contains(&note), "{report}\n{manifest}");
        let status = site.helm(&["status", &instance, "-o", "json"]);
        assert!(
            status.contains("\"status\":\"deployed\""),
            "{report}\n{status}"
        );
        assert!(site.is_ready(&instance), "{report}");
    }
}

/// What `-v` prints begins so where a step begins that asks something of the API server.
const STEPS: [&str; 5] = [
    "recording ",
    "applying ",
    "removing ",
    "restarting ",
    "waiting",
];

/// Runs a command and lets the API server be away, and come back, when its step number `at` begins. Whether it had so many
/// steps, and what it said.
fn broken_at(
    private: &PrivateCluster,
    site: &Site,
    at: usize,
    arguments: &[&str],
) -> (bool, String) {
    let mut child = site
        .command(&[&["-v"], arguments].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let (mut said, mut line, mut steps) = (String::new(), String::new(), 0);
    while steps < at && lines.read_line(&mut line).unwrap() > 0 {
        steps += usize::from(STEPS.iter().any(|step| line.starts_with(step)));
        said.push_str(&line);
        line.clear();
    }
    let is_under_way = steps == at;
    if is_under_way {
        // it stands still in its step until the server is away
        signal(&child, Signal::STOP);
        private.kill("apiserver");
        // begun anew, they do not wait longer after each time that they have lost it
        private.kill("controllers");
        private.kill("scheduler");
        signal(&child, Signal::CONT);
        private.repair();
    }
    lines.read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert!(
        status.success(),
        "{arguments:?} at step {at}: {status}\n{said}"
    );
    (is_under_way, said)
}

fn signal(child: &Child, signal: Signal) {
    // it may have ended in the meantime
    let _ended = kill_process(Pid::from_child(child), signal);
}

#[test]
fn an_api_server_that_restarts_in_any_step_of_any_verb() {
    let Some(private) = PrivateCluster::start("it-step") else {
        return;
    };
    let Some(site) = Site::on(private.cluster()) else {
        return;
    };
    let instance = &site.add("ea-ioc-01");
    // each with what has to be done before, and one of its steps for `make test`
    let verbs: [(&[&str], &[&str], usize); 7] = [
        (
            &["deploy", instance, "--set", "global.location=hall"],
            &["deploy", instance],
            4,
        ),
        (
            &["rollback", instance],
            &["deploy", instance, "--set", "global.location=new"],
            1,
        ),
        (&["stop", instance], &["start", instance], 2),
        (&["start", instance], &["stop", instance], 5),
        (&["restart", instance], &["start", instance], 1),
        (
            &["move", instance, "node-2"],
            &["move", instance, "node-1"],
            3,
        ),
        (&["delete", instance], &["start", instance], 3),
    ];
    let is_soak = std::env::var_os("IOC_SOAK").is_some();
    for (verb, before, usual) in verbs {
        let steps: Vec<usize> = if is_soak {
            (1..100).collect()
        } else {
            (1..=usual).rev().collect()
        };
        let mut was_ever_under_way = false;
        for at in steps {
            if site.has_no("secrets") {
                site.succeed(&["deploy", instance, "--yes"]);
            }
            site.succeed(&[before, &["--yes"]].concat());
            let arguments = [verb, &["--yes", "--timeout", "2m"]].concat();
            let (was_under_way, said) = broken_at(&private, &site, at, &arguments);
            let told = format!("{verb:?} at step {at}:\n{said}");
            if verb[0] == "delete" {
                assert!(
                    site.has_no("statefulsets") && site.has_no("secrets"),
                    "{told}"
                );
            } else {
                let states = states(&site, instance);
                assert_eq!(states.last().unwrap(), "deployed", "{told}");
                let is_stopped = verb[0] == "stop";
                assert_eq!(site.is_ready(instance), !is_stopped, "{told}");
            }
            was_ever_under_way |= was_under_way;
            // how often something is waited for depends on the machine: with fewer steps an earlier one is taken
            if was_under_way != is_soak {
                break;
            }
        }
        assert!(was_ever_under_way, "{verb:?}");
    }
}
