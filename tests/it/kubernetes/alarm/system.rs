//! What a site has around the alarm system, and how the test looks at it.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::alarm_server::bed::Process;
use crate::beamline::TAG;
use crate::context::repository;
use crate::engine::Engine;
use crate::kubernetes::cluster::{Cluster, succeed};
use crate::kubernetes::site::Site;
use crate::port::free_port;
use crate::testbed::part;
use crate::versions::repository::GitRepository;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);
/// The configuration of `alarm/values-staging.yaml`.
const CONFIGURATION: &str = "Staging";
const TOKENS: &str = "\
viewer panel only-for-tests-panel
operator alice only-for-tests-alice
";

/// The node of the test bed that is not this one.
pub(super) fn other_node(node: &str) -> &'static str {
    if node == "node-1" { "node-2" } else { "node-1" }
}

/// Kafka on this machine's address in the network of the nodes; ends with this process.
struct Kafka {
    environment: String,
}

impl Kafka {
    fn start(address: Ipv4Addr) -> Option<Self> {
        // says aloud what is not checked where there is no Kafka at all
        part("kafka.sh", "KAFKA_SERVERS")?;
        let process = std::process::id().to_string();
        let mut command = Command::new("bash");
        command
            .arg(repository().join("tests/testbed/kafka.sh"))
            .args(["--name", &format!("ioc-cluster-{process}")])
            .args(["--listen", &address.to_string(), "--secure"])
            .args(["--die-with", &process, "up"]);
        Some(Self {
            environment: succeed(command),
        })
    }

    fn value(&self, name: &str) -> &str {
        let lines = self.environment.lines();
        let mut pairs = lines.filter_map(|line| line.split_once('='));
        pairs.find(|(key, _value)| *key == name).unwrap().1
    }

    /// What a client needs that has the authority's certificate in `folder`.
    fn properties(&self, folder: &str) -> String {
        format!(
            "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nssl.truststore.type=PEM\nssl.truststore.location={folder}/ca.pem\n\
             sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{}\" password=\"{}\";\n",
            self.value("KAFKA_USER"),
            self.value("KAFKA_PASSWORD")
        )
    }
}

/// A deploy that is under way.
pub(super) struct Deploying(Child);

impl Deploying {
    /// Itself, unless it has ended; then it must have succeeded.
    pub(super) fn unless_ended(mut self, system: &System) -> Option<Self> {
        if self.0.try_wait().unwrap().is_none() {
            return Some(self);
        }
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", system.site.report(&output));
        None
    }
}

/// The alarm system in a namespace of its own, and what is around it.
pub(super) struct System {
    site: Site,
    kafka: Kafka,
    _git: Process,
    namespace: String,
    instance: String,
}

