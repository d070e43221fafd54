//! What a deploy would change in a cluster: last release, live objects and new manifests side by side.
//!
//! The server itself says what an apply would give (a dry run), so defaults, admission and field ownership are in it.
//! Everything that would refuse the deploy half-way is collected here, before anything changes.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Place};
use crate::fleet::deploy::Desired;
use crate::fleet::kubernetes::object::{Object, ObjectId, Owner, comparable, is_kept_live, owner};
use crate::fleet::kubernetes::release::{ClusterRelease, Unfinished};
use crate::fleet::kubernetes::{error, immutable, intent, managed_fields, records};
use crate::fleet::manifest::{self, Resource, ResourceId};
use crate::fleet::plan::{self, Change, Nature, Records};
use crate::fleet::release::record::{self, Record};
use crate::fleet::release::{self, Status};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How many objects are asked about at a time.
const AT_A_TIME: usize = 8;

/// What the user allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowed {
    /// Take objects over that have no marks of Helm, or those of another release.
    pub take_ownership: bool,
    /// Take fields over that others have set.
    pub force_conflicts: bool,
    /// Take over the number of replicas alone: starting and stopping mean exactly that field.
    pub take_replicas: bool,
    /// The desired record itself says whether the instance runs; otherwise what was meant before stays.
    pub sets_intent: bool,
}

/// A plan for one instance; nothing has been changed yet.
#[derive(Debug)]
pub struct Plan {
    pub(super) desired: Desired,
    pub(super) objects: Vec<Planned>,
    pub(super) removals: Vec<Object>,
    pub(super) unfinished: Option<Unfinished>,
    /// Whether the revision in use has the same manifests.
    pub(super) is_recorded: bool,
    /// The revision that this becomes.
    pub revision: u32,
    /// The revision that it is compared with.
    pub from: Option<u32>,
    /// Differences to what is live.
    pub changes: Vec<Change>,
    /// Differences of the records of its IOC, where somebody has looked for them.
    pub records: Records,
    /// What its IOC starts from as it is live: ConfigMaps and workloads.
    pub live: Vec<Resource>,
    /// What somebody should know.
    pub notes: Vec<String>,
}

/// An object that is going to be applied.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) object: Object,
    /// Whether fields of others are taken over.
    pub(super) force: bool,
    /// Whether its field ownership has to become that of a server-side apply first.
    pub(super) migrate: bool,
    /// What is live of it, where an IOC starts from it.
    live: Option<Resource>,
}

/// Kinds that an IOC starts from.
const STARTED_FROM: [&str; 5] = ["ConfigMap", "StatefulSet", "Deployment", "DaemonSet", "Pod"];

/// What the look at one object found.
enum Found {
    /// It can be applied.
    Fine {
        planned: Box<Planned>,
        change: Option<Change>,
        notes: Vec<String>,
    },
    /// It cannot.
    Problem(ErrorKind, Diagnostic),
}

impl Plan {
    /// Whether nothing has to be done: what is live and what is recorded are as desired.
    pub fn is_empty(&self) -> bool {
        self.changes_nothing() && self.is_recorded && self.unfinished.is_none()
    }

    /// What is going to be applied.
    pub fn manifest(&self) -> &str {
        &self.desired.record.manifest
    }

    /// Whether what is live is as desired.
    pub(super) fn changes_nothing(&self) -> bool {
        self.changes.is_empty() && self.desired.rollback_to.is_none()
    }
}

