//! Log lines of pods, and of one instance through restarts and moves to other nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ContainerStatus;
use kube::api::{Api, LogParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use tokio::sync::mpsc;
use tokio_util::compat::FuturesAsyncReadCompatExt as _;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::look;
use crate::fleet::kubernetes::look::find::{self, Found};
use crate::fleet::kubernetes::look::object::Pod;
use crate::fleet::kubernetes::look::state;
use crate::fleet::kubernetes::look::workload::{Kind, Workload};
use crate::fleet::logs::line::{LineBuffer, LogLine};
use crate::fleet::logs::stream::Window;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How long the log of a pod is still read when the instance runs in another: its last words. A node that lost its
/// power never ends it.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Pause before a log that was cut is read again.
const AGAIN: Duration = Duration::from_secs(1);

/// Something that happens while an instance is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A line of its log.
    Line(LogLine),
    /// Something about it that people should know.
    Note(String),
}

/// Which run of a container is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// The one that runs, or ran last.
    Newest,
    /// The one before it in the same pod.
    Before,
}

/// The log of a container in a pod, oldest line first.
///
/// # Errors
///
/// Within the stream: the cluster's refusal.
pub fn lines(
    cluster: &Cluster,
    pod: &Pod,
    container: &str,
    run: Run,
    window: Window,
    follow: bool,
) -> BoxStream<'static, CommandResult<LogLine>> {
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let name = pod.metadata.name.clone().unwrap_or_default();
    let api: Api<k8s_openapi::api::core::v1::Pod> =
        Api::namespaced(cluster.client.clone(), &namespace);
    let parameters = LogParams {
        container: Some(container.to_owned()),
        follow,
        previous: run == Run::Before,
        // the cluster counts whole seconds; the exact time is compared here, so the second must not be rounded up
        since_time: window
            .since
            .and_then(|since| Timestamp::from_second(since.as_second()).ok()),
        tail_lines: window
            .tail
            .map(|lines| i64::try_from(lines).unwrap_or(i64::MAX)),
        timestamps: true,
        ..LogParams::default()
    };
    let cluster = cluster.clone();
    let opened = async move {
        let failed = cluster.failed(format!("read the log of `{name}`"));
        match api.log_stream(&name, &parameters).await {
            Ok(reader) => {
                let reader = ReaderStream::new(reader.compat());
                reader
                    .map(|bytes| {
                        bytes.map_err(|error| {
                            CommandError::new(ErrorKind::Cluster, "the log broke off")
                                .caused_by(error)
                        })
                    })
                    .boxed()
            }
            Err(error) => stream::once(std::future::ready(Err(failed(error)))).boxed(),
        }
    };
    let mut buffer = LineBuffer::default();
    stream::once(opened)
        .flatten()
        .map(Some)
        .chain(stream::once(std::future::ready(None)))
        .flat_map(move |piece| {
            let found: Vec<CommandResult<LogLine>> = match piece {
                Some(Ok(bytes)) => buffer.push(&bytes).into_iter().map(Ok).collect(),
                Some(Err(error)) => vec![Err(error)],
                None => buffer.finish().into_iter().map(Ok).collect(),
            };
            stream::iter(found)
        })
        .filter(move |line| {
            let wanted = line.as_ref().map_or(true, |line| window.contains(line));
            std::future::ready(wanted)
        })
        .boxed()
}

/// Status of a container of a pod.
pub fn status<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    pod.status
        .container_statuses
        .iter()
        .chain(pod.status.init_container_statuses.iter())
        .flatten()
        .find(|status| status.name == container)
}

/// Whether a container has run at all, so that there is a log.
pub fn has_log(pod: &Pod, container: &str) -> bool {
    status(pod, container).is_some_and(|status| {
        let has = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
            state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        };
        has(status.state.as_ref()) || has(status.last_state.as_ref())
    })
}

/// Whether the pod's node still has the log of the run before the newest.
pub fn has_run_before(pod: &Pod, container: &str) -> bool {
    status(pod, container).is_some_and(|status| {
        let ended = status
            .last_state
            .as_ref()
            .is_some_and(|state| state.terminated.is_some());
        status.restart_count > 0 && ended
    })
}

