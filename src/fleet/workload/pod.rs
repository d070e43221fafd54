//! One pod template read into the model.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::fleet::manifest::ResourceId;
use crate::fleet::workload::environment::expand;
use crate::fleet::workload::model::{Container, Pod, Port, Restart, Volume};
use crate::fleet::workload::node::{FieldError, Node};
use crate::fleet::workload::probe;
use crate::fleet::workload::read::Surroundings;
use crate::fleet::workload::security;
use crate::fleet::workload::volume::{self, MapKind, Maps};

/// What a pod is read from.
#[derive(Debug)]
pub(super) struct Template<'a> {
    /// The resource.
    pub id: &'a ResourceId,
    /// Where `metadata` and `spec` of the pod are.
    pub node: Node<'a>,
    /// Name of the pod.
    pub pod_name: String,
    /// Whether it is meant to run.
    pub wanted: bool,
    /// Claims made for it, by volume name.
    pub own_claims: BTreeMap<String, String>,
    /// Where it is to run.
    pub surroundings: &'a Surroundings<'a>,
    /// ConfigMaps and Secrets.
    pub maps: &'a Maps,
}

/// Differences from a cluster, as `(path, why)`.
pub(super) type Notes = Vec<(String, String)>;

/// Reads a pod.
pub(super) fn pod(template: &Template<'_>, notes: &mut Notes) -> Result<Pod, FieldError> {
    let spec = template.node.field("spec");
    let metadata = template.node.field("metadata");
    let owned = |texts: Vec<(&str, &str)>| -> BTreeMap<String, String> {
        texts
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let labels = owned(metadata.field("labels").texts()?);
    let annotations = owned(metadata.field("annotations").texts()?);
    let mut volumes: BTreeMap<String, Volume> = BTreeMap::new();
    for node in spec.field("volumes").items(&["name"])? {
        let name = node.field("name").required_text()?;
        let volume = volume::volume(&node, template.maps)?;
        if volumes.insert(name.to_owned(), volume).is_some() {
            return Err(node.wrong("stands here a second time"));
        }
    }
    for (name, claim) in &template.own_claims {
        volumes.insert(
            name.clone(),
            Volume::Claim {
                name: claim.clone(),
                read_only: false,
            },
        );
    }
    let fields = Fields {
        template,
        labels: &labels,
        annotations: &annotations,
        account: spec
            .field("serviceAccountName")
            .text()?
            .unwrap_or("default"),
    };
    let mut containers: Vec<Container> = Vec::new();
    for node in spec.field("containers").items(&["name"])? {
        let container = container(&node, &spec, &volumes, &fields, notes)?;
        if containers.iter().any(|other| other.name == container.name) {
            return Err(node.wrong("stands here a second time"));
        }
        containers.push(container);
    }
    if containers.is_empty() {
        return Err(spec
            .field("containers")
            .wrong("must have at least one container"));
    }
    let mut host_aliases = Vec::new();
    for alias in spec.field("hostAliases").items(&["ip"])? {
        let address = alias.field("ip").required_text()?;
        for name in alias.field("hostnames").list_of_texts()? {
            host_aliases.push(format!("{name}:{address}"));
        }
    }
    let restart = spec.field("restartPolicy");
    Ok(Pod {
        id: template.id.clone(),
        name: template.pod_name.clone(),
        wanted: template.wanted,
        hash: hash(template),
        labels,
        annotations,
        containers,
        volumes,
        restart: match restart.text()? {
            None | Some("Always") => Restart::Always,
            Some("OnFailure") => Restart::OnFailure,
            Some("Never") => Restart::Never,
            Some(_) => return Err(restart.wrong("must be `Always`, `OnFailure` or `Never`")),
        },
        grace_seconds: spec
            .field("terminationGracePeriodSeconds")
            .number()?
            .unwrap_or(30),
        volume_group: spec.descend(&["securityContext", "fsGroup"]).number()?,
        host_aliases,
        host_pid: spec.field("hostPID").flag()?,
        host_ipc: spec.field("hostIPC").flag()?,
    })
}

/// 12 hexadecimal digits that change when the template changes, and only then: they do not depend on how this
/// program understands the template, so a newer `ioc` does not restart an IOC.
fn hash(template: &Template<'_>) -> String {
    let text = template
        .node
        .value()
        .map(ToString::to_string)
        .unwrap_or_default();
    let digest = Sha256::digest(format!("{}\n{}\n{text}", template.id, template.pod_name));
    let mut text = String::new();
    for byte in &digest[..6] {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// What `fieldRef` can refer to.
struct Fields<'a> {
    template: &'a Template<'a>,
    labels: &'a BTreeMap<String, String>,
    annotations: &'a BTreeMap<String, String>,
    account: &'a str,
}

impl Fields<'_> {
    fn get(&self, node: &Node<'_>) -> Result<String, FieldError> {
        let path = node.required_text()?;
        let indexed = |prefix: &str| {
            path.strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix("['"))
                .and_then(|rest| rest.strip_suffix("']"))
        };
        Ok(match path {
            "metadata.name" => self.template.pod_name.clone(),
            "metadata.namespace" => self.template.surroundings.namespace.to_owned(),
            "spec.nodeName" => self.template.surroundings.node.to_owned(),
            "spec.serviceAccountName" => self.account.to_owned(),
            _ => {
                if let Some(key) = indexed("metadata.labels") {
                    self.labels.get(key).cloned().unwrap_or_default()
                } else if let Some(key) = indexed("metadata.annotations") {
                    self.annotations.get(key).cloned().unwrap_or_default()
                } else {
                    return Err(node.wrong(format!(
                        "is `{path}`, which has no meaning on the local backend; write the value itself"
                    )));
                }
            }
        })
    }
}

