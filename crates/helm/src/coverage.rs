//! Which functions, methods and nodes of the language the corpus of charts really executes.
//!
//! Only in tests: the executor notes what it meets, per thread, so that other tests do not count.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::case::CorpusFile;
use crate::functions::methods;
use crate::template::ast::{ExprKind, Node, Pipe};

thread_local! {
    static HITS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

pub(crate) fn hit(what: impl Into<String>) {
    HITS.with_borrow_mut(|hits| {
        hits.insert(what.into());
    });
}

/// What this thread has met so far; a rendering has a thread of its own.
pub(crate) fn take() -> BTreeSet<String> {
    HITS.take()
}

pub(crate) fn add(more: BTreeSet<String>) {
    HITS.with_borrow_mut(|hits| hits.extend(more));
}

pub(crate) fn node(node: &Node) {
    hit(match node {
        Node::Text(_) => "text",
        Node::Action(_) => "action",
        Node::If(branch) if branch.otherwise.is_some() => "if else",
        Node::If(_) => "if",
        Node::With(branch) if branch.otherwise.is_some() => "with else",
        Node::With(_) => "with",
        Node::Range(branch) if branch.otherwise.is_some() => "range else",
        Node::Range(_) => "range",
        Node::Template { pipe: Some(_), .. } => "template with a dot",
        Node::Template { pipe: None, .. } => "template",
        Node::Break => "break",
        Node::Continue => "continue",
    });
}

pub(crate) fn pipe(pipe: &Pipe) {
    match (pipe.variables.len(), pipe.assigns) {
        (0, _) => {}
        (1, true) => hit("assignment"),
        (1, false) => hit("declaration"),
        (_, true) => hit("assignment of two"),
        (_, false) => hit("declaration of two"),
    }
    if pipe.commands.len() > 1 {
        hit("pipeline of several commands");
    }
}

pub(crate) fn expression(kind: &ExprKind, position: &str) {
    let kind = match kind {
        ExprKind::Dot => "dot",
        ExprKind::Nil => "nil",
        ExprKind::Bool(_) => "bool",
        ExprKind::Number(_) => "number",
        ExprKind::Str { .. } => "string",
        ExprKind::Field(_) => "field",
        ExprKind::Variable { fields, .. } if fields.is_empty() => "variable",
        ExprKind::Variable { .. } => "field of a variable",
        ExprKind::Chain { .. } => "field of a result",
        ExprKind::Function(_) => "function",
        ExprKind::Pipe(_) => "parentheses",
    };
    hit(format!("{kind} as {position}"));
}

/// Everything that the language has.
const LANGUAGE: &[&str] = &[
    "text",
    "action",
    "if",
    "if else",
    "with",
    "with else",
    "range",
    "range else",
    "template",
    "template with a dot",
    "break",
    "continue",
    "assignment",
    "declaration",
    "assignment of two",
    "declaration of two",
    "pipeline of several commands",
    "dot as command",
    "nil as command",
    "bool as command",
    "number as command",
    "string as command",
    "field as command",
    "variable as command",
    "field of a variable as command",
    "field of a result as command",
    "function as command",
    "parentheses as command",
    "dot as argument",
    "nil as argument",
    "bool as argument",
    "number as argument",
    "string as argument",
    "field as argument",
    "variable as argument",
    "field of a variable as argument",
    "field of a result as argument",
    "function as argument",
    "parentheses as argument",
];

#[test]
fn the_corpus_executes_everything() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = root.join("../../tests/conformance/helm/corpus");
    for file in CorpusFile::read_all(&corpus) {
        for case in &file.cases {
            let lines = case.failures().unwrap_or_default();
            let runs = if lines.is_empty() {
                vec![None]
            } else {
                lines.into_iter().map(Some).collect()
            };
            for failing in runs {
                let folder = tempfile::tempdir().unwrap();
                case.expand(folder.path(), failing);
                // What comes out is compared elsewhere.
                let _ = crate::run::ours(&case.arguments, folder.path());
            }
        }
    }
    let hits = take();
    let functions = crate::supported_functions();
    let wanted = LANGUAGE.iter().copied().map(str::to_owned);
    let wanted = wanted
        .chain(functions.iter().map(|name| format!("function {name}")))
        .chain(methods::names().map(|name| format!("method {name}")));
    let (met, missed): (Vec<_>, Vec<_>) = wanted.partition(|what| hits.contains(what));
    assert!(
        missed.is_empty(),
        "{} are executed, {} are not: {}",
        met.len(),
        missed.len(),
        missed.join(", ")
    );
}