impl System {
    /// All but the alarm system itself and the IOC; `None` where a part is missing.
    pub(super) fn new(cluster: &Cluster) -> Option<Self> {
        let site = Site::on(cluster)?;
        let [a, b, c, _] = cluster.broadcast().octets();
        // tests/testbed/kubernetes/network.bash
        let machine = Ipv4Addr::new(a, b, c, 1);
        let kafka = Kafka::start(machine)?;
        make_image(&site);
        let namespace = format!("{}-alarm", site.name());
        cluster.apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, labels: {{pod-security.kubernetes.io/enforce: restricted}}}}}}"
        ));
        let instance = site.add("ea-ioc-01");
        let pv = |name: &str| format!("{}:STAGE:{name}", instance.to_uppercase());
        let git = GitRepository::new(site.root().join("git/alarms"));
        git.git(&["checkout", "--quiet", "-b", "staging"]);
        git.write(
            "alarms.yaml",
            &format!(
                "configuration: {CONFIGURATION}\ngroups:\n  Stage:\n    pvs:\n      {}:\n        description: temperature\n        latching: false\n      \
                 {}:\n        description: interlock\n",
                pv("TEMP"),
                pv("INTERLOCK")
            ),
        )
        .commit();
        let port = free_port();
        let mut served = Process::start(
            Command::new("git")
                .args(["daemon", "--export-all", "--reuseaddr", "--verbose"])
                .arg(format!("--listen={machine}"))
                .arg(format!("--port={port}"))
                .arg(format!("--base-path={}", site.root().join("git").display())),
        );
        served.line(&["Ready to rumble"]);
        let system = Self {
            site,
            kafka,
            _git: served,
            namespace,
            instance,
        };
        system.write_values(&format!("git://{machine}:{port}/alarms"), [a, b, c]);
        system.make_secrets();
        system.make_volume();
        Some(system)
    }

    /// What this site is, beside the values that come with the chart.
    fn write_values(&self, url: &str, [a, b, c]: [u8; 3]) {
        self.site.write(
            "site.yaml",
            format!(
                "\
image: {{tag: {TAG}}}
configurations:
  - name: {CONFIGURATION}
    git: {{url: '{url}', branch: staging, path: alarms.yaml, every: 2s, prune: true}}
channelAccess: {{addressList: {a}.{b}.{c}.11 {a}.{b}.{c}.12}}
logger: {{spool: {{storageClass: {}}}}}
kafka: {{bootstrap: '{}', propertiesSecret: alarm-kafka}}
",
                self.namespace,
                self.kafka.value("KAFKA_SASL_SERVERS")
            ),
        );
        let copied = Command::new("cp")
            .arg("-a")
            .arg(repository().join("alarm"))
            .arg(self.site.project())
            .status()
            .unwrap();
        assert!(copied.success());
    }

    fn make_secrets(&self) {
        let write = |name: &str, text: &str| {
            let path = self.site.write(name, text);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let certificates = self.kafka.value("KAFKA_CERTIFICATES").to_owned();
        // for clients on this machine
        write("alice.token", "only-for-tests-alice\n");
        write("client.properties", &self.kafka.properties(&certificates));
        let secret = |name: &str, files: &[(&str, PathBuf)]| {
            let files: Vec<String> = files
                .iter()
                .map(|(key, path)| format!("--from-file={key}={}", path.display()))
                .collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            self.kubectl(&[&["create", "secret", "generic", name], &files[..]].concat());
        };
        secret("alarm-tokens", &[("tokens", write("tokens", TOKENS))]);
        let inside = write(
            "inside.properties",
            &self.kafka.properties("/run/alarm/kafka"),
        );
        let authority = PathBuf::from(&certificates).join("ca.pem");
        secret(
            "alarm-kafka",
            &[("client.properties", inside), ("ca.pem", authority)],
        );
    }

    /// A volume that both nodes reach, whose owner the kubelet sets as for network storage; those that the test bed
    /// makes by itself belong to root.
    fn make_volume(&self) {
        let folder = self.site.root().join("spool");
        std::fs::create_dir(&folder).unwrap();
        self.site.cluster().apply(&format!(
            "\
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: 2Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: {name}
  local: {{path: {}}}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [node-1, node-2]}}]
",
            folder.display(),
            name = self.namespace
        ));
    }

    pub(super) fn namespace(&self) -> String {
        self.namespace.clone()
    }

    /// `ioc deploy alarm`, which must succeed; what it says.
    pub(super) fn deploy(&self, more: &[&str]) -> String {
        let output = self.deploy_command(more).output().unwrap();
        let report = self.site.report(&output);
        assert!(
            output.status.success(),
            "{report}\n{}",
            self.kubectl(&["get", "pods,events"])
        );
        report
    }

    /// The same without waiting for it.
    pub(super) fn start_deploy(&self, more: &[&str]) -> Deploying {
        let mut command = self.deploy_command(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Deploying(command.spawn().unwrap())
    }

    fn deploy_command(&self, more: &[&str]) -> Command {
        let words = ["deploy", "alarm", "--namespace", &self.namespace, "--yes"];
        let values = "--timeout 3m --values alarm/values-staging.yaml --values site.yaml";
        let values: Vec<&str> = values.split(' ').collect();
        self.site.command(&[&words[..], &values[..], more].concat())
    }

    /// Real `helm upgrade --install` with the same values.
    pub(super) fn helm_upgrade(&self, more: &[&str]) {
        let words = "upgrade --install alarm alarm/chart --wait --timeout 3m \
                     --values alarm/values-staging.yaml --values site.yaml";
        let words: Vec<&str> = words.split_whitespace().collect();
        let words = [&["--namespace", &self.namespace], &words[..], more].concat();
        let mut command = self.site.cluster().helm_command(&words);
        command
            .current_dir(self.site.project())
            .env("HOME", self.site.root().join("home"));
        succeed(command);
    }

    /// The IOC whose PVs are watched, on a node.
    pub(super) fn deploy_ioc(&self, node: &str) {
        self.site.set(&self.instance, &format!("nodeName: {node}"));
        self.site.succeed(&["deploy", &self.instance, "--yes"]);
    }

    /// A PV of the sample stage.
    pub(super) fn pv(&self, name: &str) -> String {
        format!("{}:STAGE:{name}", self.instance.to_uppercase())
    }

    /// Writes a PV of the sample stage.
    pub(super) fn put(&self, name: &str, value: &str) {
        self.site
            .put(&self.instance, &format!("STAGE:{name}"), value);
    }

    /// Above which temperature there is an alarm; it is about 20.
    pub(super) fn limit(&self, value: u8) {
        self.put("TEMP.HIHI", &value.to_string());
    }

    /// `ioc` on this machine, in the namespace of the alarm system.
    pub(super) fn ioc(&self, arguments: &[&str]) -> String {
        let arguments = [arguments, &["--namespace", &self.namespace]].concat();
        let output = self.site.command(&arguments).output().unwrap();
        let report = self.site.report(&output);
        assert!(output.status.success(), "{arguments:?}: {report}");
        report
    }

    /// The same where it must fail.
    pub(super) fn refuse(&self, arguments: &[&str]) -> String {
        let arguments = [arguments, &["--namespace", &self.namespace]].concat();
        self.site.refuse(&arguments)
    }

    /// `ioc alarm …` of an operator on this machine, who asks the API of a pod.
    pub(super) fn asked(&self, pod: &str, arguments: &[&str]) -> String {
        let api = format!("http://{}:4730", self.address(pod));
        let who = ["--server", &api, "--token-file", "alice.token"];
        self.site.succeed(&[arguments, &who].concat())
    }

    /// The PVs as a server shows them.
    pub(super) fn alarms(&self, pod: &str) -> Vec<Value> {
        let text = self.asked(pod, &["-o", "json", "alarm", "ls"]);
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until a server shows a severity of a PV of the stage.
    pub(super) fn until_severity(&self, pod: &str, name: &str, severity: &str) {
        let pv = self.pv(name);
        self.until(&format!("{pv} is {severity} on {pod}"), |system| {
            let items = system.alarms(pod);
            let item = items.iter().find(|item| item["pv"] == pv.as_str());
            item.is_some_and(|item| item["severity"] == severity)
        });
    }

    /// Severities of a PV of the stage in the history, in their order.
    pub(super) fn changes(&self, name: &str) -> Vec<String> {
        let pv = self.pv(name);
        let words = "ioc -o json alarm log --changes --since 1h --pv";
        let words: Vec<&str> = words.split(' ').chain([pv.as_str()]).collect();
        let text = self.exec("alarm-logger-0", "logger", &words);
        let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
        let severity = |entry: &Value| entry["severity"].as_str().unwrap().to_owned();
        entries.iter().map(severity).collect()
    }

    /// The servers as they say themselves on the bus: name and role.
    fn roles(&self) -> Vec<(String, String)> {
        let found = self.site.json(&[
            "alarm",
            "replicas",
            "--config",
            CONFIGURATION,
            "--kafka",
            self.kafka.value("KAFKA_SASL_SERVERS"),
            "--kafka-properties",
            "client.properties",
        ]);
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        let found = found.as_array().unwrap().iter();
        found
            .map(|one| (text(one, "name"), text(one, "role")))
            .collect()
    }

    /// The pod whose server has a role.
    fn server(&self, role: &str) -> String {
        let mut name = None;
        self.until(&format!("there is a {role}"), |system| {
            let roles = system.roles();
            name = roles.into_iter().find(|(_, is)| is == role);
            name.is_some()
        });
        name.unwrap().0
    }

    /// The pod that leads.
    pub(super) fn leader(&self) -> String {
        self.server("leader")
    }

    /// The pod that stands by.
    pub(super) fn standby(&self) -> String {
        self.server("stand-by")
    }

    /// Runs a program in a container; it must succeed.
    pub(super) fn exec(&self, pod: &str, container: &str, command: &[&str]) -> String {
        self.kubectl(&[&["exec", pod, "-c", container, "--"], command].concat())
    }

    /// Real `kubectl` in the namespace.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        let arguments = [&["--namespace", &self.namespace], arguments].concat();
        self.site.cluster().kubectl(&arguments)
    }

    /// A pod as the API server has it.
    pub(super) fn pod(&self, name: &str) -> Value {
        let cluster = self.site.cluster();
        cluster.object(&["--namespace", &self.namespace, "pod", name])
    }

    fn pods(&self, component: &str) -> Vec<Value> {
        let label = format!("app.kubernetes.io/component={component}");
        let cluster = self.site.cluster();
        let found = cluster.object(&["--namespace", &self.namespace, "pods", "-l", &label]);
        found["items"].as_array().unwrap().clone()
    }

    /// Name of the one pod of a component.
    pub(super) fn pod_of(&self, component: &str) -> String {
        let pods = self.pods(component);
        let [pod] = pods.as_slice() else {
            panic!("not one pod: {pods:#?}");
        };
        pod["metadata"]["name"].as_str().unwrap().to_owned()
    }

    /// Names of the servers' pods and which of that name they are.
    pub(super) fn server_pods(&self) -> Vec<(String, String)> {
        let text = |pod: &Value, key: &str| pod["metadata"][key].as_str().unwrap().to_owned();
        let pods = self.pods("server");
        pods.iter()
            .map(|pod| (text(pod, "name"), text(pod, "uid")))
            .collect()
    }

    pub(super) fn uid(&self, pod: &str) -> String {
        let pod = self.pod(pod);
        pod["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// Whether both servers are ready, by the word of kubelets that live.
    pub(super) fn servers_are_ready(&self) -> bool {
        let pods = self.pods("server");
        pods.len() == 2
            && pods.iter().all(|pod| {
                let conditions = pod["status"]["conditions"].as_array();
                conditions.is_some_and(|conditions| {
                    conditions
                        .iter()
                        .any(|it| it["type"] == "Ready" && it["status"] == "True")
                })
            })
            && self.roles().iter().any(|(_, role)| role == "stand-by")
    }

    pub(super) fn node_of(&self, pod: &str) -> String {
        let pod = self.pod(pod);
        pod["spec"]["nodeName"].as_str().unwrap().to_owned()
    }

    fn address(&self, pod: &str) -> String {
        let pod = self.pod(pod);
        pod["status"]["podIP"].as_str().unwrap().to_owned()
    }

    /// What of the alarm system is there, by name.
    pub(super) fn left(&self) -> Vec<String> {
        let kinds = "statefulsets,deployments,pods,services,configmaps,persistentvolumeclaims,\
                     serviceaccounts,networkpolicies,poddisruptionbudgets,priorityclasses";
        let named = self.kubectl(&["get", kinds, "-o", "name"]);
        let of_the_cluster = |name: &&str| {
            !matches!(
                *name,
                "configmap/kube-root-ca.crt" | "serviceaccount/default"
            ) && !name.contains("/system-")
        };
        named
            .lines()
            .filter(of_the_cluster)
            .map(str::to_owned)
            .collect()
    }

    /// Waits until something has happened.
    pub(super) fn until(&self, what: &str, mut happened: impl FnMut(&Self) -> bool) {
        let begin = Instant::now();
        while !happened(self) {
            assert!(
                begin.elapsed() < PATIENCE,
                "still not: {what}\n{}",
                self.kubectl(&["get", "pods,events", "-o", "wide"])
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Makes the image of `ioc` as `make image` does, of the program that is tested, and takes it to the nodes.
fn make_image(site: &Site) {
    let engine = Engine::shared().unwrap();
    let folder = site.root().join("containers");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(repository().join("containers"))
        .arg(&folder)
        .status()
        .unwrap();
    assert!(copied.success());
    let program = folder.join("ioc/ioc");
    // what a debugger needs is most of it
    let stripped = Command::new("strip")
        .arg("-o")
        .arg(&program)
        .arg(env!("CARGO_BIN_EXE_ioc"))
        .status()
        .unwrap();
    assert!(stripped.success());
    let folder = folder.display().to_string();
    let mut built = site.command(&["--project", &folder, "build", "ioc", "--target", "runtime"]);
    built.env("DOCKER_HOST", engine.host());
    succeed(built);
    let image = format!("localhost/ioc-runtime:{TAG}");
    site.cluster().load(engine.host(), &image);
}
