//! The control API on a real socket.

use std::sync::Arc;
use std::time::Duration;

use alarm::{Severity, Time};
use alarm_server::Settings;
use alarm_server::settings::ApiSettings;
use bus::{Bus, From, TopicPlan};
use futures_util::future::BoxFuture;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::context::{Running, ask, raw, small_bus, small_pvs, with_api};

async fn in_alarm() -> Running {
    let server = Running::start(with_api(), small_bus(), small_pvs()).await;
    server.ready().await;
    server.until("X", "state:/X/area/b", "NO_ALARM").await;
    server
        .pvs
        .set_alarm("a", Severity::Major, "HIHI_ALARM", 95.0, Time::new(1001, 7));
    server.until("X", "state:/X", "MAJOR").await;
    server
}

#[tokio::test]
async fn the_tree_is_shown_and_an_alarm_acknowledged_with_an_answer() {
    let server = in_alarm().await;
    let (status, page) = server.ask("GET", "/v1/items", None).await;
    assert_eq!(status, 200);
    assert_eq!(page["total"], 4);
    let paths: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/X", "/X/area", "/X/area/a", "/X/area/b"]);
    assert_eq!(
        page["items"][1],
        json!({"path":"/X/area","severity":"MAJOR","kind":"group","children":2,"alarms":{"MAJOR":1},"pvs":2})
    );
    assert_eq!(
        page["items"][2],
        json!({"path":"/X/area/a","severity":"MAJOR","kind":"pv","pv":"a","description":"first",
            "message":"HIHI_ALARM","value":"95.0","time":"1970-01-01T00:16:41.000000007Z",
            "current_severity":"MAJOR","current_message":"HIHI_ALARM","enabled":true,"filtered":false,
            "enabled_at":null,"connection":"connected","shelved":null,"pending":null})
    );
    let count = async |query: &str| {
        let (status, page) = server.ask("GET", &format!("/v1/items?{query}"), None).await;
        assert_eq!(status, 200, "{query}: {page}");
        (
            page["total"].as_u64().unwrap(),
            page["items"].as_array().unwrap().len(),
        )
    };
    assert_eq!(count("is=active").await, (1, 1));
    assert_eq!(count("is=acknowledged").await, (0, 0));
    assert_eq!(count("severity=major&kind=pv").await, (1, 1));
    assert_eq!(count("text=SECOND").await, (1, 1));
    assert_eq!(count("at=/X&flat=true").await, (1, 1));
    assert_eq!(count("offset=1&limit=2").await, (4, 2));
    assert_eq!(count("at=b").await, (1, 1));

    let (status, answer) = server
        .ask(
            "POST",
            "/v1/acknowledge",
            Some(json!({"items": ["/X/area"]})),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["changed"], &answer["written"], &answer["count"]),
        (&json!(true), &json!(true), &json!(1))
    );
    assert_eq!(
        answer["items"],
        json!([{"path":"/X/area/a","changed":true,"before":"MAJOR","severity":"MAJOR_ACK","message":"HIHI_ALARM"}])
    );
    // it is on the bus when the answer is there
    assert!(
        server
            .newest("X", "state:/X/area/a")
            .unwrap()
            .contains("MAJOR_ACK")
    );

    let (_status, story) = server.ask("GET", "/v1/item?at=a", None).await;
    assert_eq!(story["items"][0]["more"]["channel"]["server"], "scripted");
    assert_eq!(story["items"][0]["more"]["configuration"]["latching"], true);
    assert!(story["events"].as_array().unwrap().len() >= 3, "{story}");
    server.end().await;
}

