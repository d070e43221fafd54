//! `ioc check`: all that can be known before deploying, with file and line.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use crate::check::{self, Question, Report, Summary};
use crate::cli::check::CheckArgs;
use crate::cli::global::OutputFormat;
use crate::commands::kubernetes::preflight;
use crate::commands::{Context, Outcome, target, versioned};
use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::Engine;
use crate::fleet::kubernetes::ClusterChoice;
use crate::fleet::kubernetes::preflight::Subject;
use crate::fleet::kubernetes::survey::Survey;
use crate::fleet::manifest;
use crate::project::Backend;
use crate::services::lookup::shown;
use crate::services::{self, ReleaseFacts, Repository, ValueOverrides};
use crate::settings::{Beamline, Settings};
use crate::ui::error::{CommandError, CommandResult};
use crate::versions::selected::Wanted;

/// Runs the command.
///
/// # Errors
///
/// An unknown beamline or instance, a folder that is no services repository, an engine that fails.
pub(crate) async fn check(args: &CheckArgs, context: &Context) -> CommandResult<Outcome> {
    let settings = &context.settings;
    let targets = targets(args, context).await?;
    let (engine, no_engine) = if args.no_engine {
        (None, None)
    } else {
        match Engine::connect(settings).await {
            Ok(engine) => (Some(engine), None),
            Err(error) => (None, Some(error)),
        }
    };
    let mut reports = Vec::new();
    for target in &targets {
        let _task = context
            .printer
            .progress()
            .task(&format!("checking {}", target.repository.root().display()));
        // what is checked is not one of its own neighbours
        let mut settings = settings.clone();
        let own = target
            .beamline
            .as_ref()
            .and_then(|name| settings.beamlines.get_mut(name));
        if let Some(own) = own {
            own.repository = target.repository.root().to_path_buf();
        }
        let question = Question {
            repository: &target.repository,
            only: &target.only,
            namespace: &target.namespace,
            backend: target.backend,
            engine: engine.as_ref(),
            settings: &settings,
        };
        let mut report = check::check(&question).await?;
        target.repository.as_the_user_knows(&mut report.findings);
        reports.push(report);
    }
    let mut report = merged(reports);
    if let Some(error) = no_engine {
        let mut finding = Diagnostic::warning(format!("images are not checked: {error}"))
            .hint("`--no-engine` checks without them");
        if let Some(hint) = error.hints().first() {
            finding = finding.hint(format!("{hint}; `--no-engine` checks without images"));
        }
        report.summary.warnings += 1;
        report.findings.push(finding);
    }
    if args.on_cluster || args.cluster.is_given() {
        for target in &targets {
            let found = on_cluster(target, args, context).await?;
            for finding in &found {
                match finding.severity {
                    Severity::Error => report.summary.errors += 1,
                    Severity::Warning => report.summary.warnings += 1,
                    Severity::Note => report.summary.notes += 1,
                }
            }
            report.findings.extend(found);
        }
    }
    show(&report, context)?;
    let limit = if args.strict {
        Severity::Warning
    } else {
        Severity::Error
    };
    let is_clean = report
        .findings
        .iter()
        .all(|finding| finding.severity < limit);
    Ok(if is_clean {
        Outcome::Success
    } else {
        Outcome::Negative
    })
}

