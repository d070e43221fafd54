//! Searching: filters as SQL, rows as entries.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::{LATCH, NOT_LATCHING, SCHEMA, SILENT, STANDOUT, TOMBSTONE, usual_key};
use crate::database::{self, Error, away, failed};
use crate::entry::{Command, Config, Deletion, Entry, Event, Gap, Kind, State, Talk};
use crate::query::{Count, Cursor, Filter, History, NoAnswer, Order, Page, Pattern, Query, whole};

/// Reads a history; a logger may write to it meanwhile.
#[derive(Debug, Clone)]
pub struct SqliteHistory {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl SqliteHistory {
    /// Opens a history that exists.
    ///
    /// # Errors
    ///
    /// There is none, the file is something else, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = database::open_to_read(path, &SCHEMA)?;
        Ok(Self {
            path: path.to_owned(),
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let connection = Arc::clone(&self.connection);
        let path = self.path.clone();
        let answer = away(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            ask(&connection).map_err(|error| failed("reading", &path, &error))
        });
        Ok(answer.await?)
    }

    /// Entries that came into the history after a place, in the order in which they came, and the place of the last.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn arrived_after(
        &self,
        place: i64,
        filter: Filter,
        limit: usize,
    ) -> Result<(Vec<Entry>, i64), NoAnswer> {
        self.ask(move |connection| {
            let ask = format!(
                "{} WHERE entry.id > ?1 ORDER BY entry.id LIMIT ?2",
                select("")
            );
            let mut ask = connection.prepare_cached(&ask)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = ask.query([place, limit])?;
            let (mut found, mut last) = (Vec::new(), place);
            while let Some(row) = rows.next()? {
                last = row.get(0)?;
                let entry = entry(row)?;
                if filter.matches(&entry) {
                    found.push(entry);
                }
            }
            Ok((found, last))
        })
        .await
    }

    /// The place after which nothing has come yet.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn last_place(&self) -> Result<i64, NoAnswer> {
        self.ask(|connection| {
            connection.query_row("SELECT coalesce(max(id), 0) FROM entry", [], |row| {
                row.get(0)
            })
        })
        .await
    }
}

impl History for SqliteHistory {
    fn name(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Page, NoAnswer>> {
        self.ask(move |connection| search(connection, &query))
            .boxed()
    }

    fn count(&self, filter: Filter, span: i64) -> BoxFuture<'_, Result<Vec<Count>, NoAnswer>> {
        self.ask(move |connection| count(connection, &filter, span.max(1)))
            .boxed()
    }
}

/// So many items or less are looked up one by one; more are met soon enough by going through time.
const FEW: usize = 64;

/// A query for whole entries. Which index is used is said, because what is fast follows from the question: the planner,
/// which does not know how many entries an item has, would go through ten million to find the last hundred of one PV.
fn select(index: &str) -> String {
    format!(
        "SELECT entry.id, topic.name, entry.offset, entry.time, item.path, item.pv, entry.kind, entry.key,
            entry.severity, entry.current_severity, entry.message, entry.current_message, entry.value, entry.user,
            entry.host, entry.command, entry.enabled, entry.event_time, entry.flags, entry.detail
         FROM entry {index} CROSS JOIN item ON item.id = entry.item CROSS JOIN topic ON topic.id = entry.topic"
    )
}

/// The index by which a filter's entries are found.
fn index(filter: &Filter, has_few_items: bool) -> &'static str {
    let is_one = |patterns: &[Pattern]| matches!(patterns, [one] if one.is_exact());
    if has_few_items {
        "INDEXED BY entry_item"
    } else if is_one(&filter.user) {
        "INDEXED BY entry_user"
    } else if is_one(&filter.severity) {
        "INDEXED BY entry_severity"
    } else if !filter.kinds.is_empty() && !filter.kinds.contains(&Kind::State) {
        "INDEXED BY entry_kind"
    } else {
        "INDEXED BY entry_time"
    }
}

/// The items that a filter names, if it names some and they are few.
fn few_items(connection: &Connection, filter: &Filter) -> rusqlite::Result<Option<Vec<i64>>> {
    let mut conditions = Conditions::default();
    let Some(wanted) = conditions.items(filter) else {
        return Ok(None);
    };
    let ask = format!("SELECT id FROM item WHERE {wanted} LIMIT {}", FEW + 1);
    let mut ask = connection.prepare_cached(&ask)?;
    let found = ask.query_map(params_from_iter(conditions.values), |row| row.get(0))?;
    let found: Vec<i64> = found.collect::<Result<_, _>>()?;
    Ok((found.len() <= FEW).then_some(found))
}

