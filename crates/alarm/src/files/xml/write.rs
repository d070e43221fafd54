//! From an alarm tree to the XML that Phoebus reads and writes.

use crate::config::{Enabled, LeafConfig, Notes};
use crate::files::{Entry, TreeFile};
use crate::wire::config::write_date;

/// Writes the tree as Phoebus does; other than there an enable date is kept.
pub fn write(tree: &TreeFile) -> String {
    let mut writer = Writer {
        text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
        depth: 0,
    };
    writer.open("config", Some(&tree.name));
    writer.notes(&tree.notes);
    writer.entries(&tree.entries);
    writer.close("config");
    writer.text
}

struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
    }

    fn open(&mut self, element: &str, name: Option<&str>) {
        self.indent();
        self.text.push('<');
        self.text.push_str(element);
        if let Some(name) = name {
            self.text.push_str(" name=\"");
            escape(name, &mut self.text);
            self.text.push('"');
        }
        self.text.push_str(">\n");
        self.depth += 1;
    }

    fn close(&mut self, element: &str) {
        self.depth -= 1;
        self.indent();
        self.text.push_str(&format!("</{element}>\n"));
    }

    fn simple(&mut self, element: &str, value: &str) {
        self.indent();
        self.text.push_str(&format!("<{element}>"));
        escape(value, &mut self.text);
        self.text.push_str(&format!("</{element}>\n"));
    }

    fn entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            match entry {
                Entry::Group(branch) => {
                    self.open("component", Some(&branch.name));
                    self.notes(&branch.notes);
                    self.entries(&branch.entries);
                    self.close("component");
                }
                Entry::Pv { name, config, .. } => {
                    self.open("pv", Some(name));
                    self.leaf(config);
                    self.close("pv");
                }
            }
        }
    }

    fn leaf(&mut self, config: &LeafConfig) {
        self.simple("description", &config.description);
        match config.enabled {
            Enabled::Yes => self.simple("enabled", "true"),
            Enabled::No => self.simple("enabled", "false"),
            Enabled::Until(date) => self.simple("enabled", &write_date(date)),
        }
        self.simple("latching", &config.latching.to_string());
        self.simple("annunciating", &config.annunciating.to_string());
        if config.delay > 0 {
            self.simple("delay", &config.delay.to_string());
        }
        if config.count > 0 {
            self.simple("count", &config.count.to_string());
        }
        if !config.filter.is_empty() {
            self.simple("filter", &config.filter);
        }
        self.notes(&config.notes);
    }

    fn notes(&mut self, notes: &Notes) {
        let lists = [
            ("guidance", &notes.guidance),
            ("display", &notes.displays),
            ("command", &notes.commands),
        ];
        for (element, items) in lists {
            for item in items {
                self.open(element, None);
                self.simple("title", &item.title);
                self.simple("details", &item.details);
                self.close(element);
            }
        }
        for action in &notes.actions {
            self.open("automated_action", None);
            self.simple("title", &action.title);
            self.simple("details", &action.details);
            self.simple("delay", &action.delay.to_string());
            self.close("automated_action");
        }
    }
}

/// Escapes what has a meaning in XML; what XML cannot hold at all is replaced.
fn escape(value: &str, to: &mut String) {
    for character in value.chars() {
        match character {
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '&' => to.push_str("&amp;"),
            '"' => to.push_str("&quot;"),
            // a reader would turn these into a space or take them away
            '\r' => to.push_str("&#13;"),
            '\n' | '\t' => to.push(character),
            control if control.is_control() => to.push(char::REPLACEMENT_CHARACTER),
            other => to.push(other),
        }
    }
}
