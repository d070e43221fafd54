//! Watches many PVs and says how long the first values took, how much memory that needs, and how much processor time goes
//! into the updates after. For `benches/run.sh ca`, and to try the client on a real network.
//!
//!     watch_many PREFIX COUNT [SECONDS]      the PVs are PREFIX0 to PREFIX(COUNT-1), or PREFIX alone if COUNT is 0

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use ca::{Configuration, Context, Event, Mask, WatchId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [prefix, count, rest @ ..] = &arguments[..] else {
        return Err("usage: watch_many PREFIX COUNT [SECONDS]".into());
    };
    let count: u64 = count.parse()?;
    let seconds: f64 = rest.first().map_or(Ok(0.0), |text| text.parse())?;
    let variables: BTreeMap<_, _> = std::env::vars().collect();
    let started = Instant::now();
    let (context, mut events) = Context::start(Configuration::from_environment(&variables));
    for number in 0..count.max(1) {
        let name = if count == 0 {
            prefix.clone()
        } else {
            format!("{prefix}{number}")
        };
        context.watch(WatchId(number), name.parse()?, Mask::default());
    }
    let (mut connected, mut with_value) = (0, 0);
    let mut valued = vec![false; usize::try_from(count.max(1))?];
    while with_value < valued.len() {
        for (WatchId(number), event) in events.next().await.ok_or("closed")? {
            match event {
                Event::Connected { .. } => {
                    connected += 1;
                    if connected == valued.len() {
                        say(&format!("connected {:.3}", started.elapsed().as_secs_f64()))?;
                    }
                }
                Event::Value(_) => {
                    let first = &mut valued[usize::try_from(number)?];
                    with_value += usize::from(!*first);
                    *first = true;
                }
                other => say(&format!("{number} {other:?}"))?,
            }
        }
    }
    say(&format!("values {:.3}", started.elapsed().as_secs_f64()))?;
    drop(valued);
    if seconds > 0.0 {
        let before = (processor_time()?, Instant::now());
        let mut updates = 0_u32;
        let end = tokio::time::sleep(Duration::from_secs_f64(seconds));
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                batch = events.next() => {
                    for (_, event) in batch.ok_or("closed")? {
                        if let Event::Value(update) = event {
                            updates += 1 + update.coalesced;
                        }
                    }
                }
            }
        }
        let elapsed = before.1.elapsed().as_secs_f64();
        say(&format!("updates {:.0}", f64::from(updates) / elapsed))?;
        say(&format!(
            "processor {:.2}",
            (processor_time()? - before.0) / elapsed * 100.0
        ))?;
    }
    say(&format!("resident {}", memory("VmRSS:")?))?;
    say(&format!("peak {}", memory("VmHWM:")?))?;
    say(&format!("processor-total {:.2}", processor_time()?))?;
    context.close().await;
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(stdout(), "{line}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "an example has no need of another crate"
)]
/// Kilobytes, from `/proc/self/status`.
fn memory(field: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.ok_or("no such field")?.parse()?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an example has no need of another crate"
)]
/// Seconds of processor time of this process, in steps of 10 ms.
fn processor_time() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| -> Result<u32, Box<dyn Error>> {
        Ok(fields.get(at).ok_or("short /proc/self/stat")?.parse()?)
    };
    Ok(f64::from(ticks(11)? + ticks(12)?) / 100.0)
}
