//! From statements to definitions, with the checks that base makes.

use super::{Choice, Dbd, Device, Field, FieldKind, LinkType, Menu, RecordType};
use crate::Diagnostic;
use crate::db::number::{parse_double, parse_integer};
use crate::diagnostic::Findings;
use crate::nearest::nearest;
use crate::syntax::{FieldDefinition, Item, RecordTypeItem, Text};

const SPECIALS: [&str; 9] = [
    "SPC_NOMOD",
    "SPC_DBADDR",
    "SPC_SCAN",
    "SPC_ALARMACK",
    "SPC_AS",
    "SPC_MOD",
    "SPC_RESET",
    "SPC_LINCONV",
    "SPC_CALC",
];

/// Whether a statement was one of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// It was, and has been taken in.
    Taken,
    /// It is about records.
    NotADefinition,
}

/// Takes one statement into the definitions.
pub(crate) fn grow(dbd: &mut Dbd, item: &Item, findings: &mut Findings) -> Growth {
    match item {
        Item::Menu { name, choices } => menu(dbd, name, choices, findings),
        Item::RecordType(item) => record_type(dbd, item, findings),
        Item::Device {
            record_type,
            link,
            table,
            choice,
        } => {
            device(dbd, record_type, link, table, choice, findings);
        }
        Item::Driver(name) => add_name(&mut dbd.drivers, name, "driver", findings),
        Item::Registrar(name) => add_name(&mut dbd.registrars, name, "registrar", findings),
        Item::Function(name) => add_name(&mut dbd.functions, name, "function", findings),
        Item::Variable(name, kind) => {
            if not_empty(name, "variable", findings) {
                let kind = kind.as_ref().map_or("int", |kind| kind.value.as_str());
                dbd.variables
                    .entry(name.value.clone())
                    .or_insert_with(|| kind.to_owned());
            }
        }
        Item::Link(key, support) => {
            dbd.links
                .entry(key.value.clone())
                .or_insert_with(|| support.value.clone());
        }
        Item::BreakTable { name, numbers } => break_table(dbd, name, numbers, findings),
        Item::Record(_) | Item::Alias { .. } => return Growth::NotADefinition,
    }
    Growth::Taken
}

fn not_empty(name: &Text, what: &str, findings: &mut Findings) -> bool {
    if name.value.is_empty() {
        findings.push(Diagnostic::error(
            name.span.clone(),
            format!("the name of a {what} is empty"),
        ));
    }
    !name.value.is_empty()
}

fn add_name(list: &mut Vec<String>, name: &Text, what: &str, findings: &mut Findings) {
    if not_empty(name, what, findings) && !list.contains(&name.value) {
        list.push(name.value.clone());
    }
}

fn menu(dbd: &mut Dbd, name: &Text, choices: &[(Text, Text)], findings: &mut Findings) {
    if !not_empty(name, "menu", findings) || dbd.menus.contains_key(&name.value) {
        return;
    }
    let choices = choices
        .iter()
        .filter(|(name, _)| not_empty(name, "menu choice", findings))
        .map(|(name, text)| Choice {
            name: name.value.clone(),
            text: text.value.clone(),
        })
        .collect();
    dbd.menus.insert(name.value.clone(), Menu { choices });
}

fn record_type(dbd: &mut Dbd, item: &RecordTypeItem, findings: &mut Findings) {
    let name = &item.name;
    if !not_empty(name, "record type", findings) || dbd.record_types.contains_key(&name.value) {
        return;
    }
    if item.empty {
        let message = format!(
            "record type `{}` is declared before it is defined",
            name.value
        );
        findings.push(Diagnostic::error(name.span.clone(), message));
        return;
    }
    let mut fields: Vec<Field> = Vec::with_capacity(item.fields.len());
    for definition in &item.fields {
        fields.extend(field(dbd, &name.value, definition, findings));
    }
    let by_name = fields
        .iter()
        .enumerate()
        .map(|(index, field)| (field.name.clone(), index));
    let by_name = by_name.collect();
    let record_type = RecordType {
        fields,
        devices: Vec::new(),
        c_lines: item.c_lines.clone(),
        by_name,
    };
    dbd.record_types.insert(name.value.clone(), record_type);
}

