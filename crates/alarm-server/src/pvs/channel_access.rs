//! PVs by Channel Access: the client of [`ca`], with values as the alarm logic has them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alarm::value::{Array, Elements};
use alarm::{Severity, State, Text, Time, Value};
use ca::{Context, Event, Events, Mask, PvName, Reading};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::clock::time_of;
use crate::pvs::{PutValue, Puts, PvEvent, PvNews, Pvs, WatchId};

/// Arrays are shown with so many elements at most.
const LARGEST_ARRAY: usize = 100_000;
/// Longest wait for one write; whoever writes has a shorter one.
const PUT: Duration = Duration::from_mins(1);

/// What has to be kept of a watched PV to understand its values.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    /// How many elements the PV can have.
    count: u32,
    /// The name of a record's type: Phoebus asks for it without alarm and time.
    is_record_type: bool,
}

/// PVs by Channel Access.
pub struct ChannelAccess {
    context: Context,
    events: Events,
    shapes: HashMap<u64, Shape>,
    /// Addresses of servers as text, one for all their PVs.
    servers: HashMap<SocketAddr, Arc<str>>,
    /// Names that cannot be asked for.
    impossible: Vec<PvEvent>,
}

impl std::fmt::Debug for ChannelAccess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ChannelAccess")
            .field("watched", &self.shapes.len())
            .finish_non_exhaustive()
    }
}

impl ChannelAccess {
    /// Starts the client; within a tokio runtime.
    pub fn start(configuration: ca::Configuration) -> Self {
        let (context, events) = Context::start(configuration);
        Self {
            context,
            events,
            shapes: HashMap::new(),
            servers: HashMap::new(),
            impossible: Vec::new(),
        }
    }

    fn convert(&mut self, id: ca::WatchId, event: Event, now: Time) -> Option<PvEvent> {
        let what = match event {
            Event::Connected { server, count, .. } => {
                if let Some(shape) = self.shapes.get_mut(&id.0) {
                    shape.count = count;
                }
                let text = self.servers.entry(server);
                PvNews::Connected {
                    server: Arc::clone(text.or_insert_with(|| server.to_string().into())),
                }
            }
            Event::Value(update) => {
                let shape = self.shapes.get(&id.0).copied().unwrap_or_default();
                PvNews::Value {
                    state: state(update.reading, shape, now),
                    coalesced: update.coalesced,
                }
            }
            Event::AccessRights(rights) if rights.read => return None,
            Event::AccessRights(_) => PvNews::Trouble("it may not be read".to_owned()),
            Event::Disconnected => PvNews::Disconnected,
            Event::Duplicate { servers } => {
                let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
                PvNews::Trouble(format!("it is served by {}", servers.join(" and by ")))
            }
        };
        Some(PvEvent {
            id: WatchId(id.0),
            what,
        })
    }
}

impl Pvs for ChannelAccess {
    fn watch(&mut self, id: WatchId, name: &str) {
        match name.parse::<PvName>() {
            Ok(parsed) => {
                let shape = Shape {
                    count: 1,
                    is_record_type: name
                        .rsplit_once('.')
                        .is_some_and(|(_record, field)| field == "RTYP"),
                };
                self.shapes.insert(id.0, shape);
                self.context
                    .watch(ca::WatchId(id.0), parsed, Mask::default());
            }
            Err(error) => self.impossible.push(PvEvent {
                id,
                what: PvNews::Impossible(error.to_string()),
            }),
        }
    }

    fn unwatch(&mut self, id: WatchId) {
        self.impossible.retain(|event| event.id != id);
        if self.shapes.remove(&id.0).is_some() {
            self.context.unwatch(ca::WatchId(id.0));
        }
    }

    fn next(&mut self) -> BoxFuture<'_, Option<Vec<PvEvent>>> {
        async move {
            loop {
                if !self.impossible.is_empty() {
                    return Some(std::mem::take(&mut self.impossible));
                }
                let events = self.events.next().await?;
                let now = time_of(std::time::SystemTime::now());
                let events: Vec<PvEvent> = events
                    .into_iter()
                    .filter_map(|(id, event)| self.convert(id, event, now))
                    .collect();
                if !events.is_empty() {
                    return Some(events);
                }
            }
        }
        .boxed()
    }

    fn puts(&self) -> Arc<dyn Puts> {
        Arc::new(ContextPuts(self.context.clone()))
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        async move { self.context.close().await }.boxed()
    }
}

struct ContextPuts(Context);

impl Puts for ContextPuts {
    fn put(&self, name: String, value: PutValue) -> BoxFuture<'static, Result<(), String>> {
        let context = self.0.clone();
        async move {
            let name: PvName = name.parse().map_err(|error| format!("{error}"))?;
            let value = match value {
                PutValue::Number(number) => ca::Value::Double(number),
                PutValue::Text(text) => ca::Value::String(text),
            };
            let put = context.put(&name, value, PUT).await;
            put.map_err(|error| error.to_string())
        }
        .boxed()
    }
}

