//! Two commands on one release at the same time: each is done as a whole, or refused with who is at work.

use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::Cluster;
use super::killed::ends_before;
use super::proxy::Proxy;
use super::site::{Site, states};

/// Starts a command whose output is looked at later.
fn begin(site: &Site, arguments: &[&str]) -> Child {
    site.command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(site: &Site, child: Child) -> String {
    site.report(&child.wait_with_output().unwrap())
}

fn is_done(report: &str) -> bool {
    report.starts_with("exit code: 0")
}

/// Whether there is a whole release with its objects, or nothing of either.
fn assert_whole(site: &Site, instance: &str, told: &str) {
    let is_there = !site.has_no("statefulsets");
    if site.has_no("secrets") {
        assert!(!is_there, "objects without a release: {told}");
        return;
    }
    let states = states(site, instance);
    assert!(is_there, "a release without objects: {states:?} {told}");
    let count = |wanted: &str| states.iter().filter(|state| *state == wanted).count();
    assert_eq!(count("deployed"), 1, "{states:?} {told}");
    assert!(
        !states
            .iter()
            .any(|state| state.starts_with("pending") || state == "uninstalling"),
        "{states:?} {told}"
    );
}

#[test]
fn of_two_commands_at_once_one_is_told_about_the_other() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    let verb = |verb: &str, rest: &[&str]| -> Vec<String> {
        let all = [&[verb, &instance, "--yes", "--no-wait"], rest].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    let deploy =
        |location: &str| verb("deploy", &["--set", &format!("global.location={location}")]);
    let pairs = [
        (deploy("a"), deploy("b")),
        (deploy("c"), verb("stop", &[])),
        (verb("start", &[]), verb("start", &[])),
        (verb("rollback", &["1"]), deploy("d")),
        (verb("delete", &[]), deploy("e")),
        (deploy("f"), verb("delete", &[])),
        (verb("delete", &[]), verb("delete", &[])),
    ];
    let rounds = if std::env::var_os("IOC_SOAK").is_some() {
        20
    } else {
        2
    };
    for round in 0..rounds {
        for (one, other) in &pairs {
            if site.has_no("secrets") {
                site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
            }
            let start = |arguments: &[String]| {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                begin(&site, &arguments)
            };
            let (one, other) = (start(one), start(other));
            let reports = [end(&site, one), end(&site, other)];
            let told = format!("round {round}: {reports:?}");
            for report in reports.iter().filter(|report| !is_done(report)) {
                let is_busy = report.contains("exit code: 5")
                    && (report.contains("is being worked on")
                        || report.contains("another command has changed the record"));
                // what the other one has removed or forgotten by now
                let is_gone = report.contains("exit code: 4");
                assert!(is_busy || is_gone, "{report}");
            }
            assert!(reports.iter().any(|report| is_done(report)), "{told}");
            assert_whole(&site, &instance, &told);
        }
    }
}

#[test]
fn a_deploy_that_a_deletion_has_overtaken_leaves_nothing_behind() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    let mut deletion = Some(site.command(&["delete", &instance, "--yes", "--no-wait"]));
    let (tell, told) = mpsc::channel();
    let proxy = Proxy::start(cluster, move |request| {
        // it knows of revision 1 and has not locked the release yet
        let is_lock = request.method == "POST" && request.path.contains("/secrets");
        if let Some(mut deletion) = deletion.take_if(|_| is_lock) {
            tell.send(deletion.output().unwrap()).unwrap();
        }
        None
    });
    let set = "global.location=elsewhere";
    let deploy = site
        .command(&["deploy", &instance, "--yes", "--no-wait", "--set", set])
        .env("KUBECONFIG", proxy.kubeconfig(site.root()))
        .output()
        .unwrap();
    let deleted = site.report(&told.recv().unwrap());
    assert!(is_done(&deleted), "{deleted}");
    let report = site.report(&deploy);
    assert!(
        report.contains("exit code: 5")
            && report.contains("is being worked on")
            && report.contains("deletes it"),
        "{report}"
    );
    assert!(site.has_no("secrets"));
    assert!(site.has_no("statefulsets"));
}

