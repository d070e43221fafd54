//! SIGKILL of `ioc alarm serve` at random moments, while PVs go into alarm and people acknowledge: what was confirmed
//! is there afterwards, and no state is wrong.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::bed::{Bed, PATIENCE};
use crate::testbed::part;

/// Kills in one run; `make soak` runs this twenty times.
const ROUNDS: usize = 5;
/// PVs whose alarms are acknowledged.
const PVS: usize = 12;
/// PVs that go up and down all the time.
const RESTLESS: [&str; 3] = ["r0", "r1", "r2"];

/// Random enough for moments, and the same numbers for the same seed.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

#[test]
fn nothing_confirmed_is_lost_on_files() {
    nothing_confirmed_is_lost("Killed", &[]);
}

#[test]
fn nothing_confirmed_is_lost_on_kafka() {
    let Some(servers) = part("kafka.sh", "KAFKA_SERVERS") else {
        return;
    };
    // brokers keep topics of runs before this one
    let name = format!("Killed{}", std::process::id());
    nothing_confirmed_is_lost(&name, &["--kafka", &servers]);
}

fn nothing_confirmed_is_lost(name: &str, bus: &[&str]) {
    let more = [&["--config", name], bus].concat();
    let names: Vec<String> = (0..PVS).map(|number| format!("p{number}")).collect();
    let pvs: Vec<&str> = names.iter().map(String::as_str).collect();
    let all: Vec<&str> = pvs.iter().copied().chain(RESTLESS).collect();
    let Some(bed) = Bed::new(&all) else { return };
    bed.configure(name, &all, bus);
    let seed = u64::from(std::process::id());
    let mut moments = Moments(seed);
    let mut server = bed.serve(name, bus);
    for round in 0..ROUNDS {
        let say = |what: &str| format!("seed {seed}, round {round}: {what}");
        for pv in &pvs {
            bed.put(pv, "90");
        }
        let is_one = |pv: &str| !RESTLESS.contains(&pv);
        bed.until(&more, |pv, severity| !is_one(pv) || severity == "MAJOR");
        let confirmed = std::sync::Mutex::new(BTreeSet::<String>::new());
        let is_over = AtomicBool::new(false);
        let wait = Duration::from_millis(100 + moments.next(1500));
        let context = &bed.context;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut high = false;
                while !is_over.load(Ordering::Relaxed) {
                    high = !high;
                    for pv in RESTLESS {
                        context.succeed(&["pv", "put", pv, if high { "60" } else { "20" }]);
                    }
                }
            });
            scope.spawn(|| {
                for pv in &pvs {
                    let words = [&["alarm", "ack", pv, "-o", "json"], &more[..]].concat();
                    let output = context.command(&words).output().unwrap();
                    let answer: Option<Value> = serde_json::from_slice(&output.stdout).ok();
                    let is_written = |answer: &Value| answer["written"] == true;
                    if output.status.success() && answer.as_ref().is_some_and(is_written) {
                        confirmed.lock().unwrap().insert((*pv).to_owned());
                    }
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            // the moment is what is random here, there is nothing to await
            std::thread::sleep(wait);
            server.end(Signal::KILL);
            is_over.store(true, Ordering::Relaxed);
        });
        let confirmed = confirmed.into_inner().unwrap();
        server = bed.serve(name, bus);
        // as soon as it is ready, and again when it has all values
        for look in ["at once", "later"] {
            for (pv, severity) in bed.severities(&more) {
                if confirmed.contains(&pv) {
                    assert_eq!(severity, "MAJOR_ACK", "{}", say(&format!("{pv} {look}")));
                } else if is_one(&pv) {
                    // taken but not confirmed, or not taken
                    let is_right = severity == "MAJOR" || severity == "MAJOR_ACK";
                    assert!(is_right, "{}", say(&format!("{pv} is {severity} {look}")));
                }
            }
            connected(&bed, &more);
        }
        // alarms end as they should: what is acknowledged goes by itself, the others wait for somebody
        for pv in &all {
            bed.put(pv, "20");
        }
        let root = format!("/{name}");
        bed.context
            .succeed(&[&["alarm", "ack", &root], &more[..]].concat());
        bed.until(&more, |_pv, severity| severity == "OK");
    }
    assert_eq!(server.end(Signal::TERM), Some(0));
}

/// Waits until every PV is connected.
fn connected(bed: &Bed, more: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let away = bed
            .context
            .json(&[&["alarm", "ls", "--disconnected"], more].concat());
        if away.as_array().unwrap().is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still away: {away}");
        // asks again; there is nothing to await that does not ask itself
        std::thread::sleep(Duration::from_millis(50));
    }
}
