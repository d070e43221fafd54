//! What has to be published so that the bus has the configuration of a file: the difference, and nothing else.
//!
//! [`OnBus`] reads the records of a configuration's topic as an alarm server does; [`Plan::new`] compares it with a
//! file; [`Plan::records`] are the records to publish, in their order: what is in the way of something else goes
//! first, then comes what is new or different, parents before children, then goes what is no longer wanted, children
//! before parents. A PV that moves from one group to another is thus never without supervision.

pub(crate) mod fields;
mod on_bus;
mod report;

use std::collections::HashSet;

use jiff::civil::DateTime;
use serde::Serialize;

use crate::config::{Enabled, LeafConfig, Notes};
use crate::files::{Item, TreeFile};
use crate::path::AlarmPath;
use crate::tree::Content;
use crate::wire::config::{ConfigMessage, Signed};
use crate::wire::key::{Key, Kind};

pub use fields::FieldChange;
pub use on_bus::{OnBus, PassedOver};
pub use report::{Extra, Field, Report, Shelved, StepReport};

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// A group.
    Group,
    /// A PV.
    Pv,
}

impl Sort {
    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Pv => "PV",
        }
    }
}

/// What a plan may do.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// Delete what is on the bus and not in the file.
    pub prune: bool,
    /// Take away dates until which PVs are disabled on the bus and not in the file. Without this they stay: somebody
    /// has shelved the PV.
    pub unshelve: bool,
    /// Local time of the server: a date before it counts as enabled.
    pub now: DateTime,
}

/// What is done with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is new.
    Add {
        /// Where.
        path: AlarmPath,
        /// What it is.
        sort: Sort,
        /// Its definition.
        message: ConfigMessage,
    },
    /// Its definition is replaced.
    Change {
        /// Where.
        path: AlarmPath,
        /// What it is.
        sort: Sort,
        /// What is different.
        fields: Vec<FieldChange>,
        /// Its new definition.
        message: ConfigMessage,
    },
    /// It goes.
    Remove {
        /// Where.
        path: AlarmPath,
        /// What it was.
        sort: Sort,
    },
}

impl Step {
    /// Which item.
    pub fn path(&self) -> &AlarmPath {
        match self {
            Self::Add { path, .. } | Self::Change { path, .. } | Self::Remove { path, .. } => path,
        }
    }

    /// What the item is.
    pub fn sort(&self) -> Sort {
        match self {
            Self::Add { sort, .. } | Self::Change { sort, .. } | Self::Remove { sort, .. } => *sort,
        }
    }
}

/// A record to publish on the topic of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRecord {
    /// Its key.
    pub key: String,
    /// Its text; `None` is a tombstone.
    pub value: Option<String>,
}

/// A group in the file is a PV on the bus, or the other way round, and nothing may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTheWay {
    /// Where.
    pub path: AlarmPath,
    /// What is on the bus.
    pub on_bus: Sort,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In their order.
    pub steps: Vec<Step>,
    /// PVs that stay disabled until a date which the file does not have.
    pub shelved: Vec<(AlarmPath, DateTime)>,
    /// What is on the bus and not in the file, and stays.
    pub extra: Vec<(AlarmPath, Sort)>,
    /// How many PVs are as the file wants them.
    pub unchanged: usize,
}

