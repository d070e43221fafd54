//! From an alarm tree to rows.

use csv::WriterBuilder;

use crate::config::{Enabled, LeafConfig, Notes};
use crate::files::table::read::HEADINGS;
use crate::files::{Entry, TreeFile};
use crate::wire::config::write_date;

/// Writes the tree as a table. The columns `Enabled` and `Annunciate` are written only where they say something; of
/// guidance the details of the first are written, and displays, commands and actions have no column.
///
/// PVs of a group are written before its groups, since a PV always belongs to the group above it in the table; PVs of
/// the root come first.
pub fn write(tree: &TreeFile) -> String {
    let mut rows = Rows { rows: Vec::new() };
    rows.entries(&tree.entries, 0);
    let extra = (9..11).filter(|column| rows.rows.iter().any(|row| !row[*column].is_empty()));
    let columns: Vec<usize> = (0..9).chain(extra).collect();
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    let headings: Vec<&str> = columns.iter().map(|column| HEADINGS[*column]).collect();
    let mut written = writer.write_record(&headings);
    for row in &rows.rows {
        let fields = columns.iter().map(|column| row[*column].as_str());
        written = written.and_then(|()| writer.write_record(fields));
    }
    // writing into memory does not fail
    let bytes = written
        .ok()
        .and_then(|()| writer.into_inner().ok())
        .unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

struct Rows {
    rows: Vec<[String; 11]>,
}

impl Rows {
    fn entries(&mut self, entries: &[Entry], depth: usize) {
        for entry in entries {
            if let Entry::Pv { name, config, .. } = entry {
                self.pv(name, config);
            }
        }
        for entry in entries {
            if let Entry::Group(branch) = entry {
                let mut row: [String; 11] = Default::default();
                row[0] = depth.to_string();
                row[1].clone_from(&branch.name);
                row[8] = guidance(&branch.notes);
                self.rows.push(row);
                self.entries(&branch.entries, depth + 1);
            }
        }
    }

    fn pv(&mut self, name: &str, config: &LeafConfig) {
        let number = |number: u32| {
            if number == 0 {
                String::new()
            } else {
                number.to_string()
            }
        };
        let enabled = match config.enabled {
            Enabled::Yes => String::new(),
            Enabled::No => "FALSE".to_owned(),
            Enabled::Until(date) => write_date(date),
        };
        self.rows.push([
            String::new(),
            String::new(),
            name.to_owned(),
            config.description.clone(),
            if config.latching { "TRUE" } else { "FALSE" }.to_owned(),
            number(config.delay),
            number(config.count),
            config.filter.clone(),
            guidance(&config.notes),
            enabled,
            if config.annunciating { "" } else { "FALSE" }.to_owned(),
        ]);
    }
}

fn guidance(notes: &Notes) -> String {
    let first = notes.guidance.first();
    first.map(|first| first.details.clone()).unwrap_or_default()
}
