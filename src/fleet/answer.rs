//! Whether an instance does its work: its IOC answers a Channel Access search and exchanges versions, from a
//! process of its own container.
//!
//! [`question`] is pure; [`wait`] asks until the answer comes, the container gives up, or the time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::fleet::console::output::printable_line;
use crate::fleet::containers::InstanceContainer;
use crate::fleet::health::{self, Facts, Intent, Process, State};
use crate::fleet::local::{last_exit, observe};
use crate::fleet::progress::Progress;
use crate::fleet::workload::{Container, Pod};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Longest pause between two searches for the PV of an IOC that is just starting.
const SEARCH_AGAIN: Duration = Duration::from_millis(50);

/// Annotation of a pod: the PV that says that the IOC is there.
pub const PV_ANNOTATION: &str = "ioc/pv";
/// All IOCs of this machine that listen on the loopback interface.
const LOOPBACK: &str = "127.255.255.255";
/// A container without a PV to ask for counts as well when it has run for so long.
const STEADY: Duration = Duration::from_secs(3);
/// How often the engine is asked about the container.
const LOOK: Duration = Duration::from_millis(500);
/// So many ends in a row are no accident.
const MOST_ENDS: u32 = 3;
/// How often a container that ends again and again is looked at until it is seen ended.
const LOOKS_FOR_AN_END: u32 = 20;
/// Time between these looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Lines of the log that are shown with an error.
const LAST_LINES: usize = 12;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The PV.
    pub pv: String,
    /// Where it is searched, as `EPICS_CA_*` variables.
    pub variables: BTreeMap<String, String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Answer {
    /// A server of the container has the PV.
    Answered {
        /// The PV.
        pv: String,
        /// The server.
        server: SocketAddr,
        /// Other servers that have it as well.
        duplicates: Vec<SocketAddr>,
    },
    /// There is no PV to ask for; the container runs and is not unhealthy.
    Running,
    /// On a cluster: only servers that are not at the address of its pod have the PV.
    Elsewhere {
        /// The PV.
        pv: String,
        /// The servers.
        servers: Vec<SocketAddr>,
    },
    /// On a cluster: the pod is ready and its address is reached from here, but nobody answers for the PV.
    Silent {
        /// The PV.
        pv: String,
    },
    /// On a cluster: the pod is ready, and no packet of this machine reaches its address.
    OutOfReach {
        /// The PV.
        pv: String,
        /// The address of the pod.
        address: IpAddr,
    },
}

