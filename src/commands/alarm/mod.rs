//! `ioc alarm`: one file per verb.

mod config;

use crate::cli::alarm::{AlarmVerb, ConfigVerb};
use crate::commands::{Context, Outcome};
use crate::ui::error::CommandResult;

/// Runs a verb of `ioc alarm`.
///
/// # Errors
///
/// What the verb could not do.
pub(crate) async fn alarm(verb: AlarmVerb, context: &Context) -> CommandResult<Outcome> {
    match verb {
        AlarmVerb::Config(args) => match args.verb {
            ConfigVerb::Check(args) => config::check::check(&args, context),
            ConfigVerb::Diff(args) => config::diff::diff(&args, context).await,
            ConfigVerb::Apply(args) => config::apply::apply(&args, context).await,
            ConfigVerb::Export(args) => config::export::export(&args, context).await,
            ConfigVerb::Convert(args) => config::convert::convert(&args, context),
        },
    }
}
