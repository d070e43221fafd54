//! Good and bad tables.

use std::path::Path;

use super::*;
use crate::config::{LeafConfig, Notes, TitleDetail};
use crate::files::Reading;
use crate::files::loss::losses;
use crate::files::{Branch, Compatibility, Entry, Item, Origin, Places};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

fn read_text(text: &str) -> Reading {
    read(Path::new("a.csv"), "X", &mut |_path| {
        Ok(text.as_bytes().to_vec())
    })
}

fn shown(reading: &Reading) -> Vec<String> {
    reading
        .findings
        .iter()
        .map(|finding| {
            let text = &reading.sources[0].text;
            let span = finding.origin.span.clone();
            let line = text[..span.start].matches('\n').count() + 1;
            format!("{line} [{}] {}", &text[span], finding.message)
        })
        .collect()
}

const WHOLE: &str = "\
#Indent,Branch,PV,Description,Latch,Delay,Count,Filter,Guidance
,,TOP:PV,TOP:PV,TRUE,,,,
0,Global,,,,,,,\"Call, if \"\"all\"\" is red\"
,,SIOC:HEARTBEAT,CP0 CTRL IOC,TRUE,3,5,A > 1,Restart it
1,Cavity,,,,,,,
,,CAV:1,CAV:1,FALSE,,,,
0,Other,,,,,,,
,,SIOC:HEARTBEAT,again,TRUE,,,,
";

#[test]
fn a_whole_table_is_written_again() {
    let reading = read_text(WHOLE);
    assert_eq!(shown(&reading), Vec::<String>::new());
    let tree = reading.tree.unwrap();
    let paths: Vec<String> = tree
        .items()
        .iter()
        .map(|(path, _item)| path.to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "/X",
            "/X/TOP:PV",
            "/X/Global",
            "/X/Global/SIOC:HEARTBEAT",
            "/X/Global/Cavity",
            "/X/Global/Cavity/CAV:1",
            "/X/Other",
            "/X/Other/SIOC:HEARTBEAT"
        ]
    );
    assert_eq!(write(&tree), WHOLE);
    assert_eq!(tree.check(Compatibility::Ours), []);
}

#[test]
fn the_variant_without_a_count() {
    let reading = read_text(
        "#Indent,Branch,PV,Description,Latch,Delay,Filter,Guidance\n0,A,SUM:PV,d,,,,g\n,,major://X:1 > 3,d,TRUE,2,,\n,,ca://Y,d,FALSE,0,Z > 0,\n",
    );
    assert_eq!(shown(&reading), Vec::<String>::new());
    let tree = reading.tree.unwrap();
    let items = tree.items();
    assert_eq!(items[2].0.name(), "eq://majorAlarm(X:1 > 3, \"\")");
    let Item::Pv(config) = items[3].1 else {
        panic!("a PV");
    };
    assert_eq!((config.filter.as_str(), config.latching), ("Z > 0", false));
    assert_eq!(tree.check(Compatibility::Ours), []);
}

#[test]
fn what_a_table_cannot_hold_is_said() {
    let xml = "<config name='X'><component name='a'><display><title>t</title><details>d</details></display>\
        <pv name='p'><enabled>false</enabled><guidance><title>t</title><details>d</details></guidance><guidance/>\
        <automated_action><title>m</title><details>mailto:a@b</details></automated_action></pv></component></config>";
    let tree =
        crate::files::xml::read(Path::new("a.xml"), &mut |_path| Ok(xml.as_bytes().to_vec()))
            .tree
            .unwrap();
    let text = write(&tree);
    assert_eq!(
        text,
        "#Indent,Branch,PV,Description,Latch,Delay,Count,Filter,Guidance,Enabled,Annunciate\n0,a,,,,,,,,,\n,,p,p,TRUE,,,,d,FALSE,FALSE\n"
    );
    let again = read_text(&text).tree.unwrap();
    let mut lost = Vec::new();
    for loss in losses(&tree, &again) {
        for field in loss.fields {
            lost.push(format!(
                "{} {}: {} -> {}",
                loss.path, field.field, field.before, field.after
            ));
        }
    }
    assert_eq!(
        lost,
        [
            "/X/a displays: t: d -> ",
            "/X/a/p guidance: t: d;  -> d",
            "/X/a/p actions: m: mailto:a@b -> "
        ]
    );
    assert_eq!(write(&again), text);
}

