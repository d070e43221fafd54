//! A real EPICS soft IOC as a child process; it ends with the test, whose end closes its standard input.

use std::io::{BufRead as _, BufReader, Read, Write as _, stderr};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::port::free_port;

/// Where an IOC runs that is not at the loopback interface.
pub(crate) struct Network {
    /// The network namespace.
    pub(crate) namespace: String,
    pub(crate) address: Ipv4Addr,
    /// Where its beacons go.
    pub(crate) client: Ipv4Addr,
}

/// A soft IOC with a shell on its standard input.
pub(crate) struct Ioc {
    python: PathBuf,
    network: Option<Network>,
    folder: tempfile::TempDir,
    port: u16,
    beacons: u16,
    child: Option<(Child, ChildStdin)>,
}

/// Without the PV Access server that the package's own program opens; obeys commands of the IOC shell.
const PROGRAM: &str = r#"
import sys
from epicscorelibs import ioc
ioc.start_ioc(dbs=[("records.db", "")])
print("IOC-WORKS", flush=True)
for line in sys.stdin:
    ioc.ioc(line.rstrip())
"#;

fn python() -> Option<PathBuf> {
    let installed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/testbed/softioc/bin/python");
    let python = std::env::var_os("SOFTIOC_PYTHON").map_or(installed, PathBuf::from);
    if python.exists() {
        return Some(python);
    }
    let advice = "no soft IOC to test against: run `tests/testbed/softioc.sh up`";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{advice}");
    // past the test harness, which would swallow the words of a passing test
    stderr()
        .write_all(format!("\n*** NOT TESTED: {advice} ***\n").as_bytes())
        .unwrap();
    None
}

impl Ioc {
    /// Starts an IOC with these records, if one is installed, and waits until it runs.
    pub(crate) fn start(database: &str) -> Option<Self> {
        Self::start_on(None, database)
    }

    /// Starts it in a network namespace of its own, if that is given.
    pub(crate) fn start_on(network: Option<Network>, database: &str) -> Option<Self> {
        let python = python()?;
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("records.db"), database).unwrap();
        let mut ioc = Self {
            python,
            network,
            folder,
            port: free_port(),
            beacons: free_port(),
            child: None,
        };
        ioc.start_again();
        Some(ioc)
    }

    /// Starts it again on the same port, and waits until it runs.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        let (mut command, address, client) = match &self.network {
            None => (
                Command::new(&self.python),
                Ipv4Addr::LOCALHOST,
                Ipv4Addr::LOCALHOST,
            ),
            Some(network) => {
                let mut command = Command::new("ip");
                command
                    .args(["netns", "exec", &network.namespace])
                    .arg(&self.python);
                (command, network.address, network.client)
            }
        };
        let mut child = command
            .args(["-c", PROGRAM])
            .current_dir(self.folder.path())
            .env("EPICS_CAS_SERVER_PORT", self.port.to_string())
            .env("EPICS_CA_SERVER_PORT", self.port.to_string())
            .env("EPICS_CAS_INTF_ADDR_LIST", address.to_string())
            .env("EPICS_CAS_BEACON_ADDR_LIST", client.to_string())
            .env("EPICS_CAS_BEACON_PORT", self.beacons.to_string())
            .env("EPICS_CA_REPEATER_PORT", self.beacons.to_string())
            .env("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO")
            .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
            .env("EPICS_CA_ADDR_LIST", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let (sender, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            // read to the end, so that the IOC never waits for us
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // nobody listens any more once it runs
                    drop(sender.send(line));
                }
            });
        }
        drop(sender);
        let mut output = Vec::new();
        while !output
            .last()
            .is_some_and(|line: &String| line.starts_with("IOC-WORKS"))
        {
            let line = lines.recv_timeout(Duration::from_mins(2));
            output.push(
                line.unwrap_or_else(|_| panic!("the IOC did not start:\n{}", output.join("\n"))),
            );
        }
        self.child = Some((child, stdin));
    }

    /// Puts a value to a record, by the IOC's own shell.
    pub(crate) fn put(&mut self, name: &str, value: &str) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        if let Some((_child, stdin)) = &mut self.child {
            stdin
                .write_all(format!("dbpf \"{name}\" \"{value}\"\n").as_bytes())
                .unwrap();
            stdin.flush().unwrap();
        }
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some((mut child, _stdin)) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Where to search, and the port of beacons.
    pub(crate) fn reached_at(&self) -> (SocketAddrV4, u16) {
        let address = self
            .network
            .as_ref()
            .map_or(Ipv4Addr::LOCALHOST, |network| network.address);
        (SocketAddrV4::new(address, self.port), self.beacons)
    }

    /// How a client finds it.
    pub(crate) fn configuration(&self) -> ca::Configuration {
        let (address, beacons) = self.reached_at();
        ca::Configuration {
            repeater_port: Some(beacons),
            ..ca::Configuration::for_addresses([address])
        }
    }
}

impl Drop for Ioc {
    fn drop(&mut self) {
        self.kill();
    }
}
