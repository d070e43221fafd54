//! `.Files` of a chart.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::arguments::string;
use super::{Called, paths, serial};
use crate::go::json::base64_text;
use crate::go::objects::{FileMap, Object};
use crate::go::text::Text;
use crate::go::value::{Entries, Value};

fn data<'f>(files: &'f FileMap, arguments: &[Value]) -> &'f [u8] {
    files
        .get(string(arguments, 0).as_ref())
        .map_or(&[], |data| data)
}

pub(super) fn get(files: &FileMap, arguments: &[Value]) -> Called {
    Ok(Value::Str(Text::from_bytes(
        data(files, arguments).to_vec(),
    )))
}

pub(super) fn get_bytes(files: &FileMap, arguments: &[Value]) -> Called {
    Ok(Value::Bytes(data(files, arguments).into()))
}

pub(super) fn glob(files: &FileMap, arguments: &[Value]) -> Called {
    let pattern = string(arguments, 0);
    let glob = crate::glob::Glob::new(&pattern);
    let found: FileMap = files
        .iter()
        .filter(|(name, _)| glob.matches(name))
        .map(|(name, data)| (Arc::clone(name), Arc::clone(data)))
        .collect();
    Ok(Object::Files(Rc::new(found)).into())
}

/// Files of the same name in several folders: the last in the order of paths stays.
fn by_base_name(files: &FileMap, make: impl Fn(&[u8]) -> Text) -> Called {
    let entries: BTreeMap<Text, Text> = files
        .iter()
        .map(|(name, data)| (Text::from(paths::base(name)), make(data)))
        .collect();
    let entries: Entries = entries
        .into_iter()
        .map(|(name, text)| (name, Value::Str(text)))
        .collect();
    Ok(Value::str(
        serial::to_yaml(&Value::map(entries)).unwrap_or_default(),
    ))
}

pub(super) fn as_config(files: &FileMap, _: &[Value]) -> Called {
    by_base_name(files, |data| Text::from_bytes(data.to_vec()))
}

pub(super) fn as_secrets(files: &FileMap, _: &[Value]) -> Called {
    by_base_name(files, |data| base64_text(data).into())
}

pub(super) fn lines(files: &FileMap, arguments: &[Value]) -> Called {
    let data = data(files, arguments);
    if data.is_empty() {
        return Ok(Value::strings(Vec::<Text>::new()));
    }
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    Ok(Value::strings(
        data.split(|&byte| byte == b'\n')
            .map(|line| Text::from_bytes(line.to_vec())),
    ))
}
