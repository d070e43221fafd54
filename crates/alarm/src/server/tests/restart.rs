//! A server that ends at any moment and another that goes on from what stands in the topics.

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::leaf::Pending;

/// A server with its topics and the channels around it.
pub(super) struct World {
    pub(super) server: Server,
    /// Everything that was written, by clients and by the server.
    log: Vec<Record>,
    channels: BTreeMap<String, News>,
    /// What was done since it was last taken.
    pub(super) did: Vec<Effect>,
}

impl World {
    pub(super) fn new(leaves: &[(&str, LeafConfig)]) -> Self {
        let mut world = Self {
            server: Server::new("X", settings()).unwrap(),
            log: Vec::new(),
            channels: BTreeMap::new(),
            did: Vec::new(),
        };
        for (path, leaf) in leaves {
            world.write(config(path, leaf), at(-1));
            let name = path.rsplit('/').next().unwrap();
            world
                .channels
                .insert(name.to_owned(), heard(Severity::Ok, 0));
        }
        let effects = world.server.start(at(0));
        world.take(effects, at(0));
        world
    }

    /// A client writes a record.
    pub(super) fn write(&mut self, record: Record, now: Time) {
        let effects = self.server.record(&record, now);
        self.log.push(record);
        self.take(effects, now);
    }

    pub(super) fn take(&mut self, effects: Vec<Effect>, now: Time) {
        for effect in effects {
            if let Effect::Publish(record) = &effect {
                self.log.push(record.clone());
                // it comes back from the bus
                let more = self.server.record(record, now);
                assert_eq!(more, [], "{record:?}");
            }
            let name = match &effect {
                Effect::Connect(name) => Some(name.clone()),
                _ => None,
            };
            self.did.push(effect);
            if let Some(news) = name.as_ref().and_then(|name| self.channels.get(name)) {
                let (name, news) = (name.unwrap(), news.clone());
                let effects = self.server.news(&name, &news, now);
                self.take(effects, now);
            }
        }
    }

    pub(super) fn news(&mut self, name: &str, news: News, now: Time) {
        let effects = self.server.news(name, &news, now);
        self.channels.insert(name.to_owned(), news);
        self.take(effects, now);
    }

    pub(super) fn ask(&mut self, request: &Request, now: Time) {
        if let Ok((_reply, effects)) = self.server.request(request, &Who::default(), now) {
            self.take(effects, now);
        }
    }

    /// Time passes up to that moment.
    pub(super) fn pass(&mut self, now: Time) {
        while let Some(due) = self.server.deadline().filter(|due| *due <= now) {
            let effects = self.server.tick(due);
            self.take(effects, due);
        }
    }

    /// Another server goes on; the channels say again what they are.
    pub(super) fn restart(&mut self, now: Time) {
        self.server = self.successor();
        self.did.clear();
        let effects = self.server.start(now);
        self.take(effects, now);
    }

    /// Another server that has read everything and is not started.
    pub(super) fn successor(&self) -> Server {
        let mut server = Server::new("X", settings()).unwrap();
        for record in &self.log {
            assert_eq!(server.record(record, at(0)), []);
        }
        server
    }

    /// Everything that has to survive, in words.
    fn memory(&self) -> Vec<String> {
        let all = self.server.items(&Selection::default()).unwrap();
        let mut words: Vec<String> = all
            .map(|item| match item.kind {
                KindView::Group(_) => format!("{} {}", item.path, item.severity),
                KindView::Leaf(leaf) => {
                    let pending = leaf.pending.map(|pending: &Pending| {
                        format!("{} {:?}", pending.state.severity, pending.due)
                    });
                    let alarm = match item.severity {
                        // what is fine says so again
                        Severity::Ok => String::new(),
                        _ => format!(
                            "{} {} {:?}",
                            leaf.alarm.message, leaf.alarm.value, leaf.alarm.time
                        ),
                    };
                    let id = self.server.tree.find(item.path).unwrap();
                    let counted = self.server.tree.leaf(id).unwrap().alarm.counted();
                    format!(
                        "{} {} {alarm} now {} {} disabled {} pending {pending:?} counted {counted:?} shelved {:?}",
                        item.path,
                        item.severity,
                        leaf.current.severity,
                        leaf.current.message,
                        leaf.is_disabled,
                        leaf.shelving,
                    )
                }
            })
            .collect();
        words.push(format!("{:?}", self.server.mode()));
        words
    }
}

fn leaf(latching: bool, delay: u32, count: u32) -> LeafConfig {
    LeafConfig {
        latching,
        delay,
        count,
        ..LeafConfig::new("d")
    }
}

