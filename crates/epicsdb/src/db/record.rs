//! One `record(…)` statement: its name, its type, its fields.

use std::collections::BTreeMap;

use super::{Database, Definitions, Record, Setting, link, value};
use crate::Diagnostic;
use crate::dbd::{Device, FieldKind, RecordType, choice_index};
use crate::diagnostic::Findings;
use crate::nearest::nearest;
use crate::syntax::{FieldItem, RecordItem, Text};

/// Longest record name of base 7 (61 bytes with the final NUL), where no definition says else.
const NAME_SIZE: u16 = 61;

/// Pseudo fields that every record type has.
const ATTRIBUTES: [&str; 2] = ["RTYP", "VERS"];

/// Fields that people take for each other.
const CONFUSED: [(&str, &str); 4] = [
    ("INP", "OUT"),
    ("DOL", "INP"),
    ("ZNAM", "ZRST"),
    ("ONAM", "ONST"),
];

impl Database {
    pub(super) fn take_record(
        &mut self,
        item: &RecordItem,
        definitions: &Definitions,
        findings: &mut Findings,
    ) {
        let kind = item.record_type.value.as_str();
        let record_type = definitions.dbd.record_types.get(kind);
        let limit = record_type
            .and_then(|known| known.field("NAME"))
            .map_or(NAME_SIZE, |f| f.size);
        let named = check_name(&item.name, Some(limit), findings);
        let name = item.name.value.as_str();
        match kind {
            "#" => {
                if named && !self.delete(name) && !self.unseen {
                    let message = format!("record `{name}` does not exist and cannot be deleted");
                    findings.push(Diagnostic::warning(item.name.span.clone(), message));
                }
            }
            "*" => {
                let Some(record) = self.record(name) else {
                    if named && !self.unseen {
                        let message = format!("record `{name}` does not exist");
                        let diagnostic = Diagnostic::error(item.name.span.clone(), message);
                        findings
                            .push(diagnostic.hint(
                                "`record(\"*\", …)` adds to a record that was loaded before",
                            ));
                    }
                    return;
                };
                let kind = record.record_type.clone();
                let name = record.name.clone();
                let settings = check_fields(item, &kind, definitions, findings);
                self.merge(&name, item, settings, findings);
            }
            _ => self.define_record(item, named, definitions, findings),
        }
    }

    fn define_record(
        &mut self,
        item: &RecordItem,
        named: bool,
        definitions: &Definitions,
        findings: &mut Findings,
    ) {
        let kind = item.record_type.value.as_str();
        let name = item.name.value.as_str();
        let known = definitions.dbd.record_types.contains_key(kind);
        if !known && definitions.complete && !item.record_type.unresolved {
            let message = format!("record type `{kind}` does not exist in this IOC");
            let types = definitions.dbd.record_types.keys().map(String::as_str);
            let diagnostic = Diagnostic::error(item.record_type.span.clone(), message);
            findings.push(match nearest(kind, types) {
                Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
                None => diagnostic.hint("is the `.dbd` of its support module part of the IOC?"),
            });
        }
        let settings = check_fields(item, kind, definitions, findings);
        if !named || item.record_type.unresolved {
            return;
        }
        if let Some(existing) = self.record(name) {
            if existing.record_type != kind {
                let message = format!(
                    "record `{name}` is already defined as type `{}` ({}), not `{kind}`",
                    existing.record_type, existing.span
                );
                findings.push(Diagnostic::error(item.name.span.clone(), message));
                return;
            }
            let place = existing.span.to_string();
            if self.once_only {
                let message = format!("record `{name}` is already defined ({place})");
                let diagnostic = Diagnostic::error(item.name.span.clone(), message);
                findings.push(diagnostic.hint("dbRecordsOnceOnly is set"));
                return;
            }
            let message =
                format!("record `{name}` is already defined ({place}); the fields are merged");
            let diagnostic = Diagnostic::note(item.name.span.clone(), message);
            findings.push(diagnostic.hint("write `record(\"*\", …)` if this is intended"));
        } else {
            self.add(Record {
                name: name.to_owned(),
                record_type: kind.to_owned(),
                span: item.name.span.clone(),
                fields: BTreeMap::new(),
                infos: BTreeMap::new(),
                aliases: Vec::new(),
            });
        }
        self.merge(name, item, settings, findings);
    }

