//! `ioc alarm config` and `ioc alarm serve` on real Kafka: configurations, others who write at the same time, brokers
//! that refuse.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bus::kafka::properties::Properties;
use bus::kafka::{Kafka, Options};
use bus::{Bus as _, Outgoing};

use crate::context::{TestContext, repository};
use crate::testbed::part;

const FILE: &str = "configuration: NAME
groups:
  Area:
    guidance:
    - Call somebody
    pvs:
      one:
        description: temperature
        delay: 5
      two:
        latching: false
        filter: one > 0
";

/// A project with that configuration, under a name that no run before this one had, and the words that choose the bus.
fn project(name: &str) -> Option<(TestContext, String, String)> {
    let servers = part("kafka.sh", "KAFKA_SERVERS")?;
    let name = format!("{name}{}", std::process::id());
    let context = TestContext::new();
    context.write("alarms.yaml", FILE.replace("NAME", &name));
    Some((context, name, servers))
}

#[test]
fn what_was_applied_comes_back_and_only_what_differs_is_written() {
    let Some((context, name, servers)) = project("Config") else {
        return;
    };
    let bus = ["--kafka", servers.as_str()];
    let run = |words: &[&str]| {
        let words = [&["alarm", "config"], words, &bus].concat();
        context.json(&words)
    };
    let trial = run(&["apply", "alarms.yaml", "--yes", "--dry-run"]);
    assert_eq!(
        (&trial["applied"], &trial["records"]),
        (&false.into(), &3.into())
    );
    let applied = run(&["apply", "alarms.yaml", "--yes"]);
    assert_eq!(
        (&applied["applied"], &applied["records"]),
        (&true.into(), &3.into())
    );
    for format in ["yaml", "xml", "csv", "json"] {
        let file = format!("again/{name}.{format}");
        context.write(&file, "");
        std::fs::remove_file(context.project().join(&file)).unwrap();
        let export = [
            "alarm", "config", "export", "--config", &name, "--to", &file,
        ];
        context.succeed(&[&export[..], &bus].concat());
        assert_eq!(run(&["diff", &file])["records"], 0, "{file}");
    }
    let exported =
        context.succeed(&[&["alarm", "config", "export", "--config", &name], &bus[..]].concat());
    assert_eq!(exported, FILE.replace("NAME", &name));
    // one field, and one PV that goes only when that is asked for
    let text = FILE.replace("NAME", &name).replace("delay: 5", "delay: 6");
    let text = text.split("      two:").next().unwrap();
    context.write("alarms.yaml", text);
    let diff = run(&["diff", "alarms.yaml"]);
    assert_eq!(diff["records"], 1, "{diff}");
    assert_eq!(diff["steps"][0]["fields"][0]["field"], "delay");
    assert_eq!(
        diff["not_in_the_file"][0]["path"],
        format!("/{name}/Area/two")
    );
    // marker and tombstone
    let pruned = run(&["apply", "alarms.yaml", "--yes", "--prune"]);
    assert_eq!(pruned["records"], 3, "{pruned}");
    let exported =
        context.succeed(&[&["alarm", "config", "export", "--config", &name], &bus[..]].concat());
    assert_eq!(exported, text);
}

/// Somebody else writes all the time: what they write stays, and `apply` either takes effect or says why not.
/// Ends the other writer, also when something fails meanwhile: the test would wait for it for ever.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn somebody_else_writes_at_the_same_time() {
    let Some((context, name, servers)) = project("Race") else {
        return;
    };
    let words = [
        "alarm",
        "config",
        "apply",
        "alarms.yaml",
        "--yes",
        "--kafka",
        &servers,
    ];
    context.succeed(&words);
    let is_over = AtomicBool::new(false);
    let written = AtomicUsize::new(0);
    let (mut refused, mut warned, mut done) = (0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let properties = Properties::default();
                let kafka = Kafka::connect(&servers, &properties, Options::default());
                // the bus has to live as long as its writer
                let kafka = kafka.await.unwrap();
                let writer = kafka.writer().await.unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    let number = written.load(Ordering::Relaxed);
                    let record = Outgoing {
                        topic: name.as_str().into(),
                        key: format!("config:/{name}/Area/foreign{number}"),
                        value: Some(format!(
                            r#"{{"user":"u","host":"h","description":"{number}"}}"#
                        )),
                    };
                    writer.send(vec![record]).unwrap();
                    writer.flush().await.unwrap();
                    written.store(number + 1, Ordering::Relaxed);
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
            });
        });
        let _ends = Ends(&is_over);
        for round in 0..10 {
            let text = FILE.replace("NAME", &name);
            let delay = format!("delay: {}", round + 10);
            context.write("alarms.yaml", text.replace("delay: 5", &delay));
            let report = context.run(&words);
            if report.starts_with("exit code: 5\n") {
                let said = report.contains("somebody else is changing")
                    && report.contains("nothing was published");
                assert!(said, "{report}");
                refused += 1;
            } else {
                assert!(report.starts_with("exit code: 0\n"), "{report}");
                warned += usize::from(report.contains("somebody else wrote"));
                done += 1;
            }
        }
    });
    assert!(refused + warned > 0, "{done} times nobody was noticed");
    let quiet = context.json(&[&words[..], &["-o", "json"]].concat());
    // all of theirs are there, and ours as well
    let foreign = quiet["not_in_the_file"].as_array().unwrap().len();
    assert_eq!(foreign, written.load(Ordering::Relaxed));
    let exported = context.succeed(&[
        "alarm", "config", "export", "--config", &name, "--kafka", &servers,
    ]);
    assert!(exported.contains("delay: 19"), "{exported}");
}

