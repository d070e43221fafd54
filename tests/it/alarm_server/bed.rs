//! A soft IOC, an alarm server and somebody who watches, as child processes that end with the test.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::context::TestContext;
use crate::port::free_port;
use crate::testbed::part;

/// How long something may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Starts an IOC with the file that is its argument; Channel Access only. It lives until its standard input ends.
pub(crate) const SERVE: &str = "
import sys
from epicscorelibs import ioc
ioc.iocshRegisterCommon()
ioc.start_ioc(dbs=[(sys.argv[1], '')])
sys.stdin.read()
";

/// A child process whose lines are read; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts a command and reads what it prints, on both outputs.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in outputs {
            let sender = sender.clone();
            // read to the end, so that the process never waits for us
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    sender.send(line).ok();
                }
            });
        }
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line with all of these in it, and gives it.
    pub(crate) fn line(&mut self, wanted: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted.iter().all(|word| line.contains(word)) {
                        return line;
                    }
                }
                Err(why) => panic!(
                    "no line with {wanted:?} ({why}) in:\n{}",
                    self.seen.join("\n")
                ),
            }
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends a signal and waits for the end; the exit code, `None` if the signal ended it.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A project with an IOC whose PVs go into alarm when they are written: `a`, `b` and so on, MINOR above 50, MAJOR above 80.
pub(super) struct Bed {
    pub(super) context: TestContext,
    python: String,
    port: u16,
    ioc: Option<Process>,
}

impl Bed {
    /// With these PVs; `None` where there is no soft IOC.
    pub(super) fn new(pvs: &[&str]) -> Option<Self> {
        let python = part("softioc.sh", "SOFTIOC_PYTHON")?;
        let port = free_port();
        let context = TestContext::new()
            .env("EPICS_CA_ADDR_LIST", "127.255.255.255")
            .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
            .env("EPICS_CA_SERVER_PORT", port.to_string())
            .env("IOC_LOG", "warn")
            .env("TZ", "UTC");
        let mut records = String::new();
        for pv in pvs {
            records.push_str(&format!(
                "record(ao, \"{pv}\") {{\n field(PINI, \"YES\")\n field(VAL, \"20\")\n field(EGU, \"degC\")\n field(HIGH, \"50\")\n \
                 field(HSV, \"MINOR\")\n field(HIHI, \"80\")\n field(HHSV, \"MAJOR\")\n}}\n"
            ));
        }
        records.push_str(
            "record(mbbo, \"state\") {\n field(PINI, \"YES\")\n field(VAL, \"1\")\n field(ZRST, \"Off\")\n field(ONST, \"Heating\")\n}\n\
             record(waveform, \"wave\") {\n field(FTVL, \"DOUBLE\")\n field(NELM, \"20\")\n}\n\
             record(ao, \"fixed\") {\n field(PINI, \"YES\")\n field(VAL, \"1\")\n field(DISP, \"1\")\n}\n",
        );
        context.write("records.db", records);
        let mut bed = Self {
            context,
            python,
            port,
            ioc: None,
        };
        bed.start_ioc();
        Some(bed)
    }

    /// Starts the IOC, or starts it again.
    pub(super) fn start_ioc(&mut self) {
        let port = self.port.to_string();
        let mut ioc = Process::start(
            Command::new(&self.python)
                .args(["-c", SERVE])
                .arg(self.context.project().join("records.db"))
                .env("EPICS_CAS_SERVER_PORT", &port)
                .env("EPICS_CA_SERVER_PORT", &port)
                .env("EPICS_CAS_INTF_ADDR_LIST", "127.0.0.1 127.255.255.255")
                .env("EPICS_CAS_BEACON_ADDR_LIST", "127.0.0.1")
                .env("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO"),
        );
        ioc.line(&["iocRun: All initialization complete"]);
        self.ioc = Some(ioc);
    }

    /// Ends the IOC as a crash does.
    pub(super) fn kill_ioc(&mut self) {
        self.ioc = None;
    }

    /// Writes a tree with these PVs in the group `Area`, and applies it.
    pub(super) fn configure(&self, name: &str, pvs: &[&str], more: &[&str]) {
        let mut text = format!("configuration: {name}\ngroups:\n  Area:\n    pvs:\n");
        for pv in pvs {
            text.push_str(&format!(
                "      {pv}:\n        description: temperature of {pv}\n"
            ));
        }
        self.context.write("alarms.yaml", text);
        let words = [
            &[
                "alarm",
                "config",
                "apply",
                "alarms.yaml",
                "--yes",
                "--quiet",
            ],
            more,
        ]
        .concat();
        self.context.succeed(&words);
    }

    /// Starts the alarm server and waits until it is ready.
    pub(super) fn serve(&self, name: &str, more: &[&str]) -> Process {
        let words = [&["alarm", "serve", "--config", name], more].concat();
        let mut server = Process::start(&mut self.context.command(&words));
        server.line(&["ready:"]);
        server
    }

    /// Starts somebody who watches, and waits until they do.
    pub(super) fn watch(&self, more: &[&str]) -> Process {
        let words = [&["alarm", "watch", "-o", "json"], more].concat();
        let mut watch = Process::start(&mut self.context.command(&words));
        watch.line(&["watching"]);
        watch
    }

    /// Writes a PV.
    pub(super) fn put(&self, pv: &str, value: &str) {
        self.context.succeed(&["pv", "put", pv, "--", value]);
    }

    /// Severities of all PVs by name.
    pub(super) fn severities(&self, more: &[&str]) -> Vec<(String, String)> {
        let words = [&["alarm", "ls"], more].concat();
        let items = self.context.json(&words);
        let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        items
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (text(item, "pv"), text(item, "severity")))
            .collect()
    }

    /// Waits until all PVs that are listed fulfil something.
    pub(super) fn until(&self, more: &[&str], wish: impl Fn(&str, &str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.severities(more);
            if !now.is_empty() && now.iter().all(|(pv, severity)| wish(pv, severity)) {
                return;
            }
            assert!(Instant::now() < deadline, "it stays {now:?}");
            // asks again; there is nothing to await that does not ask itself
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where servers say that they are.
    pub(super) fn announcement(&self, name: &str) -> PathBuf {
        let folder = self.context.state().join("alarm-bus/servers");
        folder.join(format!("{name}.json"))
    }
}

/// Sends Ctrl-D to the IOC: writes nothing and closes its input.
impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(ioc) = &mut self.ioc
            && let Some(mut input) = ioc.child.stdin.take()
        {
            input.flush().ok();
        }
    }
}
