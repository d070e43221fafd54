//! A tree of nodes into a value: scalars resolved, aliases followed, keys turned into text.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;

use super::Value;
use super::error::YamlError;
use super::node::{Content, Node, NodeId, Tree};
use super::number::format_float_g;
use super::parser::Parser;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DuplicateKeys {
    LastWins,
    Refuse,
}

/// A resolved scalar, with the kinds of number that JSON later loses.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text,
    Timestamp,
}

pub(crate) fn decode_first(text: &str, keys: DuplicateKeys) -> Result<Value, YamlError> {
    let mut parser = Parser::new(text)?;
    match parser.document()? {
        None => Ok(Value::Null),
        Some((tree, root)) => Decoder::new(&tree, keys).document(root),
    }
}

pub(crate) fn decode_documents(text: &str, keys: DuplicateKeys) -> Result<Vec<Value>, YamlError> {
    let mut parser = Parser::new(text)?;
    let mut documents = Vec::new();
    while let Some((tree, root)) = parser.document()? {
        documents.push(Decoder::new(&tree, keys).document(root)?);
    }
    Ok(documents)
}

struct Decoder<'t, 'a> {
    tree: &'t Tree<'a>,
    keys: DuplicateKeys,
    open_aliases: HashSet<NodeId>,
    decoded: usize,
    decoded_in_alias: usize,
    depth: usize,
}

const MAX_DEPTH: usize = 256;

impl<'t, 'a> Decoder<'t, 'a> {
    fn new(tree: &'t Tree<'a>, keys: DuplicateKeys) -> Self {
        Self {
            tree,
            keys,
            open_aliases: HashSet::new(),
            decoded: 0,
            decoded_in_alias: 0,
            depth: 0,
        }
    }

    fn document(mut self, root: NodeId) -> Result<Value, YamlError> {
        self.value(root)
    }

    fn node(&self, id: NodeId) -> Result<&'t Node<'a>, YamlError> {
        self.tree
            .get(id)
            .ok_or_else(|| YamlError::new("document is too large"))
    }

    /// Helm's guard against a small text that unfolds into a huge value.
    fn count(&mut self) -> Result<(), YamlError> {
        self.decoded += 1;
        if !self.open_aliases.is_empty() {
            self.decoded_in_alias += 1;
        }
        if self.decoded_in_alias > 100
            && self.decoded > 1000
            && share(self.decoded_in_alias, self.decoded) > allowed_share(self.decoded)
        {
            return Err(YamlError::new("document contains excessive aliasing"));
        }
        Ok(())
    }

