//! The states of a release.

use serde::{Deserialize, Serialize};

/// The state of one revision of a release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not known.
    #[default]
    Unknown,
    /// In use.
    Deployed,
    /// Removed, the record kept.
    Uninstalled,
    /// Replaced by a later revision.
    Superseded,
    /// Not brought up.
    Failed,
    /// Being removed.
    Uninstalling,
    /// The first revision is being brought up.
    PendingInstall,
    /// A later revision is being brought up.
    PendingUpgrade,
    /// An older revision is being brought back.
    PendingRollback,
}

impl Status {
    /// Helm's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// Whether some client is, or was, in the middle of a change.
    pub const fn is_pending(self) -> bool {
        matches!(
            self,
            Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback
        )
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}
