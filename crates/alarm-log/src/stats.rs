//! Figures about an alarm system, from a stream of its entries, in the terms of EEMUA 191 and ISA-18.2.
//!
//! Pure: entries are given in the order of their time, and the end of the time that is looked at.
//!
//! An *alarm* is here the annunciation of one: a PV's alarm severity becomes active (MINOR, MAJOR, INVALID, UNDEFINED), or
//! more severe while it is. The operator's load is counted in fixed windows of ten minutes; a *flood* begins with the
//! window that has more than ten alarms and ends with the first after it that has less than five (EEMUA 191). A
//! *chattering* alarm comes at least three times within a minute, a *fleeting* one goes by itself within two minutes
//! without having been acknowledged, a *stale* one has stood for more than a day.

use std::collections::{BTreeMap, HashMap, VecDeque};

use alarm::Severity;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::entry::{Entry, Event, State};

#[cfg(test)]
mod tests;

/// The window in which alarms are counted.
const WINDOW: i64 = 600_000;
/// More alarms in a window begin a flood.
const FLOOD: u64 = 10;
/// Less alarms in a window end a flood.
const FLOOD_OVER: u64 = 5;
/// So many alarms of a PV within a minute are chattering.
const CHATTER: usize = 3;
const MINUTE: i64 = 60_000;
/// An alarm that goes by itself within this time is fleeting.
const FLEETING: i64 = 120_000;
/// An alarm that stands for longer is stale.
const STALE: i64 = 86_400_000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// Begin of the time that was looked at.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Alarms in it.
    pub alarms: u64,
    /// Alarms in ten minutes, on average.
    pub average_per_10_minutes: f64,
    /// Most alarms in ten minutes.
    pub peak_per_10_minutes: u64,
    /// When that was; nothing without alarms.
    pub peak_at: Option<Timestamp>,
    /// Share of the windows of ten minutes in which there was a flood, 0 to 1.
    pub flood_share: f64,
    /// Floods, the oldest first.
    pub floods: Vec<Flood>,
    /// PVs with the most alarms.
    pub top: Vec<Top>,
    /// Share of all alarms that the PVs in `top` have, 0 to 1.
    pub top_share: f64,
    /// PVs that chattered, with how often that began.
    pub chattering: Vec<Named>,
    /// PVs with fleeting alarms, with how many.
    pub fleeting: Vec<Named>,
    /// Alarms that stand at the end, the oldest first; acknowledged ones included.
    pub standing: Vec<Standing>,
    /// How many of them have stood for more than a day.
    pub stale: u64,
    /// Times to acknowledgement.
    pub acknowledgement: Acknowledgement,
    /// Alarms by severity.
    pub priorities: BTreeMap<String, u64>,
}

/// A flood of alarms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flood {
    /// Begin of its first window.
    pub from: Timestamp,
    /// End of its last window.
    pub to: Timestamp,
    /// Alarms in it.
    pub alarms: u64,
}

/// A PV with many alarms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Top {
    /// Path.
    pub path: String,
    /// Alarms.
    pub alarms: u64,
    /// Share of all alarms, 0 to 1.
    pub share: f64,
}

/// A PV and how often something happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Path.
    pub path: String,
    /// How often.
    pub count: u64,
}

/// An alarm that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Path.
    pub path: String,
    /// Severity.
    pub severity: String,
    /// Since when the PV has been in alarm.
    pub since: Timestamp,
    /// For how many seconds.
    pub seconds: i64,
}

/// How long alarms waited until somebody acknowledged them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Acknowledgement {
    /// How many were acknowledged.
    pub count: u64,
    /// Half of them within so many seconds.
    pub median_seconds: Option<i64>,
    /// Nine of ten within so many seconds.
    pub p90_seconds: Option<i64>,
}

/// A PV as it was left by the last entry.
#[derive(Debug, Default)]
struct Pv {
    severity: Severity,
    /// When it went into alarm, acknowledged or not; in milliseconds.
    in_alarm_since: Option<i64>,
    /// When it became active; nothing once it is acknowledged.
    active_since: Option<i64>,
    was_acknowledged: bool,
    alarms: u64,
    /// Alarms of the last minute.
    recent: VecDeque<i64>,
    is_chattering: bool,
    chattered: u64,
    fleeted: u64,
}