fn search(connection: &Connection, query: &Query) -> rusqlite::Result<Page> {
    let few = few_items(connection, &query.filter)?;
    let index = index(&query.filter, few.is_some());
    let mut conditions = Conditions::of(&query.filter, few.as_deref());
    let (comparison, direction) = match query.order {
        Order::NewestFirst => ("<", "DESC"),
        Order::OldestFirst => (">", "ASC"),
    };
    if let Some(after) = query.after {
        let time = conditions.value(after.time);
        let place = conditions.value(after.place);
        conditions.all.push(format!(
            "(entry.time, entry.id) {comparison} ({time}, {place})"
        ));
    }
    // one more than wanted says whether there is another page
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX - 1);
    let bound = conditions.value(limit.saturating_add(1));
    let ask = format!(
        "{}{} ORDER BY entry.time {direction}, entry.id {direction} LIMIT {bound}",
        select(index),
        conditions.text()
    );
    let mut ask = connection.prepare_cached(&ask)?;
    let mut rows = ask.query(params_from_iter(conditions.values))?;
    let mut page = Page::default();
    let mut last = None;
    while let Some(row) = rows.next()? {
        if page.entries.len() >= query.limit {
            page.next = last;
            break;
        }
        let entry = entry(row)?;
        last = Some(Cursor {
            time: entry.time.as_millisecond(),
            place: row.get(0)?,
        });
        page.entries.push(entry);
    }
    Ok(page)
}

