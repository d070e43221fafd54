//! The whole way of an IOC from its start-up script to its records.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::db::{Database, Definitions};
use crate::dbd::Dbd;
use crate::diagnostic::Findings;
use crate::files::{Files, Found, Lookup, Search};
use crate::macros::{Environment, Macros, parse_definitions};
use crate::names::RecordSummary;
use crate::startup::{Argument, Command, Statement, Walk};
use crate::substitutions::{self, Reader, Substitution};
use crate::syntax::{self, Source};
use crate::{Diagnostic, Severity, Span};

/// Bytes of database text that one check reads, each file counted as often as it is loaded.
const WORK_LIMIT: usize = 1 << 30;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Errors, warnings and notes, in the order in which the IOC would meet them.
    pub diagnostics: Vec<Diagnostic>,
    /// The records that the IOC would have, in order of definition.
    pub records: Vec<RecordSummary>,
    /// Databases that the caller cannot show, as they are named where they are loaded: the IOC has
    /// their records as well.
    pub unseen: BTreeSet<String>,
    /// Lines of scripts that were passed over since a macro in them has no value.
    pub skipped: Vec<Span>,
    /// Databases and substitution files that do not parse, with the first mistake of each load.
    pub refused: Vec<Diagnostic>,
}

/// Follows a start-up script through all that it loads, and says what the IOC would refuse.
///
/// `dbd` are the definitions of the image, for the `.dbd` files that `files` cannot show. Without
/// them, and without the files, only the form of databases is checked, and a note says so.
pub fn check_ioc(
    files: &impl Files,
    startup: &str,
    environment: &Environment,
    dbd: Option<&Dbd>,
) -> Report {
    let mut findings = Findings::default();
    let mut ioc = Ioc {
        definitions: Definitions {
            dbd: dbd.cloned().unwrap_or_default(),
            complete: true,
            from_image: dbd.is_some(),
        },
        database: Database::default(),
        asked_for_definitions: false,
        registered: false,
        initialised: None,
        told_form_only: false,
        unavailable: HashSet::new(),
        unseen: BTreeSet::new(),
        refused: Vec::new(),
        work: 0,
    };
    let mut walk = Walk::new(files, environment);
    let mut last = None;
    let read = walk.run(startup, &mut findings, &mut |statement, walk, findings| {
        last = Some(statement.span.clone());
        ioc.statement(statement, walk, findings);
    });
    if read {
        ioc.finish(walk.complete, startup, last, &mut findings);
    }
    let records = ioc.database.records().map(RecordSummary::from).collect();
    Report {
        diagnostics: findings.into_vec(),
        records,
        unseen: ioc.unseen,
        skipped: walk.skipped,
        refused: ioc.refused,
    }
}

/// One load of a database.
#[derive(Clone, Copy)]
struct Load<'l, 'a> {
    name: &'l str,
    named_at: &'l Span,
    /// The command or the set of a substitution file, where macros are given.
    from: &'l Span,
    macros: &'l Macros,
    search: &'l Search<'a>,
    environment: &'l Environment,
    through_msi: bool,
}

impl<'l, 'a> Load<'l, 'a> {
    /// The load of one set of a substitution file, for the rest as `outer`.
    fn of(part: &'l Substitution, macros: &'l Macros, outer: &Load<'l, 'a>) -> Self {
        Self {
            name: &part.template,
            named_at: &part.template_span,
            from: &part.span,
            macros,
            ..*outer
        }
    }
}

/// The IOC as far as it has come.
struct Ioc {
    definitions: Definitions,
    database: Database,
    asked_for_definitions: bool,
    registered: bool,
    initialised: Option<Span>,
    told_form_only: bool,
    unavailable: HashSet<Arc<str>>,
    unseen: BTreeSet<String>,
    refused: Vec<Diagnostic>,
    work: usize,
}

