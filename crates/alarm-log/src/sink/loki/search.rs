//! Searching: what labels and metadata can narrow down is asked of Loki, the rest is sifted here.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::push::{SEVERITIES, nanoseconds};
use super::{strange, who};
use crate::entry::{Entry, Kind};
use crate::hash::hash;
use crate::phoebus::root;
use crate::query::{
    Count, Counting, Cursor, Filter, History, NoAnswer, Order, Page, Pattern, Query, whole,
};
use crate::remote::{Fault, Remote};

/// Lines of an answer at least and at most, unless Loki is told otherwise.
const LINES: (usize, usize) = (100, 5000);
/// Time of which is asked at once whether there is anything; Loki refuses more than about 30 days.
const SPAN: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Time that one search covers: Loki cuts it into hours, and looks at each.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// What is younger may not be in Loki's index yet.
const FRESH: SignedDuration = SignedDuration::from_hours(6);
/// A search that does not say from when looks so far back: each step is a question of its own, and Loki is mostly told to
/// forget sooner.
const BACK: SignedDuration = SignedDuration::from_hours(24 * 366);
/// Nothing is looked for before: Loki is from 2018, and takes nothing that is older than its own schema.
const BEGIN: i64 = 1_514_764_800_000;
/// Clocks of others are ahead by so much at most.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// Entries that are counted at once.
const PART: usize = 50_000;
/// What is asked, for messages.
const WHAT: &str = "search";

/// Searches a history.
#[derive(Debug, Clone)]
pub struct LokiHistory {
    remote: Remote,
}

/// A line and the place that it has in the order of all.
type Placed = (Cursor, Entry);

impl LokiHistory {
    /// A history at a service; nothing is sent yet.
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }

    /// Sees that it is there.
    ///
    /// # Errors
    ///
    /// Nobody answers, something else does, or the login is not known.
    pub async fn check(&self) -> Result<(), Fault> {
        who(&self.remote).await
    }

    async fn search(&self, query: &Query) -> Result<Page, Fault> {
        let selector = selector(&query.filter);
        let mut found = Vec::new();
        let mut left = Span::of(query);
        while let Some(mut days) = left.next(query.order, SPAN) {
            if !self.may_have(&selector, &days).await? {
                continue;
            }
            while let Some(day) = days.next(query.order, DAY) {
                if !self.may_have(&selector, &day).await? {
                    continue;
                }
                self.gather(query, &selector, day, &mut found).await?;
                if found.len() > query.limit {
                    found.truncate(query.limit);
                    return Ok(Page {
                        next: found.last().map(|(at, _entry)| *at).or(query.after),
                        entries: entries(found),
                    });
                }
            }
        }
        Ok(Page {
            entries: entries(found),
            next: None,
        })
    }

    /// Whether the index has anything of a span; of what is not in it yet nobody knows.
    async fn may_have(&self, selector: &str, span: &Span) -> Result<bool, Fault> {
        let now = Timestamp::now();
        let fresh = now.checked_sub(FRESH).unwrap_or(now).as_nanosecond();
        if span.until > fresh {
            return Ok(true);
        }
        let (from, until) = (span.from.to_string(), span.until.to_string());
        let query = [("query", selector), ("start", &from), ("end", &until)];
        let answer = self
            .remote
            .ask(Method::GET, "loki/api/v1/index/stats", &query, None, WHAT)
            .await?;
        // older ones cannot say
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(true);
        }
        if answer.status != StatusCode::OK {
            return Err(self.remote.refused(WHAT, &answer));
        }
        let stats: serde_json::Value = serde_json::from_slice(&answer.bytes)
            .map_err(|error| strange(&self.remote, error.to_string()))?;
        Ok(stats["streams"] != 0)
    }

    /// Adds what is wanted of a span, until there is more than enough.
    async fn gather(
        &self,
        query: &Query,
        selector: &str,
        mut span: Span,
        found: &mut Vec<Placed>,
    ) -> Result<(), Fault> {
        let expression = format!("{selector}{}", sifting(&query.filter));
        loop {
            let missing = query.limit.saturating_sub(found.len());
            let lines = missing.saturating_add(1).clamp(LINES.0, LINES.1);
            let mut page = self.ask(&expression, &span, lines, query.order).await?;
            let is_full = page.len() >= lines;
            page.sort_by_key(|(at, _entry)| *at);
            if query.order == Order::NewestFirst {
                page.reverse();
            }
            if is_full {
                // of the last moment there may be more: all of it comes with the next answer
                let last = page.last().map(|(_at, entry)| nanoseconds(entry));
                page.retain(|(_at, entry)| Some(nanoseconds(entry)) != last);
                let (Some(last), false) = (last, page.is_empty()) else {
                    return Err(Fault::Unable {
                        at: self.remote.address().to_owned(),
                        why: format!("has more than {lines} lines of one moment"),
                    });
                };
                match query.order {
                    Order::NewestFirst => span.until = last + 1,
                    Order::OldestFirst => span.from = last,
                }
            }
            page.dedup_by_key(|(at, _entry)| *at);
            page.retain(|(at, entry)| is_after(query, *at) && query.filter.matches(entry));
            found.append(&mut page);
            if !is_full || found.len() > query.limit {
                return Ok(());
            }
        }
    }

    async fn ask(
        &self,
        expression: &str,
        window: &Span,
        lines: usize,
        order: Order,
    ) -> Result<Vec<Placed>, Fault> {
        let (from, until, lines) = (
            window.from.to_string(),
            window.until.to_string(),
            lines.to_string(),
        );
        let query = [
            ("query", expression),
            ("start", &from),
            ("end", &until),
            ("limit", &lines),
            (
                "direction",
                match order {
                    Order::NewestFirst => "backward",
                    Order::OldestFirst => "forward",
                },
            ),
        ];
        let answer = self
            .remote
            .ask(Method::GET, "loki/api/v1/query_range", &query, None, WHAT)
            .await?;
        if answer.status != StatusCode::OK {
            return Err(self.remote.refused(WHAT, &answer));
        }
        let answer: Answer = serde_json::from_slice(&answer.bytes)
            .map_err(|error| strange(&self.remote, error.to_string()))?;
        let lines = answer.data.result.iter().flat_map(|stream| &stream.values);
        lines
            .map(|value| {
                let text = value.get(1).and_then(serde_json::Value::as_str);
                let entry: Entry =
                    serde_json::from_str(text.unwrap_or_default()).map_err(|error| {
                        strange(&self.remote, format!("a line is no entry: {error}"))
                    })?;
                Ok((place(&entry), entry))
            })
            .collect()
    }

    async fn count(&self, filter: Filter, span: i64) -> Result<Vec<Count>, Fault> {
        let mut counting = Counting::by(span);
        let mut query = Query {
            filter,
            order: Order::OldestFirst,
            limit: PART,
            after: None,
        };
        loop {
            let page = self.search(&query).await?;
            page.entries.iter().for_each(|entry| counting.take(entry));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(counting.finish()),
            }
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    /// Nanoseconds, the line, and what stands beside it.
    values: Vec<Vec<serde_json::Value>>,
}

