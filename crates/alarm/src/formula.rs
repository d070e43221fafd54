//! The formula language of filters and formula PVs, scalar part: `'SR:CURRENT' > 10 && MODE != 2`.
//!
//! Names of PVs that are more than letters, digits, `_` and `:` stand in `'…'` or `` `…` ``. Operators of one line bind
//! alike and from left to right:
//!
//! ```text
//! -a  !a
//! a ^ b   a * b   a / b   a % b
//! a + b   a - b
//! a < b   a <= b   a > b   a >= b   a == b   a != b
//! a & b   a && b   a | b   a || b
//! a ? b : c
//! ```
//!
//! What is true is 1, what is false 0; every number but 0 counts as true. A PV that is not connected is no number, and
//! neither is what is calculated from it. Functions of arrays and images are refused by name: in a filter they have no
//! meaning.

mod functions;
mod lexer;
mod parser;

use std::fmt;

use crate::severity::Severity;
use crate::text::Text;

/// Longest formula that is read, in bytes.
pub const LONGEST_FORMULA: usize = 16 * 1024;

/// Why a text is no formula.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FormulaError {
    /// Where, in bytes from the beginning.
    pub at: usize,
    /// How long what is wrong is, in bytes.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What would help.
    pub hint: Option<String>,
}

/// A value in a formula.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number; not a number if it is unknown.
    Number(f64),
    /// A text.
    Text(String),
}

impl Value {
    /// As a number: a text that is none is not a number.
    pub fn number(&self) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => formatter.write_str(&crate::value::double(*number)),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

/// What is known of an input.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Its value; the number of an enumeration.
    pub value: Value,
    /// Severity of its alarm.
    pub severity: Severity,
    /// Message of its alarm.
    pub message: Text,
    /// Its time stamp, in seconds since 1970.
    pub seconds: f64,
}

impl Input {
    /// A PV that is not connected.
    pub fn unknown() -> Self {
        Self {
            value: Value::Number(f64::NAN),
            severity: Severity::Undefined,
            message: Text::Fixed(&crate::state::DISCONNECTED),
            seconds: f64::NAN,
        }
    }
}

/// What a formula comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// The worst of what it was calculated from, or what `majorAlarm` or `minorAlarm` says.
    pub severity: Severity,
    /// Message of that alarm; empty without one.
    pub message: Text,
}

impl Answer {
    /// This value with the worse of two alarms.
    ///
    /// As in Phoebus, what is calculated from values without an alarm has no message of its own.
    fn with_worst_of(mut self, left: &Self, right: &Self) -> Self {
        let worst = if right.severity > left.severity {
            right
        } else {
            left
        };
        if worst.severity != Severity::Ok {
            self.severity = worst.severity;
            self.message = worst.message.clone();
        }
        self
    }

    /// This value with the alarm of another.
    fn with_alarm_of(self, other: &Self) -> Self {
        self.with_worst_of(other, other)
    }
}

/// A formula that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    root: Node,
    inputs: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Constant(Value),
    Input(usize),
    Negative(Box<Node>),
    Not(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Choice(Box<Node>, Box<Node>, Box<Node>),
    Call(functions::Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Power,
    Times,
    Divided,
    Remainder,
    Plus,
    Minus,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    And,
    Or,
}

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    ///
    /// The place of what is wrong.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        parser::parse(text)
    }

    /// The PVs that it needs, each once, in the order in which they stand there.
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// Calculates it from the values of [`Formula::inputs`]; what is missing counts as not connected. `random` gives
    /// numbers from 0 to 1.
    pub fn evaluate(&self, inputs: &[Input], random: &mut dyn FnMut() -> f64) -> Answer {
        let mut run = Run { inputs, random };
        run.node(&self.root)
    }

    /// Whether a filter with this formula enables its PV.
    pub fn enables(&self, inputs: &[Input], random: &mut dyn FnMut() -> f64) -> bool {
        self.evaluate(inputs, random).value.number() > 0.0
    }
}

struct Run<'a> {
    inputs: &'a [Input],
    random: &'a mut dyn FnMut() -> f64,
}

impl Run<'_> {
    fn node(&mut self, node: &Node) -> Answer {
        match node {
            Node::Constant(value) => plain(value.clone()),
            Node::Input(place) => {
                let input = self.inputs.get(*place).cloned();
                let input = input.unwrap_or_else(Input::unknown);
                Answer {
                    value: input.value,
                    severity: input.severity,
                    message: input.message,
                }
            }
            Node::Negative(of) => {
                let of = self.node(of);
                number(-of.value.number()).with_alarm_of(&of)
            }
            Node::Not(of) => {
                let of = self.node(of);
                truth(of.value.number() == 0.0).with_alarm_of(&of)
            }
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.node(left), self.node(right));
                binary(*operator, left.value.number(), right.value.number())
                    .with_worst_of(&left, &right)
            }
            Node::Choice(condition, yes, no) => {
                let condition = self.number(condition);
                if condition.is_nan() {
                    return number(f64::NAN);
                }
                self.node(if condition == 0.0 { no } else { yes })
            }
            Node::Call(function, arguments) => functions::call(*function, arguments, self),
        }
    }

    fn number(&mut self, node: &Node) -> f64 {
        self.node(node).value.number()
    }

    /// The input that a node names.
    fn input(&self, node: &Node) -> Input {
        match node {
            Node::Input(place) => self.inputs.get(*place).cloned(),
            _ => None,
        }
        .unwrap_or_else(Input::unknown)
    }
}

fn plain(value: Value) -> Answer {
    Answer {
        value,
        severity: Severity::Ok,
        message: Text::default(),
    }
}

fn number(value: f64) -> Answer {
    plain(Value::Number(value))
}

fn truth(value: bool) -> Answer {
    number(f64::from(u8::from(value)))
}

#[expect(
    clippy::float_cmp,
    reason = "formulas compare as written; 0.1 + 0.2 is not 0.3 there either"
)]
fn binary(operator: Operator, left: f64, right: f64) -> Answer {
    match operator {
        Operator::Power => number(left.powf(right)),
        Operator::Times => number(left * right),
        Operator::Divided => number(left / right),
        Operator::Remainder => number(left % right),
        Operator::Plus => number(left + right),
        Operator::Minus => number(left - right),
        Operator::Less => truth(left < right),
        Operator::LessOrEqual => truth(left <= right),
        Operator::Greater => truth(left > right),
        Operator::GreaterOrEqual => truth(left >= right),
        Operator::Equal => truth(left == right),
        Operator::NotEqual => truth(left != right),
        Operator::And => truth(left != 0.0 && right != 0.0),
        Operator::Or => truth(left != 0.0 || right != 0.0),
    }
}

#[cfg(test)]
mod tests;
