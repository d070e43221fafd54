//! What has to hold before anything is pushed: versions, names of images, and every instance against its image.

use std::collections::BTreeSet;

use super::{Work, refuse};
use crate::check;
use crate::commands::build::BuiltImage;
use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::Engine;
use crate::registry;
use crate::release::{ReleasedChart, verify};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

impl Work<'_> {
    /// A version that somebody keeps by hand is that of the tag.
    pub(super) fn versions_match(&self) -> CommandResult<()> {
        let mut findings = Vec::new();
        for subject in &self.subjects {
            let before = subject.before.as_ref().zip(self.before.as_ref());
            let mut found = verify::chart_versions(
                subject.now.instances(),
                before.map(|(repository, tag)| (repository, tag.tag.as_str())),
                &self.tag.tag,
                &self.chart_version,
            );
            subject.now.as_the_user_knows(&mut found);
            findings.extend(found);
        }
        refuse(findings, "versions of charts are not those of the tag")
    }

    /// Images of this project must have the tag, or be in the registry from an earlier release.
    pub(super) async fn image_references_match(
        &self,
        charts: &[ReleasedChart],
        images: &[BuiltImage],
    ) -> CommandResult<()> {
        let ours: BTreeSet<&str> = images
            .iter()
            .map(|image| verify::split_reference(&image.reference).0)
            .collect();
        let registry = self.image_registry();
        let mut findings = Vec::new();
        for chart in charts {
            let documents = verify::documents(&chart.rendered.rendered.manifests)
                .map_err(|finding| CommandError::from_diagnostic(ErrorKind::Input, *finding))?;
            for reference in verify::images(&documents) {
                let (name, tag) = verify::split_reference(&reference);
                let Some(tag) = tag.filter(|tag| ours.contains(name) && *tag != self.tag.tag)
                else {
                    continue;
                };
                let is_released = tag != "latest"
                    && match registry::image::pushable(&reference) {
                        Ok(parsed) => registry.digest(&parsed).await?.is_some(),
                        Err(_stays_on_this_machine) => false,
                    };
                if !is_released {
                    let values = chart.rendered.instance().folder().join("values.yaml");
                    let mut finding = [Diagnostic::error(format!(
                        "`{}` runs `{reference}`, which neither has the tag {} nor was released before",
                        chart.instance, self.tag.tag
                    ))
                    .in_file(&values)
                    .hint(format!("write `{name}:{}`, commit and tag again", self.tag.tag))];
                    chart.rendered.instance().as_the_user_knows(&mut finding);
                    findings.extend(finding);
                }
            }
        }
        refuse(findings, "images of instances are not those of the tag")
    }

    /// Every instance against its image, as `ioc check` does.
    pub(super) async fn checked(&self, images: &[BuiltImage]) -> CommandResult<()> {
        let engine = Engine::connect(&self.settings).await;
        let engine = match (engine, images.is_empty()) {
            (Ok(engine), _) => Some(engine),
            (Err(error), false) => return Err(error),
            (Err(error), true) => {
                self.context.printer.warning(format!(
                    "instances are not checked against their images: {error}"
                ));
                None
            }
        };
        let mut findings = Vec::new();
        for subject in &self.subjects {
            let name = &subject.beamline.name;
            let _task = self
                .context
                .printer
                .progress()
                .task(&format!("checking {name}"));
            let mut settings = self.settings.clone();
            if let Some(own) = settings.beamlines.get_mut(name) {
                own.repository = subject.now.root().to_path_buf();
            }
            let question = check::Question {
                repository: &subject.now,
                only: &BTreeSet::new(),
                namespace: &subject.beamline.namespace,
                backend: subject.beamline.backend,
                engine: engine.as_ref(),
                settings: &settings,
            };
            let mut report = check::check(&question).await?;
            subject.now.as_the_user_knows(&mut report.findings);
            for line in &report.not_checked {
                self.context.printer.info(format!("not checked: {line}"));
            }
            findings.extend(report.findings);
        }
        let (errors, others): (Vec<Diagnostic>, Vec<Diagnostic>) = findings
            .into_iter()
            .partition(|finding| finding.severity == Severity::Error);
        for finding in &others {
            self.context.printer.diagnostic(finding);
        }
        // in a dry run the images of the tag are not there yet
        if self.args.dry_run && !images.is_empty() {
            for finding in &errors {
                self.context.printer.diagnostic(finding);
            }
            return Ok(());
        }
        refuse(errors, "instances have mistakes")
    }
}
