//! The local backend: pods as containers on the host network of this machine.
//!
//! [`specification`] is pure: a pod becomes what is asked of the engine. The others have the engine and the state
//! folder: [`folders`] and [`publish`] make what containers mount, [`preflight`] looks before anything changes,
//! [`act`] changes, [`observe`] looks afterwards.
//!
//! **Architecture invariant:** nothing here is resident. What has to happen while no `ioc` runs (starting after a
//! crash or a reboot) is asked of the engine when a container is made.

pub mod act;
pub mod check_now;
pub mod folders;
pub mod last_exit;
pub mod observe;
pub mod preflight;
pub mod publish;
pub mod specification;
pub mod story;

pub use act::Local;
