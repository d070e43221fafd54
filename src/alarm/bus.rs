//! The alarm bus that a command means, and the configuration that is on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alarm::plan::{ConfigRecord, OnBus};
use bus::embedded::{Embedded, FILE_NAME, Options};
use bus::kafka::properties::Properties;
use bus::kafka::{Kafka, Options as KafkaOptions};
use bus::{Bus, Cleanup, From, Outgoing, Reader, TopicPlan};
use tokio_util::sync::CancellationToken;

use crate::cli::bus::BusArgs;
use crate::diagnostic::{Diagnostic, Place};
use crate::settings::Settings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// A bus that says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long brokers are waited for at the beginning.
const CONNECTING: Duration = Duration::from_secs(10);
/// So many records are written at once where the buffer cannot take all.
const PART: usize = 10_000;

/// Which bus is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The one in a folder of this machine.
    Folder(PathBuf),
    /// Kafka.
    Kafka {
        /// Brokers, as `host:port,host:port`.
        servers: String,
        /// Java properties file with further settings.
        properties: Option<PathBuf>,
    },
}

impl Choice {
    /// What the options and the settings say: an option for one of the two counts more than a setting for the other.
    pub fn new(args: &BusArgs, settings: &Settings) -> Self {
        let settings = &settings.alarm;
        if let Some(folder) = &args.bus {
            return Self::Folder(folder.clone());
        }
        match args.kafka.as_ref().or(settings.kafka.as_ref()) {
            Some(servers) => Self::Kafka {
                servers: servers.clone(),
                properties: args
                    .kafka_properties
                    .as_ref()
                    .or(settings.kafka_properties.as_ref())
                    .cloned(),
            },
            None => Self::Folder(settings.bus.clone()),
        }
    }

    /// What it is called in messages.
    pub fn words(&self) -> String {
        match self {
            Self::Folder(folder) => format!("the bus in `{}`", folder.display()),
            Self::Kafka { servers, .. } => format!("Kafka at `{servers}`"),
        }
    }
}

/// The topics of a configuration: the three of Phoebus, and the one in which the alarm server remembers what Phoebus
/// does not know.
pub fn topics(configuration: &str) -> [TopicPlan; 4] {
    let plan = |suffix: &str, cleanup| TopicPlan {
        name: format!("{configuration}{suffix}").into(),
        cleanup,
    };
    [
        plan("", Cleanup::Compact),
        plan("Command", Cleanup::Delete),
        plan("Talk", Cleanup::Delete),
        plan("Server", Cleanup::Compact),
    ]
}

/// A bus that was opened.
pub struct Opened {
    /// Which.
    pub choice: Choice,
    bus: Arc<dyn Bus>,
    cancel: CancellationToken,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Opened").field(&self.choice).finish()
    }
}

/// A configuration as it was read.
#[derive(Debug)]
pub struct Snapshot {
    /// What it is.
    pub on_bus: OnBus,
    /// The offset after the last record; `None` if there is no topic yet.
    pub end: Option<u64>,
}

/// Opens the bus. One in a folder is made if it is not there; see [`exists`].
///
/// # Errors
///
/// It cannot be reached, refuses us, or is none.
pub async fn open(choice: Choice, cancel: &CancellationToken) -> CommandResult<Opened> {
    let bus: Arc<dyn Bus> = match &choice {
        Choice::Folder(folder) => {
            let opened = Embedded::open(folder, Options::default());
            Arc::new(opened.map_err(|error| refused(&choice, &error))?)
        }
        Choice::Kafka {
            servers,
            properties,
        } => Arc::new(kafka(servers, properties.as_deref(), &choice, cancel).await?),
    };
    Ok(Opened {
        choice,
        bus,
        cancel: cancel.clone(),
    })
}

/// Whether there can be something on the bus: the one in a folder may not have been made yet.
pub fn exists(choice: &Choice) -> bool {
    match choice {
        Choice::Folder(folder) => folder.join(FILE_NAME).exists(),
        Choice::Kafka { .. } => true,
    }
}

