//! Verdicts as tables.

use std::collections::BTreeMap;

use bus::kafka::survey::{Broker, Details, Setting, State, Topic};
use pretty_assertions::assert_eq;

use super::Verdict::{Bad, Good, Warning};
use super::*;
use crate::alarm::live::{Answer, CanAlarm};

fn details() -> Details {
    Details {
        partitions: 1,
        replicas: 3,
        in_sync: 3,
        least_in_sync: Some(2),
        wrong: Some(Vec::new()),
    }
}

/// What is said of a topic on three brokers.
fn judged(details: Details) -> (Verdict, String, usize) {
    let topic = Topic {
        name: "X".into(),
        state: State::There(details),
    };
    let check = topics::topic(&topic, 3, "b:9092");
    (check.verdict, check.seen, check.hints.len())
}

#[test]
fn topics_are_judged_by_what_would_lose_records_or_stop_them() {
    let setting = |name, wanted| Setting {
        name,
        wanted,
        found: Some("delete".to_owned()),
    };
    let usual = "3 of 3 replicas in sync; ";
    let rows = [
        (details(), Good, format!("{usual}settings of Phoebus"), 0),
        (
            Details { partitions: 4, ..details() },
            Bad,
            format!("{usual}4 partitions: the order of an alarm's records holds only in one; settings of Phoebus"),
            1,
        ),
        (
            Details { in_sync: 1, ..details() },
            Bad,
            "1 of 3 replicas in sync; `min.insync.replicas` is 2: nothing can be written; copies are behind or away; settings of Phoebus".to_owned(),
            1,
        ),
        (
            Details { in_sync: 2, ..details() },
            Warning,
            "2 of 3 replicas in sync; copies are behind or away; settings of Phoebus".to_owned(),
            0,
        ),
        (
            Details { least_in_sync: Some(1), ..details() },
            Warning,
            format!("{usual}`min.insync.replicas` is 1: what one broker has confirmed is lost with it; settings of Phoebus"),
            1,
        ),
        (
            Details { least_in_sync: Some(3), ..details() },
            Warning,
            format!("{usual}`min.insync.replicas` is 3, all there are: one broker away stops everything; settings of Phoebus"),
            1,
        ),
        (
            Details { replicas: 1, in_sync: 1, least_in_sync: Some(1), ..details() },
            Warning,
            "1 of 1 replica in sync; only one copy on 3 brokers: it is away with its broker; settings of Phoebus".to_owned(),
            1,
        ),
        (
            Details { wrong: None, least_in_sync: None, ..details() },
            Warning,
            format!("{usual}its settings may not be seen"),
            1,
        ),
        (
            Details { wrong: Some(vec![setting("cleanup.policy", "compact")]), ..details() },
            Bad,
            format!("{usual}cleanup.policy is delete, not compact"),
            1,
        ),
        (
            Details { wrong: Some(vec![setting("segment.ms", "10000")]), ..details() },
            Warning,
            format!("{usual}segment.ms is delete, not 10000"),
            1,
        ),
    ];
    for (details, verdict, seen, hints) in rows {
        assert_eq!(judged(details), (verdict, seen, hints));
    }
}

#[test]
fn a_broker_that_calls_itself_localhost_is_explained() {
    let broker = Broker {
        id: 1,
        host: "localhost".to_owned(),
        port: 9092,
    };
    let check = topics::broker(&broker, Err("Connection refused".to_owned()));
    assert_eq!(check.verdict, Bad);
    assert_eq!(check.hints.len(), 2);
    assert_eq!(topics::broker(&broker, Ok(())).verdict, Good);
}

fn answer(pv: &str, server: Option<&str>, ahead: f64) -> (String, Answer) {
    let answer = Answer {
        pv: pv.to_owned(),
        server: server.map(|server| server.parse().unwrap()),
        others: Vec::new(),
        data_type: None,
        count: None,
        record: None,
        severity: None,
        ahead: server.map(|_server| ahead),
        can_alarm: CanAlarm::Unknown,
        alarms: Vec::new(),
        trouble: None,
    };
    (pv.to_owned(), answer)
}

fn verdicts(answers: &[(String, Answer)]) -> Vec<(String, Verdict)> {
    let answers: BTreeMap<String, Answer> = answers.iter().cloned().collect();
    pvs::checks(&answers, &["127.0.0.1:5064".to_owned()], 5)
        .into_iter()
        .map(|check| (check.what, check.verdict))
        .collect()
}

#[test]
fn pvs_are_judged_by_who_answers_and_when() {
    let server = Some("10.0.0.1:5064");
    let all = [answer("a", server, -3.0), answer("b", server, 0.2)];
    let row = |what: &str, verdict| (what.to_owned(), verdict);
    let reached = |verdict| row("PVs of the configuration", verdict);
    assert_eq!(
        verdicts(&all),
        [
            reached(Good),
            row("server 10.0.0.1:5064", Good),
            row("IOCs", Good)
        ]
    );
    let some = [answer("a", server, 7.0), answer("b", None, 0.0)];
    assert_eq!(
        verdicts(&some),
        [
            reached(Warning),
            row("server 10.0.0.1:5064", Good),
            row("server 10.0.0.1:5064", Warning)
        ]
    );
    assert_eq!(verdicts(&[answer("a", None, 0.0)]), [reached(Bad)]);
    assert_eq!(verdicts(&[]), [reached(Warning)]);
}
