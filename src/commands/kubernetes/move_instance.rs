//! `ioc move` on a cluster: an instance to another node, as a new revision of its release that differs in nothing else.
//!
//! It takes what is deployed, not what is in the repository: at night nobody wants to deploy other changes with it. The
//! record tells of the move, so that the next deploy says that the repository wants another node.

use super::acting;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::global::OutputFormat;
use crate::cli::node::MoveArgs;
use crate::commands::acting::{Steps, ask, options, warn_of_duplicates};
use crate::commands::deploy::failed;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::answer::Answer;
use crate::fleet::kubernetes::lost::{self, Lost};
use crate::fleet::kubernetes::placement::outage::TWO_AT_ONCE;
use crate::fleet::kubernetes::placement::{Finding, Weight};
use crate::fleet::kubernetes::plan::{Allowed, Plan};
use crate::fleet::kubernetes::relocation::{self, Relocation};
use crate::fleet::kubernetes::survey::Survey;
use crate::fleet::kubernetes::{ClusterChoice, ClusterRelease};
use crate::fleet::plan::Change;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The result for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    instance: &'a str,
    namespace: &'a str,
    from: Option<&'a str>,
    to: &'a str,
    findings: &'a [Finding],
    revision: u32,
    changes: &'a [Change],
    moved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
}

/// Moves an instance.
///
/// # Errors
///
/// What stands in the way, all of it, before anything changes; then what a deploy says.
pub(crate) async fn move_instance(
    args: &MoveArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let printer = &context.printer;
    let (mut release, survey) = look(args, choice, context).await?;
    let node = survey.node(&args.node)?;
    let settings = &context.settings.channel_access;
    let relocation = Relocation::prepare(&release, &survey, node)?;
    let is_there = relocation.from.as_deref() == Some(args.node.as_str());
    let lost = if args.node_is_off {
        let steps = Steps::begin(printer, &args.instance);
        let lost = lost::pods(&release, &survey, settings, &steps).await;
        steps.end();
        lost?
    } else {
        if let Some(silent) = relocation.silent_node(&survey) {
            return Err(silent_node(&args.instance, &args.node, silent, &release));
        }
        Vec::new()
    };
    let desired = relocation.desired(&release, &context.settings.user, Timestamp::now());
    let plan = acting::plan(
        &mut release,
        |_| Ok(desired),
        Allowed::default(),
        &args.act,
        context,
    )
    .await?;
    if plan.is_empty() && is_there {
        printer.info(format!(
            "{}: nothing to do, it is on `{}` and held to it",
            args.instance, args.node
        ));
        return Ok(Outcome::Success);
    }
    let shown = text(&relocation, &args.node, &lost, &release, &plan);
    let mut report = Report {
        instance: &args.instance,
        namespace: &relocation.namespace,
        from: relocation.from.as_deref(),
        to: &args.node,
        findings: &relocation.findings,
        revision: plan.revision,
        changes: &plan.changes.clone(),
        moved: false,
        ready: None,
        answer: None,
    };
    let blocked = relocation.is_blocked() && !args.in_spite_of_checks;
    if args.act.dry_run {
        printer.emit_text(&report, |_| shown.clone())?;
        if printer.format() == OutputFormat::Table {
            printer.info("nothing was changed (--dry-run)");
        }
        return if blocked {
            Err(refused(&relocation, args))
        } else {
            Ok(Outcome::Success)
        };
    }
    printer.info(shown.trim_end());
    if blocked {
        return Err(refused(&relocation, args));
    }
    ask(
        &args.act,
        printer,
        &format!("Move {} to {}", args.instance, args.node),
    )?;
    let (ready, answer) = carry_out(&mut release, plan, &relocation, &lost, args, context).await?;
    report.moved = true;
    report.ready = ready;
    report.answer = answer;
    if printer.format() != OutputFormat::Table {
        printer.emit_text(&report, |_| String::new())?;
    }
    Ok(Outcome::Success)
}