/// Connects to the brokers of a choice.
///
/// # Errors
///
/// As [`open`].
pub async fn kafka(
    servers: &str,
    properties: Option<&std::path::Path>,
    choice: &Choice,
    cancel: &CancellationToken,
) -> CommandResult<Kafka> {
    let properties = match properties {
        None => Properties::default(),
        Some(path) => Properties::read(path).map_err(|error| wrong_properties(&error))?,
    };
    for warning in properties.warnings() {
        tracing::warn!("{warning}");
    }
    let options = KafkaOptions {
        connection_timeout: CONNECTING,
        ..KafkaOptions::default()
    };
    tokio::select! {
        connected = Kafka::connect(servers, &properties, options) => match connected {
            Ok(bus) => Ok(bus),
            Err(error) => Err(refused(choice, &error)),
        },
        () = cancel.cancelled() => Err(CommandError::new(ErrorKind::Interrupted, "stopped")),
    }
}

/// What is wrong with a properties file, with its line; what may be a secret is not in there.
fn wrong_properties(error: &bus::kafka::properties::Error) -> CommandError {
    let kind = if error.line == 0 {
        ErrorKind::System
    } else {
        ErrorKind::Input
    };
    let mut place = Place::file(&error.path);
    if error.line > 0 {
        place.line = error.line;
        place.column = error.column;
        place.text = Some(error.text.clone());
    }
    let mut finding = Diagnostic::error(error.problem.clone()).at(place);
    finding.hint.clone_from(&error.hint);
    CommandError::from_diagnostic(kind, finding)
}

