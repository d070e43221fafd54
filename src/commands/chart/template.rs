//! `ioc chart template`: the manifests of a chart, to the byte as `helm template` prints them.

use std::collections::BTreeSet;
use std::path::Path;

use helm::{ReleaseOptions, RenderOptions, Rendered, TemplateOptions};
use jiff::Zoned;
use serde::Serialize;

use crate::charts::dependency;
use crate::charts::locate::Wanted;
use crate::charts::values::given;
use crate::cli::chart::TemplateArgs;
use crate::commands::{Context, Outcome};
use crate::diagnostic::{Diagnostic, Place};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Name of the release when none is given.
const UNNAMED: &str = "release-name";

#[derive(Serialize)]
struct Document<'m> {
    template: &'m str,
    kind: &'m str,
    name: &'m str,
    text: &'m str,
    hook: bool,
}

pub(super) async fn template(args: &TemplateArgs, context: &Context) -> CommandResult<Outcome> {
    let (name, chart_name) = match args.name_and_chart.as_slice() {
        [chart] => (UNNAMED, chart),
        [name, chart] => (name.as_str(), chart),
        _ => {
            return Err(CommandError::new(
                ErrorKind::Usage,
                "a chart is needed, and at most a name before it",
            ));
        }
    };
    let given = given(&args.values)?;
    for warning in &given.warnings {
        context.printer.diagnostic(warning);
    }
    let plain_http = args.location.registry.plain_http;
    let (places, task) = super::places(context, plain_http, chart_name);
    if args.dependency_update && Path::new(chart_name).is_dir() {
        let done = dependency::update(&places, Path::new(chart_name)).await?;
        super::dependency::tell(&done, context);
    }
    let loaded = places.load(chart_name, &Wanted::from(&args.location)).await;
    task.finish();
    let (chart, from) = loaded?;
    let missing = chart.missing_dependencies();
    if !missing.is_empty() {
        return Err(super::package::not_vendored(&from, &missing));
    }
    let options = ReleaseOptions {
        is_upgrade: args.is_upgrade,
        ..ReleaseOptions::install(name, &args.namespace, Zoned::now())
    };
    let capabilities = super::capabilities(&args.capabilities, &args.api_versions)?;
    let how = RenderOptions {
        skip_schema_validation: args.skip_schema_validation,
        ..RenderOptions::default()
    };
    let rendered = helm::render_with(&chart, &given.value, &options, &capabilities, &how)
        .map_err(|error| cannot_render(&error, &from))?;
    for warning in &rendered.warnings {
        context.printer.warning(warning.as_str());
    }
    let text = rendered
        .template_output(&TemplateOptions {
            include_crds: args.include_crds,
            no_hooks: args.no_hooks,
            skip_tests: args.skip_tests,
            show_only: args.show_only.clone(),
        })
        .map_err(|error| not_shown(&error, &rendered, &args.show_only))?;
    // The text has gone through all options; what it shows is what the other formats show.
    let shown: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# Source: "))
        .collect();
    let documents: Vec<Document<'_>> = rendered
        .manifests
        .iter()
        .filter(|manifest| shown.contains(manifest.source_template.as_str()))
        .map(|manifest| Document {
            template: &manifest.source_template,
            kind: &manifest.kind,
            name: &manifest.name,
            text: &manifest.text,
            hook: manifest.hook.is_some(),
        })
        .collect();
    context.printer.emit_text(&documents, |_| text.clone())?;
    Ok(Outcome::Success)
}

/// A template of `--show-only` that wrote nothing, with the nearest that did.
fn not_shown(error: &helm::RenderError, rendered: &Rendered, wanted: &[String]) -> CommandError {
    let command = CommandError::not_found(error.to_string());
    let known: Vec<&str> = rendered
        .manifests
        .iter()
        .map(|manifest| inner(&manifest.source_template))
        .collect();
    let near = wanted
        .iter()
        .find_map(|pattern| crate::diagnostic::nearest(pattern, known.iter().copied()));
    match near {
        Some(near) => command.hint(format!("did you mean `{near}`?")),
        None => command.hint("name a path inside the chart: `templates/service.yaml`"),
    }
}

/// The path inside the chart: templates are named with the chart before it.
fn inner(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, inner)| inner)
}

/// A chart that cannot be rendered, with the place in the template.
fn cannot_render(error: &helm::RenderError, from: &Path) -> CommandError {
    if !error.violations().is_empty() {
        let findings: Vec<Diagnostic> = error
            .violations()
            .iter()
            .map(|violation| {
                let path = match violation.path.join(".") {
                    path if path.is_empty() => "the values".to_owned(),
                    path => format!("`{path}`"),
                };
                Diagnostic::error(format!("{path}: {}", violation.message))
                    .in_file(&from.join("values.schema.json"))
                    .hint(format!(
                        "the schema of the chart `{}` says so",
                        violation.chart
                    ))
            })
            .collect();
        return CommandError::from_diagnostics(
            ErrorKind::Input,
            "the values are not what the chart allows",
            findings,
        );
    }
    let message = error.root_message();
    let Some(location) = error.location() else {
        return CommandError::new(ErrorKind::Input, message);
    };
    if let Some(manifest) = error.manifest() {
        let path = format!("{} as rendered", location.file);
        let place = match error.line() {
            Some(line) => Place::in_text(path, manifest, line, error.column().unwrap_or(1), 1),
            None => Place::file(path),
        };
        return CommandError::from_diagnostic(
            ErrorKind::Input,
            Diagnostic::error(format!("a template wrote what is not YAML: {message}")).at(place),
        );
    }
    let mut place = Place::file(from.join(inner(&location.file)));
    place.line = location.line;
    place.column = error.column().unwrap_or(0);
    place.length = location.expression.chars().count().max(1);
    place.text = Some(location.source_line.clone()).filter(|_| location.line > 0);
    CommandError::from_diagnostic(ErrorKind::Input, Diagnostic::error(message).at(place))
}
