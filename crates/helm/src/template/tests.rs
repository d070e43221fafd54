use std::sync::Arc;

use proptest::prelude::*;

use super::exec::{Evaluated, Runtime, execute};
use super::parser::parse;
use super::set::TemplateSet;
use crate::go::text::Text;
use crate::go::value::Value;
use crate::limits::Limits;

fn run(source: &str, limits: Limits) -> Result<String, String> {
    let file: Arc<str> = "t".into();
    let parsed = parse(&source.into()).map_err(|error| error.go_text(&file))?;
    let mut set = TemplateSet::default();
    set.add(&file, &parsed);
    let runtime = Runtime::new(limits, jiff::Zoned::now());
    let data = Evaluated::bare(Value::map(std::collections::BTreeMap::new()));
    execute(&runtime, &set, &Text::from("t"), &data)
        .map(|out| String::from_utf8_lossy(&out).into_owned())
        .map_err(|error| error.go_text())
}

#[test]
fn runaway_templates_end() {
    let limits = Limits {
        output_bytes: 1000,
        steps: 1000,
        include_depth: 20,
        nesting: 50,
        ..Limits::default()
    };
    for (source, message) in [
        ("{{ range until 5000 }}{{ end }}", "more than 1000 steps"),
        (
            "{{ range until 200 }}0123456789{{ end }}",
            "more than 1000 bytes of output",
        ),
        (
            "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
            "maximum template depth",
        ),
        (
            "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}",
            "nested reference name: a",
        ),
        (
            "{{ define \"a\" }}{{ tpl \"{{ include `a` . }}\" . }}{{ end }}{{ include \"a\" . }}",
            "",
        ),
        (
            "{{ repeat 1000000000 \"abcdefgh\" }}",
            "Repeat output length overflow",
        ),
        ("{{ until 2000000000 }}", "more than 1000000 numbers"),
    ] {
        let error = run(source, limits).unwrap_err();
        assert!(error.contains(message), "{source}: {error}");
    }
}

/// What a few nodes can make functions do.
#[test]
fn costly_calls_end() {
    let limits = Limits {
        output_bytes: 1_000_000,
        steps: 400_000,
        memory_bytes: 50_000_000,
        ..Limits::default()
    };
    let cyclic = "{{ $d := dict }}{{ $_ := set $d \"self\" $d }}";
    let wide = "{{ $d := dict }}{{ range until 60 }}{{ $d = dict \"a\" $d \"b\" $d }}{{ end }}";
    let long = "{{ $s := repeat 1000000 \"x\" }}";
    let values = "more than";
    let steps = "more than";
    for (source, message) in [
        (
            "{{ $s := \"x\" }}{{ range until 60 }}{{ $s = print $s $s }}{{ end }}".to_owned(),
            values,
        ),
        (format!("{cyclic}{{{{ toYaml $d }}}}"), "contains itself"),
        (format!("{cyclic}{{{{ toJson $d }}}}"), "contains itself"),
        (format!("{cyclic}{{{{ $d }}}}"), "contains itself"),
        (
            format!("{cyclic}{{{{ printf \"%v\" $d }}}}"),
            "contains itself",
        ),
        (format!("{cyclic}{{{{ deepCopy $d }}}}"), "contains itself"),
        (
            format!("{cyclic}{{{{ merge (dict) $d }}}}"),
            "contains itself",
        ),
        (format!("{cyclic}{{{{ eq $d 1 }}}}"), "contains itself"),
        (format!("{wide}{{{{ toJson $d }}}}"), values),
        (format!("{wide}{{{{ $d | quote }}}}"), values),
        (format!("{long}{{{{ replace \"x\" $s $s }}}}"), values),
        (format!("{long}{{{{ join $s (until 1000) }}}}"), values),
        (format!("{long}{{{{ splitList \"\" $s }}}}"), values),
        (
            format!(
                "{long}{{{{ regexReplaceAll \"x\" $s \"$0yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\" }}}}"
            ),
            values,
        ),
        (
            format!("{long}{{{{ regexMatch \"(a{{100}}){{90}}\" $s }}}}"),
            "",
        ),
        (
            format!("{long}{{{{ range until 1000 }}}}{{{{ $_ := sha512sum $s }}}}{{{{ end }}}}"),
            steps,
        ),
        (
            "{{ range until 100 }}{{ $_ := until 100000 }}{{ end }}".to_owned(),
            values,
        ),
        ("{{ uniq (until 10000) }}".to_owned(), steps),
        ("{{ indent 60000000 \"a\" }}".to_owned(), values),
        (
            "{{ printf \"%1000000d\" 1 }}{{ printf \"%1000000d\" 1 }}".to_owned(),
            "bytes of output",
        ),
        (
            "{{ range until 9 }}{{ $_ := bcrypt \"a\" }}{{ end }}".to_owned(),
            steps,
        ),
        (format!("{long}{{{{ tpl $s . }}}}"), steps),
    ] {
        let error = run(&source, limits).unwrap_err();
        assert!(error.contains(message), "{source}: {error}");
    }
}

/// Dropping a value must not need a stack as deep as the value.
#[test]
fn deeply_nested_values_go_away() {
    for source in [
        "{{ $d := dict }}{{ range until 100000 }}{{ $d = dict \"a\" $d }}{{ end }}",
        "{{ $d := list }}{{ range until 100000 }}{{ $d = list $d }}{{ end }}",
    ] {
        assert_eq!(run(source, Limits::default()).unwrap(), "");
    }
}

#[test]
fn deeply_nested_source_is_refused() {
    let deep = "(".repeat(100_000);
    assert!(parse(&format!("{{{{ {deep}").into()).is_err());
    let ifs = "{{ if true }}".repeat(100_000);
    assert!(parse(&ifs.into()).is_err());
    let allowed = format!(
        "{}x{}",
        "{{ if true }}".repeat(200),
        "{{ end }}".repeat(200)
    );
    assert_eq!(run(&allowed, Limits::default()).unwrap(), "x");
}

/// Pieces of templates, so that what is put together gets past the lexer often enough.
fn template_source() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{",
        "}}",
        "{{- ",
        " -}}",
        "if ",
        "else ",
        "end",
        "range ",
        "with ",
        "define \"a\"",
        "template \"a\" .",
        "include \"a\" .",
        "block \"b\" .",
        "break",
        "continue",
        "$x",
        ":=",
        "=",
        ".",
        ".a.b",
        "(",
        ")",
        "|",
        "\"s\"",
        "`r`",
        "'c'",
        "1",
        "-2.5e3",
        "0x1F",
        "true",
        "nil",
        "add ",
        "list ",
        "dict ",
        "printf \"%d %s\" ",
        "upper ",
        "/* c */",
        " ",
        "\n",
        "text",
        "é",
        "\\",
        "until 3 ",
        "toYaml ",
        "index ",
        "tpl ",
        ",",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn parsing_and_executing_never_panic(source in template_source()) {
        let limits = Limits { steps: 2000, nesting: 60, include_depth: 10, ..Limits::default() };
        let _ = run(&source, limits);
    }

    #[test]
    fn any_text_can_be_parsed_or_refused(source in "\\PC{0,40}") {
        let _ = parse(&source.as_str().into());
        let _ = parse(&format!("{{{{ {source} }}}}").into());
    }

    #[test]
    fn text_without_actions_is_copied(source in "[a-z \n}|]{0,60}") {
        prop_assert_eq!(run(&source, Limits::default()).unwrap(), source);
    }
}
