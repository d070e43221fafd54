//! A beamline of a test's own on a cluster: a namespace, and a project with a services repository whose instances are
//! of the real `ioc-sim` image.

use std::net::{SocketAddr, SocketAddrV4};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::{self, Cluster};
use crate::beamline::{TAG, project, sim_image};
use crate::context::TestContext;
use crate::engine::{Engine, wait_for};

/// The image of the instances, as the nodes know it.
pub(crate) fn sim_image_name() -> String {
    format!("localhost/ioc-sim-runtime:{TAG}")
}

/// How long the cluster may take for what it does by itself, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A beamline on a cluster; its namespace and its folders go when it is dropped, also when a test fails.
pub(crate) struct Site {
    context: TestContext,
    cluster: Cluster,
    name: String,
}

impl Deref for Site {
    type Target = TestContext;

    fn deref(&self) -> &TestContext {
        &self.context
    }
}

impl Site {
    /// A beamline without instances on the shared cluster; `None` where there is no cluster or no container engine.
    pub(crate) fn new() -> Option<Self> {
        Self::on(Cluster::shared()?)
    }

    /// The same on another cluster.
    pub(crate) fn on(cluster: &Cluster) -> Option<Self> {
        let engine = Engine::shared()?;
        sim_image(engine);
        cluster.load(engine.host(), &sim_image_name());
        Some(Self::without_image(cluster))
    }

