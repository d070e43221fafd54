//! Git repositories of a test, with commits at times that the test says.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A git repository.
pub(crate) struct GitRepository {
    folder: PathBuf,
    second: std::cell::Cell<u64>,
}

impl GitRepository {
    /// Makes an empty one.
    pub(crate) fn new(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let repository = Self {
            folder,
            second: std::cell::Cell::new(1_790_000_000),
        };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `file://` URL.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// Runs git, which must succeed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let date = format!("{} +0000", self.second.get());
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@t",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .current_dir(&self.folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {arguments:?}: {text}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Writes a file with the folders above it.
    pub(crate) fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Makes a symbolic link, in place of what is there.
    pub(crate) fn link(&self, target: &str, path: &str) -> &Self {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.symlink_metadata().is_ok() {
            std::fs::remove_file(&path).unwrap();
        }
        std::os::unix::fs::symlink(target, path).unwrap();
        self
    }

    /// Commits everything, a minute after the commit before.
    pub(crate) fn commit(&self) -> &Self {
        self.second.set(self.second.get() + 60);
        self.commit_in_the_same_second()
    }

    /// Commits everything at the time of the commit before.
    pub(crate) fn commit_in_the_same_second(&self) -> &Self {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "x"]);
        self
    }

    /// Commits everything and tags it.
    pub(crate) fn release(&self, tag: &str) -> &Self {
        self.commit();
        self.git(&["tag", tag]);
        self
    }

    /// An instance in the layout of services repositories: chart and templates are links into `.helm-shared`.
    pub(crate) fn instance(&self, name: &str) -> &Self {
        self.write(&format!("services/{name}/values.yaml"), "a: 1\n")
            .write(&format!("services/{name}/config/st.cmd"), "iocInit\n")
            .link(
                "../../.helm-shared/Chart.yaml",
                &format!("services/{name}/Chart.yaml"),
            )
            .link(
                "../../.helm-shared/templates",
                &format!("services/{name}/templates"),
            )
    }

    /// What all instances share.
    pub(crate) fn shared(&self) -> &Self {
        self.write(
            ".helm-shared/Chart.yaml",
            "apiVersion: v2\nname: ec-service\nversion: 1.0.0\n",
        )
        .write(
            ".helm-shared/templates/config.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-config\ndata:\n  a: {{ .Values.a | quote }}\n  shared: {{ .Values.shared | quote }}\n",
        )
        .write("services/values.yaml", "shared: one\n")
    }
}
