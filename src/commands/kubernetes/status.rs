//! `ioc status` on a cluster.

use crate::cli::status::StatusArgs;
use crate::commands::status;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::fleet::kubernetes::look::{find, story};
use crate::ui::error::{CommandResult, ErrorKind};

/// Tells the story.
///
/// # Errors
///
/// An instance that is not there, or the cluster's refusal.
pub(crate) async fn status(
    args: &StatusArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let cluster = target::connect(choice, context).await?;
    let mut story = match find::find(&cluster, &args.instance).await {
        Ok(found) => Box::pin(story::tell(&cluster, &found)).await?,
        // what is released and gone has a story too
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let seen = story::surroundings(&cluster).await?;
            let name = args.instance.to_lowercase();
            match story::tell_of_release(&cluster, &name, &seen).await? {
                Some(story) => story,
                None => return Err(error),
            }
        }
        Err(error) => return Err(error),
    };
    if story.row.beamline.is_empty() {
        story.row.beamline = choice.beamline.clone().unwrap_or_default();
    }
    status::show(&story, context)
}
