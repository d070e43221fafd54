//! The server without its sockets against recordings of the Phoebus alarm server 5.0.5 (`tests/conformance/alarm`):
//! the same records and values go in, and what comes out is compared key by key.
//!
//! The records of the IOC are played in `ioc`. What a real IOC and a real bus add is checked where those are.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; clippy knows tests by their attribute, which helper functions lack"
)]

#[path = "../../../tests/conformance/alarm/compare.rs"]
mod compare;
mod ioc;

use std::path::{Path, PathBuf};
use std::time::Duration;

use alarm::Time;
use alarm::server::{Effect, News, Record, Server, Settings, Topic};
use compare::{Row, Rows, SCENARIOS, differences, keys};
use ioc::Ioc;
use jiff::tz::TimeZone;
use serde_json::Value;

/// What happens to the server.
#[derive(Debug)]
enum Input {
    Record(Record),
    Put(String, Value),
    Kill,
    Start,
    /// A PV answers.
    Answer(String),
}

struct Play {
    server: Server,
    ready: f64,
    ioc: Ioc,
    is_running: bool,
    inputs: Vec<(f64, Input)>,
    connected: Vec<String>,
    written: Rows,
}

impl Play {
    fn time(&self, t: f64) -> Time {
        let nanos = Duration::from_secs_f64(self.ready + t);
        Time::new(0, 0).after(nanos)
    }

    fn schedule(&mut self, t: f64, input: Input) {
        let place = self.inputs.partition_point(|(at, _input)| *at <= t);
        self.inputs.insert(place, (t, input));
    }

    fn tell(&mut self, t: f64, channel: &str) {
        let now = self.time(t);
        let news = News::Value(self.ioc.tell(channel, |t| self.time(t), now));
        let effects = self.server.news(channel, &news, now);
        self.take(t, effects);
    }

