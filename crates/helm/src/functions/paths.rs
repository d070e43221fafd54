//! Sprig: slash-separated paths. Those of the operating system are the same here.

use super::arguments::string;
use super::{Function, Type, function};
use crate::go::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("base", &[Type::Str], |_, a| {
        Ok(Value::str(base(&string(a, 0))))
    }),
    function("dir", &[Type::Str], |_, a| {
        Ok(Value::str(dir(&string(a, 0))))
    }),
    function("clean", &[Type::Str], |_, a| {
        Ok(Value::str(clean(&string(a, 0))))
    }),
    function("ext", &[Type::Str], |_, a| {
        Ok(Value::str(ext(&string(a, 0))))
    }),
    function("isAbs", &[Type::Str], |_, a| {
        Ok(Value::Bool(string(a, 0).starts_with('/')))
    }),
    function("osBase", &[Type::Str], |_, a| {
        Ok(Value::str(base(&string(a, 0))))
    }),
    function("osDir", &[Type::Str], |_, a| {
        Ok(Value::str(dir(&string(a, 0))))
    }),
    function("osClean", &[Type::Str], |_, a| {
        Ok(Value::str(clean(&string(a, 0))))
    }),
    function("osExt", &[Type::Str], |_, a| {
        Ok(Value::str(ext(&string(a, 0))))
    }),
    function("osIsAbs", &[Type::Str], |_, a| {
        Ok(Value::Bool(string(a, 0).starts_with('/')))
    }),
];

/// Go's `path.Base`.
pub(crate) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/";
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

fn dir(path: &str) -> String {
    clean(&path[..path.rfind('/').map_or(0, |slash| slash + 1)])
}

/// Go's `path.Clean`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if !rooted => parts.push(".."),
                _ => {}
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn ext(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rfind('.').map_or("", |dot| &file[dot..])
}
