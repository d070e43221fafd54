//! What a beamline needs on a cluster: made by `ioc beamline init`, and what its policy and its roles let people do.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::cluster::{Cluster, report};
use super::site::Site;

/// Objects that belong to no namespace and so do not go with the site's.
struct ClusterWide<'a>(&'a Site);

impl Drop for ClusterWide<'_> {
    fn drop(&mut self) {
        let name = self.0.name();
        let selector = format!("beamline={name}");
        let kinds = "validatingadmissionpolicybindings,validatingadmissionpolicies,clusterrolebindings,clusterroles";
        let deleted = self
            .0
            .cluster()
            .kubectl_command(&["delete", kinds, "-l", &selector])
            .output();
        if !deleted.is_ok_and(|output| output.status.success()) {
            eprintln!("objects of `{selector}` were not removed");
        }
    }
}

/// Asks the API server whether it would take a pod, without making it.
fn offer(site: &Site, spec: &str) -> Output {
    let pod = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: {}}}, spec: {spec}}}",
        site.name()
    );
    let file = site.write("pod.yaml", pod);
    let file = file.display().to_string();
    site.cluster()
        .kubectl_command(&["apply", "--dry-run=server", "-f", &file])
        .output()
        .unwrap()
}

#[test]
fn a_beamline_is_made_once_and_its_policy_says_as_whom_and_where() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let name = site.name();
    let _swept = ClusterWide(&site);
    let init = [
        "beamline", "init", name, "--uid", "37001", "--apply", "--yes",
    ];
    let planned = site.json(&[&init[..], &["--dry-run"]].concat());
    assert_eq!(planned["applied"], false);
    assert!(
        !site
            .project()
            .join(planned["file"].as_str().unwrap())
            .exists()
    );
    let first = site.json(&init);
    assert_eq!(first["applied"], true, "{first:#}");
    assert!(
        site.project()
            .join(first["file"].as_str().unwrap())
            .exists()
    );
    let again = site.json(&init);
    assert_eq!(
        again["plan"]["changes"],
        Value::Array(Vec::new()),
        "{again:#}"
    );
    assert_eq!(again["applied"], false);

    let level = cluster.object(&["namespace", name]);
    let labels = &level["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "privileged");
    assert_eq!(
        site.object(&format!("resourcequota/{name}"))["spec"]["hard"]["pods"],
        "200"
    );
    for claim in ["autosave", "runtime", "opi"] {
        site.object(&format!("persistentvolumeclaim/{name}-{claim}-claim"));
    }

    // somebody takes a field back, and the next run says which and sets it again
    site.kubectl(&[
        "patch",
        "resourcequota",
        name,
        "--type=merge",
        "-p",
        "{\"spec\":{\"hard\":{\"pods\":\"5\"}}}",
    ]);
    let drifted = site.run(&[
        "beamline",
        "init",
        name,
        "--uid",
        "37001",
        "--apply",
        "--dry-run",
    ]);
    assert!(
        drifted.contains("conflict") || drifted.contains("spec.hard.pods"),
        "{drifted}"
    );

    let right = format!("nodeSelector: {{beamline: {name}}}");
    let as_user =
        |uid: u32, gid: u32| format!("securityContext: {{runAsUser: {uid}, runAsGroup: {gid}}}");
    let pod = |pod: &str, container: &str| {
        format!("{{{pod}, containers: [{{name: c, image: 'localhost/pause:testbed'{container}}}]}}")
    };
    // the policy holds a moment after it was made
    site.until("the policy holds", || {
        !offer(&site, &pod(&right, "")).status.success()
    });
    let good = as_user(37001, 37001);
    let affinity = |value: &str| {
        format!(
            "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{matchExpressions: [{{key: beamline, operator: In, values: [{value}]}}]}}]}}}}}}"
        )
    };
    let debug = "initContainers: [{name: i, image: x, securityContext: {runAsUser: 0}}]";
    for (spec, expected) in [
        (pod(&format!("{right}, {good}, hostNetwork: true"), ""), ""),
        (pod(&format!("{}, {good}", affinity(name)), ""), ""),
        (pod(&right, &format!(", {good}")), ""),
        (
            pod(&format!("{right}, {}", as_user(37002, 37001)), ""),
            "run as user 37001",
        ),
        (
            pod(&format!("{right}, {}", as_user(37001, 37002)), ""),
            "run as group 37001",
        ),
        (
            pod(
                &format!("{right}, {good}"),
                ", securityContext: {runAsUser: 0}",
            ),
            "run as user 37001",
        ),
        (
            pod(&format!("{right}, {good}, {debug}"), ""),
            "run as user 37001",
        ),
        (
            pod(
                &format!(
                    "{right}, securityContext: {{runAsUser: 37001, runAsGroup: 37001, fsGroup: 5}}"
                ),
                "",
            ),
            "belong to group 37001 only",
        ),
        (pod(&good, ""), "run on its nodes"),
        (
            pod(&format!("{good}, nodeName: node-1"), ""),
            "run on its nodes",
        ),
        (
            pod(&format!("{}, {good}", affinity("other")), ""),
            "run on its nodes",
        ),
    ] {
        let answer = offer(&site, &spec);
        let text = report(&answer);
        assert_eq!(
            answer.status.success(),
            expected.is_empty(),
            "{spec}\n{text}"
        );
        assert!(text.contains(expected), "{spec}\n{text}");
    }
}

