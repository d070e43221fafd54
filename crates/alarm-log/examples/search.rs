//! Figures of the SQLite history: `search FILE ROWS` fills a history that is not there yet with a year of changes, and
//! measures what is searched for.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for developers"
)]

use std::path::Path;
use std::time::Instant;

use alarm_log::query::{Filter, History as _, Order, Pattern, Query};
use alarm_log::sink::Sink as _;
use alarm_log::sink::sqlite::{Retention, SqliteHistory, SqliteSink};
use alarm_log::{Entry, Event, Kind, State};
use jiff::{SignedDuration, Timestamp};

const PVS: u64 = 20_000;
const YEAR: i64 = 31_536_000_000;
const BATCH: u64 = 2000;

/// One of a hundred is MAJOR, the others MINOR and OK in turn.
fn entry(number: u64, rows: u64) -> Entry {
    let begin = 1_760_000_000_000;
    let passed =
        i64::try_from(u128::from(number) * u128::from(YEAR.unsigned_abs()) / u128::from(rows))
            .unwrap();
    let time = Timestamp::from_millisecond(begin + passed).unwrap();
    // scattered, the same in each run
    let pv = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % PVS;
    let severity = match number % 100 {
        0 => "MAJOR",
        odd if odd % 2 == 1 => "MINOR",
        _ => "OK",
    };
    let path = format!("/Accelerator/Area{:02}/SR:C{pv:05}:TEMP", pv % 40);
    Entry {
        topic: "Accelerator".into(),
        offset: number,
        time,
        key: format!("state:{path}"),
        pv: format!("SR:C{pv:05}:TEMP"),
        path,
        event: Event::State(State {
            severity: Some(severity.to_owned()),
            message: Some("HIHI_ALARM".to_owned()),
            value: Some(number.to_string()),
            event_time: Some(time),
            current_severity: Some(severity.to_owned()),
            current_message: Some("HIHI_ALARM".to_owned()),
            notify: true,
            ..State::default()
        }),
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (file, rows) = (arguments.next().unwrap(), arguments.next().unwrap());
    let (file, rows): (&Path, u64) = (Path::new(&file), rows.parse().unwrap());
    if !file.exists() {
        fill(file, rows).await;
    }
    let history = SqliteHistory::open(file).unwrap();
    let week = entry(rows / 2, rows).time;
    let until = week.checked_add(SignedDuration::from_hours(168)).unwrap();
    let states = Filter {
        kinds: [Kind::State].into(),
        ..Filter::default()
    };
    let one_pv = Filter {
        pv: vec![Pattern::new("SR:C00123:TEMP")],
        ..states.clone()
    };
    let wild = Filter {
        pv: vec![Pattern::new("SR:C0012?:*")],
        ..states.clone()
    };
    let severe = Filter {
        severity: vec![Pattern::new("MAJOR")],
        since: Some(week),
        until: Some(until),
        ..states.clone()
    };
    let area = Filter {
        at: vec!["/Accelerator/Area07".to_owned()],
        ..states.clone()
    };
    for (what, filter, limit) in [
        ("last 100 changes of a PV", one_pv, 100),
        ("last 100 changes of 10 PVs", wild, 100),
        ("last 100 changes of an area of 500 PVs", area, 100),
        ("a week of MAJOR", severe.clone(), 1_000_000),
        ("last 1000 of all", states, 1000),
    ] {
        measure(&history, what, filter, limit).await;
    }
    let begun = Instant::now();
    let counts = history.count(severe, 3_600_000).await.unwrap();
    println!(
        "{:>9.1} ms  a week of MAJOR by hour: {} counts",
        begun.elapsed().as_secs_f64() * 1000.0,
        counts.len()
    );
}

async fn measure(history: &SqliteHistory, what: &str, filter: Filter, limit: usize) {
    let mut best = f64::MAX;
    let mut first = None;
    let mut found = 0;
    for _run in 0..5 {
        let query = Query {
            filter: filter.clone(),
            order: Order::NewestFirst,
            limit,
            after: None,
        };
        let begun = Instant::now();
        found = history.search(query).await.unwrap().entries.len();
        let took = begun.elapsed().as_secs_f64() * 1000.0;
        first.get_or_insert(took);
        best = best.min(took);
    }
    println!(
        "{best:>9.1} ms  {what}: {found} entries, the first time {:.1} ms",
        first.unwrap_or_default()
    );
}

async fn fill(file: &Path, rows: u64) {
    let begun = Instant::now();
    let mut sink = SqliteSink::open(file, Retention::default()).unwrap();
    let mut first = 0;
    while first < rows {
        let last = rows.min(first + BATCH);
        let entries: Vec<Entry> = (first..last).map(|number| entry(number, rows)).collect();
        sink.write(&entries).await.unwrap();
        first = last;
    }
    println!(
        "{:>9.1} s   {rows} entries written",
        begun.elapsed().as_secs_f64()
    );
}
