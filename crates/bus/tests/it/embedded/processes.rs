//! Several processes on one folder, and processes that are killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use bus::embedded::Embedded;
use bus::{Bus, Cleanup, From, Outgoing, TopicPlan};
use pretty_assertions::assert_eq;
use rustix::process::{Pid, Signal, WaitOptions, waitpid};

use super::{Options, Temporary};
use crate::contract::{all, numbered, offsets, prepare, take, values, within_a_minute};

/// Tells a process of a test which folder and topic it writes to, and how it is called.
const CHILD: &str = "BUS_CHILD";

/// A writing process: this test binary once more.
struct Writing {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writing {
    fn start(folder: &Path, name: &str, first: u64, count: u64) -> Writing {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "embedded::processes::child",
                "--ignored",
                "--nocapture",
            ])
            .env(
                CHILD,
                format!("{name} {first} {count} {}", folder.display()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Writing { child, lines }
    }

    /// The number up to which the process says that all is written.
    fn confirmed(&mut self) -> Option<u64> {
        loop {
            let line = self.lines.next()?.unwrap();
            if let Some(number) = line.strip_prefix("written ") {
                return Some(number.parse().unwrap());
            }
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes numbers to the topic `log`, and under five keys to the topic `state`; says each time what is confirmed.
#[test]
#[ignore = "the process that other tests start"]
fn child() {
    let Ok(told) = std::env::var(CHILD) else {
        return;
    };
    let mut told = told.splitn(4, ' ');
    let name = told.next().unwrap().to_owned();
    let [first, count] = [(), ()].map(|()| told.next().unwrap().parse::<u64>().unwrap());
    let folder = told.next().unwrap().to_owned();
    // It ends with who started it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::abort();
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bus = Embedded::open(Path::new(&folder), options()).unwrap();
        let writer = bus.writer().await.unwrap();
        let mut number = first;
        let end = first.saturating_add(count);
        while number < end {
            // batches of different sizes, and several of them under way at once
            let size = (1 + number * 7 % 23).min(end - number);
            let records = (number..number + size).flat_map(|number| {
                let value = Some(number.to_string());
                let outgoing = |topic: &str, key| Outgoing {
                    topic: Arc::from(topic),
                    key,
                    value: value.clone(),
                };
                [
                    outgoing("log", name.clone()),
                    outgoing("state", format!("{name}-{}", number % 5)),
                ]
            });
            writer.send(records.collect()).unwrap();
            number += size;
            if number % 3 == 0 {
                writer.flush().await.unwrap();
                println!("written {number}");
            }
        }
        writer.flush().await.unwrap();
        println!("written {number}");
    });
}

fn options() -> Options {
    let short = std::time::Duration::from_millis(10);
    Options {
        compaction_lag: short,
        cleaning_interval: short,
        retention: short * 360_000,
        ..Options::default()
    }
}

async fn log_and_state(bus: &Embedded) -> [Arc<str>; 2] {
    let topics = [("log", Cleanup::Delete), ("state", Cleanup::Compact)];
    bus.prepare(&topics.map(|(name, cleanup)| TopicPlan {
        name: name.into(),
        cleanup,
    }))
    .await
    .unwrap();
    topics.map(|(name, _)| name.into())
}

fn number(value: Option<&String>) -> u64 {
    value.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_had_confirmed_is_there_and_no_offset_is_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Embedded::open(folder.path(), options()).unwrap();
    let [log, state] = log_and_state(&bus).await;
    let mut reader = bus
        .read(&[(Arc::clone(&log), From::Beginning)])
        .await
        .unwrap();
    // What somebody who reads along has seen, by offset.
    let seen = tokio::spawn(async move {
        let mut seen = BTreeMap::new();
        loop {
            for record in reader.next().await.unwrap() {
                if record.value.as_deref() == Some("end") {
                    return seen;
                }
                let before = seen.insert(record.offset, record.value);
                assert_eq!(before, None, "the offset {} came twice", record.offset);
            }
        }
    });
    let mut first = 0;
    for round in 0..5_u64 {
        let mut writing = Writing::start(folder.path(), "child", first, u64::MAX);
        let mut confirmed = first;
        for _ in 0..=(round * 13) {
            confirmed = writing
                .confirmed()
                .expect("the writing process ended by itself");
        }
        // somewhere in the next turn
        std::thread::sleep(std::time::Duration::from_micros(round * 377));
        writing.child.kill().unwrap();
        writing.child.wait().unwrap();
        while let Some(number) = writing.confirmed() {
            confirmed = number;
        }
        let numbers: Vec<_> = all(&bus, &log)
            .await
            .iter()
            .map(|record| number(record.value.as_ref()))
            .collect();
        let this_round: Vec<_> = numbers
            .iter()
            .copied()
            .filter(|number| *number >= first)
            .collect();
        assert!(
            this_round.len() as u64 >= confirmed - first,
            "{} of {}",
            this_round.len(),
            confirmed - first
        );
        assert_eq!(
            this_round,
            (first..first + this_round.len() as u64).collect::<Vec<_>>()
        );
        let newest = all(&bus, &state)
            .await
            .iter()
            .map(|record| number(record.value.as_ref()))
            .max()
            .unwrap();
        // both records of a number were sent together, and are written together
        assert_eq!(Some(newest), numbers.last().copied());
        first = newest + 1;
    }
    let writer = bus.writer().await.unwrap();
    writer
        .send(vec![Outgoing {
            topic: Arc::clone(&log),
            key: String::new(),
            value: Some("end".into()),
        }])
        .unwrap();
    writer.flush().await.unwrap();
    let seen = within_a_minute(seen).await.unwrap();
    let mut kept = all(&bus, &log).await;
    kept.pop();
    assert_eq!(
        seen,
        kept.into_iter()
            .map(|record| (record.offset, record.value))
            .collect()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_write_and_read_side_by_side() {
    const COUNT: u64 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let bus = Embedded::open(folder.path(), options()).unwrap();
    let [log, state] = log_and_state(&bus).await;
    let mut reader = bus
        .read(&[(Arc::clone(&log), From::Beginning)])
        .await
        .unwrap();
    let writing: Vec<_> = ["a", "b"]
        .map(|name| Writing::start(folder.path(), name, 0, COUNT))
        .into();
    let writer = bus.writer().await.unwrap();
    for number in 0..COUNT {
        let value = Some(number.to_string());
        writer
            .send(vec![Outgoing {
                topic: Arc::clone(&log),
                key: "own".to_owned(),
                value,
            }])
            .unwrap();
        if number % 50 == 0 {
            writer.flush().await.unwrap();
        }
    }
    let read = within_a_minute(take(&mut *reader, usize::try_from(3 * COUNT).unwrap())).await;
    assert_eq!(offsets(&read), (0..3 * COUNT).collect::<Vec<_>>());
    for name in ["a", "b", "own"] {
        let of_writer = read
            .iter()
            .filter(|record| record.key.as_deref() == Some(name));
        let numbers: Vec<_> = of_writer
            .map(|record| number(record.value.as_ref()))
            .collect();
        assert_eq!(numbers, (0..COUNT).collect::<Vec<_>>(), "{name}");
    }
    drop(writing);
    bus.clean().await.unwrap();
    let newest: BTreeMap<_, _> = all(&bus, &state)
        .await
        .into_iter()
        .map(|record| (record.key.unwrap(), number(record.value.as_ref())))
        .collect();
    let expected = ["a", "b"]
        .into_iter()
        .flat_map(|name| (0..5).map(move |key| (format!("{name}-{key}"), COUNT - 5 + key)));
    assert_eq!(newest, expected.collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_opened_twice_is_one_bus() {
    let one = Temporary::new();
    let two = Embedded::open(one.folder(), Options::default()).unwrap();
    let [topic] = prepare(&one, ["T"]).await;
    let mut reader = two
        .read(&[(Arc::clone(&topic), From::Beginning)])
        .await
        .unwrap();
    let [first, second] = [one.writer().await.unwrap(), two.writer().await.unwrap()];
    for number in 0..50 {
        let writer = if number % 2 == 0 { &first } else { &second };
        writer
            .send(numbered(&topic, 3, number..number + 1))
            .unwrap();
        writer.flush().await.unwrap();
        // told at once, not when somebody looks
        assert_eq!(
            values(&within_a_minute(take(&mut *reader, 1)).await),
            [number.to_string()]
        );
    }
}

/// Begins to write, and stops itself in the middle of it.
#[test]
#[ignore = "the process that another test starts"]
fn stops_in_its_turn() {
    let Ok(file) = std::env::var(CHILD) else {
        return;
    };
    let database = rusqlite::Connection::open(file).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    rustix::process::kill_process(rustix::process::getpid(), Signal::STOP).unwrap();
    // the signal may reach another thread first, and this one must not go on and let go of the lock
    std::thread::sleep(std::time::Duration::from_mins(1));
    drop(database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_stopped_in_the_middle_of_writing_does_not_keep_the_leader_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Embedded::open(folder.path(), options()).unwrap();
    let [log, state] = log_and_state(&bus).await;
    let fence = bus::Fence {
        name: "lead".into(),
        topic: state,
        holder: "leader".to_owned(),
    };
    let leader = bus.take(&fence, None).await.unwrap();
    let mut stopped = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "embedded::processes::stops_in_its_turn",
            "--ignored",
        ])
        .env(CHILD, bus.file())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&stopped);
    let state = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
    assert!(state.is_some_and(|(_pid, status)| status.stopped()));
    let begun = std::time::Instant::now();
    leader.send(numbered(&log, 1, 0..10)).unwrap();
    within_a_minute(leader.flush()).await.unwrap();
    let took = begun.elapsed();
    // it takes a tenth of a second; this is what a busy machine gets
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    let ended = stopped.wait().unwrap();
    assert_eq!(ended.signal(), Some(Signal::KILL.as_raw()));
    assert_eq!(all(&bus, &log).await.len(), 10);
}