    /// The same where no pod needs to run.
    pub(crate) fn without_image(cluster: &Cluster) -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // `Cluster::clear_what_dead_runs_left` reads the process back.
        let name = format!("z{:05x}k{count:02x}", std::process::id() & 0xf_ffff);
        cluster.apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {{ioc-it: \"true\"}}}}}}"
        ));
        let context = project()
            .env("KUBECONFIG", cluster.kubeconfig().display().to_string())
            .without_engine()
            .shown_as(name.clone(), "beamline")
            .shown_as(name.to_uppercase(), "BEAMLINE");
        context.succeed(&["new", "beamline", &name]);
        context.replace(
            "ioc.toml",
            "backend = \"local\"",
            "backend = \"kubernetes\"",
        );
        context.replace(
            "ioc.toml",
            "127.255.255.255",
            &cluster.broadcast().to_string(),
        );
        let site = Self {
            context,
            cluster: cluster.clone(),
            name,
        };
        site.open_channel_access();
        site
    }

    /// What `ioc new` writes keeps Channel Access on the loopback interface. The network of a node of the test bed
    /// ends at its bridge, so IOCs may listen and announce themselves as they do by default.
    fn open_channel_access(&self) {
        let path = format!("beamlines/{}/services/values.yaml", self.name);
        let values = std::fs::read_to_string(self.project().join(&path)).unwrap();
        let (kept, _) = values.split_once("  # Channel Access").unwrap();
        let address = self.cluster.broadcast();
        self.write(
            &path,
            format!(
                "{kept}  globalEnv:\n    - {{name: EPICS_CA_ADDR_LIST, value: \"{address}\"}}\n    - {{name: EPICS_CA_AUTO_ADDR_LIST, value: \"NO\"}}\n"
            ),
        );
    }

    /// Its name, which is also that of its namespace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The cluster that its instances run on.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Adds a simulated sample stage, or with `mo` in its name a motor, and gives the name of the instance.
    pub(crate) fn add(&self, rest: &str) -> String {
        let instance = format!("{}-{rest}", self.name);
        self.succeed(&["new", "instance", &instance, "--image", "ioc-sim"]);
        instance
    }

    /// Path of a file of an instance, from the project folder.
    pub(crate) fn file(&self, instance: &str, path: &str) -> String {
        format!("beamlines/{}/services/{instance}/{path}", self.name)
    }

    /// Adds a line below `ioc-instance:` of an instance's values, such as `nodeName: node-1`.
    pub(crate) fn set(&self, instance: &str, line: &str) {
        self.append(&self.file(instance, "values.yaml"), &format!("  {line}\n"));
    }

    /// Adds an instance and deploys it with `ioc`.
    pub(crate) fn deployed(&self, rest: &str) -> String {
        let instance = self.add(rest);
        self.succeed(&["deploy", &instance, "--yes"]);
        instance
    }

    /// Runs real `kubectl` in the namespace, which must succeed; gives standard output.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster
            .kubectl(&[&["--namespace", &self.name], arguments].concat())
    }

    /// Runs real `helm` in the namespace, which must succeed; gives standard output.
    pub(crate) fn helm(&self, arguments: &[&str]) -> String {
        let arguments = [&["--namespace", &self.name], arguments].concat();
        cluster::succeed(self.helm_command(&arguments))
    }

    /// What sites do without us: `helm upgrade --install` of an instance with the values of both files.
    pub(crate) fn helm_deploy(&self, instance: &str, more: &[&str]) -> String {
        cluster::succeed(self.helm_upgrade(instance, more))
    }

    /// The same, ready to be run or changed further.
    pub(crate) fn helm_upgrade(&self, instance: &str, more: &[&str]) -> Command {
        let folder = format!("beamlines/{}/services/{instance}", self.name);
        let shared = format!("beamlines/{}/services/values.yaml", self.name);
        let own = format!("{folder}/values.yaml");
        let arguments = [
            "--namespace",
            &self.name,
            "upgrade",
            "--install",
            instance,
            &folder,
            "-f",
            &shared,
            "-f",
            &own,
        ];
        self.helm_command(&[&arguments, more].concat())
    }

    fn helm_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.cluster.helm_command(arguments);
        command
            .current_dir(self.project())
            .env("HOME", self.root().join("home"));
        command
    }

    /// The objects of a kind in the namespace, such as `pods` or `statefulset/NAME`.
    pub(crate) fn object(&self, what: &str) -> Value {
        self.cluster.object(&["--namespace", &self.name, what])
    }

    /// Whether there is no object of a kind in the namespace.
    pub(crate) fn has_no(&self, kind: &str) -> bool {
        self.object(kind)["items"].as_array().unwrap().is_empty()
    }

    /// The pod of an instance, if there is one.
    pub(crate) fn pod(&self, instance: &str) -> Option<Value> {
        let pods = self.object("pods");
        let items = pods["items"].as_array().unwrap();
        let name = format!("{instance}-0");
        items
            .iter()
            .find(|pod| pod["metadata"]["name"] == name.as_str())
            .cloned()
    }

    /// Whether the pod of an instance is ready.
    pub(crate) fn is_ready(&self, instance: &str) -> bool {
        self.pod(instance).is_some_and(|pod| {
            pod["metadata"]["deletionTimestamp"].is_null()
                && pod["status"]["conditions"]
                    .as_array()
                    .is_some_and(|conditions| {
                        conditions.iter().any(|condition| {
                            condition["type"] == "Ready" && condition["status"] == "True"
                        })
                    })
        })
    }

    /// Reads a PV of an instance from outside the cluster, as an operator's client would.
    pub(crate) fn get(&self, instance: &str, name: &str) -> String {
        let pv = format!("{}:{name}", instance.to_uppercase());
        match wait_for(self.client().get(&pv, PATIENCE)) {
            Ok(reading) => reading.value.to_string(),
            Err(error) => panic!("{pv}: {error}"),
        }
    }

    /// Writes a PV of an instance from outside the cluster.
    pub(crate) fn put(&self, instance: &str, name: &str, value: &str) {
        let pv = format!("{}:{name}", instance.to_uppercase());
        wait_for(self.client().put(&pv, value, PATIENCE))
            .unwrap_or_else(|error| panic!("{pv}: {error}"));
    }

    /// Address of the IOC that answers for a PV of an instance; `None` if nobody does.
    pub(crate) fn answers_from(&self, instance: &str, name: &str) -> Option<SocketAddr> {
        let pv = format!("{}:{name}", instance.to_uppercase());
        wait_for(self.client().find(&pv, Duration::from_secs(2)))
            .ok()
            .map(|found| found.server)
    }

    fn client(&self) -> ca::Client {
        let address = SocketAddrV4::new(self.cluster.broadcast(), 5064);
        ca::Client::new(ca::Configuration::for_addresses([address]))
    }

    /// Waits until something that the cluster or an IOC does by itself has happened.
    pub(crate) fn until(&self, what: &str, mut happened: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !happened() {
            assert!(
                begin.elapsed() < 2 * PATIENCE,
                "still not: {what}\n{}",
                self.kubectl(&["get", "statefulsets,pods,events"])
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A kubeconfig for somebody who may do only what `rules` say, one for each
    /// `API GROUP | resource,resource | verb,verb`.
    pub(crate) fn user(&self, who: &str, rules: &[&str]) -> PathBuf {
        let list: Vec<String> = rules.iter().map(|rule| role_rule(rule)).collect();
        let list = list.join(", ");
        let namespace = &self.name;
        self.cluster.apply(&format!(
            "\
{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {who}, namespace: {namespace}}}}}
---
{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: {who}, namespace: {namespace}}}, rules: [{list}]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {who}, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {who}}}
subjects: [{{kind: ServiceAccount, name: {who}, namespace: {namespace}}}]
"
        ));
        let token = self.kubectl(&["create", "token", who]);
        let path = self.root().join(format!("{who}.kubeconfig"));
        self.cluster.other_kubeconfig(&path, |text| {
            let (before, rest) = text.split_once("    client-certificate-data:").unwrap();
            let (_, after) = rest.split_once("contexts:").unwrap();
            format!("{before}    token: {}\ncontexts:{after}", token.trim())
        })
    }
}

/// All revisions, as real helm sees them.
pub(crate) fn history(site: &Site, instance: &str) -> Vec<Value> {
    let text = site.helm(&["history", instance, "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

/// Their states.
pub(crate) fn states(site: &Site, instance: &str) -> Vec<String> {
    history(site, instance)
        .iter()
        .map(|revision| revision["status"].as_str().unwrap().to_owned())
        .collect()
}

/// `API GROUP | resource,resource | verb,verb` as a rule of a role.
fn role_rule(rule: &str) -> String {
    let parts: Vec<&str> = rule.split('|').map(str::trim).collect();
    let [group, resources, verbs] = parts.as_slice() else {
        panic!("not a rule: {rule}");
    };
    format!("{{apiGroups: [\"{group}\"], resources: [{resources}], verbs: [{verbs}]}}")
}

impl Drop for Site {
    fn drop(&mut self) {
        let deleted = self
            .cluster
            .kubectl_command(&["delete", "namespace", &self.name, "--wait=false"])
            .output();
        if !deleted.is_ok_and(|output| output.status.success()) {
            eprintln!("the namespace `{}` is left behind", self.name);
        }
    }
}
