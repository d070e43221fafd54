//! What a cluster does not allow: missing permissions, one by one, and quotas.

use std::path::Path;
use std::process::Output;

use super::site::Site;
use crate::context::repository;

/// The rules of docs/kubernetes.md as [`Site::user`] takes them.
fn documented() -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("docs/kubernetes.md")).unwrap();
    let (_, rest) = text.split_once("\nrules:\n").unwrap();
    let (rules, _) = rest.split_once("```").unwrap();
    rules
        .lines()
        .map(|rule| {
            // - {apiGroups: [""], resources: [pods], verbs: [get, list]}
            let lists: Vec<&str> = rule.split(['[', ']']).collect();
            let (group, resources, verbs) = (lists[1].trim_matches('"'), lists[3], lists[5]);
            format!("{group}|{resources}|{verbs}")
        })
        .collect()
}

#[test]
fn a_missing_permission_is_named_with_verb_resource_and_place_and_nothing_changes() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    let cases = [
        ("secrets", "list"),
        ("configmaps", "patch"),
        ("statefulsets", "patch"),
        ("persistentvolumeclaims", "patch"),
    ];
    for (number, (resource, verb)) in cases.into_iter().enumerate() {
        let rules: Vec<String> = documented()
            .iter()
            .map(|rule| {
                if rule.contains(&format!("|{resource}|")) {
                    let taken = rule.replace(&format!(", {verb}"), "");
                    assert_ne!(taken, *rule, "the documentation names {verb} {resource}");
                    taken
                } else {
                    rule.clone()
                }
            })
            .collect();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let user = site.user(&format!("user-{number}"), &rules);
        let output = as_user(&site, &user, &["deploy", &instance, "--yes"]);
        let report = site.report(&output);
        assert_eq!(output.status.code(), Some(13), "{resource}: {report}");
        let user = format!("system:serviceaccount:beamline:user-{number}");
        let sentence = format!("`{user}` may not {verb} `{resource}` in namespace `beamline`");
        assert!(report.contains(&sentence), "{sentence}\n{report}");
        assert_eq!(site.kubectl(&["get", "statefulsets", "-o", "name"]), "");
        assert_eq!(site.kubectl(&["get", "secrets", "-o", "name"]), "");
    }
}

#[test]
fn the_permissions_that_the_documentation_names_are_enough() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    let rules = documented();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let user = site.user("deploys", &rules);
    let succeed = |arguments: &[&str]| {
        let output = as_user(&site, &user, arguments);
        assert!(output.status.success(), "{}", site.report(&output));
    };
    succeed(&["deploy", &instance, "--yes"]);
    assert!(site.is_ready(&instance));
    site.write(&site.file(&instance, "config/note.txt"), "second");
    succeed(&["deploy", &instance, "--yes", "--atomic"]);
    succeed(&["rollback", &instance, "1", "--yes"]);
    succeed(&["history", &instance]);
    succeed(&["stop", &instance, "--yes"]);
    succeed(&["start", &instance, "--yes"]);
    succeed(&["restart", &instance, "--yes"]);
    assert!(site.is_ready(&instance));
    succeed(&["delete", &instance, "--yes"]);
    assert_eq!(
        site.kubectl(&["get", "statefulsets,secrets", "-o", "name"]),
        ""
    );
}

#[test]
fn a_quota_on_objects_refuses_before_anything_changes() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    site.kubectl(&[
        "create",
        "quota",
        "small",
        "--hard=count/statefulsets.apps=0",
    ]);
    let output = site
        .command(&["deploy", &instance, "--yes"])
        .output()
        .unwrap();
    let report = site.report(&output);
    assert_eq!(output.status.code(), Some(13), "{report}");
    assert!(report.contains("exceeded quota: small"), "{report}");
    assert_eq!(
        site.kubectl(&["get", "configmaps", "-o", "name"]),
        "configmap/kube-root-ca.crt\n"
    );
    assert_eq!(site.kubectl(&["get", "secrets", "-o", "name"]), "");
}

fn as_user(site: &Site, kubeconfig: &Path, arguments: &[&str]) -> Output {
    site.command(arguments)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap()
}
