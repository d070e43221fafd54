//! What charts have in common, kept by content: a services repository has the same templates and
//! the same library chart in each instance.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Chart, File, Link};
use crate::go::text::Text;
use crate::schema::Schema;
use crate::template::ast::ParsedTemplate;
use crate::template::error::ParseError;
use crate::template::parser::parse;
use crate::yaml::Value;

/// A store of parsed parts, shared by all charts that are loaded with it.
///
/// It only grows, and what a link leads to is read once; drop it when a batch of charts is done.
#[derive(Debug, Default)]
pub struct ChartCache {
    templates: Store<Result<ParsedTemplate, ParseError>>,
    values: Store<Value>,
    schemas: Store<Schema>,
    archives: Store<Chart>,
    folders: Mutex<HashMap<FolderKey, Arc<Linked>>>,
    vendored: Mutex<HashMap<VendoredKey, Vendored>>,
}

/// Where a link leads, and the path that it has in the chart.
type FolderKey = (PathBuf, Arc<str>);

/// Depth, and of each file its name and where its content is in memory.
type VendoredKey = (usize, Vec<(Arc<str>, usize)>);

/// The contents are kept with the chart, so that no other can come to lie where they are.
#[derive(Debug)]
struct Vendored {
    _contents: Vec<Arc<[u8]>>,
    chart: Arc<Chart>,
}

/// What was found in a folder that a link leads to.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) files: Vec<File>,
    /// Links inside, each by its path from the link that leads here.
    pub(super) links: Vec<Link>,
}

type Store<T> = Mutex<HashMap<Arc<[u8]>, Arc<T>>>;

fn get<K: Eq + Hash + ?Sized, T>(
    store: &Mutex<HashMap<Arc<K>, Arc<T>>>,
    key: &K,
) -> Option<Arc<T>> {
    store.lock().ok().and_then(|store| store.get(key).cloned())
}

fn put<T>(store: &Store<T>, key: &Arc<[u8]>, value: T) -> Arc<T> {
    let value = Arc::new(value);
    if let Ok(mut store) = store.lock() {
        store.insert(Arc::clone(key), Arc::clone(&value));
    }
    value
}

impl ChartCache {
    pub(super) fn template(&self, data: &Arc<[u8]>) -> Arc<Result<ParsedTemplate, ParseError>> {
        get(&self.templates, data.as_ref()).unwrap_or_else(|| {
            put(
                &self.templates,
                data,
                parse(&Text::from_bytes(data.to_vec())),
            )
        })
    }

    pub(super) fn values<E>(
        &self,
        data: &Arc<[u8]>,
        read: impl FnOnce(&[u8]) -> Result<Value, E>,
    ) -> Result<Arc<Value>, E> {
        if let Some(found) = get(&self.values, data.as_ref()) {
            return Ok(found);
        }
        Ok(put(&self.values, data, read(data)?))
    }

    /// As [`Self::values`] for a text that is copied only when it is new.
    pub(crate) fn values_of<E>(
        &self,
        text: &str,
        read: impl FnOnce(&[u8]) -> Result<Value, E>,
    ) -> Result<Arc<Value>, E> {
        if let Some(found) = get(&self.values, text.as_bytes()) {
            return Ok(found);
        }
        let data = Arc::from(text.as_bytes());
        Ok(put(&self.values, &data, read(text.as_bytes())?))
    }

    pub(super) fn schema(&self, data: &Arc<[u8]>) -> Arc<Schema> {
        get(&self.schemas, data.as_ref())
            .unwrap_or_else(|| put(&self.schemas, data, Schema::new(Arc::clone(data))))
    }

    /// What a folder outside of the chart has, when it was read before.
    pub(super) fn folder(&self, target: &Path, name: &str) -> Option<Arc<Linked>> {
        let key: FolderKey = (target.to_owned(), name.into());
        self.folders.lock().ok()?.get(&key).cloned()
    }

    pub(super) fn keep_folder(&self, target: &Path, name: &str, found: Linked) {
        if let Ok(mut folders) = self.folders.lock() {
            folders.insert((target.to_owned(), name.into()), Arc::new(found));
        }
    }

    /// A vendored chart that is made of the very files that another was made of.
    pub(super) fn vendored<E>(
        &self,
        depth: usize,
        files: Vec<File>,
        make: impl FnOnce(Vec<File>) -> Result<Chart, E>,
    ) -> Result<Arc<Chart>, E> {
        let places = files
            .iter()
            .map(|file| (Arc::clone(&file.name), file.data.as_ptr().addr()));
        let key: VendoredKey = (depth, places.collect());
        if let Ok(known) = self.vendored.lock()
            && let Some(found) = known.get(&key)
        {
            return Ok(Arc::clone(&found.chart));
        }
        let contents = files.iter().map(|file| Arc::clone(&file.data)).collect();
        let chart = Arc::new(make(files)?);
        if let Ok(mut known) = self.vendored.lock() {
            let kept = Vendored {
                _contents: contents,
                chart: Arc::clone(&chart),
            };
            known.insert(key, kept);
        }
        Ok(chart)
    }

    pub(super) fn archive<E>(
        &self,
        data: &Arc<[u8]>,
        read: impl FnOnce(&[u8]) -> Result<Chart, E>,
    ) -> Result<Arc<Chart>, E> {
        if let Some(found) = get(&self.archives, data.as_ref()) {
            return Ok(found);
        }
        Ok(put(&self.archives, data, read(data)?))
    }
}
