//! Go's `fmt`: how values print, and the verbs of `printf`.

use std::fmt::Write as _;

use super::floats::{
    float_binary, float_exponent, float_fixed, float_general, float_hexadecimal, zeros,
};
use super::objects::Object;
use super::quote::{is_print, quote, quote_ascii, quote_char};
use super::text::Text;
use super::value::{Element, IntType, MapType, UintType, Value};
use crate::yaml::format_float_g;

/// Appends a value as `%v` prints it.
pub(crate) fn print_value(out: &mut Vec<u8>, value: &Value) {
    Formatter::new(out).value(value, 'v', 0);
}

/// The text of a value as `%v` prints it.
pub(crate) fn to_text(value: &Value) -> Text {
    if let Value::Str(text) = value {
        return text.clone();
    }
    let mut out = Vec::new();
    print_value(&mut out, value);
    Text::from_bytes(out)
}

/// `fmt.Sprint`: a space between operands when neither is a string.
pub(crate) fn sprint(values: &[Value]) -> Text {
    let mut out = Vec::new();
    for (position, value) in values.iter().enumerate() {
        let is_string = |value: &Value| matches!(value, Value::Str(_));
        if position > 0 && !is_string(value) && !is_string(&values[position - 1]) {
            out.push(b' ');
        }
        print_value(&mut out, value);
    }
    Text::from_bytes(out)
}

/// `fmt.Sprintln`: a space between operands and a line break at the end.
pub(crate) fn sprintln(values: &[Value]) -> Text {
    let mut out = Vec::new();
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            out.push(b' ');
        }
        print_value(&mut out, value);
    }
    out.push(b'\n');
    Text::from_bytes(out)
}

/// Widths beyond this are refused, as in Go.
const MAX_WIDTH: i64 = 1_000_000;

/// `fmt.Sprintf`.
pub(crate) fn sprintf(format: &[u8], values: &[Value]) -> Text {
    let mut out = Vec::with_capacity(format.len() + 16);
    let mut next = 0;
    let mut reordered = false;
    let mut at = 0;
    while at < format.len() {
        let literal = format[at..].iter().position(|&byte| byte == b'%');
        let Some(literal) = literal else {
            out.extend_from_slice(&format[at..]);
            break;
        };
        out.extend_from_slice(&format[at..at + literal]);
        at += literal + 1;
        let mut directive = Directive {
            format,
            at,
            values,
            next,
            reordered: false,
            good: true,
        };
        directive.run(&mut out);
        at = directive.at;
        next = directive.next;
        reordered |= directive.reordered;
    }
    if !reordered && next < values.len() {
        out.extend_from_slice(b"%!(EXTRA ");
        for (position, value) in values[next..].iter().enumerate() {
            if position > 0 {
                out.extend_from_slice(b", ");
            }
            if value.is_nil() {
                out.extend_from_slice(b"<nil>");
            } else {
                out.extend_from_slice(value.type_name().as_bytes());
                out.push(b'=');
                print_value(&mut out, value);
            }
        }
        out.push(b')');
    }
    Text::from_bytes(out)
}

/// One `%…` of a format.
struct Directive<'a> {
    format: &'a [u8],
    at: usize,
    values: &'a [Value],
    next: usize,
    reordered: bool,
    good: bool,
}

