//! Deploying on a real cluster, with real `helm` in turn with ours, and what stands in the way.

use serde_json::Value;

use super::cluster::Cluster;
use super::site::{Site, history};

/// The newest revision as `helm list` shows it.
fn listed(site: &Site, instance: &str) -> Value {
    let text = site.helm(&["list", "-o", "json", "--filter", &format!("^{instance}$")]);
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(list.len(), 1, "{text}");
    list[0].clone()
}

/// Revisions and states as `helm history` shows them.
fn states(site: &Site, instance: &str) -> Vec<(u64, String)> {
    history(site, instance)
        .iter()
        .map(|revision| {
            (
                revision["revision"].as_u64().unwrap(),
                revision["status"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

fn replicas(site: &Site, instance: &str) -> i64 {
    let set = site.object(&format!("statefulset/{instance}"));
    set["spec"]["replicas"].as_i64().unwrap()
}

#[test]
fn ioc_and_helm_work_on_the_same_release_in_turn() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    let name = instance.as_str();
    let done = site.json(&["deploy", name, "--yes"]);
    assert!(site.is_ready(name));
    assert!(site.get(name, "UPTIME").parse::<f64>().is_ok());
    assert_eq!(done[0]["answer"]["outcome"], "answered", "{done:#}");
    let deployed = listed(&site, name);
    assert_eq!(deployed["status"], "deployed");
    assert_eq!(deployed["revision"], "1");
    // what is there already is not deployed again
    site.succeed(&["deploy", name, "--yes"]);
    assert_eq!(listed(&site, name)["revision"], "1");

    // helm goes on from ours, and we from helm's
    site.helm_deploy(name, &["--set", "global.location=hall"]);
    let diff = site.succeed(&["diff", name]);
    assert!(diff.contains("location: hall -> "), "{diff}");
    site.succeed(&["deploy", name, "--yes", "-m", "back to the repository"]);
    site.helm(&["rollback", name, "2"]);
    assert_eq!(
        site.json(&["history", name])[3]["description"],
        "Rollback to 2"
    );
    site.succeed(&["rollback", name, "--yes"]);
    let history = site.json(&["history", name]);
    assert_eq!(history[2]["description"], "back to the repository");
    assert_eq!(history[4]["description"], "Rollback to 3");
    let expected: Vec<(u64, String)> = (1..=5)
        .map(|revision| {
            (
                revision,
                if revision == 5 {
                    "deployed"
                } else {
                    "superseded"
                }
                .to_owned(),
            )
        })
        .collect();
    assert_eq!(states(&site, name), expected);
    let manifest = site.helm(&["get", "manifest", name]);
    assert!(manifest.contains("kind: StatefulSet"), "{manifest}");

    // a stop survives our deploys, and helm takes over without a conflict
    site.succeed(&["stop", name, "--yes"]);
    assert_eq!(replicas(&site, name), 0);
    site.succeed(&[
        "deploy",
        name,
        "--yes",
        "--set",
        "global.location=elsewhere",
    ]);
    assert_eq!(replicas(&site, name), 0);
    site.succeed(&["start", name]);
    assert!(site.is_ready(name));
    site.succeed(&["stop", name, "--yes"]);
    site.helm_deploy(name, &["--wait"]);
    assert_eq!(replicas(&site, name), 1);

    let before = site.pod(name).unwrap()["metadata"]["uid"].clone();
    site.succeed(&["restart", name, "--yes"]);
    assert!(site.is_ready(name));
    assert_ne!(site.pod(name).unwrap()["metadata"]["uid"], before);

    // helm removes what we deployed, and we what helm deployed
    let report = site.run(&["delete", name, "--yes"]);
    assert!(report.contains("kept PersistentVolumeClaim"), "{report}");
    assert!(site.has_no("secrets"));
    assert!(site.pod(name).is_none());
    site.succeed(&["deploy", name, "--yes", "--no-wait", "--take-ownership"]);
    site.succeed(&["delete", name, "--yes", "--no-wait", "--keep-history"]);
    assert_eq!(states(&site, name), [(1, "uninstalled".to_owned())]);
    site.succeed(&["deploy", name, "--yes", "--no-wait", "--take-ownership"]);
    assert_eq!(listed(&site, name)["revision"], "2");
    site.helm(&["uninstall", name]);
    let sets = site.object("statefulsets");
    assert!(sets["items"].as_array().unwrap().is_empty());
    assert!(
        site.refuse(&["delete", name, "--yes"])
            .contains("is not deployed")
    );
}

#[test]
fn releases_of_client_side_helm_are_taken_over() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    site.set(&instance, "podAnnotations: {was: there}");
    site.helm_deploy(&instance, &["--server-side=false"]);
    site.replace(
        &site.file(&instance, "values.yaml"),
        "  podAnnotations: {was: there}\n",
        "",
    );
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    let text = site.kubectl(&[
        "get",
        "statefulset",
        &instance,
        "-o",
        "json",
        "--show-managed-fields",
    ]);
    let set: Value = serde_json::from_str(&text).unwrap();
    let by_helm: Vec<&Value> = set["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["manager"] == "helm")
        .collect();
    assert_eq!(by_helm.len(), 1, "{by_helm:?}");
    assert_eq!(by_helm[0]["operation"], "Apply");
    // what left the manifest left the object
    assert!(set["spec"]["template"]["metadata"]["annotations"]["was"].is_null());
    site.helm_deploy(&instance, &[]);
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    site.kubectl(&["create", "configmap", &format!("{instance}-config")]);
    let report = site.refuse(&["deploy", &instance, "--yes"]);
    assert!(
        report.contains("exit code: 5")
            && report.contains("exists and belongs to no release")
            && report.contains("--take-ownership"),
        "{report}"
    );
    site.succeed(&[
        "deploy",
        &instance,
        "--yes",
        "--no-wait",
        "--take-ownership",
    ]);

    // a field that somebody set by hand is named with its owner, and changed only when asked for
    site.kubectl(&[
        "label",
        "statefulset",
        &instance,
        "location=by-hand",
        "--overwrite",
    ]);
    let report = site.refuse(&["deploy", &instance, "--yes"]);
    assert!(
        report.contains("exit code: 5")
            && report.contains("`metadata.labels.location` by kubectl-label"),
        "{report}"
    );
    site.succeed(&[
        "deploy",
        &instance,
        "--yes",
        "--no-wait",
        "--force-conflicts",
    ]);
    let set = site.object(&format!("statefulset/{instance}"));
    assert_eq!(set["metadata"]["labels"]["location"], site.name());
}

#[test]
fn fields_that_cannot_be_changed_are_told_before_anything_is_done() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    let template = format!(
        "beamlines/{}/.helm-shared/charts/ioc-instance/templates/_statefulset.tpl",
        site.name()
    );
    site.replace(
        &template,
        "podManagementPolicy: Parallel",
        "podManagementPolicy: OrderedReady",
    );
    let report = site.refuse(&["deploy", &instance, "--yes"]);
    assert!(
        report.contains("exit code: 5")
            && report.contains("cannot be changed in place")
            && report.contains("--cascade=orphan"),
        "{report}"
    );
    assert_eq!(states(&site, &instance), [(1, "deployed".to_owned())]);
}

#[test]
fn an_image_that_cannot_be_pulled_goes_back_by_itself() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    let report = site.run(&[
        "deploy",
        &instance,
        "--yes",
        "--set",
        "ioc-instance.image=localhost/absent:1",
        "--atomic",
        "--timeout",
        "6s",
    ]);
    assert!(
        report.contains("exit code: 9")
            && report.contains("cannot be pulled")
            && report.contains("removed again"),
        "{report}"
    );
    assert!(site.has_no("statefulsets"));
    site.succeed(&["deploy", &instance, "--yes"]);
    let report = site.run(&[
        "deploy",
        &instance,
        "--yes",
        "--set",
        "ioc-instance.image=localhost/absent:1",
        "--atomic",
        "--timeout",
        "8s",
    ]);
    assert!(
        report.contains("exit code: 9") && report.contains("in use again"),
        "{report}"
    );
    assert!(site.is_ready(&instance));
    let states: Vec<String> = states(&site, &instance)
        .into_iter()
        .map(|(_, state)| state)
        .collect();
    assert_eq!(states, ["superseded", "failed", "deployed"]);
    // without --atomic the pod of the bad revision would block the good one for ever
    let report = site.run(&[
        "deploy",
        &instance,
        "--yes",
        "--set",
        "ioc-instance.image=localhost/absent:1",
        "--timeout",
        "5s",
    ]);
    assert!(report.contains("exit code: 9"), "{report}");
    let report = site.run(&["deploy", &instance, "--yes"]);
    assert!(
        report.contains("exit code: 0")
            && report.contains("was changed by revision 4, which is failed: that is put back"),
        "{report}"
    );
    assert!(site.is_ready(&instance));
}

#[test]
fn an_ioc_that_ends_at_once_is_not_ready() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    let crash = "ioc-instance.args=[\"echo no crate answers; sleep 0.3; exit 3\"]";
    let deploy = |timeout: &str| {
        site.run(&[
            "deploy",
            &instance,
            "--yes",
            "--timeout",
            timeout,
            "--set-json",
            crash,
        ])
    };
    let report = deploy("15s");
    assert!(
        report.contains("exit code: 9")
            && report.contains("is not ready after 15 seconds")
            && report.contains("no crate answers"),
        "{report}"
    );
    assert_eq!(states(&site, &instance), [(1, "failed".to_owned())]);
    // whenever the time ends: before it is started, while it runs, after it has ended
    for timeout in ["1s", "2s", "3s", "4s"] {
        site.kubectl(&["delete", "pods", "--all", "--grace-period=1"]);
        let report = deploy(timeout);
        assert!(report.contains("exit code: 9"), "{timeout}: {report}");
    }
}

#[test]
fn quota_and_missing_permissions_are_named() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    site.cluster().apply(&format!(
        "{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: small, namespace: {}}}, spec: {{hard: {{pods: \"0\"}}}}}}",
        site.name()
    ));
    let report = site.run(&["deploy", &instance, "--yes", "--timeout", "4s"]);
    assert!(
        report.contains("exit code: 9") && report.contains("exceeded quota: small"),
        "{report}"
    );

    let user = site.user("looks", &["|secrets|get,list"]);
    let user = user.display().to_string();
    let report = site.refuse(&["deploy", &instance, "--yes", "--kubeconfig", &user]);
    assert!(
        report.contains("exit code: 13")
            && report.contains("may not get `configmaps` in namespace"),
        "{report}"
    );
    let user = site.user("blind", &["|pods|get,list"]);
    let user = user.display().to_string();
    let report = site.refuse(&["history", &instance, "--kubeconfig", &user]);
    assert!(
        report.contains("may not list `secrets`")
            && report.contains("apiGroups: [\"\"], resources: [\"secrets\"], verbs: [\"list\"]"),
        "{report}"
    );
    let report = site.refuse(&["history", &instance, "-n", "no-such-namespace"]);
    assert!(
        report.contains("exit code: 4")
            && report.contains("there is no namespace `no-such-namespace`"),
        "{report}"
    );
}

