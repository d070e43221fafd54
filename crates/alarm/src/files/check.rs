//! What can be wrong with an alarm tree, whatever file it came from.

mod names;

use std::collections::HashMap;

use crate::config::{Enabled, LeafConfig, Notes};
use crate::files::tree::Places;
use crate::files::{Entry, Finding, Origin, TreeFile};
use crate::formula::Formula;
use crate::path::{AlarmPath, LONGEST_PATH};

/// Longest path that is taken from a file, in characters. A server reads longer ones
/// ([`LONGEST_PATH`]); in a table, a mail's subject or a tree on a screen nobody could.
pub const LONGEST_PATH_IN_FILES: usize = 255;

/// Which server the tree is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compatibility {
    /// Ours: the same PV may stand in several branches.
    #[default]
    Ours,
    /// Phoebus: warns of what it would drop.
    Phoebus,
}

impl TreeFile {
    /// Everything that can be wrong with a tree whatever file it came from: names, the same name twice in a group,
    /// filters, kinds of PVs, actions, mail addresses; and what Phoebus would drop, if that is asked for.
    pub fn check(&self, compatibility: Compatibility) -> Vec<Finding> {
        let mut check = Check {
            compatibility,
            findings: Vec::new(),
            seen: HashMap::new(),
        };
        if let Some(problem) = names::of_configuration(&self.name) {
            check.findings.push(
                Finding::error(self.origin.clone(), problem)
                    .expected("letters, digits, `.`, `_` and `-`: it is the name of a topic"),
            );
        }
        // what is wrong with the name has been said
        if let Ok(root) = AlarmPath::root(&self.name) {
            check.notes(&self.notes, &self.origin, &self.places, true);
            if compatibility == Compatibility::Phoebus && self.notes != Notes::default() {
                check.findings.push(Finding::warning(
                    self.origin.clone(),
                    "Phoebus drops guidance, displays, commands and actions of the root when it reads a file",
                ));
            }
            check.entries(&root, &self.entries);
        }
        check.findings
    }
}

struct Check {
    compatibility: Compatibility,
    findings: Vec<Finding>,
    /// Where each PV stood first, for Phoebus.
    seen: HashMap<String, AlarmPath>,
}

impl Check {
    fn entries(&mut self, above: &AlarmPath, entries: &[Entry]) {
        let mut names: HashMap<&str, bool> = HashMap::new();
        for entry in entries {
            let (name, origin, is_pv) = match entry {
                Entry::Group(branch) => (branch.name.as_str(), &branch.origin, false),
                Entry::Pv { name, origin, .. } => (name.as_str(), origin, true),
            };
            let Some(path) = self.path(above, name, origin, is_pv) else {
                continue;
            };
            if let Some(was_pv) = names.insert(name, is_pv) {
                let what = match (was_pv, is_pv) {
                    (true, true) => "PV",
                    (false, false) => "group",
                    _ => "name",
                };
                self.findings.push(
                    Finding::error(
                        origin.clone(),
                        format!("the {what} `{name}` is in `{above}` twice"),
                    )
                    .hint("a PV may stand in several groups, but only once in each"),
                );
            }
            match entry {
                Entry::Group(branch) => {
                    self.notes(&branch.notes, origin, &branch.places, true);
                    self.entries(&path, &branch.entries);
                }
                Entry::Pv { config, places, .. } => self.pv(&path, config, origin, places),
            }
        }
    }

    /// The path of an item, unless its name cannot stand in one.
    fn path(
        &mut self,
        above: &AlarmPath,
        name: &str,
        origin: &Origin,
        is_pv: bool,
    ) -> Option<AlarmPath> {
        let path = match above.child(name) {
            Ok(path) => path,
            Err(error) => {
                let finding = Finding::error(origin.clone(), error.to_string()).expected(format!(
                    "a name; the whole path may have {LONGEST_PATH} bytes"
                ));
                self.findings.push(finding);
                return None;
            }
        };
        let written = path.to_string();
        // what is below it is read as well
        if AlarmPath::parse(&format!("{written}/x")).map(|path| path.parent())
            != Ok(Some(path.clone()))
        {
            self.findings.push(
                Finding::error(
                    origin.clone(),
                    format!("`{name}` cannot stand in a path: a `\\` before a `/` or at the end has a meaning there"),
                )
                .hint("leave out the `\\`"),
            );
            return None;
        }
        let length = written.chars().count();
        if length > LONGEST_PATH_IN_FILES {
            self.findings.push(
                Finding::error(
                    origin.clone(),
                    format!(
                        "the path has {length} characters, at most {LONGEST_PATH_IN_FILES} are taken: `{}…`",
                        written.chars().take(40).collect::<String>()
                    ),
                )
                .hint("shorten the names of the groups"),
            );
        }
        let problem = if is_pv {
            names::of_pv(name, self.compatibility)
        } else {
            names::of_group(name)
        };
        if let Some(problem) = problem {
            let finding = Finding::error(origin.clone(), problem);
            self.findings
                .push(if is_pv && name.contains(' ') && !names::is_formula(name) {
                    finding.hint(
                        "the name is that of the record; what it is belongs into the description",
                    )
                } else {
                    finding
                });
        } else if name.contains('/') && !names::is_formula(name) && !name.contains("://") {
            let finding = Finding::warning(
                origin.clone(),
                format!("`{name}` has a `/`: on the bus and in commands its path is `{written}`"),
            );
            self.findings
                .push(finding.hint("groups within groups are nested, not written as `a/b`"));
        }
        Some(path)
    }

