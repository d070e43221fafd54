//! The command line: clap types only, one file per noun.
//!
//! Nothing here reads files or the environment by hand; defaults that come from files are resolved in
//! [`crate::settings`].

pub mod alarm;
pub mod auth;
pub mod autosave;
pub mod beamline;
pub mod build;
pub mod bus;
pub mod chart;
pub mod check;
pub mod cluster;
pub mod complete;
pub mod deploy;
pub mod global;
pub mod image;
pub mod import;
pub mod lifecycle;
pub mod logs;
pub mod new;
pub mod node;
pub mod ps;
pub mod pv;
pub mod release;
pub mod render;
pub mod shell;
pub mod status;
pub mod versions;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

use crate::cli::global::GlobalArgs;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Build, deploy and watch EPICS IOCs
#[derive(Debug, Parser)]
#[command(name = "ioc", version, styles = STYLES, max_term_width = 100)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  ioc build ioc-sim               build an image and the images below it
  ioc check beamlines/t01         find mistakes before deploying
  ioc deploy t01-ea-ioc-01        deploy an instance and wait until it answers
  ioc ps                          what runs, where, in which version
  ioc attach t01-ea-ioc-01        type into its IOC shell

Exit codes are listed in docs/exit-codes.md.")]
pub struct Cli {
    /// Options that every command has.
    #[command(flatten)]
    pub global: GlobalArgs,

    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// One variant per verb.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write a new beamline, IOC instance or generic IOC
    New(new::NewArgs),
    /// Build generic IOC images, base first, only what changed
    Build(build::BuildArgs),
    /// Look at images: list, graph, show; make a base image
    Image(image::ImageArgs),
    /// Lint, package, push, pull and look at charts, as helm does
    Chart(chart::ChartArgs),
    /// Read definitions that other tools wrote
    Import(import::ImportArgs),
    /// Find mistakes in a services repository before deploying
    Check(check::CheckArgs),
    /// Print the manifests of an instance
    Render(render::RenderArgs),
    /// Show what a deploy would change, by resource, field and record
    Diff(render::DiffArgs),
    /// List the git tags at which an instance changed
    Versions(versions::VersionsArgs),
    /// Release a git tag: build, check and push images and charts, write notes
    Release(release::ReleaseArgs),
    /// Deploy instances and wait until they answer
    Deploy(deploy::DeployArgs),
    /// Go back to an earlier revision of an instance
    Rollback(deploy::RollbackArgs),
    /// List the revisions of an instance
    History(deploy::HistoryArgs),
    /// List instances with state, health, version, image and node
    Ps(ps::PsArgs),
    /// Tell the whole story of an instance: why it is as it is, and what to do
    Status(status::StatusArgs),
    /// Print or follow the logs of instances
    Logs(logs::LogsArgs),
    /// Attach to the IOC shell of an instance
    Attach(shell::AttachArgs),
    /// Run a command in the container of an instance
    Exec(shell::ExecArgs),
    /// Saved settings of an instance: list, show, copy, restore
    Autosave(autosave::AutosaveArgs),
    /// Start instances that were stopped
    Start(lifecycle::StartArgs),
    /// Stop instances; they stay stopped until started
    Stop(lifecycle::StopArgs),
    /// Restart instances
    Restart(lifecycle::RestartArgs),
    /// Move an instance to another node of its cluster
    Move(node::MoveArgs),
    /// Look at the nodes of a cluster: what runs there, what happens if one fails
    Node(node::NodeArgs),
    /// List beamlines; make what one needs on a cluster
    Beamline(beamline::BeamlineVerbArgs),
    /// The alarm system: configurations, the server, looking and acknowledging
    Alarm(alarm::AlarmArgs),
    /// Read, write and follow process variables
    Pv(pv::PvArgs),
    /// Ask what the cluster lets you do
    Auth(auth::AuthArgs),
    /// Remove instances and their release history
    Delete(lifecycle::DeleteArgs),
    /// Print the script that makes a shell complete `ioc` commands
    Completion(complete::CompletionArgs),
}
