//! The little language of `--set`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::go::convert::parse_int;
use crate::go::quote::{quote, quote_char};
use crate::yaml::Value;

type Entries = BTreeMap<Arc<str>, Value>;

const MAX_INDEX: usize = 65_536;
const MAX_NESTING: usize = 30;

/// A malformed `--set` expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// A key without an equals sign.
    #[error("key {0} has no value")]
    NoValue(String),
    /// A key that ends with a comma.
    #[error("key {0} has no value (cannot end with ,)")]
    EndsWithComma(String),
    /// A key with nothing below it.
    #[error("key map {0} has no value")]
    EmptyMap(String),
    /// Too many dots.
    #[error("value name nested level is greater than maximum supported nested level of 30")]
    TooDeep,
    /// An index that is no number, or out of range.
    #[error("error parsing index: {0}")]
    Index(String),
    /// An index that would make a huge list.
    #[error("index of {0} is greater than maximum supported index of 65536")]
    IndexTooLarge(usize),
    /// An index below zero.
    #[error("negative {0} index not allowed")]
    NegativeIndex(i64),
    /// Text between `]` and what may follow it.
    #[error("unexpected data at end of array index: {0}")]
    AfterIndex(String),
    /// `{` without `}`.
    #[error("list must terminate with '}}'")]
    OpenList,
    /// The value at a key is of another type than the expression needs.
    #[error("unable to parse key: {0}")]
    WrongType(String),
    /// What should be JSON is not.
    #[error("not JSON: {0}")]
    Json(String),
    /// The argument of `--set-json` is neither an object nor `key=JSON`.
    #[error("{source}")]
    JsonExpression {
        /// The whole argument.
        given: String,
        /// Whether it begins as an object does.
        is_object: bool,
        /// What is wrong.
        source: Box<SetError>,
    },
    /// A file that cannot be read.
    #[error("{0}")]
    File(String),
}

/// What a value is.
pub(super) enum Mode<'f> {
    Typed,
    Text,
    Json,
    File(&'f mut dyn FnMut(&str) -> Result<String, String>),
}

/// The end of the expression; not an error.
enum Stop {
    End,
    Error(SetError),
}

impl From<SetError> for Stop {
    fn from(error: SetError) -> Self {
        Self::Error(error)
    }
}

pub(super) fn parse(expression: &str, into: &mut Entries, mode: Mode<'_>) -> Result<(), SetError> {
    let literal = false;
    Parser {
        rest: expression,
        mode,
        literal,
    }
    .run(into)
}

/// `--set-literal`: dots and indices make the path, the value is taken as it is.
pub(super) fn parse_literal(expression: &str, into: &mut Entries) -> Result<(), SetError> {
    let Some((path, value)) = expression.split_once('=') else {
        let quoted = quote(&expression.into());
        return if expression.is_empty() {
            Ok(())
        } else {
            Err(SetError::NoValue(quoted))
        };
    };
    let mut reader = |_: &str| Ok(value.to_owned());
    let expression = format!("{path}=x");
    Parser {
        rest: &expression,
        mode: Mode::File(&mut reader),
        literal: true,
    }
    .run(into)
}

struct Parser<'e, 'f> {
    rest: &'e str,
    mode: Mode<'f>,
    /// Whether commas and backslashes in keys are ordinary characters.
    literal: bool,
}

fn set(into: &mut Entries, key: &str, value: Value) {
    if !key.is_empty() {
        into.insert(key.into(), value);
    }
}

fn set_index(mut list: Vec<Value>, index: usize, value: Value) -> Result<Vec<Value>, SetError> {
    if index > MAX_INDEX {
        return Err(SetError::IndexTooLarge(index));
    }
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    list[index] = value;
    Ok(list)
}

fn type_error(value: &Value, wanted: &str) -> SetError {
    let found = match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
    };
    SetError::WrongType(format!(
        "interface conversion: interface {{}} is {found}, not {wanted}"
    ))
}

impl Parser<'_, '_> {
    fn run(&mut self, into: &mut Entries) -> Result<(), SetError> {
        loop {
            match self.key(into, 0) {
                Ok(()) => {}
                Err(Stop::End) => return Ok(()),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
    }

    /// Characters up to one of `stops`, which is passed; a backslash keeps what follows it.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        let mut characters = self.rest.chars();
        let mut stop = None;
        while let Some(character) = characters.next() {
            if stops.contains(&character) {
                stop = Some(character);
                break;
            }
            if character == '\\' && !self.literal {
                match characters.next() {
                    Some(escaped) => text.push(escaped),
                    None => break,
                }
            } else {
                text.push(character);
            }
        }
        self.rest = characters.as_str();
        (text, stop)
    }

    fn key(&mut self, into: &mut Entries, nesting: usize) -> Result<(), Stop> {
        let stops: &[char] = if self.literal {
            &['=', '[', '.']
        } else {
            &['=', '[', ',', '.']
        };
        let (key, stop) = self.until(stops);
        let quoted = || quote(&key.as_str().into());
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => Err(SetError::NoValue(quoted()).into()),
            Some('[') => {
                let index = self.index()?;
                let list = match into.get(key.as_str()) {
                    None => Vec::new(),
                    Some(Value::List(list)) => list.clone(),
                    Some(other) => return Err(type_error(other, "[]interface {}").into()),
                };
                let (list, result) = self.list_item(list, index, nesting);
                set(into, &key, Value::List(list));
                result
            }
            Some('=') => {
                let (value, result) = self.value();
                if let Some(value) = value {
                    set(into, &key, value);
                }
                result
            }
            Some(',') => {
                set(into, &key, "".into());
                Err(SetError::EndsWithComma(quoted()).into())
            }
            Some(_) => {
                if nesting + 1 > MAX_NESTING {
                    return Err(SetError::TooDeep.into());
                }
                let mut inner = match into.get(key.as_str()) {
                    None => Entries::new(),
                    Some(Value::Map(inner)) => inner.clone(),
                    Some(other) => {
                        return Err(type_error(other, "map[string]interface {}").into());
                    }
                };
                let result = self.key(&mut inner, nesting + 1);
                if result.is_ok() && inner.is_empty() {
                    return Err(SetError::EmptyMap(quoted()).into());
                }
                if !inner.is_empty() {
                    set(into, &key, Value::Map(inner));
                }
                result
            }
        }
    }

