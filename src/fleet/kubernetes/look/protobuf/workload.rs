//! StatefulSets and Deployments.

use super::metadata::{insert, metadata};
use super::pod::pod_spec;
use super::{Value, fields};
use crate::fleet::kubernetes::look::object::{
    Deployment, StatefulSet, Template, WorkloadCondition, WorkloadSpec, WorkloadStatus,
};

/// The field of their conditions, which differs.
const CONDITIONS_OF_DEPLOYMENT: u64 = 6;

pub(super) fn stateful_set(bytes: &[u8]) -> Option<StatefulSet> {
    let mut object = StatefulSet::default();
    fields(bytes, |number, value| {
        match number {
            1 => object.metadata = metadata(value.bytes()?)?,
            2 => object.spec = spec(value)?,
            // nobody sets conditions of a StatefulSet
            3 => object.status = status(value, None)?,
            _ => {}
        }
        Some(())
    })?;
    Some(object)
}

pub(super) fn deployment(bytes: &[u8]) -> Option<Deployment> {
    let mut object = Deployment::default();
    fields(bytes, |number, value| {
        match number {
            1 => object.metadata = metadata(value.bytes()?)?,
            2 => object.spec = spec(value)?,
            3 => object.status = status(value, Some(CONDITIONS_OF_DEPLOYMENT))?,
            _ => {}
        }
        Some(())
    })?;
    Some(object)
}

/// What both have in the same places.
fn spec(value: Value<'_>) -> Option<WorkloadSpec> {
    let mut spec = WorkloadSpec::default();
    fields(value.bytes()?, |number, value| {
        match number {
            1 => spec.replicas = Some(value.integer()?),
            2 => fields(value.bytes()?, |number, value| {
                if number == 1 {
                    insert(&mut spec.selector.match_labels, value)?;
                }
                Some(())
            })?,
            3 => spec.template = template(value)?,
            _ => {}
        }
        Some(())
    })?;
    Some(spec)
}

fn template(value: Value<'_>) -> Option<Template> {
    let mut template = Template::default();
    fields(value.bytes()?, |number, value| {
        match number {
            1 => template.metadata = metadata(value.bytes()?)?,
            2 => template.spec = pod_spec(value.bytes()?)?,
            _ => {}
        }
        Some(())
    })?;
    Some(template)
}

fn status(value: Value<'_>, conditions: Option<u64>) -> Option<WorkloadStatus> {
    let mut status = WorkloadStatus::default();
    fields(value.bytes()?, |number, value| {
        if number == 1 {
            status.observed_generation = Some(value.long()?);
        } else if Some(number) == conditions {
            status.conditions.push(condition(value)?);
        }
        Some(())
    })?;
    Some(status)
}

fn condition(value: Value<'_>) -> Option<WorkloadCondition> {
    let mut condition = WorkloadCondition::default();
    fields(value.bytes()?, |number, value| {
        match number {
            1 => condition.kind = value.owned()?,
            2 => condition.status = value.owned()?,
            5 => condition.message = value.owned()?,
            _ => {}
        }
        Some(())
    })?;
    Some(condition)
}
