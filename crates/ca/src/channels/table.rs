//! All channels, found by number, by name and by watch.
//!
//! There can be a hundred thousand of them, so what every channel has is small, and what few have is apart.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::CircuitId;
use crate::circuit::ChannelId;
use crate::event::WatchId;
use crate::name::PvName;
use crate::proto::{Mask, Sample};

/// Bits of a channel number that say its place; those above, how often the place has been used, so that late answers to
/// what was there before are not mistaken.
const PLACE_BITS: u32 = 24;
const GENERATIONS: u8 = 128;

/// How far a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody has answered.
    Searching,
    /// A server has answered; the circuit or the channel is not there yet.
    Joining(CircuitId),
    /// There.
    Connected(CircuitId),
}

/// One PV.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: PvName,
    pub(super) state: State,
    /// The first watch, if the mask is there.
    watch: WatchId,
    mask: Option<Mask>,
    /// Reads and writes that have not ended.
    pub(super) requests: u16,
    pub(super) extra: Option<Box<Extra>>,
}

/// What few channels have.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// Watches beside the first.
    others: Vec<(WatchId, Mask)>,
    /// Labels of states; `None` until they are known.
    pub(super) labels: Option<Vec<String>>,
    /// A state that waits for its label, and how many before it were replaced.
    pub(super) held: Option<(Sample, u32)>,
    /// Other servers that have been reported.
    pub(super) duplicates: Vec<std::net::SocketAddrV4>,
    /// Why the last server that answered could not be used.
    pub(super) failure: Option<super::Trouble>,
}

impl Channel {
    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// All watches of this channel.
    pub(super) fn watches(&self) -> impl Iterator<Item = (WatchId, Mask)> {
        let others = self
            .extra
            .iter()
            .flat_map(|extra| extra.others.iter().copied());
        self.mask
            .map(|mask| (self.watch, mask))
            .into_iter()
            .chain(others)
    }

    /// Everything that some watch wants; `None` without watches.
    pub(super) fn mask(&self) -> Option<Mask> {
        self.watches()
            .map(|(_, mask)| mask)
            .reduce(|left, right| left | right)
    }
}

/// The channels.
#[derive(Debug, Default)]
pub(super) struct Table {
    channels: Vec<Option<Channel>>,
    generations: Vec<u8>,
    free: Vec<u32>,
    /// Places by name.
    names: HashTable<u32>,
    /// Places by first watch.
    watches: HashTable<u32>,
    other_watches: HashMap<WatchId, u32>,
    count: usize,
    hasher: RandomState,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn watch_count(&self) -> usize {
        self.watches.len() + self.other_watches.len()
    }

    pub(super) fn get(&self, channel: ChannelId) -> Option<&Channel> {
        let place = self.place(channel)?;
        self.channels.get(place)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, channel: ChannelId) -> Option<&mut Channel> {
        let place = self.place(channel)?;
        self.channels.get_mut(place)?.as_mut()
    }

    pub(super) fn find_name(&self, name: &PvName) -> Option<ChannelId> {
        let channels = &self.channels;
        let place = self.names.find(self.hasher.hash_one(name), |&place| {
            at(channels, place).is_some_and(|channel| channel.name == *name)
        })?;
        Some(self.id(*place))
    }

    pub(super) fn find_watch(&self, watch: WatchId) -> Option<ChannelId> {
        if let Some(&place) = self.other_watches.get(&watch) {
            return Some(self.id(place));
        }
        let channels = &self.channels;
        let place = self.watches.find(self.hasher.hash_one(watch), |&place| {
            at(channels, place)
                .is_some_and(|channel| channel.mask.is_some() && channel.watch == watch)
        })?;
        Some(self.id(*place))
    }