/// The PV to ask for and where; `None` for a container that is no IOC.
///
/// The PV is that of the annotation [`PV_ANNOTATION`], of the variable `K8S_IOC_PV`, or `UPTIME` with the prefix of
/// the variable `IOC_PREFIX` in capitals, which is what the liveness script of IOC images asks for.
pub fn question(
    pod: &Pod,
    container: &Container,
    settings: &BTreeMap<String, String>,
) -> Option<Question> {
    let pv = pod
        .annotations
        .get(PV_ANNOTATION)
        .map(String::as_str)
        .or_else(|| container.variable("K8S_IOC_PV"))
        .filter(|pv| !pv.is_empty())
        .map(str::to_owned)
        .or_else(|| {
            let prefix = container.variable("IOC_PREFIX")?;
            (!prefix.is_empty()).then(|| format!("{}:UPTIME", prefix.to_uppercase()))
        })?;
    let set = |name: &str| container.variable(name).filter(|value| !value.is_empty());
    let port = set("EPICS_CAS_SERVER_PORT")
        .or_else(|| set("EPICS_CA_SERVER_PORT"))
        .or_else(|| settings.get("EPICS_CA_SERVER_PORT").map(String::as_str))
        .unwrap_or("5064");
    let interfaces = set("EPICS_CAS_INTF_ADDR_LIST").unwrap_or_default();
    let configured = settings
        .get("EPICS_CA_ADDR_LIST")
        .map(String::as_str)
        .unwrap_or_default();
    let mut addresses: Vec<&str> = vec![LOOPBACK];
    for address in interfaces
        .split_whitespace()
        .chain(configured.split_whitespace())
    {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let mut variables = settings.clone();
    variables.insert("EPICS_CA_SERVER_PORT".to_owned(), port.to_owned());
    variables.insert("EPICS_CA_ADDR_LIST".to_owned(), addresses.join(" "));
    variables
        .entry("EPICS_CA_AUTO_ADDR_LIST".to_owned())
        .or_insert_with(|| "NO".to_owned());
    Some(Question { pv, variables })
}

/// Waits until the container answers.
///
/// # Errors
///
/// [`ErrorKind::Unhealthy`] with the last lines of its log when it crash-loops, ends, is unhealthy or does not
/// answer in `timeout`; [`ErrorKind::Interrupted`] when cancelled.
pub async fn wait(
    engine: &Engine,
    container: &InstanceContainer,
    question: Option<&Question>,
    timeout: Duration,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> CommandResult<Answer> {
    let waiting = Waiting {
        engine,
        container,
        question,
        progress,
        begin: Instant::now(),
    };
    tokio::select! {
        answer = waiting.run(timeout) => answer,
        () = cancel.cancelled() => Err(CommandError::new(
            ErrorKind::Interrupted,
            format!("interrupted while waiting for `{}`", container.instance),
        )),
    }
}

struct Waiting<'a> {
    engine: &'a Engine,
    container: &'a InstanceContainer,
    question: Option<&'a Question>,
    progress: &'a dyn Progress,
    begin: Instant,
}

impl Waiting<'_> {
    async fn run(&self, timeout: Duration) -> CommandResult<Answer> {
        let deadline = self.begin + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.too_late(timeout).await);
            }
            let answer = if let Some(question) = self.question {
                self.ask(question, left.min(LOOK)).await
            } else {
                tokio::time::sleep(left.min(LOOK)).await;
                None
            };
            let facts = self.look().await?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
            let steady =
                health::uptime(&facts, Timestamp::now()).is_some_and(|time| time >= STEADY);
            let is_checked = matches!(facts.check, None | Some(health::Check::Healthy));
            if self.question.is_none() && steady && is_checked {
                return Ok(Answer::Running);
            }
            self.tell(&facts);
        }
    }

    /// One search; `None` when nobody of this container answered.
    async fn ask(&self, question: &Question, time: Duration) -> Option<Answer> {
        let begin = Instant::now();
        let found = ca::Client::new(searching(&question.variables))
            .find(&question.pv, time)
            .await;
        let Ok(found) = found else {
            // a search that fails at once must not become a busy loop
            tokio::time::sleep(time.saturating_sub(begin.elapsed())).await;
            return None;
        };
        let mut servers = vec![found.server];
        servers.extend(&found.duplicates);
        let own = self.own_ports().await;
        let position = match &own {
            None => Some(0),
            Some(ports) => servers
                .iter()
                .position(|server| ports.contains(&server.port()) && is_local(*server)),
        };
        let Some(position) = position else {
            self.progress.step(&format!(
                "`{}` is served by another program at {}, waiting for the IOC's own answer",
                question.pv, found.server
            ));
            tokio::time::sleep(time.saturating_sub(begin.elapsed())).await;
            return None;
        };
        let server = servers.remove(position);
        // one server answers on each of its interfaces, with the same TCP port
        servers.retain(|other| other.port() != server.port() || !is_local(*other));
        Some(Answer::Answered {
            pv: question.pv.clone(),
            server,
            duplicates: servers,
        })
    }

    /// TCP ports on which processes of the container listen; `None` when this user may not know.
    async fn own_ports(&self) -> Option<BTreeSet<u16>> {
        let options = None::<bollard::query_parameters::TopOptions>;
        let top = self
            .engine
            .docker()
            .top_processes(&self.container.id, options)
            .await
            .ok()?;
        let column = top.titles?.iter().position(|title| title == "PID")?;
        let processes: Vec<u32> = top
            .processes?
            .iter()
            .filter_map(|process| process.get(column)?.parse().ok())
            .collect();
        tokio::task::spawn_blocking(move || listening_ports(&processes))
            .await
            .ok()?
    }

    async fn facts(&self) -> CommandResult<Facts> {
        let facts = observe::facts(self.engine, &self.container.id).await?;
        facts.ok_or_else(|| {
            let name = &self.container.instance;
            CommandError::new(
                ErrorKind::Unhealthy,
                format!("the container of `{name}` was removed while waiting for it"),
            )
        })
    }

    /// Facts of the container, or why there is nothing to wait for any more.
    async fn look(&self) -> CommandResult<Facts> {
        let name = &self.container.instance;
        let mut facts = self.facts().await?;
        for _ in 0..LOOKS_FOR_AN_END {
            // Of a process that runs again the engine no longer says how it ended before.
            if facts.restarts < MOST_ENDS || facts.process != Process::Running {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            facts = self.facts().await?;
        }
        if facts.restarts >= MOST_ENDS {
            facts = last_exit::complete(self.engine, self.container, facts).await;
        }
        let last = health::last_exit(&facts).unwrap_or_else(|| "unknown".to_owned());
        if facts.restarts >= MOST_ENDS {
            let message = format!("`{name}` ends again and again (last exit: {last})");
            return Err(self.with_log(message).await);
        }
        match facts.process {
            Process::Exited | Process::Dead => Err(self
                .with_log(format!("`{name}` has ended (last exit: {last})"))
                .await),
            Process::Created | Process::Running | Process::Paused | Process::Restarting => {
                Ok(facts)
            }
        }
    }

    fn tell(&self, facts: &Facts) {
        let state = health::container(Some(facts), Intent::Run, Timestamp::now());
        let seconds = self.begin.elapsed().as_secs();
        let what = match (state, self.question) {
            (State::CrashLooping, _) => {
                let last = health::last_exit(facts).unwrap_or_default();
                format!("has ended (last exit: {last}), the engine starts it again")
            }
            (_, Some(question)) => format!("runs, no server answers for `{}` yet", question.pv),
            (State::Unhealthy, None) => "runs, its health check fails".to_owned(),
            (_, None) => "starts".to_owned(),
        };
        self.progress
            .step(&format!("{} {what} ({seconds} s)", self.container.instance));
    }

    async fn too_late(&self, timeout: Duration) -> CommandError {
        let name = &self.container.instance;
        let seconds = timeout.as_secs();
        let error = match self.question {
            Some(question) => self
                .with_log(format!(
                    "`{name}` runs, but no server of it answered for `{}` within {seconds} s",
                    question.pv
                ))
                .await
                .hint(format!(
                    "searched at {}; another PV is named by the variable `K8S_IOC_PV` or the pod annotation `{PV_ANNOTATION}`, more time by `--timeout`",
                    question.variables.get("EPICS_CA_ADDR_LIST").cloned().unwrap_or_default()
                )),
            None => {
                self.with_log(format!("`{name}` is not well after {seconds} s"))
                    .await
            }
        };
        error.hint(format!(
            "look at it: `ioc logs {name}`, `ioc attach {name}`"
        ))
    }

    /// An error with the last lines that the container wrote.
    async fn with_log(&self, message: String) -> CommandError {
        let lines = observe::last_lines(self.engine, self.container, LAST_LINES).await;
        let error = CommandError::new(ErrorKind::Unhealthy, message);
        if lines.is_empty() {
            return error.caused_by("it has written nothing");
        }
        let shown: Vec<String> = lines
            .iter()
            .map(|line| format!("    {}", printable_line(line)))
            .collect();
        error.caused_by(format!("its last lines were\n{}", shown.join("\n")))
    }
}