impl ClusterRelease {
    /// Compares what is desired with what is live.
    ///
    /// # Errors
    ///
    /// Everything that would refuse it: kinds that the cluster does not know, wrong fields, fields that cannot be
    /// changed, fields and objects of others, a record that is too large.
    pub async fn plan(
        &self,
        mut desired: Desired,
        allowed: Allowed,
        unfinished: Option<Unfinished>,
    ) -> CommandResult<Plan> {
        let mut notes = Vec::new();
        if allowed.sets_intent {
            // as it is
        } else if let Some(stopped) = self.stopped().filter(|_| self.exists()) {
            // stopped on purpose survives a deploy
            if intent::stopped(&desired.record).is_none() {
                intent::stop(&mut desired.record, &stopped)?;
            }
            notes.push(format!(
                "`{name}` is stopped on purpose, by {} on {}: it is made ready and not started; `ioc start {name}` starts it",
                stopped.by,
                stopped.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
                name = self.name
            ));
        } else {
            // a revision that was stopped, once more, while it is meant to run
            intent::start(&mut desired.record)?;
        }
        self.check_size(&desired)?;
        let resources = read(&desired.record.manifest)?;
        let mut objects = Vec::new();
        let mut problems: Vec<(ErrorKind, Diagnostic)> = Vec::new();
        for resource in &resources {
            match self.locate(resource).await? {
                Some(object) => objects.push(object),
                None if is_defined_here(resource, &resources, &desired.definitions) => {
                    notes.push(format!(
                        "{} is of a kind that comes with this deploy: it is checked when it is applied",
                        resource.id
                    ));
                    objects.push(guess(resource));
                }
                None => problems.push((ErrorKind::Input, unknown_kind(resource))),
            }
        }
        let new_namespaces: BTreeSet<&str> = resources
            .iter()
            .filter(|resource| resource.id.kind == "Namespace")
            .map(|resource| resource.id.name.as_str())
            .collect();
        let before = self
            .base()
            .map(|record| read(&record.manifest))
            .transpose()?;
        let before = before.unwrap_or_default();
        let looks: Vec<CommandResult<Found>> = stream::iter(objects)
            .map(|object| self.look(object, &before, allowed, &new_namespaces))
            .buffered(AT_A_TIME)
            .collect()
            .await;
        let mut planned = Vec::new();
        let mut changes = Vec::new();
        for look in looks {
            match look? {
                Found::Fine {
                    planned: one,
                    change,
                    notes: more,
                } => {
                    planned.push(*one);
                    changes.extend(change);
                    notes.extend(more);
                }
                Found::Problem(kind, diagnostic) => problems.push((kind, diagnostic)),
            }
        }
        if let Some((kind, _)) = problems.first() {
            return Err(CommandError::from_diagnostics(
                *kind,
                format!("`{}` cannot be deployed", self.name),
                problems
                    .into_iter()
                    .map(|(_, diagnostic)| diagnostic)
                    .collect(),
            ));
        }
        let removals = self.removals(&planned, &mut changes, &mut notes).await?;
        let live = started_from(&planned, &before);
        order_definitions_first(&mut planned);
        let in_use = self.deployed().map(|record| read(&record.manifest));
        let is_recorded = in_use
            .transpose()?
            .is_some_and(|before| same(&before, &resources));
        Ok(Plan {
            is_recorded,
            revision: release::next_revision(&self.states()),
            from: self.deployed().map(record::revision),
            desired,
            objects: planned,
            removals,
            unfinished,
            changes,
            records: Records::default(),
            live,
            notes,
        })
    }

    /// A record that does not fit is refused before anything is applied.
    fn check_size(&self, desired: &Desired) -> CommandResult<()> {
        let mut record = desired.record.clone();
        record.name.clone_from(&self.name);
        // room for what is added until it is written
        record.info.description = "x".repeat(200);
        records::encoded(&record).map(|_| ())
    }

    async fn locate(&self, resource: &Resource) -> CommandResult<Option<Object>> {
        Object::locate(&self.cluster, resource).await.map_err(
            self.cluster
                .failed(format!("find the kind {}", resource.id.kind)),
        )
    }

