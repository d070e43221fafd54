//! Changing what runs: one pod after the other, in small steps that each leave something the next command can read.
//!
//! A pod is replaced in this order: files and folders of the new generation, its containers made ready under
//! another name, the old containers stopped and removed, the new ones renamed and started. A mistake that the
//! engine finds when it makes a container is found before the old one is touched.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use bollard::exec::CreateExecOptions;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptions, RenameContainerOptions, StartContainerOptions,
    StopContainerOptions,
};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::fleet::console::output::printable_line;
use crate::fleet::containers::{self, InstanceContainer, STAGED, refused};
use crate::fleet::local::folders::Folders;
use crate::fleet::local::observe::is_missing;
use crate::fleet::local::preflight::Images;
use crate::fleet::local::specification::{self, Identity, Machine};
use crate::fleet::plan::Action;
use crate::fleet::progress::Progress;
use crate::fleet::store::Release;
use crate::fleet::workload::model::PreStop;
use crate::fleet::workload::{Container, Pod, Workloads};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Shortest time that a process gets between being asked to stop and being killed, whatever its preStop took.
const SHORTEST_GRACE: Duration = Duration::from_secs(2);
/// How long the engine may take to stop a container beyond the grace period.
const STOP_TIMEOUT: Duration = Duration::from_mins(2);
/// Most characters of what a failed preStop said that are shown.
const LONGEST_ANSWER: usize = 400;

/// An instance on the engine of this machine, about to be changed. The caller holds the lock of its release.
pub struct Local<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The release.
    pub release: &'a Release,
    /// Labels of what is made.
    pub identity: Identity<'a>,
    /// Its images.
    pub images: &'a Images,
    /// What is known about the machine.
    pub machine: &'a Machine,
    /// Who is told.
    pub progress: &'a dyn Progress,
}

impl<'a> Local<'a> {
    /// For stopping and removing, which need neither images nor labels.
    pub fn bare(
        engine: &'a Engine,
        release: &'a Release,
        instance: &'a str,
        namespace: &'a str,
        progress: &'a dyn Progress,
    ) -> Self {
        static NO_IMAGES: LazyLock<Images> = LazyLock::new(Images::default);
        static NO_MACHINE: LazyLock<Machine> = LazyLock::new(Machine::default);
        Self {
            engine,
            release,
            identity: Identity {
                instance,
                beamline: "",
                namespace,
                revision: 0,
                state: Path::new(""),
                main: None,
            },
            images: &NO_IMAGES,
            machine: &NO_MACHINE,
            progress,
        }
    }

    /// All containers of the instance, made ready ones included.
    ///
    /// # Errors
    ///
    /// The engine's refusal.
    pub async fn present(&self) -> CommandResult<Vec<InstanceContainer>> {
        present(self.engine, self.identity.namespace, self.identity.instance).await
    }

    /// Does all actions in order.
    ///
    /// `stopped` is the intent of `ioc stop`: new pods are made and not started.
    ///
    /// # Errors
    ///
    /// The first thing that failed; what was done before stays.
    pub async fn act(
        &self,
        workloads: &Workloads,
        actions: &[Action],
        stopped: bool,
    ) -> CommandResult<()> {
        self.remove_staged().await?;
        for action in actions {
            self.one(workloads, action, stopped).await?;
        }
        let generations: Vec<PathBuf> = workloads
            .pods
            .iter()
            .map(|pod| Folders::new(self.release, pod).generation().to_path_buf())
            .collect();
        Folders::remove_others(self.release, &generations)
    }