/// Whether an address is one of this machine's: only those can be bound to.
fn is_local(server: SocketAddr) -> bool {
    std::net::UdpSocket::bind((server.ip(), 0)).is_ok()
}

/// TCP ports on which these processes listen, by the sockets that they have open; `None` when this user may not
/// see the sockets of any of them.
fn listening_ports(processes: &[u32]) -> Option<BTreeSet<u16>> {
    let mut sockets: BTreeSet<String> = BTreeSet::new();
    let mut seen = false;
    for process in processes {
        let Ok(files) = fs_err::read_dir(format!("/proc/{process}/fd")) else {
            continue;
        };
        seen = true;
        for file in files.flatten() {
            if let Ok(target) = fs_err::read_link(file.path())
                && let Some(inode) = target
                    .to_string_lossy()
                    .strip_prefix("socket:[")
                    .and_then(|rest| rest.strip_suffix(']'))
            {
                sockets.insert(inode.to_owned());
            }
        }
    }
    if !seen {
        return None;
    }
    let mut ports = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs_err::read_to_string(table).unwrap_or_default();
        ports.extend(ports_of(&text, &sockets));
    }
    Some(ports)
}

/// Local ports of the listening sockets of a table of proc(5) that have one of these inodes.
fn ports_of(table: &str, inodes: &BTreeSet<String>) -> Vec<u16> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
            (*state == "0A" && inodes.contains(*inode))
                .then(|| u16::from_str_radix(local.rsplit(':').next()?, 16).ok())?
        })
        .collect()
}