    async fn look(
        &self,
        object: Object,
        before: &[Resource],
        allowed: Allowed,
        new_namespaces: &BTreeSet<&str>,
    ) -> CommandResult<Found> {
        let cluster = &self.cluster;
        let name = object.described(cluster);
        let id = ResourceId {
            kind: object.id.kind.clone(),
            name: object.id.name.clone(),
        };
        let added = Change {
            resource: id.clone(),
            nature: Nature::Added,
            fields: Vec::new(),
        };
        let fine = |object, force, migrate, change, notes| Found::Fine {
            planned: Box::new(Planned {
                object,
                force,
                migrate,
                live: None,
            }),
            change,
            notes,
        };
        let is_guess = object.resource.version.is_empty();
        let comes_with_namespace = object
            .id
            .namespace
            .as_deref()
            .is_some_and(|namespace| new_namespaces.contains(namespace));
        if is_guess {
            return Ok(fine(object, false, false, Some(added), Vec::new()));
        }
        let mut force = allowed.force_conflicts;
        let (live, mut result) = tokio::join!(
            object.live(cluster),
            object.apply(cluster, &self.name, true, force)
        );
        let live = live.map_err(cluster.failed(format!("look at {name}")))?;
        let Some(live) = live else {
            if comes_with_namespace {
                return Ok(fine(object, false, false, Some(added), Vec::new()));
            }
            return match result {
                Ok(_) => Ok(fine(object, false, false, Some(added), Vec::new())),
                Err(kube::Error::Api(status)) if is_without_dry_run(&status.message) => {
                    let note = format!("{name} could not be tried out: {}", status.message);
                    Ok(fine(object, false, false, Some(added), vec![note]))
                }
                Err(source) => self.refusal(source, &object, &name, true),
            };
        };
        match owner(&live.metadata, &self.name, &cluster.namespace) {
            Owner::Us => {}
            _ if allowed.take_ownership => {}
            other => {
                return Ok(Found::Problem(
                    ErrorKind::Conflict,
                    not_ours(&object, &name, &other),
                ));
            }
        }
        let migrate = managed_fields::is_client_side(&live.metadata);
        if let Err(kube::Error::Api(status)) = &result {
            let conflicts = error::field_conflicts(status);
            let by_client = migrate && conflicts.iter().all(|conflict| conflict.owner == "helm");
            let replicas = allowed.take_replicas
                && conflicts
                    .iter()
                    .all(|conflict| conflict.field == "spec.replicas");
            if !conflicts.is_empty() && (by_client || replicas) {
                // after the migration of its ownership there is no conflict left
                force = replicas;
                result = object.apply(cluster, &self.name, true, true).await;
            }
        }
        match result {
            Ok(after) => Ok(self.compared(object, &live, &after, before, (force, migrate))),
            Err(kube::Error::Api(status)) if is_without_dry_run(&status.message) => {
                let change = Change {
                    nature: Nature::Changed,
                    ..added
                };
                let note = format!("{name} could not be tried out: {}", status.message);
                Ok(fine(object, force, migrate, Some(change), vec![note]))
            }
            Err(source) => self.refusal(source, &object, &name, false),
        }
    }

    /// What an apply would change of a live object.
    fn compared(
        &self,
        object: Object,
        live: &DynamicObject,
        after: &DynamicObject,
        before: &[Resource],
        (force, migrate): (bool, bool),
    ) -> Found {
        let kind = &object.id.kind;
        let mut fields = plan::fields(kind, &comparable(live), &comparable(after));
        let mut notes = Vec::new();
        let earlier = before
            .iter()
            .find(|resource| resource.id.kind == *kind && resource.id.name == object.id.name);
        if migrate && let Some(earlier) = earlier {
            // the dry run keeps what client-side Helm owns until its ownership is taken over
            let gone = plan::fields(kind, &earlier.body, &object.body);
            let gone = gone.into_iter().filter(|field| field.after.is_none());
            for field in gone {
                if !fields.iter().any(|other| other.path == field.path) {
                    fields.push(field);
                }
            }
        }
        let is_same_as_before = earlier.is_some_and(|earlier| earlier.body == object.body);
        if !fields.is_empty() && is_same_as_before {
            let name = object.described(&self.cluster);
            notes.push(match self.newer_than_base() {
                Some(record) => format!(
                    "{name} was changed by revision {}, which is {}: that is put back",
                    record.version, record.info.status
                ),
                None => format!("{name} was changed outside of its release: that is put back"),
            });
        }
        let change = (!fields.is_empty()).then(|| Change {
            resource: ResourceId {
                kind: object.id.kind.clone(),
                name: object.id.name.clone(),
            },
            nature: Nature::Changed,
            fields,
        });
        let is_started_from = STARTED_FROM.contains(&object.id.kind.as_str());
        let live = is_started_from.then(|| Resource {
            id: ResourceId {
                kind: object.id.kind.clone(),
                name: object.id.name.clone(),
            },
            source: object.source.clone(),
            body: comparable(live),
        });
        Found::Fine {
            planned: Box::new(Planned {
                object,
                force,
                migrate,
                live,
            }),
            change,
            notes,
        }
    }

