//! Three servers of one configuration, of which one leads: its process is killed and stopped at random moments, under
//! load and with acknowledgements. Whoever reads the bus sees what one server that never ends would have written:
//! nothing is missing, nothing is there twice, nothing comes from a leader that was shut out.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use alarm::server::{Effect, News, Record, Server, Settings, Topic};
use alarm::{Severity, State, Time};
use alarm_server::shell::lead::Sign;
use bus::{Bus, Cleanup, From, Incoming, Outgoing, Reader, TopicPlan, Writer};
use pretty_assertions::assert_eq;
use rustix::process::{Pid, Signal, kill_process};

use crate::broker::Broker;

const PVS: usize = 40;
const NAMES: [&str; 3] = ["one", "two", "three"];
/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

fn rounds() -> usize {
    if std::env::var_os("IOC_SOAK").is_some() {
        100
    } else {
        5
    }
}

/// Random enough for moments, and the same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A server in a process of its own.
struct Process {
    child: Child,
    /// Takes lines; a process that is stopped takes none, which must hold up nobody.
    input: Sender<String>,
}

impl Process {
    fn start(bus: &str, name: &str) -> Self {
        let mut program = std::env::current_exe().unwrap();
        program.pop();
        program.pop();
        program.push("examples/replica");
        let mut child = Command::new(program)
            .args([bus, "X", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let (input, lines) = channel::<String>();
        std::thread::spawn(move || {
            for line in lines {
                // a process that was killed takes nothing more
                if pipe.write_all(line.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { child, input }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a PV is at.
#[derive(Debug, Clone)]
struct Pv {
    line: String,
    state: State,
    /// What clients have not seen yet.
    waits_for: Option<Wanted>,
}

#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    Change,
    Acknowledgement,
}

struct World {
    /// Kept open as long as the world is there.
    _bus: Arc<dyn Bus>,
    place: String,
    writer: Box<dyn Writer>,
    reader: Box<dyn Reader>,
    processes: Vec<Process>,
    pvs: Vec<Pv>,
    chance: Chance,
    count: u64,
    /// States and words in the order in which they were written.
    seen: Vec<(String, Option<String>)>,
    /// What the perfect server wrote, in the same order.
    perfect: Server,
    wanted: Vec<(String, Option<String>)>,
    signs: Vec<Sign>,
}

fn path(pv: usize) -> String {
    format!("/X/g{}/p{pv}", pv % 4)
}

fn at(seconds: i64) -> Time {
    Time::new(1_900_000_000 + seconds, 0)
}

impl World {
    async fn new(bus: Arc<dyn Bus>, place: String) -> Self {
        let plan = |name: &str, cleanup| TopicPlan {
            name: name.into(),
            cleanup,
        };
        bus.prepare(&[
            plan("X", Cleanup::Compact),
            plan("XServer", Cleanup::Compact),
            plan("XCommand", Cleanup::Delete),
            plan("XTalk", Cleanup::Delete),
        ])
        .await
        .unwrap();
        let settings = Settings {
            idle_timeout: Duration::from_hours(1000),
            nag_period: None,
            user: "server".to_owned(),
            host: "here".to_owned(),
            ..Settings::default()
        };
        let mut perfect = Server::new("X", settings).unwrap();
        let writer = bus.writer().await.unwrap();
        for pv in 0..PVS {
            let latching = if pv % 3 == 0 {
                ""
            } else {
                r#","latching":false"#
            };
            let record = Record {
                topic: Topic::Main,
                key: format!("config:{}", path(pv)),
                value: Some(format!(
                    r#"{{"user":"u","host":"h","description":"d{pv}"{latching}}}"#
                )),
            };
            perfect.record(&record, at(0));
            writer
                .send(vec![Outgoing {
                    topic: "X".into(),
                    key: record.key,
                    value: record.value,
                }])
                .unwrap();
        }
        writer.flush().await.unwrap();
        let topics = ["X", "XTalk", "XServer"].map(|topic| (Arc::from(topic), From::Now));
        let reader = bus.read(&topics).await.unwrap();
        let pvs = (0..PVS)
            .map(|pv| Pv {
                line: String::new(),
                state: State::new(Severity::Ok, format!("M{pv}"), 0.0, at(0)),
                waits_for: None,
            })
            .collect();
        let seed = u64::from(std::process::id());
        let mut world = Self {
            _bus: bus,
            place,
            writer,
            reader,
            processes: Vec::new(),
            pvs,
            chance: Chance(seed),
            count: 0,
            seen: Vec::new(),
            perfect,
            wanted: Vec::new(),
            signs: Vec::new(),
        };
        let effects = world.perfect.start(at(0));
        world.want(effects);
        world
    }

    /// Starts the servers, one after the other, with every PV at something.
    async fn begin(&mut self) {
        for number in 0..PVS {
            self.count += 1;
            self.change(number, Severity::Ok);
        }
        for name in NAMES {
            let process = self.start(name);
            self.processes.push(process);
            if self.signs.is_empty() {
                self.another_leads(0).await;
            }
        }
        self.go_on(PVS * 4).await;
    }

    fn want(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Publish(record) = effect
                && record.topic != Topic::Server
            {
                self.wanted.push((record.key, record.value));
            }
        }
    }

    fn start(&mut self, name: &str) -> Process {
        let process = Process::start(&self.place, name);
        for pv in &self.pvs {
            process.input.send(pv.line.clone()).ok();
        }
        process
    }

    /// The next change of every PV whose last one was seen, or an acknowledgement of it.
    fn drive(&mut self) {
        for number in 0..PVS {
            if self.pvs[number].waits_for.is_some() {
                continue;
            }
            let severity = self.pvs[number].state.severity;
            // an alarm that is there: acknowledging what is over shows the time of day
            if severity != Severity::Ok && self.chance.below(4) == 0 {
                self.pvs[number].waits_for = Some(Wanted::Acknowledgement);
                let record = Outgoing {
                    topic: "XCommand".into(),
                    key: format!("command:{}", path(number)),
                    value: Some(r#"{"user":"u","host":"h","command":"acknowledge"}"#.to_owned()),
                };
                self.writer.send(vec![record]).unwrap();
                continue;
            }
            self.count += 1;
            let all = [
                Severity::Ok,
                Severity::Minor,
                Severity::Major,
                Severity::Invalid,
            ];
            let severity = all[usize::try_from(self.chance.below(4)).unwrap()];
            self.change(number, severity);
        }
    }

    fn change(&mut self, number: usize, severity: Severity) {
        let seconds = i64::try_from(self.count).unwrap();
        let message = format!("M{}", self.count);
        let time = at(seconds);
        let pv = &mut self.pvs[number];
        pv.line = format!(
            "p{number} {severity} {message} {}.0 {}\n",
            self.count, time.seconds
        );
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let value = self.count as f64;
        pv.state = State::new(severity, message, value, time);
        pv.waits_for = Some(Wanted::Change);
        for process in &self.processes {
            process.input.send(pv.line.clone()).ok();
        }
    }

    /// Reads what is there, and has the perfect server do the same in the same order.
    async fn read(&mut self) {
        let next = tokio::time::timeout(Duration::from_millis(20), self.reader.next());
        let Ok(records) = next.await else { return };
        for record in records.unwrap() {
            self.take(record);
        }
    }

    fn take(&mut self, record: Incoming) {
        let key = record.key.unwrap_or_default();
        if &*record.topic == "XServer" {
            if key.starts_with("leader:") {
                let sign: Sign = serde_json::from_str(&record.value.unwrap()).unwrap();
                let newest = self.signs.last().map_or(0, |sign| sign.term);
                assert!(
                    sign.term >= newest,
                    "{sign:?} after {:?}",
                    self.signs.last()
                );
                if sign.term > newest {
                    self.signs.push(sign);
                }
            }
            return;
        }
        if key.starts_with("config:") {
            return;
        }
        let is_leaf = key.starts_with("state:") && key.contains("/p");
        if is_leaf {
            let number: usize = key.rsplit_once("/p").unwrap().1.parse().unwrap();
            self.follow(number, record.value.as_deref().unwrap_or_default());
        }
        self.seen.push((key, record.value));
    }

    /// A state of a PV was written: the perfect server writes it now as well.
    fn follow(&mut self, number: usize, value: &str) {
        let pv = &mut self.pvs[number];
        let message = format!(r#""current_message":"{}""#, &*pv.state.message);
        let Some(wanted) = pv.waits_for.clone() else {
            let key = format!("state:{}", path(number));
            let before = self.seen.iter().rev().filter(|entry| entry.0 == key);
            let before: Vec<_> = before.take(3).collect();
            let leader = self.signs.last();
            panic!("p{number} was written once more: {value} after {before:?}; {leader:?}");
        };
        let effects = match wanted {
            Wanted::Change => {
                assert!(
                    value.contains(&message),
                    "p{number}: {value}, not {message}"
                );
                let news = News::Value(pv.state.clone());
                let time = pv.state.time;
                self.perfect.news(&format!("p{number}"), &news, time)
            }
            Wanted::Acknowledgement => {
                let record = Record {
                    topic: Topic::Command,
                    key: format!("command:{}", path(number)),
                    value: Some(r#"{"command":"acknowledge"}"#.to_owned()),
                };
                let time = pv.state.time;
                self.perfect.record(&record, time)
            }
        };
        pv.waits_for = None;
        self.want(effects);
    }

    /// Load goes on until so many more changes were seen.
    async fn go_on(&mut self, changes: usize) {
        let (target, deadline) = (self.seen.len() + changes, Instant::now() + PATIENCE);
        while self.seen.len() < target {
            self.drive();
            self.read().await;
            if Instant::now() >= deadline {
                let waiting: BTreeMap<usize, &Pv> = self.pvs.iter().enumerate().collect();
                panic!("it stands still; {:?}; {waiting:?}", self.signs.last());
            }
        }
    }

    /// Load for so long.
    async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.drive();
            self.read().await;
        }
    }

    /// Everything that was begun is seen.
    async fn settle(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.pvs.iter().any(|pv| pv.waits_for.is_some()) {
            self.read().await;
            assert!(Instant::now() < deadline, "something is missing");
        }
        // of one transaction each topic is shown in its own time
        let end = Instant::now() + Duration::from_secs(10);
        while self.seen.len() < self.wanted.len() && Instant::now() < end {
            self.read().await;
        }
        // what should not come has time to come
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            self.read().await;
        }
    }

    fn leader(&self) -> usize {
        let pid = self.signs.last().unwrap().pid;
        self.processes
            .iter()
            .position(|process| process.child.id() == pid)
            .unwrap_or_else(|| panic!("the leader is none of the processes"))
    }

    /// Waits until another leads than the one of that term.
    async fn another_leads(&mut self, term: u64) -> Duration {
        let begun = Instant::now();
        while self.signs.last().is_none_or(|sign| sign.term <= term) {
            self.drive();
            self.read().await;
            assert!(begun.elapsed() < PATIENCE, "nobody takes over");
        }
        begun.elapsed()
    }

    fn compare(&mut self, what: &str) {
        let (words, wanted) = self.compare_states(what);
        assert_eq!(words, wanted, "{what}");
    }

    /// After brokers were away: words older than 20 s are forgotten, which may be before anybody has read them.
    fn compare_after_an_outage(&mut self, what: &str) {
        let (words, wanted) = self.compare_states(what);
        let mut rest = wanted.iter();
        for one in &words {
            assert!(
                rest.any(|other| other == one),
                "{what}: `{one}` was said once more, or not in its place among {wanted:#?}"
            );
        }
    }

    /// The states must be those of the perfect server. Gives the words and those that it said: they have a topic of
    /// their own, and no order holds among the two.
    fn compare_states(&mut self, what: &str) -> (Vec<String>, Vec<String>) {
        let only = |all: &[(String, Option<String>)], is_talk: bool| -> Vec<String> {
            all.iter()
                .filter(|(key, _value)| key.starts_with("talk:") == is_talk)
                .map(|(key, value)| format!("{key} {}", value.as_deref().unwrap_or("-")))
                .collect()
        };
        let (seen, wanted) = (
            std::mem::take(&mut self.seen),
            std::mem::take(&mut self.wanted),
        );
        assert_eq!(only(&seen, false), only(&wanted, false), "{what}");
        (only(&seen, true), only(&wanted, true))
    }
}

async fn play(mut world: World) {
    world.begin().await;
    for round in 0..rounds() {
        let wait = Duration::from_millis(200 + world.chance.below(1500));
        world.pass(wait).await;
        let leader = world.leader();
        let term = world.signs.last().unwrap().term;
        let is_kill = round % 2 == 0;
        let what = format!(
            "round {round}: {} {}",
            if is_kill { "killed" } else { "stopped" },
            NAMES[leader]
        );
        world.processes[leader].signal(if is_kill { Signal::KILL } else { Signal::STOP });
        let took = world.another_leads(term).await;
        println!("{what}: another leads after {} ms", took.as_millis());
        world.go_on(PVS * 4).await;
        if !is_kill {
            // one that was stopped in the middle of writing was ended by the one that took over
            if !world.processes[leader].has_ended() {
                world.processes[leader].signal(Signal::CONT);
            }
            world.pass(Duration::from_millis(500)).await;
        }
        if world.processes[leader].has_ended() || is_kill {
            let process = world.start(NAMES[leader]);
            world.processes[leader] = process;
        }
        world.go_on(PVS * 4).await;
        world.settle().await;
        world.compare(&what);
    }
    let leader = world.leader();
    let term = world.signs.last().unwrap().term;
    // the end of its input: it hands over
    let (input, _) = channel();
    world.processes[leader].input = input;
    let took = world.another_leads(term).await;
    println!("handed over: another leads after {} ms", took.as_millis());
    world.go_on(PVS * 4).await;
    world.settle().await;
    world.compare("handed over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_leader_on_the_embedded_bus() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus::embedded::Embedded::open(folder.path(), bus::embedded::Options::default());
    let place = PathBuf::from(folder.path()).display().to_string();
    play(World::new(Arc::new(bus.unwrap()), place).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_leader_on_kafka() {
    let Some(brokers) = Broker::several("replicas", 3) else {
        return;
    };
    let place = format!("kafka:{}", brokers.servers());
    play(World::new(Arc::new(brokers.connect().await), place).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_brokers() {
    let Some(brokers) = Broker::several("away", 3) else {
        return;
    };
    let place = format!("kafka:{}", brokers.servers());
    let mut world = World::new(Arc::new(brokers.connect().await), place).await;
    world.begin().await;
    // longer than the brokers keep a transaction open
    tokio::task::block_in_place(|| brokers.kill());
    world.pass(Duration::from_secs(12)).await;
    tokio::task::block_in_place(|| brokers.start_again());
    world.go_on(PVS * 4).await;
    world.settle().await;
    world.compare_after_an_outage("all brokers were away");
    // a cluster without one of three goes on slowly: its producers find out only when a record has waited for 10 s
    let nodes = if std::env::var_os("IOC_SOAK").is_some() {
        3
    } else {
        1
    };
    for node in 1..=nodes {
        tokio::task::block_in_place(|| brokers.kill_one(node));
        world.go_on(PVS * 2).await;
        tokio::task::block_in_place(|| brokers.start_one_again(node));
        world.go_on(PVS * 2).await;
        world.settle().await;
        world.compare_after_an_outage(&format!("broker {node} was away"));
    }
}
