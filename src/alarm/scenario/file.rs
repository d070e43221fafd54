//! A scenario as it stands in its file.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use alarm::severity::Severity;
use alarm::text::Text;
use alarm::value::Value;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::yaml::Spanned;

/// Longest time that is waited for anything: a year.
const LONGEST: f64 = 366.0 * 24.0 * 3600.0;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ScenarioFile {
    pub(super) configuration: Spanned<String>,
    pub(super) name: Option<String>,
    pub(super) begins: Option<Spanned<String>>,
    pub(super) zone: Option<Spanned<String>>,
    pub(super) lasts: Option<Seconds>,
    pub(super) connection_timeout: Option<Seconds>,
    pub(super) nag_period: Option<Seconds>,
    #[serde(default)]
    pub(super) limits: Pairs<LimitsFile>,
    pub(super) steps: Vec<StepFile>,
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFile {
    pub(super) hihi: Option<Limit>,
    pub(super) high: Option<Limit>,
    pub(super) low: Option<Limit>,
    pub(super) lolo: Option<Limit>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StepFile {
    pub(super) at: Seconds,
    #[serde(default)]
    pub(super) set: Pairs<Setting>,
    #[serde(default)]
    pub(super) disconnect: Many,
    #[serde(default)]
    pub(super) acknowledge: Many,
    #[serde(default)]
    pub(super) unacknowledge: Many,
    #[serde(default)]
    pub(super) enable: Many,
    #[serde(default)]
    pub(super) disable: Many,
    pub(super) shelve: Option<Shelve>,
    #[serde(default)]
    pub(super) unshelve: Many,
    pub(super) maintenance: Option<bool>,
    pub(super) notify: Option<bool>,
    #[serde(default)]
    pub(super) expect: Pairs<Expected>,
    /// For whoever reads the scenario.
    #[serde(default, rename = "note")]
    _note: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shelve {
    pub(super) items: Many,
    #[serde(rename = "for")]
    pub(super) time: Seconds,
    pub(super) reason: Option<String>,
}

/// How an item is expected to be: a severity, or more of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub(super) severity: Option<Severity>,
    pub(super) message: Option<String>,
    pub(super) current: Option<Severity>,
    pub(super) disabled: Option<bool>,
    pub(super) announced: Option<usize>,
    pub(super) actions: Option<usize>,
}

/// A value, with its alarm if that is not to come from limits.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) alarm: Option<(Severity, Text)>,
}

/// Seconds as a number, or a time such as `1m30s`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds(pub(super) Duration);

/// `80 MAJOR`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(f64, Severity);

impl Limit {
    pub(super) fn pair(self) -> (f64, Severity) {
        (self.0, self.1)
    }
}

/// One name, or a list of them.
#[derive(Debug, Default)]
pub(super) struct Many(pub(super) Vec<Spanned<String>>);

/// Keys with their places and values, in the order of the file.
#[derive(Debug)]
pub(super) struct Pairs<T>(pub(super) Vec<(Spanned<String>, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

fn severity<E: de::Error>(text: &str) -> Result<Severity, E> {
    let found = Severity::ALL
        .into_iter()
        .find(|severity| severity.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        E::custom(format!(
            "`{text}` is no severity: OK, MINOR, MAJOR, INVALID, UNDEFINED, and those with `_ACK`"
        ))
    })
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for PairsVisitor<T> {
            type Value = Pairs<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("names, each with a value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = access.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

/// What stands for a list of one name.
impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(transparent)]
        struct Outer(Spanned<Inner>);

        struct Inner(Option<Vec<Spanned<String>>>, String);

        impl<'de> Deserialize<'de> for Inner {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct InnerVisitor;
                impl<'de> Visitor<'de> for InnerVisitor {
                    type Value = Inner;

                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str("a name, or a list of names")
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<Inner, E> {
                        Ok(Inner(None, text.to_owned()))
                    }

                    fn visit_seq<A: SeqAccess<'de>>(
                        self,
                        mut access: A,
                    ) -> Result<Inner, A::Error> {
                        let mut names = Vec::new();
                        while let Some(name) = access.next_element()? {
                            names.push(name);
                        }
                        Ok(Inner(Some(names), String::new()))
                    }
                }
                deserializer.deserialize_any(InnerVisitor)
            }
        }

        let Outer(spanned) = Outer::deserialize(deserializer)?;
        let Spanned {
            value: Inner(names, name),
            referenced,
            defined,
        } = spanned;
        Ok(Self(names.unwrap_or_else(|| {
            vec![Spanned {
                value: name,
                referenced,
                defined,
            }]
        })))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecondsVisitor;
        impl Visitor<'_> for SecondsVisitor {
            type Value = Seconds;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("seconds, or a time such as `1m30s`")
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Seconds, E> {
                if (0.0..=LONGEST).contains(&seconds) {
                    return Ok(Seconds(Duration::from_secs_f64(seconds)));
                }
                Err(E::custom("a time is from 0 seconds to a year"))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Seconds, E> {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "far more than a year either way"
                )]
                let seconds = seconds as f64;
                self.visit_f64(seconds)
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Seconds, E> {
                let seconds = u64::try_from(seconds)
                    .map_err(|_negative| E::custom("a time is from 0 seconds to a year"))?;
                self.visit_u64(seconds)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
                let span: jiff::SignedDuration = text.parse().map_err(|_no_time| {
                    E::custom(format!("`{text}` is no time such as `1m30s`"))
                })?;
                self.visit_f64(span.as_secs_f64())
            }
        }
        deserializer.deserialize_any(SecondsVisitor)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (number, word) = text
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is no limit such as `80 MAJOR`")))?;
        let number = number
            .parse()
            .map_err(|_no_number| de::Error::custom(format!("`{number}` is no number")))?;
        Ok(Self(number, severity(word.trim())?))
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            severity: Option<String>,
            message: Option<String>,
            current: Option<String>,
            disabled: Option<bool>,
            announced: Option<usize>,
            actions: Option<usize>,
        }
        struct ExpectedVisitor;
        impl<'de> Visitor<'de> for ExpectedVisitor {
            type Value = Expected;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a severity, or `{severity: …, message: …, current: …}`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Expected, E> {
                Ok(Expected {
                    severity: Some(severity(text)?),
                    ..Expected::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Expected, A::Error> {
                let fields = Fields::deserialize(MapAccessDeserializer::new(access))?;
                Ok(Expected {
                    severity: fields.severity.as_deref().map(severity).transpose()?,
                    message: fields.message,
                    current: fields.current.as_deref().map(severity).transpose()?,
                    disabled: fields.disabled,
                    announced: fields.announced,
                    actions: fields.actions,
                })
            }
        }
        deserializer.deserialize_any(ExpectedVisitor)
    }
}

/// A number or a text; a whole number is a number like any other.
struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(SettingVisitor)
            .map(|setting| Self(setting.value))
    }
}

struct SettingVisitor;

impl<'de> Visitor<'de> for SettingVisitor {
    type Value = Setting;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value, or `{value: …, severity: …, message: …}`")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Setting, E> {
        let (value, alarm) = (Value::Double(number), None);
        Ok(Setting { value, alarm })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Setting, E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a value of a record is a double"
        )]
        let number = number as f64;
        self.visit_f64(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Setting, E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a value of a record is a double"
        )]
        let number = number as f64;
        self.visit_f64(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Setting, E> {
        let (value, alarm) = (Value::Text(text.into()), None);
        Ok(Setting { value, alarm })
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Setting, A::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            value: Plain,
            severity: Option<String>,
            message: Option<String>,
        }
        let fields = Fields::deserialize(MapAccessDeserializer::new(access))?;
        let severity = fields.severity.as_deref().map(severity).transpose()?;
        let alarm = severity.map(|severity| {
            let message = match (&fields.message, severity) {
                (Some(message), _) => message.as_str(),
                (None, Severity::Ok) => "NO_ALARM",
                (None, _) => "STATE_ALARM",
            };
            (severity, message.into())
        });
        let value = fields.value.0;
        Ok(Setting { value, alarm })
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor)
    }
}
