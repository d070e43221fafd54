//! Real brokers from the test bed, `tests/testbed/kafka.sh`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use bus::kafka::properties::Properties;
use bus::kafka::{Kafka, Options};

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/testbed/kafka.sh")
}

/// A broker that this process started, or several that belong together.
pub(crate) struct Broker {
    name: String,
    environment: BTreeMap<String, String>,
    /// Ended with this value, and not only with the process.
    own: bool,
}

impl Broker {
    /// Starts one; fails the test if that does not work under CI, and says what is not checked elsewhere.
    fn start(name: &str, options: &[&str], own: bool) -> Option<Broker> {
        let name = format!("bus-{}-{name}", std::process::id());
        let process = std::process::id().to_string();
        let output = Command::new(script())
            .args(["--name", &name, "--die-with", &process])
            .args(options)
            .arg("up")
            .output()
            .unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                std::env::var_os("CI").is_none(),
                "Kafka does not start, and CI is set:\n{said}"
            );
            eprintln!("NOT CHECKED: what needs a real Kafka\n{said}");
            return None;
        }
        let environment = String::from_utf8(output.stdout).unwrap();
        let pair = |line: &str| {
            line.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        Some(Broker {
            name,
            environment: environment.lines().filter_map(pair).collect(),
            own,
        })
    }

    /// One for this test alone, which may kill it.
    pub(crate) fn own(name: &str, options: &[&str]) -> Option<Broker> {
        Broker::start(name, options, true)
    }

    /// The one of the newest version that tests share, with TLS and logins.
    pub(crate) fn shared() -> Option<&'static Broker> {
        static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
        BROKER
            .get_or_init(|| Broker::start("new", &["--version", "4.1.0", "--secure"], false))
            .as_ref()
    }

    /// The one of the oldest version that tests share.
    pub(crate) fn old() -> Option<&'static Broker> {
        static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
        BROKER
            .get_or_init(|| Broker::start("old", &["--version", "3.9.1"], false))
            .as_ref()
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        &self.environment[name]
    }

    pub(crate) fn servers(&self) -> &str {
        self.value("KAFKA_SERVERS")
    }

    pub(crate) async fn connect(&self) -> Kafka {
        Kafka::connect(self.servers(), &Properties::default(), Options::default())
            .await
            .unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new(script())
            .args(["--name", &self.name])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// Ends a node, or all of them, with SIGKILL.
    pub(crate) fn kill(&self, node: &str) {
        self.run(
            &["kill", node]
                .map(str::trim)
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>(),
        );
    }

    /// Starts it again.
    pub(crate) fn start_again(&self, node: &str) {
        self.run(
            &["start", node]
                .map(str::trim)
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>(),
        );
    }

    /// What a tool of Kafka's own says.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let connection = ["tool", class, "--bootstrap-server", self.servers()];
        String::from_utf8(self.run(&[&connection, arguments].concat()).stdout).unwrap()
    }

    /// A topic as Kafka's own client reads it: offset, key and value of so many records.
    pub(crate) fn read_with_java(&self, topic: &str, count: u64) -> Vec<(u64, String, String)> {
        let count = count.to_string();
        let arguments = [
            "--topic",
            topic,
            "--from-beginning",
            "--timeout-ms",
            "60000",
            "--max-messages",
            &count,
            "--property",
            "print.offset=true",
            "--property",
            "print.key=true",
            "--property",
            "key.separator=\t",
            "--property",
            "null.literal=NULL",
        ];
        let text = self.tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            &arguments,
        );
        let record = |line: &str| {
            let mut parts = line.splitn(3, '\t');
            let offset = parts.next()?.strip_prefix("Offset:")?.parse().ok()?;
            Some((offset, parts.next()?.to_owned(), parts.next()?.to_owned()))
        };
        text.lines().filter_map(record).collect()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.own {
            let _ = Command::new(script())
                .args(["--name", &self.name, "down"])
                .output();
        }
    }
}

/// Gives what an expression has, or ends the test where there is no Kafka.
macro_rules! or_not_checked {
    ($broker:expr) => {
        match $broker {
            Some(broker) => broker,
            None => return,
        }
    };
}
pub(crate) use or_not_checked;