    fn pv(&mut self, path: &AlarmPath, config: &LeafConfig, origin: &Origin, places: &Places) {
        let name = path.name();
        self.filter(name, config, places.filter.as_ref().unwrap_or(origin));
        if config.count > 0 && config.delay == 0 {
            self.findings.push(
                Finding::warning(
                    origin.clone(),
                    format!("the count of `{name}` has no effect without a delay"),
                )
                .hint("alarms are counted within the delay"),
            );
        }
        if config.enabled == Enabled::No && !config.filter.trim().is_empty() {
            self.findings.push(Finding::warning(
                origin.clone(),
                format!("the filter of `{name}` has no effect as long as the PV is disabled"),
            ));
        }
        self.notes(&config.notes, origin, places, false);
        if self.compatibility == Compatibility::Phoebus {
            match self.seen.get(name) {
                Some(first) => {
                    let message = format!("Phoebus drops `{path}`: it has `{first}` already");
                    self.findings.push(
                        Finding::warning(origin.clone(), message)
                            .hint("`ioc alarm serve` watches a PV in every branch"),
                    );
                }
                None => {
                    self.seen.insert(name.to_owned(), path.clone());
                }
            }
        }
    }

    fn filter(&mut self, name: &str, config: &LeafConfig, place: &Origin) {
        let text = config.filter.trim();
        if text.is_empty() {
            return;
        }
        let Err(error) = Formula::parse(text) else {
            return;
        };
        let leading = config.filter.len() - config.filter.trim_start().len();
        let begin = place.span.start + leading + error.at;
        let fits = begin + error.length <= place.span.end;
        let span = if fits {
            begin..begin + error.length.max(1)
        } else {
            place.span.clone()
        };
        let mut finding = Finding::error(
            Origin {
                file: place.file,
                span,
            },
            format!("the filter of `{name}` is no formula: {error}"),
        );
        finding.hint.clone_from(&error.hint);
        self.findings.push(finding);
    }

    fn notes(&mut self, notes: &Notes, origin: &Origin, places: &Places, is_group: bool) {
        for (place, action) in notes.actions.iter().enumerate() {
            let origin = places.actions.get(place).unwrap_or(origin);
            if let Some(problem) = names::of_action(&action.details) {
                let mut finding = Finding::error(
                    origin.clone(),
                    format!("the action `{}` cannot work: {problem}", action.details),
                );
                finding.expected =
                    Some("`mailto:a@b,c@d`, `cmd:program arguments`, `sevrpv:PV`, `infopv:PV`, `webhook:URL`, `slack:`, `teams:` or `mattermost:` with a URL or a channel".to_owned());
                if action.details.starts_with("mailto:") {
                    finding.hint = Some(
                        "an address is `name@domain`, several have commas between them".to_owned(),
                    );
                }
                self.findings.push(finding);
                continue;
            }
            let kind = action.details.split(':').next().unwrap_or_default();
            if kind == "sevrpv" && !is_group {
                self.findings.push(
                    Finding::warning(
                        origin.clone(),
                        "`sevrpv:` has no effect on a PV: it writes the severity of a group",
                    )
                    .hint("give it to the group"),
                );
            }
            if self.compatibility == Compatibility::Phoebus
                && matches!(kind, "webhook" | "slack" | "teams" | "mattermost")
            {
                self.findings.push(Finding::warning(
                    origin.clone(),
                    format!("Phoebus knows no `{kind}:` and does nothing"),
                ));
            }
        }
        if is_group
            && notes
                .actions
                .iter()
                .filter(|action| action.details.starts_with("sevrpv:"))
                .count()
                > 1
        {
            self.findings.push(Finding::warning(
                origin.clone(),
                "only the last `sevrpv:` of a group has an effect",
            ));
        }
    }
}

#[cfg(test)]
mod tests;
