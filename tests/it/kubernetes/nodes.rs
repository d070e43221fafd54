//! Two nodes: an instance moves from one to the other, and one of them loses its power.

use super::cluster::{Cluster, PrivateCluster};
use super::site::{Site, sim_image_name};

/// A node's address.
fn address(cluster: &Cluster, node: &str) -> String {
    let node = cluster.object(&["node", node]);
    let addresses = node["status"]["addresses"].as_array().unwrap();
    let internal = addresses.iter().find(|it| it["type"] == "InternalIP");
    internal.unwrap()["address"].as_str().unwrap().to_owned()
}

fn node_of(site: &Site, instance: &str) -> String {
    let pod = site.pod(instance).unwrap();
    pod["spec"]["nodeName"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn an_instance_moves_and_helm_and_the_next_deploy_know_it() {
    let Some(site) = Site::new() else { return };
    let instance = &site.add("ea-ioc-01");
    site.set(instance, "nodeSelector: {kubernetes.io/hostname: node-1}");
    // as a site without us would have made it
    site.helm_deploy(instance, &["--wait", "--timeout", "60s"]);
    assert_eq!(node_of(&site, instance), "node-1");

    let planned = site.json(&["move", instance, "node-2", "--dry-run"]);
    assert_eq!(planned["moved"], false);
    assert_eq!(
        (&planned["from"], &planned["to"]),
        (&"node-1".into(), &"node-2".into())
    );
    assert_eq!(
        node_of(&site, instance),
        "node-1",
        "a dry run moves nothing"
    );

    let moved = site.json(&["move", instance, "node-2", "--yes", "-m", "fan is broken"]);
    assert_eq!(moved["moved"], true, "{moved:#}");
    assert_eq!(moved["answer"]["outcome"], "answered", "{moved:#}");
    assert_eq!(node_of(&site, instance), "node-2");
    let server = site.answers_from(instance, "UPTIME").unwrap();
    assert_eq!(server.ip().to_string(), address(site.cluster(), "node-2"));

    // what others see
    let values = site.helm(&["get", "values", instance]);
    assert!(
        values.contains("kubernetes.io/hostname: node-2"),
        "{values}"
    );
    let history = site.helm(&["history", instance]);
    assert!(history.contains("fan is broken"), "{history}");

    // what was moved by hand is not taken back without a word
    let deploy = site.run(&["deploy", instance, "--dry-run"]);
    assert!(
        deploy.contains("was moved to `node-2`") && deploy.contains("wants it on `node-1`"),
        "{deploy}"
    );
    let again = site.run(&["move", instance, "node-2", "--yes"]);
    assert!(again.contains("nothing to do"), "{again}");
    site.helm(&["rollback", instance, "1", "--wait", "--timeout", "60s"]);
    assert_eq!(node_of(&site, instance), "node-1");
}

#[test]
fn a_move_that_cannot_work_changes_nothing() {
    let Some(site) = Site::new() else { return };
    let (first, second) = (&site.add("ea-ioc-01"), &site.add("ea-ioc-02"));
    for (instance, node) in [(first, "node-1"), (second, "node-2")] {
        site.set(instance, &format!("nodeName: {node}"));
        site.set(instance, "extraContainers: [{name: web, image: 'localhost/pause:testbed', ports: [{containerPort: 18080}]}]");
        site.helm_deploy(instance, &["--wait", "--timeout", "60s"]);
    }
    let refused = site.refuse(&["move", first, "node-2", "--yes"]);
    assert!(refused.starts_with("exit code: 5"), "{refused}");
    assert!(
        refused.contains("TCP port 18080 of `node-2`") && refused.contains("ea-ioc-02"),
        "{refused}"
    );
    assert_eq!(
        site.helm(&["history", first, "--output", "json"])
            .matches("revision")
            .count(),
        1
    );
    let refused = site.refuse(&["move", first, "node-3", "--yes"]);
    assert!(refused.starts_with("exit code: 4"), "{refused}");
    let off = site.refuse(&["restart", first, "--node-is-off", "--yes"]);
    assert!(off.contains("is not off: its kubelet reports"), "{off}");
}

#[test]
fn a_node_that_is_off_is_left_when_somebody_says_so() {
    let Some(private) = PrivateCluster::start("it-nodes") else {
        return;
    };
    let cluster = private.cluster();
    let Some(site) = Site::on(cluster) else {
        return;
    };
    let (free, held) = (&site.add("ea-ioc-01"), &site.add("mo-ioc-01"));
    cluster.kubectl(&["cordon", "node-1"]);
    site.helm_deploy(free, &["--wait", "--timeout", "60s"]);
    cluster.kubectl(&["uncordon", "node-1"]);
    site.set(held, "nodeName: node-2");
    site.helm_deploy(held, &["--wait", "--timeout", "60s"]);
    // a kubelet tells of new images some seconds later
    site.until("both nodes tell of the image", || {
        let nodes = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].status.images}"]);
        nodes.matches(&sim_image_name()).count() == 2
    });
    let before = site.json(&["node", "node-2"]);
    let fates = before["if_it_fails"].as_array().unwrap();
    for (instance, command) in [(free, "ioc restart"), (held, "ioc move")] {
        let fate = fates
            .iter()
            .find(|fate| fate["instance"] == instance.as_str())
            .unwrap();
        assert_eq!(fate["ends"], "needs-you", "{fate:#}");
        assert!(
            fate["commands"][0].as_str().unwrap().starts_with(command),
            "{fate:#}"
        );
    }

    private.kill("node-2");
    site.until("the node is given up", || {
        site.json(&["node", "node-2"])["state"] == "silent"
    });
    let refused = site.refuse(&["move", held, "node-1", "--yes"]);
    assert!(
        refused.contains("does not answer") && refused.contains("--node-is-off"),
        "{refused}"
    );

    // each by the command that was shown
    site.succeed(&["restart", free, "-n", site.name(), "--node-is-off", "--yes"]);
    assert_eq!(node_of(&site, free), "node-1");
    site.succeed(&[
        "move",
        held,
        "node-1",
        "-n",
        site.name(),
        "--node-is-off",
        "--yes",
    ]);
    assert_eq!(node_of(&site, held), "node-1");
    for instance in [free, held] {
        let server = site.answers_from(instance, "UPTIME").unwrap();
        assert_eq!(
            server.ip().to_string(),
            address(cluster, "node-1"),
            "{instance}"
        );
    }

    // the node comes back and starts no second one
    private.repair();
    for instance in [free, held] {
        let server = site.answers_from(instance, "UPTIME").unwrap();
        assert_eq!(
            server.ip().to_string(),
            address(cluster, "node-1"),
            "{instance}"
        );
    }
}
