//! That what has just become ready goes on: a container without a readiness or startup probe counts as ready the moment that
//! it runs, also one that ends at once.
//!
//! An IOC shows that it does its work: it answers Channel Access, or says in its log that it is initialised. The first of
//! both is enough, so that a good IOC costs no time. What shows nothing must run for a moment. [`decide`] is pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fleet::answer::Answer;
use crate::fleet::kubernetes::answer::{self, Question};
use crate::fleet::kubernetes::apply::interrupted;
use crate::fleet::kubernetes::object::Object;
use crate::fleet::kubernetes::placement::workload;
use crate::fleet::kubernetes::readiness::{self, Run, Trouble};
use crate::fleet::kubernetes::release::ClusterRelease;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::kubernetes::wait::Waiting;
use crate::fleet::progress::Progress;
use crate::ui::error::CommandResult;

/// How long what shows nothing of itself must run: a kubelet looks at its containers once a second, and what it saw is told
/// a moment later.
const MOMENT: Duration = Duration::from_secs(2);
/// How long an IOC is searched that says nothing about whether it is initialised.
const SEARCH: Duration = Duration::from_secs(3);
/// And one that is: its server answers before it says so.
const SHORT_SEARCH: Duration = Duration::from_millis(500);
/// How often its log is read while it says nothing.
const LOOK: Duration = Duration::from_millis(150);
/// And how often once it takes longer.
const LATER_LOOK: Duration = Duration::from_millis(500);
/// Length of one search.
const ONE_SEARCH: Duration = Duration::from_secs(1);
/// EPICS base prints it at the end of `iocInit` (`iocRun` in `modules/database/src/ioc/misc/iocInit.c`).
const INITIALISED: &str = "iocRun: All initialization complete";
/// And this at its beginning.
const INITIALISING: &str = "Starting iocInit";
/// Bytes of the log that are read.
const LOG_BYTES: i64 = 256 * 1024;

/// What the log of an IOC says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Told {
    /// Nothing, or it may not be read.
    #[default]
    Nothing,
    /// It has begun to initialise its records.
    Initialising,
    /// It has done so.
    Initialised,
}

impl Told {
    fn of(log: &str) -> Self {
        let last = |text: &str| log.rfind(text);
        match (last(INITIALISED), last(INITIALISING)) {
            (Some(done), begun) if begun.is_none_or(|begun| begun < done) => Self::Initialised,
            (_, Some(_)) => Self::Initialising,
            _ => Self::Nothing,
        }
    }
}

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// Time since all was ready.
    elapsed: Duration,
    /// Time since its log last told something new, or all was ready.
    quiet: Duration,
    /// Whether there is a PV to ask for.
    has_question: bool,
    /// Whether the IOC's container has no probe that made it ready.
    is_unchecked: bool,
    /// Whether other containers have none.
    others_are_unchecked: bool,
    /// What the IOC's log says.
    told: Told,
    /// Whether its own server has answered.
    has_answered: bool,
    /// Whether its address is reached.
    is_reached: Option<bool>,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It is what it should be; nothing more is to be learnt.
    Enough,
    /// Something may still come.
    Wait,
}

impl Facts {
    /// Whether something that may end at once has not run for long enough yet.
    fn are_early(&self) -> bool {
        let is_proven = self.has_answered || self.told == Told::Initialised || !self.is_unchecked;
        (self.others_are_unchecked || !is_proven) && self.elapsed < MOMENT
    }
}

fn decide(facts: &Facts) -> Next {
    if facts.are_early() {
        return Next::Wait;
    }
    if facts.has_answered {
        return Next::Enough;
    }
    if facts.told == Told::Initialising {
        return Next::Wait;
    }
    if !facts.has_question {
        return Next::Enough;
    }
    let search = if facts.told == Told::Initialised {
        SHORT_SEARCH
    } else {
        SEARCH
    };
    match facts.is_reached {
        Some(false) => Next::Enough,
        Some(true) if facts.quiet >= search => Next::Enough,
        _ => Next::Wait,
    }
}