impl Plan {
    /// Compares a file with the bus. Both must be of the same configuration.
    ///
    /// # Errors
    ///
    /// Items that are a PV here and a group there, unless deleting is allowed.
    pub fn new(file: &TreeFile, on_bus: &OnBus, wishes: Wishes) -> Result<Self, Vec<InTheWay>> {
        let mut first = Vec::new();
        let mut puts = Vec::new();
        let mut in_the_way = Vec::new();
        let mut gone = HashSet::new();
        let mut wanted = HashSet::new();
        let mut shelved = Vec::new();
        let mut unchanged = 0;
        for (path, item) in file.items() {
            let is_root = path.depth() == 1;
            let before = on_bus.find(&path).filter(|_| !gone.contains(&path));
            match (item, before) {
                (Item::Group(notes), Some(Content::Group { own, .. })) => {
                    let fields = fields::of_notes(own, notes);
                    if !fields.is_empty() {
                        puts.push(Step::Change {
                            path: path.clone(),
                            sort: Sort::Group,
                            fields,
                            message: ConfigMessage::Group(notes.clone()),
                        });
                    }
                }
                (Item::Pv(config), Some(Content::Leaf(own))) => {
                    let mut config = current(config, wishes.now);
                    let own = current(own, wishes.now);
                    if let (Enabled::Yes, Enabled::Until(date), false) =
                        (config.enabled, own.enabled, wishes.unshelve)
                    {
                        config.enabled = own.enabled;
                        shelved.push((path.clone(), date));
                    }
                    let fields = fields::of_leaf(&own, &config);
                    if fields.is_empty() {
                        unchanged += 1;
                    } else {
                        puts.push(Step::Change {
                            path: path.clone(),
                            sort: Sort::Pv,
                            fields,
                            message: ConfigMessage::Leaf(config),
                        });
                    }
                }
                (item, Some(other)) => {
                    let sort = sort(other);
                    if wishes.prune {
                        for (below, sort) in on_bus.below(&path).into_iter().rev() {
                            gone.insert(below.clone());
                            first.push(Step::Remove { path: below, sort });
                        }
                        puts.push(add(path.clone(), item, wishes.now));
                    } else {
                        in_the_way.push(InTheWay {
                            path: path.clone(),
                            on_bus: sort,
                        });
                    }
                }
                // the root is there without a record
                (Item::Group(notes), None) if is_root && *notes == Notes::default() => {}
                (item, None) => puts.push(add(path.clone(), item, wishes.now)),
            }
            wanted.insert(path);
        }
        if !in_the_way.is_empty() {
            return Err(in_the_way);
        }
        let mut extra = on_bus.items();
        extra.retain(|(path, _sort)| !wanted.contains(path) && !gone.contains(path));
        let mut steps = first;
        steps.append(&mut puts);
        if wishes.prune {
            let removed = extra.drain(..).rev();
            steps.extend(removed.map(|(path, sort)| Step::Remove { path, sort }));
        }
        Ok(Self {
            steps,
            shelved,
            extra,
            unchanged,
        })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The records to publish, signed: exactly as a client of Phoebus writes them.
    pub fn records(&self, user: &str, host: &str) -> Vec<ConfigRecord> {
        let mut records = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let key = Key {
                kind: Kind::Config,
                path: step.path().clone(),
            }
            .to_string();
            let text = |message: ConfigMessage| {
                let (user, host) = (user.to_owned(), host.to_owned());
                let signed = Signed {
                    user,
                    host,
                    message,
                };
                Some(signed.write())
            };
            match step {
                Step::Add { message, .. } | Step::Change { message, .. } => {
                    records.push(ConfigRecord {
                        key,
                        value: text(message.clone()),
                    });
                }
                Step::Remove { .. } => {
                    // the first says who deletes it, the second does
                    records.push(ConfigRecord {
                        key: key.clone(),
                        value: text(ConfigMessage::Deleting),
                    });
                    records.push(ConfigRecord { key, value: None });
                }
            }
        }
        records
    }
}

fn add(path: AlarmPath, item: Item<'_>, now: DateTime) -> Step {
    match item {
        Item::Group(notes) => Step::Add {
            path,
            sort: Sort::Group,
            message: ConfigMessage::Group(notes.clone()),
        },
        Item::Pv(config) => Step::Add {
            path,
            sort: Sort::Pv,
            message: ConfigMessage::Leaf(current(config, now)),
        },
    }
}

fn sort<L, G>(content: &Content<L, G>) -> Sort {
    match content {
        Content::Leaf(_) => Sort::Pv,
        Content::Group { .. } => Sort::Group,
    }
}

/// The configuration as it counts now: a PV that was disabled until a date which has passed is enabled.
fn current(config: &LeafConfig, now: DateTime) -> LeafConfig {
    let mut config = config.clone();
    if matches!(config.enabled, Enabled::Until(date) if date <= now) {
        config.enabled = Enabled::Yes;
    }
    config
}

#[cfg(test)]
mod tests;
