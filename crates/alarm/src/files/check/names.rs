//! Names of configurations, groups and PVs, and what actions name.

use crate::files::check::Compatibility;
use crate::formula::Formula;

/// Longest name of a configuration: with `Command` behind it, it must be a name of a topic, which has at most 249
/// characters (Apache Kafka, `Topic.java`).
const LONGEST_CONFIGURATION: usize = 249 - "Command".len();
/// Longest name of a record (EPICS base, `PVNAME_STRINGSZ` is 61 with the closing zero).
const LONGEST_RECORD: usize = 60;

/// Why a configuration cannot have that name.
pub(super) fn of_configuration(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("the configuration has no name".to_owned());
    }
    if name.chars().count() > LONGEST_CONFIGURATION {
        return Some(format!(
            "the name of the configuration has {} characters, at most {LONGEST_CONFIGURATION} are possible",
            name.chars().count()
        ));
    }
    if name == "." || name == ".." {
        return Some(format!("`{name}` is no name of a configuration"));
    }
    let wrong = name.chars().find(|character| {
        !character.is_ascii_alphanumeric() && !matches!(character, '.' | '_' | '-')
    })?;
    Some(format!(
        "`{name}` is no name of a configuration: {} cannot stand in it",
        shown(wrong)
    ))
}

/// Why a group cannot have that name.
pub(super) fn of_group(name: &str) -> Option<String> {
    if let Some(wrong) = name.chars().find(|character| character.is_control()) {
        return Some(format!(
            "{} cannot stand in the name of a group",
            shown(wrong)
        ));
    }
    (name.trim() != name).then(|| format!("the name `{name}` begins or ends with a space"))
}

/// Whether the name of a PV is a formula.
pub(super) fn is_formula(name: &str) -> bool {
    name.starts_with('=') || name.starts_with("eq://")
}

/// Why no alarm server could watch a PV of that name.
pub(super) fn of_pv(name: &str, compatibility: Compatibility) -> Option<String> {
    if is_formula(name) {
        let formula = name.trim_start_matches("eq://").trim_start_matches('=');
        return Formula::parse(formula)
            .err()
            .map(|error| format!("`{name}` is no formula: {error}"));
    }
    if let Some((kind, rest)) = name.split_once("://") {
        return match kind {
            "ca" if rest.is_empty() => Some("`ca://` without a name".to_owned()),
            "ca" => of_pv(rest, compatibility),
            "pva" | "loc" | "sim" if compatibility == Compatibility::Phoebus => {
                of_pv(rest, compatibility)
            }
            "pva" => Some(format!("`{name}`: PVs of pvAccess are not watched yet")),
            "loc" | "sim" => Some(format!(
                "`{name}`: local and simulated PVs live in clients, not in a server"
            )),
            other => Some(format!("`{name}`: `{other}://` is no kind of PV")),
        };
    }
    if name
        .chars()
        .any(|character| character.is_whitespace() || character.is_control())
    {
        return Some(format!(
            "`{name}` has spaces, which names of PVs do not have"
        ));
    }
    // fields and filters of channels come behind the record
    let record = name.split(['.', '{']).next().unwrap_or(name);
    let length = record.len();
    (length > LONGEST_RECORD).then(|| {
        format!("`{record}` has {length} characters, names of records at most {LONGEST_RECORD}")
    })
}

/// Why an action cannot work.
pub(super) fn of_action(details: &str) -> Option<String> {
    let Some((kind, rest)) = details.split_once(':') else {
        return Some("it says no kind".to_owned());
    };
    match kind {
        "mailto" => {
            let wrong = rest
                .split(',')
                .map(str::trim)
                .find(|address| !is_address(address))?;
            Some(format!("`{wrong}` is no mail address"))
        }
        "cmd" | "sevrpv" | "infopv" | "webhook" | "slack" | "teams" | "mattermost"
            if rest.trim().is_empty() =>
        {
            Some(format!("nothing follows `{kind}:`"))
        }
        "sevrpv" | "infopv" => of_pv(rest.trim(), Compatibility::Ours),
        "cmd" | "webhook" | "slack" | "teams" | "mattermost" => None,
        other => Some(format!("`{other}:` is no kind of action")),
    }
}

/// Good enough to find what cannot be one: a name, an `@`, a domain.
fn is_address(text: &str) -> bool {
    let Some((name, domain)) = text.rsplit_once('@') else {
        return false;
    };
    !name.is_empty()
        && !domain.is_empty()
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && text
            .chars()
            .all(|character| !character.is_whitespace() && !character.is_control())
}

/// A character as people can see it.
fn shown(character: char) -> String {
    match character {
        ' ' => "a space".to_owned(),
        control if control.is_control() => {
            format!("the control character {:?}", u32::from(control))
        }
        other => format!("`{other}`"),
    }
}
