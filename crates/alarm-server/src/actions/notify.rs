//! Telling people and programs: mail, chats, webhooks.
//!
//! A notice is put into a queue before anything else follows from the alarm, and is sent from there: each channel (an
//! address of mail, a chat, a URL) in order, so often as its rate allows, and what has come together meanwhile as one
//! message. What was surely not taken is tried again; what may have been taken is not, unless the settings say that twice
//! is better than never.

mod limit;
pub(crate) mod notice;
mod queue;
mod template;

use std::collections::HashSet;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::limit::{Limiter, Turn};
use self::notice::{Notice, NoticeKind};
use self::queue::{Queue, QueueError, Waiting};
use self::template::{Message, Templates};
use crate::actions::{ActionError, shown};
use crate::metrics::Metrics;
use crate::settings::NotifySettings;

pub use self::notice::NoticeKind as Kind;

/// So many notices become one message at most.
const MOST_TOGETHER: usize = 5000;
/// The first time after which something is tried again; it doubles each time.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest such time.
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// How often a queue that another server holds is tried.
const LOCKED: Duration = Duration::from_secs(5);

/// One message for one channel, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) kind: NoticeKind,
    pub(super) target: String,
    pub(super) subject: String,
    pub(super) body: String,
    /// The same for each try of the same message.
    pub(super) id: String,
}

/// Sends messages.
pub(super) trait Deliver: Send + Sync {
    /// Sends one.
    fn deliver(
        &self,
        message: Outgoing,
    ) -> Pin<Box<dyn Future<Output = Result<(), ActionError>> + Send + '_>>;
}

/// What tells.
pub(super) struct Notifier {
    shared: Arc<Shared>,
}

struct Shared {
    settings: NotifySettings,
    templates: Templates,
    /// The queue, and whether it is the one of the settings.
    queue: Mutex<Held>,
    limiter: Mutex<Limiter>,
    /// Channels that something is being sent to.
    busy: Mutex<HashSet<String>>,
    wake: Notify,
    /// No more is begun.
    closing: CancellationToken,
    metrics: Arc<Metrics>,
}

struct Held {
    queue: Arc<Queue>,
    /// The file that could not be had yet.
    missing: Option<PathBuf>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970: what is in the queue outlives the process.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Notifier {
    /// Opens the queue and begins to send what is in it.
    ///
    /// # Errors
    ///
    /// In words: templates or a queue that cannot be used.
    pub(super) fn start(
        settings: NotifySettings,
        configuration: &str,
        host: &str,
        deliver: Arc<dyn Deliver>,
        metrics: Arc<Metrics>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, String> {
        let templates = Templates::new(&settings.templates, configuration, host)?;
        let in_memory = || Queue::in_memory().map(Arc::new);
        let held = match &settings.queue {
            None => Held {
                queue: in_memory().map_err(|error| error.to_string())?,
                missing: None,
            },
            Some(path) => match Queue::open(path) {
                Ok(queue) => Held {
                    queue: Arc::new(queue),
                    missing: None,
                },
                Err(error @ QueueError::Locked(_)) => {
                    tracing::warn!("{error}; until it is free, notices are kept in memory");
                    Held {
                        queue: in_memory().map_err(|error| error.to_string())?,
                        missing: Some(path.clone()),
                    }
                }
                Err(error) => return Err(error.to_string()),
            },
        };
        let shared = Arc::new(Shared {
            limiter: Mutex::new(Limiter::new(settings.per_minute, settings.burst)),
            settings,
            templates,
            queue: Mutex::new(held),
            busy: Mutex::new(HashSet::new()),
            wake: Notify::new(),
            closing: CancellationToken::new(),
            metrics,
        });
        shared.take_over(&lock(&shared.queue).queue);
        let running = Arc::clone(&shared);
        let inner = tasks.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = running.run(&deliver, &inner) => {}
                // what is being sent stays marked as such
                () = stop.cancelled() => {}
            }
        });
        Ok(Self { shared })
    }

    /// Keeps a notice until it is sent; when this returns it is there even if the process is killed.
    pub(super) fn tell(&self, notice: &Notice) {
        let shared = &self.shared;
        let due = if notice.kind.is_for_people() {
            now() + milliseconds(shared.settings.collect)
        } else {
            now()
        };
        let put = shared.queue().put(notice, now(), due);
        match put {
            Ok(()) => shared.wake.notify_one(),
            Err(error) => {
                shared.metrics.action(notice.kind.name(), "dropped");
                tracing::error!(
                    item = notice.path,
                    "{}: `{}` is not told: {error}",
                    notice.kind.name(),
                    shown(&notice.target)
                );
            }
        }
        shared.count();
    }

    /// How many notices wait.
    pub(super) fn waiting(&self) -> usize {
        self.shared.queue().len().unwrap_or(0)
    }

    /// Begins nothing more but what would be lost: what is in a file is sent after the next start.
    pub(super) fn end(&self) {
        self.shared.closing.cancel();
        self.shared.wake.notify_one();
    }
}