    fn index(&mut self) -> Result<usize, SetError> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            return Err(SetError::Index("EOF".to_owned()));
        }
        let number = parse_int(&text).filter(|_| {
            text.strip_prefix(['-', '+'])
                .unwrap_or(&text)
                .bytes()
                .all(|b| b.is_ascii_digit())
        });
        match number {
            Some(number) => usize::try_from(number).map_err(|_| SetError::NegativeIndex(number)),
            None => {
                let text = quote(&text.as_str().into());
                Err(SetError::Index(format!(
                    "strconv.Atoi: parsing {text}: invalid syntax"
                )))
            }
        }
    }

    fn list_item(
        &mut self,
        list: Vec<Value>,
        index: usize,
        nesting: usize,
    ) -> (Vec<Value>, Result<(), Stop>) {
        let kept = list.clone();
        match self.list_item_parts(list, index, nesting) {
            Ok((list, result)) => (list, result),
            Err(stop) => (kept, Err(stop)),
        }
    }

    fn list_item_parts(
        &mut self,
        list: Vec<Value>,
        index: usize,
        nesting: usize,
    ) -> Result<(Vec<Value>, Result<(), Stop>), Stop> {
        let (text, stop) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            let quoted: Vec<String> = text.chars().map(quote_char).collect();
            return Err(SetError::AfterIndex(format!("[{}]", quoted.join(" "))).into());
        }
        match stop {
            None => Err(Stop::End),
            Some('=') => {
                let (value, result) = self.value();
                match (value, result) {
                    (Some(value), result @ (Ok(()) | Err(Stop::End))) => {
                        Ok((set_index(list, index, value)?, result))
                    }
                    (_, result) => Ok((list, result)),
                }
            }
            Some('[') => {
                let next = self.index()?;
                let inner = match list.get(index) {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::List(inner)) => inner.clone(),
                    Some(other) => return Err(type_error(other, "[]interface {}").into()),
                };
                let (inner, result) = self.list_item(inner, next, nesting);
                if let Err(Stop::Error(error)) = result {
                    return Err(error.into());
                }
                Ok((set_index(list, index, Value::List(inner))?, result))
            }
            Some(_) => {
                let mut inner = match list.get(index) {
                    Some(Value::Map(inner)) => inner.clone(),
                    _ => Entries::new(),
                };
                let result = self.key(&mut inner, nesting);
                if let Err(Stop::Error(error)) = result {
                    return Err(error.into());
                }
                Ok((set_index(list, index, Value::Map(inner))?, result))
            }
        }
    }

    /// A value and whether the expression goes on after it.
    fn value(&mut self) -> (Option<Value>, Result<(), Stop>) {
        if matches!(self.mode, Mode::Json) {
            return self.json_value();
        }
        if self.rest.is_empty() {
            return (Some("".into()), Err(Stop::End));
        }
        if let Some(rest) = self.rest.strip_prefix('{') {
            self.rest = rest;
            return match self.list() {
                Ok(list) => (Some(Value::List(list)), Ok(())),
                Err(error) => (None, Err(error.into())),
            };
        }
        let (text, _) = self.until(&[',']);
        match self.convert(&text) {
            Ok(value) => (Some(value), Ok(())),
            Err(error) => (None, Err(error.into())),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, SetError> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            if stop.is_none() {
                return Err(SetError::OpenList);
            }
            items.push(self.convert(&text)?);
            if stop == Some('}') {
                self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
                return Ok(items);
            }
        }
    }

    /// Passes blanks and a comma; true when there is no value here.
    fn no_json_value(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(',') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => self.rest.is_empty(),
        }
    }

    fn json_value(&mut self) -> (Option<Value>, Result<(), Stop>) {
        if self.no_json_value() {
            return (Some(Value::Null), Ok(()));
        }
        let mut stream =
            serde_json::Deserializer::from_str(self.rest).into_iter::<serde_json::Value>();
        match stream.next() {
            Some(Ok(json)) => {
                self.rest = &self.rest[stream.byte_offset()..];
                self.no_json_value();
                (Some(Value::from_json(&json)), Ok(()))
            }
            _ => (None, Err(SetError::Json(self.rest.to_owned()).into())),
        }
    }

    fn convert(&mut self, text: &str) -> Result<Value, SetError> {
        match &mut self.mode {
            Mode::Typed => Ok(typed(text)),
            Mode::Text | Mode::Json => Ok(text.into()),
            Mode::File(read) => read(text)
                .map(|text| text.as_str().into())
                .map_err(SetError::File),
        }
    }
}

fn typed(text: &str) -> Value {
    if text.eq_ignore_ascii_case("true") {
        return Value::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Value::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    if text == "0" {
        return Value::Int(0);
    }
    // A leading zero keeps a number text, so that 0755 stays what was typed.
    if !text.starts_with('0')
        && let Ok(number) = text.parse()
    {
        return Value::Int(number);
    }
    text.into()
}
