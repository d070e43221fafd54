//! SIGKILL of `ioc` after every request that a command makes to the engine: what the next command makes of it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ioc::fleet::progress::Silent;
use ioc::fleet::release::Status;
use ioc::fleet::release::record::is_unfinished;
use rustix::process::{Pid, Signal, kill_process};

use super::bench::{Bench, FOREVER, deploy, exec, manifests, options};

/// A proxy on the engine's socket that counts requests and sends the command a signal when the engine has answered
/// one of them. SIGKILL comes before the command gets the answer, which it then never does.
struct Proxy {
    socket: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    engine: PathBuf,
    signal: Signal,
    kill_at: usize,
    seen: AtomicUsize,
    victim: Mutex<Option<Child>>,
}

impl Proxy {
    /// Sends the signal after the answer to request `kill_at`, counted from 1.
    fn new(bench: &Bench, signal: Signal, kill_at: usize) -> Self {
        let socket = bench
            .context
            .project()
            .join(format!("proxy-{kill_at}.sock"));
        if socket.exists() {
            std::fs::remove_file(&socket).unwrap();
        }
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::new(Shared {
            engine: bench.host.trim_start_matches("unix://").into(),
            signal,
            kill_at,
            seen: AtomicUsize::new(0),
            victim: Mutex::new(None),
        });
        let for_clients = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&for_clients);
                std::thread::spawn(move || shared.serve(client));
            }
        });
        Self { socket, shared }
    }

    /// Runs a command through the proxy until it ends or is killed.
    fn run(&self, bench: &Bench, arguments: &[&str]) -> Option<Output> {
        let mut held = self.shared.victim.lock().unwrap();
        let child = bench
            .context
            .command(arguments)
            .env("IOC_ENGINE", format!("unix://{}", self.socket.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *held = Some(child);
        drop(held);
        loop {
            let mut held = self.shared.victim.lock().unwrap();
            if let Some(status) = held.as_mut().unwrap().try_wait().unwrap() {
                let output = held.take().unwrap().wait_with_output().unwrap();
                return status.code().map(|_| output);
            }
            drop(held);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Shared {
    fn serve(&self, client: UnixStream) {
        let Ok(engine) = UnixStream::connect(&self.engine) else {
            return;
        };
        let deadly = Arc::new(AtomicUsize::new(0));
        let answers = (engine.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::scope(|scope| {
            scope.spawn(|| self.requests(client, engine, &deadly));
            scope.spawn(|| self.answers(answers.0, answers.1, &deadly));
        });
    }

    fn requests(&self, mut from: UnixStream, mut to: UnixStream, deadly: &AtomicUsize) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let methods: [&[u8]; 4] = [b"GET /", b"POST /", b"DELETE /", b"HEAD /"];
            if methods
                .iter()
                .any(|method| buffer[..length].starts_with(method))
                && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.kill_at
            {
                deadly.store(1, Ordering::SeqCst);
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _closed = to.shutdown(std::net::Shutdown::Write);
    }

    fn answers(&self, mut from: UnixStream, mut to: UnixStream, deadly: &AtomicUsize) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if deadly.swap(0, Ordering::SeqCst) == 1 {
                if let Some(victim) = self.victim.lock().unwrap().as_ref() {
                    kill_process(Pid::from_child(victim), self.signal).unwrap();
                }
                if self.signal == Signal::KILL {
                    break;
                }
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _closed = to.shutdown(std::net::Shutdown::Both);
    }
}

/// What must hold after any repair: one revision deployed, none pending, and the engine has exactly that.
async fn check(bench: &Bench, what: &str) {
    let fleet = bench.fleet().await;
    let session = fleet.open(&bench.subject("a"), None).unwrap();
    let deployed: Vec<_> = session
        .history()
        .iter()
        .filter(|record| record.info.status == Status::Deployed)
        .collect();
    assert_eq!(deployed.len(), 1, "{what}: {:?}", super::statuses(&session));
    assert!(
        !session
            .history()
            .iter()
            .any(|record| is_unfinished(record.info.status)),
        "{what}: {:?}",
        super::statuses(&session)
    );
    let containers = session.containers().await.unwrap();
    assert_eq!(containers.len(), 1, "{what}: {containers:?}");
    assert!(containers[0].is_running, "{what}");
    assert!(!containers[0].is_staged, "{what}");
    let expected = deployed[0]
        .manifest
        .lines()
        .find_map(|line| line.strip_prefix("data: {value: \""))
        .unwrap()
        .trim_end_matches("\"}");
    assert_eq!(
        exec(&session, &bench.host, "cat /config/value").await,
        expected,
        "{what}"
    );
    let generations = bench.context.state().join(&bench.namespace).join("pods/a");
    assert_eq!(std::fs::read_dir(generations).unwrap().count(), 1, "{what}");
}

/// Takes instance `a` away and makes the same start again.
async fn start_over<Begin>(bench: &Bench, begin: &Begin)
where
    Begin: AsyncFn(&Bench),
{
    let fleet = bench.fleet().await;
    let subject = bench.subject("a");
    let mut session = fleet.open(&subject, Some("deletes")).unwrap();
    if !session.history().is_empty() || !session.containers().await.unwrap().is_empty() {
        session.delete(false, &Silent).await.unwrap();
    }
    drop(session);
    begin(bench).await;
}

/// Kills `command` after each of its requests from the `first` on in turn. `begin` makes the same start for every round, `next` is the
/// command that repairs. Gives how many kills there were and how many of them left a revision unfinished.
async fn sweep<Begin>(
    bench: &Bench,
    first: usize,
    begin: Begin,
    command: &[&str],
    next: &[&str],
) -> (usize, usize)
where
    Begin: AsyncFn(&Bench),
{
    let fleet = bench.fleet().await;
    let subject = bench.subject("a");
    let (mut kills, mut unfinished) = (0, 0);
    for request in first.. {
        start_over(bench, &begin).await;
        let proxy = Proxy::new(bench, Signal::KILL, request);
        if let Some(output) = proxy.run(bench, command) {
            assert!(output.status.success(), "{command:?}, request {request}");
            break;
        }
        kills += 1;
        let was_unfinished = fleet
            .open(&subject, None)
            .unwrap()
            .history()
            .last()
            .is_some_and(|record| is_unfinished(record.info.status));
        let next = bench
            .context
            .command(next)
            .env("IOC_ENGINE", &bench.host)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&next.stderr);
        let what = format!("{command:?} killed after request {request}: {said}");
        assert!(next.status.success(), "{what}");
        assert_eq!(said.contains("was interrupted"), was_unfinished, "{what}");
        unfinished += usize::from(was_unfinished);
        check(bench, &what).await;
    }
    eprintln!("{command:?}: {kills} kills, {unfinished} of them left a revision unfinished");
    (kills, unfinished)
}

/// Two revisions, the second deployed.
async fn two_revisions(bench: &Bench) {
    let fleet = bench.fleet().await;
    let subject = bench.subject("a");
    let mut quick = options(false);
    quick.wait = None;
    for config in ["one", "two"] {
        let manifest = manifests("a", FOREVER, config);
        deploy(&fleet, &subject, &manifest, &quick).await.unwrap();
    }
}

/// A services repository whose instance `a` renders to the manifests of the other tests.
fn repository(bench: &Bench, config: &str) {
    let context = &bench.context;
    context.write(
        "ioc.toml",
        format!(
            "[beamline.it]\nrepository = \".\"\nnamespace = \"{}\"\n",
            bench.namespace
        ),
    );
    context.write(
        "services/a/Chart.yaml",
        "apiVersion: v2\nname: a\nversion: 1.0.0\n",
    );
    context.write(
        "services/a/templates/all.yaml",
        manifests("a", FOREVER, config),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_killed_after_any_request_is_repaired_by_the_next_command() {
    let Some(bench) = Bench::new("killed-rollback") else {
        return;
    };
    let command = ["rollback", "a", "--yes", "--no-wait"];
    let next = ["start", "a", "--no-wait"];
    let (kills, unfinished) = sweep(&bench, 1, two_revisions, &command, &next).await;
    assert!(
        kills >= 10 && unfinished >= 5,
        "{kills} kills, {unfinished} unfinished"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_killed_after_any_request_is_repaired_by_the_next_deploy() {
    let Some(bench) = Bench::new("killed-deploy") else {
        return;
    };
    repository(&bench, "three");
    let deploy = ["deploy", "a", "--yes", "--no-wait"];
    // the first revision of an instance
    let (kills, unfinished) = sweep(&bench, 1, async |_: &Bench| {}, &deploy, &deploy).await;
    assert!(
        kills >= 8 && unfinished >= 3,
        "{kills} kills, {unfinished} unfinished"
    );
    // an upgrade, and then a command that knows nothing of the new revision
    let next = ["restart", "a", "--yes", "--no-wait"];
    let (kills, unfinished) = sweep(&bench, 1, two_revisions, &deploy, &next).await;
    assert!(
        kills >= 10 && unfinished >= 5,
        "{kills} kills, {unfinished} unfinished"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_killed_after_any_request_is_finished_by_the_next_deploy() {
    let Some(bench) = Bench::new("killed-delete") else {
        return;
    };
    repository(&bench, "three");
    let command = ["delete", "a", "--yes"];
    let next = ["deploy", "a", "--yes", "--no-wait"];
    let (kills, unfinished) = sweep(&bench, 1, two_revisions, &command, &next).await;
    assert!(
        kills >= 4 && unfinished >= 2,
        "{kills} kills, {unfinished} unfinished"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_killed_while_it_waits_is_repaired_by_the_next_command() {
    let Some(bench) = Bench::new("killed-waiting") else {
        return;
    };
    repository(&bench, "three");
    let quick = ["deploy", "a", "--yes", "--no-wait"];
    start_over(&bench, &two_revisions).await;
    let proxy = Proxy::new(&bench, Signal::KILL, usize::MAX);
    assert!(proxy.run(&bench, &quick).unwrap().status.success());
    let without_waiting = proxy.shared.seen.load(Ordering::SeqCst);
    // what follows belongs to the waiting
    let deploy = ["deploy", "a", "--yes"];
    let next = ["start", "a", "--no-wait"];
    let (kills, unfinished) =
        sweep(&bench, without_waiting + 1, two_revisions, &deploy, &next).await;
    assert!(
        kills >= 2 && unfinished == kills,
        "{kills} kills, {unfinished} unfinished"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_at_any_request_leaves_nothing_half_done() {
    let Some(bench) = Bench::new("interrupted") else {
        return;
    };
    repository(&bench, "three");
    let deploy = ["deploy", "a", "--yes", "--no-wait"];
    let (mut not_begun, mut finished) = (0, 0);
    for request in 1.. {
        start_over(&bench, &two_revisions).await;
        let proxy = Proxy::new(&bench, Signal::INT, request);
        let output = proxy.run(&bench, &deploy).expect("it ends by itself");
        if proxy.shared.seen.load(Ordering::SeqCst) < request {
            break;
        }
        let what = format!("Ctrl-C after request {request}: {:?}", output.status);
        // no repair: what it leaves is whole, the old revision or the new one
        check(&bench, &what).await;
        match output.status.code() {
            Some(130) => not_begun += 1,
            Some(0) => finished += 1,
            other => panic!("{what}: {other:?}"),
        }
    }
    assert!(
        not_begun + finished >= 10,
        "{not_begun} were stopped, {finished} went on to the end"
    );
}
