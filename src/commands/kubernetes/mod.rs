//! The verbs on a Kubernetes cluster: one file per verb, which its namesake in `commands` branches to.

mod acting;
pub(crate) mod attach;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod diff;
pub(crate) mod exec;
pub(crate) mod history;
pub(crate) mod logs;
pub(crate) mod move_instance;
pub(crate) mod preflight;
pub(crate) mod ps;
pub(crate) mod restart;
mod restart_lost;
pub(crate) mod rollback;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
