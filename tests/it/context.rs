//! A hermetic place to run `ioc` in: own home, cache, state and project, no inherited environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The repository that is being tested.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of its own with `home/`, `cache/`, `state/` and `project/`.
pub(crate) struct TestContext {
    root: TempDir,
    variables: Vec<(String, String)>,
}

impl TestContext {
    /// An empty project without `ioc.toml`.
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("ioc-it-")
            .tempdir()
            .unwrap();
        for folder in ["home", "cache", "state", "project"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self {
            root,
            variables: Vec::new(),
        }
    }

    /// Sets an environment variable for the commands that follow.
    #[expect(dead_code, reason = "for the tests that need an engine")]
    pub(crate) fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.variables.push((key.to_owned(), value.into()));
        self
    }

    /// The project folder, where commands run.
    pub(crate) fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    /// The state folder of the local backend.
    #[expect(dead_code, reason = "for the end-to-end tests")]
    pub(crate) fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// Writes a file of the project, with the folders above it.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.project().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Makes a symbolic link in the project.
    #[expect(dead_code, reason = "for the tests of services repositories")]
    pub(crate) fn symlink(&self, target: &str, path: &str) {
        let path = self.project().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// The command line, ready to be run or changed further.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ioc"));
        command
            .args(arguments)
            .current_dir(self.project())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env("IOC_CACHE_DIR", self.root.path().join("cache"))
            .env("IOC_STATE_DIR", self.root.path().join("state"))
            .env("IOC_USER", "tester")
            .env("NO_COLOR", "1")
            .stdin(std::process::Stdio::null());
        for (key, value) in &self.variables {
            command.env(key, value);
        }
        command
    }

    /// Runs `ioc` and gives exit code, standard output and standard error as one text for a snapshot, with
    /// everything that differs from run to run replaced.
    #[must_use = "snapshot the text or look at it"]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.report(&self.command(arguments).output().unwrap())
    }

    /// Runs `ioc`, which must succeed, and gives standard output.
    #[expect(dead_code, reason = "for the end-to-end tests")]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "`ioc {}` failed:\n{}",
            arguments.join(" "),
            self.report(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn report(&self, output: &Output) -> String {
        let code = output
            .status
            .code()
            .map_or("killed".to_owned(), |code| code.to_string());
        let mut text = format!("exit code: {code}\n");
        for (title, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                text.push_str(&format!("----- {title} -----\n"));
                text.push_str(&self.filtered(&String::from_utf8_lossy(bytes)));
            }
        }
        text
    }

    /// Replaces the folders of this run by names.
    fn filtered(&self, text: &str) -> String {
        text.replace(&self.root.path().display().to_string(), "[ROOT]")
            .replace(&repository().display().to_string(), "[REPOSITORY]")
    }
}
