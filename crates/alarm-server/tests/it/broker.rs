//! Real Kafka brokers from the test bed; they end with the test process.

use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bus::kafka::properties::Properties;
use bus::kafka::{Kafka, Options};

/// A broker of one test's own, or several that keep copies for each other.
pub(crate) struct Broker {
    name: String,
    servers: String,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/testbed/kafka.sh")
}

fn run(arguments: &[&str]) -> Output {
    Command::new(script()).args(arguments).output().unwrap()
}

impl Broker {
    /// Starts one; fails the test if that does not work under CI, and says what is not checked elsewhere.
    pub(crate) fn start(name: &str) -> Option<Self> {
        Self::several(name, 1)
    }

    /// Starts so many, 1 or 3.
    pub(crate) fn several(name: &str, nodes: u8) -> Option<Self> {
        let process = std::process::id().to_string();
        let name = format!("alarm-{process}-{name}");
        let nodes = nodes.to_string();
        let output = run(&[
            "--name",
            &name,
            "--nodes",
            &nodes,
            "--die-with",
            &process,
            "up",
        ]);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "Kafka does not start:\n{said}"
            );
            stderr()
                .write_all(format!("\n*** NOT TESTED: no Kafka: {said} ***\n").as_bytes())
                .unwrap();
            return None;
        }
        let environment = String::from_utf8(output.stdout).unwrap();
        let servers = environment
            .lines()
            .find_map(|line| line.strip_prefix("KAFKA_SERVERS="))
            .unwrap()
            .to_owned();
        Some(Self { name, servers })
    }

    /// Where it is.
    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    pub(crate) async fn connect(&self) -> Kafka {
        Kafka::connect(&self.servers, &Properties::default(), Options::default())
            .await
            .unwrap()
    }

    fn tell(&self, words: &[&str]) {
        let output = run(&[&["--name", &self.name], words].concat());
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Ends it with SIGKILL, all of several.
    pub(crate) fn kill(&self) {
        self.tell(&["kill"]);
    }

    /// Starts it again on the same port.
    pub(crate) fn start_again(&self) {
        self.tell(&["start"]);
    }

    /// Ends one of several with SIGKILL.
    pub(crate) fn kill_one(&self, node: u8) {
        self.tell(&["kill", &node.to_string()]);
    }

    /// Starts one of several again.
    pub(crate) fn start_one_again(&self, node: u8) {
        self.tell(&["start", &node.to_string()]);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // the broker ends with this process anyway
        drop(run(&["--name", &self.name, "down"]));
    }
}
