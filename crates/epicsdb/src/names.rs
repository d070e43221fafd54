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
    /// The severity as written: `MINOR`, `MAJOR`, `INVALID`, or a number of the menu.
    pub severity: String,
    /// The field that holds the limit, and its value if one is set (`HIHI`, `ZRST`, …).
    pub limit: Option<(String, Option<String>)>,
}

/// Severity fields, and the field with the limit or state text that belongs to each.
const ALARM_FIELDS: [(&str, Option<&str>); 26] = [
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
    ("STSV", None),
    ("SIMS", Some("SIMM")),
];

impl RecordSummary {
    /// The conditions under which the record goes into alarm by its own fields: severities that
    /// are set and not `NO_ALARM`. `STATE` severities and limits of other record types follow the
    /// same names. Whether the record can be in alarm through a link is not known here.
    pub fn alarm_conditions(&self) -> Vec<AlarmCondition> {
        let mut conditions = Vec::new();
        for (field, limit) in ALARM_FIELDS {
            let Some(severity) = self.fields.get(field) else {
                continue;
            };
            if matches!(severity.trim(), "" | "0" | "NO_ALARM") {
                continue;
            }
            let limit = limit.map(|name| (name.to_owned(), self.fields.get(name).cloned()));
            let severity = severity.clone();
            conditions.push(AlarmCondition {
                field: field.to_owned(),
                severity,
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
