//! A plan as data, for whoever asks what is different: the same for the command line and the control API.

use serde::Serialize;

use crate::plan::{Plan, Sort, Step};
use crate::wire::config::write_date;

/// What is, or was, different.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How many records it takes.
    pub records: usize,
    /// PVs that are on the bus as they are wanted.
    pub unchanged_pvs: usize,
    /// What is done, in this order.
    pub steps: Vec<StepReport>,
    /// PVs that stay disabled until a date which the new configuration does not have.
    pub shelved: Vec<Shelved>,
    /// What is on the bus and not in the new configuration, and stays.
    pub not_in_the_file: Vec<Extra>,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// `add`, `change` or `remove`.
    pub action: &'static str,
    /// What the item is.
    pub kind: Sort,
    /// Where.
    pub path: String,
    /// What is different.
    pub fields: Vec<Field>,
}

/// A field that is different.
#[derive(Debug, Clone, Serialize)]
pub struct Field {
    /// Which.
    #[serde(rename = "field")]
    pub name: &'static str,
    /// On the bus.
    pub before: String,
    /// In the new configuration.
    pub after: String,
}

/// A PV that stays disabled until a date.
#[derive(Debug, Clone, Serialize)]
pub struct Shelved {
    /// Where.
    pub path: String,
    /// Local time of the server.
    pub until: String,
}

/// An item that is only on the bus.
#[derive(Debug, Clone, Serialize)]
pub struct Extra {
    /// Where.
    pub path: String,
    /// What it is.
    pub kind: Sort,
}

impl From<&Step> for StepReport {
    fn from(step: &Step) -> Self {
        let (action, fields) = match step {
            Step::Add { .. } => ("add", Vec::new()),
            Step::Remove { .. } => ("remove", Vec::new()),
            Step::Change { fields, .. } => {
                let fields = fields.iter().map(|change| Field {
                    name: change.field,
                    before: change.before.clone(),
                    after: change.after.clone(),
                });
                ("change", fields.collect())
            }
        };
        Self {
            action,
            kind: step.sort(),
            path: step.path().to_string(),
            fields,
        }
    }
}

impl From<&Plan> for Report {
    fn from(plan: &Plan) -> Self {
        let shelved = plan.shelved.iter().map(|(path, until)| Shelved {
            path: path.to_string(),
            until: write_date(*until),
        });
        let extra = plan.extra.iter().map(|(path, sort)| Extra {
            path: path.to_string(),
            kind: *sort,
        });
        Self {
            records: plan.records("", "").len(),
            unchanged_pvs: plan.unchanged,
            steps: plan.steps.iter().map(StepReport::from).collect(),
            shelved: shelved.collect(),
            not_in_the_file: extra.collect(),
        }
    }
}
