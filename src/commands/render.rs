//! `ioc render`: the manifests of instances, to the byte as `helm template` prints them, or as data.

use std::path::Path;

use serde::Serialize;

use crate::cli::global::OutputFormat;
use crate::cli::render::RenderArgs;
use crate::commands::{Context, Outcome, versioned};
use crate::services::{
    Instance, ReleaseFacts, RenderedInstance, ServicesError, ValueOverrides, render_all, select,
};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::versions::selected::Wanted;
use crate::yaml;

/// Runs the command.
///
/// # Errors
///
/// An unknown instance, or what is wrong in values, charts and templates of all that were asked for.
pub(crate) async fn render(args: &RenderArgs, context: &Context) -> CommandResult<Outcome> {
    let beamline = args.beamline.beamline.as_deref();
    let wanted = Wanted {
        tag: args.version.version.as_deref(),
        names: &args.instances,
        beamline,
        all: args.all,
    };
    let context = &*versioned::at(wanted, context).await?;
    let selections = select(&context.settings, &args.instances, beamline, args.all)?;
    let jobs: Vec<(&Instance, ReleaseFacts)> = selections
        .iter()
        .map(|selection| {
            let release = ReleaseFacts::install(&selection.instance, &selection.beamline.namespace);
            (&selection.instance, release)
        })
        .collect();
    let overrides = ValueOverrides::new(&args.values)?;
    let rendered = all_or_errors(render_all(&jobs, &overrides))?;
    for instance in &rendered {
        for warning in &instance.rendered.warnings {
            context.printer.warning(warning.as_str());
        }
    }
    if context.printer.format() == OutputFormat::Table {
        let mut text = String::new();
        for instance in &rendered {
            text.push_str(&instance.rendered.to_template_output());
        }
        context.printer.document(&text)?;
    } else {
        let documents = rendered
            .iter()
            .map(documents)
            .collect::<CommandResult<Vec<_>>>()?;
        context.printer.emit_text(&documents, |_| String::new())?;
    }
    Ok(Outcome::Success)
}

/// The manifests of all instances, or the mistakes of all of them.
fn all_or_errors(
    results: Vec<Result<RenderedInstance, ServicesError>>,
) -> CommandResult<Vec<RenderedInstance>> {
    let mut rendered = Vec::new();
    let mut failed = Vec::new();
    for result in results {
        match result {
            Ok(instance) => rendered.push(instance),
            Err(error) => failed.push(error),
        }
    }
    if failed.is_empty() {
        return Ok(rendered);
    }
    if failed.len() == 1 {
        return Err(failed.remove(0).into());
    }
    let mut findings = Vec::new();
    for finding in failed.into_iter().flat_map(ServicesError::into_diagnostics) {
        // What is wrong with shared files is found again for every instance.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    Err(ServicesError::Findings(findings).into())
}

/// An instance and its manifests as data.
#[derive(Debug, Serialize)]
struct Documents {
    instance: String,
    version: String,
    manifests: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
}

fn documents(instance: &RenderedInstance) -> CommandResult<Documents> {
    let mut manifests = Vec::new();
    for manifest in &instance.rendered.manifests {
        let document = yaml::document(Path::new(&manifest.source_template), &manifest.text)
            .map_err(|finding| CommandError::from_diagnostic(ErrorKind::Input, *finding))?;
        // A document of comments only is no resource.
        if !document.is_null() {
            manifests.push(document);
        }
    }
    Ok(Documents {
        instance: instance.instance().name().to_owned(),
        version: instance.version().to_string(),
        manifests,
        notes: instance.rendered.notes.clone(),
    })
}
