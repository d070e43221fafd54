//! The long-lived client against a real IOC.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ca::{Configuration, Context, Event, Events, Mask, PvName, Reading, Severity, Value, WatchId};
use pretty_assertions::assert_eq;

use super::ioc::{SoftIoc, start, start_with};
use super::{TIMEOUT, line};

/// Reads events until one is wanted, for at most [`TIMEOUT`].
async fn wait<T>(events: &mut Events, mut wanted: impl FnMut(WatchId, Event) -> Option<T>) -> T {
    let waiting = async {
        loop {
            for (watch, event) in events.next().await.expect("the context is open") {
                if let Some(found) = wanted(watch, event) {
                    return found;
                }
            }
        }
    };
    tokio::time::timeout(TIMEOUT, waiting)
        .await
        .expect("the event comes in time")
}

fn name(text: &str) -> PvName {
    text.parse().unwrap()
}

/// First values of these PVs, in their order.
async fn first_values(context: &Context, events: &mut Events, pvs: &[&str]) -> Vec<Reading> {
    for (number, pv) in (0..).zip(pvs) {
        context.watch(WatchId(number), name(pv), Mask::default());
    }
    let mut found = BTreeMap::new();
    wait(events, |watch, event| {
        if let Event::Value(update) = event {
            found.entry(watch).or_insert(update.reading);
        }
        (found.len() == pvs.len()).then_some(())
    })
    .await;
    found.into_values().collect()
}

const PVS: [&str; 17] = [
    "T:AI",
    "T:AO",
    "T:LONG",
    "T:BO",
    "T:MBBO",
    "T:STRING",
    "T:TEXT",
    "T:WF",
    "T:FLOATS",
    "T:SHORTS",
    "T:STRINGS",
    "T:STATES",
    "T:BIG",
    "T:UNDEFINED",
    "T:INT64",
    "T:AI.PREC",
    "T:AI.SCAN",
];

#[tokio::test]
async fn first_values_of_every_type_agree_with_caproto_and_libca() {
    let Some(ioc) = start() else { return };
    let (context, mut events) = Context::start(ioc.configuration());
    let readings = first_values(&context, &mut events, &PVS).await;
    let mut ours = String::new();
    for (pv, reading) in PVS.iter().zip(&readings) {
        write!(ours, "{}", line(pv, reading)).unwrap();
    }
    assert_eq!(ours, ioc.read_by_caproto(&PVS));
    // pyepics gives texts, and arrays that are not full, in a way of its own
    let numbers = [
        "T:AI",
        "T:AO",
        "T:LONG",
        "T:BO",
        "T:MBBO",
        "T:UNDEFINED",
        "T:INT64",
        "T:AI.PREC",
    ];
    let of_numbers = |line: &&str| numbers.contains(&line.split('|').next().unwrap());
    let ours: Vec<_> = ours.lines().filter(of_numbers).collect();
    let libca = ioc.read_by_libca(&numbers);
    assert_eq!(ours, libca.lines().collect::<Vec<_>>());
    // one circuit, however many PVs, reads and writes
    context
        .put(&name("T:AO"), Value::Double(12.5), TIMEOUT)
        .await
        .unwrap();
    let reading = context.get(&name("T:AO"), TIMEOUT).await.unwrap();
    assert_eq!(reading.value, Value::Double(12.5));
    assert_eq!(context.statistics().circuits, 1);
    context.close().await;
}

#[tokio::test]
async fn changes_arrive_with_alarm_and_label() {
    let Some(ioc) = start() else { return };
    let (context, mut events) = Context::start(ioc.configuration());
    first_values(&context, &mut events, &["T:MBBO", "T:COUNT"]).await;
    for (text, severity) in [
        ("Moving", Severity::None),
        ("Fault", Severity::Major),
        ("Idle", Severity::None),
    ] {
        context
            .put(&name("T:MBBO"), Value::String(text.to_owned()), TIMEOUT)
            .await
            .unwrap();
        let reading = wait(&mut events, |watch, event| match event {
            Event::Value(update) if watch == WatchId(0) => Some(update.reading),
            _ => None,
        })
        .await;
        assert_eq!(
            (reading.value.to_string().as_str(), reading.severity),
            (text, severity)
        );
    }
    // the labels follow their record
    context
        .put(
            &name("T:MBBO.ZRST"),
            Value::String("Standing".to_owned()),
            TIMEOUT,
        )
        .await
        .unwrap();
    context
        .put(&name("T:MBBO"), Value::Long(1), TIMEOUT)
        .await
        .unwrap();
    context
        .put(&name("T:MBBO"), Value::Long(0), TIMEOUT)
        .await
        .unwrap();
    wait(&mut events, |_, event| match event {
        Event::Value(update) if update.reading.value.to_string() == "Standing" => Some(()),
        _ => None,
    })
    .await;
    // each count once, in order
    let mut last = None;
    let mut seen = 0;
    wait(&mut events, |watch, event| {
        if let (WatchId(1), Event::Value(update)) = (watch, event) {
            let value = update.reading.value.as_f64().unwrap();
            let expected = last.map(|last: f64| last + 1.0 + f64::from(update.coalesced));
            assert!(
                expected.is_none_or(|expected| (expected - value).abs() < 0.5),
                "{last:?} {value}"
            );
            last = Some(value);
            seen += 1;
        }
        (seen > 10).then_some(())
    })
    .await;
}

