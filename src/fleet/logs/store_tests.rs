//! Asking a store: a stand-in that answers as Loki does, for what the real one cannot be made to do on demand (full
//! pages of one moment, refusals).

use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::settings::Settings;

/// A store with these lines: nanoseconds and text, by time.
struct StandIn {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    async fn start(lines: Vec<(i128, String)>, refuse: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _peer)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                let (status, body) = match refuse {
                    Some(status) => (status, "no org id".to_owned()),
                    None => ("200 OK", answer(&request, &lines)),
                };
                seen.lock().unwrap().push(request);
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(body.as_bytes()).await.unwrap();
            }
        });
        Self { url, requests }
    }
}

/// What Loki answers: `[start, end)`, the first so many.
fn answer(request: &str, lines: &[(i128, String)]) -> String {
    let number = |key: &str| -> i128 {
        let (_, rest) = request.split_once(&format!("{key}=")).unwrap();
        let end = rest
            .find(|character: char| !character.is_ascii_digit())
            .unwrap();
        rest[..end].parse().unwrap()
    };
    let (start, end, limit) = (number("start"), number("end"), number("limit"));
    let values: Vec<_> = lines
        .iter()
        .filter(|(time, _)| (start..end).contains(time))
        .take(usize::try_from(limit).unwrap())
        .map(|(time, text)| serde_json::json!([time.to_string(), text]))
        .collect();
    serde_json::json!({"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": {"pod": "a-0"}, "values": values}]}})
    .to_string()
}

fn store(url: &str, change: impl FnOnce(&mut LogStoreSettings)) -> LogStore {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::for_test(folder.path());
    let mut logs = settings.logs.clone();
    logs.url = Some(url.to_owned());
    change(&mut logs);
    let fetch = FetchContext::new(&settings, CancellationToken::new());
    LogStore::new(&logs, &fetch).unwrap().unwrap()
}

fn subject() -> Subject {
    Subject {
        beamline: "t01".into(),
        namespace: "t01".into(),
        instance: "a".into(),
        container: "a".into(),
    }
}

fn at(nanosecond: i128) -> Timestamp {
    Timestamp::from_nanosecond(nanosecond).unwrap()
}

#[tokio::test]
async fn every_line_comes_once_over_many_pages() {
    // more than two pages, with the page's end inside lines of one moment
    let lines: Vec<(i128, String)> = (0..12_000_i128)
        .map(|number| (1000 + number / 7, format!("line {number}")))
        .collect();
    let expected: Vec<String> = lines.iter().map(|(_, text)| text.clone()).collect();
    let stand_in = StandIn::start(lines, None).await;
    let store = store(&stand_in.url, |_| {});
    let found: Vec<LogLine> = store
        .lines(&subject(), at(1000), at(1_000_000))
        .try_collect()
        .await
        .unwrap();
    let texts: Vec<String> = found.into_iter().map(|line| line.text).collect();
    assert_eq!(texts, expected);
    let requests = stand_in.requests.lock().unwrap();
    assert!(requests.len() >= 3, "{}", requests.len());
    assert!(
        requests[0].contains("query=%7Bnamespace%3D%22t01%22%2C%20pod%3D~%22a-.%2B%22"),
        "{}",
        requests[0]
    );
}

#[tokio::test]
async fn the_end_is_not_part_of_the_time() {
    let lines = (0..10)
        .map(|number| (number, format!("{number}")))
        .collect();
    let stand_in = StandIn::start(lines, None).await;
    let found: Vec<LogLine> = store(&stand_in.url, |_| {})
        .lines(&subject(), at(3), at(6))
        .try_collect()
        .await
        .unwrap();
    let texts: Vec<String> = found.into_iter().map(|line| line.text).collect();
    assert_eq!(texts, ["3", "4", "5"]);
}

#[tokio::test]
async fn who_asks_is_told_and_a_refusal_has_a_hint() {
    let stand_in = StandIn::start(Vec::new(), Some("401 Unauthorized")).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs_err::write(&token, "hush\n").unwrap();
    let store = store(&stand_in.url, |logs| {
        logs.tenant = Some("beamlines".into());
        logs.token_file = Some(token);
    });
    let result: Result<Vec<LogLine>, _> =
        store.lines(&subject(), at(0), at(10)).try_collect().await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.causes().join(" ").contains("no org id"));
    assert!(!error.hints().is_empty());
    let requests = stand_in.requests.lock().unwrap();
    let request = requests[0].to_lowercase();
    assert!(
        request.contains("authorization: bearer hush")
            && request.contains("x-scope-orgid: beamlines")
    );
}
