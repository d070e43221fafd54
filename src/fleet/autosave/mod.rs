//! Saved settings of an IOC: the files that autosave writes while it runs and reads when it starts again.
//!
//! This module knows which folder they are in and what their names mean; files of a local instance are reached in
//! [`folder`], those of an instance on a cluster through a command in its pod (`fleet::kubernetes::autosave`).

pub mod folder;
pub mod saved_file;

use jiff::Timestamp;
use serde_json::Value;

use crate::fleet::autosave::saved_file::SavedFile;
use crate::fleet::manifest::Resource;

/// Largest file that is read, in bytes.
pub const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// Ending of the file that an IOC restores.
const ENDING: &str = ".sav";

/// A file of saved settings, as it is in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Timestamp,
    /// Its contents; `None` when it is larger than [`LARGEST_FILE`].
    pub bytes: Option<Vec<u8>>,
}

impl Entry {
    /// What it says; nothing when it is too large to be read.
    pub fn saved(&self) -> Option<SavedFile> {
        self.bytes.as_deref().map(SavedFile::of_bytes)
    }
}

/// Where a container has its saved settings: the mount whose path or volume is named after autosave.
///
/// `instance` is the container that counts where a pod has several with such a mount.
pub fn mount_path(resources: &[Resource], instance: &str) -> Option<String> {
    let templates = resources
        .iter()
        .filter_map(|resource| match resource.id.kind.as_str() {
            "Pod" => resource.body.get("spec"),
            "StatefulSet" | "Deployment" | "DaemonSet" => {
                resource.body.pointer("/spec/template/spec")
            }
            _ => None,
        });
    let mut containers: Vec<&Value> = templates
        .filter_map(|spec| spec.get("containers")?.as_array())
        .flatten()
        .collect();
    containers
        .sort_by_key(|container| container.get("name").and_then(Value::as_str) != Some(instance));
    let mut mounts = containers
        .into_iter()
        .filter_map(|container| container.get("volumeMounts")?.as_array())
        .flatten();
    mounts.find_map(|mount| {
        let path = mount.get("mountPath")?.as_str()?;
        let volume = mount
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        is_autosave(path, volume).then(|| path.to_owned())
    })
}

/// Whether a mount is that of saved settings.
pub fn is_autosave(path: &str, volume: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next();
    last.is_some_and(|name| name.contains("autosave")) || volume.contains("autosave")
}

/// The file that an IOC restores, of which this one is a copy: autosave keeps `NAME.savB`, `NAME.sav0` to `NAME.sav9`
/// and `NAME.sav_DATE-TIME` beside `NAME.sav`. `None` for a name that is none of these.
pub fn restored_name(name: &str) -> Option<String> {
    let end = name.rfind(ENDING)? + ENDING.len();
    let rest = name.get(end..)?;
    let is_copy = rest.is_empty()
        || rest == "B"
        || rest.len() == 1 && rest.chars().all(|digit| digit.is_ascii_digit())
        || rest.starts_with('_');
    (is_copy && end > ENDING.len()).then(|| name[..end].to_owned())
}

/// The name under which the file that is there is kept: with date and time, as autosave's own dated copies.
pub fn dated(name: &str, now: Timestamp) -> String {
    let now = now.to_zoned(jiff::tz::TimeZone::system());
    format!("{name}_{}", now.strftime("%y%m%d-%H%M%S"))
}

/// Whether a name is that of a file in the folder itself.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::manifest;

    #[test]
    fn copies_are_restored_under_the_name_that_the_ioc_reads() {
        for (name, expected) in [
            ("auto_settings.sav", Some("auto_settings.sav")),
            ("auto_settings.savB", Some("auto_settings.sav")),
            ("auto_settings.sav2", Some("auto_settings.sav")),
            ("auto_settings.sav_261127-101112", Some("auto_settings.sav")),
            ("a.sav.sav0", Some("a.sav.sav")),
            ("auto_settings.sav12", None),
            ("auto_settings.save", None),
            ("auto_settings.req", None),
            (".sav", None),
        ] {
            assert_eq!(restored_name(name).as_deref(), expected, "{name}");
        }
        let now = "2026-11-27T10:11:12Z".parse().unwrap();
        let kept = dated("a.sav", now);
        assert_eq!(restored_name(&kept).as_deref(), Some("a.sav"), "{kept}");
    }

    #[test]
    fn the_mount_of_saved_settings() {
        let of = |mounts: &str| {
            let text = format!(
                "kind: StatefulSet\nmetadata: {{name: a}}\nspec: {{template: {{spec: {{containers: [\
                 {{name: side, volumeMounts: [{{name: autosave, mountPath: /side}}]}}, {{name: a, volumeMounts: [{mounts}]}}]}}}}}}\n"
            );
            mount_path(&manifest::parse(&text).unwrap(), "a")
        };
        assert_eq!(
            of("{name: x, mountPath: /autosave}").as_deref(),
            Some("/autosave")
        );
        assert_eq!(
            of("{name: autosave-volume, mountPath: /data}").as_deref(),
            Some("/data")
        );
        // that of another container, where its own has none
        assert_eq!(
            of("{name: x, mountPath: /autosave/data}").as_deref(),
            Some("/side")
        );
    }
}
