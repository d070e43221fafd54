//! Volumes of a pod: files from ConfigMaps and Secrets, claims, host paths, empty folders; and where they are mounted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fleet::manifest::Resource;
use crate::fleet::workload::environment::expand;
use crate::fleet::workload::model::{File, HostPathKind, Mount, Propagation, Volume};
use crate::fleet::workload::node::{FieldError, Node};
use crate::fleet::workload::quantity;
use crate::fleet::workload::security::quantity_of;

/// Most bytes that all keys of one ConfigMap or Secret may have together, as the Kubernetes API allows.
pub const LARGEST_MAP: usize = 1024 * 1024;

/// Keys and contents of the ConfigMaps and Secrets of a release.
#[derive(Debug, Clone, Default)]
pub struct Maps {
    maps: BTreeMap<(&'static str, String), BTreeMap<String, Vec<u8>>>,
}

/// A key that a manifest refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    /// ConfigMap.
    ConfigMap,
    /// Secret.
    Secret,
}

impl MapKind {
    fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

impl Maps {
    /// Takes in a ConfigMap or Secret.
    ///
    /// # Errors
    ///
    /// Data that is not text, `binaryData` or Secret data that is not base64, a key that is no file name, or more
    /// than [`LARGEST_MAP`] bytes.
    pub fn add(&mut self, resource: &Resource) -> Result<(), FieldError> {
        let root = Node::root(&resource.body);
        let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let kind = if resource.id.kind == "Secret" {
            MapKind::Secret
        } else {
            MapKind::ConfigMap
        };
        let (plain, coded) = match kind {
            MapKind::ConfigMap => ("data", "binaryData"),
            MapKind::Secret => ("stringData", "data"),
        };
        for (key, node) in root.field(coded).entries()? {
            let text: String = node.required_text()?.split_whitespace().collect();
            let bytes = STANDARD
                .decode(text)
                .map_err(|error| node.wrong(format!("is not base64: {error}")))?;
            contents.insert(file_name(key, &node)?, bytes);
        }
        for (key, node) in root.field(plain).entries()? {
            let text = node.required_text()?;
            contents.insert(file_name(key, &node)?, text.as_bytes().to_vec());
        }
        let size: usize = contents
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if size > LARGEST_MAP {
            return Err(root.field(plain).wrong(format!(
                "has {size} bytes, and a {} holds at most {LARGEST_MAP}; put large files into the image or on a volume",
                kind.name()
            )));
        }
        self.maps
            .insert((kind.name(), resource.id.name.clone()), contents);
        Ok(())
    }

    /// All keys of a map; `None` when the release has no such map.
    pub fn get(&self, kind: MapKind, name: &str) -> Option<&BTreeMap<String, Vec<u8>>> {
        self.maps.get(&(kind.name(), name.to_owned()))
    }
}

/// The rule of the Kubernetes API for keys: letters, digits, `-`, `_` and `.`.
fn file_name(key: &str, node: &Node<'_>) -> Result<String, FieldError> {
    let fine = !key.is_empty()
        && key.len() <= 253
        && key
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character))
        && !key.starts_with("..")
        && key != ".";
    if fine {
        Ok(key.to_owned())
    } else {
        Err(node.wrong("is not a name for a file: letters, digits, `-`, `_` and `.`"))
    }
}

/// Reads one entry of `volumes`.
///
/// # Errors
///
/// A field that is not what the Kubernetes API says, a map that the release does not have, or a path that leaves
/// its folder.
pub fn volume(node: &Node<'_>, maps: &Maps) -> Result<Volume, FieldError> {
    let config_map = node.field("configMap");
    if config_map.is_present() {
        let name = config_map.field("name");
        return files(&config_map, MapKind::ConfigMap, &name, maps);
    }
    let secret = node.field("secret");
    if secret.is_present() {
        return files(&secret, MapKind::Secret, &secret.field("secretName"), maps);
    }
    let claim = node.field("persistentVolumeClaim");
    if claim.is_present() {
        return Ok(Volume::Claim {
            name: object_name(&claim.field("claimName"))?,
            read_only: claim.field("readOnly").flag()?,
        });
    }
    let host_path = node.field("hostPath");
    if host_path.is_present() {
        let path = host_path.field("path");
        return Ok(Volume::HostPath {
            kind: host_path_kind(&host_path.field("type"))?,
            path: PathBuf::from(absolute(&path)?),
        });
    }
    let empty = node.field("emptyDir");
    let memory = match empty.field("medium").text()? {
        None | Some("") => false,
        Some("Memory") => true,
        Some(_) => return Err(empty.field("medium").wrong("must be empty or `Memory`")),
    };
    Ok(Volume::Empty {
        memory,
        size: quantity_of(&empty.field("sizeLimit"), quantity::bytes)?,
    })
}

/// A name that is safe as the name of a folder: a DNS label or several with dots.
fn object_name(node: &Node<'_>) -> Result<String, FieldError> {
    let name = node.required_text()?;
    let fine = name.len() <= 253
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.ends_with(|last: char| last.is_ascii_lowercase() || last.is_ascii_digit())
        && !name.contains("..")
        && name.chars().all(|character| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || "-.".contains(character)
        });
    if fine {
        Ok(name.to_owned())
    } else {
        Err(node.wrong(format!(
            "is `{name}`, not a name: lower-case letters, digits and `-`"
        )))
    }
}