fn count(connection: &Connection, filter: &Filter, span: i64) -> rusqlite::Result<Vec<Count>> {
    let few = few_items(connection, filter)?;
    let index = index(filter, few.is_some());
    let mut conditions = Conditions::of(filter, few.as_deref());
    let span = conditions.value(span);
    let ask = format!(
        "SELECT entry.time / {span} * {span} AS begin,
            CASE entry.kind WHEN 'state' THEN coalesce(entry.severity, 'UNKNOWN') ELSE entry.kind END AS counted, count(*)
         FROM entry {index}{} GROUP BY begin, counted ORDER BY begin, counted",
        conditions.text()
    );
    let mut ask = connection.prepare_cached(&ask)?;
    let rows = ask.query_map(params_from_iter(conditions.values), |row| {
        Ok(Count {
            from: milliseconds(row.get(0)?),
            of: row.get(1)?,
            count: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// A filter as SQL.
#[derive(Debug, Default)]
struct Conditions {
    all: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn of(filter: &Filter, few: Option<&[i64]>) -> Self {
        let mut conditions = Self::default();
        if let Some(few) = few {
            let ids: Vec<String> = few.iter().map(i64::to_string).collect();
            let among = format!("entry.item IN ({})", ids.join(", "));
            conditions.all.push(among);
        } else if let Some(wanted) = conditions.items(filter) {
            let among = format!("entry.item IN (SELECT id FROM item WHERE {wanted})");
            conditions.all.push(among);
        }
        if !filter.kinds.is_empty() {
            let kinds: Vec<String> = filter
                .kinds
                .iter()
                .map(|kind| conditions.value(kind.name().to_owned()))
                .collect();
            conditions
                .all
                .push(format!("entry.kind IN ({})", kinds.join(", ")));
            // the index of the kinds that are rare has none of the other
            if !filter.kinds.contains(&Kind::State) {
                conditions.all.push("entry.kind <> 'state'".to_owned());
            }
        }
        for (column, patterns) in [
            ("entry.severity", &filter.severity),
            ("entry.current_severity", &filter.current_severity),
            ("entry.message", &filter.message),
            ("entry.current_message", &filter.current_message),
            ("entry.user", &filter.user),
            ("entry.host", &filter.host),
            ("entry.command", &filter.command),
        ] {
            conditions.patterns(column, patterns);
        }
        conditions.keys(&filter.key);
        if let Some(enabled) = filter.enabled {
            let is = if enabled { "=" } else { "<>" };
            conditions.all.push(format!("entry.enabled {is} 'true'"));
        }
        for (time, comparison) in [(filter.since, ">="), (filter.until, "<")] {
            if let Some(time) = time {
                let time = conditions.value(whole(time));
                conditions
                    .all
                    .push(format!("entry.time {comparison} {time}"));
            }
        }
        conditions
    }

    /// What an item has to fulfil, if the filter names items.
    fn items(&mut self, filter: &Filter) -> Option<String> {
        let mut wanted = Vec::new();
        if !filter.pv.is_empty() {
            let pv = self.either("pv", &filter.pv);
            wanted.push(pv);
        }
        if !filter.at.is_empty() {
            let at: Vec<String> = filter.at.iter().map(|at| self.within(at)).collect();
            wanted.push(format!("({})", at.join(" OR ")));
        }
        (!wanted.is_empty()).then(|| wanted.join(" AND "))
    }

    /// A path and all below it, which is a span in the order of paths: `0` comes right after `/`.
    fn within(&mut self, at: &str) -> String {
        let at = at.trim_end_matches('/');
        let (itself, from, to) = (
            self.value(at.to_owned()),
            self.value(format!("{at}/")),
            self.value(format!("{at}0")),
        );
        format!("path = {itself} OR (path >= {from} AND path < {to})")
    }

    /// Keys are mostly made from kind and path.
    fn keys(&mut self, patterns: &[Pattern]) {
        if patterns.is_empty() {
            return;
        }
        let either = self.either(
            "coalesce(entry.key, entry.kind || ':' || (SELECT replace(path, '\\', '') FROM item WHERE id = entry.item))",
            patterns,
        );
        self.all.push(either);
    }

    fn patterns(&mut self, column: &str, patterns: &[Pattern]) {
        if !patterns.is_empty() {
            let either = self.either(column, patterns);
            self.all.push(either);
        }
    }

    fn either(&mut self, column: &str, patterns: &[Pattern]) -> String {
        let either: Vec<String> = patterns
            .iter()
            .map(|pattern| {
                if pattern.is_exact() {
                    let text = self.value(pattern.text().to_owned());
                    format!("{column} = {text}")
                } else {
                    let glob = self.value(pattern.glob());
                    format!("{column} GLOB {glob}")
                }
            })
            .collect();
        format!("({})", either.join(" OR "))
    }

    /// Binds a value and gives what stands for it.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn text(&self) -> String {
        if self.all.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", self.all.join(" AND "))
    }
}

fn milliseconds(time: i64) -> Timestamp {
    Timestamp::from_millisecond(time).unwrap_or_default()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let path: String = row.get(4)?;
    let kind_name: String = row.get(6)?;
    let key: Option<String> = row.get(7)?;
    let key = key.unwrap_or_else(|| usual_key(&kind_name, &path));
    let kind = Kind::from_name(&kind_name).ok_or(rusqlite::Error::InvalidColumnName(kind_name))?;
    Ok(Entry {
        topic: row.get(1)?,
        offset: row.get(2)?,
        time: milliseconds(row.get(3)?),
        key,
        path,
        pv: row.get(5)?,
        event: event(kind, row)?,
    })
}

fn event(kind: Kind, row: &Row<'_>) -> rusqlite::Result<Event> {
    let flags: i64 = row.get(18)?;
    let is_set = |flag: i64| flags & flag != 0;
    let detail = || row.get::<_, Option<String>>(19);
    Ok(match kind {
        Kind::State => Event::State(State {
            severity: row.get(8)?,
            latch: is_set(LATCH),
            message: row.get(10)?,
            value: row.get(12)?,
            event_time: row
                .get::<_, Option<i64>>(17)?
                .and_then(|time| Timestamp::from_nanosecond(time.into()).ok()),
            current_severity: row.get(9)?,
            current_message: row.get(11)?,
            mode: detail()?,
            notify: !is_set(SILENT),
        }),
        Kind::Command => Event::Command(Command {
            user: row.get(13)?,
            host: row.get(14)?,
            command: row.get(15)?,
        }),
        Kind::Config => Event::Config(Config {
            user: row.get(13)?,
            host: row.get(14)?,
            enabled: row.get(16)?,
            latching: !is_set(NOT_LATCHING),
            text: detail()?.unwrap_or_default(),
        }),
        Kind::Deletion => Event::Deletion(Deletion {
            user: row.get(13)?,
            host: row.get(14)?,
            tombstone: is_set(TOMBSTONE),
        }),
        Kind::Talk => Event::Talk(Talk {
            severity: row.get(8)?,
            standout: is_set(STANDOUT),
            talk: detail()?.unwrap_or_default(),
        }),
        Kind::Gap => Event::Gap(gap(&detail()?.unwrap_or_default())),
    })
}

fn gap(text: &str) -> Gap {
    serde_json::from_str(text).unwrap_or(Gap {
        last: 0,
        since: None,
    })
}