/// What came of it.
pub(super) enum Alive {
    /// It goes on; with what its IOC answered.
    Yes(Option<Answer>),
    /// Something has ended, or does not get on.
    No(Waiting),
}

/// The container of an IOC that runs.
struct Ioc {
    pod: String,
    container: String,
    is_unchecked: bool,
    addresses: Vec<IpAddr>,
    question: Option<Question>,
}

impl ClusterRelease {
    /// Looks whether what is ready goes on, until `deadline` at most; what has become ready right before it gets its moment.
    pub(super) async fn alive(
        &self,
        object: &Object,
        deadline: Instant,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Alive> {
        let begin = Instant::now();
        let pods = self.pods_of(object).await?;
        let before: Vec<Run> = pods.iter().flat_map(readiness::unchecked_runs).collect();
        let ioc = pods
            .iter()
            .find_map(|pod| ioc(pod, &self.name, &self.cluster.channel_access, &before));
        if before.is_empty() && ioc.as_ref().is_none_or(|ioc| ioc.question.is_none()) {
            return Ok(Alive::Yes(None));
        }
        let mut facts = Facts {
            has_question: ioc.as_ref().is_some_and(|ioc| ioc.question.is_some()),
            is_unchecked: ioc.as_ref().is_some_and(|ioc| ioc.is_unchecked),
            others_are_unchecked: before.iter().any(|run| {
                ioc.as_ref()
                    .is_none_or(|ioc| (&run.pod, &run.container) != (&ioc.pod, &ioc.container))
            }),
            ..Facts::default()
        };
        let api = self.pods(object);
        let last_heard = Mutex::new(None);
        let search = search(ioc.as_ref(), &last_heard);
        let reach = reach(ioc.as_ref());
        tokio::pin!(search, reach);
        let (mut is_searching, mut is_reaching) = (facts.has_question, facts.has_question);
        let mut told_at = begin;
        let mut pause = Duration::ZERO;
        let mut has_said = false;
        loop {
            tokio::select! {
                () = &mut search, if is_searching => {
                    is_searching = false;
                    facts.has_answered = true;
                }
                is_reached = &mut reach, if is_reaching => {
                    is_reaching = false;
                    facts.is_reached = Some(is_reached);
                }
                () = tokio::time::sleep(pause) => {
                    pause = if begin.elapsed() < MOMENT { LOOK } else { LATER_LOOK };
                    if let Some(ioc) = &ioc && facts.is_unchecked && facts.told != Told::Initialised {
                        let told = told(&api, ioc).await;
                        if told != facts.told {
                            told_at = Instant::now();
                            facts.told = told;
                        }
                    }
                }
                () = cancel.cancelled() => interrupted(cancel)?,
            }
            facts.elapsed = begin.elapsed();
            facts.quiet = told_at.elapsed();
            if decide(&facts) == Next::Enough {
                break;
            }
            if Instant::now() >= deadline && !facts.are_early() {
                if let (Told::Initialising, Some(ioc)) = (facts.told, &ioc) {
                    return Ok(Alive::No(does_not_get_on(ioc)));
                }
                break;
            }
            if facts.elapsed > MOMENT {
                // it may have ended in the meantime, and would then never answer
                if let Some(waiting) = self.ended(object, &before).await? {
                    return Ok(Alive::No(waiting));
                }
                if !has_said {
                    progress.step("waiting: for the IOC's own answer");
                    has_said = true;
                }
            }
        }
        // an answer of its own is the proof; everything else is looked at once more
        if (!facts.has_answered || facts.others_are_unchecked)
            && let Some(waiting) = self.ended(object, &before).await?
        {
            return Ok(Alive::No(waiting));
        }
        let heard = last_heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Ok(Alive::Yes(heard.or_else(|| unheard(ioc.as_ref(), &facts))))
    }

    /// Which of the containers that ran has ended.
    async fn ended(&self, object: &Object, before: &[Run]) -> CommandResult<Option<Waiting>> {
        let pods = self.pods_of(object).await?;
        let after: Vec<Run> = pods.iter().flat_map(readiness::unchecked_runs).collect();
        let ended = before.iter().find(|run| !after.contains(run));
        Ok(ended.map(|Run { pod, container, .. }| {
            let why =
                format!("{pod}: the container {container} has ended right after it was started");
            Waiting {
                why: why.clone(),
                pod: Some((
                    pod.clone(),
                    Trouble {
                        why,
                        log: Some((container.clone(), true)),
                        is_stuck: false,
                    },
                )),
            }
        }))
    }

    /// The pods of a workload that are not being ended.
    pub(super) async fn pods_of(&self, object: &Object) -> CommandResult<Vec<Pod>> {
        let Some(workload) = self.workload(object).await? else {
            return Ok(Vec::new());
        };
        let Some(selector) = workload.selector() else {
            return Ok(Vec::new());
        };
        let pods = self.pods(object);
        let parameters = ListParams::default().labels(&selector);
        let list = retrying(|| pods.list(&parameters)).await.map_err(
            self.cluster
                .failed(format!("look at the pods of {}", object.id)),
        )?;
        let mut pods = list.items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(pods)
    }
}

/// The IOC of a pod that is not ending.
fn ioc(
    pod: &Pod,
    instance: &str,
    settings: &BTreeMap<String, String>,
    unchecked: &[Run],
) -> Option<Ioc> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let spec = pod.spec.as_ref()?;
    let status = pod.status.as_ref()?;
    let container = workload::ioc_container(spec, instance)?.name.clone();
    let name = pod.metadata.name.clone().unwrap_or_default();
    let own = status.pod_ips.iter().flatten().map(|one| one.ip.as_str());
    // a pod with the network of its node has all addresses of that
    let of_node = status.host_ips.iter().flatten().map(|one| one.ip.as_str());
    let of_node = of_node.filter(|_| spec.host_network == Some(true));
    let mut texts: Vec<&str> = status.pod_ip.as_deref().into_iter().collect();
    texts.extend(own.chain(of_node));
    let addresses: Vec<IpAddr> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    let question = texts.first().and_then(|first| {
        answer::question(
            spec,
            pod.metadata.annotations.as_ref(),
            instance,
            &[first],
            settings,
        )
    });
    Some(Ioc {
        is_unchecked: unchecked
            .iter()
            .any(|run| run.pod == name && run.container == container),
        pod: name,
        container,
        addresses,
        question,
    })
}

