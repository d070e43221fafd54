//! `path:` sources: a folder of the project, copied into the cache without what builds leave in it.
//!
//! The copy is what is hashed and what is built, so an edit while a build runs changes neither.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::cache::{Cache, digest};
use super::error::writing;
use super::tree::{self, EntryKind};
use super::unpack::set_mode;
use super::{FetchContext, Fetched, Identity, IdentityKind, SourceError};

/// Most entries that a local source may have: more than any support module, fewer than a home folder.
const MOST_ENTRIES: usize = 250_000;

/// Copies a folder of the project into the cache.
pub(crate) async fn fetch(path: &Path, context: &FetchContext) -> Result<Fetched, SourceError> {
    let cache = Cache::new(context);
    let (folder, project) = resolve(path, &context.project)?;
    let work = cache.work()?;
    let copy = work.path().join("tree");
    let shown = path
        .strip_prefix(&context.project)
        .unwrap_or(path)
        .to_path_buf();
    let task = tokio::task::spawn_blocking(move || {
        copy_tree(&folder, &project, &copy)?;
        tree::hash(&copy).map_err(|cause| SourceError::io("read a local source", cause))
    });
    let hash = task
        .await
        .map_err(|cause| SourceError::io("copy a local source", cause.into()))??;
    if context.cancel.is_cancelled() {
        return Err(SourceError::Cancelled);
    }
    let key = format!("content-{}", digest(&hash));
    let _lock = cache.lock(&key, context).await?;
    if let Some(fetched) = cache.get(&key) {
        cache.touch(&key)?;
        return Ok(fetched);
    }
    cache.sweep_copies("content-");
    let identity = Identity {
        kind: IdentityKind::Content,
        value: hash,
        description: format!("folder {}", shown.display()),
    };
    cache.put(&key, work, identity)
}

/// The real folder of a source and of the project.
fn resolve(path: &Path, project: &Path) -> Result<(PathBuf, PathBuf), SourceError> {
    let refused = |why: String| SourceError::Path {
        path: path.to_path_buf(),
        why,
    };
    let project = fs_err::canonicalize(project).map_err(|cause| refused(cause.to_string()))?;
    let folder = fs_err::canonicalize(project.join(path)).map_err(|cause| {
        if cause.kind() == std::io::ErrorKind::NotFound {
            refused("there is no such folder".to_owned())
        } else {
            refused(cause.to_string())
        }
    })?;
    if !folder.is_dir() {
        return Err(refused("it is not a folder".to_owned()));
    }
    if !folder.starts_with(&project) || folder == project {
        return Err(refused(format!(
            "it does not lie inside of the project `{}`",
            project.display()
        )));
    }
    Ok((folder, project))
}

/// What builds and editors leave: not part of a source.
fn is_left_out(name: &OsStr) -> bool {
    name == ".git" || name.as_bytes().starts_with(b"O.")
}

/// Folders at the top of an EPICS module into which its build installs.
const INSTALLED: [&str; 7] = ["bin", "cfg", "db", "dbd", "html", "include", "lib"];

/// Whether a path is something that a build in the working copy installed, or that says where modules are on
/// this machine. Only an EPICS top has such folders: elsewhere `db` or `include` is source.
fn is_built(path: &Path, is_epics_top: bool) -> bool {
    let mut parts = path.iter().filter_map(OsStr::to_str);
    let first = parts.next();
    is_epics_top
        && (first.is_some_and(|first| INSTALLED.contains(&first))
            || (first == Some("configure")
                && matches!(parts.next(), Some("RELEASE.local" | "CONFIG_SITE.local"))))
}