/// Long enough that the next search alone would come too late: what is tested takes time.
const ABSENCE: Duration = Duration::from_secs(9);

#[tokio::test]
async fn an_ioc_that_returns_is_there_within_a_second() {
    let Some(ioc) = start() else { return };
    comes_back_within_a_second(ioc, ABSENCE).await;
}

#[tokio::test]
async fn a_repeater_of_libca_that_runs_already_passes_the_beacons_on() {
    let Some(ioc) = start() else { return };
    let mut repeater = ioc.libca_repeater();
    ioc.wait_for_repeater();
    assert!(repeater.is_running());
    comes_back_within_a_second(ioc, ABSENCE).await;
    assert!(repeater.is_running());
}

#[tokio::test]
async fn a_repeater_of_libca_that_ends_is_replaced() {
    let Some(ioc) = start() else { return };
    let repeater = ioc.libca_repeater();
    ioc.wait_for_repeater();
    let ending = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(repeater);
    });
    // the registration is renewed every ten seconds
    comes_back_within_a_second(ioc, Duration::from_secs(14)).await;
    ending.await.unwrap();
}

#[tokio::test]
async fn a_repeater_of_libca_that_starts_later_sees_that_there_is_one() {
    let Some(ioc) = start() else { return };
    let (context, _events) = Context::start(ioc.configuration());
    let ioc = tokio::task::spawn_blocking(move || {
        ioc.wait_for_repeater();
        // else the test would never end
        ioc.libca_repeater().wait();
        ioc
    })
    .await
    .unwrap();
    comes_back_within_a_second(ioc, ABSENCE).await;
    context.close().await;
}

async fn comes_back_within_a_second(ioc: SoftIoc, absence: Duration) {
    let (context, mut events) = Context::start(ioc.configuration());
    first_values(&context, &mut events, &["T:AI", "T:MBBO"]).await;
    let killed = ioc.kill();
    let mut lost = 0;
    wait(&mut events, |_, event| {
        lost += usize::from(event == Event::Disconnected);
        (lost == 2).then_some(())
    })
    .await;
    tokio::time::sleep(absence).await;
    let (sender, mut started) = tokio::sync::oneshot::channel();
    let starting = std::thread::spawn(move || {
        let ioc = killed.start();
        sender.send(Instant::now()).unwrap();
        ioc
    });
    let mut back = 0;
    wait(&mut events, |_, event| {
        back += usize::from(matches!(event, Event::Value(_)));
        (back == 2).then_some(())
    })
    .await;
    let arrived = Instant::now();
    let ioc = tokio::task::spawn_blocking(|| starting.join().unwrap())
        .await
        .unwrap();
    let running = started.try_recv().unwrap();
    let after = arrived.saturating_duration_since(running);
    assert!(after < Duration::from_secs(1), "{after:?}");
    drop(ioc);
}

#[tokio::test]
async fn a_second_ioc_with_the_same_pv_is_reported() {
    let Some(ioc) = start() else { return };
    let second = ioc.sibling();
    let (context, mut events) = Context::start(ioc.configuration());
    context.watch(WatchId(1), name("T:AI"), Mask::default());
    let servers = wait(&mut events, |_, event| match event {
        Event::Duplicate { servers } => Some(servers),
        _ => None,
    })
    .await;
    assert!(
        servers.len() == 2 && servers[0] != servers[1],
        "{servers:?}"
    );
    drop(second);
}

