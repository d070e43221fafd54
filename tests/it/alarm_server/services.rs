//! The history in services of the site, as users meet it: the command line, logins, mistakes.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use super::bed::Process;
use crate::context::TestContext;
use crate::testbed::part;

/// Documents of an old logger, in a configuration that no other run has.
fn old(configuration: &str) -> String {
    let lower = configuration.to_lowercase();
    format!(
        r#"{{"_index":"{lower}_alarms_cmd_2026-11-01","_id":"a","_source":{{"message_time":"2026-11-22 05:09:06.737","host":"labhost","config":"command:/{configuration}/A/t:ai1","user":"tester","command":"acknowledge"}}}}
{{"_index":"{lower}_alarms_state_2026-11-01","_id":"b","_source":{{"severity":"MAJOR","message_time":"2026-11-22 05:10:20.605","current_severity":"MAJOR","pv":"t:ai1","time":"2026-11-22 05:08:48.955","config":"state:/{configuration}/A/t:ai1"}}}}
"#
    )
}

fn written_and_found(kind: &str, address: &str) {
    let context = TestContext::new();
    let configuration = format!("It{}{kind}", std::process::id());
    context.write("old.json", old(&configuration));
    let sink = format!("{kind}:{address}");
    for _again in 0..2 {
        context.succeed(&["alarm", "log", "import", "old.json", "--into", &sink]);
    }
    if kind == "loki" {
        // until they are written to its store, only lines of the last hours are found
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let flush = reqwest::Client::new().post(format!("{address}/flush"));
        let flushed = runtime.block_on(flush.send()).unwrap();
        assert!(flushed.status().is_success(), "{flushed:?}");
    }
    let words = ["alarm", "log", "--sink", &sink, "--config", &configuration];
    let deadline = std::time::Instant::now() + super::bed::PATIENCE;
    let found = loop {
        let found = context.json(&words);
        if found.as_array().unwrap().len() >= 2 {
            break found;
        }
        assert!(std::time::Instant::now() < deadline, "{found}");
        // a service makes visible what it has when it is its time
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    let kinds: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["kind"])
        .collect();
    assert_eq!(kinds, ["command", "state"]);
    assert_eq!(found[1]["severity"], "MAJOR");
    let figures = context.json(&[
        "alarm",
        "stats",
        "--from",
        &sink,
        "--config",
        &configuration,
        "--since",
        "2026-11-01",
    ]);
    assert_eq!(figures["alarms"], 1);
    let said = context.refuse(&["alarm", "log", "-f", "--from", &sink]);
    assert!(said.contains("cannot be followed"), "{said}");
    // a logger writes there, and says so
    let mut logger = Process::start(&mut context.command(&[
        "alarm",
        "logger",
        "--config",
        &configuration,
        "--sink",
        &sink,
        "--keep",
        "30d",
    ]));
    logger.line(&["`--keep` and `--keep-size` remove nothing from"]);
    logger.line(&["alarm logger of", &sink]);
    assert_eq!(logger.end(Signal::TERM), Some(0));
}

#[test]
fn elasticsearch() {
    if let Some(address) = part("elasticsearch.sh", "ELASTICSEARCH_URL") {
        written_and_found("elasticsearch", &address);
    }
}

#[test]
fn loki() {
    if let Some(address) = part("loki.sh", "LOKI_URL") {
        written_and_found("loki", &address);
    }
}

#[test]
fn logins_of_services() {
    let nowhere = "elasticsearch:http://search.invalid:9200";
    let context = TestContext::new();
    let look = ["alarm", "log", "--from", nowhere];
    for (address, words) in [
        (
            "elasticsearch:search:9200",
            "it begins with `http://` or `https://`",
        ),
        ("loki:ftp://logs", "it begins with `http://` or `https://`"),
        (
            "loki:https://me:secret@logs",
            "`https://…@logs` has a login in it",
        ),
    ] {
        let said = context.refuse(&["alarm", "log", "--from", address]);
        assert!(
            said.starts_with("exit code: 2\n") && said.contains(words),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
    }
    // without a login there is nothing to warn of
    let said = context.refuse(&look);
    assert!(
        said.contains("http://search.invalid:9200 does not answer"),
        "{said}"
    );
    assert!(!said.contains("everybody"), "{said}");
    let with_key = TestContext::new().env("IOC_ELASTICSEARCH_API_KEY", "a2V5OnNlY3JldA==");
    let said = with_key.refuse(&look);
    assert!(
        said.contains("everybody on the network can read the login"),
        "{said}"
    );
    assert!(!said.contains("a2V5"), "{said}");
    let alone = TestContext::new().env("IOC_ELASTICSEARCH_USER", "elastic");
    let said = alone.refuse(&look);
    assert!(
        said.contains("the user `elastic` of `http://search.invalid:9200/` has no password"),
        "{said}"
    );
    // a file that others can read, and one without certificates
    context.write(
        "ioc.toml",
        "[alarm.elasticsearch]\napi-key-file = \"key\"\n",
    );
    let key = context.write("key", "a2V5OnNlY3JldA==\n");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = context.refuse(&look);
    assert!(
        said.contains("lets others read it") && said.contains("chmod 600"),
        "{said}"
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let said = context.refuse(&look);
    assert!(
        said.contains("everybody on the network can read the login"),
        "{said}"
    );
    context.write("ioc.toml", "[alarm.elasticsearch]\nca-file = \"ca.pem\"\n");
    context.write("ca.pem", "nothing\n");
    let said = context.refuse(&look);
    assert!(said.contains("it holds no certificate"), "{said}");
    context.write("ioc.toml", "[alarm.elasticsearch]\nrotation = \"hour\"\n");
    let said = context.refuse(&["alarm", "logger", "--config", "X", "--sink", nowhere]);
    assert!(
        said.contains("`rotation = \"hour\"`") && said.contains("`month`"),
        "{said}"
    );
}