fn copy_tree(folder: &Path, project: &Path, copy: &Path) -> Result<(), SourceError> {
    let is_epics_top = folder.join("configure/RULES_TOP").is_file();
    let refused = |path: PathBuf, why: String| SourceError::Path { path, why };
    let entries = tree::entries_without(folder, is_left_out)
        .map_err(|cause| refused(folder.to_path_buf(), cause.to_string()))?;
    if entries.len() > MOST_ENTRIES {
        let why = format!("it has {} files, is it the right folder?", entries.len());
        return Err(refused(folder.to_path_buf(), why));
    }
    fs_err::create_dir_all(copy).map_err(writing(copy))?;
    for entry in entries {
        if is_built(Path::new(&entry.path), is_epics_top) {
            continue;
        }
        let from = folder.join(&entry.path);
        let to = copy.join(&entry.path);
        match entry.kind {
            EntryKind::Folder => fs_err::create_dir(&to).map_err(writing(&to))?,
            EntryKind::File { executable } => copy_file(&from, &to, executable)?,
            EntryKind::Link { target } => copy_link(folder, project, &from, &to, &target)?,
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, executable: bool) -> Result<(), SourceError> {
    fs_err::copy(from, to).map_err(writing(to))?;
    set_mode(to, executable)
}

/// A link inside the folder stays a link; one to a file elsewhere in the project becomes that file, because
/// its target will not be beside it in the build; anything else is refused.
fn copy_link(
    folder: &Path,
    project: &Path,
    from: &Path,
    to: &Path,
    target: &Path,
) -> Result<(), SourceError> {
    let refused = |why: &str| SourceError::Path {
        path: from.to_path_buf(),
        why: format!("it is a symbolic link to `{}`, {why}", target.display()),
    };
    let real = fs_err::canonicalize(from).map_err(|_dangling| refused("which does not exist"))?;
    if !real.starts_with(project) {
        return Err(refused("which lies outside of the project"));
    }
    if real.starts_with(folder) {
        if target.is_absolute() {
            return Err(refused(
                "an absolute name that means nothing in the build; make it relative",
            ));
        }
        return fs_err::os::unix::fs::symlink(target, to).map_err(writing(to));
    }
    let metadata = fs_err::metadata(&real).map_err(writing(&real))?;
    if !metadata.is_file() {
        return Err(refused("a folder outside of the source"));
    }
    let executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    copy_file(&real, to, executable)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::context::tests::{Site, rendered};
    use super::*;

    fn module(site: &Site) -> PathBuf {
        let folder = site.project().join("modules/simplant");
        fs_err::create_dir_all(folder.join("src")).unwrap();
        fs_err::write(folder.join("src/plant.c"), "int x;").unwrap();
        folder
    }

    #[tokio::test]
    async fn build_products_do_not_count_and_edits_do() {
        let site = Site::new();
        let folder = module(&site);
        let source = Path::new("modules/simplant");
        let first = fetch(source, &site.context()).await.unwrap();
        for product in ["src/O.linux-x86_64", "O.Common", ".git"] {
            fs_err::create_dir_all(folder.join(product)).unwrap();
            fs_err::write(folder.join(product).join("x.o"), "o").unwrap();
        }
        let again = fetch(&folder, &site.context()).await.unwrap();
        assert_eq!(again, first);
        assert!(!again.tree.join("O.Common").exists());
        fs_err::write(folder.join("src/plant.c"), "int y;").unwrap();
        let edited = fetch(source, &site.context()).await.unwrap();
        assert_ne!(edited.identity.value, first.identity.value);
        let before = fs_err::read_to_string(first.tree.join("src/plant.c")).unwrap();
        assert_eq!(before, "int x;", "a tree in the cache never changes");
        assert_eq!(site.work_left(), 0);
    }

    #[tokio::test]
    async fn copies_that_nobody_uses_go_away() {
        let site = Site::new();
        let folder = module(&site);
        let mut trees = Vec::new();
        for text in ["one", "two"] {
            fs_err::write(folder.join("src/plant.c"), text).unwrap();
            trees.push(fetch(&folder, &site.context()).await.unwrap().tree);
        }
        for tree in &trees {
            let two_days_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(48);
            let entry = fs_err::File::open(tree.parent().unwrap()).unwrap();
            entry.file().set_modified(two_days_ago).unwrap();
        }
        // The second one is used again, a third one is made: only the first one was of no use.
        fetch(&folder, &site.context()).await.unwrap();
        fs_err::write(folder.join("src/plant.c"), "three").unwrap();
        fetch(&folder, &site.context()).await.unwrap();
        assert!(!trees[0].exists());
        assert!(trees[1].exists());
        assert_eq!(site.trees(), 2);
    }

    #[tokio::test]
    async fn links_inside_the_project_are_kept_or_copied() {
        let site = Site::new();
        let folder = module(&site);
        fs_err::write(site.project().join("common.db"), "record").unwrap();
        symlink("src/plant.c", folder.join("inside.c")).unwrap();
        symlink("../../common.db", folder.join("common.db")).unwrap();
        let tree = fetch(&folder, &site.context()).await.unwrap().tree;
        assert!(tree.join("inside.c").is_symlink());
        assert!(!tree.join("common.db").is_symlink());
        let text = fs_err::read_to_string(tree.join("common.db")).unwrap();
        assert_eq!(text, "record");
    }

    #[tokio::test]
    async fn what_leaves_the_project_is_refused() {
        let mut report = String::new();
        for (target, name) in [
            ("/etc/passwd", "a"),
            ("../../../secret", "a"),
            ("missing", "a"),
            ("../../folder", "a"),
        ] {
            let site = Site::new();
            let folder = module(&site);
            fs_err::write(site.root().join("secret"), "x").unwrap();
            fs_err::create_dir(site.project().join("folder")).unwrap();
            symlink(target, folder.join(name)).unwrap();
            let error = fetch(&folder, &site.context()).await.unwrap_err();
            report.push_str(&rendered(error, &site));
            assert_eq!(site.work_left(), 0);
        }
        let site = Site::new();
        let folder = module(&site);
        for path in [
            "..",
            "/etc",
            ".",
            "modules/none",
            "modules/simplant/src/plant.c",
        ] {
            let error = fetch(Path::new(path), &site.context()).await.unwrap_err();
            report.push_str(&rendered(error, &site));
        }
        let _pipe = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        let error = fetch(&folder, &site.context()).await.unwrap_err();
        report.push_str(&rendered(error, &site));
        insta::assert_snapshot!(report, @"
        local source `SITE/project/modules/simplant/a` cannot be used: it is a symbolic link to `/etc/passwd`, which lies outside of the project [3]
        local source `SITE/project/modules/simplant/a` cannot be used: it is a symbolic link to `../../../secret`, which lies outside of the project [3]
        local source `SITE/project/modules/simplant/a` cannot be used: it is a symbolic link to `missing`, which does not exist [3]
        local source `SITE/project/modules/simplant/a` cannot be used: it is a symbolic link to `../../folder`, a folder outside of the source [3]
        local source `..` cannot be used: it does not lie inside of the project `SITE/project` [3]
        local source `/etc` cannot be used: it does not lie inside of the project `SITE/project` [3]
        local source `.` cannot be used: it does not lie inside of the project `SITE/project` [3]
        local source `modules/none` cannot be used: there is no such folder [3]
        local source `modules/simplant/src/plant.c` cannot be used: it is not a folder [3]
        local source `SITE/project/modules/simplant` cannot be used: `SITE/project/modules/simplant/socket` is neither a file, a folder nor a symbolic link [3]
        ");
    }
}
