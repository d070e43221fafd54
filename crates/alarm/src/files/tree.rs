//! The model that all file formats are read into and written from.

use std::collections::HashMap;
use std::ops::Range;

use crate::config::{LeafConfig, Notes};
use crate::files::Finding;
use crate::formula::Formula;
use crate::path::{AlarmPath, LONGEST_PATH};

/// Where something stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which of the sources.
    pub file: usize,
    /// Which bytes of its text.
    pub span: Range<usize>,
}

/// An alarm tree.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeFile {
    /// Name of the configuration.
    pub name: String,
    /// Where that stands.
    pub origin: Origin,
    /// Guidance and so on of the root.
    pub notes: Notes,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// Something in a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A group.
    Group(Branch),
    /// A PV.
    Pv {
        /// Its name.
        name: String,
        /// Where that stands.
        origin: Origin,
        /// Where its filter stands.
        filter_origin: Origin,
        /// Its configuration.
        config: LeafConfig,
    },
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Where that stands.
    pub origin: Origin,
    /// Guidance and so on.
    pub notes: Notes,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// An item with its path, for whoever walks a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    /// A group.
    Group(&'a Notes),
    /// A PV.
    Pv(&'a LeafConfig),
}

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
    /// All items with their paths, groups before what is in them. Items whose names cannot stand in a path are left
    /// out; [`TreeFile::check`] finds them.
    pub fn items(&self) -> Vec<(AlarmPath, Item<'_>)> {
        let mut found = Vec::new();
        if let Ok(root) = AlarmPath::root(&self.name) {
            found.push((root.clone(), Item::Group(&self.notes)));
            collect(&root, &self.entries, &mut found);
        }
        found
    }

    /// How many PVs there are; one that stands in several branches counts as often.
    pub fn pv_count(&self) -> usize {
        self.items()
            .iter()
            .filter(|(_path, item)| matches!(item, Item::Pv(_)))
            .count()
    }

    /// Everything that can be wrong with a tree whatever file it came from: names, the same name twice in a group,
    /// filters, kinds of PVs, mail addresses; and what Phoebus would drop, if that is asked for.
    pub fn check(&self, compatibility: Compatibility) -> Vec<Finding> {
        let mut check = Check {
            compatibility,
            findings: Vec::new(),
            seen: HashMap::new(),
        };
        match AlarmPath::root(&self.name) {
            Ok(root) => {
                check.notes(&self.notes, &self.origin);
                check.entries(&root, &self.entries);
            }
            Err(error) => check.findings.push(Finding::error(
                self.origin.clone(),
                format!("the configuration has no usable name: {error}"),
            )),
        }
        check.findings
    }
}

fn collect<'a>(above: &AlarmPath, entries: &'a [Entry], found: &mut Vec<(AlarmPath, Item<'a>)>) {
    for entry in entries {
        match entry {
            Entry::Group(branch) => {
                if let Ok(path) = above.child(&branch.name) {
                    found.push((path.clone(), Item::Group(&branch.notes)));
                    collect(&path, &branch.entries, found);
                }
            }
            Entry::Pv { name, config, .. } => {
                if let Ok(path) = above.child(name) {
                    found.push((path, Item::Pv(config)));
                }
            }
        }
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
            let path = match above.child(name) {
                Ok(path) => path,
                Err(error) => {
                    let finding = Finding::error(origin.clone(), error.to_string()).expected(
                        format!("a name; the whole path may have {LONGEST_PATH} bytes"),
                    );
                    self.findings.push(finding);
                    continue;
                }
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
                    self.notes(&branch.notes, origin);
                    self.entries(&path, &branch.entries);
                }
                Entry::Pv {
                    config,
                    filter_origin,
                    ..
                } => self.pv(&path, config, origin, filter_origin),
            }
        }
    }

    fn pv(&mut self, path: &AlarmPath, config: &LeafConfig, origin: &Origin, filter: &Origin) {
        let name = path.name();
        if let Some(message) = unusable(name) {
            self.findings.push(Finding::error(origin.clone(), message));
        }
        if !config.filter.trim().is_empty()
            && let Err(error) = Formula::parse(config.filter.trim())
        {
            let begin = filter.span.start + leading(&config.filter) + error.at;
            let fits = begin + error.length <= filter.span.end;
            let span = if fits {
                begin..begin + error.length.max(1)
            } else {
                filter.span.clone()
            };
            let mut finding = Finding::error(
                Origin {
                    file: filter.file,
                    span,
                },
                format!("the filter of `{name}` is no formula: {error}"),
            );
            finding.hint.clone_from(&error.hint);
            self.findings.push(finding);
        }
        if config.count > 0 && config.delay == 0 {
            self.findings.push(
                Finding::warning(
                    origin.clone(),
                    format!("the count of `{name}` has no effect without a delay"),
                )
                .hint("alarms are counted within the delay"),
            );
        }
        self.notes(&config.notes, origin);
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

    fn notes(&mut self, notes: &Notes, origin: &Origin) {
        for action in &notes.actions {
            let Some(problem) = unusable_action(&action.details) else {
                continue;
            };
            let mut finding = Finding::error(
                origin.clone(),
                format!("the action `{}` cannot work: {problem}", action.details),
            );
            finding.expected =
                Some("`mailto:a@b,c@d`, `cmd:program arguments`, `sevrpv:PV`, `infopv:PV`, `webhook:URL` or `slack:URL`".to_owned());
            self.findings.push(finding);
        }
    }
}