    /// Adds a channel that is searched for; `None` when there are 16 million already.
    pub(super) fn insert(&mut self, name: PvName) -> Option<ChannelId> {
        let place = if let Some(place) = self.free.pop() {
            place
        } else {
            let place = u32::try_from(self.channels.len()).ok()?;
            if place >= 1 << PLACE_BITS {
                return None;
            }
            self.channels.push(None);
            self.generations.push(0);
            place
        };
        let hash = self.hasher.hash_one(&name);
        if let Some(slot) = self.channels.get_mut(place as usize) {
            *slot = Some(Channel {
                name,
                state: State::Searching,
                watch: WatchId(0),
                mask: None,
                requests: 0,
                extra: None,
            });
        }
        let (channels, hasher) = (&self.channels, &self.hasher);
        self.names.insert_unique(hash, place, |&place| {
            at(channels, place).map_or(0, |channel| hasher.hash_one(&channel.name))
        });
        self.count += 1;
        Some(self.id(place))
    }

    /// Forgets a channel that has no watches.
    pub(super) fn remove(&mut self, channel: ChannelId) -> Option<Channel> {
        let place = self.place(channel)?;
        let removed = self.channels.get_mut(place)?.take()?;
        let hash = self.hasher.hash_one(&removed.name);
        if let Ok(entry) = self
            .names
            .find_entry(hash, |&other| other as usize == place)
        {
            entry.remove();
        }
        if let Some(generation) = self.generations.get_mut(place) {
            *generation = (*generation + 1) % GENERATIONS;
        }
        self.free.push(u32::try_from(place).unwrap_or(u32::MAX));
        self.count -= 1;
        Some(removed)
    }

    /// Adds a watch, whose number no other has, to a channel.
    pub(super) fn add_watch(&mut self, channel: ChannelId, watch: WatchId, mask: Mask) {
        let place = channel.0 & ((1 << PLACE_BITS) - 1);
        let Some(channel) = self.get_mut(channel) else {
            return;
        };
        if channel.mask.is_some() {
            channel.extra().others.push((watch, mask));
            self.other_watches.insert(watch, place);
        } else {
            channel.watch = watch;
            channel.mask = Some(mask);
            self.index_watch(watch, place);
        }
    }

    /// Removes a watch and says which channel it was of.
    pub(super) fn remove_watch(&mut self, watch: WatchId) -> Option<ChannelId> {
        let id = self.find_watch(watch)?;
        let place = id.0 & ((1 << PLACE_BITS) - 1);
        if self.other_watches.remove(&watch).is_some() {
            self.get_mut(id)?
                .extra()
                .others
                .retain(|(other, _)| *other != watch);
            return Some(id);
        }
        let hash = self.hasher.hash_one(watch);
        if let Ok(entry) = self.watches.find_entry(hash, |&other| other == place) {
            entry.remove();
        }
        let channel = self.get_mut(id)?;
        channel.mask = None;
        let next = channel.extra.as_mut().and_then(|extra| extra.others.pop());
        if let Some((next, mask)) = next {
            channel.watch = next;
            channel.mask = Some(mask);
            self.other_watches.remove(&next);
            self.index_watch(next, place);
        }
        Some(id)
    }

    fn index_watch(&mut self, watch: WatchId, place: u32) {
        let (channels, hasher) = (&self.channels, &self.hasher);
        self.watches
            .insert_unique(hasher.hash_one(watch), place, |&place| {
                at(channels, place).map_or(0, |channel| hasher.hash_one(channel.watch))
            });
    }

    fn id(&self, place: u32) -> ChannelId {
        let generation = self
            .generations
            .get(place as usize)
            .copied()
            .unwrap_or_default();
        ChannelId(place | u32::from(generation) << PLACE_BITS)
    }

    fn place(&self, channel: ChannelId) -> Option<usize> {
        let place = channel.0 & ((1 << PLACE_BITS) - 1);
        (self.id(place) == channel).then_some(place as usize)
    }
}

fn at(channels: &[Option<Channel>], place: u32) -> Option<&Channel> {
    channels.get(place as usize)?.as_ref()
}
