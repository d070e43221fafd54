//! PVs whose values a test decides.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alarm::{Severity, State, Time};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::pvs::{PutValue, Puts, PvEvent, PvNews, Pvs, WatchId};

#[derive(Debug, Default)]
struct Script {
    values: BTreeMap<String, State>,
    watched: HashMap<WatchId, String>,
    connected: HashMap<WatchId, bool>,
    queue: Vec<PvEvent>,
    puts: Vec<(String, PutValue)>,
    /// Names whose writes fail so many times more.
    failures: HashMap<String, u32>,
    is_closed: bool,
}

/// The side of the test. All handles share the same PVs.
#[derive(Debug, Clone, Default)]
pub struct Scripted {
    script: Arc<Mutex<Script>>,
    news: Arc<Notify>,
}

/// The side of the server.
#[derive(Debug)]
pub struct ScriptedPvs(Scripted);

impl Scripted {
    /// PVs of which none exists yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The side of the server; of another one if there was one before.
    pub fn pvs(&self) -> ScriptedPvs {
        let mut script = self.script();
        script.watched.clear();
        script.connected.clear();
        script.queue.clear();
        script.is_closed = false;
        drop(script);
        ScriptedPvs(self.clone())
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a PV a value; it exists from then on.
    pub fn set(&self, name: &str, state: &State) {
        let mut script = self.script();
        script.values.insert(name.to_owned(), state.clone());
        let ids: Vec<WatchId> = script
            .watched
            .iter()
            .filter(|(_id, watched)| *watched == name)
            .map(|(id, _name)| *id)
            .collect();
        for id in ids {
            script.say(id, state.clone());
        }
        drop(script);
        self.news.notify_one();
    }

    /// Gives a PV a value with an alarm.
    pub fn set_alarm(&self, name: &str, severity: Severity, message: &str, value: f64, time: Time) {
        let state = State::new(severity, message, value, time);
        self.set(name, &state);
    }

    /// The server of a PV goes away.
    pub fn lose(&self, name: &str) {
        let mut script = self.script();
        script.values.remove(name);
        let ids: Vec<WatchId> = script
            .watched
            .iter()
            .filter(|(_id, watched)| *watched == name)
            .map(|(id, _name)| *id)
            .collect();
        for id in ids {
            if script.connected.insert(id, false) == Some(true) {
                script.queue.push(PvEvent {
                    id,
                    what: PvNews::Disconnected,
                });
            }
        }
        drop(script);
        self.news.notify_one();
    }

    /// Lets the next writes of a PV fail.
    pub fn refuse_puts(&self, name: &str, times: u32) {
        self.script().failures.insert(name.to_owned(), times);
    }

    /// What was written so far.
    pub fn puts(&self) -> Vec<(String, PutValue)> {
        self.script().puts.clone()
    }

    /// The names that are watched, each as often as it is.
    pub fn watched(&self) -> Vec<String> {
        let mut names: Vec<String> = self.script().watched.values().cloned().collect();
        names.sort();
        names
    }
}

impl Script {
    fn say(&mut self, id: WatchId, state: State) {
        if self.connected.insert(id, true) != Some(true) {
            self.queue.push(PvEvent {
                id,
                what: PvNews::Connected {
                    server: Arc::from("scripted"),
                },
            });
        }
        self.queue.push(PvEvent {
            id,
            what: PvNews::Value {
                state,
                coalesced: 0,
            },
        });
    }
}

impl Pvs for ScriptedPvs {
    fn watch(&mut self, id: WatchId, name: &str) {
        let mut script = self.0.script();
        script.watched.insert(id, name.to_owned());
        if let Some(state) = script.values.get(name).cloned() {
            script.say(id, state);
        }
        drop(script);
        self.0.news.notify_one();
    }

    fn unwatch(&mut self, id: WatchId) {
        let mut script = self.0.script();
        script.watched.remove(&id);
        script.connected.remove(&id);
        script.queue.retain(|event| event.id != id);
    }

    fn next(&mut self) -> BoxFuture<'_, Option<Vec<PvEvent>>> {
        async move {
            loop {
                {
                    let mut script = self.0.script();
                    if !script.queue.is_empty() {
                        return Some(std::mem::take(&mut script.queue));
                    }
                    if script.is_closed {
                        return None;
                    }
                }
                self.0.news.notified().await;
            }
        }
        .boxed()
    }

    fn puts(&self) -> Arc<dyn Puts> {
        Arc::new(self.0.clone())
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.0.script().is_closed = true;
        self.0.news.notify_one();
        std::future::ready(()).boxed()
    }
}

impl Puts for Scripted {
    fn put(&self, name: String, value: PutValue) -> BoxFuture<'static, Result<(), String>> {
        let mut script = self.script();
        let result = match script.failures.get_mut(&name) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Err("refused by the script".to_owned())
            }
            _ => {
                script.puts.push((name, value));
                Ok(())
            }
        };
        drop(script);
        std::future::ready(result).boxed()
    }
}