fn severity(severity: ca::Severity) -> Severity {
    match severity {
        ca::Severity::None => Severity::Ok,
        ca::Severity::Minor => Severity::Minor,
        ca::Severity::Major => Severity::Major,
        ca::Severity::Invalid => Severity::Invalid,
    }
}

/// The names that Phoebus gives to alarm statuses: those of the JCA library.
fn message(status: ca::Status) -> Text {
    let number = usize::from(status.0);
    Text::status(number).unwrap_or_else(|| Text::from(format!("STATUS_{number}")))
}

/// A value as the alarm logic has it. A time stamp that was never set means now (Phoebus does so too).
fn state(reading: Reading, shape: Shape, now: Time) -> State {
    let is_set = reading.timestamp.seconds != 0;
    let time = if is_set && !shape.is_record_type {
        time_of(reading.timestamp.to_system_time())
    } else {
        now
    };
    let (severity, message) = if shape.is_record_type {
        (Severity::Ok, Text::from("None"))
    } else {
        (severity(reading.severity), message(reading.status))
    };
    let value = match reading.value {
        ca::Value::String(text) => Value::Text(text.into()),
        ca::Value::Short(number) => Value::Whole(i64::from(number)),
        ca::Value::Char(number) => Value::Whole(i64::from(number.cast_signed())),
        ca::Value::Long(number) => Value::Whole(i64::from(number)),
        ca::Value::Float(number) => Value::Float(number),
        ca::Value::Double(number) => Value::Double(number),
        ca::Value::Enum {
            index,
            label: Some(label),
        } => Value::Enumeration {
            index,
            label: label.into(),
        },
        ca::Value::Enum { index, label: None } => Value::Whole(i64::from(index)),
        ca::Value::Array(array) => Value::Array(Arc::new(Array {
            elements: elements(array, shape.count),
            severity,
            status: message.clone(),
            time,
        })),
    };
    State {
        severity,
        message,
        value,
        time,
        latch: false,
    }
}

/// Fills an array up to the size of the PV, as it looks to clients that ask for that many elements.
fn elements(array: ca::Array, count: u32) -> Elements {
    fn fill<T: Clone>(mut elements: Vec<T>, count: u32, empty: T) -> Box<[T]> {
        let count = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .min(LARGEST_ARRAY);
        elements.resize(count.max(elements.len()).min(LARGEST_ARRAY), empty);
        elements.into()
    }
    match array {
        ca::Array::Double(numbers) => Elements::Doubles(fill(numbers, count, 0.0)),
        ca::Array::Float(numbers) => Elements::Floats(fill(numbers, count, 0.0)),
        ca::Array::Long(numbers) => Elements::Longs(fill(numbers, count, 0)),
        ca::Array::Short(numbers) => Elements::Shorts(fill(numbers, count, 0)),
        ca::Array::Char(bytes) => {
            let bytes = bytes.into_iter().map(u8::cast_signed).collect();
            Elements::Bytes(fill(bytes, count, 0))
        }
        ca::Array::Enum(places) => {
            let places = places
                .into_iter()
                .map(|place| place.to_string().into())
                .collect();
            Elements::Labels(fill(places, count, "0".into()))
        }
        ca::Array::String(texts) => {
            let texts = texts.into_iter().map(Into::into).collect();
            Elements::Texts(fill(texts, count, "".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(value: ca::Value) -> Reading {
        Reading {
            value,
            severity: ca::Severity::Major,
            status: ca::Status(3),
            timestamp: ca::Timestamp {
                seconds: 1,
                nanoseconds: 5,
            },
        }
    }

    #[test]
    fn values_as_phoebus_shows_them() {
        let shape = Shape {
            count: 3,
            is_record_type: false,
        };
        let text = |value| {
            let state = state(reading(value), shape, Time::new(7, 0));
            assert_eq!(
                (state.severity, &*state.message),
                (Severity::Major, "HIHI_ALARM")
            );
            assert_eq!(state.time, Time::new(631_152_001, 5));
            state.value.to_string()
        };
        assert_eq!(text(ca::Value::Double(2.0)), "2.0");
        assert_eq!(text(ca::Value::Char(255)), "-1");
        let labelled = ca::Value::Enum {
            index: 1,
            label: Some(String::new()),
        };
        assert_eq!(text(labelled), "");
        // recorded from Phoebus (trace 09-names-and-types): as many elements as the PV can have
        let array = ca::Value::Array(ca::Array::Double(vec![1.5]));
        assert_eq!(
            text(array),
            "VDoubleArray[[1.5, 0.0, 0.0], size [3], MAJOR(NONE) - HIHI_ALARM, 1990-01-01T00:00:01.000000005Z]"
        );
    }

    #[test]
    fn what_has_no_time_has_the_time_of_now() {
        let mut never = reading(ca::Value::Double(0.0));
        never.timestamp.seconds = 0;
        let now = Time::new(7, 0);
        assert_eq!(state(never, Shape::default(), now).time, now);
        let shape = Shape {
            count: 1,
            is_record_type: true,
        };
        let kind = state(reading(ca::Value::String("ai".to_owned())), shape, now);
        assert_eq!(
            (kind.severity, &*kind.message, kind.time),
            (Severity::Ok, "None", now)
        );
    }
}
