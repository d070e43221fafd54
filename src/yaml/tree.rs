//! YAML of any shape with the place of every key and value: for findings in files that no type describes,
//! such as values of charts.
//!
//! This reads with our YAML library and decides nothing about values: what a chart sees is read by
//! `crates/helm`, with Helm's rules.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::diagnostic::{Diagnostic, Place};
use crate::yaml;

/// A YAML document with places.
#[derive(Debug, Clone)]
pub struct Tree {
    file: Arc<File>,
    root: Spanned<Node>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    text: String,
}

/// A value and what is inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Nothing, `null` or `~`.
    Null,
    /// A boolean or a number, as text.
    Plain(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Spanned<Self>>),
    /// A mapping in the order of the file; keys of merged mappings (`<<`) come last.
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Tree {
    /// Reads the text of the file `path`.
    ///
    /// # Errors
    ///
    /// A diagnostic with the place: broken YAML, a key that stands twice, aliases without bound.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Box<Diagnostic>> {
        Self::parse_within(path, text, yaml::Bounds::DEFINITION)
    }

    /// As [`Self::parse`], with other bounds.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_within(
        path: &Path,
        text: &str,
        bounds: yaml::Bounds,
    ) -> Result<Self, Box<Diagnostic>> {
        let root = yaml::from_str_within(path, text, bounds)?;
        let (path, text) = (path.to_path_buf(), text.to_owned());
        Ok(Self {
            file: Arc::new(File { path, text }),
            root,
        })
    }

    /// The file that was read.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The whole document.
    pub fn root(&self) -> Cursor<'_> {
        Cursor {
            file: &self.file,
            key: None,
            value: &self.root,
        }
    }

    /// What stands at a path of keys and list indices.
    pub fn get<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<Cursor<'_>> {
        path.into_iter()
            .try_fold(self.root(), |cursor, segment| cursor.child(segment))
    }
}

/// A value inside a tree.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    file: &'a File,
    key: Option<&'a Spanned<String>>,
    value: &'a Spanned<Node>,
}

impl<'a> Cursor<'a> {
    /// The value.
    pub fn node(&self) -> &'a Node {
        &self.value.value
    }

    /// The value when it is text.
    pub fn text(&self) -> Option<&'a str> {
        match self.node() {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Where the value is.
    pub fn place(&self) -> Place {
        yaml::place_of(&self.file.path, &self.file.text, self.value)
    }

    /// Where its key is; where the value is when it has none.
    pub fn key_place(&self) -> Place {
        match self.key {
            Some(key) => yaml::place_of(&self.file.path, &self.file.text, key),
            None => self.place(),
        }
    }

    /// Which bytes of the file the value is.
    pub fn range(&self) -> Range<usize> {
        yaml::range_of(&self.file.text, self.value)
    }

    /// Which bytes of the file its key is; those of the value when it has none.
    pub fn key_range(&self) -> Range<usize> {
        match self.key {
            Some(key) => yaml::range_of(&self.file.text, key),
            None => self.range(),
        }
    }

    /// The value below a key or list index.
    pub fn child(&self, segment: &str) -> Option<Self> {
        match self.node() {
            Node::Map(_) => self
                .entries()
                .find(|(key, _)| *key == segment)
                .map(|(_, child)| child),
            Node::List(_) => self.items().nth(segment.parse().ok()?),
            Node::Null | Node::Plain(_) | Node::Text(_) => None,
        }
    }

    /// Keys and values of a mapping; nothing for anything else.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let file = self.file;
        let entries = match self.node() {
            Node::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(move |(key, value)| {
            let cursor = Self {
                file,
                key: Some(key),
                value,
            };
            (key.value.as_str(), cursor)
        })
    }

    /// Items of a list; nothing for anything else.
    pub fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let file = self.file;
        let items = match self.node() {
            Node::List(items) => items.as_slice(),
            _ => &[],
        };
        items.iter().map(move |value| Self {
            file,
            key: None,
            value,
        })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Node, E> {
        Ok(Node::Text(String::from_utf8_lossy(value).into_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = "\
shared: &shared
  location: hall
ioc-instance:
  <<: *shared
  image: a/b:1
  iocEnv:
    - {name: A, value: yes}
";

    fn place(path: &[&str]) -> (usize, usize) {
        let tree = Tree::parse(Path::new("values.yaml"), VALUES).unwrap();
        let place = tree.get(path.iter().copied()).unwrap().place();
        (place.line, place.column)
    }

    #[test]
    fn places_of_values_lists_and_merged_keys() {
        assert_eq!(place(&["ioc-instance", "image"]), (5, 10));
        assert_eq!(place(&["ioc-instance", "iocEnv", "0", "value"]), (7, 24));
        // a merged key is where it is merged
        assert_eq!(place(&["ioc-instance", "location"]), (4, 7));
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let deep = "[".repeat(100_000);
        assert!(Tree::parse(Path::new("values.yaml"), &deep).is_err());
    }

    #[test]
    fn empty_text_is_null() {
        let tree = Tree::parse(Path::new("values.yaml"), "# nothing\n").unwrap();
        assert_eq!(tree.root().node(), &Node::Null);
    }
}
