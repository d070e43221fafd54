//! From an instance of a services repository to what a deploy needs.

use crate::fleet::deploy::Desired;
use crate::fleet::release::{self, Record};
use crate::fleet::store::states;
use crate::services::{ReleaseFacts, Selection, ValueOverrides};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Renders an instance as the next revision of a release with this history.
///
/// # Errors
///
/// Mistakes in its chart or values, each with its place.
pub(crate) fn desired(
    selection: &Selection,
    _overrides: &ValueOverrides,
    history: &[Record],
) -> CommandResult<Desired> {
    let _facts = ReleaseFacts {
        name: selection.instance.name().to_owned(),
        namespace: selection.beamline.namespace.clone(),
        revision: release::next_revision(&states(history)),
        is_upgrade: !history.is_empty(),
    };
    Err(CommandError::new(
        ErrorKind::Unsupported,
        "charts cannot be rendered yet",
    ))
}
