//! What `lookup` in templates finds. The engine asks through a callback: whoever renders for a cluster answers it.

use std::fmt;
use std::sync::Arc;

use crate::go::text::Text;
use crate::go::value::{Entries, IntType, Value};

/// What a template asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupQuery<'q> {
    /// `v1`, `apps/v1`, …
    pub api_version: &'q str,
    /// `Secret`, …
    pub kind: &'q str,
    /// The namespace; empty for all of them, and for kinds that have none.
    pub namespace: &'q str,
    /// The object; empty for a list of all.
    pub name: &'q str,
}

type Answer = Result<serde_json::Value, String>;

/// Answers what templates ask for: the object or list as the API gives it, an empty object for what is not there, or why it
/// cannot be told, which ends the rendering.
#[derive(Clone)]
pub struct Lookup(Arc<dyn Fn(&LookupQuery<'_>) -> Answer + Send + Sync>);

impl Lookup {
    /// One that calls `answer`, on the thread that renders.
    pub fn new(answer: impl Fn(&LookupQuery<'_>) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    pub(crate) fn find(&self, query: &LookupQuery<'_>) -> Result<Value, String> {
        (self.0)(query).map(value)
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lookup")
    }
}

/// The same is what was made as one.
impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Lookup {}

/// As Go has the content of an object: whole numbers are `int64`, others `float64`.
fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(truth) => Value::Bool(truth),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole, IntType::Int64),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::str(text.as_str()),
        serde_json::Value::Array(items) => Value::list(items.into_iter().map(value).collect()),
        serde_json::Value::Object(entries) => {
            let entries: Entries = entries
                .into_iter()
                .map(|(key, entry)| (Text::from(key.as_str()), value(entry)))
                .collect();
            Value::map(entries)
        }
    }
}
