//! Values into YAML, byte for byte as Helm's `toYaml` writes them.
//!
//! Keys are sorted the way its library sorts them (numbers inside a key by value, letters after
//! other characters), sequences inside mappings are not indented, text is plain where it stays
//! text, double quoted where it would be read as something else, single quoted where an indicator
//! forbids plain, a literal block where it has line breaks, and lines are folded after column 80.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Value;
use super::decode::{Scalar, resolve};
use super::literal::{is_break_at, width};
use super::number::{format_float_g, format_float_json};

const BEST_WIDTH: usize = 80;
const MAX_SIMPLE_KEY: usize = 128;

/// Writes a value as a YAML document, with a line break at its end.
pub fn to_yaml(value: &Value) -> String {
    write(value, Dialect::Helm)
}

/// Writes a value as `toYamlPretty` does.
pub(crate) fn to_yaml_pretty(value: &Value) -> String {
    write(value, Dialect::Pretty)
}

fn write(value: &Value, dialect: Dialect) -> String {
    let mut writer = Writer {
        dialect,
        out: String::new(),
        column: 0,
        indent: -1,
        whitespace: true,
        indention: true,
    };
    writer.node(value, Context::Root);
    writer.write_indent();
    writer.out
}

/// Which of Helm's two libraries is followed.
#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    /// That of `toYaml`: values come out of JSON.
    Helm,
    /// That of `toYamlPretty`: sequences are indented, lines are not folded, a key with a number
    /// after a letter is sorted in another way.
    Pretty,
}

#[derive(Clone, Copy, PartialEq)]
enum Context {
    Root,
    Sequence,
    MappingValue,
    SimpleKey,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

struct Writer {
    dialect: Dialect,
    out: String,
    column: usize,
    indent: i32,
    whitespace: bool,
    indention: bool,
}

impl Writer {
    fn node(&mut self, value: &Value, context: Context) {
        match value {
            Value::Null => self.plain_scalar("null", context),
            Value::Bool(true) => self.plain_scalar("true", context),
            Value::Bool(false) => self.plain_scalar("false", context),
            Value::Int(number) => self.plain_scalar(&number.to_string(), context),
            Value::Float(number) => {
                let text = match self.dialect {
                    Dialect::Helm => number_text(*number),
                    Dialect::Pretty => float_text(*number),
                };
                self.plain_scalar(&text, context);
            }
            Value::String(text) => self.text(text, context),
            Value::List(items) if items.is_empty() => {
                self.indicator("[", true, true, false);
                self.indicator("]", false, false, false);
            }
            Value::Map(entries) if entries.is_empty() => {
                self.indicator("{", true, true, false);
                self.indicator("}", false, false, false);
            }
            Value::List(items) => self.sequence(items, context),
            Value::Map(entries) => {
                let entries: Vec<(&Arc<str>, &Value)> = entries.iter().collect();
                let is_before = |one: &(&Arc<str>, &Value), other: &(&Arc<str>, &Value)| {
                    compare_keys(one.0, other.0, self.dialect) == Ordering::Less
                };
                self.mapping(&merge_sorted(entries, &is_before));
            }
        }
    }

