//! Nodes as messages show them: `<.Values.image | required "…">`.

use std::fmt::{Display, Formatter, Result};
use std::sync::Arc;

use super::ast::{Branch, Command, Expr, ExprKind, ListNode, Node, Pipe};
use crate::go::quote::quote;

fn write_fields(formatter: &mut Formatter<'_>, fields: &[Arc<str>]) -> Result {
    fields
        .iter()
        .try_for_each(|field| write!(formatter, ".{field}"))
}

impl Display for Expr {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match &self.kind {
            ExprKind::Dot => formatter.write_str("."),
            ExprKind::Nil => formatter.write_str("nil"),
            ExprKind::Bool(truth) => write!(formatter, "{truth}"),
            ExprKind::Number(number) => formatter.write_str(&number.source),
            ExprKind::Str { quoted, .. } => formatter.write_str(quoted),
            ExprKind::Field(fields) => write_fields(formatter, fields),
            ExprKind::Variable { name, fields } => {
                formatter.write_str(name)?;
                write_fields(formatter, fields)
            }
            ExprKind::Chain { node, fields } => {
                if matches!(node.kind, ExprKind::Pipe(_)) {
                    write!(formatter, "({node})")?;
                } else {
                    write!(formatter, "{node}")?;
                }
                write_fields(formatter, fields)
            }
            ExprKind::Function(function) => formatter.write_str(function.name),
            ExprKind::Pipe(pipe) => pipe.fmt(formatter),
        }
    }
}

impl Display for Command {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        for (position, word) in self.words.iter().enumerate() {
            if position > 0 {
                formatter.write_str(" ")?;
            }
            if matches!(word.kind, ExprKind::Pipe(_)) {
                write!(formatter, "({word})")?;
            } else {
                word.fmt(formatter)?;
            }
        }
        Ok(())
    }
}

impl Display for Pipe {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        if !self.variables.is_empty() {
            formatter.write_str(&self.variables.join(", "))?;
            formatter.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (position, command) in self.commands.iter().enumerate() {
            if position > 0 {
                formatter.write_str(" | ")?;
            }
            command.fmt(formatter)?;
        }
        Ok(())
    }
}

fn write_branch(formatter: &mut Formatter<'_>, word: &str, branch: &Branch) -> Result {
    write!(formatter, "{{{{{word} {}}}}}{}", branch.pipe, branch.list)?;
    if let Some(otherwise) = &branch.otherwise {
        write!(formatter, "{{{{else}}}}{otherwise}")?;
    }
    formatter.write_str("{{end}}")
}

impl Display for Node {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match self {
            Self::Text(text) => formatter.write_str(&text.lossy()),
            Self::Action(pipe) => write!(formatter, "{{{{{pipe}}}}}"),
            Self::If(branch) => write_branch(formatter, "if", branch),
            Self::With(branch) => write_branch(formatter, "with", branch),
            Self::Range(branch) => write_branch(formatter, "range", branch),
            Self::Template { name, pipe, .. } => {
                write!(formatter, "{{{{template {}", quote(name))?;
                if let Some(pipe) = pipe {
                    write!(formatter, " {pipe}")?;
                }
                formatter.write_str("}}")
            }
            Self::Break => formatter.write_str("{{break}}"),
            Self::Continue => formatter.write_str("{{continue}}"),
        }
    }
}

impl Display for ListNode {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        self.nodes.iter().try_for_each(|node| node.fmt(formatter))
    }
}
