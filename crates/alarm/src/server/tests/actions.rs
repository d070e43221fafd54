//! Automated actions.

use pretty_assertions::assert_eq;

use super::restart::World;
use super::*;
use crate::config::Action;

fn action(details: &str, delay: u32) -> Action {
    Action {
        title: details.split(':').next().unwrap().to_owned(),
        details: details.to_owned(),
        delay,
    }
}

fn with(actions: Vec<Action>) -> LeafConfig {
    let mut leaf = LeafConfig::new("Water level");
    leaf.notes.actions = actions;
    leaf
}

fn group(path: &str, actions: Vec<Action>) -> Record {
    let notes = crate::config::Notes {
        actions,
        ..crate::config::Notes::default()
    };
    Record {
        topic: Topic::Main,
        key: format!("config:{path}"),
        value: Some(
            Signed {
                user: String::new(),
                host: String::new(),
                message: ConfigMessage::Group(notes),
            }
            .write(),
        ),
    }
}

/// Takes what was done: path, severity, what; `again` for a follow-up.
fn acts(world: &mut World) -> Vec<String> {
    std::mem::take(&mut world.did)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Act(act) => {
                let what = match act.what {
                    What::Mail { to, subject, .. } => format!("mail {} {subject}", to.join("+")),
                    What::Run { program, arguments } => {
                        format!("run {program} {}", arguments.join("|"))
                    }
                    What::WriteNumber { pv, number } => format!("write {pv} {number}"),
                    What::WriteText { pv, .. } => format!("text {pv}"),
                    What::Webhook { url, .. } => format!("post {url}"),
                    What::Chat {
                        service, target, ..
                    } => format!("{} {target}", service.name()),
                };
                let again = if act.is_follow_up { " again" } else { "" };
                Some(format!("{} {}: {what}{again}", act.path, act.severity))
            }
            _ => None,
        })
        .collect()
}

const NOTHING: [String; 0] = [];

#[test]
fn done_once_after_the_delay_and_followed_up() {
    let actions = vec![
        action("mailto:a@b.org, c@d.org", 5),
        action("cmd:/bin/say * --all=*", 0),
    ];
    let mut world = World::new(&[("/X/a/pv", with(actions))]);
    world.news("pv", heard(Severity::Minor, 1), at(1));
    world.pass(at(1));
    assert_eq!(
        acts(&mut world),
        ["/X/a/pv MINOR: run /bin/say pv|MINOR|--all=pv MINOR"]
    );
    world.pass(at(5));
    assert_eq!(acts(&mut world), NOTHING);
    world.pass(at(6));
    assert_eq!(
        acts(&mut world),
        ["/X/a/pv MINOR: mail a@b.org+c@d.org MINOR alarm: Water level"]
    );
    // worse: again
    world.news("pv", heard(Severity::Major, 7), at(7));
    world.pass(at(20));
    assert_eq!(acts(&mut world).len(), 2);
    world.ask(&Request::Acknowledge(vec!["pv".to_owned()]), at(21));
    assert_eq!(
        acts(&mut world),
        [
            "/X/a/pv MAJOR_ACK: run /bin/say --all= again",
            "/X/a/pv MAJOR_ACK: mail a@b.org+c@d.org MAJOR_ACK alarm: Water level again"
        ]
    );
    // over and over is nothing new
    world.news("pv", heard(Severity::Ok, 22), at(22));
    world.pass(at(40));
    assert_eq!(acts(&mut world), NOTHING);
}

