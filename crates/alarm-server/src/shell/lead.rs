//! Leading and standing by: carries out what [`crate::election`] wants.
//!
//! Signs of life are records of the server's own topic (`leader:/X`), written with everything else that the leader
//! writes, so that whoever reads one has read all before it. What cannot be taken back (mail, programs) is begun only
//! when the bus has confirmed the records that go with it: a leader that was shut out does nothing more, and its
//! successor finds written what was begun.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alarm::server::{Act, Record, Topic};
use bus::{Bus, Fence, Outgoing, Presence, Writer};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::election::{Election, Event, Timing, Wish};
use crate::settings::Replica;
use crate::shell::publisher::Topics;

/// How often it is looked whether the leader's process lives, where that can be told.
const LOOK: Duration = Duration::from_millis(25);
/// How often a stand-by says that it is there.
const PRESENCE: Duration = Duration::from_secs(1);
/// One that was not heard of for so long does not stand by any more.
const ABSENCE: Duration = Duration::from_millis(2500);
/// A leader that gave its last sign so short a time before this server began to listen is one whose place is taken: it
/// died meanwhile, and clients shall see no restart. After a longer time nobody has watched anything, and the alarm
/// system starts.
const LATELY: Duration = Duration::from_secs(10);
/// So many go first at most.
const MOST_AHEAD: u32 = 4;
/// How long the right to write may take to get.
const TAKING: Duration = Duration::from_mins(1);

/// Key of the signs of life.
pub const LEADER: &str = "leader:";
/// Key of those who stand by.
pub const REPLICA: &str = "replica:";
/// Key of the marks of whoever has the right to write, on Kafka.
pub const MARK: &str = "fence:";
/// Key of how far commands are obeyed.
pub const COMMANDS: &str = "commands:";

/// What a leader, or one that stands by, says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sign {
    /// Its name among the replicas.
    pub name: String,
    /// Its machine.
    pub host: String,
    /// Number of its process.
    pub pid: u32,
    /// Its control API, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Since when it leads or stands by; RFC 3339.
    pub since: String,
    /// How many have led, with this one.
    pub term: u64,
    /// How many records on the bus it has not read yet.
    pub lag: u64,
    /// When it said this, in milliseconds since 1970.
    pub time: i64,
    /// From one sign to the next, in milliseconds.
    pub every: u64,
    /// It ends in order and hands over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub farewell: bool,
}

/// How a server stands among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It reads what there is.
    Starting,
    /// It stands by; who leads, if anybody is known.
    Following(Option<Box<Sign>>),
    /// It leads, or there are no others.
    Leading {
        /// Counts the leaders; 0 where there are no others.
        term: u64,
    },
}

/// What happens around the election.
pub(super) enum Step {
    /// Of the election itself.
    Event(Event),
    /// The right to write was taken.
    Taken(Arc<dyn Writer>),
    /// The bus has confirmed what belongs to these actions.
    Act(Vec<Act>),
}

/// Waits for a confirmation.
enum Pending {
    Acts(Vec<Act>),
    Beat(Duration),
}

/// Leading and standing by.
pub(super) struct Lead {
    pub(super) election: Election,
    settings: Replica,
    fence: Fence,
    bus: Arc<dyn Bus>,
    topics: Topics,
    begun: Instant,
    steps: mpsc::UnboundedReceiver<Step>,
    sender: mpsc::UnboundedSender<Step>,
    pending: Option<mpsc::UnboundedSender<Pending>>,
    /// What the watcher saw last: how often the right was taken.
    number: Arc<AtomicU64>,
    /// Whether the process of a leader was seen to live.
    lived: Arc<AtomicBool>,
    /// Whether the bus cannot tell whether a process lives.
    is_remote: Arc<AtomicBool>,
    /// Whether everything was read that there was in the beginning.
    pub(super) is_listening: bool,
    /// Where this one's control API is.
    address: watch::Receiver<Option<SocketAddr>>,
    /// Whether a leader lived while this one stood by, or just before.
    pub(super) has_followed: bool,
    /// What this one says of itself.
    pub(super) sign: Sign,
    /// Others that stand by, and when they said so.
    others: BTreeMap<String, Instant>,
    next_tick: Instant,
    next_presence: Instant,
    presence: Option<Arc<dyn Writer>>,
    standing: watch::Sender<Standing>,
    /// Ends the tasks with this.
    _guard: DropGuard,
    stop: CancellationToken,
}

