//! `ioc diff` on a cluster: what a deploy would change.

use crate::cli::render::DiffArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn diff(
    _args: &DiffArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet(
        "diff",
        "`ioc render` prints the manifests; `kubectl diff -f -` compares them",
    ))
}