impl Directive<'_> {
    fn run(&mut self, out: &mut Vec<u8>) {
        let mut flags = Flags::default();
        let mut after_index = false;
        self.flags(&mut flags);
        self.index(&mut after_index);
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.int_value() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                    if flags.minus {
                        flags.zero = false;
                    }
                }
                None => out.extend_from_slice(b"%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            flags.width = self.number();
            if after_index && flags.width.is_some() {
                self.good = false;
            }
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if after_index {
                self.good = false;
            }
            self.index(&mut after_index);
            if self.peek() == Some(b'*') {
                self.at += 1;
                match self.int_value() {
                    Some(precision) if precision >= 0 => {
                        flags.precision = usize::try_from(precision).ok();
                    }
                    Some(_) => {}
                    None => out.extend_from_slice(b"%!(BADPREC)"),
                }
                after_index = false;
            } else {
                flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index(&mut after_index);
        }
        let Some(verb) = self.verb() else {
            out.extend_from_slice(b"%!(NOVERB)");
            return;
        };
        if verb == '%' {
            out.push(b'%');
        } else if !self.good {
            bad_verb(out, verb, b"(BADINDEX)");
        } else if let Some(value) = self.values.get(self.next) {
            self.next += 1;
            // `%+v` is about the fields of structs, not about signs.
            flags.plus &= verb != 'v';
            let mut formatter = Formatter { out, flags };
            if verb == 'w' {
                formatter.bad_verb(value, 'w');
            } else {
                formatter.argument(value, verb);
            }
        } else {
            bad_verb(out, verb, b"(MISSING)");
        }
    }

    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn flags(&mut self, flags: &mut Flags) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self.format[self.at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return None;
        }
        let text = std::str::from_utf8(&self.format[self.at..self.at + digits]).ok()?;
        self.at += digits;
        text.parse::<i64>()
            .ok()
            .filter(|&number| number <= MAX_WIDTH)
            .and_then(|number| usize::try_from(number).ok())
    }

    /// `[n]`: the next operand by number.
    fn index(&mut self, found: &mut bool) {
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let Some(end) = self.format[self.at..].iter().position(|&byte| byte == b']') else {
            self.good = false;
            self.at += 1;
            return;
        };
        let digits = std::str::from_utf8(&self.format[self.at + 1..self.at + end]).unwrap_or("");
        self.at += end + 1;
        match digits.parse::<usize>() {
            Ok(number) if (1..=self.values.len()).contains(&number) => {
                self.next = number - 1;
                *found = true;
            }
            _ => self.good = false,
        }
    }

    fn int_value(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(number, _) if number.abs() <= MAX_WIDTH => Some(*number),
            Value::Uint(number, _) => i64::try_from(*number).ok().filter(|n| *n <= MAX_WIDTH),
            _ => None,
        }
    }

    fn verb(&mut self) -> Option<char> {
        let rest = &self.format[self.at..];
        let first = *rest.first()?;
        if first.is_ascii() {
            self.at += 1;
            return Some(char::from(first));
        }
        let length = rest.len().min(4);
        let chunk = rest[..length].utf8_chunks().next()?;
        match chunk.valid().chars().next() {
            Some(character) => {
                self.at += character.len_utf8();
                Some(character)
            }
            None => {
                self.at += 1;
                Some('\u{fffd}')
            }
        }
    }
}

fn bad_verb(out: &mut Vec<u8>, verb: char, why: &[u8]) {
    out.extend_from_slice(b"%!");
    push_char(out, verb);
    out.extend_from_slice(why);
}

fn push_char(out: &mut Vec<u8>, character: char) {
    let mut buffer = [0; 4];
    out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
}

#[derive(Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of a printf directive"
)]
struct Flags {
    sharp: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Formatter<'o> {
    out: &'o mut Vec<u8>,
    flags: Flags,
}

