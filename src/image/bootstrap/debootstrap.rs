//! Running `debootstrap`: root, its own mount and process namespaces where the kernel allows them, so that
//! nothing of it outlives it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::{Plan, stopped};
use crate::source::FetchContext;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Where programs for root are, whatever the caller's own search path says.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where `debootstrap` keeps one script per release.
const SCRIPTS: &str = "/usr/share/debootstrap/scripts";
/// Lines of its output that an error shows.
const SHOWN_LINES: usize = 12;
/// Makes mounts and processes of the installation vanish with it, and it with us even if we are killed.
const NAMESPACES: [&str; 9] = [
    "setpriv",
    "--pdeathsig=KILL",
    "unshare",
    "--mount",
    "--propagation=private",
    "--pid",
    "--fork",
    "--kill-child=SIGKILL",
    "--",
];

/// The program on this machine.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
}

impl Program {
    /// Finds it, and checks that it can work.
    pub(super) fn find() -> CommandResult<Self> {
        let path = SEARCH_PATH
            .split(':')
            .map(|folder| Path::new(folder).join("debootstrap"))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                CommandError::new(
                    ErrorKind::Unsupported,
                    "the program `debootstrap` is needed to install a distribution and was not found",
                )
                .hint("install it, on Debian and Ubuntu with `apt-get install debootstrap`")
                .hint("or pull an image where a registry is reachable, and name it as `[images] base` in `ioc.toml`")
            })?;
        if !rustix::process::geteuid().is_root() {
            return Err(CommandError::new(
                ErrorKind::Unsupported,
                "only root can install a distribution into a folder",
            )
            .hint("run it as `sudo ioc image bootstrap`, or load an image that root made elsewhere (`docker save`, `docker load`)"));
        }
        Ok(Self { path })
    }

    /// Installs the smallest useful set of packages into `root`.
    pub(super) async fn run(
        &self,
        plan: &Plan,
        context: &FetchContext,
        root: &Path,
        step: &(dyn Fn(&str) + Send + Sync),
    ) -> CommandResult<()> {
        let namespaces = can_separate().await;
        let mut command = self.command(plan, context, root, namespaces)?;
        let mut child = command
            .spawn()
            .map_err(|cause| CommandError::system(cause, "failed to start `debootstrap`"))?;
        let (sender, mut lines) = mpsc::channel::<String>(64);
        forward(child.stdout.take(), sender.clone());
        forward(child.stderr.take(), sender);
        let mut kept: VecDeque<String> = VecDeque::new();
        let status = loop {
            tokio::select! {
                () = context.cancel.cancelled() => {
                    kill(&mut child).await?;
                    return Err(stopped());
                }
                line = lines.recv() => {
                    let Some(line) = line else {
                        break child.wait().await;
                    };
                    if let Some(text) = line.strip_prefix("I: ") {
                        step(text);
                    }
                    kept.push_back(line);
                    if kept.len() > SHOWN_LINES {
                        kept.pop_front();
                    }
                }
            }
        };
        let status = status
            .map_err(|cause| CommandError::system(cause, "failed to wait for `debootstrap`"))?;
        if status.success() {
            return Ok(());
        }
        Err(failure(plan, root, &kept))
    }

    fn command(
        &self,
        plan: &Plan,
        context: &FetchContext,
        root: &Path,
        namespaces: bool,
    ) -> CommandResult<Command> {
        let mut command = if namespaces {
            let mut command = Command::new(NAMESPACES[0]);
            command.args(&NAMESPACES[1..]).arg(&self.path);
            command
        } else {
            Command::new(&self.path)
        };
        command.args(["--variant=minbase", "--merged-usr"]);
        if plan.mirror.starts_with("https://") {
            // apt in the image must be able to check the mirror's certificate
            command.arg("--include=ca-certificates");
        }
        command.arg(&plan.suite).arg(root).arg(&plan.mirror);
        if !Path::new(SCRIPTS).join(&plan.suite).exists() {
            // A release younger than this debootstrap: all of Debian's have the same script.
            command.arg(Path::new(SCRIPTS).join("sid"));
        }
        command
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The terminal's Ctrl-C comes to us, and we stop it.
            .process_group(0)
            .kill_on_drop(true);
        let above = root.parent().unwrap_or(root);
        if !can_make_devices(above) {
            // Tells debootstrap to mount devices of this machine instead of making them.
            command.env("container", "lxc");
        }
        if let Some(proxy) = &context.proxy {
            command.env("http_proxy", proxy).env("https_proxy", proxy);
            if let Some(no_proxy) = &context.no_proxy {
                command.env("no_proxy", no_proxy);
            }
        }
        if let Some(bundle) = &context.ca_bundle {
            let settings = above.join("wgetrc");
            let text = format!("ca_certificate = {}\n", bundle.display());
            fs_err::write(&settings, text)?;
            command.env("WGETRC", settings);
        }
        Ok(command)
    }
}

