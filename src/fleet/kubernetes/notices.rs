//! Notices that a workload has changed, from watches: they wake a wait, and say nothing about how it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use kube::api::WatchParams;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::object::Object;

/// Pause before a watch that was cut is begun again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a watch lasts at most, in seconds; the server closes it then.
const WATCH_SECONDS: u32 = 250;

/// Watches of a few objects; they end when it is dropped.
pub(super) struct Notices {
    change: Arc<Notify>,
    /// How many watches run now.
    running: Arc<AtomicUsize>,
    wanted: usize,
    _watches: JoinSet<()>,
}

impl Notices {
    /// Begins to watch.
    pub(super) fn of(cluster: &Cluster, objects: &[&Object]) -> Self {
        let change = Arc::new(Notify::new());
        let running = Arc::new(AtomicUsize::new(0));
        let mut watches = JoinSet::new();
        for object in objects {
            let api = object.api(cluster);
            let name = object.id.name.clone();
            let (change, running) = (change.clone(), running.clone());
            watches.spawn(async move {
                let parameters = WatchParams::default()
                    .fields(&format!("metadata.name={name}"))
                    .timeout(WATCH_SECONDS);
                loop {
                    // from no version: the first notices tell what there is already
                    match api.watch_metadata(&parameters, "0").await {
                        Ok(events) => {
                            running.fetch_add(1, Ordering::Relaxed);
                            let mut events = events.into_stream().boxed();
                            while let Ok(Some(_)) = events.try_next().await {
                                change.notify_one();
                            }
                            running.fetch_sub(1, Ordering::Relaxed);
                        }
                        Err(kube::Error::Api(status)) if status.code == 403 => return,
                        Err(error) => tracing::debug!(%error, "no watch"),
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
        Self {
            change,
            running,
            wanted: objects.len(),
            _watches: watches,
        }
    }

    /// Whether changes of all objects are noticed.
    pub(super) fn are_given(&self) -> bool {
        self.running.load(Ordering::Relaxed) >= self.wanted
    }

    /// Waits for the next change.
    pub(super) async fn next(&self) {
        self.change.notified().await;
    }
}
