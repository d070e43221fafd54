//! The values that templates work on, with the Go type that each has there.
//!
//! Maps have identity: `set` changes a map for everyone who holds it, as in Go. Lists are never
//! changed in place by a template function, so they are shared and immutable.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::objects::Object;
use super::text::Text;
use crate::yaml;

pub(crate) type Entries = BTreeMap<Text, Value>;

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Int(i64, IntType),
    Uint(u64, UintType),
    Float(f64),
    Str(Text),
    Bytes(Rc<[u8]>),
    List(List),
    Map(Map),
    Object(Object),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntType {
    Int,
    Int64,
    /// `time.Duration`, in nanoseconds.
    Duration,
    /// `time.Month`, 1 for January.
    Month,
    /// `time.Weekday`, 0 for Sunday.
    Weekday,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UintType {
    Uint8,
    Uint64,
}

#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) items: Rc<Items>,
    pub(crate) element: Element,
}

/// The element type of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Any,
    Str,
    Int,
    /// `[][]interface {}`, what `chunk` gives.
    AnyList,
    /// A `[]interface {}` that was never made: empty, and `null` in JSON.
    NilAny,
    /// The same for `[]string`.
    NilStr,
    /// `common.VersionSet`: strings with the method `Has`.
    Versions,
}

impl Element {
    pub(crate) const fn is_nil(self) -> bool {
        matches!(self, Self::NilAny | Self::NilStr)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Map {
    entries: Rc<Cell>,
    pub(crate) element: MapType,
}

/// The items of a list; what is inside is taken apart without recursion when it goes.
#[derive(Debug)]
pub(crate) struct Items(Vec<Value>);

impl std::ops::Deref for Items {
    type Target = Vec<Value>;

    fn deref(&self) -> &Vec<Value> {
        &self.0
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        if self.0.iter().any(Value::is_container) {
            take_apart(std::mem::take(&mut self.0));
        }
    }
}

#[derive(Debug)]
struct Cell(RefCell<Entries>);

impl Drop for Cell {
    fn drop(&mut self) {
        if self.0.get_mut().values().any(Value::is_container) {
            let entries = std::mem::take(self.0.get_mut());
            take_apart(entries.into_values().collect());
        }
    }
}

/// Drops values that may be nested a million levels deep.
fn take_apart(mut values: Vec<Value>) {
    while let Some(value) = values.pop() {
        match value {
            Value::List(mut list) => {
                if let Some(items) = Rc::get_mut(&mut list.items) {
                    values.append(&mut items.0);
                }
            }
            Value::Map(mut map) => {
                if let Some(cell) = Rc::get_mut(&mut map.entries) {
                    values.extend(std::mem::take(cell.0.get_mut()).into_values());
                }
            }
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapType {
    Any,
    /// A `map[string]interface {}` that was never made: empty, `null` in JSON, and nothing can be put into it.
    NilAny,
    Str,
    /// A `map[string]string` that was never made: empty, and `null` in JSON.
    NilStr,
    /// `common.Values`, the same as [`MapType::Any`] but for its name.
    Values,
}

impl Map {
    pub(crate) fn new(entries: Entries) -> Self {
        Self {
            entries: Rc::new(Cell(RefCell::new(entries))),
            element: MapType::Any,
        }
    }

    pub(crate) fn typed(entries: Entries, element: MapType) -> Self {
        Self {
            entries: Rc::new(Cell(RefCell::new(entries))),
            element,
        }
    }

    /// The entries. Never held while a template function could change the map.
    pub(crate) fn borrow(&self) -> Ref<'_, Entries> {
        self.entries.0.borrow()
    }

    /// The entries for a change.
    pub(crate) fn borrow_mut(&self) -> RefMut<'_, Entries> {
        self.entries.0.borrow_mut()
    }

    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        self.entries.0.borrow().get(key.as_bytes()).cloned()
    }

    pub(crate) fn insert(&self, key: impl Into<Text>, value: Value) {
        self.entries.0.borrow_mut().insert(key.into(), value);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.0.borrow().len()
    }

    /// The keys and values at this moment.
    pub(crate) fn snapshot(&self) -> Vec<(Text, Value)> {
        self.entries
            .0
            .borrow()
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self.element, MapType::NilAny | MapType::NilStr)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.entries, &other.entries)
    }

    /// The same map under another type name.
    pub(crate) fn as_type(&self, element: MapType) -> Self {
        Self {
            entries: self.entries.clone(),
            element,
        }
    }
}

impl List {
    pub(crate) fn new(items: Vec<Value>, element: Element) -> Self {
        Self {
            items: Rc::new(Items(items)),
            element,
        }
    }
}

/// Kinds of Go's `reflect` that occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invalid,
    Bool,
    Int,
    Int64,
    Uint8,
    Uint64,
    Float64,
    Complex128,
    Str,
    Slice,
    Map,
    Struct,
    Ptr,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint64 => "uint64",
            Self::Float64 => "float64",
            Self::Complex128 => "complex128",
            Self::Str => "string",
            Self::Slice => "slice",
            Self::Map => "map",
            Self::Struct => "struct",
            Self::Ptr => "ptr",
        }
    }
}

impl Value {
    pub(crate) const fn int(number: i64) -> Self {
        Self::Int(number, IntType::Int)
    }

    pub(crate) const fn int64(number: i64) -> Self {
        Self::Int(number, IntType::Int64)
    }

    pub(crate) fn str(text: impl Into<Text>) -> Self {
        Self::Str(text.into())
    }

