//! `ioc chart show`: what a chart says of itself, as text.

use helm::{Chart, File};
use serde::Serialize;

use crate::charts::locate::Wanted;
use crate::cli::chart::{ShowArgs, ShowWhat};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Names under which a README is looked for, the first that is there is shown.
const READMES: [&str; 3] = ["readme.md", "readme.txt", "readme"];

#[derive(Serialize, Default)]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    chart: Option<helm::Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readme: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    crds: Vec<String>,
}

pub(super) async fn show(args: &ShowArgs, context: &Context) -> CommandResult<Outcome> {
    let plain_http = args.location.registry.plain_http;
    let (places, task) = super::places(context, plain_http, &args.chart);
    let loaded = places
        .load(&args.chart, &Wanted::from(&args.location))
        .await;
    task.finish();
    let (chart, _from) = loaded?;
    let is = |what: ShowWhat| args.what == what || args.what == ShowWhat::All;
    let crds = chart
        .crds()
        .iter()
        .filter(|_| is(ShowWhat::Crds))
        .map(|(_, file)| text(&file.data))
        .collect();
    let shown = Shown {
        chart: is(ShowWhat::Chart).then(|| chart.metadata().clone()),
        values: is(ShowWhat::Values)
            .then(|| chart.values_text().map(text))
            .flatten(),
        readme: is(ShowWhat::Readme).then(|| readme(&chart)).flatten(),
        crds,
    };
    let metadata = helm::chart_yaml(chart.metadata()).map_err(|error| {
        CommandError::new(
            ErrorKind::Internal,
            "the metadata cannot be written as YAML",
        )
        .caused_by(error)
    })?;
    context.printer.emit_text(&shown, |shown| {
        to_text(shown, &metadata, args.what == ShowWhat::All)
    })?;
    Ok(Outcome::Success)
}

/// The text of `helm show`: parts of `all` have a line of dashes between them, documents of CRDs too.
fn to_text(shown: &Shown, metadata: &str, all: bool) -> String {
    let mut text = String::new();
    if shown.chart.is_some() {
        text.push_str(metadata);
        text.push('\n');
    }
    if let Some(values) = &shown.values {
        if all {
            text.push_str("---\n");
        }
        text.push_str(values);
        text.push('\n');
    }
    if let Some(readme) = &shown.readme {
        if all {
            text.push_str("---\n");
        }
        text.push_str(readme);
        text.push('\n');
    }
    for document in &shown.crds {
        if !document.starts_with("---") {
            text.push_str("---\n");
        }
        text.push_str(document);
        text.push('\n');
    }
    text
}

fn readme(chart: &Chart) -> Option<String> {
    let named = |name: &str| {
        chart
            .files()
            .iter()
            .find(|file: &&File| file.name.eq_ignore_ascii_case(name))
    };
    READMES
        .iter()
        .find_map(|name| named(name))
        .map(|file| text(&file.data))
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}
