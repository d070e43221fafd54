//! `ioc alarm config follow`, against git repositories on this machine.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::TABLE;
use crate::alarm_server::bed::{PATIENCE, Process};
use crate::context::TestContext;
use crate::testbed::part;
use crate::versions::repository::GitRepository;

/// A project with nothing but a git repository that has the table.
fn with_repository() -> (TestContext, GitRepository) {
    let context = TestContext::new()
        .without_engine()
        .env("IOC_LOG", "info")
        .env("TZ", "UTC");
    let repository = GitRepository::new(context.root().join("alarms"));
    repository.write("lab/Lab.csv", TABLE).commit();
    (context, repository)
}

/// A follower, and where its status and its webhook are.
struct Following {
    process: Process,
    status: String,
    webhook: Option<String>,
}

fn follow(context: &TestContext, repository: &GitRepository, more: &[&str]) -> Following {
    let url = repository.url();
    let words = [
        &[
            "alarm",
            "config",
            "follow",
            &url,
            "--branch",
            "main",
            "--path",
            "lab/Lab.csv",
        ],
        more,
    ]
    .concat();
    let mut process = Process::start(&mut context.command(&words));
    let address = |line: String| {
        let after = line.split("http://").nth(1).unwrap();
        after.split('/').next().unwrap().to_owned()
    };
    let status = address(process.line(&["status: http://"]));
    let webhook = more
        .contains(&"--webhook")
        .then(|| address(process.line(&["webhook: http://"])));
    Following {
        process,
        status,
        webhook,
    }
}

/// One request; status and body of the answer.
fn ask(address: &str, request: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, body.to_owned())
}

