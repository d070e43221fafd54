//! What charts have in common, kept by content: a services repository has the same templates and
//! the same library chart in each instance.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use super::Chart;
use crate::schema::Schema;
use crate::template::ast::ParsedTemplate;
use crate::template::error::ParseError;
use crate::template::parser::parse;
use crate::yaml::Value;

/// A store of parsed parts, shared by all charts that are loaded with it.
///
/// It only grows; drop it when a batch of charts is done.
#[derive(Debug, Default)]
pub struct ChartCache {
    templates: Store<Result<ParsedTemplate, ParseError>>,
    values: Store<Value>,
    schemas: Store<Schema>,
    archives: Store<Chart>,
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
        get(&self.templates, data.as_ref())
            .unwrap_or_else(|| put(&self.templates, data, parse(&String::from_utf8_lossy(data))))
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

    pub(super) fn schema(&self, data: &Arc<[u8]>) -> Arc<Schema> {
        get(&self.schemas, data.as_ref())
            .unwrap_or_else(|| put(&self.schemas, data, Schema::new(Arc::clone(data))))
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
