//! What has to be built and why: prepared targets against what the engine has. Pure.

use std::collections::BTreeSet;

use crate::image::definition::Target;
use crate::image::key::{Inputs, differences};
use crate::image::prepare::Prepared;

/// An image that the engine has under the reference of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    /// Value of the key label, empty if `ioc` did not build it.
    pub key: String,
    /// What the key was made of.
    pub inputs: Inputs,
}

/// Why a target is built.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The engine has no image of that name.
    NotBuilt,
    /// The image of that name was made by something else.
    Foreign,
    /// It was asked for with `--no-cache`.
    Asked,
    /// These parts changed.
    Changed(Vec<String>),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotBuilt => formatter.write_str("not built"),
            Self::Foreign => formatter.write_str("the image of that name was not built by ioc"),
            Self::Asked => formatter.write_str("asked for"),
            Self::Changed(parts) => formatter.write_str(&parts.join(", ")),
        }
    }
}

/// Why a target has to be built; `None` when it is up to date.
pub fn reason(prepared: &Prepared, present: Option<&Present>, all: bool) -> Option<Reason> {
    if all {
        return Some(Reason::Asked);
    }
    let Some(present) = present else {
        return Some(Reason::NotBuilt);
    };
    if present.key.is_empty() {
        return Some(Reason::Foreign);
    }
    if present.key == prepared.key() {
        return None;
    }
    let mut parts = differences(&present.inputs, &prepared.inputs);
    if parts.is_empty() {
        parts.push("it was built by another version of ioc".to_owned());
    }
    Some(Reason::Changed(parts))
}

/// One target to build and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Place of the target in the list that the plan was made from.
    pub index: usize,
    /// Why.
    pub reason: Reason,
    /// Places of the targets that have to be built before, if they are built at all.
    pub after: Vec<usize>,
}

/// The steps of a build: what is to be built, each with what it waits for.
///
/// `bases` names, for each prepared target, the image of the project that it is built on.
pub fn steps(
    prepared: &[Prepared],
    reasons: Vec<Option<Reason>>,
    bases: impl Fn(&str) -> Option<String>,
) -> Vec<Step> {
    let building: BTreeSet<usize> = reasons
        .iter()
        .enumerate()
        .filter(|(_, reason)| reason.is_some())
        .map(|(index, _)| index)
        .collect();
    let place = |image: &str, target: Target| {
        prepared
            .iter()
            .position(|each| each.image == image && each.target == target)
            .filter(|index| building.contains(index))
    };
    let mut steps = Vec::new();
    for (index, (each, reason)) in prepared.iter().zip(reasons).enumerate() {
        let Some(reason) = reason else {
            continue;
        };
        let base = bases(&each.image);
        let mut after: Vec<usize> = base
            .iter()
            .filter_map(|base| place(base, each.target))
            .collect();
        if each.target == Target::Runtime {
            after.extend(place(&each.image, Target::Developer));
        }
        steps.push(Step {
            index,
            reason,
            after,
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::image::context::Context;

    fn prepared(image: &str, target: Target, digest: &str) -> Prepared {
        let mut inputs = Inputs::default();
        inputs.add("module asyn", digest);
        Prepared {
            image: image.to_owned(),
            target,
            reference: format!("localhost/{image}-{target}:latest"),
            containerfile: String::new(),
            context: Context::default(),
            arguments: BTreeMap::new(),
            stage: String::new(),
            inputs,
            labels: BTreeMap::new(),
        }
    }

    fn present(digest: &str) -> Present {
        let inputs = prepared("x", Target::Developer, digest).inputs;
        Present {
            key: inputs.key(),
            inputs,
        }
    }

    #[test]
    fn reasons_are_told_in_words() {
        let wanted = prepared("ioc-sim", Target::Developer, "2");
        for (have, all, told) in [
            (None, false, Some("not built")),
            (Some(present("2")), false, None),
            (Some(present("2")), true, Some("asked for")),
            (Some(present("1")), false, Some("module asyn changed")),
            (
                Some(Present::default()),
                false,
                Some("the image of that name was not built by ioc"),
            ),
            (
                Some(Present {
                    key: "old".into(),
                    inputs: wanted.inputs.clone(),
                }),
                false,
                Some("it was built by another version of ioc"),
            ),
        ] {
            let reason = reason(&wanted, have.as_ref(), all).map(|reason| reason.to_string());
            assert_eq!(reason.as_deref(), told);
        }
    }

    #[test]
    fn a_step_waits_for_its_base_and_its_developer_target_if_these_are_built() {
        let all = [
            prepared("base", Target::Developer, "1"),
            prepared("base", Target::Runtime, "1"),
            prepared("leaf", Target::Developer, "1"),
            prepared("leaf", Target::Runtime, "1"),
        ];
        let base_of = |name: &str| (name == "leaf").then(|| "base".to_owned());
        let why = || Some(Reason::NotBuilt);
        let after = |reasons: Vec<Option<Reason>>| -> Vec<(usize, Vec<usize>)> {
            steps(&all, reasons, base_of)
                .into_iter()
                .map(|step| (step.index, step.after))
                .collect()
        };
        assert_eq!(
            after(vec![why(), why(), why(), why()]),
            [(0, vec![]), (1, vec![0]), (2, vec![0]), (3, vec![1, 2])]
        );
        assert_eq!(
            after(vec![None, None, why(), why()]),
            [(2, vec![]), (3, vec![2])]
        );
        assert_eq!(after(vec![None, None, None, None]), []);
    }
}
