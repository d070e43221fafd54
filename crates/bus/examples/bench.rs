//! Figures of a bus for `benches/run.sh`: throughput, latency, and what an idle reader costs.
//!
//!   bench embedded FOLDER | bench kafka SERVERS
//!
//! Prints one line `NAME VALUE` per figure. Latency is from `send` to the arrival at a reader, at a steady 200 records a
//! second; a burst counts until all of it is durable.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::embedded::Embedded;
use bus::kafka::Kafka;
use bus::kafka::properties::Properties;
use bus::{Bus, Cleanup, Error, From, Outgoing, TopicPlan, embedded, kafka};

const BURST: usize = 100_000;
const PACED: usize = 2_000;
const PACE: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_secs(5);
/// As long as the state of an alarm.
const LENGTH: usize = 220;

fn outgoing(topic: &Arc<str>, number: usize) -> Outgoing {
    let value = format!("{number:LENGTH$}");
    Outgoing {
        topic: Arc::clone(topic),
        key: format!("state:/Accelerator/Vacuum/key-{}", number % 10_000),
        value: Some(value),
    }
}

/// Milliseconds that this process has used of processors.
fn used() -> f64 {
    let usage = fs_err::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = usage
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or_default()
    };
    // utime and stime, in hundredths of a second
    (ticks(11) + ticks(12)) * 10.0
}

fn figure(name: &str, value: f64) {
    #[expect(clippy::print_stdout, reason = "this is what a benchmark is for")]
    {
        println!("{name} {value:.3}");
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
async fn run(bus: &dyn Bus) -> Result<(), Error> {
    let topic: Arc<str> = format!("Bench{}", std::process::id()).into();
    bus.prepare(&[TopicPlan {
        name: Arc::clone(&topic),
        cleanup: Cleanup::Compact,
    }])
    .await?;
    let writer = bus.writer().await?;
    let mut reader = bus.read(&[(Arc::clone(&topic), From::Beginning)]).await?;

    // one after the other, each durable before the next
    let begin = Instant::now();
    for number in 0..300 {
        writer.send(vec![outgoing(&topic, number)])?;
        writer.flush().await?;
    }
    figure(
        "one_by_one_per_second",
        300.0 / begin.elapsed().as_secs_f64(),
    );
    let mut read = 0;
    while read < 300 {
        read += reader.next().await?.len();
    }

    // a burst, in pieces as an alarm server sends them
    let (begin, before) = (Instant::now(), used());
    for number in (0..BURST).step_by(100) {
        writer.send(
            (number..number + 100)
                .map(|number| outgoing(&topic, number))
                .collect(),
        )?;
    }
    writer.flush().await?;
    figure(
        "burst_per_second",
        BURST as f64 / begin.elapsed().as_secs_f64(),
    );
    figure("burst_processor_ms", used() - before);
    let begin = Instant::now();
    let mut read = 0;
    while read < BURST {
        read += reader.next().await?.len();
    }
    figure(
        "read_per_second",
        BURST as f64 / begin.elapsed().as_secs_f64(),
    );

    // steady, with somebody who reads along
    let sending = async {
        let mut sent = Vec::with_capacity(PACED);
        let mut ticks = tokio::time::interval(PACE);
        for number in 0..PACED {
            ticks.tick().await;
            sent.push(Instant::now());
            writer.send(vec![outgoing(&topic, number)])?;
        }
        Ok::<_, Error>(sent)
    };
    let receiving = async {
        let mut arrived = Vec::with_capacity(PACED);
        while arrived.len() < PACED {
            let records = reader.next().await?;
            let now = Instant::now();
            arrived.extend(records.iter().map(|_| now));
        }
        Ok::<_, Error>(arrived)
    };
    let before = used();
    let (sent, arrived) = tokio::try_join!(sending, receiving)?;
    let mut latencies: Vec<_> = arrived
        .into_iter()
        .zip(sent)
        .map(|(arrived, sent)| arrived.duration_since(sent))
        .collect();
    latencies.sort_unstable();
    for (name, place) in [
        ("latency_p50_ms", PACED / 2),
        ("latency_p99_ms", PACED * 99 / 100),
        ("latency_max_ms", PACED - 1),
    ] {
        figure(
            name,
            latencies
                .get(place)
                .copied()
                .unwrap_or_default()
                .as_secs_f64()
                * 1e3,
        );
    }
    figure(
        "steady_processor_percent",
        (used() - before) / (PACED as f64 * PACE.as_secs_f64() * 10.0),
    );

    // nothing
    let before = used();
    let nothing = tokio::time::timeout(IDLE, reader.next()).await;
    figure(
        "idle_processor_percent",
        (used() - before) / (IDLE.as_secs_f64() * 10.0),
    );
    drop(nothing);
    Ok(())
}

async fn open(arguments: &[String]) -> Result<Box<dyn Bus>, Error> {
    match arguments {
        [kind, folder] if kind == "embedded" => Ok(Box::new(Embedded::open(
            Path::new(folder),
            embedded::Options::default(),
        )?)),
        [kind, servers] if kind == "kafka" => Ok(Box::new(
            Kafka::connect(servers, &Properties::default(), kafka::Options::default()).await?,
        )),
        _ => Err(Error::Closed),
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match open(&arguments).await {
        Ok(bus) => run(&*bus).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is what a benchmark is for")]
            {
                eprintln!("bench embedded FOLDER | bench kafka SERVERS: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
