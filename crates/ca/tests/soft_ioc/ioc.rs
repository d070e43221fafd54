//! Soft IOCs as child processes.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddrV4, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use ca::{Client, Configuration};

const RECORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/soft_ioc/records.db");

/// A running IOC; it ends with its standard input, that is, when this is dropped.
pub(crate) struct SoftIoc {
    python: PathBuf,
    port: u16,
    process: Child,
    _input: ChildStdin,
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
    eprintln!("\n*** NOT TESTED: {advice} ***\n");
    None
}

/// Starts an IOC on a port of its own, if one is installed, and waits until it serves.
pub(crate) fn start() -> Option<SoftIoc> {
    python().map(|python| SoftIoc::start(python, free_port()))
}

/// A port that nothing uses now, above those that EPICS refuses.
fn free_port() -> u16 {
    loop {
        let port = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        if port > 5000 {
            return port;
        }
    }
}

impl SoftIoc {
    fn start(python: PathBuf, port: u16) -> Self {
        let mut process = Command::new(&python)
            .args(["-u", "-m", "epicscorelibs.ioc", "-d", RECORDS])
            .env("EPICS_CA_SERVER_PORT", port.to_string())
            .env("EPICS_CAS_SERVER_PORT", port.to_string())
            .env("EPICS_CAS_INTF_ADDR_LIST", "127.0.0.1 127.255.255.255")
            .env("EPICS_CAS_BEACON_ADDR_LIST", "127.0.0.1")
            .env("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO")
            .env("EPICS_PVAS_INTF_ADDR_LIST", "127.0.0.1")
            .env("EPICS_PVAS_BEACON_ADDR_LIST", "127.0.0.1")
            .env("EPICS_PVAS_AUTO_BEACON_ADDR_LIST", "NO")
            .env("EPICS_PVAS_SERVER_PORT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        for stream in [
            Box::new(process.stdout.take().unwrap()) as Box<dyn Read + Send>,
            Box::new(process.stderr.take().unwrap()),
        ] {
            // read to the end, so that the IOC never waits for us
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    println!("ioc: {line}");
                }
            });
        }
        Self {
            python,
            port,
            process,
            _input: input,
        }
    }

    /// Another IOC with the same records and the same search port.
    pub(crate) fn sibling(&self) -> Self {
        Self::start(self.python.clone(), self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn configuration(&self) -> Configuration {
        let port = self.port;
        Configuration::for_addresses([SocketAddrV4::new([127, 255, 255, 255].into(), port)])
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.configuration())
    }
}

impl Drop for SoftIoc {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