impl Shared {
    /// The queue; the one of the settings as soon as it can be had.
    fn queue(&self) -> Arc<Queue> {
        let mut held = lock(&self.queue);
        if let Some(path) = &held.missing
            && let Ok(queue) = Queue::open(path)
        {
            let queue = Arc::new(queue);
            self.take_over(&queue);
            // what waits in memory is sent from there before its queue goes
            if held.queue.len().unwrap_or(0) == 0 {
                tracing::info!("the queue of notices is free now: notices are kept in it");
                held.queue = queue;
                held.missing = None;
            }
        }
        Arc::clone(&held.queue)
    }

    /// What a killed server was in the middle of.
    fn take_over(&self, queue: &Queue) {
        let again = self.settings.at_least_once;
        match queue.left_over(again) {
            Ok(found) => {
                for (channel, count) in found {
                    let then = if again {
                        "sent again"
                    } else {
                        "not sent again, since they may have arrived"
                    };
                    let kind = channel.split(':').next().unwrap_or_default();
                    if !again {
                        for _ in 0..count {
                            self.metrics.action(kind, "unknown");
                        }
                    }
                    tracing::warn!(
                        "{count} notices for `{}` were being sent when the server was killed; they are {then}",
                        shown(&channel)
                    );
                }
            }
            Err(error) => tracing::error!("{error}"),
        }
    }