impl Lead {
    /// Stands by, now that everything is read: `leader` is the newest sign that was among it.
    pub(super) async fn begin(
        settings: Replica,
        fence: Fence,
        bus: Arc<dyn Bus>,
        topics: Topics,
        sign: Sign,
        address: watch::Receiver<Option<SocketAddr>>,
        standing: watch::Sender<Standing>,
    ) -> Result<Self, bus::Error> {
        let (sender, steps) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let presence = if settings.may_wait {
            Some(Arc::from(bus.writer().await?))
        } else {
            None
        };
        let now = Instant::now();
        Ok(Self {
            election: Election::new(Timing::default(), 0, Duration::ZERO),
            settings,
            fence,
            bus,
            topics,
            begun: now,
            steps,
            sender,
            pending: None,
            number: Arc::default(),
            lived: Arc::default(),
            is_remote: Arc::default(),
            is_listening: false,
            address,
            has_followed: false,
            sign,
            others: BTreeMap::new(),
            next_tick: now,
            next_presence: now,
            presence,
            standing,
            _guard: stop.clone().drop_guard(),
            stop,
        })
    }

    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Everything up to now is read: from here on the leader is listened to.
    pub(super) fn listen(&mut self, leader: Option<Sign>) {
        let term = leader.as_ref().map_or(0, |sign| sign.term);
        self.election = Election::new(Timing::default(), term, self.now());
        let is_over = leader.as_ref().is_none_or(|sign| sign.farewell);
        self.has_followed =
            self.may_wait() && leader.as_ref().is_some_and(|sign| is_lately(sign.time));
        self.is_listening = true;
        self.standing
            .send_replace(Standing::Following(leader.map(Box::new)));
        let (bus, fence, sender) = (
            Arc::clone(&self.bus),
            self.fence.clone(),
            self.sender.clone(),
        );
        let (number, lived) = (Arc::clone(&self.number), Arc::clone(&self.lived));
        let (remote, stop) = (Arc::clone(&self.is_remote), self.stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = watch_holder(&*bus, &fence, &sender, (&number, &lived, &remote), is_over) => {}
                () = stop.cancelled() => {}
            }
        });
    }

    /// Waits for the next thing to do.
    pub(super) async fn next(lead: &mut Option<Self>) -> Step {
        let Some(lead) = lead else {
            return std::future::pending().await;
        };
        tokio::select! {
            step = lead.steps.recv() => match step {
                Some(step) => step,
                // the sender lives in `self`
                None => std::future::pending().await,
            },
            () = tokio::time::sleep_until(lead.next_tick) => {
                lead.next_tick = Instant::now() + Timing::default().beat / 5;
                Step::Event(Event::Tick)
            }
        }
    }

    /// A sign of life of another was read.
    pub(super) fn hear(&mut self, sign: Sign) -> Option<Wish> {
        self.has_followed |= !sign.farewell;
        self.others.remove(&sign.name);
        let event = Event::Beat {
            term: sign.term,
            farewell: sign.farewell,
        };
        if !self.election.is_leading() {
            self.standing
                .send_replace(Standing::Following(Some(Box::new(sign))));
        }
        self.election.handle(event, self.now())
    }

    /// Another one stands by.
    pub(super) fn hear_other(&mut self, sign: Sign) {
        if self.is_listening && sign.name != self.sign.name {
            self.others.insert(sign.name, Instant::now());
        }
    }

    /// How many others take the place of the leader before this one: those whose names come before its own. Where it can
    /// be told whether the leader's process lives, the bus itself lets only one of them take it.
    fn ahead(&mut self) -> u32 {
        self.others.retain(|_name, heard| heard.elapsed() < ABSENCE);
        let ahead = self.others.range(..self.sign.name.clone()).count();
        u32::try_from(ahead).unwrap_or(u32::MAX).min(MOST_AHEAD)
    }

    /// Something happened.
    pub(super) fn handle(&mut self, event: Event) -> Option<Wish> {
        let now = self.now();
        if event == Event::Tick {
            // a bus of this machine can always be read
            let is_remote = self.is_remote.load(Ordering::Acquire);
            if is_remote {
                let ahead = self.ahead();
                self.election.let_go_first(ahead);
                if !self.bus.statistics().connected {
                    self.election.handle(Event::Deaf, now);
                }
            }
            self.be_present();
        }
        self.election.handle(event, now)
    }

    /// Takes the right to write.
    pub(super) fn take(&mut self) {
        self.has_followed |= self.lived.load(Ordering::Acquire);
        let (bus, fence, sender) = (
            Arc::clone(&self.bus),
            self.fence.clone(),
            self.sender.clone(),
        );
        let number = self.number.load(Ordering::Acquire);
        tokio::spawn(async move {
            let taken = tokio::time::timeout(TAKING, bus.take(&fence, Some(number))).await;
            let step = match taken {
                Ok(Ok(writer)) => Step::Taken(Arc::from(writer)),
                Ok(Err(bus::Error::Fenced { .. })) => {
                    tracing::info!("another takes the lead");
                    Step::Event(Event::NotTaken)
                }
                Ok(Err(error)) => {
                    tracing::error!("the lead cannot be taken: {error}");
                    Step::Event(Event::NotTaken)
                }
                Err(_elapsed) => {
                    tracing::error!("the lead cannot be taken: no answer within {TAKING:?}");
                    Step::Event(Event::NotTaken)
                }
            };
            let _ended = sender.send(step);
        });
    }

    /// Leads from now on, writing with this.
    pub(super) fn lead(&mut self, writer: &Arc<dyn Writer>) {
        let (pending, receiver) = mpsc::unbounded_channel();
        self.pending = Some(pending);
        tokio::spawn(confirm(Arc::clone(writer), receiver, self.sender.clone()));
        // whether it lives is known from now on
        self.stop.cancel();
        self.sign.term = self.election.term();
        self.standing.send_replace(Standing::Leading {
            term: self.election.term(),
        });
    }

    /// The position of the next command that is to be obeyed.
    pub(super) fn position(&self, next: u64) -> Record {
        self.own(COMMANDS, "", format!(r#"{{"next":{next}}}"#))
    }

    /// A sign of life; it counts when it is confirmed.
    pub(super) fn beat(&self, farewell: bool) -> Record {
        let sign = Sign {
            farewell,
            api: self.api(),
            time: milliseconds(),
            lag: self.bus.statistics().lag,
            every: Timing::default().beat.as_millis().try_into().unwrap_or(0),
            ..self.sign.clone()
        };
        self.own(LEADER, "", serde_json::to_string(&sign).unwrap_or_default())
    }

    fn api(&self) -> Option<String> {
        self.address
            .borrow()
            .map(|address| format!("http://{address}"))
    }

    fn own(&self, kind: &str, name: &str, value: String) -> Record {
        let name = if name.is_empty() {
            format!("/{}", self.topics.main)
        } else {
            name.to_owned()
        };
        Record {
            topic: Topic::Server,
            key: format!("{kind}{name}"),
            value: Some(value),
        }
    }

    /// A sign of life was handed over.
    pub(super) fn sent_beat(&self) {
        self.wait(Pending::Beat(self.now()));
    }

    /// Actions whose records were handed over.
    pub(super) fn wait_for(&self, acts: Vec<Act>) {
        self.wait(Pending::Acts(acts));
    }

    fn wait(&self, pending: Pending) {
        if let Some(sender) = &self.pending {
            let _ended = sender.send(pending);
        }
    }

    /// Tells others that this one stands by.
    fn be_present(&mut self) {
        let Some(writer) = self.presence.clone() else {
            return;
        };
        if self.election.is_leading() || Instant::now() < self.next_presence {
            return;
        }
        self.next_presence = Instant::now() + PRESENCE;
        let sign = Sign {
            api: self.api(),
            time: milliseconds(),
            term: self.election.term(),
            lag: self.bus.statistics().lag,
            every: PRESENCE.as_millis().try_into().unwrap_or(0),
            ..self.sign.clone()
        };
        let text = serde_json::to_string(&sign).unwrap_or_default();
        // nothing depends on it
        let record = self.own(REPLICA, &sign.name, text);
        let _full = writer.send(vec![Outgoing {
            topic: Arc::clone(&self.topics.server),
            key: record.key,
            value: record.value,
        }]);
    }

    /// Whether it was asked to stand by.
    pub(super) fn may_wait(&self) -> bool {
        self.settings.may_wait
    }
}

/// Tells when the process that leads is gone, where that can be told.
async fn watch_holder(
    bus: &dyn Bus,
    fence: &Fence,
    sender: &mpsc::UnboundedSender<Step>,
    (number, lived, remote): (&AtomicU64, &AtomicBool, &AtomicBool),
    is_over: bool,
) {
    loop {
        match bus.holder(fence).await {
            Ok(holder) => {
                number.store(holder.number, Ordering::Release);
                match holder.presence {
                    Presence::Unknown => {
                        remote.store(true, Ordering::Release);
                        if is_over {
                            let _ended = sender.send(Step::Event(Event::Gone));
                        }
                        return;
                    }
                    Presence::Lives => lived.store(true, Ordering::Release),
                    Presence::Gone => {
                        if sender.send(Step::Event(Event::Gone)).is_err() {
                            return;
                        }
                    }
                }
            }
            Err(error) => tracing::debug!("it cannot be told who leads: {error}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits for what was handed over to be written for good, in its order.
async fn confirm(
    writer: Arc<dyn Writer>,
    mut pending: mpsc::UnboundedReceiver<Pending>,
    sender: mpsc::UnboundedSender<Step>,
) {
    while let Some(pending) = pending.recv().await {
        match writer.flush().await {
            Ok(()) => {}
            Err(bus::Error::Fenced { .. }) => {
                let _ended = sender.send(Step::Event(Event::Fenced));
                return;
            }
            // of another record; this one is written
            Err(error) => tracing::error!("a record was not written: {error}"),
        }
        let step = match pending {
            Pending::Acts(acts) => Step::Act(acts),
            Pending::Beat(sent) => Step::Event(Event::Confirmed(sent)),
        };
        if sender.send(step).is_err() {
            return;
        }
    }
}

/// Whether something was said so short a time ago that nothing was missed since.
fn is_lately(time: i64) -> bool {
    let ago = u64::try_from(milliseconds().saturating_sub(time)).unwrap_or(0);
    Duration::from_millis(ago) < LATELY
}

fn milliseconds() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Before anything is taken nothing can be written.
pub(super) struct Nobody;

impl Writer for Nobody {
    fn send(&self, _records: Vec<Outgoing>) -> Result<(), bus::Error> {
        Err(bus::Error::Closed)
    }

    fn flush(&self) -> futures_util::future::BoxFuture<'_, Result<(), bus::Error>> {
        Box::pin(std::future::ready(Err(bus::Error::Closed)))
    }
}
