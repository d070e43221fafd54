//! The task that owns the logic: one thing after the other, each to its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alarm::Time;
use alarm::plan::ConfigRecord;
use alarm::server::{Effect, News, Record, Selection, Server, Topic};
use alarm::wire::key::Key;
use bus::{Bus, Incoming, Writer};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::actions::Actions;
use crate::api::auth::Who;
use crate::clock::Clock;
use crate::metrics::{KindLabel, Metrics};
use crate::pvs::{PvEvent, PvNews, Pvs};
use crate::settings::Settings;
use crate::shell::audit::audit;
use crate::shell::lead::{self, Lead, Sign};
use crate::shell::leading::Commands;
use crate::shell::publisher::{Publisher, Topics};
use crate::shell::readiness::{Part, Readiness};
use crate::shell::reading::{Read, StatesWanted};
use crate::shell::reload::{Reload, Snapshot};
use crate::shell::request::{self, Count, Outcome, Query, Request, Touched};
use crate::shell::view::{self, ItemJson, Page, ServerJson};
use crate::shell::watches::Watches;
use crate::shell::{End, Shell, ShellError};
use crate::stream::Stream;

/// How often the bus is asked again to take what waits.
const RETRY: Duration = Duration::from_millis(100);
/// How long an answer waits for the bus to confirm what follows from a wish.
const CONFIRM: Duration = Duration::from_secs(5);
/// Shortest wait for a deadline: the clock may be slower than the runtime's.
const SHORTEST_WAIT: Duration = Duration::from_micros(500);

/// What comes next.
enum Step {
    Read(Option<Read>),
    Pvs(Option<Vec<PvEvent>>),
    Request(Option<Request>),
    Reloaded(Result<Snapshot, bus::Error>),
    Lead(lead::Step),
    Tick,
    Retry,
    Stop,
}

/// The owner of the logic.
pub(super) struct Owner {
    pub(super) core: Server,
    pub(super) settings: Settings,
    bus: Arc<dyn Bus>,
    pub(super) pvs: Box<dyn Pvs>,
    pub(super) watches: Watches,
    pub(super) clock: Clock,
    pub(super) publisher: Publisher,
    pub(super) topics: Topics,
    /// With other servers of the configuration.
    pub(super) lead: Option<Lead>,
    /// The right to write, until everything is read that was written before.
    pub(super) taken: Option<Arc<dyn Writer>>,
    /// The leader that was read of in the beginning.
    pub(super) leader: Option<Sign>,
    /// Asks the reader to tell when all is read.
    pub(super) look_again: Arc<Notify>,
    /// A record of the configuration was read while standing by.
    pub(super) is_configuration_new: bool,
    /// Another was faster, and this one shall not wait.
    pub(super) outrun: bool,
    pub(super) newest_command: Option<SystemTime>,
    reads: mpsc::Receiver<Read>,
    states: StatesWanted,
    requests: mpsc::Receiver<Request>,
    /// Commands that came while the configuration was read.
    pub(super) commands: Commands,
    reload: Option<Reload>,
    pub(super) metrics: Arc<Metrics>,
    stream: Arc<Stream>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) actions: Actions,
    since: Time,
    shutdown: bool,
}

impl Owner {
    pub(super) fn new(
        shell: Shell,
        publisher: Publisher,
        (reads, states): (mpsc::Receiver<Read>, StatesWanted),
        requests: mpsc::Receiver<Request>,
        lead: Option<Lead>,
        look_again: Arc<Notify>,
    ) -> Self {
        let mut clock = shell.clock;
        Self {
            core: shell.core,
            settings: shell.settings,
            bus: shell.bus,
            pvs: shell.pvs,
            watches: Watches::default(),
            since: clock.now(),
            clock,
            publisher,
            topics: shell.topics,
            reads,
            states,
            requests,
            commands: Commands::default(),
            lead,
            taken: None,
            leader: None,
            look_again,
            is_configuration_new: false,
            outrun: false,
            newest_command: None,
            reload: None,
            metrics: shell.metrics,
            stream: shell.stream,
            readiness: shell.readiness,
            actions: shell.actions,
            shutdown: false,
        }
    }

