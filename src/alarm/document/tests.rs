//! Good and bad files of our own format.

use std::collections::BTreeMap;
use std::path::Path;

use alarm::config::{Action, Enabled, LeafConfig, Notes, TitleDetail};
use alarm::files::{Branch, Compatibility, Entry, Origin, Places, Reading, TreeFile};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

fn read_files(files: &[(&str, &str)]) -> Reading {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    read(Path::new("a.yaml"), &mut |path| {
        let text = files.get(path.to_str().unwrap());
        let text = text.ok_or_else(|| "there is no such file".to_owned())?;
        Ok(text.as_bytes().to_vec())
    })
}

fn read_text(text: &str) -> Reading {
    read_files(&[("a.yaml", text)])
}

fn shown(reading: &Reading) -> Vec<String> {
    reading
        .findings
        .iter()
        .map(|finding| {
            let source = &reading.sources[finding.origin.file];
            let span = finding.origin.span.clone();
            let line = source.text[..span.start].matches('\n').count() + 1;
            let path = source.path.display();
            let more = finding.hint.as_deref().unwrap_or_default();
            format!(
                "{path}:{line} [{}] {} {more}",
                &source.text[span], finding.message
            )
        })
        .map(|line| line.trim_end().to_owned())
        .collect()
}

const WHOLE: &str = r#"configuration: X
guidance:
- call the control room
pvs:
  "TOP:PV": {}
groups:
  Vacuum:
    actions:
    - mailto:a@b.example
    - title: mail
      details: mailto:c@d.example
      delay: 60
    pvs:
      "SR:VAC:P1":
        description: pressure
        enabled: "2031-12-03T10:15:30"
        latching: false
        annunciating: false
        delay: 5
        count: 3
        filter: "'SR:CURRENT' > 1"
        guidance:
        - title: what
          details: close it
        displays:
        - vacuum.bob
    groups:
      Empty: {}
"#;

#[test]
fn a_whole_file_is_written_again() {
    let reading = read_text(WHOLE);
    assert_eq!(shown(&reading), Vec::<String>::new());
    let tree = reading.tree.unwrap();
    assert_eq!(tree.check(Compatibility::Ours), []);
    assert_eq!(tree.items().len(), 5);
    assert_eq!(to_yaml(&tree).unwrap(), WHOLE);
    let json = to_json(&tree).unwrap();
    let again = read_text(&json);
    assert_eq!(shown(&again), Vec::<String>::new());
    assert_eq!(to_yaml(&again.tree.unwrap()).unwrap(), WHOLE);
}

#[test]
fn short_forms() {
    let reading = read_text(
        "configuration: X\ngroups: {A: {guidance: do it, actions: 'cmd:x', pvs: {p: , q: {enabled: false}}}}\n",
    );
    assert_eq!(shown(&reading), Vec::<String>::new());
    let tree = reading.tree.unwrap();
    let Entry::Group(group) = &tree.entries[0] else {
        panic!("{tree:?}");
    };
    assert_eq!(group.notes.guidance[0].details, "do it");
    assert_eq!(group.notes.actions[0].details, "cmd:x");
    let Entry::Pv { config, .. } = &group.entries[0] else {
        panic!("{tree:?}");
    };
    assert_eq!(*config, LeafConfig::new("p"));
}

#[test]
fn mistakes_have_their_place() {
    let rows = [
        ("", "a.yaml:1 [] this is no alarm configuration"),
        ("- a\n", "a.yaml:1 [- a] this is no alarm configuration"),
        (
            "groups: {}\n",
            "a.yaml:1 [groups: {}] the field `configuration` is missing a file that is included has none; the one that includes it is meant to be read",
        ),
        (
            "configuration: X\npv: {}\n",
            "a.yaml:2 [pv] unknown field `pv` did you mean `pvs`?",
        ),
        (
            "configuration: X\npvs:\n  a: {descripton: x}\n",
            "a.yaml:3 [descripton] unknown field `descripton` did you mean `description`?",
        ),
        (
            "configuration: X\npvs:\n  a: {delay: 1.5}\n",
            "a.yaml:3 [1.5] `1.5` cannot stand here",
        ),
        (
            "configuration: X\npvs:\n  a: {delay: -1}\n",
            "a.yaml:3 [-1] `-1` cannot stand here",
        ),
        (
            "configuration: X\npvs:\n  a: {latching: 'yes'}\n",
            "a.yaml:3 ['yes'] `yes` cannot stand here",
        ),
        (
            "configuration: X\npvs:\n  a: {enabled: 2031-13-03T10:15:30}\n",
            "a.yaml:3 [2031-13-03T10:15:30] `2031-13-03T10:15:30` cannot stand here",
        ),
        (
            "configuration: X\npvs:\n  a: {description: 5}\n",
            "a.yaml:3 [5] `5` cannot stand here",
        ),
        (
            "configuration: X\npvs: [a]\n",
            "a.yaml:2 [[] a list cannot stand here",
        ),
        (
            "configuration: X\npvs:\n  a:\n  a:\n",
            "a.yaml:4 [a] `a` stands here a second time keep one of the two",
        ),
        (
            "configuration: X\npvs:\n  a: {actions: [{detials: x}]}\n",
            "a.yaml:3 [detials] unknown field `detials` did you mean `details`?",
        ),
    ];
    for (text, message) in rows {
        assert_eq!(shown(&read_text(text)), [message], "{text}");
    }
}

