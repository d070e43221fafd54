use super::*;

fn yaml(text: &str) -> String {
    match parse(text) {
        Ok(value) => to_yaml(&value),
        Err(error) => format!("ERROR {}", error.helm_text()),
    }
}

#[test]
fn scalars_are_those_of_helm() {
    for (text, expected) in [
        ("a: yes", "a: true\n"),
        ("a: 0755", "a: 493\n"),
        ("a: 1_000", "a: 1000\n"),
        ("a: 0o17", "a: 15\n"),
        ("a: 089", "a: 89\n"),
        ("a: 12345678901234567890", "a: 12345678901234567000\n"),
        ("a: 1.0", "a: 1\n"),
        ("a: 1e3", "a: 1000\n"),
        ("a: \"yes\"", "a: \"yes\"\n"),
        ("a: 2001-01-01", "a: \"2001-01-01\"\n"),
        ("a: !!str 1", "a: \"1\"\n"),
        ("1: a", "\"1\": a\n"),
        ("a: '- b'", "a: '- b'\n"),
        ("a: |\n  x\n  y\n", "a: |\n  x\n  y\n"),
        ("a: [1, {b: c}]", "a:\n- 1\n- b: c\n"),
        ("a: []\nb: {}\n", "a: []\nb: {}\n"),
        (
            "x: &x {a: 1}\nz:\n  <<: *x\n  b: 2\n",
            "x:\n  a: 1\nz:\n  a: 1\n  b: 2\n",
        ),
        ("a10: 1\na9: 2\n", "a9: 2\na10: 1\n"),
        ("- - a\n  - b\n", "- - a\n  - b\n"),
    ] {
        assert_eq!(yaml(text), expected, "{text}");
    }
}

#[test]
fn problems_have_a_place() {
    for (text, line, column, helm) in [
        (
            "a: b: c",
            1,
            5,
            "yaml: mapping values are not allowed in this context",
        ),
        (
            "a: 1\nb:\n\tc: 1",
            3,
            1,
            "yaml: line 3: found character that cannot start any token",
        ),
        (
            "a: [1\nb: 2\n",
            2,
            2,
            "yaml: line 1: did not find expected ',' or ']'",
        ),
        ("a: *x", 1, 4, "yaml: unknown anchor 'x' referenced"),
        ("a: \"x", 1, 6, "yaml: found unexpected end of stream"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(
            (error.line, error.column, error.helm_text().as_str()),
            (line, column, helm)
        );
    }
}

#[test]
fn duplicate_keys_are_refused_where_that_is_wanted() {
    assert_eq!(
        parse("a: 1\na: 2").unwrap().get("a"),
        Some(&Value::Float(2.0))
    );
    let error = parse_strict("x: 1\na: 1\na: 2").unwrap_err();
    assert_eq!(
        (error.line, error.message.as_str()),
        (3, "key \"a\" already set in map")
    );
}

#[test]
fn bombs_are_refused() {
    use std::fmt::Write as _;

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let refs = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{refs}]").unwrap();
    }
    assert_eq!(
        parse(&bomb).unwrap_err().message,
        "document contains excessive aliasing"
    );
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse(&"- ".repeat(100_000)).is_err());
    assert!(
        parse("a: &a [*a]")
            .unwrap_err()
            .message
            .contains("value contains itself")
    );
}

proptest::proptest! {
    #[test]
    fn reading_never_panics(text in "[-a-c:,#&*!|>'\"%@`{}\\[\\]?~<0-9\\\\ \n\t]{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn what_is_written_reads_back(texts in proptest::collection::vec("\\PC{0,12}|[ \n\ta#:-]{0,8}", 1..5)) {
        let list = Value::List(texts.iter().map(|text| text.as_str().into()).collect());
        let writable = !texts.iter().any(|text| {
            is_unwritable(text) || text.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'])
        });
        if writable {
            proptest::prop_assert_eq!(parse(&to_yaml(&list)).unwrap(), list);
        }
    }
}

/// Inputs that the fuzz target `yaml` has found.
#[test]
fn what_was_found_by_fuzzing_is_read_and_written() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/yaml");
    let mut count = 0;
    for entry in fs_err::read_dir(folder).unwrap() {
        let text = fs_err::read_to_string(entry.unwrap().path()).unwrap();
        if let Ok(value) = parse(&text) {
            assert_eq!(parse(&to_yaml(&value)), Ok(value), "{text}");
        }
        count += 1;
    }
    assert!(count > 0);
}
