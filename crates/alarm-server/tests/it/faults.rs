//! What is left after things break: the server killed at random moments under load, the broker away for a while.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Lines, Write as _, stdout};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alarm::{Severity, Time};
use alarm_server::clock::Clock;
use alarm_server::pvs::channel_access::ChannelAccess;
use alarm_server::pvs::scripted::Scripted as Pvs;
use alarm_server::{Settings, Shell};
use bus::{Bus, Cleanup, From, Outgoing, TopicPlan};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::context::{ask, settings, with_api};
use crate::ioc::Ioc;

/// Tells the process of a test that it is the server: folder of the bus, where to search, and beacon port.
const CHILD: &str = "ALARM_SERVER_CHILD";
/// So many PVs are played with.
pub(crate) const PVS: usize = 40;

/// No test: the server that the tests below start as a process of its own and kill.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(text) = std::env::var(CHILD) else {
        return;
    };
    let words: Vec<&str> = text.split('|').collect();
    let [folder, search, beacons] = words.as_slice() else {
        panic!("{text}")
    };
    let options = bus::embedded::Options::default();
    let bus = bus::embedded::Embedded::open(Path::new(folder), options).unwrap();
    let configuration = ca::Configuration {
        repeater_port: Some(beacons.parse().unwrap()),
        ..ca::Configuration::for_addresses([search.parse().unwrap()])
    };
    let pvs = Box::new(ChannelAccess::start(configuration));
    let shell = Shell::open(with_api(), Arc::new(bus), pvs, Clock::machine(), None)
        .await
        .unwrap();
    writeln!(stdout(), "ADDRESS {}", shell.address().unwrap()).unwrap();
    // whoever started it kills it, or ends
    let stop = CancellationToken::new();
    let ended = stop.clone();
    std::thread::spawn(move || {
        let mut line = String::new();
        drop(std::io::stdin().read_line(&mut line));
        ended.cancel();
    });
    Box::pin(shell.run(stop)).await.unwrap();
}

pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    /// Kept open: the test harness in there says something after a minute.
    _output: Output,
}

type Output = Lines<BufReader<ChildStdout>>;

impl Server {
    pub(crate) fn start(folder: &Path, ioc: &Ioc) -> Self {
        let (search, beacons) = ioc.reached_at();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::child", "--nocapture"])
            .env(CHILD, format!("{}|{search}|{beacons}", folder.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = output
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("ADDRESS ")
                    .map(|(_before, address)| address.to_owned())
            })
            .unwrap()
            .parse()
            .unwrap();
        Self {
            process,
            address,
            _output: output,
        }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) async fn ready(&self) {
        let ready = async {
            while ask(self.address, "GET", "/readyz", &[], None).await.0 != 200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ready)
            .await
            .unwrap();
    }

