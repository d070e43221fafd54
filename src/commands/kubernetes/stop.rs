//! `ioc stop` on a cluster: instances stay stopped until they are started.

use crate::cli::lifecycle::StopArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn stop(
    _args: &StopArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet(
        "stop",
        "`kubectl scale --replicas=0 statefulset/NAME` stops it",
    ))
}
