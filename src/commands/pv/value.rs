//! Values of PVs as people and programs read them.

use ca::{Array, Reading, Value};
use jiff::{Timestamp, Zoned};
use serde::Serialize;
use serde_json::Number;

use crate::fleet::console::output::printable_line;

/// Elements of an array that people are shown if they do not say how many.
const SHOWN: usize = 10;

/// A value in JSON.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ValueJson {
    /// A number, a text, or a list. Numbers that JSON has not (`NaN`, infinities) are texts.
    pub(super) value: serde_json::Value,
    /// Number of a state whose label is `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u16>,
    /// `NO_ALARM`, `MINOR`, `MAJOR` or `INVALID`.
    pub(super) severity: String,
    /// Why, such as `HIHI`.
    pub(super) status: String,
    /// RFC 3339, in UTC; missing for a record that was never processed.
    pub(super) time: Option<String>,
}

impl ValueJson {
    pub(super) fn new(reading: &Reading, count: Option<u32>) -> Self {
        let index = match &reading.value {
            Value::Enum {
                index,
                label: Some(_),
            } => Some(*index),
            _ => None,
        };
        Self {
            value: json(&reading.value, count),
            index,
            severity: reading.severity.to_string(),
            status: reading.status.to_string(),
            time: timestamp(reading).map(|time| time.to_string()),
        }
    }
}

fn timestamp(reading: &Reading) -> Option<Timestamp> {
    if reading.timestamp.seconds == 0 {
        return None;
    }
    Timestamp::try_from(reading.timestamp.to_system_time()).ok()
}

fn json(value: &Value, count: Option<u32>) -> serde_json::Value {
    match value {
        Value::String(text)
        | Value::Enum {
            label: Some(text), ..
        } => text.as_str().into(),
        Value::Enum { index, label: None } => (*index).into(),
        Value::Short(number) => (*number).into(),
        Value::Char(number) => (*number).into(),
        Value::Long(number) => (*number).into(),
        Value::Float(number) => float(*number),
        Value::Double(number) => double(*number),
        Value::Array(array) => {
            let most = count.map_or(usize::MAX, |count| {
                usize::try_from(count).unwrap_or(usize::MAX)
            });
            serde_json::Value::Array(elements(array, most, &Json))
        }
    }
}

/// The shortest text that reads back as the same `f32`, as a number.
fn float(number: f32) -> serde_json::Value {
    match number.to_string().parse::<f64>() {
        Ok(wide) => double(wide),
        Err(_) => double(f64::from(number)),
    }
}

fn double(number: f64) -> serde_json::Value {
    Number::from_f64(number).map_or_else(
        || serde_json::Value::from(number.to_string()),
        serde_json::Value::Number,
    )
}

/// What becomes of an element.
trait Form {
    type Out;
    fn text(&self, text: &str) -> Self::Out;
    fn whole(&self, number: i64) -> Self::Out;
    fn float(&self, number: f32) -> Self::Out;
    fn double(&self, number: f64) -> Self::Out;
}

struct Json;

impl Form for Json {
    type Out = serde_json::Value;
    fn text(&self, text: &str) -> Self::Out {
        text.into()
    }
    fn whole(&self, number: i64) -> Self::Out {
        number.into()
    }
    fn float(&self, number: f32) -> Self::Out {
        float(number)
    }
    fn double(&self, number: f64) -> Self::Out {
        double(number)
    }
}

struct Words;

impl Form for Words {
    type Out = String;
    fn text(&self, text: &str) -> String {
        printable_line(text)
    }
    fn whole(&self, number: i64) -> String {
        number.to_string()
    }
    fn float(&self, number: f32) -> String {
        Value::Float(number).to_string()
    }
    fn double(&self, number: f64) -> String {
        Value::Double(number).to_string()
    }
}

fn elements<F: Form>(array: &Array, most: usize, form: &F) -> Vec<F::Out> {
    match array {
        Array::String(texts) => texts
            .iter()
            .take(most)
            .map(|text| form.text(text))
            .collect(),
        Array::Short(numbers) => whole(numbers, most, form),
        Array::Enum(numbers) => whole(numbers, most, form),
        Array::Char(numbers) => whole(numbers, most, form),
        Array::Long(numbers) => whole(numbers, most, form),
        Array::Float(numbers) => numbers
            .iter()
            .take(most)
            .map(|number| form.float(*number))
            .collect(),
        Array::Double(numbers) => numbers
            .iter()
            .take(most)
            .map(|number| form.double(*number))
            .collect(),
    }
}

