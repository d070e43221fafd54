//! All resources of a release read into [`Workloads`], with every refusal and every note.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::fleet::manifest::Resource;
use crate::fleet::workload::model::{Claim, Workloads};
use crate::fleet::workload::node::{FieldError, Node};
use crate::fleet::workload::pod::{self, Notes, Template};
use crate::fleet::workload::support::{self, Decision};
use crate::fleet::workload::volume::Maps;

/// Where a release is to run.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Namespace of the beamline.
    pub namespace: &'a str,
    /// Name of this machine.
    pub node: &'a str,
}

/// What the local backend cannot run, all of it: at least one error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{release}` asks for what the local backend cannot do")]
pub struct Refused {
    /// Name of the release.
    pub release: String,
    /// What and why, with what to do instead.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the resources of the release `release`.
///
/// # Errors
///
/// Everything that is wrong or cannot be honoured, not just the first thing.
pub fn read(
    release: &str,
    resources: &[Resource],
    surroundings: &Surroundings<'_>,
) -> Result<Workloads, Refused> {
    let mut reader = Reader {
        surroundings,
        maps: Maps::default(),
        maps_are_broken: false,
        workloads: Workloads::default(),
        problems: Vec::new(),
    };
    for resource in resources {
        if matches!(resource.id.kind.as_str(), "ConfigMap" | "Secret") {
            let added = reader.maps.add(resource);
            reader.maps_are_broken |= reader.keep(resource, added).is_none();
        }
    }
    for resource in resources {
        reader.resource(resource);
    }
    reader.services(resources);
    if reader.problems.is_empty() {
        Ok(reader.workloads)
    } else {
        Err(Refused {
            release: release.to_owned(),
            diagnostics: reader.problems,
        })
    }
}

struct Reader<'a> {
    surroundings: &'a Surroundings<'a>,
    maps: Maps,
    maps_are_broken: bool,
    workloads: Workloads,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn keep<T>(&mut self, resource: &Resource, result: Result<T, FieldError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.push(
                    Diagnostic::error(format!("`{}`: {error}", resource.id))
                        .in_file(&resource.source),
                );
                None
            }
        }
    }

    fn note(&mut self, resource: &Resource, path: &str, why: &str) {
        self.workloads.notes.push(
            Diagnostic::note(format!("`{}`: `{path}` has no effect: {why}", resource.id))
                .in_file(&resource.source),
        );
    }

    fn resource(&mut self, resource: &Resource) {
        match support::kind(&resource.id.kind) {
            None => self.problems.push(
                Diagnostic::error(format!(
                    "`{}`: the local backend does not know this kind of resource",
                    resource.id
                ))
                .in_file(&resource.source)
                .hint("leave it out for this beamline, or deploy it to a cluster"),
            ),
            Some(Decision::Refused(why, instead)) => self.problems.push(
                Diagnostic::error(format!("`{}`: {why}", resource.id))
                    .in_file(&resource.source)
                    .hint(instead),
            ),
            Some(Decision::Noted(why)) => self.workloads.notes.push(
                Diagnostic::note(format!("`{}` has no effect: {why}", resource.id))
                    .in_file(&resource.source),
            ),
            Some(Decision::Honoured | Decision::Partly(_) | Decision::NoEffect(_)) => {
                match resource.id.kind.as_str() {
                    "PersistentVolumeClaim" => self.workloads.claims.push(Claim {
                        name: resource.id.name.clone(),
                    }),
                    "Pod" => self.pod(resource, &[], &Node::root(&resource.body)),
                    "StatefulSet" | "Deployment" | "DaemonSet" => self.controller(resource),
                    _ => {}
                }
            }
        }
    }

    fn controller(&mut self, resource: &Resource) {
        let spec = Node::root(&resource.body).field("spec");
        let own = spec.value().map(|value| {
            let mut own = value.clone();
            if let Some(template) = own.get_mut("template").and_then(Value::as_object_mut) {
                template.remove("spec");
            }
            own
        });
        if let Some(own) = own {
            self.decide(resource, &own, "spec", support::CONTROLLER);
        }
        let replicas = spec.field("replicas").number();
        if let Some(Some(many)) = self.keep(resource, replicas)
            && many > 1
        {
            self.problems.push(
                Diagnostic::error(format!(
                    "`{}`: `spec.replicas` is {many}: on one host network each of them would serve the same PVs",
                    resource.id
                ))
                .in_file(&resource.source)
                .hint("set `replicas: 1`"),
            );
        }
        self.pod(resource, &["spec", "template"], &spec);
    }

    fn pod(&mut self, resource: &Resource, path: &[&str], spec: &Node<'_>) {
        let before = self.problems.len();
        let node = Node::root(&resource.body).descend(path);
        let pod_spec = node.field("spec");
        if let Some(value) = pod_spec.value() {
            self.decide(resource, value, pod_spec.path(), support::POD);
        }
        self.place(resource, &pod_spec);
        // nothing is read further after a refusal: the same mistake would be repeated in other words
        if self.problems.len() > before || self.maps_are_broken {
            return;
        }
        let claims = self.claim_templates(resource, spec);
        let wanted = spec.field("replicas").number().ok().flatten() != Some(0);
        let ordinal = if resource.id.kind == "StatefulSet" {
            "-0"
        } else {
            ""
        };
        let mut notes = Notes::new();
        let template = Template {
            id: &resource.id,
            node,
            pod_name: format!("{}{ordinal}", resource.id.name),
            wanted: wanted || resource.id.kind == "Pod",
            own_claims: claims,
            surroundings: self.surroundings,
            maps: &self.maps,
        };
        let read = pod::pod(&template, &mut notes);
        if let Some(pod) = self.keep(resource, read) {
            self.workloads.pods.push(pod);
        }
        for (path, why) in notes {
            self.note(resource, &path, &why);
        }
    }

    /// Claims of a StatefulSet's `volumeClaimTemplates`, named as a cluster names them.
    fn claim_templates(
        &mut self,
        resource: &Resource,
        spec: &Node<'_>,
    ) -> BTreeMap<String, String> {
        let templates = spec.field("volumeClaimTemplates").items(&[]);
        let mut claims = BTreeMap::new();
        for template in self.keep(resource, templates).unwrap_or_default() {
            let name = template.descend(&["metadata", "name"]);
            let name = name.required_text();
            if let Some(name) = self.keep(resource, name) {
                let claim = format!("{name}-{}-0", resource.id.name);
                self.workloads.claims.push(Claim {
                    name: claim.clone(),
                });
                claims.insert(name.to_owned(), claim);
            }
        }
        claims
    }

    /// Looks every field that is set up in the table.
    fn decide(
        &mut self,
        resource: &Resource,
        value: &Value,
        prefix: &str,
        table: &'static [(&'static str, Decision)],
    ) {
        for used in support::fields(value, prefix, table) {
            match used.decision {
                Some(Decision::Honoured | Decision::Partly(_) | Decision::NoEffect(_)) => {}
                Some(Decision::Noted(why)) => self.note(resource, &used.path, why),
                Some(Decision::Refused(why, instead)) => self.problems.push(
                    Diagnostic::error(format!("`{}`: `{}`: {why}", resource.id, used.path))
                        .in_file(&resource.source)
                        .hint(instead),
                ),
                None => {
                    let diagnostic = Diagnostic::error(format!(
                        "`{}`: `{}` is not a field that the local backend knows",
                        resource.id, used.path
                    ))
                    .in_file(&resource.source);
                    self.problems
                        .push(match support::nearest_field(&used.path, table) {
                            Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
                            None => diagnostic
                                .hint("docs/local-backend.md lists what it does with each field"),
                        });
                }
            }
        }
    }

    /// Whether the pod belongs on this machine.
    fn place(&mut self, resource: &Resource, spec: &Node<'_>) {
        let here = self.surroundings.node;
        let elsewhere = |path: &str, there: &str| {
            Diagnostic::error(format!(
                "`{}`: `{path}` wants `{there}`, and this machine is `{here}`",
                resource.id
            ))
            .in_file(&resource.source)
            .hint("run `ioc` on that machine, or change where the instance belongs")
        };
        let name = spec.field("nodeName");
        if let Some(Some(there)) = self.keep(resource, name.text())
            && !is_this_machine(there, here)
        {
            self.problems.push(elsewhere(name.path(), there));
        }
        let selector = spec.field("nodeSelector");
        for (key, value) in self.keep(resource, selector.texts()).unwrap_or_default() {
            let path = format!("{}[{key}]", selector.path());
            if key != HOSTNAME_LABEL {
                self.note(resource, &path, "labels of this machine are not known here");
            } else if !is_this_machine(value, here) {
                self.problems.push(elsewhere(&path, value));
            }
        }
        let terms = spec
            .descend(&[
                "affinity",
                "nodeAffinity",
                "requiredDuringSchedulingIgnoredDuringExecution",
                "nodeSelectorTerms",
            ])
            .items(&[]);
        let terms = self.keep(resource, terms).unwrap_or_default();
        let mut verdicts = Vec::new();
        for term in &terms {
            let read = affinity_term(term, here);
            verdicts.extend(self.keep(resource, read));
        }
        // the terms are alternatives: one that may hold is enough
        if !verdicts.is_empty()
            && verdicts
                .iter()
                .all(|verdict| matches!(verdict, Verdict::Elsewhere(_)))
        {
            if let Some(Verdict::Elsewhere(there)) = verdicts.first() {
                let path = format!("{}.affinity", spec.path());
                self.problems.push(elsewhere(&path, there));
            }
        } else {
            for verdict in &verdicts {
                if let Verdict::Unknown(keys) = verdict {
                    let path = format!("{}.affinity", spec.path());
                    let why = format!("whether this machine is labelled {keys} is not known here");
                    self.note(resource, &path, &why);
                }
            }
        }
        if spec.is_present() && !matches!(spec.field("hostNetwork").flag(), Ok(true)) {
            self.workloads.notes.push(
                Diagnostic::note(format!(
                    "`{}`: its pod uses the network of this machine, since there is no other here",
                    resource.id
                ))
                .in_file(&resource.source),
            );
        }
    }

    /// A Service gives an address of its own to pods that have none of their own here.
    fn services(&mut self, resources: &[Resource]) {
        let any_pod_network = resources.iter().any(|resource| {
            let root = Node::root(&resource.body);
            let spec = match resource.id.kind.as_str() {
                "Pod" => root.field("spec"),
                "StatefulSet" | "Deployment" | "DaemonSet" => {
                    root.descend(&["spec", "template", "spec"])
                }
                _ => return false,
            };
            !matches!(spec.field("hostNetwork").flag(), Ok(true))
        });
        let services = resources
            .iter()
            .filter(|resource| resource.id.kind == "Service");
        for service in services {
            if any_pod_network {
                self.problems.push(
                    Diagnostic::error(format!(
                        "`{}`: there are no addresses of Services here, and its pods do not use the host network",
                        service.id
                    ))
                    .in_file(&service.source)
                    .hint("set `hostNetwork: true`"),
                );
            } else {
                self.workloads.notes.push(
                    Diagnostic::note(format!(
                        "`{}` has no effect: its pods are on the network of this machine",
                        service.id
                    ))
                    .in_file(&service.source),
                );
            }
        }
    }
}

