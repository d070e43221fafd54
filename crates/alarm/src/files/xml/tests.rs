//! Good and bad files.

use std::path::{Path, PathBuf};

use super::*;
use crate::config::Enabled;
use crate::files::Compatibility;
use crate::files::{Entry, Reading};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

fn read_all(files: &[(&str, &[u8])]) -> Reading {
    let files: Vec<(PathBuf, Vec<u8>)> = files
        .iter()
        .map(|(path, bytes)| (PathBuf::from(path), bytes.to_vec()))
        .collect();
    read(Path::new("a.xml"), &mut |path| {
        let found = files.iter().find(|(known, _bytes)| known == path);
        found
            .map(|(_path, bytes)| bytes.clone())
            .ok_or_else(|| "no such file".to_owned())
    })
}

fn read_one(text: &str) -> Reading {
    read_all(&[("a.xml", text.as_bytes())])
}

/// Each finding with its line and what it points at.
fn shown(reading: &Reading) -> Vec<String> {
    reading
        .findings
        .iter()
        .map(|finding| {
            let source = &reading.sources[finding.origin.file];
            let span = finding.origin.span.clone();
            let line = source.text[..span.start].matches('\n').count() + 1;
            let hint = finding
                .hint
                .as_deref()
                .map(|hint| format!(" ({hint})"))
                .unwrap_or_default();
            format!(
                "{}:{line} [{}] {}{hint}",
                source.path.display(),
                &source.text[span],
                finding.message
            )
        })
        .collect()
}

const WHOLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<config name="Demo">
  <guidance>
    <title>All</title>
    <details>Call &lt;us&gt; &amp; stay</details>
  </guidance>
  <component name="Vacuum">
    <pv name="SR:P1">
      <description>Pressure</description>
      <enabled>true</enabled>
      <latching>true</latching>
      <annunciating>true</annunciating>
    </pv>
    <component name="Gauges">
      <pv name="sim://sine">
        <description>sim://sine</description>
        <enabled>2031-12-03T10:15:30</enabled>
        <latching>false</latching>
        <annunciating>false</annunciating>
        <delay>4</delay>
        <count>5</count>
        <filter>A &gt; 1</filter>
        <display>
          <title>t</title>
          <details>file:/d.bob</details>
        </display>
        <command>
          <title>c</title>
          <details>echo &quot;hi&quot;</details>
        </command>
        <automated_action>
          <title>m</title>
          <details>mailto:a@b</details>
          <delay>7</delay>
        </automated_action>
      </pv>
    </component>
  </component>
</config>
"#;

#[test]
fn a_whole_file_is_written_again() {
    let reading = read_one(WHOLE);
    assert_eq!(shown(&reading), Vec::<String>::new());
    assert_eq!(write(&reading.tree.unwrap()), WHOLE);
}

#[test]
fn what_is_missing_has_its_default() {
    let reading = read_one(
        "<config name='X'><pv name='a'/><pv name='b'><delay>2.9</delay><description/></pv></config>",
    );
    assert_eq!(shown(&reading), Vec::<String>::new());
    let tree = reading.tree.unwrap();
    let configs: Vec<_> = tree
        .entries
        .iter()
        .map(|entry| match entry {
            Entry::Pv { config, .. } => config,
            Entry::Group(_) => panic!("no group"),
        })
        .collect();
    assert_eq!(configs[0].description, "a");
    assert!(configs[0].latching && !configs[0].annunciating);
    assert_eq!(configs[0].enabled, Enabled::Yes);
    assert_eq!((configs[1].delay, configs[1].description.as_str()), (2, ""));
}

