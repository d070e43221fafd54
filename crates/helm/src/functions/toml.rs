//! Helm: TOML, not done yet.

use super::Function;

pub(super) const FUNCTIONS: &[Function] = &[];
