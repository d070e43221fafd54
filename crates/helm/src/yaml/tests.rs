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
