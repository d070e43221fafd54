//! The logger: intake, spool and drains together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use tokio_util::sync::CancellationToken;

use crate::database::Error;
use crate::dead_letter::DeadLetters;
use crate::drain::{Drain, Ends};
use crate::intake::Intake;
use crate::sink::Sink;
use crate::spool::{Notice, Spool, Topic, topics};
use crate::status::Status;

/// What the logger has to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configurations that are read.
    pub configurations: Vec<String>,
    /// Folder of the spool and the dead-letter file.
    pub spool: PathBuf,
    /// The most bytes that the spool takes.
    pub spool_limit: u64,
    /// What the bus is called: a spool that was filled from another one begins anew.
    pub bus: String,
    /// How long, at the end, sinks have for what is in the spool.
    pub drain: Duration,
}

/// The most bytes that a spool takes unless told otherwise.
pub const SPOOL_LIMIT: u64 = 1 << 30;

/// A logger that was opened.
#[derive(Debug)]
pub struct Logger {
    spool: Arc<Spool>,
    intake: Intake,
    drains: Vec<Drain>,
    status: Arc<Status>,
    patience: Duration,
}

impl Logger {
    /// Opens the spool.
    ///
    /// # Errors
    ///
    /// The spool, see [`Spool::open`].
    pub fn open(
        settings: &Settings,
        bus: Arc<dyn Bus>,
        sinks: Vec<Box<dyn Sink>>,
    ) -> Result<Self, Error> {
        let topics: Vec<Topic> = settings
            .configurations
            .iter()
            .flat_map(|configuration| topics(configuration))
            .collect();
        let names: Vec<String> = sinks.iter().map(|sink| sink.name().to_owned()).collect();
        let (spool, notices) = Spool::open(
            &settings.spool,
            settings.spool_limit,
            &settings.bus,
            &topics,
            &names,
        )?;
        notices.iter().for_each(tell);
        let spool = Arc::new(spool);
        let dead_letters = Arc::new(DeadLetters::open(&settings.spool)?);
        let status = Arc::new(Status::default());
        let fill = spool.fill();
        status.update(|report| {
            report.spool.limit = spool.limit();
            (report.spool.records, report.spool.bytes) = (fill.records, fill.bytes);
        });
        let drains = sinks.into_iter().map(|sink| {
            Drain::new(
                Arc::clone(&spool),
                sink,
                Arc::clone(&dead_letters),
                Arc::clone(&status),
            )
        });
        let drains = drains.collect();
        let intake = Intake::new(
            bus,
            Arc::clone(&spool),
            topics,
            dead_letters,
            Arc::clone(&status),
        );
        Ok(Self {
            spool,
            intake,
            drains,
            status,
            patience: settings.drain,
        })
    }

    /// Names of the sinks.
    pub fn sinks(&self) -> Vec<String> {
        self.drains
            .iter()
            .map(|drain| drain.name().to_owned())
            .collect()
    }

    /// What it is doing.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Runs until it is told to stop; then what is in the spool goes to the sinks, as far as they take it in time. Gives
    /// how many records are left in the spool for the next start.
    pub async fn run(self, stop: CancellationToken) -> u64 {
        let ends = Ends {
            finish: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        let mut drains = tokio::task::JoinSet::new();
        for drain in self.drains {
            drains.spawn(drain.run(ends.clone()));
        }
        self.intake.run(stop).await;
        ends.finish.cancel();
        let all = async { while drains.join_next().await.is_some() {} };
        if tokio::time::timeout(self.patience, all).await.is_err() {
            ends.stop.cancel();
            drains.shutdown().await;
        }
        self.spool.fill().records
    }
}

fn tell(notice: &Notice) {
    match notice {
        Notice::OtherBus { before } => tracing::warn!(
            "the spool was filled from {before}: the topics of this bus are read from their beginning"
        ),
        Notice::SinkGone { sink, left } => tracing::warn!(
            "the sink `{sink}` of before is not written to any more; it had not taken {left} records"
        ),
    }
}