    async fn one(
        &self,
        workloads: &Workloads,
        action: &Action,
        stopped: bool,
    ) -> CommandResult<()> {
        let find = |name: &str| {
            workloads
                .pods
                .iter()
                .find(|pod| pod.name == name)
                .ok_or_else(|| {
                    CommandError::new(ErrorKind::Internal, format!("no pod `{name}` in the plan"))
                })
        };
        match action {
            Action::Create { pod, .. } => {
                self.progress.step(&format!("starting {pod}"));
                self.replace(find(pod)?, stopped).await
            }
            Action::Replace { pod, .. } => {
                self.progress.step(&format!("replacing {pod}"));
                self.replace(find(pod)?, stopped).await
            }
            Action::Keep { pod } => {
                let pod = find(pod)?;
                Folders::new(self.release, pod).publish(pod)
            }
            Action::Start { pod } => {
                self.progress.step(&format!("starting {pod}"));
                let pod = find(pod)?;
                let folders = Folders::new(self.release, pod);
                folders.prepare(pod, |container| self.images.owner(container))?;
                self.start(&self.of_pod(&pod.name).await?).await
            }
            Action::Stop { pod } => {
                self.progress.step(&format!("stopping {pod}"));
                let pod = find(pod)?;
                self.stop(&self.of_pod(&pod.name).await?, Some(pod)).await
            }
            Action::Remove { pod } => {
                self.progress.step(&format!("removing {pod}"));
                let containers = self.of_pod(pod).await?;
                self.stop(&containers, None).await?;
                self.remove(&containers).await
            }
        }
    }

    async fn of_pod(&self, pod: &str) -> CommandResult<Vec<InstanceContainer>> {
        let mut containers = self.present().await?;
        containers.retain(|container| container.pod == pod && !container.is_staged);
        Ok(containers)
    }

    /// Removes what a killed command had made ready.
    async fn remove_staged(&self) -> CommandResult<()> {
        let mut staged = self.present().await?;
        staged.retain(|container| container.is_staged);
        self.remove(&staged).await
    }

    async fn replace(&self, pod: &Pod, stopped: bool) -> CommandResult<()> {
        let folders = Folders::new(self.release, pod);
        folders.prepare(pod, |container| self.images.owner(container))?;
        let mut made = Vec::new();
        for container in &pod.containers {
            match self.make_ready(pod, container, &folders).await {
                Ok(name) => made.push(name),
                Err(error) => {
                    // nothing has changed yet: what was made ready goes again
                    self.remove_staged().await?;
                    return Err(error);
                }
            }
        }
        let old = self.of_pod(&pod.name).await?;
        self.stop(&old, Some(pod)).await?;
        self.remove(&old).await?;
        folders.empty()?;
        folders.prepare(pod, |container| self.images.owner(container))?;
        for name in &made {
            let options = RenameContainerOptions { name: name.clone() };
            self.engine
                .docker()
                .rename_container(&format!("{name}{STAGED}"), options)
                .await
                .map_err(|error| refused(error, &format!("failed to name container `{name}`")))?;
        }
        if stopped || !pod.wanted {
            return Ok(());
        }
        self.start(&self.of_pod(&pod.name).await?).await
    }

    /// Makes a container under the name that says that it only waits.
    async fn make_ready(
        &self,
        pod: &Pod,
        container: &Container,
        folders: &Folders,
    ) -> CommandResult<String> {
        let name = specification::container_name(
            self.identity.namespace,
            self.identity.instance,
            pod,
            container,
        );
        let image = self
            .images
            .ids
            .get(&container.image)
            .map_or(container.image.as_str(), String::as_str);
        let body: ContainerCreateBody =
            specification::body(pod, container, image, &self.identity, folders, self.machine);
        let options = CreateContainerOptions {
            name: Some(format!("{name}{STAGED}")),
            ..CreateContainerOptions::default()
        };
        let answer = self
            .engine
            .docker()
            .create_container(Some(options), body)
            .await
            .map_err(|error| refused(error, &format!("failed to make container `{name}`")))?;
        for warning in answer.warnings {
            self.progress.warning(&format!("`{name}`: {warning}"));
        }
        Ok(name)
    }

    /// Starts containers that do not run.
    ///
    /// # Errors
    ///
    /// The engine's refusal: a device or a program that is not there.
    pub async fn start(&self, containers: &[InstanceContainer]) -> CommandResult<()> {
        for container in containers {
            if container.is_running {
                continue;
            }
            self.engine
                .docker()
                .start_container(&container.id, None::<StartContainerOptions>)
                .await
                .map_err(|error| {
                    refused(
                        error,
                        &format!(
                            "container `{}` of `{}` does not start",
                            container.container, container.instance
                        ),
                    )
                })?;
        }
        Ok(())
    }

    /// Stops containers: preStop, then the signal, then, after the grace period, the end.
    ///
    /// # Errors
    ///
    /// The engine's refusal. A preStop that fails is told and does not stop the stopping, as on a cluster.
    pub async fn stop(
        &self,
        containers: &[InstanceContainer],
        pod: Option<&Pod>,
    ) -> CommandResult<()> {
        let stopping = containers
            .iter()
            .filter(|container| container.is_kept_running)
            .map(|container| self.stop_one(container, pod));
        futures_util::future::try_join_all(stopping).await?;
        Ok(())
    }

