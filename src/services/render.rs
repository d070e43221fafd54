//! An instance becomes manifests: its chart, its values, the facts of the release.

use std::path::PathBuf;

use crate::cli::render::ValueArgs;

/// Values that override those of the services repository, weakest first: files in order, then each kind
/// of `--set` in the order of Helm (`--set-json`, `--set`, `--set-string`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueOverrides {
    /// More value files.
    pub files: Vec<PathBuf>,
    /// `a.b=1,c[0]=x`, with types guessed as Helm does.
    pub set: Vec<String>,
    /// The same, all values strings.
    pub set_string: Vec<String>,
    /// `key=JSON`, or a JSON object.
    pub set_json: Vec<String>,
}

impl From<&ValueArgs> for ValueOverrides {
    fn from(args: &ValueArgs) -> Self {
        Self {
            files: args.files.clone(),
            set: args.set.clone(),
            set_string: args.set_string.clone(),
            set_json: args.set_json.clone(),
        }
    }
}

/// What templates see as `.Release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// Name of the release, which is the name of the instance.
    pub name: String,
    /// Namespace of the beamline.
    pub namespace: String,
    /// Revision that this becomes, from 1.
    pub revision: u32,
    /// Whether an earlier revision exists.
    pub is_upgrade: bool,
}
