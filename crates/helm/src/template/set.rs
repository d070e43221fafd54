//! The namespace of templates: all files of a chart and its subcharts, in one.

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{ListNode, ParsedTemplate};
use crate::go::text::Text;

/// A template with the file that it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: Text,
    pub(crate) body: Arc<ListNode>,
    /// Path of the file, for messages.
    pub(crate) file: Arc<str>,
    pub(crate) source: Text,
}

/// Templates by name. `tpl` adds a layer of its own over the set in which it is called.
#[derive(Debug, Default)]
pub(crate) struct TemplateSet<'p> {
    parent: Option<&'p TemplateSet<'p>>,
    entries: HashMap<Text, Entry>,
}

impl<'p> TemplateSet<'p> {
    pub(crate) fn layer(parent: &'p TemplateSet<'p>) -> Self {
        Self {
            parent: Some(parent),
            entries: HashMap::new(),
        }
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Entry> {
        self.entries
            .get(name)
            .or_else(|| self.parent.and_then(|parent| parent.get(name)))
    }

    /// Adds a file: its definitions, then itself. What is empty does not replace what is there.
    pub(crate) fn add(&mut self, file: &Arc<str>, parsed: &ParsedTemplate) {
        let main = (Text::Utf8(Arc::clone(file)), &parsed.main);
        let definitions = parsed
            .definitions
            .iter()
            .map(|(name, body)| (name.clone(), body));
        for (name, body) in definitions.chain([main]) {
            if body.is_empty() && self.get(name.as_bytes()).is_some() {
                continue;
            }
            let entry = Entry {
                name: name.clone(),
                body: Arc::clone(body),
                file: Arc::clone(file),
                source: parsed.source.clone(),
            };
            self.entries.insert(name, entry);
        }
    }
}
