//! A right to write that one has at a time: whoever takes it shuts out the one before, for good.

use std::sync::Arc;

/// Which right, and who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Its name; on Kafka the transactional id. At most 200 letters, digits, `.`, `_` and `-`.
    pub name: Arc<str>,
    /// The topic on which whoever has it leaves marks: it can be told from them whether what was under way when
    /// something failed has been written. Compact, and written by nobody else.
    pub topic: Arc<str>,
    /// Who wants it: a text for those who ask who has it.
    pub holder: String,
}

/// Who has a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// How often it was taken; 0 where that is not counted.
    pub number: u64,
    /// What is known of the one who took it last.
    pub presence: Presence,
    /// What that one said of itself.
    pub said: Option<String>,
}

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The process lives; it may be stopped.
    Lives,
    /// The process has ended, or nobody ever had the right.
    Gone,
    /// This bus cannot tell.
    Unknown,
}
