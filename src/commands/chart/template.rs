//! `ioc chart template`: the manifests of a chart, to the byte as `helm template` prints them.

use std::collections::BTreeSet;
use std::path::Path;

use helm::{ReleaseOptions, RenderOptions, Rendered, TemplateOptions};
use jiff::Zoned;
use serde::Serialize;

use crate::charts::dependency;
use crate::charts::locate::Wanted;
use crate::charts::values::given;
use crate::cli::chart::{HelmTemplateArgs, TemplateArgs};
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
    refuse_what_is_not_done(&args.helm)?;
    let named = args.name_template.as_deref().map(rendered_name);
    let named = named.transpose()?;
    let (name, chart_name) = match args.name_and_chart.as_slice() {
        [_, _] if args.generate_name => {
            return Err(CommandError::new(
                ErrorKind::Usage,
                "`--generate-name` and a name exclude one another",
            ));
        }
        [_, _] if named.is_some() => {
            return Err(CommandError::new(
                ErrorKind::Usage,
                "`--name-template` and a name exclude one another",
            ));
        }
        [chart] => (named.as_deref().unwrap_or(UNNAMED), chart),
        [name, chart] => (name.as_str(), chart),
        _ => {
            return Err(CommandError::new(
                ErrorKind::Usage,
                "a chart is needed, and at most a name before it",
            ));
        }
    };
    helm::release::validate_name(name)
        .map_err(|error| CommandError::new(ErrorKind::Usage, error.to_string()))?;
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
    let wanted = TemplateOptions {
        include_crds: args.include_crds,
        no_hooks: args.no_hooks,
        skip_tests: args.skip_tests,
        show_only: args.show_only.clone(),
    };
    if let Some(folder) = &args.output_dir {
        let files = rendered
            .template_files(&wanted)
            .map_err(|error| not_shown(&error, &rendered, &args.show_only))?;
        let folder = if args.release_name {
            folder.join(name)
        } else {
            folder.clone()
        };
        return write_files(&files, &folder, context);
    }
    let text = rendered
        .template_output(&wanted)
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

/// The name that a template gives.
fn rendered_name(template: &str) -> CommandResult<String> {
    helm::release_name(template, Zoned::now()).map_err(|error| {
        CommandError::new(
            ErrorKind::Usage,
            format!(
                "`--name-template {template}` gives no name: {}",
                error.root_message()
            ),
        )
    })
}

/// Flags of `helm template` that would do something which is not done here: what to do instead.
fn refuse_what_is_not_done(args: &HelmTemplateArgs) -> CommandResult<()> {
    let refused = |what: &str, why: &str, hint: &str| {
        let message = format!("`{what}` of helm does not exist here: {why}");
        Err(CommandError::new(ErrorKind::Usage, message).hint(hint))
    };
    if args.post_renderer.is_some() || !args.post_renderer_args.is_empty() {
        return refused(
            "--post-renderer",
            "no other program is run",
            "pipe the output into it: `ioc chart template … | PROGRAM`",
        );
    }
    if args.validate || args.dry_run.as_deref() == Some("server") {
        return refused(
            if args.validate {
                "--validate"
            } else {
                "--dry-run=server"
            },
            "no cluster is asked",
            "`ioc diff INSTANCE` asks the cluster what it would make of an instance; `--kube-version` and `--api-versions` say what templates see",
        );
    }
    if let Some(other) = args.dry_run.as_deref().filter(|mode| {
        // Helm 3 has all of these
        !["client", "none", "true", "false"].contains(mode)
    }) {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("`--dry-run={other}` is neither `client` nor `server`"),
        ));
    }
    if args.enable_dns {
        return refused(
            "--enable-dns",
            "name servers are not asked from templates",
            "give the address as a value: `--set address=10.0.0.1`",
        );
    }
    Ok(())
}

/// Writes the documents of each template into a file of its own.
fn write_files(
    files: &[(String, String)],
    folder: &Path,
    context: &Context,
) -> CommandResult<Outcome> {
    let mut written = Vec::new();
    for (path, text) in files {
        let path = folder.join(path);
        let made = path
            .parent()
            .map_or(Ok(()), fs_err::create_dir_all)
            .and_then(|()| fs_err::write(&path, text));
        made.map_err(|error| {
            CommandError::new(
                ErrorKind::System,
                format!("failed to write `{}`", path.display()),
            )
            .caused_by(error)
        })?;
        written.push(path.display().to_string());
    }
    context.printer.emit_text(&written, |written| {
        written
            .iter()
            .fold(String::new(), |text, path| text + "wrote " + path + "\n")
    })?;
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
