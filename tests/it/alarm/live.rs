//! `check --live` with a real soft IOC.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::context::TestContext;
use crate::port::free_port;
use crate::testbed::part;

const RECORDS: &str = r#"
record(ai, "CF:TEMP") { field(VAL,"20") field(PINI,"YES") field(HIHI,"80") field(HHSV,"MAJOR") field(HIGH,"60") field(HSV,"MINOR") }
record(ai, "CF:NOLIMIT") { field(VAL,"20") field(PINI,"YES") }
record(bi, "CF:DOOR") { field(ZNAM,"closed") field(ONAM,"open") field(OSV,"MINOR") field(PINI,"YES") }
record(mbbi, "CF:STATE") { field(ZRST,"ok") field(ONST,"bad") field(ONSV,"MAJOR") field(PINI,"YES") }
record(longin, "CF:COUNT") { field(HIHI,"5") field(HHSV,"MAJOR") field(PINI,"YES") }
record(stringin, "CF:TEXT") { field(VAL,"x") field(PINI,"YES") }
"#;

const CONFIGURATION: &str = r#"
configuration: Live
groups:
  A:
    pvs:
      CF:TEMP: {filter: "'CF:COUNT' > 0 && 'CF:NOFILTER' > 1"}
      CF:NOLIMIT: {}
      CF:DOOR: {}
      CF:STATE: {}
      CF:TEXT: {}
      CF:MISSING: {}
      CF:OFF: {enabled: false}
      "=CF:TEMP > 5": {}
"#;

/// An IOC that dies with this.
struct Ioc {
    process: Child,
    port: u16,
}

impl Ioc {
    fn start(context: &TestContext, python: &str) -> Self {
        let port = free_port();
        let database = context.write("ioc.db", RECORDS);
        let script = context.write(
            "serve.py",
            "import sys\nfrom epicscorelibs import ioc\nioc.iocshRegisterCommon()\n\
             ioc.start_ioc(dbs=[(sys.argv[1], '')])\nprint('ready', flush=True)\nsys.stdin.read()\n",
        );
        let mut process = Command::new(python)
            .arg(script)
            .arg(database)
            .env("EPICS_CAS_SERVER_PORT", port.to_string())
            .env("EPICS_CA_SERVER_PORT", port.to_string())
            .env("EPICS_CAS_INTF_ADDR_LIST", "127.0.0.1")
            .env("EPICS_CAS_BEACON_ADDR_LIST", "127.0.0.1")
            .env("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut lines = output.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "the IOC did not start");
        Self { process, port }
    }
}

impl Drop for Ioc {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn every_pv_is_asked() {
    let Some(python) = part("softioc.sh", "SOFTIOC_PYTHON") else {
        return;
    };
    let context = TestContext::new();
    let ioc = Ioc::start(&context, &python);
    context.write("Live.yaml", CONFIGURATION);
    let context = context
        .env("EPICS_CA_ADDR_LIST", format!("127.0.0.1:{}", ioc.port))
        .env("EPICS_CA_AUTO_ADDR_LIST", "NO");
    let output = context
        .command(&[
            "-o",
            "json",
            "alarm",
            "config",
            "check",
            "Live.yaml",
            "--live",
            "--timeout",
            "4",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let file = &report["files"][0];
    let answers: Vec<String> = file["live"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {} {}",
                text("pv"),
                text("record"),
                text("can_alarm"),
                one["alarms"]
            )
        })
        .collect();
    assert_eq!(
        answers,
        [
            r#"CF:COUNT longin yes ["HHSV MAJOR"]"#,
            r#"CF:DOOR bi yes ["OSV MINOR"]"#,
            "CF:MISSING - unknown []",
            "CF:NOFILTER - unknown []",
            "CF:NOLIMIT ai no []",
            "CF:OFF - unknown []",
            r#"CF:STATE mbbi yes ["ONSV MAJOR"]"#,
            r#"CF:TEMP ai yes ["HHSV MAJOR (HIHI 80)","HSV MINOR (HIGH 60)"]"#,
            "CF:TEXT stringin no []",
        ]
    );
    let findings: Vec<String> = file["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let severity = one["severity"].as_str().unwrap();
            format!(
                "{severity} {} {}",
                one["place"]["line"],
                one["message"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        findings,
        [
            "error 6 nobody answered for `CF:NOFILTER` in the filter of `CF:TEMP` within 4 s",
            "warning 7 `CF:NOLIMIT` (ai) sets no alarm severity: it can only become invalid or disconnected",
            "warning 10 `CF:TEXT` (stringin) sets no alarm severity: it can only become invalid or disconnected",
            "error 11 nobody answered for `CF:MISSING` within 4 s",
            "warning 12 nobody answered for `CF:OFF` within 4 s",
        ]
    );
}
