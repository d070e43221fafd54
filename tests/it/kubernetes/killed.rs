//! SIGKILL of `ioc` after every change that a command makes in the cluster, and what the next command makes of it; two
//! commands at once; what a killed `helm` leaves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::cluster::Cluster;
use super::site::Site;

/// `kubectl proxy` on a port of its own, which logs in for us; ends when dropped.
struct Login {
    child: Child,
    address: String,
}

impl Login {
    fn new(cluster: &Cluster) -> Self {
        let mut child = cluster
            .kubectl_command(&["proxy", "--port=0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        // Starting to serve on 127.0.0.1:40001
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        Self { child, address }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Counts the requests that change something, and kills the command when the answer to one of them is there, before
/// the command gets it.
struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    /// Which change is the last one; 0 for none.
    kill_at: usize,
    /// Every so many requests one is lost, and one whose answer is; 0 for none.
    lose_every: usize,
    requests: AtomicUsize,
    changes: AtomicUsize,
    victim: Mutex<Option<Child>>,
}

impl Proxy {
    fn new(login: &Login, kill_at: usize) -> Self {
        Self::with(login, kill_at, 0)
    }

    fn with(login: &Login, kill_at: usize, lose_every: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            upstream: login.address.clone(),
            kill_at,
            lose_every,
            requests: AtomicUsize::new(0),
            changes: AtomicUsize::new(0),
            victim: Mutex::new(None),
        });
        let for_clients = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&for_clients);
                std::thread::spawn(move || shared.serve(client));
            }
        });
        Self { address, shared }
    }

    /// Runs a command through the proxy; whether it ended by itself.
    fn run(&self, site: &Site, arguments: &[&str]) -> bool {
        let kubeconfig = self.kubeconfig(site);
        let mut held = self.shared.victim.lock().unwrap();
        let child = site
            .command(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *held = Some(child);
        drop(held);
        loop {
            let mut held = self.shared.victim.lock().unwrap();
            if let Some(status) = held.as_mut().unwrap().try_wait().unwrap() {
                return status.code().is_some();
            }
            drop(held);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn kubeconfig(&self, site: &Site) -> PathBuf {
        let path = site.root().join("proxy.kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: proxy\n\
             clusters: [{{name: proxy, cluster: {{server: \"http://{}\"}}}}]\n\
             contexts: [{{name: proxy, context: {{cluster: proxy}}}}]\n",
            self.address
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Shared {
    /// One request per connection.
    fn serve(&self, mut client: TcpStream) {
        let Some(request) = read_request(&mut client) else {
            return;
        };
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        // the first one tells whether there is a cluster at all
        let turn = match self.lose_every {
            every if every > 0 && number > 0 => number % every,
            _ => usize::MAX,
        };
        if turn == 1 {
            return;
        }
        let mut upstream = TcpStream::connect(&self.upstream).unwrap();
        upstream.write_all(&request.bytes).unwrap();
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer).unwrap();
        if request.is_change && self.changes.fetch_add(1, Ordering::SeqCst) + 1 == self.kill_at {
            let mut held = self.victim.lock().unwrap();
            held.as_mut().unwrap().kill().unwrap();
            return;
        }
        if turn == 2 {
            return;
        }
        let _gone = client.write_all(&answer);
    }
}

struct Request {
    bytes: Vec<u8>,
    is_change: bool,
}

fn read_request(client: &mut TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let first = head.lines().next()?.to_owned();
    let is_change = !first.starts_with("GET ") && !first.contains("dryRun=All");
    head.push_str("Connection: close\r\n\r\n");
    let mut bytes = head.into_bytes();
    let begin = bytes.len();
    bytes.resize(begin + length, 0);
    reader.read_exact(&mut bytes[begin..]).ok()?;
    Some(Request { bytes, is_change })
}

/// States of all revisions, as real helm sees them.
fn states(site: &Site, instance: &str) -> Vec<String> {
    let text = site.helm(&["history", instance, "-o", "json"]);
    let list: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    list.iter()
        .map(|revision| revision["status"].as_str().unwrap().to_owned())
        .collect()
}

fn check(site: &Site, instance: &str, location: &str) {
    let states = states(site, instance);
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
    let login = Login::new(cluster);
    let instance = site.add("ea-ioc-01");
    let mut ends = 0;
    for kill_at in (1..).step_by(step) {
        let location = format!("hall-{kill_at}");
        let set = format!("global.location={location}");
        let arguments = ["deploy", &instance, "--yes", "--no-wait", "--set", &set];
        if Proxy::new(&login, kill_at).run(&site, &arguments) {
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
    while !Proxy::new(&login, kill_at).run(&site, &["delete", &instance, "--yes", "--no-wait"]) {
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

#[test]
fn a_deploy_and_a_delete_that_are_killed_after_any_change_are_repaired() {
    // some of them, or with `make soak` all
    sweep(if std::env::var_os("IOC_SOAK").is_some() {
        1
    } else {
        2
    });
}

#[test]
fn of_two_deploys_at_once_one_is_told_about_the_other() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    let start = |location: &str| {
        site.command(&[
            "deploy",
            &instance,
            "--yes",
            "--no-wait",
            "--set",
            &format!("global.location={location}"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
    };
    for round in 0..4 {
        let (one, other) = (start(&format!("a{round}")), start(&format!("b{round}")));
        let reports: Vec<String> = [one, other]
            .into_iter()
            .map(|child| site.report(&child.wait_with_output().unwrap()))
            .collect();
        let good = reports
            .iter()
            .filter(|report| report.contains("exit code: 0"))
            .count();
        assert!(good >= 1, "{reports:?}");
        for report in reports
            .iter()
            .filter(|report| !report.contains("exit code: 0"))
        {
            assert!(
                report.contains("exit code: 5") && report.contains("is being worked on"),
                "{report}"
            );
        }
        let states = states(&site, &instance);
        assert_eq!(
            states.iter().filter(|state| *state == "deployed").count(),
            1,
            "{states:?}"
        );
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
    let login = Login::new(cluster);
    let instance = site.add("ea-ioc-01");
    // every request is lost once in one of the rounds, and every answer
    for (round, lose_every) in [4, 3, 5].into_iter().enumerate() {
        let proxy = Proxy::with(&login, 0, lose_every);
        let kubeconfig = proxy.kubeconfig(&site).display().to_string();
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
    let login = Login::new(cluster);
    let proxy = Proxy::new(&login, 3);
    let new = ["--set", "global.location=elsewhere"];
    let deploy = [&["deploy", &instance, "--yes", "--no-wait"][..], &new].concat();
    assert!(!proxy.run(&site, &deploy), "the deploy was killed");
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