fn whole<T: Copy + Into<i64>, F: Form>(numbers: &[T], most: usize, form: &F) -> Vec<F::Out> {
    numbers
        .iter()
        .take(most)
        .map(|number| form.whole((*number).into()))
        .collect()
}

fn length(array: &Array) -> usize {
    match array {
        Array::String(elements) => elements.len(),
        Array::Short(elements) => elements.len(),
        Array::Enum(elements) => elements.len(),
        Array::Char(elements) => elements.len(),
        Array::Long(elements) => elements.len(),
        Array::Float(elements) => elements.len(),
        Array::Double(elements) => elements.len(),
    }
}

/// A value in one line for people. An array of characters that is text is shown as text; of other arrays the first
/// elements, and how many there are.
pub(super) fn words(value: &Value, count: Option<u32>) -> String {
    let array = match value {
        Value::Array(array) => array,
        Value::String(text) => return printable_line(&text.replace('\n', " ")),
        Value::Enum {
            index,
            label: Some(label),
        } => return format!("{} ({index})", printable_line(label)),
        scalar => return scalar.to_string(),
    };
    if let (Array::Char(bytes), None) = (array, count)
        && let Some(text) = as_text(bytes)
    {
        return text;
    }
    let most = count.map_or(SHOWN, |count| usize::try_from(count).unwrap_or(SHOWN));
    let all = length(array);
    let mut words = elements(array, most, &Words).join(" ");
    if all > most {
        words.push_str(&format!(" … ({all} elements)"));
    }
    words
}

/// Text in an array of characters: up to the first zero, if all before it can be shown.
fn as_text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let is_text = end > 0 && text.chars().all(|character| !character.is_control());
    is_text.then(|| text.to_owned())
}

/// The time of a value, here.
pub(super) fn moment(reading: &Reading, now: &Zoned) -> String {
    timestamp(reading).map_or_else(
        || "never processed".to_owned(),
        |time| {
            let time = time.to_zoned(now.time_zone().clone());
            time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
        },
    )
}

/// Severity and status in one word or two.
pub(super) fn alarm(reading: &Reading) -> String {
    if reading.severity == ca::Severity::None {
        return String::new();
    }
    format!("{} {}", reading.severity, reading.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_for_people() {
        let rows = [
            (Value::Double(1.5), None, "1.5"),
            (Value::String("a\u{1b}[2Jb".to_owned()), None, "ab"),
            (
                Value::Enum {
                    index: 2,
                    label: Some("Heating".to_owned()),
                },
                None,
                "Heating (2)",
            ),
            (
                Value::Enum {
                    index: 2,
                    label: None,
                },
                None,
                "2",
            ),
            (
                Value::Array(Array::Char(b"hello\0\0".to_vec())),
                None,
                "hello",
            ),
            (Value::Array(Array::Char(vec![1, 2, 0])), None, "1 2 0"),
            (
                Value::Array(Array::Char(b"hi\0".to_vec())),
                Some(2),
                "104 105 … (3 elements)",
            ),
            (
                Value::Array(Array::Double(vec![0.5; 12])),
                Some(2),
                "0.5 0.5 … (12 elements)",
            ),
            (Value::Array(Array::Long(Vec::new())), None, ""),
        ];
        for (value, count, expected) in rows {
            assert_eq!(words(&value, count), expected, "{value:?}");
        }
    }

    #[test]
    fn values_for_programs() {
        assert_eq!(json(&Value::Float(0.1), None), serde_json::json!(0.1));
        assert_eq!(
            json(&Value::Double(f64::NAN), None),
            serde_json::json!("NaN")
        );
        let array = Value::Array(Array::Short(vec![1, -2, 3]));
        assert_eq!(json(&array, Some(2)), serde_json::json!([1, -2]));
        assert_eq!(json(&array, None), serde_json::json!([1, -2, 3]));
    }
}
