use super::*;
use proptest::prelude::*;

fn set(expressions: &[&str]) -> String {
    let mut values = Values::new();
    for expression in expressions {
        values = match values.set(expression) {
            Ok(values) => values,
            Err(error) => return error.to_string(),
        };
    }
    yaml::to_yaml(&values.into_value())
}

#[test]
fn set_expressions_follow_helm() {
    for (expression, expected) in [
        ("a=1", "a: 1\n"),
        ("a.b=x,c=true", "a:\n  b: x\nc: true\n"),
        ("a={x,1,true}", "a:\n- x\n- 1\n- true\n"),
        ("a[1].b=x", "a:\n- null\n- b: x\n"),
        ("a[0][1]=x", "a:\n- - null\n  - x\n"),
        ("a=0755", "a: \"0755\"\n"),
        ("a=null", "a: null\n"),
        ("a\\.b=x", "a.b: x\n"),
        ("a=x\\,y", "a: x,y\n"),
        ("a=", "a: \"\"\n"),
        ("a={}", "a:\n- \"\"\n"),
    ] {
        assert_eq!(set(&[expression]), expected, "{expression}");
    }
}

#[test]
fn bad_set_expressions_say_why() {
    for (expression, expected) in [
        ("a", "failed parsing --set data: key \"a\" has no value"),
        (
            "a,b=1",
            "failed parsing --set data: key \"a\" has no value (cannot end with ,)",
        ),
        (
            "a={x",
            "failed parsing --set data: list must terminate with '}'",
        ),
        (
            "a[99999999]=1",
            "failed parsing --set data: index of 99999999 is greater than \
             maximum supported index of 65536",
        ),
    ] {
        assert_eq!(set(&[expression]), expected, "{expression}");
    }
}

#[test]
fn later_layers_win() {
    let merged = Values::new()
        .file("a", "x: {a: 1, b: [1, 2]}\nz: 1\n---\nz: 2\n")
        .and_then(|values| values.file("b", "x: {b: [3], c: 4}"))
        .and_then(|values| values.set_json("x.d={\"e\": [1]}"))
        .and_then(|values| values.set_string("x.a=7"))
        .map(|values| yaml::to_yaml(&values.into_value()));
    let expected = "x:\n  a: \"7\"\n  b:\n  - 3\n  c: 4\n  d:\n    e:\n    - 1\nz: 2\n";
    assert_eq!(merged.unwrap(), expected);
}

#[test]
fn file_errors_have_the_line_of_the_file() {
    let error = Values::new()
        .file("v.yaml", "a: 1\n---\nb:\n\tc: 1\n")
        .unwrap_err();
    let ValuesError::File { source, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(source.line, 4);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-1000i32..1000).prop_map(|number| Value::Float(f64::from(number))),
        "[a-z]{0,4}".prop_map(|text| text.as_str().into()),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|entries| {
                Value::Map(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.into(), value))
                        .collect(),
                )
            }),
        ]
    })
}

fn any_entries() -> impl Strategy<Value = BTreeMap<Arc<str>, Value>> {
    prop::collection::btree_map("[a-d]", any_value(), 0..4)
        .prop_map(|entries| entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
}

proptest! {
    #[test]
    fn merging_with_itself_or_nothing_changes_nothing(entries in any_entries()) {
        let mut merged = entries.clone();
        merge_entries(&mut merged, entries.clone());
        prop_assert_eq!(&merged, &entries);
        merge_entries(&mut merged, BTreeMap::new());
        prop_assert_eq!(&merged, &entries);
    }

    #[test]
    fn merging_a_layer_twice_is_merging_it_once(one in any_entries(), two in any_entries()) {
        let mut once = one;
        merge_entries(&mut once, two.clone());
        let mut twice = once.clone();
        merge_entries(&mut twice, two);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn every_leaf_of_the_later_layer_survives(one in any_entries(), two in any_entries()) {
        fn check(later: &Value, merged: Option<&Value>) -> bool {
            match later {
                Value::Map(entries) => entries.iter().all(|(key, value)| {
                    check(value, merged.and_then(|merged| merged.get(key)))
                }),
                leaf => merged == Some(leaf),
            }
        }
        let mut merged = one;
        merge_entries(&mut merged, two.clone());
        prop_assert!(check(&Value::Map(two), Some(&Value::Map(merged))));
    }

    #[test]
    fn set_never_panics(expression in "[a-c.=,{}\\[\\]0-9\\\\ \"]{0,24}") {
        let _ = Values::new().set(&expression);
        let _ = Values::new().set_json(&expression);
        let _ = Values::new().set_literal(&expression);
    }
}