    fn merge(
        &mut self,
        name: &str,
        item: &RecordItem,
        settings: Vec<(String, Setting)>,
        findings: &mut Findings,
    ) {
        if let Some(record) = self.record_mut(name) {
            record.fields.extend(settings);
            for info in &item.infos {
                let setting = Setting {
                    value: info.value.text.clone(),
                    span: info.value.span.clone(),
                    unresolved: info.value.unresolved,
                };
                record.infos.insert(info.name.value.clone(), setting);
            }
        }
        for alias in &item.aliases {
            if check_name(alias, None, findings) {
                self.add_alias(name, alias, findings);
            }
        }
    }

    /// Checks that need finished records: device links against their device type.
    pub(crate) fn finish(&self, definitions: &Definitions, findings: &mut Findings) {
        for record in self.records() {
            let Some(record_type) = definitions.dbd.record_types.get(&record.record_type) else {
                continue;
            };
            for name in ["INP", "OUT"] {
                let field = record_type.field(name);
                let is_link = field.is_some_and(|field| {
                    matches!(field.kind, FieldKind::InLink | FieldKind::OutLink)
                });
                let Some(setting) = record.fields.get(name).filter(|_| is_link) else {
                    continue;
                };
                if setting.unresolved {
                    continue;
                }
                let device = match device_of(record, record_type, definitions) {
                    DeviceOf::Known(device) => Some(device),
                    DeviceOf::None => None,
                    DeviceOf::Unknown => continue,
                };
                link::check_device(record, name, setting, device, findings);
            }
        }
    }
}

/// The device support of a record.
enum DeviceOf<'a> {
    Known(&'a Device),
    /// Its type has none.
    None,
    /// DTYP was refused, or not all definitions are known.
    Unknown,
}

fn device_of<'a>(
    record: &Record,
    record_type: &'a RecordType,
    definitions: &Definitions,
) -> DeviceOf<'a> {
    let index = match record.fields.get("DTYP") {
        Some(setting) if setting.unresolved => return DeviceOf::Unknown,
        Some(setting) => {
            let choices = record_type
                .devices
                .iter()
                .map(|device| device.choice.as_str());
            match choice_index(&setting.value, choices) {
                Some(index) => usize::from(index),
                None => return DeviceOf::Unknown,
            }
        }
        None => 0,
    };
    match record_type.devices.get(index) {
        Some(device) => DeviceOf::Known(device),
        None if definitions.complete => DeviceOf::None,
        None => DeviceOf::Unknown,
    }
}

/// Checks a record or alias name; `false` if the IOC refuses it.
pub(super) fn check_name(name: &Text, size: Option<u16>, findings: &mut Findings) -> bool {
    if name.unresolved {
        return false;
    }
    let text = name.value.as_str();
    let Some(first) = text.chars().next() else {
        findings.push(Diagnostic::error(
            name.span.clone(),
            "the name of a record is empty",
        ));
        return false;
    };
    if let Some(bad) = text.chars().find(|c| " \"'.$".contains(*c)) {
        let what = if bad == ' ' {
            "a space".to_owned()
        } else {
            format!("`{bad}`")
        };
        let message = format!("record name `{text}` has {what} in it, which is not allowed");
        findings.push(Diagnostic::error(name.span.clone(), message));
        return false;
    }
    if let Some(size) = size.filter(|&size| text.len() >= usize::from(size)) {
        let message = format!(
            "record name `{text}` has {} bytes, at most {} are allowed",
            text.len(),
            size.saturating_sub(1)
        );
        findings.push(Diagnostic::error(name.span.clone(), message));
        return false;
    }
    if "-+[{".contains(first) {
        let message = format!("record name `{text}` should not begin with `{first}`");
        findings.push(Diagnostic::warning(name.span.clone(), message));
    }
    if let Some(control) = text.chars().find(|&c| c < ' ') {
        let message = format!(
            "record name `{text}` has the control character 0x{:02x} in it",
            u32::from(control)
        );
        findings.push(Diagnostic::warning(name.span.clone(), message));
    }
    true
}

