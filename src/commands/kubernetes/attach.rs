//! `ioc attach` on a cluster: the IOC shell in a pod.

use crate::cli::shell::AttachArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn attach(
    _args: &AttachArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet(
        "attach",
        "`kubectl attach -it -n NAMESPACE POD` attaches",
    ))
}
