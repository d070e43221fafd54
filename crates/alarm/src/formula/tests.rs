//! What formulas come to, and what is said of those that are none.

use super::*;
use crate::text::Text;
use pretty_assertions::assert_eq;
use proptest::prelude::*;

fn pv(value: f64) -> Input {
    Input {
        value: Value::Number(value),
        severity: Severity::Ok,
        message: Text::Fixed(&"NO_ALARM"),
        seconds: 1000.5,
    }
}

fn calculate(text: &str, inputs: &[(&str, Input)]) -> Answer {
    let formula = Formula::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let values: Vec<Input> = formula
        .inputs()
        .iter()
        .map(|name| {
            let known = inputs.iter().find(|(known, _input)| known == name);
            known.map_or_else(Input::unknown, |(_known, input)| input.clone())
        })
        .collect();
    formula.evaluate(&values, &mut || 0.5)
}

#[test]
fn numbers() {
    let rows = [
        ("1 + 2 * 3", 7.0),
        // one level from left to right, also for powers
        ("2 * 3 ^ 2", 36.0),
        ("2 ^ 3 ^ 2", 64.0),
        ("10 - 4 - 3", 3.0),
        ("7 % 4", 3.0),
        ("-2 ^ 2", 4.0),
        ("!0 + !5", 1.0),
        ("- -3", 3.0),
        ("1.5e2 + .5", 150.5),
        ("1 < 2 == 1", 1.0),
        ("1 || 0 && 0", 0.0),
        ("0 && 0 || 1", 1.0),
        ("2 & 4", 1.0),
        ("1 > 2 ? 3 : 4 > 3 ? 5 : 6", 5.0),
        ("PI > 3 && E < 3", 1.0),
        ("min(3, 1, 2) + MAX(3, 1)", 4.0),
        ("rnd(10)", 5.0),
        ("round(-0.5)", 0.0),
        ("round(2.5)", 3.0),
        (
            "bitAND(6, 3) + bitOR(4, 1) + bitXOR(5, 1) + bitNOT(0)",
            10.0,
        ),
        ("bitLeftShift(1, 4) + bitRightShift(-8, 1)", 12.0),
        ("pow(2, 10) + hypot(3, 4) + atan2(0, 1)", 1029.0),
        ("strEqual(\"a\", 'a')", 0.0),
        ("strEqual(concat(\"a\", 1), \"a1.0\")", 1.0),
        ("\"2\" + 1", 3.0),
        ("1 / 0", f64::INFINITY),
    ];
    for (text, expected) in rows {
        assert_eq!(
            calculate(text, &[]).value,
            Value::Number(expected),
            "{text}"
        );
    }
}

#[test]
fn names_of_pvs() {
    let rows: [(&str, &[&str]); 7] = [
        ("A>1", &["A"]),
        (
            "SR:CURRENT > 10 && 'IOC-1:x.VAL' < `sim://sine` && SR:CURRENT < 500",
            &["SR:CURRENT", "IOC-1:x.VAL", "sim://sine"],
        ),
        ("a?b:c", &["a?b:c"][..0]),
        ("a ? b : c", &["a", "b", "c"]),
        ("2theta + 1", &["2theta"]),
        ("'E' + PI:x", &["E", "PI:x"]),
        ("min + 1", &["min"]),
    ];
    for (text, names) in rows {
        match Formula::parse(text) {
            Ok(formula) => assert_eq!(formula.inputs(), names, "{text}"),
            // `b:c` is the name of a PV: then there is no `:`
            Err(error) => assert_eq!((names.len(), error.at), (0, 5), "{text}"),
        }
    }
}

#[test]
fn filters() {
    let enables =
        |text: &str, inputs: &[(&str, Input)]| calculate(text, inputs).value.number() > 0.0;
    assert!(enables("A > 1", &[("A", pv(2.0))]));
    assert!(!enables("A > 1", &[("A", pv(1.0))]));
    // what is not connected is no number, and comparisons with it are false
    assert!(!enables("A > 1", &[]));
    assert!(!enables("A", &[]));
    assert!(!enables("A ? 1 : 1", &[]));
    assert!(!enables("max(A, 1)", &[]));
    assert!(enables("1 / 0", &[]));
    assert!(!enables("-1", &[]));
}

