//! From YAML to an alarm tree, with the place of everything.

use std::ops::Range;
use std::path::{Path, PathBuf};

use alarm::config::{Action, Enabled, LeafConfig, Notes, TitleDetail};
use alarm::files::{
    Branch, Entry, Finding, Loader, Origin, Places, Reading, Source, TreeFile, origin, table, xml,
};
use alarm::wire::config::date;

use crate::alarm::document::{OF_GROUPS, OF_PVS};
use crate::alarm::files::Format;
use crate::diagnostic::{Diagnostic, nearest};
use crate::yaml::Bounds;
use crate::yaml::tree::{Cursor, Node, Tree};

/// Alarm trees are longer than other definitions: 50,000 PVs with all their fields.
const BOUNDS: Bounds = Bounds {
    bytes: 64 * 1024 * 1024,
    nodes: 4_000_000,
    depth: 150,
};
/// Bytes of stack that reading as deep as [`BOUNDS`] allow may take.
const STACK: usize = 64 * 1024 * 1024;
/// How deep files may include each other.
const DEEPEST_INCLUDE: usize = 16;

/// Reads an alarm tree. `path` and what it includes come from `load`.
pub fn read(path: &Path, load: &mut Loader<'_>) -> Reading {
    let mut documents = Documents {
        load,
        sources: Vec::new(),
        findings: Vec::new(),
        open: Vec::new(),
        size: 0,
    };
    let tree = documents.root(path);
    let mut findings = documents.findings;
    findings.sort_by_key(|finding| (finding.origin.file, finding.origin.span.start));
    Reading {
        tree,
        sources: documents.sources,
        findings,
    }
}

struct Documents<'a, 'b> {
    load: &'a mut Loader<'b>,
    sources: Vec<Source>,
    findings: Vec<Finding>,
    open: Vec<PathBuf>,
    size: usize,
}

/// What a group consists of.
#[derive(Default)]
struct Body {
    notes: Notes,
    places: Places,
    entries: Vec<Entry>,
}

/// The file that is being read.
#[derive(Clone, Copy)]
struct File<'a> {
    number: usize,
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn key(self, cursor: &Cursor<'_>) -> Origin {
        origin(self.number, cursor.key_range())
    }

    fn value(self, cursor: &Cursor<'_>) -> Origin {
        origin(self.number, first_line(self.text, cursor.range()))
    }

    /// Where a text stands, without its quotes.
    fn inside(self, cursor: &Cursor<'_>, value: &str) -> Origin {
        let range = cursor.range();
        let written = self.text.get(range.clone()).unwrap_or_default();
        let first = value.lines().next().unwrap_or_default();
        let range = match written.find(first) {
            Some(at) if !first.is_empty() => range.start + at..range.start + at + first.len(),
            _ => first_line(self.text, range),
        };
        origin(self.number, range)
    }
}

impl Documents<'_, '_> {
    fn root(&mut self, path: &Path) -> Option<TreeFile> {
        let (number, tree) = self.tree(path, None)?;
        let text = self.sources.get(number)?.text.clone();
        let file = File {
            number,
            path,
            text: &text,
        };
        let cursor = tree.root();
        if !matches!(cursor.node(), Node::Map(_)) {
            self.findings.push(
                Finding::error(
                    origin(number, first_line(&text, 0..text.len())),
                    "this is no alarm configuration",
                )
                .expected("`configuration: NAME` with `groups:` and `pvs:`"),
            );
            return None;
        }
        let named = cursor.child("configuration");
        let name = named.as_ref().and_then(|named| self.text(file, named));
        if named.is_none() {
            self.findings.push(
                Finding::error(
                    origin(number, first_line(&text, 0..text.len())),
                    "the field `configuration` is missing",
                )
                .expected("`configuration: NAME`, the name of the root")
                .hint("a file that is included has none; the one that includes it is meant to be read"),
            );
        }
        let body = self.group(file, &cursor, true);
        Some(TreeFile {
            name: name?,
            origin: named.map_or_else(Origin::default, |named| file.value(&named)),
            notes: body.notes,
            places: body.places,
            entries: body.entries,
        })
    }

