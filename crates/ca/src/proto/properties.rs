//! What a server knows about a value beside the value: units, precision, limits, labels (`DBR_GR_*`, `DBR_CTRL_*`).
//!
//! The layouts are those of `db_access.h`: status and severity first, then by type
//!
//! * text: nothing more;
//! * states: number of labels, 16 labels of 26 bytes;
//! * integers: 8 bytes of units, six limits, in the control form two more;
//! * floating point: precision and two bytes of padding before the units.

use super::data::{LABEL_LENGTH, LABELS, text_from_bytes};
use super::{Alarm, Command, DataType, Error, Form, Severity, Status};

/// Bytes of the units, with a closing zero if they are shorter (`MAX_UNITS_SIZE`).
const UNITS_LENGTH: usize = 8;

/// A lower and an upper bound. Records that have none send zeros or, for alarm limits that are not set, "not a number".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Limits of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Ends of a scale (`LOPR`, `HOPR`).
    pub display: Range,
    /// Bounds of the outer alarm (`LOLO`, `HIHI`).
    pub alarm: Range,
    /// Bounds of the inner alarm (`LOW`, `HIGH`).
    pub warning: Range,
    /// What may be written (`DRVL`, `DRVH`); only in [`Form::Control`].
    pub control: Option<Range>,
}

/// What comes in [`Form::Graphic`] and [`Form::Control`].
#[derive(Clone, Debug, PartialEq)]
pub struct Properties {
    /// Alarm state.
    pub alarm: Alarm,
    /// Engineering units, at most 7 or 8 bytes; empty for text and states.
    pub units: String,
    /// Digits behind the decimal point, of floating point only.
    pub precision: Option<i16>,
    /// Limits of numbers.
    pub limits: Option<Limits>,
    /// Labels of states, at most 16.
    pub labels: Vec<String>,
}

/// Decodes the payload of a read in [`Form::Graphic`] or [`Form::Control`]; the value behind is left alone.
pub fn decode_properties(
    data_type: DataType,
    form: Form,
    payload: &[u8],
) -> Result<Properties, Error> {
    let mut fields = Fields { payload, at: 0 };
    let status = Status(u16::from_be_bytes(fields.take()?));
    let severity = Severity::from_number(u16::from_be_bytes(fields.take()?));
    let mut properties = Properties {
        alarm: Alarm { severity, status },
        units: String::new(),
        precision: None,
        limits: None,
        labels: Vec::new(),
    };
    match data_type {
        DataType::String => {}
        DataType::Enum => {
            let count = usize::from(u16::from_be_bytes(fields.take()?)).min(LABELS);
            for _ in 0..LABELS {
                let label = text_from_bytes(&fields.take::<LABEL_LENGTH>()?);
                if properties.labels.len() < count {
                    properties.labels.push(label);
                }
            }
        }
        DataType::Short => fields.numbers(form, &mut properties, |bytes| {
            f64::from(i16::from_be_bytes(bytes))
        })?,
        DataType::Char => fields.numbers(form, &mut properties, |[byte]| f64::from(byte))?,
        DataType::Long => fields.numbers(form, &mut properties, |bytes| {
            f64::from(i32::from_be_bytes(bytes))
        })?,
        DataType::Float => {
            fields.precision(&mut properties)?;
            fields.numbers(form, &mut properties, |bytes| {
                f64::from(f32::from_be_bytes(bytes))
            })?;
        }
        DataType::Double => {
            fields.precision(&mut properties)?;
            fields.numbers(form, &mut properties, f64::from_be_bytes)?;
        }
    }
    Ok(properties)
}

/// Decodes the labels in the payload of a read of an enumerated PV in [`Form::Graphic`] or [`Form::Control`].
pub fn decode_labels(payload: &[u8]) -> Result<Vec<String>, Error> {
    Ok(decode_properties(DataType::Enum, Form::Control, payload)?.labels)
}

