//! From elements to an alarm tree.

use std::path::Path;

use crate::config::{Action, Enabled, LeafConfig, Notes, TitleDetail};
use crate::files::xml::document::{Documents, Element};
use crate::files::{Branch, Entry, Finding, Loader, Places, Reading, TreeFile, is_near};
use crate::wire::config::date;

/// Elements that a group may have.
const OF_GROUPS: &[&str] = &[
    "component",
    "pv",
    "guidance",
    "display",
    "command",
    "automated_action",
];
/// Elements that a PV may have.
const OF_PVS: &[&str] = &[
    "description",
    "enabled",
    "latching",
    "annunciating",
    "delay",
    "count",
    "filter",
    "guidance",
    "display",
    "command",
    "automated_action",
];
/// Elements that others write into groups and nobody reads.
const PASSED_OVER: &[&str] = &["description", "summary_pv", "enabled"];

/// Reads an alarm tree. `path` and what it includes come from `load`.
pub fn read(path: &Path, load: &mut Loader<'_>) -> Reading {
    let mut documents = Documents::new(load);
    let root = documents.root(path, None);
    let mut reader = Reader {
        findings: Vec::new(),
    };
    let tree = root.and_then(|root| reader.config(&root));
    let mut findings = documents.findings;
    findings.append(&mut reader.findings);
    findings.sort_by_key(|finding| (finding.origin.file, finding.origin.span.start));
    Reading {
        tree,
        sources: documents.sources,
        findings,
    }
}

struct Reader {
    findings: Vec<Finding>,
}

impl Reader {
    fn config(&mut self, root: &Element) -> Option<TreeFile> {
        if root.name != "config" {
            self.findings.push(
                Finding::error(
                    root.origin.clone(),
                    format!("the root is `<{}>`", root.name),
                )
                .expected("`<config name=\"…\">`"),
            );
            return None;
        }
        let name = self.name(root)?;
        Some(TreeFile {
            name,
            origin: root.origin.clone(),
            notes: self.notes(root),
            places: places(root),
            entries: self.entries(root),
        })
    }

    fn entries(&mut self, element: &Element) -> Vec<Entry> {
        let mut entries = Vec::new();
        for child in &element.children {
            match child.name.as_str() {
                "component" => {
                    let Some(name) = self.name(child) else {
                        continue;
                    };
                    entries.push(Entry::Group(Branch {
                        name,
                        origin: child.origin.clone(),
                        notes: self.notes(child),
                        places: places(child),
                        entries: self.entries(child),
                    }));
                }
                "pv" => entries.extend(self.pv(child)),
                known if OF_GROUPS.contains(&known) => {}
                known if PASSED_OVER.contains(&known) => {
                    self.findings.push(Finding::warning(
                        child.origin.clone(),
                        format!(
                            "`<{known}>` of a group has no effect: alarm servers do not read it"
                        ),
                    ));
                }
                _ => self.unknown(child, OF_GROUPS),
            }
        }
        entries
    }

    fn pv(&mut self, element: &Element) -> Option<Entry> {
        let name = self.name(element)?;
        for child in &element.children {
            if !OF_PVS.contains(&child.name.as_str()) {
                self.unknown(child, OF_PVS);
            }
        }
        let description = element.child_text("description").unwrap_or(&name);
        let filter = element.children("filter").next();
        let config = LeafConfig {
            enabled: self.enabled(element),
            latching: self.boolean(element, "latching", true),
            // in messages a PV is announced unless they say otherwise; in files it is the other way round
            annunciating: self.boolean(element, "annunciating", false),
            delay: self.number(element, "delay"),
            count: self.number(element, "count"),
            filter: filter
                .map(|filter| filter.text.trim().to_owned())
                .unwrap_or_default(),
            notes: self.notes(element),
            ..LeafConfig::new(description)
        };
        Some(Entry::Pv {
            name,
            origin: element.origin.clone(),
            places: Places {
                filter: filter.map(|filter| filter.text_origin.clone()),
                ..places(element)
            },
            config,
        })
    }

