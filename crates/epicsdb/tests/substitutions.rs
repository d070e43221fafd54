//! Substitution files compared with what `msi` and `dbLoadTemplate` of EPICS base made of them.
//!
//! `data/substitutions.jsonl`: one case per line; every template was `[$(A=-)|$(B=-)|$(C=-)|$(P=-)]`,
//! `output` is one line of it for each load, `refused` says that the program complained about the
//! file.
//!
//! `record.py` in this folder records the answers anew.

use epicsdb::Severity;
use epicsdb::macros::{Environment, Expander, Macros};
use epicsdb::substitutions::{Reader, parse};
use serde_json::Value;

#[test]
fn loads_are_those_of_base() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in include_str!("data/substitutions.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        let (reader, outer) = match case["reader"].as_str() {
            Some("msi") => (Reader::Msi, Macros::new()),
            _ => (Reader::DbLoadTemplate, Macros::from_definitions("P=cmd")),
        };
        let read = parse("x.substitutions", text, reader, &Environment::new());
        let refused = read
            .diagnostics
            .iter()
            .any(|found| found.severity == Severity::Error);
        compared += 1;
        if refused != case["refused"].as_bool().unwrap() {
            wrong.push(format!("{case}\n{:#?}", read.diagnostics));
            continue;
        }
        let Some(expected) = case["output"].as_array().filter(|_| !refused) else {
            continue;
        };
        let ours: Vec<Value> = read
            .loads
            .iter()
            .map(|load| {
                assert_eq!(load.template, "t.template");
                let macros = load.macros(&outer);
                let mut expander = Expander::new(&macros).quiet();
                expander.expand("[$(A=-)|$(B=-)|$(C=-)|$(P=-)]").text.into()
            })
            .collect();
        if &ours != expected {
            wrong.push(format!("{case}\n{ours:?}"));
        }
    }
    assert!(compared > 100, "only {compared} cases");
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
