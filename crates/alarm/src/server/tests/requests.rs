//! Requests of operators and their answers; what others see.

use pretty_assertions::assert_eq;

use super::*;
use crate::config::Enabled;
use crate::tree::Mark;

fn who() -> Who {
    Who {
        user: "op".to_owned(),
        host: "desk".to_owned(),
    }
}

/// A command as it is noted for the history.
fn by(word: &str) -> String {
    format!(r#"{{"user":"op","host":"desk","command":"{word}"}}"#)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What a request came to: the leaves with the severity before and after, then what was published.
fn ask(server: &mut Server, request: &Request, seconds: i64) -> (Vec<String>, Vec<String>) {
    let (reply, effects) = server.request(request, &who(), at(seconds)).unwrap();
    let touched = reply
        .touched
        .iter()
        .map(|one| {
            let changed = if one.is_changed() { "" } else { " unchanged" };
            format!(
                "{} {} {}{changed}",
                one.path, one.before.severity, one.after.severity
            )
        })
        .collect();
    (touched, published(&effects))
}

fn tree() -> Server {
    let leaf = LeafConfig::new("d");
    server(&[
        ("/X/a/one", leaf.clone()),
        ("/X/a/two", leaf.clone()),
        ("/X/b/one", leaf.clone()),
        ("/X/b/c/three", leaf),
    ])
}

#[test]
fn acknowledging_touches_what_is_active_and_says_so() {
    let mut server = tree();
    server.news("one", &heard(Severity::Major, 1), at(1));
    // by name: all leaves of the PV
    let (touched, written) = ask(&mut server, &Request::Acknowledge(names(&["one"])), 2);
    assert_eq!(
        touched,
        ["/X/a/one MAJOR MAJOR_ACK", "/X/b/one MAJOR MAJOR_ACK"]
    );
    let (notes, states) = written.split_at(2);
    assert_eq!(
        notes,
        ["/X/a/one", "/X/b/one"].map(|path| format!("Command done:{path} {}", by("acknowledge")))
    );
    assert_eq!(states.len(), 2 + 2 + 1, "{states:?}");
    // of a group only what changed; a leaf that is named is answered for in any case
    let (touched, written) = ask(&mut server, &Request::Acknowledge(names(&["/X", "two"])), 3);
    assert_eq!(touched, ["/X/a/two OK OK unchanged"]);
    assert_eq!(
        written,
        ["/X", "/X/a/two"].map(|path| format!("Command done:{path} {}", by("acknowledge")))
    );
    let (touched, _) = ask(&mut server, &Request::Unacknowledge(names(&["/X/a"])), 4);
    assert_eq!(touched, ["/X/a/one MAJOR_ACK MAJOR"]);
    // without the leading slash, as in Phoebus
    let (touched, _) = ask(&mut server, &Request::Acknowledge(names(&["X/a"])), 5);
    assert_eq!(touched, ["/X/a/one MAJOR MAJOR_ACK"]);
}

#[test]
fn a_note_of_what_was_done_is_not_obeyed() {
    let mut server = tree();
    server.news("one", &heard(Severity::Major, 1), at(1));
    let request = Request::Acknowledge(names(&["/X/a/one"]));
    let (_reply, effects) = server.request(&request, &who(), at(2)).unwrap();
    let note = effects.into_iter().find_map(|effect| match effect {
        Effect::Publish(record) if record.topic == Topic::Command => Some(record),
        _ => None,
    });
    let note = note.unwrap();
    // worse than what was acknowledged: nobody has seen it
    server.news("one", &heard(Severity::Invalid, 3), at(3));
    assert_eq!(server.record(&note, at(4)), []);
    let command = Record {
        key: note.key.replace("done:", "command:"),
        ..note
    };
    assert_ne!(server.record(&command, at(5)), []);
}

#[test]
fn what_is_unknown_changes_nothing_and_names_the_nearest() {
    let mut server = tree();
    server.news("one", &heard(Severity::Major, 1), at(1));
    let rows = [
        ("/X/a/onne", Some("/X/a/one")),
        ("/X/a/nothing-like-it", Some("/X/a")),
        ("/X/z/one", Some("/X/a")),
        ("/Y/a/one", Some("/X")),
        ("/X/a/one/below", Some("/X/a/one")),
        ("thre", Some("/X/b/c/three")),
        ("completely:else", None),
    ];
    for (wanted, nearest) in rows {
        let request = Request::Acknowledge(names(&["/X/a/one", wanted]));
        assert_eq!(
            server.request(&request, &who(), at(2)).unwrap_err(),
            Refusal::Unknown {
                wanted: wanted.to_owned(),
                nearest: nearest.map(path),
            },
            "{wanted}"
        );
    }
    assert_eq!(server.severity(&path("/X/a/one")), Some(Severity::Major));
    assert_eq!(
        server.request(&Request::Enable(vec![]), &who(), at(2)),
        Err(Refusal::NoItems)
    );
    let mut early = Server::new("X", settings()).unwrap();
    assert_eq!(
        early.request(&Request::Notify(false), &who(), at(0)),
        Err(Refusal::NotStarted)
    );
}

#[test]
fn shelving_is_a_date_for_others_and_has_a_reason_here() {
    let mut server = tree();
    server.news("one", &heard(Severity::Major, 1), at(1));
    server.take_changes();
    let shelve = |until| Request::Shelve {
        items: names(&["/X/a/one"]),
        until,
        reason: Some(" pump is being changed ".to_owned()),
    };
    let until = Until::For(Duration::from_hours(1));
    let (touched, written) = ask(&mut server, &shelve(until), 10);
    assert_eq!(touched, ["/X/a/one MAJOR OK"]);
    assert_eq!(
        written,
        [
            r#"Main config:/X/a/one {"user":"op","host":"desk","description":"d","enabled":"2027-01-15T09:00:10"}"#,
            r#"Main state:/X/a/one {"severity":"OK","message":"Disabled","value":"","time":{"seconds":1800000010,"nano":0},"current_severity":"OK","current_message":"OK"}"#,
            r#"Main state:/X/a {"severity":"OK"}"#,
            r#"Server memory:/X/a/one {"shelved":{"user":"op","host":"desk","since":{"seconds":1800000010,"nano":0},"until":{"seconds":1800003610,"nano":0},"reason":"pump is being changed"}}"#,
        ]
    );
    assert_eq!(
        server.take_changes().items,
        [path("/X/a/one"), path("/X/a")]
    );
    let at_path = path("/X/a/one");
    let item = server.item(&at_path).unwrap();
    let KindView::Leaf(leaf) = item.kind else {
        panic!("a leaf");
    };
    let shelving = leaf.shelving.unwrap();
    assert_eq!(shelving.reason.as_deref(), Some("pump is being changed"));
    assert_eq!((shelving.since, shelving.until), (at(10), Some(at(3610))));
    assert_eq!(shelving.who, who());
    assert_eq!(leaf.enabled_at, Some(at(3610)));
    assert_eq!(leaf.connection, Connection::Unwatched);
    let counts = server.counts(&path("/X")).unwrap();
    assert_eq!(
        (counts.mark(Mark::Shelved), counts.mark(Mark::Disabled)),
        (1, 1)
    );
    // the other leaf of the PV is still watched and still in alarm
    assert_eq!(server.severity(&path("/X/b/one")), Some(Severity::Major));
    // the time comes
    assert_eq!(published(&server.tick(at(3609))).len(), 1, "the heartbeat");
    let written = published(&server.tick(at(3610)));
    assert_eq!(
        written[0],
        r#"Main config:/X/a/one {"user":"server","host":"here","description":"d"}"#
    );
    assert_eq!(server.severity(&path("/X/a/one")), Some(Severity::Major));
    assert_eq!(server.counts(&path("/X")).unwrap().mark(Mark::Shelved), 0);
    for past in [
        Until::At(at(3620)),
        Until::For(Duration::ZERO),
        Until::For(Duration::MAX),
    ] {
        assert_eq!(
            server.request(&shelve(past), &who(), at(3620)),
            Err(Refusal::NotInTheFuture)
        );
    }
}

#[test]
fn a_group_is_shelved_without_what_is_disabled_for_good() {
    let mut server = tree();
    let disable = Request::Disable {
        items: names(&["/X/b/one"]),
        reason: None,
    };
    ask(&mut server, &disable, 1);
    let shelve = |items: &[&str]| Request::Shelve {
        items: names(items),
        until: Until::At(at(100)),
        reason: None,
    };
    let (touched, _) = ask(&mut server, &shelve(&["/X/b"]), 2);
    assert_eq!(touched, ["/X/b/c/three OK OK"]);
    // who names it means it
    let (touched, _) = ask(&mut server, &shelve(&["/X/b/one"]), 3);
    assert_eq!(touched, ["/X/b/one OK OK"]);
    let (touched, _) = ask(&mut server, &Request::Unshelve(names(&["/X"])), 4);
    assert_eq!(touched, ["/X/b/one OK OK", "/X/b/c/three OK OK"]);
    let counts = server.counts(&path("/X")).unwrap();
    assert_eq!(counts.mark(Mark::Disabled), 0);
}

#[test]
fn a_client_that_enables_ends_the_shelving() {
    let mut server = tree();
    let request = Request::Shelve {
        items: names(&["three"]),
        until: Until::At(at(100)),
        reason: None,
    };
    let (_, written) = ask(&mut server, &request, 1);
    assert_eq!(written.len(), 3, "{written:?}");
    // our own record comes back from the bus, then that of a client
    let own = Record {
        topic: Topic::Main,
        key: "config:/X/b/c/three".to_owned(),
        value: written[0]
            .split_once(" {")
            .map(|(_, rest)| format!("{{{rest}")),
    };
    assert_eq!(server.record(&own, at(2)), []);
    let enabled = config("/X/b/c/three", &LeafConfig::new("d"));
    let effects = server.record(&enabled, at(3));
    assert!(
        effects.contains(&Effect::Connect("three".to_owned())),
        "{effects:?}"
    );
    let at_path = path("/X/b/c/three");
    let KindView::Leaf(leaf) = server.item(&at_path).unwrap().kind else {
        panic!("a leaf");
    };
    assert_eq!(leaf.shelving, None);
    assert_eq!(server.deadline(), Some(at(11)), "only the heartbeat");
}

#[test]
fn what_was_written_before_our_own_record_is_overtaken() {
    let mut server = tree();
    let items = || names(&["three"]);
    let disable = Request::Disable {
        items: items(),
        reason: None,
    };
    let (_, one) = ask(&mut server, &disable, 1);
    let (_, two) = ask(&mut server, &Request::Enable(items()), 2);
    let record = |line: &str| Record {
        topic: Topic::Main,
        key: "config:/X/b/c/three".to_owned(),
        value: line.split_once(" {").map(|(_, rest)| format!("{{{rest}")),
    };
    // in the topic: a client's edit, then our two
    let mut edit = LeafConfig::new("other");
    edit.enabled = Enabled::No;
    assert_eq!(server.record(&config("/X/b/c/three", &edit), at(3)), []);
    assert_eq!(server.record(&record(&one[0]), at(3)), []);
    assert_eq!(server.record(&record(&two[0]), at(3)), []);
    let at_path = path("/X/b/c/three");
    let KindView::Leaf(leaf) = server.item(&at_path).unwrap().kind else {
        panic!("a leaf");
    };
    assert_eq!(
        (leaf.description(), leaf.config().enabled),
        ("d", Enabled::Yes)
    );
    // what comes after it counts
    server.record(&config("/X/b/c/three", &edit), at(4));
    let KindView::Leaf(leaf) = server.item(&at_path).unwrap().kind else {
        panic!("a leaf");
    };
    assert_eq!((leaf.description(), leaf.is_disabled), ("other", true));
    // one of ours that never comes back does not shut others out for good
    ask(&mut server, &Request::Enable(items()), 5);
    server.record(&config("/X/b/c/three", &edit), at(70));
    let KindView::Leaf(leaf) = server.item(&at_path).unwrap().kind else {
        panic!("a leaf");
    };
    assert!(leaf.is_disabled);
}

#[test]
fn modes() {
    let mut server = tree();
    server.news("one", &News::Disconnected, at(1));
    let (reply, effects) = server
        .request(&Request::Maintenance(true), &who(), at(2))
        .unwrap();
    assert!(reply.is_changed() && reply.mode.maintenance);
    assert!(effects.len() > 3);
    let (reply, effects) = server
        .request(&Request::Maintenance(true), &who(), at(3))
        .unwrap();
    assert!(!reply.is_changed());
    let note = |word: &str| {
        Effect::Publish(Record {
            topic: Topic::Command,
            key: "done:/X".to_owned(),
            value: Some(by(word)),
        })
    };
    assert_eq!(effects, [note("maintenance")]);
    let (reply, _) = server
        .request(&Request::Notify(false), &who(), at(4))
        .unwrap();
    assert!(!reply.mode.notify);
    assert!(server.take_changes().mode);
    assert!(!server.take_changes().mode);
    let (_, effects) = server.request(&Request::Reload, &who(), at(5)).unwrap();
    assert_eq!(effects, [note("restart"), Effect::Restart]);
}

#[test]
fn selections() {
    let mut off = LeafConfig::new("d");
    off.enabled = Enabled::No;
    let mut slow = LeafConfig::new("d");
    slow.delay = 100;
    let leaf = LeafConfig::new("d");
    let mut server = server(&[
        ("/X/a/major", leaf.clone()),
        ("/X/a/acked", leaf.clone()),
        ("/X/a/off", off),
        ("/X/b/gone", leaf.clone()),
        ("/X/b/c/slow", slow),
        ("/X/b/c/fine", leaf),
        ("/X/b/c/pva:\\/\\/x", LeafConfig::new("d")),
    ]);
    server.news("major", &heard(Severity::Major, 1), at(1));
    server.news("acked", &heard(Severity::Minor, 1), at(1));
    ask(&mut server, &Request::Acknowledge(names(&["acked"])), 2);
    server.news("gone", &News::Disconnected, at(3));
    server.news("slow", &heard(Severity::Major, 3), at(3));
    let list = |server: &Server, place: Wanted, which, is_flat| -> Vec<String> {
        let selection = Selection {
            place,
            which,
            is_flat,
        };
        let items = server.items(&selection).unwrap();
        items.map(|item| item.path.to_string()).collect()
    };
    let everywhere = || Wanted::Everywhere;
    let rows: [(Which, &[&str]); 6] = [
        (
            Which::Active,
            &["/X/a/major", "/X/b/gone", "/X/b/c/pva:\\/\\/x"],
        ),
        (Which::Acknowledged, &["/X/a/acked"]),
        (Which::Disconnected, &["/X/b/gone", "/X/b/c/pva:\\/\\/x"]),
        (Which::Disabled, &["/X/a/off"]),
        (Which::Shelved, &[]),
        (Which::Pending, &["/X/b/c/slow"]),
    ];
    for (which, expected) in rows {
        assert_eq!(
            list(&server, everywhere(), which, false),
            expected,
            "{which:?}"
        );
    }
    assert_eq!(
        list(&server, Wanted::Named("/X/b".to_owned()), Which::All, true),
        ["/X/b/gone", "/X/b/c"]
    );
    assert_eq!(
        list(&server, Wanted::Named("fine".to_owned()), Which::All, false),
        ["/X/b/c/fine"]
    );
    assert_eq!(list(&server, everywhere(), Which::All, false).len(), 11);
    let areas: Vec<(String, u32, u32)> = server
        .areas()
        .iter()
        .map(|(path, counts)| (path.to_string(), counts.active(), counts.leaves()))
        .collect();
    assert_eq!(
        areas,
        [("/X/a".to_owned(), 1, 3), ("/X/b".to_owned(), 2, 4)]
    );
    assert_eq!(server.channels(), (5, 4));
    let removal = Record {
        topic: Topic::Main,
        key: "config:/X/b/c".to_owned(),
        value: None,
    };
    server.take_changes();
    server.record(&removal, at(4));
    assert_eq!(server.take_changes().removed.len(), 4);
    assert_eq!(server.channels(), (3, 2));
    assert_eq!(server.counts(&path("/X")).unwrap().leaves(), 4);
}