    fn name(&mut self, element: &Element) -> Option<String> {
        let name = element
            .attribute("name")
            .map(str::trim)
            .filter(|name| !name.is_empty());
        if name.is_none() {
            self.findings.push(
                Finding::error(
                    element.origin.clone(),
                    format!("`<{}>` has no name", element.name),
                )
                .expected(format!("`<{} name=\"…\">`", element.name)),
            );
        }
        name.map(str::to_owned)
    }

    fn enabled(&mut self, element: &Element) -> Enabled {
        let Some(child) = element.children("enabled").next() else {
            return Enabled::Yes;
        };
        let text = child.text.trim();
        if text.is_empty() || text.eq_ignore_ascii_case("true") {
            return Enabled::Yes;
        }
        if text.eq_ignore_ascii_case("false") {
            return Enabled::No;
        }
        let Some(date) = date(text) else {
            self.wrong(child, "`true`, `false`, or the local time from which on it is enabled, such as `2031-12-03T10:15:30`");
            return Enabled::Yes;
        };
        Enabled::Until(date)
    }

    fn boolean(&mut self, element: &Element, name: &str, missing: bool) -> bool {
        let Some(child) = element.children(name).next() else {
            return missing;
        };
        let text = child.text.trim();
        if !text.eq_ignore_ascii_case("true") && !text.eq_ignore_ascii_case("false") {
            self.wrong(child, "`true` or `false`");
        }
        text.eq_ignore_ascii_case("true")
    }

    fn number(&mut self, element: &Element, name: &str) -> u32 {
        match element.children(name).next() {
            Some(child) => self.whole(child),
            None => 0,
        }
    }

    /// A number of seconds or alarms; a fraction is cut off, as Phoebus does.
    fn whole(&mut self, child: &Element) -> u32 {
        let text = child.text.trim();
        if text.is_empty() {
            return 0;
        }
        match text.parse::<f64>() {
            Ok(number) if (0.0..=f64::from(u32::MAX)).contains(&number) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "within the range of u32; the fraction is to be cut off"
                )]
                let whole = number as u32;
                whole
            }
            _ => {
                self.wrong(child, "a number, 0 or more");
                0
            }
        }
    }

    fn notes(&mut self, element: &Element) -> Notes {
        let list = |name: &str| -> Vec<TitleDetail> {
            element
                .children
                .iter()
                .filter(|child| child.name == name)
                .map(|child| TitleDetail {
                    title: child.child_text("title").unwrap_or_default().to_owned(),
                    details: child.child_text("details").unwrap_or_default().to_owned(),
                })
                .collect()
        };
        let mut displays = list("display");
        for display in &mut displays {
            if let Some(rest) = display.details.strip_prefix("opi:") {
                display.details = rest.to_owned();
            }
        }
        let mut actions = Vec::new();
        for child in element.children("automated_action") {
            let delay = match child.children("delay").next() {
                Some(delay) => self.whole(delay),
                None => 0,
            };
            actions.push(Action {
                title: child.child_text("title").unwrap_or_default().to_owned(),
                details: child.child_text("details").unwrap_or_default().to_owned(),
                delay,
            });
        }
        Notes {
            guidance: list("guidance"),
            displays,
            commands: list("command"),
            actions,
        }
    }

    fn wrong(&mut self, child: &Element, expected: &str) {
        let shown: String = child.text.trim().chars().take(80).collect();
        self.findings.push(
            Finding::error(
                child.text_origin.clone(),
                format!("`{shown}` is no `{}`", child.name),
            )
            .expected(expected),
        );
    }

    fn unknown(&mut self, child: &Element, known: &[&str]) {
        let near = known.iter().find(|known| is_near(known, &child.name));
        let mut finding = Finding::warning(
            child.origin.clone(),
            format!("`<{}>` has no meaning here and is passed over", child.name),
        )
        .expected(format!("one of {}", known.join(", ")));
        finding.hint = near.map(|near| format!("did you mean `<{near}>`?"));
        self.findings.push(finding);
    }
}

/// Where the actions of an element stand.
fn places(element: &Element) -> Places {
    let actions = element.children("automated_action").map(|action| {
        let details = action.children("details").next();
        details.map_or_else(|| action.origin.clone(), |one| one.text_origin.clone())
    });
    Places {
        filter: None,
        actions: actions.collect(),
    }
}