impl Following {
    fn status(&self) -> Value {
        let (code, body) = ask(&self.status, "GET /v1/follow", "", "");
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits for a status.
    fn until(&self, wish: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if wish(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "it stays {status:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn call(&self, headers: &str, body: &str) -> u16 {
        let webhook = self.webhook.as_ref().unwrap();
        ask(webhook, "POST /", headers, body).0
    }

    /// Says that something was pushed.
    fn pushed(&self) {
        assert_eq!(self.call("", r#"{"ref": "refs/heads/main"}"#), 202);
    }
}

fn description(context: &TestContext) -> String {
    context.succeed(&[
        "alarm", "config", "export", "--config", "Lab", "--format", "csv",
    ])
}

#[test]
fn commits_are_applied_refused_and_rewritten_while_it_runs() {
    let (context, repository) = with_repository();
    let more = ["--every", "1h", "--webhook", "0", "--prune"];
    let mut following = follow(&context, &repository, &more);
    let first = repository.git(&["rev-parse", "HEAD"]);
    following.process.line(&["+ PV    /Lab/Vacuum/V:2"]);
    following.process.line(&["is applied: 5 records"]);
    let status = following.until(|status| status["condition"] == "in-step");
    assert_eq!(status["applied"]["commit"], Value::from(first.as_str()));
    assert_eq!(status["configuration"], "Lab");
    assert_eq!(description(&context), TABLE);
    assert_eq!(ask(&following.status, "GET /readyz", "", "").0, 200);

    // a change is published alone
    let changed = TABLE.replace("Pressure 2,TRUE,5", "Pressure 2,TRUE,7");
    repository.write("lab/Lab.csv", &changed).commit();
    following.pushed();
    following.process.line(&["delay: 5 -> 7"]);
    following.process.line(&["is applied: 1 records"]);
    let good = repository.git(&["rev-parse", "HEAD"]);
    assert_eq!(description(&context), changed);

    // mistakes: told with their places, the bus as it was
    let broken = changed.replace("'V:MODE' > 0", "'V:MODE' >");
    repository.write("lab/Lab.csv", &broken).commit();
    following.pushed();
    following.process.line(&["lab/Lab.csv:4:"]);
    let line = following.process.line(&["is refused"]);
    assert!(
        line.contains(&format!("as {} has made it", &good[..10])),
        "{line}"
    );
    let status = following.until(|status| status["condition"] == "refused");
    assert_eq!(status["applied"]["commit"], Value::from(good.as_str()));
    let findings = status["refused"]["findings"].as_array().unwrap();
    assert!(
        findings[0].as_str().unwrap().starts_with("lab/Lab.csv:4:"),
        "{status:#}"
    );
    assert_eq!(description(&context), changed);
    // a commit that is refused is not tried again
    following.pushed();
    let looks = status["counts"]["looks"].as_u64().unwrap();
    let status = following.until(|status| status["counts"]["looks"].as_u64().unwrap() > looks);
    assert_eq!(status["counts"]["refused"], 1);

    // somebody takes the commit away by force
    repository.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    let other = TABLE.replace("Pressure 1,FALSE", "Water pressure,FALSE");
    repository.write("lab/Lab.csv", &other).commit();
    following.pushed();
    following.process.line(&["was rewritten"]);
    following.process.line(&["is applied: 2 records"]);
    let status = following.until(|status| status["condition"] == "in-step");
    assert_eq!(status["counts"]["rewritten"], 1);
    assert_eq!(description(&context), other);

    // the repository goes and comes back
    let away = context.root().join("away");
    std::fs::rename(repository.folder(), &away).unwrap();
    following.pushed();
    let status = following.until(|status| status["condition"] == "no-repository");
    assert!(
        status["repository_trouble"]["what"].is_string(),
        "{status:#}"
    );
    assert_eq!(description(&context), other);
    std::fs::rename(&away, repository.folder()).unwrap();
    following.pushed();
    following.process.line(&["the repository is back"]);
    following.until(|status| status["condition"] == "in-step");

    let head = repository.git(&["rev-parse", "HEAD"]);
    let (_, metrics) = ask(&following.status, "GET /metrics", "", "");
    for line in [
        format!(
            "ioc_alarm_follow_applied_commit_info{{configuration=\"Lab\",branch=\"main\",path=\"lab/Lab.csv\",commit=\"{head}\"}} 1"
        ),
        "ioc_alarm_follow_in_step 1".to_owned(),
        "ioc_alarm_follow_commits_applied_total 3".to_owned(),
        "ioc_alarm_follow_commits_refused_total 1".to_owned(),
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}\n{metrics}");
    }
    assert_eq!(following.process.end(Signal::TERM), Some(0));
}

#[test]
fn polling_needs_nobody_who_calls() {
    let (context, repository) = with_repository();
    let mut following = follow(&context, &repository, &["--every", "1s"]);
    following.process.line(&["is applied: 5 records"]);
    let changed = TABLE.replace("Pressure 2,", "Second pressure,");
    repository.write("lab/Lab.csv", &changed).commit();
    following.process.line(&["is applied: 1 records"]);
    assert_eq!(description(&context), changed);
    // a branch that goes is told, and survived
    repository.git(&["branch", "--quiet", "--move", "main", "maine"]);
    let line = following.process.line(&["ERROR", "no branch `main`"]);
    assert!(line.contains("did you mean `maine`?"), "{line}");
    repository.git(&["branch", "--quiet", "--move", "maine", "main"]);
    following.process.line(&["the repository is back"]);
    assert_eq!(following.process.end(Signal::TERM), Some(0));
}

#[test]
fn calls_without_the_secret_are_not_heard() {
    let (context, repository) = with_repository();
    let secret = context.write("hook", "a-secret-of-some-length\n");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let more = [
        "--every",
        "1h",
        "--webhook",
        "0",
        "--webhook-secret",
        secret.to_str().unwrap(),
    ];
    let mut following = follow(&context, &repository, &more);
    following.process.line(&["is applied: 5 records"]);
    let push = r#"{"ref": "refs/heads/main"}"#;
    assert_eq!(following.call("", push), 401);
    let token = "X-Gitlab-Token: another-secret-of-length\r\n";
    assert_eq!(following.call(token, push), 401);
    following.process.line(&["not signed"]);
    let token = "X-Gitlab-Token: a-secret-of-some-length\r\n";
    assert_eq!(following.call(token, r#"{"ref": "refs/heads/other"}"#), 202);
    assert_eq!(following.call(token, push), 202);
    let status = following.until(|status| status["counts"]["looks"] == 2);
    assert_eq!(status["counts"]["webhooks"], 1);
    assert_eq!(status["counts"]["webhooks_refused"], 2);
    assert!(!status.to_string().contains("secret-of-some-length"));
}

#[test]
fn a_bus_that_is_away_is_waited_for() {
    let (context, repository) = with_repository();
    // where the folder of the bus should be is a file
    let file = context.root().join("bus");
    std::fs::write(&file, "").unwrap();
    let bus = file.display().to_string();
    let mut following = follow(&context, &repository, &["--every", "1s", "--bus", &bus]);
    let status = following.until(|status| status["condition"] == "no-bus");
    assert_eq!(status["applied"], Value::Null);
    assert_eq!(ask(&following.status, "GET /readyz", "", "").0, 503);
    std::fs::remove_file(&file).unwrap();
    following.process.line(&["is applied: 5 records"]);
    let status = following.until(|status| status["condition"] == "in-step");
    assert_eq!(status["bus_trouble"], Value::Null);
}

#[test]
fn what_cannot_be_followed_is_said() {
    let (context, repository) = with_repository();
    repository
        .link("/etc/hostname", "out.csv")
        .link("lab/Lab.csv", "inside.csv")
        .commit();
    let url = repository.url();
    let once = |branch: &str, path: &str| {
        let words = [
            "alarm", "config", "follow", &url, "--branch", branch, "--path", path, "--once",
        ];
        context.run(&words)
    };
    let refused = once("main", "out.csv");
    assert!(refused.contains("exit code: 1"), "{refused}");
    assert!(
        refused.contains("a symbolic link leads out of the repository"),
        "{refused}"
    );
    let refused = once("main", "none.csv");
    assert!(refused.contains("there is no such file"), "{refused}");
    insta::assert_snapshot!(once("mian", "lab/Lab.csv"), @"
    exit code: 8
    ----- stderr -----
    error: `file://[ROOT]/alarms` has no branch `mian`
    hint: did you mean `main`?
    ");
    insta::assert_snapshot!(once("main", "../lab/Lab.csv"), @"
    exit code: 2
    ----- stderr -----
    error: `../lab/Lab.csv` is no path inside of a repository
    hint: relative to the root of the repository, such as `--path alarm/accelerator.csv`
    ");
    let refused = once("--upload-pack=x", "lab/Lab.csv");
    assert!(refused.contains("exit code: 2"), "{refused}");
    insta::assert_snapshot!(context.run(&[
        "alarm", "config", "follow", &url, "--branch", "main", "--path", "lab/Lab.csv", "--webhook", "0.0.0.0:0",
    ]), @"
    exit code: 2
    ----- stderr -----
    error: anybody who reaches 0.0.0.0:0 could call the webhook
    hint: `--webhook-secret FILE`, with the secret that the code host signs with
    ");
    insta::assert_snapshot!(context.run(&[
        "alarm", "config", "follow", "ext::sh -c id", "--branch", "main", "--path", "lab/Lab.csv", "--once",
    ]), @"
    exit code: 2
    ----- stderr -----
    error: `ext::sh -c id` is not the URL of a git repository (`https://…`, `ssh://…`, `git@host:path`, `file://…`)
    ");
    let applied = once("main", "inside.csv");
    assert!(applied.contains("exit code: 0"), "{applied}");
    assert!(applied.contains("(x): 5 records"), "{applied}");
}

#[test]
fn kafka_gets_the_same() {
    let Some(servers) = part("kafka.sh", "KAFKA_SERVERS") else {
        return;
    };
    let (context, repository) = with_repository();
    let name = format!("Follow{}", std::process::id());
    let url = repository.url();
    let words = [
        "alarm",
        "config",
        "follow",
        &url,
        "--branch",
        "main",
        "--path",
        "lab/Lab.csv",
        "--config",
        &name,
        "--kafka",
        &servers,
        "--once",
    ];
    let first = context.succeed(&words);
    assert!(first.contains("5 records"), "{first}");
    let again = context.succeed(&words);
    assert!(again.contains(": 0 records"), "{again}");
    let exported = context.succeed(&[
        "alarm", "config", "export", "--config", &name, "--kafka", &servers, "--format", "csv",
    ]);
    assert_eq!(exported, TABLE);
}
