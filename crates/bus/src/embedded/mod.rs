//! The bus in a folder of this machine: an SQLite database that several processes write and read together.
//!
//! A record counts as written when it is on the disk: what `flush` confirmed survives SIGKILL and a loss of power.
//! Records that arrive while the disk works are written together with the next turn, so many small ones cost little.
//!
//! What it deliberately does not do: serve other machines. SQLite's write-ahead log needs memory that all processes
//! share (SQLite documentation, `wal.html`), so the folder must not be on a network file system.

mod cleaner;
mod fence;
mod file;
mod reader;
mod wake;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::counters::Counters;
use crate::{Bus, Error, Fence, From, Holder, Reader, Statistics, TopicPlan, Writer};

pub use file::FILE_NAME;

/// Settings of the embedded bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The most records that wait to be written.
    pub buffer_records: usize,
    /// The most bytes of keys and values that wait to be written.
    pub buffer_bytes: usize,
    /// A record stays at least so long after a newer one of its key was written to a compact topic, so that readers that
    /// are awake see every one.
    pub compaction_lag: Duration,
    /// A tombstone of a compact topic stays at least so long.
    pub tombstone_retention: Duration,
    /// A record of a topic that deletes stays at least so long.
    pub retention: Duration,
    /// How often there is a look at what can be forgotten.
    pub cleaning_interval: Duration,
}

impl Default for Options {
    /// What brokers have where nobody says otherwise, or what the alarm server sets there: `delete.retention.ms` is a day,
    /// `retention.ms` of `XCommand` and `XTalk` 20 s, and 10 s is the `segment.ms` of the configuration's topic, in
    /// which nothing is compacted.
    fn default() -> Self {
        Options {
            buffer_records: 200_000,
            buffer_bytes: 128 * 1024 * 1024,
            compaction_lag: Duration::from_secs(10),
            tombstone_retention: Duration::from_hours(24),
            retention: Duration::from_secs(20),
            cleaning_interval: Duration::from_secs(1),
        }
    }
}

/// The embedded bus; a copy is the same bus. It is closed when the last copy, reader and writer is dropped; that waits for
/// what is being written at that moment, and for nothing else.
#[derive(Debug, Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    options: Options,
    counters: Arc<Counters>,
    queue: Arc<writer::Queue>,
    wake: Arc<wake::Wake>,
    stop: Arc<cleaner::Stop>,
    /// For the short questions of [`Bus`].
    connection: Mutex<rusqlite::Connection>,
    threads: Vec<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the bus in this folder; folder and files are made if they are missing, for their owner only.
    ///
    /// Fails if the folder has another file under the bus' name, or a bus of a newer version of this program, or if it cannot
    /// be read and written.
    pub fn open(folder: &Path, options: Options) -> Result<Embedded, Error> {
        let file = file::prepare(folder)?;
        let counters = Arc::new(Counters::default());
        counters.update(|statistics| {
            statistics.buffer_limit = options.buffer_records as u64;
            statistics.connected = true;
        });
        let wake = Arc::new(wake::Wake::new(folder)?);
        let queue = Arc::new(writer::Queue::new(
            options.buffer_records,
            options.buffer_bytes,
        ));
        let stop = Arc::new(cleaner::Stop::default());
        let connection = file::connect(&file, file::Durability::Full)?;
        let mut inner = Inner {
            options,
            counters: Arc::clone(&counters),
            queue: Arc::clone(&queue),
            wake: Arc::clone(&wake),
            stop: Arc::clone(&stop),
            connection: Mutex::new(connection),
            threads: Vec::new(),
            file,
        };
        // What was started is ended by dropping `inner` if a later one fails.
        let mut writes = file::connect(&inner.file, file::Durability::Full)?;
        file::wait_a_turn(&mut writes)
            .map_err(|error| file::failed("opening", &inner.file, &error))?;
        let turn = writer::Turn::new(&inner.file, writes, queue, counters, Arc::clone(&wake));
        inner.threads.push(spawn("bus-write", move || turn.run())?);
        let watching = Arc::clone(&wake);
        inner
            .threads
            .push(spawn("bus-wake", move || watching.run())?);
        let cleaner = cleaner::Cleaner::new(
            folder,
            &inner.file,
            options,
            Arc::clone(&inner.queue),
            Arc::clone(&inner.wake),
            stop,
        )?;
        inner
            .threads
            .push(spawn("bus-clean", move || cleaner.run())?);
        Ok(Embedded {
            inner: Arc::new(inner),
        })
    }

    /// The database file.
    pub fn file(&self) -> &Path {
        &self.inner.file
    }

    /// Forgets at once what may be forgotten. This happens by itself when it is worth the work.
    pub async fn clean(&self) -> Result<(), Error> {
        let (options, stop) = (self.inner.options, Arc::clone(&self.inner.stop));
        let clean = move |connection: &mut rusqlite::Connection, path: &Path| {
            cleaner::clean(connection, options, &stop)
                .map_err(|error| file::failed("cleaning", path, &error))
        };
        self.ask(clean).await
    }

    /// Asks the database something short, away from the executor.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut rusqlite::Connection, &Path) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        let answer = tokio::task::spawn_blocking(move || {
            let mut connection = inner
                .connection
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            ask(&mut connection, &inner.file)
        });
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| Error::Failed {
            doing: "starting a thread of the embedded bus".to_owned(),
            cause: error.to_string(),
            hint: None,
        })
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        self.stop.set();
        self.wake.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; the bus is closed either way.
            let _ = thread.join();
        }
    }
}

impl Bus for Embedded {
    fn prepare(&self, topics: &[TopicPlan]) -> BoxFuture<'_, Result<(), Error>> {
        let topics = topics.to_vec();
        self.ask(move |connection, path| file::make_topics(connection, path, &topics))
            .boxed()
    }

    fn end(&self, topic: &str) -> BoxFuture<'_, Result<u64, Error>> {
        let topic: Arc<str> = topic.into();
        self.ask(move |connection, path| Ok(file::topic(connection, path, &topic)?.next))
            .boxed()
    }

    fn read(&self, topics: &[(Arc<str>, From)]) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        let topics = topics.to_vec();
        async move {
            let places = self
                .ask(move |connection, path| reader::places(connection, path, &topics))
                .await?;
            let reader = reader::EmbeddedReader::open(Arc::clone(&self.inner), places).await?;
            Ok(Box::new(reader) as Box<dyn Reader>)
        }
        .boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        let writer = writer::EmbeddedWriter::new(Arc::clone(&self.inner), None);
        async move { Ok(Box::new(writer) as Box<dyn Writer>) }.boxed()
    }

    fn holder(&self, fence: &Fence) -> BoxFuture<'_, Result<Holder, Error>> {
        let name = Arc::clone(&fence.name);
        self.ask(move |connection, path| fence::holder(connection, path, &name))
            .boxed()
    }

    fn take(
        &self,
        fence: &Fence,
        after: Option<u64>,
    ) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        let (fence, inner) = (fence.clone(), Arc::clone(&self.inner));
        let take = move || {
            let taken = Arc::new(fence::take(&inner.file, &fence, after)?);
            let writer = writer::EmbeddedWriter::new(inner, Some(taken));
            Ok(Box::new(writer) as Box<dyn Writer>)
        };
        async move {
            tokio::task::spawn_blocking(take)
                .await
                .unwrap_or(Err(Error::Closed))
        }
        .boxed()
    }

    fn statistics(&self) -> Statistics {
        self.inner.counters.statistics()
    }
}
