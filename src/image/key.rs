//! Keys: what a target was made of, so that nothing unchanged is built again and a change has a name. Pure.
//!
//! A key covers the rendered Containerfile, every file of the context, the identities of the sources and the
//! key (or digest) of the base image. Nothing in it depends on time, on the machine, or on the site's proxy
//! and certificates.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::context::sha256;

/// Version of what goes into keys; changing it builds everything again.
const FORMAT: &str = "ioc image key 1";

/// What a target is made of: part by part, each with a digest or an identity.
///
/// Part names are for people: `base epics-base`, `module asyn`, `application`, `containerfile`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Inputs(pub BTreeMap<String, String>);

impl Inputs {
    /// Adds a part.
    pub fn add(&mut self, part: impl Into<String>, digest: impl Into<String>) {
        self.0.insert(part.into(), digest.into());
    }

    /// The key, 64 hexadecimal digits.
    pub fn key(&self) -> String {
        let mut text = String::from(FORMAT);
        for (part, digest) in &self.0 {
            // Parts have no line ends; the lengths keep them apart even if one had.
            text.push_str(&format!(
                "\n{} {part} {} {digest}",
                part.len(),
                digest.len()
            ));
        }
        sha256(&text)
    }

    /// The inputs as they stand in a label.
    pub fn to_label(&self) -> String {
        // a map of strings always is JSON
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Reads a label; one that another version wrote tells nothing.
    pub fn from_label(label: &str) -> Self {
        serde_json::from_str(label).unwrap_or_default()
    }
}

/// In words, what differs between what an image was made of and what it would be made of now.
pub fn differences(before: &Inputs, now: &Inputs) -> Vec<String> {
    let parts: BTreeSet<&String> = before.0.keys().chain(now.0.keys()).collect();
    let mut told = Vec::new();
    let mut by_itself = Vec::new();
    for part in parts {
        let verb = match (before.0.get(part), now.0.get(part)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => "changed",
            (None, _) => "is new",
            (_, None) => "is gone",
        };
        // The Containerfile changes with nearly everything: worth telling only if nothing else explains it.
        let list = if part == "containerfile" || part == "versions" {
            &mut by_itself
        } else {
            &mut told
        };
        list.push(format!("{part} {verb}"));
    }
    if told.is_empty() { by_itself } else { told }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inputs(parts: &[(&str, &str)]) -> Inputs {
        let mut inputs = Inputs::default();
        for (part, digest) in parts {
            inputs.add(*part, *digest);
        }
        inputs
    }

    #[test]
    fn differences_are_told_in_words() {
        let before = inputs(&[
            ("base epics-base", "1"),
            ("module asyn", "1"),
            ("containerfile", "1"),
        ]);
        for (now, told) in [
            (
                inputs(&[
                    ("base epics-base", "1"),
                    ("module asyn", "1"),
                    ("containerfile", "1"),
                ]),
                "",
            ),
            (
                inputs(&[
                    ("base epics-base", "2"),
                    ("module asyn", "1"),
                    ("containerfile", "1"),
                ]),
                "base epics-base changed",
            ),
            (
                inputs(&[
                    ("base epics-base", "1"),
                    ("module asyn", "2"),
                    ("containerfile", "2"),
                ]),
                "module asyn changed",
            ),
            (
                inputs(&[
                    ("base epics-base", "1"),
                    ("module calc", "1"),
                    ("containerfile", "2"),
                ]),
                "module asyn is gone, module calc is new",
            ),
            (
                inputs(&[
                    ("base epics-base", "1"),
                    ("module asyn", "1"),
                    ("containerfile", "2"),
                ]),
                "containerfile changed",
            ),
        ] {
            assert_eq!(differences(&before, &now).join(", "), told);
        }
    }

    #[test]
    fn a_key_stays_the_same_between_versions_of_ioc() {
        insta::assert_snapshot!(inputs(&[("module asyn", "commit:1")]).key(), @"8480787e07e408551924e7c3ebe7c5789dd975938df6c61dcae435ba9989f836");
    }

    proptest! {
        #[test]
        fn different_inputs_have_different_keys(
            left in proptest::collection::btree_map("[a-z \n0-9]{0,4}", "[a-z \n0-9]{0,4}", 0..4),
            right in proptest::collection::btree_map("[a-z \n0-9]{0,4}", "[a-z \n0-9]{0,4}", 0..4),
        ) {
            let (left, right) = (Inputs(left), Inputs(right));
            prop_assert_eq!(left == right, left.key() == right.key());
            prop_assert_eq!(Inputs::from_label(&left.to_label()), left.clone());
            prop_assert_eq!(differences(&left, &right).is_empty(), left == right);
        }
    }
}