/// Searches until its own server answers; tells of others that do in `last`.
async fn search(ioc: Option<&Ioc>, last: &Mutex<Option<Answer>>) {
    let Some((ioc, question)) = ioc.and_then(|ioc| Some((ioc, ioc.question.as_ref()?))) else {
        return;
    };
    loop {
        let begin = Instant::now();
        let servers = answer::servers(question, ONE_SEARCH).await;
        if let Some(heard) = answer::heard(&question.pv, &servers, &ioc.addresses) {
            let is_own = matches!(heard, Answer::Answered { .. });
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
            if is_own {
                return;
            }
        }
        // a search that fails at once must not become a busy loop
        tokio::time::sleep(LOOK.saturating_sub(begin.elapsed())).await;
    }
}

async fn reach(ioc: Option<&Ioc>) -> bool {
    let place = ioc.and_then(|ioc| Some((*ioc.addresses.first()?, ioc.question.as_ref()?.port)));
    match place {
        Some((address, port)) => answer::is_reached(address, port).await,
        None => false,
    }
}

async fn told(pods: &Api<Pod>, ioc: &Ioc) -> Told {
    let parameters = LogParams {
        container: Some(ioc.container.clone()),
        limit_bytes: Some(LOG_BYTES),
        ..LogParams::default()
    };
    match pods.logs(&ioc.pod, &parameters).await {
        Ok(log) => Told::of(&log),
        Err(error) => {
            // it only saves time
            tracing::debug!(%error, "the log is not read");
            Told::Nothing
        }
    }
}

