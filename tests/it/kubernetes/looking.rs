//! What is looked at for long stays true when the connection to the API server does not: `ioc ps -w` and `ioc logs -f`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::proxy::{Fault, Proxy};
use super::site::{Site, sim_image_name};
use crate::terminal::{CTRL_C, Terminal};

#[test]
fn a_list_on_the_screen_survives_cut_watches_and_an_api_server_that_has_forgotten() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    site.helm_deploy(&instance, &["--wait", "--timeout", "60s"]);
    let is_forgetful = Arc::new(AtomicBool::new(false));
    let forgets = Arc::clone(&is_forgetful);
    let proxy = Proxy::start(site.cluster(), move |request| {
        (request.is_watch() && forgets.swap(false, Ordering::SeqCst)).then(Fault::gone)
    });
    let mut command = site.command(&["ps", "-w"]);
    command.env("KUBECONFIG", proxy.kubeconfig(site.root()));
    let mut terminal = Terminal::run(&command);
    terminal.resize(200, 40);
    terminal.expect("running");

    let replicas = |count: &str| {
        let set = format!("statefulset/{instance}");
        site.kubectl(&["scale", &set, &format!("--replicas={count}")]);
    };
    proxy.cut();
    replicas("0");
    terminal.expect("stopped");
    is_forgetful.store(true, Ordering::SeqCst);
    proxy.cut();
    replicas("1");
    terminal.expect("running");
    assert!(
        !is_forgetful.load(Ordering::SeqCst),
        "no watch was begun again"
    );

    terminal.press(CTRL_C);
    let (status, shown) = terminal.end();
    assert!(status.success(), "{shown}");
}

#[test]
fn a_log_that_is_followed_has_every_line_once_whatever_happens_to_the_connection() {
    let Some(site) = Site::new() else { return };
    let namespace = site.name();
    let image = sim_image_name();
    site.cluster().apply(&format!(
        "\
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: counts, namespace: {namespace}, labels: {{ioc: \"true\"}}}}
spec:
  selector: {{matchLabels: {{app: counts}}}}
  template:
    metadata: {{labels: {{app: counts, ioc: \"true\"}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: counts
        image: {image}
        imagePullPolicy: Never
        command: [bash, -c, 'i=0; while true; do echo \"line $((i++))\"; sleep 0.1; done']
"
    ));
    site.until("it counts", || {
        site.pod("counts")
            .is_some_and(|pod| pod["status"]["phase"] == "Running")
    });
    let proxy = Proxy::start(site.cluster(), |_| None);
    let mut follower = site
        .command(&["logs", "-f", "counts", "-n", namespace])
        .env("KUBECONFIG", proxy.kubeconfig(site.root()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let times_asked = || {
        let seen = proxy.seen();
        let logs = seen.iter().filter(|request| request.path.contains("/log"));
        logs.count()
    };
    // on a slow machine many lines are there at once, and a cut or two changes nothing
    for (number, line) in lines.enumerate().take(1000) {
        assert_eq!(line.unwrap(), format!("line {number}"));
        if number % 30 == 29 {
            if times_asked() >= 3 {
                break;
            }
            proxy.cut();
        }
    }
    follower.kill().unwrap();
    let output = follower.wait_with_output().unwrap();
    assert!(
        times_asked() >= 3,
        "the log was asked for again after a cut: {}",
        site.report(&output)
    );
}

#[test]
fn a_log_is_followed_to_another_node_also_when_the_first_one_never_ends_it() {
    let Some(site) = Site::new() else { return };
    let instance = &site.add("ea-ioc-01");
    site.set(instance, "nodeSelector: {kubernetes.io/hostname: node-1}");
    site.succeed(&["deploy", instance, "--yes"]);
    let asked = AtomicUsize::new(0);
    let proxy = Proxy::start(site.cluster(), move |request| {
        let is_first = request.path.contains("/log?") && asked.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then_some(Fault::HeldAfter(300))
    });
    let mut follower = site
        .command(&["logs", "-f", instance])
        .env("KUBECONFIG", proxy.kubeconfig(site.root()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(follower.stderr.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    site.succeed(&["move", instance, "node-2", "--yes"]);
    let moved = "runs on node-2 now, no longer on node-1";
    assert!(notes.any(|note| note.unwrap().contains(moved)));
    let ready = "All initialization complete";
    assert!(lines.any(|line| line.unwrap().contains(ready)));
    follower.kill().unwrap();
    follower.wait().unwrap();
}
