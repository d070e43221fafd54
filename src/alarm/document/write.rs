//! From an alarm tree to YAML and JSON.

use alarm::config::{Action, Enabled, LeafConfig, Notes, TitleDetail};
use alarm::files::{Branch, Entry, TreeFile};
use alarm::wire::config::write_date;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Writes the tree as YAML. PVs of a group come before its groups.
///
/// # Errors
///
/// None that is known: what the library refuses to write.
pub fn to_yaml(tree: &TreeFile) -> Result<String, String> {
    crate::yaml::to_string(&Document(tree)).map_err(|error| error.to_string())
}

/// Writes the tree as JSON, with the names that it has in YAML.
///
/// # Errors
///
/// None that is known: what the library refuses to write.
pub fn to_json(tree: &TreeFile) -> Result<String, String> {
    let mut text =
        serde_json::to_string_pretty(&Document(tree)).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

struct Document<'a>(&'a TreeFile);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("configuration", &self.0.name)?;
        notes(&mut map, &self.0.notes)?;
        entries(&mut map, &self.0.entries)?;
        map.end()
    }
}

struct Group<'a>(&'a Branch);

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        notes(&mut map, &self.0.notes)?;
        entries(&mut map, &self.0.entries)?;
        map.end()
    }
}

struct Groups<'a>(&'a [Entry]);

impl Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let groups = self.0.iter().filter_map(|entry| match entry {
            Entry::Group(branch) => Some((&branch.name, Group(branch))),
            Entry::Pv { .. } => None,
        });
        serializer.collect_map(groups)
    }
}

struct Pvs<'a>(&'a [Entry]);

impl Serialize for Pvs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pvs = self.0.iter().filter_map(|entry| match entry {
            Entry::Pv { name, config, .. } => Some((name, Pv { name, config })),
            Entry::Group(_) => None,
        });
        serializer.collect_map(pvs)
    }
}

struct Pv<'a> {
    name: &'a str,
    config: &'a LeafConfig,
}

impl Serialize for Pv<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let config = self.config;
        let mut map = serializer.serialize_map(None)?;
        if config.description != self.name {
            map.serialize_entry("description", &config.description)?;
        }
        match config.enabled {
            Enabled::Yes => {}
            Enabled::No => map.serialize_entry("enabled", &false)?,
            Enabled::Until(date) => map.serialize_entry("enabled", &write_date(date))?,
        }
        if !config.latching {
            map.serialize_entry("latching", &false)?;
        }
        if !config.annunciating {
            map.serialize_entry("annunciating", &false)?;
        }
        if config.delay > 0 {
            map.serialize_entry("delay", &config.delay)?;
        }
        if config.count > 0 {
            map.serialize_entry("count", &config.count)?;
        }
        if !config.filter.is_empty() {
            map.serialize_entry("filter", &config.filter)?;
        }
        notes(&mut map, &config.notes)?;
        map.end()
    }
}

fn entries<M: SerializeMap>(map: &mut M, entries: &[Entry]) -> Result<(), M::Error> {
    if entries
        .iter()
        .any(|entry| matches!(entry, Entry::Pv { .. }))
    {
        map.serialize_entry("pvs", &Pvs(entries))?;
    }
    if entries.iter().any(|entry| matches!(entry, Entry::Group(_))) {
        map.serialize_entry("groups", &Groups(entries))?;
    }
    Ok(())
}

fn notes<M: SerializeMap>(map: &mut M, notes: &Notes) -> Result<(), M::Error> {
    for (field, items) in [
        ("guidance", &notes.guidance),
        ("displays", &notes.displays),
        ("commands", &notes.commands),
    ] {
        if !items.is_empty() {
            let items: Vec<Note<'_>> = items.iter().map(Note).collect();
            map.serialize_entry(field, &items)?;
        }
    }
    if !notes.actions.is_empty() {
        let actions: Vec<Automatic<'_>> = notes.actions.iter().map(Automatic).collect();
        map.serialize_entry("actions", &actions)?;
    }
    Ok(())
}

struct Note<'a>(&'a TitleDetail);

impl Serialize for Note<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.title.is_empty() {
            return serializer.serialize_str(&self.0.details);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("title", &self.0.title)?;
        map.serialize_entry("details", &self.0.details)?;
        map.end()
    }
}

struct Automatic<'a>(&'a Action);

impl Serialize for Automatic<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.title.is_empty() && self.0.delay == 0 {
            return serializer.serialize_str(&self.0.details);
        }
        let mut map = serializer.serialize_map(None)?;
        if !self.0.title.is_empty() {
            map.serialize_entry("title", &self.0.title)?;
        }
        map.serialize_entry("details", &self.0.details)?;
        if self.0.delay > 0 {
            map.serialize_entry("delay", &self.0.delay)?;
        }
        map.end()
    }
}
