//! Links: a constant, another record, a JSON link or an address of hardware (`dbParseLink` of base
//! 7.0.10).

use super::number::{parse_double, parse_integer};
use super::{Definitions, Record, Setting, json};
use crate::Diagnostic;
use crate::dbd::{Device, Field, FieldKind, LinkType};
use crate::diagnostic::Findings;
use crate::nearest::nearest;
use crate::syntax::Value;

/// What a link field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing, a number or a JSON array.
    Constant,
    /// A record or PV of this name.
    Pv {
        /// Name, with a field or filter if one is given.
        target: String,
        /// Modifiers behind it.
        modifiers: LinkModifiers,
    },
    /// A JSON link, with its text.
    Json(String),
    /// An address of hardware.
    Hardware(LinkType),
}

/// What follows the name in a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkModifiers {
    /// `PP`, `CA`, `CP` or `CPP`; `None` is `NPP`.
    pub processing: Option<&'static str>,
    /// `MS`, `MSI` or `MSS`; `None` is `NMS`.
    pub severity: Option<&'static str>,
    /// Words that mean nothing to the IOC.
    pub unknown: Vec<String>,
}

/// Takes a link apart. The error says what is wrong with it.
pub fn parse_link(text: &str) -> Result<Link, String> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    if text.starts_with('@') {
        return Ok(Link::Hardware(LinkType::Instrument));
    }
    if text.starts_with('{') && text.ends_with('}') {
        return Ok(Link::Json(text.to_owned()));
    }
    if text.starts_with('#') {
        return hardware(text).map(Link::Hardware);
    }
    let array = text.starts_with('[') && text.ends_with(']') && text.len() > 1;
    if text.is_empty() || parse_double(text).is_ok() || array {
        return Ok(Link::Constant);
    }
    let (target, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(Link::Pv {
        target: target.to_owned(),
        modifiers: modifiers(rest),
    })
}