    /// Runs until told to stop.
    pub(super) async fn run(&mut self, stop: &CancellationToken) -> Result<End, ShellError> {
        loop {
            let now = self.clock.now();
            let wait = self
                .core
                .deadline()
                .filter(|_deadline| self.core.is_started())
                .map(|deadline| deadline.since(now).max(SHORTEST_WAIT));
            let has_backlog = self.publisher.has_backlog();
            let next = tokio::select! {
                read = self.reads.recv() => Step::Read(read),
                events = self.pvs.next() => Step::Pvs(events),
                request = self.requests.recv(), if !self.requests.is_closed() || !self.requests.is_empty() => Step::Request(request),
                snapshot = Reload::wait(&mut self.reload) => Step::Reloaded(snapshot),
                turn = Lead::next(&mut self.lead) => Step::Lead(turn),
                () = sleep(wait) => Step::Tick,
                () = tokio::time::sleep(RETRY), if has_backlog => Step::Retry,
                () = stop.cancelled() => Step::Stop,
            };
            let begun = Instant::now();
            match next {
                Step::Read(Some(Read::Records(records))) => self.read(records),
                Step::Read(Some(Read::CaughtUp)) => self.caught_up(),
                Step::Read(Some(Read::Anew)) => {
                    let now = self.clock.now();
                    let effects = self.core.resend(now);
                    self.carry_out(effects);
                }
                Step::Read(None) => return Err(ShellError::Bus(bus::Error::Closed)),
                Step::Pvs(Some(events)) => {
                    self.hear(events);
                    self.metrics.step(begun.elapsed());
                }
                Step::Pvs(None) => return Err(ShellError::Pvs),
                Step::Request(Some(request)) => self.answer(request),
                Step::Request(None) => {}
                Step::Reloaded(snapshot) => self.reloaded(snapshot),
                Step::Lead(turn) => self.lead_step(turn),
                Step::Tick => {
                    let now = self.clock.now();
                    let effects = self.core.tick(now);
                    self.carry_out(effects);
                }
                Step::Retry => self.publisher.retry(),
                Step::Stop => return Ok(End::Stopped),
            }
            if self.publisher.is_fenced() {
                tracing::warn!("another server has taken the lead; nothing more is published here");
                return Ok(End::Fenced);
            }
            if self.outrun {
                return Err(ShellError::Led {
                    configuration: self.settings.configuration.clone(),
                    who: "it was faster".to_owned(),
                });
            }
            if self.shutdown {
                return Ok(End::Shutdown);
            }
        }
    }

    /// Ends: what is in flight is written, as far as that is possible in time.
    pub(super) async fn drain(mut self, limit: Duration) {
        let end = Instant::now() + limit;
        self.requests.close();
        self.publisher.retry();
        let writer = self.publisher.writer();
        let written = tokio::time::timeout_at(end, async {
            while self.publisher.has_backlog() {
                tokio::time::sleep(RETRY).await;
                self.publisher.retry();
            }
            writer.flush().await?;
            if let Some(farewell) = self.farewell() {
                // the last word: whoever stands by takes over with it
                self.publisher.publish(vec![farewell]);
                writer.flush().await?;
            }
            Ok(())
        })
        .await;
        match written {
            // all is written, or another goes on already
            Ok(Ok(()) | Err(bus::Error::Fenced { .. })) => {}
            // a stand-by has nothing to say
            Ok(Err(_)) if self.lead.is_some() && !self.core.is_started() => {}
            Ok(Err(error)) => tracing::error!("not everything was written: {error}"),
            Err(_elapsed) => tracing::error!("not everything was written within {limit:?}"),
        }
        if tokio::time::timeout_at(end, self.actions.drain())
            .await
            .is_err()
        {
            tracing::error!("{} automated actions were not done", self.actions.waiting());
        }
        if tokio::time::timeout_at(end, self.pvs.close())
            .await
            .is_err()
        {
            tracing::debug!("Channel Access was not closed in time");
        }
    }

    /// Ends without a word: another speaks by now.
    pub(super) async fn abandon(mut self, limit: Duration) {
        self.requests.close();
        let closed = tokio::time::timeout(limit, self.pvs.close()).await;
        if closed.is_err() {
            tracing::debug!("Channel Access was not closed in time");
        }
    }

