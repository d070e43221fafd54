//! Values of PVs, and their text as Phoebus prints it.
//!
//! A value is kept as it came and turned into text when a message is written: most values change no alarm, and their
//! text is never needed.

pub mod java;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use java::{double, float};

use crate::severity::Severity;
use crate::text::Text;
use crate::time::Time;

/// A value of a PV.
///
/// Two values are equal if they print the same: a number is equal to the text that a message carries of it.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// No value: `null` in a message.
    #[default]
    Null,
    /// A text, also one that was read from a message.
    Text(Arc<str>),
    /// A number of `DBR_DOUBLE`.
    Double(f64),
    /// A number of `DBR_FLOAT`.
    Float(f32),
    /// A number of `DBR_LONG`, `DBR_SHORT` or `DBR_CHAR`; also the place of an enumeration that has no label there.
    Whole(i64),
    /// An enumeration with the label of its place.
    Enumeration {
        /// Its place.
        index: u16,
        /// The label there.
        label: Arc<str>,
    },
    /// More than one element, or a record that can have more.
    Array(Arc<Array>),
}

/// An array, with what its text shows of its alarm.
#[derive(Debug, Clone)]
pub struct Array {
    /// Its elements.
    pub elements: Elements,
    /// Severity of the PV.
    pub severity: Severity,
    /// Alarm status of the PV, such as `NO_ALARM`.
    pub status: Text,
    /// Time stamp.
    pub time: Time,
}

/// Elements of an array by their native type.
#[derive(Debug, Clone)]
pub enum Elements {
    /// `DBR_DOUBLE`.
    Doubles(Box<[f64]>),
    /// `DBR_FLOAT`.
    Floats(Box<[f32]>),
    /// `DBR_LONG`.
    Longs(Box<[i32]>),
    /// `DBR_SHORT`.
    Shorts(Box<[i16]>),
    /// `DBR_CHAR`; also long strings.
    Bytes(Box<[i8]>),
    /// `DBR_STRING`.
    Texts(Box<[Arc<str>]>),
    /// `DBR_ENUM`: the labels.
    Labels(Box<[Arc<str>]>),
}

impl Value {
    /// What a message carries; `None` is written as `null`.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Text(text) | Self::Enumeration { label: text, .. } => Cow::Borrowed(&**text),
            Self::Double(number) => Cow::Owned(double(*number)),
            Self::Float(number) => Cow::Owned(float(*number)),
            Self::Whole(number) => Cow::Owned(number.to_string()),
            Self::Array(array) => Cow::Owned(array.to_string()),
        })
    }

    /// The value as a number, for formulas: the place of an enumeration, the first element of an array. `None` for
    /// texts.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Null | Self::Text(_) => None,
            Self::Double(number) => Some(*number),
            Self::Float(number) => Some(f64::from(*number)),
            #[expect(
                clippy::cast_precision_loss,
                reason = "Channel Access has no whole numbers beyond 32 bits"
            )]
            Self::Whole(number) => Some(*number as f64),
            Self::Enumeration { index, .. } => Some(f64::from(*index)),
            Self::Array(array) => array.elements.first(),
        }
    }
}

impl Elements {
    fn first(&self) -> Option<f64> {
        match self {
            Self::Doubles(elements) => elements.first().copied(),
            Self::Floats(elements) => elements.first().copied().map(f64::from),
            Self::Longs(elements) => elements.first().copied().map(f64::from),
            Self::Shorts(elements) => elements.first().copied().map(f64::from),
            Self::Bytes(elements) => elements.first().copied().map(f64::from),
            Self::Texts(_) | Self::Labels(_) => None,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Doubles(elements) => elements.len(),
            Self::Floats(elements) => elements.len(),
            Self::Longs(elements) => elements.len(),
            Self::Shorts(elements) => elements.len(),
            Self::Bytes(elements) => elements.len(),
            Self::Texts(elements) | Self::Labels(elements) => elements.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the type in Phoebus.
    fn type_name(&self) -> &'static str {
        match self {
            Self::Doubles(_) => "VDoubleArray",
            Self::Floats(_) => "VFloatArray",
            Self::Longs(_) => "VIntArray",
            Self::Shorts(_) => "VShortArray",
            Self::Bytes(_) => "VByteArray",
            Self::Texts(_) => "VStringArray",
            Self::Labels(_) => "VEnumArray",
        }
    }
}

impl fmt::Display for Array {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[[", self.elements.type_name())?;
        match &self.elements {
            Elements::Doubles(elements) => list(formatter, elements.iter().copied().map(double))?,
            Elements::Floats(elements) => list(formatter, elements.iter().copied().map(float))?,
            Elements::Longs(elements) => list(formatter, elements.iter())?,
            Elements::Shorts(elements) => list(formatter, elements.iter())?,
            Elements::Bytes(elements) => list(formatter, elements.iter())?,
            Elements::Texts(elements) | Elements::Labels(elements) => {
                list(formatter, elements.iter())?;
            }
        }
        let severity = match self.severity {
            Severity::Ok => "NONE",
            other => other.unacknowledged().name(),
        };
        write!(
            formatter,
            "], size [{}], {severity}(NONE) - {}, {}]",
            self.elements.len(),
            self.status,
            java::instant(self.time)
        )
    }
}

fn list<T: fmt::Display>(
    formatter: &mut fmt::Formatter<'_>,
    elements: impl Iterator<Item = T>,
) -> fmt::Result {
    for (place, element) in elements.enumerate() {
        if place > 0 {
            formatter.write_str(", ")?;
        }
        write!(formatter, "{element}")?;
    }
    Ok(())
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Value {}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

/// The text, `null` without one.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => formatter.write_str(&text),
            None => formatter.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests;
