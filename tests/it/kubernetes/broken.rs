//! Parts of the cluster that break: the API server while `ioc` deploys. This happens to a cluster of its own.

use std::time::Instant;

use super::cluster::PrivateCluster;
use super::site::Site;

#[test]
fn an_api_server_that_restarts_in_the_middle_of_a_deploy() {
    let Some(private) = PrivateCluster::start("it-api") else {
        return;
    };
    let Some(site) = Site::on(private.cluster()) else {
        return;
    };
    let instance = site.add("ea-ioc-01");
    let begin = Instant::now();
    site.succeed(&["deploy", &instance, "--yes"]);
    let whole = begin.elapsed();

    let rounds = if std::env::var_os("IOC_SOAK").is_some() {
        12
    } else {
        3
    };
    for round in 1..=rounds {
        let note = format!("round {round}");
        site.write(&site.file(&instance, "config/note.txt"), &note);
        let child = site
            .command(&["deploy", &instance, "--yes", "--timeout", "2m"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // No event tells how far a command is; the moments are spread over the time that it takes.
        std::thread::sleep(whole * round / (rounds + 1));
        private.kill("apiserver");
        private.repair();
        let output = child.wait_with_output().unwrap();
        let report = format!("{note}: {}", site.report(&output));
        assert!(output.status.success(), "{report}");
        let manifest = site.helm(&["get", "manifest", &instance]);
        assert!(manifest.contains(&note), "{report}\n{manifest}");
        let status = site.helm(&["status", &instance, "-o", "json"]);
        assert!(
            status.contains("\"status\":\"deployed\""),
            "{report}\n{status}"
        );
        assert!(site.is_ready(&instance), "{report}");
    }
}
