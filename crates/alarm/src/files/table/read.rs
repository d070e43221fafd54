//! From rows to an alarm tree.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use crate::config::{Enabled, LeafConfig, Notes, TitleDetail};
use crate::files::{
    Branch, Entry, Finding, Loader, Origin, Places, Reading, Source, TreeFile, is_near, origin,
};
use crate::wire::config::date;

/// Headings that are understood, in the order in which they are written.
pub(super) const HEADINGS: [&str; 11] = [
    "#Indent",
    "Branch",
    "PV",
    "Description",
    "Latch",
    "Delay",
    "Count",
    "Filter",
    "Guidance",
    "Enabled",
    "Annunciate",
];
/// Largest table that is read, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;
/// How deep groups may be nested.
const DEEPEST: usize = 64;

/// Reads a table as the tree of the configuration `name`.
pub fn read(path: &Path, name: &str, load: &mut Loader<'_>) -> Reading {
    let mut source = Source {
        path: path.to_owned(),
        text: String::new(),
    };
    let whole = || origin(0, 0..0);
    let text = load(path).and_then(|bytes| {
        if bytes.len() > LARGEST {
            return Err(format!("it has more than {LARGEST} bytes"));
        }
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line = String::from_utf8_lossy(&error.as_bytes()[..valid])
                .matches('\n')
                .count()
                + 1;
            format!("line {line} is not UTF-8")
        })
    });
    let text = match text {
        Ok(text) => text,
        Err(why) => {
            let message = format!("`{}` cannot be read: {why}", path.display());
            return Reading {
                tree: None,
                sources: vec![source],
                findings: vec![Finding::error(whole(), message)],
            };
        }
    };
    text.strip_prefix('\u{feff}')
        .unwrap_or(&text)
        .clone_into(&mut source.text);
    let mut table = Table {
        text: &source.text,
        findings: Vec::new(),
        columns: Vec::new(),
    };
    let tree = table.tree(name);
    let findings = table.findings;
    Reading {
        tree,
        sources: vec![source],
        findings,
    }
}

struct Table<'a> {
    text: &'a str,
    findings: Vec<Finding>,
    /// Which of [`HEADINGS`] each column is.
    columns: Vec<Option<usize>>,
}

/// A row with its place.
struct Row {
    record: StringRecord,
    begin: usize,
    end: usize,
}

