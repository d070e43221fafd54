//! What fetching needs to know besides the source: cache, mirrors, certificates, proxy, and whom to tell.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::project::Mirror;
use crate::settings::Settings;

/// What happens while a source is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchProgress<'a> {
    /// The next step, in words: `cloning …`, `unpacking …`, `waiting for another ioc …`.
    Step(&'a str),
    /// Bytes received of a file, and how many there will be when the server says so.
    Received {
        /// So far.
        bytes: u64,
        /// In all.
        total: Option<u64>,
    },
}

/// Whom to tell about progress.
type Callback = Arc<dyn Fn(FetchProgress<'_>) + Send + Sync>;

/// What fetching needs to know besides the source.
#[derive(Clone)]
pub struct FetchContext {
    /// Folder for sources below the cache of `ioc`; made when needed.
    pub cache: PathBuf,
    /// Rewrite rules for the beginnings of URLs, first match wins.
    pub mirrors: Vec<Mirror>,
    /// Certificates in PEM form that are trusted in addition to those of the machine.
    pub ca_bundle: Option<PathBuf>,
    /// HTTP proxy.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// Mirror of Debian packages; without it apt's configuration of this machine is asked.
    pub debian_mirror: Option<String>,
    /// Never use the network: what is not in the cache is an error.
    pub offline: bool,
    /// Folder that local sources may not leave.
    pub project: PathBuf,
    /// Stops a fetch.
    pub cancel: CancellationToken,
    progress: Callback,
}

impl FetchContext {
    /// The context of a command; progress goes nowhere until [`Self::with_progress`].
    pub fn new(settings: &Settings, cancel: CancellationToken) -> Self {
        let fetch = &settings.fetch;
        Self {
            cache: settings.cache.join("sources"),
            mirrors: fetch.mirrors.clone(),
            ca_bundle: fetch.ca_bundle.clone(),
            proxy: fetch.proxy.clone(),
            no_proxy: fetch.no_proxy.clone(),
            debian_mirror: fetch.debian_mirror.clone(),
            offline: fetch.offline,
            project: settings
                .project
                .clone()
                .unwrap_or_else(|| settings.images.folder.clone()),
            cancel,
            progress: Arc::new(|_| {}),
        }
    }

    /// The same with somebody to tell about progress; one per source when several are fetched at once.
    #[must_use]
    pub fn with_progress(
        mut self,
        progress: impl Fn(FetchProgress<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Tells what happens.
    pub(crate) fn report(&self, progress: FetchProgress<'_>) {
        (self.progress)(progress);
    }

    /// Tells the next step.
    pub(crate) fn step(&self, step: &str) {
        self.report(FetchProgress::Step(step));
    }
}

impl fmt::Debug for FetchContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The proxy may carry a password.
        formatter
            .debug_struct("FetchContext")
            .field("cache", &self.cache)
            .field("mirrors", &self.mirrors)
            .field("ca_bundle", &self.ca_bundle)
            .field("offline", &self.offline)
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::source::SourceError;
    use crate::ui::error::CommandError;

    /// A cache and a project of a test, gone when it ends.
    pub(crate) struct Site {
        folder: tempfile::TempDir,
    }

    impl Site {
        pub(crate) fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs_err::create_dir(folder.path().join("project")).unwrap();
            Self { folder }
        }

        pub(crate) fn root(&self) -> &Path {
            self.folder.path()
        }

        pub(crate) fn project(&self) -> PathBuf {
            self.root().join("project")
        }

        pub(crate) fn context(&self) -> FetchContext {
            FetchContext {
                cache: self.root().join("cache"),
                mirrors: Vec::new(),
                ca_bundle: None,
                proxy: None,
                no_proxy: None,
                debian_mirror: None,
                offline: false,
                project: self.project(),
                cancel: CancellationToken::new(),
                progress: Arc::new(|_| {}),
            }
        }

        /// Unfinished things in the cache.
        pub(crate) fn work_left(&self) -> usize {
            fs_err::read_dir(self.root().join("cache/work")).map_or(0, Iterator::count)
        }

        /// Finished entries in the cache.
        pub(crate) fn trees(&self) -> usize {
            fs_err::read_dir(self.root().join("cache/trees")).map_or(0, Iterator::count)
        }
    }

    /// An error as a user sees it, with the folder of the test replaced.
    pub(crate) fn rendered(error: SourceError, site: &Site) -> String {
        let kind = error.kind();
        let error = CommandError::from(error);
        let mut text = format!("{} [{}]\n", error, kind.code());
        for cause in error.causes() {
            text.push_str(&format!("  cause: {cause}\n"));
        }
        for hint in error.hints() {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        let real = fs_err::canonicalize(site.root()).unwrap();
        text.replace(&real.display().to_string(), "SITE")
            .replace(&site.root().display().to_string(), "SITE")
    }
}
