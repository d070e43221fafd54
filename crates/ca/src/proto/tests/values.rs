//! Values, their properties and how they are shown.

use pretty_assertions::assert_eq;

use super::super::*;
use super::bytes;

fn sample(data_type: DataType, count: u32, scalar: bool, value: &str) -> Result<Sample, Error> {
    let payload = bytes(&format!("0004 0001 3b9aca00 000001f4 {value}"));
    decode_sample(data_type, count, scalar, &payload)
}

#[test]
fn samples_of_every_type() {
    let text = |length: usize| format!("{}{}", "41".repeat(length), "00".repeat(40 - length));
    let cases = [
        (
            DataType::String,
            1,
            true,
            text(3),
            Value::String("AAA".to_owned()),
        ),
        (
            DataType::String,
            1,
            true,
            text(39),
            Value::String("A".repeat(39)),
        ),
        // rsrv sends only as much of a string as there is
        (
            DataType::String,
            1,
            true,
            "4100000000000000".to_owned(),
            Value::String("A".to_owned()),
        ),
        (
            DataType::String,
            1,
            true,
            "c2b0430000000000".to_owned(),
            Value::String("°C".to_owned()),
        ),
        (
            DataType::String,
            1,
            true,
            "b043000000000000".to_owned(),
            Value::String("°C".to_owned()),
        ),
        (
            DataType::Short,
            1,
            true,
            "0000 fffe".to_owned(),
            Value::Short(-2),
        ),
        (
            DataType::Float,
            1,
            true,
            "3fc00000".to_owned(),
            Value::Float(1.5),
        ),
        (
            DataType::Enum,
            1,
            true,
            "0000 0002".to_owned(),
            Value::Enum {
                index: 2,
                label: None,
            },
        ),
        (
            DataType::Char,
            1,
            true,
            "000000 ff".to_owned(),
            Value::Char(255),
        ),
        (
            DataType::Long,
            1,
            true,
            "fffffff9".to_owned(),
            Value::Long(-7),
        ),
        (
            DataType::Double,
            1,
            true,
            "00000000 4035800000000000".to_owned(),
            Value::Double(21.5),
        ),
        (
            DataType::Double,
            0,
            false,
            "00000000".to_owned(),
            Value::Array(Array::Double(vec![])),
        ),
        (
            DataType::Short,
            2,
            false,
            "0000 0001 ffff 0000".to_owned(),
            Value::Array(Array::Short(vec![1, -1])),
        ),
        (
            DataType::Char,
            3,
            false,
            "000000 414200 00".to_owned(),
            Value::Array(Array::Char(vec![65, 66, 0])),
        ),
        (
            DataType::String,
            2,
            false,
            text(1) + &text(2),
            Value::Array(Array::String(vec!["A".to_owned(), "AA".to_owned()])),
        ),
        (
            DataType::Double,
            0,
            true,
            "00000000".to_owned(),
            Value::Array(Array::Double(vec![])),
        ),
        (
            DataType::String,
            0,
            true,
            String::new(),
            Value::String(String::new()),
        ),
    ];
    for (data_type, count, scalar, value, expected) in cases {
        let alarm = Alarm {
            severity: Severity::Minor,
            status: Status(4),
        };
        let timestamp = Timestamp {
            seconds: 1_000_000_000,
            nanoseconds: 500,
        };
        assert_eq!(
            sample(data_type, count, scalar, &value),
            Ok(Sample {
                value: expected,
                alarm,
                timestamp
            }),
            "{data_type:?} {value}"
        );
    }
}

#[test]
fn samples_shorter_than_they_say_are_refused() {
    for (data_type, count, scalar, value) in [
        (DataType::Double, 1, true, "00000000 40358000"),
        (
            DataType::Double,
            u32::MAX,
            false,
            "00000000 4035800000000000",
        ),
        (DataType::String, 1, true, ""),
        (DataType::String, 2, false, "4100000000000000"),
        (DataType::Char, 2, false, "000000 41"),
    ] {
        assert!(
            sample(data_type, count, scalar, value).is_err(),
            "{data_type:?} {count} {value}"
        );
    }
    assert!(decode_sample(DataType::Long, 0, false, &[0; 11]).is_err());
}

#[test]
fn labels() {
    let mut payload = vec![0; 424];
    payload[5] = 2;
    payload[6..9].copy_from_slice(b"Off");
    payload[32..34].copy_from_slice(b"On");
    assert_eq!(decode_labels(&payload).unwrap(), ["Off", "On"]);
    payload[5] = 200;
    assert_eq!(
        decode_labels(&payload).unwrap().len(),
        16,
        "a server cannot ask for more labels than fit"
    );
    assert_eq!(
        decode_labels(&payload[..100]).unwrap_err().to_string(),
        "the payload of message READ_NOTIFY has 100 bytes; expected at least 110"
    );
}

#[test]
fn values_are_shown_as_people_write_them() {
    let float = |number| Value::Double(number).to_string();
    assert_eq!(
        [
            float(21.5),
            float(0.0),
            float(1e-9),
            float(-3e300),
            float(f64::NAN),
            float(1e15)
        ],
        ["21.5", "0", "1e-9", "-3e300", "NaN", "1000000000000000"]
    );
    assert_eq!(Value::Float(0.1).to_string(), "0.1");
    assert_eq!(
        Value::Enum {
            index: 1,
            label: Some("On".to_owned())
        }
        .to_string(),
        "On"
    );
    assert_eq!(
        Value::Enum {
            index: 9,
            label: None
        }
        .to_string(),
        "9"
    );
    assert_eq!(
        Value::Array(Array::Long(vec![1, -2])).to_string(),
        "[1, -2]"
    );
    assert_eq!(
        Value::Array(Array::Char(b"hello\0\0".to_vec()))
            .as_text()
            .as_deref(),
        Some("hello")
    );
}

#[test]
fn statuses_have_names() {
    for (number, expected) in [
        (1, "ECA_NORMAL"),
        (376, "no write access (ECA_NOWTACCESS)"),
        (160, "the server refused the value (ECA_PUTFAIL)"),
        (61 << 3, "unknown status 488"),
        (u32::MAX, "unknown status 4294967295"),
    ] {
        assert_eq!(Eca(number).to_string(), expected);
    }
    assert_eq!(
        (Status(3).to_string(), Status(22).to_string()),
        ("HIHI".into(), "unknown status 22".into())
    );
}

#[test]
fn time_stamps_count_from_1990() {
    let time = Timestamp {
        seconds: 1,
        nanoseconds: 2,
    }
    .to_system_time();
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!((since.as_secs(), since.subsec_nanos()), (631_152_001, 2));
}

#[test]
fn text_that_does_not_fit_is_not_cut() {
    assert!(encode_string(&"x".repeat(39)).is_some());
    assert_eq!(encode_string(&"x".repeat(40)), None);
    assert_eq!(encode_string("a\0"), None);
    assert_eq!(encode_characters("abc", 4).as_deref(), Some(&b"abc\0"[..]));
    assert_eq!(encode_characters("abcd", 4), None);
}
