//! `ioc beamline init`: the objects that a beamline needs on a cluster, as a file to read and edit, and, with `--apply`,
//! on the cluster.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::beamline::InitArgs;
use crate::commands::acting::Steps;
use crate::commands::new_beamline::{Skeleton, Stanza};
use crate::commands::{Context, Outcome, target};
use crate::fleet::facility::{self, Facts};
use crate::fleet::kubernetes::facility::{NodeChange, Plan, apply, plan};
use crate::fleet::manifest;
use crate::fleet::plan::show;
use crate::fleet::workload::quantity;
use crate::project::Backend;
use crate::services::name::{problem_of_beamline, problem_of_object};
use crate::services::scaffold::{NewBeamline, write};
use crate::settings::Beamline;
use crate::ui::confirm::confirm;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Folder of the file in a services repository.
const FOLDER: &str = "cluster";
/// Its name.
const FILE: &str = "beamline.yaml";
/// Ways to mount a claim.
const ACCESS_MODES: [&str; 4] = [
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
    "ReadOnlyMany",
];

/// The result for programs.
#[derive(Debug, Serialize)]
struct Report {
    beamline: String,
    namespace: String,
    file: PathBuf,
    wrote: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    applied: bool,
}

/// Writes the file, and applies it when asked to.
///
/// # Errors
///
/// Names and numbers that cannot be, files that cannot be written, and what the cluster refuses; it says what was done.
pub(crate) async fn beamline_init(args: &InitArgs, context: &Context) -> CommandResult<Outcome> {
    let printer = &context.printer;
    let name = &args.name;
    let known = context.settings.beamlines.get(name);
    let facts = facts(args, known)?;
    let skeleton = match known {
        Some(_) => None,
        None => Some(skeleton(args, &facts, context)?),
    };
    let repository = match (&skeleton, known) {
        (Some(skeleton), _) => skeleton.folder.clone(),
        (None, Some(beamline)) => beamline.repository.clone(),
        (None, None) => PathBuf::from("."),
    };
    let file = match &args.folder {
        Some(folder) => folder.join(FILE),
        None => repository.join(FOLDER).join(FILE),
    };
    let shown = shown(&file, context);
    let wanted = facility::file(&facts).map_err(|error| {
        CommandError::new(ErrorKind::Internal, "a template of ioc is broken").caused_by(error)
    })?;
    let present = match file.symlink_metadata() {
        Ok(_) => Some(crate::text::read(&file, crate::project::LARGEST_FILE)?),
        Err(_) => None,
    };
    let is_written = present.is_none() || (args.rewrite && present.as_deref() != Some(&wanted));
    let text = match &present {
        Some(present) if !is_written => present.clone(),
        _ => wanted.clone(),
    };
    let resources = manifest::parse(&text).map_err(|diagnostic| {
        CommandError::from_diagnostic(ErrorKind::Input, diagnostic.in_file(&file))
    })?;
    if let (Some(present), true) = (&present, present.as_deref() != Some(&wanted)) {
        if args.rewrite {
            printer.info(format!(
                "`{shown}` changes:\n{}",
                difference(present, &wanted)
            ));
        } else {
            printer.info(format!(
                "`{shown}` is there and differs from what these options write; it is used as it is (`--rewrite` replaces it)"
            ));
        }
    }
    let planned = if args.apply {
        let choice = cluster_choice(args, &facts, known);
        let cluster = target::connect(&choice, context).await?;
        let progress = printer.progress().task(name);
        progress.message("comparing with the cluster");
        let planned = plan(&cluster, &resources, name, &args.nodes).await;
        progress.finish();
        Some((cluster, planned?))
    } else {
        None
    };
    if let Some((cluster, plan)) = &planned {
        let text = if plan.is_empty() {
            format!(
                "{name}: everything is on the cluster of context `{}` already",
                cluster.context
            )
        } else {
            format!(
                "{name} on the cluster of context `{}`:\n{}{}",
                cluster.context,
                show::changes(&plan.changes),
                node_lines(&plan.nodes)
            )
        };
        printer.info(text.trim_end());
    }
    let mut report = Report {
        beamline: name.clone(),
        namespace: facts.namespace.clone(),
        file: file.clone(),
        wrote: false,
        plan: planned.as_ref().map(|(_, plan)| plan.clone()),
        applied: false,
    };
    if args.dry_run {
        if let Some(skeleton) = &skeleton {
            skeleton.show(context, true)?;
        }
        if is_written {
            printer.info(format!("`{shown}` would be written"));
        }
        printer.info("nothing was changed (--dry-run)");
        return emit(&report, context);
    }
    let changes_cluster = planned.as_ref().is_some_and(|(_, plan)| !plan.is_empty());
    let replaces = present.is_some() && is_written;
    if (changes_cluster || replaces) && !args.yes {
        confirm(printer, &question(name, &shown, replaces, changes_cluster))?;
    }
    if let Some(skeleton) = &skeleton {
        skeleton.write(context)?;
    }
    if is_written {
        if let Some(folder) = file.parent() {
            fs_err::create_dir_all(folder)?;
        }
        write::replace(&file, &wanted)?;
        report.wrote = true;
        printer.info(format!(
            "what beamline `{name}` needs on the cluster is in `{shown}`"
        ));
    }
    match planned {
        Some((cluster, plan)) if !plan.is_empty() => {
            let steps = Steps::begin(printer, name);
            let result = apply(&cluster, &resources, name, &plan, &steps).await;
            steps.end();
            result?;
            report.applied = true;
            printer.info(format!("{name}: applied"));
        }
        Some(_) => {}
        None => printer.hint(
            "read and edit it; the same command with `--apply` shows what it changes on the cluster, asks, and makes it",
        ),
    }
    emit(&report, context)
}

