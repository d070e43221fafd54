//! The versions of instances: one walk over the tags, from the oldest to the newest.
//!
//! A tag is a version of an instance when something that the instance is made of differs from the tag before it, by the
//! date of the commits. Tags of one commit are one version; the release among them gives it its name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::charts::ChartVersion;
use super::error::VersionsError;
use super::git::{CommitInfo, Entry, Id, Location};
use super::name::{Kind, TagName};
use super::reach::{Parts, Reader};

/// Most changed files that are named for one version.
const MOST_FILES: usize = 100;

/// A tag at which an instance changed.
#[derive(Debug, Clone, Serialize)]
pub struct InstanceVersion {
    /// The tag.
    pub version: String,
    /// Release, pre-release or neither.
    pub kind: Kind,
    /// The commit that it points to, in full.
    pub commit: String,
    /// When the commit was made.
    pub date: Timestamp,
    /// Other tags of the same commit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// The version that a chart of this tag has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart_version: Option<String>,
    /// Why the tag cannot be the version of a chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_a_chart_version: Option<String>,
    /// A tag that could be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// Files that differ from the tag before, from the root of the git repository; at most a hundred.
    pub changed: Vec<String>,
    /// It is not part of the tag before.
    pub is_new: bool,
}

/// What the tags of a services repository say.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Versions by instance: releases first, newest first.
    pub instances: BTreeMap<String, Vec<InstanceVersion>>,
    /// Versions of charts in a registry by instance, in the same order.
    pub charts: BTreeMap<String, Vec<ChartVersion>>,
    /// History is left out, and so may be tags.
    pub is_shallow: bool,
    /// Tags that do not point to a commit.
    pub not_commits: Vec<String>,
}

/// Tags of one commit.
struct Tagged {
    commit: CommitInfo,
    /// The one that gives the version its name first.
    names: Vec<TagName>,
}

/// An instance at the tag before.
struct Before {
    rest: Arc<Vec<Entry>>,
    folder: Id,
    is_wide: bool,
    parts: Parts,
}

/// Walks over all tags. With `only`, changed files are told, and only of that instance.
///
/// # Errors
///
/// Git fails, there are no tags, or no tag has the instance.
pub fn history(location: &Location, only: Option<&str>) -> Result<History, VersionsError> {
    let only = only.map(str::to_lowercase);
    let mut reader = Reader::new(location)?;
    let (tagged, not_commits) = tags(location, &mut reader)?;
    let roots: Vec<Id> = tagged.iter().map(|tag| tag.commit.tree).collect();
    reader.layouts_ahead(location, &roots)?;
    let mut before: HashMap<String, Before> = HashMap::new();
    let mut instances: BTreeMap<String, Vec<InstanceVersion>> = BTreeMap::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for tag in &tagged {
        let layout = reader.layout(location, tag.commit.tree)?;
        let Some(layout) = layout else {
            before.clear();
            continue;
        };
        before.retain(|name, _| layout.instances.contains_key(name));
        for (name, (path, folder)) in &layout.instances {
            if only.as_ref().is_some_and(|only| only != name) {
                known.insert(name.clone());
                continue;
            }
            let last = before.get(name);
            if last.is_some_and(|last| {
                !last.is_wide && last.folder == *folder && same(&last.rest, &layout.rest)
            }) {
                continue;
            }
            let reached = reader.reached(location, &layout, path)?;
            let is_changed = last.is_none_or(|last| last.parts != reached.parts);
            if is_changed {
                let changed = match (&only, last) {
                    (Some(_), Some(last)) => {
                        reader.changed_files(&last.parts, &reached.parts, MOST_FILES)?
                    }
                    _ => Vec::new(),
                };
                let version = version(tag, changed, last.is_none());
                instances.entry(name.clone()).or_default().push(version);
            }
            let now = Before {
                rest: Arc::clone(&layout.rest),
                folder: *folder,
                is_wide: reached.is_wide,
                parts: reached.parts,
            };
            before.insert(name.clone(), now);
        }
    }
    if let Some(only) = only
        && !instances.contains_key(&only)
    {
        return Err(VersionsError::NoSuchInstance {
            repository: location.shown.clone(),
            instance: only,
            known: known.into_iter().collect(),
        });
    }
    for versions in instances.values_mut() {
        sort(versions);
    }
    Ok(History {
        instances,
        charts: BTreeMap::new(),
        is_shallow: location.is_shallow,
        not_commits,
    })
}

