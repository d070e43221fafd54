//! Walks a parsed template and writes its output.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{At, Branch, Command, Expr, ExprKind, ListNode, Node, Pipe};
use super::error::{ExecError, Location};
use super::set::{Entry, TemplateSet};
use super::turns::Turns;
use crate::functions::Function;
use crate::functions::random::Random;
use crate::go::format::print_value;
use crate::go::objects::Object;
use crate::go::quote::quote;
use crate::go::text::Text;
use crate::go::value::{Element, IntType, MapType, Value};
use crate::limits::Limits;
use crate::lookup::Lookup;

pub(super) type Executed<T> = Result<T, ExecError>;

/// A value as the executor holds it.
///
/// Go tells a value that sits in an `interface {}` (an entry of a map of anything) from one that is
/// bare, and an interface that is nil from no value at all. Messages and the treatment of `nil`
/// depend on it.
#[derive(Debug, Clone)]
pub(crate) struct Evaluated {
    pub(crate) value: Value,
    pub(crate) in_interface: bool,
}

impl Evaluated {
    pub(crate) const fn bare(value: Value) -> Self {
        Self {
            value,
            in_interface: false,
        }
    }

    pub(crate) const fn interface(value: Value) -> Self {
        Self {
            value,
            in_interface: true,
        }
    }

    /// The static type as messages show it.
    pub(super) const fn type_name(&self) -> &'static str {
        if self.in_interface {
            "interface {}"
        } else {
            self.value.type_name()
        }
    }
}

/// What is shared by everything that one rendering executes.
pub(crate) struct Runtime {
    pub(crate) limits: Limits,
    pub(crate) now: jiff::Zoned,
    pub(crate) random: RefCell<Random>,
    steps: Cell<u64>,
    output: Cell<u64>,
    pub(super) allocated: Cell<u64>,
    nesting: Cell<usize>,
    /// Regular expressions that were compiled, since loops use the same one over and over.
    pub(crate) expressions: RefCell<HashMap<String, regex::Regex>>,
    pub(super) included: RefCell<HashMap<Text, usize>>,
    /// Whether `required` and `fail` are forgiven, as when a chart is linted without its values.
    forgives: bool,
    lookup: Option<Lookup>,
}

impl Runtime {
    pub(crate) fn new(limits: Limits, now: jiff::Zoned) -> Self {
        Self {
            limits,
            now,
            random: RefCell::new(Random::default()),
            steps: Cell::new(0),
            output: Cell::new(0),
            allocated: Cell::new(0),
            expressions: RefCell::new(HashMap::new()),
            nesting: Cell::new(0),
            included: RefCell::new(HashMap::new()),
            forgives: false,
            lookup: None,
        }
    }

    /// The same with somebody who knows a cluster.
    pub(crate) fn looking_up(mut self, lookup: Option<Lookup>) -> Self {
        self.lookup = lookup;
        self
    }

    /// The same for lint.
    pub(crate) fn forgiving(mut self) -> Self {
        self.forgives = true;
        self
    }
}