/// Gathers statistics.
#[derive(Debug)]
pub struct Gathering {
    from: i64,
    pvs: HashMap<String, Pv>,
    /// Alarms by windows that have some; windows begin at multiples of their length after `from`.
    windows: BTreeMap<i64, u64>,
    priorities: BTreeMap<String, u64>,
    waits: Vec<i64>,
    alarms: u64,
}

impl Gathering {
    /// Begins at a moment.
    pub fn new(from: Timestamp) -> Self {
        Self {
            from: from.as_millisecond(),
            pvs: HashMap::new(),
            windows: BTreeMap::new(),
            priorities: BTreeMap::new(),
            waits: Vec::new(),
            alarms: 0,
        }
    }

    /// Takes the next entry. What is no state of a PV or its end does not matter. One from before the begin says how the
    /// PV was then and counts as no alarm.
    pub fn take(&mut self, entry: &Entry) {
        let now = entry.time.as_millisecond();
        match &entry.event {
            Event::State(state) => {
                let Some(severity) = severity(state) else {
                    return;
                };
                self.change(&entry.path, severity, now);
            }
            Event::Deletion(deletion) if deletion.tombstone => {
                if let Some(pv) = self.pvs.get_mut(&entry.path) {
                    // nobody made it go away: neither fleeting nor acknowledged
                    pv.was_acknowledged = true;
                    pv.leave(now);
                }
            }
            _ => {}
        }
    }

    fn change(&mut self, path: &str, severity: Severity, now: i64) {
        let pv = match self.pvs.get_mut(path) {
            Some(pv) => pv,
            None => self.pvs.entry(path.to_owned()).or_default(),
        };
        let before = std::mem::replace(&mut pv.severity, severity);
        if severity == Severity::Ok {
            pv.leave(now);
            return;
        }
        pv.in_alarm_since.get_or_insert(now);
        if !severity.is_active() {
            if let Some(since) = pv.active_since.take()
                && since >= self.from
            {
                self.waits.push(now - since);
            }
            pv.was_acknowledged = true;
            return;
        }
        let is_news = !before.is_active() || severity > before;
        // taking an acknowledgement back is no new alarm
        let is_taken_back = before == severity.acknowledged() && before != severity;
        pv.active_since.get_or_insert(now);
        if !is_news || is_taken_back || now < self.from {
            return;
        }
        pv.alarm(now);
        self.alarms += 1;
        *self.windows.entry((now - self.from) / WINDOW).or_default() += 1;
        *self
            .priorities
            .entry(severity.name().to_owned())
            .or_default() += 1;
    }

    /// The statistics up to a moment, with so many PVs of each list.
    pub fn finish(self, to: Timestamp, most: usize) -> Statistics {
        let end = to.as_millisecond().max(self.from + 1);
        let windows = (end - self.from + WINDOW - 1) / WINDOW;
        let floods = floods(&self.windows, self.from, end);
        let flood_windows: i64 = floods
            .iter()
            .map(|flood| {
                (flood.to.as_millisecond() - flood.from.as_millisecond() + WINDOW - 1) / WINDOW
            })
            .sum();
        let peak = self
            .windows
            .iter()
            .max_by_key(|(window, alarms)| (**alarms, -**window));
        let top = top(&self.pvs, self.alarms, most);
        let standing = standing(&self.pvs, end);
        Statistics {
            from: moment(self.from),
            to: moment(end),
            alarms: self.alarms,
            average_per_10_minutes: share(self.alarms, end - self.from) * float(WINDOW),
            peak_per_10_minutes: peak.map_or(0, |(_window, alarms)| *alarms),
            peak_at: peak.map(|(window, _alarms)| moment(self.from + window * WINDOW)),
            flood_share: float(flood_windows) / float(windows),
            floods,
            top_share: top.iter().map(|top| top.share).sum(),
            top,
            chattering: named(&self.pvs, most, |pv| pv.chattered),
            fleeting: named(&self.pvs, most, |pv| pv.fleeted),
            stale: standing
                .iter()
                .filter(|standing| standing.seconds > STALE / 1000)
                .count() as u64,
            standing,
            acknowledgement: acknowledgement(self.waits),
            priorities: self.priorities,
        }
    }
}

