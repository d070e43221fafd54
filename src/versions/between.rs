//! Two tags side by side: which instances are new, changed or gone, and which tag came before another.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::VersionsError;
use super::git::{CommitInfo, Location};
use super::name::{Kind, TagName};
use super::reach::{Parts, Reader};

/// Most files that are named for one instance.
const MOST_FILES: usize = 100;

/// What became of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is not part of the first tag.
    New,
    /// Something that it is made of differs.
    Changed,
    /// It is not part of the second tag.
    Removed,
}

/// The difference of an instance between two tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceChange {
    /// What became of it.
    pub fate: Fate,
    /// Files that differ, from the root of the git repository.
    pub files: Vec<String>,
}

/// A tag and its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedCommit {
    /// The tag.
    pub tag: String,
    /// The full commit.
    pub commit: String,
    /// When it was made.
    pub date: jiff::Timestamp,
}

/// The instances that differ between two tags; with nothing before, all are new.
///
/// # Errors
///
/// A tag does not exist, or git fails.
pub fn between(
    location: &Location,
    before: Option<&str>,
    after: &str,
) -> Result<BTreeMap<String, InstanceChange>, VersionsError> {
    let mut reader = Reader::new(location)?;
    let old = match before {
        Some(tag) => instances(location, tag, &mut reader)?,
        None => BTreeMap::new(),
    };
    let new = instances(location, after, &mut reader)?;
    let mut changes = BTreeMap::new();
    for (name, parts) in &new {
        let (fate, files) = match old.get(name) {
            None => (Fate::New, Vec::new()),
            Some(before) if before == parts => continue,
            Some(before) => (
                Fate::Changed,
                reader.changed_files(before, parts, MOST_FILES)?,
            ),
        };
        changes.insert(name.clone(), InstanceChange { fate, files });
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        let gone = InstanceChange {
            fate: Fate::Removed,
            files: Vec::new(),
        };
        changes.insert(name.clone(), gone);
    }
    Ok(changes)
}

fn instances(
    location: &Location,
    tag: &str,
    reader: &mut Reader,
) -> Result<BTreeMap<String, Parts>, VersionsError> {
    let commit = commit_of(location, tag, reader)?;
    let Some(layout) = reader.layout(location, commit.tree)? else {
        return Ok(BTreeMap::new());
    };
    let mut all = BTreeMap::new();
    for (name, (folder, _)) in &layout.instances {
        let reached = reader.reached(location, &layout, folder)?;
        all.insert(name.clone(), reached.parts);
    }
    Ok(all)
}

fn commit_of(
    location: &Location,
    tag: &str,
    reader: &mut Reader,
) -> Result<CommitInfo, VersionsError> {
    let references = location.references()?;
    let Some((_, id)) = references.iter().find(|(name, _)| name == tag) else {
        return Err(VersionsError::NoSuchTag {
            repository: location.shown.clone(),
            tag: tag.to_owned(),
            known: references.into_iter().map(|(name, _)| name).collect(),
            is_shallow: location.is_shallow,
        });
    };
    reader
        .objects
        .commit(*id)?
        .ok_or_else(|| VersionsError::NotACommit {
            repository: location.shown.clone(),
            tag: tag.to_owned(),
        })
}

fn described(tag: &str, commit: CommitInfo) -> TaggedCommit {
    TaggedCommit {
        tag: tag.to_owned(),
        commit: commit.id.to_string(),
        date: jiff::Timestamp::from_second(commit.seconds).unwrap_or_default(),
    }
}

impl Location {
    /// The commit of a tag.
    ///
    /// # Errors
    ///
    /// No such tag, with what was probably meant.
    pub fn tagged(&self, tag: &str) -> Result<TaggedCommit, VersionsError> {
        let mut reader = Reader::new(self)?;
        Ok(described(tag, commit_of(self, tag, &mut reader)?))
    }

    /// The newest release before a tag that came out of the history of the tag; `None` for the first one.
    ///
    /// # Errors
    ///
    /// Git fails.
    pub fn release_before(
        &self,
        tag: &TaggedCommit,
    ) -> Result<Option<TaggedCommit>, VersionsError> {
        let merged = self.ask(
            "list the tags before it",
            &[
                "for-each-ref",
                "--format=%(refname:lstrip=2)",
                "--merged",
                &tag.commit,
                "refs/tags",
            ],
        )?;
        let mut reader = Reader::new(self)?;
        let mut newest: Option<TaggedCommit> = None;
        for name in String::from_utf8_lossy(&merged).lines() {
            if TagName::new(name).kind() != Kind::Release {
                continue;
            }
            let found = described(name, commit_of(self, name, &mut reader)?);
            let is_newer = newest.as_ref().is_none_or(|newest| {
                let order = TagName::new(name).order(&TagName::new(&newest.tag));
                (found.date, order) > (newest.date, std::cmp::Ordering::Equal)
            });
            if found.commit != tag.commit && is_newer {
                newest = Some(found);
            }
        }
        Ok(newest)
    }

    /// Tags of the commit that is checked out, a release first; and that commit.
    ///
    /// # Errors
    ///
    /// There is no commit yet, or git fails.
    pub fn head(&self) -> Result<(String, Vec<String>), VersionsError> {
        let commit = self.ask(
            "find the commit",
            &["rev-parse", "--verify", "HEAD^{commit}"],
        )?;
        let commit = String::from_utf8_lossy(&commit).trim().to_owned();
        let tags = self.ask("list the tags", &["tag", "--points-at", &commit])?;
        let mut tags: Vec<TagName> = String::from_utf8_lossy(&tags)
            .lines()
            .map(TagName::new)
            .collect();
        tags.sort_by(|a, b| b.order(a));
        Ok((
            commit,
            tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        ))
    }
}
