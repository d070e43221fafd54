//! The log store of a site: what the nodes no longer have, out of Loki's query interface.
//!
//! Lines of the store end where those of the node begin: [`join`] finds the seam, so that no line comes twice.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::fleet::logs::line::LogLine;
use crate::settings::LogStoreSettings;
use crate::source::{FetchContext, download};
use crate::text;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Lines in one answer; what Loki gives at most unless it is configured otherwise.
const PAGE: usize = 5000;
/// Time that one query covers; Loki refuses more than about 30 days.
const SPAN: SignedDuration = SignedDuration::from_hours(24 * 14);
/// Agents may write down when they have read a line rather than when it was said.
pub const LATE: SignedDuration = SignedDuration::from_secs(5);
/// Longest secret that is read from a file.
const LONGEST_SECRET: usize = 64 * 1024;
/// Bytes of one answer that are read at most.
const LARGEST_ANSWER: usize = 256 * 1024 * 1024;

/// Whose lines are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Beamline in `ioc.toml`; empty when there is none.
    pub beamline: String,
    /// Namespace.
    pub namespace: String,
    /// Instance.
    pub instance: String,
    /// Container.
    pub container: String,
}

impl Subject {
    /// Puts the names into a template; in a query they are texts in quotes, in an address parts of it.
    pub fn fill(&self, template: &str) -> String {
        let mut text = template.to_owned();
        for (name, value) in [
            ("{beamline}", &self.beamline),
            ("{namespace}", &self.namespace),
            ("{instance}", &self.instance),
            ("{container}", &self.container),
            // as the command-line tool of the epics-containers project writes it
            ("{service_name}", &self.instance),
        ] {
            let safe: String = value
                .chars()
                .filter(|character| character.is_ascii_alphanumeric() || "-._".contains(*character))
                .collect();
            text = text.replace(name, &safe);
        }
        text
    }
}

/// A log store.
#[derive(Clone)]
pub struct LogStore {
    client: reqwest::Client,
    settings: LogStoreSettings,
    login: Login,
}

#[derive(Clone)]
enum Login {
    None,
    Bearer(String),
    Basic(String, String),
}

impl LogStore {
    /// The store that the settings name; `None` when they name none.
    ///
    /// # Errors
    ///
    /// A file with a token or password that cannot be read, or certificates that cannot be used.
    pub fn new(settings: &LogStoreSettings, fetch: &FetchContext) -> CommandResult<Option<Self>> {
        if settings.url.is_none() {
            return Ok(None);
        }
        let secret = |path: &std::path::Path| -> CommandResult<String> {
            let secret = text::read(path, LONGEST_SECRET)?;
            Ok(secret.trim().to_owned())
        };
        let login = match (
            &settings.token_file,
            &settings.user,
            &settings.password_file,
        ) {
            (Some(path), _, _) => Login::Bearer(secret(path)?),
            (None, Some(user), Some(path)) => Login::Basic(user.clone(), secret(path)?),
            _ => Login::None,
        };
        let client = download::build_client(fetch).map_err(|error| {
            CommandError::new(ErrorKind::Fetch, "failed to reach the log store").caused_by(error)
        })?;
        Ok(Some(Self {
            client,
            settings: settings.clone(),
            login,
        }))
    }

    /// Where it is, for messages.
    pub fn url(&self) -> &str {
        self.settings.url.as_deref().unwrap_or_default()
    }