#[test]
fn an_alarm_that_is_over_before_the_delay_does_nothing() {
    let mut leaf = with(vec![action("mailto:a@b.org", 5)]);
    leaf.latching = false;
    let mut world = World::new(&[("/X/a/pv", leaf)]);
    world.news("pv", heard(Severity::Major, 1), at(1));
    world.news("pv", heard(Severity::Ok, 3), at(3));
    world.pass(at(20));
    assert_eq!(acts(&mut world), NOTHING);
    // less bad while active: Phoebus would do it again
    world.news("pv", heard(Severity::Major, 21), at(21));
    world.pass(at(26));
    assert_eq!(acts(&mut world).len(), 1);
    world.news("pv", heard(Severity::Minor, 27), at(27));
    world.pass(at(40));
    assert_eq!(acts(&mut world), NOTHING);
    world.news("pv", heard(Severity::Ok, 41), at(41));
    assert_eq!(
        acts(&mut world),
        ["/X/a/pv OK: mail a@b.org OK: Water level again"]
    );
}

#[test]
fn groups_list_their_active_pvs_and_have_a_severity_pv() {
    let mut world = World::new(&[
        ("/X/a/one", LeafConfig::new("First")),
        ("/X/a/two", LeafConfig::new("Second")),
        ("/X/a/three", LeafConfig::new("Third")),
    ]);
    world.did.clear();
    world.write(
        group(
            "/X/a",
            vec![
                action("mailto:a@b.org", 2),
                action("sevrpv:A:SEVR", 0),
                action("webhook:https://example.org/x", 2),
            ],
        ),
        at(0),
    );
    assert_eq!(acts(&mut world), ["/X/a OK: write A:SEVR 0"]);
    world.news("one", heard(Severity::Minor, 1), at(1));
    assert_eq!(acts(&mut world), ["/X/a MINOR: write A:SEVR 5"]);
    world.news("two", heard(Severity::Minor, 2), at(2));
    assert_eq!(acts(&mut world), NOTHING);
    world.pass(at(3));
    let bodies: Vec<String> = world
        .did
        .iter()
        .filter_map(|effect| match effect {
            Effect::Act(act) => match &act.what {
                What::Mail { subject, body, .. } => Some(format!("{subject}\n{body}")),
                What::Webhook { body, .. } => Some(body.clone()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(
        bodies,
        [
            "MINOR alarm: /X/a\n\
             PVs:\n\n\
             PV: /X/a one\nDescription: First\nAlarm Time: 2027-01-15 08:00:01.000\n\
             Alarm Severity: MINOR, Status: MINOR_ALARM, Value: 5.0\nCurrent PV Severity: MINOR, Status: MINOR_ALARM\n\n\
             PV: /X/a two\nDescription: Second\nAlarm Time: 2027-01-15 08:00:02.000\n\
             Alarm Severity: MINOR, Status: MINOR_ALARM, Value: 5.0\nCurrent PV Severity: MINOR, Status: MINOR_ALARM\n\n",
            r#"{"configuration":"X","path":"/X/a","title":"webhook","subject":"MINOR alarm: /X/a","severity":"MINOR","follow_up":false,"active":2,"pvs":[{"path":"/X/a/one","severity":"MINOR","pv":"one","description":"First","message":"MINOR_ALARM","value":"5.0","time":"2027-01-15T08:00:01Z","current_severity":"MINOR","current_message":"MINOR_ALARM"},{"path":"/X/a/two","severity":"MINOR","pv":"two","description":"Second","message":"MINOR_ALARM","value":"5.0","time":"2027-01-15T08:00:02Z","current_severity":"MINOR","current_message":"MINOR_ALARM"}]}"#,
        ]
    );
    world.did.clear();
    world.ask(&Request::Acknowledge(vec!["/X".to_owned()]), at(4));
    let told = acts(&mut world);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "/X/a MINOR_ACK: write A:SEVR 1");
    // removed with what it waits for
    world.news("one", heard(Severity::Major, 5), at(5));
    world.did.clear();
    world.write(
        Record {
            topic: Topic::Main,
            key: "config:/X/a".to_owned(),
            value: None,
        },
        at(6),
    );
    world.pass(at(20));
    assert_eq!(acts(&mut world), NOTHING);
}

#[test]
fn notifications_that_are_off_keep_what_is_no_notification() {
    let actions = [
        "mailto:a@b.org",
        "infopv:I",
        "webhook:https://h",
        "slack:#c",
        "cmd:x",
    ];
    let actions = actions.map(|details| action(details, 0)).to_vec();
    let mut world = World::new(&[("/X/a/pv", with(actions))]);
    world.ask(&Request::Notify(false), at(1));
    world.did.clear();
    world.news("pv", heard(Severity::Major, 2), at(2));
    world.pass(at(2));
    assert_eq!(acts(&mut world), ["/X/a/pv MAJOR: run x "]);
    world.ask(&Request::Notify(true), at(3));
    // nobody is told of the end of what nobody was told of
    world.ask(&Request::Acknowledge(vec!["pv".to_owned()]), at(4));
    assert_eq!(acts(&mut world), ["/X/a/pv MAJOR_ACK: run x  again"]);
}

#[test]
fn a_restart_does_nothing_twice_and_forgets_nothing() {
    let actions = vec![
        action("mailto:early@b.org", 1),
        action("mailto:late@b.org", 60),
    ];
    let mut world = World::new(&[("/X/a/pv", with(actions))]);
    world.news("pv", heard(Severity::Major, 1), at(1));
    world.pass(at(2));
    assert_eq!(acts(&mut world).len(), 1);
    world.restart(at(30));
    world.pass(at(60));
    assert_eq!(acts(&mut world), NOTHING);
    // due while no server ran
    world.restart(at(90));
    world.pass(at(90));
    assert_eq!(
        acts(&mut world),
        ["/X/a/pv MAJOR: mail late@b.org MAJOR alarm: Water level"]
    );
    world.restart(at(91));
    world.ask(&Request::Acknowledge(vec!["pv".to_owned()]), at(92));
    assert_eq!(acts(&mut world).len(), 2, "both are followed up");
    world.restart(at(93));
    world.pass(at(200));
    assert_eq!(acts(&mut world), NOTHING);
}

#[test]
fn what_is_switched_off_is_not_over() {
    let mut world = World::new(&[(
        "/X/a/pv",
        with(vec![action("mailto:a@b.org", 0), action("slack:#c", 50)]),
    )]);
    world.news("pv", heard(Severity::Major, 1), at(1));
    world.pass(at(1));
    assert_eq!(acts(&mut world).len(), 1);
    let disable = Request::Disable {
        items: vec!["pv".to_owned()],
        reason: None,
    };
    world.ask(&disable, at(2));
    world.pass(at(100));
    assert_eq!(acts(&mut world), NOTHING);
}

#[test]
fn what_cannot_be_done_is_complained_about() {
    let mut server = Server::new("X", settings()).unwrap();
    let actions = [
        "mailto:",
        "mailto: ,",
        "nothing",
        "carrier:pigeon",
        "sevrpv:X",
    ];
    let actions = actions.map(|details| action(details, 0)).to_vec();
    server.record(&config("/X/a/pv", &with(actions)), at(0));
    let words: Vec<String> = server
        .start(at(0))
        .iter()
        .filter_map(|effect| match effect {
            Effect::Complain(complaint) => Some(complaint.why.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        words,
        [
            "the action `mailto:` says nothing",
            "the action `mailto: ,` has no address",
            "the action `nothing` has no kind",
            "the action `carrier:pigeon` is none of `mailto:`, `cmd:`, `sevrpv:`, `infopv:`, `webhook:`, `slack:`, `teams:`, `mattermost:`",
            "`sevrpv:` is for groups; a PV has a severity of its own",
        ]
    );
}

#[test]
fn the_heartbeat() {
    let mut server = Server::new(
        "X",
        Settings {
            heartbeat: Some(("X:BEAT".to_owned(), Duration::from_secs(10))),
            ..settings()
        },
    )
    .unwrap();
    server.start(at(0));
    let beats = |effects: Vec<Effect>| {
        let acts = effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Act(_)));
        acts.count()
    };
    assert_eq!(beats(server.tick(at(0))), 1);
    assert_eq!(beats(server.tick(at(9))), 0);
    assert_eq!(beats(server.tick(at(10))), 1);
}