fn emit(report: &Report, context: &Context) -> CommandResult<Outcome> {
    if context.printer.format() != crate::cli::global::OutputFormat::Table {
        context.printer.emit_text(report, |_| String::new())?;
    }
    Ok(Outcome::Success)
}

fn question(name: &str, shown: &str, replaces: bool, changes_cluster: bool) -> String {
    match (replaces, changes_cluster) {
        (true, true) => format!("Replace `{shown}` and apply it"),
        (true, false) => format!("Replace `{shown}`"),
        _ => format!("Apply beamline {name}"),
    }
}

fn shown(file: &std::path::Path, context: &Context) -> String {
    let project = context.settings.project.as_deref();
    let shown = project.and_then(|project| file.strip_prefix(project).ok());
    shown.unwrap_or(file).display().to_string()
}

fn difference(before: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(2)
        .to_string()
}

fn node_lines(nodes: &[NodeChange]) -> String {
    let mut text = String::new();
    for node in nodes {
        let mut words = Vec::new();
        if let Some(label) = &node.label {
            let instead = node
                .instead_of
                .as_ref()
                .map_or_else(String::new, |other| format!(" instead of {other}"));
            words.push(format!("label {label}{instead}"));
        }
        if let Some(taint) = &node.taint {
            words.push(format!("taint {taint}"));
        }
        text.push_str(&format!("  ~ Node {}: {}\n", node.node, words.join(", ")));
    }
    text
}

fn cluster_choice(
    args: &InitArgs,
    facts: &Facts,
    known: Option<&Beamline>,
) -> crate::fleet::kubernetes::ClusterChoice {
    crate::fleet::kubernetes::ClusterChoice {
        kubeconfig: args.cluster.kubeconfig.clone(),
        context: args
            .cluster
            .context
            .clone()
            .or_else(|| known.and_then(|beamline| beamline.context.clone())),
        namespace: Some(facts.namespace.clone()),
        beamline: Some(args.name.clone()),
    }
}

/// The facts that the options and `ioc.toml` say, all of them checked: they stand in YAML and in expressions.
fn facts(args: &InitArgs, known: Option<&Beamline>) -> CommandResult<Facts> {
    let name = &args.name;
    let usage = |message: String| CommandError::new(ErrorKind::Usage, message);
    if let Some(problem) = problem_of_beamline(name) {
        return Err(usage(format!("a beamline cannot be called `{name}`")).caused_by(problem));
    }
    let namespace = args
        .cluster
        .namespace
        .clone()
        .or_else(|| known.map(|beamline| beamline.namespace.clone()))
        .unwrap_or_else(|| name.clone());
    let named = [("namespace", &namespace)]
        .into_iter()
        .chain(args.nodes.iter().map(|node| ("node", node)))
        .chain(
            args.storage_class
                .iter()
                .map(|class| ("storage class", class)),
        );
    for (what, name) in named {
        if let Some(problem) = problem_of_object(name) {
            return Err(usage(format!("a {what} cannot be called `{name}`")).caused_by(problem));
        }
    }
    let group = args.group.clone().unwrap_or_else(|| name.clone());
    if group.is_empty() || group.chars().any(char::is_control) {
        return Err(usage(format!(
            "a group cannot be called `{}`",
            group.escape_default()
        )));
    }
    if !ACCESS_MODES.contains(&args.access_mode.as_str()) {
        return Err(
            usage(format!("`{}` is no way to mount a claim", args.access_mode))
                .hint(format!("one of {}", ACCESS_MODES.join(", "))),
        );
    }
    if quantity::bytes(&args.claim_size).is_none_or(|bytes| bytes == 0) {
        return Err(
            usage(format!("`{}` is not a size", args.claim_size)).hint("write it as 500Mi or 1Gi")
        );
    }
    if args.uid == Some(0) || args.gid == Some(0) {
        return Err(usage("a beamline's IOCs do not run as root".to_owned())
            .hint("leave `--uid` out, and the policy does not say as whom they run"));
    }
    Ok(Facts {
        name: name.clone(),
        namespace,
        ids: args.uid.map(|uid| (uid, args.gid.unwrap_or(uid))),
        group,
        nodes: args.nodes.clone(),
        storage_class: args.storage_class.clone(),
        access_mode: args.access_mode.clone(),
        claim_size: args.claim_size.clone(),
        pods: args.pods,
    })
}

/// The services repository of a beamline that the project does not have yet.
fn skeleton(args: &InitArgs, facts: &Facts, context: &Context) -> CommandResult<Skeleton> {
    let name = &args.name;
    let new = NewBeamline {
        name: name.clone(),
        location: args.location.clone().unwrap_or_else(|| name.clone()),
        uid: args.uid,
        gid: args.gid,
        on_cluster: true,
    };
    let stanza = Stanza {
        backend: Backend::Kubernetes,
        context: args.cluster.context.clone(),
        namespace: (facts.namespace != *name).then(|| facts.namespace.clone()),
    };
    Skeleton::prepare(&new, &stanza, context)
}