/// The release and the cluster around it.
async fn look(
    args: &MoveArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<(ClusterRelease, Survey)> {
    let cluster = target::connect(choice, context).await?;
    let release = ClusterRelease::open(&cluster, &args.instance).await?;
    release.must_exist().await?;
    let steps = Steps::begin(&context.printer, &args.instance);
    crate::fleet::progress::Progress::step(&steps, "looking at nodes, pods and volumes");
    let survey = Survey::of(&cluster).await;
    steps.end();
    let survey = survey?;
    for unseen in &survey.unseen {
        context.printer.warning(format!(
            "this login may not see {unseen}: what they take is not checked"
        ));
    }
    Ok((release, survey))
}

/// The node that it is on does not answer, and nobody said that it is off.
fn silent_node(instance: &str, to: &str, silent: &str, release: &ClusterRelease) -> CommandError {
    CommandError::new(
        ErrorKind::Conflict,
        format!("node `{silent}`, where `{instance}` runs, does not answer: nobody knows whether its IOC still runs"),
    )
    .hint(format!(
        "`ioc move {instance} {to} -n {} --node-is-off` {TWO_AT_ONCE}",
        release.cluster.namespace
    ))
}

fn refused(relocation: &Relocation, args: &MoveArgs) -> CommandError {
    let blocking: Vec<&Finding> = relocation
        .findings
        .iter()
        .filter(|finding| finding.weight == Weight::Blocks)
        .collect();
    let error = CommandError::new(
        ErrorKind::Conflict,
        format!(
            "`{}` cannot run on `{}`; nothing was changed",
            args.instance, args.node
        ),
    );
    let first = blocking
        .first()
        .map_or_else(String::new, |finding| finding.message.clone());
    let error = if first.is_empty() {
        error
    } else {
        error.caused_by(first)
    };
    let hints = blocking.iter().filter_map(|finding| finding.hint.clone());
    hints
        .fold(error, CommandError::hint)
        .hint("`--in-spite-of-checks` moves it all the same")
}

fn text(
    relocation: &Relocation,
    to: &str,
    lost: &[Lost],
    release: &ClusterRelease,
    plan: &Plan,
) -> String {
    let from = relocation.from.as_deref().unwrap_or("nowhere");
    let mut text = format!("{}: {from} -> {to}\n", release.name);
    if relocation.findings.is_empty() {
        text.push_str("  nothing stands in the way\n");
    }
    for finding in &relocation.findings {
        let sign = match finding.weight {
            Weight::Blocks => "no ",
            Weight::Warns => "!  ",
            Weight::Notes => "   ",
        };
        text.push_str(&format!(
            "  {sign}{:<9} {}\n",
            finding.about.word(),
            finding.message
        ));
    }
    for one in lost {
        text.push_str(&format!(
            "  !  node      pod `{}` on `{}` is forgotten by force: {TWO_AT_ONCE}\n",
            one.pod, one.node
        ));
    }
    if !relocation.in_values {
        text.push_str("  !  values    its chart has no value for the node: `helm upgrade` of the same chart ends the move\n");
    }
    text.push_str(&acting::text(release, plan));
    text
}

async fn carry_out(
    release: &mut ClusterRelease,
    plan: Plan,
    relocation: &Relocation,
    lost: &[Lost],
    args: &MoveArgs,
    context: &Context,
) -> CommandResult<(Option<bool>, Option<Answer>)> {
    let printer = &context.printer;
    let name = &args.instance;
    let steps = Steps::begin(printer, name);
    let mut options = options(&args.act, false, args.message.clone());
    options
        .message
        .get_or_insert_with(|| format!("Moved to {}", args.node));
    let wait = options.wait;
    if !lost.is_empty() {
        // nothing gets ready before the old pod is forgotten
        options.wait = None;
    }
    let result = async {
        let deployed = release
            .carry_out(plan, &options, &steps, &context.cancel)
            .await
            .map_err(|error| failed(error, name))?;
        let (mut is_ready, mut answer) = (deployed.is_ready, deployed.answer);
        if !lost.is_empty() {
            lost::forget(release, lost, &steps).await?;
            if let Some(timeout) = wait {
                answer = release
                    .wait_for_all(timeout, &steps, &context.cancel)
                    .await?;
                is_ready = true;
            }
        }
        if is_ready && release.stopped().is_none() {
            relocation::is_there(release, relocation).await?;
        }
        Ok((deployed.revision, is_ready, answer))
    }
    .await;
    steps.end();
    let (revision, is_ready, answer) = result.map_err(|error: CommandError| error)?;
    let how = acting::readiness(is_ready, answer.as_ref(), release);
    warn_of_duplicates(answer.as_ref(), printer);
    printer.info(format!(
        "{name}: moved to {}, as revision {revision}, {how}",
        args.node
    ));
    printer.hint(format!(
        "the repository does not know it: put the node into the values of `{name}`, or the next `ioc deploy` warns and moves it back"
    ));
    Ok((wait.map(|_| is_ready), answer))
}