fn entries(found: Vec<Placed>) -> Vec<Entry> {
    found.into_iter().map(|(_at, entry)| entry).collect()
}

fn is_after(query: &Query, at: Cursor) -> bool {
    query.after.is_none_or(|after| match query.order {
        Order::NewestFirst => at < after,
        Order::OldestFirst => at > after,
    })
}

/// Bits of a place that tell lines of one moment apart.
const TELLING: u32 = 40;

/// The place of an entry: its time in Loki, and what is its own.
fn place(entry: &Entry) -> Cursor {
    let below = i64::try_from(entry.offset % 1_000_000).unwrap_or(0);
    let own = i64::try_from(hash(&entry.id()) >> (63 - TELLING)).unwrap_or(0);
    Cursor {
        time: entry.time.as_millisecond(),
        place: (below << TELLING) + own,
    }
}

/// A span of time in nanoseconds; its end is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: i128,
    until: i128,
}

impl Span {
    /// All that a query may have to look at.
    fn of(query: &Query) -> Self {
        let nanoseconds = |milliseconds: i64| i128::from(milliseconds) * 1_000_000;
        let now = Timestamp::now();
        let ahead = now.checked_add(AHEAD).unwrap_or(now);
        let since = query.filter.since.or_else(|| now.checked_sub(BACK).ok());
        let from = since.map_or(BEGIN, whole).max(BEGIN);
        let until = query.filter.until.map_or(whole(ahead), whole);
        let mut span = Self {
            from: nanoseconds(from),
            until: nanoseconds(until),
        };
        if let Some(after) = query.after {
            let at = nanoseconds(after.time) + i128::from(after.place >> TELLING);
            match query.order {
                Order::NewestFirst => span.until = span.until.min(at + 1),
                Order::OldestFirst => span.from = span.from.max(at),
            }
        }
        span
    }

    /// Takes away at most so much time, from the end with which the order begins.
    fn next(&mut self, order: Order, most: SignedDuration) -> Option<Self> {
        if self.from >= self.until {
            return None;
        }
        let length = most.as_nanos();
        let window = match order {
            Order::NewestFirst => Self {
                from: self.from.max(self.until - length),
                until: self.until,
            },
            Order::OldestFirst => Self {
                from: self.from,
                until: self.until.min(self.from + length),
            },
        };
        match order {
            Order::NewestFirst => self.until = window.from,
            Order::OldestFirst => self.from = window.until,
        }
        Some(window)
    }
}

