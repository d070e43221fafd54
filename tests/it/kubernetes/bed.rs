//! That the cluster of the test bed is what the other tests take it for.

use std::net::IpAddr;

use super::cluster::{Cluster, PrivateCluster};
use super::site::Site;

#[test]
fn channel_access_from_outside_reaches_iocs_of_both_nodes() {
    let Some(site) = Site::new() else { return };
    let mut instances = Vec::new();
    for node in ["node-1", "node-2"] {
        let instance = site.add(&format!("ea-ioc-{node}"));
        site.set(&instance, &format!("nodeName: {node}"));
        site.helm_deploy(&instance, &["--wait", "--timeout", "60s"]);
        instances.push((node, instance));
    }
    for (node, instance) in instances {
        let uptime: f64 = site.get(&instance, "UPTIME").parse().unwrap();
        assert!(uptime >= 0.0);
        let server = site.answers_from(&instance, "UPTIME").unwrap();
        let address = address_of(site.cluster(), node);
        assert_eq!(server.ip(), address, "{instance} answers from {node}");
    }
}

#[test]
fn admission_and_roles_are_those_of_a_real_cluster() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    site.kubectl(&[
        "label",
        "namespace",
        site.name(),
        "pod-security.kubernetes.io/enforce=restricted",
    ]);
    let refused = cluster
        .kubectl_command(&[
            "-n",
            site.name(),
            "run",
            "x",
            "--image=localhost/pause:testbed",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        text.contains("violates PodSecurity \"restricted:latest\""),
        "{text}"
    );

    let user = site.user("looks", &["|pods|get,list"]);
    let as_user = |arguments: &[&str]| {
        cluster
            .kubectl_command(arguments)
            .args(["--namespace", site.name()])
            .env("KUBECONFIG", &user)
            .output()
            .unwrap()
    };
    assert!(as_user(&["get", "pods"]).status.success());
    let refused = as_user(&["get", "secrets"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("cannot list resource \"secrets\""), "{text}");
}

#[test]
fn a_node_that_loses_its_power_is_noticed_and_comes_back() {
    let Some(private) = PrivateCluster::start("it-bed") else {
        return;
    };
    let cluster = private.cluster();
    let Some(site) = Site::on(cluster) else {
        return;
    };
    let instance = site.add("ea-ioc-01");
    site.set(&instance, "nodeName: node-2");
    site.helm_deploy(&instance, &["--wait", "--timeout", "60s"]);
    site.put(&instance, "STAGE:SP", "31");
    assert_eq!(site.get(&instance, "STAGE:SP"), "31");

    private.kill("node-2");
    assert!(site.answers_from(&instance, "UPTIME").is_none());
    site.until("the node is not ready", || {
        !node_is_ready(cluster, "node-2")
    });
    private.kill("apiserver");
    private.repair();
    assert!(node_is_ready(cluster, "node-2"));
    site.until("the instance is ready again", || site.is_ready(&instance));
    assert!(site.answers_from(&instance, "UPTIME").is_some());
    assert!(site.helm(&["list", "--short"]).contains(&instance));
}

fn node_is_ready(cluster: &Cluster, node: &str) -> bool {
    let node = cluster.object(&["node", node]);
    let conditions = node["status"]["conditions"].as_array().unwrap();
    conditions
        .iter()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn address_of(cluster: &Cluster, node: &str) -> IpAddr {
    let node = cluster.object(&["node", node]);
    let addresses = node["status"]["addresses"].as_array().unwrap();
    let internal = addresses
        .iter()
        .find(|address| address["type"] == "InternalIP")
        .unwrap();
    internal["address"].as_str().unwrap().parse().unwrap()
}
