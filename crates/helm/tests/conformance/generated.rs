//! Values that are generated, through the functions that read and write them, in both engines.
//!
//! All values are in one chart, so that one run of helm compares them all. `SEED` chooses others.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use crate::run::{binary, ours, theirs};

const COUNT: usize = 150;

/// None of these can fail; each result becomes one line of JSON.
const EXPRESSIONS: &[&str] = &[
    "toYaml $v",
    "toJson $v",
    "toPrettyJson $v",
    "toYamlPretty $v",
    "quote $v",
    "printf \"%v\" $v",
    "typeOf $v",
    "toString $v | b64enc",
    "list $v | join \",\" | upper",
    "fromJson (toJson (dict \"k\" $v))",
    "fromYaml (toYaml (dict \"k\" $v))",
    "toString $v | fromYaml",
    "toString $v | title | trunc 20",
    "int $v",
    "float64 $v",
    "empty $v",
    "toString $v | snakecase",
    "toString $v | kebabcase",
    "toString $v | wrap 10",
    "toString $v | splitList \" \"",
    "toString $v | regexReplaceAll \"[^a-z0-9]+\" \"-\"",
    "toString $v | urlquery",
    "toString $v | html",
    "toString $v | js",
];

fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "",
        " ",
        "~",
        "null",
        "true",
        "yes",
        "off",
        "0",
        "007",
        "0x1F",
        "1e3",
        "1_000",
        ".5",
        "-",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "{a",
        "[a",
        "a]",
        "a,b",
        "'a'",
        "\"a\"",
        "a\\b",
        "a\nb",
        "a\n\n b\n",
        "\n",
        " a\nb",
        "a\tb",
        "2001-01-01",
        "1:30",
        "12:30:45",
        "=",
        "<<",
        "é",
        "日本",
        "😀",
        "\u{7}",
        "\u{a0}",
        "\u{2028}",
        "<no value>",
        "a b c d e f g",
        "FooBarBaz",
        "foo_bar-baz qux",
        "HTTPServer2",
        "$1 ${2}",
    ]);
    prop_oneof![
        odd.prop_map(str::to_owned),
        "[ -~]{0,30}",
        "[a-z]{1,8}( [a-z]{1,12}){0,20}",
        "[ -~\\n\\té日😀]{0,20}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1000i64..1000).prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        (-1e9f64..1e9).prop_map(|number| Value::from((number * 100.0).round() / 100.0)),
        text().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn generated(seed: u8) -> Vec<Value> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = value();
    (0..COUNT)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// Generated values give the same in both engines.
#[test]
fn generated_values_are_as_in_helm() {
    let Some(binary) = binary() else { return };
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    let values = generated(seed);
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("chart");
    fs_err::create_dir_all(chart.join("templates")).unwrap();
    fs_err::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: t\nversion: 1.0.0\n",
    )
    .unwrap();
    let file = serde_json::json!({ "values": values });
    fs_err::write(chart.join("values.yaml"), file.to_string()).unwrap();
    let mut template = String::from("{{- range $i, $v := .Values.values }}\n");
    for (number, expression) in EXPRESSIONS.iter().enumerate() {
        let _ = writeln!(
            template,
            "v{{{{ $i }}}}-{number}: {{{{ {expression} | toJson | quote }}}}"
        );
    }
    template.push_str("{{- end }}\n");
    fs_err::write(chart.join("templates/a.yaml"), template).unwrap();
    let (theirs, ours) = (
        theirs(&binary, &[], folder.path()).unwrap(),
        ours(&[], folder.path()).unwrap(),
    );
    let different: Vec<String> = theirs
        .lines()
        .zip(ours.lines())
        .filter(|(wanted, found)| wanted != found)
        .map(|(wanted, found)| {
            let key = wanted.split(':').next().unwrap_or_default();
            let mut numbers = key.trim_start_matches('v').split('-');
            let mut number = || numbers.next().and_then(|number| number.parse().ok());
            let value = number().and_then(|at: usize| values.get(at));
            let expression = number().and_then(|at: usize| EXPRESSIONS.get(at));
            format!("{expression:?} of {value:?}\n  helm {wanted}\n  ours {found}")
        })
        .collect();
    assert!(
        different.is_empty(),
        "{} of {} are not as in helm (SEED={seed})\n{}",
        different.len(),
        COUNT * EXPRESSIONS.len(),
        different.join("\n")
    );
    assert_eq!(theirs, ours);
}