/// Why a bus did not do what was asked, with the kind that decides the exit code.
pub fn refused(choice: &Choice, error: &bus::Error) -> CommandError {
    let failed = CommandError::new(ErrorKind::Bus, format!("{} cannot be used", choice.words()))
        .caused_by(error.clone());
    match error.hint() {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

impl Opened {
    /// The bus itself.
    pub fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus)
    }

    /// The same, for what has to be done to its end once it was begun: a signal does not stop it, only time does.
    #[must_use]
    pub fn to_the_end(&self) -> Self {
        Self {
            choice: self.choice.clone(),
            bus: self.bus(),
            cancel: CancellationToken::new(),
        }
    }

    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// A bus that does not answer, or a name that no configuration has.
    pub async fn read(&self, configuration: &str) -> CommandResult<Snapshot> {
        let on_bus = OnBus::new(configuration).map_err(|error| {
            CommandError::new(
                ErrorKind::Usage,
                format!("`{configuration}` is no name of a configuration: {error}"),
            )
        })?;
        let mut snapshot = Snapshot { on_bus, end: None };
        let topic: Arc<str> = configuration.into();
        let read = self.bus.read(&[(Arc::clone(&topic), From::Beginning)]);
        let mut reader = match self.in_time(read).await? {
            Ok(reader) => reader,
            Err(bus::Error::NoTopic { .. }) => return Ok(snapshot),
            Err(error) => return Err(refused(&self.choice, &error)),
        };
        snapshot.end = Some(0);
        self.follow(&mut *reader, |record| {
            snapshot.end = Some(record.offset + 1);
            if let Some(key) = &record.key {
                snapshot.on_bus.record(key, record.value.as_deref());
            }
        })
        .await?;
        Ok(snapshot)
    }

    /// Of each key the newest record of the server's own topic; none if there is no such topic.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub async fn servers(
        &self,
        configuration: &str,
    ) -> CommandResult<std::collections::BTreeMap<String, String>> {
        let mut newest = std::collections::BTreeMap::new();
        let topic: Arc<str> = format!("{configuration}Server").into();
        let topics = [(topic, From::Beginning)];
        let mut reader = match self.in_time(self.bus.read(&topics)).await? {
            Ok(reader) => reader,
            Err(bus::Error::NoTopic { .. }) => return Ok(newest),
            Err(error) => return Err(refused(&self.choice, &error)),
        };
        self.follow(&mut *reader, |record| match (record.key, record.value) {
            (Some(key), Some(value)) => drop(newest.insert(key, value)),
            (Some(key), None) => drop(newest.remove(&key)),
            (None, _) => {}
        })
        .await?;
        Ok(newest)
    }

    /// Keys and values of the records about the configuration that were written from an offset on.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub async fn configured_since(
        &self,
        configuration: &str,
        offset: u64,
    ) -> CommandResult<Vec<ConfigRecord>> {
        if self.ends_at(configuration, offset).await? {
            return Ok(Vec::new());
        }
        let read = self
            .bus
            .read(&[(configuration.into(), From::Offset(offset))]);
        let mut reader = self
            .in_time(read)
            .await?
            .map_err(|error| refused(&self.choice, &error))?;
        let mut found = Vec::new();
        self.follow(&mut *reader, |record| {
            if let Some(key) = record.key.filter(|key| key.starts_with("config:")) {
                found.push(ConfigRecord {
                    key,
                    value: record.value,
                });
            }
        })
        .await?;
        Ok(found)
    }

    /// Whether nothing has been written from an offset on: asking that is faster than reading.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub async fn ends_at(&self, configuration: &str, offset: u64) -> CommandResult<bool> {
        let end = self.in_time(self.bus.end(configuration)).await?;
        Ok(end.map_err(|error| refused(&self.choice, &error))? == offset)
    }

    /// Makes the topics of a configuration.
    ///
    /// # Errors
    ///
    /// The bus refuses.
    pub async fn prepare(&self, configuration: &str) -> CommandResult<()> {
        let topics = topics(configuration);
        let prepared = self.in_time(self.bus.prepare(&topics)).await?;
        prepared.map_err(|error| refused(&self.choice, &error))
    }

    /// Writes records of a configuration in one go, or in parts where the bus cannot hold as many, and waits until
    /// they are there for good.
    ///
    /// # Errors
    ///
    /// The bus refuses; some of the parts may have been written.
    pub async fn write(&self, configuration: &str, records: &[ConfigRecord]) -> CommandResult<()> {
        let topic: Arc<str> = configuration.into();
        let outgoing = |records: &[ConfigRecord]| -> Vec<Outgoing> {
            let records = records.iter().map(|record| Outgoing {
                topic: Arc::clone(&topic),
                key: record.key.clone(),
                value: record.value.clone(),
            });
            records.collect()
        };
        let failed = |error: bus::Error| refused(&self.choice, &error);
        let writer = self.in_time(self.bus.writer()).await?.map_err(failed)?;
        match writer.send(outgoing(records)) {
            Ok(()) => {}
            Err(bus::Error::Full { .. }) => {
                for part in records.chunks(PART) {
                    writer.send(outgoing(part)).map_err(failed)?;
                    self.in_time(writer.flush()).await?.map_err(failed)?;
                }
            }
            Err(error) => return Err(failed(error)),
        }
        self.in_time(writer.flush()).await?.map_err(failed)
    }

    async fn follow(
        &self,
        reader: &mut dyn Reader,
        mut take: impl FnMut(bus::Incoming),
    ) -> CommandResult<()> {
        while !reader.has_caught_up() {
            let records = self
                .in_time(reader.next())
                .await?
                .map_err(|error| refused(&self.choice, &error))?;
            records.into_iter().for_each(&mut take);
        }
        Ok(())
    }

    /// Waits, but not for ever, and not when the user has had enough.
    async fn in_time<T>(&self, future: impl Future<Output = T>) -> CommandResult<T> {
        tokio::select! {
            result = tokio::time::timeout(PATIENCE, future) => result.map_err(|_elapsed| {
                CommandError::new(
                    ErrorKind::Bus,
                    format!("{} did not answer for {} s", self.choice.words(), PATIENCE.as_secs()),
                )
            }),
            () = self.cancel.cancelled() => {
                Err(CommandError::new(ErrorKind::Interrupted, "stopped"))
            }
        }
    }
}
