//! What templates can call: Go's own functions, Sprig's and Helm's.
//!
//! Each function has the name, the parameter types and the quirks that it has in Helm 4.3.1.
//! A function that exists there but not here is known by name, so that a chart that calls it fails
//! with a message that says so.
#![expect(
    clippy::unnecessary_wraps,
    reason = "all functions of the table have one signature"
)]

pub(crate) mod arguments;
mod builtin;
mod ciphers;
mod crypto;
pub(crate) mod dates;
mod defaults;
mod dicts;
pub(crate) mod durations;
mod encoding;
pub(crate) mod files;
mod flow;
mod layouts;
mod lists;
mod math;
mod merge;
pub(crate) mod methods;
mod passwords;
mod paths;
pub(crate) mod random;
mod reflection;
mod regex_syntax;
mod regex_translation;
mod regexes;
mod serial;
mod strings;
mod text_cases;
mod time_parsing;
mod toml;
mod unsupported;
mod urls;
mod versions;
mod words;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::go::value::{IntType, Value};
use crate::template::error::ExecError;
use crate::template::exec::State;

pub(crate) use self::paths::clean as clean_path;

/// What the method `String` of a number of a named type gives.
pub(crate) fn in_words(number: i64, kind: IntType) -> String {
    match kind {
        IntType::Duration => durations::to_text(number),
        IntType::Month => layouts::month_name(number).to_owned(),
        IntType::Weekday => layouts::weekday_name(number).to_owned(),
        IntType::Int | IntType::Int64 => number.to_string(),
    }
}

pub(crate) type Called = Result<Value, ExecError>;

/// A parameter type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// `interface {}`
    Any,
    /// `reflect.Value`: takes no value at all, too.
    Reflect,
    Str,
    Bool,
    Int,
    /// `uint32`: constants only, no value of a template has this type.
    Uint32,
    Float,
    /// `map[string]interface {}`
    Map,
    /// `time.Time`
    Time,
}

impl Type {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::Str => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint32 => "uint32",
            Self::Float => "float64",
            Self::Map => "map[string]interface {}",
            Self::Time => "time.Time",
        }
    }

    pub(crate) const fn can_be_nil(self) -> bool {
        matches!(self, Self::Any | Self::Reflect | Self::Map)
    }
}

/// The parameters of a function or method.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signature {
    pub(crate) fixed: &'static [Type],
    /// The type of any further arguments; nothing when there may be none.
    pub(crate) rest: Option<Type>,
}

pub(crate) type Callable = fn(&mut State<'_>, &[Value]) -> Called;

/// A function that templates can call.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) signature: Signature,
    pub(crate) call: Callable,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl Function {
    /// Whether it looks at everything inside its arguments, or copies it.
    pub(crate) fn walks_through(&self) -> bool {
        matches!(
            self.name,
            "toYaml"
                | "mustToYaml"
                | "toYamlPretty"
                | "toJson"
                | "mustToJson"
                | "toPrettyJson"
                | "mustToPrettyJson"
                | "toRawJson"
                | "mustToRawJson"
                | "toToml"
                | "mustToToml"
                | "deepCopy"
                | "mustDeepCopy"
                | "deepEqual"
                | "merge"
                | "mustMerge"
                | "mergeOverwrite"
                | "mustMergeOverwrite"
                | "print"
                | "println"
                | "printf"
                | "quote"
                | "squote"
                | "cat"
                | "toString"
                | "toStrings"
                | "join"
                | "html"
                | "js"
                | "urlquery"
                | "uniq"
                | "mustUniq"
                | "without"
                | "mustWithout"
                | "has"
                | "mustHas"
                | "sortAlpha"
                | "eq"
                | "ne"
                | "urlJoin"
        )
    }

    /// `and` and `or`, which the executor evaluates itself.
    pub(crate) fn is_lazy(&self) -> bool {
        matches!(self.name, "and" | "or")
    }
}

const fn function(name: &'static str, fixed: &'static [Type], call: Callable) -> Function {
    Function {
        name,
        signature: Signature { fixed, rest: None },
        call,
    }
}

const fn variadic(
    name: &'static str,
    fixed: &'static [Type],
    rest: Type,
    call: Callable,
) -> Function {
    Function {
        name,
        signature: Signature {
            fixed,
            rest: Some(rest),
        },
        call,
    }
}

static TABLES: &[&[Function]] = &[
    builtin::FUNCTIONS,
    ciphers::FUNCTIONS,
    crypto::FUNCTIONS,
    dates::FUNCTIONS,
    defaults::FUNCTIONS,
    dicts::FUNCTIONS,
    durations::FUNCTIONS,
    encoding::FUNCTIONS,
    flow::FUNCTIONS,
    lists::FUNCTIONS,
    math::FUNCTIONS,
    merge::FUNCTIONS,
    passwords::FUNCTIONS,
    paths::FUNCTIONS,
    random::FUNCTIONS,
    reflection::FUNCTIONS,
    regexes::FUNCTIONS,
    serial::FUNCTIONS,
    strings::FUNCTIONS,
    text_cases::FUNCTIONS,
    toml::FUNCTIONS,
    unsupported::FUNCTIONS,
    urls::FUNCTIONS,
    versions::FUNCTIONS,
    words::FUNCTIONS,
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Function>> = LazyLock::new(|| {
    TABLES
        .iter()
        .flat_map(|table| table.iter())
        .map(|entry| (entry.name, entry))
        .collect()
});

/// The function of a name.
pub(crate) fn lookup(name: &str) -> Option<&'static Function> {
    BY_NAME.get(name).copied()
}

/// The names of all functions that work, sorted.
pub fn supported_functions() -> Vec<&'static str> {
    let mut names: Vec<&str> = BY_NAME
        .keys()
        .copied()
        .filter(|name| {
            unsupported::FUNCTIONS
                .iter()
                .all(|entry| entry.name != *name)
        })
        .collect();
    names.sort_unstable();
    names
}

/// The names of functions that Helm has and this engine refuses, sorted.
pub fn unsupported_functions() -> Vec<&'static str> {
    let mut names: Vec<&str> = unsupported::FUNCTIONS
        .iter()
        .map(|entry| entry.name)
        .collect();
    names.sort_unstable();
    names
}
