//! The table of the state machine, and properties that hold after any events.

use super::*;
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use Severity::{Invalid, Major, MajorAck, Minor, MinorAck, Ok, Undefined, UndefinedAck};

fn at(seconds: i64) -> Time {
    Time::new(seconds, 0)
}

fn heard(severity: Severity, seconds: i64) -> State {
    State::new(
        severity,
        format!("{severity}_ALARM"),
        severity.ordinal().to_string(),
        at(seconds),
    )
}

fn behaviour(latching: bool, delay: u32, count: u32) -> Behaviour {
    Behaviour::new(latching, true, delay, count)
}

/// What happens to a leaf, each a second after the one before.
#[derive(Debug, Clone, Copy)]
enum Event {
    Hear(Severity),
    Ack,
    Unack,
    Disable,
    Enable,
    Wait,
}

use Event::{Ack, Disable, Enable, Hear, Unack, Wait};

/// Runs the events and writes what was told: severity, `L` for latch, current severity, `!` where it was announced.
fn story(behaviour: Behaviour, maintenance: bool, events: &[Event]) -> String {
    let mut leaf = Leaf::new(behaviour, at(0));
    let mut told = Vec::new();
    let mut note = |leaf: &Leaf, what: Told| {
        if !what.state {
            assert_eq!(what.annunciate, None, "announced without a state");
            return;
        }
        let state = leaf.state();
        told.push(format!(
            "{}{}/{}{}",
            state.alarm.severity,
            if state.alarm.latch { "L" } else { "" },
            state.current_severity,
            if what.annunciate.is_some() { "!" } else { "" }
        ));
    };
    for (second, event) in (1..).zip(events) {
        let now = at(second);
        if leaf.deadline().is_some_and(|due| due <= now) {
            let what = leaf.expire(maintenance, now);
            note(&leaf, what);
        }
        let what = match event {
            Hear(severity) => leaf.receive(heard(*severity, second), maintenance, now),
            Ack => leaf.acknowledge(now),
            Unack => leaf.unacknowledge(),
            Disable => leaf.set_enabled(false, maintenance, now),
            Enable => leaf.set_enabled(true, maintenance, now),
            Wait => Told::NOTHING,
        };
        note(&leaf, what);
    }
    told.join(" ")
}

