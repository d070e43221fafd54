//! What IOCs say about the PVs of a configuration: are they there, who serves them, can they go into alarm.
//!
//! Everything is asked over Channel Access, thousands of PVs at once over one circuit to each server; nothing is
//! written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use alarm::config::Enabled;
use alarm::files::{Finding, Origin, TreeFile};
use alarm::formula::Formula;
use ca::{Context, DataType, Description, Event, Mask, PvName, Value, WatchId};
use futures_util::StreamExt;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

/// So many PVs are asked for their fields at once.
const AT_ONCE: usize = 500;
/// How long other servers of the same name are waited for after the last PV has been found.
const SETTLE: Duration = Duration::from_millis(500);

/// Severity fields of records of numbers.
const OF_NUMBERS: [&str; 4] = ["HHSV", "HSV", "LSV", "LLSV"];
/// Severity fields of records of two states.
const OF_TWO_STATES: [&str; 3] = ["ZSV", "OSV", "COSV"];
/// Severity fields of records of several states.
const OF_STATES: [&str; 18] = [
    "ZRSV", "ONSV", "TWSV", "THSV", "FRSV", "FVSV", "SXSV", "SVSV", "EISV", "NISV", "TESV", "ELSV",
    "TVSV", "TTSV", "FTSV", "FFSV", "UNSV", "COSV",
];

/// Whether a PV can go into alarm by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CanAlarm {
    /// Its record sets a severity.
    Yes,
    /// Its record sets none: only a lost connection of its device, or a link, can raise it.
    No,
    /// Its server does not say.
    Unknown,
}

/// What was found out about a PV.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// Its name.
    pub pv: String,
    /// Who serves it; `None` if nobody answered.
    pub server: Option<SocketAddr>,
    /// Others that have it as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<SocketAddr>,
    /// Native type.
    pub data_type: Option<String>,
    /// Largest number of elements.
    pub count: Option<u32>,
    /// Type of its record.
    pub record: Option<String>,
    /// Present severity.
    pub severity: Option<String>,
    /// By how many seconds the time stamp of its value was ahead of the clock here when it came; negative in the past.
    #[serde(skip)]
    pub ahead: Option<f64>,
    /// Whether it can go into alarm.
    pub can_alarm: CanAlarm,
    /// The severity fields that are set, with their limit where it is known.
    pub alarms: Vec<String>,
    /// Why it could not be asked.
    pub trouble: Option<String>,
}

/// Asks for all PVs of a tree and of its filters. PVs are searched for at most `time`.
pub async fn ask(
    tree: &TreeFile,
    configuration: ca::Configuration,
    time: Duration,
) -> BTreeMap<String, Answer> {
    let mut answers: BTreeMap<String, Answer> = names(tree)
        .into_iter()
        .map(|name| (name.clone(), Answer::nobody(&name)))
        .collect();
    let watched: Vec<(String, PvName)> = answers
        .values_mut()
        .filter_map(|answer| match answer.pv.parse::<PvName>() {
            Ok(name) => Some((answer.pv.clone(), name)),
            Err(invalid) => {
                answer.trouble = Some(invalid.to_string());
                None
            }
        })
        .collect();
    let (context, mut events) = Context::start(configuration);
    for (number, (_text, name)) in (0_u64..).zip(&watched) {
        context.watch(WatchId(number), name.clone(), Mask::ALARM);
    }
    find(&watched, &mut answers, &mut events, time).await;
    let found: Vec<(String, PvName)> = watched
        .into_iter()
        .filter(|(text, _name)| {
            answers
                .get(text)
                .is_some_and(|answer| answer.server.is_some())
        })
        .collect();
    let asked = futures_util::stream::iter(found.iter().map(|(text, name)| {
        let context = &context;
        async move { (text, look(context, name, time).await) }
    }));
    let looked: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
    for (text, look) in looked {
        let Some(answer) = answers.get_mut(text) else {
            continue;
        };
        match look {
            Ok(look) => {
                answer.record = look.record;
                answer.can_alarm = look.can_alarm;
                answer.alarms = look.alarms;
            }
            Err(error) => answer.trouble = Some(error.to_string()),
        }
    }
    context.close().await;
    answers
}