#[tokio::test]
async fn descriptions_say_what_alarms_need() {
    let Some(ioc) = start() else { return };
    let (context, _events) = Context::start(ioc.configuration());
    let description = context.describe(&name("T:AI"), TIMEOUT).await.unwrap();
    assert_eq!(
        (
            description.server.port(),
            description.count,
            description.rights.write
        ),
        (ioc.port(), 1, true)
    );
    assert_eq!(description.properties.units, "degC");
    let limits = description.properties.limits.unwrap();
    assert!(
        (limits.warning.high - 20.0).abs() < 1e-9 && limits.alarm.high.is_nan(),
        "{limits:?}"
    );
    let states = context.describe(&name("T:MBBO"), TIMEOUT).await.unwrap();
    assert_eq!(states.properties.labels, ["Idle", "Moving", "Fault"]);
    let locked = context
        .describe(&name("T:READ_ONLY"), TIMEOUT)
        .await
        .unwrap();
    assert!(!locked.rights.write);
    for (pv, expected) in [
        (
            "T:HIDDEN",
            "does not allow this user and host to read `T:HIDDEN`",
        ),
        (
            "T:NOT_THERE",
            "no server answered for `T:NOT_THERE` within 0.5 s; searched 127.255.255.255:",
        ),
    ] {
        let error = context
            .get(&name(pv), Duration::from_millis(500))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = context
        .put(&name("T:READ_ONLY"), Value::Long(1), TIMEOUT)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not allow this user and host to write"),
        "{error}"
    );
    let error = context
        .put(&name("T:LOCKED"), Value::Long(1), TIMEOUT)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("did not write `T:LOCKED`"),
        "{error}"
    );
}

#[tokio::test]
async fn arrays_are_written_and_read_in_their_own_type() {
    let Some(ioc) = start() else { return };
    let (context, mut events) = Context::start(ioc.configuration());
    first_values(&context, &mut events, &["T:WF", "T:BIG"]).await;
    let big: Vec<i32> = (0..100_000).collect();
    for (pv, value) in [
        (
            "T:WF",
            Value::Array(ca::Array::Double(vec![1.0, -2.5, 3e300, 4.0])),
        ),
        ("T:SHORTS", Value::Array(ca::Array::Short(vec![7, -8]))),
        (
            "T:STRINGS",
            Value::Array(ca::Array::String(vec!["x".to_owned(), "y z".to_owned()])),
        ),
        ("T:BIG", Value::Array(ca::Array::Long(big))),
    ] {
        context
            .put(&name(pv), value.clone(), TIMEOUT)
            .await
            .unwrap();
        assert_eq!(
            context.get(&name(pv), TIMEOUT).await.unwrap().value,
            value,
            "{pv}"
        );
    }
    let first = context.get_first(&name("T:BIG"), 3, TIMEOUT).await.unwrap();
    assert_eq!(first.value, Value::Array(ca::Array::Long(vec![0, 1, 2])));
    // the watch has seen the large array too
    wait(&mut events, |watch, event| match event {
        Event::Value(update) if watch == WatchId(1) => match update.reading.value {
            Value::Array(ca::Array::Long(elements)) if elements.len() == 100_000 => Some(()),
            _ => None,
        },
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn access_rights_that_change_are_reported() {
    let Some(ioc) = start() else { return };
    let operator = Configuration {
        user_name: Some("operator".to_owned()),
        host_name: Some("control-room-1".to_owned()),
        ..ioc.configuration()
    };
    let (operator, _) = Context::start(operator);
    let (context, mut events) = Context::start(ioc.configuration());
    first_values(&context, &mut events, &["T:OPERATORS"]).await;
    for (group, write) in [("DEFAULT", true), ("READ_ONLY", false)] {
        operator
            .put(
                &name("T:OPERATORS.ASG"),
                Value::String(group.to_owned()),
                TIMEOUT,
            )
            .await
            .unwrap();
        let rights = wait(&mut events, |_, event| match event {
            Event::AccessRights(rights) => Some(rights),
            _ => None,
        })
        .await;
        assert_eq!(rights.write, write);
    }
}

#[tokio::test]
async fn ten_thousand_pvs() {
    let Some(ioc) = start_with(10_000) else {
        return;
    };
    let (context, mut events) = Context::start(ioc.configuration());
    let started = Instant::now();
    for number in 0..10_000 {
        context.watch(
            WatchId(number),
            name(&format!("T:MANY{number}")),
            Mask::default(),
        );
    }
    let mut values = 0_u64;
    wait(&mut events, |WatchId(number), event| {
        if let Event::Value(update) = event {
            assert_eq!(update.reading.value.to_string(), number.to_string());
            values += 1;
        }
        (values == 10_000).then_some(())
    })
    .await;
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let statistics = context.statistics();
    // more than one circuit's share
    assert_eq!((statistics.connected, statistics.circuits), (10_000, 2));
    context.close().await;
    assert_eq!(events.next().await, None);
}
