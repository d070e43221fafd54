//! `ioc status`: the whole story of one instance, on one page.

use crate::cli::status::StatusArgs;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, acting, kubernetes};
use crate::fleet::console::output::printable_line;
use crate::fleet::local;
use crate::fleet::session::Fleet;
use crate::fleet::story::{Container, Event, Story};
use crate::ui::error::CommandResult;

/// Tells the story.
///
/// # Errors
///
/// An instance that is not deployed, or the backend's refusal.
pub(crate) async fn status(args: &StatusArgs, context: &Context) -> CommandResult<Outcome> {
    let names = [args.instance.clone()];
    if let Target::Cluster(choice) =
        target::of_instances(&names, &args.beamline, &args.cluster, context)?
    {
        return Box::pin(kubernetes::status::status(args, &choice, context)).await;
    }
    let fleet = Fleet::connect(&context.settings).await?;
    let subject = acting::deployed_one(&fleet, &args.instance, &args.beamline, context)?;
    let story = local::story::tell(&fleet, &subject).await?;
    show(&story, context)
}

/// Prints the story; whether all is well is in the exit code only with programs in mind: it is always success.
pub(crate) fn show(story: &Story, context: &Context) -> CommandResult<Outcome> {
    context.printer.emit_text(story, page)?;
    for unseen in &story.unseen {
        context.printer.warning(format!("not shown: {unseen}"));
    }
    Ok(Outcome::Success)
}

/// The page for people.
fn page(story: &Story) -> String {
    let mut page = Page::default();
    let row = &story.row;
    page.line(&format!("{} {}", row.name, story.summary));
    if let Some(note) = &row.note {
        page.line(note);
    }
    page.list("what to do", story.next.iter().cloned());
    if let Some(release) = &story.release {
        let by = release
            .by
            .as_deref()
            .map(|by| format!(" by {by}"))
            .unwrap_or_default();
        page.list(
            "release",
            [
                format!(
                    "{} revision {} ({}), chart {}, version {}",
                    release.name,
                    release.revision,
                    release.status,
                    release.chart,
                    or_dash(&release.version)
                ),
                format!("{}{by}: {}", release.updated, release.description),
                format!("kept: {}", release.revisions.join(", ")),
            ],
        );
    }
    page.list("differs from the release", row.drift.iter().cloned());
    for container in &story.containers {
        container_lines(&mut page, container);
    }
    page.list(
        "volumes",
        story.volumes.iter().map(|volume| {
            let state = if volume.state.is_empty() {
                String::new()
            } else {
                format!(", {}", volume.state)
            };
            format!(
                "{}: {}{state}, at {}",
                volume.name,
                volume.source,
                or_dash(&volume.mounted_at.join(" "))
            )
        }),
    );
    page.list(
        "support modules in the image",
        story.modules.iter().map(|module| {
            printable_line(&format!("{} {}", module.name, or_dash(&module.summary())))
        }),
    );
    page.list(
        "configuration",
        story.configuration.iter().map(|configuration| {
            if configuration.is_current {
                format!("{}: the process has it", configuration.released)
            } else {
                format!(
                    "{} is released, the process has {}",
                    configuration.released,
                    configuration.running.as_deref().unwrap_or("another")
                )
            }
        }),
    );
    if let Some(machine) = &story.machine {
        let mut lines = vec![format!(
            "{}, {}, {}{}",
            machine.name,
            if machine.is_ready {
                "ready"
            } else {
                "not ready"
            },
            if machine.host_network {
                "network of the node"
            } else {
                "network of its own"
            },
            if machine.addresses.is_empty() {
                String::new()
            } else {
                format!(" ({})", machine.addresses.join(", "))
            }
        )];
        lines.extend(machine.conditions.iter().cloned());
        page.list("node", lines);
    }
    page.list("events", story.events.iter().map(event));
    page.text
}

fn container_lines(page: &mut Page, container: &Container) {
    let title = if container.is_ioc {
        format!("container {} (the IOC)", container.name)
    } else {
        format!("container {}", container.name)
    };
    let since = container
        .since
        .as_deref()
        .map(|since| format!(" since {since}"))
        .unwrap_or_default();
    let digest = container
        .image_digest
        .as_deref()
        .map(|digest| format!(", {digest}"))
        .unwrap_or_default();
    let mut lines = vec![
        format!(
            "{}{since}, {} restarts",
            container.state, container.restarts
        ),
        format!("image {}{digest}", container.image),
    ];
    lines.extend(
        container
            .last_exit
            .iter()
            .map(|exit| format!("last exit {exit}")),
    );
    lines.extend(container.probes.iter().cloned());
    if !container.ports.is_empty() {
        lines.push(format!("ports {}", container.ports.join(", ")));
    }
    if !container.last_lines.is_empty() {
        lines.push("its last lines before that exit:".to_owned());
        lines.extend(
            container
                .last_lines
                .iter()
                .map(|line| format!("  | {}", printable_line(line))),
        );
    }
    page.list(&title, lines);
}

fn event(event: &Event) -> String {
    let times = if event.count > 1 {
        format!(" ({} times)", event.count)
    } else {
        String::new()
    };
    let warning = if event.is_warning { "warning " } else { "" };
    format!(
        "{} {warning}{}: {}{times} [{}]",
        event.time, event.reason, event.message, event.object
    )
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Headings and indented lines.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn list(&mut self, title: &str, lines: impl IntoIterator<Item = String>) {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_none() {
            return;
        }
        self.line(&format!("\n{title}"));
        for line in lines {
            self.line(&format!("  {line}"));
        }
    }
}
