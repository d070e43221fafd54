//! Methods of values: `.Files.Get`, `.Capabilities.APIVersions.Has`, those of versions and times.

use std::cmp::Ordering;
use std::rc::Rc;

use super::arguments::{fail, string, value};
use super::{Called, Signature, Type, dates, durations, files};
use crate::go::objects::Object;
use crate::go::text::Text;
use crate::go::value::{Element, IntType, Map, MapType, UintType, Value};
use crate::semantic_version::{Version, VersionError, check_metadata, check_pre};

pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) signature: Signature,
    pub(crate) call: fn(&Value, &[Value]) -> Called,
}

const fn method(
    name: &'static str,
    fixed: &'static [Type],
    call: fn(&Value, &[Value]) -> Called,
) -> Method {
    Method {
        name,
        signature: Signature { fixed, rest: None },
        call,
    }
}

/// The method of a value, when its type has one of that name.
pub(crate) fn find(receiver: &Value, name: &str) -> Option<&'static Method> {
    let table: &'static [Method] = match receiver {
        Value::Object(Object::Files(_)) => FILES,
        Value::Object(Object::KubeVersion(_)) => KUBE_VERSION,
        Value::Object(Object::Version(_)) => VERSION,
        Value::Object(Object::VersionValue(_)) => &VERSION[..VALUE_METHODS],
        Value::Object(Object::Time(_)) => dates::METHODS,
        Value::Int(_, IntType::Duration) => durations::METHODS,
        Value::Int(_, IntType::Month | IntType::Weekday) => NAMED,
        Value::List(list) if list.element == Element::Versions => VERSION_SET,
        Value::Map(map) if map.element == MapType::Values => VALUES,
        _ => return None,
    };
    table.iter().find(|method| method.name == name)
}

/// The methods with the type that each belongs to.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = String> {
    [
        ("engine.files", FILES),
        ("common.KubeVersion", KUBE_VERSION),
        ("*semver.Version", VERSION),
        ("semver.Version", &VERSION[..VALUE_METHODS]),
        ("time.Time", dates::METHODS),
        ("time.Duration", durations::METHODS),
        ("time.Month", NAMED),
        ("common.VersionSet", VERSION_SET),
        ("common.Values", VALUES),
    ]
    .into_iter()
    .flat_map(|(kind, table)| {
        table
            .iter()
            .map(move |method| format!("{kind}.{}", method.name))
    })
}

macro_rules! on_files {
    ($call:path) => {
        |receiver, arguments| match receiver {
            Value::Object(Object::Files(files)) => $call(files, arguments),
            _ => Ok(Value::Nil),
        }
    };
}

const FILES: &[Method] = &[
    method("Get", &[Type::Str], on_files!(files::get)),
    method("GetBytes", &[Type::Str], on_files!(files::get_bytes)),
    method("Glob", &[Type::Str], on_files!(files::glob)),
    method("AsConfig", &[], on_files!(files::as_config)),
    method("AsSecrets", &[], on_files!(files::as_secrets)),
    method("Lines", &[Type::Str], on_files!(files::lines)),
];

const KUBE_VERSION: &[Method] = &[
    method("String", &[], |receiver, _| match receiver {
        Value::Object(Object::KubeVersion(all)) => {
            Ok(Value::str(all.kube_version.normalized.as_str()))
        }
        _ => Ok(Value::Nil),
    }),
    method("GitVersion", &[], |receiver, _| match receiver {
        Value::Object(Object::KubeVersion(all)) => {
            Ok(Value::str(all.kube_version.version.as_str()))
        }
        _ => Ok(Value::Nil),
    }),
];

/// Numbers of which each has a name.
const NAMED: &[Method] = &[method("String", &[], |receiver, _| match receiver {
    Value::Int(number, kind) => Ok(Value::str(super::in_words(*number, *kind))),
    _ => Ok(Value::Nil),
})];

const VERSION_SET: &[Method] = &[method("Has", &[Type::Str], |receiver, arguments| {
    let Value::List(list) = receiver else {
        return Ok(Value::Nil);
    };
    let wanted = Text::from(string(arguments, 0));
    let found = list
        .items
        .iter()
        .any(|item| matches!(item, Value::Str(text) if *text == wanted));
    Ok(Value::Bool(found))
})];

const VALUES: &[Method] = &[
    method("AsMap", &[], |receiver, _| match receiver {
        Value::Map(map) => Ok(Value::Map(map.as_type(MapType::Any))),
        _ => Ok(Value::Nil),
    }),
    method("YAML", &[], |receiver, _| {
        match super::serial::to_yaml(receiver) {
            Ok(text) => Ok(Value::str(format!("{text}\n"))),
            Err(message) => fail(message),
        }
    }),
    method("Table", &[Type::Str], |receiver, arguments| {
        let mut table = match receiver {
            Value::Map(map) => map.clone(),
            _ => return Ok(Value::Nil),
        };
        for part in string(arguments, 0).split('.') {
            table = step(&table, part)?;
        }
        Ok(Value::Map(table.as_type(MapType::Values)))
    }),
    method("PathValue", &[Type::Str], |receiver, arguments| {
        let path = string(arguments, 0);
        if path.is_empty() {
            return fail("YAML path cannot be empty");
        }
        let Value::Map(root) = receiver else {
            return Ok(Value::Nil);
        };
        let (parents, key) = path
            .rsplit_once('.')
            .map_or((None, path.as_ref()), |(parents, key)| (Some(parents), key));
        let mut table = Some(root.clone());
        for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
            table = table.and_then(|table| step(&table, part).ok());
        }
        match table.and_then(|table| table.get(key)) {
            Some(found) if !matches!(found, Value::Map(_)) => Ok(found),
            _ => fail(format!(
                "{} is not a value",
                crate::go::quote::quote(&key.into())
            )),
        }
    }),
];

