//! `ioc start` on a cluster: instances that were stopped run again.

use crate::cli::lifecycle::StartArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn start(
    _args: &StartArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet(
        "start",
        "`kubectl scale --replicas=1 statefulset/NAME` starts it",
    ))
}