/// The streams that can have what a filter wants (LogQL).
fn selector(filter: &Filter) -> String {
    let mut labels = Vec::new();
    // a stream needs a label that is not empty; of those that others write our lines are told apart by their begin
    let roots: Option<BTreeSet<String>> = filter.at.iter().map(|at| root(at)).collect();
    match roots {
        Some(roots) if !roots.is_empty() => {
            let roots: Vec<String> = roots.iter().map(|root| literal(root)).collect();
            labels.push(format!("config=~{}", text(&roots.join("|"))));
        }
        _ => labels.push("config=~\".+\"".to_owned()),
    }
    let kinds: Vec<&str> = Kind::ALL
        .into_iter()
        .filter(|kind| filter.kinds.is_empty() || filter.kinds.contains(kind))
        .map(Kind::name)
        .collect();
    labels.push(format!("kind=~{}", text(&kinds.join("|"))));
    if !filter.severity.is_empty() {
        let mut wanted: Vec<&str> = SEVERITIES
            .into_iter()
            .filter(|severity| filter.severity.iter().any(|one| one.matches(severity)))
            .collect();
        // those that are no label
        wanted.push("");
        labels.push(format!("severity=~{}", text(&wanted.join("|"))));
    }
    format!("{{{}}}", labels.join(","))
}

/// What is sifted out of streams by Loki: at least all that a filter wants.
fn sifting(filter: &Filter) -> String {
    let mut sifting = format!(" |~ {}", text("^\\{\"topic\":"));
    for (name, patterns) in [
        ("pv", &filter.pv),
        ("user", &filter.user),
        ("host", &filter.host),
    ] {
        if !patterns.is_empty() {
            let either: Vec<String> = patterns.iter().map(regular).collect();
            let either = format!("(?s)(?:{})", either.join("|"));
            sifting.push_str(&format!(" | {name}=~{}", text(&either)));
        }
    }
    sifting
}

/// A pattern as a regular expression (RE2).
fn regular(pattern: &Pattern) -> String {
    pattern.text().chars().fold(String::new(), |mut all, one| {
        match one {
            '*' => all.push_str(".*"),
            '?' => all.push('.'),
            other => all.push_str(&literal(&other.to_string())),
        }
        all
    })
}

fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut all, one| {
        if one.is_ascii_punctuation() && one != '_' {
            all.push('\\');
        }
        all.push(one);
        all
    })
}

/// A text in quotes, as Go writes it.
fn text(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

impl History for LokiHistory {
    fn name(&self) -> String {
        format!("loki:{}", self.remote.address())
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Page, NoAnswer>> {
        async move { Ok(Self::search(self, &query).await?) }.boxed()
    }

    fn count(&self, filter: Filter, span: i64) -> BoxFuture<'_, Result<Vec<Count>, NoAnswer>> {
        async move { Ok(Self::count(self, filter, span).await?) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_labels_can_tell_is_asked_of_loki() {
        let expression = |filter: &Filter| format!("{}{}", selector(filter), sifting(filter));
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(*text)).collect();
        assert_eq!(
            expression(&Filter::default()),
            r#"{config=~".+",kind=~"state|command|config|deletion|talk|gap"} |~ "^\\{\"topic\":""#
        );
        let filter = Filter {
            kinds: [Kind::State].into(),
            at: vec!["/Acc/area".to_owned(), "/De.mo".to_owned()],
            severity: patterns(&["MAJOR*"]),
            pv: patterns(&["T01:*", "a\"?"]),
            ..Filter::default()
        };
        assert_eq!(
            expression(&filter),
            r#"{config=~"Acc|De\\.mo",kind=~"state",severity=~"MAJOR|MAJOR_ACK|"} |~ "^\\{\"topic\":" | pv=~"(?s)(?:T01\\:.*|a\\\".)""#
        );
    }

    #[test]
    fn windows_cover_everything_once() {
        let all = Span {
            from: 5,
            until: 5 + 2 * SPAN.as_nanos() + 7,
        };
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let mut left = all;
            let mut windows: Vec<Span> = std::iter::from_fn(|| left.next(order, SPAN)).collect();
            if order == Order::NewestFirst {
                windows.reverse();
            }
            assert_eq!(windows.len(), 3);
            assert_eq!((windows[0].from, windows[2].until), (all.from, all.until));
            for pair in windows.windows(2) {
                assert_eq!(pair[0].until, pair[1].from);
            }
        }
    }
}
