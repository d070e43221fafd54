//! Arguments of functions and methods: evaluation and the check of their types.

use super::ast::{Expr, ExprKind};
use super::exec::{Evaluated, Executed, Place, State};
use crate::functions::{Function, Signature, Type};
use crate::go::objects::Object;
use crate::go::value::{IntType, MapType, Value};

impl<'t> State<'t> {
    /// `and` and `or` evaluate only as many arguments as they need.
    pub(super) fn and_or(
        &mut self,
        dot: &Evaluated,
        function: &'static Function,
        arguments: &'t [Expr],
        last: Option<Evaluated>,
    ) -> Executed<Evaluated> {
        let given = arguments.len() + usize::from(last.is_some());
        if given < 1 {
            return self.error(format!(
                "wrong number of args for {}: want at least 1 got {}",
                function.name,
                arguments.len()
            ));
        }
        let mut value = Evaluated::bare(Value::Nil);
        for argument in arguments {
            value = self.argument(dot, argument, Type::Reflect)?;
            if value.value.is_true() == (function.name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    pub(super) fn arguments(
        &mut self,
        dot: &Evaluated,
        name: &str,
        signature: &Signature,
        arguments: &'t [Expr],
        last: Option<Evaluated>,
    ) -> Executed<Vec<Value>> {
        let given = arguments.len() + usize::from(last.is_some());
        let fixed = signature.fixed.len();
        if signature.rest.is_some() {
            if given < fixed {
                let got = arguments.len();
                return self.error(format!(
                    "wrong number of args for {name}: want at least {fixed} got {got}"
                ));
            }
        } else if given != fixed {
            return self.error(format!(
                "wrong number of args for {name}: want {fixed} got {given}"
            ));
        }
        let type_at = |position: usize| {
            signature
                .fixed
                .get(position)
                .copied()
                .or(signature.rest)
                .unwrap_or(Type::Any)
        };
        let mut values = Vec::with_capacity(given);
        for (position, argument) in arguments.iter().enumerate() {
            values.push(self.argument(dot, argument, type_at(position))?.value);
        }
        if let Some(last) = last {
            values.push(self.check(last, type_at(arguments.len()))?.value);
        }
        Ok(values)
    }

    pub(super) fn argument_of_any_type(
        &mut self,
        dot: &Evaluated,
        expr: &'t Expr,
    ) -> Executed<Evaluated> {
        self.argument(dot, expr, Type::Reflect)
    }

    fn argument(&mut self, dot: &Evaluated, expr: &'t Expr, wanted: Type) -> Executed<Evaluated> {
        self.at(Place::Expr(expr));
        #[cfg(test)]
        crate::coverage::expression(&expr.kind, "argument");
        let value = match &expr.kind {
            ExprKind::Dot => dot.clone(),
            ExprKind::Nil => {
                if wanted.can_be_nil() {
                    return Ok(Evaluated::interface(Value::Nil));
                }
                return self.error(format!("cannot assign nil to {}", wanted.name()));
            }
            ExprKind::Field(fields) => self.fields(dot, dot.clone(), expr, fields, None, None)?,
            ExprKind::Variable { name, fields } => {
                let value = self.variable(name)?;
                self.fields(dot, value, expr, fields, None, None)?
            }
            ExprKind::Pipe(pipe) => self.deeper(|state| state.pipeline(dot, pipe))?,
            ExprKind::Function(function) => {
                self.function(dot, function, Place::Expr(expr), &[], None)?
            }
            ExprKind::Chain { node, fields } => self.chain(dot, expr, node, fields, None, None)?,
            ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::Str { .. } => {
                return self.constant_of_type(expr, wanted);
            }
        };
        self.check(value, wanted)
    }

    /// A constant takes the type that the parameter has.
    fn constant_of_type(&mut self, expr: &'t Expr, wanted: Type) -> Executed<Evaluated> {
        let value = match (&expr.kind, wanted) {
            (_, Type::Any | Type::Reflect) => return self.constant(expr),
            (ExprKind::Str { text, .. }, Type::Str) => Value::Str(text.clone()),
            (ExprKind::Bool(truth), Type::Bool) => Value::Bool(*truth),
            (ExprKind::Number(number), Type::Int) => match number.int {
                Some(int) => Value::int(int),
                None => return self.error(format!("expected integer; found {expr}")),
            },
            (ExprKind::Number(number), Type::Uint32) => {
                match number.int.and_then(|int| u32::try_from(int).ok()) {
                    Some(int) => Value::int(i64::from(int)),
                    None => return self.error(format!("expected unsigned integer; found {expr}")),
                }
            }
            (ExprKind::Number(number), Type::Float) => match number.float {
                Some(float) => Value::Float(float),
                None => return self.error(format!("expected float; found {expr}")),
            },
            (_, Type::Str) => return self.error(format!("expected string; found {expr}")),
            (_, Type::Bool) => return self.error(format!("expected bool; found {expr}")),
            (_, Type::Uint32) => {
                return self.error(format!("expected unsigned integer; found {expr}"));
            }
            (_, Type::Int) => {
                return self.error(format!("expected integer; found {expr}"));
            }
            (_, Type::Float) => return self.error(format!("expected float; found {expr}")),
            (_, Type::Map | Type::Time) => {
                let wanted = wanted.name();
                return self.error(format!("can't handle {expr} for arg of type {wanted}"));
            }
        };
        Ok(Evaluated::bare(value))
    }

    fn check(&self, value: Evaluated, wanted: Type) -> Executed<Evaluated> {
        if matches!(wanted, Type::Any | Type::Reflect) {
            return Ok(value);
        }
        if value.value.is_nil() {
            let wanted_name = wanted.name();
            if value.in_interface {
                return self.error(format!(
                    "wrong type for value; expected {wanted_name}; got interface {{}}"
                ));
            }
            if wanted.can_be_nil() {
                return Ok(value);
            }
            return self.error(format!("invalid value; expected {wanted_name}"));
        }
        if is_assignable(&value.value, wanted) {
            return Ok(Evaluated::bare(value.value));
        }
        let got = value.value.type_name();
        let wanted = wanted.name();
        self.error(format!(
            "wrong type for value; expected {wanted}; got {got}"
        ))
    }
}

const fn is_assignable(value: &Value, wanted: Type) -> bool {
    match wanted {
        Type::Any | Type::Reflect => true,
        Type::Str => matches!(value, Value::Str(_)),
        Type::Bool => matches!(value, Value::Bool(_)),
        Type::Int => matches!(value, Value::Int(_, IntType::Int)),
        Type::Uint32 => false,
        Type::Float => matches!(value, Value::Float(_)),
        Type::Map => match value {
            Value::Map(map) => {
                matches!(
                    map.element,
                    MapType::Any | MapType::NilAny | MapType::Values
                )
            }
            _ => false,
        },
        Type::Time => matches!(value, Value::Object(Object::Time(_))),
    }
}
