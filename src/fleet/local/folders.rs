//! Folders that containers of an instance mount: configuration files, claims, empty folders.
//!
//! Each generation of a pod (its name and the hash of its template) has a folder of its own, so that making the
//! next one ready does not touch what the running one reads. Claims are shared by generations and instances.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::fleet::local::publish;
use crate::fleet::store::Release;
use crate::fleet::store::atomic::create_folder;
use crate::fleet::workload::model::{Container, File, HostPathKind, Mount, Pod, Volume};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The folders of one generation of a pod.
#[derive(Debug, Clone)]
pub struct Folders {
    generation: PathBuf,
    claims: PathBuf,
}

/// Who owns a folder that is made for a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    /// User; `None` when only the image knows it by name.
    pub user: Option<u32>,
    /// Group.
    pub group: Option<u32>,
}

impl Folders {
    /// The folders of a pod.
    pub fn new(release: &Release, pod: &Pod) -> Self {
        Self {
            generation: release
                .pods_folder()
                .join(format!("{}-{}", pod.name, pod.hash)),
            claims: release.claims_folder(),
        }
    }

    /// The folder of the generation, for telling it from others.
    pub fn generation(&self) -> &Path {
        &self.generation
    }

    /// What a mount is bound to.
    pub fn source(&self, pod: &Pod, mount: &Mount) -> PathBuf {
        let base = match pod.volumes.get(&mount.volume) {
            // a part of a ConfigMap is a copy that does not change under the container, as on a cluster
            Some(Volume::Files(_)) if mount.sub_path.is_some() => {
                self.generation.join("parts").join(&mount.volume)
            }
            Some(Volume::Files(_)) | None => self.generation.join("files").join(&mount.volume),
            Some(Volume::Claim { name, .. }) => self.claims.join(name),
            Some(Volume::HostPath { path, .. }) => path.clone(),
            Some(Volume::Empty { .. }) => self.generation.join("empty").join(&mount.volume),
        };
        match &mount.sub_path {
            Some(part) => base.join(part),
            None => base,
        }
    }

    /// Makes everything that the containers of the pod mount.
    ///
    /// # Errors
    ///
    /// A full disk, permissions, or a symbolic link inside a claim where a folder should be.
    pub fn prepare(&self, pod: &Pod, owner: impl Fn(&Container) -> Owner) -> CommandResult<()> {
        for folder in [&self.generation, &self.claims] {
            create_folder(folder, 0o755)?;
        }
        self.publish(pod)?;
        let first = pod.containers.first().map(&owner).unwrap_or_default();
        for (name, volume) in &pod.volumes {
            match volume {
                Volume::Files(_) | Volume::Empty { memory: true, .. } => {}
                Volume::Claim { name, .. } => {
                    make_owned(&self.claims.join(name), with_group(first, pod))?;
                }
                Volume::Empty { .. } => {
                    let folder = self.generation.join("empty").join(name);
                    create_folder(&folder, 0o755)?;
                    fs_err::set_permissions(&folder, PermissionsExt::from_mode(0o777))?;
                }
                Volume::HostPath { path, kind } => match kind {
                    HostPathKind::DirectoryOrCreate => create_folder(path, 0o755)?,
                    HostPathKind::FileOrCreate if !path.exists() => fs_err::write(path, [])?,
                    _ => {}
                },
            }
        }
        for container in &pod.containers {
            for mount in &container.mounts {
                self.prepare_part(pod, mount, with_group(owner(container), pod))?;
            }
        }
        Ok(())
    }

    /// Brings the configuration files up to date, atomically for each volume.
    ///
    /// # Errors
    ///
    /// As any writing.
    pub fn publish(&self, pod: &Pod) -> CommandResult<()> {
        for (name, volume) in &pod.volumes {
            if let Volume::Files(files) = volume {
                let folder = self.generation.join("files").join(name);
                publish::publish(&folder, files, pod.volume_group)?;
            }
        }
        Ok(())
    }

