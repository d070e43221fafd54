//! Kinds of PVs.

use pretty_assertions::assert_eq;

use super::*;

fn news(value: f64, severity: Severity, message: &str, seconds: i64) -> News {
    News::Value(State::new(severity, message, value, at(seconds)))
}

fn shown(server: &Server, item: &str) -> String {
    let state = server.state(&path(item)).unwrap();
    format!(
        "{} {} {} {} at {}",
        state.alarm.severity,
        state.alarm.message,
        state.alarm.value,
        state.current_severity,
        state.alarm.time.seconds - at(0).seconds
    )
}

fn started(leaves: &[&str]) -> (Server, Vec<Effect>) {
    let mut server = Server::new("X", settings()).unwrap();
    for leaf in leaves {
        let mut plain = LeafConfig::new("d");
        plain.latching = false;
        server.record(&config(leaf, &plain), at(0));
    }
    let effects = server.start(at(0));
    (server, effects)
}

fn connects(effects: &[Effect]) -> Vec<&str> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Connect(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_prefix_and_a_bare_name_are_one_channel() {
    let (mut server, effects) = started(&["/X/ca:\\/\\/pv", "/X/a/pv", "/X/b/pv"]);
    assert_eq!(connects(&effects), ["pv"]);
    let effects = server.news("pv", &news(1.0, Severity::Major, "HIHI_ALARM", 1), at(1));
    assert_eq!(
        published(&effects).len(),
        3 + 3 + 3,
        "three leaves, their groups, three talks"
    );
    for item in ["/X/ca:\\/\\/pv", "/X/a/pv", "/X/b/pv"] {
        assert_eq!(shown(&server, item), "MAJOR HIHI_ALARM 1.0 MAJOR at 1");
    }
    // one of them is disabled: the channel stays, and is not asked for again
    let request = Request::Disable {
        items: vec!["/X/a/pv".to_owned()],
        reason: None,
    };
    let (_, effects) = server.request(&request, &Who::default(), at(2)).unwrap();
    assert!(!effects.contains(&Effect::Disconnect("pv".to_owned())));
    let (_, effects) = server
        .request(
            &Request::Enable(vec!["/X/a/pv".to_owned()]),
            &Who::default(),
            at(3),
        )
        .unwrap();
    assert_eq!(connects(&effects), Vec::<&str>::new());
    assert_eq!(shown(&server, "/X/a/pv"), "MAJOR HIHI_ALARM 1.0 MAJOR at 1");
    let request = Request::Disable {
        items: vec!["/X".to_owned()],
        reason: None,
    };
    let (_, effects) = server.request(&request, &Who::default(), at(4)).unwrap();
    assert!(effects.contains(&Effect::Disconnect("pv".to_owned())));
}

#[test]
fn other_kinds_cannot_be_made() {
    let (server, effects) = started(&[
        "/X/pva:\\/\\/a",
        "/X/loc:\\/\\/b(3)",
        "/X/sim:\\/\\/sine",
        "/X/==",
        "/X/=a+",
    ]);
    assert_eq!(connects(&effects), Vec::<&str>::new());
    let complaints: Vec<String> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Complain(complaint) => Some(format!("{} {}", complaint.key, complaint.why)),
            _ => None,
        })
        .collect();
    let other = |kind: &str| {
        format!(
            "at character 1: PVs of the kind `{kind}://` are not possible here, only `ca://` and formulas (`=` or `eq://`)"
        )
    };
    assert_eq!(
        complaints,
        [
            format!("pva://a {}", other("pva")),
            format!("loc://b(3) {}", other("loc")),
            format!("sim://sine {}", other("sim")),
            "== it is no formula, at character 2: `=` is no operator".to_owned(),
            "=a+ it is no formula, at character 4: expected a number, a PV or `(`, but the formula ends here"
                .to_owned(),
        ]
    );
    assert_eq!(
        shown(&server, "/X/pva:\\/\\/a"),
        "UNDEFINED No PV  UNDEFINED at 0"
    );
    let at_path = path("/X/=a+");
    let KindView::Leaf(leaf) = server.item(&at_path).unwrap().kind else {
        panic!("a leaf");
    };
    assert_eq!(leaf.connection, Connection::Impossible);
    assert!(leaf.impossible.unwrap().contains("character 4"));
}

#[test]
fn formulas_are_calculated_from_their_inputs() {
    let (mut server, effects) = started(&[
        "/X/=a + 'b:2'",
        "/X/eq:\\/\\/majorAlarm(a > 5, \"too much\")",
    ]);
    let (sum, alarm) = (
        "/X/=a + 'b:2'",
        "/X/eq:\\/\\/majorAlarm(a > 5, \"too much\")",
    );
    let mut names = connects(&effects);
    names.sort_unstable();
    assert_eq!(names, ["a", "b:2"]);
    server.news("a", &news(1.0, Severity::Ok, "NO_ALARM", 1), at(1));
    assert_eq!(shown(&server, alarm), "OK OK 0.0 OK at 1");
    // one of two is not enough
    assert_eq!(server.state(&path(sum)).unwrap().current_message, "");
    server.news("b:2", &news(2.5, Severity::Minor, "HIGH_ALARM", 2), at(2));
    assert_eq!(shown(&server, sum), "MINOR HIGH_ALARM 3.5 MINOR at 2");
    server.news("a", &news(6.0, Severity::Ok, "NO_ALARM", 3), at(3));
    assert_eq!(shown(&server, alarm), "MAJOR too much 1.0 MAJOR at 3");
    server.news("a", &News::Disconnected, at(4));
    assert_eq!(
        shown(&server, alarm),
        "UNDEFINED Disconnected  UNDEFINED at 4"
    );
    assert_eq!(
        shown(&server, sum),
        "UNDEFINED Disconnected  UNDEFINED at 4"
    );
    server.news("a", &news(0.0, Severity::Ok, "NO_ALARM", 5), at(5));
    assert_eq!(server.severity(&path(alarm)), Some(Severity::Ok));
    server.news("b:2", &news(0.0, Severity::Ok, "NO_ALARM", 5), at(5));
    assert_eq!(shown(&server, sum), "OK None 0.0 OK at 5");
    // with its last formula an input is let go
    let removal = |item: &str| Record {
        topic: Topic::Main,
        key: format!("config:{item}"),
        value: None,
    };
    let effects = server.record(&removal(sum), at(6));
    assert!(
        effects.contains(&Effect::Disconnect("b:2".to_owned())),
        "{effects:?}"
    );
    assert!(!effects.contains(&Effect::Disconnect("a".to_owned())));
    let effects = server.record(&removal(alarm), at(7));
    assert!(effects.contains(&Effect::Disconnect("a".to_owned())));
    assert_eq!(server.channels(), (0, 0));
}

#[test]
fn a_formula_without_inputs_and_one_that_waits() {
    let (mut server, _) = started(&["/X/=1+1", "/X/=never > 0"]);
    assert_eq!(shown(&server, "/X/=1+1"), "OK OK 2.0 OK at 0");
    server.tick(at(30));
    assert_eq!(
        shown(&server, "/X/=never > 0"),
        "UNDEFINED Disconnected  UNDEFINED at 30"
    );
}
