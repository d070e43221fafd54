//! A chart while it is being rendered: the names, dependencies and values that this release gives
//! it.

use std::sync::Arc;

use crate::chart::{Chart, Metadata};
use crate::yaml::Value;

/// Cloned for each alias: metadata apart, values shared until they change.
#[derive(Clone)]
pub(super) struct Active<'c> {
    pub(super) chart: &'c Chart,
    /// The chart's metadata with its alias and with what is enabled.
    pub(super) metadata: Metadata,
    /// Defaults, to which `import-values` adds.
    pub(super) values: Arc<Value>,
    pub(super) children: Vec<Active<'c>>,
}

impl<'c> Active<'c> {
    pub(super) fn new(chart: &'c Chart) -> Self {
        Self {
            chart,
            metadata: chart.metadata.clone(),
            values: Arc::clone(&chart.values),
            children: chart
                .dependencies
                .iter()
                .map(|child| Self::new(child))
                .collect(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.metadata.name
    }
}
