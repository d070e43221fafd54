//! From an instance of a services repository to what a deploy needs.

use crate::commands::Context;
use crate::fleet::deploy::Desired;
use crate::fleet::session::Session;
use crate::services::{ReleaseFacts, Selection, ValueOverrides};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Renders an instance as the next revision of its release.
///
/// # Errors
///
/// Mistakes in its chart or values, each with its place.
pub(crate) fn desired(
    selection: &Selection,
    _overrides: &ValueOverrides,
    session: &Session<'_>,
    _context: &Context,
) -> CommandResult<Desired> {
    let _facts = ReleaseFacts {
        name: selection.instance.name().to_owned(),
        namespace: selection.beamline.namespace.clone(),
        revision: session.next_revision(),
        is_upgrade: !session.history().is_empty(),
    };
    Err(CommandError::new(
        ErrorKind::Unsupported,
        "charts cannot be rendered yet",
    ))
}
