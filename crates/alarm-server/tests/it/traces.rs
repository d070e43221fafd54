//! Recordings of the Phoebus alarm server 5.0.5 (`tests/conformance/alarm`), replayed in real time against the whole
//! server: a real EPICS IOC, Channel Access, and a real bus.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alarm_server::clock::Clock;
use alarm_server::pvs::channel_access::ChannelAccess;
use alarm_server::shell::publisher::Topics;
use alarm_server::{Settings, Shell};
use bus::{Bus, Cleanup, From, Incoming, Outgoing, TopicPlan, Writer};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::compare::{Row, Rows, SCENARIOS, differences, keys};
use crate::context::settings;
use crate::ioc::Ioc;

/// How long before the server an IOC had its first values in the recordings, in seconds.
const FIRST_VALUES: f64 = 0.47;
/// How long an IOC took to start in the recordings, in seconds.
const IOC_START: f64 = 0.53;
/// Phases are so far apart in time that they cannot be mixed up.
const PHASE: f64 = 10_000.0;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/alarm")
}

/// A recording.
struct Recording {
    database: String,
    began: f64,
    /// Epoch seconds when the server was ready, by phase.
    ready: Vec<f64>,
    /// Configuration that was there before, as keys and values.
    before: Vec<(String, Value)>,
    steps: Vec<(usize, f64, Value)>,
    expected: Rows,
    end: Vec<f64>,
}

fn database(scenario: &str) -> String {
    let (_before, rest) = scenario.split_once("\ndb: |\n").unwrap();
    let lines = rest
        .lines()
        .take_while(|line| line.starts_with("  ") || line.is_empty());
    let lines: Vec<&str> = lines
        .map(|line| line.get(2..).unwrap_or_default())
        .collect();
    lines.join(
        "
",
    )
}

fn is_input(key: &str, value: &Value) -> bool {
    value["user"] == "tracer" || (key.starts_with("config:") && value.is_null())
}

impl Recording {
    fn load(name: &str) -> Self {
        let text = |file: String| fs_err::read_to_string(folder().join(file)).unwrap();
        let trace = text(format!("{name}.trace.jsonl"));
        let mut lines = trace
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let head = lines.next().unwrap();
        let phases = head["phases"].as_array().unwrap();
        let ready: Vec<f64> = phases
            .iter()
            .map(|phase| phase["ready"].as_f64().unwrap())
            .collect();
        let mut recording = Self {
            database: database(&text(format!("{name}.yaml"))),
            began: phases[0]["began"].as_f64().unwrap(),
            end: vec![0.0; ready.len()],
            ready,
            before: Vec::new(),
            steps: Vec::new(),
            expected: Rows::new(),
        };
        for line in lines {
            let t = line["t"].as_f64().unwrap();
            let phase = usize::try_from(line["phase"].as_u64().unwrap_or(0)).unwrap();
            recording.end[phase] = recording.end[phase].max(t);
            if !line["step"].is_null() {
                recording.steps.push((phase, t, line["step"].clone()));
            }
            let (Some(topic), Some(key)) = (line["topic"].as_str(), line["key"].as_str()) else {
                continue;
            };
            let value = line["value"].clone();
            if !is_input(key, &value) {
                let t = t + PHASE * f64::from(u32::try_from(phase).unwrap());
                let rows = recording
                    .expected
                    .entry((topic.to_owned(), key.to_owned()))
                    .or_default();
                rows.push(Row { t, value });
            } else if t < 0.0 && phase == 0 {
                recording.before.push((key.to_owned(), value));
            }
        }
        recording
    }
}

/// What was written, as it comes.
type Written = Arc<Mutex<Vec<Incoming>>>;

struct Replay {
    recording: Recording,
    /// Name of the configuration on the bus.
    live: String,
    topics: Topics,
    bus: Arc<dyn Bus>,
    writer: Box<dyn Writer>,
    ioc: Ioc,
    written: Written,
    /// When our server was ready, by phase, in epoch seconds.
    ready: Vec<f64>,
    /// When the IOC was started for the first time, and when it ran, in epoch seconds.
    first: (f64, f64),
    /// Since when (epoch seconds) our clock counts so many seconds less: an IOC took longer to start than in the recording.
    pauses: Vec<(f64, f64)>,
    server: Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
}