#[test]
fn without_a_delay() {
    let rows: &[(&[Event], &str, &str)] = &[
        // raised, raised higher, lowered, cleared
        (
            &[
                Hear(Ok),
                Hear(Minor),
                Hear(Major),
                Hear(Minor),
                Hear(Ok),
                Ack,
            ],
            "OK/OK MINORL/MINOR! MAJORL/MAJOR! MAJOR/MINOR MAJOR/OK OK/OK",
            "OK/OK MINOR/MINOR! MAJOR/MAJOR! MINOR/MINOR OK/OK OK/OK",
        ),
        // the same severity with the same words is no change, whatever the value
        (&[Hear(Major), Hear(Major)], "MAJORL/MAJOR!", "MAJOR/MAJOR!"),
        // acknowledged in alarm, cleared, raised again
        (
            &[Hear(Major), Ack, Hear(Ok), Hear(Major)],
            "MAJORL/MAJOR! MAJOR_ACKL/MAJOR OK/OK MAJORL/MAJOR!",
            "MAJOR/MAJOR! MAJOR_ACK/MAJOR OK/OK MAJOR/MAJOR!",
        ),
        // something worse breaks an acknowledgement, something less bad does not
        (
            &[Hear(Major), Ack, Hear(Minor), Hear(Invalid)],
            "MAJORL/MAJOR! MAJOR_ACKL/MAJOR MAJOR_ACK/MINOR INVALIDL/INVALID!",
            "MAJOR/MAJOR! MAJOR_ACK/MAJOR MAJOR_ACK/MINOR INVALID/INVALID!",
        ),
        // acknowledged while the PV is less bad than its alarm
        (
            &[Hear(Major), Hear(Minor), Ack],
            "MAJORL/MAJOR! MAJOR/MINOR MINOR_ACK/MINOR",
            "MAJOR/MAJOR! MINOR/MINOR MINOR_ACK/MINOR",
        ),
        // un-acknowledged: what the PV is now
        (
            &[Hear(Major), Ack, Unack],
            "MAJORL/MAJOR! MAJOR_ACKL/MAJOR MAJOR/MAJOR",
            "MAJOR/MAJOR! MAJOR_ACK/MAJOR MAJOR/MAJOR",
        ),
        // disabled, missed a change, enabled
        (
            &[Hear(Major), Disable, Hear(Minor), Enable],
            "MAJORL/MAJOR! OK/OK MINORL/MINOR!",
            "MAJOR/MAJOR! OK/OK MINOR/MINOR!",
        ),
        // disabled twice and enabled twice tells once
        (
            &[Hear(Ok), Disable, Disable, Enable, Enable],
            "OK/OK OK/OK OK/OK",
            "OK/OK OK/OK OK/OK",
        ),
        (
            &[Hear(Undefined), Ack, Hear(Ok)],
            "UNDEFINEDL/UNDEFINED! UNDEFINED_ACKL/UNDEFINED OK/OK",
            "UNDEFINED/UNDEFINED! UNDEFINED_ACK/UNDEFINED OK/OK",
        ),
    ];
    for (events, latching, not_latching) in rows {
        assert_eq!(
            story(behaviour(true, 0, 0), false, events),
            *latching,
            "{events:?}"
        );
        assert_eq!(
            story(behaviour(false, 0, 0), false, events),
            *not_latching,
            "{events:?}"
        );
    }
}

/// The whole table for all severities, without a delay (alarm.md 3.5).
#[test]
fn every_row_for_every_severity() {
    const ALARMS: [Severity; 4] = [Minor, Major, Invalid, Undefined];
    let l = |severity: Severity| format!("{severity}L/{severity}!");
    let n = |severity: Severity| format!("{severity}/{severity}!");
    let tell = |latching, events: &[Event]| story(behaviour(latching, 0, 0), false, events);
    for a in ALARMS {
        let ack = a.acknowledged();
        // OK, then an alarm
        assert_eq!(tell(true, &[Hear(a)]), l(a));
        assert_eq!(tell(false, &[Hear(a)]), n(a));
        // active, then OK; acknowledged after that
        assert_eq!(
            tell(true, &[Hear(a), Hear(Ok), Ack]),
            format!("{} {a}/OK OK/OK", l(a))
        );
        assert_eq!(tell(false, &[Hear(a), Hear(Ok)]), format!("{} OK/OK", n(a)));
        // acknowledged, then OK, then OK again acknowledged
        assert_eq!(
            tell(true, &[Hear(a), Ack, Hear(Ok), Ack]),
            format!("{} {ack}L/{a} OK/OK OK/OK", l(a))
        );
        assert_eq!(
            tell(false, &[Hear(a), Ack, Hear(Ok), Ack]),
            format!("{} {ack}/{a} OK/OK OK/OK", n(a))
        );
        // acknowledged twice, un-acknowledged twice
        assert_eq!(
            tell(true, &[Hear(a), Ack, Ack, Unack, Unack]),
            format!("{} {ack}L/{a} {ack}L/{a} {a}/{a} {a}/{a}", l(a))
        );
        // disabled at any stage, and enabled: as from OK
        for before in [&[Hear(a)][..], &[Hear(a), Ack]] {
            let events = [before, &[Disable, Enable]].concat();
            assert!(tell(true, &events).ends_with(&format!("OK/OK {}", l(a))));
            assert!(tell(false, &events).ends_with(&format!("OK/OK {}", n(a))));
        }
        let cleared = tell(true, &[Hear(a), Disable, Hear(Ok), Enable]);
        assert_eq!(cleared, format!("{} OK/OK OK/OK", l(a)));
        for b in ALARMS {
            if b == a {
                continue;
            }
            let acknowledged_b = b.acknowledged();
            let (latching, plain) = if b > a {
                (l(b), n(b))
            } else {
                (format!("{a}/{b}"), format!("{b}/{b}"))
            };
            assert_eq!(
                tell(true, &[Hear(a), Hear(b)]),
                format!("{} {latching}", l(a))
            );
            assert_eq!(
                tell(false, &[Hear(a), Hear(b)]),
                format!("{} {plain}", n(a))
            );
            // after an acknowledgement only what is worse counts
            let after = if b > a {
                (l(b), n(b))
            } else {
                (format!("{ack}/{b}"), format!("{ack}/{b}"))
            };
            assert_eq!(
                tell(true, &[Hear(a), Ack, Hear(b)]),
                format!("{} {ack}L/{a} {}", l(a), after.0)
            );
            assert_eq!(
                tell(false, &[Hear(a), Ack, Hear(b)]),
                format!("{} {ack}/{a} {}", n(a), after.1)
            );
            // acknowledged while the PV is less bad: what it is now
            if b < a {
                assert_eq!(
                    tell(true, &[Hear(a), Hear(b), Ack, Unack]),
                    format!("{} {a}/{b} {acknowledged_b}/{b} {b}/{b}", l(a))
                );
            }
        }
        // maintenance: what is invalid or worse counts as acknowledged, and less than that begins anew
        let in_maintenance = |events: &[Event]| story(behaviour(true, 0, 0), true, events);
        if a >= Invalid {
            assert_eq!(in_maintenance(&[Hear(a)]), format!("{ack}L/{a}"));
            assert_eq!(
                in_maintenance(&[Hear(a), Hear(Major)]),
                format!("{ack}L/{a} {}", l(Major))
            );
            assert_eq!(
                in_maintenance(&[Hear(a), Hear(Ok)]),
                format!("{ack}L/{a} OK/OK")
            );
        } else {
            assert_eq!(in_maintenance(&[Hear(a)]), l(a));
        }
    }
}