fn leading(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Why no alarm server could watch a PV of that name.
fn unusable(name: &str) -> Option<String> {
    if name.starts_with('=') || name.starts_with("eq://") {
        let formula = name.trim_start_matches("eq://").trim_start_matches('=');
        return Formula::parse(formula)
            .err()
            .map(|error| format!("`{name}` is no formula: {error}"));
    }
    if let Some((kind, rest)) = name.split_once("://") {
        return match kind {
            "ca" if rest.is_empty() => Some("`ca://` without a name".to_owned()),
            "ca" => unusable(rest),
            "pva" => Some(format!("`{name}`: PVs of pvAccess are not watched yet")),
            "loc" | "sim" => Some(format!(
                "`{name}`: local and simulated PVs live in clients, not in a server"
            )),
            other => Some(format!("`{name}`: `{other}://` is no kind of PV")),
        };
    }
    if name
        .chars()
        .any(|character| character.is_whitespace() || character.is_control())
    {
        return Some(format!(
            "`{name}` has spaces, which names of PVs do not have"
        ));
    }
    None
}

fn unusable_action(details: &str) -> Option<String> {
    let Some((kind, rest)) = details.split_once(':') else {
        return Some("it says no kind".to_owned());
    };
    match kind {
        "mailto" => {
            let wrong = rest
                .split(',')
                .map(str::trim)
                .find(|address| !is_address(address))?;
            Some(format!("`{wrong}` is no mail address"))
        }
        "cmd" | "sevrpv" | "infopv" | "webhook" | "slack" if rest.trim().is_empty() => {
            Some(format!("nothing follows `{kind}:`"))
        }
        "cmd" | "sevrpv" | "infopv" | "webhook" | "slack" => None,
        other => Some(format!("`{other}:` is no kind of action")),
    }
}

/// Good enough to find what cannot be one: a name, an `@`, a domain.
fn is_address(text: &str) -> bool {
    let Some((name, domain)) = text.rsplit_once('@') else {
        return false;
    };
    !name.is_empty()
        && !domain.is_empty()
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && text
            .chars()
            .all(|character| !character.is_whitespace() && !character.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Action;

    fn pv(name: &str, change: impl FnOnce(&mut LeafConfig)) -> Entry {
        let mut config = LeafConfig::new(name);
        change(&mut config);
        Entry::Pv {
            name: name.to_owned(),
            origin: Origin::default(),
            filter_origin: Origin {
                file: 0,
                span: 10..10 + config.filter.len(),
            },
            config,
        }
    }

    fn group(name: &str, entries: Vec<Entry>) -> Entry {
        Entry::Group(Branch {
            name: name.to_owned(),
            origin: Origin::default(),
            notes: Notes::default(),
            entries,
        })
    }

    fn tree(entries: Vec<Entry>) -> TreeFile {
        TreeFile {
            name: "X".to_owned(),
            origin: Origin::default(),
            notes: Notes::default(),
            entries,
        }
    }

    fn messages(entries: Vec<Entry>, compatibility: Compatibility) -> Vec<String> {
        let findings = tree(entries).check(compatibility);
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn the_same_pv_in_several_branches_is_for_us() {
        let entries = || {
            vec![
                group("a", vec![pv("x", |_| {})]),
                group("b", vec![pv("x", |_| {})]),
            ]
        };
        assert_eq!(
            messages(entries(), Compatibility::Ours),
            Vec::<String>::new()
        );
        assert_eq!(
            messages(entries(), Compatibility::Phoebus),
            ["Phoebus drops `/X/b/x`: it has `/X/a/x` already"]
        );
        assert_eq!(tree(entries()).pv_count(), 2);
    }

    #[test]
    fn what_cannot_be() {
        let entries = vec![
            pv("x", |_| {}),
            pv("x", |_| {}),
            pv("a b", |_| {}),
            pv("//x", |_| {}),
            pv("pva://x", |_| {}),
            pv("ca://x", |_| {}),
            pv("=1 +", |_| {}),
            pv("=1 + y", |_| {}),
            pv("f", |config| config.filter = "y >".to_owned()),
            pv("n", |config| config.count = 3),
            pv("m", |config| {
                config.notes.actions = ["mailto:a@b, c", "cmd:", "x", "http://y", "sevrpv:S"]
                    .map(|details| Action {
                        details: details.to_owned(),
                        ..Action::default()
                    })
                    .to_vec();
            }),
        ];
        assert_eq!(
            messages(entries, Compatibility::Ours),
            [
                "the PV `x` is in `/X` twice",
                "`a b` has spaces, which names of PVs do not have",
                "the name `//x` begins with `//`",
                "`pva://x`: PVs of pvAccess are not watched yet",
                "`=1 +` is no formula: expected a number, a PV or `(`, but the formula ends here",
                "the filter of `f` is no formula: expected a number, a PV or `(`, but the formula ends here",
                "the count of `n` has no effect without a delay",
                "the action `mailto:a@b, c` cannot work: `c` is no mail address",
                "the action `cmd:` cannot work: nothing follows `cmd:`",
                "the action `x` cannot work: it says no kind",
                "the action `http://y` cannot work: `http:` is no kind of action",
            ]
        );
    }

    #[test]
    fn a_filter_is_wrong_at_its_place() {
        let findings = tree(vec![pv("f", |config| config.filter = " y = 1".to_owned())]);
        let findings = findings.check(Compatibility::Ours);
        assert_eq!(findings[0].origin.span, 13..14);
        assert_eq!(findings[0].hint.as_deref(), Some("`==` compares"));
    }
}