#[test]
fn mistakes_have_their_place() {
    let head = "#Indent,Branch,PV,Description,Latch,Delay,Count,Filter,Guidance\n";
    let rows = [
        ("", "1 [] the table is empty".to_owned()),
        ("a,b\n", "1 [a] the column `a` has no meaning".to_owned()),
        (
            "#Indent,Branch\n",
            "1 [#Indent,Branch] the first row has no heading PV".to_owned(),
        ),
        (
            "#Indent,Branch,PV,PV\n",
            "1 [PV] the column `PV` is there twice".to_owned(),
        ),
    ];
    for (text, message) in rows {
        assert_eq!(shown(&read_text(text)).first(), Some(&message), "{text}");
    }
    let rows = [
        (
            "2,deep,,,,,,,\n",
            "2 [2] a group of depth 2 has no group above it",
        ),
        (
            "x,a,,,,,,,\n",
            "2 [x] `x` cannot stand in the column `#Indent`",
        ),
        (
            "0,,,,,,,,\n",
            "2 [0,,,,,,,,] the group has no name in the column `Branch`",
        ),
        (
            ",name,,,,,,,\n",
            "2 [,name,,,,,,,] the row is neither a group nor a PV",
        ),
        ("\n\n,,,,,,,,\n", "4 [,,,,,,,,] the row is empty"),
        (
            ",,p,d,yes,,,,\n",
            "2 [yes] `yes` cannot stand in the column `Latch`",
        ),
        (
            ",,p,\"a, b\",TRUE,1.5,,,\n",
            "2 [1.5] `1.5` cannot stand in the column `Delay`",
        ),
        (
            ",,p,d,TRUE,,,,a,b\n",
            "2 [b] the row has 10 fields, the table 9 columns",
        ),
    ];
    for (text, message) in rows {
        assert_eq!(
            shown(&read_text(&format!("{head}{text}"))),
            [message],
            "{text}"
        );
    }
    let filter = read_text(&format!("{head},,p,d,TRUE,,,A = 1,\n"));
    let findings = filter.tree.as_ref().unwrap().check(Compatibility::Ours);
    assert_eq!(
        &filter.sources[0].text[findings[0].origin.span.clone()],
        "="
    );
    let unreadable = read(
        Path::new("a.csv"),
        "X",
        &mut |_path| Ok(b"a\n\xDC".to_vec()),
    );
    assert_eq!(
        shown(&unreadable),
        ["1 [] `a.csv` cannot be read: line 2 is not UTF-8"]
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(#Indent,Branch,PV\n)?(,|\"|\n|0|1|\\PC){0,60}") {
        let reading = read_text(&text);
        prop_assert!(reading.tree.is_some() || !reading.findings.is_empty());
        for finding in &reading.findings {
            prop_assert!(reading.sources[0].text.get(finding.origin.span.clone()).is_some());
        }
    }
}

fn entry() -> impl Strategy<Value = (bool, String, String, u32, bool)> {
    (
        any::<bool>(),
        "[a-zA-Z:][a-z:,\" ]{0,6}[a-z]",
        "[ -~\n]{0,12}",
        0_u32..9,
        any::<bool>(),
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(items in proptest::collection::vec(entry(), 0..12)) {
        let mut tree = read_text("#Indent,Branch,PV\n").tree.unwrap();
        let mut seen = std::collections::HashSet::new();
        for (is_group, name, text, number, flag) in items {
            if !seen.insert(name.clone()) {
                continue;
            }
            let mut config = LeafConfig::new(name.clone());
            if !text.trim().is_empty() {
                text.trim().clone_into(&mut config.description);
                text.trim().clone_into(&mut config.filter);
            }
            config.delay = number;
            config.count = number / 2;
            config.latching = flag;
            config.annunciating = !flag;
            let pv = Entry::Pv { name: name.clone(), origin: Origin::default(), places: Places::default(), config };
            if is_group {
                let mut notes = Notes::default();
                if !text.trim().is_empty() {
                    notes.guidance.push(TitleDetail { title: String::new(), details: text.trim().to_owned() });
                }
                let entries = vec![pv];
                tree.entries.push(Entry::Group(Branch { name, origin: Origin::default(), notes, places: Places::default(), entries }));
            } else {
                tree.entries.push(pv);
            }
        }
        tree.normalize();
        let text = write(&tree);
        let again = read_text(&text);
        prop_assert_eq!(shown(&again), Vec::<String>::new());
        let again = again.tree.unwrap();
        prop_assert_eq!(format!("{:?}", again.items()), format!("{:?}", tree.items()));
        prop_assert_eq!(losses(&tree, &again), []);
    }
}