impl<'o> Formatter<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            flags: Flags::default(),
        }
    }

    fn argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'v' | 'T') => self.pad(b"<nil>"),
            (_, 'T') => self.pad(value.type_name().as_bytes()),
            (Value::Nil, _) => self.bad_verb(value, verb),
            (_, 'p') => match value {
                Value::Map(_) | Value::List(_) | Value::Bytes(_) => self.pad(b"0xc000000000"),
                _ => self.bad_verb(value, verb),
            },
            _ => self.value(value, verb, 0),
        }
    }

    fn bad_verb(&mut self, value: &Value, verb: char) {
        bad_verb(self.out, verb, b"(");
        if value.is_nil() {
            self.out.extend_from_slice(b"<nil>");
        } else {
            self.out.extend_from_slice(value.type_name().as_bytes());
            self.out.push(b'=');
            // Width, precision and signs stay in force; `#` is not that of `%#v`.
            let sharp = std::mem::take(&mut self.flags.sharp);
            self.value(value, 'v', 0);
            self.flags.sharp = sharp;
        }
        self.out.push(b')');
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        let go_syntax = verb == 'v' && self.flags.sharp;
        match value {
            Value::Nil if go_syntax => self.out.extend_from_slice(b"interface {}(nil)"),
            Value::Nil => self.out.extend_from_slice(b"<nil>"),
            Value::Bool(truth) => match verb {
                't' | 'v' => self.pad(if *truth { b"true" } else { b"false" }),
                _ => self.bad_verb(value, verb),
            },
            // those that have a method `String`
            Value::Int(number, kind @ (IntType::Duration | IntType::Month | IntType::Weekday))
                if matches!(verb, 'v' | 's' | 'q' | 'x' | 'X') && !go_syntax =>
            {
                let text = crate::functions::in_words(*number, *kind);
                self.string(&Text::from(text), verb, value);
            }
            Value::Int(number, _) => {
                self.integer(number.unsigned_abs(), *number < 0, verb, value);
            }
            Value::Uint(number, kind) => {
                if go_syntax {
                    let text = format!("{number:#x}");
                    self.pad(text.as_bytes());
                } else {
                    let _: UintType = *kind;
                    self.integer(*number, false, verb, value);
                }
            }
            Value::Float(number) => self.float(*number, verb, value),
            Value::Str(text) => self.string(text, verb, value),
            Value::Bytes(bytes) => self.bytes(bytes, verb, depth),
            Value::List(list) => {
                if go_syntax {
                    self.out.extend_from_slice(value.type_name().as_bytes());
                    if list.element.is_nil() {
                        self.out.extend_from_slice(b"(nil)");
                        return;
                    }
                    self.out.push(b'{');
                    for (position, item) in list.items.iter().enumerate() {
                        if position > 0 {
                            self.out.extend_from_slice(b", ");
                        }
                        self.value(item, verb, depth + 1);
                    }
                    self.out.push(b'}');
                    return;
                }
                self.out.push(b'[');
                for (position, item) in list.items.iter().enumerate() {
                    if position > 0 {
                        self.out.push(b' ');
                    }
                    self.element(item, verb, depth, list.element == Element::Any);
                }
                self.out.push(b']');
            }
            Value::Map(map) => {
                if go_syntax {
                    self.out.extend_from_slice(value.type_name().as_bytes());
                    if map.is_nil() {
                        self.out.extend_from_slice(b"(nil)");
                        return;
                    }
                    self.out.push(b'{');
                } else {
                    self.out.extend_from_slice(b"map[");
                }
                for (position, (key, item)) in map.snapshot().iter().enumerate() {
                    if position > 0 {
                        self.out
                            .extend_from_slice(if go_syntax { b", " } else { b" " });
                    }
                    self.value(&Value::Str(key.clone()), verb, depth + 1);
                    self.out.push(b':');
                    self.element(item, verb, depth, map.element != MapType::Str);
                }
                self.out.push(if go_syntax { b'}' } else { b']' });
            }
            Value::Object(object) => self.object(object, verb, depth, value),
        }
    }

    /// An element of a collection: a nil interface prints as `<nil>` whatever the verb.
    fn element(&mut self, value: &Value, verb: char, depth: usize, _interface: bool) {
        if depth > 500 {
            self.out.extend_from_slice(b"...");
            return;
        }
        self.value(value, verb, depth + 1);
    }

    /// Both parts by the same verb, the second always with its sign.
    fn complex(&mut self, (real, imaginary): (f64, f64), verb: char, value: &Value) {
        if !matches!(
            verb,
            'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E'
        ) {
            self.bad_verb(value, verb);
            return;
        }
        self.out.push(b'(');
        self.float(real, verb, value);
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float(imaginary, verb, value);
        self.flags.plus = plus;
        self.out.extend_from_slice(b"i)");
    }

    fn object(&mut self, object: &Object, verb: char, depth: usize, value: &Value) {
        let text = match object {
            Object::Complex { real, imaginary } => {
                self.complex((*real, *imaginary), verb, value);
                return;
            }
            Object::Time(time) => crate::functions::dates::to_text(time),
            Object::Version(version) | Object::VersionValue(version) => version.to_string(),
            Object::KubeVersion(all) => {
                let kube = &all.kube_version;
                format!(
                    "{{{} {} {} {}}}",
                    kube.version, kube.normalized, kube.major, kube.minor
                )
            }
            Object::Files(files) => {
                self.out.extend_from_slice(b"map[");
                for (position, (name, data)) in files.iter().enumerate() {
                    if position > 0 {
                        self.out.push(b' ');
                    }
                    self.out.extend_from_slice(name.as_bytes());
                    self.out.push(b':');
                    self.bytes(data, verb, depth + 1);
                }
                self.out.push(b']');
                return;
            }
            Object::HelmVersion(all) => {
                let texts = all.helm_version.fields().map(|(_, _, text)| text);
                format!("{{{}}}", texts.join(" "))
            }
            Object::Capabilities(all) => {
                let kube = &all.kube_version;
                let helm = all.helm_version.fields().map(|(_, _, text)| text);
                format!(
                    "&{{{{{} {} {} {}}} [{}] {{{}}}}}",
                    kube.version,
                    kube.normalized,
                    kube.major,
                    kube.minor,
                    all.api_versions.join(" "),
                    helm.join(" ")
                )
            }
        };
        match verb {
            'v' | 's' | 'q' | 'x' | 'X' => self.string(&Text::from(text), verb, value),
            _ => self.bad_verb(value, verb),
        }
    }

    fn bytes(&mut self, bytes: &[u8], verb: char, depth: usize) {
        match verb {
            'v' | 'd' => {
                self.out.push(b'[');
                for (position, byte) in bytes.iter().enumerate() {
                    if position > 0 {
                        self.out.push(b' ');
                    }
                    self.integer(u64::from(*byte), false, verb, &Value::Nil);
                }
                self.out.push(b']');
            }
            's' | 'q' | 'x' | 'X' => {
                let text = Text::from_bytes(bytes.to_vec());
                self.string(&text, verb, &Value::Str(text.clone()));
            }
            _ => {
                let items = bytes
                    .iter()
                    .map(|byte| Value::Uint(u64::from(*byte), UintType::Uint8))
                    .collect();
                self.value(&Value::list(items), verb, depth);
            }
        }
    }

    fn string(&mut self, text: &Text, verb: char, value: &Value) {
        match verb {
            'v' if self.flags.sharp => self.pad(quote(text).as_bytes()),
            'v' | 's' => {
                let cut = self.truncate(text);
                self.pad(&cut);
            }
            'q' => {
                let cut = Text::from_bytes(self.truncate(text));
                let raw_possible = self.flags.sharp
                    && cut
                        .lossy()
                        .chars()
                        .all(|c| c != '`' && (is_print(c) || c == '\t'));
                let quoted = if raw_possible {
                    format!("`{}`", cut.lossy())
                } else if self.flags.plus {
                    quote_ascii(&cut)
                } else {
                    quote(&cut)
                };
                self.pad(quoted.as_bytes());
            }
            'x' | 'X' => self.hex_string(text.as_bytes(), verb == 'X'),
            _ => self.bad_verb(value, verb),
        }
    }

    fn truncate(&self, text: &Text) -> Vec<u8> {
        match self.flags.precision {
            None => text.as_bytes().to_vec(),
            Some(most) => {
                let lossy = text.lossy();
                let end = lossy
                    .char_indices()
                    .nth(most)
                    .map_or(lossy.len(), |(at, _)| at);
                match text {
                    Text::Utf8(_) => lossy[..end].as_bytes().to_vec(),
                    Text::Raw(bytes) => bytes[..end.min(bytes.len())].to_vec(),
                }
            }
        }
    }

    fn hex_string(&mut self, bytes: &[u8], upper: bool) {
        let length = self
            .flags
            .precision
            .map_or(bytes.len(), |most| most.min(bytes.len()));
        let mut text = String::new();
        let prefix = if upper { "0X" } else { "0x" };
        if self.flags.sharp && length > 0 {
            text.push_str(prefix);
        }
        for (position, byte) in bytes[..length].iter().enumerate() {
            if self.flags.space && position > 0 {
                text.push(' ');
                if self.flags.sharp {
                    text.push_str(prefix);
                }
            }
            let hex = if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            };
            text.push_str(&hex);
        }
        self.flags.zero = false;
        self.pad(text.as_bytes());
    }

    fn integer(&mut self, magnitude: u64, negative: bool, verb: char, value: &Value) {
        let character = || {
            u32::try_from(magnitude)
                .ok()
                .filter(|_| !negative)
                .and_then(char::from_u32)
                .unwrap_or('\u{fffd}')
        };
        let digits = match verb {
            'v' | 'd' => magnitude.to_string(),
            'b' => format!("{magnitude:b}"),
            'o' | 'O' => format!("{magnitude:o}"),
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            'c' => {
                let mut text = Vec::new();
                push_char(&mut text, character());
                self.pad(&text);
                return;
            }
            'q' => {
                self.pad(quote_char(character()).as_bytes());
                return;
            }
            'U' => {
                let mut text = format!("U+{magnitude:04X}");
                if self.flags.sharp && is_print(character()) {
                    let _ = write!(text, " '{}'", character());
                }
                self.flags.zero = false;
                self.pad(text.as_bytes());
                return;
            }
            _ => {
                self.bad_verb(value, verb);
                return;
            }
        };
        let prefix = match verb {
            'b' if self.flags.sharp => "0b",
            'o' if self.flags.sharp && !digits.starts_with('0') => "0",
            'x' if self.flags.sharp => "0x",
            'X' if self.flags.sharp => "0X",
            'O' => "0o",
            _ => "",
        };
        let sign = if negative {
            "-"
        } else if self.flags.plus {
            "+"
        } else if self.flags.space {
            " "
        } else {
            ""
        };
        let mut digits = digits;
        if let Some(precision) = self.flags.precision {
            if precision == 0 && magnitude == 0 {
                let zero = std::mem::take(&mut self.flags.zero);
                self.pad(b"");
                self.flags.zero = zero;
                return;
            }
            digits = zeros(precision.saturating_sub(digits.len())) + &digits;
        } else if let Some(width) = self
            .flags
            .width
            .filter(|_| self.flags.zero && !self.flags.minus)
        {
            let wanted = width.saturating_sub(sign.len());
            digits = zeros(wanted.saturating_sub(digits.len())) + &digits;
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(format!("{sign}{prefix}{digits}").as_bytes());
        self.flags.zero = zero;
    }

    fn float(&mut self, number: f64, verb: char, value: &Value) {
        let text = match (verb, self.flags.precision) {
            ('v' | 'g' | 'G', None) => format_float_g(number),
            ('v' | 'g' | 'G', Some(precision)) => {
                float_general(number, precision, self.flags.sharp && verb != 'v')
            }
            ('f' | 'F', precision) => float_fixed(number, precision.unwrap_or(6)),
            ('e' | 'E', precision) => float_exponent(number, precision.unwrap_or(6)),
            ('b', _) => float_binary(number),
            ('x' | 'X', None) => float_hexadecimal(number),
            ('x' | 'X', Some(precision)) => float_exponent(number, precision),
            _ => {
                self.bad_verb(value, verb);
                return;
            }
        };
        let text = if matches!(verb, 'E' | 'G') {
            text.replace('e', "E")
        } else if verb == 'X' {
            text.to_uppercase()
        } else {
            text
        };
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (&text[..1], digits),
            None => ("+", text.as_str()),
        };
        let infinite = digits == "Inf" || digits == "NaN";
        let sign = match sign {
            "-" => "-",
            _ if self.flags.plus || digits == "Inf" => "+",
            _ if self.flags.space => " ",
            _ => "",
        };
        if self.flags.zero && !self.flags.minus && !infinite {
            let wanted = self
                .flags
                .width
                .unwrap_or(0)
                .saturating_sub(sign.len() + digits.len());
            let padded = format!("{sign}{}{digits}", zeros(wanted));
            self.out.extend_from_slice(padded.as_bytes());
            return;
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(format!("{sign}{digits}").as_bytes());
        self.flags.zero = zero;
    }

    /// Pads to the width in characters.
    fn pad(&mut self, text: &[u8]) {
        let length = Text::from_bytes(text.to_vec()).lossy().chars().count();
        let missing = self.flags.width.unwrap_or(0).saturating_sub(length);
        if self.flags.minus {
            self.out.extend_from_slice(text);
            self.out.extend(std::iter::repeat_n(b' ', missing));
        } else {
            let filler = if self.flags.zero { b'0' } else { b' ' };
            self.out.extend(std::iter::repeat_n(filler, missing));
            self.out.extend_from_slice(text);
        }
    }
}