fn epoch(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

impl Replay {
    async fn begin(name: &str, live: String, bus: Arc<dyn Bus>) -> Option<Self> {
        let recording = Recording::load(name);
        let database = recording.database.clone();
        let spawned = epoch(SystemTime::now());
        let ioc = tokio::task::spawn_blocking(move || Ioc::start(&database))
            .await
            .unwrap()?;
        let first = (spawned, epoch(SystemTime::now()));
        let topics = Topics::new(&live);
        let plan = |name: &Arc<str>, cleanup| TopicPlan {
            name: Arc::clone(name),
            cleanup,
        };
        bus.prepare(&[
            plan(&topics.main, Cleanup::Compact),
            plan(&topics.command, Cleanup::Delete),
            plan(&topics.talk, Cleanup::Delete),
        ])
        .await
        .unwrap();
        let written = Written::default();
        let reads: Vec<(Arc<str>, From)> = [&topics.main, &topics.command, &topics.talk]
            .map(|topic| (Arc::clone(topic), From::Beginning))
            .to_vec();
        let mut reader = bus.read(&reads).await.unwrap();
        let sink = Arc::clone(&written);
        tokio::spawn(async move {
            while let Ok(records) = reader.next().await {
                sink.lock().unwrap().extend(records);
            }
        });
        let writer = bus.writer().await.unwrap();
        let mut replay = Self {
            live,
            topics,
            writer,
            bus,
            ioc,
            written,
            ready: Vec::new(),
            first,
            pauses: Vec::new(),
            server: None,
            recording,
        };
        for (key, value) in std::mem::take(&mut replay.recording.before) {
            replay.produce("", &key, (!value.is_null()).then(|| value.to_string()));
        }
        replay.writer.flush().await.unwrap();

        Some(replay)
    }

    fn produce(&self, suffix: &str, key: &str, value: Option<String>) {
        let record = Outgoing {
            topic: Arc::from(format!("{}{suffix}", self.live)),
            key: key.replacen("/Trace", &format!("/{}", self.live), 1),
            value,
        };
        self.writer.send(vec![record]).unwrap();
    }

    /// Times at which the server said that it has started.
    fn starts(&self) -> Vec<f64> {
        let key = format!("talk:/{}", self.live);
        let written = self.written.lock().unwrap();
        written
            .iter()
            .filter(|record| record.key.as_deref() == Some(&key))
            .filter(|record| {
                record
                    .value
                    .as_deref()
                    .is_some_and(|text| text.contains("server started"))
            })
            .map(|record| epoch(record.time))
            .collect()
    }

    async fn start_server(&mut self) -> Instant {
        let settings = Settings {
            configuration: self.live.clone(),
            connection_timeout: Duration::from_secs(3),
            nag_period: Some(Duration::from_mins(15)),
            ..settings()
        };
        let pvs = ChannelAccess::start(self.ioc.configuration());
        let shell = Shell::open(
            settings,
            Arc::clone(&self.bus),
            Box::new(pvs),
            Clock::machine(),
            None,
        )
        .await
        .unwrap();
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move {
            Box::pin(shell.run(token)).await.unwrap();
        });
        self.server = Some((stop, task));
        let before = self.ready.len();
        let ready = async {
            while self.starts().len() <= before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), ready)
            .await
            .unwrap();
        let at = self.starts()[before];
        self.ready.push(at);
        let age = (epoch(SystemTime::now()) - at).max(0.0);
        Instant::now()
            .checked_sub(Duration::from_secs_f64(age))
            .unwrap()
    }

    async fn stop_server(&mut self, kill: bool) {
        if let Some((stop, task)) = self.server.take() {
            if kill {
                task.abort();
            } else {
                stop.cancel();
            }
            drop(task.await);
        }
    }

    async fn step(&mut self, step: &Value) {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if let Some(puts) = step["put"].as_object() {
            for (name, value) in puts {
                self.ioc.put(name, &text(value));
            }
        } else if let Some(burst) = step["burst"].as_object() {
            let begin = Instant::now();
            let every = burst["every"].as_f64().unwrap();
            let name = burst["pv"].as_str().unwrap();
            for (place, value) in (0_u32..).zip(burst["values"].as_array().unwrap()) {
                tokio::time::sleep_until(begin + Duration::from_secs_f64(every * f64::from(place)))
                    .await;
                self.ioc.put(name, &text(value));
            }
        } else if let Some(command) = step["command"].as_object() {
            let key = format!("command:{}", command["path"].as_str().unwrap());
            let value =
                json!({"user": "tracer", "host": "tracehost", "command": command["command"]});
            self.produce("Command", &key, Some(value.to_string()));
        } else if let Some(config) = step["config"].as_object() {
            let key = format!("config:{}", config["path"].as_str().unwrap());
            self.produce("", &key, config_value(&config["value"]));
        } else if let Some(record) = step["record"].as_object() {
            let value = record["value"].as_str().map(str::to_owned);
            self.produce(
                record["topic"].as_str().unwrap(),
                record["key"].as_str().unwrap(),
                value,
            );
        } else if step["kill_ioc"].is_boolean() {
            self.ioc.kill();
        } else if step["start_ioc"].is_boolean() {
            let asked = epoch(SystemTime::now());
            tokio::task::block_in_place(|| self.ioc.start_again());
            let took = epoch(SystemTime::now()) - asked;
            self.pauses.push((asked, (took - IOC_START).max(0.0)));
        } else if step["stop_server"].is_boolean() {
            self.stop_server(false).await;
        } else if step["kill_server"].is_boolean() {
            self.stop_server(true).await;
        } else {
            panic!("a step that this test does not know: {step}");
        }
    }

    async fn run(mut self) -> Vec<String> {
        let mut steps = std::mem::take(&mut self.recording.steps)
            .into_iter()
            .peekable();
        for phase in 0..self.recording.ready.len() {
            let mut begin = self.start_server().await;
            while let Some((_phase, t, step)) = steps.next_if(|(at, _t, _step)| *at == phase) {
                if step["start_server"].is_boolean() {
                    // that is what begins the next phase
                    break;
                }
                tokio::time::sleep_until(begin + Duration::from_secs_f64(t.max(0.0))).await;
                let pauses = self.pauses.len();
                self.step(&step).await;
                for (_since, pause) in &self.pauses[pauses..] {
                    begin += Duration::from_secs_f64(*pause);
                }
            }
            let end = self.recording.end[phase] + 0.3;
            tokio::time::sleep_until(begin + Duration::from_secs_f64(end)).await;
        }
        let written = self.rows();
        self.stop_server(false).await;
        differences(&self.recording.expected, &written)
    }

    /// What our server wrote, in the words of the recording.
    fn rows(&self) -> Rows {
        let suffixes: HashMap<&str, &str> = HashMap::from([
            (&*self.topics.main, "Trace"),
            (&*self.topics.command, "TraceCommand"),
            (&*self.topics.talk, "TraceTalk"),
        ]);
        let mut rows = Rows::new();
        for record in self.written.lock().unwrap().iter() {
            let key = record
                .key
                .clone()
                .unwrap()
                .replacen(&format!("/{}", self.live), "/Trace", 1);
            let mut value: Value = record
                .value
                .as_ref()
                .map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
            let at = epoch(record.time);
            let phase = self.ready.iter().rposition(|ready| at >= ready - 0.001);
            let Some(phase) = phase.filter(|_phase| !is_input(&key, &value)) else {
                continue;
            };
            let paused = |at: f64| -> f64 {
                let pauses = self.pauses.iter().filter(|(since, _pause)| at > *since);
                pauses.map(|(_since, pause)| pause).sum()
            };
            // as far from the recorded readiness as it was from ours
            let shift = self.recording.ready[phase] - self.ready[phase];
            if let Some(seconds) = value["time"]["seconds"].as_f64() {
                let nano = value["time"]["nano"].as_f64().unwrap();
                let moment = seconds + nano / 1e9;
                let is_first = (self.first.0..=self.first.1).contains(&moment);
                let moment = if is_first {
                    self.recording.began - FIRST_VALUES
                } else {
                    moment + shift - paused(moment)
                };
                value["time"] =
                    json!({"seconds": moment.floor(), "nano": (moment.fract() * 1e9).floor()});
            }
            let t = at - paused(at) - self.ready[phase]
                + PHASE * f64::from(u32::try_from(phase).unwrap());
            let topic = suffixes[&*record.topic].to_owned();
            rows.entry((topic, key)).or_default().push(Row { t, value });
        }
        rows
    }
}

