//! The control API: HTTP with JSON, described in `docs/alarm-api.md` and by the document it serves at `/openapi.json`.
//!
//! Handlers ask the task that owns the logic ([`crate::shell::request`]) and answer; they hold no state of their own.

pub mod auth;
mod configuration;
mod events;
pub(crate) mod forward;
mod health;
mod items;
mod operations;
mod problem;
mod routes;
mod serve;

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::settings::ApiSettings;
use crate::shell::lead::Standing;
use crate::shell::readiness::Readiness;
use crate::shell::request::Request;
use crate::stream::Stream;

pub use problem::Problem;
pub use routes::{Route, routes};
pub use serve::{Listening, bind};

/// How the log is set at run time; whoever starts the server has it.
pub trait LogControl: Send + Sync {
    /// What is logged now, such as `info,ca=debug`.
    fn filter(&self) -> String;

    /// Logs something else from now on; the error is for people.
    fn set_filter(&self, filter: &str) -> Result<(), String>;
}

/// What handlers share.
#[derive(Clone)]
pub struct Api {
    pub(crate) settings: Arc<ApiSettings>,
    /// Name of the configuration.
    pub(crate) configuration: Arc<String>,
    /// Held while a configuration is applied.
    pub(crate) applying: Arc<tokio::sync::Mutex<()>>,
    pub(crate) access: Arc<auth::Access>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) log: Option<Arc<dyn LogControl>>,
    /// Passes requests on while this server stands by, if the replicas reach each other.
    pub(crate) forward: Option<forward::Forward>,
    pub(crate) standing: tokio::sync::watch::Receiver<Standing>,
    pub(crate) stop: CancellationToken,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Api").finish_non_exhaustive()
    }
}

/// How long the owner of the logic may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

impl Api {
    /// Asks the task that owns the logic.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(tokio::sync::oneshot::Sender<T>) -> Request,
    ) -> Result<T, Problem> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let asked = async {
            self.requests
                .send(request(sender))
                .await
                .map_err(|_gone| Problem::ending())?;
            receiver.await.map_err(|_gone| Problem::ending())
        };
        tokio::time::timeout(ANSWER, asked)
            .await
            .map_err(|_elapsed| Problem::busy())?
    }
}
