//! Sprig: semantic versions.

use std::rc::Rc;

use super::arguments::string;
use super::strings::invalid;
use super::{Called, Function, Type, function};
use crate::go::objects::Object;
use crate::go::value::Value;
use crate::semantic_version::{Constraint, Version};
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("semver", &[Type::Str], semver),
    function("semverCompare", &[Type::Str, Type::Str], semver_compare),
];

fn semver(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let version =
        Version::parse(&string(arguments, 0)).map_err(|error| invalid(error.to_string()))?;
    Ok(Object::Version(Rc::new(version)).into())
}

fn semver_compare(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let constraint =
        Constraint::parse(&string(arguments, 0)).map_err(|error| invalid(error.to_string()))?;
    let version =
        Version::parse(&string(arguments, 1)).map_err(|error| invalid(error.to_string()))?;
    Ok(Value::Bool(constraint.allows(&version)))
}
