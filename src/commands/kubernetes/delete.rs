//! `ioc delete` on a cluster: releases are removed.

use crate::cli::lifecycle::DeleteArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn delete(
    _args: &DeleteArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet("delete", "`helm uninstall` removes it"))
}
