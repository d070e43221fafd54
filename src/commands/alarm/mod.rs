//! `ioc alarm`: one file per verb.

mod config;
mod simulate;

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
        AlarmVerb::Simulate(args) => simulate::simulate(&args, context),
        AlarmVerb::Config(args) => match args.verb {
            ConfigVerb::Check(args) => config::check::check(&args, context).await,
            ConfigVerb::Diff(args) => config::diff::diff(&args, context).await,
            ConfigVerb::Apply(args) => config::apply::apply(&args, context).await,
            ConfigVerb::Export(args) => config::export::export(&args, context).await,
            ConfigVerb::Generate(args) => config::generate::generate(&args, context).await,
            ConfigVerb::Convert(args) => config::convert::convert(&args, context),
        },
    }
}
