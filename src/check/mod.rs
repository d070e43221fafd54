//! What can be known about the instances of a services repository before any of them is deployed.
//!
//! The checks read: the repository, the rendered manifests as the backend will understand them, and, through
//! [`crate::image::contents`], what the images bring along. They deploy nothing, run nothing and print nothing.
//! What could not be checked is part of the answer.

pub mod across;
pub mod config;
pub mod database;
mod examine;
pub mod images;
pub mod loaded;
pub mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::check::config::ConfigFile;
use crate::check::database::Record;
use crate::check::images::State;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::engine::Engine;
use crate::fleet::workload::model::{Container, Pod, Workloads};
use crate::project::Backend;
use crate::services::{Instance, Repository};
use crate::settings::Settings;
use crate::ui::error::CommandResult;
use crate::yaml::tree::Tree;

/// What is to be checked, and with what.
#[derive(Debug)]
pub struct Question<'a> {
    /// The services repository.
    pub repository: &'a Repository,
    /// Names of the instances that findings are wanted for; all when empty.
    pub only: &'a BTreeSet<String>,
    /// Namespace that charts see.
    pub namespace: &'a str,
    /// Where the instances are to run.
    pub backend: Backend,
    /// The engine that has the images, unless it is not to be asked.
    pub engine: Option<&'a Engine>,
    /// Settings of the project.
    pub settings: &'a Settings,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Findings, instance by instance, then those about several.
    pub findings: Vec<Diagnostic>,
    /// Counts.
    pub summary: Summary,
    /// What was not checked, and why.
    pub not_checked: Vec<String>,
}

/// Counts of a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Instances that were checked.
    pub instances: usize,
    /// Findings that stop a deploy or the IOC.
    pub errors: usize,
    /// Findings that are probably not what was meant.
    pub warnings: usize,
    /// Findings worth knowing.
    pub notes: usize,
    /// Records that the databases of the instances define.
    pub records: usize,
}

/// An instance and all that was found out about it.
#[derive(Debug)]
pub struct Examined<'a> {
    /// The instance.
    pub instance: &'a Instance,
    /// What is wrong with it.
    pub findings: Vec<Diagnostic>,
    /// Its own values, then those of all instances.
    pub values: Vec<Tree>,
    /// What is to run; `None` when it cannot be rendered or understood.
    pub workloads: Option<Workloads>,
    /// Values of all instances that its chart does not read; `None` when it has no chart that can be read.
    unread_shared: Option<Vec<Diagnostic>>,
    /// What could not be checked, and why.
    unchecked: Vec<String>,
    /// Files of its configuration.
    pub config: Vec<ConfigFile>,
    /// Records of its IOC.
    pub records: Vec<Record>,
}

impl<'a> Examined<'a> {
    fn new(instance: &'a Instance) -> Self {
        Self {
            instance,
            findings: Vec::new(),
            values: Vec::new(),
            workloads: None,
            unread_shared: None,
            unchecked: Vec::new(),
            config: Vec::new(),
            records: Vec::new(),
        }
    }

    /// The container of the IOC.
    pub fn container(&self) -> Option<&Container> {
        self.ioc().map(|(_, container)| container)
    }

    /// The pod and the container of the IOC; `None` for a service that is not an IOC.
    fn ioc(&self) -> Option<(&Pod, &Container)> {
        let (pod, container) = self.workloads.as_ref()?.main(self.instance.name())?;
        is_ioc(pod).then_some((pod, container))
    }

    /// The node that it is bound to, if it is bound to one.
    pub fn node(&self) -> Option<&str> {
        let path = ["ioc-instance", "nodeName"];
        self.values.iter().find_map(|tree| tree.get(path)?.text())
    }

    /// The place in the values, its own first, of what stands at a path, or of the nearest thing above it.
    pub fn values_place(&self, path: &[&str]) -> Place {
        for length in (1..=path.len()).rev() {
            let part = || path[..length].iter().copied();
            if let Some(found) = self.values.iter().find_map(|tree| tree.get(part())) {
                return if length == path.len() {
                    found.place()
                } else {
                    found.key_place()
                };
            }
        }
        Place::file(self.instance.folder().join("values.yaml"))
    }

    /// The place of an image in the values; the file when it comes from elsewhere.
    fn image_place(&self, reference: &str) -> Place {
        self.values
            .iter()
            .find_map(|tree| values::find_text(tree.root(), reference))
            .unwrap_or_else(|| self.values_place(&["ioc-instance", "image"]))
    }
}

/// Checks the instances of a repository.
///
/// # Errors
///
/// The engine fails while it is asked. Mistakes in files are findings.
pub async fn check(question: &Question<'_>) -> CommandResult<Report> {
    let mut examined = examine::all(question);
    let references: BTreeSet<String> = examined
        .iter()
        .flat_map(|instance| &instance.workloads)
        .flat_map(Workloads::images)
        .map(str::to_owned)
        .collect();
    let states = images::look(&references, question.engine, question.settings).await?;
    for instance in &mut examined {
        look_into(instance, &states, question);
    }
    Ok(report(
        question,
        examined,
        images_not_checked(&states, question),
    ))
}

/// The records of the IOC of an instance.
#[derive(Debug, Clone)]
pub struct Records {
    /// The instance.
    pub instance: String,
    /// Its records, in order of definition.
    pub records: Vec<Record>,
}

