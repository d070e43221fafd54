//! What the control API has only in the whole program, which has a library for YAML.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value;

use super::bed::Process;
use crate::context::TestContext;

/// Asks a server; status and body.
fn ask(address: &str, request: &str, kind: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[test]
fn yaml_and_json_are_read_and_written() {
    let context = TestContext::new();
    let text = "configuration: X\ngroups:\n  Area:\n    guidance:\n    - Call somebody\n    pvs:\n      first:\n        delay: 5\n";
    context.write("alarms.yaml", text);
    context.succeed(&["alarm", "config", "apply", "alarms.yaml", "--yes"]);
    let mut server = Process::start(&mut context.command(&["alarm", "serve", "--config", "X"]));
    let line = server.line(&["control API: "]);
    let address = line.rsplit("http://").next().unwrap().trim();
    server.line(&["ready:"]);
    let (status, exported) = ask(
        address,
        "GET /v1/configuration?format=yaml",
        "text/plain",
        "",
    );
    assert_eq!((status, exported.as_str()), (200, text));
    let (status, json) = ask(
        address,
        "GET /v1/configuration?format=json",
        "text/plain",
        "",
    );
    assert_eq!(status, 200);
    let diff = "POST /v1/configuration/diff";
    for (kind, body) in [
        ("application/json", json.as_str()),
        ("application/yaml", text),
    ] {
        let (status, report) = ask(address, diff, kind, body);
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(
            (status, &report["records"]),
            (200, &0.into()),
            "{kind}: {report}"
        );
    }
    let apply = "POST /v1/configuration/apply";
    let changed = text.replace("delay: 5", "delay: 6");
    let (status, report) = ask(address, apply, "application/yaml", &changed);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(status, 200, "{report}");
    assert_eq!(
        (&report["applied"], &report["records"]),
        (&true.into(), &1.into())
    );
    assert_eq!(report["steps"][0]["kind"], "pv");
    assert_eq!(
        context.succeed(&["alarm", "config", "export", "--config", "X"]),
        changed
    );
    // mistakes with their lines, and nothing of other files
    for (body, said) in [
        (
            "configuration: X\ngroups:\n  Area:\n    pvs:\n      first:\n        dely: 5\n",
            "line 6",
        ),
        (
            "configuration: X\ngroups:\n  Area:\n    include: /etc/passwd\n",
            "is not included",
        ),
    ] {
        let (status, answer) = ask(address, apply, "application/yaml", body);
        assert_eq!(status, 422, "{answer}");
        assert!(answer.contains(said), "no `{said}` in {answer}");
    }
    let (status, answer) = ask(
        address,
        "GET /v1/configuration?format=toml",
        "text/plain",
        "",
    );
    assert_eq!(status, 400, "{answer}");
    // what a group says stands on the page of its PVs
    let page = context.succeed(&["alarm", "status", "first"]);
    assert!(page.contains("Call somebody  (/X/Area)"), "{page}");
    assert!(page.contains("alarm       OK, no value"), "{page}");
    let page = context.succeed(&["alarm", "status", "/X/Area"]);
    assert!(page.contains("what to do\n  Call somebody\n"), "{page}");
    assert_eq!(server.end(Signal::TERM), Some(0));
}
