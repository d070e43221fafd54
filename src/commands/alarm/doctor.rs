//! `ioc alarm doctor`: looks at every part of the alarm system from here, and says what is wrong.

use std::time::Duration;

use ::bus::kafka::Kafka;
use ::bus::kafka::survey::Survey;
use alarm_log::query::Query;
use tokio::net::TcpStream;

use crate::alarm::bus::{self, Choice, Snapshot};
use crate::alarm::doctor::{Check, Verdict, pvs, topics};
use crate::alarm::history::{Address, no_answer};
use crate::alarm::live;
use crate::cli::alarm::DoctorArgs;
use crate::commands::alarm::reach::{self, Reached};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;

/// How long a connection to a broker may take.
const CONNECT: Duration = Duration::from_secs(3);
/// Clocks that differ by more seconds than this are not the same: HTTP gives whole seconds, and the way takes time.
const APART: i64 = 2;

/// Runs the command.
///
/// # Errors
///
/// An option that is wrong. What does not work is an answer.
pub(crate) async fn doctor(args: &DoctorArgs, context: &Context) -> CommandResult<Outcome> {
    let settings = &context.settings;
    let configuration = args.server.bus.config.as_ref();
    let configuration = configuration.or(settings.alarm.config.as_ref());
    let sinks: Vec<Address> = args
        .sinks
        .iter()
        .map(|sink| Address::parse(sink))
        .collect::<CommandResult<_>>()?;
    let choice = Choice::new(&args.server.bus, settings);
    let printer = &context.printer;
    let task = printer.progress().task("alarm system");
    let mut checks = Vec::new();
    task.message(format!("asking {}", choice.words()));
    let snapshot = on_bus(&choice, configuration, context, &mut checks).await;
    task.message("looking at histories");
    history(&sinks, context, &mut checks).await;
    task.message("asking the alarm server");
    server(args, context, &mut checks).await;
    if let Some(snapshot) = snapshot {
        task.message("asking the PVs");
        let time = Duration::from_secs(args.timeout);
        let searched = ca::Configuration::from_environment(&settings.channel_access);
        let places = places(&searched);
        let tree = snapshot.on_bus.tree();
        let answers = tokio::select! {
            answers = live::ask(&tree, searched, time) => answers,
            () = context.cancel.cancelled() => return Err(interrupted()),
        };
        checks.extend(pvs::checks(&answers, &places, args.timeout));
    } else {
        checks.push(unknown("channel access", "PVs of the configuration"));
    }
    task.finish();
    if context.cancel.is_cancelled() {
        return Err(interrupted());
    }
    printer.emit_text(&checks, |checks| text(checks))?;
    let is_bad = checks.iter().any(|check| check.verdict == Verdict::Bad);
    Ok(if is_bad {
        Outcome::Negative
    } else {
        Outcome::Success
    })
}

fn interrupted() -> CommandError {
    CommandError::new(ErrorKind::Interrupted, "stopped")
}

/// What could not be looked at because something before it failed.
fn unknown(part: &'static str, what: &str) -> Check {
    Check::new(
        part,
        what,
        Verdict::Unknown,
        "what is needed for that does not work, see above",
    )
}

/// An error of a command as something that does not work.
fn bad(part: &'static str, what: impl Into<String>, error: &CommandError) -> Check {
    let mut seen = error.to_string();
    for cause in error.causes() {
        seen.push_str(": ");
        seen.push_str(&cause);
    }
    Check {
        hints: error.hints().to_vec(),
        ..Check::new(part, what, Verdict::Bad, seen)
    }
}