#[test]
fn a_file_that_was_edited_is_used_as_it_is() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let name = site.name();
    site.succeed(&["beamline", "init", name]);
    let file = format!("beamlines/{name}/cluster/beamline.yaml");
    site.replace(&file, "pods: \"200\"", "pods: \"7\"");
    let told = site.run(&["beamline", "init", name, "--apply", "--dry-run"]);
    assert!(told.contains("used as it is"), "{told}");
    let replaced = site.run(&["beamline", "init", name, "--rewrite", "--dry-run"]);
    assert!(
        replaced.contains("-    pods: \"7\"") && replaced.contains("+    pods: \"200\""),
        "{replaced}"
    );
    site.replace(&file, "kind: ResourceQuota", "kind: ResourceQuote");
    let refused = site.refuse(&["beamline", "init", name, "--apply", "--yes"]);
    assert!(
        refused.contains("does not know `ResourceQuote` of `v1`"),
        "{refused}"
    );
}

/// Runs `ioc` as somebody else.
fn run_as(site: &Site, kubeconfig: &Path, arguments: &[&str]) -> Output {
    site.command(arguments)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap()
}

#[test]
fn a_refusal_is_explained_and_the_role_that_is_printed_ends_it() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let user = site.user(
        "looks",
        &[
            "|pods|get,list,watch",
            "rbac.authorization.k8s.io|rolebindings|list",
        ],
    );
    let question = ["auth", "can-i", "history", "restart", "-b", site.name()];
    let refused = site.report(&run_as(&site, &user, &question));
    assert!(refused.starts_with("exit code: 1"), "{refused}");
    for expected in [
        "get secrets",
        "list secrets",
        "delete pods",
        "RoleBinding `looks` gives ServiceAccount looks",
    ] {
        assert!(refused.contains(expected), "no {expected}: {refused}");
    }
    assert!(!refused.contains("get pods"), "that is allowed: {refused}");
    let role = run_as(&site, &user, &[&question[..], &["-o", "yaml"]].concat());
    let role = String::from_utf8(role.stdout).unwrap();
    cluster.apply(&role);
    let allowed = site.report(&run_as(&site, &user, &question));
    assert!(allowed.starts_with("exit code: 0"), "{allowed}");
}

#[test]
fn nodes_are_shown_with_what_runs_there() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let nodes = site.json(&["node"]);
    let names: Vec<&str> = nodes
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["node"].as_str())
        .collect();
    assert_eq!(names, ["node-1", "node-2"]);
    let refused = site.refuse(&["node", "node-3"]);
    assert!(
        refused.starts_with("exit code: 4") && refused.contains("did you mean"),
        "{refused}"
    );
    // without the right to see the whole cluster
    let user = site.user("engineer", &["|pods|get,list,watch"]);
    let forbidden = site.report(&run_as(&site, &user, &["node", "-b", site.name()]));
    assert!(
        forbidden.starts_with("exit code: 13") && forbidden.contains("may not list `nodes`"),
        "{forbidden}"
    );
}

/// The table of permissions is what the verbs ask for: who may do no more can use them.
#[test]
fn the_role_that_is_printed_is_enough_for_the_verbs() {
    let Some(site) = Site::new() else { return };
    let user = site.user("works", &["|configmaps|list"]);
    let verbs = [
        "deploy", "history", "stop", "start", "restart", "rollback", "move", "node", "delete",
    ];
    let question = [
        &["auth", "can-i"],
        &verbs[..],
        &["-b", site.name(), "-o", "yaml"],
    ]
    .concat();
    let role = run_as(&site, &user, &question);
    site.cluster()
        .apply(&String::from_utf8(role.stdout).unwrap());
    let instance = &site.add("ea-ioc-01");
    for arguments in [
        vec!["deploy", instance, "--yes"],
        vec!["history", instance],
        vec!["stop", instance, "--yes"],
        vec!["start", instance, "--yes"],
        vec!["restart", instance, "--yes"],
        vec!["move", instance, "node-2", "--yes"],
        vec!["rollback", instance, "1", "--yes"],
        vec!["node", "node-2"],
        vec!["delete", instance, "--yes"],
    ] {
        let output = run_as(&site, &user, &arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            site.report(&output)
        );
    }
}
