//! Plans between trees that are known, and between any two.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::date;
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::config::{Action, TitleDetail};
use crate::files::{Branch, Entry, Origin, Places, xml};

fn file(text: &str) -> TreeFile {
    let reading = xml::read(Path::new("a.xml"), &mut |_| Ok(text.as_bytes().to_vec()));
    assert_eq!(reading.findings, [], "{text}");
    reading.tree.unwrap()
}

fn bus(records: &[ConfigRecord]) -> OnBus {
    let mut on_bus = OnBus::new("X").unwrap();
    take(&mut on_bus, records);
    on_bus
}

fn take(on_bus: &mut OnBus, records: &[ConfigRecord]) {
    for record in records {
        assert!(on_bus.record(&record.key, record.value.as_deref()));
    }
}

const NOON: DateTime = date(2026, 11, 26).at(12, 0, 0, 0);

const PRUNE: Wishes = Wishes {
    prune: true,
    unshelve: false,
    now: NOON,
};
const KEEP: Wishes = Wishes {
    prune: false,
    ..PRUNE
};

fn applied(text: &str) -> OnBus {
    let plan = Plan::new(&file(text), &bus(&[]), KEEP).unwrap();
    bus(&plan.records("u", "h"))
}

fn lines(plan: &Plan) -> Vec<String> {
    let records = plan.records("u", "h").into_iter();
    records
        .map(|record| format!("{} {}", record.key, record.value.as_deref().unwrap_or("-")))
        .collect()
}

#[test]
fn an_empty_bus_gets_everything_parents_first() {
    let tree = file(
        r#"<config name="X"><component name="a"><guidance><title>t</title><details>d</details></guidance>
        <pv name="y"><annunciating>true</annunciating></pv><component name="b"><pv name="x"><enabled>false</enabled></pv></component></component></config>"#,
    );
    let plan = Plan::new(&tree, &bus(&[]), KEEP).unwrap();
    assert_eq!(
        lines(&plan),
        [
            r#"config:/X/a {"user":"u","host":"h","guidance":[{"title":"t","details":"d"}]}"#,
            r#"config:/X/a/y {"user":"u","host":"h","description":"y"}"#,
            r#"config:/X/a/b {"user":"u","host":"h"}"#,
            r#"config:/X/a/b/x {"user":"u","host":"h","description":"x","enabled":false,"annunciating":false}"#,
        ]
    );
}

#[test]
fn only_what_is_different_is_published() {
    let on_bus = applied(
        r#"<config name="X"><component name="a"><pv name="x"/><pv name="y"/></component></config>"#,
    );
    let changed = file(
        r#"<config name="X"><component name="a"><pv name="x"/><pv name="y"><delay>5</delay><filter>z > 1</filter></pv></component></config>"#,
    );
    let plan = Plan::new(&changed, &on_bus, KEEP).unwrap();
    assert_eq!(
        lines(&plan),
        [
            r#"config:/X/a/y {"user":"u","host":"h","description":"y","annunciating":false,"delay":5,"filter":"z > 1"}"#
        ]
    );
    let Step::Change { fields, .. } = &plan.steps[0] else {
        panic!("{plan:?}");
    };
    let shown: Vec<_> = fields
        .iter()
        .map(|field| format!("{}: {} -> {}", field.field, field.before, field.after))
        .collect();
    assert_eq!(shown, ["delay: 0 -> 5", "filter:  -> z > 1"]);
    assert_eq!(plan.unchanged, 1);
}

