//! What the server does with records, PVs and time; the clock of the runtime is paused.

use std::time::Duration;

use alarm::{Severity, Time};
use alarm_server::Settings;
use alarm_server::shell::End;
use serde_json::json;

use crate::context::{Running, settings, small_bus, small_pvs};

#[tokio::test(start_paused = true)]
async fn an_alarm_is_published_latched_and_acknowledged_by_a_command_of_the_bus() {
    let server = Running::start(settings(), small_bus(), small_pvs()).await;
    server.until("X", "state:/X/area/a", "NO_ALARM").await;
    server
        .pvs
        .set_alarm("a", Severity::Major, "HIHI_ALARM", 95.0, Time::new(1001, 7));
    let state = server.until("X", "state:/X/area/a", "MAJOR").await;
    assert_eq!(
        state.to_string(),
        json!({"severity":"MAJOR","latch":true,"message":"HIHI_ALARM","value":"95.0",
            "time":{"seconds":1001,"nano":7},"current_severity":"MAJOR","current_message":"HIHI_ALARM"})
        .to_string()
    );
    server.until("X", "state:/X", "MAJOR").await;
    server
        .until("XTalk", "talk:/X/area/a", "MAJOR Alarm: first")
        .await;
    server
        .pvs
        .set_alarm("a", Severity::Ok, "NO_ALARM", 1.0, Time::new(1002, 0));
    server
        .until("X", "state:/X/area/a", r#""current_severity":"OK""#)
        .await;
    let command = r#"{"user":"alice","host":"desk","command":"acknowledge"}"#;
    server
        .bus
        .append("XCommand", Some("command:/X/area"), Some(command));
    let state = server
        .until("X", "state:/X/area/a", r#"{"severity":"OK""#)
        .await;
    assert_eq!(state["message"], "OK");
    assert_eq!(server.end().await, End::Stopped);
}

#[tokio::test(start_paused = true)]
async fn what_never_connects_is_disconnected_after_the_timeout_and_the_root_is_repeated() {
    let pvs = small_pvs();
    pvs.lose("b");
    let server = Running::start(settings(), small_bus(), pvs).await;
    server.until("X", "state:/X/area/a", "NO_ALARM").await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(server.newest("X", "state:/X/area/b"), None);
    // the idle heartbeat, twice in that time
    assert_eq!(server.values("X", "state:/X").len(), 3);
    server.until("X", "state:/X/area/b", "Disconnected").await;
    server
        .pvs
        .set_alarm("b", Severity::Ok, "NO_ALARM", 0.0, Time::new(1, 0));
    server
        .until("X", "state:/X/area/b", r#""current_message":"NO_ALARM""#)
        .await;
    server.pvs.lose("a");
    server.until("X", "state:/X/area/a", "Disconnected").await;
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_pv_in_two_branches_is_watched_once() {
    let bus = small_bus();
    bus.append(
        "X",
        Some("config:/X/other/a"),
        Some(r#"{"description":"again"}"#),
    );
    let server = Running::start(settings(), bus, small_pvs()).await;
    server.until("X", "state:/X/other/a", "NO_ALARM").await;
    assert_eq!(server.pvs.watched(), ["a", "b"]);
    server
        .pvs
        .set_alarm("a", Severity::Minor, "HIGH_ALARM", 1.0, Time::new(5, 0));
    server.until("X", "state:/X/other/a", "MINOR").await;
    server.until("X", "state:/X/area/a", "MINOR").await;
    server.bus.append("X", Some("config:/X/area/a"), None);
    server.until("X", "state:/X/area", "OK").await;
    assert_eq!(server.newest("X", "state:/X/area/a"), None);
    assert_eq!(server.pvs.watched(), ["a", "b"]);
    server.bus.append("X", Some("config:/X/other"), None);
    server.until("X", "state:/X", "OK").await;
    assert_eq!(server.pvs.watched(), ["b"]);
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restarted_server_goes_on_where_the_last_one_was_killed() {
    let bus = small_bus();
    let pvs = small_pvs();
    let server = Running::start(settings(), bus.clone(), pvs.clone()).await;
    pvs.set_alarm("a", Severity::Major, "HIHI_ALARM", 95.0, Time::new(1001, 0));
    server.until("X", "state:/X/area/a", "MAJOR").await;
    let command = r#"{"user":"alice","host":"desk","command":"acknowledge"}"#;
    bus.append("XCommand", Some("command:/X/area/a"), Some(command));
    server.until("X", "state:/X/area/a", "MAJOR_ACK").await;
    server.task.abort();
    let before = bus.records("X").len();
    let server = Running::start(settings(), bus.clone(), pvs.clone()).await;
    server.until("X", "state:/X", "MAJOR_ACK").await;
    pvs.set_alarm("b", Severity::Minor, "HIGH_ALARM", 1.0, Time::new(1002, 0));
    server.until("X", "state:/X/area/b", "MINOR").await;
    // no wrong state in between: the acknowledged alarm was neither reset nor raised again
    for record in &bus.records("X")[before..] {
        let value = record.value.as_deref().unwrap_or_default();
        match record.key.as_deref() {
            Some("state:/X/area/a") => assert!(value.contains("MAJOR_ACK"), "{value}"),
            Some("state:/X" | "state:/X/area") => {
                assert!(!value.contains(r#""OK""#), "{value}");
            }
            _ => {}
        }
    }
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_bus_takes_nothing_pvs_are_followed_and_the_newest_comes_out() {
    let server = Running::start(settings(), small_bus(), small_pvs()).await;
    server.until("X", "state:/X/area/b", "NO_ALARM").await;
    server.bus.hold_writes(true);
    server.bus.limit_buffer(Some(1));
    for number in 0..500 {
        let (severity, message) = match number % 3 {
            0 => (Severity::Major, "HIHI_ALARM"),
            1 => (Severity::Minor, "HIGH_ALARM"),
            _ => (Severity::Ok, "NO_ALARM"),
        };
        server.pvs.set_alarm(
            "a",
            severity,
            message,
            f64::from(number),
            Time::new(2000 + i64::from(number), 0),
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let written = server.bus.records("X").len();
    server.bus.limit_buffer(None);
    server.bus.hold_writes(false);
    server
        .until("X", "state:/X/area/a", r#""current_severity":"MINOR""#)
        .await;
    server.until("X", "state:/X", "MAJOR").await;
    let more = server.bus.records("X").len() - written;
    assert!(more < 10, "{more} records");
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_fails_is_read_again_from_where_it_was() {
    let server = Running::start(settings(), small_bus(), small_pvs()).await;
    server.until("X", "state:/X/area/b", "NO_ALARM").await;
    server.bus.fail(Some(bus::Error::Closed));
    tokio::time::sleep(Duration::from_secs(30)).await;
    let config = r#"{"description":"third"}"#;
    server
        .bus
        .append("X", Some("config:/X/area/c"), Some(config));
    server.bus.fail(None);
    server
        .pvs
        .set_alarm("c", Severity::Ok, "NO_ALARM", 0.0, Time::new(9, 0));
    server.until("X", "state:/X/area/c", "NO_ALARM").await;
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn junk_on_the_bus_stops_nothing() {
    let bus = small_bus();
    let junk = [
        (None, Some("x")),
        (Some("config:/X/area/j"), Some("{")),
        (Some("config:/Y/area/j"), Some("{}")),
        (Some("state:/X/area/a"), Some("[]")),
        (Some("nonsense"), Some("{}")),
        (Some("config:"), None),
        (Some(":"), None),
        (Some("command:/X"), Some("7")),
    ];
    for (key, value) in junk {
        bus.append("X", key, value);
        bus.append("XCommand", key, value);
        bus.append("XServer", key, value);
    }
    let server = Running::start(settings(), bus, small_pvs()).await;
    server.until("X", "state:/X/area/b", "NO_ALARM").await;
    for (key, value) in junk {
        server.bus.append("X", key, value);
        server.bus.append("XCommand", key, value);
        server.bus.append("XServer", key, value);
    }
    server
        .pvs
        .set_alarm("b", Severity::Minor, "HIGH_ALARM", 1.0, Time::new(1002, 0));
    server.until("X", "state:/X/area/b", "MINOR").await;
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_comes_while_the_configuration_is_read_is_obeyed_after_that() {
    let bus = small_bus();
    let latched = r#"{"severity":"MAJOR","message":"HIHI_ALARM","value":"9.0","time":{"seconds":1,"nano":0},"current_severity":"MAJOR","current_message":"HIHI_ALARM"}"#;
    bus.append("X", Some("state:/X/area/a"), Some(latched));
    let pvs = small_pvs();
    pvs.set_alarm("a", Severity::Major, "HIHI_ALARM", 95.0, Time::new(1001, 7));
    bus.hold_reads(true);
    let server = Running::start(settings(), bus, pvs).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let command = r#"{"command":"acknowledge"}"#;
    server
        .bus
        .append("XCommand", Some("command:/X/area/a"), Some(command));
    server.bus.hold_reads(false);
    server.until("X", "state:/X/area/a", "MAJOR_ACK").await;
    server.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_can_end_the_server_and_what_was_taken_is_written_before() {
    let server = Running::start(settings(), small_bus(), small_pvs()).await;
    server.until("X", "state:/X/area/b", "NO_ALARM").await;
    server.bus.hold_writes(true);
    server
        .pvs
        .set_alarm("a", Severity::Minor, "HIGH_ALARM", 1.0, Time::new(1002, 0));
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.bus.append(
        "XCommand",
        Some("command:/X"),
        Some(r#"{"command":"shutdown"}"#),
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!server.task.is_finished());
    server.bus.hold_writes(false);
    assert!(
        server
            .newest("X", "state:/X/area/a")
            .unwrap()
            .contains("MINOR")
    );
    assert_eq!(server.task.await.unwrap().unwrap(), End::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_bounded_when_the_bus_is_away() {
    let settings = Settings {
        drain: Duration::from_secs(3),
        ..settings()
    };
    let server = Running::start(settings, small_bus(), small_pvs()).await;
    server.until("X", "state:/X/area/b", "NO_ALARM").await;
    server.bus.hold_writes(true);
    server
        .pvs
        .set_alarm("a", Severity::Minor, "HIGH_ALARM", 1.0, Time::new(1002, 0));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = tokio::time::Instant::now();
    server.end().await;
    assert!(
        begin.elapsed() <= Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn reading_the_configuration_again_touches_only_what_differs() {
    let server = Running::start(settings(), small_bus(), small_pvs()).await;
    server.until("X", "state:/X/area/b", "NO_ALARM").await;
    server
        .pvs
        .set_alarm("a", Severity::Major, "HIHI_ALARM", 95.0, Time::new(1001, 7));
    server.until("X", "state:/X", "MAJOR").await;
    let before = server.bus.records("X").len();
    server.bus.append(
        "XCommand",
        Some("command:/X"),
        Some(r#"{"command":"restart"}"#),
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(server.bus.records("X").len(), before);
    assert_eq!(server.pvs.watched(), ["a", "b"]);
    server.end().await;
}
