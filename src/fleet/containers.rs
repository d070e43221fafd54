//! The containers of an instance on the engine: how they are labelled, and how they are found again.
//!
//! Labels are the only link between a release and its containers; names are for people. Whoever creates a
//! container sets all of them.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::ListContainersOptions;

use crate::diagnostic::nearest;
use crate::engine::Engine;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Label: name of the instance, which is the name of its release.
pub const INSTANCE: &str = "ioc.instance";
/// Label: beamline in `ioc.toml`.
pub const BEAMLINE: &str = "ioc.beamline";
/// Label: namespace of the release.
pub const NAMESPACE: &str = "ioc.namespace";
/// Label: revision of the release that made the container, a decimal number.
pub const REVISION: &str = "ioc.revision";
/// Label: name of the container in the manifest.
pub const CONTAINER: &str = "ioc.container";
/// Label: `ioc` for the container that is the IOC, `extra` for the others of the pod.
pub const ROLE: &str = "ioc.role";
/// Label: name of the pod in the manifest.
pub const POD: &str = "ioc.pod";
/// Label: hash of the pod template that the container was made from.
pub const HASH: &str = "ioc.hash";
/// Label: image reference of the manifest, also when the image was taken by its identifier.
pub const IMAGE: &str = "ioc.image-reference";
/// Label: ports that the manifest declares, as `tcp/5064,udp/5064`.
pub const PORTS: &str = "ioc.ports";
/// Label: state folder that the release is recorded in.
pub const STATE: &str = "ioc.state";
/// End of the name of a container that is made ready to take the place of another; it has not run yet. Names of
/// instances and containers have no underscore.
pub const STAGED: &str = "__next";
/// Label of images: the program inside that connects to the IOC shell, with its arguments, when attaching to the
/// process does not. It carries what is typed and shown unchanged, prints nothing of its own and leaves on Ctrl-].
pub const CONSOLE: &str = "ioc.console";

/// A container of an instance, as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceContainer {
    /// The engine's identifier.
    pub id: String,
    /// Instance that it belongs to.
    pub instance: String,
    /// Beamline of the instance.
    pub beamline: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Name in the manifest.
    pub container: String,
    /// Whether it is the IOC itself.
    pub is_ioc: bool,
    /// Revision that made it.
    pub revision: Option<u32>,
    /// Whether its process runs now.
    pub is_running: bool,
    /// Whether its process runs, or the engine is about to start it again.
    pub is_kept_running: bool,
    /// Whether it only waits to take the place of another.
    pub is_staged: bool,
    /// Name of its pod.
    pub pod: String,
    /// Hash of the pod template that it was made from.
    pub hash: String,
    /// Image reference of the manifest.
    pub image: String,
    /// The engine's identifier of its image.
    pub image_id: String,
    /// Ports that the manifest declares, as `tcp/5064`.
    pub ports: Vec<String>,
    /// State folder that the release is recorded in.
    pub state_folder: String,
    /// The console program of its image.
    pub console: Option<String>,
}

impl InstanceContainer {
    /// Reads a listed container; `None` when it is not one of ours.
    fn from_summary(summary: ContainerSummary) -> Option<Self> {
        let labels = summary.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned();
        let is_staged = summary
            .names
            .iter()
            .flatten()
            .any(|name| name.ends_with(STAGED));
        Some(Self {
            id: summary.id?,
            instance: label(INSTANCE)?,
            beamline: label(BEAMLINE).unwrap_or_default(),
            namespace: label(NAMESPACE).unwrap_or_default(),
            container: label(CONTAINER).unwrap_or_default(),
            is_ioc: label(ROLE).is_some_and(|role| role == "ioc"),
            revision: label(REVISION).and_then(|revision| revision.parse().ok()),
            is_running: summary.state == Some(ContainerSummaryStateEnum::RUNNING),
            is_kept_running: matches!(
                summary.state,
                Some(
                    ContainerSummaryStateEnum::RUNNING
                        | ContainerSummaryStateEnum::RESTARTING
                        | ContainerSummaryStateEnum::PAUSED
                )
            ),
            is_staged,
            pod: label(POD).unwrap_or_default(),
            hash: label(HASH).unwrap_or_default(),
            image: label(IMAGE).unwrap_or_default(),
            image_id: summary.image_id.unwrap_or_default(),
            ports: label(PORTS)
                .unwrap_or_default()
                .split(',')
                .filter(|port| !port.is_empty())
                .map(str::to_owned)
                .collect(),
            state_folder: label(STATE).unwrap_or_default(),
            console: label(CONSOLE).filter(|command| !command.trim().is_empty()),
        })
    }
}

/// Which instance is meant.
#[derive(Debug, Clone, Copy)]
pub struct Selector<'a> {
    /// Beamline, when it was said.
    pub beamline: Option<&'a str>,
    /// Instance.
    pub instance: &'a str,
    /// Container of the manifest; the IOC itself when not said.
    pub container: Option<&'a str>,
    /// State folder of whoever asks: their own instance is meant before one of the same name that somebody else
    /// deployed on this machine.
    pub state: &'a Path,
}

/// All containers of all instances, running or not.
///
/// # Errors
///
/// The engine's refusal.
pub async fn list(engine: &Engine) -> CommandResult<Vec<InstanceContainer>> {
    let mut containers = list_with_staged(engine).await?;
    containers.retain(|container| !container.is_staged);
    Ok(containers)
}