impl Table<'_> {
    fn tree(&mut self, name: &str) -> Option<TreeFile> {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(self.text.as_bytes());
        let mut root = TreeFile {
            name: name.to_owned(),
            origin: origin(0, 0..0),
            notes: Notes::default(),
            places: Places::default(),
            entries: Vec::new(),
        };
        // the groups from the root down to the current one
        let mut open: Vec<Branch> = Vec::new();
        let mut record = StringRecord::new();
        loop {
            let begin = place(reader.position());
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    let finding = Finding::error(
                        origin(0, begin..begin),
                        format!("the row cannot be read: {error}"),
                    );
                    self.findings.push(finding);
                    return None;
                }
            }
            // blank lines are passed over by the reader: begin where the row does
            let skipped = self.text[begin..].len()
                - self.text[begin..].trim_start_matches(['\r', '\n']).len();
            let row = Row {
                record: record.clone(),
                begin: begin + skipped,
                end: place(reader.position()),
            };
            if self.columns.is_empty() {
                self.headings(&row)?;
                continue;
            }
            if row.record.iter().all(|field| field.trim().is_empty()) {
                let finding = Finding::warning(self.whole(&row), "the row is empty");
                self.findings.push(finding);
                continue;
            }
            self.row(&row, &mut root, &mut open);
        }
        if self.columns.is_empty() {
            self.findings.push(
                Finding::error(origin(0, 0..0), "the table is empty")
                    .expected(HEADINGS[..9].join(",")),
            );
            return None;
        }
        close(&mut root, &mut open, 0);
        Some(root)
    }

    fn headings(&mut self, row: &Row) -> Option<()> {
        for (column, field) in row.record.iter().enumerate() {
            let heading = field.trim();
            let known = HEADINGS.iter().position(|known| {
                known
                    .trim_start_matches('#')
                    .eq_ignore_ascii_case(heading.trim_start_matches('#').trim())
            });
            if known.is_none() && !heading.is_empty() {
                let origin = self.field(row, column);
                let mut finding =
                    Finding::error(origin, format!("the column `{heading}` has no meaning"))
                        .expected(format!("one of {}", HEADINGS.join(", ")));
                if let Some(near) = HEADINGS.iter().find(|known| is_near(known, heading)) {
                    finding = finding.hint(format!("did you mean `{near}`?"));
                }
                self.findings.push(finding);
            }
            if let Some(known) = known
                && self.columns.contains(&Some(known))
            {
                let origin = self.field(row, column);
                self.findings.push(Finding::error(
                    origin,
                    format!("the column `{heading}` is there twice"),
                ));
            }
            self.columns.push(known);
        }
        let missing: Vec<&str> = (0..3)
            .filter(|needed| !self.columns.contains(&Some(*needed)))
            .map(|needed| HEADINGS[needed])
            .collect();
        if missing.is_empty() {
            return Some(());
        }
        let finding = Finding::error(
            self.whole(row),
            format!("the first row has no heading {}", missing.join(", ")),
        );
        self.findings
            .push(finding.expected(HEADINGS[..9].join(",")));
        None
    }

    fn row(&mut self, row: &Row, root: &mut TreeFile, open: &mut Vec<Branch>) {
        if row.record.len() > self.columns.len() {
            let origin = self.field(row, self.columns.len());
            self.findings.push(
                Finding::error(
                    origin,
                    format!(
                        "the row has {} fields, the table {} columns",
                        row.record.len(),
                        self.columns.len()
                    ),
                )
                .hint("a text with commas stands in `\"…\"`"),
            );
        }
        let indent = self.value(row, 0);
        if indent.is_empty() {
            if let Some(entry) = self.pv(row) {
                match open.last_mut() {
                    Some(branch) => branch.entries.push(entry),
                    None => root.entries.push(entry),
                }
            }
            return;
        }
        let Ok(depth) = indent.parse::<usize>() else {
            self.wrong(
                row,
                0,
                "how deep the group is: 0, 1, 2 …, or nothing for a PV",
            );
            return;
        };
        if depth > open.len() || depth >= DEEPEST {
            let origin = self.cell(row, 0);
            let most = open.len().min(DEEPEST - 1);
            self.findings.push(
                Finding::error(
                    origin,
                    format!("a group of depth {depth} has no group above it"),
                )
                .expected(format!("at most {most}")),
            );
            return;
        }
        let name = self.value(row, 1);
        if name.is_empty() {
            let origin = self.whole(row);
            self.findings.push(Finding::error(
                origin,
                "the group has no name in the column `Branch`",
            ));
            return;
        }
        close(root, open, depth);
        open.push(Branch {
            name,
            origin: self.cell(row, 1),
            notes: self.notes(row),
            places: Places::default(),
            entries: Vec::new(),
        });
    }

    fn pv(&mut self, row: &Row) -> Option<Entry> {
        let written = self.value(row, 2);
        if written.is_empty() {
            let origin = self.whole(row);
            self.findings.push(
                Finding::error(origin, "the row is neither a group nor a PV")
                    .expected("a number in `#Indent`, or a name in `PV`"),
            );
            return None;
        }
        let name = match written.split_once("://") {
            Some(("major", condition)) => format!("eq://majorAlarm({condition}, \"\")"),
            Some(("minor", condition)) => format!("eq://minorAlarm({condition}, \"\")"),
            _ => written,
        };
        let description = self.value(row, 3);
        let config = LeafConfig {
            latching: self.boolean(row, 4, true),
            delay: self.number(row, 5),
            count: self.number(row, 6),
            filter: self.value(row, 7),
            notes: self.notes(row),
            enabled: self.enabled(row),
            annunciating: self.boolean(row, 10, true),
            ..LeafConfig::new(if description.is_empty() {
                &name
            } else {
                &description
            })
        };
        Some(Entry::Pv {
            name,
            origin: self.cell(row, 2),
            places: Places {
                filter: Some(self.cell(row, 7)),
                actions: Vec::new(),
            },
            config,
        })
    }

    fn notes(&self, row: &Row) -> Notes {
        let details = self.value(row, 8);
        let mut notes = Notes::default();
        if !details.is_empty() {
            notes.guidance.push(TitleDetail {
                title: String::new(),
                details,
            });
        }
        notes
    }

    fn enabled(&mut self, row: &Row) -> Enabled {
        let text = self.value(row, 9);
        if text.is_empty() || text.eq_ignore_ascii_case("true") {
            return Enabled::Yes;
        }
        if text.eq_ignore_ascii_case("false") {
            return Enabled::No;
        }
        let Some(date) = date(&text) else {
            self.wrong(row, 9, "`TRUE`, `FALSE`, or the local time from which on it is enabled, such as `2031-12-03T10:15:30`");
            return Enabled::Yes;
        };
        Enabled::Until(date)
    }

    fn boolean(&mut self, row: &Row, heading: usize, missing: bool) -> bool {
        let text = self.value(row, heading);
        match text.to_ascii_lowercase().as_str() {
            "" => missing,
            "true" => true,
            "false" => false,
            _ => {
                self.wrong(row, heading, "`TRUE` or `FALSE`");
                missing
            }
        }
    }

    fn number(&mut self, row: &Row, heading: usize) -> u32 {
        let text = self.value(row, heading);
        if text.is_empty() {
            return 0;
        }
        text.parse().unwrap_or_else(|_no_number| {
            self.wrong(row, heading, "a whole number, 0 or more");
            0
        })
    }

    fn wrong(&mut self, row: &Row, heading: usize, expected: &str) {
        let shown: String = self.value(row, heading).chars().take(80).collect();
        let finding = Finding::error(
            self.cell(row, heading),
            format!(
                "`{shown}` cannot stand in the column `{}`",
                HEADINGS[heading]
            ),
        );
        self.findings.push(finding.expected(expected));
    }

    fn column(&self, heading: usize) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| *column == Some(heading))
    }

    fn value(&self, row: &Row, heading: usize) -> String {
        let field = self
            .column(heading)
            .and_then(|column| row.record.get(column));
        field.unwrap_or_default().trim().to_owned()
    }

    fn cell(&self, row: &Row, heading: usize) -> Origin {
        match self.column(heading) {
            Some(column) => self.field(row, column),
            None => self.whole(row),
        }
    }

    fn whole(&self, row: &Row) -> Origin {
        let line = self.text[row.begin..row.end]
            .lines()
            .next()
            .map_or(0, str::len);
        origin(0, row.begin..row.begin + line)
    }

    /// Where the text of a field stands, without quotes and spaces.
    fn field(&self, row: &Row, column: usize) -> Origin {
        let text = &self.text[row.begin..row.end];
        let (mut at, mut number, mut quoted) = (0, 0, false);
        let mut begin = 0;
        for (place, character) in text.char_indices() {
            match character {
                '"' => quoted = !quoted,
                ',' if !quoted => {
                    if number == column {
                        break;
                    }
                    number += 1;
                    begin = place + 1;
                }
                _ => {}
            }
            at = place + character.len_utf8();
        }
        if number < column {
            return self.whole(row);
        }
        let field = &text[begin..at.max(begin)];
        let inside = field
            .trim_start_matches(|character: char| character.is_whitespace() || character == '"');
        let begin = row.begin + begin + (field.len() - inside.len());
        let inside = inside
            .trim_end_matches(|character: char| character.is_whitespace() || character == '"');
        // what goes over several lines is shown by its first
        let length = inside.lines().next().map_or(0, str::len);
        origin(0, begin..begin + length)
    }
}

fn place(position: &csv::Position) -> usize {
    usize::try_from(position.byte()).unwrap_or(usize::MAX)
}

/// Closes groups until only `depth` of them are open.
fn close(root: &mut TreeFile, open: &mut Vec<Branch>, depth: usize) {
    while open.len() > depth {
        let Some(branch) = open.pop() else { return };
        let above = match open.last_mut() {
            Some(above) => &mut above.entries,
            None => &mut root.entries,
        };
        above.push(Entry::Group(branch));
    }
}