    /// The part of a volume that a container mounts.
    fn prepare_part(&self, pod: &Pod, mount: &Mount, owner: Owner) -> CommandResult<()> {
        let Some(part) = &mount.sub_path else {
            return Ok(());
        };
        match pod.volumes.get(&mount.volume) {
            Some(Volume::Files(files)) => {
                let folder = self.generation.join("parts").join(&mount.volume);
                copy_part(&folder, files, part)
            }
            Some(Volume::Claim { name, .. }) => make_below(&self.claims.join(name), part, owner),
            Some(Volume::Empty { memory: false, .. }) => make_below(
                &self.generation.join("empty").join(&mount.volume),
                part,
                owner,
            ),
            _ => Ok(()),
        }
    }

    /// Empties the folders that begin empty with each pod.
    ///
    /// # Errors
    ///
    /// As any removing.
    pub fn empty(&self) -> CommandResult<()> {
        remove_tree(&self.generation.join("empty"))
    }

    /// Removes the folders of other generations of this pod.
    ///
    /// # Errors
    ///
    /// As any removing.
    pub fn remove_others(release: &Release, keep: &[PathBuf]) -> CommandResult<()> {
        let entries = match fs_err::read_dir(release.pods_folder()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let path = entry?.path();
            if !keep.contains(&path) {
                remove_tree(&path)?;
            }
        }
        Ok(())
    }
}

/// The group of the pod's volumes wins over that of the container.
fn with_group(owner: Owner, pod: &Pod) -> Owner {
    Owner {
        user: owner.user,
        group: pod.volume_group.or(owner.group),
    }
}

fn remove_tree(path: &Path) -> CommandResult<()> {
    match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Makes a folder for an owner; one that is there keeps its owner.
fn make_owned(folder: &Path, owner: Owner) -> CommandResult<()> {
    match fs_err::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs_err::symlink_metadata(folder)?;
            if metadata.is_symlink() {
                return Err(symbolic_link(folder));
            }
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    let given_away = owner
        .user
        .is_some_and(|user| std::os::unix::fs::chown(folder, Some(user), owner.group).is_ok());
    // the owner is known only to the image, or this user may not give files away: everybody may write
    let mode = match (given_away, owner.group) {
        (true, Some(_)) => 0o2775,
        (true, None) => 0o755,
        (false, _) => 0o777,
    };
    fs_err::set_permissions(folder, PermissionsExt::from_mode(mode))?;
    Ok(())
}

/// Makes the folders of `part` below `base`, refusing to follow links that a container may have put there.
fn make_below(base: &Path, part: &str, owner: Owner) -> CommandResult<()> {
    let mut path = base.to_path_buf();
    for component in part
        .split('/')
        .filter(|name| !name.is_empty() && *name != ".")
    {
        path.push(component);
        match fs_err::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => return Err(symbolic_link(&path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_owned(&path, owner)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn symbolic_link(path: &Path) -> CommandError {
    CommandError::new(
        ErrorKind::Conflict,
        format!(
            "`{}` is a symbolic link where a folder of a volume should be",
            path.display()
        ),
    )
    .hint("remove the link; a container must not reach out of its volume")
}

/// Copies the files that `part` means into `folder`.
fn copy_part(folder: &Path, files: &[File], part: &str) -> CommandResult<()> {
    let mut found = false;
    for file in files {
        let inside = file.path == part
            || file
                .path
                .strip_prefix(part)
                .is_some_and(|rest| rest.starts_with('/'));
        if inside {
            found = true;
            let path = folder.join(&file.path);
            create_folder(path.parent().unwrap_or(folder), 0o755)?;
            // replaced, not rewritten: a container may have the old file mounted
            crate::fleet::store::atomic::write(&path, &file.contents, file.mode)?;
        }
    }
    if !found {
        create_folder(&folder.join(part), 0o755)?;
    }
    Ok(())
}

/// Whether a path is a device of this machine.
pub fn is_device(path: &Path) -> bool {
    // S_IFCHR and S_IFBLK of stat(2)
    fs_err::metadata(path)
        .is_ok_and(|metadata| matches!(metadata.mode() & 0o170_000, 0o020_000 | 0o060_000))
}
