//! Which changes a subscription is for.

use std::fmt;
use std::ops::BitOr;

/// Which changes a server reports (`DBE_*` in `caeventmask.h`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mask(u8);

impl Mask {
    /// Changes of the value beyond the monitor deadband (`MDEL`).
    pub const VALUE: Self = Self(1);
    /// Changes of the value beyond the archive deadband (`ADEL`).
    pub const LOG: Self = Self(2);
    /// Changes of alarm severity or status.
    pub const ALARM: Self = Self(4);
    /// Changes of units, limits, precision or labels; servers before EPICS 3.14.12 never send them.
    pub const PROPERTY: Self = Self(8);

    /// As it stands in messages.
    pub fn bits(self) -> u16 {
        u16::from(self.0)
    }

    /// Whether all changes in `other` are in this one too.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Default for Mask {
    /// Value and alarm, as most clients have it.
    fn default() -> Self {
        Self::VALUE | Self::ALARM
    }
}

impl BitOr for Mask {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::VALUE, "VALUE"),
            (Self::LOG, "LOG"),
            (Self::ALARM, "ALARM"),
            (Self::PROPERTY, "PROPERTY"),
        ];
        let set: Vec<_> = names
            .iter()
            .filter(|(mask, _)| self.contains(*mask))
            .map(|(_, name)| *name)
            .collect();
        formatter.write_str(&set.join("|"))
    }
}
