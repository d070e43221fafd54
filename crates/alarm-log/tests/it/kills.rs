//! Kill points: a logger that is killed twenty times while records come, with a sink that fails five times.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alarm_log::Entry;
use alarm_log::sink::{Outcome, Sink, TryLater};
use bus::embedded::{Embedded, Options};
use bus::{Bus as _, Cleanup, TopicPlan};
use futures_util::future::BoxFuture;
use pretty_assertions::assert_eq;
use tokio_util::sync::CancellationToken;

use crate::logging::{count, in_jsonl, in_sqlite, jsonl, logger, sqlite, until, write};

/// Tells the process of a test which folder it uses.
const CHILD: &str = "ALARM_LOG_CHILD";
/// While this file is there, the sink fails.
const BROKEN: &str = "broken";

const RECORDS: u64 = 50_000;
const KILLS: u64 = 20;
const FAILURES: u64 = 5;

/// A sink that can be made to fail, before and after it has written.
struct Fragile {
    sink: Box<dyn Sink>,
    broken: PathBuf,
}

impl Sink for Fragile {
    fn name(&self) -> &str {
        self.sink.name()
    }

    fn write<'a>(
        &'a mut self,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Vec<Outcome>, TryLater>> {
        Box::pin(async move {
            let failed = || TryLater {
                reason: "broken".to_owned(),
                hint: None,
            };
            let is_odd = entries.first().is_some_and(|entry| entry.offset % 2 == 1);
            if self.broken.exists() && is_odd {
                return Err(failed());
            }
            let outcomes = self.sink.write(entries).await?;
            // written, and nobody knows
            if self.broken.exists() {
                return Err(failed());
            }
            Ok(outcomes)
        })
    }
}

/// Nothing is forgotten while the test lasts.
fn bus(folder: &Path) -> Embedded {
    let options = Options {
        retention: Duration::from_hours(1),
        ..Options::default()
    };
    Embedded::open(&folder.join("bus"), options).unwrap()
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--ignored", "--nocapture"])
        .env(CHILD, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the process that other tests start"]
fn child() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    // It ends with who started it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::abort();
    });
    let folder = Path::new(&folder);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let fragile = |sink: Box<dyn Sink>| -> Box<dyn Sink> {
            let broken = folder.join(BROKEN);
            Box::new(Fragile { sink, broken })
        };
        let sinks = vec![
            fragile(Box::new(sqlite(folder))),
            fragile(Box::new(jsonl(folder))),
        ];
        let logger = logger(folder, "X", Arc::new(bus(folder)), sinks);
        logger.run(CancellationToken::new()).await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twenty_times_every_record_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let bus = bus(folder);
    let plan = TopicPlan {
        name: "X".into(),
        cleanup: Cleanup::Delete,
    };
    bus.prepare(&[plan]).await.unwrap();
    let part = RECORDS / KILLS;
    let mut child = start(folder);
    for kill in 0..KILLS {
        write(&bus, "X", kill * part..(kill + 1) * part).await;
        if kill % (KILLS / FAILURES) == 0 {
            fs_err::write(folder.join(BROKEN), "").unwrap();
        }
        // somewhere else in its work each time
        tokio::time::sleep(Duration::from_millis(kill * 37 % 210)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        child = start(folder);
        if kill % (KILLS / FAILURES) == 1 {
            fs_err::remove_file(folder.join(BROKEN)).unwrap();
        }
    }
    until("all records", || async {
        count(folder).await >= RECORDS && in_jsonl(folder).await.len() as u64 >= RECORDS
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let expected: Vec<u64> = (0..RECORDS).collect();
    assert_eq!(in_sqlite(folder).await, expected);
    assert_eq!(in_jsonl(folder).await, expected);
    // as lines too, since searching leaves out what is there twice
    assert_eq!(lines(&folder.join("lines")), RECORDS);
    let letters = fs_err::read_to_string(folder.join("spool/dead-letter.jsonl")).unwrap();
    assert_eq!(letters, "");
}

fn lines(folder: &Path) -> u64 {
    let mut lines = 0;
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let mut text = String::new();
        match extension {
            Some("jsonl") => text = fs_err::read_to_string(&path).unwrap(),
            Some("gz") => {
                let file = fs_err::File::open(&path).unwrap();
                let mut decoder = flate2::read::MultiGzDecoder::new(file);
                decoder.read_to_string(&mut text).unwrap();
            }
            _ => {}
        }
        lines += text.lines().count() as u64;
    }
    lines
}
