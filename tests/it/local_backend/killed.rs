//! SIGKILL of `ioc` after every request that a command makes to the engine: what the next command makes of it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ioc::fleet::progress::Silent;
use ioc::fleet::release::Status;

use super::bench::{Bench, FOREVER, deploy, exec, manifests, options};

/// A proxy on the engine's socket that counts requests and kills the command when the engine has answered one of
/// them, before the command gets the answer.
struct Proxy {
    socket: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    engine: PathBuf,
    kill_at: usize,
    seen: AtomicUsize,
    victim: Mutex<Option<Child>>,
}

impl Proxy {
    /// Kills after the answer to request `kill_at`, counted from 1.
    fn new(bench: &Bench, kill_at: usize) -> Self {
        let socket = bench
            .context
            .project()
            .join(format!("proxy-{kill_at}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::new(Shared {
            engine: bench.host.trim_start_matches("unix://").into(),
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
            if deadly.load(Ordering::SeqCst) == 1 {
                if let Some(victim) = self.victim.lock().unwrap().as_mut() {
                    victim.kill().unwrap();
                }
                break;
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
            .any(|record| record.info.status.is_pending()),
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

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_killed_after_any_request_is_repaired_by_the_next_command() {
    let Some(bench) = Bench::new("killed") else {
        return;
    };
    let fleet = bench.fleet().await;
    let subject = bench.subject("a");
    let (one, two) = (
        manifests("a", FOREVER, "one"),
        manifests("a", FOREVER, "two"),
    );
    let mut kills = 0;
    let mut repaired = 0;
    for request in 1.. {
        // each round begins with revision 1, then revision 2 deployed
        let mut session = fleet.open(&subject, Some("deletes")).unwrap();
        if !session.history().is_empty() {
            session.delete(false, &Silent).await.unwrap();
        }
        drop(session);
        let mut quick = options(false);
        quick.wait = None;
        deploy(&fleet, &subject, &one, &quick).await.unwrap();
        deploy(&fleet, &subject, &two, &quick).await.unwrap();
        let proxy = Proxy::new(&bench, request);
        let ended = proxy.run(&bench, &["rollback", "a", "--yes", "--no-wait"]);
        if let Some(output) = ended {
            assert!(output.status.success(), "request {request}");
            break;
        }
        kills += 1;
        let was_pending = fleet
            .open(&subject, None)
            .unwrap()
            .history()
            .last()
            .is_some_and(|record| record.info.status.is_pending());
        let next = bench
            .context
            .command(&["start", "a", "--no-wait"])
            .env("IOC_ENGINE", &bench.host)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&next.stderr);
        assert!(next.status.success(), "after request {request}: {said}");
        assert_eq!(
            said.contains("was interrupted"),
            was_pending,
            "after request {request}: {said}"
        );
        repaired += usize::from(was_pending);
        check(&bench, &format!("killed after request {request}")).await;
    }
    eprintln!("{kills} kills, {repaired} of them left a revision pending");
    assert!(kills >= 10, "only {kills} requests were made");
    assert!(
        repaired >= 5,
        "only {repaired} kills left something to repair"
    );
}