/// The value of a configuration record, with dates filled in.
fn config_value(value: &Value) -> Option<String> {
    if value.is_null() {
        return None;
    }
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let mut fields = value.clone();
    if let Some(Value::String(text)) = fields.get_mut("enabled")
        && let Some(offset) = text
            .strip_prefix("{now")
            .and_then(|rest| rest.strip_suffix('}'))
    {
        let offset: i64 = offset.parse().unwrap();
        let at = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + offset).unwrap();
        *text = at
            .to_zoned(jiff::tz::TimeZone::UTC)
            .strftime("%Y-%m-%dT%H:%M:%S")
            .to_string();
    }
    fields["user"] = json!("tracer");
    fields["host"] = json!("tracehost");
    Some(fields.to_string())
}

/// Measures by how much the machine is late with what it has to do, in seconds, until it is dropped.
struct Lateness {
    worst: Arc<Mutex<f64>>,
    task: tokio::task::JoinHandle<()>,
}

impl Lateness {
    fn begin() -> Self {
        let worst: Arc<Mutex<f64>> = Arc::default();
        let sink = Arc::clone(&worst);
        let task = tokio::spawn(async move {
            loop {
                let due = Instant::now() + Duration::from_millis(20);
                tokio::time::sleep_until(due).await;
                let late = due.elapsed().as_secs_f64();
                let mut worst = sink.lock().unwrap();
                *worst = worst.max(late);
            }
        });
        Self { worst, task }
    }

