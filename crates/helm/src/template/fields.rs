//! `.field` of a value: an entry of a map, a field of an object, or a method.

use std::sync::Arc;

use super::ast::Expr;
use super::exec::{Evaluated, Executed, Place, State};
use crate::functions::methods;
use crate::go::objects::Object;
use crate::go::text::Text;
use crate::go::value::{MapType, Value};

impl<'t> State<'t> {
    pub(super) fn field(
        &mut self,
        dot: &Evaluated,
        receiver: &Evaluated,
        expr: &'t Expr,
        name: &'t Arc<str>,
        arguments: &'t [Expr],
        last: Option<Evaluated>,
    ) -> Executed<Evaluated> {
        let type_name = receiver.type_name();
        if receiver.value.is_nil() {
            if receiver.in_interface {
                return self.error(format!("nil pointer evaluating {type_name}.{name}"));
            }
            return Ok(Evaluated::bare(Value::Nil));
        }
        if let Some(method) = methods::find(&receiver.value, name) {
            let values = self.arguments(dot, method.name, &method.signature, arguments, last)?;
            #[cfg(test)]
            crate::coverage::hit(format!("method {}.{}", receiver.value.type_name(), name));
            match &receiver.value {
                Value::Object(Object::Files(files)) => self.charge(files.len() as u64)?,
                Value::Map(_) => self.measure(std::slice::from_ref(&receiver.value))?,
                _ => {}
            }
            return match (method.call)(&receiver.value, &values) {
                Ok(value) => {
                    self.after_call(&value)?;
                    Ok(Evaluated::bare(value))
                }
                Err(cause) => {
                    self.at(Place::Expr(expr));
                    self.failed_call(method.name, cause)
                }
            };
        }
        let has_arguments = !arguments.is_empty() || last.is_some();
        match &receiver.value {
            Value::Map(map) => {
                if has_arguments {
                    return self.error(format!("{name} is not a method but has arguments"));
                }
                let found = map.get(name);
                Ok(match map.element {
                    MapType::Str | MapType::NilStr => {
                        Evaluated::bare(found.unwrap_or_else(|| Value::str("")))
                    }
                    MapType::Any | MapType::NilAny | MapType::Values => {
                        Evaluated::interface(found.unwrap_or(Value::Nil))
                    }
                })
            }
            Value::Object(Object::Files(files)) => {
                if has_arguments {
                    return self.error(format!("{name} is not a method but has arguments"));
                }
                let data = files.get(name.as_ref()).map_or(&[][..], |data| data);
                Ok(Evaluated::bare(Value::Bytes(data.into())))
            }
            Value::Object(object) => match object.field(name) {
                Some(_) if has_arguments => self.error(format!(
                    "{name} has arguments but cannot be invoked as function"
                )),
                Some(value) => Ok(Evaluated::bare(value)),
                None => self.no_field(name, type_name),
            },
            _ => self.no_field(name, type_name),
        }
    }

    fn no_field<T>(&self, name: &str, type_name: &str) -> Executed<T> {
        self.error(format!("can't evaluate field {name} in type {type_name}"))
    }
}

impl Object {
    /// A field of a struct.
    fn field(&self, name: &str) -> Option<Value> {
        let text = |text: &str| Some(Value::Str(Text::from(text)));
        match self {
            Self::Capabilities(all) => match name {
                "KubeVersion" => Some(Self::KubeVersion(all.clone()).into()),
                "APIVersions" => Some(crate::go::objects::api_versions(all)),
                "HelmVersion" => Some(Self::HelmVersion(all.clone()).into()),
                _ => None,
            },
            Self::KubeVersion(all) => match name {
                "Version" => text(&all.kube_version.version),
                "Major" => text(&all.kube_version.major),
                "Minor" => text(&all.kube_version.minor),
                _ => None,
            },
            Self::HelmVersion(all) => all
                .helm_version
                .fields()
                .into_iter()
                .find(|(field, _, _)| *field == name)
                .and_then(|(_, _, value)| text(value)),
            Self::Files(_)
            | Self::Version(_)
            | Self::VersionValue(_)
            | Self::Time(_)
            | Self::Complex { .. } => None,
        }
    }

    /// Keys and values, for what can be ranged over.
    pub(super) fn entries(&self) -> Option<Vec<(Text, Value)>> {
        match self {
            Self::Files(files) => Some(
                files
                    .iter()
                    .map(|(name, data)| {
                        (
                            Text::Utf8(Arc::clone(name)),
                            Value::Bytes(data.as_ref().into()),
                        )
                    })
                    .collect(),
            ),
            _ => None,
        }
    }
}
