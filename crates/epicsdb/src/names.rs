//! What an IOC serves once it runs: its records, and the fields that decide on alarms.

use std::collections::BTreeMap;

use crate::Span;
use crate::db::Record;

/// A record of the finished IOC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSummary {
    /// Its name.
    pub name: String,
    /// Its type.
    pub record_type: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// All fields that the databases set, with their values.
    pub fields: BTreeMap<String, String>,
    /// All info items.
    pub infos: BTreeMap<String, String>,
    /// Where it is defined first.
    pub span: Span,
}

/// A condition under which a record goes into alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmCondition {
    /// The field that holds the severity, such as `HHSV` or `ZSV`.
    pub field: String,
    /// The severity: `MINOR`, `MAJOR` or `INVALID`; what is written if it is none of these.
    pub severity: String,
    /// The field that holds the limit, and its value if one is set (`HIHI`, `ZRST`, …).
    pub limit: Option<(String, Option<String>)>,
}

/// Severity fields, and the field with the limit or state text that belongs to each.
const ALARM_FIELDS: [(&str, Option<&str>); 28] = [
    ("HHSV", Some("HIHI")),
    ("HSV", Some("HIGH")),
    ("LSV", Some("LOW")),
    ("LLSV", Some("LOLO")),
    ("ZSV", Some("ZNAM")),
    ("OSV", Some("ONAM")),
    ("COSV", None),
    ("ZRSV", Some("ZRST")),
    ("ONSV", Some("ONST")),
    ("TWSV", Some("TWST")),
    ("THSV", Some("THST")),
    ("FRSV", Some("FRST")),
    ("FVSV", Some("FVST")),
    ("SXSV", Some("SXST")),
    ("SVSV", Some("SVST")),
    ("EISV", Some("EIST")),
    ("NISV", Some("NIST")),
    ("TESV", Some("TEST")),
    ("ELSV", Some("ELST")),
    ("TVSV", Some("TVST")),
    ("TTSV", Some("TTST")),
    ("FTSV", Some("FTST")),
    ("FFSV", Some("FFST")),
    ("UNSV", None),
    ("BRSV", None),
    ("SIMS", Some("SIMM")),
    ("DISS", Some("DISV")),
    ("UDFS", None),
];

impl RecordSummary {
    /// The conditions under which the record goes into alarm by its own fields: severities that
    /// set in a database and not `NO_ALARM`. Whether it can go into alarm through a link, by what
    /// its device says, or by fields of record types outside base, is not known here.
    pub fn alarm_conditions(&self) -> Vec<AlarmCondition> {
        let mut conditions = Vec::new();
        for (field, limit) in ALARM_FIELDS {
            let Some(severity) = self.fields.get(field) else {
                continue;
            };
            let severity = match severity.trim() {
                "" | "0" | "NO_ALARM" => continue,
                "1" => "MINOR",
                "2" => "MAJOR",
                "3" => "INVALID",
                other => other,
            };
            let limit = limit.map(|name| (name.to_owned(), self.fields.get(name).cloned()));
            conditions.push(AlarmCondition {
                field: field.to_owned(),
                severity: severity.to_owned(),
                limit,
            });
        }
        conditions
    }

    /// The text of `DESC`.
    pub fn description(&self) -> Option<&str> {
        self.fields
            .get("DESC")
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }
}

impl From<&Record> for RecordSummary {
    fn from(record: &Record) -> Self {
        let texts = |settings: &BTreeMap<String, crate::db::Setting>| {
            settings
                .iter()
                .map(|(name, setting)| (name.clone(), setting.value.clone()))
                .collect()
        };
        Self {
            name: record.name.clone(),
            record_type: record.record_type.clone(),
            aliases: record.aliases.clone(),
            fields: texts(&record.fields),
            infos: texts(&record.infos),
            span: record.span.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_that_are_set_make_conditions() {
        let fields = [
            ("ZSV", "0"),
            ("OSV", "2"),
            ("ONAM", "open"),
            ("LSV", "MINOR"),
            ("HSV", "NO_ALARM"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let summary = RecordSummary {
            name: "X".into(),
            record_type: "bi".into(),
            aliases: Vec::new(),
            fields: fields.into(),
            infos: BTreeMap::new(),
            span: Span::file("x.db"),
        };
        let conditions: Vec<_> = summary
            .alarm_conditions()
            .into_iter()
            .map(|condition| (condition.field, condition.severity, condition.limit))
            .collect();
        let limit = |name: &str, value: Option<&str>| Some((name.into(), value.map(str::to_owned)));
        assert_eq!(
            conditions,
            [
                ("LSV".into(), "MINOR".into(), limit("LOW", None)),
                ("OSV".into(), "MAJOR".into(), limit("ONAM", Some("open"))),
            ]
        );
    }
}
