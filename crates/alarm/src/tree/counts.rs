//! How many leaves are in which state, kept up to date with each change.

use crate::severity::Severity;

/// Something that is counted of leaves beside their severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// Disabled, for whatever reason.
    Disabled,
    /// Shelved: disabled until a moment, by an operator.
    Shelved,
    /// It was connected and is not any more, or it cannot be made.
    Disconnected,
    /// Watched, and never connected.
    Never,
    /// Its alarm waits for its delay.
    Pending,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Disabled,
        Self::Shelved,
        Self::Disconnected,
        Self::Never,
        Self::Pending,
    ];
}

/// The marks of a leaf.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// Whether it has that mark.
    pub fn has(self, mark: Mark) -> bool {
        self.0 & (1 << mark as u8) != 0
    }

    /// The same with or without that mark.
    #[must_use]
    pub fn with(self, mark: Mark, on: bool) -> Self {
        let bit = 1 << mark as u8;
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }
}

/// How many leaves have which severity, and which mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    severities: [u32; 9],
    marks: [u32; 5],
}

impl Counts {
    /// Of one leaf.
    pub(crate) fn of(severity: Severity, marks: Marks) -> Self {
        let mut counts = Self::default();
        counts.severities[usize::from(severity.ordinal())] = 1;
        for mark in Mark::ALL {
            counts.marks[mark as usize] = u32::from(marks.has(mark));
        }
        counts
    }

    /// Leaves of that severity.
    pub fn severity(&self, severity: Severity) -> u32 {
        self.severities[usize::from(severity.ordinal())]
    }

    /// Leaves with that mark.
    pub fn mark(&self, mark: Mark) -> u32 {
        self.marks[mark as usize]
    }

    /// All leaves.
    pub fn leaves(&self) -> u32 {
        self.severities.iter().sum()
    }

    /// Leaves whose alarm wants attention.
    pub fn active(&self) -> u32 {
        self.severities[usize::from(Severity::Minor.ordinal())..]
            .iter()
            .sum()
    }

    /// Leaves whose alarm is acknowledged.
    pub fn acknowledged(&self) -> u32 {
        self.leaves() - self.active() - self.severity(Severity::Ok)
    }

    pub(crate) fn replace(&mut self, before: &Self, after: &Self) {
        let pairs = self.severities.iter_mut().chain(&mut self.marks);
        let befores = before.severities.iter().chain(&before.marks);
        let afters = after.severities.iter().chain(&after.marks);
        for ((count, before), after) in pairs.zip(befores).zip(afters) {
            *count = count.saturating_sub(*before).saturating_add(*after);
        }
    }
}
