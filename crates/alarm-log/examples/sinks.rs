//! Figures of the way into a sink: `sinks sqlite|URL [RECORDS]` fills a bus in files with states, and measures from the start
//! of a logger until all of them are found in SQLite, or in the Elasticsearch at the URL, and the most memory it took.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for developers"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use alarm_log::query::{Filter, History};
use alarm_log::remote::{Login, Remote};
use alarm_log::sink::Sink;
use alarm_log::sink::elasticsearch::{ElasticsearchHistory, ElasticsearchSink, Options};
use alarm_log::sink::sqlite::{Retention, SqliteHistory, SqliteSink};
use alarm_log::{Logger, Settings};
use bus::embedded::{self, Embedded};
use bus::{Bus as _, Cleanup, Outgoing, TopicPlan};
use tokio_util::sync::CancellationToken;

const PART: u64 = 500;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let sink = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let records: u64 = arguments
        .next()
        .map_or(50_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let name = format!("Sinks{}", std::process::id());
    let options = embedded::Options {
        retention: Duration::from_hours(1),
        ..embedded::Options::default()
    };
    let bus = Arc::new(Embedded::open(&folder.path().join("bus"), options).unwrap());
    fill(&bus, &name, records).await;

    let begin = Instant::now();
    let settings = Settings {
        configurations: vec![name.clone()],
        spool: folder.path().join("spool"),
        spool_limit: 1 << 30,
        bus: "a bus in files".to_owned(),
        drain: Duration::from_secs(10),
    };
    let (written, history): (Box<dyn Sink>, Box<dyn History>) = if sink == "sqlite" {
        let path = folder.path().join("history.db");
        let written = SqliteSink::open(&path, Retention::default()).unwrap();
        (
            Box::new(written),
            Box::new(SqliteHistory::open(&path).unwrap()),
        )
    } else {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        let remote = Remote::new(client, &sink, &Login::None).unwrap();
        (
            Box::new(ElasticsearchSink::new(remote.clone(), Options::default())),
            Box::new(ElasticsearchHistory::new(remote)),
        )
    };
    let logger = Logger::open(&settings, bus, vec![written]).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(logger.run(stop.clone()));
    let filter = Filter {
        at: vec![format!("/{name}")],
        ..Filter::default()
    };
    loop {
        let counts = history.count(filter.clone(), i64::MAX).await.unwrap();
        if counts.iter().map(|count| count.count).sum::<u64>() >= records {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("seconds {:.3}", begin.elapsed().as_secs_f64());
    println!("memory_mib {}", peak() / 1024);
    stop.cancel();
    running.await.unwrap();
}

async fn fill(bus: &Embedded, name: &str, records: u64) {
    let plan = TopicPlan {
        name: name.into(),
        cleanup: Cleanup::Delete,
    };
    bus.prepare(&[plan]).await.unwrap();
    let writer = bus.writer().await.unwrap();
    for first in (0..records).step_by(usize::try_from(PART).unwrap()) {
        let part = (first..records.min(first + PART)).map(|number| Outgoing {
            topic: name.into(),
            key: format!("state:/{name}/area/pv{}", number % 1000),
            value: Some(format!(
                r#"{{"severity":"MAJOR","latch":true,"message":"HIHI_ALARM","value":"{number}","time":{{"seconds":1795324137,"nano":736698566}},"current_severity":"MAJOR","current_message":"HIHI_ALARM"}}"#
            )),
        });
        writer.send(part.collect()).unwrap();
        writer.flush().await.unwrap();
    }
}

/// The most memory that this process had, in KiB.
fn peak() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap_or("0").parse().unwrap()
}
