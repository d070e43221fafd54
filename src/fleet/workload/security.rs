//! Users, groups, capabilities and limits of a container.

use crate::fleet::workload::model::{Resources, Security};
use crate::fleet::workload::node::{FieldError, Node};
use crate::fleet::workload::quantity;

/// Who a container runs as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity {
    /// `runAsUser`.
    pub user: Option<u32>,
    /// `runAsGroup`.
    pub group: Option<u32>,
    /// `runAsNonRoot`.
    pub must_not_be_root: bool,
}

/// Who a container runs as: its own context wins over that of the pod.
///
/// # Errors
///
/// A field that is not what the Kubernetes API says, or `runAsNonRoot` with user 0.
pub fn identity(pod: &Node<'_>, container: &Node<'_>) -> Result<Identity, FieldError> {
    let own = container.field("securityContext");
    let shared = pod.field("securityContext");
    let number = |field: &str| -> Result<Option<u32>, FieldError> {
        Ok(own.field(field).number()?.or(shared.field(field).number()?))
    };
    let non_root = own.field("runAsNonRoot");
    let must_not_be_root = if non_root.is_present() {
        non_root.flag()?
    } else {
        shared.field("runAsNonRoot").flag()?
    };
    let user = number("runAsUser")?;
    if must_not_be_root && user == Some(0) {
        return Err(non_root.wrong("forbids user 0, which `runAsUser` asks for"));
    }
    Ok(Identity {
        user,
        group: number("runAsGroup")?,
        must_not_be_root,
    })
}

/// What a container may do.
///
/// # Errors
///
/// A field that is not what the Kubernetes API says, or a seccomp profile that is not known here.
pub fn security(pod: &Node<'_>, container: &Node<'_>) -> Result<Security, FieldError> {
    let own = container.field("securityContext");
    let escalation = own.field("allowPrivilegeEscalation");
    let capabilities = |which: &str| -> Result<Vec<String>, FieldError> {
        Ok(own
            .field("capabilities")
            .field(which)
            .list_of_texts()?
            .into_iter()
            .map(|name| name.trim_start_matches("CAP_").to_owned())
            .collect())
    };
    let mut profile = own.field("seccompProfile");
    if !profile.is_present() {
        profile = pod.descend(&["securityContext", "seccompProfile"]);
    }
    let kind = profile.field("type");
    let seccomp_unconfined = match kind.text()? {
        None | Some("RuntimeDefault") => false,
        Some("Unconfined") => true,
        Some(_) => {
            return Err(kind.wrong("must be `RuntimeDefault` or `Unconfined` on the local backend"));
        }
    };
    Ok(Security {
        privileged: own.field("privileged").flag()?,
        read_only_root: own.field("readOnlyRootFilesystem").flag()?,
        no_new_privileges: escalation.is_present() && !escalation.flag()?,
        add: capabilities("add")?,
        drop: capabilities("drop")?,
        seccomp_unconfined,
    })
}

/// Limits and requests of a container.
///
/// # Errors
///
/// A quantity that cannot be read, or a limit for something that the local backend does not limit.
pub fn resources(container: &Node<'_>) -> Result<Resources, FieldError> {
    let mut resources = Resources::default();
    for (name, node) in container.descend(&["resources", "limits"]).entries()? {
        match name {
            "cpu" => resources.cpu_limit_milli = quantity_of(&node, quantity::milli_cpus)?,
            "memory" => resources.memory_limit = quantity_of(&node, quantity::bytes)?,
            _ => {
                return Err(node.wrong(
                    "cannot be limited on the local backend, only `cpu` and `memory`; a device is mounted as a hostPath below /dev",
                ));
            }
        }
    }
    for (name, node) in container.descend(&["resources", "requests"]).entries()? {
        match name {
            "cpu" => resources.cpu_request_milli = quantity_of(&node, quantity::milli_cpus)?,
            "memory" => resources.memory_request = quantity_of(&node, quantity::bytes)?,
            _ => {}
        }
    }
    Ok(resources)
}

/// A quantity, written as text or as a plain number.
pub(super) fn quantity_of(
    node: &Node<'_>,
    read: impl Fn(&str) -> Option<u64>,
) -> Result<Option<u64>, FieldError> {
    let text = match node.value() {
        None => return Ok(None),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        Some(_) => return Err(node.wrong("must be a quantity such as `500m` or `256Mi`")),
    };
    read(text.trim()).map(Some).ok_or_else(|| {
        node.wrong(format!(
            "is `{text}`, not a quantity such as `500m` or `256Mi`"
        ))
    })
}