#[test]
fn filters_and_actions_are_wrong_where_they_stand() {
    let text = "configuration: X\npvs:\n  a:\n    filter: \"b = 1\"\n  c:\n    filter: >-\n      d\n      = 1\n  e:\n    actions: ['mailto:nobody']\n";
    let reading = read_text(text);
    let findings = reading.tree.as_ref().unwrap().check(Compatibility::Ours);
    let places: Vec<&str> = findings
        .iter()
        .map(|finding| &text[finding.origin.span.clone()])
        .collect();
    assert_eq!(places, ["=", "d", "mailto:nobody"]);
}

#[test]
fn includes_come_into_their_group() {
    let reading = read_files(&[
        (
            "a.yaml",
            "configuration: X\ngroups:\n  A: {include: [sub/b.yaml, c.csv, d.xml]}\n",
        ),
        (
            "sub/b.yaml",
            "guidance: b\npvs: {b: {}}\ngroups: {B: {include: e.yaml}}\n",
        ),
        ("sub/e.yaml", "pvs: {e: {filter: 'x ='}}\n"),
        ("c.csv", "#Indent,Branch,PV\n,,c\n0,C,\n,,c1\n"),
        (
            "d.xml",
            "<config name='D'><pv name='d'/><pv name='d'/></config>",
        ),
    ]);
    assert_eq!(shown(&reading), Vec::<String>::new());
    let tree = reading.tree.unwrap();
    let paths: Vec<String> = tree
        .items()
        .iter()
        .map(|(path, _)| path.to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "/X",
            "/X/A",
            "/X/A/b",
            "/X/A/c",
            "/X/A/d",
            "/X/A/d",
            "/X/A/B",
            "/X/A/B/e",
            "/X/A/C",
            "/X/A/C/c1",
        ]
    );
    let findings = tree.check(Compatibility::Ours);
    let places: Vec<String> = findings
        .iter()
        .map(|finding| {
            let source = &reading.sources[finding.origin.file];
            format!(
                "{} [{}]",
                source.path.display(),
                &source.text[finding.origin.span.clone()]
            )
        })
        .collect();
    assert_eq!(places, ["d.xml [<pv name='d'/>]", "sub/e.yaml [=]"]);
}

#[test]
fn includes_that_cannot_be() {
    let rows = [
        (
            "../b.yaml",
            "a.yaml:2 [../b.yaml] `../b.yaml` is not included: only files beside or below this one are copy the file, or link its folder",
        ),
        (
            "b.txt",
            "a.yaml:2 [b.txt] `b.txt` is not included: its name does not say what it is",
        ),
        (
            "b.yaml",
            "a.yaml:2 [b.yaml] `b.yaml` cannot be read: there is no such file",
        ),
        (
            "a.yaml",
            "a.yaml:2 [a.yaml] `a.yaml` includes itself: a.yaml -> a.yaml leave out one of these includes",
        ),
        (
            "c.yaml",
            "c.yaml:1 [a.yaml] `a.yaml` includes itself: a.yaml -> c.yaml -> a.yaml leave out one of these includes",
        ),
        (
            "d.yaml",
            "d.yaml:1 [configuration] `configuration` has no effect here: what is in this file comes into the group that includes it leave it out",
        ),
        ("e.yaml", "e.yaml:1 [1] `1` cannot stand here"),
    ];
    for (name, message) in rows {
        let main = format!("configuration: X\ninclude: {name}\n");
        let reading = read_files(&[
            ("a.yaml", &main),
            ("c.yaml", "include: a.yaml\n"),
            ("d.yaml", "configuration: Y\n"),
            ("e.yaml", "1\n"),
        ]);
        assert_eq!(shown(&reading), [message], "{name}");
    }
}

