//! The work of each verb: resolved settings and arguments in, data or effect out. One file per verb.

pub mod acting;
mod alarm;
mod at_once;
pub mod attach;
mod autosave;
pub mod beamline_init;
pub mod beamline_ls;
pub mod build;
pub mod build_shell;
pub mod can_i;
pub mod chart;
pub mod check;
pub mod completion;
pub mod delete;
pub mod deploy;
pub mod desired;
pub mod diff;
pub mod exec;
pub mod history;
pub mod image;
pub mod image_bootstrap;
mod image_sbom;
pub mod import_recipe;
mod instance_table;
mod kubernetes;
pub mod logs;
pub mod move_instance;
pub mod new_beamline;
mod new_ci;
pub mod new_generic_ioc;
pub mod new_instance;
pub mod node;
pub mod ps;
mod pv;
mod records;
pub mod release;
pub mod render;
pub mod restart;
pub mod rollback;
pub mod start;
pub mod status;
pub mod stop;
mod target;
mod versioned;
pub mod versions;

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cli::auth::AuthVerb;
use crate::cli::beamline::BeamlineVerb;
use crate::cli::image::ImageVerb;
use crate::cli::import::ImportWhat;
use crate::cli::new::NewWhat;
use crate::cli::{Cli, Verb};
use crate::settings::Settings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::printer::Printer;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All done.
    Success,
    /// It ran, and its answer is no: findings, differences.
    Negative,
    /// A program that was run for the user ended with this code.
    External(u8),
}

impl Outcome {
    /// The exit code of the process.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Success => ExitCode::SUCCESS,
            Self::Negative => ErrorKind::Negative.exit_code(),
            Self::External(code) => ExitCode::from(code),
        }
    }
}

/// What every command gets.
#[derive(Debug, Clone)]
pub struct Context {
    /// Resolved settings.
    pub settings: Settings,
    /// The way to the terminal.
    pub printer: Printer,
    /// Cancelled by the first Ctrl-C or SIGTERM; the command then leaves things as it found them or says what
    /// was done. A second Ctrl-C ends the process at once.
    pub cancel: CancellationToken,
}

/// Runs the verb of a command line.
///
/// # Errors
///
/// What the verb could not do, with the kind that decides the exit code.
pub fn dispatch(cli: Cli, printer: &Printer) -> CommandResult<Outcome> {
    if let Verb::Completion(args) = &cli.verb {
        return completion::completion(args, printer);
    }
    let context = Context {
        settings: Settings::resolve(&cli.global)?,
        printer: printer.clone(),
        cancel: CancellationToken::new(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::system(error, "failed to start"))?;
    let outcome = runtime.block_on(async {
        spawn_signal_listener(context.cancel.clone());
        Box::pin(run(cli.verb, &context)).await
    });
    // Blocking reads of standard input cannot be cancelled and must not hold the process back.
    runtime.shutdown_background();
    outcome
}

/// The first Ctrl-C or SIGTERM asks the command to stop, the second ends the process.
fn spawn_signal_listener(cancel: CancellationToken) {
    tokio::spawn(async move {
        let Ok(mut terminate) =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        else {
            return;
        };
        let mut asked = false;
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            if asked {
                #[expect(
                    clippy::exit,
                    reason = "the user asked twice: nothing may hold the process back"
                )]
                std::process::exit(i32::from(ErrorKind::Interrupted.code()));
            }
            asked = true;
            cancel.cancel();
        }
    });
}

async fn run(verb: Verb, context: &Context) -> CommandResult<Outcome> {
    match verb {
        Verb::New(args) => match (args.what, args.ci) {
            (Some(NewWhat::Beamline(args)), _) => new_beamline::new_beamline(&args, context),
            (Some(NewWhat::Instance(args)), _) => new_instance::new_instance(&args, context),
            (Some(NewWhat::GenericIoc(args)), _) => {
                new_generic_ioc::new_generic_ioc(&args, context)
            }
            (None, Some(ci)) => new_ci::new_ci(ci, args.dry_run, context),
            (None, None) => Err(
                CommandError::new(ErrorKind::Usage, "nothing says what to write")
                    .hint("`ioc new --help` lists what there is"),
            ),
        },
        Verb::Build(args) => build::build(&args, context).await,
        Verb::Image(args) => match args.verb {
            ImageVerb::Ls(_args) => image::ls(context).await,
            ImageVerb::Graph(args) => image::graph(&args, context),
            ImageVerb::Show(args) => image::show(&args, context).await,
            ImageVerb::Sbom(args) => image_sbom::sbom(&args, context).await,
            ImageVerb::Bootstrap(args) => image_bootstrap::image_bootstrap(&args, context).await,
        },
        Verb::Import(args) => match args.what {
            ImportWhat::Recipe(args) => import_recipe::import_recipe(&args, context),
        },
        Verb::Chart(args) => chart::chart(args, context).await,
        Verb::Check(args) => Box::pin(check::check(&args, context)).await,
        Verb::Render(args) => render::render(&args, context).await,
        Verb::Diff(args) => diff::diff(&args, context).await,
        Verb::Versions(args) => versions::versions(&args, context).await,
        Verb::Release(args) => Box::pin(release::release(&args, context)).await,
        Verb::Deploy(args) => Box::pin(deploy::deploy(&args, context)).await,
        Verb::Rollback(args) => Box::pin(rollback::rollback(&args, context)).await,
        Verb::History(args) => history::history(&args, context).await,
        Verb::Ps(args) => Box::pin(ps::ps(&args, context)).await,
        Verb::Status(args) => Box::pin(status::status(&args, context)).await,
        Verb::Logs(args) => Box::pin(logs::logs(&args, context)).await,
        Verb::Attach(args) => attach::attach(&args, context).await,
        Verb::Exec(args) => exec::exec(&args, context).await,
        Verb::Start(args) => start::start(&args, context).await,
        Verb::Stop(args) => stop::stop(&args, context).await,
        Verb::Restart(args) => restart::restart(&args, context).await,
        Verb::Move(args) => Box::pin(move_instance::move_instance(&args, context)).await,
        Verb::Node(args) => node::node(&args, context).await,
        Verb::Beamline(args) => match args.verb {
            BeamlineVerb::Ls(_args) => beamline_ls::beamline_ls(context),
            BeamlineVerb::Init(args) => {
                Box::pin(beamline_init::beamline_init(&args, context)).await
            }
        },
        Verb::Alarm(args) => Box::pin(alarm::alarm(args.verb, context)).await,
        Verb::Autosave(args) => Box::pin(autosave::autosave(args.verb, context)).await,
        Verb::Pv(args) => Box::pin(pv::pv(args.verb, context)).await,
        Verb::Auth(args) => match args.what {
            AuthVerb::CanI(args) => can_i::can_i(&args, context).await,
        },
        Verb::Delete(args) => delete::delete(&args, context).await,
        Verb::Completion(_args) => Err(CommandError::new(
            ErrorKind::Internal,
            "completion needs no settings and is dispatched before",
        )),
    }
}
