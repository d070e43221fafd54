//! The configuration: export, difference, application. Planning is [`alarm::plan`]; here the text of a request is read,
//! the bus is read, and what is different is published through the one way out.
//!
//! XML and tables are read here; YAML and JSON by whoever starts the server and has the library for them
//! ([`Documents`](crate::settings::Documents)).

use std::collections::HashSet;
use std::path::Path;

use alarm::files::{Level, Loader, Reading, TreeFile, table, xml};
use alarm::plan::{ConfigRecord, OnBus, Plan, Report, Wishes};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bus::From;
use serde::{Deserialize, Serialize};

use crate::api::auth::Who;
use crate::api::problem::Asked;
use crate::api::{Api, Problem};
use crate::shell::audit::audit;
use crate::shell::request::Request;

/// So many findings are told.
const FINDINGS: usize = 20;

/// `GET /v1/configuration`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    format: Option<String>,
}

/// What a plan may do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanQuery {
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    unshelve: bool,
}

/// What is, or was, different.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    applied: bool,
    /// Whether the bus has confirmed it.
    written: bool,
    #[serde(flatten)]
    report: Report,
    warnings: Vec<String>,
}

impl Answer {
    fn new(plan: &Plan, warnings: Vec<String>) -> Self {
        Self {
            applied: false,
            written: false,
            report: plan.into(),
            warnings,
        }
    }
}

fn of_bus(error: &bus::Error) -> Problem {
    Problem {
        hint: error.hint(),
        ..Problem::new(StatusCode::BAD_GATEWAY, error.to_string())
    }
}

/// Reads what is on the topic of the configuration from a place on. Gives the offset after it.
async fn read(
    api: &Api,
    from: From,
    mut take: impl FnMut(String, Option<String>),
) -> Result<u64, Problem> {
    let topic = api.configuration.as_str().into();
    let mut end = match from {
        From::Offset(offset) => offset,
        From::Beginning | From::Now => 0,
    };
    let reading = async {
        let mut reader = api.bus.read(&[(topic, from)]).await?;
        while !reader.has_caught_up() {
            for record in reader.next().await? {
                end = record.offset + 1;
                take(record.key.unwrap_or_default(), record.value);
            }
        }
        Ok::<_, bus::Error>(())
    };
    reading.await.map_err(|error| of_bus(&error))?;
    Ok(end)
}

/// The configuration as it is on the bus, and the offset after it.
async fn on_bus(api: &Api) -> Result<(OnBus, u64), Problem> {
    let name = &api.configuration;
    let mut found = OnBus::new(name).map_err(|error| Problem::bad(error.to_string()))?;
    let end = read(api, From::Beginning, |key, value| {
        found.record(&key, value.as_deref());
    })
    .await?;
    Ok((found, end))
}

/// Records about the configuration from an offset on that are not among these.
async fn by_others(api: &Api, offset: u64, own: &[ConfigRecord]) -> Result<Vec<String>, Problem> {
    let own: HashSet<(&str, Option<&str>)> = own
        .iter()
        .map(|record| (record.key.as_str(), record.value.as_deref()))
        .collect();
    let mut keys = Vec::new();
    read(api, From::Offset(offset), |key, value| {
        if key.starts_with("config:") && !own.contains(&(key.as_str(), value.as_deref())) {
            keys.push(key);
        }
    })
    .await?;
    Ok(keys)
}

/// Writes a tree in one format.
type WriteTree = Box<dyn Fn(&TreeFile) -> Result<String, String> + Send>;

pub(super) async fn export(
    State(api): State<Api>,
    Asked(asked): Asked<ExportQuery>,
) -> Result<Response, Problem> {
    let format = asked.format.as_deref().unwrap_or("xml");
    let documents = api.settings.documents;
    let write: WriteTree = match (format, documents) {
        ("xml", _) => Box::new(|tree| Ok(xml::write(tree))),
        ("csv", _) => Box::new(|tree| Ok(table::write(tree))),
        ("yaml", Some(documents)) => Box::new(documents.to_yaml),
        ("json", Some(documents)) => Box::new(documents.to_json),
        _ => {
            return Err(
                Problem::bad(format!("`{format}` is no format of this server"))
                    .hint(format!("one of {}", formats(&api).join(", "))),
            );
        }
    };
    let (found, _end) = on_bus(&api).await?;
    let text =
        write(&found.tree()).map_err(|why| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why))?;
    let kind = match format {
        "csv" => "text/csv; charset=utf-8",
        "yaml" => "application/yaml",
        "json" => "application/json",
        _ => "application/xml; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// The formats that this server reads and writes.
fn formats(api: &Api) -> &'static [&'static str] {
    match api.settings.documents {
        Some(_) => &["xml", "csv", "yaml", "json"],
        None => &["xml", "csv"],
    }
}