fn field(
    dbd: &Dbd,
    record_type: &str,
    definition: &FieldDefinition,
    findings: &mut Findings,
) -> Option<Field> {
    if !not_empty(&definition.name, "field", findings) {
        return None;
    }
    let Some(kind) = FieldKind::from_name(&definition.kind.value) else {
        let known = FieldKind::ALL.iter().map(|&(name, _)| name);
        let message = format!("field type `{}` does not exist", definition.kind.value);
        let diagnostic = Diagnostic::error(definition.kind.span.clone(), message);
        findings.push(match nearest(&definition.kind.value, known) {
            Some(name) => diagnostic.hint(format!("did you mean `{name}`?")),
            None => diagnostic,
        });
        return None;
    };
    let mut field = Field {
        name: definition.name.value.clone(),
        kind,
        prompt: String::new(),
        prompt_group: None,
        size: 0,
        menu: None,
        initial: None,
        special: None,
        extra: None,
        interest: 0,
        access_level_0: false,
        processes: false,
        hexadecimal: false,
        property: false,
    };
    for (name, value) in &definition.attributes {
        attribute(dbd, &mut field, name, value, findings);
    }
    let missing = match kind {
        FieldKind::String if field.size == 0 => Some("size"),
        FieldKind::NoAccess if field.extra.is_none() => Some("extra"),
        _ => None,
    };
    if let Some(missing) = missing {
        let message = format!("field `{record_type}.{}` has no `{missing}(…)`", field.name);
        findings.push(Diagnostic::warning(definition.name.span.clone(), message));
    }
    Some(field)
}

fn attribute(dbd: &Dbd, field: &mut Field, name: &Text, value: &Text, findings: &mut Findings) {
    let text = value.value.as_str();
    let number = |text: &str| {
        let start = text.trim_start();
        let digits = start
            .find(|c: char| !c.is_ascii_digit() && c != '-')
            .unwrap_or(start.len());
        start[..digits].parse::<i16>().ok()
    };
    let expected = match name.value.as_str() {
        "asl" => match text {
            "ASL0" => return field.access_level_0 = true,
            "ASL1" => return field.access_level_0 = false,
            _ => "`ASL0` or `ASL1`",
        },
        "initial" => return field.initial = Some(text.to_owned()),
        "promptgroup" => return field.prompt_group = Some(text.to_owned()),
        "prompt" => return text.clone_into(&mut field.prompt),
        "special" => {
            if SPECIALS.contains(&text) || number(text).is_some() {
                return field.special = Some(text.to_owned());
            }
            "a number or one of SPC_MOD, SPC_NOMOD, SPC_CALC, …"
        }
        "pp" => match text {
            "YES" | "TRUE" => return field.processes = true,
            "NO" | "FALSE" => return field.processes = false,
            _ => "`YES`, `NO`, `TRUE` or `FALSE`",
        },
        "interest" => match number(text) {
            Some(level) => return field.interest = level,
            None => "a number",
        },
        "base" => match text {
            "DECIMAL" => return field.hexadecimal = false,
            "HEX" => return field.hexadecimal = true,
            _ => "`DECIMAL` or `HEX`",
        },
        "size" => match number(text).and_then(|size| u16::try_from(size).ok()) {
            Some(size) => return field.size = size,
            None => "a number of bytes",
        },
        "extra" => return field.extra = Some(text.to_owned()),
        "menu" => {
            field.menu = Some(text.to_owned());
            if !dbd.menus.contains_key(text) {
                let message = format!("menu `{text}` is not defined");
                let diagnostic = Diagnostic::error(value.span.clone(), message);
                let known = nearest(text, dbd.menus.keys().map(String::as_str));
                findings.push(match known {
                    Some(known) => diagnostic.hint(format!("did you mean `{known}`?")),
                    None => diagnostic.hint("the menu must be defined before the record type"),
                });
            }
            return;
        }
        "prop" => return field.property = text == "YES",
        // Base passes over attributes that it does not know.
        _ => return,
    };
    let message = format!("`{text}` is not a value of `{}`", name.value);
    findings.push(Diagnostic::error(value.span.clone(), message).expected(expected));
}