#[test]
fn alarms_and_times_of_inputs() {
    let mut bad = pv(3.0);
    bad.severity = Severity::Invalid;
    let inputs = [("A", pv(1.0)), ("B", bad)];
    assert_eq!(
        calculate("highestSeverity(A, B)", &inputs).value,
        Value::Text("INVALID".to_owned())
    );
    assert_eq!(
        calculate("timestamp(A)", &inputs).value,
        Value::Number(1000.5)
    );
    let raised = calculate("majorAlarm(B > 2, \"\")", &inputs);
    assert_eq!(
        (raised.severity, raised.value),
        (Severity::Major, Value::Number(1.0))
    );
    assert_eq!(
        calculate("minorAlarm(B > 5, \"\")", &inputs).severity,
        Severity::Ok
    );
    assert_eq!(
        calculate("majorAlarm(C > 2, \"\")", &inputs).severity,
        Severity::Ok
    );
    assert_eq!(
        calculate("majorAlarm(C, \"\")", &inputs).severity,
        Severity::Undefined
    );
}

#[test]
fn what_is_no_formula() {
    let rows = [
        ("", 0, "the formula is empty"),
        (
            "A >",
            3,
            "expected a number, a PV or `(`, but the formula ends here",
        ),
        ("A = 1", 2, "`=` is no operator"),
        ("(A", 2, "expected `)`, but the formula ends here"),
        ("A B", 2, "expected an operator or the end of the formula"),
        (
            "A ? 1",
            5,
            "expected `:` and what the formula is otherwise, but the formula ends here",
        ),
        ("'A", 0, "the name has no end: there is no second `'`"),
        ("\"A", 0, "the text has no end: there is no second `\"`"),
        ("'' > 1", 0, "a name of a PV is empty"),
        ("A > SR-1.VAL", 8, "`.` has no meaning in a formula"),
        ("foo(1)", 0, "there is no function `foo`"),
        ("ABS(1)", 0, "there is no function `ABS`"),
        (
            "1 + arraySum(A)",
            4,
            "`arraySum` works on arrays, which formulas of alarms do not have",
        ),
        (
            "imageValue(A)",
            0,
            "`imageValue` works on images, which formulas of alarms do not have",
        ),
        ("sin(1, 2)", 0, "`sin` takes one argument, here are 2"),
        ("pow(1)", 0, "`pow` takes 2 arguments, here are 1"),
        ("min()", 0, "`min` takes 1 argument or more, here are 0"),
        (
            "timestamp(1)",
            0,
            "`timestamp` takes a PV, not a calculation",
        ),
        (
            "A > 1)",
            5,
            "expected an operator or the end of the formula",
        ),
        ("sin(1", 5, "expected `,` or `)`, but the formula ends here"),
        ("A > ü", 4, "`ü` has no meaning in a formula"),
    ];
    for (text, at, message) in rows {
        let error = Formula::parse(text).unwrap_err();
        assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
    }
    assert_eq!(
        Formula::parse("ABS(1)").unwrap_err().hint.as_deref(),
        Some("did you mean `abs`?")
    );
    let deep = "(".repeat(5000);
    assert!(
        Formula::parse(&deep)
            .unwrap_err()
            .message
            .contains("levels")
    );
    let minus = "-".repeat(5000);
    assert!(
        Formula::parse(&minus)
            .unwrap_err()
            .message
            .contains("levels")
    );
    assert!(
        Formula::parse(&"1+".repeat(10_000))
            .unwrap_err()
            .message
            .contains("bytes")
    );
}

#[test]
fn what_begins_as_a_number_and_goes_on_as_a_name_ends() {
    for (text, at, length) in [(".5a", 0, 3), ("1 + 1.5a", 5, 3), (".5e3x:y + 1", 0, 7)] {
        let error = Formula::parse(text).unwrap_err();
        assert_eq!((error.at, error.length), (at, length), "{text}");
    }
    assert!(Formula::parse("2theta > 1").is_ok());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in "\\PC{0,60}") {
        if let Err(error) = Formula::parse(&text) {
            prop_assert!(error.at + error.length <= text.len());
            prop_assert!(text.is_char_boundary(error.at) && text.is_char_boundary(error.at + error.length));
        }
    }

    #[test]
    fn any_words_are_read_or_refused(words in proptest::collection::vec(prop_oneof![
        Just("A"), Just("1"), Just("("), Just(")"), Just("+"), Just("-"), Just("&&"), Just("?"), Just(":"), Just(","), Just("min"), Just("sin"), Just("'x y'"), Just("!"), Just("<="), Just("\"t\"")
    ], 0..25)) {
        let text = words.join(" ");
        match Formula::parse(&text) {
            Ok(formula) => {
                let inputs = vec![pv(2.0); formula.inputs().len()];
                formula.evaluate(&inputs, &mut || 0.5);
            }
            Err(error) => prop_assert!(error.at <= text.len()),
        }
    }
}