    fn value(&mut self, id: NodeId) -> Result<Value, YamlError> {
        self.count()?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(YamlError::new(format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let node = self.node(id)?;
        let value = match &node.content {
            Content::Scalar { text, plain } => Self::scalar(node, text, *plain)?,
            Content::Sequence(items) => {
                let mut list = Vec::with_capacity(items.len());
                for &item in items {
                    list.push(self.value(item)?);
                }
                Value::List(list)
            }
            Content::Mapping(entries) => {
                let mut map = BTreeMap::new();
                self.mapping(entries, &mut map)?;
                Value::Map(map)
            }
            Content::Alias { name, target } => {
                let inside = self.enter_alias(id, name, node)?;
                let value = self.value(*target)?;
                self.leave_alias(inside);
                value
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn enter_alias(&mut self, id: NodeId, name: &str, node: &Node) -> Result<NodeId, YamlError> {
        if self.open_aliases.insert(id) {
            Ok(id)
        } else {
            Err(YamlError::at(
                node.mark,
                0,
                format!("anchor '{name}' value contains itself"),
            ))
        }
    }

    fn leave_alias(&mut self, id: NodeId) {
        self.open_aliases.remove(&id);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the loss is Helm's: numbers pass JSON"
    )]
    fn scalar(node: &Node, text: &str, plain: bool) -> Result<Value, YamlError> {
        if node.tag.strip_prefix(CORE) == Some("binary") {
            return binary(text);
        }
        Ok(match resolve_node(node, text, plain)? {
            Scalar::Null => Value::Null,
            Scalar::Bool(truth) => Value::Bool(truth),
            Scalar::Int(number) => Value::Float(number as f64),
            Scalar::Uint(number) => Value::Float(number as f64),
            Scalar::Float(number) if number.is_finite() => Value::Float(number),
            Scalar::Float(number) => {
                let text = format_float_g(number);
                return Err(YamlError::at(
                    node.mark,
                    0,
                    format!("json: unsupported value: {text}"),
                ));
            }
            Scalar::Text | Scalar::Timestamp => Value::String(text.into()),
        })
    }

    fn mapping(
        &mut self,
        entries: &[(NodeId, NodeId)],
        map: &mut BTreeMap<Arc<str>, Value>,
    ) -> Result<(), YamlError> {
        let mut seen = HashSet::new();
        for &(key_id, value_id) in entries {
            let key_node = self.node(key_id)?;
            if is_merge(key_node) {
                self.merge(value_id, map)?;
                continue;
            }
            let key = self.key(key_id)?;
            if self.keys == DuplicateKeys::Refuse && !seen.insert(key.clone()) {
                let line = key_node.mark.line as usize + 1;
                let message = format!("key {key:?} already set in map");
                return Err(YamlError::at(key_node.mark, line, message));
            }
            let value = self.value(value_id)?;
            map.insert(key, value);
        }
        Ok(())
    }

    fn key(&mut self, id: NodeId) -> Result<Arc<str>, YamlError> {
        self.count()?;
        let node = self.node(id)?;
        match &node.content {
            Content::Alias { name, target } => {
                let inside = self.enter_alias(id, name, node)?;
                let key = self.key(*target)?;
                self.leave_alias(inside);
                Ok(key)
            }
            Content::Scalar { text, .. } if node.tag.strip_prefix(CORE) == Some("binary") => {
                match binary(text)? {
                    Value::String(text) => Ok(text),
                    _ => Ok("".into()),
                }
            }
            Content::Scalar { text, plain } => Ok(match resolve_node(node, text, *plain)? {
                Scalar::Bool(truth) => if truth { "true" } else { "false" }.into(),
                Scalar::Int(number) => number.to_string().into(),
                Scalar::Float(number) => float_key(number).into(),
                Scalar::Text | Scalar::Timestamp => text.as_ref().into(),
                Scalar::Null => return Err(unsupported_key(node, "%!s(<nil>)", "<nil>")),
                Scalar::Uint(number) => {
                    return Err(unsupported_key(node, "uint64", &format!("{number:#x}")));
                }
            }),
            Content::Sequence(_) | Content::Mapping(_) => {
                // The innermost key is the one that is named: `{{ x }}:` has one inside another.
                if let Err(inner) = self.value(id)
                    && inner.message.starts_with(INVALID_KEY)
                {
                    return Err(inner);
                }
                let mut shown = String::new();
                self.show_go(id, 0, &mut shown);
                let message = format!("{INVALID_KEY}: {shown}");
                Err(YamlError::at(node.mark, 0, message))
            }
        }
    }

    /// A node as Go's `%#v` prints it: `{{ x }}` that no template replaced ends up here.
    fn show_go(&self, id: NodeId, depth: usize, out: &mut String) {
        const DEEPEST: usize = 16;
        let Ok(node) = self.node(id) else { return };
        match &node.content {
            _ if depth > DEEPEST => out.push('…'),
            Content::Alias { target, .. } => self.show_go(*target, depth + 1, out),
            Content::Scalar { text, plain } => match resolve_node(node, text, *plain) {
                Ok(Scalar::Null) | Err(_) => out.push_str("interface {}(nil)"),
                Ok(Scalar::Bool(truth)) => out.push_str(&truth.to_string()),
                Ok(Scalar::Int(number)) => out.push_str(&number.to_string()),
                Ok(Scalar::Uint(number)) => out.push_str(&format!("{number:#x}")),
                Ok(Scalar::Float(number)) => out.push_str(&format_float_g(number)),
                Ok(Scalar::Text | Scalar::Timestamp) => {
                    out.push_str(&crate::go::quote::quote(&text.as_ref().into()));
                }
            },
            Content::Sequence(items) => {
                out.push_str("[]interface {}{");
                for (at, &item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    self.show_go(item, depth + 1, out);
                }
                out.push('}');
            }
            Content::Mapping(entries) => {
                let mut shown: Vec<String> = entries
                    .iter()
                    .map(|&(key, value)| {
                        let mut entry = String::new();
                        self.show_go(key, depth + 1, &mut entry);
                        entry.push(':');
                        self.show_go(value, depth + 1, &mut entry);
                        entry
                    })
                    .collect();
                shown.sort();
                out.extend(["map[interface {}]interface {}{", &shown.join(", "), "}"]);
            }
        }
    }

    /// `<<`: the entries of other mappings, taken over at this place, so that they win over what
    /// stands before and lose against what follows.
    fn merge(&mut self, id: NodeId, map: &mut BTreeMap<Arc<str>, Value>) -> Result<(), YamlError> {
        let node = self.node(id)?;
        match &node.content {
            Content::Mapping(_) | Content::Alias { .. } => self.merge_one(id, map),
            Content::Sequence(items) => {
                for &item in items.iter().rev() {
                    self.merge_one(item, map)?;
                }
                Ok(())
            }
            Content::Scalar { .. } => Err(want_map(node)),
        }
    }

    fn merge_one(
        &mut self,
        id: NodeId,
        map: &mut BTreeMap<Arc<str>, Value>,
    ) -> Result<(), YamlError> {
        self.count()?;
        let node = self.node(id)?;
        match &node.content {
            Content::Mapping(entries) => self.mapping(entries, map),
            Content::Alias { name, target } => {
                let inside = self.enter_alias(id, name, node)?;
                let Content::Mapping(entries) = &self.node(*target)?.content else {
                    return Err(want_map(node));
                };
                self.count()?;
                self.mapping(entries, map)?;
                self.leave_alias(inside);
                Ok(())
            }
            _ => Err(want_map(node)),
        }
    }
}

const INVALID_KEY: &str = "invalid map key";

fn want_map(node: &Node) -> YamlError {
    let message = "map merge requires map or sequence of maps as the value";
    YamlError::at(node.mark, 0, message)
}

fn unsupported_key(node: &Node, kind: &str, key: &str) -> YamlError {
    let message = format!("unsupported map key of type: {kind}, key: {key}");
    YamlError::at(node.mark, 0, message)
}

fn is_merge(node: &Node) -> bool {
    match &node.content {
        Content::Scalar { text, plain } => {
            text == "<<" && (*plain || node.tag.strip_prefix(CORE) == Some("merge"))
        }
        _ => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of nodes, for a share")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of nodes, for a share")]
fn allowed_share(decoded: usize) -> f64 {
    const LOW: usize = 400_000;
    const HIGH: usize = 4_000_000;
    match decoded {
        0..=LOW => 0.99,
        HIGH.. => 0.10,
        _ => 0.89f64.mul_add(-((decoded - LOW) as f64 / (HIGH - LOW) as f64), 0.99),
    }
}

fn binary(text: &str) -> Result<Value, YamlError> {
    let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(compact)
        .map_err(|_| YamlError::new("!!binary value contains invalid base64 data"))?;
    Ok(Value::String(String::from_utf8_lossy(&bytes).into()))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "Helm writes float keys in 32-bit precision"
)]
fn float_key(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    // The shortest text that gives the same 32-bit float, in the layout of the 64-bit one.
    let narrow: f64 = (number as f32).to_string().parse().unwrap_or(number);
    format_float_g(narrow)
}

const CORE: &str = "tag:yaml.org,2002:";

fn resolve_node(node: &Node, text: &str, plain: bool) -> Result<Scalar, YamlError> {
    if node.tag.is_empty() {
        return Ok(if plain { resolve(text) } else { Scalar::Text });
    }
    let Some(tag) = node.tag.strip_prefix(CORE) else {
        return Ok(Scalar::Text);
    };
    if !matches!(tag, "str" | "bool" | "int" | "float" | "null" | "timestamp") {
        return Ok(Scalar::Text);
    }
    if tag == "str" {
        return Ok(Scalar::Text);
    }
    let resolved = resolve(text);
    let found = kind_of(&resolved);
    #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
    match (tag, &resolved) {
        ("float", Scalar::Int(number)) => return Ok(Scalar::Float(*number as f64)),
        _ if tag == found => return Ok(resolved),
        _ => {}
    }
    let message = format!("cannot decode !!{found} `{text}` as a !!{tag}");
    Err(YamlError::at(node.mark, 0, message))
}

const fn kind_of(scalar: &Scalar) -> &'static str {
    match scalar {
        Scalar::Null => "null",
        Scalar::Bool(_) => "bool",
        Scalar::Int(_) | Scalar::Uint(_) => "int",
        Scalar::Float(_) => "float",
        Scalar::Text => "str",
        Scalar::Timestamp => "timestamp",
    }
}

/// What a plain scalar means in YAML 1.1 as Helm reads it.
pub(super) fn resolve(text: &str) -> Scalar {
    let Some(&first) = text.as_bytes().first() else {
        return Scalar::Null;
    };
    match first {
        b'+'
        | b'-'
        | b'0'..=b'9'
        | b'.'
        | b'~'
        | b'y'
        | b'Y'
        | b'n'
        | b'N'
        | b't'
        | b'T'
        | b'f'
        | b'F'
        | b'o'
        | b'O' => {}
        _ => return Scalar::Text,
    }
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match first {
        b'.' => go_float(text).map_or(Scalar::Text, Scalar::Float),
        b'+' | b'-' | b'0'..=b'9' => resolve_number(text),
        _ => Scalar::Text,
    }
}

fn resolve_number(text: &str) -> Scalar {
    if is_timestamp(text) {
        return Scalar::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Some(number) = go_int(&plain) {
        return number;
    }
    if is_yaml_float(&plain)
        && let Some(number) = go_float(&plain)
    {
        return Scalar::Float(number);
    }
    // `0b` forms that the general reader refused, for example `-0b-1`.
    if let Some(digits) = plain.strip_prefix("0b") {
        if let Ok(number) = i64::from_str_radix(digits, 2) {
            return Scalar::Int(number);
        }
    } else if let Some(digits) = plain.strip_prefix("-0b")
        && let Ok(number) = i64::from_str_radix(&format!("-{digits}"), 2)
    {
        return Scalar::Int(number);
    }
    Scalar::Text
}

/// Go's `ParseInt(text, 0, 64)`, then `ParseUint`: base by prefix, a leading 0 is octal.
fn go_int(text: &str) -> Option<Scalar> {
    let (negative, digits, signed) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..], true),
        b'+' => (false, &text[1..], true),
        _ => (false, text, false),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(number) => Some(Scalar::Int(number)),
        Err(_) if !signed => Some(Scalar::Uint(magnitude)),
        Err(_) => None,
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_yaml_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    let exponent_fits = exponent
        .is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    mantissa_fits && exponent_fits
}

/// Go's `ParseFloat` for decimal texts; infinite results are errors there.
fn go_float(text: &str) -> Option<f64> {
    if !is_yaml_float(text) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A date with or without a time, which stays text but must be quoted when written.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((bytes[at], &text[at + 1..]))),
        None => (text, None),
    };
    if !is_date(date) {
        return false;
    }
    time.is_none_or(|(separator, time)| is_time_of_day(separator, time))
}

