//! A hermetic place to run `ioc` in: own home, cache, state and project, no inherited environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use regex::Regex;
use tempfile::TempDir;

/// The repository that is being tested.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of its own with `home/`, `cache/`, `state/` and `project/`.
pub(crate) struct TestContext {
    root: TempDir,
    variables: Vec<(String, String)>,
    words: Vec<(String, String)>,
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
            words: Vec::new(),
        }
    }

    /// A project with the beamline `t02` and its instance `t02-ea-ioc-01`, as `ioc new` writes them, and no
    /// container engine.
    pub(crate) fn with_beamline() -> Self {
        let context = Self::new().without_engine();
        context.succeed(&["new", "beamline", "t02"]);
        context.succeed(&[
            "new",
            "instance",
            "t02-ea-ioc-01",
            "--image",
            "localhost/ioc-sim-runtime:latest",
        ]);
        context
    }

    /// Makes every command that needs a container engine fail at once.
    pub(crate) fn without_engine(self) -> Self {
        let socket = self.root.path().join("no-engine.sock");
        self.env("DOCKER_HOST", format!("unix://{}", socket.display()))
    }

    /// A project with a beamline `t02` and its one instance `t02-ea-ioc-01`, which has no findings.
    pub(crate) fn with_instance() -> Self {
        let context = Self::new();
        context.write(
            "generic-iocs/ioc-sim/image.yaml",
            "description: x\nbase: os\n",
        );
        context.succeed(&["new", "beamline", "t02"]);
        context.succeed(&["new", "instance", "t02-ea-ioc-01", "--image", "ioc-sim"]);
        context
    }

    /// Sets an environment variable for the commands that follow.
    pub(crate) fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.variables.push((key.to_owned(), value.into()));
        self
    }

    /// Shows `word` instead of `text` in every report: for what differs from run to run.
    pub(crate) fn shown_as(mut self, text: impl Into<String>, word: &str) -> Self {
        self.words.push((text.into(), word.to_owned()));
        self
    }

    /// The folder above all others.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The project folder, where commands run.
    pub(crate) fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    /// The state folder of the local backend.
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

    /// Makes a program of a shell script and gives its folder. A child writes it: what this process has open for writing
    /// another test may pass on to its own children, and then nobody can run it.
    pub(crate) fn program(&self, name: &str, script: &str) -> PathBuf {
        let folder = self.root.path().join("programs");
        std::fs::create_dir_all(&folder).unwrap();
        let text = self.root.path().join("script");
        std::fs::write(&text, format!("#!/bin/sh\n{script}")).unwrap();
        let installed = Command::new("install")
            .arg(&text)
            .arg(folder.join(name))
            .status()
            .unwrap();
        assert!(installed.success());
        folder
    }

    /// Adds to the end of a file of the project.
    pub(crate) fn append(&self, path: &str, text: &str) {
        let before = std::fs::read_to_string(self.project().join(path)).unwrap();
        self.write(path, before + text);
    }

    /// Replaces a text that occurs in a file of the project.
    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) {
        let before = std::fs::read_to_string(self.project().join(path)).unwrap();
        assert!(before.contains(from), "`{path}` has no `{from}`:\n{before}");
        self.write(path, before.replace(from, to));
    }

    /// Makes a symbolic link in the project.
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

    /// As [`Self::run`], for a command that must fail and must leave project and state as they were.
    #[must_use = "snapshot the text or look at it"]
    pub(crate) fn refuse(&self, arguments: &[&str]) -> String {
        let before = self.contents();
        let output = self.command(arguments).output().unwrap();
        let report = self.report(&output);
        assert!(!output.status.success(), "it was not refused:\n{report}");
        let after = self.contents();
        let changed: Vec<&PathBuf> = before
            .keys()
            .chain(after.keys())
            .filter(|path| before.get(*path) != after.get(*path))
            .collect();
        assert!(
            changed.is_empty(),
            "it was refused, but changed {changed:?}:\n{report}"
        );
        report
    }

    /// Runs `ioc`, which must succeed, and gives standard output.
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

    /// Runs `ioc -o json`, which must succeed, and gives what it printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let text = self.succeed(&[&["-o", "json"], arguments].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
    }

    /// What a command left behind as one text: exit code, standard output, standard error.
    pub(crate) fn report(&self, output: &Output) -> String {
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

    /// Replaces the folders of this run by names, and what [`Self::shown_as`] was told.
    pub(crate) fn filtered(&self, text: &str) -> String {
        let text = text
            .replace(&self.root.path().display().to_string(), "[ROOT]")
            .replace(&repository().display().to_string(), "[REPOSITORY]");
        self.words
            .iter()
            .fold(text, |text, (from, to)| text.replace(from.as_str(), to))
    }

    /// Every file, folder and link of project and state with what it holds; locks are nobody's concern.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.project(), self.state()];
        while let Some(path) = open.pop() {
            let kind = path.symlink_metadata().unwrap().file_type();
            let content = if kind.is_dir() {
                match std::fs::read_dir(&path) {
                    Ok(entries) => open.extend(entries.map(|entry| entry.unwrap().path())),
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
                }
                Vec::new()
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                target.into_os_string().into_encoded_bytes()
            } else if kind.is_file() {
                std::fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            found.insert(path, content);
        }
        // Folders that were prepared, locks and what running IOCs save are no change that a user would notice.
        let state = self.state();
        let is_noticed = |path: &Path, content: &[u8]| {
            !content.is_empty()
                && !path
                    .components()
                    .any(|part| matches!(part.as_os_str().to_str(), Some("locks" | "claims")))
        };
        found.retain(|path, content| !path.starts_with(&state) || is_noticed(path, content));
        found
    }
}

/// Replaces times, durations, ports and identifiers by words, for snapshots of what the real parts print.
pub(crate) fn without_times(text: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"sha256:[0-9a-f]{12,64}", "[DIGEST]"),
            (r"\b([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{12})\b", "[ID]"),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
            (
                r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?",
                "[TIME]",
            ),
            (r"\b\d+(\.\d+)? ?(ms|s|min|m|h|d)\b", "[DURATION]"),
            // the width of a column depends on what was replaced
            (r"(\S)  +", "$1  "),
        ]
        .into_iter()
        .map(|(pattern, word)| (Regex::new(pattern).unwrap(), word))
        .collect()
    });
    RULES.iter().fold(text.to_owned(), |text, (pattern, word)| {
        pattern.replace_all(&text, *word).into_owned()
    })
}