fn container(
    node: &Node<'_>,
    spec: &Node<'_>,
    volumes: &BTreeMap<String, Volume>,
    fields: &Fields<'_>,
    notes: &mut Notes,
) -> Result<Container, FieldError> {
    let env = variables(node, fields)?;
    let lookup = |wanted: &str| {
        env.iter()
            .rev()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value.as_str())
    };
    let expanded = |field: &str| -> Result<Vec<String>, FieldError> {
        Ok(node
            .field(field)
            .list_of_texts()?
            .iter()
            .map(|word| expand(word, lookup))
            .collect())
    };
    let identity = security::identity(spec, node)?;
    let (health, left_out) = probe::health_check(node)?;
    notes.extend(
        left_out
            .into_iter()
            .map(|(path, why)| (path, why.to_owned())),
    );
    let (pre_stop, impossible) = probe::pre_stop(node)?;
    if let Some(path) = impossible {
        return Err(FieldError {
            path,
            problem: "must be `exec` or `sleep` on the local backend".to_owned(),
        });
    }
    Ok(Container {
        name: label(&node.field("name"))?,
        image: node.field("image").required_text()?.to_owned(),
        command: expanded("command")?,
        args: expanded("args")?,
        working_dir: node.field("workingDir").text()?.map(str::to_owned),
        mounts: volume::mounts(node, volumes, &env)?,
        user: identity.user,
        group: identity.group,
        must_not_be_root: identity.must_not_be_root,
        supplemental_groups: supplemental_groups(spec)?,
        security: security::security(spec, node)?,
        resources: security::resources(node)?,
        stdin: node.field("stdin").flag()?,
        stdin_once: node.field("stdinOnce").flag()?,
        tty: node.field("tty").flag()?,
        ports: ports(node)?,
        health,
        pre_stop,
        stop_signal: node
            .descend(&["lifecycle", "stopSignal"])
            .text()?
            .map(str::to_owned),
        env,
    })
}

/// A DNS label, as the Kubernetes API demands of container names.
fn label(node: &Node<'_>) -> Result<String, FieldError> {
    let name = node.required_text()?;
    let fine = name.len() <= 63
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.chars().all(|character| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
        });
    if fine && !name.is_empty() {
        Ok(name.to_owned())
    } else {
        Err(node.wrong(format!(
            "is `{name}`, not a name: lower-case letters, digits and `-`, at most 63"
        )))
    }
}