fn modifiers(text: &str) -> LinkModifiers {
    let first = |known: &[&'static str]| known.iter().find(|word| text.contains(**word)).copied();
    let known = ["NPP", "CPP", "PP", "CA", "CP", "NMS", "MSI", "MSS", "MS"];
    LinkModifiers {
        processing: first(&["NPP", "CPP", "PP", "CA", "CP"]).filter(|&word| word != "NPP"),
        severity: first(&["NMS", "MSI", "MSS", "MS"]).filter(|&word| word != "NMS"),
        unknown: text
            .split_ascii_whitespace()
            .filter(|word| !known.contains(word))
            .map(str::to_owned)
            .collect(),
    }
}

/// `#C0 S1 @text`: letters with numbers, then a parameter.
fn hardware(text: &str) -> Result<LinkType, String> {
    let (address, parameter) = match text.split_once('@') {
        Some((address, parameter)) => (address, Some(parameter)),
        None => (text, None),
    };
    let mut letters = String::new();
    let mut rest = address[1..].trim_start();
    while let Some(letter) = rest.chars().next() {
        rest = rest[letter.len_utf8()..].trim_start();
        let digits = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-".contains(c)));
        // The next letter may follow the digits at once: `#C1S2`.
        let mut end = digits.unwrap_or(rest.len());
        while end > 0 && parse_integer(&rest[..end]).is_err() {
            end -= 1;
        }
        if end == 0 {
            return Err(format!(
                "the address `{address}` has no number behind `{letter}`"
            ));
        }
        letters.push(letter);
        rest = rest[end..].trim_start();
    }
    let link = match letters.as_str() {
        "CS" => LinkType::Vme,
        "BCN" | "BCNA" | "BCNF" | "BCNAF" => LinkType::Camac,
        "RMDE" => LinkType::Rf,
        "LACS" => LinkType::AllenBradley,
        "LA" => LinkType::Gpib,
        "LNPS" => LinkType::Bitbus,
        "LBG" => LinkType::BitbusGpib,
        "VCS" | "VS" => LinkType::Vxi,
        _ => {
            return Err(format!(
                "`{address}` is not an address of any kind of hardware"
            ));
        }
    };
    if link == LinkType::Rf && parameter.is_some() {
        return Err("an RF address has no `@parameter`".to_owned());
    }
    Ok(link)
}

/// Checks the value of a link field; `false` if the IOC refuses it.
pub(super) fn check(
    value: &Value,
    field: &Field,
    definitions: &Definitions,
    findings: &mut Findings,
) -> bool {
    let name = &field.name;
    let link = match parse_link(&value.text) {
        Ok(link) => link,
        Err(why) => {
            let message = format!("`{}` is not a link for `{name}`: {why}", value.text);
            findings.push(Diagnostic::error(value.span.clone(), message));
            return false;
        }
    };
    match link {
        Link::Constant => true,
        Link::Pv { modifiers, .. } => {
            for word in &modifiers.unknown {
                let message = format!("the link modifier `{word}` means nothing to the IOC");
                let known = "PP, NPP, CA, CP, CPP, MS, NMS, MSI, MSS";
                findings.push(Diagnostic::warning(value.span.clone(), message).expected(known));
            }
            let process = modifiers.processing.filter(|word| word.starts_with("CP"));
            if let (FieldKind::OutLink, Some(word)) = (field.kind, process) {
                let message = format!("the IOC drops `{word}` in the output link `{name}`");
                findings.push(Diagnostic::warning(value.span.clone(), message));
            }
            true
        }
        Link::Json(text) => json_link(&text, value, field, definitions, findings),
        // INP and OUT are compared with the device type once the record is complete.
        Link::Hardware(_) if matches!(name.as_str(), "INP" | "OUT") => true,
        Link::Hardware(_) => {
            let message = format!("`{name}` is not a device link and takes no hardware address");
            let expected = LinkType::Constant.example();
            findings.push(Diagnostic::error(value.span.clone(), message).expected(expected));
            false
        }
    }
}

fn json_link(
    text: &str,
    value: &Value,
    field: &Field,
    definitions: &Definitions,
    findings: &mut Findings,
) -> bool {
    let error = |message: String| Diagnostic::error(value.span.clone(), message);
    let keys = match json::object_keys(text) {
        Ok(keys) => keys,
        Err(why) => {
            findings.push(error(format!("`{}` is not a JSON link: {why}", field.name)));
            return false;
        }
    };
    if let [_, second, ..] = keys.as_slice() {
        findings.push(error(format!(
            "a JSON link has one key, `{second}` is a second one"
        )));
        return false;
    }
    let Some(key) = keys.first() else { return true };
    let only = match (key.as_str(), field.kind) {
        ("const", FieldKind::OutLink | FieldKind::ForwardLink) => Some("input links"),
        ("calc" | "state", FieldKind::ForwardLink) => Some("input and output links"),
        _ => None,
    };
    if let Some(only) = only {
        findings.push(error(format!(
            "the JSON link `{key}` is for {only}, not for `{}`",
            field.name
        )));
        return false;
    }
    let links = &definitions.dbd.links;
    if links.contains_key(key.as_str()) || !definitions.complete {
        return true;
    }
    let diagnostic = error(format!("JSON link type `{key}` does not exist in this IOC"));
    let names: Vec<&str> = links.keys().map(String::as_str).collect();
    let diagnostic = diagnostic.expected(format!("one of {}", names.join(", ")));
    findings.push(match nearest(key, names) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic,
    });
    false
}

/// Compares INP or OUT with the device type of the finished record.
pub(super) fn check_device(
    record: &Record,
    name: &str,
    setting: &Setting,
    device: Option<&Device>,
    findings: &mut Findings,
) {
    let Ok(link) = parse_link(&setting.value) else {
        return;
    };
    let wanted = device.map_or(LinkType::Constant, |device| device.link);
    let fits = match &link {
        Link::Hardware(kind) => *kind == wanted,
        Link::Constant | Link::Pv { .. } | Link::Json(_) => wanted.is_soft(),
    };
    if fits {
        return;
    }
    let choice = device.map_or("none", |device| device.choice.as_str());
    let message = format!(
        "`{}.{name}` does not fit the device type `{choice}`",
        record.name
    );
    let diagnostic = Diagnostic::error(setting.span.clone(), message).expected(wanted.example());
    findings.push(if record.fields.contains_key("DTYP") {
        diagnostic.hint("the record is loaded, but its link stays empty")
    } else {
        diagnostic.hint("is `field(DTYP, …)` missing?")
    });
}