fn device(
    dbd: &mut Dbd,
    record_type: &Text,
    link: &Text,
    table: &Text,
    choice: &Text,
    findings: &mut Findings,
) {
    let known: Vec<&str> = dbd.record_types.keys().map(String::as_str).collect();
    let suggestion = nearest(&record_type.value, known).map(str::to_owned);
    let Some(known) = dbd.record_types.get_mut(&record_type.value) else {
        let message = format!("record type `{}` is not defined", record_type.value);
        let diagnostic = Diagnostic::error(record_type.span.clone(), message);
        findings.push(match suggestion {
            Some(name) => diagnostic.hint(format!("did you mean `{name}`?")),
            None => diagnostic.hint("include the record type before its device support"),
        });
        return;
    };
    let Some(link) = LinkType::from_name(&link.value) else {
        let message = format!("link type `{}` does not exist", link.value);
        let names: Vec<&str> = LinkType::ALL.iter().map(|&(name, _)| name).collect();
        findings.push(Diagnostic::error(link.span.clone(), message).expected(names.join(", ")));
        return;
    };
    if known.device(&choice.value).is_none() {
        known.devices.push(Device {
            choice: choice.value.clone(),
            table: table.value.clone(),
            link,
        });
    }
}

fn break_table(dbd: &mut Dbd, name: &Text, numbers: &[Text], findings: &mut Findings) {
    if !not_empty(name, "breakpoint table", findings) || dbd.break_tables.contains_key(&name.value)
    {
        return;
    }
    let mut values = Vec::with_capacity(numbers.len());
    for number in numbers {
        match parse_double(&number.value) {
            Ok(value) => values.push(value),
            Err(why) => {
                let message = format!("`{}` is not a number: {why}", number.value);
                findings.push(Diagnostic::error(number.span.clone(), message));
                return;
            }
        }
    }
    let problem = if values.len() % 2 == 1 {
        Some("has a raw value without an engineering value")
    } else if values.len() < 4 {
        Some("has fewer than two points")
    } else {
        let points: Vec<&[f64]> = values.chunks_exact(2).collect();
        let slope = |pair: &[&[f64]]| (pair[1][1] - pair[0][1]) / (pair[1][0] - pair[0][0]);
        let down = slope(&points[..2]) < 0.0;
        points.windows(2).find_map(|pair| match slope(pair) {
            0.0 => Some("has two points of the same value"),
            slope if (slope < 0.0) != down => Some("rises and falls"),
            _ => None,
        })
    };
    if let Some(problem) = problem {
        let message = format!("breakpoint table `{}` {problem}", name.value);
        findings.push(Diagnostic::error(name.span.clone(), message));
        return;
    }
    let points = values
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect();
    dbd.break_tables.insert(name.value.clone(), points);
}

/// The number of a menu choice or device support, as base reads it: the text of a choice, or a
/// number.
pub(crate) fn choice_index<'a>(
    text: &str,
    choices: impl IntoIterator<Item = &'a str>,
) -> Option<u16> {
    let text = if text.is_empty() { "0" } else { text };
    let index = choices.into_iter().position(|choice| choice == text);
    match index {
        Some(index) => u16::try_from(index).ok(),
        None => parse_integer(text)
            .ok()
            .and_then(|value| u16::try_from(value).ok()),
    }
}
