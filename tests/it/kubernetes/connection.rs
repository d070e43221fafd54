//! Trouble between `ioc` and the API server while it deploys: every request and every answer that gets lost, slowness,
//! watches that end, an API server that has forgotten or is overloaded.

use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::proxy::{Fault, Proxy, Request};
use super::site::{Site, states};

#[test]
fn each_change_that_gets_lost_is_made_once() {
    let Some(site) = Site::new() else { return };
    sweep(&site, "ea-ioc-01", &Fault::LostRequest);
}

#[test]
fn each_change_whose_answer_gets_lost_is_made_once() {
    let Some(site) = Site::new() else { return };
    sweep(&site, "ea-ioc-02", &Fault::LostAnswer);
}

#[test]
fn each_change_that_an_overloaded_server_refuses_is_made_once() {
    let Some(site) = Site::new() else { return };
    let busy = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too many requests","reason":"TooManyRequests","details":{"retryAfterSeconds":1},"code":429}"#;
    sweep(&site, "ea-ioc-03", &Fault::Instead(429, busy.to_owned()));
}

/// Deploys through a proxy that does `fault` to the first change, then through one that does it to the second, and
/// so on until a deploy makes fewer changes. `make test` takes every third of them, `make soak` each.
fn sweep(site: &Site, rest: &str, fault: &Fault) {
    let instance = site.deployed(rest);
    let step = if std::env::var_os("IOC_SOAK").is_some() {
        1
    } else {
        3
    };
    let mut rounds = 0;
    for at in (1..).step_by(step) {
        let text = format!("round {at}");
        site.write(&site.file(&instance, "config/note.txt"), &text);
        let fault = fault.clone();
        let mut changes = 0;
        let proxy = Proxy::start(site.cluster(), move |request| {
            changes += usize::from(request.is_change());
            (request.is_change() && changes == at).then(|| fault.clone())
        });
        let output = deploy_through(site, &proxy, &[&instance, "--no-wait"]);
        let report = format!("{text}: {}\n{}", site.report(&output), requests(&proxy));
        assert!(output.status.success(), "{report}");
        check(site, &instance, &text, &report);
        if proxy
            .seen()
            .iter()
            .filter(|request| request.is_change())
            .count()
            < at
        {
            break;
        }
        rounds += 1;
    }
    assert!(rounds >= 1, "a deploy makes changes");
    site.until("the instance is ready", || site.is_ready(&instance));
}

/// What must hold after each deploy: one revision is deployed, none is unfinished, and the cluster has what it says.
fn check(site: &Site, instance: &str, note: &str, report: &str) {
    let states = states(site, instance);
    let (last, earlier) = states.split_last().unwrap();
    assert_eq!(last, "deployed", "{report}\n{states:?}");
    assert!(
        earlier.iter().all(|state| state == "superseded"),
        "{report}\n{states:?}"
    );
    let maps = site.object("configmaps");
    assert!(maps.to_string().contains(note), "{report}\n{maps:#}");
    let manifest = site.helm(&["get", "manifest", instance]);
    assert!(manifest.contains(note), "{report}\n{manifest}");
}

#[test]
fn a_slow_api_server_only_takes_time() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    let delay = Duration::from_millis(400);
    let proxy = Proxy::start(site.cluster(), move |_| Some(Fault::Late(delay)));
    let output = deploy_through(&site, &proxy, &[&instance]);
    assert!(output.status.success(), "{}", site.report(&output));
    assert!(site.is_ready(&instance));
}

#[test]
fn watches_that_end_or_are_refused_are_begun_again() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    let watches = AtomicUsize::new(0);
    let proxy = Proxy::start(site.cluster(), move |request: &Request| {
        if !request.is_watch() {
            return None;
        }
        match watches.fetch_add(1, Ordering::Relaxed) {
            0 => Some(Fault::gone()),
            1 => Some(Fault::CutAfter(0)),
            2 => Some(Fault::CutAfter(700)),
            3 => Some(Fault::LostRequest),
            _ => None,
        }
    });
    let output = deploy_through(&site, &proxy, &[&instance]);
    assert!(
        output.status.success(),
        "{}\n{}",
        site.report(&output),
        requests(&proxy)
    );
    assert!(site.is_ready(&instance));
}

#[test]
fn a_step_that_the_server_cannot_do_is_named_and_the_next_deploy_goes_on_from_there() {
    let Some(site) = Site::new() else { return };
    let instance = site.deployed("ea-ioc-01");
    site.write(&site.file(&instance, "config/note.txt"), "arrives later");
    let proxy = Proxy::start(site.cluster(), move |request| {
        let refusal = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"a webhook fell over","code":500}"#;
        (request.is_change() && request.path.contains("/statefulsets/"))
            .then(|| Fault::Instead(500, refusal.to_owned()))
    });
    let output = deploy_through(&site, &proxy, &[&instance]);
    let report = site.report(&output);
    assert_eq!(output.status.code(), Some(12), "{report}");
    assert!(report.contains("a webhook fell over"), "{report}");
    assert!(
        report.contains("ConfigMap"),
        "what was done is said: {report}"
    );
    let status = site.helm(&["status", &instance, "-o", "json"]);
    assert!(status.contains("\"status\":\"failed\""), "{status}");

    site.succeed(&["deploy", &instance, "--yes"]);
    let status = site.helm(&["status", &instance, "-o", "json"]);
    assert!(status.contains("\"status\":\"deployed\""), "{status}");
    assert!(site.is_ready(&instance));
}

fn deploy_through(site: &Site, proxy: &Proxy, arguments: &[&str]) -> Output {
    site.command(&[&["deploy", "--yes"], arguments].concat())
        .env("KUBECONFIG", proxy.kubeconfig(site.root()))
        .output()
        .unwrap()
}

/// Everything that came through, one line each.
fn requests(proxy: &Proxy) -> String {
    let lines: Vec<String> = proxy
        .seen()
        .iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    lines.join("\n")
}
