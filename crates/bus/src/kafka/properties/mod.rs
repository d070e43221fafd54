//! The Java client's `client.properties` of Phoebus users, as settings of our client library.

/// Settings for the client library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<(&'static str, String)>,
}

impl Properties {
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }
}