/// Label by which Kubernetes names a node.
const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";

/// With or without its domain.
fn is_this_machine(name: &str, here: &str) -> bool {
    let short = |full: &str| {
        full.split('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    name.eq_ignore_ascii_case(here)
        || (name.contains('.') != here.contains('.') && short(name) == short(here))
}

/// Whether a node affinity term allows this machine.
#[derive(Debug)]
enum Verdict {
    Here,
    Elsewhere(String),
    Unknown(String),
}

fn affinity_term(term: &Node<'_>, here: &str) -> Result<Verdict, FieldError> {
    let mut unknown = Vec::new();
    for expression in term.field("matchExpressions").items(&["key"])? {
        let key = expression.field("key").required_text()?;
        let operator = expression.field("operator");
        let values = expression.field("values").list_of_texts()?;
        let listed = values.iter().any(|value| is_this_machine(value, here));
        match (key, operator.required_text()?) {
            (HOSTNAME_LABEL, "In") if !listed => {
                return Ok(Verdict::Elsewhere(values.join("` or `")));
            }
            (HOSTNAME_LABEL, "NotIn") if listed => {
                return Ok(Verdict::Elsewhere(format!("not {here}")));
            }
            (HOSTNAME_LABEL, "In" | "NotIn" | "Exists") => {}
            (_, name) => unknown.push(
                format!("`{key}` {name} {}", values.join(", "))
                    .trim_end()
                    .to_owned(),
            ),
        }
    }
    for expression in term.field("matchFields").items(&["key"])? {
        let values = expression.field("values").list_of_texts()?;
        let is_in = expression.field("operator").text()? == Some("In");
        if is_in && !values.iter().any(|value| is_this_machine(value, here)) {
            return Ok(Verdict::Elsewhere(values.join("` or `")));
        }
    }
    Ok(if unknown.is_empty() {
        Verdict::Here
    } else {
        Verdict::Unknown(unknown.join(" and "))
    })
}
