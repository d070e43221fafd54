//! Values: the data types of Channel Access, alarm state and time stamp beside them.
//!
//! What it deliberately does not do: units, limits, precision and labels; those are in `properties`.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::{Command, Error};

/// Bytes of a string value on the wire, with its closing zero (`MAX_STRING_SIZE`).
pub(super) const STRING_LENGTH: usize = 40;
/// Bytes of a label of an enumerated value, with its closing zero (`MAX_ENUM_STRING_SIZE`).
pub(super) const LABEL_LENGTH: usize = 26;
/// Labels that an enumerated value can have (`MAX_ENUM_STATES`).
pub(super) const LABELS: usize = 16;

/// Native type of a PV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// Text of up to 39 bytes.
    String,
    /// 16-bit signed integer.
    Short,
    /// 32-bit floating point.
    Float,
    /// One of up to 16 labelled states.
    Enum,
    /// 8-bit unsigned integer; arrays of it often hold long text.
    Char,
    /// 32-bit signed integer.
    Long,
    /// 64-bit floating point.
    Double,
}

/// What comes with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing.
    Plain,
    /// Alarm state and time stamp.
    Time,
    /// Alarm state, units, limits without those for control; the labels of an enumerated value.
    Graphic,
    /// Alarm state, units, limits; the labels of an enumerated value.
    Control,
}

impl DataType {
    /// From the number of the plain form (`DBR_STRING` = 0 to `DBR_DOUBLE` = 6).
    pub fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::String,
            1 => Self::Short,
            2 => Self::Float,
            3 => Self::Enum,
            4 => Self::Char,
            5 => Self::Long,
            6 => Self::Double,
            _ => return None,
        })
    }

    /// Number of this type in the given form.
    pub fn number(self, form: Form) -> u16 {
        let plain = match self {
            Self::String => 0,
            Self::Short => 1,
            Self::Float => 2,
            Self::Enum => 3,
            Self::Char => 4,
            Self::Long => 5,
            Self::Double => 6,
        };
        match form {
            Form::Plain => plain,
            Form::Time => plain + 14,
            Form::Graphic => plain + 21,
            Form::Control => plain + 28,
        }
    }

    /// Bytes of one element.
    fn size(self) -> usize {
        match self {
            Self::String => STRING_LENGTH,
            Self::Short | Self::Enum => 2,
            Self::Float | Self::Long => 4,
            Self::Char => 1,
            Self::Double => 8,
        }
    }

    /// Offset of the value behind alarm state (4 bytes), time stamp (8 bytes) and alignment, as `db_access.h` lays it out.
    fn time_offset(self) -> usize {
        match self {
            Self::String | Self::Float | Self::Long => 12,
            Self::Short | Self::Enum => 14,
            Self::Char => 15,
            Self::Double => 16,
        }
    }
}

/// Alarm severity of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// No alarm.
    None,
    /// Minor alarm.
    Minor,
    /// Major alarm.
    Major,
    /// The value cannot be trusted; also any severity number that EPICS does not define.
    Invalid,
}

impl Severity {
    pub(super) fn from_number(number: u16) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Minor,
            2 => Self::Major,
            _ => Self::Invalid,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "NO_ALARM",
            Self::Minor => "MINOR",
            Self::Major => "MAJOR",
            Self::Invalid => "INVALID",
        })
    }
}

/// Alarm status of a record (`menuAlarmStat`), 0 for no alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u16);

impl Status {
    const NAMES: [&str; 22] = [
        "NO_ALARM",
        "READ",
        "WRITE",
        "HIHI",
        "HIGH",
        "LOLO",
        "LOW",
        "STATE",
        "COS",
        "COMM",
        "TIMEOUT",
        "HWLIMIT",
        "CALC",
        "SCAN",
        "LINK",
        "SOFT",
        "BAD_SUB",
        "UDF",
        "DISABLE",
        "SIMM",
        "READ_ACCESS",
        "WRITE_ACCESS",
    ];
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.get(usize::from(self.0)) {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "unknown status {}", self.0),
        }
    }
}

/// Severity and status together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// How bad.
    pub severity: Severity,
    /// Why.
    pub status: Status,
}

