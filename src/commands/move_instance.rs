//! `ioc move`: an instance to another node. Only a cluster has several.

use crate::cli::node::MoveArgs;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, kubernetes};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Moves an instance.
///
/// # Errors
///
/// An instance of this machine; else as on a cluster.
pub(crate) async fn move_instance(args: &MoveArgs, context: &Context) -> CommandResult<Outcome> {
    let names = [args.instance.clone()];
    match target::of_instances(&names, &args.beamline, &args.cluster, context)? {
        Target::Cluster(choice) => {
            Box::pin(kubernetes::move_instance::move_instance(
                args, &choice, context,
            ))
            .await
        }
        Target::Local => Err(CommandError::new(
            ErrorKind::Unsupported,
            format!(
                "`{}` runs on this machine, which is its only node",
                args.instance
            ),
        )
        .hint("`--namespace` means a Kubernetes cluster")),
    }
}
