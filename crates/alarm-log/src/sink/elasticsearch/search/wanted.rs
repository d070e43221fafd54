//! A filter in the language of the server. Pure.
//!
//! Documents know the key of a record (`config`) and, of states, the name of the PV. Of commands and configurations the name
//! is what is behind the last slash of the key.

use serde_json::{Value, json};

use crate::entry::Kind;
use crate::query::{Filter, Pattern, whole};

/// What documents have to fulfil.
pub(super) fn wanted(filter: &Filter) -> Value {
    let mut all = Vec::new();
    if let Some(kinds) = kinds(filter) {
        all.push(kinds);
    }
    let mut range = json!({ "format": "epoch_millis" });
    for (time, comparison) in [(filter.since, "gte"), (filter.until, "lt")] {
        if let Some(time) = time {
            range[comparison] = json!(whole(time));
        }
    }
    if filter.since.is_some() || filter.until.is_some() {
        all.push(json!({ "range": { "message_time": range } }));
    }
    // the root has everything below it
    let at: Vec<&str> = filter
        .at
        .iter()
        .map(|at| at.trim_end_matches('/'))
        .collect();
    if !at.is_empty() && !at.contains(&"") {
        all.push(either(at.into_iter().map(within)));
    }
    if !filter.pv.is_empty() {
        all.push(either(filter.pv.iter().map(pv)));
    }
    for (field, patterns) in [
        ("config", &filter.key),
        ("severity", &filter.severity),
        ("current_severity", &filter.current_severity),
        ("message", &filter.message),
        ("current_message", &filter.current_message),
        ("user", &filter.user),
        ("host", &filter.host),
        ("command", &filter.command),
    ] {
        if !patterns.is_empty() {
            let meets = patterns.iter().map(|pattern| meets(field, pattern));
            all.push(either(meets));
        }
    }
    match filter.enabled {
        Some(true) => all.push(json!({ "term": { "enabled": "true" } })),
        Some(false) => all.push(json!({ "bool": {
            "filter": [exists("enabled")],
            "must_not": [{ "term": { "enabled": "true" } }],
        } })),
        None => {}
    }
    json!({ "bool": { "filter": all } })
}

fn either(any: impl IntoIterator<Item = Value>) -> Value {
    let any: Vec<Value> = any.into_iter().collect();
    json!({ "bool": { "should": any, "minimum_should_match": 1 } })
}

fn exists(field: &str) -> Value {
    json!({ "exists": { "field": field } })
}

/// Deletions are in the index of configurations; they enable nothing.
fn kinds(filter: &Filter) -> Option<Value> {
    let wants = |kind: Kind| filter.kinds.is_empty() || filter.kinds.contains(&kind);
    let has_enabled = exists("enabled");
    match (wants(Kind::Config), wants(Kind::Deletion)) {
        // the index says all
        (true, true) | (false, false) => None,
        (true, false) => Some(json!({ "bool": { "must_not": [{ "bool": {
            "filter": [exists("config_msg")],
            "must_not": [has_enabled],
        } }] } })),
        (false, true) => Some(json!({ "bool": { "must_not": [has_enabled] } })),
    }
}

/// A path and all below it.
fn within(at: &str) -> Value {
    let at = at.replace('\\', "");
    let mut any = Vec::new();
    for kind in ["state", "config", "command"] {
        let key = format!("{kind}:{at}");
        any.push(json!({ "term": { "config": key } }));
        any.push(json!({ "prefix": { "config": format!("{key}/") } }));
    }
    // whatever a client wrote in front of the colon
    let at = literal(&at);
    any.push(json!({ "bool": {
        "filter": [
            exists("command"),
            either([
                json!({ "wildcard": { "config": { "value": format!("*:{at}") } } }),
                json!({ "wildcard": { "config": { "value": format!("*:{at}/*") } } }),
            ]),
        ],
    } }));
    either(any)
}

fn pv(pattern: &Pattern) -> Value {
    let mut last = String::new();
    for character in pattern.text().chars() {
        match character {
            '*' => last.push_str("[^/]*"),
            '?' => last.push_str("[^/]"),
            // Lucene's regular expressions
            special if r#".+|{}[]()"\#@&<>~^$-"#.contains(special) => {
                last.push('\\');
                last.push(special);
            }
            other => last.push(other),
        }
    }
    either([
        meets("pv", pattern),
        json!({ "bool": {
            "filter": [{ "regexp": { "config": { "value": format!("(.*/|[^/:]*:){last}") } } }],
            "must_not": [exists("pv")],
        } }),
    ])
}

fn meets(field: &str, pattern: &Pattern) -> Value {
    if pattern.is_exact() {
        return json!({ "term": { field: pattern.text() } });
    }
    // a backslash means itself in our patterns
    let value = pattern.text().replace('\\', "\\\\");
    json!({ "wildcard": { field: { "value": value } } })
}

/// A text in which nothing stands for anything else.
fn literal(text: &str) -> String {
    text.replace('*', "\\*").replace('?', "\\?")
}