#[test]
fn a_restart_keeps_everything_and_announces_nothing() {
    let mut world = World::new(&[
        ("/X/a/latched", leaf(true, 0, 0)),
        ("/X/a/acked", leaf(true, 0, 0)),
        ("/X/b/waiting", leaf(true, 10, 0)),
        ("/X/b/shelved", leaf(true, 0, 0)),
    ]);
    for name in ["latched", "acked", "waiting"] {
        world.news(name, heard(Severity::Major, 1), at(1));
    }
    world.news("latched", heard(Severity::Ok, 2), at(2));
    world.ask(&Request::Acknowledge(vec!["acked".to_owned()]), at(2));
    let shelve = Request::Shelve {
        items: vec!["shelved".to_owned()],
        until: Until::At(at(100)),
        reason: Some("pump".to_owned()),
    };
    world.ask(&shelve, at(2));
    world.ask(&Request::Notify(false), at(2));
    let before = world.memory();
    world.restart(at(7));
    assert_eq!(world.memory(), before);
    assert_eq!(
        published(&world.did),
        [
            r#"Talk talk:/X {"standout":false,"severity":"OK","talk":" Alarm server started. Everything is going to be all right."}"#,
            r#"Main state:/X/b/shelved {"severity":"OK","message":"Disabled","value":"","time":{"seconds":1800000007,"nano":0},"current_severity":"OK","current_message":"OK","notify":false}"#,
            r#"Main state:/X/b {"severity":"OK","notify":false}"#,
            r#"Main state:/X/a {"severity":"MAJOR","notify":false}"#,
            r#"Main state:/X {"severity":"MAJOR","notify":false}"#,
        ]
    );
    // the delay goes on from where it was
    world.pass(at(10));
    assert_eq!(
        world.server.severity(&path("/X/b/waiting")),
        Some(Severity::Ok)
    );
    world.pass(at(11));
    assert_eq!(
        world.server.severity(&path("/X/b/waiting")),
        Some(Severity::Major)
    );
    world.restart(at(99));
    world.pass(at(100));
    let at_path = path("/X/b/shelved");
    let KindView::Leaf(leaf) = world.server.item(&at_path).unwrap().kind else {
        panic!("a leaf");
    };
    assert!(!leaf.is_disabled && leaf.shelving.is_none());
}

#[test]
fn a_delay_that_ended_meanwhile_lets_the_pv_speak_first() {
    let mut world = World::new(&[("/X/a", leaf(true, 5, 0)), ("/X/b", leaf(true, 5, 0))]);
    for name in ["a", "b"] {
        world.news(name, heard(Severity::Major, 1), at(1));
    }
    world
        .channels
        .insert("a".to_owned(), heard(Severity::Ok, 3));
    world.restart(at(20));
    world.pass(at(30));
    assert_eq!(world.server.severity(&path("/X/a")), Some(Severity::Ok));
    assert_eq!(world.server.severity(&path("/X/b")), Some(Severity::Major));
}

#[test]
fn maintenance_survives() {
    let mut world = World::new(&[("/X/a", leaf(true, 0, 0))]);
    world.ask(&Request::Maintenance(true), at(1));
    world.restart(at(2));
    assert!(world.server.mode().maintenance);
    world.news("a", heard(Severity::Invalid, 3), at(3));
    assert_eq!(
        world.server.severity(&path("/X/a")),
        Some(Severity::InvalidAck)
    );
}

#[test]
fn what_is_imported_while_no_server_runs_keeps_its_alarms() {
    let mut world = World::new(&[
        ("/X/a/pv", leaf(true, 0, 0)),
        ("/X/a/gone", leaf(true, 10, 0)),
    ]);
    world.news("pv", heard(Severity::Major, 1), at(1));
    world.news("gone", heard(Severity::Major, 1), at(1));
    world.ask(&Request::Acknowledge(vec!["pv".to_owned()]), at(2));
    for path in ["/X/a/pv", "/X/a/gone", "/X/a"] {
        world.log.push(Record {
            topic: Topic::Main,
            key: format!("config:{path}"),
            value: None,
        });
    }
    world.log.push(config("/X/a/pv", &leaf(true, 0, 0)));
    world.restart(at(5));
    assert_eq!(
        world.server.severity(&path("/X/a/pv")),
        Some(Severity::MajorAck)
    );
    // what is remembered of an item that is gone is removed
    assert!(
        published(&world.did).contains(&"Server memory:/X/a/gone -".to_owned()),
        "{:?}",
        published(&world.did)
    );
}