fn supplemental_groups(spec: &Node<'_>) -> Result<Vec<u32>, FieldError> {
    let mut groups = Vec::new();
    for node in spec
        .descend(&["securityContext", "supplementalGroups"])
        .items(&[])?
    {
        groups.extend(node.number()?);
    }
    groups.extend(spec.descend(&["securityContext", "fsGroup"]).number()?);
    Ok(groups)
}

fn ports(container: &Node<'_>) -> Result<Vec<Port>, FieldError> {
    let mut ports = Vec::new();
    for node in container.field("ports").items(&["name", "containerPort"])? {
        let number = node.field("containerPort");
        let port = number
            .number()?
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port > 0)
            .ok_or_else(|| number.wrong("must be a port from 1 to 65535"))?;
        let protocol = node.field("protocol");
        let udp = match protocol.text()? {
            None | Some("TCP") => false,
            Some("UDP") => true,
            Some(other) => {
                return Err(protocol.wrong(format!("is `{other}`, expected `TCP` or `UDP`")));
            }
        };
        ports.push(Port { number: port, udp });
    }
    Ok(ports)
}

/// Variables in the order of Kubernetes: `envFrom` first, then `env`, which wins.
fn variables(
    container: &Node<'_>,
    fields: &Fields<'_>,
) -> Result<Vec<(String, String)>, FieldError> {
    let maps = fields.template.maps;
    let mut env: Vec<(String, String)> = Vec::new();
    let set = |env: &mut Vec<(String, String)>, key: String, value: String| {
        env.retain(|(other, _)| *other != key);
        env.push((key, value));
    };
    for node in container.field("envFrom").items(&[])? {
        let prefix = node.field("prefix").text()?.unwrap_or_default();
        for (field, kind) in [
            ("configMapRef", MapKind::ConfigMap),
            ("secretRef", MapKind::Secret),
        ] {
            let reference = node.field(field);
            if !reference.is_present() {
                continue;
            }
            let name = reference.field("name").required_text()?;
            match maps.get(kind, name) {
                Some(contents) => {
                    for (key, bytes) in contents {
                        let value = text(bytes, &reference)?;
                        set(&mut env, format!("{prefix}{key}"), value);
                    }
                }
                None if reference.field("optional").flag()? => {}
                None => {
                    return Err(reference
                        .field("name")
                        .wrong(format!("is `{name}`, which the release does not have")));
                }
            }
        }
    }
    for node in container.field("env").items(&["name"])? {
        let name = node.field("name").required_text()?;
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(node.field("name").wrong("is not the name of a variable"));
        }
        let value = if let Some(value) = variable(&node, fields)? {
            value
        } else {
            let plain = node.field("value").text()?.unwrap_or_default();
            expand(plain, |wanted| {
                env.iter()
                    .rev()
                    .find(|(key, _)| key == wanted)
                    .map(|(_, value)| value.as_str())
            })
        };
        set(&mut env, name.to_owned(), value);
    }
    Ok(env)
}

/// The value that `valueFrom` refers to; `None` without `valueFrom`, and for an optional key that is missing.
fn variable(node: &Node<'_>, fields: &Fields<'_>) -> Result<Option<String>, FieldError> {
    let from = node.field("valueFrom");
    let field = from.field("fieldRef");
    if field.is_present() {
        return fields.get(&field.field("fieldPath")).map(Some);
    }
    for (name, kind) in [
        ("configMapKeyRef", MapKind::ConfigMap),
        ("secretKeyRef", MapKind::Secret),
    ] {
        let reference = from.field(name);
        if !reference.is_present() {
            continue;
        }
        let map = reference.field("name").required_text()?;
        let key = reference.field("key").required_text()?;
        let found = fields
            .template
            .maps
            .get(kind, map)
            .and_then(|contents| contents.get(key));
        return match found {
            Some(bytes) => text(bytes, &reference).map(Some),
            None if reference.field("optional").flag()? => Ok(None),
            None => Err(reference.wrong(format!(
                "refers to `{key}` of `{map}`, which the release does not have"
            ))),
        };
    }
    Ok(None)
}

fn text(bytes: &[u8], node: &Node<'_>) -> Result<String, FieldError> {
    String::from_utf8(bytes.to_vec())
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| node.wrong("refers to bytes that are not text"))
}