    /// A dry run that was refused: a finding when the manifest or somebody's field is the reason.
    fn refusal(
        &self,
        source: kube::Error,
        object: &Object,
        name: &str,
        is_new: bool,
    ) -> CommandResult<Found> {
        let doing = if is_new { "make" } else { "change" };
        let kube::Error::Api(status) = &source else {
            return Err(self.cluster.failed(format!("{doing} {name}"))(source));
        };
        let place = Place::file(&object.source);
        let namespace = object
            .id
            .namespace
            .as_deref()
            .unwrap_or(&self.cluster.namespace);
        if let Some(found) = immutable::of_refusal(status, &object.id, namespace) {
            let diagnostic =
                Diagnostic::error(format!("{name} cannot be changed in place: {}", found.what))
                    .at(place)
                    .hint(found.way_out);
            return Ok(Found::Problem(ErrorKind::Conflict, diagnostic));
        }
        let conflicts = error::field_conflicts(status);
        if !conflicts.is_empty() {
            let fields: Vec<String> = conflicts
                .iter()
                .map(|conflict| format!("`{}` by {}", conflict.field, conflict.owner))
                .collect();
            let diagnostic = Diagnostic::error(format!("{name} has fields that were set by others: {}", fields.join(", ")))
                .at(place)
                .hint("set the same value in the instance, undo the change with the tool that made it, or take the fields over with `--force-conflicts`");
            return Ok(Found::Problem(ErrorKind::Conflict, diagnostic));
        }
        if matches!(status.code, 400 | 422) || status.message.contains("typed patch object") {
            let error = self.cluster.failed(format!("{doing} {name}"))(source);
            let why = error.causes().join("; ");
            let diagnostic =
                Diagnostic::error(format!("the cluster refuses {name}: {why}")).at(place);
            return Ok(Found::Problem(ErrorKind::Input, diagnostic));
        }
        Err(self.cluster.failed(format!("{doing} {name}"))(source))
    }

    /// Objects that this release has made and that the new manifests do not have: those of the revision in use, and
    /// of later ones that did not get through.
    async fn removals(
        &self,
        planned: &[Planned],
        changes: &mut Vec<Change>,
        notes: &mut Vec<String>,
    ) -> CommandResult<Vec<Object>> {
        let wanted: BTreeSet<&ObjectId> = planned.iter().map(|one| &one.object.id).collect();
        let mut removals: Vec<Object> = Vec::new();
        for object in self.made_objects().await? {
            if wanted.contains(&object.id) || removals.iter().any(|other| other.id == object.id) {
                continue;
            }
            let name = object.described(&self.cluster);
            let live = object
                .live(&self.cluster)
                .await
                .map_err(self.cluster.failed(format!("look at {name}")))?;
            let Some(live) = live else { continue };
            if object.is_kept() || is_kept_live(&live.metadata) {
                notes.push(format!("{name} is no longer part of the chart and stays, as its `helm.sh/resource-policy` says"));
                continue;
            }
            if owner(&live.metadata, &self.name, &self.cluster.namespace) != Owner::Us {
                notes.push(format!("{name} is no longer part of the chart and stays: it does not belong to this release any more"));
                continue;
            }
            changes.push(Change {
                resource: ResourceId {
                    kind: object.id.kind.clone(),
                    name: object.id.name.clone(),
                },
                nature: Nature::Removed,
                fields: Vec::new(),
            });
            removals.push(object);
        }
        removals.reverse();
        Ok(removals)
    }

    /// Objects in the manifests of the revision in use and of all later ones.
    pub(super) async fn made_objects(&self) -> CommandResult<Vec<Object>> {
        let from = self.base().map_or(0, record::revision);
        let mut objects = Vec::new();
        for stored in &self.stored {
            let record = &stored.record;
            if record::revision(record) < from || record.info.status == Status::Uninstalled {
                continue;
            }
            for resource in read(&record.manifest)? {
                // a kind that is gone has no objects
                objects.extend(self.locate(&resource).await?);
            }
        }
        Ok(objects)
    }