    fn read(&mut self, records: Vec<Incoming>) {
        let mut effects = Vec::new();
        let now = self.clock.now();
        let mut obeyed = None;
        for mut record in records {
            let Some(topic) = self.topics.topic(&record.topic) else {
                continue;
            };
            let key = record.key.take().unwrap_or_default();
            if self.hear_replica(&record, &key) {
                continue;
            }
            if topic == Topic::Command && Key::is_done(&key) {
                // a note that this server or another made when it obeyed
                continue;
            }
            let (offset, time) = (record.offset, record.time);
            let is_command = topic == Topic::Command || key.starts_with("command:");
            if is_command || (self.core.is_started() && key.starts_with("config:")) {
                let kind = if is_command { "command" } else { "config-read" };
                self.stream
                    .add_foreign_record(kind, &key, record.value.as_deref());
            }
            if let Some(reload) = &mut self.reload
                && topic == Topic::Main
            {
                reload.pass(&key, record.value.as_deref());
            }
            let record = Record {
                topic,
                key,
                value: record.value,
            };
            if is_command && !self.core.is_started() {
                if record.topic == Topic::Command {
                    self.newest_command = Some(time);
                    self.commands.wait(offset, record);
                }
                continue;
            }
            if topic == Topic::Command {
                obeyed = Some(offset);
            }
            self.is_configuration_new |= topic == Topic::Main && record.key.starts_with("config:");
            effects.extend(self.core.record(&record, now));
        }
        effects.extend(obeyed.and_then(|offset| self.position_after(offset)));
        self.carry_out(effects);
    }

    pub(super) fn start(&mut self) {
        self.readiness.latch(Part::Configuration);
        let now = self.clock.now();
        let mut effects = self.core.start(now);
        // a stand-by has the states from the leader
        if self.lead.is_none() {
            self.states.end();
        }
        for record in self.commands.take().0 {
            effects.extend(self.core.record(&record, now));
        }
        self.carry_out(effects);
        self.readiness.latch(Part::Alarms);
        let (watched, _connected) = self.watches.counts();
        tracing::info!(
            configuration = self.settings.configuration,
            pvs = watched,
            "alarm server started"
        );
    }

    fn hear(&mut self, events: Vec<PvEvent>) {
        let now = self.clock.now();
        let mut effects = Vec::new();
        self.metrics
            .events
            .inc_by(u64::try_from(events.len()).unwrap_or(0));
        for event in events {
            let id = event.id;
            let news = match event.what {
                PvNews::Connected { server } => {
                    if self.watches.connect(id, server, now) {
                        self.metrics.reconnects.inc();
                    }
                    continue;
                }
                PvNews::Value { state, coalesced } => {
                    self.metrics.coalesced.inc_by(u64::from(coalesced));
                    News::Value(state)
                }
                PvNews::Disconnected => {
                    self.watches.disconnect(id);
                    News::Disconnected
                }
                PvNews::Impossible(why) => {
                    if let Some(name) = self.watches.name(id) {
                        tracing::warn!("`{name}` cannot be watched: {why}");
                    }
                    self.watches.trouble(id, &why);
                    News::Impossible
                }
                PvNews::Trouble(why) => {
                    if let Some(name) = self.watches.name(id) {
                        tracing::warn!("`{name}`: {why}");
                    }
                    self.watches.trouble(id, &why);
                    continue;
                }
            };
            if let Some(name) = self.watches.name(id) {
                effects.extend(self.core.news(name, &news, now));
            }
        }
        self.carry_out(effects);
    }

