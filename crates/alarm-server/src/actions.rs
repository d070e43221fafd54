//! Automated actions: mail, programs, writes to PVs, webhooks.
//!
//! When an action is due is decided by the logic; here it is done, at most once, without ever holding up the server:
//! what comes faster than it can be done waits in a bounded queue, and what does not fit is refused with a line in the
//! log and counted.

pub mod command;
pub mod mail;
pub mod put;
pub mod webhook;

use std::sync::Arc;

use alarm::server::{Act, What};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actions::command::Programs;
use crate::actions::mail::Mailer;
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
    /// It was tried.
    #[error("{0}")]
    Failed(String),
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
    /// A program of the allow-list has no absolute path.
    #[error("`{0}` is no absolute path; only absolute paths can be allowed for `cmd:`")]
    Program(String),
}

struct Shared {
    mailer: Option<Mailer>,
    programs: Programs,
    webhooks: Webhooks,
    puts: PutQueue,
    metrics: Arc<Metrics>,
    queue: Arc<Semaphore>,
    mails: Semaphore,
    calls: Semaphore,
}

/// Does actions.
pub struct Actions {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl std::fmt::Debug for Actions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Actions").finish_non_exhaustive()
    }
}

impl Actions {
    /// Reads the secrets that are needed; nothing is connected yet.
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
        let shared = Shared {
            mailer: settings.mail.as_ref().map(Mailer::new).transpose()?,
            programs: Programs::new(settings.commands.clone())?,
            webhooks: Webhooks::new(settings.webhooks.clone())?,
            puts: PutQueue::new(
                puts,
                settings.put_timeout,
                Arc::clone(&metrics),
                tasks.clone(),
                stop.clone(),
            ),
            metrics,
            queue: Arc::new(Semaphore::new(QUEUE)),
            mails: Semaphore::new(MAILS),
            calls: Semaphore::new(WEBHOOKS),
        };
        Ok(Self {
            shared: Arc::new(shared),
            tasks,
            stop,
        })
    }

    /// Writes a number to a PV, the newest if several come while one is under way, and until it works.
    pub fn put_number(&self, pv: &str, number: f64) {
        let value = PutValue::Number(number);
        self.shared.puts.put("sevrpv", pv, value, Patience::Endless);
    }

    /// Begins an action; returns at once.
    pub fn begin(&self, act: Act) {
        let item = act.path.to_string();
        let (kind, shown) = match act.what {
            What::WriteNumber { pv, number } => return self.put_number(&pv, number),
            What::WriteText { pv, text } => {
                let value = PutValue::Text(text);
                return self.shared.puts.put("infopv", &pv, value, INFO_PATIENCE);
            }
            What::Mail { ref to, .. } => ("mailto", shown(&to.join(","))),
            What::Run { ref program, .. } => ("cmd", shown(program)),
            What::Webhook { ref url, .. } => ("webhook", shown(url)),
            What::Slack { ref target, .. } => ("slack", shown(target)),
        };
        let Ok(permit) = Arc::clone(&self.shared.queue).try_acquire_owned() else {
            self.shared.metrics.action(kind, "dropped");
            tracing::error!(
                item,
                "{QUEUE} actions are waiting already; {kind} `{shown}` is not done"
            );
            return;
        };
        let shared = Arc::clone(&self.shared);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let _permit = permit;
            let done = tokio::select! {
                done = shared.act(act.what) => done,
                () = stop.cancelled() => Err(ActionError::Failed("the server ends".to_owned())),
            };
            let result = match &done {
                Ok(()) => "done",
                Err(ActionError::Refused(_)) => "refused",
                Err(ActionError::Failed(_)) => "failed",
            };
            shared.metrics.action(kind, result);
            match done {
                Ok(()) => tracing::info!(item, "{kind}: `{shown}` done"),
                Err(error) => tracing::warn!(item, "{kind}: `{shown}`: {error}"),
            }
        });
    }

    /// How many actions wait or are under way.
    pub fn waiting(&self) -> usize {
        QUEUE.saturating_sub(self.shared.queue.available_permits())
    }

    /// Waits for what is under way, then gives up on the rest when the future is dropped.
    pub async fn drain(&self) {
        self.tasks.close();
        self.shared.puts.end();
        self.tasks.wait().await;
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    async fn act(&self, what: What) -> Result<(), ActionError> {
        match what {
            What::Mail { to, subject, body } => {
                let Some(mailer) = &self.mailer else {
                    return Err(ActionError::Refused(
                        "no mail server is set for this alarm server".to_owned(),
                    ));
                };
                let _one = self.mails.acquire().await;
                mailer.send(&to, &subject, &body).await
            }
            What::Run { program, arguments } => self.programs.run(&program, &arguments).await,
            What::Webhook { url, body } => {
                let _one = self.calls.acquire().await;
                self.webhooks.call(&url, body).await
            }
            What::Slack { target, text } => {
                let _one = self.calls.acquire().await;
                self.webhooks.slack(&target, &text).await
            }
            What::WriteNumber { .. } | What::WriteText { .. } => Ok(()),
        }
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
