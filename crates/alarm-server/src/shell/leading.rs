//! The owner of the logic as one of several servers: stands by, takes over, gives signs of life, hands over.

use std::sync::Arc;
use std::time::Duration;

use alarm::server::{Effect, Record};
use bus::{Fence, Incoming, Presence};
use serde::Deserialize;

use crate::clock::Clock;
use crate::election::{Event, Wish};
use crate::shell::lead::{COMMANDS, LEADER, Lead, MARK, REPLICA, Sign, Step};
use crate::shell::owner::Owner;
use crate::shell::readiness::Part;
use crate::shell::{Shell, ShellError, view};

/// A command that nobody has obeyed for so long is not obeyed any more: both buses forget them about then.
const COMMAND_AGE: Duration = Duration::from_secs(20);
/// So many commands wait for a leader.
const MOST_COMMANDS: usize = 10_000;

/// How far commands are obeyed.
#[derive(Debug, Deserialize)]
struct Position {
    next: u64,
}

/// What the bus writes with every transaction of whoever has the right to write.
#[derive(Debug, Deserialize)]
struct Mark {
    /// Counts the transactions of one holder.
    sequence: u64,
}

/// Commands that wait while nobody obeys them here.
#[derive(Debug, Default)]
pub(super) struct Commands {
    waiting: Vec<(u64, Record)>,
    /// The first that is not obeyed yet, as the leader says.
    position: Option<u64>,
    /// After the newest that was read.
    end: u64,
}

impl Commands {
    pub(super) fn wait(&mut self, offset: u64, record: Record) {
        self.end = self.end.max(offset + 1);
        if self.position.is_some_and(|position| offset < position) {
            return;
        }
        if self.waiting.len() == MOST_COMMANDS {
            self.waiting.remove(0);
        }
        self.waiting.push((offset, record));
    }

    fn obeyed_up_to(&mut self, position: u64) {
        self.position = Some(self.position.map_or(position, |known| known.max(position)));
        self.waiting.retain(|(offset, _record)| *offset >= position);
    }

    /// What was there before anybody stood by and is nobody's any more.
    fn begin(&mut self, is_too_old: bool) {
        if self.position.is_none() || is_too_old {
            self.waiting.clear();
        }
    }

    /// Those that are to be obeyed now, and the position after them if that is another.
    pub(super) fn take(&mut self) -> (Vec<Record>, Option<u64>) {
        let waiting = std::mem::take(&mut self.waiting);
        let next = waiting.last().map(|(offset, _record)| offset + 1);
        let next = next.or_else(|| self.position.is_none().then_some(self.end));
        let records = waiting.into_iter().map(|(_offset, record)| record);
        (records.collect(), next)
    }
}

/// Gets ready to stand by; none where nobody else is cared for.
///
/// # Errors
///
/// Another leads, and this one shall not wait.
pub(super) fn prepare(
    shell: &Shell,
) -> impl Future<Output = Result<Option<Lead>, ShellError>> + Send + use<> {
    let (settings, topics) = (&shell.settings, shell.topics.clone());
    let (replica, configuration) = (settings.replica.clone(), settings.configuration.clone());
    let (host, bus) = (settings.host.clone(), Arc::clone(&shell.bus));
    let (address, standing) = (shell.address.subscribe(), shell.standing.clone());
    async move {
        let Some(replica) = replica else {
            return Ok(None);
        };
        let sign = Sign {
            name: replica.name.clone(),
            host,
            pid: std::process::id(),
            since: view::rfc3339(Clock::machine().now()),
            ..Sign::default()
        };
        let fence = Fence {
            name: Arc::from(format!("ioc-alarm-{configuration}")),
            topic: Arc::clone(&topics.server),
            holder: serde_json::to_string(&sign).unwrap_or_default(),
        };
        if !replica.may_wait {
            let holder = bus.holder(&fence).await?;
            if holder.presence == Presence::Lives {
                return Err(led(configuration, holder.said.as_deref()));
            }
        }
        let lead = Lead::begin(replica, fence, bus, topics, sign, address, standing).await?;
        Ok(Some(lead))
    }
}

fn led(configuration: String, said: Option<&str>) -> ShellError {
    let sign: Option<Sign> = said.and_then(|said| serde_json::from_str(said).ok());
    let who = match sign {
        Some(sign) => format!(
            "process {} on `{}`, since {}",
            sign.pid, sign.host, sign.since
        ),
        None => "its process lives".to_owned(),
    };
    ShellError::Led { configuration, who }
}

impl Owner {
    /// Everything is read that there was.
    pub(super) fn caught_up(&mut self) {
        let now = self.clock.now();
        let Some(lead) = &mut self.lead else {
            return self.start();
        };
        if lead.is_listening {
            return self.elect(Event::Read);
        }
        let is_old = self
            .newest_command
            .is_none_or(|time| time.elapsed().is_ok_and(|age| age > COMMAND_AGE));
        self.commands.begin(is_old);
        self.core.stand_by(now);
        self.readiness.latch(Part::Configuration);
        if lead.may_wait() {
            self.readiness.latch(Part::Alarms);
        }
        lead.listen(self.leader.take());
        for name in self.core.wanted_channels(now) {
            self.watch_channel(&name);
        }
        tracing::info!(
            configuration = self.settings.configuration,
            "standing by with everything that is on the bus"
        );
    }

