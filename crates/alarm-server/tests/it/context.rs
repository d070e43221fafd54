//! A server with a scripted bus and scripted PVs, and a client for its API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alarm::{Severity, Time};
use alarm_server::clock::Clock;
use alarm_server::pvs::scripted::Scripted as Pvs;
use alarm_server::settings::ApiSettings;
use alarm_server::shell::End;
use alarm_server::{Settings, Shell, ShellError};
use bus::scripted::Scripted as Bus;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server that runs.
pub(crate) struct Running {
    pub(crate) bus: Bus,
    pub(crate) pvs: Pvs,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<End, ShellError>>,
}

pub(crate) fn settings() -> Settings {
    Settings {
        nag_period: None,
        user: "server".to_owned(),
        host: "host".to_owned(),
        zone: jiff::tz::TimeZone::UTC,
        api: None,
        ..Settings::new("X")
    }
}

pub(crate) fn with_api() -> Settings {
    Settings {
        api: Some(ApiSettings::default()),
        ..settings()
    }
}

/// A bus with a tree of two PVs in one group.
pub(crate) fn small_bus() -> Bus {
    let bus = Bus::new();
    for (key, value) in [
        ("config:/X/area", r#"{"user":"u","host":"h"}"#),
        (
            "config:/X/area/a",
            r#"{"user":"u","host":"h","description":"first"}"#,
        ),
        (
            "config:/X/area/b",
            r#"{"user":"u","host":"h","description":"second"}"#,
        ),
    ] {
        bus.append("X", Some(key), Some(value));
    }
    bus
}

/// PVs `a` and `b`, both without alarm.
pub(crate) fn small_pvs() -> Pvs {
    let pvs = Pvs::new();
    for name in ["a", "b"] {
        pvs.set_alarm(name, Severity::Ok, "NO_ALARM", 0.0, Time::new(1000, 0));
    }
    pvs
}

impl Running {
    pub(crate) async fn start(settings: Settings, bus: Bus, pvs: Pvs) -> Self {
        Self::start_on(settings, Arc::new(bus.clone()), bus, pvs).await
    }

    /// On a bus that does more than the scripted one that it is made of.
    pub(crate) async fn start_on(
        settings: Settings,
        outer: Arc<dyn bus::Bus>,
        bus: Bus,
        pvs: Pvs,
    ) -> Self {
        let shell = Shell::open(
            settings,
            outer,
            Box::new(pvs.pvs()),
            Clock::runtime(Time::new(2_000_000_000, 0)),
            None,
        )
        .await
        .unwrap();
        let stop = CancellationToken::new();
        Self {
            bus,
            pvs,
            address: shell.address(),
            task: tokio::spawn(shell.run(stop.clone())),
            stop,
        }
    }

    /// Waits until the newest record of a key contains a text.
    pub(crate) async fn until(&self, topic: &str, key: &str, text: &str) -> Value {
        let found = async {
            loop {
                let newest = self.newest(topic, key);
                if newest.as_ref().is_some_and(|value| value.contains(text)) {
                    return serde_json::from_str(&newest.unwrap()).unwrap();
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(40), found).await;
        waited.unwrap_or_else(|_elapsed| {
            panic!(
                "{key}: waited for {text}, the newest is {:?}",
                self.newest(topic, key)
            )
        })
    }

    pub(crate) fn newest(&self, topic: &str, key: &str) -> Option<String> {
        let records = self.bus.records(topic);
        let record = records
            .into_iter()
            .rev()
            .find(|record| record.key.as_deref() == Some(key))?;
        record.value
    }

    /// All values of a key, oldest first.
    pub(crate) fn values(&self, topic: &str, key: &str) -> Vec<Value> {
        self.bus
            .records(topic)
            .into_iter()
            .filter(|record| record.key.as_deref() == Some(key))
            .map(|record| {
                record
                    .value
                    .map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
            })
            .collect()
    }

    pub(crate) async fn end(self) -> End {
        self.stop.cancel();
        self.task.await.unwrap().unwrap()
    }

    /// Asks the API; the answer is the status and the body.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        ask(self.address.unwrap(), method, path, &[], body).await
    }

    /// Waits until the server is ready.
    pub(crate) async fn ready(&self) {
        let ready = async {
            while self.ask("GET", "/readyz", None).await.0 != 200 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ready)
            .await
            .unwrap();
    }
}

/// One request on a connection of its own, written by hand so that nothing is added.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> (u16, Value) {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _value)| *name == "Host") {
        text.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        let body = body.to_string();
        text.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    } else {
        text.push_str("\r\n");
    }
    let answer = raw(address, text.as_bytes()).await;
    let status = answer
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .parse()
        .unwrap_or_else(|_error| panic!("{method} {path}: no answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
        unchunk(body)
    } else {
        body.to_owned()
    };
    let value = serde_json::from_str(&body).unwrap_or(Value::String(body));
    (status, value)
}

fn unchunk(mut text: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        text = &rest[size + 2..];
    }
    whole
}

/// Sends bytes and reads to the end of the connection.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // a server that refuses early resets the connection after its answer
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}