fn step(table: &Map, key: &str) -> Result<Map, crate::template::error::ExecError> {
    match table.get(key) {
        Some(Value::Map(map)) => Ok(map),
        _ => fail(format!(
            "{} is not a table",
            crate::go::quote::quote(&key.into())
        )),
    }
}

fn version(receiver: &Value) -> Option<&Rc<Version>> {
    match receiver {
        Value::Object(Object::Version(version) | Object::VersionValue(version)) => Some(version),
        _ => None,
    }
}

fn version_number(receiver: &Value, number: fn(&Version) -> u64) -> Called {
    Ok(version(receiver).map_or(Value::Nil, |version| {
        Value::Uint(number(version), UintType::Uint64)
    }))
}

fn version_text(receiver: &Value, text: fn(&Version) -> String) -> Called {
    Ok(version(receiver).map_or(Value::Nil, |version| Value::str(text(version))))
}

fn compared(
    receiver: &Value,
    arguments: &[Value],
) -> Result<Ordering, crate::template::error::ExecError> {
    match (version(receiver), version(value(arguments, 0))) {
        (Some(one), Some(other)) => Ok(one.compare(other)),
        _ => fail("value is not a *semver.Version"),
    }
}

fn increased(receiver: &Value, change: fn(&mut Version)) -> Called {
    let Some(version) = version(receiver) else {
        return Ok(Value::Nil);
    };
    let mut next = version.as_ref().clone();
    change(&mut next);
    next.metadata.clear();
    next.pre.clear();
    Ok(named_like(version, next))
}

/// A version that is made of another: written with a `v` before it where that one is.
fn named_like(version: &Version, mut next: Version) -> Value {
    let prefix = if version.original.starts_with('v') {
        "v"
    } else {
        ""
    };
    next.original = format!("{prefix}{next}");
    Object::VersionValue(Rc::new(next)).into()
}

/// Another pre-release or other metadata.
fn with_part(
    receiver: &Value,
    arguments: &[Value],
    check: fn(&str) -> Result<(), VersionError>,
    change: fn(&mut Version, String),
) -> Called {
    let Some(version) = version(receiver) else {
        return Ok(Value::Nil);
    };
    let part = string(arguments, 0);
    if !part.is_empty()
        && let Err(error) = check(&part)
    {
        return fail(error.to_string());
    }
    let mut next = version.as_ref().clone();
    change(&mut next, part.into_owned());
    Ok(named_like(version, next))
}

/// Methods of a version that need no pointer come first.
const VALUE_METHODS: usize = 11;

const VERSION: &[Method] = &[
    method("Major", &[], |receiver, _| {
        version_number(receiver, |version| version.major)
    }),
    method("Minor", &[], |receiver, _| {
        version_number(receiver, |version| version.minor)
    }),
    method("Patch", &[], |receiver, _| {
        version_number(receiver, |version| version.patch)
    }),
    method("Prerelease", &[], |receiver, _| {
        version_text(receiver, |v| v.pre.clone())
    }),
    method("Metadata", &[], |receiver, _| {
        version_text(receiver, |v| v.metadata.clone())
    }),
    method("String", &[], |receiver, _| {
        version_text(receiver, ToString::to_string)
    }),
    method("IncMajor", &[], |receiver, _| {
        increased(receiver, |version| {
            version.major = version.major.saturating_add(1);
            version.minor = 0;
            version.patch = 0;
        })
    }),
    method("IncMinor", &[], |receiver, _| {
        increased(receiver, |version| {
            version.minor = version.minor.saturating_add(1);
            version.patch = 0;
        })
    }),
    method("IncPatch", &[], |receiver, _| {
        increased(receiver, |version| {
            if version.pre.is_empty() {
                version.patch = version.patch.saturating_add(1);
            }
        })
    }),
    method("SetPrerelease", &[Type::Str], |receiver, arguments| {
        with_part(receiver, arguments, check_pre, |version, part| {
            version.pre = part;
        })
    }),
    method("SetMetadata", &[Type::Str], |receiver, arguments| {
        with_part(receiver, arguments, check_metadata, |version, part| {
            version.metadata = part;
        })
    }),
    method("Original", &[], |receiver, _| {
        version_text(receiver, |v| v.original.clone())
    }),
    method("Compare", &[Type::Any], |receiver, arguments| {
        Ok(Value::int(compared(receiver, arguments)? as i64))
    }),
    method("Equal", &[Type::Any], |receiver, arguments| {
        Ok(Value::Bool(
            compared(receiver, arguments)? == Ordering::Equal,
        ))
    }),
    method("LessThan", &[Type::Any], |receiver, arguments| {
        Ok(Value::Bool(
            compared(receiver, arguments)? == Ordering::Less,
        ))
    }),
    method("LessThanEqual", &[Type::Any], |receiver, arguments| {
        Ok(Value::Bool(
            compared(receiver, arguments)? != Ordering::Greater,
        ))
    }),
    method("GreaterThan", &[Type::Any], |receiver, arguments| {
        Ok(Value::Bool(
            compared(receiver, arguments)? == Ordering::Greater,
        ))
    }),
    method("GreaterThanEqual", &[Type::Any], |receiver, arguments| {
        Ok(Value::Bool(
            compared(receiver, arguments)? != Ordering::Less,
        ))
    }),
];
