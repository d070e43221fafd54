//! SIGKILL of `ioc` after every change that a command makes in the cluster, and what the next command makes of it; what a
//! killed `helm` leaves.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::cluster::Cluster;
use super::proxy::{Act, Fault, Proxy};
use super::site::{Site, states};

/// Runs a command and kills it when its change number `at` is made, before it gets the answer; whether it ended by itself.
pub(super) fn ends_before(site: &Site, at: usize, arguments: &[&str]) -> bool {
    let victim: Arc<Mutex<Option<Child>>> = Arc::default();
    let killed = Arc::clone(&victim);
    let kill = Act::new(move || killed.lock().unwrap().as_mut().unwrap().kill().unwrap());
    let mut changes = 0;
    let proxy = Proxy::start(site.cluster(), move |request| {
        changes += usize::from(request.is_change());
        (request.is_change() && changes == at).then(|| Fault::LostAnswerAfter(kill.clone()))
    });
    let mut held = victim.lock().unwrap();
    let child = site
        .command(arguments)
        .env("KUBECONFIG", proxy.kubeconfig(site.root()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    *held = Some(child);
    drop(held);
    loop {
        let mut held = victim.lock().unwrap();
        if let Some(status) = held.as_mut().unwrap().try_wait().unwrap() {
            return status.code().is_some();
        }
        drop(held);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn check(site: &Site, instance: &str, location: &str) {
    let states = states(site, instance);
    // Helm's limit, and ours
    assert!(states.len() <= 10, "{states:?}");
    let deployed = states.iter().filter(|state| *state == "deployed").count();
    assert_eq!(deployed, 1, "{states:?}");
    assert_eq!(states.last().unwrap(), "deployed", "{states:?}");
    assert!(
        !states.iter().any(|state| state.starts_with("pending")),
        "{states:?}"
    );
    let set = site.object(&format!("statefulset/{instance}"));
    assert_eq!(set["metadata"]["labels"]["location"], location);
}

/// Kills a deploy after each of its changes from `first` on, and lets the next command repair it.
fn sweep(step: usize) {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    let mut ends = 0;
    for kill_at in (1..).step_by(step) {
        let location = format!("hall-{kill_at}");
        let set = format!("global.location={location}");
        let arguments = ["deploy", &instance, "--yes", "--no-wait", "--set", &set];
        if ends_before(&site, kill_at, &arguments) {
            ends = kill_at;
            check(&site, &instance, &location);
            break;
        }
        // the very same again, or something else
        if kill_at % 4 == 1 {
            site.succeed(&arguments);
            check(&site, &instance, &location);
        } else {
            site.succeed(&[
                "deploy",
                &instance,
                "--yes",
                "--no-wait",
                "--set",
                "global.location=other",
            ]);
            check(&site, &instance, "other");
        }
    }
    // the record, three objects, the record again, the one before
    assert!(ends >= 6, "only {ends} changes");
    let mut kill_at = 1;
    while !ends_before(&site, kill_at, &["delete", &instance, "--yes", "--no-wait"]) {
        let left = site.object("secrets")["items"].as_array().unwrap().len();
        let report = site.run(&["delete", &instance, "--yes", "--no-wait"]);
        let is_gone =
            report.contains("exit code: 0") || (left == 0 && report.contains("exit code: 4"));
        assert!(is_gone, "{report}");
        site.succeed(&[
            "deploy",
            &instance,
            "--yes",
            "--no-wait",
            "--take-ownership",
        ]);
        kill_at += 2 * step;
    }
    assert!(site.has_no("statefulsets"));
}

/// Every change, or a handful of them.
fn step() -> usize {
    if std::env::var_os("IOC_SOAK").is_some() {
        1
    } else {
        2
    }
}

#[test]
fn a_deploy_and_a_delete_that_are_killed_after_any_change_are_repaired() {
    sweep(step());
}

#[test]
fn a_rollback_a_stop_and_a_start_that_are_killed_after_any_change_are_repaired() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    let deploy = |location: &str| {
        let set = format!("global.location={location}");
        site.succeed(&["deploy", &instance, "--yes", "--no-wait", "--set", &set]);
    };
    // gives how often the command could be killed
    let sweep = |before: &dyn Fn() -> Vec<String>, after: &dyn Fn(&str)| {
        for kill_at in (1..).step_by(step()) {
            let arguments = before();
            let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            arguments.extend(["--yes", "--no-wait"]);
            let is_whole = ends_before(&site, kill_at, &arguments);
            if !is_whole {
                site.succeed(&arguments);
            }
            after(&format!("{arguments:?} killed at {kill_at}: {is_whole}"));
            if is_whole {
                return kill_at - 1;
            }
        }
        0
    };
    let rolled_back = sweep(
        &|| {
            deploy("hall-1");
            deploy("hall-2");
            let history = site.json(&["history", &instance]);
            let last = history.as_array().unwrap().len() - 2;
            let to = history[last]["revision"].to_string();
            vec!["rollback".to_owned(), instance.clone(), to]
        },
        &|_| check(&site, &instance, "hall-1"),
    );
    let replicas = |wanted: u64| {
        move |site: &Site, instance: &str, told: &str| {
            check(site, instance, "hall-1");
            let set = site.object(&format!("statefulset/{instance}"));
            assert_eq!(set["spec"]["replicas"], wanted, "{told}");
            let manifest = site.helm(&["get", "manifest", instance]);
            assert!(manifest.contains(&format!("replicas: {wanted}")), "{told}");
        }
    };
    let stopped = sweep(
        &|| {
            site.succeed(&["start", &instance, "--yes", "--no-wait"]);
            vec!["stop".to_owned(), instance.clone()]
        },
        &|told| replicas(0)(&site, &instance, told),
    );
    let started = sweep(
        &|| {
            site.succeed(&["stop", &instance, "--yes", "--no-wait"]);
            vec!["start".to_owned(), instance.clone()]
        },
        &|told| replicas(1)(&site, &instance, told),
    );
    // each makes the record, applies three objects, and writes two records again
    for count in [rolled_back, stopped, started] {
        assert!(count >= 5, "{rolled_back} {stopped} {started}");
    }
}

#[test]
fn what_a_killed_helm_leaves_is_repaired_when_it_is_old_or_asked_for() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    // there is no image on the nodes by that name: helm waits until it is killed
    let mut helm: Command = site.helm_upgrade(
        &instance,
        &["--set", "ioc-instance.image=localhost/absent:1", "--wait"],
    );
    let mut helm = helm
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    site.until("helm waits", || {
        states(&site, &instance)
            .last()
            .is_some_and(|state| state == "pending-upgrade")
    });
    let report = site.refuse(&["deploy", &instance, "--yes", "--no-wait"]);
    assert!(
        report.contains("exit code: 5")
            && report.contains("`helm` or another tool")
            && report.contains("--repair"),
        "{report}"
    );
    helm.kill().unwrap();
    helm.wait().unwrap();
    let report = site.run(&["deploy", &instance, "--yes", "--no-wait", "--repair"]);
    assert!(
        report.contains("was left pending-upgrade") && report.contains("counts as failed"),
        "{report}"
    );
    assert_eq!(
        states(&site, &instance),
        ["superseded", "failed", "deployed"]
    );
}

#[test]
fn requests_and_answers_that_get_lost_are_asked_for_again() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    // every request is lost once in one of the rounds, and every answer
    for (round, lose_every) in [4, 3, 5].into_iter().enumerate() {
        let mut requests = 0;
        let proxy = Proxy::start(cluster, move |_| {
            let number = requests;
            requests += 1;
            match number % lose_every {
                // the first one tells whether there is a cluster at all
                _ if number == 0 => None,
                1 => Some(Fault::LostRequest),
                2 => Some(Fault::LostAnswer),
                _ => None,
            }
        });
        let kubeconfig = proxy.kubeconfig(site.root()).display().to_string();
        let location = format!("hall-{round}");
        let set = format!("global.location={location}");
        let context = ["--kubeconfig", &kubeconfig, "--context", "proxy"];
        let arguments = ["deploy", &instance, "--yes", "--no-wait", "--set", &set];
        site.succeed(&[&arguments[..], &context[..]].concat());
        check(&site, &instance, &location);
        assert_eq!(states(&site, &instance).len(), round + 1);
    }
}

#[test]
fn an_interrupted_deploy_says_so_in_its_record() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    let image = "ioc-instance.image=localhost/absent:1";
    let child = site
        .command(&["deploy", &instance, "--yes", "--set", image])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    site.until("the StatefulSet is there", || {
        let sets = site.object("statefulsets");
        !sets["items"].as_array().unwrap().is_empty()
    });
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let report = site.report(&child.wait_with_output().unwrap());
    assert!(
        report.contains("exit code: 130") && report.contains("interrupted"),
        "{report}"
    );
    assert_eq!(states(&site, &instance), ["failed"]);
    let history = site.json(&["history", &instance]);
    let words = history[0]["description"].as_str().unwrap();
    assert!(words.contains("interrupted"), "{words}");
}

#[test]
fn a_restart_repairs_what_a_killed_deploy_left() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    let new = ["--set", "global.location=elsewhere"];
    let deploy = [&["deploy", &instance, "--yes", "--no-wait"][..], &new].concat();
    assert!(!ends_before(&site, 3, &deploy), "the deploy was killed");
    assert_eq!(states(&site, &instance), ["deployed", "pending-upgrade"]);
    let report = site.run(&["restart", &instance, "--yes", "--no-wait"]);
    assert!(
        report.contains("exit code: 0") && report.contains("counts as failed"),
        "{report}"
    );
    let states = states(&site, &instance);
    let of = |wanted: &str| states.iter().filter(|state| *state == wanted).count();
    assert_eq!((of("deployed"), of("failed")), (1, 1), "{states:?}");
    let set = site.object(&format!("statefulset/{instance}"));
    assert_eq!(set["metadata"]["labels"]["location"], site.name());
}