#[tokio::test]
async fn shelving_disabling_and_modes_have_answers() {
    let server = in_alarm().await;
    let wish = json!({"items": ["a"], "seconds": 3600, "reason": "pump is out"});
    let headers = [("Ioc-User", "alice@desk")];
    let (status, answer) = ask(
        server.address.unwrap(),
        "POST",
        "/v1/shelve",
        &headers,
        Some(wish),
    )
    .await;
    assert_eq!(status, 200, "{answer}");
    let (_status, page) = server.ask("GET", "/v1/items?is=shelved", None).await;
    let shelved = &page["items"][0]["shelved"];
    assert_eq!(
        (&shelved["user"], &shelved["host"], &shelved["reason"]),
        (&json!("alice"), &json!("desk"), &json!("pump is out"))
    );
    assert_eq!(page["items"][0]["severity"], "OK");
    // clients of Phoebus see a date
    let config = server.until("X", "config:/X/area/a", "enabled").await;
    assert!(
        config["enabled"]
            .as_str()
            .unwrap()
            .starts_with("2033-05-18T04:3"),
        "{config}"
    );
    assert_eq!(
        (&config["user"], &config["host"]),
        (&json!("alice"), &json!("desk"))
    );
    let (status, _) = server
        .ask("POST", "/v1/unshelve", Some(json!({"items": ["/X"]})))
        .await;
    assert_eq!(status, 200);
    server.until("X", "state:/X/area/a", "HIHI_ALARM").await;
    let (_, answer) = server
        .ask("POST", "/v1/disable", Some(json!({"items": ["b"]})))
        .await;
    assert_eq!(answer["items"][0]["message"], "Disabled");
    let (_, answer) = server
        .ask("POST", "/v1/enable", Some(json!({"items": ["b"]})))
        .await;
    assert_eq!(answer["changed"], true);
    let (_, answer) = server
        .ask("POST", "/v1/maintenance", Some(json!({"on": true})))
        .await;
    assert_eq!(
        (&answer["maintenance"], &answer["notify"]),
        (&json!(true), &json!(true))
    );
    server.until("X", "state:/X", "maintenance").await;
    let (_, answer) = server
        .ask("POST", "/v1/notify", Some(json!({"on": false})))
        .await;
    assert_eq!(answer["notify"], false);
    let (_, about) = server.ask("GET", "/v1/server", None).await;
    assert_eq!(
        (&about["maintenance"], &about["pvs"], &about["connected"]),
        (&json!(true), &json!(2), &json!(2))
    );
    let (status, _) = server.ask("POST", "/v1/reload", None).await;
    assert_eq!(status, 200);
    server.end().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let server = in_alarm().await;
    let before = server.bus.records("X").len();
    let rows = [
        (
            "POST",
            "/v1/acknowledge",
            Some(json!({"items": ["/X/area/a", "/X/aria"]})),
            404,
        ),
        ("POST", "/v1/acknowledge", Some(json!({"items": []})), 400),
        (
            "POST",
            "/v1/acknowledge",
            Some(json!({"paths": ["/X"]})),
            422,
        ),
        ("POST", "/v1/acknowledge", None, 415),
        ("POST", "/v1/shelve", Some(json!({"items": ["a"]})), 400),
        (
            "POST",
            "/v1/shelve",
            Some(json!({"items": ["a"], "until": "tomorrow"})),
            400,
        ),
        (
            "POST",
            "/v1/shelve",
            Some(json!({"items": ["a"], "until": "2001-01-01T00:00:00Z"})),
            400,
        ),
        (
            "POST",
            "/v1/shelve",
            Some(json!({"items": ["a"], "seconds": u64::MAX})),
            400,
        ),
        (
            "POST",
            "/v1/disable",
            Some(json!({"items": ["a"], "reason": "x".repeat(2000)})),
            400,
        ),
        ("POST", "/v1/maintenance", Some(json!({"on": "yes"})), 422),
        ("GET", "/v1/acknowledge", None, 405),
        ("GET", "/v2", None, 404),
        ("GET", "/v1/items?at=/Y", None, 404),
        ("GET", "/v1/items?is=green", None, 400),
        ("GET", "/v1/items?severity=green", None, 400),
        ("GET", "/v1/items?colour=green", None, 400),
        ("GET", "/v1/item", None, 400),
        ("GET", "/v1/item?at=", None, 404),
        ("GET", "/v1/log", None, 501),
    ];
    for (method, path, body, expected) in rows {
        let (status, answer) = server.ask(method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(!error.is_empty() && !error.ends_with('.'), "{error}");
    }
    let (_, answer) = server.ask("GET", "/v1/items?at=/X/aria", None).await;
    assert_eq!(answer["hint"], "did you mean `/X/area`?");
    assert_eq!(server.bus.records("X").len(), before);
    server.end().await;
}

#[tokio::test]
async fn large_and_broken_requests_are_bounded() {
    let server = in_alarm().await;
    let address = server.address.unwrap();
    let huge = json!({"items": ["x".repeat(300_000)]});
    let (status, _) = server.ask("POST", "/v1/acknowledge", Some(huge)).await;
    assert_eq!(status, 413);
    let header = format!(
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\n\r\n",
        "y".repeat(300_000)
    );
    // the answer may be lost because the rest of the request is not read
    let answer = raw(address, header.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    let many = format!(
        "GET /livez HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        "X: y\r\n".repeat(100)
    );
    assert!(
        raw(address, many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    assert!(
        raw(address, b"\x16\x03\x01nonsense\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400")
    );
    let stranger = [("Host", "evil.example")];
    let (status, _) = ask(address, "GET", "/v1/items", &stranger, None).await;
    assert_eq!(status, 421);
    let page = [("Origin", "http://evil.example")];
    let (status, _) = ask(
        address,
        "POST",
        "/v1/maintenance",
        &page,
        Some(json!({"on": true})),
    )
    .await;
    assert_eq!(status, 403);
    let (status, _) = server.ask("GET", "/livez", None).await;
    assert_eq!(status, 200);
    server.end().await;
}

#[tokio::test]
async fn roles_decide() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs_err::write(
        &path,
        "viewer v viewer-viewer-viewer\noperator o operator-operator\nadmin a admin-admin-admin\n",
    )
    .unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let settings = Settings {
        api: Some(ApiSettings {
            token_file: Some(path),
            ..ApiSettings::default()
        }),
        ..with_api()
    };
    let server = Running::start(settings, small_bus(), small_pvs()).await;
    server.ready().await;
    let address = server.address.unwrap();
    let status = async |token: &str, method: &str, path: &str, body: Option<Value>| {
        let token = format!("Bearer {token}");
        ask(
            address,
            method,
            path,
            &[("Authorization", &token), ("Ioc-User", "mallory")],
            body,
        )
        .await
        .0
    };
    let on = || Some(json!({"on": true}));
    assert_eq!(server.ask("GET", "/v1/items", None).await.0, 401);
    assert_eq!(server.ask("GET", "/metrics", None).await.0, 401);
    assert_eq!(
        status("viewer-viewer-viewer", "GET", "/v1/items", None).await,
        200
    );
    assert_eq!(
        status("viewer-viewer-viewer", "POST", "/v1/maintenance", on()).await,
        403
    );
    assert_eq!(
        status("operator-operator", "POST", "/v1/maintenance", on()).await,
        200
    );
    assert_eq!(
        status("operator-operator", "POST", "/v1/reload", None).await,
        403
    );
    assert_eq!(
        status("admin-admin-admin", "POST", "/v1/reload", None).await,
        200
    );
    assert_eq!(
        status("wrong-wrong-wrong-wrong", "GET", "/v1/items", None).await,
        401
    );
    let (_, story) = ask(
        address,
        "GET",
        "/v1/events?after=x",
        &[
            ("Host", "h"),
            ("Authorization", "Bearer nothing-at-all-here"),
        ],
        None,
    )
    .await;
    assert!(story["error"].is_string(), "{story}");
    server.end().await;
}

/// Reads events of a stream until one has the text.
async fn events(reader: &mut BufReader<TcpStream>, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), reader.read_line(&mut line));
        let length = read.await.unwrap().unwrap();
        assert!(length > 0, "the stream ended before {text}: {lines:?}");
        let line = line.trim_end().to_owned();
        let is_last = line.contains(text);
        lines.push(line);
        if is_last {
            return lines;
        }
    }
}

