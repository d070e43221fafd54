//! `cmd:`: programs of an allow-list, started without a shell.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::actions::{ActionError, SetupError};
use crate::settings::CommandSettings;

/// Starts programs.
pub(super) struct Programs {
    settings: CommandSettings,
    running: Semaphore,
}

impl Programs {
    pub(super) fn new(settings: CommandSettings) -> Result<Self, SetupError> {
        if let Some(relative) = settings.allowed.iter().find(|path| !path.is_absolute()) {
            return Err(SetupError::Program(relative.display().to_string()));
        }
        Ok(Self {
            running: Semaphore::new(settings.concurrency.max(1)),
            settings,
        })
    }

    /// Runs a program to its end; one that takes too long is killed.
    pub(super) async fn run(&self, program: &str, arguments: &[String]) -> Result<(), ActionError> {
        let program = Path::new(program);
        if !self
            .settings
            .allowed
            .iter()
            .any(|allowed| allowed == program)
        {
            return Err(ActionError::Refused(format!(
                "`{}` is not among the programs that this server may start",
                program.display()
            )));
        }
        let _one = self.running.acquire().await;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(
                self.settings
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .current_dir(&self.settings.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .process_group(0);
        let mut child = command
            .spawn()
            .map_err(|error| ActionError::Failed(format!("cannot be started: {error}")))?;
        match tokio::time::timeout(self.settings.timeout, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(ActionError::Failed(format!("ended with {status}"))),
            Ok(Err(error)) => Err(ActionError::Failed(error.to_string())),
            Err(_elapsed) => {
                // waits until it is gone, so that no more than allowed run at once
                let killed = child.kill().await;
                let note = killed
                    .err()
                    .map_or(String::new(), |error| format!(" ({error})"));
                Err(ActionError::Failed(format!(
                    "killed after {:?}{note}",
                    self.settings.timeout
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn programs(folder: &Path, allowed: &[&str], timeout: Duration) -> Programs {
        Programs::new(CommandSettings {
            allowed: allowed.iter().map(PathBuf::from).collect(),
            directory: folder.to_owned(),
            timeout,
            ..CommandSettings::default()
        })
        .unwrap()
    }

    #[tokio::test]
    async fn only_what_is_allowed_is_started_with_nothing_of_our_environment() {
        let folder = tempfile::tempdir().unwrap();
        let programs = programs(folder.path(), &["/bin/sh"], Duration::from_secs(20));
        let script = "env >seen; pwd >>seen; echo \"$@\" >>seen";
        let arguments = ["-c", script, "name", "a:b", "$HOME; id"].map(str::to_owned);
        programs.run("/bin/sh", &arguments).await.unwrap();
        let seen = fs_err::read_to_string(folder.path().join("seen")).unwrap();
        assert!(seen.contains("PATH=/usr/bin:/bin\n"), "{seen}");
        assert!(!seen.contains("HOME="), "{seen}");
        assert!(seen.ends_with("a:b $HOME; id\n"), "{seen}");
        assert!(seen.contains(folder.path().to_str().unwrap()), "{seen}");
        for refused in ["/bin/ls", "sh", "", "/bin/../bin/sh", "/bin/sh -c id"] {
            let error = programs.run(refused, &[]).await.unwrap_err();
            assert!(
                matches!(error, ActionError::Refused(_)),
                "{refused}: {error}"
            );
        }
        let error = programs
            .run("/bin/sh", &["-c".to_owned(), "exit 3".to_owned()])
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "ended with exit status: 3");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let programs = programs(folder.path(), &["/bin/sleep"], Duration::from_millis(50));
        let error = programs
            .run("/bin/sleep", &["600".to_owned()])
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "killed after 50ms");
    }

    #[test]
    fn relative_programs_cannot_be_allowed() {
        let settings = CommandSettings {
            allowed: vec![PathBuf::from("say")],
            ..CommandSettings::default()
        };
        assert!(Programs::new(settings).is_err());
    }
}