impl Pv {
    fn alarm(&mut self, now: i64) {
        self.alarms += 1;
        self.recent.push_back(now);
        while self
            .recent
            .front()
            .is_some_and(|first| now - first > MINUTE)
        {
            self.recent.pop_front();
        }
        let is_chattering = self.recent.len() >= CHATTER;
        if is_chattering && !self.is_chattering {
            self.chattered += 1;
        }
        self.is_chattering = is_chattering;
    }

    /// The alarm is gone.
    fn leave(&mut self, now: i64) {
        self.severity = Severity::Ok;
        let since = self.in_alarm_since.take();
        self.active_since = None;
        let was_acknowledged = std::mem::take(&mut self.was_acknowledged);
        if let Some(since) = since
            && now - since < FLEETING
            && !was_acknowledged
            && self.alarms > 0
        {
            self.fleeted += 1;
        }
    }
}

/// A severity of others is none that can be compared.
fn severity(state: &State) -> Option<Severity> {
    state.severity.as_deref()?.parse().ok()
}

fn floods(windows: &BTreeMap<i64, u64>, from: i64, end: i64) -> Vec<Flood> {
    let mut floods = Vec::new();
    // first and last window, alarms
    let mut open: Option<(i64, i64, u64)> = None;
    for (window, alarms) in windows {
        match &mut open {
            Some((_first, last, sum)) if *window == *last + 1 && *alarms >= FLOOD_OVER => {
                *last = *window;
                *sum += alarms;
            }
            _ => {
                floods.extend(open.take());
                open = (*alarms > FLOOD).then_some((*window, *window, *alarms));
            }
        }
    }
    floods.extend(open);
    floods
        .into_iter()
        .map(|(first, last, alarms)| Flood {
            from: moment(from + first * WINDOW),
            to: moment((from + (last + 1) * WINDOW).min(end)),
            alarms,
        })
        .collect()
}

fn top(pvs: &HashMap<String, Pv>, alarms: u64, most: usize) -> Vec<Top> {
    named(pvs, most, |pv| pv.alarms)
        .into_iter()
        .map(|Named { path, count }| Top {
            path,
            alarms: count,
            share: share(count, i64::try_from(alarms).unwrap_or(i64::MAX)),
        })
        .collect()
}

/// The PVs with the most of something, those with none left out.
fn named(pvs: &HashMap<String, Pv>, most: usize, of: impl Fn(&Pv) -> u64) -> Vec<Named> {
    let mut named: Vec<Named> = pvs
        .iter()
        .map(|(path, pv)| Named {
            path: path.clone(),
            count: of(pv),
        })
        .filter(|named| named.count > 0)
        .collect();
    named.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.path.cmp(&b.path)));
    named.truncate(most);
    named
}

fn standing(pvs: &HashMap<String, Pv>, end: i64) -> Vec<Standing> {
    let mut standing: Vec<Standing> = pvs
        .iter()
        .filter_map(|(path, pv)| {
            let since = pv.in_alarm_since?;
            Some(Standing {
                path: path.clone(),
                severity: pv.severity.name().to_owned(),
                since: moment(since),
                seconds: (end - since) / 1000,
            })
        })
        .collect();
    standing.sort_by(|a, b| (a.since, &a.path).cmp(&(b.since, &b.path)));
    standing
}

fn acknowledgement(mut waits: Vec<i64>) -> Acknowledgement {
    waits.sort_unstable();
    // the smallest that is not below so many of ten
    let quantile = |tenths: usize| {
        let place = (waits.len() * tenths).div_ceil(10).saturating_sub(1);
        waits.get(place).map(|wait| wait / 1000)
    };
    Acknowledgement {
        count: waits.len() as u64,
        median_seconds: quantile(5),
        p90_seconds: quantile(9),
    }
}

fn share(part: u64, whole: i64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    float(i64::try_from(part).unwrap_or(i64::MAX)) / float(whole)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and milliseconds, of which nobody reads more than a few digits"
)]
fn float(number: i64) -> f64 {
    number as f64
}

fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH
        .checked_add(SignedDuration::from_millis(milliseconds))
        .unwrap_or_default()
}
