//! `ioc history` on a cluster: the revisions of a release.

use crate::cli::deploy::HistoryArgs;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::ui::error::CommandResult;

/// Does not work yet.
///
/// # Errors
///
/// Says so, and what does it meanwhile.
pub(crate) async fn history(
    _args: &HistoryArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let _cluster = target::connect(choice, context).await?;
    Err(target::not_yet(
        "history",
        "`helm history` lists the revisions",
    ))
}
