//! Requests over loopback; the answers are those recorded of a real Phoebus logger (reference: phoebus-logger).

use std::time::{Duration, UNIX_EPOCH};

use bus::Incoming;
use pretty_assertions::assert_eq;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::record::{Reading, Role, read};
use crate::sink::Sink as _;
use crate::sink::sqlite::{Retention, SqliteHistory, SqliteSink};

/// What the real logger had read: seconds and milliseconds after 2026-11-22T05:00:00Z, key, value.
const RECORDS: [(u64, &str, &str); 8] = [
    (
        520_647,
        "config:/Accelerator/A/t:ai1",
        r#"{"user":"root","host":"vm","description":"t:ai1"}"#,
    ),
    (
        622_613,
        "command:/Accelerator",
        r#"{"user":"tester","host":"labhost","command":"bogus"}"#,
    ),
    (
        662_630,
        "command:/Accelerator",
        r#"{"user":"tester","host":"labhost","command":"acknowledge"}"#,
    ),
    (
        662_639,
        "state:/Accelerator/A/t:ai1",
        r#"{"severity":"OK","message":"OK","value":"50.0","time":{"seconds":1795324262,"nano":639000000},"current_severity":"OK","current_message":"NO_ALARM"}"#,
    ),
    (
        662_639,
        "state:/Accelerator/A/Sub/t:bi1",
        r#"{"severity":"OK","message":"OK","value":"Off","time":{"seconds":1795324262,"nano":639000000},"current_severity":"OK","current_message":"NO_ALARM"}"#,
    ),
    (
        665_639,
        "state:/Accelerator/A/t:ai1",
        r#"{"severity":"MAJOR","message":"HIHI_ALARM","value":"95.0","time":{"seconds":1795324265,"nano":638999999},"current_severity":"MAJOR","current_message":"HIHI_ALARM"}"#,
    ),
    // what Phoebus does not log
    (670_000, "state:/Accelerator/A/gone", ""),
    (
        671_000,
        "talk:/Accelerator",
        r#"{"standout":false,"severity":"OK","talk":"x"}"#,
    ),
];

const MAJOR: &str = r#"{"severity":"MAJOR","message":"HIHI_ALARM","value":"95.0","time":"2026-11-22T05:11:05.638Z","current_severity":"MAJOR","current_message":"HIHI_ALARM","message_time":"2026-11-22T05:11:05.639Z","config":"state:/Accelerator/A/t:ai1","pv":"t:ai1","enabled":false}"#;
const BI1: &str = r#"{"severity":"OK","message":"OK","value":"Off","time":"2026-11-22T05:11:02.639Z","current_severity":"OK","current_message":"NO_ALARM","message_time":"2026-11-22T05:11:02.639Z","config":"state:/Accelerator/A/Sub/t:bi1","pv":"t:bi1","enabled":false}"#;
const AI1: &str = r#"{"severity":"OK","message":"OK","value":"50.0","time":"2026-11-22T05:11:02.639Z","current_severity":"OK","current_message":"NO_ALARM","message_time":"2026-11-22T05:11:02.639Z","config":"state:/Accelerator/A/t:ai1","pv":"t:ai1","enabled":false}"#;
const ACKNOWLEDGE: &str = r#"{"message_time":"2026-11-22T05:11:02.630Z","config":"command:/Accelerator","user":"tester","host":"labhost","command":"acknowledge","enabled":false}"#;
const BOGUS: &str = r#"{"message_time":"2026-11-22T05:10:22.613Z","config":"command:/Accelerator","user":"tester","host":"labhost","command":"bogus","enabled":false}"#;
const CONFIG: &str = r#"{"message_time":"2026-11-22T05:08:40.647Z","config":"config:/Accelerator/A/t:ai1","config_msg":"{\"user\":\"root\",\"host\":\"vm\",\"description\":\"t:ai1\",\"enabled\":true,\"latching\":true,\"annunciating\":true,\"delay\":0,\"count\":0,\"config\":\"config:/Accelerator/A/t:ai1\",\"message_time\":1795324120.647000000}","user":"root","host":"vm","enabled":true}"#;

struct Bed {
    address: std::net::SocketAddr,
    folder: tempfile::TempDir,
}

