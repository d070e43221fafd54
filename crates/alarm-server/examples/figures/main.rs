//! Measures the alarm server as a process of its own, with a real IOC and a real bus:
//!
//! `SOFTIOC_PYTHON=… figures load BUS PVS CHANGES_PER_SECOND [SECONDS]`: the time from the start of the process to the
//! last first state of all PVs; memory and processor time while PVs change at that rate; how long after the time stamp of
//! a value its state arrives at a reader of the bus; the same after a restart.
//!
//! `figures limit BUS PVS`: raises the rate until states come late or not all.
//!
//! `figures kill BUS PVS`: kills the server, raises an alarm, starts the server at once; from the kill to the alarm's state.
//!
//! BUS is `embedded` (in a folder that is removed afterwards) or `kafka:HOST:PORT`. Prints one line `NAME VALUE` per figure.

mod ioc;
mod server;

use std::collections::HashSet;
use std::error::Error;
use std::io::{Write as _, stdout};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alarm_server::shell::publisher::Topics;
use bus::{Bus, Cleanup, From, Outgoing, Reader, TopicPlan};

use crate::ioc::Ioc;
use crate::server::{Server, open};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Rates that are tried for the limit.
const RATES: [usize; 8] = [
    10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 80_000, 100_000,
];

fn figure(name: &str, value: f64) -> Outcome<()> {
    Ok(writeln!(stdout(), "{name} {value:.3}")?)
}

/// A bus with a configuration of so many PVs, and the IOC that has them.
struct Stand {
    bus_name: String,
    name: String,
    bus: Arc<dyn Bus>,
    topics: Topics,
    pvs: usize,
    ioc: Ioc,
    _folder: tempfile::TempDir,
}

impl Stand {
    async fn build(bus_name: &str, pvs: usize, rate: usize) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let bus_name = if bus_name == "embedded" {
            folder.path().join("bus").display().to_string()
        } else {
            bus_name.to_owned()
        };
        let name = format!("Figures{}-{rate}", std::process::id());
        let topics = Topics::new(&name);
        let bus = open(&bus_name).await?;
        configure(&*bus, &topics, pvs).await?;
        Ok(Self {
            ioc: Ioc::start(folder.path(), pvs, rate)?,
            bus_name,
            name,
            bus,
            topics,
            pvs,
            _folder: folder,
        })
    }

    async fn reader(&self) -> Outcome<Box<dyn Reader>> {
        let topics = [(Arc::clone(&self.topics.main), From::Now)];
        Ok(self.bus.read(&topics).await?)
    }

    fn serve(&self) -> Outcome<Server> {
        Server::start(&self.bus_name, &self.name, &self.ioc)
    }
}

