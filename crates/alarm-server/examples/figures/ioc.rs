//! A soft IOC whose records change at a rate.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Outcome;

const PROGRAM: &str = r#"
import sys
from epicscorelibs import ioc
ioc.start_ioc(dbs=[("records.db", "")])
print("IOC-WORKS", flush=True)
sys.stdin.read()
"#;

/// Records in a group, all of which change together or not at all; groups in an area. So it was when Phoebus was measured.
const GROUP: usize = 100;
const AREA: usize = 10 * GROUP;

/// The path of a PV's configuration below the root.
pub(crate) fn path(number: usize) -> String {
    format!("area{}/group{}/k{number}", number / AREA, number / GROUP)
}

/// Of `pvs` records so many change ten times in a second that there are `rate` changes in all. The others stand still and
/// are no alarm until somebody writes 2 or more.
fn database(pvs: usize, rate: usize) -> String {
    let changing = rate / 10;
    (0..pvs)
        .map(|number| {
            let limits = "field(HIHI,\"2\") field(HHSV,\"MAJOR\") field(UDF,\"0\")";
            if number < changing {
                format!(
                    "record(calc, \"k{number}\") {{ field(SCAN,\".1 second\") field(INPA,\"k{number}.VAL NPP\") \
                     field(CALC,\"A=0?2:0\") {limits} }}\n"
                )
            } else {
                format!("record(ai, \"k{number}\") {{ field(VAL,\"0\") field(PINI,\"YES\") {limits} }}\n")
            }
        })
        .collect()
}

fn free_port() -> Outcome<u16> {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if port > 5000 && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
}

/// An IOC that runs; it ends with this value.
pub(crate) struct Ioc {
    child: Child,
    pub(crate) port: u16,
    pub(crate) beacons: u16,
}

impl Ioc {
    pub(crate) fn start(folder: &Path, pvs: usize, rate: usize) -> Outcome<Self> {
        fs_err::write(folder.join("records.db"), database(pvs, rate))?;
        let (port, beacons) = (free_port()?, free_port()?);
        let python = std::env::var("SOFTIOC_PYTHON")
            .map_err(|_missing| "SOFTIOC_PYTHON is not set: tests/testbed/softioc.sh env")?;
        let mut child = Command::new(python)
            .args(["-c", PROGRAM])
            .current_dir(folder)
            .env("EPICS_CAS_SERVER_PORT", port.to_string())
            .env("EPICS_CA_SERVER_PORT", port.to_string())
            .env("EPICS_CAS_INTF_ADDR_LIST", "127.0.0.1")
            .env("EPICS_CAS_BEACON_ADDR_LIST", "127.0.0.1")
            .env("EPICS_CAS_BEACON_PORT", beacons.to_string())
            .env("EPICS_CA_REPEATER_PORT", beacons.to_string())
            .env("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO")
            .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let ioc = Self {
            child,
            port,
            beacons,
        };
        while !lines
            .next()
            .ok_or("the IOC ended")??
            .starts_with("IOC-WORKS")
        {}
        Ok(ioc)
    }

    /// How a client finds it.
    pub(crate) fn configuration(port: u16, beacons: u16) -> Outcome<ca::Configuration> {
        Ok(ca::Configuration {
            repeater_port: Some(beacons),
            ..ca::Configuration::for_addresses([format!("127.0.0.1:{port}").parse()?])
        })
    }
}

impl Drop for Ioc {
    fn drop(&mut self) {
        // it may have ended already
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