#[test]
fn with_a_delay_of_two_seconds() {
    let rows: &[(&[Event], &str, &str)] = &[
        // a pulse that is shorter
        (
            &[Hear(Ok), Hear(Major), Hear(Ok), Wait, Wait],
            "OK/OK OK/MAJOR OK/OK",
            "OK/OK OK/MAJOR OK/OK",
        ),
        // one that is longer; higher while pending: the delay is not begun again
        (
            &[Hear(Ok), Hear(Minor), Hear(Major), Wait],
            "OK/OK OK/MINOR OK/MAJOR MAJORL/MAJOR!",
            "OK/OK OK/MINOR OK/MAJOR MAJOR/MAJOR!",
        ),
        // lower while pending
        (
            &[Hear(Ok), Hear(Major), Hear(Minor), Wait],
            "OK/OK OK/MAJOR OK/MINOR MAJORL/MINOR!",
            "OK/OK OK/MAJOR OK/MINOR MINOR/MINOR!",
        ),
        // on an active alarm: a latched one that gets worse and ends before the delay is raised after all
        (
            &[
                Hear(Ok),
                Hear(Minor),
                Wait,
                Wait,
                Hear(Major),
                Hear(Ok),
                Wait,
                Wait,
            ],
            "OK/OK OK/MINOR MINORL/MINOR! MINORL/MAJOR MAJOR/OK!",
            "OK/OK OK/MINOR MINOR/MINOR! MINOR/MAJOR OK/OK",
        ),
        // disabling ends it
        (
            &[Hear(Ok), Hear(Major), Disable, Wait, Wait],
            "OK/OK OK/MAJOR OK/OK",
            "OK/OK OK/MAJOR OK/OK",
        ),
    ];
    for (events, latching, not_latching) in rows {
        assert_eq!(
            story(behaviour(true, 2, 0), false, events),
            *latching,
            "{events:?}"
        );
        assert_eq!(
            story(behaviour(false, 2, 0), false, events),
            *not_latching,
            "{events:?}"
        );
    }
}

