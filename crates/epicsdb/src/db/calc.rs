//! Whether a CALC expression is one (`postfix` of base 7.0.10).
//!
//! The expression is followed as the IOC translates it, without making anything of it.

use super::number::{scan_double, scan_integer};

/// Pending operators that the IOC has room for.
const PENDING_LIMIT: usize = 79;
/// Values that the IOC has room for while it computes.
const DEPTH_LIMIT: i32 = 80;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// One of the inputs, which can be assigned to.
    Input,
    /// `VAL`, a constant or a random number.
    Value,
    Decimal,
    Hexadecimal,
    Open,
    /// Takes this many values.
    Function(i32),
    /// Takes one value or more.
    AnyNumber,
}

/// What can stand where a value is expected, besides the inputs A to U.
const OPERANDS: [(&str, Operand); 50] = [
    ("!", Operand::Function(1)),
    ("(", Operand::Open),
    ("-", Operand::Function(1)),
    ("~", Operand::Function(1)),
    (".", Operand::Decimal),
    ("0X", Operand::Hexadecimal),
    ("0", Operand::Decimal),
    ("1", Operand::Decimal),
    ("2", Operand::Decimal),
    ("3", Operand::Decimal),
    ("4", Operand::Decimal),
    ("5", Operand::Decimal),
    ("6", Operand::Decimal),
    ("7", Operand::Decimal),
    ("8", Operand::Decimal),
    ("9", Operand::Decimal),
    ("INF", Operand::Decimal),
    ("NAN", Operand::Decimal),
    ("VAL", Operand::Value),
    ("PI", Operand::Value),
    ("D2R", Operand::Value),
    ("R2D", Operand::Value),
    ("RNDM", Operand::Value),
    ("ABS", Operand::Function(1)),
    ("ACOS", Operand::Function(1)),
    ("ASIN", Operand::Function(1)),
    ("ATAN", Operand::Function(1)),
    ("ATAN2", Operand::Function(2)),
    ("CEIL", Operand::Function(1)),
    ("COS", Operand::Function(1)),
    ("COSH", Operand::Function(1)),
    ("EXP", Operand::Function(1)),
    ("FLOOR", Operand::Function(1)),
    ("FMOD", Operand::Function(2)),
    ("ISINF", Operand::Function(1)),
    ("LN", Operand::Function(1)),
    ("LOG", Operand::Function(1)),
    ("LOGE", Operand::Function(1)),
    ("NINT", Operand::Function(1)),
    ("NOT", Operand::Function(1)),
    ("SIN", Operand::Function(1)),
    ("SINH", Operand::Function(1)),
    ("SQR", Operand::Function(1)),
    ("SQRT", Operand::Function(1)),
    ("TAN", Operand::Function(1)),
    ("TANH", Operand::Function(1)),
    ("FINITE", Operand::AnyNumber),
    ("ISNAN", Operand::AnyNumber),
    ("MAX", Operand::AnyNumber),
    ("MIN", Operand::AnyNumber),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// Binary, with its priority.
    Binary(u8),
    Close,
    Comma,
    Then,
    Else,
    Assign,
    Semicolon,
}

const OPERATORS: [(&str, Operator); 31] = [
    ("||", Operator::Binary(1)),
    ("|", Operator::Binary(1)),
    ("OR", Operator::Binary(1)),
    ("XOR", Operator::Binary(1)),
    ("&&", Operator::Binary(2)),
    ("&", Operator::Binary(2)),
    ("AND", Operator::Binary(2)),
    ("<<", Operator::Binary(2)),
    (">>>", Operator::Binary(2)),
    (">>", Operator::Binary(2)),
    ("!=", Operator::Binary(3)),
    ("#", Operator::Binary(3)),
    ("<=", Operator::Binary(3)),
    ("<", Operator::Binary(3)),
    (">=", Operator::Binary(3)),
    (">", Operator::Binary(3)),
    ("==", Operator::Binary(3)),
    ("=", Operator::Binary(3)),
    ("+", Operator::Binary(4)),
    ("-", Operator::Binary(4)),
    ("*", Operator::Binary(5)),
    ("/", Operator::Binary(5)),
    ("%", Operator::Binary(5)),
    ("**", Operator::Binary(6)),
    ("^", Operator::Binary(6)),
    (")", Operator::Close),
    (",", Operator::Comma),
    ("?", Operator::Then),
    (":=", Operator::Assign),
    (":", Operator::Else),
    (";", Operator::Semicolon),
];

const UNARY_PRIORITY: u8 = 7;

#[derive(Clone, Copy, PartialEq, Eq)]
enum PendingKind {
    Open,
    AnyNumber,
    Other,
}

#[derive(Clone, Copy)]
struct Pending {
    kind: PendingKind,
    priority: u8,
    /// Values more (or fewer) once it is done.
    effect: i32,
}

#[derive(Default)]
struct Translation {
    pending: Vec<Pending>,
    depth: i32,
    open_conditions: u32,
    /// The last thing written out is the value of an input.
    after_input: bool,
}

impl Translation {
    fn write_out(&mut self, pending: Pending) {
        self.depth += pending.effect;
        self.after_input = false;
    }

    fn write_out_while(&mut self, keep_going: impl Fn(&Pending) -> bool) {
        while let Some(top) = self.pending.pop_if(|top| keep_going(top)) {
            self.write_out(top);
        }
    }

