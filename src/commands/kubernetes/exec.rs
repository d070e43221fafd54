//! `ioc exec` on a cluster: a command in a pod.

use crate::cli::shell::ExecArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn exec(
    _args: &ExecArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet(
        "exec",
        "`kubectl exec -it -n NAMESPACE POD -- COMMAND` runs a command",
    ))
}
