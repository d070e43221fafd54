//! Soft IOCs as child processes.

use std::io::{BufRead, BufReader, Read, Write, stderr};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ca::{Client, Configuration};

use crate::port::free_port;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/soft_ioc");

/// A running IOC; it is killed when this is dropped.
pub(crate) struct SoftIoc {
    python: PathBuf,
    port: u16,
    /// Where its beacons go.
    beacons: u16,
    process: Child,
}

/// The interpreter that `tests/testbed/softioc.sh` installed.
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
    writeln!(stderr(), "\n*** NOT TESTED: {advice} ***\n").unwrap();
    None
}

/// Starts an IOC on a port of its own, if one is installed, and waits until it runs.
pub(crate) fn start() -> Option<SoftIoc> {
    python().map(|python| SoftIoc::start(&python, free_port(), free_port(), Program::Base))
}

/// Starts an IOC that has this many more records, `T:MANY0` and so on.
pub(crate) fn start_with(more: usize) -> Option<SoftIoc> {
    python().map(|python| SoftIoc::start(&python, free_port(), free_port(), Program::Many(more)))
}

/// Starts caproto's server, which shares no code with EPICS base, with its example records `simple:A` to `simple:C`.
pub(crate) fn start_caproto() -> Option<SoftIoc> {
    python().map(|python| SoftIoc::start(&python, free_port(), free_port(), Program::Caproto))
}

/// Which server to start.
#[derive(Clone, Copy)]
enum Program {
    Base,
    Many(usize),
    Caproto,
}

impl Program {
    fn command(self, python: &Path) -> Command {
        let mut command = Command::new(python);
        match self {
            Self::Base => command.arg(Path::new(HERE).join("serve.py")),
            Self::Many(more) => command
                .arg(Path::new(HERE).join("serve.py"))
                .arg(more.to_string()),
            Self::Caproto => command.args([
                "-m",
                "caproto.ioc_examples.simple",
                "--interfaces",
                "127.0.0.1",
            ]),
        };
        command
    }

    /// What it says when it runs.
    fn running(self) -> &'static str {
        match self {
            Self::Base | Self::Many(_) => "IOC Running",
            Self::Caproto => "Server startup complete",
        }
    }
}

impl SoftIoc {
    fn start(python: &Path, port: u16, beacons: u16, program: Program) -> Self {
        let mut process = program
            .command(python)
            .env("EPICS_CAS_SERVER_PORT", port.to_string())
            .env("EPICS_CA_SERVER_PORT", port.to_string())
            .env("EPICS_CAS_INTF_ADDR_LIST", "127.0.0.1 127.255.255.255")
            .env("EPICS_CAS_BEACON_ADDR_LIST", "127.0.0.1")
            .env("EPICS_CAS_BEACON_PORT", beacons.to_string())
            .env("EPICS_CA_REPEATER_PORT", beacons.to_string())
            .env("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(process.stdout.take().unwrap()),
            Box::new(process.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            // read to the end, so that the IOC never waits for us
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // nobody listens any more once it runs
                    sender.send(line).ok();
                }
            });
        }
        drop(sender);
        let mut output = Vec::new();
        while !output
            .last()
            .is_some_and(|line: &String| line.contains(program.running()))
        {
            let line = lines.recv_timeout(Duration::from_mins(1));
            output.push(
                line.unwrap_or_else(|_| panic!("the IOC did not start:\n{}", output.join("\n"))),
            );
        }
        Self {
            python: python.to_owned(),
            port,
            beacons,
            process,
        }
    }

    /// Another IOC with the same records and the same search port.
    pub(crate) fn sibling(&self) -> Self {
        Self::start(&self.python, self.port, self.beacons, Program::Base)
    }

    /// Kills it, and says how to start it again.
    pub(crate) fn kill(self) -> Killed {
        Killed {
            python: self.python.clone(),
            port: self.port,
            beacons: self.beacons,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn configuration(&self) -> Configuration {
        Configuration {
            repeater_port: Some(self.beacons),
            ..Configuration::for_addresses([SocketAddrV4::new(
                [127, 255, 255, 255].into(),
                self.port,
            )])
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.configuration())
    }

    /// The repeater of libca at the port of this IOC's beacons.
    pub(crate) fn libca_repeater(&self) -> LibcaRepeater {
        let process = Command::new(&self.python)
            .arg(Path::new(HERE).join("repeater.py"))
            .env("EPICS_CA_REPEATER_PORT", self.beacons.to_string())
            .spawn()
            .unwrap();
        LibcaRepeater(process)
    }

    /// Waits until somebody listens for beacons.
    pub(crate) fn wait_for_repeater(&self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while UdpSocket::bind((Ipv4Addr::LOCALHOST, self.beacons)).is_ok() {
            assert!(Instant::now() < deadline, "nobody listens for beacons");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What caproto reads: the output of `read.py`, one line for each PV.
    pub(crate) fn read_by_caproto(&self, pvs: &[&str]) -> String {
        self.read_by("read.py", pvs)
    }

    /// What libca reads, by pyepics, in the same form.
    pub(crate) fn read_by_libca(&self, pvs: &[&str]) -> String {
        self.read_by("read_libca.py", pvs)
    }

    fn read_by(&self, program: &str, pvs: &[&str]) -> String {
        let output = Command::new(&self.python)
            .arg(Path::new(HERE).join(program))
            .args(pvs)
            .env("EPICS_CA_ADDR_LIST", "127.0.0.1")
            .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
            .env("EPICS_CA_SERVER_PORT", self.port.to_string())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A running `caRepeater`; it is killed when this is dropped.
pub(crate) struct LibcaRepeater(Child);

impl LibcaRepeater {
    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) {
        self.0.wait().unwrap();
    }
}

impl Drop for LibcaRepeater {
    fn drop(&mut self) {
        // it may have ended
        self.0.kill().ok();
        self.0.wait().unwrap();
    }
}

/// An IOC that can be started again where it was.
pub(crate) struct Killed {
    python: PathBuf,
    port: u16,
    beacons: u16,
}

impl Killed {
    pub(crate) fn start(&self) -> SoftIoc {
        SoftIoc::start(&self.python, self.port, self.beacons, Program::Base)
    }
}

impl Drop for SoftIoc {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
