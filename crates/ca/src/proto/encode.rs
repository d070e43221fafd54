//! Values as the payload of a write.

use super::data::STRING_LENGTH;
use super::{Array, DataType, Value};

/// The payload of a write: its type, its number of elements, and the elements, big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Type of the elements; the server converts them to the PV's own.
    pub data_type: DataType,
    /// How many.
    pub count: u32,
    /// The elements, without the padding of a message.
    pub bytes: Vec<u8>,
}

/// Encodes a value in its own type. A state is written by its number.
///
/// `None` if a text has more than 39 bytes or holds a zero, or if there are 2^32 elements or more.
pub fn encode_value(value: &Value) -> Option<Encoded> {
    fn encoded(data_type: DataType, length: usize, bytes: Vec<u8>) -> Option<Encoded> {
        let count = u32::try_from(length).ok()?;
        Some(Encoded {
            data_type,
            count,
            bytes,
        })
    }
    fn numbers<T: Copy, const N: usize>(
        data_type: DataType,
        numbers: &[T],
        bytes: fn(T) -> [u8; N],
    ) -> Option<Encoded> {
        let all = numbers.iter().flat_map(|&number| bytes(number)).collect();
        encoded(data_type, numbers.len(), all)
    }
    match value {
        Value::String(text) => encoded(DataType::String, 1, encode_string(text)?),
        Value::Short(number) => numbers(DataType::Short, &[*number], i16::to_be_bytes),
        Value::Float(number) => numbers(DataType::Float, &[*number], f32::to_be_bytes),
        Value::Enum { index, .. } => numbers(DataType::Enum, &[*index], u16::to_be_bytes),
        Value::Char(number) => encoded(DataType::Char, 1, vec![*number]),
        Value::Long(number) => numbers(DataType::Long, &[*number], i32::to_be_bytes),
        Value::Double(number) => numbers(DataType::Double, &[*number], f64::to_be_bytes),
        Value::Array(Array::String(texts)) => {
            let mut all = Vec::with_capacity(texts.len() * STRING_LENGTH);
            for text in texts {
                all.extend(encode_string(text)?);
            }
            encoded(DataType::String, texts.len(), all)
        }
        Value::Array(Array::Short(elements)) => {
            numbers(DataType::Short, elements, i16::to_be_bytes)
        }
        Value::Array(Array::Float(elements)) => {
            numbers(DataType::Float, elements, f32::to_be_bytes)
        }
        Value::Array(Array::Enum(elements)) => numbers(DataType::Enum, elements, u16::to_be_bytes),
        Value::Array(Array::Char(elements)) => {
            encoded(DataType::Char, elements.len(), elements.clone())
        }
        Value::Array(Array::Long(elements)) => numbers(DataType::Long, elements, i32::to_be_bytes),
        Value::Array(Array::Double(elements)) => {
            numbers(DataType::Double, elements, f64::to_be_bytes)
        }
    }
}

/// Text as the payload of a write of type string; `None` if it does not fit (39 bytes) or holds a zero.
pub fn encode_string(text: &str) -> Option<Vec<u8>> {
    if text.len() >= STRING_LENGTH || text.contains('\0') {
        return None;
    }
    let mut payload = vec![0; STRING_LENGTH];
    payload[..text.len()].copy_from_slice(text.as_bytes());
    Some(payload)
}

/// Text as the payload of a write of an array of characters with at most `capacity` elements, with a closing zero;
/// `None` if it does not fit or holds a zero.
pub fn encode_characters(text: &str, capacity: u32) -> Option<Vec<u8>> {
    let fits = u32::try_from(text.len()).is_ok_and(|length| length < capacity);
    (fits && !text.contains('\0')).then(|| text.bytes().chain([0]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::decode_sample;
    use pretty_assertions::assert_eq;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let state = Value::Enum {
            index: 3,
            label: None,
        };
        for value in [
            Value::String("warm".to_owned()),
            Value::Short(-2),
            Value::Float(0.5),
            state,
            Value::Char(200),
            Value::Long(-70_000),
            Value::Double(1e-9),
            Value::Array(Array::String(vec!["a".to_owned(), String::new()])),
            Value::Array(Array::Short(vec![-1, 2])),
            Value::Array(Array::Float(vec![0.5, -1.0])),
            Value::Array(Array::Enum(vec![1, 0])),
            Value::Array(Array::Char(vec![1, 255])),
            Value::Array(Array::Long(vec![i32::MIN, i32::MAX])),
            Value::Array(Array::Double(vec![])),
        ] {
            let encoded = encode_value(&value).unwrap();
            let before = match encoded.data_type {
                DataType::String | DataType::Float | DataType::Long => 12,
                DataType::Short | DataType::Enum => 14,
                DataType::Char => 15,
                DataType::Double => 16,
            };
            let payload = [vec![0; before], encoded.bytes].concat();
            let scalar = !matches!(value, Value::Array(_));
            let sample = decode_sample(encoded.data_type, encoded.count, scalar, &payload);
            assert_eq!(sample.unwrap().value, value);
        }
    }

    #[test]
    fn text_that_does_not_fit_is_refused() {
        for text in ["x".repeat(40), "a\0b".to_owned()] {
            assert_eq!(encode_value(&Value::String(text.clone())), None);
            assert_eq!(encode_value(&Value::Array(Array::String(vec![text]))), None);
        }
        assert!(encode_value(&Value::String("x".repeat(39))).is_some());
    }
}