fn same(left: &Arc<Vec<Entry>>, right: &Arc<Vec<Entry>>) -> bool {
    Arc::ptr_eq(left, right) || left == right
}

/// Releases first, newest first; a name that is no version by the date of its commit.
fn sort(versions: &mut [InstanceVersion]) {
    versions.sort_by_cached_key(|version| {
        let name = TagName::new(&version.version);
        let date = match version.kind {
            Kind::Other => version.date.as_second(),
            Kind::PreRelease | Kind::Release => 0,
        };
        std::cmp::Reverse((name.kind(), date, ByOrder(name)))
    });
}

/// A tag as a key to sort by.
struct ByOrder(TagName);

impl PartialEq for ByOrder {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByOrder {}

impl PartialOrd for ByOrder {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByOrder {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.order(&other.0)
    }
}

fn version(tag: &Tagged, changed: Vec<String>, is_new: bool) -> InstanceVersion {
    let mut names = tag.names.iter();
    let unnamed = TagName::new("");
    let name = names.next().unwrap_or(&unnamed);
    let chart = name.chart_version();
    let problem = chart.as_ref().err();
    InstanceVersion {
        version: name.as_str().to_owned(),
        kind: name.kind(),
        commit: tag.commit.id.to_string(),
        date: Timestamp::from_second(tag.commit.seconds).unwrap_or_default(),
        also: names.map(|name| name.as_str().to_owned()).collect(),
        not_a_chart_version: problem.map(|problem| problem.why.clone()),
        suggestion: problem.and_then(|problem| problem.suggestion.clone()),
        chart_version: chart.ok(),
        changed,
        is_new,
    }
}

/// The tags by the date of their commits, oldest first, and those that lead to no commit.
fn tags(
    location: &Location,
    reader: &mut Reader,
) -> Result<(Vec<Tagged>, Vec<String>), VersionsError> {
    let references = location.references()?;
    if references.is_empty() {
        return Err(VersionsError::NoTags {
            repository: location.shown.clone(),
            is_shallow: location.is_shallow,
        });
    }
    let mut by_commit: HashMap<Id, Tagged> = HashMap::new();
    let mut not_commits = Vec::new();
    let ids: Vec<Id> = references.iter().map(|(_, id)| *id).collect();
    let commits = reader.objects.commits(&ids)?;
    for ((name, _), commit) in references.into_iter().zip(commits) {
        match commit {
            Some(commit) => by_commit
                .entry(commit.id)
                .or_insert_with(|| Tagged {
                    commit,
                    names: Vec::new(),
                })
                .names
                .push(TagName::new(&name)),
            None => not_commits.push(name),
        }
    }
    let mut tagged: Vec<Tagged> = by_commit.into_values().collect();
    for tag in &mut tagged {
        tag.names.sort_by(|a, b| b.order(a));
    }
    let dates: HashSet<i64> = tagged.iter().map(|tag| tag.commit.seconds).collect();
    let age: HashMap<Id, usize> = if dates.len() == tagged.len() {
        HashMap::new()
    } else {
        // commits of the same second: the one that came out of the other is the newer one
        let commits = location.newest_first()?;
        commits
            .into_iter()
            .enumerate()
            .map(|(age, id)| (id, age))
            .collect()
    };
    tagged.sort_by(|a, b| {
        let age = |tag: &Tagged| age.get(&tag.commit.id).copied().unwrap_or_default();
        (a.commit.seconds.cmp(&b.commit.seconds))
            .then_with(|| age(b).cmp(&age(a)))
            .then_with(|| match (a.names.first(), b.names.first()) {
                (Some(a), Some(b)) => a.order(b),
                _ => std::cmp::Ordering::Equal,
            })
    });
    Ok((tagged, not_commits))
}