/// The records that the IOCs of a repository would have, and what is not known of them: why, in words for people.
///
/// # Errors
///
/// As [`check`].
pub async fn records(question: &Question<'_>) -> CommandResult<(Vec<Records>, Vec<String>)> {
    let mut examined = examine::all(question);
    let wanted = |name: &str| question.only.is_empty() || question.only.contains(name);
    examined.retain(|instance| wanted(instance.instance.name()));
    let references: BTreeSet<String> = examined
        .iter()
        .flat_map(|instance| &instance.workloads)
        .flat_map(Workloads::images)
        .map(str::to_owned)
        .collect();
    let states = images::look(&references, question.engine, question.settings).await?;
    let mut unknown = Vec::new();
    let mut all = Vec::new();
    for mut instance in examined {
        look_into(&mut instance, &states, question);
        unknown.append(&mut instance.unchecked);
        let errors = instance.findings.iter();
        let errors = errors.filter(|finding| finding.severity == Severity::Error);
        if let Some(first) = errors.map(|finding| &finding.message).next() {
            let name = instance.instance.name();
            unknown.push(format!(
                "all of `{name}`, which has mistakes (`ioc check`): {first}"
            ));
        }
        all.push(Records {
            instance: instance.instance.name().to_owned(),
            records: instance.records,
        });
    }
    unknown.extend(images_not_checked(&states, question));
    Ok((all, unknown))
}

/// Whether a pod is an IOC, by the labels that charts have used over the years.
fn is_ioc(pod: &Pod) -> bool {
    let labelled = |name: &str| {
        pod.labels
            .get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    labelled("ioc") || labelled("is_ioc")
}

/// The images of an instance, and the start of its IOC with what the image has.
fn look_into(
    examined: &mut Examined<'_>,
    states: &BTreeMap<String, State>,
    question: &Question<'_>,
) {
    let images: Vec<String> = examined
        .workloads
        .iter()
        .flat_map(Workloads::images)
        .map(str::to_owned)
        .collect();
    for reference in images {
        let Some(state) = states.get(&reference) else {
            continue;
        };
        let place = examined.image_place(&reference);
        examined
            .findings
            .extend(images::finding(&reference, state, question.settings, place));
    }
    let is_lost = |file: &&config::ConfigFile| {
        let folder = file.path.parent();
        file.text.is_none() && !folder.is_some_and(|folder| folder.ends_with("config-binary"))
    };
    if let Some(binary) = examined.config.iter().find(is_lost) {
        // It cannot become a ConfigMap like this: everything would seem to be missing.
        examined.unchecked.push(format!(
            "start-up of `{}`, as long as its configuration has `{}`",
            examined.instance.name(),
            binary.name
        ));
        return;
    }
    let Some((pod, container)) = examined.ioc() else {
        return;
    };
    let image = match states.get(&container.image) {
        Some(State::Here(contents)) => Some(&**contents),
        _ => None,
    };
    let start = database::check(&database::Surroundings {
        pod,
        container,
        config: &examined.config,
        image,
    });
    if let Some(reason) = start.unchecked {
        examined.unchecked.push(format!(
            "start-up of `{}`: {reason}",
            examined.instance.name()
        ));
    }
    examined.findings.extend(start.findings);
    examined.records = start.records;
}

/// What the missing of images keeps from being checked.
fn images_not_checked(states: &BTreeMap<String, State>, question: &Question<'_>) -> Vec<String> {
    let missing: Vec<String> = states
        .iter()
        .filter(|(_, state)| !matches!(state, State::Here(_)))
        .map(|(reference, _)| format!("`{reference}`"))
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let missing = missing.join(", ");
    let mut lines = Vec::new();
    if question.engine.is_none() {
        lines.push(format!(
            "whether the images exist, since no engine was asked: {missing}"
        ));
    }
    lines.push(format!(
        "record types, fields, databases and variables that come from the images that are not at hand: {missing}"
    ));
    lines
}

/// All findings about what was asked for, each once, with their counts.
fn report(
    question: &Question<'_>,
    examined: Vec<Examined<'_>>,
    images_not_checked: Vec<String>,
) -> Report {
    let wanted = |name: &str| question.only.is_empty() || question.only.contains(name);
    let mut shared = across::names(question.repository);
    shared.extend(across::beamlines(question.repository, question.settings));
    shared.extend(across::resources(&examined));
    let mut summary = Summary::default();
    let mut findings = unread_by_all(&examined);
    let mut not_checked = Vec::new();
    for instance in examined {
        if !wanted(instance.instance.name()) {
            continue;
        }
        summary.instances += 1;
        summary.records += instance.records.len();
        not_checked.extend(instance.unchecked);
        for finding in instance.findings {
            // What is wrong with shared files is found again for every instance.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    findings.extend(
        shared
            .into_iter()
            .filter(|shared| shared.instances.iter().any(|name| wanted(name)))
            .map(|shared| shared.finding),
    );
    for finding in &findings {
        match finding.severity {
            Severity::Error => summary.errors += 1,
            Severity::Warning => summary.warnings += 1,
            Severity::Note => summary.notes += 1,
        }
    }
    not_checked.extend(images_not_checked);
    Report {
        findings,
        summary,
        not_checked,
    }
}

/// Values of all instances that no chart of any instance reads.
fn unread_by_all(examined: &[Examined<'_>]) -> Vec<Diagnostic> {
    let mut lists = examined
        .iter()
        .filter_map(|instance| instance.unread_shared.as_ref());
    let Some(first) = lists.next() else {
        return Vec::new();
    };
    let mut common = first.clone();
    for list in lists {
        common.retain(|finding| list.contains(finding));
    }
    common
}