/// Time stamp of a record. Zero seconds means that the record has never processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1990-01-01 00:00:00 UTC.
    pub seconds: u32,
    /// Nanoseconds within the second; servers should send less than 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// Seconds from 1970-01-01 to 1990-01-01.
    pub const EPOCH_OFFSET: u64 = 631_152_000;

    /// As the time type of the standard library.
    pub fn to_system_time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH
            + Duration::from_secs(Self::EPOCH_OFFSET + u64::from(self.seconds))
            + Duration::from_nanos(u64::from(self.nanoseconds))
    }
}

/// A value. PVs that can hold only one element give a scalar (an empty [`Array`] if they have none), all others an
/// [`Array`] even if one element is in use.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    String(String),
    /// 16-bit signed integer.
    Short(i16),
    /// 32-bit floating point.
    Float(f32),
    /// State of an enumerated PV.
    Enum {
        /// Number of the state.
        index: u16,
        /// Its label, if the server has one for this number.
        label: Option<String>,
    },
    /// 8-bit unsigned integer.
    Char(u8),
    /// 32-bit signed integer.
    Long(i32),
    /// 64-bit floating point.
    Double(f64),
    /// Several elements.
    Array(Array),
}

/// Elements of an array PV; the length is the number in use (`NORD`), which may be zero.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// Texts.
    String(Vec<String>),
    /// 16-bit signed integers.
    Short(Vec<i16>),
    /// 32-bit floating point.
    Float(Vec<f32>),
    /// Numbers of states.
    Enum(Vec<u16>),
    /// Bytes.
    Char(Vec<u8>),
    /// 32-bit signed integers.
    Long(Vec<i32>),
    /// 64-bit floating point.
    Double(Vec<f64>),
}

impl Value {
    /// A scalar as a number: the number of an enumerated state, `None` for text and arrays.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Short(number) => Some(f64::from(*number)),
            Self::Float(number) => Some(f64::from(*number)),
            Self::Enum { index, .. } => Some(f64::from(*index)),
            Self::Char(number) => Some(f64::from(*number)),
            Self::Long(number) => Some(f64::from(*number)),
            Self::Double(number) => Some(*number),
            Self::String(_) | Self::Array(_) => None,
        }
    }

    /// Text of a string, of an enumerated state's label, or of a character array up to its first zero.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::String(text) => Some(text.clone()),
            Self::Enum { label, .. } => label.clone(),
            Self::Array(Array::Char(bytes)) => Some(text_from_bytes(bytes)),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// Text as it is, a state by its label (else its number), arrays as `[a, b, …]`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text)
            | Self::Enum {
                label: Some(text), ..
            } => formatter.write_str(text),
            Self::Short(number) => write!(formatter, "{number}"),
            Self::Float(number) => write!(formatter, "{}", Floating(number)),
            Self::Enum { index, label: None } => write!(formatter, "{index}"),
            Self::Char(number) => write!(formatter, "{number}"),
            Self::Long(number) => write!(formatter, "{number}"),
            Self::Double(number) => write!(formatter, "{}", Floating(number)),
            Self::Array(array) => write!(formatter, "{array}"),
        }
    }
}

impl fmt::Display for Array {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(
            formatter: &mut fmt::Formatter<'_>,
            elements: impl Iterator<Item = T>,
        ) -> fmt::Result {
            formatter.write_str("[")?;
            for (index, element) in elements.enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                write!(formatter, "{comma}{element}")?;
            }
            formatter.write_str("]")
        }
        match self {
            Self::String(elements) => list(formatter, elements.iter()),
            Self::Short(elements) => list(formatter, elements.iter()),
            Self::Float(elements) => list(formatter, elements.iter().map(Floating)),
            Self::Enum(elements) => list(formatter, elements.iter()),
            Self::Char(elements) => list(formatter, elements.iter()),
            Self::Long(elements) => list(formatter, elements.iter()),
            Self::Double(elements) => list(formatter, elements.iter().map(Floating)),
        }
    }
}

/// Shows very large and very small numbers with an exponent, as people expect it, and all others without.
struct Floating<'a, T>(&'a T);

