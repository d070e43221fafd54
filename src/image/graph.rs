//! In which order images are built: each after its base. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Images that are each other's base, in order; the first is named again at the end when shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<String>);

impl std::fmt::Display for Cycle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for name in &self.0 {
            write!(formatter, "{name} -> ")?;
        }
        formatter.write_str(self.0.first().map_or("", String::as_str))
    }
}

/// The wanted images and everything below them, bases first, otherwise by name.
///
/// `bases` says which image is the base of which; an image whose base is not an image of the project is
/// not a key or maps to `None`.
///
/// # Errors
///
/// The images of a cycle, starting with the one whose name is first in the alphabet.
pub fn build_order(
    wanted: impl IntoIterator<Item = impl Into<String>>,
    bases: &BTreeMap<String, Option<String>>,
) -> Result<Vec<String>, Cycle> {
    let wanted: BTreeSet<String> = wanted.into_iter().map(Into::into).collect();
    let mut order: Vec<String> = Vec::new();
    let mut placed: BTreeSet<String> = BTreeSet::new();
    for name in wanted {
        // From the wanted image down to what is placed already or has no base here.
        let mut path: Vec<String> = Vec::new();
        let mut next = Some(name);
        while let Some(current) = next {
            if placed.contains(&current) {
                break;
            }
            if let Some(start) = path.iter().position(|seen| *seen == current) {
                return Err(Cycle(rotated(path.split_off(start))));
            }
            next = bases.get(&current).cloned().flatten();
            path.push(current);
        }
        for name in path.into_iter().rev() {
            placed.insert(name.clone());
            order.push(name);
        }
    }
    Ok(order)
}

/// A cycle has no beginning: start with the smallest name, so that it reads the same from every side.
fn rotated(mut names: Vec<String>) -> Vec<String> {
    let smallest = (0..names.len())
        .min_by_key(|&index| names.get(index))
        .unwrap_or(0);
    names.rotate_left(smallest);
    names
}

/// The images that are built directly on `base`, by name.
pub fn children<'a>(
    base: &'a str,
    bases: &'a BTreeMap<String, Option<String>>,
) -> impl Iterator<Item = &'a str> {
    bases
        .iter()
        .filter(move |(_, its_base)| its_base.as_deref() == Some(base))
        .map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bases(edges: &[(&str, &str)]) -> BTreeMap<String, Option<String>> {
        edges
            .iter()
            .map(|(name, base)| {
                let base = (!base.is_empty()).then(|| (*base).to_owned());
                ((*name).to_owned(), base)
            })
            .collect()
    }

    #[test]
    fn bases_come_first_and_nothing_comes_that_was_not_asked_for() {
        let chain = bases(&[
            ("base", ""),
            ("modules", "base"),
            ("area", "modules"),
            ("ioc-cam", "area"),
            ("ioc-motor", "modules"),
            ("other", ""),
        ]);
        for (wanted, order) in [
            (vec!["ioc-cam"], "base modules area ioc-cam"),
            (
                vec!["ioc-motor", "ioc-cam"],
                "base modules area ioc-cam ioc-motor",
            ),
            (vec!["base"], "base"),
            (vec![], ""),
        ] {
            assert_eq!(build_order(wanted, &chain).unwrap().join(" "), order);
        }
    }

    #[test]
    fn a_cycle_is_shown_the_same_from_every_side() {
        let cyclic = bases(&[
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("leaf", "b"),
            ("self", "self"),
        ]);
        for wanted in ["a", "b", "c", "leaf"] {
            let cycle = build_order([wanted], &cyclic).unwrap_err();
            assert_eq!(cycle.to_string(), "a -> b -> c -> a", "from {wanted}");
        }
        assert_eq!(
            build_order(["self"], &cyclic).unwrap_err().to_string(),
            "self -> self"
        );
    }

    proptest! {
        #[test]
        fn every_image_stands_after_its_base_and_once(parents in proptest::collection::vec(0_usize..12, 1..12)) {
            let name = |index: usize| format!("i{index:02}");
            let bases: BTreeMap<_, _> = parents
                .iter()
                .enumerate()
                .map(|(index, parent)| (name(index), (*parent < parents.len()).then(|| name(*parent))))
                .collect();
            match build_order(bases.keys().cloned(), &bases) {
                Ok(order) => {
                    prop_assert_eq!(order.len(), bases.len());
                    for (position, image) in order.iter().enumerate() {
                        if let Some(base) = &bases[image] {
                            prop_assert!(order[..position].contains(base));
                        }
                    }
                }
                Err(Cycle(cycle)) => {
                    for (position, image) in cycle.iter().enumerate() {
                        let base = bases[image].as_ref();
                        prop_assert_eq!(base, cycle.get((position + 1) % cycle.len()));
                    }
                }
            }
        }
    }
}
