//! Log lines that the nodes no longer have, out of a real Loki.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::site::Site;
use crate::engine::wait_for;
use crate::testbed;

#[test]
fn lines_of_last_week_come_before_those_of_the_node_and_outlive_the_instance() {
    let Some(site) = Site::new() else { return };
    let Some(url) = testbed::part("loki.sh", "LOKI_URL") else {
        return;
    };
    site.append("ioc.toml", &format!("\n[logs]\nurl = \"{url}\"\n"));
    let instance = site.deployed("ea-ioc-01");
    let hours = |count: u64| Duration::from_secs(count * 3600);
    push(
        &url,
        &site,
        &instance,
        &[
            (hours(24 * 9), "nine days ago"),
            (hours(24 * 3), "three days ago"),
            (hours(1), "an hour ago"),
        ],
    );

    let text = site.succeed(&["logs", &instance, "--since", "7d"]);
    let at = |what: &str| {
        text.find(what)
            .unwrap_or_else(|| panic!("no `{what}` in {text}"))
    };
    assert!(!text.contains("nine days ago"), "{text}");
    assert!(at("three days ago") < at("an hour ago"), "{text}");
    assert!(
        at("an hour ago") < at("EPICS R7"),
        "what the node has follows: {text}"
    );

    site.succeed(&["delete", &instance, "--yes"]);
    let text = site.succeed(&["logs", &instance, "--since", "10d"]);
    assert!(
        text.contains("nine days ago") && text.contains("an hour ago"),
        "{text}"
    );
}

/// Stores lines of the IOC's container that were said so long ago.
fn push(url: &str, site: &Site, instance: &str, lines: &[(Duration, &str)]) {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let values: Vec<[String; 2]> = lines
        .iter()
        .map(|(ago, line)| {
            [
                now.checked_sub(*ago).unwrap().as_nanos().to_string(),
                (*line).to_owned(),
            ]
        })
        .collect();
    let body = serde_json::json!({"streams": [{
        "stream": {"namespace": site.name(), "pod": format!("{instance}-0"), "container": instance},
        "values": values,
    }]});
    let request = reqwest::Client::new()
        .post(format!("{url}/loki/api/v1/push"))
        .header("Content-Type", "application/json")
        .body(body.to_string());
    let answer = wait_for(request.send()).unwrap();
    let status = answer.status();
    assert!(
        status.is_success(),
        "{status}: {:?}",
        wait_for(answer.text())
    );
    // Until they are written to its store, only lines of the last hours are found.
    let flushed = wait_for(reqwest::Client::new().post(format!("{url}/flush")).send()).unwrap();
    assert!(flushed.status().is_success(), "{flushed:?}");
}
