//! `ioc alarm`: one file per verb.

mod config;
mod doctor;
mod log;
mod logger;
mod ls;
pub(crate) mod operate;
pub(crate) mod reach;
mod replicas;
mod serve;
mod severity;
mod simulate;
mod stats;
mod status;
mod watch;

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
            ConfigVerb::Follow(args) => Box::pin(config::follow::follow(&args, context)).await,
            ConfigVerb::Export(args) => config::export::export(&args, context).await,
            ConfigVerb::Generate(args) => config::generate::generate(&args, context).await,
            ConfigVerb::Convert(args) => config::convert::convert(&args, context),
        },
        AlarmVerb::Serve(args) => Box::pin(serve::serve(&args, context)).await,
        AlarmVerb::Logger(args) => Box::pin(logger::logger(&args, context)).await,
        AlarmVerb::Log(args) => log::log(&args, context).await,
        AlarmVerb::Stats(args) => stats::stats(&args, context).await,
        AlarmVerb::Replicas(args) => replicas::replicas(&args, context).await,
        AlarmVerb::Ls(args) => ls::ls(&args, context).await,
        AlarmVerb::Watch(args) => Box::pin(watch::watch(&args, context)).await,
        AlarmVerb::Status(args) => status::status(&args, context).await,
        AlarmVerb::Ack(args) => operate::on_items(operate::Verb::Acknowledge, &args, context).await,
        AlarmVerb::Unack(args) => {
            operate::on_items(operate::Verb::Unacknowledge, &args, context).await
        }
        AlarmVerb::Enable(args) => operate::on_items(operate::Verb::Enable, &args, context).await,
        AlarmVerb::Disable(args) => operate::disable(&args, context).await,
        AlarmVerb::Shelve(args) => operate::shelve(&args, context).await,
        AlarmVerb::Unshelve(args) => {
            operate::on_items(operate::Verb::Unshelve, &args, context).await
        }
        AlarmVerb::Maintenance(args) => operate::maintenance(&args, context).await,
        AlarmVerb::Notify(args) => operate::notify(&args, context).await,
        AlarmVerb::Reload(args) => operate::reload(&args, context).await,
        AlarmVerb::Doctor(args) => Box::pin(doctor::doctor(&args, context)).await,
    }
}