    /// The lines of a subject in `[from, until)`, oldest first.
    ///
    /// # Errors
    ///
    /// Within the stream: the store's refusal.
    pub fn lines(
        &self,
        subject: &Subject,
        from: Timestamp,
        until: Timestamp,
    ) -> BoxStream<'static, CommandResult<LogLine>> {
        let reading = Reading {
            store: self.clone(),
            query: subject.fill(&self.settings.query),
            from,
            until,
            at_from: 0,
            ready: VecDeque::new(),
        };
        stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            loop {
                if let Some(line) = reading.ready.pop_front() {
                    return Some((Ok(line), Some(reading)));
                }
                if reading.from >= reading.until {
                    return None;
                }
                if let Err(error) = reading.next_page().await {
                    return Some((Err(error), None));
                }
            }
        })
        .boxed()
    }

    async fn ask(
        &self,
        query: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> CommandResult<Vec<LogLine>> {
        let url = format!(
            "{}/loki/api/v1/query_range",
            self.url().trim_end_matches('/')
        );
        let parameters = [
            ("query", query.to_owned()),
            ("start", from.as_nanosecond().to_string()),
            ("end", until.as_nanosecond().to_string()),
            ("limit", PAGE.to_string()),
            ("direction", "forward".to_owned()),
        ];
        let pairs: Vec<String> = parameters
            .iter()
            .map(|(key, value)| format!("{key}={}", encoded(value)))
            .collect();
        let mut request = self.client.get(format!("{url}?{}", pairs.join("&")));
        if let Some(tenant) = &self.settings.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        request = match &self.login {
            Login::None => request,
            Login::Bearer(token) => request.bearer_auth(token),
            Login::Basic(user, password) => request.basic_auth(user, Some(password)),
        };
        let failed = |error: reqwest::Error| {
            CommandError::new(
                ErrorKind::Fetch,
                format!("failed to ask the log store at {}", self.url()),
            )
            .caused_by(error.without_url())
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&piece);
            if body.len() > LARGEST_ANSWER {
                return Err(CommandError::new(
                    ErrorKind::Fetch,
                    format!(
                        "the log store at {} answers with too much at once",
                        self.url()
                    ),
                )
                .hint("ask for less time with `--since` and `--until`"));
            }
        }
        if !status.is_success() {
            return Err(self.refused(status, &body, query));
        }
        lines(&body).map_err(|error| {
            CommandError::new(
                ErrorKind::Fetch,
                format!("{} does not answer like Loki", self.url()),
            )
            .caused_by(error)
            .hint("`[logs] url` in `ioc.toml` is the address before `/loki/api/v1`")
        })
    }

    fn refused(&self, status: reqwest::StatusCode, body: &[u8], query: &str) -> CommandError {
        let said: String = String::from_utf8_lossy(body)
            .chars()
            .filter(|character| !character.is_control())
            .take(400)
            .collect();
        let error = CommandError::new(
            if matches!(status.as_u16(), 401 | 403) {
                ErrorKind::Forbidden
            } else {
                ErrorKind::Fetch
            },
            format!("the log store at {} refuses: {status}", self.url()),
        )
        .caused_by(said);
        match status.as_u16() {
            401 | 403 => error.hint(
                "`token-file`, or `user` and `password-file`, of `[logs]` in `ioc.toml` say who asks; `tenant` whose logs",
            ),
            400 => error.hint(format!("the query was {query}; `[logs] query` in `ioc.toml` sets it")),
            404 => error.hint("`[logs] url` in `ioc.toml` is the address before `/loki/api/v1`"),
            _ => error,
        }
    }
}

/// How far a log has been read.
struct Reading {
    store: LogStore,
    query: String,
    from: Timestamp,
    until: Timestamp,
    /// Lines of the very time `from` that were given already.
    at_from: usize,
    ready: VecDeque<LogLine>,
}

impl Reading {
    async fn next_page(&mut self) -> CommandResult<()> {
        let end = self
            .from
            .checked_add(SPAN)
            .unwrap_or(self.until)
            .min(self.until);
        let page = self.store.ask(&self.query, self.from, end).await?;
        let is_full = page.len() >= PAGE;
        let last = page.last().and_then(|line| line.time);
        let known = self.at_from;
        let count_at = |time: Timestamp| page.iter().filter(|line| line.time == Some(time)).count();
        (self.from, self.at_from) = match last {
            Some(last) if is_full && last > self.from => (last, count_at(last)),
            // more lines of one moment than an answer holds: the rest of them cannot be asked for
            Some(last) if is_full => (next_moment(last), 0),
            _ => (end, 0),
        };
        let until = self.until;
        let fresh = page.into_iter().skip(known);
        self.ready
            .extend(fresh.filter(|line| line.time.is_none_or(|time| time < until)));
        Ok(())
    }
}