fn does_not_get_on(ioc: &Ioc) -> Waiting {
    let (pod, container) = (&ioc.pod, &ioc.container);
    let why =
        format!("{pod}: the IOC in the container {container} does not get to the end of iocInit");
    Waiting {
        why: why.clone(),
        pod: Some((
            pod.clone(),
            Trouble {
                why,
                log: Some((container.clone(), false)),
                is_stuck: false,
            },
        )),
    }
}

/// Why no answer was heard.
fn unheard(ioc: Option<&Ioc>, facts: &Facts) -> Option<Answer> {
    let ioc = ioc?;
    let pv = ioc.question.as_ref()?.pv.clone();
    Some(match (facts.is_reached, ioc.addresses.first()) {
        (Some(false), Some(address)) => Answer::OutOfReach {
            pv,
            address: *address,
        },
        _ => Answer::Silent { pv },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_of_the_last_run_of_ioc_init() {
        for (log, expected) in [
            ("", Told::Nothing),
            ("#!/epics\ndbLoadDatabase\n", Told::Nothing),
            ("iocInit\nStarting iocInit\n", Told::Initialising),
            (
                "Starting iocInit\n####\niocRun: All initialization complete\nepics> ",
                Told::Initialised,
            ),
            ("iocRun: All initialization complete\n", Told::Initialised),
            (
                "iocRun: All initialization complete\n--- again\nStarting iocInit\n",
                Told::Initialising,
            ),
        ] {
            assert_eq!(Told::of(log), expected, "{log}");
        }
    }

    #[test]
    fn a_good_ioc_costs_no_time_and_one_that_shows_nothing_a_moment() {
        let unchecked = Facts {
            has_question: true,
            is_unchecked: true,
            ..Facts::default()
        };
        let later = |facts: &Facts, seconds: u64| Facts {
            elapsed: Duration::from_secs(seconds),
            quiet: Duration::from_secs(seconds),
            ..facts.clone()
        };
        let answered = Facts {
            has_answered: true,
            ..unchecked.clone()
        };
        assert_eq!(decide(&answered), Next::Enough);
        let unreached = Facts {
            is_reached: Some(false),
            ..unchecked.clone()
        };
        // the kubelet would not have told yet that it has ended
        assert_eq!(decide(&later(&unreached, 1)), Next::Wait);
        assert_eq!(decide(&later(&unreached, 2)), Next::Enough);
        let initialised = Facts {
            told: Told::Initialised,
            ..unreached.clone()
        };
        assert_eq!(decide(&initialised), Next::Enough);
        // what is still at it is waited for, however long it takes
        let initialising = Facts {
            told: Told::Initialising,
            ..unreached
        };
        assert_eq!(decide(&later(&initialising, 100)), Next::Wait);
        // who is reached and says nothing is searched for a while
        let silent = Facts {
            is_reached: Some(true),
            ..unchecked.clone()
        };
        assert_eq!(decide(&later(&silent, 2)), Next::Wait);
        assert_eq!(decide(&later(&silent, 3)), Next::Enough);
        // a second container without a check has to run for a moment all the same
        let beside = Facts {
            others_are_unchecked: true,
            ..answered
        };
        assert_eq!(decide(&beside), Next::Wait);
        assert_eq!(decide(&later(&beside, 2)), Next::Enough);
        // no IOC: its containers run for a moment
        let other = Facts {
            others_are_unchecked: true,
            ..Facts::default()
        };
        assert_eq!(decide(&other), Next::Wait);
        assert_eq!(decide(&later(&other, 2)), Next::Enough);
    }
}
