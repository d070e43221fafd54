//! What the tests of this module share.

use crate::fleet::kubernetes::placement::{Finding, Weight};

/// An object as a test writes it.
pub(crate) fn from_yaml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let value = crate::yaml::document(std::path::Path::new("test.yaml"), text)
        .unwrap_or_else(|diagnostic| panic!("{diagnostic:?} in:\n{text}"));
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

/// The weights of findings, in order.
pub(crate) fn weights(findings: &[Finding]) -> Vec<Weight> {
    findings.iter().map(|finding| finding.weight).collect()
}