/// Whether a container runs now.
pub fn is_running(pod: &Pod, container: &str) -> bool {
    status(pod, container)
        .and_then(|status| status.state.as_ref())
        .is_some_and(|state| state.running.is_some())
}

/// Which run of which container is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    pod: String,
    container: String,
}

fn identity(pod: &Pod, container: &str) -> Option<Identity> {
    let status = status(pod, container)?;
    let state = status.state.as_ref()?;
    if state.running.is_none() && state.terminated.is_none() {
        return None;
    }
    Some(Identity {
        pod: pod.metadata.uid.clone()?,
        container: status.container_id.clone()?,
    })
}

/// The pods of a workload, kept up to date.
struct PodWatch {
    events: BoxStream<'static, Result<Event<Pod>, watcher::Error>>,
    pods: BTreeMap<String, Pod>,
    listing: BTreeMap<String, Pod>,
    cluster: Cluster,
    /// Why changes are noticed late, until somebody was told.
    refused: Option<String>,
    was_refused: bool,
}

impl PodWatch {
    fn begin(cluster: &Cluster, workload: &Workload) -> Self {
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &workload.namespace);
        let config = if workload.kind == Kind::Pod {
            watcher::Config::default().fields(&format!("metadata.name={}", workload.name))
        } else {
            watcher::Config::default().labels(&find::selector(workload))
        };
        Self {
            events: watcher::watcher(api, config).default_backoff().boxed(),
            pods: BTreeMap::new(),
            listing: BTreeMap::new(),
            cluster: cluster.clone(),
            refused: None,
            was_refused: false,
        }
    }

    /// Waits until something has changed, or the watch was refused for the first time.
    async fn changed(&mut self, workload: &Workload) {
        while let Some(event) = self.events.next().await {
            let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default();
            match event {
                Ok(Event::Init) => self.listing.clear(),
                Ok(Event::InitApply(pod)) => {
                    if workload.owns(&pod) {
                        self.listing.insert(name(&pod), pod);
                    }
                }
                Ok(Event::InitDone) => {
                    self.pods = std::mem::take(&mut self.listing);
                    return;
                }
                Ok(Event::Apply(pod)) => {
                    if workload.owns(&pod) {
                        self.pods.insert(name(&pod), pod);
                        return;
                    }
                }
                Ok(Event::Delete(pod)) => {
                    self.pods.remove(&name(&pod));
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "the watch of a pod begins again");
                    let failed = self.cluster.failed("watch the pods");
                    let error = failed(look::watch::cause(error));
                    if error.kind() == ErrorKind::Forbidden && !self.was_refused {
                        self.was_refused = true;
                        self.refused = Some(error.to_string());
                        return;
                    }
                }
            }
        }
        std::future::pending::<()>().await;
    }

    fn newest(&self) -> Option<&Pod> {
        let pods: Vec<&Pod> = self.pods.values().collect();
        state::newest(&pods)
    }
}

