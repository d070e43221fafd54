//! What is known before anything is deployed: nodes, claims, and whether a registry has the image.

use std::net::TcpListener;

use super::cluster::Cluster;
use super::site::{Site, sim_image_name};
use crate::context::TestContext;
use crate::release;

/// Something that a registry of the test bed has, as it would be named for a node.
fn in_a_registry() -> Option<String> {
    let host = release::registry()?;
    let context = TestContext::new().without_engine();
    release::services(&context);
    let charts = release::place(&host);
    context.succeed(&["release", "--charts", &charts, "--plain-http"]);
    Some(format!("{}/x-01", charts.trim_start_matches("oci://")))
}

#[test]
fn a_check_asks_nodes_and_registries() {
    let (Some(cluster), Some(image)) = (Cluster::shared(), in_a_registry()) else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = &site.add("ea-ioc-01");
    let values = site.file(instance, "values.yaml");
    let mut now = sim_image_name();
    let mut image_is = |wanted: &str| {
        site.replace(&values, &now, wanted);
        wanted.clone_into(&mut now);
    };
    let check = || site.run(&["check", instance, "--no-engine", "--cluster"]);

    image_is(&format!("{image}:2026.1.1"));
    let report = check();
    assert!(report.starts_with("exit code: 0"), "{report}");
    // without the cluster nobody is asked
    image_is(&format!("{image}:2026.1.2"));
    site.succeed(&["check", instance, "--no-engine"]);
    let report = check();
    let missing = format!("`{image}` has no tag `2026.1.2`");
    assert!(
        report.starts_with("exit code: 1")
            && report.contains("its image cannot be pulled")
            && report.contains(&missing)
            && report.contains("2026.1.1"),
        "{report}"
    );
    // nobody listens there: that is not known to be wrong
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    image_is(&format!("{}/ioc:1", free.unwrap()));
    let report = check();
    assert!(
        report.starts_with("exit code: 0")
            && report.contains("can be pulled is not known from here")
            && report.contains("cannot be reached"),
        "{report}"
    );
    image_is(&format!("{image}:2026.1.1"));

    site.append(&values, "  nodeName: node-3\n");
    let report = check();
    assert!(
        report.starts_with("exit code: 1")
            && report.contains("is held to node `node-3`, which the cluster does not have"),
        "{report}"
    );
    site.replace(&values, "node-3", "node-2");
    let report = check();
    assert!(report.starts_with("exit code: 0"), "{report}");

    // who may see nodes only is told what was not seen, and of nothing that may be there that it is missing
    let role = format!("{}-nodes", site.name());
    cluster.apply(&format!(
        "\
{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: {role}}}, rules: [{{apiGroups: [\"\"], resources: [nodes], verbs: [list]}}]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {role}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}
subjects: [{{kind: ServiceAccount, name: looks, namespace: {}}}]
",
        site.name()
    ));
    let user = site.user("looks", &["|configmaps|list"]);
    let output = site
        .command(&["check", instance, "--no-engine", "--cluster"])
        .env("KUBECONFIG", user)
        .output()
        .unwrap();
    cluster.kubectl(&["delete", "clusterrole,clusterrolebinding", &role]);
    let report = site.report(&output);
    assert!(
        output.status.success()
            && report.contains("this login may not see pods of namespaces other than")
            && !report.contains("there is no claim"),
        "{report}"
    );
}

#[test]
fn a_deploy_says_before_what_will_not_run() {
    let (Some(cluster), Some(image)) = (Cluster::shared(), in_a_registry()) else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = &site.add("ea-ioc-01");
    let set = |tag: &str| format!("ioc-instance.image={image}:{tag}");
    let notes = |tag: &str| {
        let plan = site.json(&["deploy", instance, "--dry-run", "--set", &set(tag)]);
        plan[0]["notes"].clone()
    };
    assert_eq!(notes("2026.1.1"), serde_json::json!([]));
    let missing = format!("`{image}` has no tag `2026.1.2`");
    let note = notes("2026.1.2");
    assert!(note[0].as_str().unwrap().contains(&missing), "{note}");

    // it is said, and done all the same: a mirror may have it that this machine does not know
    let deploy = ["deploy", instance, "--yes", "--no-wait", "--set"];
    let report = site.run(&[&deploy[..], &[&set("2026.1.2")]].concat());
    assert!(
        report.starts_with("exit code: 0") && report.contains(&missing),
        "{report}"
    );
    site.append(&site.file(instance, "values.yaml"), "  nodeName: node-3\n");
    let report = site.run(&[&deploy[..], &[&set("2026.1.1")]].concat());
    assert!(
        report.starts_with("exit code: 0")
            && report.contains("is held to node `node-3`, which the cluster does not have"),
        "{report}"
    );
    // an earlier revision is held against the cluster as well
    let report = site.run(&["rollback", instance, "1", "--dry-run"]);
    assert!(report.contains(&missing), "{report}");
    // what is stopped goes nowhere
    site.succeed(&["stop", instance, "--yes", "--no-wait"]);
    let report = site.run(&[
        "deploy",
        instance,
        "--yes",
        "--no-wait",
        "--set",
        &set("2026.1.2"),
    ]);
    assert!(
        report.starts_with("exit code: 0") && !report.contains("cannot be pulled"),
        "{report}"
    );
}
