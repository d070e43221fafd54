//! The bus in a folder: the contract, and what only it has.

mod disk;
mod forgetting;
mod model;
mod processes;

use std::path::Path;
use std::sync::Arc;

use bus::embedded::{Embedded, Options};
use bus::{Bus, Error, From, Reader, Statistics, TopicPlan, Writer};
use futures_util::future::BoxFuture;

use crate::contract;

/// A bus in a folder that goes with it.
struct Temporary {
    bus: Embedded,
    folder: tempfile::TempDir,
}

impl Temporary {
    fn new() -> Temporary {
        Temporary::with(Options::default())
    }

    fn with(options: Options) -> Temporary {
        let folder = tempfile::tempdir().unwrap();
        let bus = Embedded::open(folder.path(), options).unwrap();
        Temporary { bus, folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Bus for Temporary {
    fn prepare(&self, topics: &[TopicPlan]) -> BoxFuture<'_, Result<(), Error>> {
        self.bus.prepare(topics)
    }
    fn end(&self, topic: &str) -> BoxFuture<'_, Result<u64, Error>> {
        self.bus.end(topic)
    }
    fn read(&self, topics: &[(Arc<str>, From)]) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        self.bus.read(topics)
    }
    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.bus.writer()
    }
    fn statistics(&self) -> Statistics {
        self.bus.statistics()
    }
}

contract::suite!(Temporary::new());
