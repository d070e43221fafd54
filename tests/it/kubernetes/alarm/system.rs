//! What a site has around the alarm system, and how the test looks at it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::alarm_server::bed::{Process, SERVE};
use crate::beamline::TAG;
use crate::context::repository;
use crate::engine::{Engine, wait_for};
use crate::kubernetes::cluster::{Cluster, succeed};
use crate::kubernetes::site::Site;
use crate::port::free_port;
use crate::testbed::part;
use crate::versions::repository::GitRepository;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);
/// The configuration of `alarm/values-staging.yaml`.
const CONFIGURATION: &str = "Staging";
/// Exit code when bus or server do not answer; docs/exit-codes.md.
const NO_ANSWER: i32 = 14;
const TOKENS: &str = "\
viewer panel only-for-tests-panel
operator alice only-for-tests-alice
";

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
    machine: Ipv4Addr,
    _ioc: Process,
    _git: Process,
    namespace: String,
}

impl System {
    /// All but the alarm system itself; `None` where a part is missing.
    pub(super) fn new(cluster: &Cluster) -> Option<Self> {
        let engine = Engine::shared()?;
        let python = part("softioc.sh", "SOFTIOC_PYTHON")?;
        let site = Site::without_image(cluster);
        let [a, b, c, _] = cluster.broadcast().octets();
        // tests/testbed/kubernetes/network.bash
        let machine = Ipv4Addr::new(a, b, c, 1);
        let kafka = Kafka::start(machine)?;
        make_image(&site, engine);
        let namespace = format!("{}-alarm", site.name());
        cluster.apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, labels: {{pod-security.kubernetes.io/enforce: restricted}}}}}}"
        ));
        let ioc = soft_ioc(&python, &site, machine);
        let [temperature, interlock] = ["TEMP", "INTERLOCK"].map(|name| pv(&site, name));
        let git = GitRepository::new(site.root().join("git/alarms"));
        git.git(&["checkout", "--quiet", "-b", "staging"]);
        git.write(
            "alarms.yaml",
            &format!(
                "configuration: {CONFIGURATION}\ngroups:\n  Stage:\n    pvs:\n      {temperature}:\n        description: temperature\n        latching: false\n      \
                 {interlock}:\n        description: interlock\n        latching: false\n"
            ),
        )
        .commit();
        let port = free_port();
        let mut served = Process::start(
            // not `git daemon`, which starts this one and would leave it behind when it is killed
            Command::new(git_programs().join("git-daemon"))
                .args(["--export-all", "--reuseaddr", "--verbose"])
                .arg(format!("--listen={machine}"))
                .arg(format!("--port={port}"))
                .arg(format!("--base-path={}", site.root().join("git").display())),
        );
        served.line(&["Ready to rumble"]);
        let system = Self {
            site,
            kafka,
            machine,
            _ioc: ioc,
            _git: served,
            namespace,
        };
        system.write_values(&format!("git://{machine}:{port}/alarms"));
        system.make_secrets();
        system.make_volume();
        Some(system)
    }

    /// What this site is, beside the values that come with the chart.
    fn write_values(&self, url: &str) {
        self.site.write(
            "site.yaml",
            format!(
                "\
image: {{tag: {TAG}}}
configurations:
  - name: {CONFIGURATION}
    git: {{url: '{url}', branch: staging, path: alarms.yaml, every: 2s, prune: true}}
channelAccess: {{addressList: {}}}
priorityClass: {{create: true}}
logger: {{spool: {{storageClass: {}}}}}
kafka: {{bootstrap: '{}', propertiesSecret: alarm-kafka}}
",
                self.machine,
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

    /// Writes a PV: above 80 it is an alarm.
    pub(super) fn put(&self, name: &str, value: &str) {
        let pv = self.pv(name);
        wait_for(self.client().put(&pv, value, PATIENCE))
            .unwrap_or_else(|error| panic!("{pv}: {error}"));
    }

    fn client(&self) -> ca::Client {
        let address = SocketAddrV4::new(self.machine, 5064);
        ca::Client::new(ca::Configuration::for_addresses([address]))
    }

    /// A PV of the IOC.
    pub(super) fn pv(&self, name: &str) -> String {
        pv(&self.site, name)
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

    /// `ioc alarm …` of an operator on this machine, who asks the API of a pod; it must succeed.
    pub(super) fn asked(&self, pod: &str, arguments: &[&str]) -> String {
        succeed(self.asking(pod, arguments))
    }

    fn asking(&self, pod: &str, arguments: &[&str]) -> Command {
        let api = format!("http://{}:4730", self.address(pod));
        let who = ["--server", &api, "--token-file", "alice.token"];
        self.site.command(&[arguments, &who].concat())
    }

    /// The PVs as a server shows them; none while it is not there or nobody leads.
    pub(super) fn alarms(&self, pod: &str) -> Vec<Value> {
        let output = self
            .asking(pod, &["-o", "json", "alarm", "ls"])
            .output()
            .unwrap();
        if output.status.code() == Some(NO_ANSWER) {
            return Vec::new();
        }
        assert!(output.status.success(), "{}", self.site.report(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until a server shows a severity of a PV.
    pub(super) fn until_severity(&self, pod: &str, name: &str, severity: &str) {
        let pv = self.pv(name);
        self.until(&format!("{pv} is {severity} on {pod}"), |system| {
            let items = system.alarms(pod);
            let item = items.iter().find(|item| item["pv"] == pv.as_str());
            item.is_some_and(|item| item["severity"] == severity)
        });
    }

    /// Severities of a PV in the history, in their order.
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

/// Where git has its parts.
fn git_programs() -> PathBuf {
    let mut command = Command::new("git");
    command.arg("--exec-path");
    succeed(command).trim().into()
}

fn pv(site: &Site, name: &str) -> String {
    format!("{}:{name}", site.name().to_uppercase())
}

/// An IOC on this machine, for searches and broadcasts of the nodes.
fn soft_ioc(python: &str, site: &Site, machine: Ipv4Addr) -> Process {
    let mut records = String::new();
    for name in ["TEMP", "INTERLOCK"] {
        records.push_str(&format!(
            "record(ao, \"{}\") {{\n field(PINI, \"YES\")\n field(VAL, \"20\")\n field(HIHI, \"80\")\n field(HHSV, \"MAJOR\")\n}}\n",
            pv(site, name)
        ));
    }
    let records = site.write("records.db", records);
    let broadcast = site.cluster().broadcast();
    let mut ioc = Process::start(
        Command::new(python)
            .args(["-c", SERVE])
            .arg(records)
            .env("EPICS_CAS_INTF_ADDR_LIST", format!("{machine} {broadcast}"))
            .env("EPICS_CAS_BEACON_ADDR_LIST", broadcast.to_string())
            .env("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO"),
    );
    ioc.line(&["iocRun: All initialization complete"]);
    ioc
}

/// Makes the image of `ioc` as `make image` does, of the program that is tested, and takes it to the nodes.
fn make_image(site: &Site, engine: &Engine) {
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