/// The node that a message names.
#[derive(Clone, Copy)]
pub(super) enum Place<'t> {
    Nothing,
    Node(&'t Node, At),
    Pipe(&'t Pipe),
    Command(&'t Command),
    Expr(&'t Expr),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Normal,
    Break,
    Continue,
}

pub(crate) struct State<'t> {
    pub(super) runtime: &'t Runtime,
    pub(super) set: &'t TemplateSet<'t>,
    entry: &'t Entry,
    place: Place<'t>,
    variables: Vec<(Arc<str>, Evaluated)>,
}

impl State<'_> {
    /// Whether `required` and `fail` are forgiven.
    pub(crate) const fn forgives(&self) -> bool {
        self.runtime.forgives
    }

    /// Who knows the cluster.
    pub(crate) const fn cluster(&self) -> Option<&Lookup> {
        self.runtime.lookup.as_ref()
    }
}

/// Executes a template by name.
pub(crate) fn execute(
    runtime: &Runtime,
    set: &TemplateSet<'_>,
    name: &Text,
    data: &Evaluated,
) -> Executed<Vec<u8>> {
    let Some(entry) = set.get(name.as_bytes()) else {
        let name = quote(name);
        return Err(ExecError::plain(format!(
            "template: no template {name} associated with template \"gotpl\""
        )));
    };
    execute_entry(runtime, set, entry, data)
}

pub(super) fn execute_entry(
    runtime: &Runtime,
    set: &TemplateSet<'_>,
    entry: &Entry,
    data: &Evaluated,
) -> Executed<Vec<u8>> {
    let mut out = Vec::new();
    State::new(runtime, set, entry, data.clone()).run(data, &mut out)?;
    Ok(out)
}

impl<'t> State<'t> {
    fn new(
        runtime: &'t Runtime,
        set: &'t TemplateSet<'t>,
        entry: &'t Entry,
        data: Evaluated,
    ) -> Self {
        let variables = vec![(Arc::from("$"), data)];
        Self {
            runtime,
            set,
            entry,
            place: Place::Nothing,
            variables,
        }
    }

    fn run(&mut self, dot: &Evaluated, out: &mut Vec<u8>) -> Executed<()> {
        let entry = self.entry;
        self.list(dot, &entry.body, out).map(|_| ())
    }

    pub(super) fn at(&mut self, place: Place<'t>) {
        self.place = place;
    }

    pub(super) fn location(&self) -> Arc<Location> {
        let (at, expression) = match self.place {
            Place::Nothing => (0, String::new()),
            Place::Node(node, at) => (at, node.to_string()),
            Place::Pipe(pipe) => (pipe.at, pipe.to_string()),
            Place::Command(command) => (command.at, command.to_string()),
            Place::Expr(expr) => (expr.at, expr.to_string()),
        };
        let source = self.entry.source.as_bytes();
        let before = source.get(..at as usize).unwrap_or(source);
        let line_start = before.iter().rposition(|&byte| byte == b'\n');
        let line_start = line_start.map_or(0, |newline| newline + 1);
        let line = before.split(|&byte| byte == b'\n').count();
        let source_line = source[line_start..].split(|&byte| byte == b'\n').next();
        let source_line = String::from_utf8_lossy(source_line.unwrap_or_default());
        Arc::new(Location {
            file: self.entry.file.to_string(),
            line,
            column: before.len() - line_start,
            template: self.entry.name.lossy().into_owned(),
            expression,
            source_line: source_line.trim_end_matches('\r').to_owned(),
        })
    }

    pub(super) fn error<T>(&self, message: impl Into<String>) -> Executed<T> {
        Err(ExecError::At {
            location: self.location(),
            message: message.into(),
        })
    }

    fn step(&self) -> Executed<()> {
        self.charge(1)
    }

    /// Counts work that takes as long as so many nodes.
    pub(crate) fn charge(&self, cost: u64) -> Executed<()> {
        let steps = self.runtime.steps.get().saturating_add(cost);
        self.runtime.steps.set(steps);
        if steps > self.runtime.limits.steps {
            let most = self.runtime.limits.steps;
            return self.error(format!(
                "more than {most} steps: the chart runs without end"
            ));
        }
        Ok(())
    }

    pub(super) fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Executed<T>) -> Executed<T> {
        let depth = self.runtime.nesting.get() + 1;
        if depth > self.runtime.limits.nesting {
            let most = self.runtime.limits.nesting;
            return self.error(format!("exceeded maximum template depth ({most})"));
        }
        self.runtime.nesting.set(depth);
        let result = run(self);
        self.runtime.nesting.set(depth - 1);
        result
    }

    fn write(&self, out: &mut Vec<u8>, bytes: &[u8]) -> Executed<()> {
        let total = self.runtime.output.get() + bytes.len() as u64;
        self.runtime.output.set(total);
        if total > self.runtime.limits.output_bytes {
            let most = self.runtime.limits.output_bytes;
            return self.error(format!("more than {most} bytes of output"));
        }
        out.extend_from_slice(bytes);
        Ok(())
    }

    fn list(&mut self, dot: &Evaluated, list: &'t ListNode, out: &mut Vec<u8>) -> Executed<Flow> {
        for node in &list.nodes {
            let flow = self.node(dot, node, out)?;
            if flow != Flow::Normal {
                return Ok(flow);
            }
        }
        Ok(Flow::Normal)
    }

    fn node(&mut self, dot: &Evaluated, node: &'t Node, out: &mut Vec<u8>) -> Executed<Flow> {
        self.step()?;
        #[cfg(test)]
        crate::coverage::node(node);
        match node {
            Node::Text(text) => self.write(out, text.as_bytes())?,
            Node::Action(pipe) => {
                let result = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.print(out, &result.value)?;
                }
            }
            Node::If(branch) => return self.deeper(|state| state.if_node(dot, branch, out)),
            Node::With(branch) => return self.deeper(|state| state.with_node(dot, branch, out)),
            Node::Range(branch) => {
                return self.deeper(|state| state.range(dot, branch, out));
            }
            Node::Template { at, name, pipe } => {
                self.at(Place::Node(node, *at));
                self.template(dot, name, pipe.as_ref(), out)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Normal)
    }

    fn print(&self, out: &mut Vec<u8>, value: &Value) -> Executed<()> {
        match value {
            Value::Nil => self.write(out, b"<no value>"),
            Value::Str(text) => self.write(out, text.as_bytes()),
            // Its text belongs to a pointer; only an action of a template has one.
            Value::Object(Object::KubeVersion(all)) => {
                self.write(out, all.kube_version.normalized.as_bytes())
            }
            _ => {
                self.measure(std::slice::from_ref(value))?;
                let mut printed = Vec::new();
                print_value(&mut printed, value);
                self.write(out, &printed)
            }
        }
    }

    fn if_node(
        &mut self,
        dot: &Evaluated,
        branch: &'t Branch,
        out: &mut Vec<u8>,
    ) -> Executed<Flow> {
        let mark = self.variables.len();
        let condition = self.pipeline(dot, &branch.pipe)?;
        let flow = if condition.value.is_true() {
            self.list(dot, &branch.list, out)?
        } else if let Some(otherwise) = &branch.otherwise {
            self.list(dot, otherwise, out)?
        } else {
            Flow::Normal
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn with_node(
        &mut self,
        dot: &Evaluated,
        branch: &'t Branch,
        out: &mut Vec<u8>,
    ) -> Executed<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.value.is_true() {
            self.list(&value, &branch.list, out)?
        } else if let Some(otherwise) = &branch.otherwise {
            self.list(dot, otherwise, out)?
        } else {
            Flow::Normal
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, dot: &Evaluated, branch: &'t Branch, out: &mut Vec<u8>) -> Executed<Flow> {
        let outer = self.variables.len();
        let over = self.pipeline(dot, &branch.pipe)?.value;
        let mark = self.variables.len();
        let turns = self.turns(&over, branch)?;
        let empty = turns.len() == 0;
        for (index, element) in turns {
            self.bind_turn(branch, index, &element)?;
            let flow = self.list(&element, &branch.list, out)?;
            self.variables.truncate(mark);
            self.step()?;
            if flow == Flow::Break {
                break;
            }
        }
        let mut flow = Flow::Normal;
        if empty && let Some(otherwise) = &branch.otherwise {
            flow = self.list(dot, otherwise, out)?;
        }
        self.variables.truncate(outer);
        Ok(flow)
    }

    fn turns(&self, over: &Value, branch: &'t Branch) -> Executed<Turns> {
        let count = match over {
            Value::Nil => 0,
            Value::Int(count, _) => u64::try_from(*count).unwrap_or(0),
            Value::Uint(count, _) => *count,
            Value::List(list) => return Ok(Turns::List(list.clone(), 0)),
            Value::Bytes(bytes) => {
                let items = bytes
                    .iter()
                    .map(|byte| Value::Uint(u64::from(*byte), crate::go::value::UintType::Uint8))
                    .collect();
                return Ok(Turns::List(
                    crate::go::value::List::new(items, Element::Int),
                    0,
                ));
            }
            Value::Map(map) => {
                let interface = !matches!(map.element, MapType::Str | MapType::NilStr);
                return Ok(Turns::Entries(map.snapshot().into_iter(), interface));
            }
            Value::Object(object) => match object.entries() {
                Some(entries) => return Ok(Turns::Entries(entries.into_iter(), false)),
                None => return self.cannot_iterate(over),
            },
            Value::Bool(_) | Value::Float(_) | Value::Str(_) => return self.cannot_iterate(over),
        };
        if branch.pipe.variables.len() > 1 && !over.is_nil() {
            let text = crate::go::format::to_text(over);
            return self.error(format!(
                "can't use {} to iterate over more than one variable",
                text.lossy()
            ));
        }
        let kind = match over {
            Value::Int(_, kind) => *kind,
            _ => IntType::Int,
        };
        Ok(Turns::Count {
            next: 0,
            end: i64::try_from(count).unwrap_or(i64::MAX),
            kind,
        })
    }

    fn cannot_iterate<T>(&self, over: &Value) -> Executed<T> {
        let text = crate::go::format::to_text(over);
        self.error(format!("range can't iterate over {}", text.lossy()))
    }

    fn bind_turn(
        &mut self,
        branch: &'t Branch,
        index: Evaluated,
        element: &Evaluated,
    ) -> Executed<()> {
        let pipe = &branch.pipe;
        match (pipe.variables.as_slice(), pipe.assigns) {
            ([one], true) => self.assign(one, element.clone()),
            ([first, second, ..], true) => {
                self.assign(first, index)?;
                self.assign(second, element.clone())
            }
            (declared, false) => {
                let top = self.variables.len();
                if !declared.is_empty() {
                    self.variables[top - 1].1 = element.clone();
                }
                if declared.len() > 1 {
                    self.variables[top - 2].1 = index;
                }
                Ok(())
            }
            ([], true) => Ok(()),
        }
    }

    fn template(
        &mut self,
        dot: &Evaluated,
        name: &Text,
        pipe: Option<&'t Pipe>,
        out: &mut Vec<u8>,
    ) -> Executed<()> {
        let set = self.set;
        let Some(entry) = set.get(name.as_bytes()) else {
            let name = quote(name);
            return self.error(format!("template {name} not defined"));
        };
        let data = match pipe {
            None => Evaluated::bare(Value::Nil),
            Some(pipe) => self.pipeline(dot, pipe)?,
        };
        let runtime = self.runtime;
        self.deeper(|_| State::new(runtime, set, entry, data.clone()).run(&data, out))
    }

    fn assign(&mut self, name: &Arc<str>, value: Evaluated) -> Executed<()> {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name)
        {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    pub(super) fn pipeline(&mut self, dot: &Evaluated, pipe: &'t Pipe) -> Executed<Evaluated> {
        self.at(Place::Pipe(pipe));
        #[cfg(test)]
        crate::coverage::pipe(pipe);
        let mut value: Option<Evaluated> = None;
        for command in &pipe.commands {
            let result = self.command(dot, command, value)?;
            value = Some(Evaluated::bare(result.value));
        }
        let value = value.unwrap_or_else(|| Evaluated::bare(Value::Nil));
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((Arc::clone(name), value.clone()));
            }
        }
        Ok(value)
    }

    fn not_a_function(&self, words: &[Expr], last: Option<&Evaluated>) -> Executed<()> {
        if words.len() > 1 || last.is_some() {
            let word = words.first().map(ToString::to_string).unwrap_or_default();
            return self.error(format!("can't give argument to non-function {word}"));
        }
        Ok(())
    }

    fn command(
        &mut self,
        dot: &Evaluated,
        command: &'t Command,
        last: Option<Evaluated>,
    ) -> Executed<Evaluated> {
        let words = command.words.as_slice();
        let [first, arguments @ ..] = words else {
            return self.error("empty command");
        };
        #[cfg(test)]
        crate::coverage::expression(&first.kind, "command");
        match &first.kind {
            ExprKind::Field(fields) => {
                self.at(Place::Expr(first));
                self.fields(dot, dot.clone(), first, fields, Some(arguments), last)
            }
            ExprKind::Chain { node, fields } => {
                self.chain(dot, first, node, fields, Some(arguments), last)
            }
            ExprKind::Function(function) => {
                self.at(Place::Expr(first));
                self.function(dot, function, Place::Command(command), arguments, last)
            }
            ExprKind::Pipe(pipe) => {
                self.not_a_function(words, last.as_ref())?;
                self.deeper(|state| state.pipeline(dot, pipe))
            }
            ExprKind::Variable { name, fields } => {
                self.at(Place::Expr(first));
                let value = self.variable(name)?;
                if fields.is_empty() {
                    self.not_a_function(words, last.as_ref())?;
                    return Ok(value);
                }
                self.fields(dot, value, first, fields, Some(arguments), last)
            }
            constant => {
                self.at(Place::Expr(first));
                self.not_a_function(words, last.as_ref())?;
                match constant {
                    ExprKind::Dot => Ok(dot.clone()),
                    ExprKind::Nil => self.error("nil is not a command"),
                    _ => self.constant(first),
                }
            }
        }
    }

    /// A bool, number or string constant without a wanted type.
    pub(super) fn constant(&mut self, expr: &'t Expr) -> Executed<Evaluated> {
        let value = match &expr.kind {
            ExprKind::Bool(truth) => Value::Bool(*truth),
            ExprKind::Str { text, .. } => Value::Str(text.clone()),
            ExprKind::Number(number) => {
                self.at(Place::Expr(expr));
                match crate::go::convert::ideal_constant(number) {
                    Some(value) => value,
                    None => return self.error(format!("{} overflows int", number.source)),
                }
            }
            _ => {
                let expr = quote(&expr.to_string().into());
                return self.error(format!("can't evaluate command {expr}"));
            }
        };
        Ok(Evaluated::bare(value))
    }

    pub(super) fn variable(&self, name: &str) -> Executed<Evaluated> {
        match self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| known.as_ref() == name)
        {
            Some((_, value)) => Ok(value.clone()),
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    pub(super) fn chain(
        &mut self,
        dot: &Evaluated,
        expr: &'t Expr,
        node: &'t Expr,
        fields: &'t [Arc<str>],
        arguments: Option<&'t [Expr]>,
        last: Option<Evaluated>,
    ) -> Executed<Evaluated> {
        self.at(Place::Expr(expr));
        if matches!(node.kind, ExprKind::Nil) {
            return self.error(format!("indirection through explicit nil in {expr}"));
        }
        let receiver = match &node.kind {
            ExprKind::Pipe(pipe) => {
                self.at(Place::Expr(node));
                self.deeper(|state| state.pipeline(dot, pipe))?
            }
            ExprKind::Function(function) => {
                self.at(Place::Expr(node));
                self.function(dot, function, Place::Expr(node), &[], None)?
            }
            _ => self.argument_of_any_type(dot, node)?,
        };
        self.fields(dot, receiver, expr, fields, arguments, last)
    }

    /// A chain of fields; only the last one can be a method with arguments.
    pub(super) fn fields(
        &mut self,
        dot: &Evaluated,
        receiver: Evaluated,
        expr: &'t Expr,
        fields: &'t [Arc<str>],
        arguments: Option<&'t [Expr]>,
        last: Option<Evaluated>,
    ) -> Executed<Evaluated> {
        let Some((final_field, before)) = fields.split_last() else {
            return Ok(receiver);
        };
        let mut receiver = receiver;
        for field in before {
            receiver = self.field(dot, &receiver, expr, field, &[], None)?;
        }
        self.field(
            dot,
            &receiver,
            expr,
            final_field,
            arguments.unwrap_or(&[]),
            last,
        )
    }

    pub(super) fn function(
        &mut self,
        dot: &Evaluated,
        function: &'static Function,
        place: Place<'t>,
        arguments: &'t [Expr],
        last: Option<Evaluated>,
    ) -> Executed<Evaluated> {
        #[cfg(test)]
        crate::coverage::hit(format!("function {}", function.name));
        if function.is_lazy() {
            return self.and_or(dot, function, arguments, last);
        }
        let signature = &function.signature;
        let callee = (function.name == "call").then(|| match (arguments, &last) {
            ([first, ..], _) => first.to_string(),
            ([], Some(last)) => reflected(&last.value),
            ([], None) => String::new(),
        });
        let values = self.arguments(dot, function.name, signature, arguments, last)?;
        self.before_call(function, &values)?;
        let result = self.deeper(|state| (function.call)(state, &values));
        match result {
            Ok(value) => {
                self.after_call(&value)?;
                Ok(Evaluated::bare(value))
            }
            Err(cause) => {
                self.at(place);
                let cause = match (callee, cause) {
                    (Some(callee), ExecError::Plain(why)) => {
                        let named = format!("non-function {callee}");
                        ExecError::Plain(why.replacen("non-function", &named, 1))
                    }
                    (_, cause) => cause,
                };
                self.failed_call(function.name, cause)
            }
        }
    }

    pub(super) fn failed_call<T>(&self, function: &'static str, cause: ExecError) -> Executed<T> {
        let location = self.location();
        Err(ExecError::Calling {
            location,
            function,
            cause: Box::new(cause),
        })
    }

    /// The moment that counts as now.
    pub(crate) fn now(&self) -> &jiff::Zoned {
        &self.runtime.now
    }

    /// A regular expression that was compiled before, or what `compile` makes.
    pub(crate) fn expression(
        &self,
        pattern: &str,
        compile: impl FnOnce(&str) -> Executed<regex::Regex>,
    ) -> Executed<regex::Regex> {
        const MOST: usize = 64;
        if let Some(known) = self.runtime.expressions.borrow().get(pattern) {
            return Ok(known.clone());
        }
        // Compiling takes as long as some hundred nodes, more for a long pattern.
        self.charge(100 + pattern.len() as u64)?;
        let made = compile(pattern)?;
        let mut expressions = self.runtime.expressions.borrow_mut();
        if expressions.len() < MOST {
            expressions.insert(pattern.to_owned(), made.clone());
        }
        Ok(made)
    }

    pub(crate) fn random(&self) -> std::cell::RefMut<'t, Random> {
        self.runtime.random.borrow_mut()
    }
}

/// A value as Go's `reflect.Value` prints itself.
fn reflected(value: &Value) -> String {
    match value {
        Value::Str(text) => text.lossy().into_owned(),
        other => format!("<{} Value>", other.type_name()),
    }
}