    pub(crate) fn list(items: Vec<Value>) -> Self {
        Self::List(List::new(items, Element::Any))
    }

    pub(crate) fn strings<T: Into<Text>>(items: impl IntoIterator<Item = T>) -> Self {
        let items = items
            .into_iter()
            .map(|item| Self::Str(item.into()))
            .collect();
        Self::List(List::new(items, Element::Str))
    }

    /// Strings as a function of Go gives them that makes its slice with the first of them.
    pub(crate) fn strings_or_nil<T: Into<Text>>(items: Vec<T>) -> Self {
        if items.is_empty() {
            return Self::List(List::new(Vec::new(), Element::NilStr));
        }
        Self::strings(items)
    }

    /// A map that was never made.
    pub(crate) fn nil_map() -> Self {
        Self::Map(Map::typed(Entries::new(), MapType::NilAny))
    }

    pub(crate) fn map(entries: Entries) -> Self {
        Self::Map(Map::new(entries))
    }

    pub(crate) const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    const fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Nil => Kind::Invalid,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_, IntType::Int | IntType::Month | IntType::Weekday) => Kind::Int,
            Self::Int(_, IntType::Int64 | IntType::Duration) => Kind::Int64,
            Self::Uint(_, UintType::Uint8) => Kind::Uint8,
            Self::Uint(_, UintType::Uint64) => Kind::Uint64,
            Self::Float(_) => Kind::Float64,
            Self::Str(_) => Kind::Str,
            Self::Bytes(_) | Self::List(_) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Object(object) => object.kind(),
        }
    }

    /// The type as `%T` prints it.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_, IntType::Int) => "int",
            Self::Int(_, IntType::Int64) => "int64",
            Self::Int(_, IntType::Duration) => "time.Duration",
            Self::Int(_, IntType::Month) => "time.Month",
            Self::Int(_, IntType::Weekday) => "time.Weekday",
            Self::Uint(_, UintType::Uint8) => "uint8",
            Self::Uint(_, UintType::Uint64) => "uint64",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::Bytes(_) => "[]uint8",
            Self::List(list) => match list.element {
                Element::Any | Element::NilAny => "[]interface {}",
                Element::Str | Element::NilStr => "[]string",
                Element::Int => "[]int",
                Element::AnyList => "[][]interface {}",
                Element::Versions => "common.VersionSet",
            },
            Self::Map(map) => match map.element {
                MapType::Any | MapType::NilAny => "map[string]interface {}",
                MapType::Str | MapType::NilStr => "map[string]string",
                MapType::Values => "common.Values",
            },
            Self::Object(object) => object.type_name(),
        }
    }

    /// Truth as `if` and `and` see it: false for zero values and for what is empty.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number, _) => *number != 0,
            Self::Uint(number, _) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => map.len() > 0,
            Self::Object(object) => object.is_true(),
        }
    }

    /// A deep copy in which no map is shared with the original.
    pub(crate) fn deep_copy(&self) -> Self {
        match self {
            Self::Map(map) => {
                let entries = map
                    .borrow()
                    .iter()
                    .map(|(key, value)| (key.clone(), value.deep_copy()))
                    .collect();
                Self::Map(Map::typed(entries, map.element))
            }
            Self::List(list) => Self::List(List::new(
                list.items.iter().map(Self::deep_copy).collect(),
                list.element,
            )),
            other => other.clone(),
        }
    }

    /// The value without identity, as JSON sees it; what has no such form becomes text.
    pub(crate) fn to_plain(&self) -> yaml::Value {
        match self {
            Self::Nil => yaml::Value::Null,
            Self::Bool(truth) => yaml::Value::Bool(*truth),
            Self::Int(number, _) => yaml::Value::Int(*number),
            Self::Uint(number, _) => i64::try_from(*number).map_or_else(
                |_| yaml::Value::Float(wide_float(*number)),
                yaml::Value::Int,
            ),
            Self::Float(number) => yaml::Value::Float(*number),
            Self::Str(text) => yaml::Value::String(text.to_shared()),
            Self::Bytes(bytes) => yaml::Value::String(super::json::base64_text(bytes).into()),
            Self::List(list) if list.element.is_nil() => yaml::Value::Null,
            Self::List(list) => yaml::Value::List(list.items.iter().map(Self::to_plain).collect()),
            Self::Map(map) if map.is_nil() => yaml::Value::Null,
            Self::Map(map) => yaml::Value::Map(
                map.borrow()
                    .iter()
                    .map(|(key, value)| (key.to_shared(), value.to_plain()))
                    .collect(),
            ),
            Self::Object(object) => object.to_plain(),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "only for numbers that no chart uses"
)]
const fn wide_float(number: u64) -> f64 {
    number as f64
}

impl From<&yaml::Value> for Value {
    fn from(value: &yaml::Value) -> Self {
        match value {
            yaml::Value::Null => Self::Nil,
            yaml::Value::Bool(truth) => Self::Bool(*truth),
            yaml::Value::Int(number) => Self::int64(*number),
            yaml::Value::Float(number) => Self::Float(*number),
            yaml::Value::String(text) => Self::Str(Text::Utf8(Arc::clone(text))),
            yaml::Value::List(items) => Self::list(items.iter().map(Self::from).collect()),
            yaml::Value::Map(entries) => Self::map(
                entries
                    .iter()
                    .map(|(key, value)| (Text::Utf8(Arc::clone(key)), Self::from(value)))
                    .collect(),
            ),
        }
    }
}
