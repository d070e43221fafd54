//! Hooks of charts on a real cluster: their order, what their policies leave, and what becomes of a deploy when one fails.
//! Beside real helm with the same chart.

use serde_json::Value;

use super::site::{Site, sim_image_name, states};

/// Writes a hook: a job of the beamline's shared chart.
fn hook(site: &Site, name: &str, annotations: &str, command: &str) {
    let image = sim_image_name();
    write(
        site,
        name,
        &format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{{{ .Release.Name }}}}-{name}\n  annotations: {{{annotations}}}\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n      terminationGracePeriodSeconds: 0\n      containers:\n        - {{name: hook, image: \"{image}\", imagePullPolicy: Never, command: [sh, -c, \"{command}\"]}}\n"
        ),
    );
}

fn write(site: &Site, name: &str, text: &str) {
    let templates = format!("beamlines/{}/.helm-shared/templates", site.name());
    site.write(&format!("{templates}/{name}.yaml"), text);
}

/// Names of the objects of a kind that belong to an instance's hooks, without the instance.
fn left(site: &Site, kind: &str, instance: &str) -> Vec<String> {
    let objects = site.object(kind);
    objects["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|object| object["metadata"]["name"].as_str()?.strip_prefix(instance))
        .filter_map(|rest| rest.strip_prefix('-'))
        .map(str::to_owned)
        .collect()
}

/// What became of the hooks by the newest record, as helm reads it: `NAME PHASE`.
fn phases(site: &Site, instance: &str) -> Vec<String> {
    let text = site.helm(&["status", instance, "-o", "json"]);
    let status: Value = serde_json::from_str(&text).unwrap();
    let mut all: Vec<String> = status["hooks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hook| {
            let name = hook["name"].as_str().unwrap();
            let name = name.strip_prefix(&format!("{instance}-")).unwrap_or(name);
            format!(
                "{name} {}",
                hook["last_run"]["phase"].as_str().unwrap_or_default()
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn hooks_run_in_their_order_and_one_that_fails_ends_the_deploy() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    let event =
        "helm.sh/hook: 'pre-install,pre-upgrade', helm.sh/hook-delete-policy: before-hook-creation";
    let weighed = |weight: i32| format!("{event}, helm.sh/hook-weight: \"{weight}\"");
    hook(&site, "second", &weighed(2), "true");
    hook(&site, "first", &weighed(-1), "true");
    site.succeed(&["deploy", &instance, "--yes"]);
    let started = |name: &str| {
        let job = site.object(&format!("job/{instance}-{name}"));
        job["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert!(started("first") < started("second"));
    let hooks = site.helm(&["get", "hooks", &instance]);
    assert!(hooks.contains("-first"), "{hooks}");

    hook(
        &site,
        "second",
        &weighed(2),
        "echo the database is locked; exit 3",
    );
    let report = site.run(&["deploy", &instance, "--yes", "--set", "global.location=new"]);
    assert!(
        report.contains("exit code: 9")
            && report.contains("the hook Job")
            && report.contains("the database is locked"),
        "{report}"
    );
    assert_eq!(states(&site, &instance), ["deployed", "failed"]);
    assert_eq!(
        phases(&site, &instance),
        ["first Succeeded", "second Failed"]
    );
    // the objects were not touched
    let set = site.object(&format!("statefulset/{instance}"));
    assert_eq!(set["metadata"]["labels"]["location"], site.name());
}

#[test]
fn what_is_left_of_hooks_is_what_helm_leaves() {
    let Some(site) = Site::new() else { return };
    let policies = |weight: i32, policies: &str| {
        format!(
            "helm.sh/hook: 'pre-install,pre-upgrade', helm.sh/hook-weight: \"{weight}\", helm.sh/hook-delete-policy: '{policies}'"
        )
    };
    hook(
        &site,
        "b-stays",
        &policies(1, "before-hook-creation"),
        "true",
    );
    hook(&site, "c-goes", &policies(2, "hook-succeeded"), "true");
    hook(
        &site,
        "d-fails",
        &policies(3, "hook-failed,before-hook-creation"),
        "exit ${FAILS:-3}",
    );
    hook(&site, "e-late", &policies(4, "hook-succeeded"), "true");
    // of one weight with the job that fails: whether it is there tells which comes first
    write(
        &site,
        "z-same",
        &format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: \"{{{{ .Release.Name }}}}-z-same\", annotations: {{{}}}}}\n",
            policies(3, "before-hook-creation")
        ),
    );
    let (by_us, by_helm) = (site.add("ea-ioc-01"), site.add("ea-ioc-02"));
    let compare = |told: &str| {
        for kind in ["jobs", "configmaps"] {
            assert_eq!(
                left(&site, kind, &by_us),
                left(&site, kind, &by_helm),
                "{told}: {kind}"
            );
        }
        assert_eq!(phases(&site, &by_us), phases(&site, &by_helm), "{told}");
    };
    let report = site.run(&["deploy", &by_us, "--yes", "--no-wait"]);
    assert!(report.contains("exit code: 9"), "{report}");
    let helm = site.helm_upgrade(&by_helm, &[]).output().unwrap();
    assert!(!helm.status.success(), "helm's hook fails as well");
    compare("after a failure");
    assert_eq!(states(&site, &by_us), states(&site, &by_helm));

    hook(
        &site,
        "d-fails",
        &policies(3, "hook-failed,before-hook-creation"),
        "true",
    );
    site.succeed(&["deploy", &by_us, "--yes", "--no-wait"]);
    site.helm_deploy(&by_helm, &[]);
    compare("after a success");
    assert_eq!(left(&site, "jobs", &by_us), ["b-stays", "d-fails"]);
}

#[test]
fn a_definition_that_is_a_hook_is_never_removed() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    let group = format!("{}.example.org", site.name());
    write(
        &site,
        "definition",
        &format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: crates.{group}\n  annotations: {{helm.sh/hook: 'pre-install,pre-upgrade'}}\nspec:\n  group: {group}\n  scope: Namespaced\n  names: {{kind: Crate, plural: crates, singular: crate}}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}\n"
        ),
    );
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    let crates = format!("crates.{group}");
    site.until("its kind is served", || {
        let known = site.kubectl(&["api-resources", "--api-group", &group, "-o", "name"]);
        known.contains("crates")
    });
    site.cluster().apply(&format!(
        "{{apiVersion: {group}/v1, kind: Crate, metadata: {{name: one, namespace: {}}}, slots: 21}}",
        site.name()
    ));
    site.succeed(&[
        "deploy",
        &instance,
        "--yes",
        "--no-wait",
        "--set",
        "global.location=new",
    ]);
    assert_eq!(site.object(&crates)["items"][0]["slots"], 21);
    site.kubectl(&["delete", "crd", &crates]);
}

#[test]
fn a_deletion_whose_first_hook_fails_removes_nothing() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    hook(
        &site,
        "guard",
        "helm.sh/hook: pre-delete",
        "echo the shutter is open; exit 3",
    );
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    let report = site.run(&["delete", &instance, "--yes"]);
    assert!(
        report.contains("exit code: 9")
            && report.contains("the shutter is open")
            && report.contains("nothing was removed"),
        "{report}"
    );
    assert_eq!(states(&site, &instance), ["deployed"]);
    assert!(!site.has_no("statefulsets"));
    // and the next deploy is one as usual
    site.write(&site.file(&instance, "config/note.txt"), "later");
    site.succeed(&["deploy", &instance, "--yes", "--no-wait"]);
    assert_eq!(states(&site, &instance), ["superseded", "deployed"]);
}
