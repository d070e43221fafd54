//! One of several alarm servers as a process of its own, with PVs that its standard input decides:
//!
//! `replica BUS CONFIGURATION NAME`, where BUS is a folder or `kafka:HOST:PORT`. Each line of the input is
//! `PV SEVERITY MESSAGE VALUE SECONDS`; the end of the input ends it in order. The tests of replicas start it.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alarm::{Severity, Time};
use alarm_server::clock::Clock;
use alarm_server::pvs::scripted::Scripted;
use alarm_server::settings::Replica;
use alarm_server::shell::End;
use alarm_server::{Settings, Shell};
use bus::Bus;
use bus::kafka::properties::Properties;
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

async fn open(bus: &str) -> Outcome<Arc<dyn Bus>> {
    if let Some(servers) = bus.strip_prefix("kafka:") {
        let options = bus::kafka::Options::default();
        let kafka = bus::kafka::Kafka::connect(servers, &Properties::default(), options).await?;
        return Ok(Arc::new(kafka));
    }
    let options = bus::embedded::Options::default();
    Ok(Arc::new(bus::embedded::Embedded::open(
        Path::new(bus),
        options,
    )?))
}

fn set(pvs: &Scripted, line: &str) -> Outcome<()> {
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or("a word is missing");
    let name = word()?;
    let severity: Severity = word()?.parse().map_err(|_error| "no severity")?;
    let message = word()?;
    let value: f64 = word()?.parse()?;
    let time = Time::new(word()?.parse()?, 0);
    pvs.set_alarm(name, severity, message, value, time);
    Ok(())
}

/// What it says goes to standard error with milliseconds, so that a test that fails says why.
struct Log(String);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        let is_ours = ["alarm_server", "bus"]
            .iter()
            .any(|name| metadata.target().starts_with(name));
        is_ours && *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let milliseconds = since.as_millis() % 1_000_000;
        let line = format!("{milliseconds:06} {}:{}\n", self.0, fields.0);
        // a reader that is gone needs no log
        let _gone = std::io::stderr().write_all(line.as_bytes());
    }

    fn enter(&self, _span: &tracing::span::Id) {}

    fn exit(&self, _span: &tracing::span::Id) {}
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bus, configuration, name] = arguments.as_slice() else {
        return Err("replica BUS CONFIGURATION NAME".into());
    };
    tracing::subscriber::set_global_default(Log(name.clone()))?;
    let pvs = Scripted::new();
    let stop = CancellationToken::new();
    let (values, ended) = (pvs.clone(), stop.clone());
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if set(&values, &line).is_err() {
                break;
            }
        }
        ended.cancel();
    });
    let bus = open(bus).await?;
    loop {
        let settings = Settings {
            nag_period: None,
            idle_timeout: Duration::from_hours(1),
            api: None,
            user: "server".to_owned(),
            host: "here".to_owned(),
            replica: Some(Replica {
                name: name.clone(),
                may_wait: true,
                serves_always: false,
            }),
            ..Settings::new(configuration.clone())
        };
        let shell = Shell::open(
            settings,
            Arc::clone(&bus),
            Box::new(pvs.pvs()),
            Clock::machine(),
            None,
        )
        .await?;
        match Box::pin(shell.run(stop.clone())).await? {
            End::Fenced => {}
            End::Stopped | End::Shutdown => return Ok(()),
        }
    }
}