/// Ends the process group of the installation; what has left the group dies with its process namespace.
async fn kill(child: &mut Child) -> CommandResult<()> {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _all_ended_already =
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    child
        .wait()
        .await
        .map(|_status| ())
        .map_err(|cause| CommandError::system(cause, "failed to stop `debootstrap`"))
}

/// Whether this root may have namespaces of its own, which one inside of a container may not.
async fn can_separate() -> bool {
    let status = Command::new(NAMESPACES[0])
        .args(&NAMESPACES[1..])
        .arg("true")
        .env("PATH", SEARCH_PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    status.is_ok_and(|status| status.success())
}

/// Whether this root may make device files in a folder.
fn can_make_devices(folder: &Path) -> bool {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let path = folder.join("device");
    let made = mknodat(
        CWD,
        &path,
        FileType::CharacterDevice,
        Mode::RUSR,
        makedev(1, 3),
    );
    // A device on a file system that is mounted without devices cannot be opened.
    let usable = made.is_ok() && fs_err::File::open(&path).is_ok();
    if made.is_ok() {
        let _gone_with_the_folder = fs_err::remove_file(&path);
    }
    usable
}

/// Sends the lines of a stream until it ends.
fn forward(stream: Option<impl AsyncRead + Unpin + Send + 'static>, sender: mpsc::Sender<String>) {
    let Some(stream) = stream else {
        return;
    };
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
}

/// What went wrong, from its last lines and the log that it leaves in the folder.
fn failure(plan: &Plan, root: &Path, kept: &VecDeque<String>) -> CommandError {
    let log = fs_err::read(root.join("debootstrap/debootstrap.log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let said: Vec<&str> = kept
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with("I: "))
        .collect();
    let log: Vec<&str> = log.lines().collect();
    let log_tail = &log[log.len().saturating_sub(SHOWN_LINES)..];
    let text = [&said[..], log_tail].concat().join("\n    ");
    let error = CommandError::new(
        ErrorKind::Build,
        format!("installing `{}` failed", plan.suite),
    )
    .caused_by(if text.is_empty() {
        "debootstrap said nothing".to_owned()
    } else {
        text.clone()
    });
    if text.contains("No space left on device") {
        return error.hint("the disk is full; `IOC_CACHE_DIR` says where the folder for this is made, about 600 MB");
    }
    if text.contains("keyring") || text.contains("Release signed by unknown key") {
        return error.hint("the keys of this release are missing: `apt-get install debian-archive-keyring`, newer than the release");
    }
    if text.contains("Cannot install into target") {
        return error.hint("the folder must allow devices and programs: `IOC_CACHE_DIR` names one on a disk that is not mounted `nodev` or `noexec`");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_what_was_said_and_what_would_help() {
        let plan = Plan {
            suite: "trixie".to_owned(),
            mirror: "http://m/debian".to_owned(),
            image: "localhost/debian:trixie".to_owned(),
        };
        let root = tempfile::tempdir().unwrap();
        for (line, hint) in [
            (
                "tar: x: Cannot write: No space left on device",
                "disk is full",
            ),
            (
                "E: Release signed by unknown key (key id 1)",
                "debian-archive-keyring",
            ),
            (
                "E: Cannot install into target '/x' mounted with noexec or nodev",
                "nodev",
            ),
        ] {
            let kept = VecDeque::from(["I: Retrieving".to_owned(), line.to_owned()]);
            let error = failure(&plan, root.path(), &kept);
            assert_eq!(error.causes(), [line]);
            assert!(error.hints()[0].contains(hint), "{:?}", error.hints());
        }
        fs_err::create_dir(root.path().join("debootstrap")).unwrap();
        fs_err::write(
            root.path().join("debootstrap/debootstrap.log"),
            "dpkg: error\n",
        )
        .unwrap();
        let error = failure(&plan, root.path(), &VecDeque::new());
        assert_eq!(error.causes(), ["dpkg: error"]);
    }
}
