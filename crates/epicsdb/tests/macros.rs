//! Macro expansion compared with recorded answers of EPICS base's own library.
//!
//! `data/macros.jsonl`: one case per line; `pairs` is what `macParseDefns` made of `definitions`,
//! `output` and `length` what `macExpandString` made of `input` (1024 bytes of room, negative
//! length for failure, `quiet` for `macSuppressWarning`). `endless` marks texts on which the
//! library does not return.
//!
//! `record.py` in this folder records the answers anew.

use epicsdb::macros::{Expander, MacroProblemKind, Macros, parse_definitions};
use serde_json::Value;

#[expect(clippy::unwrap_used, reason = "a broken table must fail the test")]
fn cases() -> impl Iterator<Item = Value> {
    include_str!("data/macros.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

#[test]
fn definitions_are_split_as_maclib_splits_them() {
    let mut compared = 0;
    for case in cases() {
        let Some(pairs) = case["pairs"].as_array() else {
            continue;
        };
        let ours: Vec<Value> = parse_definitions(case["definitions"].as_str().unwrap())
            .into_iter()
            .map(|definition| serde_json::json!([definition.name, definition.value]))
            .collect();
        assert_eq!(&ours, pairs, "{}", case["definitions"]);
        compared += 1;
    }
    assert!(compared > 700, "only {compared} cases");
}

#[test]
fn text_is_expanded_as_maclib_expands_it() {
    let mut compared = 0;
    for case in cases() {
        let macros = Macros::from_definitions(case["definitions"].as_str().unwrap());
        let mut expander = Expander::new(&macros);
        if case["quiet"] == true {
            expander = expander.quiet();
        }
        let input = case["input"].as_str().unwrap();
        let expansion = expander.expand(input);
        assert_eq!(expansion.text.len(), expansion.origin.len());
        if case["endless"] == true {
            let unclosed = |p: &epicsdb::macros::MacroProblem| p.kind == MacroProblemKind::Unclosed;
            let values = expander.expand("$(A)$(B)$(C)");
            let mut problems = expansion.problems.iter().chain(&values.problems);
            assert!(problems.any(unclosed), "{case}");
            continue;
        }
        let mut text = expansion.text.clone();
        text.truncate(1023);
        assert_eq!(text, case["output"].as_str().unwrap(), "{case}");
        // the length of an empty result cannot be negative: it tells nothing
        let length = case["length"].as_i64().unwrap();
        if length != 0 {
            assert_eq!(expansion.failed(), length < 0, "{case}\n{expansion:?}");
        }
        compared += 1;
    }
    assert!(compared > 700, "only {compared} cases");
}
