//! Automated actions: mail, chats, webhooks, programs, writes to PVs.
//!
//! When an action is due is decided by the logic; here it is done, at most once, without ever holding up the server:
//! what comes faster than it can be done waits in a bounded queue, and what does not fit is refused with a line in the
//! log and counted. What tells somebody goes through [`notify`].

pub mod command;
pub mod mail;
pub mod notify;
pub mod put;
pub mod webhook;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use alarm::server::{Act, What};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actions::command::Programs;
use crate::actions::mail::Mailer;
use crate::actions::notify::notice::Notice;
use crate::actions::notify::{Deliver, Kind, Notifier, Outgoing};
use crate::actions::put::{Patience, PutQueue};
use crate::actions::webhook::Webhooks;
use crate::metrics::Metrics;
use crate::pvs::{PutValue, Puts};
use crate::secrets::SecretError;
use crate::settings::Settings;

/// So many actions may wait or be under way.
const QUEUE: usize = 1000;
/// So many mails are under way at once.
const MAILS: usize = 2;
/// So many webhooks are under way at once.
const WEBHOOKS: usize = 4;
/// How long `infopv:` is tried again (alarm server of Phoebus: 30 s).
const INFO_PATIENCE: Patience = Patience::Seconds(30);

/// Why an action was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// The settings do not allow it.
    #[error("{0}")]
    Refused(String),
    /// It was tried, and there is no sense in trying it again.
    #[error("{0}")]
    Failed(String),
    /// It was surely not done; it can be tried again, `after` some time if whoever refused it has said so.
    #[error("{why}")]
    Later {
        /// Why not.
        why: String,
        /// Not before this has passed.
        after: Option<Duration>,
    },
    /// It may have been done or not.
    #[error("{0}")]
    Unknown(String),
}

/// Why actions cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A secret is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The mail settings make no sense.
    #[error("the mail settings cannot be used: {0}")]
    Mail(String),
    /// The HTTP client cannot be made.
    #[error("the client for webhooks cannot be made: {0}")]
    Webhook(String),
    /// Notices cannot be kept, or not be worded.
    #[error("{0}")]
    Notify(String),
    /// A program of the allow-list has no absolute path.
    #[error("`{0}` is no absolute path; only absolute paths can be allowed for `cmd:`")]
    Program(String),
}

struct Shared {
    programs: Programs,
    puts: PutQueue,
    metrics: Arc<Metrics>,
    queue: Arc<Semaphore>,
}

/// What notices are sent with.
struct Channels {
    mailer: Option<Mailer>,
    webhooks: Webhooks,
    mails: Semaphore,
    calls: Semaphore,
}

/// Does actions.
pub struct Actions {
    shared: Arc<Shared>,
    notifier: Notifier,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl std::fmt::Debug for Actions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Actions").finish_non_exhaustive()
    }
}

impl Actions {
    /// Reads the secrets that are needed, opens the queue of notices and begins to send what is in it.
    ///
    /// # Errors
    ///
    /// Settings that cannot be used.
    pub fn new(
        settings: &Settings,
        puts: Arc<dyn Puts>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, SetupError> {
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let channels = Channels {
            mailer: settings.mail.as_ref().map(Mailer::new).transpose()?,
            webhooks: Webhooks::new(settings.webhooks.clone())?,
            mails: Semaphore::new(MAILS),
            calls: Semaphore::new(WEBHOOKS),
        };
        let shared = Shared {
            programs: Programs::new(settings.commands.clone())?,
            puts: PutQueue::new(
                puts,
                settings.put_timeout,
                Arc::clone(&metrics),
                tasks.clone(),
                stop.clone(),
            ),
            metrics: Arc::clone(&metrics),
            queue: Arc::new(Semaphore::new(QUEUE)),
        };
        let notifier = Notifier::start(
            settings.notify.clone(),
            &settings.configuration,
            &settings.host,
            Arc::new(channels),
            metrics,
            &tasks,
            stop.clone(),
        )
        .map_err(SetupError::Notify)?;
        Ok(Self {
            shared: Arc::new(shared),
            notifier,
            tasks,
            stop,
        })
    }

    /// Writes a number to a PV, the newest if several come while one is under way, and until it works.
    pub fn put_number(&self, pv: &str, number: f64) {
        let value = PutValue::Number(number);
        self.shared.puts.put("sevrpv", pv, value, Patience::Endless);
    }

    /// Begins an action; returns at once. What tells somebody is in its queue then.
    pub fn begin(&self, act: Act) {
        for notice in Notice::of(&act) {
            self.notifier.tell(&notice);
        }
        match act.what {
            What::WriteNumber { pv, number } => self.put_number(&pv, number),
            What::WriteText { pv, text } => {
                let value = PutValue::Text(text);
                self.shared.puts.put("infopv", &pv, value, INFO_PATIENCE);
            }
            What::Run { program, arguments } => {
                self.run(act.path.to_string(), program, arguments);
            }
            What::Mail { .. } | What::Webhook { .. } | What::Chat { .. } => {}
        }
    }

    fn run(&self, item: String, program: String, arguments: Vec<String>) {
        let shown = shown(&program);
        let Ok(permit) = Arc::clone(&self.shared.queue).try_acquire_owned() else {
            self.shared.metrics.action("cmd", "dropped");
            tracing::error!(
                item,
                "{QUEUE} programs are waiting already; cmd `{shown}` is not done"
            );
            return;
        };
        let shared = Arc::clone(&self.shared);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let _permit = permit;
            let done = tokio::select! {
                done = shared.programs.run(&program, &arguments) => done,
                () = stop.cancelled() => Err(ActionError::Failed("the server ends".to_owned())),
            };
            let result = match &done {
                Ok(()) => "done",
                Err(ActionError::Refused(_)) => "refused",
                Err(_) => "failed",
            };
            shared.metrics.action("cmd", result);
            match done {
                Ok(()) => tracing::info!(item, "cmd: `{shown}` done"),
                Err(error) => tracing::warn!(item, "cmd: `{shown}`: {error}"),
            }
        });
    }

    /// How many actions wait or are under way.
    pub fn waiting(&self) -> usize {
        let programs = QUEUE.saturating_sub(self.shared.queue.available_permits());
        programs + self.notifier.waiting()
    }

    /// Waits for what is under way, then gives up on the rest when the future is dropped. Notices in a file stay there.
    pub async fn drain(&self) {
        self.tasks.close();
        self.shared.puts.end();
        self.notifier.end();
        self.tasks.wait().await;
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Deliver for Channels {
    fn deliver(
        &self,
        message: Outgoing,
    ) -> Pin<Box<dyn Future<Output = Result<(), ActionError>> + Send + '_>> {
        Box::pin(async move {
            if message.kind == Kind::Mailto {
                let Some(mailer) = &self.mailer else {
                    return Err(ActionError::Refused(
                        "no mail server is set for this alarm server".to_owned(),
                    ));
                };
                let _one = self.mails.acquire().await;
                return mailer.send(&message).await;
            }
            let _one = self.calls.acquire().await;
            self.webhooks.send(&message).await
        })
    }
}

/// A text of a configuration as it is logged: bounded, on one line. Parts of addresses that may be secrets are left out.
fn shown(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    let mut shown: String = text
        .chars()
        .take(120)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(120).is_some() {
        shown.push('…');
    }
    shown
}