/// Looks at the bus; the configuration on it, if that could be read.
async fn on_bus(
    choice: &Choice,
    configuration: Option<&String>,
    context: &Context,
    checks: &mut Vec<Check>,
) -> Option<Snapshot> {
    if let Choice::Kafka {
        servers,
        properties,
    } = choice
    {
        let connected = bus::kafka(servers, properties.as_deref(), choice, &context.cancel);
        match connected.await {
            Ok(kafka) => brokers(&kafka, servers, configuration, checks).await,
            Err(error) => {
                checks.push(bad("bus", choice.words(), &error));
                return None;
            }
        }
    } else if !bus::exists(choice) {
        let check = Check::new("bus", choice.words(), Verdict::Bad, "there is none");
        checks.push(check.hint(
            "`ioc alarm config apply FILE` makes it; `--bus FOLDER` or `--kafka HOST:PORT` means another",
        ));
        return None;
    }
    let Some(configuration) = configuration else {
        let check = Check::new(
            "bus",
            "configuration",
            Verdict::Unknown,
            "nothing says which",
        );
        checks.push(
            check.hint("`--config NAME`, or `config = \"NAME\"` below `[alarm]` in `ioc.toml`"),
        );
        return None;
    };
    let read = async {
        let opened = bus::open(choice.clone(), &context.cancel).await?;
        opened.read(configuration).await
    };
    match read.await {
        Ok(snapshot) => {
            checks.push(on_it(configuration, choice, &snapshot));
            (!snapshot.on_bus.is_empty()).then_some(snapshot)
        }
        Err(error) => {
            checks.push(bad("bus", format!("configuration {configuration}"), &error));
            None
        }
    }
}

/// The configuration as it was read.
fn on_it(configuration: &str, choice: &Choice, snapshot: &Snapshot) -> Check {
    let what = format!("configuration {configuration}");
    if snapshot.end.is_none() || snapshot.on_bus.is_empty() {
        let seen = format!("there is none on {}", choice.words());
        return Check::new("bus", what, Verdict::Bad, seen)
            .hint("`ioc alarm config apply FILE` publishes one");
    }
    let count = snapshot.on_bus.tree().pv_count();
    let passed = snapshot.on_bus.passed_over();
    let seen = format!("{count} PVs on {}", choice.words());
    match passed.first() {
        None => Check::new("bus", what, Verdict::Good, seen),
        Some(first) => {
            let seen = format!(
                "{seen}; {} records are no configuration: {first}",
                passed.len()
            );
            Check::new("bus", what, Verdict::Warning, seen)
        }
    }
}