#[test]
fn encodings() {
    let text = "<?xml version='1.0' encoding='ISO-8859-1'?><config name='Ü'/>";
    let latin: Vec<u8> = text
        .chars()
        .map(|character| u8::try_from(u32::from(character)).unwrap())
        .collect();
    let wide: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(
            text.replace("ISO-8859-1", "UTF-16")
                .encode_utf16()
                .flat_map(u16::to_le_bytes),
        )
        .collect();
    let marked = [
        b"\xEF\xBB\xBF".as_slice(),
        text.replace("ISO-8859-1", "utf-8").as_bytes(),
    ]
    .concat();
    for bytes in [latin, wide, marked] {
        let reading = read_all(&[("a.xml", &bytes)]);
        assert_eq!(shown(&reading), Vec::<String>::new());
        assert_eq!(reading.tree.unwrap().name, "Ü");
    }
    assert_eq!(
        shown(&read_all(&[("a.xml", b"<config name='\xDC'/>")])),
        [
            "a.xml:1 [] `a.xml` cannot be read: line 1 is not UTF-8, and the file names no other encoding"
        ]
    );
    assert_eq!(
        shown(&read_one(
            "<?xml version='1.0' encoding='klingon'?><config name='x'/>"
        )),
        ["a.xml:1 [] `a.xml` cannot be read: it names the encoding `klingon`, which is not known"]
    );
}

#[test]
fn includes() {
    let root = br#"<config name="X" xmlns:xi="http://www.w3.org/2001/XInclude">
<xi:include href="sub/b.xml"/>
<xi:include href="c.xml" xpointer="element(/1/2)"/>
</config>"#;
    let reading = read_all(&[
        ("a.xml", root),
        (
            "sub/b.xml",
            b"<component name='B'><pv name='b'/></component>",
        ),
        (
            "c.xml",
            b"<config name='C'><pv name='c1'/><pv name='c2'/></config>",
        ),
    ]);
    assert_eq!(shown(&reading), Vec::<String>::new());
    let tree = reading.tree.unwrap();
    let paths: Vec<String> = tree
        .items()
        .iter()
        .map(|(path, _item)| path.to_string())
        .collect();
    assert_eq!(paths, ["/X", "/X/B", "/X/B/b", "/X/c2"]);
    let Entry::Group(branch) = &tree.entries[0] else {
        panic!("a group");
    };
    assert_eq!(
        reading.sources[branch.origin.file].path,
        Path::new("sub/b.xml")
    );
}

#[test]
fn includes_that_cannot_be() {
    type Files = &'static [(&'static str, &'static [u8])];
    let rows: [(Files, &str); 6] = [
        (
            &[(
                "a.xml",
                b"<config name='X'><include href='a.xml'/></config>",
            )],
            "a.xml:1 [<include href='a.xml'/>] `a.xml` includes itself: a.xml -> a.xml",
        ),
        (
            &[
                (
                    "a.xml",
                    b"<config name='X'><include href='b.xml'/></config>",
                ),
                (
                    "b.xml",
                    b"<component name='B'><include href='a.xml'/></component>",
                ),
            ],
            "b.xml:1 [<include href='a.xml'/>] `a.xml` includes itself: a.xml -> b.xml -> a.xml",
        ),
        (
            &[(
                "a.xml",
                b"<config name='X'><include href='no.xml'/></config>",
            )],
            "a.xml:1 [<include href='no.xml'/>] `no.xml` cannot be read: no such file",
        ),
        (
            &[(
                "a.xml",
                b"<config name='X'><include href='../../etc/passwd'/></config>",
            )],
            "a.xml:1 [<include href='../../etc/passwd'/>] `../../etc/passwd` is not included: only files beside or below this one are (copy the file, or link its folder)",
        ),
        (
            &[("a.xml", b"<config name='X'><include/></config>")],
            "a.xml:1 [<include/>] an include without `href`",
        ),
        (
            &[
                (
                    "a.xml",
                    b"<config name='X'><include href='b.xml' xpointer='element(/1/9)'/></config>",
                ),
                ("b.xml", b"<config name='B'/>"),
            ],
            "a.xml:1 [<include href='b.xml' xpointer='element(/1/9)'/>] `<config>` has 0 elements, there is no number 9",
        ),
    ];
    for (files, message) in rows {
        assert_eq!(shown(&read_all(files)), [message]);
    }
}

