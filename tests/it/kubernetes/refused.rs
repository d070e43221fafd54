//! What a cluster does not allow: missing permissions, one by one, and quotas.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Output, Stdio};

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

/// What a verb does without a permission.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Without {
    /// It refuses, with the permission.
    Refuses,
    /// It goes on, and names the permission.
    Tells,
    /// It needs it for instances of other charts only.
    Works,
}

/// Everything that looking at an instance may need.
const LOOKING: [&str; 8] = [
    "|pods|get, list, watch",
    "apps|statefulsets|get, list, watch",
    "apps|deployments|get, list, watch",
    "|secrets|get, list",
    "|events|list, watch",
    "|pods/log|get",
    "|pods/exec|get, create",
    "|pods/attach|get, create",
];

/// [`LOOKING`] but for one verb on one resource.
fn looking_without(resource: &str, verb: &str) -> Vec<String> {
    LOOKING
        .iter()
        .filter_map(|rule| {
            let (place, verbs) = rule.rsplit_once('|').unwrap();
            if !place.ends_with(&format!("|{resource}")) {
                return Some((*rule).to_owned());
            }
            let kept: Vec<&str> = verbs.split(", ").filter(|kept| *kept != verb).collect();
            assert_ne!(kept.join(", "), verbs, "{resource} {verb} is asked for");
            (!kept.is_empty()).then(|| format!("{place}|{}", kept.join(", ")))
        })
        .collect()
}

#[test]
fn looking_without_a_permission_names_it_and_shows_the_rest() {
    use Without::{Refuses, Tells, Works};
    let Some(site) = Site::new() else { return };
    let instance = &site.deployed("ea-ioc-01");
    let cases: [(&[&str], &str, &str, Without); 17] = [
        (&["ps"], "pods", "list", Refuses),
        (&["ps"], "statefulsets", "list", Refuses),
        (&["ps"], "deployments", "list", Refuses),
        (&["ps"], "pods", "get", Works),
        (&["ps"], "statefulsets", "get", Works),
        (&["ps"], "secrets", "list", Tells),
        (&["status", instance], "statefulsets", "get", Refuses),
        (&["status", instance], "deployments", "get", Works),
        (&["status", instance], "pods", "list", Refuses),
        (&["status", instance], "secrets", "list", Tells),
        (&["status", instance], "events", "list", Tells),
        (&["logs", instance], "pods", "list", Refuses),
        (&["logs", instance], "pods/log", "get", Refuses),
        (
            &["attach", instance, "--tail", "1"],
            "pods/log",
            "get",
            Tells,
        ),
        (&["attach", instance], "pods/exec", "get", Tells),
        (
            &["exec", instance, "--", "true"],
            "pods/exec",
            "get",
            Refuses,
        ),
        (
            &["exec", instance, "--", "true"],
            "deployments",
            "get",
            Works,
        ),
    ];
    for (number, (arguments, resource, verb, without)) in cases.into_iter().enumerate() {
        let rules = looking_without(resource, verb);
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let name = format!("looks-{number}");
        let user = site.user(&name, &rules);
        let output = as_user(&site, &user, arguments);
        let report = format!("{arguments:?}: {}", site.report(&output));
        let refusal = format!(
            "`system:serviceaccount:beamline:{name}` may not {verb} `{resource}` in namespace `beamline`"
        );
        let is_refused = output.status.code() == Some(13);
        assert_eq!(
            report.contains(&refusal),
            without != Works,
            "{refusal}\n{report}"
        );
        assert_eq!(is_refused, without == Refuses, "{refusal}\n{report}");
        assert!(without != Works || output.status.success(), "{report}");
        // `can-i` says the same before
        let asked = as_user(
            &site,
            &user,
            &["auth", "can-i", arguments[0], "-b", site.name()],
        );
        let answer = site.report(&asked);
        assert_eq!(
            asked.status.success(),
            without != Refuses,
            "{report}\n{answer}"
        );
    }

    // what is followed does not end by itself
    let rules = looking_without("pods", "watch");
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let mut follower = site
        .command(&["logs", "-f", instance])
        .env("KUBECONFIG", site.user("follows", &rules))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notes = BufReader::new(follower.stderr.take().unwrap()).lines();
    let told = notes.any(|note| note.unwrap().contains("may not watch `pods`"));
    follower.kill().unwrap();
    follower.wait().unwrap();
    assert!(told, "that nothing is watched is said");
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