#[test]
fn a_stand_by_reads_on_and_takes_over() {
    let mut world = World::new(&[("/X/a/pv", leaf(true, 10, 0))]);
    let mut standby = world.successor();
    let mut read = world.log.len();
    world.news("pv", heard(Severity::Major, 1), at(1));
    world.pass(at(11));
    world.ask(&Request::Acknowledge(vec!["pv".to_owned()]), at(12));
    world.news("pv", heard(Severity::Invalid, 13), at(13));
    for record in &world.log[read..] {
        assert_eq!(standby.record(record, at(14)), []);
    }
    read = world.log.len();
    assert_eq!(
        standby.request(&Request::Notify(true), &Who::default(), at(14)),
        Err(Refusal::NotStarted)
    );
    assert_eq!(read, world.log.len());
    let before = world.memory();
    world.server = standby;
    let effects = world.server.start(at(15));
    world.take(effects, at(15));
    assert_eq!(world.memory(), before);
    world.pass(at(23));
    assert_eq!(
        world.server.severity(&path("/X/a/pv")),
        Some(Severity::Invalid)
    );
}

#[test]
fn junk_in_the_own_topic_stops_nothing() {
    let mut server = Server::new("X", settings()).unwrap();
    server.record(&config("/X/a", &LeafConfig::new("d")), at(0));
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let rows: [(&str, Option<&str>); 12] = [
        ("", Some("{}")),
        ("memory", Some("{}")),
        ("memory:", Some("{}")),
        ("other:/X", Some("{}")),
        ("mode:/X", Some("[]")),
        ("mode:/X", Some(r#"{"maintenance":7,"notify":"no"}"#)),
        ("memory:/X/a", Some("null")),
        ("memory:/X/a", Some(&deep)),
        ("memory:/X/b", None),
        (
            "memory:/X/a",
            Some(
                r#"{"pending":{"severity":"MAJOR"},"counted":[1,{"seconds":1}],"shelved":7,"actions":[]}"#,
            ),
        ),
        (
            "memory:/X/a",
            Some(
                r#"{"pending":{"severity":"MAJOR","latch":true,"message":"m","value":null,"time":{"seconds":1,"nano":-1},"due":{}}}"#,
            ),
        ),
        (
            "memory:/X/a",
            Some(
                r#"{"actions":{"notified":"WORSE","waiting":[{"due":{}}],"done":[null]},"more":1}"#,
            ),
        ),
    ];
    let mut told = 0;
    for (key, value) in rows {
        let record = Record {
            topic: Topic::Server,
            key: key.to_owned(),
            value: value.map(str::to_owned),
        };
        told += server.record(&record, at(0)).len();
    }
    assert_eq!(told, 1, "told once of each kind");
    assert_eq!(server.complaints()[&ComplaintKind::Own], 7);
    let effects = server.start(at(1));
    assert!(effects.contains(&Effect::Connect("a".to_owned())));
    assert_eq!(server.mode(), Mode::default());
}

/// What happens in a random history, a second after what was before.
#[derive(Debug, Clone)]
enum Happens {
    News(usize, Severity),
    Gone(usize),
    Request(Request),
    Edit(usize, bool, u32, u32),
    Command(usize, &'static str),
    Pass,
}

const PATHS: [&str; 4] = ["/X/a/one", "/X/a/two", "/X/b/three", "/X/b/c/four"];
const NAMES: [&str; 4] = ["one", "two", "three", "four"];

fn happens() -> impl Strategy<Value = Happens> {
    let item = || {
        prop_oneof![
            Just("/X"),
            Just("/X/b"),
            Just("one"),
            Just("two"),
            Just("four")
        ]
    };
    let items = move || item().prop_map(|item| vec![item.to_owned()]);
    prop_oneof![
        8 => (0_usize..4, 0_usize..4).prop_map(|(pv, severity)| {
            let severities = [Severity::Ok, Severity::Minor, Severity::Major, Severity::Invalid];
            Happens::News(pv, severities[severity])
        }),
        1 => (0_usize..4).prop_map(Happens::Gone),
        2 => items().prop_map(|items| Happens::Request(Request::Acknowledge(items))),
        1 => items().prop_map(|items| Happens::Request(Request::Unacknowledge(items))),
        1 => items().prop_map(|items| Happens::Request(Request::Enable(items))),
        1 => items().prop_map(|items| Happens::Request(Request::Disable { items, reason: Some("r".to_owned()) })),
        1 => (items(), 1_u64..20).prop_map(|(items, span)| Happens::Request(Request::Shelve {
            items,
            until: Until::For(Duration::from_secs(span)),
            reason: None,
        })),
        1 => any::<bool>().prop_map(|on| Happens::Request(Request::Maintenance(on))),
        1 => any::<bool>().prop_map(|on| Happens::Request(Request::Notify(on))),
        1 => (0_usize..4, any::<bool>(), 0_u32..4, 0_u32..3).prop_map(|(pv, latching, delay, count)| Happens::Edit(pv, latching, delay, count)),
        1 => (0_usize..4, prop_oneof![Just("acknowledge"), Just("unacknowledge")]).prop_map(|(pv, word)| Happens::Command(pv, word)),
        2 => Just(Happens::Pass),
    ]
}

/// The newest state of each key, as a client has it.
fn shown(log: &[Record]) -> BTreeMap<&str, &str> {
    let mut shown = BTreeMap::new();
    for record in log {
        if record.topic == Topic::Main
            && let (Some(path), Some(value)) = (record.key.strip_prefix("state:"), &record.value)
        {
            shown.insert(path, value.as_str());
        }
    }
    shown
}

/// What clients see is what is, the counts are those of the leaves, and a group is the worst of its items.
fn check(world: &World) {
    let shown = shown(&world.log);
    let mut worst: BTreeMap<AlarmPath, Severity> = BTreeMap::new();
    let mut marks = [0_u32; 5];
    for item in world.server.items(&Selection::default()).unwrap() {
        let text = item.path.to_string();
        let published = shown.get(text.as_str()).copied();
        if let KindView::Leaf(leaf) = &item.kind {
            let found = [
                leaf.is_disabled,
                leaf.enabled_at.is_some(),
                matches!(
                    leaf.connection,
                    Connection::Disconnected | Connection::Impossible
                ),
                leaf.connection == Connection::Never,
                leaf.pending.is_some(),
            ];
            for (mark, found) in marks.iter_mut().zip(found) {
                *mark += u32::from(found);
            }
            let state = leaf.state();
            let with = |latch| {
                let mut state = state.clone();
                state.alarm.latch = latch;
                crate::wire::state::write_leaf(&state, Mode::default())
            };
            let is_shown = published.is_some_and(|text| {
                // the mode of the moment at which it was written
                let text = text.replace(r#","mode":"maintenance""#, "");
                let text = text.replace(r#","notify":false"#, "");
                text == with(state.alarm.latch) || text == with(true)
            });
            // a PV that was never heard of has nothing to show
            let is_unknown = state.current_message.is_empty();
            assert!(
                is_shown || is_unknown || item.severity == Severity::Ok,
                "{text}: {published:?} is shown of {state:?}"
            );
            assert!(
                is_shown || !item.severity.is_active(),
                "{text}: an active alarm without its record"
            );
            let mut at = item.path.parent();
            while let Some(path) = at {
                at = path.parent();
                let group = worst.entry(path).or_default();
                *group = (*group).max(item.severity);
            }
        }
    }
    let counts = world.server.counts(&path("/X")).unwrap();
    assert_eq!(crate::tree::Mark::ALL.map(|mark| counts.mark(mark)), marks);
    for (path, severity) in worst {
        assert_eq!(world.server.severity(&path), Some(severity), "{path}");
        let text = shown
            .get(path.to_string().as_str())
            .copied()
            .unwrap_or_default();
        assert!(
            text.starts_with(&format!(r#"{{"severity":"{severity}""#)),
            "{path} is {severity}, shown is {text}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Whatever happens, and whenever the server is replaced by another.
    #[test]
    fn nothing_is_lost(
        history in proptest::collection::vec(happens(), 0..40),
        restarts in proptest::collection::vec(any::<bool>(), 40),
        configs in proptest::collection::vec((any::<bool>(), 0_u32..4, 0_u32..3), 4),
    ) {
        let leaves: Vec<(&str, LeafConfig)> = PATHS
            .iter()
            .zip(configs)
            .map(|(path, (latching, delay, count))| (*path, leaf(latching, delay, count)))
            .collect();
        let mut world = World::new(&leaves);
        for ((second, happens), restart) in (1..).zip(history).zip(restarts) {
            let now = at(second);
            world.pass(now);
            match happens {
                Happens::News(pv, severity) => world.news(NAMES[pv], heard(severity, second), now),
                Happens::Gone(pv) => world.news(NAMES[pv], News::Disconnected, now),
                Happens::Request(request) => world.ask(&request, now),
                Happens::Edit(pv, latching, delay, count) => {
                    world.write(config(PATHS[pv], &leaf(latching, delay, count)), now);
                }
                Happens::Command(pv, word) => world.write(
                    Record {
                        topic: Topic::Command,
                        key: format!("command:{}", PATHS[pv]),
                        value: Some(format!(r#"{{"command":"{word}"}}"#)),
                    },
                    now,
                ),
                Happens::Pass => {}
            }
            check(&world);
            if restart {
                let before = world.memory();
                world.restart(now);
                prop_assert_eq!(world.memory(), before);
                let words = published(&world.did);
                let talks = words.iter().filter(|word| word.starts_with("Talk")).count();
                prop_assert_eq!(talks, 1, "{:?}", words);
                check(&world);
            }
        }
    }
}