/// Takes events until every PV has answered with a value or the time is over, and a moment longer for duplicates.
async fn find(
    watched: &[(String, PvName)],
    answers: &mut BTreeMap<String, Answer>,
    events: &mut ca::Events,
    time: Duration,
) {
    let mut open: BTreeSet<u64> = (0_u64..).zip(watched).map(|(number, _)| number).collect();
    let mut deadline = Instant::now() + time;
    let mut is_settling = false;
    while let Ok(Some(batch)) = timeout_at(deadline, events.next()).await {
        for (id, event) in batch {
            let place = usize::try_from(id.0).unwrap_or(usize::MAX);
            let Some(answer) = watched
                .get(place)
                .and_then(|(text, _)| answers.get_mut(text))
            else {
                continue;
            };
            match event {
                Event::Connected {
                    server,
                    data_type,
                    count,
                    rights,
                } => {
                    answer.server = Some(server);
                    answer.data_type = Some(format!("{data_type:?}").to_lowercase());
                    answer.count = Some(count);
                    if !rights.read {
                        answer.trouble = Some("reading it is not allowed".to_owned());
                        open.remove(&id.0);
                    }
                }
                Event::Value(update) => {
                    answer.severity = Some(update.reading.severity.to_string());
                    answer.ahead = Some(ahead(update.reading.timestamp.to_system_time()));
                    open.remove(&id.0);
                }
                Event::Duplicate { servers } => {
                    for server in servers {
                        if !answer.others.contains(&server) {
                            answer.others.push(server);
                        }
                    }
                }
                _ => {}
            }
        }
        if open.is_empty() && !is_settling {
            is_settling = true;
            deadline = deadline.min(Instant::now() + SETTLE);
        }
    }
}

/// Seconds from now to a time.
fn ahead(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::now()) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    }
}

struct Look {
    record: Option<String>,
    can_alarm: CanAlarm,
    alarms: Vec<String>,
}

impl Look {
    /// What the limits alone say.
    fn by_limits(record: Option<String>, limits: Vec<(&str, f64)>) -> Self {
        Self {
            record,
            can_alarm: if limits.is_empty() {
                CanAlarm::Unknown
            } else {
                CanAlarm::Yes
            },
            alarms: limits
                .into_iter()
                .map(|(name, limit)| format!("{name} {limit}"))
                .collect(),
        }
    }
}

/// What the record behind a PV says of its alarms.
async fn look(context: &Context, name: &PvName, time: Duration) -> Result<Look, ca::Error> {
    let description = context.describe(name, time).await?;
    let limits = limits(&description);
    let record = record_of(name.as_str());
    let kind = field(context, record, "RTYP", time).await;
    let Some(kind) = kind else {
        // no record, or a server that knows no fields
        return Ok(Look::by_limits(None, limits));
    };
    let fields: &[&str] = match kind.as_str() {
        "bi" | "bo" | "busy" => &OF_TWO_STATES,
        "mbbi" | "mbbo" => &OF_STATES,
        "ai" | "ao" | "calc" | "calcout" | "longin" | "longout" | "int64in" | "int64out"
        | "sub" | "sel" | "dfanout" | "seq" | "motor" | "scalcout" | "swait" => &OF_NUMBERS,
        "mbbiDirect" | "mbboDirect" | "stringin" | "stringout" | "lsi" | "lso" | "waveform"
        | "aai" | "aao" | "subArray" | "compress" | "histogram" | "event" | "fanout"
        | "permissive" | "printf" => &[],
        // of a support module: its fields are not known here
        _ => return Ok(Look::by_limits(Some(kind), limits)),
    };
    let severities = futures_util::future::join_all(
        fields.iter().map(|name| field(context, record, name, time)),
    )
    .await;
    let mut alarms = Vec::new();
    for (field, severity) in fields.iter().zip(severities) {
        let severity = severity.filter(|severity| severity != "NO_ALARM" && severity != "0");
        if let Some(severity) = severity {
            let limit = match *field {
                "HHSV" => "HIHI",
                "HSV" => "HIGH",
                "LSV" => "LOW",
                "LLSV" => "LOLO",
                _ => "",
            };
            let limit = limits.iter().find(|(name, _)| *name == limit);
            alarms.push(match limit {
                Some((name, limit)) => format!("{field} {severity} ({name} {limit})"),
                None => format!("{field} {severity}"),
            });
        }
    }
    let can_alarm = if alarms.is_empty() {
        CanAlarm::No
    } else {
        CanAlarm::Yes
    };
    Ok(Look {
        record: Some(kind),
        can_alarm,
        alarms,
    })
}

/// Alarm limits of floating-point PVs: records give those without a severity as no number (EPICS base,
/// `get_alarm_double`). Whole numbers cannot say so; their severities are asked for.
fn limits(description: &Description) -> Vec<(&'static str, f64)> {
    if !matches!(description.data_type, DataType::Double | DataType::Float) {
        return Vec::new();
    }
    let Some(limits) = &description.properties.limits else {
        return Vec::new();
    };
    [
        ("HIHI", limits.alarm.high),
        ("HIGH", limits.warning.high),
        ("LOW", limits.warning.low),
        ("LOLO", limits.alarm.low),
    ]
    .into_iter()
    // other servers than IOCs send zeros where nothing is set
    .filter(|(_name, limit)| limit.is_finite() && *limit != 0.0)
    .collect()
}