impl Ioc {
    fn statement(&mut self, statement: &Statement, walk: &Walk<'_>, findings: &mut Findings) {
        match &statement.command {
            Command::LoadDatabase { file, path, macros } => {
                self.asked_for_definitions = true;
                if self.refused_late("dbLoadDatabase", statement, findings) {
                    return;
                }
                let path = path.as_ref().map(|path| path.text.as_str());
                let search = search(walk, path.filter(|path| !path.is_empty()));
                self.load_definitions(file, macros.as_ref(), search, walk, findings);
            }
            Command::LoadRecords { file, macros } => {
                if self.refused_late("dbLoadRecords", statement, findings) {
                    return;
                }
                self.before_records(statement, findings);
                let macros = definitions(macros.as_ref(), findings);
                let load = Load {
                    name: &file.text,
                    named_at: &file.span,
                    from: &statement.span,
                    macros: &macros,
                    search: &search(walk, None),
                    environment: &walk.environment,
                    through_msi: false,
                };
                self.load_records(&load, findings);
            }
            Command::LoadTemplate { file, macros, path } => {
                if self.refused_late("dbLoadTemplate", statement, findings) {
                    return;
                }
                self.before_records(statement, findings);
                let path = path.as_ref().map(|path| path.text.as_str());
                let mut search = search(walk, path.filter(|path| !path.is_empty()));
                let mut found = search.open(&file.text);
                if !matches!(found.lookup, Lookup::Text(_)) {
                    let along = search.find(&file.text);
                    if found.lookup == Lookup::Missing || matches!(along.lookup, Lookup::Text(_)) {
                        found = along;
                    }
                }
                let Some(text) = self.text(&found, &file.text, &file.span, &search, findings)
                else {
                    self.not_seen(&found, &file.text);
                    return;
                };
                let macros = definitions(macros.as_ref(), findings);
                search = self::search(walk, None);
                let read = substitutions::parse(
                    &found.path,
                    &text,
                    Reader::DbLoadTemplate,
                    &walk.environment,
                );
                self.refuse(&read.diagnostics);
                findings.extend(read.diagnostics);
                let load = Load {
                    name: &file.text,
                    named_at: &file.span,
                    from: &statement.span,
                    macros: &macros,
                    search: &search,
                    environment: &walk.environment,
                    through_msi: false,
                };
                for part in &read.loads {
                    let macros = part.macros(&macros);
                    self.load_records(&Load::of(part, &macros, &load), findings);
                }
            }
            Command::RegisterSupport { .. } => self.registered = true,
            Command::SetVariable { name, value } if name.text == "dbRecordsOnceOnly" => {
                self.database.once_only = value.text.trim() != "0";
            }
            Command::IocInit => {
                if let Some(first) = &self.initialised {
                    let message = format!("the IOC is already initialised ({first})");
                    findings.push(Diagnostic::error(statement.span.clone(), message));
                } else {
                    self.initialised = Some(statement.span.clone());
                }
                if self.asked_for_definitions && !self.registered && walk.complete {
                    let message = "no `…_registerRecordDeviceDriver` before `iocInit`";
                    let diagnostic = Diagnostic::warning(statement.span.clone(), message);
                    findings.push(diagnostic.hint(
                        "without it no record type has its code; put it behind dbLoadDatabase",
                    ));
                }
            }
            _ => {}
        }
    }

    fn refused_late(&self, name: &str, statement: &Statement, findings: &mut Findings) -> bool {
        let Some(first) = &self.initialised else {
            return false;
        };
        let message = format!("`{name}` after `iocInit` ({first}) is refused");
        let diagnostic = Diagnostic::error(statement.span.clone(), message);
        findings.push(diagnostic.hint("move the line before iocInit"));
        true
    }

    fn before_records(&mut self, statement: &Statement, findings: &mut Findings) {
        if self.asked_for_definitions || self.told_form_only {
            return;
        }
        self.told_form_only = true;
        if self.definitions.from_image {
            let message = "records are loaded, but no `dbLoadDatabase` comes before";
            let diagnostic = Diagnostic::warning(statement.span.clone(), message);
            findings
                .push(diagnostic.hint(
                    "right for an IOC that loads its definitions by itself, such as softIoc",
                ));
        } else {
            self.definitions.complete = false;
            let message = "no definitions (.dbd) are known: only the form of databases is checked";
            findings.push(Diagnostic::note(statement.span.clone(), message));
        }
    }

    fn load_definitions(
        &mut self,
        file: &Argument,
        macros: Option<&Argument>,
        search: Search<'_>,
        walk: &Walk<'_>,
        findings: &mut Findings,
    ) {
        let found = search.find(&file.text);
        if found.lookup == Lookup::Unknown && self.definitions.from_image {
            return;
        }
        if !matches!(found.lookup, Lookup::Text(_)) {
            // One finding about the file is enough: do not refuse every record for its type.
            self.definitions.complete &= self.definitions.from_image;
        }
        let Some(text) = self.text(&found, &file.text, &file.span, &search, findings) else {
            return;
        };
        let macros = definitions(macros, findings);
        let parsed = syntax::parse(Source {
            name: found.path,
            text,
            search,
            macros: &macros,
            environment: &walk.environment,
            through_msi: false,
            loaded_from: Some(file.span.clone()),
        });
        let first = findings.len();
        findings.extend(parsed.findings.into_vec());
        for (path, span) in parsed.unavailable {
            if !self.definitions.from_image {
                self.definitions.complete = false;
                self.not_at_hand(&path, span, findings);
            }
        }
        self.database
            .take(&parsed.items, &mut self.definitions, findings);
        findings.sort_from(first);
    }

