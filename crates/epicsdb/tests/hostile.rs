//! Any input ends in a report: no panic, no endless work, and places that exist.

use std::collections::BTreeMap;

use epicsdb::db;
use epicsdb::dbd::Dbd;
use epicsdb::macros::{Environment, Expander, Macros, parse_definitions};
use epicsdb::startup::scan;
use epicsdb::substitutions::{Reader, parse};
use epicsdb::{Diagnostic, check_ioc};
use proptest::prelude::*;

/// Text made of words that mean something to one of the parsers, and of anything else.
fn text() -> impl Strategy<Value = String> {
    let words = proptest::sample::select(vec![
        "record",
        "grecord",
        "field",
        "info",
        "alias",
        "include",
        "menu",
        "choice",
        "recordtype",
        "device",
        "breaktable",
        "path",
        "variable",
        "file",
        "pattern",
        "global",
        "(",
        ")",
        "{",
        "}",
        ",",
        "=",
        "\"",
        "'",
        "\\",
        "#",
        "%",
        "\n",
        " ",
        "\t",
        "\0",
        "$(",
        "${",
        "$(P)",
        "$(U=",
        "[",
        "]",
        ":",
        "@",
        "<",
        ">",
        "*",
        "ai",
        "calc",
        "DESC",
        "INP",
        "SCAN",
        "DTYP",
        "CALC",
        "HIHI",
        "A",
        "B",
        "P",
        "1",
        "0x1F",
        "1e5",
        "-",
        ".",
        "x.db",
        "x.cmd",
        "s.sub",
        "x.dbd",
        "é",
        "\u{7f}",
        "dbLoadRecords",
        "dbLoadTemplate",
        "dbLoadDatabase",
        "iocshLoad",
        "iocInit",
        "epicsEnvSet",
        "cd",
        "iocshCmd",
        "exit",
        "null",
        "DBF_LONG",
        "DBF_STRING",
        "size",
        "prompt",
        "INST_IO",
        "A?B:C",
        "MAX(",
        ":=",
        "{const:5}",
        "{const:",
        "#C0 S0 @x",
        "\r\n",
        "/",
        "..",
    ]);
    let words = words.prop_map(str::to_owned);
    let piece =
        prop_oneof![8 => words, 1 => "\\PC{0,3}", 1 => any::<char>().prop_map(String::from)];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

#[expect(
    clippy::panic,
    reason = "a place that does not exist must fail the test"
)]
fn places_exist(files: &BTreeMap<String, String>, diagnostics: &[Diagnostic]) {
    for found in diagnostics {
        assert!(!found.message.is_empty());
        let Some(text) = files.get(&*found.span.file) else {
            continue;
        };
        let line = found.span.line as usize;
        let text = text.split('\n').nth(line - 1);
        let Some(text) = text else {
            panic!("{found:?} is behind the end")
        };
        let width = text.chars().count();
        let end = (found.span.column - 1 + found.span.length) as usize;
        assert!(end <= width, "{found:?} in {width} columns");
    }
}

proptest! {


    #[test]
    fn macros_are_expanded_or_reported(definitions in text(), input in text()) {
        let _ = parse_definitions(&definitions);
        let macros = Macros::from_definitions(&definitions);
        let environment = Environment::from([("E".to_owned(), definitions.clone())]);
        for mut expander in [
            Expander::new(&macros),
            Expander::new(&macros).quiet(),
            Expander::new(&macros).with_environment(&environment),
        ] {
            let expansion = expander.expand(&input);
            prop_assert_eq!(expansion.text.len(), expansion.origin.len());
            for &origin in &expansion.origin {
                prop_assert!((origin as usize) < input.len().max(1));
            }
            for problem in &expansion.problems {
                prop_assert!(problem.start <= problem.end && problem.end <= input.len());
            }
        }
    }

    #[test]
    fn text_without_macros_stays_as_it_is(input in "[^$]{0,80}") {
        let expansion = Macros::new().expand(&input);
        prop_assert_eq!(expansion.text, input);
        prop_assert!(expansion.problems.is_empty());
    }

    #[test]
    fn databases_and_definitions_are_read_or_refused(first in text(), second in text()) {
        let files = BTreeMap::from([("x.dbd".to_owned(), first), ("x.db".to_owned(), second)]);
        let dbd = Dbd::load(&files, "x.dbd", &[]);
        places_exist(&files, &dbd.diagnostics);
        let macros = Macros::from_definitions("P=x,B=$(P)");
        for dbd in [None, Some(&dbd.dbd)] {
            places_exist(&files, &db::load(&files, "x.db", &["."], &macros, dbd).diagnostics);
        }
    }

    #[test]
    fn fields_are_checked_whatever_they_hold(value in text(), name in "[A-Z]{1,4}") {
        let dbd = Dbd::load(
            &BTreeMap::from([("b.dbd".to_owned(), DEFINITIONS.to_owned())]), "b.dbd", &[]).dbd;
        let quoted = value.replace(['\\', '"', '\n', '\r', '\t', '\0'], "");
        let text = format!(
            "record(r, \"A\") {{\nfield(CALC, \"{quoted}\")\nfield(INP, \"{quoted}\")\nfield(NUM, \"{quoted}\")\n\
             field(DBL, \"{quoted}\")\nfield(MEN, \"{quoted}\")\nfield({name}, {value})\n}}\n"
        );
        let files = BTreeMap::from([("x.db".to_owned(), text)]);
        let loaded = db::load(&files, "x.db", &[], &Macros::new(), Some(&dbd));
        places_exist(&files, &loaded.diagnostics);
    }

    #[test]
    fn substitution_files_are_read_or_refused(input in text()) {
        let files = BTreeMap::from([("s.sub".to_owned(), input)]);
        for reader in [Reader::Msi, Reader::DbLoadTemplate] {
            let read = parse("s.sub", &files["s.sub"], reader, &Environment::new());
            places_exist(&files, &read.diagnostics);
        }
    }

    #[test]
    fn scripts_are_followed_to_their_end(script in text(), called in text(), db in text(), sub in text()) {
        let lines = script + "\ndbLoadRecords x.db P=1\ndbLoadTemplate s.sub\niocshLoad x.cmd P=2\n";
        let files = BTreeMap::from([
            ("st.cmd".to_owned(), lines),
            ("x.cmd".to_owned(), called),
            ("x.db".to_owned(), db),
            ("s.sub".to_owned(), sub),
        ]);
        let startup = scan(&files, "st.cmd", &Environment::new());
        places_exist(&files, &startup.diagnostics);
        let report = check_ioc(&files, "st.cmd", &Environment::new(), None);
        places_exist(&files, &report.diagnostics);
    }
}

const DEFINITIONS: &str = r#"
menu(m) { choice(a, "one") choice(b, "two") }
recordtype(r) {
    field(NAME, DBF_STRING) { size(61) }
    field(CALC, DBF_STRING) { size(160) special(SPC_CALC) }
    field(INP, DBF_INLINK) { prompt("input") }
    field(NUM, DBF_SHORT) { prompt("number") }
    field(DBL, DBF_DOUBLE) { prompt("number") }
    field(MEN, DBF_MENU) { menu(m) }
    field(DTYP, DBF_DEVICE) { prompt("type") }
}
device(r, INST_IO, devX, "X")
"#;