/// A payload that is read from its beginning.
struct Fields<'a> {
    payload: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let found = self
            .payload
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<N>());
        self.at += N;
        found.copied().ok_or(Error::PayloadTooShort {
            command: Command::READ_NOTIFY,
            size: self.payload.len(),
            expected: self.at,
        })
    }

    fn precision(&mut self, properties: &mut Properties) -> Result<(), Error> {
        properties.precision = Some(i16::from_be_bytes(self.take()?));
        self.take::<2>().map(drop)
    }

    /// Units and limits; the upper limits come first at the ends, the lower ones in the middle.
    fn numbers<const N: usize>(
        &mut self,
        form: Form,
        properties: &mut Properties,
        number: fn([u8; N]) -> f64,
    ) -> Result<(), Error> {
        properties.units = text_from_bytes(&self.take::<UNITS_LENGTH>()?);
        let mut next = || self.take::<N>().map(number);
        let (display_high, display_low) = (next()?, next()?);
        let (alarm_high, warning_high, warning_low, alarm_low) =
            (next()?, next()?, next()?, next()?);
        let control = match form {
            Form::Control => {
                let (high, low) = (next()?, next()?);
                Some(Range { low, high })
            }
            Form::Plain | Form::Time | Form::Graphic => None,
        };
        properties.limits = Some(Limits {
            display: Range {
                low: display_low,
                high: display_high,
            },
            alarm: Range {
                low: alarm_low,
                high: alarm_high,
            },
            warning: Range {
                low: warning_low,
                high: warning_high,
            },
            control,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        let digits: Vec<_> = hexadecimal
            .split_whitespace()
            .collect::<String>()
            .into_bytes();
        let text = |pair: &[u8]| String::from_utf8(pair.to_vec()).unwrap();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&text(pair), 16).unwrap())
            .collect()
    }

    fn range(low: f64, high: f64) -> Range {
        Range { low, high }
    }

    /// Limits as 8 counting numbers in the order of the message.
    fn limits(control: bool) -> Limits {
        Limits {
            display: range(2.0, 1.0),
            alarm: range(6.0, 3.0),
            warning: range(5.0, 4.0),
            control: control.then(|| range(8.0, 7.0)),
        }
    }

    #[test]
    fn layouts_of_all_types() {
        let head = "0004 0002";
        let units = "6465 6743 0000 0000";
        let doubles: Vec<_> = (1_u8..=8)
            .map(|number| {
                f64::from(number)
                    .to_be_bytes()
                    .map(|byte| format!("{byte:02x}"))
                    .concat()
            })
            .collect();
        let floats: Vec<_> = (1_u8..=8)
            .map(|number| {
                f32::from(number)
                    .to_be_bytes()
                    .map(|byte| format!("{byte:02x}"))
                    .concat()
            })
            .collect();
        let shorts: Vec<_> = (1..=8).map(|number| format!("{number:04x}")).collect();
        let longs: Vec<_> = (1..=8).map(|number| format!("{number:08x}")).collect();
        let chars: Vec<_> = (1..=8).map(|number| format!("{number:02x}")).collect();
        let precision = "0003 0000";
        for (data_type, precise, numbers) in [
            (DataType::Double, precision, &doubles),
            (DataType::Float, precision, &floats),
            (DataType::Short, "", &shorts),
            (DataType::Long, "", &longs),
            (DataType::Char, "", &chars),
        ] {
            for (form, count) in [(Form::Graphic, 6), (Form::Control, 8)] {
                let numbers = numbers[..count].join(" ");
                let payload = bytes(&format!("{head} {precise} {units} {numbers}"));
                let found = decode_properties(data_type, form, &payload).unwrap();
                let expected = Properties {
                    alarm: Alarm {
                        status: Status(4),
                        severity: Severity::Major,
                    },
                    units: "degC".to_owned(),
                    precision: (!precise.is_empty()).then_some(3),
                    limits: Some(limits(form == Form::Control)),
                    labels: vec![],
                };
                assert_eq!(found, expected, "{data_type:?} {form:?}");
                assert!(decode_properties(data_type, form, &payload[..payload.len() - 1]).is_err());
            }
        }
        let text = decode_properties(DataType::String, Form::Control, &bytes(head)).unwrap();
        assert_eq!((text.units.as_str(), text.limits), ("", None));
    }
}