/// A field of a record as text.
async fn field(context: &Context, record: &str, field: &str, time: Duration) -> Option<String> {
    let name = format!("{record}.{field}").parse().ok()?;
    // the record is there: what is not found soon has no such field
    let time = time.min(Duration::from_secs(2));
    match context.get_first(&name, 1, time).await.ok()?.value {
        Value::String(text) => Some(text),
        Value::Enum {
            label: Some(label), ..
        } => Some(label),
        Value::Enum { index, label: None } => Some(index.to_string()),
        _ => None,
    }
}

/// The record of a PV that may name a field or a filter of the channel.
fn record_of(name: &str) -> &str {
    name.split(['.', '{']).next().unwrap_or(name)
}

/// The names of all channels: PVs, and the inputs of filters and of formulas.
fn names(tree: &TreeFile) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (path, _origin, config) in tree.pvs() {
        names.extend(channels(path.name()));
        names.extend(inputs(config.filter.trim()));
    }
    names
}

/// The channels of a PV: itself, or the inputs of its formula.
fn channels(name: &str) -> Vec<String> {
    match name
        .strip_prefix("eq://")
        .or_else(|| name.strip_prefix('='))
    {
        Some(formula) => inputs(formula),
        None => vec![bare(name)],
    }
}

fn inputs(formula: &str) -> Vec<String> {
    if formula.is_empty() {
        return Vec::new();
    }
    // what is no formula is a finding of its own
    let parsed = Formula::parse(formula);
    let inputs = parsed.iter().flat_map(Formula::inputs);
    inputs.map(|input| bare(input)).collect()
}

fn bare(name: &str) -> String {
    name.strip_prefix("ca://").unwrap_or(name).to_owned()
}

/// What the answers mean for the configuration, at the places of its PVs.
pub fn findings(
    tree: &TreeFile,
    answers: &BTreeMap<String, Answer>,
    time: Duration,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for (path, origin, config) in tree.pvs() {
        let name = path.name();
        let is_formula = channels(name) != [bare(name)];
        for channel in channels(name) {
            let Some(answer) = answers.get(&channel) else {
                continue;
            };
            presence(
                answer,
                origin,
                config.enabled == Enabled::No,
                time,
                &mut findings,
            );
            if !told.insert(channel) || is_formula {
                continue;
            }
            findings.extend(quality(answer, origin));
        }
        for input in inputs(config.filter.trim()) {
            let Some(answer) = answers.get(&input) else {
                continue;
            };
            if answer.server.is_none() {
                findings.push(
                    Finding::error(
                        origin.clone(),
                        format!(
                            "nobody answered for `{input}` in the filter of `{name}` within {} s",
                            time.as_secs()
                        ),
                    )
                    .hint("until it is there, the filter leaves the PV enabled"),
                );
            }
        }
    }
    findings
}

fn presence(
    answer: &Answer,
    origin: &Origin,
    is_disabled: bool,
    time: Duration,
    findings: &mut Vec<Finding>,
) {
    if answer.server.is_some() {
        return;
    }
    let message = match &answer.trouble {
        Some(trouble) => format!("`{}` cannot be asked: {trouble}", answer.pv),
        None => format!(
            "nobody answered for `{}` within {} s",
            answer.pv,
            time.as_secs()
        ),
    };
    let finding = if is_disabled {
        Finding::warning(origin.clone(), message)
    } else {
        Finding::error(origin.clone(), message)
    };
    findings.push(finding.hint("does its IOC run? `EPICS_CA_ADDR_LIST` says where is searched"));
}

fn quality(answer: &Answer, origin: &Origin) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(server) = answer.server else {
        return findings;
    };
    if !answer.others.is_empty() {
        let others: Vec<String> = answer.others.iter().map(ToString::to_string).collect();
        findings.push(
            Finding::warning(
                origin.clone(),
                format!(
                    "`{}` is served by {server} and by {}: which one counts is chance",
                    answer.pv,
                    others.join(", ")
                ),
            )
            .hint("stop one of the IOCs"),
        );
    }
    if let Some(trouble) = &answer.trouble {
        findings.push(Finding::warning(
            origin.clone(),
            format!("`{}` of {server} tells nothing: {trouble}", answer.pv),
        ));
    }
    if answer.can_alarm == CanAlarm::No {
        let kind = answer.record.as_deref().unwrap_or("record");
        findings.push(
            Finding::warning(
                origin.clone(),
                format!(
                    "`{}` ({kind}) sets no alarm severity: it can only become invalid or disconnected",
                    answer.pv
                ),
            )
            .hint("set limits and severities in its record, or leave it out"),
        );
    }
    findings
}

impl Answer {
    fn nobody(name: &str) -> Self {
        Self {
            pv: name.to_owned(),
            server: None,
            others: Vec::new(),
            data_type: None,
            count: None,
            record: None,
            severity: None,
            ahead: None,
            can_alarm: CanAlarm::Unknown,
            alarms: Vec::new(),
            trouble: None,
        }
    }
}
