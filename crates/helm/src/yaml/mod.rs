//! YAML as Helm sees it.
//!
//! Helm reads YAML with a YAML 1.1 parser (go-yaml version 2), turns the result into JSON and reads
//! the JSON back, so that every number becomes a 64-bit float and every mapping key a string. It
//! writes YAML the other way round. Both directions have to be exact to the byte, errors included,
//! since charts pass values through `toYaml` and `fromYaml` and compare or hash the result. No
//! general YAML library does that, hence this one: a scanner, a parser, a resolver for plain
//! scalars and a writer.
//!
//! What it deliberately does not do: comments, documents as a stream of typed values, tags other
//! than the core ones (an unknown tag is kept out of the value, as Helm does).

mod decode;
mod error;
mod literal;
mod node;
mod number;
mod parser;
mod scanner;
mod token;
mod value;
mod writer;

pub use self::error::YamlError;
pub use self::value::Value;
pub use self::writer::to_yaml;
pub(crate) use self::writer::to_yaml_pretty;

pub(crate) use self::decode::{DuplicateKeys, decode_documents, decode_first};
pub(crate) use self::number::{format_float_g, format_float_json};
pub(crate) use self::writer::is_unwritable;

/// Reads the first document of a text; an empty text gives [`Value::Null`].
///
/// A key that occurs twice takes its last value, as in Helm; see [`parse_strict`].
///
/// # Errors
/// When the text is not YAML 1.1, when a value has no JSON form (`.inf`, `.nan`, a null or composite
/// key), or when it is nested or aliased beyond the limits.
pub fn parse(text: &str) -> Result<Value, YamlError> {
    decode_first(text, DuplicateKeys::LastWins)
}

/// Reads the first document of a text and refuses a mapping that has the same key twice.
///
/// # Errors
/// As [`parse`], and with the place of the second occurrence of a key.
pub fn parse_strict(text: &str) -> Result<Value, YamlError> {
    decode_first(text, DuplicateKeys::Refuse)
}

/// Reads every document of a text, in order.
///
/// # Errors
/// As [`parse`].
pub fn parse_all(text: &str) -> Result<Vec<Value>, YamlError> {
    decode_documents(text, DuplicateKeys::LastWins)
}

#[cfg(test)]
mod tests;
