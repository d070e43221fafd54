//! Kill points: a logger that is killed many times while records come, with a sink that fails five times.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alarm_log::Entry;
use alarm_log::query::{Filter, History};
use alarm_log::sink::elasticsearch::{ElasticsearchHistory, ElasticsearchSink, Options};
use alarm_log::sink::loki::{LokiHistory, LokiSink};
use alarm_log::sink::{Outcome, Sink, TryLater};
use bus::embedded::{self, Embedded};
use bus::{Bus as _, Cleanup, TopicPlan};
use futures_util::future::BoxFuture;
use pretty_assertions::assert_eq;
use tokio_util::sync::CancellationToken;

use crate::logging::{
    count, everything, in_jsonl, in_sqlite, jsonl, logger, sqlite, until, values, write,
};
use crate::service::{open, part};

/// Tells the process of a test which folder it uses, and where the service is that it writes to, if not to files.
const CHILD: &str = "ALARM_LOG_CHILD";
const SERVICE: &str = "ALARM_LOG_CHILD_SERVICE";
/// While this file is there, the sink fails.
const BROKEN: &str = "broken";

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
    let options = embedded::Options {
        retention: Duration::from_hours(1),
        ..embedded::Options::default()
    };
    Embedded::open(&folder.join("bus"), options).unwrap()
}

fn start(folder: &Path, service: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--ignored", "--nocapture"])
        .env(CHILD, folder)
        .env(SERVICE, service)
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
    let service = std::env::var(SERVICE).unwrap();
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
        let sinks: Vec<Box<dyn Sink>> = match service.split_once('=') {
            Some(("elasticsearch", at)) => {
                vec![Box::new(ElasticsearchSink::new(
                    open(at),
                    Options::default(),
                ))]
            }
            Some(("loki", at)) => vec![Box::new(LokiSink::new(open(at)))],
            _ => vec![
                fragile(Box::new(sqlite(folder))),
                fragile(Box::new(jsonl(folder))),
            ],
        };
        let configuration = configuration(folder);
        let logger = logger(folder, &configuration, Arc::new(bus(folder)), sinks);
        logger.run(CancellationToken::new()).await;
    });
}

/// The configuration of a test is the name of its folder.
fn configuration(folder: &Path) -> String {
    let name = folder.file_name().unwrap().to_str().unwrap();
    name.to_owned()
}

/// What a test does to a logger.
pub(crate) struct Ordeal<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) service: &'a str,
    pub(crate) records: u64,
    pub(crate) kills: u64,
}

