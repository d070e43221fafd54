//! From the spool to a sink, in order, as often as it takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::database::away;
use crate::dead_letter::{DeadLetters, Letter};
use crate::entry::Entry;
use crate::record::Reading;
use crate::sink::{Outcome, Sink, TryLater};
use crate::spool::{Spool, Stored};
use crate::status::{Status, hint, troubled};

/// The most records and bytes that a sink is given at once; one record may be larger.
const BATCH: (usize, usize) = (2000, 4 << 20);
/// First and longest wait after a failure.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How often a sink tidies up.
const TIDY: Duration = Duration::from_mins(1);

/// When a drain ends.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Nothing more comes: end when the spool has nothing left for the sink, or when the sink fails.
    pub finish: CancellationToken,
    /// End now.
    pub stop: CancellationToken,
}

/// Brings what is in the spool to one sink.
pub struct Drain {
    spool: Arc<Spool>,
    sink: Box<dyn Sink>,
    name: String,
    dead_letters: Arc<DeadLetters>,
    status: Arc<Status>,
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Drain").field(&self.name).finish()
    }
}

impl Drain {
    /// A drain.
    pub fn new(
        spool: Arc<Spool>,
        sink: Box<dyn Sink>,
        dead_letters: Arc<DeadLetters>,
        status: Arc<Status>,
    ) -> Self {
        let name = sink.name().to_owned();
        status.sink(&name, |_sink| ());
        Self {
            spool,
            sink,
            name,
            dead_letters,
            status,
        }
    }

    /// Name of the sink.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs until it is told to end. What is left then stays in the spool.
    pub async fn run(mut self, ends: Ends) {
        let mut changes = self.spool.changes();
        let mut wait = WAITS.0;
        let mut tidied = Instant::now();
        loop {
            changes.borrow_and_update();
            let failed = match self.step().await {
                Ok(true) => {
                    self.recovered();
                    wait = WAITS.0;
                    if ends.stop.is_cancelled() {
                        return;
                    }
                    continue;
                }
                Ok(false) if ends.finish.is_cancelled() => {
                    self.tidy().await;
                    return;
                }
                Ok(false) => false,
                Err(error) => {
                    self.troubled(&error);
                    true
                }
            };
            if failed && ends.finish.is_cancelled() {
                return;
            }
            if !failed && tidied.elapsed() > TIDY {
                self.tidy().await;
                tidied = Instant::now();
            }
            tokio::select! {
                () = ends.stop.cancelled() => return,
                () = ends.finish.cancelled() => {}
                () = tokio::time::sleep(wait), if failed => wait = WAITS.1.min(wait * 2),
                () = tokio::time::sleep(TIDY), if !failed => {}
                // the spool lives as long as this does
                _ = changes.changed(), if !failed => {}
            }
        }
    }

    /// Brings the next records to the sink; whether there were any.
    async fn step(&mut self) -> Result<bool, TryLater> {
        let (spool, name) = (Arc::clone(&self.spool), self.name.clone());
        let stored = away(move || spool.after(&name, BATCH.0, BATCH.1)).await?;
        let Some(last) = stored.last().map(|stored| stored.sequence) else {
            return Ok(false);
        };
        let mut letters = Vec::new();
        let mut from = Vec::new();
        let mut entries = Vec::new();
        for stored in &stored {
            match stored.read() {
                Reading::Entry(entry) => {
                    from.push(stored);
                    entries.push(*entry);
                }
                Reading::Group => {}
                // what an earlier version could read
                Reading::Unreadable(why) => {
                    letters.push(Letter::new(Some(&self.name), why.to_string(), &stored.item));
                }
            }
        }
        let outcomes = self.write(&entries).await?;
        let taken = outcomes
            .iter()
            .filter(|outcome| **outcome == Outcome::Taken)
            .count() as u64;
        letters.extend(refused(&self.name, &from, outcomes));
        let refused = letters.len() as u64;
        if !letters.is_empty() {
            let dead_letters = Arc::clone(&self.dead_letters);
            away(move || dead_letters.write(&letters)).await?;
            tracing::warn!(
                "{}: {refused} records refused, see `{}`",
                self.name,
                self.dead_letters.path().display()
            );
        }
        let (spool, name) = (Arc::clone(&self.spool), self.name.clone());
        away(move || spool.taken(&name, last)).await?;
        let fill = self.spool.fill();
        self.status.update(|report| {
            (report.spool.records, report.spool.bytes) = (fill.records, fill.bytes);
        });
        self.status.sink(&self.name, |sink| {
            sink.refused += refused;
            sink.taken += taken;
        });
        Ok(true)
    }

    async fn write(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, TryLater> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = self.sink.write(entries).await?;
        if outcomes.len() == entries.len() {
            return Ok(outcomes);
        }
        Err(TryLater {
            reason: format!(
                "{} said of {} entries what became of {}",
                self.name,
                entries.len(),
                outcomes.len()
            ),
            hint: None,
        })
    }

    async fn tidy(&mut self) {
        if let Err(error) = self.sink.tidy().await {
            self.troubled(&error);
        }
    }

    fn troubled(&self, error: &TryLater) {
        self.status.sink(&self.name, |sink| {
            sink.failures += 1;
            if troubled(&mut sink.trouble, &error.reason) {
                let hint = hint(error.hint.as_deref());
                tracing::warn!("{}: {error}{hint}", self.name);
            }
        });
    }

    fn recovered(&self) {
        self.status.sink(&self.name, |sink| {
            if let Some(trouble) = sink.trouble.take() {
                tracing::info!(
                    "{}: written again, after trouble since {}",
                    self.name,
                    trouble.since
                );
            }
        });
    }
}

fn refused<'a>(
    sink: &'a str,
    from: &'a [&Stored],
    outcomes: Vec<Outcome>,
) -> impl Iterator<Item = Letter> + 'a {
    from.iter()
        .zip(outcomes)
        .filter_map(move |(stored, outcome)| match outcome {
            Outcome::Taken => None,
            Outcome::Refused(reason) => Some(Letter::new(Some(sink), reason, &stored.item)),
        })
}