async fn configure(bus: &dyn Bus, topics: &Topics, pvs: usize) -> Outcome<()> {
    let root = &topics.main;
    bus.prepare(&[TopicPlan {
        name: Arc::clone(root),
        cleanup: Cleanup::Compact,
    }])
    .await?;
    let writer = bus.writer().await?;
    let records: Vec<Outgoing> = (0..pvs)
        .map(|number| Outgoing {
            topic: Arc::clone(root),
            key: format!("config:/{root}/{}", ioc::path(number)),
            value: Some(r#"{"user":"u","host":"h","description":"a PV","latching":false,"annunciating":false}"#.to_owned()),
        })
        .collect();
    for chunk in records.chunks(1000) {
        writer.send(chunk.to_vec())?;
    }
    Ok(writer.flush().await?)
}

/// The number of the PV in the key of its state.
fn number(key: Option<&str>) -> Option<usize> {
    let (_path, number) = key?.strip_prefix("state:")?.rsplit_once("/k")?;
    number.parse().ok()
}

/// Reads until every PV has a state.
async fn all_states(reader: &mut dyn Reader, pvs: usize) -> Outcome<()> {
    let mut missing: HashSet<usize> = (0..pvs).collect();
    while !missing.is_empty() {
        for record in reader.next().await? {
            if let Some(number) = number(record.key.as_deref()) {
                missing.remove(&number);
            }
        }
    }
    Ok(())
}

/// How late states are for so long, in milliseconds, sorted.
async fn latencies(reader: &mut dyn Reader, span: Duration) -> Outcome<Vec<f64>> {
    let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH);
    let begin = since_1970()?.as_secs_f64();
    let end = tokio::time::Instant::now() + span;
    let mut found = Vec::new();
    while let Ok(records) = tokio::time::timeout_at(end, reader.next()).await {
        let now = since_1970()?.as_secs_f64();
        for record in records? {
            let value: serde_json::Value =
                serde_json::from_str(&record.value.unwrap_or_default()).unwrap_or_default();
            if let (Some(seconds), Some(nano)) = (
                value["time"]["seconds"].as_f64(),
                value["time"]["nano"].as_f64(),
            ) {
                let value = seconds + nano / 1e9;
                // what waited here while nobody read says nothing of the server
                if value >= begin {
                    found.push((now - value) * 1e3);
                }
            }
        }
    }
    found.sort_by(f64::total_cmp);
    Ok(found)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place in a list"
)]
fn at(sorted: &[f64], part: f64) -> f64 {
    let place = (sorted.len() as f64 * part) as usize;
    let place = place.min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn ratio(one: u64, other: f64) -> f64 {
    one as f64 / other
}

/// What a rate costs.
struct Steady {
    memory: u64,
    late: Vec<f64>,
    processor: f64,
    per_second: f64,
}

async fn steady(server: &Server, reader: &mut dyn Reader, seconds: u64) -> Outcome<Steady> {
    let (_memory, before) = server.usage()?;
    let begin = Instant::now();
    let late = latencies(reader, Duration::from_secs(seconds)).await?;
    let (memory, after) = server.usage()?;
    let passed = begin.elapsed().as_secs_f64();
    Ok(Steady {
        memory,
        // a tick is a hundredth of a second
        processor: ratio(after - before, passed),
        per_second: ratio(late.len() as u64, passed),
        late,
    })
}

async fn load(bus: &str, pvs: usize, rate: usize, seconds: u64) -> Outcome<()> {
    let stand = Stand::build(bus, pvs, rate).await?;
    for start in ["start", "restart"] {
        let mut reader = stand.reader().await?;
        let begin = Instant::now();
        let server = stand.serve()?;
        if start == "start" {
            all_states(&mut *reader, pvs).await?;
            figure("start_seconds", begin.elapsed().as_secs_f64())?;
        } else {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (memory, _processor) = server.usage()?;
        figure(&format!("{start}_memory_mib"), ratio(memory, 1024.0))?;
        if rate > 0 {
            let steady = steady(&server, &mut *reader, seconds).await?;
            figure(&format!("{start}_states_per_second"), steady.per_second)?;
            figure(&format!("{start}_p50_ms"), at(&steady.late, 0.5))?;
            figure(&format!("{start}_p99_ms"), at(&steady.late, 0.99))?;
            figure(&format!("{start}_processor_percent"), steady.processor)?;
            figure(
                &format!("{start}_memory_after_mib"),
                ratio(steady.memory, 1024.0),
            )?;
        }
        server.stop()?;
    }
    Ok(())
}

/// Late is more than a second; not all is less than 95 of a hundred: a server that is behind gives the newest only.
async fn limit(bus: &str, pvs: usize) -> Outcome<()> {
    let mut kept = 0;
    for rate in RATES.into_iter().filter(|rate| rate / 10 <= pvs) {
        let stand = Stand::build(bus, pvs, rate).await?;
        let mut reader = stand.reader().await?;
        let server = stand.serve()?;
        all_states(&mut *reader, pvs).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let steady = steady(&server, &mut *reader, 8).await?;
        server.stop()?;
        let late = at(&steady.late, 0.99);
        writeln!(
            stdout(),
            "# {rate} wanted: {:.0} states/s, p50 {:.1} ms, p99 {late:.1} ms, processor {:.1} %, {} MiB",
            steady.per_second,
            at(&steady.late, 0.5),
            steady.processor,
            steady.memory / 1024,
        )?;
        if steady.per_second < 0.95 * ratio(rate as u64, 1.0) || late > 1000.0 {
            break;
        }
        kept = rate;
    }
    figure("limit_per_second", ratio(kept as u64, 1.0))
}

/// An alarm that comes while no server runs.
async fn kill(bus: &str, pvs: usize) -> Outcome<()> {
    let stand = Stand::build(bus, pvs, 0).await?;
    let configuration = Ioc::configuration(stand.ioc.port, stand.ioc.beacons)?;
    let (context, _events) = ca::Context::start(configuration);
    let mut reader = stand.reader().await?;
    let mut server = stand.serve()?;
    all_states(&mut *reader, pvs).await?;
    for round in 0..5 {
        // another PV each time; each stays in alarm
        let missed = stand.pvs - 1 - round;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begin = Instant::now();
        server.kill()?;
        let name = format!("k{missed}").parse()?;
        let value = ca::Value::Double(5.0);
        context.put(&name, value, Duration::from_secs(5)).await?;
        server = stand.serve()?;
        'seen: loop {
            for record in reader.next().await? {
                let value = record.value.unwrap_or_default();
                if number(record.key.as_deref()) == Some(missed) && value.contains("MAJOR") {
                    break 'seen;
                }
            }
        }
        figure("kill_to_alarm_seconds", begin.elapsed().as_secs_f64())?;
    }
    context.close().await;
    server.stop()
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", bus, name, port, beacons] => {
            Box::pin(server::serve(bus, name, port.parse()?, beacons.parse()?)).await
        }
        ["load", bus, pvs, rate] => load(bus, pvs.parse()?, rate.parse()?, 10).await,
        ["load", bus, pvs, rate, seconds] => {
            load(bus, pvs.parse()?, rate.parse()?, seconds.parse()?).await
        }
        ["limit", bus, pvs] => limit(bus, pvs.parse()?).await,
        ["kill", bus, pvs] => kill(bus, pvs.parse()?).await,
        _ => Err("figures load BUS PVS RATE [SECONDS] | limit BUS PVS | kill BUS PVS".into()),
    }
}