/// A broker with logins, which ends with this process.
struct Secure {
    environment: String,
}

impl Secure {
    fn start() -> Option<Self> {
        // says aloud what is not checked where there is no Kafka at all
        part("kafka.sh", "KAFKA_SERVERS")?;
        let process = std::process::id().to_string();
        let name = format!("ioc-secure-{process}");
        let output = Command::new("bash")
            .arg(repository().join("tests/testbed/kafka.sh"))
            .args(["--name", &name, "--secure", "--die-with", &process, "up"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let environment = String::from_utf8(output.stdout).unwrap();
        Some(Self { environment })
    }

    fn value(&self, name: &str) -> &str {
        let lines = self.environment.lines();
        let mut pairs = lines.filter_map(|line| line.split_once('='));
        pairs.find(|(key, _value)| *key == name).unwrap().1
    }

    fn login(&self, user: &str, password: &str) -> String {
        format!(
            "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nssl.truststore.type=PEM\nssl.truststore.location={}/ca.pem\n\
             sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{user}\" password=\"{password}\";\n",
            self.value("KAFKA_CERTIFICATES")
        )
    }
}

#[test]
fn logins_that_are_wrong_and_topics_that_are_forbidden() {
    let Some(broker) = Secure::start() else {
        return;
    };
    let servers = broker.value("KAFKA_SASL_SERVERS");
    let context = TestContext::new().shown_as(servers, "[BROKER]");
    context.write("alarms.yaml", FILE.replace("NAME", "Secret"));
    let password = broker.value("KAFKA_PASSWORD");
    context.write("operator.properties", broker.login("operator", password));
    context.write("wrong.properties", broker.login("operator", "hunter2"));
    context.write("guest.properties", broker.login("guest", password));
    let run = |words: &[&str], who: &str| {
        let file = format!("{who}.properties");
        let bus = ["--kafka", servers, "--kafka-properties", &file];
        context.run(&[&["alarm"], words, &bus].concat())
    };
    let apply = ["config", "apply", "alarms.yaml", "--yes"];
    let serve = ["serve", "--config", "Secret"];
    for words in [
        &apply[..],
        &serve,
        &["config", "export", "--config", "Secret"],
        &["config", "diff", "alarms.yaml"],
    ] {
        let report = run(words, "wrong");
        assert!(report.starts_with("exit code: 14\n"), "{report}");
        for said in [
            "error: Kafka at `[BROKER]` cannot be used",
            "uthentication failed",
            "hint: check user and password in `sasl.jaas.config`",
        ] {
            assert!(report.contains(said), "no `{said}` in {report}");
        }
        // a secret stays one
        assert!(!report.contains("hunter2"), "{report}");
    }
    for words in [&apply[..], &serve] {
        let report = run(words, "guest");
        assert!(report.starts_with("exit code: 14\n"), "{report}");
        for said in [
            "the topic `Secret",
            "the broker forbids it",
            "hint: kafka-acls.sh",
        ] {
            assert!(report.contains(said), "no `{said}` in {report}");
        }
    }
    let report = run(&apply, "operator");
    assert!(report.starts_with("exit code: 0\n"), "{report}");
    let report = run(&["config", "export", "--config", "Secret"], "guest");
    assert!(report.starts_with("exit code: 14\n"), "{report}");
    assert!(report.contains("the broker forbids it"), "{report}");
}