impl Bed {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut sink = SqliteSink::open(&path, Retention::default()).unwrap();
        let entries: Vec<_> = RECORDS
            .iter()
            .enumerate()
            .map(|(offset, (time, key, value))| {
                let record = Incoming {
                    topic: "Accelerator".into(),
                    offset: offset as u64,
                    time: UNIX_EPOCH + Duration::from_millis(1_795_323_600_000 + time),
                    key: Some((*key).to_owned()),
                    value: (!value.is_empty()).then(|| (*value).to_owned()),
                };
                let role = if key.starts_with("talk") {
                    Role::Talk
                } else {
                    Role::Tree
                };
                match read(role, &record) {
                    Reading::Entry(entry) => *entry,
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        sink.write(&entries).await.unwrap();
        let history = SqliteHistory::open(&path).unwrap();
        let router = Rest::new(Arc::new(history), None).router();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, folder }
    }

    /// Status, headers and body of an answer.
    async fn get(&self, path: &str) -> (u16, String, String) {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, _head, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn answers_as_recorded() {
    let bed = Bed::new().await;
    // entries of one moment have no order in Phoebus: those recorded are the ones that come first here too
    let rows: [(&str, &[&str]); 14] = [
        ("/search/alarm?size=2", &[MAJOR, BI1]),
        ("/search/alarm?pv=t:ai1&size=2", &[MAJOR, AI1]),
        ("/search/alarm/pv/t:ai1", &[MAJOR, AI1, CONFIG]),
        ("/search/alarm?severity=MAJOR&size=2", &[MAJOR]),
        ("/search/alarm?severity=major&size=2", &[MAJOR]),
        ("/search/alarm?command=acknowledge&size=2", &[MAJOR, BI1]),
        ("/search/alarm?command=Enabled", &[CONFIG]),
        ("/search/alarm?user=tester&size=2", &[ACKNOWLEDGE, BOGUS]),
        (
            "/search/alarm?user=te*&host=lab*&size=1&unknown=1",
            &[ACKNOWLEDGE],
        ),
        (
            "/search/alarm/config?config=/Accelerator/A/t:ai1",
            &[CONFIG],
        ),
        (
            "/search/alarm?start=2026-11-22%2005:00:00.000&end=2026-11-22%2006:00:00.000&size=1",
            &[MAJOR],
        ),
        ("/search/alarm?root=Accelerator&size=1", &[MAJOR]),
        ("/search/alarm?root=Other", &[]),
        ("/search/alarm?pv=t:nosuch", &[]),
    ];
    for (path, expected) in rows {
        let (status, head, body) = bed.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        assert!(head.contains("content-type: application/json"), "{head}");
        // the text itself: order of fields and formats are part of the contract
        assert_eq!(body, format!("[{}]", expected.join(",")), "{path}");
    }
}

#[tokio::test]
async fn what_the_service_says_of_itself() {
    let bed = Bed::new().await;
    let (status, head, body) = bed.get("/").await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: text/plain;charset=utf-8"),
        "{head}"
    );
    let about: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(about["name"], "Alarm logging Service");
    assert_eq!(about["elastic"]["status"], "Connected");
    for field in ["clusterName", "clusterUuid", "version"] {
        assert!(about["elastic"][field].is_string(), "{field}");
    }
    let (_, head, body) = bed.get("/actuator/health").await;
    assert_eq!(body, r#"{"status":"UP"}"#);
    assert!(
        head.contains("application/vnd.spring-boot.actuator.v3+json"),
        "{head}"
    );
    let (status, _, body) = bed.get("/search/alarm/config").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 400);
    assert_eq!(
        (&body["status"], &body["error"], &body["path"]),
        (
            &Value::from(400),
            &"Bad Request".into(),
            &"/search/alarm/config".into()
        )
    );
}

#[tokio::test]
async fn errors_are_errors() {
    let bed = Bed::new().await;
    for path in [
        "/search/alarm?start=yesterdayish",
        "/search/alarm?size=many",
        "/v1/history?severty=MAJOR",
        "/v1/history?kind=thing",
        "/v1/history?limit=10001",
        "/v1/history?after=x",
        "/v1/history/counts",
        "/v1/history/counts?since=50%20years&span=1s",
    ] {
        let (status, _, body) = bed.get(path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 400, "{path}: {body}");
        assert!(body["error"].is_string(), "{path}: {body}");
    }
    assert_eq!(bed.get("/nothing").await.0, 404);
    assert_eq!(bed.get("/v1/logger").await.0, 404);
    // a history that is away is no empty list
    let broken = rusqlite::Connection::open(bed.folder.path().join("a.db")).unwrap();
    broken.execute_batch("DROP TABLE entry").unwrap();
    let (status, _, body) = bed.get("/search/alarm").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("no such table"), "{body}");
    assert_eq!(bed.get("/actuator/health").await.0, 503);
}

#[tokio::test]
async fn our_own_pages_filters_and_counts() {
    let bed = Bed::new().await;
    let first = bed
        .json("/v1/history?kind=state&kind=command&limit=2&order=oldest")
        .await;
    let commands = |page: &Value| -> Vec<Value> {
        let entries = page["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["command"].clone())
            .collect()
    };
    assert_eq!(commands(&first), ["bogus", "acknowledge"]);
    let next = first["next"].as_str().unwrap();
    let path = format!("/v1/history?kind=state&kind=command&limit=9&order=oldest&after={next}");
    let second = bed.json(&path).await;
    assert_eq!(second["entries"].as_array().unwrap().len(), 3);
    assert_eq!(second["next"], Value::Null);
    let both = bed
        .json("/v1/history?pv=t:b*&pv=gone&at=/Accelerator/A")
        .await;
    assert_eq!(both["entries"].as_array().unwrap().len(), 2);
    let counts = bed
        .json("/v1/history/counts?since=2026-11-22T05:00:00Z&until=2026-11-22T06:00:00Z&span=10m")
        .await;
    assert_eq!(
        counts["counts"],
        serde_json::json!([
            { "from": "2026-11-22T05:00:00Z", "of": "config", "count": 1 },
            { "from": "2026-11-22T05:10:00Z", "of": "MAJOR", "count": 1 },
            { "from": "2026-11-22T05:10:00Z", "of": "OK", "count": 2 },
            { "from": "2026-11-22T05:10:00Z", "of": "command", "count": 2 },
            { "from": "2026-11-22T05:10:00Z", "of": "deletion", "count": 1 },
            { "from": "2026-11-22T05:10:00Z", "of": "talk", "count": 1 },
        ])
    );
    let (_, head, table) = bed.get("/v1/history?severity=MAJOR&format=csv").await;
    assert!(head.contains("text/csv"), "{head}");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[1].starts_with(
            "2026-11-22T05:11:05.639Z,state,/Accelerator/A/t:ai1,t:ai1,MAJOR,HIHI_ALARM,95.0,"
        ),
        "{table}"
    );
}