    fn worst(&self) -> f64 {
        *self.worst.lock().unwrap()
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How late a machine may be and still play a scenario as it was recorded.
const LATE: f64 = 0.15;

/// Replays a scenario; once more if the machine was too busy to play it in time. What is wrong, if anything is.
async fn replay_one(place: usize, bus: Arc<dyn Bus>) -> Option<String> {
    let (name, meant) = SCENARIOS[place];
    for attempt in 1.. {
        let live = format!("Trace{}x{place}x{attempt}", std::process::id());
        let replay = Replay::begin(name, live, Arc::clone(&bus)).await?;
        let lateness = Lateness::begin();
        let found = replay.run().await;
        if keys(&found) == meant {
            return None;
        }
        let late = lateness.worst();
        if late < LATE || attempt == 4 {
            let late = format!("the machine was up to {late:.3} s late");
            return Some(format!("{name} ({late}): {}", found.join("\n")));
        }
    }
    None
}

/// Replays all scenarios beside each other.
async fn replay(bus: Arc<dyn Bus>) {
    let mut replays = JoinSet::new();
    for place in 0..SCENARIOS.len() {
        replays.spawn(replay_one(place, Arc::clone(&bus)));
    }
    let outcomes = replays.join_all().await;
    let failures: Vec<String> = outcomes.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_as_phoebus_on_the_embedded_bus() {
    let folder = tempfile::tempdir().unwrap();
    let bus =
        bus::embedded::Embedded::open(folder.path(), bus::embedded::Options::default()).unwrap();
    replay(Arc::new(bus)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_as_phoebus_on_kafka() {
    let Some(broker) = Broker::start("traces") else {
        return;
    };
    replay(Arc::new(broker.connect().await)).await;
}