async fn brokers(
    kafka: &Kafka,
    servers: &str,
    configuration: Option<&String>,
    checks: &mut Vec<Check>,
) {
    let plans = configuration.map_or_else(Vec::new, |name| bus::topics(name).to_vec());
    let survey: Survey = match kafka.survey(&plans).await {
        Ok(survey) => survey,
        Err(error) => {
            let mut check = Check::new("bus", "brokers", Verdict::Bad, error.to_string());
            check.hints.extend(error.hint());
            checks.push(check);
            return;
        }
    };
    for broker in &survey.brokers {
        let connect = TcpStream::connect((broker.host.as_str(), broker.port));
        let reached = match tokio::time::timeout(CONNECT, connect).await {
            Ok(Ok(_stream)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err(format!("no answer within {} s", CONNECT.as_secs())),
        };
        checks.push(topics::broker(broker, reached));
    }
    for topic in &survey.topics {
        checks.push(topics::topic(topic, survey.brokers.len(), servers));
    }
}

/// Opens histories, and asks each for its newest entry.
async fn history(sinks: &[Address], context: &Context, checks: &mut Vec<Check>) {
    let usual = [Address::usual(&context.settings)];
    let (sinks, is_usual) = if sinks.is_empty() {
        (&usual[..], true)
    } else {
        (sinks, false)
    };
    for sink in sinks {
        match searched(sink, context).await {
            Ok(warnings) if warnings.is_empty() => checks.push(Check::new(
                "history",
                sink.to_string(),
                Verdict::Good,
                "can be searched",
            )),
            Ok(warnings) => checks.push(Check::new(
                "history",
                sink.to_string(),
                Verdict::Warning,
                warnings.join("; "),
            )),
            Err(error) if is_usual && error.kind() == ErrorKind::NotFound => checks.push(
                Check::new(
                    "history",
                    sink.to_string(),
                    Verdict::Unknown,
                    "there is none here: no alarm logger has written to it",
                )
                .hint("`--sink SINK` means another"),
            ),
            Err(error) => checks.push(bad("history", sink.to_string(), &error)),
        }
    }
}

/// What there is to warn of in a history that answers.
async fn searched(sink: &Address, context: &Context) -> CommandResult<Vec<String>> {
    let reached = sink.history(&context.settings).await?;
    let newest = reached.opened.history().search(Query::newest(1)).await;
    newest.map_err(|error| no_answer(&error))?;
    Ok(reached.warnings)
}

/// Asks the alarm server, if one is known.
async fn server(args: &DoctorArgs, context: &Context, checks: &mut Vec<Check>) {
    let reached = match reach::reach(&args.server, context) {
        Ok(reached) => reached,
        Err(error) => {
            let mut check = bad("server", "alarm server", &error);
            // it may run on another machine, whose address nobody has told
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Bus) {
                check.verdict = Verdict::Unknown;
            }
            checks.push(check);
            return;
        }
    };
    let name = reached.client.address().to_owned();
    match reached.ask(reached.client.server(), context).await {
        Err(error) => checks.push(bad("server", name, &error)),
        Ok(server) => {
            let seen = format!(
                "version {} for `{}` on {}, {} of {} channels connected, {} records wait for the bus",
                server.version,
                server.configuration,
                server.host,
                server.connected,
                server.watched,
                server.backlog
            );
            let verdict = if !server.bus_connected {
                Verdict::Bad
            } else if !server.ready || server.connected < server.watched {
                Verdict::Warning
            } else {
                Verdict::Good
            };
            let mut check = Check::new("server", name, verdict, seen);
            if let (false, Some(error)) = (server.bus_connected, &server.bus_error) {
                check.hints.push(format!("its bus: {error}"));
            }
            if server.connected < server.watched {
                check
                    .hints
                    .push("`ioc alarm ls --disconnected` lists them".to_owned());
            }
            checks.push(check);
            checks.extend(clock(&reached).await);
        }
    }
}

/// Whether the server's clock and the one here agree.
async fn clock(reached: &Reached) -> Option<Check> {
    let theirs = reached.client.clock().await.ok().flatten()?;
    let apart = jiff::Timestamp::now().as_second() - theirs.as_second();
    let what = "alarm server";
    Some(if apart.abs() > APART {
        let seen = format!("{} s apart from the clock here", apart.abs());
        Check::new("clock", what, Verdict::Warning, seen).hint(
            "alarms carry the clocks of IOCs and servers: look at NTP on both machines (`timedatectl`, `chronyc tracking`)",
        )
    } else {
        Check::new("clock", what, Verdict::Good, "agrees with the clock here")
    })
}

/// Where PVs are searched.
fn places(configuration: &ca::Configuration) -> Vec<String> {
    let broadcast = configuration
        .interfaces
        .map(|port| format!("broadcasts of all interfaces, port {port}"));
    let addresses = configuration.addresses.iter().map(ToString::to_string);
    let name_servers = configuration
        .name_servers
        .iter()
        .map(|address| format!("name server {address}"));
    addresses.chain(name_servers).chain(broadcast).collect()
}

/// A table, and below it what to do.
fn text(checks: &[Check]) -> String {
    let mut table = Table::new(["VERDICT", "PART", "WHAT", "SEEN"]);
    for check in checks {
        table.row([check.verdict.word(), check.part, &check.what, &check.seen]);
    }
    let mut text = table.render();
    // the same advice for several things is given once
    let mut advice: Vec<(&str, Vec<&str>)> = Vec::new();
    for check in checks {
        for hint in &check.hints {
            match advice.iter_mut().find(|(known, _)| known == hint) {
                Some((_, whats)) => whats.push(&check.what),
                None => advice.push((hint, vec![&check.what])),
            }
        }
    }
    for (hint, whats) in advice {
        text.push_str(&format!("\n{}:\n  {hint}\n", whats.join(", ")));
    }
    text
}