/// What the cluster says to the instances of a repository. An instance that does not render is told by the other checks.
async fn on_cluster(
    target: &Target,
    args: &CheckArgs,
    context: &Context,
) -> CommandResult<Vec<Diagnostic>> {
    let choice = ClusterChoice {
        kubeconfig: args.cluster.kubeconfig.clone(),
        context: args
            .cluster
            .context
            .clone()
            .or_else(|| target.context.clone()),
        namespace: Some(
            args.cluster
                .namespace
                .clone()
                .unwrap_or_else(|| target.namespace.clone()),
        ),
        beamline: None,
    };
    let cluster = target::connect(&choice, context).await?;
    let survey = Survey::of(&cluster).await?;
    let mut found: Vec<Diagnostic> = survey
        .unseen
        .iter()
        .map(|unseen| Diagnostic::warning(format!("this login may not see {unseen}")))
        .collect();
    let mut instances = Vec::new();
    for instance in target.repository.instances() {
        if !target.only.is_empty() && !target.only.contains(instance.name()) {
            continue;
        }
        let facts = ReleaseFacts::install(instance, &cluster.namespace);
        let Ok(rendered) = services::render_instance(instance, &ValueOverrides::default(), &facts)
        else {
            continue;
        };
        let Ok(resources) = manifest::parse(&rendered.rendered.manifest_text()) else {
            continue;
        };
        instances.push((instance.name(), resources));
    }
    let mut subjects = Vec::new();
    for (name, resources) in &instances {
        match Subject::of(name, &cluster.namespace, resources) {
            Ok(subject) => subjects.extend(subject),
            Err(finding) => found.push(*finding),
        }
    }
    found.extend(preflight::check(&subjects, &survey, context).await);
    Ok(found)
}

/// One services repository to check.
struct Target {
    repository: Repository,
    /// Its name in `ioc.toml`.
    beamline: Option<String>,
    only: BTreeSet<String>,
    namespace: String,
    context: Option<String>,
    backend: Backend,
}

/// What the arguments mean: a folder, a beamline, or, without one, all beamlines of the project.
async fn targets(args: &CheckArgs, context: &Context) -> CommandResult<Vec<Target>> {
    let tag = args.version.version.as_deref();
    let settings = &context.settings;
    let named = args.repository.as_deref().and_then(Path::to_str);
    let is_a_folder = args.repository.as_ref().is_some_and(|path| path.is_dir());
    if let (Some(tag), Some(folder), true) = (tag, &args.repository, is_a_folder) {
        let checkout = versioned::folder_at(folder, tag, context).await?;
        let beamline = beamline_of(folder, settings);
        let repository = Repository::open(&checkout.folder)?.at(checkout.version);
        return Ok(vec![target(repository, folder, beamline, &args.instances)?]);
    }
    let all = args.repository.is_none();
    // anything else is the name of an instance
    let beamline = named.filter(|name| settings.beamlines.contains_key(*name));
    let wanted = Wanted {
        tag,
        names: &args.instances,
        beamline,
        all,
    };
    // charts in a registry are checked when they are named, or a version is
    let is_named = tag.is_some() || !args.instances.is_empty();
    let versioned = if is_named {
        versioned::at(wanted, context).await?
    } else {
        Cow::Borrowed(context)
    };
    let settings = &versioned.settings;
    let Some(repository) = &args.repository else {
        if settings.beamlines.is_empty() {
            return Err(CommandError::not_found(
                "there is nothing to check: no folder is named, and `ioc.toml` has no beamline",
            )
            .hint("`ioc check FOLDER` checks a services repository"));
        }
        return settings
            .beamlines
            .values()
            .map(|beamline| of_beamline(beamline, &[]))
            .collect();
    };
    let named = repository
        .to_str()
        .and_then(|name| settings.beamlines.get(name));
    if let Some(beamline) = named.filter(|_| !repository.is_dir()) {
        return Ok(vec![of_beamline(beamline, &args.instances)?]);
    }
    if !repository.exists()
        && let Some(name) = repository.to_str().filter(|name| !name.contains('/'))
    {
        let wanted: Vec<&str> = std::iter::once(name)
            .chain(args.instances.iter().map(String::as_str))
            .collect();
        let targets = of_instances(&wanted, settings)?;
        if !targets.is_empty() {
            return Ok(targets);
        }
        // Says which beamlines there are.
        settings.beamline(name).map_err(|error| {
            error.hint("an instance is checked by its name, or as `ioc check BEAMLINE INSTANCE`")
        })?;
    }
    let opened = Repository::open(&shown(repository))?;
    let beamline = beamline_of(repository, settings);
    Ok(vec![target(opened, repository, beamline, &args.instances)?])
}

