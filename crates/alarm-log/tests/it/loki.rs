//! Loki, where the test bed runs it (`loki.sh`).

use alarm_log::query::{Filter, History, Order, Query};
use alarm_log::remote::{Fault, Login};
use alarm_log::sink::loki::{LokiHistory, LokiSink};
use alarm_log::sink::{Outcome, Sink as _};
use alarm_log::{Entry, Kind};
use jiff::SignedDuration;
use pretty_assertions::assert_eq;

use crate::service::{Does, Front, open, part};
use crate::story;

fn service() -> Option<String> {
    part("LOKI_URL", "loki.sh")
}

#[tokio::test]
async fn everything_is_found_as_it_was_and_once() {
    let Some(at) = service() else {
        return;
    };
    let name = story::name("Loki");
    let entries = story::entries(&name);
    let mut sink = LokiSink::new(open(&at).compressing(true));
    sink.check().await.unwrap();
    for _again in 0..2 {
        story::tell(&mut sink, &entries).await;
    }
    let history = LokiHistory::new(open(&at));
    let mut filters = story::filters(&name, &entries);
    for kind in [Kind::Talk, Kind::Gap] {
        filters.push(Filter {
            kinds: [kind].into(),
            ..story::of(&name)
        });
    }
    for filter in filters {
        let found = story::found(&history, &filter, Order::NewestFirst, 100).await;
        let found = story::ids(&found).into_iter().collect();
        assert_eq!(story::wanted(&entries, &filter), found, "{filter:?}");
    }
    let found = story::found(&history, &story::of(&name), Order::OldestFirst, 100).await;
    let mut told = entries.clone();
    told.sort_by_key(|entry| (entry.time, entry.offset));
    assert_eq!(found, told);
    story::pages(&history, &story::of(&name), entries.len()).await;
    let folder = tempfile::tempdir().unwrap();
    let sqlite = story::in_sqlite(folder.path(), &entries).await;
    for span in [1, 1000, 3_600_000, i64::MAX] {
        let expected = sqlite.count(story::of(&name), span).await.unwrap();
        let counted = History::count(&history, story::of(&name), span).await;
        assert_eq!(counted.unwrap(), expected, "spans of {span} ms");
    }
}

#[tokio::test]
async fn what_loki_does_not_take_does_not_keep_the_others() {
    let Some(at) = service() else {
        return;
    };
    let name = story::name("Refused");
    let mut entries = story::entries(&name);
    // a clock that is ahead, and a line that is longer than may be (256 KiB)
    entries[3].time += SignedDuration::from_hours(48);
    if let alarm_log::Event::State(state) = &mut entries[4].event {
        state.value = Some("x".repeat(300_000));
    }
    let outcomes = LokiSink::new(open(&at)).write(&entries).await.unwrap();
    for (place, outcome) in outcomes.iter().enumerate() {
        match (place, outcome) {
            (3, Outcome::Refused(why)) => assert!(why.contains("too new"), "{why}"),
            (4, Outcome::Refused(why)) => assert!(
                why.to_lowercase().contains("max entry size") || why.contains("exceeds"),
                "{why}"
            ),
            (_, outcome) => assert_eq!(*outcome, Outcome::Taken, "{place}"),
        }
    }
    let history = LokiHistory::new(open(&at));
    let found = story::found(&history, &story::of(&name), Order::OldestFirst, 100).await;
    assert_eq!(found.len(), entries.len() - 2);
}

#[tokio::test]
async fn lines_that_come_late() {
    let Some(at) = service() else {
        return;
    };
    let name = story::name("Late");
    let entries = story::entries(&name);
    let mut sink = LokiSink::new(open(&at));
    // a bit late is sorted in; hours behind the newest line of the stream is refused, and said
    let mut late: Vec<Entry> = entries[3..5].to_vec();
    late[0].time -= SignedDuration::from_hours(5);
    late[1].time -= SignedDuration::from_mins(5);
    story::tell(&mut sink, &entries).await;
    let outcomes = sink.write(&late).await.unwrap();
    let [Outcome::Refused(why), Outcome::Taken] = outcomes.as_slice() else {
        panic!("{outcomes:?}");
    };
    assert!(why.contains("too far behind"), "{why}");
}

#[tokio::test]
async fn tenants_logins_and_strangers() {
    let does = Does {
        answers: Some(("/labels", usize::MAX, 401, "no org id".to_owned())),
        ..Does::default()
    };
    let front = Front::new("http://127.0.0.1:1", does).await;
    let said = LokiSink::new(front.remote(&Login::None).unwrap())
        .check()
        .await
        .unwrap_err();
    assert!(
        matches!(said, Fault::Denied { unknown: true, .. }),
        "{said}"
    );
    assert!(said.to_string().contains("no org id"), "{said}");
    let does = Does {
        answers: Some(("/labels", usize::MAX, 200, "<html>".to_owned())),
        ..Does::default()
    };
    let front = Front::new("http://127.0.0.1:1", does).await;
    let said = LokiSink::new(front.remote(&Login::None).unwrap())
        .check()
        .await
        .unwrap_err();
    assert!(said.to_string().contains("is no Loki"), "{said}");
    // without structured metadata nothing is lost: it waits until Loki is set up for it
    let refusal = "stream '{}' includes structured metadata, but this feature is disallowed";
    let does = Does {
        answers: Some(("/push", usize::MAX, 400, refusal.to_owned())),
        ..Does::default()
    };
    let front = Front::new("http://127.0.0.1:1", does).await;
    let remote = front
        .remote(&Login::None)
        .unwrap()
        .for_tenant("lab")
        .unwrap();
    let said = LokiSink::new(remote)
        .write(&story::entries("X"))
        .await
        .unwrap_err();
    assert!(said.reason.contains("structured metadata"), "{said}");
    let history = LokiHistory::new(open("http://127.0.0.1:1"));
    let said = History::search(&history, Query::newest(1))
        .await
        .unwrap_err();
    assert!(said.reason.contains("does not answer"), "{said}");
}
