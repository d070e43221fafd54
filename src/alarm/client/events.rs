//! The stream of events: server-sent events (HTML standard, section "Server-sent events"), taken apart as they come.

use reqwest::Response;

use crate::alarm::client::{Client, ClientError};

/// Longest event, in bytes; the server's own records have at most one mebibyte.
const LONGEST: usize = 8 << 20;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its identifier.
    pub id: String,
    /// Its kind, such as `state`.
    pub kind: String,
    /// JSON.
    pub data: String,
}

/// Takes a stream of bytes apart; pure.
#[derive(Debug, Default)]
pub struct Reader {
    /// The begin of a line whose end has not come.
    line: Vec<u8>,
    event: Event,
    has_data: bool,
}

/// A line or an event without an end in sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {LONGEST} bytes")]
pub struct TooLong;

impl Reader {
    /// Takes bytes and gives the events that are whole with them.
    ///
    /// # Errors
    ///
    /// An event that is too long.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + self.event.data.len() + part.len() > LONGEST {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                events.extend(self.take_line(line.trim_end_matches(['\n', '\r'])));
            }
        }
        Ok(events)
    }

    fn take_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.event.id),
            "event" => value.clone_into(&mut self.event.kind),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // comments keep the connection alive
            _ => {}
        }
        None
    }
}

/// The events of a server, as they happen.
#[derive(Debug)]
pub struct Following {
    response: Response,
    client: Client,
    reader: Reader,
}

impl Following {
    pub(super) fn new(response: Response, client: Client) -> Self {
        Self {
            response,
            client,
            reader: Reader::default(),
        }
    }

    /// Waits for events; `None` when the server has ended the stream.
    ///
    /// # Errors
    ///
    /// A connection that was lost.
    pub async fn next(&mut self) -> Result<Option<Vec<Event>>, ClientError> {
        loop {
            let part = self.response.chunk().await;
            let Some(part) = part.map_err(|error| self.client.failed(&error))? else {
                return Ok(None);
            };
            let events = self
                .reader
                .push(&part)
                .map_err(|error| self.client.strange(error.to_string()))?;
            if !events.is_empty() {
                return Ok(Some(events));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = ": hello\n\nid: 7f-1\nevent: state\ndata: {\"key\":\"state:/X/ä\"}\n\n:\nid: 7f-2\r\nevent: lost\r\ndata: a\r\ndata:b\r\n\r\nid: 7f-3\nevent: talk\n\ndata";

    fn events() -> Vec<Event> {
        let event = |id: &str, kind: &str, data: &str| Event {
            id: id.to_owned(),
            kind: kind.to_owned(),
            data: data.to_owned(),
        };
        vec![
            event("7f-1", "state", "{\"key\":\"state:/X/ä\"}"),
            event("7f-2", "lost", "a\nb"),
        ]
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_come(cuts in prop::collection::vec(0..TEXT.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, TEXT.len()]);
            cuts.sort_unstable();
            let mut reader = Reader::default();
            let mut found = Vec::new();
            for window in cuts.windows(2) {
                found.extend(reader.push(&TEXT.as_bytes()[window[0]..window[1]]).unwrap());
            }
            prop_assert_eq!(found, events());
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut reader = Reader::default();
        let part = vec![b'x'; 1 << 20];
        let mut result = Ok(Vec::new());
        for _ in 0..9 {
            result = reader.push(&part);
        }
        assert_eq!(result, Err(TooLong));
    }
}