    /// Something happened around the election.
    pub(super) fn lead_step(&mut self, step: Step) {
        match step {
            Step::Event(Event::NotTaken)
                if self.lead.as_ref().is_some_and(|lead| !lead.may_wait()) =>
            {
                self.outrun = true;
            }
            Step::Event(event) => {
                if event == Event::Tick {
                    self.follow_configuration();
                }
                self.elect(event);
            }
            Step::Taken(writer) => {
                tracing::info!("nobody else can write any more; reading to the end");
                self.taken = Some(writer);
                self.elect(Event::Taken);
            }
            Step::Act(acts) => {
                for act in acts {
                    self.actions.begin(act);
                }
            }
        }
    }

    fn elect(&mut self, event: Event) {
        let wish = self.lead.as_mut().and_then(|lead| lead.handle(event));
        self.grant(wish);
    }

    fn grant(&mut self, wish: Option<Wish>) {
        let Some(lead) = &mut self.lead else { return };
        match wish {
            None => {}
            Some(Wish::Take(why)) => {
                tracing::warn!(name = lead.sign.name, "taking the lead: {why}");
                lead.take();
            }
            Some(Wish::Read) => self.look_again.notify_one(),
            Some(Wish::Speak) => self.speak(),
            Some(Wish::Beat) => {
                let beat = lead.beat(false);
                lead.sent_beat();
                self.publisher.publish(vec![beat]);
            }
            Some(Wish::Yield) => self.publisher.fence(),
        }
    }

    /// Nobody else can write any more, and everything they wrote is read.
    fn speak(&mut self) {
        let (Some(lead), Some(writer)) = (&mut self.lead, self.taken.take()) else {
            return;
        };
        let now = self.clock.now();
        self.publisher.write_with(Arc::clone(&writer));
        lead.sign.since = view::rfc3339(now);
        lead.lead(&writer);
        let has_followed = lead.has_followed;
        let mut effects = if has_followed {
            self.core.take_over(now)
        } else {
            self.core.start(now)
        };
        let (commands, position) = self.commands.take();
        for record in commands {
            effects.extend(self.core.record(&record, now));
        }
        if let Some(lead) = &mut self.lead {
            effects.extend(position.map(|next| Effect::Publish(lead.position(next))));
            effects.push(Effect::Publish(lead.beat(false)));
            self.metrics.leader.set(1);
            self.metrics
                .term
                .set(i64::try_from(lead.election.term()).unwrap_or(i64::MAX));
        }
        if has_followed {
            self.metrics.takeovers.inc();
        }
        self.carry_out(effects);
        if let Some(lead) = &self.lead {
            lead.sent_beat();
        }
        let wanted = self.core.wanted_channels(now);
        for name in self.watches.names() {
            if !wanted.contains(&*name) {
                self.unwatch_channel(&name);
            }
        }
        self.readiness.latch(Part::Alarms);
        let (watched, connected) = self.watches.counts();
        tracing::info!(
            configuration = self.settings.configuration,
            pvs = watched,
            connected,
            took_over = has_followed,
            "alarm server leads"
        );
    }

    /// Watches what the configuration wants by now.
    fn follow_configuration(&mut self) {
        let is_following =
            self.lead.as_ref().is_some_and(|lead| lead.is_listening) && !self.core.is_started();
        if !is_following || !std::mem::take(&mut self.is_configuration_new) {
            return;
        }
        let now = self.clock.now();
        let wanted = self.core.wanted_channels(now);
        for name in self.watches.names() {
            if !wanted.contains(&*name) {
                self.unwatch_channel(&name);
            }
        }
        for name in wanted {
            self.watch_channel(&name);
        }
    }

    fn watch_channel(&mut self, name: &str) {
        if let Some(id) = self.watches.add(name) {
            self.pvs.watch(id, name);
        }
    }

    fn unwatch_channel(&mut self, name: &str) {
        if let Some(id) = self.watches.remove(name) {
            self.pvs.unwatch(id);
        }
    }

    /// What servers say to each other; whether it was that.
    pub(super) fn hear_replica(&mut self, record: &Incoming, key: &str) -> bool {
        if self.lead.is_none() || record.topic != self.topics.server {
            return false;
        }
        let Some(value) = &record.value else {
            return false;
        };
        if key.starts_with(COMMANDS) {
            if let Ok(position) = serde_json::from_str::<Position>(value)
                && !self.core.is_started()
            {
                self.commands.obeyed_up_to(position.next);
            }
            return true;
        }
        if key.starts_with(MARK) {
            let is_first = serde_json::from_str::<Mark>(value).is_ok_and(|mark| mark.sequence == 1);
            self.elect(if is_first {
                Event::Begun
            } else {
                Event::Written
            });
            return true;
        }
        let is_other = key.starts_with(REPLICA);
        if !is_other && !key.starts_with(LEADER) {
            return false;
        }
        let Ok(sign) = serde_json::from_str::<Sign>(value) else {
            return false;
        };
        let now = self.clock.now();
        let Some(lead) = &mut self.lead else {
            return false;
        };
        if is_other {
            lead.hear_other(sign);
        } else if lead.is_listening {
            if !self.core.is_started() {
                self.core.leader_lives(now);
            }
            let wish = lead.hear(sign);
            self.grant(wish);
        } else {
            self.leader = Some(sign);
        }
        true
    }

    /// What has to be written with the commands that were obeyed.
    pub(super) fn position_after(&self, offset: u64) -> Option<Effect> {
        let lead = self.lead.as_ref()?;
        Some(Effect::Publish(lead.position(offset + 1)))
    }

    /// The last record of a leader that ends in order.
    pub(super) fn farewell(&self) -> Option<Record> {
        let lead = self
            .lead
            .as_ref()
            .filter(|lead| lead.election.is_leading())?;
        Some(lead.beat(true))
    }
}