fn next_moment(time: Timestamp) -> Timestamp {
    time.checked_add(SignedDuration::from_nanos(1))
        .unwrap_or(time)
}

/// As it stands in an address.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Labelled>,
}

#[derive(Deserialize)]
struct Labelled {
    /// Nanoseconds and the line; newer ones have a third element with what the store knows besides.
    values: Vec<Vec<serde_json::Value>>,
}

/// The lines of an answer by time. Pure.
fn lines(body: &[u8]) -> Result<Vec<LogLine>, serde_json::Error> {
    let answer: Answer = serde_json::from_slice(body)?;
    let mut lines: Vec<LogLine> = answer
        .data
        .result
        .into_iter()
        .flat_map(|stream| stream.values)
        .filter_map(|value| {
            let time: i128 = value.first()?.as_str()?.parse().ok()?;
            Some(LogLine {
                time: Timestamp::from_nanosecond(time).ok(),
                text: value
                    .get(1)?
                    .as_str()?
                    .trim_end_matches(['\n', '\r'])
                    .to_owned(),
            })
        })
        .collect();
    lines.sort_by_key(|line| line.time);
    Ok(lines)
}

/// What of the store's last lines comes before the node's first line. Pure.
///
/// `tail` are the store's lines from the node's first time on: a store that keeps the exact time has the node's lines
/// there, one that notes when a line reached it may have older ones too.
pub fn join(tail: Vec<LogLine>, first: &LogLine) -> Vec<LogLine> {
    match tail.iter().position(|line| line.text == first.text) {
        Some(seam) => tail.into_iter().take(seam).collect(),
        None => tail
            .into_iter()
            .filter(|line| line.time < first.time)
            .collect(),
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod asking;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: i64, text: &str) -> LogLine {
        LogLine {
            time: Timestamp::from_second(second).ok(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn an_answer_is_one_log_by_time() {
        let body = br#"{"status":"success","data":{"resultType":"streams","result":[
            {"stream":{"pod":"a-0"},"values":[["2000000000","second\n"],["4000000000","fourth",{}]]},
            {"stream":{"pod":"a-1"},"values":[["1000000000","first"],["3000000000","third"]]}]}}"#;
        let texts: Vec<String> = lines(body)
            .unwrap()
            .into_iter()
            .map(|line| line.text)
            .collect();
        assert_eq!(texts, ["first", "second", "third", "fourth"]);
        assert!(lines(b"{\"message\":\"hello\"}").is_err());
    }

    #[test]
    fn the_seam_has_every_line_once() {
        let first = line(10, "iocInit");
        let texts = |lines: Vec<LogLine>| -> Vec<String> {
            join(lines, &first)
                .into_iter()
                .map(|line| line.text)
                .collect()
        };
        // the store has the exact times
        assert_eq!(
            texts(vec![line(10, "iocInit"), line(11, "next")]),
            Vec::<String>::new()
        );
        // it notes when it was told
        assert_eq!(
            texts(vec![line(10, "old"), line(11, "iocInit"), line(12, "next")]),
            ["old"]
        );
        // it has not been told yet
        assert_eq!(texts(vec![line(11, "other")]), Vec::<String>::new());
    }

    #[test]
    fn names_are_put_into_templates_and_cannot_break_out() {
        let subject = Subject {
            beamline: "bl45p".into(),
            namespace: "p45\"} or {a=\"".into(),
            instance: "bl45p-mo-ioc-01".into(),
            container: "main".into(),
        };
        assert_eq!(
            subject
                .fill("{namespace=\"{namespace}\", app=\"{instance}\"} https://x/{service_name}"),
            "{namespace=\"p45ora\", app=\"bl45p-mo-ioc-01\"} https://x/bl45p-mo-ioc-01"
        );
        assert_eq!(encoded("{a=\"b\"}"), "%7Ba%3D%22b%22%7D");
    }
}
