//! Versions from git on a cluster: a whole beamline at a tag.

use super::cluster::Cluster;
use super::proxy::{Fault, Proxy};
use super::site::{Site, states};
use crate::versions::repository::GitRepository;

#[test]
fn a_whole_beamline_is_deployed_at_a_tag_and_each_instance_is_told_of() {
    let Some(site) = Site::new() else { return };
    let stage = site.add("ea-ioc-01");
    let other = site.add("ea-ioc-02");
    let repository = GitRepository::new(site.project());
    repository.release("2026.1.1");
    site.replace(
        &site.file(&stage, "config/st.cmd"),
        "iocInit",
        "# second\niocInit",
    );
    repository.release("2026.2.1");
    site.replace(
        &site.file(&stage, "config/st.cmd"),
        "# second",
        "# not committed",
    );

    let all = ["deploy", "--all", "-b", site.name(), "--yes"];
    let outcomes = |version: &str| -> Vec<String> {
        let done = site.json(&[&all[..], &["--version", version, "-m", "beam time"]].concat());
        let done = done.as_array().unwrap();
        let outcomes = done.iter().map(|one| one["outcome"].as_str().unwrap());
        outcomes.map(str::to_owned).collect()
    };
    assert_eq!(outcomes("2026.1.1"), ["deployed"; 2]);
    for instance in [&stage, &other] {
        assert!(site.is_ready(instance));
        let history = site.json(&["history", instance]);
        assert_eq!(history[0]["app_version"], "2026.1.1");
        assert_eq!(history[0]["description"], "beam time");
        // for helm it is the app version
        let text = site.helm(&["list", "-o", "json", "--filter", &format!("^{instance}$")]);
        assert!(text.contains("\"app_version\":\"2026.1.1\""), "{text}");
    }
    let script = |expected: &str| {
        let maps = site.object(&format!("configmap/{stage}-config"));
        let text = maps["data"]["st.cmd"].as_str().unwrap().to_owned();
        assert_eq!(text.contains("# second"), expected == "second", "{text}");
        assert!(!text.contains("# not committed"), "{text}");
    };
    script("first");
    // what is the same in both is not touched
    assert_eq!(outcomes("2026.2.1"), ["deployed", "unchanged"]);
    script("second");
    let before = site.pod(&other).unwrap()["metadata"]["uid"].clone();
    assert_eq!(outcomes("2026.1.1"), ["deployed", "unchanged"]);
    script("first");
    assert_eq!(site.pod(&other).unwrap()["metadata"]["uid"], before);

    let report = site.refuse(&[&all[..], &["--version", "2026.3.1"]].concat());
    assert!(
        report.contains("exit code: 4") && report.contains("2026.3.1"),
        "{report}"
    );
}

#[test]
fn what_fails_of_a_beamline_is_told_and_the_rest_is_begun_only_when_asked_for() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let names: Vec<String> = (1..=3)
        .map(|number| site.add(&format!("ea-ioc-0{number}")))
        .collect();
    GitRepository::new(site.project()).release("1.0.0");
    let first = format!("/statefulsets/{}", names[0]);
    let proxy = Proxy::start(cluster, move |request| {
        let refusal = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"a webhook fell over","code":500}"#;
        (request.is_change() && request.path.contains(&first))
            .then(|| Fault::Instead(500, refusal.to_owned()))
    });
    let deploy = |more: &[&str]| {
        let all = [
            "deploy",
            "--all",
            "-b",
            site.name(),
            "--yes",
            "--no-wait",
            "--version",
            "1.0.0",
            "--parallel",
            "1",
            "-o",
            "json",
        ];
        let output = site
            .command(&[&all[..], more].concat())
            .env("KUBECONFIG", proxy.kubeconfig(site.root()))
            .output()
            .unwrap();
        let report = site.report(&output);
        assert_eq!(output.status.code(), Some(12), "{report}");
        assert!(report.contains("a webhook fell over"), "{report}");
        let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let done = done.as_array().unwrap();
        assert!(done[0]["error"].as_str().unwrap().contains(&names[0]));
        let outcomes = done.iter().map(|one| one["outcome"].as_str().unwrap());
        outcomes.map(str::to_owned).collect::<Vec<String>>()
    };
    assert_eq!(deploy(&[]), ["failed", "not done", "not done"]);
    assert_eq!(states(&site, &names[0]), ["failed"]);
    assert!(site.has_no("statefulsets"));
    assert_eq!(
        deploy(&["--keep-going"]),
        ["failed", "deployed", "deployed"]
    );
    assert_eq!(states(&site, &names[2]), ["deployed"]);
}
