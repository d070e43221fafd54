//! Where the pods of an instance can run, and what happens to them when their node fails.
//!
//! Pure: nodes, pods, claims and volumes as the cluster has them go in, findings and plans come out. It follows the
//! rules of the scheduler and of the kubelet as far as they concern IOCs, and says what it cannot know from the API
//! (devices, folders of a node). It does not read the cluster (that is [`super::survey`]) and changes nothing.

pub mod check;
pub mod image;
pub mod moved;
pub mod node;
pub mod outage;
pub mod pin;
pub mod port;
pub mod resource;
pub mod scheduling;
#[cfg(test)]
pub(crate) mod testing;
pub mod volume;
pub mod workload;

use serde::Serialize;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// It will not run there.
    Blocks,
    /// It will probably run there, but not as people expect, or it cannot be known from here.
    Warns,
    /// Good to know.
    Notes,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// The state of the node.
    Node,
    /// Labels that selectors and affinity ask for.
    Label,
    /// Taints and tolerations.
    Taint,
    /// Requests of CPU, memory and pods.
    Resource,
    /// Images.
    Image,
    /// Devices of the node.
    Device,
    /// Ports of the node.
    Port,
    /// Volumes and what is in them.
    Volume,
}

impl About {
    /// One word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Label => "labels",
            Self::Taint => "taints",
            Self::Resource => "resources",
            Self::Image => "image",
            Self::Device => "device",
            Self::Port => "ports",
            Self::Volume => "volume",
        }
    }
}

/// One thing that was found while a pod was held against a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub weight: Weight,
    /// What it is about.
    pub about: About,
    /// In words, for people.
    pub message: String,
    /// One thing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    /// It will not run there.
    pub fn blocks(about: About, message: impl Into<String>) -> Self {
        Self::new(Weight::Blocks, about, message)
    }

    /// Not as people expect, or not known.
    pub fn warns(about: About, message: impl Into<String>) -> Self {
        Self::new(Weight::Warns, about, message)
    }

    /// Good to know.
    pub fn notes(about: About, message: impl Into<String>) -> Self {
        Self::new(Weight::Notes, about, message)
    }

    fn new(weight: Weight, about: About, message: impl Into<String>) -> Self {
        Self {
            weight,
            about,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
