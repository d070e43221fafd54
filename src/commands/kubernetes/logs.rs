//! `ioc logs` on a cluster: logs of pods.

use crate::cli::logs::LogsArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn logs(
    _args: &LogsArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet(
        "logs",
        "`kubectl logs -n NAMESPACE POD` prints them",
    ))
}