/// Reads a text of the media type that was said.
fn read_as(api: &Api, kind: &str, main: &Path, load: &mut Loader<'_>) -> Result<Reading, Problem> {
    let documents = api.settings.documents;
    match (kind, documents) {
        ("application/xml" | "text/xml", _) => Ok(xml::read(main, load)),
        ("text/csv", _) => Ok(table::read(main, &api.configuration, load)),
        (
            "application/yaml" | "application/x-yaml" | "text/yaml" | "application/json",
            Some(documents),
        ) => Ok((documents.read)(main, load)),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("a configuration is sent as one of {}", formats(api).join(", ")),
        )
        .hint(match documents {
            Some(_) => {
                "send `Content-Type: application/xml`, `text/csv`, `application/yaml` or `application/json`"
            }
            None => "send `Content-Type: application/xml` or `text/csv`",
        })),
    }
}

/// Reads the configuration of a request; all that is wrong with it is said.
fn parse(api: &Api, headers: &HeaderMap, body: &[u8]) -> Result<(TreeFile, Vec<String>), Problem> {
    let name = api.configuration.as_str();
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    let main = Path::new("the request");
    let mut load = |path: &Path| {
        if path == main {
            return Ok(body.to_vec());
        }
        Err("a request cannot include files; send one that has everything".to_owned())
    };
    let reading = read_as(api, kind, main, &mut load)?;
    let mut findings = reading.findings.clone();
    let usable = reading.is_usable();
    if let (true, Some(tree)) = (usable, &reading.tree) {
        findings.extend(tree.check(alarm::files::Compatibility::Ours));
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .count();
    let told: Vec<String> = findings
        .iter()
        .filter(|finding| errors == 0 || finding.level == Level::Error)
        .take(FINDINGS)
        .map(|finding| told(&reading, finding))
        .collect();
    match reading.tree {
        Some(tree) if usable && errors == 0 => {
            if tree.name != name {
                return Err(Problem::bad(format!(
                    "the configuration is that of `{}`, not of `{name}`",
                    tree.name
                )));
            }
            Ok((tree, told))
        }
        _ => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("the configuration cannot be used: {}", told.join("; ")),
        )
        .hint("nothing was changed; `ioc alarm config check FILE` shows the places")),
    }
}

fn told(reading: &Reading, finding: &alarm::files::Finding) -> String {
    let place = reading.sources.get(finding.origin.file).map(|source| {
        let before = source
            .text
            .get(..finding.origin.span.start)
            .unwrap_or_default();
        format!("line {}: ", before.matches('\n').count() + 1)
    });
    format!("{}{}", place.unwrap_or_default(), finding.message)
}

fn plan(tree: &TreeFile, found: &OnBus, asked: &PlanQuery) -> Result<Plan, Problem> {
    let wishes = Wishes {
        prune: asked.prune,
        unshelve: asked.unshelve,
        now: jiff::Zoned::now().datetime(),
    };
    Plan::new(tree, found, wishes).map_err(|in_the_way| {
        let paths: Vec<String> = in_the_way
            .iter()
            .take(10)
            .map(|one| format!("`{}`", one.path))
            .collect();
        Problem::new(
            StatusCode::CONFLICT,
            format!(
                "a group would have to become a PV, or a PV a group: {}",
                paths.join(", ")
            ),
        )
        .hint("`prune=true` deletes what is on the bus and not in the new configuration")
    })
}

pub(super) async fn diff(
    State(api): State<Api>,
    Asked(asked): Asked<PlanQuery>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<axum::Json<Answer>, Problem> {
    let (tree, warnings) = parse(&api, &headers, &body)?;
    let (found, _end) = on_bus(&api).await?;
    let plan = plan(&tree, &found, &asked)?;
    Ok(axum::Json(Answer::new(&plan, warnings)))
}

pub(super) async fn apply(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Asked(asked): Asked<PlanQuery>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<axum::Json<Answer>, Problem> {
    let (tree, warnings) = parse(&api, &headers, &body)?;
    // one at a time: each sees what the one before it has published
    let _one = api.applying.lock().await;
    let (found, end) = on_bus(&api).await?;
    let plan = plan(&tree, &found, &asked)?;
    let mut answer = Answer::new(&plan, warnings);
    if plan.is_empty() {
        answer.written = true;
        return Ok(axum::Json(answer));
    }
    let records = plan.records(&who.user, &who.host);
    if let Some(key) = by_others(&api, end, &[]).await?.first() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("somebody else is changing it: `{key}` was written after it was read; nothing was published"),
        )
        .hint("ask again: the difference is another one now"));
    }
    let published = records.clone();
    answer.written = api
        .ask(|sender| Request::Configure(published, sender))
        .await?;
    answer.applied = true;
    let paths: Vec<String> = plan
        .steps
        .iter()
        .take(1000)
        .map(|step| step.path().to_string())
        .collect();
    let detail = format!("{} records", records.len());
    audit(&api.stream, &who, "configure", &paths, Some(&detail));
    if answer.written {
        // between that look and the writing there was a moment
        let others = by_others(&api, end, &records).await?;
        answer.warnings.extend(others.into_iter().take(FINDINGS).map(|key| {
            format!("somebody else wrote `{key}` at the same moment: ask for the difference to see what came of it")
        }));
    }
    Ok(axum::Json(answer))
}
