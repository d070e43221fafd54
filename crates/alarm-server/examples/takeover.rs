//! Measures how long nobody speaks: `takeover BUS TIMES`, where BUS is a folder or `kafka:HOST:PORT`.
//!
//! Starts two of the example `replica` beside this program, kills the one that leads (SIGKILL, and every second time the
//! end of its input, which is a planned hand-over), and takes the time to the first record of the next leader, as a
//! reader of the bus sees it. A new process takes the place of the one that is gone.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alarm_server::shell::lead::{LEADER, Sign};
use bus::kafka::properties::Properties;
use bus::{Bus, Cleanup, From, Outgoing, Reader, TopicPlan};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// So many PVs are in the tree.
const PVS: usize = 100;
/// How long a new process gets to stand by.
const READY: Duration = Duration::from_secs(3);

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

async fn configure(bus: &dyn Bus) -> Outcome<()> {
    let plan = |name: &str, cleanup| TopicPlan {
        name: name.into(),
        cleanup,
    };
    bus.prepare(&[
        plan("T", Cleanup::Compact),
        plan("TServer", Cleanup::Compact),
        plan("TCommand", Cleanup::Delete),
        plan("TTalk", Cleanup::Delete),
    ])
    .await?;
    let writer = bus.writer().await?;
    let records = (0..PVS).map(|pv| Outgoing {
        topic: "T".into(),
        key: format!("config:/T/p{pv}"),
        value: Some(r#"{"user":"u","host":"h","description":"d"}"#.to_owned()),
    });
    writer.send(records.collect())?;
    writer.flush().await?;
    Ok(())
}

fn start(bus: &str, name: &str) -> Outcome<Child> {
    let program = std::env::current_exe()?.with_file_name("replica");
    let mut child = Command::new(program)
        .args([bus, "T", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let input = child.stdin.as_mut().ok_or("no input")?;
    for pv in 0..PVS {
        writeln!(input, "p{pv} OK NO_ALARM 1.0 1900000000")?;
    }
    Ok(child)
}

/// Waits for a leader after the one of that term.
async fn next_leader(reader: &mut dyn Reader, term: u64) -> Outcome<Sign> {
    loop {
        for record in reader.next().await? {
            let is_sign = record.key.is_some_and(|key| key.starts_with(LEADER));
            let Some(value) = record.value.filter(|_value| is_sign) else {
                continue;
            };
            let sign: Sign = serde_json::from_str(&value)?;
            if sign.term > term {
                return Ok(sign);
            }
        }
    }
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| {
        times
            .get((times.len() - 1) * part / 100)
            .map_or(0, Duration::as_millis)
    };
    format!(
        "{} times, p50 {} ms, p99 {} ms",
        times.len(),
        at(50),
        at(99)
    )
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [place, times] = arguments.as_slice() else {
        return Err("takeover BUS TIMES".into());
    };
    let bus = open(place).await?;
    configure(&*bus).await?;
    let mut reader = bus.read(&[("TServer".into(), From::Now)]).await?;
    let mut children = vec![start(place, "a")?, start(place, "b")?];
    let mut leader = next_leader(&mut *reader, 0).await?;
    let (mut killed, mut handed) = (Vec::new(), Vec::new());
    for number in 0..times.parse()? {
        tokio::time::sleep(READY).await;
        let index = children
            .iter()
            .position(|child| child.id() == leader.pid)
            .ok_or("the leader is no process of ours")?;
        let begun = Instant::now();
        let child = &mut children[index];
        let is_planned = number % 2 == 1;
        if is_planned {
            drop(child.stdin.take());
        } else {
            child.kill()?;
        }
        leader = next_leader(&mut *reader, leader.term).await?;
        if is_planned { &mut handed } else { &mut killed }.push(begun.elapsed());
        children.remove(index).wait()?;
        children.push(start(place, if number % 2 == 0 { "a" } else { "b" })?);
    }
    for mut child in children {
        child.kill()?;
        child.wait()?;
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "SIGKILL to the next leader's first record: {}",
        shown(killed)
    )?;
    writeln!(out, "planned: {}", shown(handed))?;
    Ok(())
}