/// How the PV of an IOC that is just starting is searched: often, because each search may come a moment too early.
pub fn searching(variables: &BTreeMap<String, String>) -> ca::Configuration {
    ca::Configuration {
        search_interval: SEARCH_AGAIN,
        ..ca::Configuration::from_environment(variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::manifest;
    use crate::fleet::workload::{Surroundings, read};

    fn asked(env: &str, annotations: &str, settings: &[(&str, &str)]) -> Option<Question> {
        let text = format!(
            "kind: Deployment\nmetadata: {{name: a}}\nspec:\n  template:\n    metadata: {{annotations: {annotations}}}\n    spec:\n      hostNetwork: true\n      containers: [{{name: a, image: x, env: {env}}}]\n"
        );
        let surroundings = Surroundings {
            namespace: "t01",
            node: "here",
        };
        let workloads = read("a", &manifest::parse(&text).unwrap(), &surroundings).unwrap();
        let (pod, container) = workloads.main("a").unwrap();
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        question(pod, container, &settings)
    }

    #[test]
    fn the_pv_is_that_of_the_liveness_script_unless_another_is_named() {
        let pv = |env: &str, annotations: &str| asked(env, annotations, &[]).map(|one| one.pv);
        let prefix = "{name: IOC_PREFIX, value: bl01t-ea}";
        let named = "{name: K8S_IOC_PV, value: OTHER}";
        assert_eq!(pv("[]", "{}"), None);
        assert_eq!(pv(&format!("[{prefix}]"), "{}").unwrap(), "BL01T-EA:UPTIME");
        assert_eq!(pv(&format!("[{prefix}, {named}]"), "{}").unwrap(), "OTHER");
        assert_eq!(pv(&format!("[{named}]"), "{ioc/pv: X}").unwrap(), "X");
    }

    #[test]
    fn it_is_searched_where_the_ioc_listens() {
        let env = "[{name: K8S_IOC_PV, value: X}, {name: EPICS_CA_SERVER_PORT, value: \"6000\"}, {name: EPICS_CAS_INTF_ADDR_LIST, value: 127.0.0.1 127.255.255.255}]";
        let question = asked(env, "{}", &[("EPICS_CA_ADDR_LIST", "10.0.0.255")]).unwrap();
        let get = |key: &str| question.variables[key].as_str();
        assert_eq!(
            get("EPICS_CA_ADDR_LIST"),
            "127.255.255.255 127.0.0.1 10.0.0.255"
        );
        assert_eq!(get("EPICS_CA_SERVER_PORT"), "6000");
        assert_eq!(get("EPICS_CA_AUTO_ADDR_LIST"), "NO");
        let kept = asked(env, "{}", &[("EPICS_CA_AUTO_ADDR_LIST", "YES")]).unwrap();
        assert_eq!(kept.variables["EPICS_CA_AUTO_ADDR_LIST"], "YES");
    }

    #[test]
    fn own_listening_sockets_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ports = listening_ports(&[std::process::id()]).unwrap();
        assert!(ports.contains(&port), "{ports:?}");
    }
}