    /// Severity of the alarm and of the PV itself, by name.
    pub(crate) async fn states(&self) -> HashMap<String, (String, String)> {
        let (status, page) = ask(self.address, "GET", "/v1/items?kind=pv", &[], None).await;
        assert_eq!(status, 200, "{page}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                (
                    text(&item["pv"]),
                    (text(&item["severity"]), text(&item["current_severity"])),
                )
            })
            .collect()
    }

    /// Waits until a PV stands so.
    pub(crate) async fn until(&self, pv: &str, wanted: (&str, &str)) {
        let reached = async {
            loop {
                let (_, story) =
                    ask(self.address, "GET", &format!("/v1/item?at={pv}"), &[], None).await;
                let item = &story["items"][0];
                if item["severity"] == wanted.0 && item["current_severity"] == wanted.1 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reached)
            .await
            .unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Random enough for moments and choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

pub(crate) fn database() -> String {
    let record = |number| {
        format!(
            "record(ai, \"k{number}\") {{ field(VAL,\"0\") field(PINI,\"YES\") field(UDF,\"0\")\n \
             field(HIGH,\"1\") field(HSV,\"MINOR\") field(HIHI,\"2\") field(HHSV,\"MAJOR\") }}"
        )
    };
    (0..PVS).map(record).collect::<Vec<_>>().join("\n")
}

pub(crate) async fn configure(bus: &dyn Bus, latching: bool) {
    let plan = TopicPlan {
        name: "X".into(),
        cleanup: Cleanup::Compact,
    };
    bus.prepare(&[plan]).await.unwrap();
    let writer = bus.writer().await.unwrap();
    let records = (0..PVS).map(|number| Outgoing {
        topic: "X".into(),
        key: format!("config:/X/area{}/k{number}", number % 4),
        value: Some(format!(
            r#"{{"user":"u","host":"h","description":"d","latching":{latching}}}"#
        )),
    });
    writer.send(records.collect()).unwrap();
    writer.flush().await.unwrap();
}

/// Times of the states by key, in seconds.
type Seen = HashMap<String, Vec<i64>>;

/// What is known of a PV: what it has to be, or that somebody was just changing it.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Possible alarms, one if nothing was in flight when the server was killed.
    alarms: Vec<&'static str>,
    current: &'static str,
}

/// Raises, acknowledges and clears alarms, one after the other, each confirmed before the next, until time is up.
async fn play(
    server: &Server,
    ioc: &mut Ioc,
    known: &mut [Known],
    dice: &mut Dice,
    until: tokio::time::Instant,
) {
    while tokio::time::Instant::now() < until {
        let number = usize::try_from(dice.roll(PVS as u64)).unwrap();
        let pv = format!("k{number}");
        let one = &mut known[number];
        let before = one.alarms[0];
        let (value, wanted) = match (before, one.current) {
            ("OK", _) => (Some("2"), ("MAJOR", "MAJOR")),
            ("MAJOR", "MAJOR") if dice.roll(2) == 0 => (Some("0"), ("MAJOR", "OK")),
            ("MAJOR", "MAJOR") => (None, ("MAJOR_ACK", "MAJOR")),
            ("MAJOR", _) => (None, ("OK", "OK")),
            _ => (Some("0"), ("OK", "OK")),
        };
        // whatever happens from here on may have happened or not
        one.alarms = vec![before, wanted.0];
        one.current = wanted.1;
        let wish = if let Some(value) = value {
            ioc.put(&pv, value);
            if tokio::time::timeout_at(until, server.until(&pv, wanted))
                .await
                .is_err()
            {
                return;
            }
            // changes nothing, and is answered when the bus has all that was before it
            ("/v1/notify", json!({"on": true}))
        } else {
            ("/v1/acknowledge", json!({"items": [pv]}))
        };
        let asked = ask(server.address, "POST", wish.0, &[], Some(wish.1));
        let confirmed = match tokio::time::timeout_at(until, asked).await {
            Ok((200, answer)) => answer["written"] == true,
            _ => false,
        };
        if !confirmed {
            return;
        }
        one.alarms = vec![wanted.0];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_moment_goes_on_where_it_was() {
    let database = database();
    let Some(mut ioc) = tokio::task::spawn_blocking(move || Ioc::start(&database))
        .await
        .unwrap()
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let options = bus::embedded::Options::default();
    let bus = bus::embedded::Embedded::open(folder.path(), options).unwrap();
    configure(&bus, true).await;
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    let mut dice = Dice(u64::from(seed));
    let ok = Known {
        alarms: vec!["OK"],
        current: "OK",
    };
    let mut known = vec![ok; PVS];
    let rounds = std::env::var("ALARM_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    for round in 0..rounds {
        let mut server = tokio::task::block_in_place(|| Server::start(folder.path(), &ioc));
        server.ready().await;
        settle(&server, &mut known, &format!("seed {seed}, round {round}")).await;
        let life = Duration::from_millis(200 + dice.roll(1500));
        play(
            &server,
            &mut ioc,
            &mut known,
            &mut dice,
            tokio::time::Instant::now() + life,
        )
        .await;
        server.kill();
        // the world does not wait
        for _ in 0..5 {
            let number = usize::try_from(dice.roll(PVS as u64)).unwrap();
            let one = &mut known[number];
            if one.alarms.len() == 1 && one.alarms[0] == "OK" {
                ioc.put(&format!("k{number}"), "2");
                one.alarms = vec!["MAJOR"];
                one.current = "MAJOR";
            }
        }
    }
    let server = tokio::task::block_in_place(|| Server::start(folder.path(), &ioc));
    server.ready().await;
    settle(&server, &mut known, &format!("seed {seed}, at the end")).await;
}

/// Waits until the server shows every PV as it is, and compares the alarms with what they have to be.
async fn settle(server: &Server, known: &mut [Known], when: &str) {
    let wrong = async || {
        let states = server.states().await;
        assert_eq!(states.len(), PVS, "{when}");
        let mut wrong = Vec::new();
        for (number, one) in known.iter().enumerate() {
            let (alarm, current) = &states[&format!("k{number}")];
            if current != one.current || !one.alarms.contains(&alarm.as_str()) {
                wrong.push(format!("k{number} is {alarm}/{current}, wanted {one:?}"));
            }
        }
        (states, wrong)
    };
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    let states = loop {
        let (states, wrong) = wrong().await;
        if wrong.is_empty() {
            break states;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "{when}: {}",
            wrong.join("\n")
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    for (number, one) in known.iter_mut().enumerate() {
        let alarm = states[&format!("k{number}")].0.as_str();
        one.alarms.retain(|possible| *possible == alarm);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_for_a_while_gets_everything_in_order() {
    let Some(broker) = Broker::start("faults") else {
        return;
    };
    let bus = Arc::new(broker.connect().await);
    configure(&*bus, false).await;
    let pvs = Pvs::new();
    for number in 0..PVS {
        pvs.set_alarm(
            &format!("k{number}"),
            Severity::Ok,
            "NO_ALARM",
            0.0,
            Time::new(1, 0),
        );
    }
    let settings = Settings {
        api: None,
        ..settings()
    };
    let shell = Shell::open(
        settings,
        bus.clone(),
        Box::new(pvs.pvs()),
        Clock::machine(),
        None,
    )
    .await
    .unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(shell.run(stop.clone()));
    let mut reader = bus.read(&[("X".into(), From::Beginning)]).await.unwrap();
    let mut seen = Seen::new();
    let mut read = async |wanted: &dyn Fn(&Seen) -> bool| {
        let reading = async {
            while !wanted(&seen) {
                for record in reader.next().await.unwrap() {
                    let (Some(key), Some(value)) = (record.key, record.value) else {
                        continue;
                    };
                    let value: Value = serde_json::from_str(&value).unwrap();
                    if let Some(seconds) = value["time"]["seconds"].as_i64() {
                        seen.entry(key).or_default().push(seconds);
                    }
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(2), reading)
            .await
            .unwrap();
        seen.clone()
    };
    read(&|seen| seen.len() == PVS).await;
    tokio::task::block_in_place(|| broker.kill());
    // alternately two severities of a PV that does not latch: every change is a record
    for number in 0..100 {
        let (severity, message) = match number % 2 {
            0 => (Severity::Minor, "HIGH_ALARM"),
            _ => (Severity::Major, "HIHI_ALARM"),
        };
        for name in ["k0", "k1"] {
            pvs.set_alarm(name, severity, message, 1.0, Time::new(100 + number, 0));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::task::block_in_place(|| broker.start_again());
    let key = "state:/X/area0/k0";
    let seen = read(&|seen| {
        seen.get(key)
            .is_some_and(|times| times.last() == Some(&199))
    })
    .await;
    let expected: Vec<i64> = std::iter::once(1).chain(100..200).collect();
    assert_eq!(seen[key], expected);
    stop.cancel();
    server.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ioc_that_is_killed_under_load_comes_back_and_every_state_is_right() {
    let database = database();
    let Some(mut ioc) = tokio::task::spawn_blocking(move || Ioc::start(&database))
        .await
        .unwrap()
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let options = bus::embedded::Options::default();
    let bus = bus::embedded::Embedded::open(folder.path(), options).unwrap();
    configure(&bus, false).await;
    let server = tokio::task::block_in_place(|| Server::start(folder.path(), &ioc));
    server.ready().await;
    for round in 0..3 {
        // all of them go up and down as fast as the IOC takes it, and in the middle of that it is gone
        for number in 0..PVS * 5 {
            let value = if number % 2 == 0 { "2" } else { "1" };
            ioc.put(&format!("k{}", number % PVS), value);
        }
        ioc.kill();
        for number in 0..PVS {
            let pv = format!("k{number}");
            server.until(&pv, ("UNDEFINED", "UNDEFINED")).await;
        }
        tokio::task::block_in_place(|| ioc.start_again());
        // values as of the database; an alarm that does not latch is over with its cause
        for number in 0..PVS {
            server.until(&format!("k{number}"), ("OK", "OK")).await;
        }
        ioc.put("k0", "2");
        server.until("k0", ("MAJOR", "MAJOR")).await;
        let (_, areas) = ask(server.address, "GET", "/v1/items?kind=group", &[], None).await;
        let of = |path: &str| {
            let items = areas["items"].as_array().unwrap();
            items.iter().find(|item| item["path"] == path).unwrap()["severity"].clone()
        };
        let severities = [of("/X"), of("/X/area0"), of("/X/area1")];
        assert_eq!(severities, ["MAJOR", "MAJOR", "OK"], "round {round}");
    }
}