    fn take(&mut self, t: f64, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                // Phoebus has no such topic
                Effect::Publish(record) if record.topic == Topic::Server => {}
                Effect::Publish(record) => {
                    let topic = match record.topic {
                        Topic::Main => "Trace",
                        Topic::Command => "TraceCommand",
                        Topic::Talk => "TraceTalk",
                        Topic::Server => "TraceServer",
                    };
                    let value = record
                        .value
                        .map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
                    self.written
                        .entry((topic.to_owned(), record.key))
                        .or_default()
                        .push(Row { t, value });
                }
                Effect::Connect(name) => {
                    // Phoebus has its first values after a third of a second, later ones at once
                    let wait = if t < 0.1 { 0.3 } else { 0.01 };
                    if self.is_running && self.ioc.has(&name) {
                        self.schedule(t + wait, Input::Answer(name));
                    }
                }
                Effect::Disconnect(name) => self.connected.retain(|one| *one != name),
                Effect::Restart | Effect::Shutdown | Effect::Act(_) | Effect::Complain(_) => {}
            }
        }
    }

    fn act(&mut self, t: f64, input: Input) {
        let now = self.time(t);
        match input {
            Input::Record(record) => {
                let effects = self.server.record(&record, now);
                self.take(t, effects);
            }
            Input::Put(name, value) => {
                if !self.ioc.put(&name, &value, t) {
                    return;
                }
                for channel in self.connected.clone() {
                    if Ioc::is_news(&name, &channel) {
                        self.tell(t, &channel);
                    }
                }
            }
            Input::Answer(name) => {
                self.connected.push(name.clone());
                self.tell(t, &name);
            }
            Input::Kill => {
                self.is_running = false;
                for name in std::mem::take(&mut self.connected) {
                    let effects = self.server.news(&name, &News::Disconnected, now);
                    self.take(t, effects);
                }
            }
            Input::Start => {
                self.is_running = true;
                self.ioc.restart(t);
                let names = self.ioc.names();
                for name in names {
                    self.schedule(t + 1.0, Input::Answer(name));
                }
            }
        }
    }

    fn run(&mut self, end: f64) {
        loop {
            let input = self.inputs.first().map(|(t, _input)| *t);
            let due = self.server.deadline().map(|due| {
                let span = due.since(Time::default()).as_secs_f64();
                span - self.ready
            });
            match (input, due) {
                (Some(t), due) if due.is_none_or(|due| t <= due) => {
                    let (t, input) = self.inputs.remove(0);
                    self.act(t, input);
                }
                (_, Some(due)) if due <= end => {
                    // the smallest step that reaches the deadline in spite of rounding
                    let due = due + 1e-5;
                    let effects = self.server.tick(self.time(due));
                    self.take(due, effects);
                }
                _ => return,
            }
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/alarm")
}

fn topic(name: &str) -> Topic {
    match name {
        "TraceCommand" => Topic::Command,
        "TraceTalk" => Topic::Talk,
        _ => Topic::Main,
    }
}

/// Plays a scenario; what Phoebus wrote and what we write.
fn play(name: &str) -> (Rows, Rows) {
    let text = |file: String| fs_err(&folder().join(file));
    let trace = text(format!("{name}.trace.jsonl"));
    let scenario = text(format!("{name}.yaml"));
    let mut lines = trace
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = lines.next().unwrap();
    let ready = head["phases"][0]["ready"].as_f64().unwrap();
    // the IOC had its first values shortly before the server was started
    let first = head["phases"][0]["began"].as_f64().unwrap() - ready - 0.5;
    let server = Server::new(
        "Trace",
        Settings {
            connection_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(10),
            nag_period: Some(Duration::from_mins(15)),
            zone: TimeZone::UTC,
            user: "SERVER".to_owned(),
            host: "SERVER".to_owned(),
            seed: 1,
            ..Settings::default()
        },
    )
    .unwrap();
    let mut play = Play {
        server,
        ready,
        ioc: Ioc::load(&scenario, first),
        is_running: true,
        inputs: Vec::new(),
        connected: Vec::new(),
        written: Rows::new(),
    };
    let mut expected = Rows::new();
    let mut end = 0.0_f64;
    for line in lines {
        let t = line["t"].as_f64().unwrap();
        end = end.max(t);
        let step = &line["step"];
        if let Some(put) = step["put"].as_object() {
            for (name, value) in put {
                play.schedule(t, Input::Put(name.clone(), value.clone()));
            }
        } else if let Some(burst) = step["burst"].as_object() {
            let name = burst["pv"].as_str().unwrap();
            let every = burst["every"].as_f64().unwrap();
            for (place, value) in (0_u32..).zip(burst["values"].as_array().unwrap()) {
                let at = t + every * f64::from(place);
                play.schedule(at, Input::Put(name.to_owned(), value.clone()));
            }
        } else if step["kill_ioc"].is_boolean() {
            play.schedule(t, Input::Kill);
        } else if step["start_ioc"].is_boolean() {
            play.schedule(t, Input::Start);
        }
        let (Some(name), Some(key)) = (line["topic"].as_str(), line["key"].as_str()) else {
            continue;
        };
        let value = &line["value"];
        let is_input = value["user"] == "tracer" || (key.starts_with("config:") && value.is_null());
        if is_input {
            let value = (!value.is_null()).then(|| value.to_string());
            let record = Record {
                topic: topic(name),
                key: key.to_owned(),
                value,
            };
            if t < 0.0 {
                let now = play.time(t);
                assert_eq!(play.server.record(&record, now), []);
            } else {
                // a record takes a moment on the bus
                play.schedule(t + 0.004, Input::Record(record));
            }
        } else {
            let row = Row {
                t,
                value: value.clone(),
            };
            expected
                .entry((name.to_owned(), key.to_owned()))
                .or_default()
                .push(row);
        }
    }
    let effects = play.server.start(play.time(0.0));
    play.take(0.0, effects);
    play.run(end);
    (expected, play.written)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a library crate without fs_err; the path is in the message"
)]
fn fs_err(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What differs is what `docs/alarm-compatibility.md` lists, no more and no less.
#[test]
fn the_same_as_phoebus_but_for_what_is_meant() {
    for (name, meant) in SCENARIOS {
        let (expected, written) = play(name);
        let found = differences(&expected, &written);
        assert_eq!(keys(&found), meant, "{name}: {}", found.join("\n"));
    }
}
