//! The clusters of the test bed, and real `kubectl` and `helm` to look past `ioc` at what is there.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::context::repository;
use crate::testbed;

/// A cluster that runs, with its nodes `node-1` and `node-2`.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// Of the administrator.
    kubeconfig: PathBuf,
    broadcast: Ipv4Addr,
    kubectl: String,
    helm: String,
    /// Empty for the usual one.
    options: Vec<String>,
}

impl Cluster {
    /// The cluster of the test bed, or `None` when there is none and that is no failure here.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED
            .get_or_init(|| {
                // Never `KUBECONFIG`: that may be the cluster of a facility.
                let kubeconfig = testbed::part("kubernetes.sh", "KUBERNETES_TESTBED")?;
                let broadcast = testbed::part("kubernetes.sh", "KUBERNETES_BROADCAST")?;
                let cluster = Self {
                    kubeconfig: kubeconfig.into(),
                    broadcast: broadcast.parse().unwrap(),
                    kubectl: testbed::part("helm.sh", "KUBECTL_BINARY")?,
                    helm: testbed::part("helm.sh", "HELM_BINARY")?,
                    options: Vec::new(),
                };
                cluster.clear_what_dead_runs_left();
                Some(cluster)
            })
            .as_ref()
    }

    /// Path of the administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where Channel Access searches reach the IOCs of all nodes.
    pub(crate) fn broadcast(&self) -> Ipv4Addr {
        self.broadcast
    }

    /// Real `kubectl` as the administrator, ready to be run or changed further.
    pub(crate) fn kubectl_command(&self, arguments: &[&str]) -> Command {
        self.real(&self.kubectl, arguments)
    }

    /// Real `helm` as the administrator.
    pub(crate) fn helm_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.real(&self.helm, arguments);
        // Warnings of the links of a services repository are no news.
        command.env("HELM_DEBUG", "false");
        command
    }

    /// Real `kubectl`, which must succeed; gives standard output.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        succeed(self.kubectl_command(arguments))
    }

    /// Real `kubectl get … -o json`, which must succeed.
    pub(crate) fn object(&self, arguments: &[&str]) -> Value {
        let text = self.kubectl(&[&["get", "-o", "json"], arguments].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// Applies manifests with real `kubectl`.
    pub(crate) fn apply(&self, manifests: &str) {
        let mut child = self
            .kubectl_command(&["apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(manifests.as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", report(&output));
    }

    /// A kubeconfig like the administrator's with `change` made to its text, for a test to keep in a folder of its own.
    pub(crate) fn other_kubeconfig(
        &self,
        path: &Path,
        change: impl FnOnce(String) -> String,
    ) -> PathBuf {
        let text = std::fs::read_to_string(&self.kubeconfig).unwrap();
        std::fs::write(path, change(text)).unwrap();
        path.to_owned()
    }

    /// Copies an image of the container engine to the nodes; nothing happens where it is there already.
    pub(crate) fn load(&self, engine: &str, image: &str) {
        let mut command = self.script(&["load", image]);
        command.env("DOCKER_HOST", engine);
        succeed(command);
    }

    fn real(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        command
    }

    fn script(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command
            .arg(repository().join("tests/testbed/kubernetes.sh"))
            .args(&self.options)
            .args(arguments);
        command
    }

    /// A test run that was killed could not clear up. Names of its namespaces tell its process, see
    /// [`super::site::Site`].
    fn clear_what_dead_runs_left(&self) {
        let names = self.kubectl(&["get", "namespaces", "-l", "ioc-it", "-o", "name"]);
        for name in names
            .lines()
            .filter_map(|name| name.strip_prefix("namespace/"))
        {
            let process = name
                .strip_prefix('z')
                .and_then(|rest| rest.get(..5))
                .and_then(|digits| u32::from_str_radix(digits, 16).ok());
            if process.is_some_and(|id| !PathBuf::from(format!("/proc/{id}")).exists()) {
                self.kubectl(&["delete", "namespace", name, "--wait=false"]);
            }
        }
    }
}

/// A cluster beside the shared one: for what must not happen to the cluster of others. Removed when dropped.
pub(crate) struct PrivateCluster {
    cluster: Cluster,
}

impl PrivateCluster {
    /// Starts one; `None` where there is no shared cluster either.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let mut cluster = Cluster::shared()?.clone();
        cluster.options = vec!["--name".to_owned(), name.to_owned()];
        let mut private = Self { cluster };
        // What a killed run left.
        succeed(private.cluster.script(&["down"]));
        private.repair();
        let environment = succeed(private.cluster.script(&["env"]));
        let value = |key: &str| {
            environment
                .lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| *name == key)
                .unwrap()
                .1
        };
        private.cluster.kubeconfig = value("KUBECONFIG").into();
        private.cluster.broadcast = value("KUBERNETES_BROADCAST").parse().unwrap();
        Some(private)
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Kills `etcd`, `apiserver`, `controllers`, `scheduler`, or a node with all that runs on it.
    pub(crate) fn kill(&self, part: &str) {
        succeed(self.cluster.script(&["kill", part]));
    }

    /// Starts what was killed, and waits until it works.
    pub(crate) fn repair(&self) {
        succeed(self.cluster.script(&["up"]));
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        let ended = self.cluster.script(&["down"]).output();
        if !ended.is_ok_and(|output| output.status.success()) {
            eprintln!(
                "a private cluster was not removed: {:?}",
                self.cluster.options
            );
        }
    }
}

/// Runs a command that must succeed, and gives standard output.
pub(crate) fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", report(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What a real program left behind, for a person.
pub(crate) fn report(output: &Output) -> String {
    let mut text = format!("{}\n", output.status);
    for bytes in [&output.stdout, &output.stderr] {
        let _ = writeln!(text, "{}", String::from_utf8_lossy(bytes));
    }
    text
}