    /// Whether everything that a revision asks for is live and ready, hooks aside.
    pub(super) async fn is_complete(&self, record: &Record) -> CommandResult<bool> {
        let has_late_hooks = record.hooks.iter().any(|hook| {
            use helm::HookEvent::{PostInstall, PostRollback, PostUpgrade};
            hook.events
                .iter()
                .any(|event| matches!(event, PostInstall | PostUpgrade | PostRollback))
        });
        if has_late_hooks {
            return Ok(false);
        }
        for resource in read(&record.manifest)? {
            let Some(object) = self.locate(&resource).await? else {
                return Ok(false);
            };
            let name = object.described(&self.cluster);
            let live = object
                .live(&self.cluster)
                .await
                .map_err(self.cluster.failed(format!("look at {name}")))?;
            let Some(live) = live else { return Ok(false) };
            match object.apply(&self.cluster, &self.name, true, false).await {
                Ok(after) if comparable(&live) == comparable(&after) => {}
                _ => return Ok(false),
            }
            if !self.is_ready(&object).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What an IOC starts from before anything is applied: live objects, and of what goes the manifests that made it.
fn started_from(planned: &[Planned], before: &[Resource]) -> Vec<Resource> {
    let live = planned.iter().filter_map(|planned| planned.live.clone());
    let is_planned = |resource: &Resource| {
        planned.iter().any(|planned| {
            planned.object.id.kind == resource.id.kind && planned.object.id.name == resource.id.name
        })
    };
    let gone = before.iter().filter(|resource| {
        STARTED_FROM.contains(&resource.id.kind.as_str()) && !is_planned(resource)
    });
    live.chain(gone.cloned()).collect()
}

/// Whether two sets of manifests ask for the same, whatever their order and the templates that they came from.
fn same(one: &[Resource], other: &[Resource]) -> bool {
    let has = |all: &[Resource], wanted: &Resource| {
        all.iter().any(|resource| resource.body == wanted.body)
    };
    one.len() == other.len()
        && one.iter().all(|resource| has(other, resource))
        && other.iter().all(|resource| has(one, resource))
}

/// Reads the manifests of a record.
pub(super) fn read(text: &str) -> CommandResult<Vec<Resource>> {
    manifest::parse_any(text)
        .map_err(|diagnostic| CommandError::from_diagnostic(ErrorKind::Input, *diagnostic))
}

/// Definitions of custom resources are applied before everything else.
fn order_definitions_first(planned: &mut [Planned]) {
    planned.sort_by_key(|one| match one.object.id.kind.as_str() {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        _ => 2,
    });
}

/// Whether the kind of a resource is defined by this very release.
fn is_defined_here(
    resource: &Resource,
    all: &[Resource],
    definitions: &[(String, String)],
) -> bool {
    let version = resource.body["apiVersion"].as_str().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let defines = |body: &Value| {
        body["kind"] == "CustomResourceDefinition"
            && body["spec"]["group"] == json!(group)
            && body["spec"]["names"]["kind"] == json!(resource.id.kind)
    };
    all.iter().any(|other| defines(&other.body))
        || definitions.iter().any(|(_, text)| {
            manifest::parse_any(text)
                .is_ok_and(|resources| resources.iter().any(|other| defines(&other.body)))
        })
}

/// An object whose kind is not there yet. It is located again when it is applied.
fn guess(resource: &Resource) -> Object {
    let version = resource.body["apiVersion"].as_str().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = kube::core::GroupVersionKind::gvk(group, "", &resource.id.kind);
    Object {
        id: ObjectId {
            group: group.to_owned(),
            kind: resource.id.kind.clone(),
            namespace: None,
            name: resource.id.name.clone(),
        },
        resource: kube::core::ApiResource::from_gvk(&kind),
        source: resource.source.clone(),
        body: resource.body.clone(),
    }
}

fn unknown_kind(resource: &Resource) -> Diagnostic {
    let version = resource.body["apiVersion"].as_str().unwrap_or_default();
    Diagnostic::error(format!(
        "the cluster does not know the kind {} of `{version}`",
        resource.id.kind
    ))
    .at(Place::file(&resource.source))
    .hint("is the API version right for this cluster, and is the operator installed that brings the kind?")
}

fn not_ours(object: &Object, name: &str, owner: &Owner) -> Diagnostic {
    let whose = match owner {
        Owner::Release { name, namespace } => {
            format!("belongs to the release `{name}` in namespace `{namespace}`")
        }
        Owner::Nobody | Owner::Us => "exists and belongs to no release".to_owned(),
    };
    Diagnostic::error(format!("{name} {whose}"))
        .at(Place::file(&object.source))
        .hint("it is left alone; `--take-ownership` makes it part of this release, from then on it is changed and deleted with it")
}

fn is_without_dry_run(message: &str) -> bool {
    message.contains("does not support dry run")
}
