//! Measures the alarm server as a process of its own, with a real IOC and a real bus:
//!
//! `SOFTIOC_PYTHON=… figures BUS PVS CHANGES_PER_SECOND [SECONDS]`, where BUS is `embedded` or `kafka:HOST:PORT`.
//!
//! Prints the time from the start of the process to the last first state of all PVs, memory, processor time while PVs
//! change at that rate, and how long after the time stamp of a value its state arrives at a reader of the bus.

use std::collections::HashSet;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _, stdout};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alarm_server::clock::Clock;
use alarm_server::pvs::channel_access::ChannelAccess;
use alarm_server::shell::publisher::Topics;
use alarm_server::{Settings, Shell};
use bus::kafka::properties::Properties;
use bus::{Bus, Cleanup, From, Outgoing, Reader, TopicPlan};
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PROGRAM: &str = r#"
import sys
from epicscorelibs import ioc
ioc.start_ioc(dbs=[("records.db", "")])
print("IOC-WORKS", flush=True)
sys.stdin.read()
"#;

async fn open(bus: &str) -> Outcome<Arc<dyn Bus>> {
    if let Some(servers) = bus.strip_prefix("kafka:") {
        let options = bus::kafka::Options::default();
        let kafka = bus::kafka::Kafka::connect(servers, &Properties::default(), options).await?;
        return Ok(Arc::new(kafka));
    }
    let options = bus::embedded::Options::default();
    Ok(Arc::new(bus::embedded::Embedded::open(
        Path::new(bus),
        options,
    )?))
}

/// The process that is measured.
async fn serve(bus: &str, name: &str, port: u16, beacons: u16) -> Outcome<()> {
    let configuration = ca::Configuration {
        repeater_port: Some(beacons),
        ..ca::Configuration::for_addresses([format!("127.0.0.1:{port}").parse()?])
    };
    let settings = Settings {
        nag_period: None,
        ..Settings::new(name)
    };
    let pvs = Box::new(ChannelAccess::start(configuration));
    let shell = Shell::open(settings, open(bus).await?, pvs, Clock::machine(), None).await?;
    let stop = CancellationToken::new();
    let ended = stop.clone();
    std::thread::spawn(move || {
        // the one who measures ends, or says so
        drop(std::io::stdin().read_line(&mut String::new()));
        ended.cancel();
    });
    shell.run(stop).await?;
    Ok(())
}

fn free_port() -> Outcome<u16> {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if port > 5000 && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
}

/// Of `pvs` records so many change ten times in a second that there are `rate` changes in all.
fn database(pvs: usize, rate: usize) -> String {
    let changing = rate / 10;
    (0..pvs)
        .map(|number| {
            let limits = "field(HIHI,\"2\") field(HHSV,\"MAJOR\") field(UDF,\"0\")";
            if number < changing {
                format!(
                    "record(calc, \"k{number}\") {{ field(SCAN,\".1 second\") field(INPA,\"k{number}.VAL NPP\") \
                     field(CALC,\"A=0?2:0\") {limits} }}\n"
                )
            } else {
                format!("record(ai, \"k{number}\") {{ field(VAL,\"0\") field(PINI,\"YES\") {limits} }}\n")
            }
        })
        .collect()
}

/// An IOC that ends when its standard input does.
fn start_ioc(folder: &Path, port: u16, beacons: u16) -> Outcome<Child> {
    let python = std::env::var("SOFTIOC_PYTHON")?;
    let mut child = Command::new(python)
        .args(["-c", PROGRAM])
        .current_dir(folder)
        .env("EPICS_CAS_SERVER_PORT", port.to_string())
        .env("EPICS_CA_SERVER_PORT", port.to_string())
        .env("EPICS_CAS_INTF_ADDR_LIST", "127.0.0.1")
        .env("EPICS_CAS_BEACON_ADDR_LIST", "127.0.0.1")
        .env("EPICS_CAS_BEACON_PORT", beacons.to_string())
        .env("EPICS_CA_REPEATER_PORT", beacons.to_string())
        .env("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO")
        .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    while !lines
        .next()
        .ok_or("the IOC ended")??
        .starts_with("IOC-WORKS")
    {}
    Ok(child)
}

/// Resident memory in KiB, and processor time in clock ticks.
fn usage(process: u32) -> Outcome<(u64, u64)> {
    let status = fs_err::read_to_string(format!("/proc/{process}/status"))?;
    let memory = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse()
                .ok()
        })
        .ok_or("no VmRSS")?;
    let stat = fs_err::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |place: usize| {
        fields
            .get(place)
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0)
    };
    Ok((memory, ticks(11) + ticks(12)))
}

