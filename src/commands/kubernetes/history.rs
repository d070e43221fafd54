//! `ioc history` on a cluster: the revisions of a release, as `helm history` has them.

use crate::cli::deploy::HistoryArgs;
use crate::commands::history::show;
use crate::commands::{Context, Outcome, target};
use crate::fleet::kubernetes::{ClusterChoice, ClusterRelease};
use crate::ui::error::CommandResult;

/// Lists the revisions, oldest first.
///
/// # Errors
///
/// An instance that is not deployed, or records that cannot be read.
pub(crate) async fn history(
    args: &HistoryArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let cluster = target::connect(choice, context).await?;
    let release = ClusterRelease::open(&cluster, &args.instance).await?;
    let records = release.history();
    if records.is_empty() {
        release.must_exist().await?;
    }
    show(&records, context)?;
    Ok(Outcome::Success)
}