impl<T: Copy + Into<f64> + fmt::Display + fmt::LowerExp> fmt::Display for Floating<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = (*self.0).into().abs();
        if magnitude.is_finite() && magnitude != 0.0 && !(1e-5..1e16).contains(&magnitude) {
            write!(formatter, "{:e}", self.0)
        } else {
            write!(formatter, "{}", self.0)
        }
    }
}

/// A value with alarm state and time stamp.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The value; labels of enumerated states are not part of this form.
    pub value: Value,
    /// Alarm state.
    pub alarm: Alarm,
    /// When the record last processed.
    pub timestamp: Timestamp,
}

/// Decodes the payload of a read in [`Form::Time`]. `scalar` says whether the PV holds at most one element.
pub fn decode_sample(
    data_type: DataType,
    count: u32,
    scalar: bool,
    payload: &[u8],
) -> Result<Sample, Error> {
    let short = |expected| Error::PayloadTooShort {
        command: Command::READ_NOTIFY,
        size: payload.len(),
        expected,
    };
    let offset = data_type.time_offset();
    let fixed = payload.first_chunk::<12>().ok_or_else(|| short(offset))?;
    let [
        status0,
        status1,
        severity0,
        severity1,
        s0,
        s1,
        s2,
        s3,
        n0,
        n1,
        n2,
        n3,
    ] = *fixed;
    let alarm = Alarm {
        status: Status(u16::from_be_bytes([status0, status1])),
        severity: Severity::from_number(u16::from_be_bytes([severity0, severity1])),
    };
    let timestamp = Timestamp {
        seconds: u32::from_be_bytes([s0, s1, s2, s3]),
        nanoseconds: u32::from_be_bytes([n0, n1, n2, n3]),
    };
    // usize is at least 32 bits wherever tokio runs; a count beyond it cannot be in a payload anyway
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let end = count
        .saturating_mul(data_type.size())
        .saturating_add(offset);
    // servers shorten the last string of a message to its own length
    let needed = if data_type == DataType::String && count > 0 {
        end - STRING_LENGTH + 1
    } else {
        end
    };
    if payload.len() < needed {
        return Err(short(needed));
    }
    let elements = &payload[offset..end.min(payload.len())];
    let value = match decode_array(data_type, elements) {
        array if !scalar => Value::Array(array),
        // an empty long string (`lso`) comes without any element
        Array::String(texts) => Value::String(texts.into_iter().next().unwrap_or_default()),
        Array::Short(numbers) if let [number] = *numbers => Value::Short(number),
        Array::Float(numbers) if let [number] = *numbers => Value::Float(number),
        Array::Enum(numbers) if let [index] = *numbers => Value::Enum { index, label: None },
        Array::Char(numbers) if let [number] = *numbers => Value::Char(number),
        Array::Long(numbers) if let [number] = *numbers => Value::Long(number),
        Array::Double(numbers) if let [number] = *numbers => Value::Double(number),
        array => Value::Array(array),
    };
    Ok(Sample {
        value,
        alarm,
        timestamp,
    })
}

fn decode_array(data_type: DataType, bytes: &[u8]) -> Array {
    fn chunks<const N: usize, T>(bytes: &[u8], convert: fn([u8; N]) -> T) -> Vec<T> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| convert(*chunk))
            .collect()
    }
    match data_type {
        DataType::String => {
            Array::String(bytes.chunks(STRING_LENGTH).map(text_from_bytes).collect())
        }
        DataType::Short => Array::Short(chunks(bytes, i16::from_be_bytes)),
        DataType::Float => Array::Float(chunks(bytes, f32::from_be_bytes)),
        DataType::Enum => Array::Enum(chunks(bytes, u16::from_be_bytes)),
        DataType::Char => Array::Char(bytes.to_vec()),
        DataType::Long => Array::Long(chunks(bytes, i32::from_be_bytes)),
        DataType::Double => Array::Double(chunks(bytes, f64::from_be_bytes)),
    }
}

/// Text up to the first zero. EPICS does not define an encoding: UTF-8 if it is valid, else every byte stands for its
/// Latin-1 character, so that nothing is lost.
pub(super) fn text_from_bytes(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    let bytes = &bytes[..end];
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}
