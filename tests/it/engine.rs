//! The container engine of the tests: finding it, looking past `ioc` at what is there, and clearing up.
//!
//! Tests share one engine, which may be the one that a developer works with: everything that a test makes carries
//! the name of a beamline of its own, and only that is removed.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, RemoveContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};

use crate::context::repository;
use crate::testbed;

/// Runs a future to its end, from a test that is not async.
pub(crate) fn wait_for<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap()
        })
        .block_on(future)
}

/// A container engine that runs.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    host: String,
    docker: Docker,
}

impl Engine {
    /// The engine of the test bed, or `None` when there is none and that is no failure here.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Engine>> = OnceLock::new();
        SHARED
            .get_or_init(|| {
                let engine = Self::at(&testbed::part("engine.sh", "DOCKER_HOST")?);
                engine.clear_what_dead_runs_left();
                Some(engine)
            })
            .as_ref()
    }

    /// The engine behind a URL.
    pub(crate) fn at(host: &str) -> Self {
        let docker = match host.strip_prefix("unix://") {
            Some(path) => Docker::connect_with_unix(path, 120, API_DEFAULT_VERSION).unwrap(),
            None => Docker::connect_with_http(host, 120, API_DEFAULT_VERSION).unwrap(),
        };
        Self {
            host: host.to_owned(),
            docker: wait_for(docker.negotiate_version()).unwrap(),
        }
    }

    /// Its URL.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The containers of a beamline, or those of all.
    pub(crate) fn containers(&self, beamline: Option<&str>) -> Vec<ContainerSummary> {
        let label = match beamline {
            Some(name) => format!("ioc.beamline={name}"),
            None => "ioc.beamline".to_owned(),
        };
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([("label".to_owned(), vec![label])])),
            ..ListContainersOptions::default()
        };
        wait_for(self.docker.list_containers(Some(options))).unwrap()
    }

    /// Takes images over from another engine, as people do where there is no registry.
    pub(crate) fn copy_images(&self, from: &Self, names: &[String]) {
        let socket = |engine: &Self| engine.host.strip_prefix("unix://").unwrap().to_owned();
        let names: Vec<String> = names.iter().map(|name| format!("names={name}")).collect();
        let mut saved = Command::new("curl")
            .args(["-fsS", "--unix-socket", &socket(from)])
            .arg(format!("http://engine/images/get?{}", names.join("&")))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let loaded = Command::new("curl")
            .args(["-fsS", "--unix-socket", &socket(self), "-X", "POST"])
            .args(["-H", "Content-Type: application/x-tar", "-T", "-"])
            .arg("http://engine/v1.40/images/load")
            .stdin(saved.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(saved.wait().unwrap().success());
        let said = String::from_utf8_lossy(&loaded.stdout);
        assert!(
            loaded.status.success() && said.contains("Loaded image"),
            "{said}"
        );
    }

    /// Everything that the engine knows of the IOC container of an instance.
    pub(crate) fn container_of(&self, beamline: &str, instance: &str) -> ContainerInspectResponse {
        let of_instance: Vec<ContainerSummary> = self
            .containers(Some(beamline))
            .into_iter()
            .filter(|container| {
                let labels = container.labels.clone().unwrap_or_default();
                labels
                    .get("ioc.instance")
                    .is_some_and(|name| name == instance)
                    && labels.get("ioc.role").is_some_and(|role| role == "ioc")
            })
            .collect();
        let [container] = of_instance.as_slice() else {
            panic!(
                "{} IOC containers of `{instance}`: {of_instance:#?}",
                of_instance.len()
            );
        };
        let id = container.id.clone().unwrap();
        let inspected = self
            .docker
            .inspect_container(&id, None::<InspectContainerOptions>);
        wait_for(inspected).unwrap()
    }

    /// Removes all containers of a beamline, running or not.
    pub(crate) fn clear(&self, beamline: &str) {
        for container in self.containers(Some(beamline)) {
            let options = RemoveContainerOptions {
                force: true,
                v: true,
                ..RemoveContainerOptions::default()
            };
            let id = container.id.unwrap();
            if let Err(error) = wait_for(self.docker.remove_container(&id, Some(options))) {
                eprintln!("a container of `{beamline}` is left behind: {error}");
            }
        }
    }

    /// A test run that was killed could not clear up. Names of its beamlines tell its process, see [`Self::name`].
    pub(crate) fn clear_what_dead_runs_left(&self) {
        for container in self.containers(None) {
            let labels = container.labels.unwrap_or_default();
            let beamline = &labels["ioc.beamline"];
            let process = beamline
                .strip_prefix('z')
                .filter(|rest| rest.len() == 7)
                .and_then(|rest| u32::from_str_radix(&rest[..5], 16).ok());
            if process.is_some_and(|id| !PathBuf::from(format!("/proc/{id}")).exists()) {
                self.clear(beamline);
            }
        }
    }
}

/// A private engine beside the shared one: for what must not happen to the engine of others. Stopped, with all that
/// it kept, when dropped.
pub(crate) struct PrivateEngine {
    name: String,
    options: Vec<String>,
}

impl PrivateEngine {
    /// Starts one; `None` where only root could, or where another engine is used.
    pub(crate) fn start(name: &str, options: &[&str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var("CI").is_err(), "a private engine needs root");
            testbed::not_checked("what needs a private engine, which only root can start");
            return None;
        }
        let engine = Self {
            name: name.to_owned(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        };
        engine.script("up");
        Some(engine)
    }

    /// Its `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        let text = self.script("env");
        text.trim().strip_prefix("DOCKER_HOST=").unwrap().to_owned()
    }

    /// Stops its daemon; what it keeps stays.
    pub(crate) fn stop(&self) {
        self.script("down");
    }

    /// Ends its daemon and all containers at once, as a power failure does.
    pub(crate) fn crash(&self) {
        self.script("crash");
    }

    /// Starts its daemon again.
    pub(crate) fn start_again(&self) {
        self.script("up");
    }

    fn script(&self, verb: &str) -> String {
        let output = Command::new("bash")
            .arg(repository().join("tests/testbed/engine.sh"))
            .args(["--name", &self.name])
            .args(&self.options)
            .arg(verb)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "engine.sh {verb}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        let ended = Command::new("bash")
            .arg(repository().join("tests/testbed/engine.sh"))
            .args(["--name", &self.name, "--purge", "down"])
            .output();
        if !ended.is_ok_and(|output| output.status.success()) {
            eprintln!("the private engine `{}` was not stopped", self.name);
        }
    }
}