    /// The text of a file as a tree; `from` is where another file asks for it.
    fn tree(&mut self, path: &Path, from: Option<&Origin>) -> Option<(usize, Tree)> {
        let number = self.sources.len();
        let loaded = (self.load)(path).and_then(|bytes| {
            self.size = self.size.saturating_add(bytes.len());
            if self.size > BOUNDS.bytes {
                return Err(format!("the files have more than {} bytes", BOUNDS.bytes));
            }
            String::from_utf8(bytes).map_err(|error| {
                let valid = error.utf8_error().valid_up_to();
                let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                format!("line {} is not UTF-8", before.matches('\n').count() + 1)
            })
        });
        let text = match loaded {
            Ok(text) => text,
            Err(why) => {
                let message = format!("`{}` cannot be read: {why}", path.display());
                let at = from.cloned().unwrap_or_else(|| {
                    self.sources.push(Source {
                        path: path.to_owned(),
                        text: String::new(),
                    });
                    origin(number, 0..0)
                });
                self.findings.push(Finding::error(at, message));
                return None;
            }
        };
        // a byte order mark is no part of the text
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        let parsed = parse(path, &text);
        let result = match parsed {
            Ok(tree) => Some((number, tree)),
            Err(diagnostic) => {
                self.findings.push(finding(&diagnostic, number, &text));
                None
            }
        };
        self.sources.push(Source {
            path: path.to_owned(),
            text,
        });
        result
    }

    fn group(&mut self, file: File<'_>, cursor: &Cursor<'_>, is_root: bool) -> Body {
        let mut body = Body::default();
        let mut includes = Vec::new();
        for (field, value) in cursor.entries() {
            match field {
                "configuration" if is_root => {}
                "pvs" => {
                    if self.is_map(
                        file,
                        &value,
                        "PVs, each as `NAME:` with its fields below it",
                    ) {
                        for (name, pv) in value.entries() {
                            let pv = self.pv(file, name, &pv);
                            body.entries.push(pv);
                        }
                    }
                }
                "groups" => {
                    if self.is_map(
                        file,
                        &value,
                        "groups, each as `NAME:` with its fields below it",
                    ) {
                        for (name, group) in value.entries() {
                            let branch = self.branch(file, name, &group);
                            body.entries.push(branch);
                        }
                    }
                }
                "include" => includes.push(value),
                known if OF_GROUPS.contains(&known) => {
                    self.note(file, known, &value, &mut body.notes, &mut body.places);
                }
                _ => self.unknown(file, field, &value, &OF_GROUPS),
            }
        }
        for value in includes {
            self.includes(file, &value, &mut body);
        }
        body.entries
            .sort_by_key(|entry| matches!(entry, Entry::Group(_)));
        body
    }

    fn branch(&mut self, file: File<'_>, name: &str, cursor: &Cursor<'_>) -> Entry {
        let body = if self.is_map(
            file,
            cursor,
            "the fields of a group, such as `pvs:` and `groups:`",
        ) {
            self.group(file, cursor, false)
        } else {
            Body::default()
        };
        Entry::Group(Branch {
            name: name.to_owned(),
            origin: file.key(cursor),
            notes: body.notes,
            places: body.places,
            entries: body.entries,
        })
    }

    fn pv(&mut self, file: File<'_>, name: &str, cursor: &Cursor<'_>) -> Entry {
        let mut config = LeafConfig::new(name);
        let mut places = Places::default();
        if self.is_map(file, cursor, "the fields of a PV, such as `description:`") {
            for (field, value) in cursor.entries() {
                match field {
                    "description" => {
                        if let Some(text) = self.text(file, &value) {
                            config.description = text;
                        }
                    }
                    "enabled" => config.enabled = self.enabled(file, &value),
                    "latching" => config.latching = self.boolean(file, &value),
                    "annunciating" => config.annunciating = self.boolean(file, &value),
                    "delay" => config.delay = self.number(file, &value),
                    "count" => config.count = self.number(file, &value),
                    "filter" => {
                        if let Some(text) = self.text(file, &value) {
                            places.filter = Some(file.inside(&value, &text));
                            config.filter = text;
                        }
                    }
                    known if OF_PVS.contains(&known) => {
                        self.note(file, known, &value, &mut config.notes, &mut places);
                    }
                    _ => self.unknown(file, field, &value, &OF_PVS),
                }
            }
        }
        Entry::Pv {
            name: name.to_owned(),
            origin: file.key(cursor),
            places,
            config,
        }
    }