    fn sequence(&mut self, items: &[Value], context: Context) {
        let indentless =
            self.dialect == Dialect::Helm && context == Context::MappingValue && !self.indention;
        let outer = self.increase_indent(false, indentless);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Context::Sequence);
        }
        self.indent = outer;
    }

    fn mapping(&mut self, entries: &[(&Arc<str>, &Value)]) {
        let outer = self.increase_indent(false, false);
        for (key, value) in entries {
            self.write_indent();
            if is_simple_key(key) {
                self.text(key, Context::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.text(key, Context::MappingValue);
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(value, Context::MappingValue);
        }
        self.indent = outer;
    }

    fn text(&mut self, text: &str, context: Context) {
        let resolved = resolve(text);
        let style = if text.contains('\n') {
            Style::Literal
        } else if resolved == Scalar::Text && !is_base_60(text) {
            Style::Plain
        } else {
            Style::Double
        };
        self.scalar(text, style, context);
    }

    fn plain_scalar(&mut self, text: &str, context: Context) {
        self.scalar(text, Style::Plain, context);
    }

    fn scalar(&mut self, text: &str, wanted: Style, context: Context) {
        let traits = Traits::of(text, self.dialect);
        let simple_key = context == Context::SimpleKey;
        let mut style = wanted;
        if simple_key && traits.multiline {
            style = Style::Double;
        }
        if style == Style::Plain && (!traits.plain_allowed || (text.is_empty() && simple_key)) {
            style = Style::Single;
        }
        if style == Style::Single && !traits.single_allowed {
            style = Style::Double;
        }
        if style == Style::Literal && (!traits.block_allowed || simple_key) {
            style = Style::Double;
        }
        let may_fold = !simple_key && self.dialect == Dialect::Helm;
        let outer = self.increase_indent(true, false);
        match style {
            Style::Plain => self.write_plain(text, may_fold),
            Style::Single => self.write_single(text, may_fold),
            Style::Double => self.write_double(text, may_fold),
            Style::Literal => self.write_literal(text),
        }
        self.indent = outer;
    }

    fn increase_indent(&mut self, flow: bool, indentless: bool) -> i32 {
        let outer = self.indent;
        if outer < 0 {
            self.indent = if flow { 2 } else { 0 };
        } else if !indentless {
            self.indent += 2;
        }
        outer
    }

    fn put(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = usize::try_from(self.indent).unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, need_space: bool, is_space: bool, is_indention: bool) {
        if need_space && !self.whitespace {
            self.put(' ');
        }
        self.out.push_str(text);
        self.column += text.chars().count();
        self.whitespace = is_space;
        self.indention = self.indention && is_indention;
    }

    fn write_plain(&mut self, text: &str, may_fold: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        let mut spaces = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if character == ' ' {
                let fold = may_fold
                    && !spaces
                    && self.column > BEST_WIDTH
                    && characters.peek() != Some(&' ');
                if fold {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(character);
                self.indention = false;
                spaces = false;
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn write_single(&mut self, text: &str, may_fold: bool) {
        self.indicator("'", true, false, false);
        let mut spaces = false;
        let mut breaks = false;
        let last = text.len().saturating_sub(1);
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let next = characters.peek().map(|&(_, next)| next);
            if character == ' ' {
                let fold = may_fold
                    && !spaces
                    && self.column > BEST_WIDTH
                    && at > 0
                    && at < last
                    && next != Some(' ');
                if fold {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(character) {
                if !breaks && character == '\n' {
                    self.put_break();
                }
                self.write_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                if character == '\'' {
                    self.put('\'');
                }
                self.put(character);
                self.indention = false;
                spaces = false;
                breaks = false;
            }
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn write_double(&mut self, text: &str, may_fold: bool) {
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        let last = text.len().saturating_sub(1);
        let starts_with_bom = text.starts_with('\u{feff}');
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let escape = !is_printable(character)
                || starts_with_bom
                || is_break(character)
                || matches!(character, '"' | '\\');
            if escape {
                self.write_escape(character);
                spaces = false;
            } else if character == ' ' {
                if may_fold && !spaces && self.column > BEST_WIDTH && at > 0 && at < last {
                    self.write_indent();
                    if characters.peek().is_some_and(|&(_, next)| next == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(character);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn write_escape(&mut self, character: char) {
        self.put('\\');
        let short = match character {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0B' => 'v',
            '\x0C' => 'f',
            '\r' => 'r',
            '\x1B' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(character);
                let digits = match code {
                    0..=0xFF => format!("x{code:02X}"),
                    0x100..=0xFFFF => format!("u{code:04X}"),
                    _ => format!("U{code:08X}"),
                };
                self.out.push_str(&digits);
                self.column += digits.len();
                return;
            }
        };
        self.put(short);
    }

    fn write_literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(' ') || text.chars().next().is_some_and(is_break) {
            self.indicator("2", false, false, false);
        }
        let mut backwards = text.chars().rev();
        let hint = match (backwards.next(), backwards.next()) {
            (None, _) => "-",
            (Some(last), _) if !is_break(last) => "-",
            (Some(_), None) => "+",
            (Some(_), Some(before)) if is_break(before) => "+",
            _ => "",
        };
        if !hint.is_empty() {
            self.indicator(hint, false, false, false);
        }
        self.put_break();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for character in text.chars() {
            if is_break(character) {
                self.write_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                self.put(character);
                self.indention = false;
                breaks = false;
            }
        }
    }

    fn write_break(&mut self, character: char) {
        if character == '\n' {
            self.put_break();
        } else {
            self.out.push(character);
            self.column = 0;
        }
    }
}

fn float_text(number: f64) -> String {
    if number.is_nan() {
        ".nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else {
        format_float_g(number)
    }
}

/// A number after its way through Helm's JSON, which makes floats without a fraction integers.
fn number_text(number: f64) -> String {
    let json = format_float_json(number);
    match resolve(&json) {
        Scalar::Int(whole) => whole.to_string(),
        Scalar::Uint(whole) => whole.to_string(),
        _ => format_float_g(number),
    }
}

/// What of a text decides how it can be written.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent traits of a text"
)]
struct Traits {
    multiline: bool,
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
}

impl Traits {
    fn of(text: &str, dialect: Dialect) -> Self {
        if text.is_empty() {
            return Self {
                multiline: false,
                plain_allowed: true,
                single_allowed: true,
                block_allowed: false,
            };
        }
        let bytes = text.as_bytes();
        let mut indicators = bytes.starts_with(b"---") || bytes.starts_with(b"...");
        let (mut special, mut tab) = (false, false);
        let mut line_breaks = false;
        let (mut leading_space, mut trailing_space) = (false, false);
        let (mut leading_break, mut trailing_break) = (false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut previous_space, mut previous_break) = (false, false);
        let mut after_blank = true;
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            let next = at + width(byte);
            let before_blank = next >= bytes.len() || matches!(bytes[next], b' ' | b'\t');
            if at == 0 {
                indicators |= match byte {
                    b'#' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>'
                    | b'\'' | b'"' | b'%' | b'@' | b'`' => true,
                    b'?' | b':' | b'-' => before_blank,
                    _ => false,
                };
            } else {
                indicators |= match byte {
                    b':' => before_blank,
                    b'#' => after_blank,
                    _ => false,
                };
            }
            let character = text[at..].chars().next().unwrap_or_default();
            let is_tab = character == '\t' && dialect == Dialect::Pretty;
            tab |= is_tab;
            special |= !is_tab && !is_printable(character);
            if byte == b' ' {
                leading_space |= at == 0;
                trailing_space |= next == bytes.len();
                break_space |= previous_break;
                previous_space = true;
                previous_break = false;
            } else if is_break_at(bytes, at) {
                line_breaks = true;
                leading_break |= at == 0;
                trailing_break |= next == bytes.len();
                space_break |= previous_space;
                previous_space = false;
                previous_break = true;
            } else {
                previous_space = false;
                previous_break = false;
            }
            after_blank = matches!(byte, b' ' | b'\t' | 0) || is_break_at(bytes, at);
            at = next;
        }
        let edges = leading_space || leading_break || trailing_space || trailing_break;
        let broken = space_break || special;
        Self {
            multiline: line_breaks,
            plain_allowed: !(edges || break_space || broken || tab || line_breaks || indicators),
            single_allowed: !(break_space || broken || tab),
            block_allowed: !(trailing_space || broken),
        }
    }
}

fn is_simple_key(key: &str) -> bool {
    key.len() <= MAX_SIMPLE_KEY && !key.chars().any(is_break)
}

const fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(character: char) -> bool {
    // A character of four bytes never counts as printable, nor does U+0085.
    matches!(character,
        '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && character != '\u{feff}'
}

/// Whether the reader of Helm's `toYaml` would refuse the text, so that the whole result is empty.
pub(crate) fn is_unwritable(text: &str) -> bool {
    text.chars().any(|character| {
        matches!(character, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
    })
}

/// Minutes and seconds such as `1:30`, which other YAML 1.1 readers take for numbers.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if !fraction
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return false;
    }
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let starts = first.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && first
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut count = 0;
    let rest = parts.all(|part| {
        count += 1;
        match part.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
            _ => false,
        }
    });
    starts && rest && count > 0
}

/// Sorts by halves. The order of keys that Helm's libraries have is none in the strict sense: there are keys of which each
/// comes before the next and the last before the first. The standard library panics on such an order; Go gives one
/// of the possible results, another in each run.
fn merge_sorted<T: Copy>(items: Vec<T>, is_before: &impl Fn(&T, &T) -> bool) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let (left, right) = items.split_at(items.len() / 2);
    let left = merge_sorted(left.to_vec(), is_before);
    let right = merge_sorted(right.to_vec(), is_before);
    let mut sorted = Vec::with_capacity(items.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let next = if is_before(other, one) {
            right.next()
        } else {
            left.next()
        };
        sorted.extend(next);
    }
    sorted.extend(left);
    sorted.extend(right);
    sorted
}

/// The order of keys in what Helm writes.
fn compare_keys(one: &str, other: &str, dialect: Dialect) -> Ordering {
    let ones: Vec<char> = one.chars().collect();
    let others: Vec<char> = other.chars().collect();
    for at in 0..ones.len().min(others.len()) {
        let (a, b) = (ones[at], others[at]);
        if a == b {
            continue;
        }
        let (a_letter, b_letter) = (a.is_alphabetic(), b.is_alphabetic());
        if a_letter && b_letter {
            return a.cmp(&b);
        }
        if a_letter || b_letter {
            let after_digit = at > 0 && ones[at - 1].is_numeric();
            let letter_first = dialect == Dialect::Pretty && after_digit;
            return if b_letter == letter_first {
                Ordering::Greater
            } else {
                Ordering::Less
            };
        }
        let leading = i64::from((a == '0' || b == '0') && follows_digits(&ones[..at]));
        let (a_number, a_end) = number_from(&ones, at, leading);
        let (b_number, b_end) = number_from(&others, at, leading);
        return a_number
            .cmp(&b_number)
            .then(a_end.cmp(&b_end))
            .then(a.cmp(&b));
    }
    ones.len().cmp(&others.len())
}

/// Whether the digits just before contain one that is not zero.
fn follows_digits(before: &[char]) -> bool {
    before
        .iter()
        .rev()
        .take_while(|digit| digit.is_numeric())
        .any(|&digit| digit != '0')
}

fn number_from(characters: &[char], at: usize, leading: i64) -> (i64, usize) {
    let mut number = leading;
    let mut end = at;
    while let Some(digit) = characters.get(end).filter(|digit| digit.is_numeric()) {
        let value = i64::from(u32::from(*digit)) - i64::from(u32::from('0'));
        number = number.wrapping_mul(10).wrapping_add(value);
        end += 1;
    }
    (number, end)
}