#[test]
fn mistakes_have_their_place() {
    let rows = [
        ("", "a.xml:1 [] there is no element in it"),
        ("<alarms/>", "a.xml:1 [<alarms/>] the root is `<alarms>`"),
        ("<config/>", "a.xml:1 [<config/>] `<config>` has no name"),
        (
            "<config name='X'>\n<component>\n</component></config>",
            "a.xml:2 [<component>] `<component>` has no name",
        ),
        (
            "<config name='X'>\n<pv name='a'><latching>yes</latching></pv></config>",
            "a.xml:2 [yes] `yes` is no `latching`",
        ),
        (
            "<config name='X'>\n<pv name='a'><enabled>tomorrow</enabled></pv></config>",
            "a.xml:2 [tomorrow] `tomorrow` is no `enabled`",
        ),
        (
            "<config name='X'><pv name='a'>\n<delay>-1</delay></pv></config>",
            "a.xml:2 [-1] `-1` is no `delay`",
        ),
        (
            "<config name='X'><pv name='a'>\n<dleay>1</dleay></pv></config>",
            "a.xml:2 [<dleay>] `<dleay>` has no meaning here and is passed over (did you mean `<delay>`?)",
        ),
        (
            "<config name='X'><component name='c'><description>d</description></component></config>",
            "a.xml:1 [<description>] `<description>` of a group has no effect: alarm servers do not read it",
        ),
        (
            "<config name='X'><pv name='a'><description>&nbsp;</description></pv></config>",
            "a.xml:1 [&nbsp;] `&nbsp;` is no character that XML knows",
        ),
        (
            "<!DOCTYPE x [<!ENTITY a 'b'>]>\n<config name='X'/>",
            "a.xml:1 [<!DOCTYPE x [<!ENTITY a 'b'>]>] a document type is not read: alarm configurations have none",
        ),
        (
            "<config name='X'>\n<component name='c'>",
            "a.xml:2 [<component name='c'>] `<component>` has no end: the file ends before `</component>`",
        ),
    ];
    for (text, message) in rows {
        assert_eq!(shown(&read_one(text)), [message], "{text}");
    }
    let crossed = read_one("<config name='X'>\n<component name='c'>\n</config>");
    assert_eq!(crossed.tree, None);
    assert!(
        shown(&crossed)[0].starts_with("a.xml:3 "),
        "{:?}",
        shown(&crossed)
    );
    let deep = format!("<config name='X'>{}", "<component name='c'>".repeat(10_000));
    assert!(shown(&read_one(&deep))[0].contains("nested more than"));
}

#[test]
fn a_wrong_filter_is_shown_where_it_stands() {
    let text = "<config name='X'>\n<pv name='a'>\n<filter>\n  b &gt; = 1</filter></pv></config>";
    let reading = read_one(text);
    let findings = reading.tree.as_ref().unwrap().check(Compatibility::Ours);
    let span = findings[0].origin.span.clone();
    // escapes make the text of the file longer than the formula: the place is then that of the filter
    assert!(text[span].starts_with('b') || findings[0].message.contains("`=` is no operator"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(<|>|/|'|\"|=|&|;|config|component|pv|name|\\PC){0,80}") {
        let reading = read_one(&text);
        prop_assert!(reading.tree.is_some() || !reading.findings.is_empty());
        for finding in &reading.findings {
            let source = &reading.sources[finding.origin.file].text;
            prop_assert!(source.get(finding.origin.span.clone()).is_some());
        }
    }

    #[test]
    fn any_names_and_texts_come_back(names in proptest::collection::vec("[^\\p{C}\\s/][^\\p{C}]{0,8}[^\\p{C}\\s]", 1..5), text in "[^\\p{C}\\s]([^\\p{C}\\r]{0,20}[^\\p{C}\\s])?") {
        let mut names = names;
        names.sort();
        names.dedup();
        let entries = names.iter().map(|name| format!("<pv name=\"{}\"><description>{}</description></pv>", quick_xml::escape::escape(name), quick_xml::escape::escape(&text)));
        let source = format!("<config name=\"X\">{}</config>", entries.collect::<String>());
        let reading = read_one(&source);
        prop_assert_eq!(shown(&reading), Vec::<String>::new());
        let tree = reading.tree.unwrap();
        let again = read_one(&write(&tree)).tree.unwrap();
        let strip = |tree: &crate::files::TreeFile| tree.items().iter().map(|(path, item)| format!("{path} {item:?}")).collect::<Vec<_>>();
        prop_assert_eq!(strip(&tree), strip(&again));
        prop_assert_eq!(tree.pv_count(), names.len());
    }
}