async fn follow(server: &Running, query: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(server.address.unwrap()).await.unwrap();
    let request = format!("GET /v1/events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reader = BufReader::new(stream);
    events(&mut reader, "transfer-encoding").await;
    reader
}

fn last_id(lines: &[String]) -> String {
    lines
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix("id: "))
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn the_stream_is_taken_up_again_without_a_gap() {
    let server = in_alarm().await;
    let (_, page) = server.ask("GET", "/v1/items", None).await;
    let from = page["event"].as_str().unwrap();
    let mut stream = follow(&server, &format!("?after={from}&kinds=state,audit")).await;
    server
        .ask("POST", "/v1/acknowledge", Some(json!({"items": ["a"]})))
        .await;
    let lines = events(&mut stream, "MAJOR_ACK").await;
    drop(stream);
    server
        .pvs
        .set_alarm("a", Severity::Ok, "NO_ALARM", 1.0, Time::new(1002, 0));
    server.until("X", "state:/X", r#""OK""#).await;
    let mut stream = follow(&server, &format!("?after={from}&kinds=audit")).await;
    let audit = events(&mut stream, "data: ").await.pop().unwrap();
    let audit: Value = serde_json::from_str(audit.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        (&audit["operation"], &audit["user"], &audit["paths"]),
        (
            &json!("acknowledge"),
            &json!("local"),
            &json!(["a", "/X/area/a"])
        )
    );
    let mut stream = follow(
        &server,
        &format!("?after={}&kinds=state&path=/X/area/a", last_id(&lines)),
    )
    .await;
    let lines = events(&mut stream, r#""current_message":"NO_ALARM""#).await;
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("state:/X\"") || line.contains("event: lost")),
        "{lines:?}"
    );
    // another run of the server
    let mut stream = follow(&server, "?after=dead-1").await;
    events(&mut stream, "event: lost").await;
    // the stream does not keep the server from ending
    let begin = std::time::Instant::now();
    server.end().await;
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn metrics_and_health() {
    let bus = small_bus();
    bus.hold_reads(true);
    let server = Running::start(with_api(), bus, small_pvs()).await;
    let (status, ready) = server.ask("GET", "/readyz", None).await;
    assert_eq!(status, 503);
    assert_eq!(
        ready["waiting_for"].as_array().unwrap().last().unwrap(),
        "alarms"
    );
    assert_eq!(server.ask("GET", "/livez", None).await.0, 200);
    let (status, _) = server.ask("GET", "/v1/items", None).await;
    assert_eq!(status, 503);
    server.bus.hold_reads(false);
    server.ready().await;
    server
        .pvs
        .set_alarm("a", Severity::Major, "HIHI_ALARM", 95.0, Time::new(1001, 7));
    server.until("X", "state:/X", "MAJOR").await;
    let (status, text) = server.ask("GET", "/metrics", None).await;
    assert_eq!(status, 200);
    let text = text.as_str().unwrap();
    for line in [
        r#"ioc_alarm_alarms{severity="MAJOR",area="area"} 1"#,
        r#"ioc_alarm_alarms{severity="OK",area="area"} 1"#,
        "ioc_alarm_pvs_connected 2",
        "ioc_alarm_pvs_watched 2",
        "ioc_alarm_bus_connected 1",
        "ioc_alarm_bus_lag 0",
    ] {
        assert!(
            text.lines().any(|one| one == line),
            "{line} is missing:\n{text}"
        );
    }
    assert!(text.contains("ioc_alarm_publish_latency_seconds_bucket{le=\"+Inf\"} "));
    assert!(text.ends_with("# EOF\n"));
    let (_, document) = server.ask("GET", "/openapi.json", None).await;
    assert_eq!(document["openapi"], "3.1.0");
    server.end().await;
}

/// Sends a text of that kind; the answer is the status and the body.
async fn send(server: &Running, path: &str, kind: &str, text: &str) -> (u16, Value) {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    let answer = raw(server.address.unwrap(), request.as_bytes()).await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (
        status,
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap(),
    )
}

#[tokio::test]
async fn a_configuration_is_exported_compared_and_applied() {
    let server = in_alarm().await;
    let (status, text) = server.ask("GET", "/v1/configuration", None).await;
    assert_eq!(status, 200);
    let text = text.as_str().unwrap().to_owned();
    // what was exported changes nothing
    let (status, report) = send(&server, "/v1/configuration/diff", "application/xml", &text).await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(
        (&report["steps"], &report["unchanged_pvs"]),
        (&json!([]), &json!(2))
    );
    let before = server.bus.records("X").len();
    let (_, report) = send(&server, "/v1/configuration/apply", "application/xml", &text).await;
    assert_eq!(
        (&report["applied"], &report["written"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(server.bus.records("X").len(), before);
    // another description of one PV: that and nothing else; the alarm stays
    let other = text.replace("first", "first of all");
    let (status, report) = send(
        &server,
        "/v1/configuration/apply",
        "application/xml",
        &other,
    )
    .await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(
        report["steps"],
        json!([{"action":"change","kind":"pv","path":"/X/area/a","fields":[{"field":"description","before":"first","after":"first of all"}]}])
    );
    assert_eq!(
        (&report["applied"], &report["written"], &report["records"]),
        (&json!(true), &json!(true), &json!(1))
    );
    let shown = async {
        loop {
            let (_, story) = server.ask("GET", "/v1/item?at=a", None).await;
            if story["items"][0]["description"] == "first of all" {
                return story["items"][0]["severity"].clone();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(20), shown)
            .await
            .unwrap(),
        "MAJOR"
    );
    for (kind, text, expected) in [
        ("application/xml", "<config name=\"X\"><component>", 422),
        ("application/xml", "<config name=\"Y\"/>", 400),
        (
            "application/xml",
            "<config name=\"X\"><component name=\"area\"><pv name=\"a\"><filter>1+</filter></pv></component></config>",
            422,
        ),
        ("application/json", "{}", 415),
        ("text/csv", "nonsense", 422),
        (
            "application/xml",
            "<config name=\"X\"><pv name=\"area\"/></config>",
            409,
        ),
        (
            "application/xml",
            "<config name=\"X\"><xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"/etc/passwd\"/></config>",
            422,
        ),
    ] {
        let before = server.bus.records("X").len();
        let (status, answer) = send(&server, "/v1/configuration/apply", kind, text).await;
        assert_eq!(status, expected, "{text}: {answer}");
        assert!(
            answer["error"].is_string() && answer["hint"].is_string() || status == 400,
            "{answer}"
        );
        assert_eq!(server.bus.records("X").len(), before, "{text}");
    }
    server.end().await;
}

/// A bus on which somebody else writes whenever a topic is read from a place on: the moment between a comparison and
/// what is published after it.
struct Racing(bus::scripted::Scripted);

impl Bus for Racing {
    fn prepare(&self, topics: &[TopicPlan]) -> BoxFuture<'_, Result<(), bus::Error>> {
        self.0.prepare(topics)
    }

    fn end(&self, topic: &str) -> BoxFuture<'_, Result<u64, bus::Error>> {
        self.0.end(topic)
    }

    fn read(
        &self,
        topics: &[(Arc<str>, From)],
    ) -> BoxFuture<'_, Result<Box<dyn bus::Reader>, bus::Error>> {
        if topics
            .iter()
            .any(|(_name, from)| matches!(from, From::Offset(_)))
        {
            let value = r#"{"user":"u","host":"h","description":"of somebody else"}"#;
            self.0.append("X", Some("config:/X/area/b"), Some(value));
        }
        self.0.read(topics)
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn bus::Writer>, bus::Error>> {
        self.0.writer()
    }

    fn holder(&self, fence: &bus::Fence) -> BoxFuture<'_, Result<bus::Holder, bus::Error>> {
        self.0.holder(fence)
    }

    fn take(
        &self,
        fence: &bus::Fence,
        after: Option<u64>,
    ) -> BoxFuture<'_, Result<Box<dyn bus::Writer>, bus::Error>> {
        self.0.take(fence, after)
    }

    fn statistics(&self) -> bus::Statistics {
        self.0.statistics()
    }
}

#[tokio::test]
async fn somebody_else_who_changes_the_configuration_is_noticed() {
    let bus = small_bus();
    let racing = Arc::new(Racing(bus.clone()));
    let server = Running::start_on(with_api(), racing, bus, small_pvs()).await;
    server.ready().await;
    server.until("X", "state:/X/area/b", "NO_ALARM").await;
    let (_, text) = server.ask("GET", "/v1/configuration", None).await;
    let other = text.as_str().unwrap().replace("first", "first of all");
    let (status, answer) = send(
        &server,
        "/v1/configuration/apply",
        "application/xml",
        &other,
    )
    .await;
    assert_eq!(status, 409, "{answer}");
    let error = answer["error"].as_str().unwrap();
    assert!(
        error.contains("`config:/X/area/b` was written after it was read"),
        "{error}"
    );
    // theirs is there, and nothing of ours
    assert!(
        server
            .newest("X", "config:/X/area/b")
            .unwrap()
            .contains("of somebody else")
    );
    assert!(
        !server
            .newest("X", "config:/X/area/a")
            .unwrap()
            .contains("first of all")
    );
    server.end().await;
}

#[tokio::test]
async fn an_audit_is_found_by_the_name_of_a_pv_and_by_its_group() {
    let server = in_alarm().await;
    for (items, at) in [
        (json!(["a"]), "/X/area/a"),
        (json!(["/X/area"]), "a"),
        (json!(["/X/area/a"]), "a"),
    ] {
        let (status, answer) = server
            .ask("POST", "/v1/acknowledge", Some(json!({"items": items})))
            .await;
        assert_eq!(status, 200, "{answer}");
        let (_, story) = server.ask("GET", &format!("/v1/item?at={at}"), None).await;
        let events = story["events"].as_array().unwrap();
        let audit = events
            .iter()
            .rfind(|event| event["kind"] == "audit")
            .unwrap();
        assert_eq!(audit["data"]["operation"], "acknowledge");
        let paths = audit["data"]["paths"].as_array().unwrap();
        assert!(paths.contains(&json!("/X/area/a")), "{audit}");
        assert!(paths.contains(&items[0]), "{audit}");
        server
            .ask("POST", "/v1/unacknowledge", Some(json!({"items": ["a"]})))
            .await;
    }
    server.end().await;
}

#[tokio::test]
async fn what_groups_say_is_told_of_what_is_in_them() {
    let server = in_alarm().await;
    for (key, title) in [("config:/X", "root"), ("config:/X/area", "near")] {
        let value = json!({"guidance": [{"title": title, "details": "do it"}]}).to_string();
        server.bus.append("X", Some(key), Some(&value));
    }
    let expected = |path: &str, title: &str| json!({"path": path, "guidance": [{"title": title, "details": "do it"}], "displays": [], "commands": [], "actions": []});
    let both = json!([expected("/X/area", "near"), expected("/X", "root")]);
    let told = async {
        loop {
            let (_, story) = server.ask("GET", "/v1/item?at=a", None).await;
            if story["items"][0]["groups"] == both {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told)
        .await
        .unwrap();
    let (_, story) = server.ask("GET", "/v1/item?at=/X/area", None).await;
    assert_eq!(story["items"][0]["groups"], both);
    let (_, story) = server.ask("GET", "/v1/item?at=/X", None).await;
    assert_eq!(story["items"][0]["groups"], json!([expected("/X", "root")]));
    // lists stay small
    let (_, page) = server.ask("GET", "/v1/items", None).await;
    assert_eq!(page["items"][0]["groups"], json!(null));
    server.end().await;
}