#[test]
fn counted_within_the_delay() {
    let pulses = [
        Hear(Ok),
        Hear(Major),
        Hear(Ok),
        Hear(Major),
        Hear(Ok),
        Hear(Major),
    ];
    assert_eq!(
        story(behaviour(true, 5, 3), false, &pulses),
        "OK/OK OK/MAJOR OK/OK OK/MAJOR OK/OK MAJORL/MAJOR!"
    );
    // too slow: four seconds from first to third
    assert_eq!(
        story(behaviour(true, 3, 3), false, &pulses),
        "OK/OK OK/MAJOR OK/OK OK/MAJOR OK/OK OK/MAJOR"
    );
    // without a delay a count has no effect
    assert_eq!(
        story(behaviour(true, 0, 3), false, &pulses[..2]),
        "OK/OK MAJORL/MAJOR!"
    );
}

#[test]
fn in_maintenance() {
    let rows: &[(&[Event], &str)] = &[
        (&[Hear(Invalid)], "INVALID_ACKL/INVALID"),
        (&[Hear(Minor)], "MINORL/MINOR!"),
        (
            &[Hear(Undefined), Hear(Minor)],
            "UNDEFINED_ACKL/UNDEFINED MINORL/MINOR!",
        ),
        (
            &[Hear(Major), Hear(Invalid), Hear(Ok)],
            "MAJORL/MAJOR! INVALID_ACKL/INVALID OK/OK",
        ),
    ];
    for (events, told) in rows {
        assert_eq!(
            story(behaviour(true, 0, 0), true, events),
            *told,
            "{events:?}"
        );
    }
}

#[test]
fn maintenance_that_begins_acknowledges_what_is_invalid() {
    let mut leaf = Leaf::new(behaviour(true, 0, 0), at(0));
    assert!(leaf.receive(heard(Major, 1), false, at(1)).state);
    assert_eq!(leaf.enter_maintenance(at(2)), Told::NOTHING);
    assert!(leaf.receive(heard(Undefined, 3), false, at(3)).state);
    assert_eq!(leaf.enter_maintenance(at(4)), Told::STATE);
    assert_eq!(leaf.severity(), UndefinedAck);
}

#[test]
fn words_of_states_that_the_server_makes() {
    let mut leaf = Leaf::new(behaviour(true, 0, 0), at(0));
    let _ = leaf.receive(heard(Major, 1), false, at(1));
    let _ = leaf.set_enabled(false, false, at(2));
    let state = leaf.state();
    assert_eq!(
        (&*state.alarm.message, state.alarm.value.text().as_deref()),
        ("Disabled", Some(""))
    );
    assert_eq!(state.alarm.time, at(2));
    assert_eq!(state.current_message, "OK");
    // acknowledging a disabled PV overwrites the word, as in Phoebus
    let _ = leaf.acknowledge(at(3));
    assert_eq!(leaf.state().alarm.message, "OK");
    // one that was disabled from the start has nothing to go back to
    let mut early = Leaf::new(behaviour(true, 0, 0), at(0));
    let _ = early.set_enabled(false, false, at(0));
    assert_eq!(early.set_enabled(true, false, at(5)), Told::STATE);
    let state = early.state();
    assert_eq!((&*state.alarm.message, &*state.current_message), ("OK", ""));
}

#[test]
fn a_restored_alarm_goes_on() {
    let mut leaf = Leaf::new(behaviour(true, 0, 0), at(0));
    let _ = leaf.receive(heard(Major, 1), false, at(1));
    let _ = leaf.acknowledge(at(2));
    let mut again = Leaf::restored(behaviour(true, 0, 0), &leaf.state(), at(10));
    // what was stored already is no news
    assert_eq!(
        again.receive(heard(Major, 11), false, at(11)),
        Told::NOTHING
    );
    assert_eq!(again.severity(), MajorAck);
    assert!(again.receive(heard(Minor, 12), false, at(12)).state);
    assert_eq!(again.severity(), MajorAck);
    assert!(again.receive(heard(Ok, 13), false, at(13)).state);
    assert_eq!(again.severity(), Ok);
}

