//! Databases: records with their fields, put together as an IOC does, and checked against the
//! definitions.
//!
//! Statements are taken in order: a record that is defined again gets further fields, `*` adds to
//! a record of any type, `#` deletes one, aliases name it again. Values are checked when they are
//! set; what needs the finished record (device type against its link) is checked at the end.

mod calc;
mod json;
mod link;
pub(crate) mod number;
mod record;
mod value;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use link::{Link, LinkModifiers, parse_link};

use crate::dbd::{Dbd, Growth, grow};
use crate::diagnostic::Findings;
use crate::files::{Files, Lookup, Search};
use crate::macros::{Environment, Macros};
use crate::syntax::{self, Item};
use crate::{Diagnostic, Span};

/// What is known of the IOC's definitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definitions {
    pub(crate) dbd: Dbd,
    /// All that the IOC knows is in `dbd`; otherwise an unknown name is no error.
    pub(crate) complete: bool,
    /// `dbd` began with the definitions of the image.
    pub(crate) from_image: bool,
}

/// A value set in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The text of the value.
    pub value: String,
    /// Where it was set last.
    pub span: Span,
    /// It holds a macro that has no value.
    pub unresolved: bool,
}

/// A record, with what all loaded files say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its type.
    pub record_type: String,
    /// Where it is defined first.
    pub span: Span,
    /// Fields that were set.
    pub fields: BTreeMap<String, Setting>,
    /// Info items.
    pub infos: BTreeMap<String, Setting>,
    /// Further names.
    pub aliases: Vec<String>,
}

/// Records in the order in which they were defined.
#[derive(Clone, Debug, Default)]
pub struct Database {
    records: Vec<Option<Record>>,
    names: HashMap<Arc<str>, usize>,
    /// `var dbRecordsOnceOnly 1`: a second definition of a record is refused.
    pub(crate) once_only: bool,
    /// A database could not be read: records that are not known may be in it.
    pub(crate) unseen: bool,
}

/// A database file that was read.
#[derive(Clone, Debug, Default)]
pub struct LoadedDatabase {
    /// Its records.
    pub database: Database,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads one database as `dbLoadRecords` does, and checks it against `dbd`. Without definitions
/// only its form is checked. Included files are looked for along `include_path`.
pub fn load(
    files: &dyn Files,
    name: &str,
    include_path: &[&str],
    macros: &Macros,
    dbd: Option<&Dbd>,
) -> LoadedDatabase {
    let mut search = Search::new(files);
    for directory in include_path {
        search.add_path(directory);
    }
    let found = search.find(name);
    let Lookup::Text(text) = found.lookup else {
        let diagnostic = Diagnostic::error(
            Span::file(found.path),
            format!("file `{name}` does not exist"),
        );
        return LoadedDatabase {
            diagnostics: vec![diagnostic],
            ..LoadedDatabase::default()
        };
    };
    let parsed = syntax::parse(syntax::Source {
        name: found.path,
        text,
        search,
        macros,
        environment: &Environment::new(),
        through_msi: false,
        loaded_from: None,
    });
    let mut findings = parsed.findings;
    let mut database = Database {
        unseen: !parsed.unavailable.is_empty(),
        ..Database::default()
    };
    for (path, span) in parsed.unavailable {
        findings.push(Diagnostic::note(
            span,
            format!("included file `{path}` is not at hand"),
        ));
    }
    let mut definitions = Definitions {
        dbd: dbd.cloned().unwrap_or_default(),
        complete: dbd.is_some(),
        from_image: dbd.is_some(),
    };
    database.take(&parsed.items, &mut definitions, &mut findings);
    findings.sort_from(0);
    database.finish(&definitions, &mut findings);
    LoadedDatabase {
        database,
        diagnostics: findings.into_vec(),
    }
}

impl Database {
    /// All records.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().flatten()
    }

    /// The record of this name or alias.
    pub fn record(&self, name: &str) -> Option<&Record> {
        self.names
            .get(name)
            .and_then(|&index| self.records.get(index)?.as_ref())
    }

    fn record_mut(&mut self, name: &str) -> Option<&mut Record> {
        self.names
            .get(name)
            .and_then(|&index| self.records.get_mut(index)?.as_mut())
    }

    fn add(&mut self, record: Record) {
        self.names
            .insert(record.name.as_str().into(), self.records.len());
        self.records.push(Some(record));
    }

    /// Deletes a record with its aliases, or one alias.
    fn delete(&mut self, name: &str) -> bool {
        let Some(&index) = self.names.get(name) else {
            return false;
        };
        let Some(slot) = self.records.get_mut(index) else {
            return false;
        };
        if let Some(record) = slot.as_mut().filter(|record| record.name != name) {
            record.aliases.retain(|alias| alias != name);
            self.names.remove(name);
            return true;
        }
        let Some(record) = slot.take() else {
            return false;
        };
        for name in record.aliases.iter().chain([&record.name]) {
            self.names.remove(name.as_str());
        }
        true
    }

    /// Takes the statements of one load; definitions among them go to `definitions`.
    pub(crate) fn take(
        &mut self,
        items: &[Item],
        definitions: &mut Definitions,
        findings: &mut Findings,
    ) {
        for item in items {
            if grow(&mut definitions.dbd, item, findings) == Growth::Taken {
                continue;
            }
            match item {
                Item::Record(item) => self.take_record(item, definitions, findings),
                Item::Alias { record, alias }
                    if record::check_name(alias, None, findings)
                        && record::check_name(record, None, findings) =>
                {
                    self.add_alias(&record.value, alias, findings);
                }
                _ => {}
            }
        }
    }

    fn add_alias(&mut self, record: &str, alias: &crate::syntax::Text, findings: &mut Findings) {
        let Some(&index) = self.names.get(record) else {
            if self.unseen {
                return;
            }
            let message = format!(
                "alias `{}` names record `{record}`, which does not exist",
                alias.value
            );
            let diagnostic = Diagnostic::error(alias.span.clone(), message);
            findings.push(diagnostic.hint("define the record before its alias"));
            return;
        };
        match self.names.get(alias.value.as_str()) {
            Some(&other) if other == index && self.once_only => {
                let message = format!("alias `{}` is already defined", alias.value);
                findings.push(Diagnostic::error(alias.span.clone(), message));
            }
            Some(&other) if other == index => {
                // A record cannot be its own alias, but the same alias may be given twice.
                if self.records[index]
                    .as_ref()
                    .is_some_and(|record| record.name == alias.value)
                {
                    let message =
                        format!("alias `{}` is the name of the record itself", alias.value);
                    findings.push(Diagnostic::error(alias.span.clone(), message));
                }
            }
            Some(&other) => {
                let place = self.records[other]
                    .as_ref()
                    .map(|record| record.span.to_string());
                let message = format!(
                    "alias `{}` is already the name of another record or its alias ({})",
                    alias.value,
                    place.unwrap_or_default()
                );
                findings.push(Diagnostic::error(alias.span.clone(), message));
            }
            None => {
                self.names.insert(alias.value.as_str().into(), index);
                if let Some(Some(record)) = self.records.get_mut(index) {
                    record.aliases.push(alias.value.clone());
                }
            }
        }
    }
}
