//! A chart while it is being rendered: the names, dependencies and values that this release gives
//! it.

use std::rc::Rc;
use std::sync::Arc;

use crate::chart::{Chart, Metadata};
use crate::yaml::Value;

pub(super) struct Active<'c> {
    pub(super) chart: &'c Chart,
    /// The chart's metadata with its alias and with what is enabled.
    pub(super) metadata: Metadata,
    /// Defaults, to which `import-values` adds.
    pub(super) values: Rc<Value>,
    pub(super) children: Vec<Active<'c>>,
}

impl<'c> Active<'c> {
    pub(super) fn new(chart: &'c Chart) -> Self {
        Self {
            chart,
            metadata: chart.metadata.clone(),
            values: Rc::new(Value::Null),
            children: chart
                .dependencies
                .iter()
                .map(|child| Self::new(child))
                .collect(),
        }
        .with_values(&chart.values)
    }

    fn with_values(mut self, values: &Arc<Value>) -> Self {
        self.values = Rc::new(values.as_ref().clone());
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.metadata.name
    }
}

impl Clone for Active<'_> {
    /// As Helm copies a chart for each alias: metadata apart, values shared until they change.
    fn clone(&self) -> Self {
        Self {
            chart: self.chart,
            metadata: self.metadata.clone(),
            values: Rc::clone(&self.values),
            children: self.children.clone(),
        }
    }
}