    fn push(&mut self, kind: PendingKind, priority: u8, effect: i32) {
        self.pending.push(Pending {
            kind,
            priority,
            effect,
        });
    }

    fn operand(&mut self, operand: Operand) {
        match operand {
            Operand::Input | Operand::Value | Operand::Decimal | Operand::Hexadecimal => {
                self.depth += 1;
                self.after_input = operand == Operand::Input;
            }
            Operand::Open => self.push(PendingKind::Open, 0, 0),
            Operand::Function(values) => self.push(PendingKind::Other, UNARY_PRIORITY, 1 - values),
            Operand::AnyNumber => self.push(PendingKind::AnyNumber, UNARY_PRIORITY, 0),
        }
    }

    fn operator(&mut self, operator: Operator) -> Result<(), &'static str> {
        let not_open = |top: &Pending| top.kind != PendingKind::Open;
        match operator {
            Operator::Binary(priority) => {
                self.write_out_while(|top| top.priority >= priority);
                self.push(PendingKind::Other, priority, -1);
            }
            Operator::Comma => {
                self.write_out_while(not_open);
                let open = self
                    .pending
                    .last_mut()
                    .ok_or("a comma stands outside brackets")?;
                open.effect -= 1;
            }
            Operator::Close => {
                self.write_out_while(not_open);
                let open = self.pending.pop().ok_or("a `)` has no `(`")?;
                if let Some(function) = self.pending.last_mut()
                    && function.kind == PendingKind::AnyNumber
                {
                    function.effect = open.effect;
                }
            }
            Operator::Then | Operator::Else => {
                self.write_out_while(|top| top.priority > 0);
                self.depth -= 1;
                self.after_input = false;
                if operator == Operator::Then {
                    self.open_conditions += 1;
                } else {
                    let left = self.open_conditions.checked_sub(1);
                    self.open_conditions = left.ok_or("a `:` has no `?`")?;
                    self.push(PendingKind::Other, 0, 0);
                }
            }
            Operator::Assign => {
                if !self.pending.is_empty() || !self.after_input {
                    return Err("only an input A to U can stand before `:=`");
                }
                self.push(PendingKind::Other, 0, -1);
                self.depth -= 1;
                self.after_input = false;
            }
            Operator::Semicolon => {
                self.flush()?;
                if self.depth > 1 {
                    return Err("two results are left, only one can be");
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), &'static str> {
        while let Some(top) = self.pending.pop() {
            if top.kind == PendingKind::Open {
                return Err("a `(` is never closed");
            }
            self.write_out(top);
        }
        if self.open_conditions > 0 {
            Err("a `?` has no `:`")
        } else {
            Ok(())
        }
    }
}

/// Checks an expression; the error says what is wrong with it.
pub(super) fn check(expression: &str) -> Result<(), String> {
    if expression.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut rest = expression;
    let mut state = Translation::default();
    let mut operand_needed = true;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
        let unknown = || {
            let shown: String = rest.chars().take(20).collect();
            let what = if operand_needed {
                "a value or function"
            } else {
                "an operator"
            };
            format!("`{shown}` is not {what}")
        };
        if rest.is_empty() {
            break;
        }
        if operand_needed {
            let (operand, length) = operand_at(rest).ok_or_else(unknown)?;
            rest = match operand {
                Operand::Decimal => {
                    scan_double(rest)
                        .map_err(|why| format!("a number is wrong: {why}"))?
                        .1
                }
                Operand::Hexadecimal => {
                    scan_integer(rest)
                        .map_err(|why| format!("a number is wrong: {why}"))?
                        .1
                }
                _ => &rest[length..],
            };
            state.operand(operand);
            operand_needed = matches!(
                operand,
                Operand::Open | Operand::Function(_) | Operand::AnyNumber
            );
        } else {
            let (operator, length) = longest(rest, &OPERATORS).ok_or_else(unknown)?;
            rest = &rest[length..];
            state.operator(operator)?;
            operand_needed = operator != Operator::Close;
        }
        if state.depth < 0 {
            return Err("an operator has too few values".to_owned());
        }
        if state.depth >= DEPTH_LIMIT || state.pending.len() > PENDING_LIMIT {
            return Err("it is nested too deeply".to_owned());
        }
    }
    state.flush()?;
    if operand_needed {
        return Err("a value is missing at the end".to_owned());
    }
    match state.depth {
        1 => Ok(()),
        ..=0 => Err("it has no result, or a function has too few values".to_owned()),
        _ => Err("a function has too many values, or an operator is missing".to_owned()),
    }
}

fn operand_at(text: &str) -> Option<(Operand, usize)> {
    longest(text, &OPERANDS).or_else(|| {
        let letter = text.chars().next()?.to_ascii_uppercase();
        ('A'..='U').contains(&letter).then_some((Operand::Input, 1))
    })
}

fn longest<T: Copy>(text: &str, table: &[(&str, T)]) -> Option<(T, usize)> {
    table
        .iter()
        .filter(|(name, _)| {
            text.get(..name.len())
                .is_some_and(|s| s.eq_ignore_ascii_case(name))
        })
        .max_by_key(|(name, _)| name.len())
        .map(|&(name, value)| (value, name.len()))
}