async fn configure(bus: &dyn Bus, topics: &Topics, pvs: usize) -> Outcome<()> {
    let plan = |name: &Arc<str>| TopicPlan {
        name: Arc::clone(name),
        cleanup: Cleanup::Compact,
    };
    bus.prepare(&[plan(&topics.main)]).await?;
    let writer = bus.writer().await?;
    let root = &topics.main;
    let records: Vec<Outgoing> = (0..pvs)
        .map(|number| Outgoing {
            topic: Arc::clone(root),
            key: format!("config:/{root}/area{}/group{}/k{number}", number % 10, number % 100),
            value: Some(r#"{"user":"u","host":"h","description":"a PV","latching":false,"annunciating":false}"#.to_owned()),
        })
        .collect();
    for chunk in records.chunks(1000) {
        writer.send(chunk.to_vec())?;
    }
    Ok(writer.flush().await?)
}

/// Reads until every PV has a state; then how late states are for so long.
async fn watch(reader: &mut dyn Reader, pvs: usize) -> Outcome<()> {
    let mut missing: HashSet<usize> = (0..pvs).collect();
    while !missing.is_empty() {
        for record in reader.next().await? {
            let key = record.key.unwrap_or_default();
            if key.starts_with("state:")
                && let Some((_path, number)) = key.rsplit_once("/k")
                && let Ok(number) = number.parse()
            {
                missing.remove(&number);
            }
        }
    }
    Ok(())
}

async fn latencies(reader: &mut dyn Reader, span: Duration) -> Outcome<Vec<f64>> {
    let begin = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let end = tokio::time::Instant::now() + span;
    let mut found = Vec::new();
    while let Ok(records) = tokio::time::timeout_at(end, reader.next()).await {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
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
    Ok(found)
}

async fn measure(words: &[String]) -> Outcome<()> {
    let [bus_name, pvs, rate, rest @ ..] = words else {
        return Err("figures BUS PVS CHANGES_PER_SECOND [SECONDS]".into());
    };
    let (pvs, rate): (usize, usize) = (pvs.parse()?, rate.parse()?);
    let seconds: u64 = rest.first().map_or(Ok(10), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let bus_name = if bus_name == "embedded" {
        folder.path().join("bus").display().to_string()
    } else {
        bus_name.clone()
    };
    let name = format!("Figures{}", std::process::id());
    let topics = Topics::new(&name);
    fs_err::write(folder.path().join("records.db"), database(pvs, rate))?;
    let (port, beacons) = (free_port()?, free_port()?);
    let mut ioc = start_ioc(folder.path(), port, beacons)?;
    if !bus_name.starts_with("kafka:") {
        fs_err::create_dir_all(&bus_name)?;
    }
    let bus = open(&bus_name).await?;
    configure(&*bus, &topics, pvs).await?;
    let mut out = stdout();
    for start in ["start", "restart"] {
        let mut reader = bus.read(&[(Arc::clone(&topics.main), From::Now)]).await?;
        let begin = Instant::now();
        let mut server = Command::new(std::env::current_exe()?)
            .args([
                "serve",
                &bus_name,
                &name,
                &port.to_string(),
                &beacons.to_string(),
            ])
            .stdin(Stdio::piped())
            .spawn()?;
        if start == "start" {
            watch(&mut *reader, pvs).await?;
            writeln!(
                out,
                "start to all {pvs} states: {:.3} s",
                begin.elapsed().as_secs_f64()
            )?;
        } else {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (memory, before) = usage(server.id())?;
        let begin = Instant::now();
        let mut late = latencies(&mut *reader, Duration::from_secs(seconds)).await?;
        let (memory_after, after) = usage(server.id())?;
        late.sort_by(f64::total_cmp);
        let late_at = |part: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a place in a list"
            )]
            let place = (late.len() as f64 * part) as usize;
            late.get(place.min(late.len().saturating_sub(1)))
                .copied()
                .unwrap_or(f64::NAN)
        };
        #[expect(clippy::cast_precision_loss, reason = "some thousand ticks")]
        // a tick is a hundredth of a second
        let processor = (after - before) as f64 / begin.elapsed().as_secs_f64();
        writeln!(
            out,
            "{start}: {} states in {seconds} s; value to reader p50 {:.1} ms, p99 {:.1} ms; {processor:.1} % of a core; {} MiB, {} MiB after",
            late.len(),
            late_at(0.5),
            late_at(0.99),
            memory / 1024,
            memory_after / 1024,
        )?;
        drop(server.stdin.take());
        server.wait()?;
    }
    ioc.kill()?;
    ioc.wait()?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [verb, bus, name, port, beacons] if verb == "serve" => {
            serve(bus, name, port.parse()?, beacons.parse()?).await
        }
        words => measure(words).await,
    }
}
