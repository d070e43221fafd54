//! The tree of a parsed template. It holds no reference to the file that it came from, so one tree
//! can stand for the same text in many charts.

use std::sync::Arc;

use crate::functions::Function;
use crate::go::text::Text;

/// Byte offset in the source of the file.
pub(crate) type At = u32;

#[derive(Debug, Default)]
pub(crate) struct ListNode {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Debug)]
pub(crate) enum Node {
    Text(Text),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template {
        at: At,
        name: Text,
        pipe: Option<Pipe>,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) list: ListNode,
    pub(crate) otherwise: Option<ListNode>,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) at: At,
    /// `=` rather than `:=`.
    pub(crate) assigns: bool,
    pub(crate) variables: Vec<Arc<str>>,
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) at: At,
    pub(crate) words: Vec<Expr>,
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) at: At,
    pub(crate) kind: ExprKind,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Str {
        quoted: String,
        text: Text,
    },
    /// `.a.b`
    Field(Vec<Arc<str>>),
    /// `$x.a.b`; the fields may be empty.
    Variable {
        name: Arc<str>,
        fields: Vec<Arc<str>>,
    },
    /// `(pipe).a.b`
    Chain {
        node: Box<Expr>,
        fields: Vec<Arc<str>>,
    },
    Function(&'static Function),
    /// `(pipe)`
    Pipe(Box<Pipe>),
}

/// A number constant with every type that it can stand for.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) source: String,
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
    /// Real and imaginary part, when it is written as a complex number.
    pub(crate) complex: Option<(f64, f64)>,
}

/// One parsed file.
#[derive(Debug)]
pub(crate) struct ParsedTemplate {
    pub(crate) source: Text,
    pub(crate) main: Arc<ListNode>,
    /// What the file defines, in the order in which the definitions end.
    pub(crate) definitions: Vec<(Text, Arc<ListNode>)>,
}

impl ListNode {
    /// Whether nothing but blank text is in it; such a definition does not replace another.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| match node {
            Node::Text(text) => text.lossy().trim().is_empty(),
            _ => false,
        })
    }
}
