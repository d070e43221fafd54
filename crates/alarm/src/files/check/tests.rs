//! Trees that are wrong in each way.

use super::*;
use crate::config::Action;
use crate::files::Branch;

fn pv(name: &str, change: impl FnOnce(&mut LeafConfig)) -> Entry {
    let mut config = LeafConfig::new(name);
    change(&mut config);
    Entry::Pv {
        name: name.to_owned(),
        origin: Origin::default(),
        places: Places {
            filter: Some(Origin {
                file: 0,
                span: 10..10 + config.filter.len(),
            }),
            actions: Vec::new(),
        },
        config,
    }
}

fn group(name: &str, entries: Vec<Entry>) -> Entry {
    Entry::Group(Branch {
        name: name.to_owned(),
        origin: Origin::default(),
        notes: Notes::default(),
        places: Places::default(),
        entries,
    })
}

fn tree(entries: Vec<Entry>) -> TreeFile {
    TreeFile {
        name: "X".to_owned(),
        origin: Origin::default(),
        notes: Notes::default(),
        places: Places::default(),
        entries,
    }
}

fn messages(entries: Vec<Entry>, compatibility: Compatibility) -> Vec<String> {
    let findings = tree(entries).check(compatibility);
    findings
        .into_iter()
        .map(|finding| finding.message)
        .collect()
}

#[test]
fn the_same_pv_in_several_branches_is_for_us() {
    let entries = || {
        vec![
            group("a", vec![pv("x", |_| {})]),
            group("b", vec![pv("x", |_| {})]),
        ]
    };
    assert_eq!(
        messages(entries(), Compatibility::Ours),
        Vec::<String>::new()
    );
    assert_eq!(
        messages(entries(), Compatibility::Phoebus),
        ["Phoebus drops `/X/b/x`: it has `/X/a/x` already"]
    );
    assert_eq!(tree(entries()).pv_count(), 2);
}

#[test]
fn what_cannot_be() {
    let entries = vec![
        pv("x", |_| {}),
        pv("x", |_| {}),
        pv("a b", |_| {}),
        pv("//x", |_| {}),
        pv("pva://x", |_| {}),
        pv("ca://x", |_| {}),
        pv("=1 +", |_| {}),
        pv("=1 + y", |_| {}),
        pv("f", |config| config.filter = "y >".to_owned()),
        pv("n", |config| config.count = 3),
        pv("m", |config| {
            config.notes.actions = ["mailto:a@b, c", "cmd:", "x", "http://y", "sevrpv:S"]
                .map(|details| Action {
                    details: details.to_owned(),
                    ..Action::default()
                })
                .to_vec();
        }),
    ];
    assert_eq!(
        messages(entries, Compatibility::Ours),
        [
            "the PV `x` is in `/X` twice",
            "`a b` has spaces, which names of PVs do not have",
            "the name `//x` begins with `//`",
            "`pva://x`: PVs of pvAccess are not watched yet",
            "`=1 +` is no formula: expected a number, a PV or `(`, but the formula ends here",
            "the filter of `f` is no formula: expected a number, a PV or `(`, but the formula ends here",
            "the count of `n` has no effect without a delay",
            "the action `mailto:a@b, c` cannot work: `c` is no mail address",
            "the action `cmd:` cannot work: nothing follows `cmd:`",
            "the action `x` cannot work: it says no kind",
            "the action `http://y` cannot work: `http:` is no kind of action",
            "`sevrpv:` has no effect on a PV: it writes the severity of a group",
        ]
    );
}

#[test]
fn a_filter_is_wrong_at_its_place() {
    let findings = tree(vec![pv("f", |config| config.filter = " y = 1".to_owned())]);
    let findings = findings.check(Compatibility::Ours);
    assert_eq!(findings[0].origin.span, 13..14);
    assert_eq!(findings[0].hint.as_deref(), Some("`==` compares"));
}

#[test]
fn names_that_cannot_be() {
    let long = "g".repeat(100);
    let entries = vec![
        group("a/b", vec![pv("x/y", |_| {}), pv("sim://sine", |_| {})]),
        group(" a", vec![]),
        group("a\\", vec![]),
        group("a\nb", vec![]),
        group(
            &long,
            vec![group(
                &long,
                vec![pv("r".repeat(61).as_str(), |_| {}), pv("r.DESC", |_| {})],
            )],
        ),
    ];
    let long_path = format!(
        "{}…",
        format!("/X/{long}").chars().take(40).collect::<String>()
    );
    assert_eq!(
        messages(entries, Compatibility::Ours),
        [
            "`a/b` has a `/`: on the bus and in commands its path is `/X/a\\/b`".to_owned(),
            "`x/y` has a `/`: on the bus and in commands its path is `/X/a\\/b/x\\/y`".to_owned(),
            "`sim://sine`: local and simulated PVs live in clients, not in a server".to_owned(),
            "the name ` a` begins or ends with a space".to_owned(),
            "`a\\` cannot stand in a path: a `\\` before a `/` or at the end has a meaning there"
                .to_owned(),
            "the control character 10 cannot stand in the name of a group".to_owned(),
            format!("the path has 266 characters, at most 255 are taken: `{long_path}`"),
            format!(
                "`{}` has 61 characters, names of records at most 60",
                "r".repeat(61)
            ),
        ]
    );
    let mut foreign = tree(vec![]);
    foreign.name = "a b".to_owned();
    assert_eq!(
        foreign.check(Compatibility::Ours)[0].message,
        "`a b` is no name of a configuration: a space cannot stand in it"
    );
}