fn host_path_kind(node: &Node<'_>) -> Result<HostPathKind, FieldError> {
    Ok(match node.text()? {
        None | Some("") => HostPathKind::Any,
        Some("Directory") => HostPathKind::Directory,
        Some("DirectoryOrCreate") => HostPathKind::DirectoryOrCreate,
        Some("File") => HostPathKind::File,
        Some("FileOrCreate") => HostPathKind::FileOrCreate,
        Some("Socket") => HostPathKind::Socket,
        Some("CharDevice") => HostPathKind::CharDevice,
        Some("BlockDevice") => HostPathKind::BlockDevice,
        Some(other) => return Err(node.wrong(format!("is `{other}`, which is no kind of path"))),
    })
}

fn absolute<'a>(node: &Node<'a>) -> Result<&'a str, FieldError> {
    let path = node.required_text()?;
    if path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.contains('\0') {
        Ok(path)
    } else {
        Err(node.wrong("must be an absolute path without `..`"))
    }
}

/// A path below a volume.
fn relative(node: &Node<'_>, path: &str) -> Result<String, FieldError> {
    let fine = !path.starts_with('/')
        && !path.split('/').any(|part| part == "..")
        && !path.contains('\0')
        && !path.is_empty();
    if fine {
        Ok(path.trim_end_matches('/').to_owned())
    } else {
        Err(node.wrong("must be a relative path without `..`"))
    }
}

fn files(
    node: &Node<'_>,
    kind: MapKind,
    name: &Node<'_>,
    maps: &Maps,
) -> Result<Volume, FieldError> {
    let wanted = name.required_text()?;
    let optional = node.field("optional").flag()?;
    let Some(contents) = maps.get(kind, wanted) else {
        if optional {
            return Ok(Volume::Files(Vec::new()));
        }
        return Err(name.wrong(format!(
            "is `{wanted}`, a {} that the release does not have",
            kind.name()
        )));
    };
    let default_mode = mode(&node.field("defaultMode"))?.unwrap_or(0o644);
    let items = node.field("items");
    if !items.is_present() {
        return Ok(Volume::Files(
            contents
                .iter()
                .map(|(key, bytes)| File {
                    path: key.clone(),
                    mode: default_mode,
                    contents: bytes.clone(),
                })
                .collect(),
        ));
    }
    let mut files = Vec::new();
    for item in items.items(&["key"])? {
        let key = item.field("key").required_text()?;
        let path = item.field("path");
        let file_path = relative(&path, path.required_text()?)?;
        match contents.get(key) {
            Some(bytes) => files.push(File {
                path: file_path,
                mode: mode(&item.field("mode"))?.unwrap_or(default_mode),
                contents: bytes.clone(),
            }),
            None if optional => {}
            None => {
                return Err(item
                    .field("key")
                    .wrong(format!("is `{key}`, which `{wanted}` does not have")));
            }
        }
    }
    Ok(Volume::Files(files))
}

fn mode(node: &Node<'_>) -> Result<Option<u32>, FieldError> {
    match node.number()? {
        Some(mode) if mode > 0o777 => Err(node.wrong("must be permission bits from 0 to 0777")),
        other => Ok(other),
    }
}

/// Reads `volumeMounts` of a container; `env` are its variables, for `subPathExpr`.
///
/// # Errors
///
/// A mount of a volume that the pod does not have, a path that leaves its volume, or two mounts at one path.
pub fn mounts(
    container: &Node<'_>,
    volumes: &BTreeMap<String, Volume>,
    env: &[(String, String)],
) -> Result<Vec<Mount>, FieldError> {
    let mut mounts: Vec<Mount> = Vec::new();
    for node in container.field("volumeMounts").items(&["mountPath"])? {
        let name = node.field("name");
        let volume = name.required_text()?;
        if !volumes.contains_key(volume) {
            return Err(name.wrong(format!(
                "is `{volume}`, a volume that the pod does not have"
            )));
        }
        let path = absolute(&node.field("mountPath"))?;
        if mounts.iter().any(|mount| mount.path == path) {
            return Err(node.wrong("is mounted a second time"));
        }
        let plain = node.field("subPath");
        let expression = node.field("subPathExpr");
        let sub_path = match (plain.text()?, expression.text()?) {
            (Some(text), _) if !text.is_empty() => Some(relative(&plain, text)?),
            (_, Some(text)) if !text.is_empty() => {
                let expanded = expand(text, |wanted| {
                    env.iter()
                        .rev()
                        .find(|(key, _)| key == wanted)
                        .map(|(_, value)| value.as_str())
                });
                Some(relative(&expression, &expanded)?)
            }
            _ => None,
        };
        let propagation = node.field("mountPropagation");
        mounts.push(Mount {
            volume: volume.to_owned(),
            path: path.to_owned(),
            sub_path,
            read_only: node.field("readOnly").flag()?,
            propagation: match propagation.text()? {
                None | Some("None") => Propagation::None,
                Some("HostToContainer") => Propagation::HostToContainer,
                Some("Bidirectional") => Propagation::Bidirectional,
                Some(other) => return Err(propagation.wrong(format!("is `{other}`"))),
            },
        });
    }
    Ok(mounts)
}