#[test]
fn deleting_is_asked_for_and_goes_children_first() {
    let on_bus = applied(
        r#"<config name="X"><component name="a"><pv name="x"/></component><component name="b"/></config>"#,
    );
    let moved = file(r#"<config name="X"><component name="b"><pv name="x"/></component></config>"#);
    let kept = Plan::new(&moved, &on_bus, KEEP).unwrap();
    assert_eq!(kept.extra.len(), 2);
    assert_eq!(kept.steps.len(), 1);
    let pruned = Plan::new(&moved, &on_bus, PRUNE).unwrap();
    assert_eq!(
        lines(&pruned),
        [
            r#"config:/X/b/x {"user":"u","host":"h","description":"x","annunciating":false}"#,
            r#"config:/X/a/x {"user":"u","host":"h","delete":"Deleting"}"#,
            "config:/X/a/x -",
            r#"config:/X/a {"user":"u","host":"h","delete":"Deleting"}"#,
            "config:/X/a -",
        ]
    );
}

#[test]
fn a_group_in_the_place_of_a_pv_is_in_the_way() {
    let on_bus = applied(r#"<config name="X"><pv name="x"/></config>"#);
    let group = file(r#"<config name="X"><component name="x"><pv name="y"/></component></config>"#);
    let refused = Plan::new(&group, &on_bus, KEEP).unwrap_err();
    assert_eq!(refused[0].path.to_string(), "/X/x");
    let plan = Plan::new(&group, &on_bus, PRUNE).unwrap();
    let mut after = on_bus;
    take(&mut after, &plan.records("u", "h"));
    assert_eq!(after.passed_over(), []);
    assert!(Plan::new(&group, &after, PRUNE).unwrap().is_empty());
}

#[test]
fn who_is_shelved_stays_shelved() {
    let tree = file(r#"<config name="X"><pv name="x"/><pv name="y"/><pv name="z"/></config>"#);
    let message = |enabled: &str| {
        format!(
            r#"{{"user":"o","host":"h","description":"d","enabled":{enabled},"annunciating":false}}"#
        )
    };
    let mut on_bus = bus(&[]);
    on_bus.record("config:/X/x", Some(&message(r#""2026-11-27T08:00:00""#)));
    on_bus.record("config:/X/y", Some(&message(r#""2026-11-25T08:00:00""#)));
    on_bus.record("config:/X/z", Some(&message("false")));
    let plan = Plan::new(&tree, &on_bus, KEEP).unwrap();
    assert_eq!(plan.shelved.len(), 1);
    let fields: Vec<Vec<&str>> = plan
        .steps
        .iter()
        .map(|step| match step {
            Step::Change { fields, .. } => fields.iter().map(|field| field.field).collect(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        fields,
        [
            vec!["description"],
            vec!["description"],
            vec!["description", "enabled"]
        ]
    );
    assert!(lines(&plan)[0].contains(r#""enabled":"2026-11-27T08:00:00""#));
    let wishes = Wishes {
        unshelve: true,
        ..KEEP
    };
    let plan = Plan::new(&tree, &on_bus, wishes).unwrap();
    assert_eq!(plan.shelved, []);
    assert!(!lines(&plan)[0].contains("enabled"));
}

#[test]
fn what_others_wrote_is_read_as_a_server_reads_it() {
    let mut on_bus = bus(&[]);
    assert!(!on_bus.record("state:/X/a", Some("{}")));
    on_bus.record("config:/X/a/x", Some(r#"{"description":"d"}"#));
    // no description: says nothing of a PV
    on_bus.record("config:/X/a/x", Some(r#"{"user":"u"}"#));
    on_bus.record("config:/Y/a", Some(r#"{"description":"d"}"#));
    on_bus.record("config:/X/a/x/y", Some(r#"{"description":"d"}"#));
    on_bus.record("config:/X/b", Some("junk"));
    let why: Vec<&str> = on_bus
        .passed_over()
        .iter()
        .map(|one| one.why.as_str())
        .collect();
    assert_eq!(
        why,
        [
            "`/Y/a` does not belong to the configuration `X`",
            "`/X/a/x` is a PV and cannot have items below it",
            "the message is no JSON object"
        ]
    );
    assert_eq!(on_bus.pv_count(), 1);
}

fn text() -> impl Strategy<Value = String> {
    "[ -~äµ]{0,12}"
}

fn notes() -> impl Strategy<Value = Notes> {
    let titles = || {
        proptest::collection::vec(
            (text(), text()).prop_map(|(title, details)| TitleDetail { title, details }),
            0..2,
        )
    };
    let actions = proptest::collection::vec(
        (text(), 0_u32..9).prop_map(|(details, delay)| Action {
            title: String::new(),
            details,
            delay,
        }),
        0..2,
    );
    (titles(), titles(), titles(), actions).prop_map(|(guidance, displays, commands, actions)| {
        // the prefix is taken off when a message is read
        let displays = displays
            .into_iter()
            .filter(|display| !display.details.starts_with("opi:"));
        Notes {
            guidance,
            displays: displays.collect(),
            commands,
            actions,
        }
    })
}

fn leaf() -> impl Strategy<Value = LeafConfig> {
    let enabled = prop_oneof![
        Just(Enabled::Yes),
        Just(Enabled::No),
        (2027_i16..2040, 1_i8..13)
            .prop_map(|(year, month)| Enabled::Until(date(year, month, 1).at(0, 0, 0, 0)))
    ];
    let numbers = (any::<bool>(), any::<bool>(), 0_u32..9, 0_u32..9);
    (text(), enabled, numbers, text(), notes()).prop_map(
        |(description, enabled, (latching, annunciating, delay, count), filter, notes)| {
            LeafConfig {
                description,
                enabled,
                latching,
                annunciating,
                delay,
                count,
                filter,
                notes,
            }
        },
    )
}

fn entries(depth: u32) -> BoxedStrategy<Vec<Entry>> {
    let pv = leaf().prop_map(|config| (None, Some(config)));
    let item = if depth == 0 {
        pv.boxed()
    } else {
        let group = (notes(), entries(depth - 1)).prop_map(|group| (Some(group), None));
        prop_oneof![pv, group].boxed()
    };
    proptest::collection::btree_map("[abc/]{1,2}", item, 0..4)
        .prop_map(|items: BTreeMap<String, _>| {
            let made = items
                .into_iter()
                .filter(|(name, _)| !name.starts_with("//"));
            made.map(|(name, (group, pv))| match (group, pv) {
                (Some((notes, entries)), _) => Entry::Group(Branch {
                    name,
                    origin: Origin::default(),
                    notes,
                    places: Places::default(),
                    entries,
                }),
                (None, config) => Entry::Pv {
                    name,
                    origin: Origin::default(),
                    places: Places::default(),
                    config: config.unwrap(),
                },
            })
            .collect()
        })
        .boxed()
}

fn tree() -> impl Strategy<Value = TreeFile> {
    (notes(), entries(2)).prop_map(|(notes, entries)| TreeFile {
        name: "X".to_owned(),
        origin: Origin::default(),
        notes,
        places: Places::default(),
        entries,
    })
}

/// Items by path, whatever their order.
fn by_path(tree: &TreeFile) -> BTreeMap<String, String> {
    let items = tree.items().into_iter();
    items
        .map(|(path, item)| (path.to_string(), format!("{item:?}")))
        .collect()
}

proptest! {
    #[test]
    fn a_plan_makes_of_any_tree_any_other(one in tree(), other in tree()) {
        let wishes = Wishes { unshelve: true, ..PRUNE };
        let mut on_bus = bus(&[]);
        let records = Plan::new(&one, &on_bus, wishes).unwrap().records("u", "h");
        take(&mut on_bus, &records);
        prop_assert_eq!(by_path(&on_bus.tree()), by_path(&one));
        // an order of its own is kept as well
        prop_assert_eq!(on_bus.tree(), one);
        let plan = Plan::new(&other, &on_bus, wishes).unwrap();
        take(&mut on_bus, &plan.records("u", "h"));
        prop_assert_eq!(by_path(&on_bus.tree()), by_path(&other));
        prop_assert_eq!(on_bus.passed_over(), []);
        prop_assert!(Plan::new(&other, &on_bus, wishes).unwrap().is_empty());
    }

    #[test]
    fn any_records_are_taken(records in proptest::collection::vec(("(config:)?[/Xab:]{0,8}", proptest::option::of("\\PC{0,20}")), 0..20)) {
        let mut on_bus = bus(&[]);
        for (key, value) in &records {
            on_bus.record(key, value.as_deref());
        }
        prop_assert!(Plan::new(&on_bus.tree(), &on_bus, PRUNE).unwrap().is_empty());
    }
}
