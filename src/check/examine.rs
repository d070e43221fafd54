//! One instance by itself, without a container engine: links, values, chart, configuration, resources.

use crate::check::{Examined, Question, config, values};
use crate::diagnostic::{Diagnostic, Severity};
use crate::fleet::{manifest, workload};
use crate::project::Backend;
use crate::services::{
    Instance, ReleaseFacts, ValueOverrides, links, load_chart, render_chart, schema, template_path,
};

/// Examines all instances of the repository, several at a time.
pub(super) fn all<'a>(question: &Question<'a>) -> Vec<Examined<'a>> {
    let instances = question.repository.instances();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = instances.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = instances
            .chunks(share)
            .map(|part| {
                scope.spawn(move || -> Vec<Examined<'a>> {
                    part.iter()
                        .map(|instance| one(instance, question))
                        .collect()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(examined) => examined,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

/// One instance. A step that fails leaves out those that need its result.
fn one<'a>(instance: &'a Instance, question: &Question<'_>) -> Examined<'a> {
    let mut examined = Examined::new(instance);
    examined.findings = links::findings(instance);
    if !examined.findings.is_empty() {
        // A link out of the repository is not followed by anything below.
        return examined;
    }
    let own_values = instance.folder().join("values.yaml");
    if own_values.is_dir() {
        examined.findings.push(
            Diagnostic::error("`values.yaml` is a folder")
                .in_file(&own_values)
                .expected("expected a file with the values of this instance"),
        );
        return examined;
    }
    for path in instance.value_files().into_iter().rev() {
        match values::read(&path) {
            Ok(tree) => examined.values.push(tree),
            Err(finding) => examined.findings.push(*finding),
        }
    }
    let values_are_readable = examined.findings.is_empty();
    let chart = match load_chart(instance) {
        Ok(chart) => Some(chart),
        Err(error) => {
            // Its own values are a part of the chart, and what is wrong with them has been said.
            if values_are_readable {
                examined.findings.extend(error.into_diagnostics());
            }
            None
        }
    };
    let takes_binary = chart
        .as_ref()
        .is_some_and(|chart| values::chart_mentions(chart, "config-binary"));
    examined.config = config::read(instance.folder(), takes_binary, &mut examined.findings);
    if let Some(chart) = chart.filter(|_| values_are_readable) {
        rendered(instance, chart, question, &mut examined);
    }
    if examined.ioc().is_some() {
        config::start_up(instance.folder(), &examined.config, &mut examined.findings);
    }
    examined
}

/// Renders the chart and reads what it gives as the backend will.
fn rendered(
    instance: &Instance,
    chart: helm::Chart,
    question: &Question<'_>,
    examined: &mut Examined<'_>,
) {
    let (own, shared) = values::unread(&schema::sections(&chart), &examined.values, instance);
    examined.findings.extend(own);
    examined.unread_shared = Some(shared);
    let config_is_wrong = examined
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    let release = ReleaseFacts::install(instance, question.namespace);
    let rendered = match render_chart(instance, chart, &ValueOverrides::default(), &release) {
        Ok(rendered) => rendered,
        Err(error) => {
            examined.findings.extend(error.into_diagnostics());
            return;
        }
    };
    let warnings = rendered.rendered.warnings.iter();
    examined
        .findings
        .extend(warnings.map(|warning| Diagnostic::note(warning).in_file(instance.folder())));
    let resources = match manifest::parse(&rendered.rendered.manifest_text()) {
        Ok(resources) => resources,
        Err(finding) => {
            examined.findings.push(in_repository(*finding, instance));
            return;
        }
    };
    if resources.is_empty() {
        examined.findings.push(
            Diagnostic::warning(format!(
                "the chart of `{}` makes no resources: nothing would run",
                instance.name()
            ))
            .in_file(instance.folder())
            .hint("is `templates` missing, or has a value switched everything off?"),
        );
    }
    let surroundings = workload::Surroundings {
        namespace: question.namespace,
        node: "localhost",
    };
    match workload::read(instance.name(), &resources, &surroundings) {
        Ok(workloads) => examined.workloads = Some(workloads),
        Err(refused) if question.backend == Backend::Local => {
            let new = refused
                .diagnostics
                .into_iter()
                // Names and size of its files have been reported with their own places.
                .filter(|finding| !(config_is_wrong && finding.message.starts_with("`ConfigMap ")))
                .map(|finding| in_repository(finding, instance));
            examined.findings.extend(new);
        }
        // A cluster may do what this machine cannot.
        Err(refused) => {
            let first = refused.diagnostics.first();
            let why = first.map_or("", |finding| finding.message.as_str());
            examined.unchecked.push(format!(
                "images and start-up of `{}`: its pods are read only as far as the local backend knows them, and {why}",
                instance.name()
            ));
        }
    }
}

/// A finding about a manifest at the template that wrote it.
fn in_repository(mut finding: Diagnostic, instance: &Instance) -> Diagnostic {
    if let Some(place) = &mut finding.place
        && let Some(name) = place.path.to_str()
    {
        place.path = template_path(name, instance);
    }
    finding
}