#[test]
fn a_deletion_that_meets_a_deploy_removes_nothing() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    // there is no image of that name: it waits until it is told to end
    let image = "ioc-instance.image=localhost/absent:1";
    let mut command = site.command(&["deploy", &instance, "--yes", "--set", image]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut deploy = Some(command);
    let (tell, told) = mpsc::channel();
    let (namespace, set, kubectl) = (site.name().to_owned(), instance.clone(), cluster.clone());
    let proxy = Proxy::start(cluster, move |request| {
        // it has seen that nobody works on the release, and says now that it does
        let is_mark = request.method == "PUT" && request.path.contains("/secrets/");
        if let Some(mut deploy) = deploy.take_if(|_| is_mark) {
            tell.send(deploy.spawn().unwrap()).unwrap();
            let arguments = ["get", "statefulset", &set, "-n", &namespace, "-o", "yaml"];
            while !kubectl.kubectl(&arguments).contains("localhost/absent:1") {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        None
    });
    let delete = site
        .command(&["delete", &instance, "--yes", "--no-wait"])
        .env("KUBECONFIG", proxy.kubeconfig(site.root()))
        .output()
        .unwrap();
    let deploy = told.recv().unwrap();
    let report = site.report(&delete);
    assert!(
        report.contains("exit code: 5")
            && report.contains("is being worked on")
            && report.contains("deploys it")
            && report.contains("nothing was removed"),
        "{report}"
    );
    let process = rustix::process::Pid::from_child(&deploy);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let report = end(&site, deploy);
    assert!(report.contains("exit code: 130"), "{report}");
    assert_eq!(states(&site, &instance), ["deployed", "failed"]);
    assert!(!site.has_no("statefulsets"));
}

/// Lets a deploy die after its first change, so that its revision is under way, and says that this was on another machine.
fn under_way_elsewhere(site: &Site, instance: &str) -> Value {
    let set = "global.location=elsewhere";
    let arguments = ["deploy", instance, "--yes", "--no-wait", "--set", set];
    assert!(!ends_before(site, 1, &arguments), "it was killed");
    let name = format!("sh.helm.release.v1.{instance}.v2");
    let secret = site.object(&format!("secret/{name}"));
    let text = secret["metadata"]["annotations"]["ioc/holder"]
        .as_str()
        .unwrap();
    let mut holder: Value = serde_json::from_str(text).unwrap();
    holder["host"] = "console-7.site".into();
    holder["renewed"] = "2026-01-01T00:00:01Z".into();
    annotate(site, instance, &holder);
    holder
}

fn annotate(site: &Site, instance: &str, holder: &Value) {
    let secret = format!("secret/sh.helm.release.v1.{instance}.v2");
    let annotation = format!("ioc/holder={holder}");
    site.kubectl(&["annotate", "--overwrite", &secret, &annotation]);
}

#[test]
fn a_command_on_another_machine_is_given_time_to_show_that_it_lives() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    let deploy = ["deploy", &instance, "--yes", "--no-wait"];
    site.succeed(&deploy);
    let mut holder = under_way_elsewhere(&site, &instance);
    // it lives: its sign changes
    let waits = begin(&site, &deploy);
    for second in 2..8 {
        std::thread::sleep(Duration::from_secs(1));
        holder["renewed"] = format!("2026-01-01T00:00:0{second}Z").into();
        annotate(&site, &instance, &holder);
    }
    let report = end(&site, waits);
    assert!(
        report.contains("exit code: 5")
            && report.contains("is being worked on")
            && report.contains("on console-7.site) deploys it"),
        "{report}"
    );
    assert_eq!(states(&site, &instance), ["deployed", "pending-upgrade"]);
    // it is silent
    let begun = Instant::now();
    let report = site.run(&deploy);
    assert!(
        report.contains("exit code: 0")
            && report.contains("on console-7.site), which has ended: it counts as failed"),
        "{report}"
    );
    assert!(begun.elapsed() >= Duration::from_secs(12), "{report}");
    let states = states(&site, &instance);
    assert_eq!(states.last().unwrap(), "deployed", "{states:?}");
    assert!(
        !states.contains(&"pending-upgrade".to_owned()),
        "{states:?}"
    );
}
