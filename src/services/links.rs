//! Symbolic links inside a services repository: followed like Helm does, as long as they stay inside.
//!
//! A link that leaves the repository could put any file of the machine into a ConfigMap, and makes the
//! repository useless on every other machine.

use std::path::{Component, Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::services::error::ServicesError;
use crate::services::repository::Instance;

/// Deepest folder below an instance that is looked into; charts have about five levels.
const DEEPEST: usize = 24;

/// Most entries below an instance that are looked at.
const MOST_ENTRIES: usize = 20_000;

/// The real path of the repository, which links must not leave.
///
/// # Errors
///
/// The folder cannot be read.
pub fn root(instance: &Instance) -> Result<PathBuf, ServicesError> {
    instance.real_root()
}

/// Refuses a file that a link makes one from outside of the repository.
///
/// # Errors
///
/// The finding, or why the file cannot be read.
pub fn stays_inside(instance: &Instance, path: &Path) -> Result<(), ServicesError> {
    let target = match fs_err::canonicalize(path) {
        Ok(target) => target,
        Err(error) => match fs_err::read_link(path) {
            Ok(link) => {
                let message = format!("the symbolic link to `{}` leads nowhere", link.display());
                let finding = Diagnostic::error(message)
                    .in_file(path)
                    .hint("make the link again, relative to the folder that it is in");
                return Err(finding.into());
            }
            Err(_not_a_link) => return Err(error.into()),
        },
    };
    if target.starts_with(root(instance)?) {
        return Ok(());
    }
    Err(outside(path, &target).into())
}

/// A link that leaves the repository.
pub(super) fn outside(link: &Path, target: &Path) -> Diagnostic {
    Diagnostic::error(format!(
        "the symbolic link to `{}` leaves the services repository",
        target.display()
    ))
    .in_file(link)
    .hint("copy the file into the services repository")
}

/// The links of an instance that cannot be followed or lead out of the repository, each as an error.
pub fn findings(instance: &Instance) -> Vec<Diagnostic> {
    let root = match root(instance) {
        Ok(root) => root,
        Err(error) => return error.into_diagnostics(),
    };
    let mut walk = Walk {
        root,
        findings: Vec::new(),
        ancestors: Vec::new(),
        entries: 0,
    };
    walk.entry(instance.folder());
    walk.findings
}

struct Walk {
    root: PathBuf,
    findings: Vec<Diagnostic>,
    /// Real paths of the folders that are being looked into, to notice a link to one of them.
    ancestors: Vec<PathBuf>,
    entries: usize,
}

impl Walk {
    fn entry(&mut self, path: &Path) {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            if self.entries == MOST_ENTRIES + 1 {
                let message = format!("more than {MOST_ENTRIES} files in one instance");
                self.findings.push(Diagnostic::error(message).in_file(path));
            }
            return;
        }
        let Ok(metadata) = fs_err::symlink_metadata(path) else {
            return self.unreadable(path);
        };
        if metadata.is_symlink() {
            self.link(path);
        } else if metadata.is_dir() {
            self.folder(path);
        }
    }

    fn link(&mut self, path: &Path) {
        let Ok(target) = fs_err::read_link(path) else {
            return self.unreadable(path);
        };
        let shown = target.display();
        let Ok(real) = fs_err::canonicalize(path) else {
            let finding =
                Diagnostic::error(format!("the symbolic link to `{shown}` leads nowhere"))
                    .in_file(path)
                    .hint(if path.file_name().is_some_and(|name| name == "charts") {
                        "the charts that it depends on are not there: `ioc chart dependency build FOLDER` of the chart fetches them".to_owned()
                    } else {
                        self.relative_hint(&target)
                    });
            self.findings.push(finding);
            return;
        };
        if !real.starts_with(&self.root) || target.is_absolute() {
            let message = if target.is_absolute() && real.starts_with(&self.root) {
                format!(
                    "the symbolic link to `{shown}` is absolute and leads nowhere on other machines"
                )
            } else {
                format!("the symbolic link to `{shown}` leaves the services repository")
            };
            self.findings.push(
                Diagnostic::error(message)
                    .in_file(path)
                    .expected(format!(
                        "a relative link that stays below `{}`",
                        self.root.display()
                    ))
                    .hint(self.relative_hint(&target)),
            );
            return;
        }
        if self.ancestors.contains(&real) {
            self.findings.push(
                Diagnostic::error(format!(
                    "the symbolic link to `{shown}` leads back to a folder that holds it"
                ))
                .in_file(path)
                .hint("remove the link"),
            );
            return;
        }
        if real.is_dir() {
            self.folder(path);
        }
    }

    fn folder(&mut self, path: &Path) {
        let Ok(real) = fs_err::canonicalize(path) else {
            return self.unreadable(path);
        };
        if self.ancestors.len() >= DEEPEST {
            let message = format!("more than {DEEPEST} folders inside each other");
            self.findings.push(Diagnostic::error(message).in_file(path));
            return;
        }
        let Ok(entries) = fs_err::read_dir(path) else {
            return self.unreadable(path);
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        self.ancestors.push(real);
        for path in paths {
            self.entry(&path);
        }
        self.ancestors.pop();
    }

    fn unreadable(&mut self, path: &Path) {
        let reason = match fs_err::metadata(path).and_then(|metadata| {
            if metadata.is_dir() {
                fs_err::read_dir(path).map(drop)
            } else {
                Ok(())
            }
        }) {
            Err(error) => error.to_string(),
            Ok(()) => format!("failed to read `{}`", path.display()),
        };
        self.findings.push(
            Diagnostic::error(reason)
                .in_file(path)
                .hint("make it readable, or remove it"),
        );
    }

    fn relative_hint(&self, target: &Path) -> String {
        let last = target
            .components()
            .rev()
            .find_map(|component| match component {
                Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
                _ => None,
            });
        match last.filter(|name| self.root.join(".helm-shared").join(name).exists()) {
            Some(name) => format!("did you mean `../../.helm-shared/{name}`?"),
            None => "copy the file into the services repository".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::repository::Repository;

    /// The messages for an instance with one link `name -> target`.
    fn check(name: &str, target: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("repository");
        for file in [
            "repository/.helm-shared/Chart.yaml",
            "repository/.helm-shared/templates/ioc.yaml",
            "repository/services/a/Chart.yaml",
            "repository/services/a/config/st.cmd",
            "secret/key",
        ] {
            let path = folder.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(target, root.join("services/a").join(name)).unwrap();
        let repository = Repository::open(&root).unwrap();
        findings(repository.instance("a").unwrap())
            .into_iter()
            .map(|finding| format!("{} ({})", finding.message, finding.hint.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn links_inside_the_repository_are_followed() {
        assert_eq!(check("templates", "../../.helm-shared/templates"), [""; 0]);
        assert_eq!(check("config/more", "../../../.helm-shared"), [""; 0]);
    }

    #[test]
    fn links_that_leave_or_lead_nowhere_are_refused() {
        assert_eq!(
            check("config/key", "../../../../secret/key"),
            [
                "the symbolic link to `../../../../secret/key` leaves the services repository (copy the file into the services repository)"
            ]
        );
        assert_eq!(
            check("templates", "/etc"),
            [
                "the symbolic link to `/etc` leaves the services repository (copy the file into the services repository)"
            ]
        );
        assert_eq!(
            check("templates", "../.helm-shared/templates"),
            [
                "the symbolic link to `../.helm-shared/templates` leads nowhere (did you mean `../../.helm-shared/templates`?)"
            ]
        );
        assert_eq!(
            check("self", ".."),
            ["the symbolic link to `..` leads back to a folder that holds it (remove the link)"]
        );
    }
}
