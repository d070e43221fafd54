//! Which backend a beamline has: where a cluster will plug in.
//!
//! Both backends share manifests, plans, release records and their decisions. What differs is where records are
//! kept, what takes the place of [`super::local`], and whether an instance can be watched from here.

use crate::project::Backend;
use crate::settings::Beamline;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Makes sure that the beamline is run by the local backend.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] for `backend = "kubernetes"`.
pub fn require_local(beamline: &Beamline) -> CommandResult<()> {
    match beamline.backend {
        Backend::Local => Ok(()),
        Backend::Kubernetes => Err(CommandError::new(
            ErrorKind::Unsupported,
            format!(
                "beamline `{}` has `backend = \"kubernetes\"`, which does not work yet",
                beamline.name
            ),
        )
        .hint("`backend = \"local\"` in `ioc.toml` runs its instances on this machine; `ioc render` prints the manifests for `kubectl apply`")),
    }
}
