//! Telling readers, in this process and in others, that something was written.
//!
//! Whoever has written reads one byte of a small file that all watch with inotify (`inotify(7)`, `IN_ACCESS`): that
//! costs no disk and works on a full one. Where the kernel gives no more watches, the database's own change counter is
//! looked at some times a second.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::inotify;
use tokio::sync::watch;

use super::file;
use crate::Error;

/// How often there is a look where watching is not possible.
const LOOK: Duration = Duration::from_millis(20);

/// The watched file and those who wait.
#[derive(Debug)]
pub(super) struct Wake {
    path: PathBuf,
    file: fs_err::File,
    watcher: Option<OwnedFd>,
    changed: watch::Sender<()>,
    stopped: AtomicBool,
}

impl Wake {
    pub(super) fn new(folder: &Path) -> Result<Wake, Error> {
        let path = folder.join("wake");
        let making = |error: std::io::Error| Error::Failed {
            doing: format!("making `{}`", path.display()),
            cause: error.to_string(),
            hint: Some(format!("ls -la {}", folder.display())),
        };
        let mut options = fs_err::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(making)?;
        // One byte, so that reading it is an access.
        rustix::io::pwrite(&file, b"\n", 0).map_err(|error| making(error.into()))?;
        let watcher = inotify::init(inotify::CreateFlags::CLOEXEC).and_then(|watcher| {
            inotify::add_watch(&watcher, &path, inotify::WatchFlags::ACCESS)?;
            Ok(watcher)
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(
                    "cannot watch `{}`: {error}; looking {} times a second instead (hint: sysctl fs.inotify)",
                    path.display(),
                    1000 / LOOK.as_millis()
                );
            })
            .ok();
        Ok(Wake {
            path,
            file,
            watcher,
            changed: watch::Sender::new(()),
            stopped: AtomicBool::new(false),
        })
    }

    /// Something was written.
    pub(super) fn all(&self) {
        let read = rustix::io::pread(&self.file, &mut [0; 1], 0);
        if read.is_err() || self.watcher.is_none() {
            self.changed.send_replace(());
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.all();
    }

    /// The watching thread.
    pub(super) fn run(&self) {
        match &self.watcher {
            Some(watcher) => self.watch(watcher),
            None => self.look(),
        }
    }

    fn watch(&self, watcher: &OwnedFd) {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(watcher, &mut buffer);
        loop {
            let event = events.next().map(|_| ());
            if self.stopped.load(Ordering::Acquire) {
                return;
            }
            match event {
                Ok(()) | Err(rustix::io::Errno::INTR) => {
                    self.changed.send_replace(());
                }
                Err(error) => {
                    tracing::warn!(
                        "watching `{}` failed: {error}; looking at it in intervals",
                        self.path.display()
                    );
                    return self.look();
                }
            }
        }
    }

    fn look(&self) {
        let connection = file::connect(
            &self.path.with_file_name(file::FILE_NAME),
            file::Durability::Lazy,
        );
        let mut before = 0_i64;
        while !self.stopped.load(Ordering::Acquire) {
            std::thread::sleep(LOOK);
            // A counter of this connection that changes with every commit of others.
            let version = connection.as_ref().ok().and_then(|connection| {
                connection
                    .pragma_query_value(None, "data_version", |row| row.get(0))
                    .ok()
            });
            if version.is_none_or(|version| version != before) {
                before = version.unwrap_or_default();
                self.changed.send_replace(());
            }
        }
    }
}
