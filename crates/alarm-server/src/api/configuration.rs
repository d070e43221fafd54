//! The configuration: export, difference, application. Planning is [`alarm::plan`]; here the text of a request is read,
//! the bus is read, and what is different is published through the one way out.
//!
//! XML and tables are possible here. YAML is read and written by `ioc`, which has the library for it.

use std::path::Path;

use alarm::files::{Level, Reading, TreeFile, table, xml};
use alarm::plan::{OnBus, Plan, Sort, Step, Wishes};
use alarm::wire::config::write_date;
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
pub(super) struct Report {
    applied: bool,
    /// Whether the bus has confirmed it.
    written: bool,
    records: usize,
    unchanged_pvs: usize,
    steps: Vec<StepReport>,
    /// PVs that stay disabled until a date which the new configuration does not have.
    shelved: Vec<Shelved>,
    /// What is on the bus and not in the new configuration, and stays.
    not_in_the_file: Vec<Extra>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StepReport {
    action: &'static str,
    kind: &'static str,
    path: String,
    fields: Vec<Field>,
}

#[derive(Debug, Serialize)]
struct Field {
    #[serde(rename = "field")]
    name: &'static str,
    before: String,
    after: String,
}

#[derive(Debug, Serialize)]
struct Shelved {
    path: String,
    until: String,
}

#[derive(Debug, Serialize)]
struct Extra {
    path: String,
    kind: &'static str,
}

fn kind(sort: Sort) -> &'static str {
    match sort {
        Sort::Group => "group",
        Sort::Pv => "pv",
    }
}

fn of_bus(error: &bus::Error) -> Problem {
    Problem {
        hint: error.hint(),
        ..Problem::new(StatusCode::BAD_GATEWAY, error.to_string())
    }
}

/// The configuration as it is on the bus.
async fn on_bus(api: &Api) -> Result<OnBus, Problem> {
    let name = &api.configuration;
    let mut found = OnBus::new(name).map_err(|error| Problem::bad(error.to_string()))?;
    let reading = async {
        let mut reader = api
            .bus
            .read(&[(name.as_str().into(), From::Beginning)])
            .await?;
        while !reader.has_caught_up() {
            for record in reader.next().await? {
                found.record(&record.key.unwrap_or_default(), record.value.as_deref());
            }
        }
        Ok::<_, bus::Error>(())
    };
    reading.await.map_err(|error| of_bus(&error))?;
    Ok(found)
}

pub(super) async fn export(
    State(api): State<Api>,
    Asked(asked): Asked<ExportQuery>,
) -> Result<Response, Problem> {
    let format = asked.format.as_deref().unwrap_or("xml");
    if !matches!(format, "xml" | "csv") {
        return Err(
            Problem::bad(format!("`{format}` is no format of this server"))
                .hint("`xml` or `csv`; `ioc alarm config export` has more"),
        );
    }
    let tree = on_bus(&api).await?.tree();
    let (kind, text) = match format {
        "csv" => ("text/csv; charset=utf-8", table::write(&tree)),
        _ => ("application/xml; charset=utf-8", xml::write(&tree)),
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Reads the configuration of a request; all that is wrong with it is said.
fn parse(name: &str, headers: &HeaderMap, body: &[u8]) -> Result<(TreeFile, Vec<String>), Problem> {
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
    let reading = match kind {
        "application/xml" | "text/xml" => xml::read(main, &mut load),
        "text/csv" => table::read(main, name, &mut load),
        _ => {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a configuration is sent as XML or as a table",
            )
            .hint("send `Content-Type: application/xml` or `text/csv`"));
        }
    };
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

fn report(plan: &Plan, warnings: Vec<String>) -> Report {
    let steps = plan.steps.iter().map(|step| {
        let (action, fields) = match step {
            Step::Add { .. } => ("add", Vec::new()),
            Step::Remove { .. } => ("remove", Vec::new()),
            Step::Change { fields, .. } => {
                let fields = fields.iter().map(|change| Field {
                    name: change.field,
                    before: change.before.clone(),
                    after: change.after.clone(),
                });
                ("change", fields.collect())
            }
        };
        StepReport {
            action,
            kind: kind(step.sort()),
            path: step.path().to_string(),
            fields,
        }
    });
    Report {
        applied: false,
        written: false,
        records: plan.records("", "").len(),
        unchanged_pvs: plan.unchanged,
        steps: steps.collect(),
        shelved: plan
            .shelved
            .iter()
            .map(|(path, until)| Shelved {
                path: path.to_string(),
                until: write_date(*until),
            })
            .collect(),
        not_in_the_file: plan
            .extra
            .iter()
            .map(|(path, sort)| Extra {
                path: path.to_string(),
                kind: kind(*sort),
            })
            .collect(),
        warnings,
    }
}

pub(super) async fn diff(
    State(api): State<Api>,
    Asked(asked): Asked<PlanQuery>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<axum::Json<Report>, Problem> {
    let (tree, warnings) = parse(&api.configuration, &headers, &body)?;
    let found = on_bus(&api).await?;
    Ok(axum::Json(report(&plan(&tree, &found, &asked)?, warnings)))
}

pub(super) async fn apply(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Asked(asked): Asked<PlanQuery>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<axum::Json<Report>, Problem> {
    let (tree, warnings) = parse(&api.configuration, &headers, &body)?;
    // one at a time: each sees what the one before it has published
    let _one = api.applying.lock().await;
    let found = on_bus(&api).await?;
    let plan = plan(&tree, &found, &asked)?;
    let mut report = report(&plan, warnings);
    if plan.is_empty() {
        report.written = true;
        return Ok(axum::Json(report));
    }
    let records = plan.records(&who.user, &who.host);
    let count = records.len();
    report.written = api
        .ask(|answer| Request::Configure(records, answer))
        .await?;
    report.applied = true;
    let paths: Vec<String> = plan
        .steps
        .iter()
        .take(1000)
        .map(|step| step.path().to_string())
        .collect();
    audit(
        &api.stream,
        &who,
        "configure",
        &paths,
        Some(&format!("{count} records")),
    );
    Ok(axum::Json(report))
}
