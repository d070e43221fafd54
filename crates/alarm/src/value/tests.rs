//! Texts of values as Phoebus prints them.

use super::*;
use pretty_assertions::assert_eq;

fn array(elements: Elements, severity: Severity, status: &str, time: Time) -> Value {
    Value::Array(Arc::new(Array {
        elements,
        severity,
        status: status.into(),
        time,
    }))
}

#[test]
fn scalars() {
    let rows: [(Value, Option<&str>, Option<f64>); 9] = [
        (Value::Null, None, None),
        (Value::Text("a \"b\"".into()), Some("a \"b\""), None),
        (Value::Double(95.0), Some("95.0"), Some(95.0)),
        (Value::Float(0.1), Some("0.1"), Some(f64::from(0.1_f32))),
        (Value::Whole(-5), Some("-5"), Some(-5.0)),
        (
            Value::Enumeration {
                index: 2,
                label: "Ünïcode".into(),
            },
            Some("Ünïcode"),
            Some(2.0),
        ),
        (
            Value::Enumeration {
                index: 1,
                label: "".into(),
            },
            Some(""),
            Some(1.0),
        ),
        (
            Value::Double(f64::NEG_INFINITY),
            Some("-Infinity"),
            Some(f64::NEG_INFINITY),
        ),
        (Value::Double(1e-7), Some("1.0E-7"), Some(1e-7)),
    ];
    for (value, text, number) in rows {
        assert_eq!(value.text().as_deref(), text);
        assert_eq!(value.number(), number);
    }
    assert_eq!(Value::Double(2.0), Value::from("2.0"));
    assert_ne!(Value::Null, Value::from("null"));
    assert_eq!(Value::Null.to_string(), "null");
}

#[test]
fn arrays() {
    // the first two are recorded (trace 09-names-and-types); the layout of the others is that of the same classes
    let at = Time::new(1_795_326_313, 489_452_167);
    let rows = [
        (
            array(
                Elements::Doubles(Box::new([1.5, 2.0, -3e20, 1e-7, 0.0])),
                Severity::Ok,
                "NO_ALARM",
                at,
            ),
            "VDoubleArray[[1.5, 2.0, -3.0E20, 1.0E-7, 0.0], size [5], NONE(NONE) - NO_ALARM, 2026-11-22T05:45:13.489452167Z]",
            Some(1.5),
        ),
        (
            array(
                Elements::Bytes(Box::new([116, 0, -1])),
                Severity::Ok,
                "NO_ALARM",
                at,
            ),
            "VByteArray[[116, 0, -1], size [3], NONE(NONE) - NO_ALARM, 2026-11-22T05:45:13.489452167Z]",
            Some(116.0),
        ),
        (
            array(
                Elements::Floats(Box::new([0.1])),
                Severity::Major,
                "READ_ALARM",
                Time::new(0, 0),
            ),
            "VFloatArray[[0.1], size [1], MAJOR(NONE) - READ_ALARM, 1970-01-01T00:00:00Z]",
            Some(f64::from(0.1_f32)),
        ),
        (
            array(
                Elements::Longs(Box::new([])),
                Severity::Invalid,
                "UDF_ALARM",
                Time::new(0, 5_000_000),
            ),
            "VIntArray[[], size [0], INVALID(NONE) - UDF_ALARM, 1970-01-01T00:00:00.005Z]",
            None,
        ),
        (
            array(
                Elements::Shorts(Box::new([7])),
                Severity::Minor,
                "HIGH_ALARM",
                Time::new(1, 5_000),
            ),
            "VShortArray[[7], size [1], MINOR(NONE) - HIGH_ALARM, 1970-01-01T00:00:01.000005Z]",
            Some(7.0),
        ),
        (
            array(
                Elements::Texts(Box::new(["a".into(), "b, c".into()])),
                Severity::Ok,
                "NO_ALARM",
                Time::new(60, 0),
            ),
            "VStringArray[[a, b, c], size [2], NONE(NONE) - NO_ALARM, 1970-01-01T00:01:00Z]",
            None,
        ),
    ];
    for (value, text, number) in rows {
        assert_eq!(value.text().as_deref(), Some(text));
        assert_eq!(value.number(), number);
    }
}