/// The beamline whose services repository is in a folder.
fn beamline_of<'a>(folder: &Path, settings: &'a Settings) -> Option<&'a Beamline> {
    let real = |path: &Path| fs_err::canonicalize(path).ok();
    let beamlines = &mut settings.beamlines.values();
    beamlines.find(|beamline| real(&beamline.repository) == real(folder))
}

fn of_beamline(beamline: &Beamline, instances: &[String]) -> CommandResult<Target> {
    let repository = services::open(beamline)?;
    target(repository, &beamline.repository, Some(beamline), instances)
}

/// The beamlines that have these instances; none when no beamline has any of them.
fn of_instances(wanted: &[&str], settings: &Settings) -> CommandResult<Vec<Target>> {
    let mut found = BTreeSet::new();
    let mut targets = Vec::new();
    for beamline in settings.beamlines.values() {
        let Ok(repository) = services::open(beamline) else {
            // a beamline that is not checked out here has no instance that could be meant
            continue;
        };
        let own: Vec<String> = wanted
            .iter()
            .filter(|name| repository.instance(name).is_ok())
            .map(|&name| name.to_owned())
            .collect();
        if !own.is_empty() {
            targets.push(of_beamline(beamline, &own)?);
            found.extend(own);
        }
    }
    match wanted.iter().find(|&&name| !found.contains(name)) {
        Some(missing) if !targets.is_empty() => Err(CommandError::not_found(format!(
            "no beamline has an instance `{missing}`"
        ))),
        _ => Ok(targets),
    }
}

fn target(
    repository: Repository,
    folder: &Path,
    beamline: Option<&Beamline>,
    instances: &[String],
) -> CommandResult<Target> {
    let mut only = BTreeSet::new();
    for name in instances {
        only.insert(repository.instance(name)?.name().to_owned());
    }
    let folder_name = || {
        let name = folder.file_name().unwrap_or_default();
        name.to_string_lossy().to_lowercase()
    };
    Ok(Target {
        beamline: beamline.map(|beamline| beamline.name.clone()),
        only,
        namespace: beamline.map_or_else(folder_name, |beamline| beamline.namespace.clone()),
        context: beamline.and_then(|beamline| beamline.context.clone()),
        // of a folder that belongs to no beamline nobody said that it runs on one machine only
        backend: beamline.map_or(Backend::Kubernetes, |beamline| beamline.backend),
        repository,
    })
}

fn merged(reports: Vec<Report>) -> Report {
    let mut all = Report {
        findings: Vec::new(),
        summary: Summary::default(),
        not_checked: Vec::new(),
    };
    for report in reports {
        all.findings.extend(report.findings);
        all.not_checked.extend(report.not_checked);
        all.summary.instances += report.summary.instances;
        all.summary.errors += report.summary.errors;
        all.summary.warnings += report.summary.warnings;
        all.summary.notes += report.summary.notes;
        all.summary.records += report.summary.records;
    }
    all
}

/// Findings with their lines on standard error, the outcome on standard output; for programs all of it as data.
fn show(report: &Report, context: &Context) -> CommandResult<()> {
    let printer = &context.printer;
    if printer.format() == OutputFormat::Table {
        for finding in &report.findings {
            printer.diagnostic(finding);
        }
        for line in &report.not_checked {
            printer.info(format!("not checked: {line}"));
        }
    }
    printer.emit_text(report, |report| {
        let Summary {
            instances,
            errors,
            warnings,
            notes,
            records,
        } = report.summary;
        let found: Vec<String> = [(errors, "error"), (warnings, "warning"), (notes, "note")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| counted(count, what))
            .collect();
        let found = if found.is_empty() {
            "no findings".to_owned()
        } else {
            found.join(", ")
        };
        format!(
            "{}, {}: {found}\n",
            counted(instances, "instance"),
            counted(records, "record")
        )
    })
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
