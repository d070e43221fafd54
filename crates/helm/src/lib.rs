//! Helm charts without helm.
