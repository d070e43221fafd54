//! How much memory and time the alarm logic takes: `cargo run --release -p alarm --example scale -- 50000`.
//!
//! Without bus and Channel Access; what those add is measured with the whole server (`make bench`).

use std::io::{self, Write as _};
use std::time::Duration;

use alarm::config::LeafConfig;
use alarm::server::{Effect, News, Record, Server, Settings, Topic};
use alarm::wire::config::{ConfigMessage, Signed};
use alarm::{Severity, State, Time};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let leaves: u32 = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 50_000,
    };
    let mut out = io::stdout().lock();
    let begins = Time::new(1_800_000_000, 0);
    let empty = resident();
    let mut server = Server::new("Accelerator", Settings::default())?;

    let began = processor();
    for number in 0..leaves {
        let record = config(number);
        server.record(&record, begins);
    }
    writeln!(
        out,
        "{leaves} configurations read: {:?}",
        processor().saturating_sub(began)
    )?;

    let began = processor();
    let mut effects = server.start(begins).len();
    writeln!(
        out,
        "started, {effects} effects: {:?}",
        processor().saturating_sub(began)
    )?;

    let began = processor();
    effects = 0;
    for number in 0..leaves {
        effects += server
            .news(&name(number), &news(number, 0, begins), begins)
            .len();
    }
    let memory = resident().saturating_sub(empty);
    writeln!(
        out,
        "first values, {effects} effects: {:?}",
        processor().saturating_sub(began)
    )?;
    writeln!(
        out,
        "memory: {} KiB, {} bytes a leaf",
        memory / 1024,
        memory / u64::from(leaves)
    )?;

    for (title, changes_alarm) in [("values only", false), ("each an alarm or its end", true)] {
        let mut spent = Duration::ZERO;
        let mut published = 0;
        let mut bytes = 0;
        for second in 1..=10_u32 {
            let now = begins.after(Duration::from_secs(u64::from(second)));
            let batch: Vec<(String, News)> = (0..30_000)
                .map(|place| {
                    let number = (second * 30_000 + place) % leaves;
                    let step = if changes_alarm {
                        second * 30_000 + place
                    } else {
                        0
                    };
                    (name(number), news(number, step / leaves, now))
                })
                .collect();
            let began = processor();
            for (name, news) in &batch {
                for effect in server.news(name, news, now) {
                    if let Effect::Publish(record) = effect {
                        published += 1;
                        bytes += record.key.len() + record.value.map_or(0, |value| value.len());
                    }
                }
            }
            server.tick(now);
            spent += processor().saturating_sub(began);
        }
        writeln!(
            out,
            "30,000 changes/s for 10 s ({title}): {:.2} % of a core, {published} records, {bytes} bytes",
            spent.as_secs_f64() * 10.0
        )?;
    }
    let began = processor();
    let changed = server.take_changes();
    writeln!(
        out,
        "{} changed items: {:?}",
        changed.items.len(),
        processor().saturating_sub(began)
    )?;
    Ok(())
}

fn name(number: u32) -> String {
    format!("SR:C{:02}-VA:G{number:05}:PRESSURE", number % 30)
}

fn config(number: u32) -> Record {
    let mut leaf = LeafConfig::new(format!("Pressure of gauge {number}"));
    leaf.latching = false;
    leaf.annunciating = false;
    let message = Signed {
        user: "operator".to_owned(),
        host: "console".to_owned(),
        message: ConfigMessage::Leaf(leaf),
    };
    Record {
        topic: Topic::Main,
        key: format!(
            "config:/Accelerator/Cell {:02}/Vacuum {}/{}",
            number % 30,
            number % 10,
            name(number)
        ),
        value: Some(message.write()),
    }
}

/// OK in even rounds, MINOR in odd ones.
fn news(number: u32, round: u32, now: Time) -> News {
    let value = f64::from(number) + f64::from(round) / 7.0;
    let (severity, message) = if round.is_multiple_of(2) {
        (Severity::Ok, "NO_ALARM")
    } else {
        (Severity::Minor, "HIGH_ALARM")
    };
    News::Value(State::new(severity, message, value, now))
}

/// Time that this process has had a processor, as Linux counts it: what else runs on the machine does not matter.
fn processor() -> Duration {
    let text = file("/proc/self/schedstat");
    let first = text.split_whitespace().next();
    let nanos = first.and_then(|number| number.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Memory of this process in bytes, as Linux counts it.
fn resident() -> u64 {
    file("/proc/self/status")
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

#[expect(
    clippy::disallowed_methods,
    reason = "a library crate without fs_err; a file that is not there counts as 0"
)]
fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