    /// Loads a database: one file, or what `msi` makes of a substitution file.
    fn load_records(&mut self, load: &Load<'_, '_>, findings: &mut Findings) {
        let found = load.search.find(load.name);
        let Some(generated) = load.search.files.generated(&found.path) else {
            return self.load_text(&found, load, findings);
        };
        let mut search = load.search.clone();
        search.path = generated.include_path;
        let substitutions = search.open(&generated.substitutions);
        let text = self.text(&substitutions, load.name, load.named_at, &search, findings);
        let Some(text) = text else {
            self.not_seen(&substitutions, load.name);
            return;
        };
        let read = substitutions::parse(&substitutions.path, &text, Reader::Msi, load.environment);
        self.refuse(&read.diagnostics);
        findings.extend(read.diagnostics);
        for part in &read.loads {
            let macros = part.macros(load.macros);
            let found = search.find_along(&part.template);
            let load = Load {
                search: &search,
                through_msi: true,
                ..Load::of(part, &macros, load)
            };
            self.load_text(&found, &load, findings);
        }
    }

    fn load_text(&mut self, found: &Found, load: &Load<'_, '_>, findings: &mut Findings) {
        let Some(text) = self.text(found, load.name, load.named_at, load.search, findings) else {
            self.not_seen(found, load.name);
            return;
        };
        self.work = self.work.saturating_add(text.len()).saturating_add(1000);
        if self.work > WORK_LIMIT {
            let message = "the databases are too large in all, this one is not checked";
            let diagnostic = Diagnostic::error(load.from.clone(), message);
            self.refused.push(diagnostic.clone());
            findings.push(diagnostic);
            return;
        }
        let parsed = syntax::parse(Source {
            name: Arc::clone(&found.path),
            text,
            search: load.search.clone(),
            macros: load.macros,
            environment: load.environment,
            through_msi: load.through_msi,
            loaded_from: Some(load.from.clone()),
        });
        let first = findings.len();
        findings.extend(parsed.findings.into_vec());
        self.database.unseen |= !parsed.unavailable.is_empty();
        for (path, span) in parsed.unavailable {
            self.unseen.insert(path.to_string());
            self.not_at_hand(&path, span, findings);
        }
        self.refused.extend(parsed.refused);
        self.database
            .take(&parsed.items, &mut self.definitions, findings);
        findings.sort_from(first);
    }

    /// Records that are not known may be in a file that could not be read.
    fn not_seen(&mut self, found: &Found, name: &str) {
        self.database.unseen = true;
        if found.lookup == Lookup::Unknown {
            self.unseen.insert(name.to_owned());
        }
    }

    /// Any mistake in a substitution file ends its reading.
    fn refuse(&mut self, diagnostics: &[Diagnostic]) {
        let mut errors = diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error);
        self.refused.extend(errors.next().cloned());
    }

    /// The text of a file, or a finding that says why there is none.
    fn text(
        &mut self,
        found: &Found,
        name: &str,
        span: &Span,
        search: &Search<'_>,
        findings: &mut Findings,
    ) -> Option<Arc<str>> {
        match &found.lookup {
            Lookup::Text(text) => return Some(Arc::clone(text)),
            Lookup::Unknown => self.not_at_hand(&found.path, span.clone(), findings),
            Lookup::Missing => {
                let diagnostic =
                    Diagnostic::error(span.clone(), format!("file `{name}` does not exist"));
                let searched = !search.path.is_empty() && !name.contains('/');
                findings.push(if searched {
                    diagnostic.hint(format!("it was looked for in {}", search.path.join(", ")))
                } else {
                    diagnostic.hint(format!("it was looked for as `{}`", found.path))
                });
            }
        }
        None
    }

    /// One note for each file that the caller cannot show.
    fn not_at_hand(&mut self, path: &Arc<str>, span: Span, findings: &mut Findings) {
        if self.unavailable.insert(Arc::clone(path)) {
            let message =
                format!("`{path}` is not at hand (inside the image?) and was not checked");
            findings.push(Diagnostic::note(span, message));
        }
    }

    fn finish(&self, complete: bool, startup: &str, last: Option<Span>, findings: &mut Findings) {
        self.database.finish(&self.definitions, findings);
        if self.initialised.is_none() && complete {
            let span = last.unwrap_or_else(|| Span::file(startup));
            let diagnostic = Diagnostic::error(span, "the script never runs `iocInit`");
            findings.push(
                diagnostic.hint("without it the IOC serves no record; put `iocInit` at the end"),
            );
        }
    }
}

/// Where a command looks: along its own path, else along `EPICS_DB_INCLUDE_PATH`.
fn search<'a>(walk: &Walk<'a>, path: Option<&str>) -> Search<'a> {
    let mut search = walk.search.clone();
    if let Some(path) = path.or_else(|| {
        walk.environment
            .get("EPICS_DB_INCLUDE_PATH")
            .map(String::as_str)
    }) {
        search.set_path(path);
    }
    search
}

/// The macros of a command.
fn definitions(text: Option<&Argument>, findings: &mut Findings) -> Macros {
    let Some(argument) = text else {
        return Macros::new();
    };
    for definition in parse_definitions(&argument.text) {
        if definition.value.is_none() {
            let message = format!("`{}` has no `=` and defines no macro", definition.name);
            findings
                .push(Diagnostic::warning(argument.span.clone(), message).expected("`NAME=value`"));
        }
    }
    Macros::from_definitions(&argument.text)
}