#[test]
fn deep_trees_and_bombs() {
    let mut deep = String::from("configuration: X\n");
    for level in 0..60 {
        deep.push_str(&format!("{0}groups:\n{0} g:\n", "  ".repeat(level)));
    }
    assert_eq!(shown(&read_text(&deep)), Vec::<String>::new());
    let mut bomb = String::from("configuration: X\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{row}]\n"));
    }
    assert!(read_text(&bomb).tree.is_none());
    assert!(
        read_text(&format!("configuration: X\npvs: {}", "[".repeat(100_000)))
            .tree
            .is_none()
    );
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,10}",
        "\\PC{0,6}",
        "(yes|null|~|1e3|0x1|true|- a|a: b|#x|\\n|\\t|'|\"|%|@| ){1,3}",
    ]
}

fn notes() -> impl Strategy<Value = Notes> {
    let titles = || {
        let one = (text(), text()).prop_map(|(title, details)| TitleDetail { title, details });
        proptest::collection::vec(one, 0..3)
    };
    let action = (text(), text(), 0_u32..3).prop_map(|(title, details, delay)| Action {
        title,
        details,
        delay,
    });
    (titles(), titles(), proptest::collection::vec(action, 0..3)).prop_map(
        |(guidance, displays, actions)| Notes {
            guidance,
            displays,
            commands: Vec::new(),
            actions,
        },
    )
}

/// Notes of a group and what is in it.
type Group = (Notes, Vec<Entry>);

fn entries(depth: u32) -> BoxedStrategy<Vec<Entry>> {
    let pv = (text(), text(), 0_u32..4, any::<bool>(), notes()).prop_map(
        |(description, filter, number, flag, notes)| {
            let config = LeafConfig {
                enabled: if flag { Enabled::Yes } else { Enabled::No },
                latching: flag,
                annunciating: number > 1,
                delay: number,
                count: number / 2,
                filter,
                notes,
                ..LeafConfig::new(description)
            };
            (None, Some(config))
        },
    );
    let item = if depth == 0 {
        pv.boxed()
    } else {
        let group = (notes(), entries(depth - 1)).prop_map(|group| (Some(group), None));
        prop_oneof![pv, group].boxed()
    };
    proptest::collection::btree_map(text(), item, 0..4)
        .prop_map(|items| {
            let entry = |(name, (group, pv)): (String, (Option<Group>, _))| match group {
                Some((notes, entries)) => Entry::Group(Branch {
                    name,
                    origin: Origin::default(),
                    notes,
                    places: Places::default(),
                    entries,
                }),
                None => Entry::Pv {
                    name,
                    origin: Origin::default(),
                    places: Places::default(),
                    config: Option::unwrap(pv),
                },
            };
            items.into_iter().map(entry).collect()
        })
        .boxed()
}

/// Without places, which a tree that was never a file has not.
fn plain(tree: &TreeFile) -> String {
    format!("{:?}", tree.items())
}

proptest! {
    #[test]
    fn any_tree_comes_back(notes in notes(), entries in entries(2)) {
        let mut tree = TreeFile {
            name: "X".to_owned(),
            origin: Origin::default(),
            notes,
            places: Places::default(),
            entries,
        };
        tree.normalize();
        for text in [to_yaml(&tree).unwrap(), to_json(&tree).unwrap()] {
            let reading = read_text(&text);
            prop_assert_eq!(shown(&reading), Vec::<String>::new(), "{}", text);
            prop_assert_eq!(plain(&reading.tree.unwrap()), plain(&tree), "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(configuration: X\n)?(pvs|groups|include|actions|: |\n|  |- |\\{|\\}|a|\"|\\PC){0,40}") {
        let reading = read_text(&text);
        prop_assert!(reading.tree.is_some() || !reading.findings.is_empty());
        for finding in &reading.findings {
            let source = &reading.sources[finding.origin.file];
            prop_assert!(source.text.get(finding.origin.span.clone()).is_some());
        }
    }
}
