//! Instances held against the cluster before they are deployed: nodes, ports, claims, and whether registries have their images.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::commands::Context;
use crate::diagnostic::Diagnostic;
use crate::fleet::kubernetes::plan::Plan;
use crate::fleet::kubernetes::preflight::{Preflight, Subject, pull};
use crate::fleet::kubernetes::survey::Survey;
use crate::fleet::kubernetes::{Cluster, ClusterRelease};
use crate::fleet::manifest;
use crate::registry::Registry;
use crate::registry::existence::{self, Existence};
use crate::source::FetchContext;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Images that registries are asked for at a time.
const AT_A_TIME: usize = 8;
/// How long a check waits for the registries.
const PATIENCE_OF_A_CHECK: Duration = Duration::from_secs(20);
/// How long a deploy does: it works without the answer.
const PATIENCE_OF_A_DEPLOY: Duration = Duration::from_secs(3);

/// What `ioc check` says to each instance, in their order.
pub(crate) async fn check(
    subjects: &[Subject<'_>],
    survey: &Survey,
    context: &Context,
) -> Vec<Diagnostic> {
    let mut all: Vec<Diagnostic> = Vec::new();
    for found in looked(subjects, survey, PATIENCE_OF_A_CHECK, context).await {
        for finding in found.findings {
            // what is said of an image is the same for all of its instances
            if !all.contains(&finding) {
                all.push(finding);
            }
        }
    }
    all
}

/// Notes in plans whose instances would not run. Nothing is refused: who deploys may know what the cluster does not yet.
pub(super) async fn note(
    cluster: &Cluster,
    planned: &mut [(ClusterRelease, Plan)],
    context: &Context,
) -> CommandResult<()> {
    let mut manifests = Vec::new();
    for (number, (release, plan)) in planned.iter().enumerate() {
        // one that is stopped on purpose goes nowhere
        if plan.is_empty() || release.stopped().is_some() {
            continue;
        }
        let resources = manifest::parse(plan.manifest())
            .map_err(|finding| CommandError::from_diagnostic(ErrorKind::Input, *finding))?;
        manifests.push((number, release.name.clone(), resources));
    }
    let (numbers, subjects): (Vec<usize>, Vec<Subject<'_>>) = manifests
        .iter()
        .filter_map(|(number, name, resources)| {
            // what Kubernetes does not know, the dry run has refused
            let subject = Subject::of(name, &cluster.namespace, resources).ok()??;
            Some((*number, subject))
        })
        .unzip();
    if subjects.is_empty() {
        return Ok(());
    }
    let Some(survey) = Survey::around(cluster, &subjects).await? else {
        return Ok(());
    };
    let looked = looked(&subjects, &survey, PATIENCE_OF_A_DEPLOY, context).await;
    for (number, found) in numbers.into_iter().zip(looked) {
        let Some((_, plan)) = planned.get_mut(number) else {
            continue;
        };
        for finding in found.errors() {
            let note = match &finding.hint {
                Some(hint) => format!("{} ({hint})", finding.message),
                None => finding.message.clone(),
            };
            context.printer.warning(note.clone());
            plan.notes.push(note);
        }
    }
    Ok(())
}

/// Everything that is found, also by the registries.
async fn looked(
    subjects: &[Subject<'_>],
    survey: &Survey,
    patience: Duration,
    context: &Context,
) -> Vec<Preflight> {
    let mut all: Vec<Preflight> = subjects
        .iter()
        .map(|subject| subject.look(survey))
        .collect();
    let images: BTreeSet<&str> = all
        .iter()
        .flat_map(|found| &found.pulls)
        .map(|pull| pull.image.as_str())
        .collect();
    let answers = asked(images, patience, context).await;
    for (subject, found) in subjects.iter().zip(&mut all) {
        let of_images = pull::findings(subject.instance, &found.pulls, &answers);
        found.findings.extend(of_images);
    }
    all
}

/// What the registries say to these images.
async fn asked(
    images: BTreeSet<&str>,
    patience: Duration,
    context: &Context,
) -> BTreeMap<String, Existence> {
    let fetch = FetchContext::new(&context.settings, context.cancel.clone());
    let registry = Registry::for_images(fetch, &context.settings.registry, false);
    // for all of them together: a registry that is cut off holds nobody up for longer than one does
    let deadline = tokio::time::Instant::now() + patience;
    stream::iter(images)
        .map(|image| {
            let registry = &registry;
            async move {
                let answer = existence::of_image(registry, image, deadline).await;
                (image.to_owned(), answer)
            }
        })
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await
}
