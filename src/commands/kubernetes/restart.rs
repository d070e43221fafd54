//! `ioc restart` on a cluster: pods made anew.

use crate::cli::lifecycle::RestartArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn restart(
    _args: &RestartArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet(
        "restart",
        "`kubectl rollout restart statefulset/NAME` restarts it",
    ))
}
