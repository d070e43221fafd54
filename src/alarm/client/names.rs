//! Names of alarms for completion: quickly, or not at all.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::alarm::bus::Choice;
use crate::alarm::client::{Client, Wanted, read_token};
use crate::alarm::server;
use crate::cli::bus::BusArgs;
use crate::settings::Settings;

/// Somebody waits at a prompt.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Items that are asked for.
const MOST: usize = 1000;

/// Names of PVs and paths that begin with `prefix`, of the server that is meant without any option.
pub fn beginning_with(prefix: &str, settings: &Settings) -> Vec<String> {
    let choice = Choice::new(&BusArgs::default(), settings);
    let Ok(place) = server::find(None, None, &choice, settings) else {
        return Vec::new();
    };
    let token = settings
        .alarm
        .token_file
        .as_ref()
        .map(|file| read_token(file));
    let Ok(token) = token.transpose() else {
        return Vec::new();
    };
    let Ok(client) = Client::new(&place.address, token, settings.user.as_str()) else {
        return Vec::new();
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    let wanted = Wanted {
        text: (!prefix.is_empty()).then_some(prefix),
        ..Wanted::default()
    };
    let asked = async { tokio::time::timeout(PATIENCE, client.some_items(&wanted, MOST)).await };
    let Ok(Ok(items)) = runtime.block_on(asked) else {
        return Vec::new();
    };
    let mut names = BTreeSet::new();
    for item in items {
        if let Some(pv) = item.pv() {
            names.insert(pv.pv.clone());
        }
        names.insert(item.path);
    }
    names.into_iter().collect()
}