impl Ordeal<'_> {
    /// Writes records on a topic that forgets nothing, while the logger is killed and its sink is taken away and given back
    /// five times; waits until all of them are there, and kills the logger once more.
    pub(crate) async fn run(
        &self,
        mut sink_is_there: impl AsyncFnMut(bool),
        all_are_there: impl AsyncFn() -> bool,
    ) {
        let bus = bus(self.folder);
        let name = configuration(self.folder);
        let plan = TopicPlan {
            name: name.as_str().into(),
            cleanup: Cleanup::Delete,
        };
        bus.prepare(&[plan]).await.unwrap();
        let part = self.records / self.kills;
        let mut child = start(self.folder, self.service);
        for kill in 0..self.kills {
            write(&bus, &name, kill * part..(kill + 1) * part).await;
            if kill % (self.kills / FAILURES) == 0 {
                sink_is_there(false).await;
            }
            // somewhere else in its work each time
            tokio::time::sleep(Duration::from_millis(kill * 37 % 210)).await;
            child.kill().unwrap();
            child.wait().unwrap();
            child = start(self.folder, self.service);
            if kill % (self.kills / FAILURES) == 1 {
                sink_is_there(true).await;
            }
        }
        until("all records", all_are_there).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let letters = fs_err::read_to_string(self.folder.join("spool/dead-letter.jsonl")).unwrap();
        assert_eq!(letters, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twenty_times_every_record_is_there_once() {
    const RECORDS: u64 = 50_000;
    let folder = tempfile::Builder::new().prefix("Files").tempdir().unwrap();
    let folder = folder.path();
    let ordeal = Ordeal {
        folder,
        service: "",
        records: RECORDS,
        kills: 20,
    };
    let all =
        async || count(folder).await >= RECORDS && in_jsonl(folder).await.len() as u64 >= RECORDS;
    let broken = folder.join(BROKEN);
    let sink_is_there = async |is_there: bool| {
        let changed = if is_there {
            fs_err::remove_file(&broken)
        } else {
            fs_err::write(&broken, "")
        };
        changed.unwrap();
    };
    ordeal.run(sink_is_there, all).await;
    let expected: Vec<u64> = (0..RECORDS).collect();
    assert_eq!(in_sqlite(folder).await, expected);
    assert_eq!(in_jsonl(folder).await, expected);
    // as lines too, since searching leaves out what is there twice
    assert_eq!(lines(&folder.join("lines")), RECORDS);
}

/// A service of the test's own, which is killed and started again with its script.
struct Bed {
    script: PathBuf,
    words: Vec<String>,
}

impl Bed {
    fn new(script: &str, words: &[&str]) -> Self {
        let beds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/testbed");
        Self {
            script: beds.join(script),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    fn run(&self, verb: &str) -> String {
        let output = Command::new(&self.script)
            .args(&self.words)
            .arg(verb)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{verb} of {}",
            self.script.display()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn address(&self) -> String {
        let environment = self.run("env");
        let (_name, address) = environment.trim().split_once('=').unwrap();
        address.to_owned()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = Command::new(&self.script)
            .args(&self.words)
            .arg("down")
            .status();
    }
}

/// Kills the service of a test while its logger is killed too; everything is found there once.
async fn service_is_killed(
    kind: &str,
    bed: &Bed,
    ordeal: (u64, u64),
    history: impl Fn(&str) -> Box<dyn History>,
) {
    bed.run("up");
    let at = bed.address();
    let folder = tempfile::Builder::new()
        .prefix("Service")
        .tempdir()
        .unwrap();
    let folder = folder.path();
    let (records, kills) = ordeal;
    let service = format!("{kind}={at}");
    let ordeal = Ordeal {
        folder,
        service: &service,
        records,
        kills,
    };
    let searched = history(&at);
    let mut all = Filter::default();
    all.at.push(format!("/{}", configuration(folder)));
    let counted = async || {
        let counts = searched.count(all.clone(), i64::MAX).await;
        let counts = counts.unwrap_or_default();
        counts.iter().map(|count| count.count).sum::<u64>() >= records
    };
    let sink_is_there = async |is_there: bool| {
        bed.run(if is_there { "start" } else { "kill" });
    };
    ordeal.run(sink_is_there, counted).await;
    let counts = searched.count(all.clone(), i64::MAX).await.unwrap();
    let counted: u64 = counts.iter().map(|count| count.count).sum();
    assert_eq!(counted, records, "none is there twice");
    let found = everything(&*searched, all).await;
    let expected: Vec<u64> = (0..records).collect();
    assert_eq!(values(&found), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elasticsearch_and_the_logger_are_killed() {
    if part("ELASTICSEARCH_URL", "elasticsearch.sh").is_none() {
        return;
    }
    let process = std::process::id().to_string();
    let bed = Bed::new(
        "elasticsearch.sh",
        &[
            "--name",
            &format!("killed-{process}"),
            "--die-with",
            &process,
        ],
    );
    service_is_killed("elasticsearch", &bed, (50_000, 10), |at| {
        Box::new(ElasticsearchHistory::new(open(at)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loki_and_the_logger_are_killed() {
    if part("LOKI_URL", "loki.sh").is_none() {
        return;
    }
    let process = std::process::id().to_string();
    let bed = Bed::new(
        "loki.sh",
        &[
            "--name",
            &format!("killed-{process}"),
            "--die-with",
            &process,
        ],
    );
    service_is_killed("loki", &bed, (10_000, 10), |at| {
        Box::new(LokiHistory::new(open(at)))
    })
    .await;
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
