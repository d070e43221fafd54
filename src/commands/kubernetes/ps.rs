//! `ioc ps` on a cluster: what runs in the namespaces of clusters.

use crate::cli::ps::PsArgs;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome};
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn ps(
    _args: &PsArgs,
    targets: &[Target],
    context: &Context,
) -> CommandResult<Outcome> {
    for choice in targets.iter().filter_map(Target::cluster) {
        let _cluster = target::connect(choice, context).await?;
    }
    Err(target::not_yet(
        "ps",
        "`kubectl get pods -n NAMESPACE` lists what runs; `helm list -n NAMESPACE` the releases",
    ))
}
