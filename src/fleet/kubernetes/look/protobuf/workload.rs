//! StatefulSets and Deployments.

use super::metadata::{insert, metadata};
use super::pod::pod_spec;
use super::{Value, fields, message};
use crate::fleet::kubernetes::look::object::{
    Deployment, StatefulSet, Template, WorkloadCondition, WorkloadSpec, WorkloadStatus,
};

/// The field of their conditions, which differs.
const CONDITIONS_OF_DEPLOYMENT: u64 = 6;

pub(super) fn stateful_set(bytes: &[u8]) -> Option<StatefulSet> {
    message(bytes, |object: &mut StatefulSet, number, value| {
        match number {
            1 => object.metadata = metadata(value.bytes()?)?,
            2 => object.spec = spec(value)?,
            // nobody sets conditions of a StatefulSet
            3 => object.status = status(value, None)?,
            _ => {}
        }
        Some(())
    })
}

pub(super) fn deployment(bytes: &[u8]) -> Option<Deployment> {
    message(bytes, |object: &mut Deployment, number, value| {
        match number {
            1 => object.metadata = metadata(value.bytes()?)?,
            2 => object.spec = spec(value)?,
            3 => object.status = status(value, Some(CONDITIONS_OF_DEPLOYMENT))?,
            _ => {}
        }
        Some(())
    })
}

/// What both have in the same places.
fn spec(value: Value<'_>) -> Option<WorkloadSpec> {
    message(value.bytes()?, |spec: &mut WorkloadSpec, number, value| {
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
    })
}

fn template(value: Value<'_>) -> Option<Template> {
    message(value.bytes()?, |template: &mut Template, number, value| {
        match number {
            1 => template.metadata = metadata(value.bytes()?)?,
            2 => template.spec = pod_spec(value.bytes()?)?,
            _ => {}
        }
        Some(())
    })
}

fn status(value: Value<'_>, conditions: Option<u64>) -> Option<WorkloadStatus> {
    message(
        value.bytes()?,
        |status: &mut WorkloadStatus, number, value| {
            if number == 1 {
                status.observed_generation = Some(value.long()?);
            } else if Some(number) == conditions {
                status.conditions.push(condition(value)?);
            }
            Some(())
        },
    )
}

fn condition(value: Value<'_>) -> Option<WorkloadCondition> {
    message(
        value.bytes()?,
        |condition: &mut WorkloadCondition, number, value| {
            match number {
                1 => condition.kind = value.owned()?,
                2 => condition.status = value.owned()?,
                5 => condition.message = value.owned()?,
                _ => {}
            }
            Some(())
        },
    )
}