    /// Does what follows, in its order; all records of a step go to the bus together.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut records = Vec::new();
        let mut acts = Vec::new();
        for effect in effects {
            match effect {
                Effect::Publish(record) => records.push(record),
                Effect::Connect(name) => {
                    if let Some(id) = self.watches.add(&name) {
                        self.pvs.watch(id, &name);
                    }
                }
                Effect::Disconnect(name) => {
                    if let Some(id) = self.watches.remove(&name) {
                        self.pvs.unwatch(id);
                    }
                }
                Effect::Restart => self.begin_reload(),
                Effect::Shutdown => {
                    tracing::warn!("a client of the bus ends the server");
                    self.shutdown = true;
                }
                Effect::Act(act) => acts.push(*act),
                Effect::Complain(complaint) => tracing::warn!("{complaint}"),
            }
        }
        self.publisher.publish(records);
        match &self.lead {
            None => acts.into_iter().for_each(|act| self.actions.begin(act)),
            // a leader that was shut out does nothing: what is to be done is done when it is written that it is
            Some(lead) if !acts.is_empty() => lead.wait_for(acts),
            Some(_) => {}
        }
        let (watched, connected) = self.watches.counts();
        self.metrics
            .watched
            .set(i64::try_from(watched).unwrap_or(0));
        self.metrics
            .connected
            .set(i64::try_from(connected).unwrap_or(0));
    }

    fn begin_reload(&mut self) {
        if self.reload.is_none() {
            tracing::info!("reading the configuration again");
            self.reload = Some(Reload::begin(
                Arc::clone(&self.bus),
                Arc::clone(&self.topics.main),
            ));
        }
    }

    fn reloaded(&mut self, snapshot: Result<Snapshot, bus::Error>) {
        let passed = self.reload.take().map(Reload::passed).unwrap_or_default();
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot.with(passed),
            Err(error) => {
                tracing::error!("the configuration was not read again: {error}");
                return;
            }
        };
        let paths: Vec<_> = match self.core.items(&Selection::default()) {
            Ok(items) => items.map(|item| item.path.clone()).collect(),
            Err(_refusal) => Vec::new(),
        };
        let now = self.clock.now();
        let mut effects = Vec::new();
        for record in snapshot.records(&paths) {
            effects.extend(self.core.record(&record, now));
        }
        self.carry_out(effects);
        tracing::info!("the configuration was read again");
    }

    fn answer(&mut self, request: Request) {
        // whoever asked may be gone: nobody is missed
        match request {
            Request::Ping(answer) => drop(answer.send(())),
            Request::Counts(answer) => {
                self.count_complaints();
                drop(answer.send(self.counts()));
            }
            Request::Server(answer) => drop(answer.send(self.server())),
            Request::Items(query, answer) => drop(answer.send(self.items(&query))),
            Request::Story(at, answer) => drop(answer.send(self.story(at))),
            Request::Configure(records, answer) => self.configure(records, answer),
            Request::Operate(wish, who, answer) => self.operate(&wish, &who, answer),
        }
    }

    fn operate(
        &mut self,
        wish: &alarm::server::Request,
        who: &Who,
        answer: tokio::sync::oneshot::Sender<Result<Outcome, alarm::server::Refusal>>,
    ) {
        let now = self.clock.now();
        let signed = alarm::server::Who {
            user: who.user.clone(),
            host: who.host.clone(),
        };
        let (reply, effects) = match self.core.request(wish, &signed, now) {
            Ok(done) => done,
            Err(refusal) => return drop(answer.send(Err(refusal))),
        };
        self.carry_out(effects);
        let (named, detail) = request::details(wish);
        audit(
            &self.stream,
            who,
            request::name(wish),
            &audited(named, &reply),
            detail.as_deref(),
        );
        let mut outcome = Outcome {
            operation: request::name(wish),
            changed: reply.is_changed(),
            count: reply.touched.len(),
            items: reply
                .touched
                .iter()
                .take(Outcome::SHOWN)
                .map(|touched| Touched {
                    path: touched.path.to_string(),
                    changed: touched.is_changed(),
                    before: touched.before.severity.name(),
                    severity: touched.after.severity.name(),
                    message: touched.after.message.to_string(),
                })
                .collect(),
            maintenance: reply.mode.maintenance,
            notify: reply.mode.notify,
            written: false,
            event: self.stream.identifier(self.stream.last()),
        };
        let written = self.written();
        tokio::spawn(async move {
            outcome.written = written.await;
            drop(answer.send(Ok(outcome)));
        });
    }

    /// Publishes a configuration; it has effect when it is read back, as that of any other client.
    fn configure(
        &mut self,
        records: Vec<ConfigRecord>,
        answer: tokio::sync::oneshot::Sender<bool>,
    ) {
        let records = records.into_iter().map(|record| Record {
            topic: Topic::Main,
            key: record.key,
            value: record.value,
        });
        self.publisher.publish(records.collect());
        let written = self.written();
        tokio::spawn(async move {
            // whoever asked may be gone
            let _unheard = answer.send(written.await);
        });
    }

    /// Whether the bus confirms, within some seconds, all that was published up to now.
    fn written(&self) -> impl Future<Output = bool> + Send + use<> {
        let has_backlog = self.publisher.has_backlog();
        let writer = self.publisher.writer();
        async move {
            if has_backlog {
                return false;
            }
            match tokio::time::timeout(CONFIRM, writer.flush()).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::error!("a record was not written: {error}");
                    false
                }
                Err(_elapsed) => false,
            }
        }
    }

    fn count_complaints(&self) {
        for (kind, count) in self.core.complaints() {
            let label = KindLabel {
                kind: kind.name().to_owned(),
            };
            let counter = self.metrics.complaints.get_or_create(&label);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    fn counts(&self) -> Vec<Count> {
        let mut counts = Vec::new();
        for (path, area) in self.core.areas() {
            for severity in alarm::Severity::ALL {
                let count = area.severity(severity);
                if count > 0 {
                    counts.push(Count {
                        severity: severity.name(),
                        area: path.name().to_owned(),
                        count: i64::from(count),
                    });
                }
            }
        }
        counts
    }

    fn server(&self) -> ServerJson {
        let mode = self.core.mode();
        let (watched, connected) = self.watches.counts();
        let root = alarm::AlarmPath::root(&self.settings.configuration).ok();
        let counts = root.as_ref().and_then(|root| self.core.counts(root));
        let severity = root.as_ref().and_then(|root| self.core.severity(root));
        let statistics = self.bus.statistics();
        ServerJson {
            configuration: self.settings.configuration.clone(),
            version: env!("CARGO_PKG_VERSION"),
            host: self.settings.host.clone(),
            since: view::rfc3339(self.since),
            ready: self.readiness.status().ready,
            maintenance: mode.maintenance,
            notify: mode.notify,
            severity: severity.unwrap_or_default().name(),
            alarms: view::alarms(|severity| {
                counts
                    .as_ref()
                    .map_or(0, |counts| u64::from(counts.severity(severity)))
            }),
            pvs: counts
                .as_ref()
                .map_or(0, |counts| u64::from(counts.leaves())),
            watched,
            connected,
            backlog: self.metrics.backlog.get(),
            bus_connected: statistics.connected,
            bus_error: statistics.last_error,
        }
    }

    fn items(&self, query: &Query) -> Result<Page, alarm::server::Refusal> {
        if !self.core.is_started() {
            return Err(alarm::server::Refusal::NotStarted);
        }
        let text = query.text.as_ref().map(|text| text.to_lowercase());
        let mut items = Vec::new();
        let mut total = 0;
        for item in self.core.items(&query.selection)? {
            if !is_wanted(&item, query, text.as_deref()) {
                continue;
            }
            if total >= query.offset && items.len() < query.limit {
                items.push(view::item(&item));
            }
            total += 1;
        }
        Ok(Page {
            items,
            total,
            offset: query.offset,
            event: self.stream.identifier(self.stream.last()),
        })
    }

    fn story(&self, at: String) -> Result<Vec<ItemJson>, alarm::server::Refusal> {
        if !self.core.is_started() {
            return Err(alarm::server::Refusal::NotStarted);
        }
        let is_path = at.starts_with('/');
        let selection = Selection {
            place: alarm::server::Wanted::Named(at),
            ..Selection::default()
        };
        let items = self.core.items(&selection)?;
        // a path means the item itself, a name all places of the PV
        let limit = if is_path { 1 } else { 100 };
        Ok(items
            .take(limit)
            .map(|item| {
                let watch = match &item.kind {
                    alarm::server::KindView::Leaf(leaf) => self.watches.find(leaf.pv),
                    alarm::server::KindView::Group(_) => None,
                };
                view::whole(&item, watch, &self.core)
            })
            .collect())
    }
}

/// What an audit lists: what was named, and the PVs that it came to.
fn audited(named: &[String], reply: &alarm::server::Reply) -> Vec<String> {
    let touched = reply.touched.iter().map(|one| one.path.to_string());
    let touched = touched.filter(|path| !named.contains(path));
    let all = named.iter().cloned().chain(touched);
    all.take(Outcome::SHOWN).collect()
}

fn is_wanted(item: &alarm::server::ItemView<'_>, query: &Query, text: Option<&str>) -> bool {
    let is_severity = query
        .severity
        .is_none_or(|severity| item.severity == severity);
    let is_group = matches!(item.kind, alarm::server::KindView::Group(_));
    let is_kind = query.groups.is_none_or(|groups| groups == is_group);
    let has_text = text.is_none_or(|text| {
        let description = match &item.kind {
            alarm::server::KindView::Leaf(leaf) => leaf.description(),
            alarm::server::KindView::Group(_) => "",
        };
        item.path.to_string().to_lowercase().contains(text)
            || description.to_lowercase().contains(text)
    });
    is_severity && is_kind && has_text
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
