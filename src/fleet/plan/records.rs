//! The difference of the records of an IOC, before and after: which are added, removed or changed, by field.
//!
//! Pure: the records as `epicsdb` found them in, a list for people or programs out. Where they come from, and what
//! is not known of them, is decided in [`crate::check::loaded`].

use std::collections::{BTreeMap, BTreeSet};

use epicsdb::RecordSummary;
use serde::Serialize;

use crate::fleet::plan::changes::Nature;

/// How the records of an instance differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// Records that differ: those changed, those gone, those that are new.
    pub changes: Vec<RecordChange>,
    /// What could not be compared, and why, in words.
    pub not_compared: Vec<String>,
}

/// What happens to one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordChange {
    /// Its name.
    pub name: String,
    /// Its type, the new one where it changes.
    pub record_type: String,
    /// New, gone or different.
    pub nature: Nature,
    /// Fields that differ; of a record that is new or gone, all that are set.
    pub fields: Vec<FieldValue>,
}

/// What happens to one field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldValue {
    /// Its name; `RTYP` is the type of the record, `info(NAME)` an info item, `alias` its further names.
    pub field: String,
    /// Its value before; `None` where it was not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its value afterwards; `None` where it is not set any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Compares the records of two revisions, by name.
pub fn record_changes(before: &[RecordSummary], after: &[RecordSummary]) -> Vec<RecordChange> {
    let old: BTreeMap<&str, &RecordSummary> = by_name(before);
    let new: BTreeMap<&str, &RecordSummary> = by_name(after);
    let mut changes = Vec::new();
    for record in after {
        if let Some(previous) = old.get(record.name.as_str()) {
            let fields = fields(Some(previous), Some(record));
            if !fields.is_empty() {
                changes.push(change(record, Nature::Changed, fields));
            }
        }
    }
    let only = |here: &[RecordSummary], there: &BTreeMap<&str, &RecordSummary>, nature| {
        here.iter()
            .filter(|record| !there.contains_key(record.name.as_str()))
            .map(|record| {
                let fields = match nature {
                    Nature::Added => fields(None, Some(record)),
                    Nature::Removed | Nature::Changed => fields(Some(record), None),
                };
                change(record, nature, fields)
            })
            .collect::<Vec<_>>()
    };
    changes.extend(only(before, &new, Nature::Removed));
    changes.extend(only(after, &old, Nature::Added));
    changes
}

fn by_name(records: &[RecordSummary]) -> BTreeMap<&str, &RecordSummary> {
    records
        .iter()
        .map(|record| (record.name.as_str(), record))
        .collect()
}

fn change(record: &RecordSummary, nature: Nature, fields: Vec<FieldValue>) -> RecordChange {
    RecordChange {
        name: record.name.clone(),
        record_type: record.record_type.clone(),
        nature,
        fields,
    }
}

fn fields(before: Option<&RecordSummary>, after: Option<&RecordSummary>) -> Vec<FieldValue> {
    let old = before.map(values).unwrap_or_default();
    let new = after.map(values).unwrap_or_default();
    let mut fields = Vec::new();
    if let (Some(before), Some(after)) = (before, after)
        && before.record_type != after.record_type
    {
        fields.push(FieldValue {
            field: "RTYP".to_owned(),
            before: Some(before.record_type.clone()),
            after: Some(after.record_type.clone()),
        });
    }
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    fields.extend(names.into_iter().filter_map(|name| {
        let (before, after) = (old.get(name), new.get(name));
        (before != after).then(|| FieldValue {
            field: name.clone(),
            before: before.cloned(),
            after: after.cloned(),
        })
    }));
    fields
}

/// All that is set of a record.
fn values(record: &RecordSummary) -> BTreeMap<String, String> {
    let mut values = record.fields.clone();
    for (name, value) in &record.infos {
        values.insert(format!("info({name})"), value.clone());
    }
    if !record.aliases.is_empty() {
        let mut aliases = record.aliases.clone();
        aliases.sort();
        values.insert("alias".to_owned(), aliases.join(" "));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records as a database defines them.
    fn records(text: &str) -> Vec<RecordSummary> {
        let files = BTreeMap::from([
            (
                "st.cmd".to_owned(),
                "dbLoadRecords(\"a.db\")\niocInit\n".to_owned(),
            ),
            ("a.db".to_owned(), text.to_owned()),
        ]);
        let report = epicsdb::check_ioc(&files, "st.cmd", &BTreeMap::new(), None);
        assert_eq!(report.refused, [], "{text}");
        report.records
    }

    /// One line for each change: `~ ai A  HIHI 80 90`.
    fn changes(before: &str, after: &str) -> Vec<String> {
        record_changes(&records(before), &records(after))
            .iter()
            .map(|change| {
                let fields: Vec<String> = change
                    .fields
                    .iter()
                    .map(|field| {
                        let text = |value: &Option<String>| value.clone().unwrap_or("-".into());
                        format!(
                            "{} {}>{}",
                            field.field,
                            text(&field.before),
                            text(&field.after)
                        )
                    })
                    .collect();
                let sign = match change.nature {
                    Nature::Added => '+',
                    Nature::Removed => '-',
                    Nature::Changed => '~',
                };
                let (kind, name) = (&change.record_type, &change.name);
                format!("{sign} {kind} {name} {}", fields.join(" "))
            })
            .collect()
    }

    #[test]
    fn records_are_compared_by_name_and_field() {
        let base = r#"record(ai, "A") { field(HIHI, "80") field(EGU, "C") info(archive, "1") }"#;
        let cases: Vec<(&str, String, Vec<&str>)> = vec![
            (
                "the same in another layout",
                base.replace(") ", ")\n\n"),
                vec![],
            ),
            (
                "a field",
                base.replace("80", "90"),
                vec!["~ ai A HIHI 80>90"],
            ),
            (
                "a field set and one not any more",
                base.replace("EGU", "DESC"),
                vec!["~ ai A DESC ->C EGU C>-"],
            ),
            (
                "an info item",
                base.replace("archive, \"1\"", "archive, \"2\""),
                vec!["~ ai A info(archive) 1>2"],
            ),
            (
                "another name",
                base.replace("\"A\"", "\"B\""),
                vec![
                    "- ai A EGU C>- HIHI 80>- info(archive) 1>-",
                    "+ ai B EGU ->C HIHI ->80 info(archive) ->1",
                ],
            ),
            (
                "another type",
                base.replace("ai", "ao"),
                vec!["~ ao A RTYP ai>ao"],
            ),
            (
                "an alias",
                format!("{base} alias(\"A\", \"Z\")"),
                vec!["~ ai A alias ->Z"],
            ),
            (
                "set again further down",
                format!("{base} record(\"*\", \"A\") {{ field(HIHI, \"70\") }}"),
                vec!["~ ai A HIHI 80>70"],
            ),
            (
                "one more, in front",
                format!("record(bo, \"N\") {{}} {base}"),
                vec!["+ bo N "],
            ),
        ];
        for (name, after, expected) in cases {
            assert_eq!(changes(base, &after), expected, "{name}");
        }
    }

    #[test]
    fn what_changed_comes_before_what_is_gone_and_new() {
        let before = r#"record(ai, "GONE") {} record(ai, "A") { field(VAL, "1") }"#;
        let after = r#"record(ai, "NEW") {} record(ai, "A") { field(VAL, "2") }"#;
        assert_eq!(
            changes(before, after),
            ["~ ai A VAL 1>2", "- ai GONE ", "+ ai NEW "]
        );
    }
}