    /// Guidance, displays, commands or actions.
    fn note(
        &mut self,
        file: File<'_>,
        field: &str,
        cursor: &Cursor<'_>,
        notes: &mut Notes,
        places: &mut Places,
    ) {
        let items: Vec<Cursor<'_>> = match cursor.node() {
            Node::Null => return,
            Node::List(_) => cursor.items().collect(),
            _ => vec![*cursor],
        };
        for item in items {
            let Some((title_detail, delay, place)) =
                self.title_detail(file, &item, field == "actions")
            else {
                continue;
            };
            match field {
                "guidance" => notes.guidance.push(title_detail),
                "displays" => notes.displays.push(title_detail),
                "commands" => notes.commands.push(title_detail),
                _ => {
                    let TitleDetail { title, details } = title_detail;
                    notes.actions.push(Action {
                        title,
                        details,
                        delay,
                    });
                    places.actions.push(place);
                }
            }
        }
    }

    fn title_detail(
        &mut self,
        file: File<'_>,
        item: &Cursor<'_>,
        is_action: bool,
    ) -> Option<(TitleDetail, u32, Origin)> {
        let fields: &[&str] = if is_action {
            &["title", "details", "delay"]
        } else {
            &["title", "details"]
        };
        match item.node() {
            Node::Text(details) => {
                let details = details.clone();
                let place = file.inside(item, &details);
                let title = String::new();
                Some((TitleDetail { title, details }, 0, place))
            }
            Node::Map(_) => {
                let mut found = TitleDetail::default();
                let (mut delay, mut place) = (0, file.value(item));
                for (field, value) in item.entries() {
                    match field {
                        "title" => found.title = self.text(file, &value).unwrap_or_default(),
                        "details" => {
                            found.details = self.text(file, &value).unwrap_or_default();
                            place = file.inside(&value, &found.details);
                        }
                        "delay" if is_action => delay = self.number(file, &value),
                        _ => self.unknown(file, field, &value, fields),
                    }
                }
                Some((found, delay, place))
            }
            Node::Null | Node::Plain(_) | Node::List(_) => {
                let what = if is_action {
                    "a text such as `mailto:a@b`, or `{title: …, details: …, delay: …}`"
                } else {
                    "a text, or `{title: …, details: …}`"
                };
                self.wrong(file, item, what);
                None
            }
        }
    }

    fn includes(&mut self, file: File<'_>, cursor: &Cursor<'_>, body: &mut Body) {
        let items: Vec<Cursor<'_>> = match cursor.node() {
            Node::List(_) => cursor.items().collect(),
            _ => vec![*cursor],
        };
        for item in items {
            let Some(name) = self.text(file, &item) else {
                continue;
            };
            let from = file.inside(&item, &name);
            if let Some(mut included) = self.include(file.path, &name, from) {
                let notes = &mut body.notes;
                notes.guidance.append(&mut included.notes.guidance);
                notes.displays.append(&mut included.notes.displays);
                notes.commands.append(&mut included.notes.commands);
                notes.actions.append(&mut included.notes.actions);
                body.places.actions.append(&mut included.places.actions);
                body.entries.append(&mut included.entries);
            }
        }
    }

    fn include(&mut self, path: &Path, name: &str, from: Origin) -> Option<Body> {
        let wanted = path.parent().unwrap_or(Path::new("")).join(name);
        if name.contains("://")
            || Path::new(name).is_absolute()
            || name.split('/').any(|part| part == "..")
        {
            self.findings.push(
                Finding::error(
                    from,
                    format!("`{name}` is not included: only files beside or below this one are"),
                )
                .hint("copy the file, or link its folder"),
            );
            return None;
        }
        if self.open.contains(&wanted) || wanted == path {
            let circle = self.open.iter().map(PathBuf::as_path).chain([path]);
            let circle: Vec<String> = circle.map(|path| path.display().to_string()).collect();
            let message = format!(
                "`{name}` includes itself: {} -> {}",
                circle.join(" -> "),
                wanted.display()
            );
            self.findings
                .push(Finding::error(from, message).hint("leave out one of these includes"));
            return None;
        }
        if self.open.len() + 1 >= DEEPEST_INCLUDE {
            self.findings.push(Finding::error(
                from,
                format!("files include each other more than {DEEPEST_INCLUDE} deep"),
            ));
            return None;
        }
        let reading = match Format::of(&wanted) {
            Some(Format::Yaml | Format::Json) => {
                self.open.push(path.to_owned());
                let body = self.fragment(&wanted, &from);
                self.open.pop();
                return body;
            }
            Some(Format::Csv) => table::read(&wanted, "included", self.load),
            Some(Format::Xml) => xml::read(&wanted, self.load),
            None => {
                self.findings.push(
                    Finding::error(
                        from,
                        format!("`{name}` is not included: its name does not say what it is"),
                    )
                    .expected("a file `….yaml`, `….json`, `….csv` or `….xml`"),
                );
                return None;
            }
        };
        self.take(reading)
    }

    /// A file whose fields are those of a group.
    fn fragment(&mut self, path: &Path, from: &Origin) -> Option<Body> {
        let (number, tree) = self.tree(path, Some(from))?;
        let text = self.sources.get(number)?.text.clone();
        let file = File {
            number,
            path,
            text: &text,
        };
        let cursor = tree.root();
        if let Some(named) = cursor.child("configuration") {
            self.findings.push(
                Finding::warning(
                    file.key(&named),
                    "`configuration` has no effect here: what is in this file comes into the group that includes it",
                )
                .hint("leave it out"),
            );
        }
        if !self.is_map(
            file,
            &cursor,
            "the fields of a group, such as `pvs:` and `groups:`",
        ) {
            return None;
        }
        Some(self.group(file, &cursor, true))
    }

    /// What another format was read into, with its sources counted on.
    fn take(&mut self, reading: Reading) -> Option<Body> {
        let by = self.sources.len();
        self.sources.extend(reading.sources);
        self.findings
            .extend(reading.findings.into_iter().map(|mut finding| {
                finding.origin.file += by;
                finding
            }));
        let mut tree = reading.tree?;
        tree.shift(by);
        Some(Body {
            notes: tree.notes,
            places: tree.places,
            entries: tree.entries,
        })
    }

    /// Whether there are fields; nothing at all is none of them, and no mistake.
    fn is_map(&mut self, file: File<'_>, cursor: &Cursor<'_>, expected: &str) -> bool {
        match cursor.node() {
            Node::Map(_) => true,
            Node::Null => false,
            Node::Plain(_) | Node::Text(_) | Node::List(_) => {
                self.wrong(file, cursor, expected);
                false
            }
        }
    }

    fn text(&mut self, file: File<'_>, cursor: &Cursor<'_>) -> Option<String> {
        match cursor.node() {
            Node::Text(text) => Some(text.clone()),
            Node::Null => Some(String::new()),
            Node::Plain(_) => {
                self.wrong(
                    file,
                    cursor,
                    "a text; one that looks like a number stands in quotes",
                );
                None
            }
            Node::List(_) | Node::Map(_) => {
                self.wrong(file, cursor, "a text");
                None
            }
        }
    }

    fn boolean(&mut self, file: File<'_>, cursor: &Cursor<'_>) -> bool {
        match cursor.node() {
            Node::Plain(text) if text == "true" => true,
            Node::Plain(text) if text == "false" => false,
            _ => {
                self.wrong(file, cursor, "`true` or `false`");
                true
            }
        }
    }

    fn number(&mut self, file: File<'_>, cursor: &Cursor<'_>) -> u32 {
        let number = match cursor.node() {
            Node::Plain(text) => text.parse().ok(),
            _ => None,
        };
        number.unwrap_or_else(|| {
            self.wrong(file, cursor, "a whole number, 0 or more");
            0
        })
    }

    fn enabled(&mut self, file: File<'_>, cursor: &Cursor<'_>) -> Enabled {
        let known = match cursor.node() {
            Node::Plain(text) if text == "true" => Some(Enabled::Yes),
            Node::Plain(text) if text == "false" => Some(Enabled::No),
            Node::Text(text) => date(text).map(Enabled::Until),
            _ => None,
        };
        known.unwrap_or_else(|| {
            self.wrong(file, cursor, "`true`, `false`, or the local time from which on it is enabled, such as `2031-12-03T10:15:30`");
            Enabled::Yes
        })
    }

    fn wrong(&mut self, file: File<'_>, cursor: &Cursor<'_>, expected: &str) {
        let message = match cursor.node() {
            Node::Null => "a value is missing".to_owned(),
            Node::Plain(text) | Node::Text(text) => {
                let shown: String = text
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(80)
                    .collect();
                format!("`{shown}` cannot stand here")
            }
            Node::List(_) => "a list cannot stand here".to_owned(),
            Node::Map(_) => "fields cannot stand here".to_owned(),
        };
        let place = match cursor.node() {
            Node::Null => file.key(cursor),
            _ => file.value(cursor),
        };
        self.findings
            .push(Finding::error(place, message).expected(format!("expected {expected}")));
    }

    fn unknown(&mut self, file: File<'_>, field: &str, cursor: &Cursor<'_>, known: &[&str]) {
        let shown: String = field.chars().take(80).collect();
        let mut finding = Finding::error(file.key(cursor), format!("unknown field `{shown}`"))
            .expected(format!("expected one of {}", known.join(", ")));
        // `latch` is meant to be `latching`
        let begins = |known: &&str| field.len() > 2 && known.starts_with(field);
        let near = nearest(field, known.iter().copied());
        if let Some(near) = near.or_else(|| known.iter().copied().find(begins)) {
            finding = finding.hint(format!("did you mean `{near}`?"));
        }
        self.findings.push(finding);
    }
}