    async fn stop_one(
        &self,
        container: &InstanceContainer,
        pod: Option<&Pod>,
    ) -> CommandResult<()> {
        let begin = Instant::now();
        let grace = pod.map(|pod| Duration::from_secs(u64::from(pod.grace_seconds)));
        let pre_stop = pod
            .and_then(|pod| {
                pod.containers
                    .iter()
                    .find(|one| one.name == container.container)
            })
            .and_then(|one| one.pre_stop.as_ref());
        if let (Some(pre_stop), Some(grace), true) = (pre_stop, grace, container.is_running) {
            let done = tokio::time::timeout(grace, self.pre_stop(container, pre_stop)).await;
            let problem = match done {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_elapsed) => Some(format!("it took longer than {} s", grace.as_secs())),
            };
            if let Some(problem) = problem {
                self.progress.warning(&format!(
                    "preStop of `{}` failed: {problem}",
                    container.container
                ));
            }
        }
        // without a pod the engine takes the grace period that the container was made with
        let left = grace.map(|grace| {
            let left = grace.saturating_sub(begin.elapsed()).max(SHORTEST_GRACE);
            i32::try_from(left.as_secs()).unwrap_or(i32::MAX)
        });
        let options = StopContainerOptions {
            t: left,
            signal: None,
        };
        let mut docker = self.engine.docker().clone();
        let longest = grace.unwrap_or_default() + STOP_TIMEOUT;
        docker.set_timeout(longest);
        match docker.stop_container(&container.id, Some(options)).await {
            Ok(())
            // 304: it had ended already
            | Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 304 | 404,
                ..
            }) => Ok(()),
            Err(error) => Err(refused(
                error,
                &format!("failed to stop container `{}`", container.container),
            )),
        }
    }

    async fn pre_stop(
        &self,
        container: &InstanceContainer,
        action: &PreStop,
    ) -> Result<(), bollard::errors::Error> {
        let command = match action {
            PreStop::Sleep(seconds) => {
                tokio::time::sleep(Duration::from_secs(u64::from(*seconds))).await;
                return Ok(());
            }
            PreStop::Exec(command) => command.clone(),
        };
        let docker = self.engine.docker();
        let options = CreateExecOptions {
            cmd: Some(command),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let exec = docker.create_exec(&container.id, options).await?;
        let started = docker
            .start_exec(&exec.id, None::<bollard::exec::StartExecOptions>)
            .await?;
        let mut said = String::new();
        if let bollard::exec::StartExecResults::Attached { mut output, .. } = started {
            while let Some(piece) = output.next().await {
                let text = piece?.to_string();
                let room = LONGEST_ANSWER.saturating_sub(said.chars().count());
                said.extend(text.chars().take(room));
            }
        }
        let ended = docker.inspect_exec(&exec.id).await?;
        match ended.exit_code {
            Some(0) | None => Ok(()),
            Some(code) => Err(bollard::errors::Error::DockerContainerWaitError {
                error: printable_line(said.trim()),
                code,
            }),
        }
    }

    /// Removes containers, running or not.
    ///
    /// # Errors
    ///
    /// The engine's refusal.
    pub async fn remove(&self, containers: &[InstanceContainer]) -> CommandResult<()> {
        for container in containers {
            let options = RemoveContainerOptions {
                force: true,
                v: true,
                link: false,
            };
            match self
                .engine
                .docker()
                .remove_container(&container.id, Some(options))
                .await
            {
                Ok(()) => {}
                Err(error) if is_missing(&error) => {}
                Err(error) => {
                    return Err(refused(
                        error,
                        &format!("failed to remove container `{}`", container.container),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// All containers of an instance, made ready ones included.
///
/// # Errors
///
/// The engine's refusal.
pub async fn present(
    engine: &Engine,
    namespace: &str,
    instance: &str,
) -> CommandResult<Vec<InstanceContainer>> {
    let mut containers = containers::list_with_staged(engine).await?;
    containers
        .retain(|container| container.instance == instance && container.namespace == namespace);
    Ok(containers)
}