#[test]
fn a_delay_survives_a_restart() {
    let mut leaf = Leaf::new(behaviour(true, 10, 2), at(0));
    let _ = leaf.receive(heard(Major, 1), false, at(1));
    let mut again = Leaf::remembered(behaviour(true, 10, 2), leaf.memory(), at(5));
    assert_eq!(again.deadline(), Some(at(11)));
    assert_eq!(again.memory(), leaf.memory());
    assert_eq!(again.expire(false, at(10)), Told::NOTHING);
    let told = again.expire(false, at(11));
    assert_eq!(told.annunciate, Some(Major));
    assert!(again.state().alarm.latch);
}

#[test]
fn an_edit_keeps_the_alarm_and_the_time_waited() {
    let mut leaf = Leaf::new(behaviour(true, 10, 0), at(0));
    let _ = leaf.receive(heard(Minor, 1), false, at(1));
    assert_eq!(
        leaf.set_behaviour(behaviour(true, 20, 0), false, at(5)),
        Told::NOTHING
    );
    assert_eq!(leaf.deadline(), Some(at(21)));
    let told = leaf.set_behaviour(behaviour(true, 3, 0), false, at(6));
    assert_eq!(told.annunciate, Some(Minor));
    let _ = leaf.acknowledge(at(7));
    assert_eq!(
        leaf.set_behaviour(behaviour(false, 0, 0), false, at(8)),
        Told::NOTHING
    );
    assert_eq!(leaf.severity(), MinorAck);
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (5_usize..9).prop_map(|severity| Hear(Severity::ALL[severity])),
        2 => Just(Hear(Ok)),
        1 => Just(Ack),
        1 => Just(Unack),
        1 => Just(Disable),
        1 => Just(Enable),
        2 => Just(Wait),
    ];
    proptest::collection::vec(event, 0..40)
}

proptest! {
    /// What was told last is what is there: no change of the alarm goes untold, whatever happens.
    #[test]
    fn no_change_goes_untold(events in events(), latching: bool, maintenance: bool, delay in 0_u32..4, count in 0_u32..4) {
        let mut leaf = Leaf::new(behaviour(latching, delay, count), at(0));
        let mut told = leaf.state();
        for (second, event) in (1..).zip(events) {
            let now = at(second);
            if leaf.deadline().is_some_and(|due| due <= now) && leaf.expire(maintenance, now).state {
                told = leaf.state();
            }
            let what = match event {
                Hear(severity) => leaf.receive(heard(severity, second), maintenance, now),
                Ack => leaf.acknowledge(now),
                Unack => leaf.unacknowledge(),
                Disable => leaf.set_enabled(false, maintenance, now),
                Enable => leaf.set_enabled(true, maintenance, now),
                Wait => Told::NOTHING,
            };
            if what.state {
                told = leaf.state();
            }
            prop_assert_eq!(&told, &leaf.state());
            // a PV in alarm that is watched, not acknowledged and not waiting for its delay shows it
            let state = leaf.state();
            if latching && delay == 0 && !maintenance && !leaf.is_disabled() {
                prop_assert!(state.alarm.severity.priority() + 1 >= state.current_severity.priority() || !state.current_severity.is_active());
            }
            // in maintenance no news makes something invalid active
            if maintenance && what.state && matches!(event, Hear(_)) {
                prop_assert!(state.alarm.severity < Invalid);
            }
            // what is remembered goes on the same
            let again = Leaf::remembered(behaviour(latching, delay, count), leaf.memory(), now);
            if !leaf.is_disabled() && !state.alarm.latch {
                prop_assert_eq!(again.memory(), leaf.memory());
            }
        }
    }
}