/// Reads the YAML on a stack of its own: each level of a deep tree takes several kilobytes of it.
fn parse(path: &Path, text: &str) -> Result<Tree, Box<Diagnostic>> {
    let failed = |why: String| Box::new(Diagnostic::error(why).in_file(path));
    std::thread::scope(|scope| {
        let reading = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || Tree::parse_within(path, text, BOUNDS))
            .map_err(|error| failed(format!("reading cannot begin: {error}")))?;
        match reading.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The part of a range that is on its first line.
fn first_line(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = text.get(range.clone()).unwrap_or_default();
    let length = piece.lines().next().map_or(0, |line| line.trim_end().len());
    range.start..range.start + length
}

/// What is wrong with the YAML itself.
fn finding(diagnostic: &Diagnostic, number: usize, text: &str) -> Finding {
    let span = diagnostic.place.as_ref().map_or(0..0, |place| {
        let begin: usize = text
            .split_inclusive('\n')
            .take(place.line.saturating_sub(1))
            .map(str::len)
            .sum();
        let line = text.get(begin..).and_then(|rest| rest.lines().next());
        let bytes = |count: usize| {
            let characters = line.unwrap_or_default().chars().take(count);
            characters.map(char::len_utf8).sum::<usize>()
        };
        let column = place.column.saturating_sub(1);
        begin + bytes(column)..begin + bytes(column + place.length)
    });
    let mut finding = Finding::error(origin(number, span), diagnostic.message.clone());
    finding.expected.clone_from(&diagnostic.expected);
    finding.hint.clone_from(&diagnostic.hint);
    finding
}
