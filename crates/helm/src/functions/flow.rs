//! Helm's own: templates inside templates, and messages of charts.

use super::arguments::{text, value};
use super::{Called, Function, Type, function};
use crate::go::text::Text;
use crate::go::value::{Entries, Value};
use crate::lookup::LookupQuery;
use crate::template::error::ExecError;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("include", &[Type::Str, Type::Any], include),
    function("tpl", &[Type::Str, Type::Any], tpl),
    function("required", &[Type::Str, Type::Any], required),
    function("fail", &[Type::Str], fail),
    function(
        "lookup",
        &[Type::Str, Type::Str, Type::Str, Type::Str],
        lookup,
    ),
    function("getHostByName", &[Type::Str], get_host_by_name),
];

fn include(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let name = text(arguments, 0);
    state
        .include(&name, value(arguments, 1).clone())
        .map(Value::Str)
}

fn tpl(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let template = text(arguments, 0);
    state
        .tpl(&template, value(arguments, 1).clone())
        .map(Value::Str)
}

fn required(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let wanted = value(arguments, 1);
    let missing = match wanted {
        Value::Nil => true,
        Value::Str(text) => text.is_empty(),
        _ => false,
    };
    if missing && state.forgives() {
        return Ok(Value::str(""));
    }
    if missing {
        return Err(ExecError::Warning(text(arguments, 0).lossy().into_owned()));
    }
    Ok(wanted.clone())
}

fn fail(state: &mut State<'_>, arguments: &[Value]) -> Called {
    if state.forgives() {
        return Ok(Value::str(""));
    }
    Err(ExecError::Warning(text(arguments, 0).lossy().into_owned()))
}

/// Without a cluster there is nothing to be found.
fn lookup(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let Some(cluster) = state.cluster() else {
        return Ok(Value::map(Entries::new()));
    };
    let words: Vec<Text> = (0..4).map(|number| text(arguments, number)).collect();
    let word = |number: usize| words.get(number).map(Text::lossy).unwrap_or_default();
    let (api_version, kind, namespace, name) = (word(0), word(1), word(2), word(3));
    cluster
        .find(&LookupQuery {
            api_version: &api_version,
            kind: &kind,
            namespace: &namespace,
            name: &name,
        })
        .map_err(ExecError::plain)
}

/// Helm asks the network only when told to.
fn get_host_by_name(_: &mut State<'_>, _: &[Value]) -> Called {
    Ok(Value::str(""))
}