/// Sends what an instance says until cancelled, through restarts, deploys, moves and a cluster that is away for a while.
///
/// # Errors
///
/// None but what the cluster refuses for good, such as a log that this login may not read. A closed receiver ends it
/// without error.
pub async fn follow(
    cluster: &Cluster,
    found: &Found,
    container: &str,
    mut window: Window,
    said_to: &mpsc::Sender<Said>,
    cancel: &CancellationToken,
) -> CommandResult<()> {
    let workload = &found.instance.workload;
    let mut watch = PodWatch::begin(cluster, workload);
    let mut before: Option<(Identity, String)> = None;
    let mut told_waiting = String::new();
    loop {
        let pod = watch.newest().cloned();
        let current = pod
            .as_ref()
            .and_then(|pod| Some((identity(pod, container)?, pod.clone())));
        let Some((identity, pod)) = current else {
            if let Some(pod) = &pod {
                let verdict = state::pod(pod, &state::LostNodes::default(), Timestamp::now());
                let waiting = verdict.reason.unwrap_or_default();
                if before.is_some() && !waiting.is_empty() && waiting != told_waiting {
                    let note = format!("is {}: {waiting}", verdict.state.name());
                    told_waiting = waiting;
                    if said_to.send(Said::Note(note)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            tokio::select! {
                () = watch.changed(workload) => {}
                () = cancel.cancelled() => return Ok(()),
            }
            if !tell_refusal(&mut watch, said_to).await {
                return Ok(());
            }
            continue;
        };
        told_waiting.clear();
        let node = pod.spec.node_name.clone().unwrap_or_default();
        let mut rest_of_run_before = false;
        if let Some((known, known_node)) = &before
            && *known != identity
        {
            let told = if known.pod == identity.pod {
                rest_of_run_before = true;
                "was restarted".to_owned()
            } else {
                // all of it is new, and the clock of another node may be behind
                window.since = None;
                if *known_node == node {
                    format!("runs in a new pod on {node}")
                } else {
                    format!("runs on {node} now, no longer on {known_node}")
                }
            };
            if said_to.send(Said::Note(told)).await.is_err() {
                return Ok(());
            }
        }
        let mut runs = Vec::new();
        if rest_of_run_before {
            // what it said between the cut and its end
            runs.push(Run::Before);
        }
        runs.push(Run::Newest);
        for run in runs {
            let mut log = lines(cluster, &pod, container, run, window, run == Run::Newest);
            let mut ends: Option<tokio::time::Instant> = None;
            loop {
                let line = tokio::select! {
                    line = log.next() => line,
                    () = watch.changed(workload) => {
                        if ends.is_none() && runs_elsewhere(&watch, container, &identity) {
                            ends = Some(tokio::time::Instant::now() + LAST_WORDS);
                        }
                        if !tell_refusal(&mut watch, said_to).await {
                            return Ok(());
                        }
                        continue;
                    }
                    () = passed(ends) => break,
                    () = cancel.cancelled() => return Ok(()),
                };
                match line {
                    None => break,
                    Some(Ok(line)) => {
                        if let Some(time) = line.time {
                            window.since = time.checked_add(SignedDuration::from_nanos(1)).ok();
                        }
                        if said_to.send(Said::Line(line)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Some(Err(error)) if error.kind() == ErrorKind::Forbidden => return Err(error),
                    Some(Err(error)) => {
                        tracing::debug!(%error, "the log is read again");
                        break;
                    }
                }
            }
        }
        window.tail = None;
        before = Some((identity.clone(), node));
        // the log ended: the container did, or the connection
        let again = tokio::time::Instant::now() + AGAIN;
        loop {
            let now = watch
                .newest()
                .and_then(|pod| self::identity(pod, container));
            if now.as_ref() != Some(&identity) {
                break;
            }
            let has_ended = watch.newest().is_some_and(|pod| has_ended(pod, container));
            tokio::select! {
                () = watch.changed(workload) => {}
                () = tokio::time::sleep_until(again), if !has_ended => break,
                () = cancel.cancelled() => return Ok(()),
            }
        }
    }
}

/// Whether the newest pod is another than the one that is read, and has begun to run.
fn runs_elsewhere(watch: &PodWatch, container: &str, read: &Identity) -> bool {
    watch
        .newest()
        .and_then(|pod| identity(pod, container))
        .is_some_and(|now| now.pod != read.pod)
}

/// Waits until a time; for ever without one.
async fn passed(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Says, once, that this login may not watch. `false` when nobody listens any more.
async fn tell_refusal(watch: &mut PodWatch, said_to: &mpsc::Sender<Said>) -> bool {
    let Some(refusal) = watch.refused.take() else {
        return true;
    };
    let note = format!("may go on late after a restart or a move: {refusal}");
    said_to.send(Said::Note(note)).await.is_ok()
}

fn has_ended(pod: &Pod, container: &str) -> bool {
    status(pod, container)
        .and_then(|status| status.state.as_ref())
        .is_some_and(|state| state.terminated.is_some())
}
