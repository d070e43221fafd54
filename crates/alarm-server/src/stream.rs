//! What happens, as a stream that clients can follow and take up again where they lost it.
//!
//! Events have numbers. The newest are kept; a client that asks for one that is gone is told to look at everything
//! anew. Nothing waits for a slow client.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

/// So many events are kept.
const KEPT: usize = 4096;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number, from 1 on, without gaps.
    pub sequence: u64,
    /// What kind: `state`, `config`, `talk`, `audit`.
    pub kind: &'static str,
    /// JSON.
    pub data: Arc<str>,
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Events in their order, at least one.
    Events(Vec<Event>),
    /// What was asked for is no longer there; go on after this number, and read everything anew.
    Lost(u64),
}

#[derive(Debug)]
struct Kept {
    events: VecDeque<Event>,
    last: u64,
}

/// The stream of one run of a server.
#[derive(Debug)]
pub struct Stream {
    /// Tells the runs of a server apart: numbers of another run mean nothing.
    run: String,
    kept: Mutex<Kept>,
    news: watch::Sender<u64>,
}

impl Stream {
    /// A stream without events. `run` is in the identifiers that clients send back.
    pub fn new(run: String) -> Self {
        Self {
            run,
            kept: Mutex::new(Kept {
                events: VecDeque::new(),
                last: 0,
            }),
            news: watch::Sender::new(0),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // what is kept is whole after every statement
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event with data that serialises.
    pub fn add<T: Serialize>(&self, kind: &'static str, data: &T) {
        match serde_json::to_string(data) {
            Ok(text) => self.add_texts([(kind, text.into())]),
            Err(error) => tracing::error!("an event cannot be written: {error}"),
        }
    }

    /// Adds an event about a record of our own, whose value is JSON; no value is a tombstone.
    pub fn add_record(&self, kind: &'static str, key: &str, value: Option<&str>) {
        self.add_texts([(kind, record(key, value))]);
    }

    /// Adds events about records of our own, kind, key and value of each; those who wait are woken once.
    pub fn add_records<'a>(
        &self,
        records: impl IntoIterator<Item = (&'static str, &'a str, Option<&'a str>)>,
    ) {
        let texts = records
            .into_iter()
            .map(|(kind, key, value)| (kind, record(key, value)));
        self.add_texts(texts);
    }

    /// Adds an event about a record that somebody else wrote; what is no JSON is shown as text.
    pub fn add_foreign_record(&self, kind: &'static str, key: &str, value: Option<&str>) {
        let is_json =
            value.is_none_or(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        if is_json {
            self.add_record(kind, key, value);
        } else {
            let text = serde_json::Value::from(value.unwrap_or_default()).to_string();
            self.add_record(kind, key, Some(&text));
        }
    }

    fn add_texts(&self, texts: impl IntoIterator<Item = (&'static str, Arc<str>)>) {
        let mut kept = self.kept();
        let before = kept.last;
        for (kind, data) in texts {
            kept.last += 1;
            let sequence = kept.last;
            if kept.events.len() >= KEPT {
                kept.events.pop_front();
            }
            kept.events.push_back(Event {
                sequence,
                kind,
                data,
            });
        }
        let last = kept.last;
        drop(kept);
        if last != before {
            self.news.send_replace(last);
        }
    }

    /// Number of the newest event; 0 before the first.
    pub fn last(&self) -> u64 {
        self.kept().last
    }

    /// The identifier of an event, `RUN-NUMBER`.
    pub fn identifier(&self, sequence: u64) -> String {
        format!("{}-{sequence}", self.run)
    }

    /// The number in an identifier of this run.
    pub fn sequence(&self, identifier: &str) -> Option<u64> {
        identifier
            .strip_prefix(self.run.as_str())?
            .strip_prefix('-')?
            .parse()
            .ok()
    }

    /// Events after a number, as far as there are any.
    fn after(&self, sequence: u64, limit: usize) -> Option<Next> {
        let kept = self.kept();
        if sequence > kept.last {
            return Some(Next::Lost(kept.last));
        }
        if sequence == kept.last {
            return None;
        }
        let first = kept
            .events
            .front()
            .map_or(kept.last, |event| event.sequence);
        if sequence + 1 < first {
            return Some(Next::Lost(kept.last));
        }
        let skip = usize::try_from(sequence + 1 - first).unwrap_or(usize::MAX);
        Some(Next::Events(
            kept.events.iter().skip(skip).take(limit).cloned().collect(),
        ))
    }

    /// Waits for events after a number.
    pub async fn next(&self, sequence: u64) -> Next {
        let mut news = self.news.subscribe();
        loop {
            if let Some(next) = self.after(sequence, 256) {
                return next;
            }
            if news.changed().await.is_err() {
                // the sender is part of this stream, which lives as long as this call
                return Next::Lost(sequence);
            }
        }
    }

    /// The newest events whose data contain a text, newest last.
    pub fn recent(&self, text: &str, limit: usize) -> Vec<Event> {
        let kept = self.kept();
        let mut found: Vec<Event> = kept
            .events
            .iter()
            .rev()
            .filter(|event| event.data.contains(text))
            .take(limit)
            .cloned()
            .collect();
        found.reverse();
        found
    }
}

/// The data of an event about a record.
fn record(key: &str, value: Option<&str>) -> Arc<str> {
    let value = value.unwrap_or("null");
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if key.bytes().all(is_plain) {
        // as nearly always: nothing to escape
        return [r#"{"key":""#, key, r#"","value":"#, value, "}"]
            .concat()
            .into();
    }
    let key = serde_json::Value::from(key);
    format!(r#"{{"key":{key},"value":{value}}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_where_they_have_to_be() {
        for key in ["state:/X/a", "state:/X/\\/a", "a\"b", "a\u{1}b", "é\u{7f}"] {
            let data = record(key, Some("1"));
            let json: serde_json::Value = serde_json::from_str(&data).unwrap();
            assert_eq!(json, serde_json::json!({ "key": key, "value": 1 }));
        }
    }

    #[tokio::test]
    async fn events_are_taken_up_again_by_number() {
        let stream = Stream::new("7f".to_owned());
        for number in 0..3 {
            stream.add("state", &number);
        }
        let Next::Events(events) = stream.next(1).await else {
            panic!("kept")
        };
        assert_eq!(
            events.iter().map(|event| &*event.data).collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert_eq!(stream.sequence(&stream.identifier(2)), Some(2));
        for foreign in ["8f-2", "7f", "7f-", "7f-x", ""] {
            assert_eq!(stream.sequence(foreign), None, "{foreign}");
        }
        // from the future, or long gone
        assert_eq!(stream.next(99).await, Next::Lost(3));
        for number in 0..KEPT {
            stream.add("state", &number);
        }
        assert_eq!(stream.next(1).await, Next::Lost(3 + KEPT as u64));
        assert!(matches!(stream.next(3).await, Next::Events(_)));
    }

    #[tokio::test]
    async fn waiting_clients_are_woken() {
        let stream = Arc::new(Stream::new("a".to_owned()));
        let waiting = tokio::spawn({
            let stream = Arc::clone(&stream);
            async move { stream.next(0).await }
        });
        tokio::task::yield_now().await;
        stream.add_record("state", "state:/X/a", Some(r#"{"severity":"OK"}"#));
        let Next::Events(events) = waiting.await.unwrap() else {
            panic!("an event")
        };
        assert_eq!(
            &*events[0].data,
            r#"{"key":"state:/X/a","value":{"severity":"OK"}}"#
        );
    }
}
