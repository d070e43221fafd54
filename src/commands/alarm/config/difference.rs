//! What `diff` and `apply` share: a file, a bus, the plan between them, and how it is shown.

use alarm::files::TreeFile;
use alarm::plan::{self, Plan, Sort, Wishes};
use serde::Serialize;

use crate::alarm::bus::{self, Choice, Opened, Snapshot};
use crate::cli::alarm::PlanArgs;
use crate::cli::bus::BusArgs;
use crate::commands::Context;
use crate::commands::alarm::config::{counted, usable};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// So many steps are shown one by one unless `-v` asks for all.
const MOST_STEPS: usize = 100;
/// Longest value that is shown, in characters.
const LONGEST_VALUE: usize = 120;

/// A file compared with a bus.
#[derive(Debug)]
pub(super) struct Difference {
    /// The configuration.
    pub(super) tree: TreeFile,
    /// What was on the bus.
    pub(super) snapshot: Snapshot,
    /// What is to be done.
    pub(super) plan: Plan,
}

impl Difference {
    /// Records of the bus that make no sense, the first of them, in words.
    pub(super) fn passed_over(&self) -> impl Iterator<Item = String> {
        let passed = self.snapshot.on_bus.passed_over().iter();
        passed.take(10).map(ToString::to_string)
    }
}

/// Reads a file that is without errors, and refuses it if it is not the configuration that is asked for.
pub(super) fn file(
    path: &std::path::Path,
    args: &BusArgs,
    context: &Context,
) -> CommandResult<TreeFile> {
    let settings = context.settings.alarm.config.as_deref();
    let wanted = args.config.as_deref();
    usable(path, wanted.or(settings), wanted, context)
}

/// Compares a file with what is on the bus, and warns of records of the bus that make no sense.
pub(super) async fn shown(
    tree: TreeFile,
    args: PlanArgs,
    bus: &Opened,
    context: &Context,
) -> CommandResult<Difference> {
    let difference = compare(tree, args, bus).await?;
    for warning in difference.passed_over() {
        context.printer.warning(warning);
    }
    Ok(difference)
}

/// Compares a file with what is on the bus.
pub(super) async fn compare(
    tree: TreeFile,
    args: PlanArgs,
    bus: &Opened,
) -> CommandResult<Difference> {
    let snapshot = bus.read(&tree.name).await?;
    let wishes = Wishes {
        prune: args.prune,
        unshelve: args.unshelve,
        now: jiff::Zoned::now().datetime(),
    };
    let plan = Plan::new(&tree, &snapshot.on_bus, wishes).map_err(|in_the_way| {
        let lines: Vec<String> = in_the_way
            .iter()
            .take(10)
            .map(|one| {
                let wanted = match one.on_bus {
                    Sort::Group => Sort::Pv,
                    Sort::Pv => Sort::Group,
                };
                format!(
                    "`{}` is a {} on the bus and a {} in the file",
                    one.path,
                    one.on_bus.word(),
                    wanted.word()
                )
            })
            .collect();
        CommandError::new(
            ErrorKind::Conflict,
            format!(
                "{} of the bus would have to be deleted to make place",
                counted(in_the_way.len(), "item")
            ),
        )
        .caused_by(lines.join("\n"))
        .hint("`--prune` deletes what is on the bus and not in the file")
    })?;
    Ok(Difference {
        tree,
        snapshot,
        plan,
    })
}

/// The bus that is meant. One in a folder that is not there yet is empty, and only `apply` makes it.
pub(super) async fn open(choice: Choice, context: &Context) -> CommandResult<Option<Opened>> {
    if !bus::exists(&choice) {
        return Ok(None);
    }
    bus::open(choice, &context.cancel).await.map(Some)
}

/// The difference as data.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    configuration: String,
    bus: String,
    /// Whether it was published.
    applied: bool,
    #[serde(flatten)]
    plan: plan::Report,
}

impl Report {
    pub(super) fn new(configuration: &str, choice: &Choice, plan: &Plan, applied: bool) -> Self {
        Self {
            configuration: configuration.to_owned(),
            bus: choice.words(),
            applied,
            plan: plan.into(),
        }
    }

    /// Whether something is different.
    pub(super) fn is_different(&self) -> bool {
        !self.plan.steps.is_empty()
    }

    /// The steps for people; `all` shows each of them.
    pub(super) fn steps_text(&self, all: bool) -> String {
        let most = if all { usize::MAX } else { MOST_STEPS };
        let mut text = String::new();
        for step in self.plan.steps.iter().take(most) {
            let sign = match step.action {
                "add" => '+',
                "remove" => '-',
                _ => '~',
            };
            text.push_str(&format!("{sign} {:5} {}\n", step.kind.word(), step.path));
            for field in &step.fields {
                text.push_str(&format!(
                    "          {}: {} -> {}\n",
                    field.name,
                    short(&field.before),
                    short(&field.after)
                ));
            }
        }
        if let Some(more) = self
            .plan
            .steps
            .len()
            .checked_sub(most)
            .filter(|more| *more > 0)
        {
            text.push_str(&format!("… and {more} more; `-v` shows them\n"));
        }
        text
    }

    /// What all of it comes to, in one line, and what stays although the file has it otherwise.
    pub(super) fn summary(&self) -> String {
        let count = |action: &str, kind: Sort| {
            let steps = self.plan.steps.iter();
            steps
                .filter(|step| step.action == action && step.kind == kind)
                .count()
        };
        let mut parts = Vec::new();
        for (action, word) in [("add", "new"), ("change", "changed"), ("remove", "deleted")] {
            for kind in [Sort::Pv, Sort::Group] {
                let count = count(action, kind);
                if count > 0 {
                    parts.push(format!("{} {word}", counted(count, kind.word())));
                }
            }
        }
        parts.push(format!(
            "{} as they are",
            counted(self.plan.unchanged_pvs, "PV")
        ));
        let mut text = format!(
            "`{}` on {}: {}; {}\n",
            self.configuration,
            self.bus,
            parts.join(", "),
            counted(self.plan.records, "record")
        );
        for shelved in self.plan.shelved.iter().take(MOST_STEPS) {
            text.push_str(&format!(
                "  {} stays disabled until {}\n",
                shelved.path, shelved.until
            ));
        }
        if !self.plan.not_in_the_file.is_empty() {
            text.push_str(&format!(
                "  {} on the bus and not in the file: `--prune` deletes them\n",
                match self.plan.not_in_the_file.len() {
                    1 => "1 item is".to_owned(),
                    many => format!("{many} items are"),
                }
            ));
        }
        text
    }
}

fn short(value: &str) -> String {
    if value.is_empty() {
        return "nothing".to_owned();
    }
    let line = value.replace('\n', " ");
    if line.chars().count() <= LONGEST_VALUE {
        return line;
    }
    let cut: String = line.chars().take(LONGEST_VALUE).collect();
    format!("{cut}…")
}