    fn count(&self) {
        let waiting = self.queue().len().unwrap_or(0);
        self.metrics
            .notices
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Sends what is due, until the end.
    async fn run(self: &Arc<Self>, deliver: &Arc<dyn Deliver>, tasks: &TaskTracker) {
        loop {
            let next = match self.begin(deliver, tasks) {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!("{error}");
                    Some(Instant::now() + FIRST_RETRY)
                }
            };
            if self.closing.is_cancelled() && self.is_finished() {
                return;
            }
            let next = match (next, lock(&self.queue).missing.is_some()) {
                (next, true) => {
                    let look = Instant::now() + LOCKED;
                    Some(next.map_or(look, |next| next.min(look)))
                }
                (next, false) => next,
            };
            match next {
                Some(next) => tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep_until(next) => {}
                },
                None => self.wake.notified().await,
            }
        }
    }

    fn is_finished(&self) -> bool {
        let queue = self.queue();
        lock(&self.busy).is_empty() && (queue.is_durable() || queue.len().unwrap_or(0) == 0)
    }

    /// Begins whatever has its turn; gives the time of the next.
    fn begin(
        self: &Arc<Self>,
        deliver: &Arc<dyn Deliver>,
        tasks: &TaskTracker,
    ) -> Result<Option<Instant>, QueueError> {
        let queue = self.queue();
        let closing = self.closing.is_cancelled();
        if closing && queue.is_durable() {
            return Ok(None);
        }
        let (time, instant) = (now(), Instant::now());
        let mut next: Option<Instant> = None;
        let mut earliest = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        for due in queue.due()? {
            if lock(&self.busy).contains(&due.channel) {
                continue;
            }
            if due.at > time && !closing {
                let wait = u64::try_from(due.at - time).unwrap_or(0);
                earliest(instant + Duration::from_millis(wait));
                continue;
            }
            let turn = lock(&self.limiter).take(&due.channel, instant);
            let held = match turn {
                Turn::Now { held } => held,
                // at the end everything goes at once
                Turn::At(_) if closing => true,
                Turn::At(at) => {
                    earliest(at);
                    continue;
                }
            };
            let is_for_people = !due.channel.starts_with("webhook:");
            let singly = match (is_for_people, held || closing) {
                (true, true) => 1,
                (true, false) => self.settings.group_over,
                (false, _) => usize::MAX,
            };
            // what has come since the first of it comes along
            let until = match (closing, is_for_people) {
                (true, _) => i64::MAX,
                (false, true) => time.saturating_add(milliseconds(self.settings.collect)),
                (false, false) => time,
            };
            let most = if is_for_people { MOST_TOGETHER } else { 1 };
            let taken = queue.take(&due.channel, until, singly, most)?;
            if taken.is_empty() {
                continue;
            }
            lock(&self.busy).insert(due.channel.clone());
            let (shared, deliver) = (Arc::clone(self), Arc::clone(deliver));
            let queue = Arc::clone(&queue);
            tasks.spawn(async move {
                shared.send(&*deliver, &queue, taken).await;
                lock(&shared.busy).remove(&due.channel);
                shared.count();
                shared.wake.notify_one();
            });
        }
        Ok(next)
    }

    /// Sends some notices of one channel as one message, and does with them what follows.
    async fn send(&self, deliver: &dyn Deliver, queue: &Queue, taken: Vec<Waiting>) {
        let Some(first) = taken.first() else { return };
        let kind = first.notice.kind;
        let what = format!("{}: `{}`", kind.name(), shown(&first.notice.target));
        let notices: Vec<Notice> = taken.iter().map(|one| one.notice.clone()).collect();
        let sent = match self.message(&notices) {
            Ok(message) => {
                let outgoing = Outgoing {
                    kind,
                    target: first.notice.target.clone(),
                    subject: message.subject,
                    body: message.body,
                    id: format!("{}-{}", first.made, first.id),
                };
                deliver.deliver(outgoing).await
            }
            Err(why) => Err(ActionError::Failed(why)),
        };
        let ids: Vec<i64> = taken.iter().map(|one| one.id).collect();
        let item = first.notice.path.as_str();
        let count = ids.len();
        let (result, then) = match sent {
            Ok(()) => {
                tracing::info!(item, count, "{what} done");
                ("done", None)
            }
            Err(ActionError::Later { why, after }) => {
                self.judge(first, &what, &why, after.unwrap_or_default())
            }
            Err(ActionError::Unknown(why)) if self.settings.at_least_once => {
                self.judge(first, &what, &why, Duration::ZERO)
            }
            Err(ActionError::Unknown(why)) => {
                tracing::error!(
                    item,
                    count,
                    "{what}: {why}; it may have arrived, so it is not sent again"
                );
                ("unknown", None)
            }
            Err(error @ ActionError::Refused(_)) => {
                tracing::warn!(item, count, "{what}: {error}");
                ("refused", None)
            }
            Err(error @ ActionError::Failed(_)) => {
                tracing::error!(item, count, "{what}: {error}");
                ("failed", None)
            }
        };
        let settled = match then {
            Some(wait) => queue.again(&ids, now() + milliseconds(wait)),
            None => queue.remove(&ids),
        };
        if let Err(error) = settled {
            tracing::error!(item, "{what}: {error}");
        }
        let times = if then.is_some() { 1 } else { count };
        for _ in 0..times {
            self.metrics.action(kind.name(), result);
        }
    }

    fn message(&self, notices: &[Notice]) -> Result<Message, String> {
        if let [only] = notices
            && only.kind == NoticeKind::Webhook
            && !self.templates.has_own_body(only)
        {
            return Ok(Message {
                subject: String::new(),
                body: only.body.clone(),
            });
        }
        self.templates.message(notices)
    }

    /// Whether something that was not taken is tried again, and when.
    fn judge(
        &self,
        first: &Waiting,
        what: &str,
        why: &str,
        at_least: Duration,
    ) -> (&'static str, Option<Duration>) {
        let item = first.notice.path.as_str();
        let age = Duration::from_millis(u64::try_from(now() - first.made).unwrap_or(0));
        if age > self.settings.give_up {
            tracing::error!(
                item,
                "{what}: {why}; given up after {} tries",
                first.attempts + 1
            );
            return ("failed", None);
        }
        let factor = 1_u32.checked_shl(first.attempts).unwrap_or(u32::MAX);
        let wait = FIRST_RETRY
            .saturating_mul(factor)
            .min(LONGEST_RETRY)
            .max(at_least.min(self.settings.give_up));
        tracing::warn!(item, "{what}: {why}; tried again in {} s", wait.as_secs());
        ("retried", Some(wait))
    }
}

#[cfg(test)]
mod tests;
