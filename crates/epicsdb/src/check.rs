//! The whole way of an IOC from its start-up script to its records.

use std::collections::HashSet;
use std::sync::Arc;

use crate::db::{Database, Definitions};
use crate::dbd::Dbd;
use crate::diagnostic::Findings;
use crate::files::{Files, Found, Lookup, Search};
use crate::macros::{Environment, Macros};
use crate::names::RecordSummary;
use crate::startup::{Argument, Command, Statement, Walk};
use crate::substitutions::{self, Reader, Substitution};
use crate::syntax::{self, Source};
use crate::{Diagnostic, Span};

/// Bytes of database text that one check reads, each file counted as often as it is loaded.
const WORK_LIMIT: usize = 1 << 30;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Errors, warnings and notes, in the order in which the IOC would meet them.
    pub diagnostics: Vec<Diagnostic>,
    /// The records that the IOC would have, in order of definition.
    pub records: Vec<RecordSummary>,
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
                let macros = Macros::from_definitions(macros.as_ref().map_or("", |m| &m.text));
                let from = &statement.span;
                self.load_records(
                    &file.text,
                    &file.span,
                    from,
                    &macros,
                    &search(walk, None),
                    walk,
                    findings,
                );
            }
            Command::LoadTemplate { file, macros, path } => {
                if self.refused_late("dbLoadTemplate", statement, findings) {
                    return;
                }
                self.before_records(statement, findings);
                let path = path.as_ref().map(|path| path.text.as_str());
                let mut search = search(walk, path.filter(|path| !path.is_empty()));
                let mut found = search.open(&file.text);
                if found.lookup == Lookup::Missing {
                    found = search.find(&file.text);
                }
                let Some(text) = self.text(&found, &file.text, &file.span, &search, findings)
                else {
                    return;
                };
                let macros = Macros::from_definitions(macros.as_ref().map_or("", |m| &m.text));
                search = self::search(walk, None);
                let read = substitutions::parse(
                    &found.path,
                    &text,
                    Reader::DbLoadTemplate,
                    &walk.environment,
                );
                findings.extend(read.diagnostics);
                self.load_all(&read.loads, &macros, &search, walk, findings);
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
        let macros = Macros::from_definitions(macros.map_or("", |macros| &macros.text));
        let parsed = syntax::parse(Source {
            name: found.path,
            text,
            search,
            macros: &macros,
            environment: &walk.environment,
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

    fn load_all(
        &mut self,
        loads: &[Substitution],
        outer: &Macros,
        search: &Search<'_>,
        walk: &Walk<'_>,
        findings: &mut Findings,
    ) {
        for load in loads {
            let macros = load.macros(outer);
            self.load_records(
                &load.template,
                &load.template_span,
                &load.span,
                &macros,
                search,
                walk,
                findings,
            );
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a load is made of all of them")]
    fn load_records(
        &mut self,
        name: &str,
        named_at: &Span,
        loaded_from: &Span,
        macros: &Macros,
        search: &Search<'_>,
        walk: &Walk<'_>,
        findings: &mut Findings,
    ) {
        let found = search.find(name);
        if let Some(generated) = search.files.generated(&found.path) {
            let mut search = search.clone();
            search.path = generated.include_path;
            let substitutions = search.open(&generated.substitutions);
            let Some(text) = self.text(&substitutions, name, named_at, &search, findings) else {
                return;
            };
            let read =
                substitutions::parse(&substitutions.path, &text, Reader::Msi, &walk.environment);
            findings.extend(read.diagnostics);
            for load in &read.loads {
                let macros = load.macros(macros);
                let found = search.find(&load.template);
                self.load_text(
                    &found,
                    &load.template,
                    &load.template_span,
                    &load.span,
                    &macros,
                    &search,
                    walk,
                    findings,
                );
            }
            return;
        }
        self.load_text(
            &found,
            name,
            named_at,
            loaded_from,
            macros,
            search,
            walk,
            findings,
        );
    }

    #[expect(clippy::too_many_arguments, reason = "a load is made of all of them")]
    fn load_text(
        &mut self,
        found: &Found,
        name: &str,
        named_at: &Span,
        loaded_from: &Span,
        macros: &Macros,
        search: &Search<'_>,
        walk: &Walk<'_>,
        findings: &mut Findings,
    ) {
        let Some(text) = self.text(found, name, named_at, search, findings) else {
            return;
        };
        self.work = self.work.saturating_add(text.len()).saturating_add(1000);
        if self.work > WORK_LIMIT {
            let message = "the databases are too large in all, this one is not checked";
            findings.push(Diagnostic::error(loaded_from.clone(), message));
            return;
        }
        let parsed = syntax::parse(Source {
            name: Arc::clone(&found.path),
            text,
            search: search.clone(),
            macros,
            environment: &walk.environment,
            loaded_from: Some(loaded_from.clone()),
        });
        let first = findings.len();
        findings.extend(parsed.findings.into_vec());
        for (path, span) in parsed.unavailable {
            self.not_at_hand(&path, span, findings);
        }
        self.database
            .take(&parsed.items, &mut self.definitions, findings);
        findings.sort_from(first);
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