#[test]
fn a_release_that_is_too_large_is_refused_with_what_takes_the_space() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    // what cannot be compressed
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..1_200_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56).to_le_bytes()[0]
        })
        .collect();
    site.write(&site.file(&instance, "manual.pdf"), noise);
    let report = site.refuse(&["deploy", &instance, "--yes"]);
    assert!(
        report.contains("exit code: 3")
            && report.contains("1172 KiB: `manual.pdf`")
            && report.contains(".helmignore"),
        "{report}"
    );
    assert!(site.has_no("secrets"));
}

#[test]
fn a_whole_beamline_is_planned_before_any_of_it_is_touched() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let names: Vec<String> = (1..=3)
        .map(|number| site.add(&format!("ea-ioc-0{number}")))
        .collect();
    let all = ["deploy", "--all", "-b", site.name(), "--yes", "--no-wait"];
    let values = site.file(&names[1], "values.yaml");
    site.set(&names[1], "podSecurityContext: {runAsUser: -5}");
    let report = site.refuse(&all);
    assert!(
        report.contains("exit code: 3") && report.contains("runAsUser"),
        "{report}"
    );
    let secrets = site.object("secrets");
    assert!(secrets["items"].as_array().unwrap().is_empty());
    site.replace(&values, "  podSecurityContext: {runAsUser: -5}\n", "");
    let done = site.json(&all);
    assert_eq!(done.as_array().unwrap().len(), 3, "{done}");
    for name in &names {
        assert_eq!(states(&site, name), [(1, "deployed".to_owned())]);
    }
    let stopped = site.json(&["stop", "--all", "-b", site.name(), "--yes", "--no-wait"]);
    assert_eq!(stopped.as_array().unwrap().len(), 3, "{stopped}");
    assert!(names.iter().all(|name| replicas(&site, name) == 0));
}

#[test]
fn a_kind_that_the_chart_brings_is_there_before_its_objects() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = site.add("ea-ioc-01");
    let group = format!("{}.example.org", site.name());
    let shared = format!("beamlines/{}/.helm-shared", site.name());
    site.write(
        &site.file(&instance, "crds/crate.yaml"),
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: crates.{group}}}\nspec:\n  group: {group}\n  scope: Namespaced\n  names: {{kind: Crate, plural: crates, singular: crate}}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}\n"
        ),
    );
    site.write(
        &format!("{shared}/templates/crate.yaml"),
        format!("apiVersion: {group}/v1\nkind: Crate\nmetadata: {{name: one}}\nslots: 21\n"),
    );
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    let crates = site.object(&format!("crates.{group}"));
    assert_eq!(crates["items"][0]["slots"], 21);
    // what leaves the chart leaves the cluster
    std::fs::remove_file(
        site.project()
            .join(format!("{shared}/templates/crate.yaml")),
    )
    .unwrap();
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    let crates = site.object(&format!("crates.{group}"));
    assert!(crates["items"].as_array().unwrap().is_empty());
    site.kubectl(&["delete", "crd", &format!("crates.{group}")]);
}
