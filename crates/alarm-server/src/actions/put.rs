//! `sevrpv:` and `infopv:`: writes to PVs, of which only the newest matters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::pvs::{PutValue, Puts};

/// So many PVs are written at once at most; more come from a broken configuration.
const PVS: usize = 10_000;
/// Pause before a write is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How long a write is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until it works or a newer value comes.
    Endless,
    /// For that long.
    Seconds(u64),
}

#[derive(Debug, Clone)]
struct Wanted {
    kind: &'static str,
    value: PutValue,
    until: Option<Instant>,
}

struct Shared {
    puts: Arc<dyn Puts>,
    timeout: Duration,
    metrics: Arc<Metrics>,
    /// PVs with a task of their own; what the task has to write next.
    next: Mutex<HashMap<String, Option<Wanted>>>,
    /// No retries any more.
    ends: CancellationToken,
}

/// Writes PVs; of values that come faster than they can be written, the newest.
pub(super) struct PutQueue {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl PutQueue {
    pub(super) fn new(
        puts: Arc<dyn Puts>,
        timeout: Duration,
        metrics: Arc<Metrics>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                puts,
                timeout,
                metrics,
                next: Mutex::default(),
                ends: stop.child_token(),
            }),
            tasks,
            stop,
        }
    }

    /// What is under way is tried once more at most.
    pub(super) fn end(&self) {
        self.shared.ends.cancel();
    }

    pub(super) fn put(&self, kind: &'static str, pv: &str, value: PutValue, patience: Patience) {
        let until = match patience {
            Patience::Endless => None,
            Patience::Seconds(seconds) => Some(Instant::now() + Duration::from_secs(seconds)),
        };
        let wanted = Wanted { kind, value, until };
        let mut next = self
            .shared
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = next.get_mut(pv) {
            if waiting.replace(wanted).is_some() {
                self.shared.metrics.action(kind, "replaced");
            }
            return;
        }
        if next.len() >= PVS {
            self.shared.metrics.action(kind, "dropped");
            tracing::error!("{PVS} PVs are being written already; `{pv}` is not");
            return;
        }
        next.insert(pv.to_owned(), Some(wanted));
        drop(next);
        let (shared, pv, stop) = (Arc::clone(&self.shared), pv.to_owned(), self.stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = shared.write(&pv) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

impl Shared {
    fn newer(&self, pv: &str) -> Option<Wanted> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.get_mut(pv).and_then(Option::take)
    }

    /// Writes all that comes for a PV, until nothing waits.
    async fn write(&self, pv: &str) {
        let mut wanted: Option<Wanted> = None;
        let mut complained = false;
        loop {
            wanted = self.newer(pv).or(wanted);
            let Some(now) = &wanted else {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                // between the look and the lock something may have come
                if next.get(pv).is_none_or(Option::is_none) {
                    next.remove(pv);
                    return;
                }
                continue;
            };
            let put = self.puts.put(pv.to_owned(), now.value.clone());
            let why = match tokio::time::timeout(self.timeout, put).await {
                Ok(Ok(())) => {
                    self.metrics.action(now.kind, "done");
                    wanted = None;
                    complained = false;
                    continue;
                }
                Ok(Err(why)) => why,
                Err(_elapsed) => format!("not confirmed within {:?}", self.timeout),
            };
            self.metrics.action(now.kind, "retried");
            if !std::mem::replace(&mut complained, true) {
                tracing::warn!(
                    "{}: `{pv}` cannot be written, trying again: {why}",
                    now.kind
                );
            }
            let is_over = now
                .until
                .is_some_and(|until| Instant::now() + RETRY > until);
            if is_over || self.ends.is_cancelled() {
                self.metrics.action(now.kind, "failed");
                tracing::warn!("{}: `{pv}` was not written: {why}", now.kind);
                wanted = None;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = self.ends.cancelled() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pvs::scripted::Scripted;

    fn queue(script: &Scripted) -> (PutQueue, TaskTracker) {
        let tasks = TaskTracker::new();
        let queue = PutQueue::new(
            Arc::new(script.clone()),
            Duration::from_secs(5),
            Arc::default(),
            tasks.clone(),
            CancellationToken::new(),
        );
        tasks.close();
        (queue, tasks)
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_value_is_written_until_it_works() {
        let script = Scripted::new();
        script.refuse_puts("sevr", 3);
        let (queue, tasks) = queue(&script);
        for number in 0..5 {
            queue.put(
                "sevrpv",
                "sevr",
                PutValue::Number(f64::from(number)),
                Patience::Endless,
            );
        }
        let begin = Instant::now();
        tasks.wait().await;
        assert_eq!(script.puts(), [("sevr".to_owned(), PutValue::Number(4.0))]);
        assert_eq!(begin.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let script = Scripted::new();
        script.refuse_puts("info", 1000);
        let (queue, tasks) = queue(&script);
        queue.put(
            "infopv",
            "info",
            PutValue::Text("a".to_owned()),
            Patience::Seconds(30),
        );
        let begin = Instant::now();
        tasks.wait().await;
        assert_eq!(script.puts(), []);
        assert!(
            (29..=30).contains(&begin.elapsed().as_secs()),
            "{:?}",
            begin.elapsed()
        );
    }
}
