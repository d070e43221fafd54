//! From an alarm tree to rows.

use csv::WriterBuilder;

use crate::config::{Enabled, LeafConfig, Notes};
use crate::files::table::read::HEADINGS;
use crate::files::{Entry, TreeFile};
use crate::path::AlarmPath;
use crate::wire::config::write_date;

/// What a table cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Of which item.
    pub path: AlarmPath,
    /// What.
    pub what: &'static str,
}

/// Writes the tree as a table; the second is what that loses. The columns `Enabled` and `Annunciate` are written only
/// where they say something.
///
/// PVs of a group are written before its groups, since a PV always belongs to the group above it in the table; PVs of
/// the root come first.
pub fn write(tree: &TreeFile) -> (String, Vec<Loss>) {
    let mut rows = Rows {
        rows: Vec::new(),
        losses: Vec::new(),
    };
    if let Ok(root) = AlarmPath::root(&tree.name) {
        if !tree.notes.guidance.is_empty() {
            rows.lose(&root, "guidance of the root");
        }
        rows.notes(&root, &tree.notes);
        rows.entries(&root, &tree.entries, 0);
    }
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
    (String::from_utf8(bytes).unwrap_or_default(), rows.losses)
}

struct Rows {
    rows: Vec<[String; 11]>,
    losses: Vec<Loss>,
}

impl Rows {
    fn entries(&mut self, above: &AlarmPath, entries: &[Entry], depth: usize) {
        for entry in entries {
            if let Entry::Pv { name, config, .. } = entry
                && let Ok(path) = above.child(name)
            {
                self.pv(&path, config);
            }
        }
        for entry in entries {
            if let Entry::Group(branch) = entry
                && let Ok(path) = above.child(&branch.name)
            {
                let mut row: [String; 11] = Default::default();
                row[0] = depth.to_string();
                row[1].clone_from(&branch.name);
                row[8] = self.guidance(&path, &branch.notes);
                self.rows.push(row);
                self.notes(&path, &branch.notes);
                self.entries(&path, &branch.entries, depth + 1);
            }
        }
    }

    fn pv(&mut self, path: &AlarmPath, config: &LeafConfig) {
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
        let row = [
            String::new(),
            String::new(),
            path.name().to_owned(),
            config.description.clone(),
            if config.latching { "TRUE" } else { "FALSE" }.to_owned(),
            number(config.delay),
            number(config.count),
            config.filter.clone(),
            self.guidance(path, &config.notes),
            enabled,
            if config.annunciating { "" } else { "FALSE" }.to_owned(),
        ];
        self.rows.push(row);
        self.notes(path, &config.notes);
    }

    fn guidance(&mut self, path: &AlarmPath, notes: &Notes) -> String {
        if notes.guidance.len() > 1 {
            self.lose(path, "all guidance but the first");
        }
        let first = notes.guidance.first();
        if first.is_some_and(|first| !first.title.is_empty()) {
            self.lose(path, "the title of the guidance");
        }
        first.map(|first| first.details.clone()).unwrap_or_default()
    }

    fn notes(&mut self, path: &AlarmPath, notes: &Notes) {
        let lists = [
            (notes.displays.is_empty(), "displays"),
            (notes.commands.is_empty(), "commands"),
            (notes.actions.is_empty(), "automated actions"),
        ];
        for (is_empty, what) in lists {
            if !is_empty {
                self.lose(path, what);
            }
        }
    }

    fn lose(&mut self, path: &AlarmPath, what: &'static str) {
        self.losses.push(Loss {
            path: path.clone(),
            what,
        });
    }
}