/// As [`list`], with those that are only made ready.
///
/// # Errors
///
/// The engine's refusal.
pub async fn list_with_staged(engine: &Engine) -> CommandResult<Vec<InstanceContainer>> {
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([(
            "label".to_owned(),
            vec![INSTANCE.to_owned()],
        )])),
        ..ListContainersOptions::default()
    };
    let summaries = engine
        .docker()
        .list_containers(Some(options))
        .await
        .map_err(|error| refused(error, "failed to list containers"))?;
    let mut containers: Vec<InstanceContainer> = summaries
        .into_iter()
        .filter_map(InstanceContainer::from_summary)
        .collect();
    containers.sort_by(|left, right| {
        (&left.instance, &left.container).cmp(&(&right.instance, &right.container))
    });
    Ok(containers)
}

/// The one container that a selector means.
///
/// # Errors
///
/// Not found, with the nearest name; a conflict when two beamlines have an instance of that name.
pub async fn find(engine: &Engine, selector: Selector<'_>) -> CommandResult<InstanceContainer> {
    choose(list(engine).await?, selector)
}

/// The choice itself, without the engine.
fn choose(
    containers: Vec<InstanceContainer>,
    selector: Selector<'_>,
) -> CommandResult<InstanceContainer> {
    let in_beamline: Vec<InstanceContainer> = containers
        .into_iter()
        .filter(|container| {
            selector
                .beamline
                .is_none_or(|beamline| container.beamline == beamline)
        })
        .collect();
    let (mut of_instance, others): (Vec<_>, Vec<_>) = in_beamline
        .into_iter()
        .partition(|container| container.instance == selector.instance);
    let is_own =
        |container: &InstanceContainer| Path::new(&container.state_folder) == selector.state;
    if of_instance.iter().any(is_own) {
        of_instance.retain(is_own);
    }
    if of_instance.is_empty() {
        return Err(not_deployed(selector.instance, &others));
    }
    let names: Vec<String> = of_instance
        .iter()
        .map(|container| container.container.clone())
        .collect();
    let mut matching: Vec<InstanceContainer> = of_instance
        .into_iter()
        .filter(|container| match selector.container {
            Some(name) => container.container == name,
            None => container.is_ioc,
        })
        .collect();
    let Some(chosen) = matching.pop() else {
        return Err(CommandError::not_found(format!(
            "`{}` has no container `{}`",
            selector.instance,
            selector.container.unwrap_or("of the IOC")
        ))
        .hint(format!("it has {}", names.join(", "))));
    };
    if let Some(other) = matching
        .iter()
        .find(|other| other.namespace != chosen.namespace)
    {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!(
                "`{}` is deployed on beamline `{}` (namespace `{}`) and on `{}` (namespace `{}`)",
                selector.instance,
                chosen.beamline,
                chosen.namespace,
                other.beamline,
                other.namespace
            ),
        )
        .hint(if chosen.beamline == other.beamline {
            format!(
                "their records are in `{}` and `{}`: `IOC_STATE_DIR` says which is yours",
                chosen.state_folder, other.state_folder
            )
        } else {
            format!("say which: `--beamline {}`", chosen.beamline)
        }));
    }
    Ok(chosen)
}

fn not_deployed(instance: &str, others: &[InstanceContainer]) -> CommandError {
    let error = CommandError::not_found(format!("`{instance}` is not deployed on this machine"));
    let names = others.iter().map(|container| container.instance.as_str());
    match nearest(instance, names) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!(
            "`ioc ps` lists what is; `ioc deploy {instance}` deploys it"
        )),
    }
}

/// A refusal of the engine in our words.
pub(crate) fn refused(error: bollard::errors::Error, what: &str) -> CommandError {
    CommandError::new(ErrorKind::Engine, what).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(beamline: &str, instance: &str, name: &str, is_ioc: bool) -> InstanceContainer {
        InstanceContainer {
            id: format!("{beamline}/{instance}/{name}"),
            instance: instance.into(),
            beamline: beamline.into(),
            namespace: beamline.into(),
            container: name.into(),
            is_ioc,
            revision: Some(1),
            is_running: true,
            is_kept_running: true,
            is_staged: false,
            pod: format!("{instance}-0"),
            hash: String::new(),
            image: String::new(),
            image_id: String::new(),
            ports: Vec::new(),
            state_folder: String::new(),
            console: None,
        }
    }

    fn chosen(
        beamline: Option<&str>,
        instance: &str,
        name: Option<&str>,
    ) -> Result<String, String> {
        let containers = vec![
            container("t01", "t01-ea-ioc-01", "t01-ea-ioc-01", true),
            container("t01", "t01-ea-ioc-01", "proxy", false),
            container("t01", "shared", "shared", true),
            container("t02", "shared", "shared", true),
        ];
        let selector = Selector {
            beamline,
            instance,
            container: name,
            state: Path::new("/own"),
        };
        choose(containers, selector)
            .map(|container| container.id)
            .map_err(|error| format!("{error}; {}", error.hints().join("; ")))
    }

    #[test]
    fn table() {
        let t01 = Ok("t01/t01-ea-ioc-01/t01-ea-ioc-01".to_owned());
        assert_eq!(chosen(None, "t01-ea-ioc-01", None), t01);
        assert_eq!(
            chosen(None, "t01-ea-ioc-01", Some("proxy")),
            Ok("t01/t01-ea-ioc-01/proxy".into())
        );
        assert_eq!(
            chosen(Some("t02"), "shared", None),
            Ok("t02/shared/shared".into())
        );
        let error = |result: Result<String, String>| result.unwrap_err();
        assert!(
            error(chosen(None, "t01-ea-ioc-02", None)).contains("did you mean `t01-ea-ioc-01`?")
        );
        assert!(
            error(chosen(None, "shared", None))
                .contains("on beamline `t02` (namespace `t02`) and on `t01`")
        );
        assert!(
            error(chosen(None, "t01-ea-ioc-01", Some("x"))).contains("it has t01-ea-ioc-01, proxy")
        );
    }
}