fn number_in(text: &str, lengths: std::ops::RangeInclusive<usize>, most: u32) -> bool {
    lengths.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u32>().is_ok_and(|number| number <= most)
}

fn is_date(date: &str) -> bool {
    let mut parts = date.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    if !(number_in(month, 1..=2, 12) && number_in(day, 1..=2, 31)) {
        return false;
    }
    let numbers = (year.parse::<i16>(), month.parse::<i8>(), day.parse::<i8>());
    let (Ok(year), Ok(month), Ok(day)) = numbers else {
        return false;
    };
    jiff::civil::Date::new(year, month, day).is_ok()
}

fn is_time_of_day(separator: u8, time: &str) -> bool {
    let (clock, zone) = match time.find(['Z', '+', '-']) {
        Some(at) => (&time[..at], Some(&time[at..])),
        None => (time, None),
    };
    // With `T` a zone is required, with a space none may follow.
    if (separator == b' ') == zone.is_some() {
        return false;
    }
    if let Some(zone) = zone
        && zone != "Z"
    {
        let hours_and_minutes = zone[1..].split_once(':');
        let fits = hours_and_minutes.is_some_and(|(hours, minutes)| {
            number_in(hours, 2..=2, 24) && number_in(minutes, 2..=2, 60)
        });
        if !fits {
            return false;
        }
    }
    let (clock, fraction) = match clock.find(['.', ',']) {
        Some(at) => (&clock[..at], Some(&clock[at + 1..])),
        None => (clock, None),
    };
    if fraction.is_some_and(|digits| {
        digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        return false;
    }
    let mut parts = clock.split(':');
    matches!(
        (parts.next(), parts.next(), parts.next(), parts.next()),
        (Some(hour), Some(minute), Some(second), None)
            if number_in(hour, 1..=2, 23)
                && number_in(minute, 1..=2, 59)
                && number_in(second, 1..=2, 59)
    )
}