/// Checks the fields of one statement and returns those that the IOC takes.
fn check_fields(
    item: &RecordItem,
    kind: &str,
    definitions: &Definitions,
    findings: &mut Findings,
) -> Vec<(String, Setting)> {
    for info in &item.infos {
        if info.name.value.is_empty() {
            findings.push(Diagnostic::error(
                info.name.span.clone(),
                "the name of an info item is empty",
            ));
        }
    }
    let record_type = definitions.dbd.record_types.get(kind);
    let mut settings = Vec::with_capacity(item.fields.len());
    for field in &item.fields {
        let setting = Setting {
            value: field.value.text.clone(),
            span: field.value.span.clone(),
            unresolved: field.value.unresolved,
        };
        // White space after the name is passed over.
        let name = field.name.value.trim_end();
        if field.name.unresolved {
            continue;
        }
        let Some(record_type) = record_type else {
            settings.push((name.to_owned(), setting));
            continue;
        };
        if ATTRIBUTES.contains(&name) && record_type.field(name).is_none() {
            let message =
                format!("`{name}` is an attribute of the record type and has no place here");
            findings.push(Diagnostic::warning(field.name.span.clone(), message));
            continue;
        }
        let Some(definition) = record_type.field(if name.is_empty() { "VAL" } else { name }) else {
            findings.push(unknown_field(field, name, kind, record_type));
            continue;
        };
        if definition.name == "NAME" {
            let message = "the field `NAME` cannot be set".to_owned();
            let diagnostic = Diagnostic::error(field.name.span.clone(), message);
            findings.push(diagnostic.hint("the name stands behind the record type"));
            continue;
        }
        let accepted = field.value.unresolved
            || value::check(&field.value, definition, record_type, definitions, findings);
        // A device type that is refused says nothing about what INP has to look like.
        if accepted || definition.kind == FieldKind::Device {
            let unresolved = setting.unresolved || !accepted;
            settings.push((
                definition.name.clone(),
                Setting {
                    unresolved,
                    ..setting
                },
            ));
        }
    }
    settings
}

fn unknown_field(field: &FieldItem, name: &str, kind: &str, known: &RecordType) -> Diagnostic {
    let message = format!("record type `{kind}` has no field `{name}`");
    let diagnostic = Diagnostic::error(field.name.span.clone(), message);
    let exists = |name: &&str| known.field(name).is_some();
    let confused = CONFUSED.iter().find_map(|&(a, b)| match name {
        _ if name == a => Some(b).filter(exists),
        _ if name == b => Some(a).filter(exists),
        _ => None,
    });
    // What people set has a prompt group; the rest is only second choice.
    let names = |with_prompt: bool| {
        known
            .fields
            .iter()
            .filter(move |field| field.prompt_group.is_some() == with_prompt)
            .map(|field| field.name.as_str())
    };
    let near = confused
        .or_else(|| nearest(name, names(true)))
        .or_else(|| nearest(name, names(false)));
    let Some(near) = near else { return diagnostic };
    match known
        .field(near)
        .map(|field| field.prompt.as_str())
        .filter(|prompt| !prompt.is_empty())
    {
        Some(prompt) => diagnostic.hint(format!("did you mean `{near}` ({prompt})?")),
        None => diagnostic.hint(format!("did you mean `{near}`?")),
    }
}
