//! Databases compared with recorded verdicts of a real IOC.
//!
//! `data/databases.jsonl`: one case per line; `verdict` is what `dbLoadRecords` and `iocBuild` of
//! EPICS base did with `text` (`lost`: without a word, part of it was not read; `crashed`: the IOC ended with a signal, which is refused here),
//! `records` what it had afterwards, `desc` the first DESC as the IOC dumps it.
//!
//! `record.py` in this folder records the answers anew.

use std::collections::BTreeMap;

use epicsdb::Severity;
use epicsdb::db;
use epicsdb::dbd::Dbd;
use epicsdb::macros::Macros;
use serde_json::Value;

#[test]
fn verdicts_are_those_of_the_ioc() {
    let files = BTreeMap::from([(
        "base.dbd".to_owned(),
        include_str!("data/base.dbd").to_owned(),
    )]);
    let dbd = Dbd::load(&files, "base.dbd", &[]);
    assert_eq!(dbd.diagnostics, []);
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in include_str!("data/databases.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        let macros = Macros::from_definitions(case["macros"].as_str().unwrap());
        let files = BTreeMap::from([("x.db".to_owned(), text.to_owned())]);
        let loaded = db::load(&files, "x.db", &[], &macros, Some(&dbd.dbd));
        let refused = loaded
            .diagnostics
            .iter()
            .any(|found| found.severity == Severity::Error);
        let verdict = case["verdict"].as_str().unwrap();
        compared += 1;
        if refused != (verdict != "accepted") {
            wrong.push(format!("{verdict}: {text}{:#?}", loaded.diagnostics));
        } else if let Some(records) = case["records"].as_array() {
            let named = |name: &str| loaded.database.record(name).is_some();
            let expected: Vec<&str> = records.iter().filter_map(|pair| pair[1].as_str()).collect();
            let count = records.iter().filter(|pair| pair[0] != "alias").count();
            if !expected.iter().all(|name| named(name))
                || loaded.database.records().count() != count
            {
                wrong.push(format!("records {records:?}: {text}{:#?}", loaded.database));
            }
            if let (Some(desc), Some(record)) =
                (case["desc"].as_str(), loaded.database.records().next())
            {
                let ours = record
                    .fields
                    .get("DESC")
                    .map(|setting| setting.value.as_str());
                if ours.map(escaped).as_deref() != Some(desc) {
                    wrong.push(format!("DESC {desc}: {text}{ours:?}"));
                }
            }
        }
    }
    assert!(compared > 400, "only {compared} cases");
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// As the IOC dumps a string: escapes of C for what is not printable ASCII.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | b'\'' => out.extend(['\\', char::from(byte)]),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}
