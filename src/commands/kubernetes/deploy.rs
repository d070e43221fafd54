//! `ioc deploy` on a cluster: instances as releases of Helm.

use crate::cli::deploy::DeployArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn deploy(
    _args: &DeployArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet(
        "deploy",
        "`ioc render` prints the manifests; `helm upgrade --install` deploys the chart",
    ))
}
