//! Saved settings of a real IOC on a cluster: listing, copying, going back.

use serde_json::Value;

use super::site::Site;

const FILE: &str = "simplantStage_settings.sav";

/// Writes the setpoint, and waits until the IOC has saved it.
fn saved(site: &Site, instance: &str, value: &str) {
    site.put(instance, "STAGE:SP", value);
    site.until("the setpoint was saved", || {
        let shown = site.run(&["autosave", "show", instance, FILE]);
        shown.contains(value)
    });
}

fn names(site: &Site, instance: &str) -> Vec<String> {
    let files = site.json(&["autosave", "ls", instance, "-o", "json"]);
    let name = |file: &Value| file["file"].as_str().unwrap().to_owned();
    files.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn settings_are_restored_by_a_pod_that_stands_in() {
    let Some(site) = Site::new() else { return };
    let instance = site.deployed("ea-ioc-01");
    saved(&site, &instance, "27.25");
    site.succeed(&["autosave", "copy", &instance, "backup"]);
    saved(&site, &instance, "30.5");

    let from = format!("backup/{FILE}");
    let restore = ["autosave", "restore", &instance, "--from", &from];
    let runs = site.refuse(&restore);
    assert!(
        runs.starts_with("exit code: 5\n") && runs.contains("--restart"),
        "{runs}"
    );
    let planned = site.succeed(&[restore.as_slice(), &["--restart", "--dry-run"]].concat());
    assert!(planned.contains("30.5 -> 27.25"), "{planned}");
    site.succeed(&[restore.as_slice(), &["--restart", "--yes"]].concat());
    assert_eq!(site.get(&instance, "STAGE:SP"), "27.25");
    let row = site.json(&["ps", &instance, "-o", "json"]);
    assert_eq!(row[0]["state"], "running", "{row:#}");

    // what was there is kept; a stopped instance stays stopped
    let files = names(&site, &instance);
    let kept = files.iter().find(|name| *name != FILE).unwrap().clone();
    site.succeed(&["stop", &instance, "--yes"]);
    let unseen = site.refuse(&["autosave", "restore", &instance, &kept, "--dry-run"]);
    assert!(unseen.contains("only reached by a pod"), "{unseen}");
    let missing = site.refuse(&["autosave", "restore", &instance, "none.savB", "--yes"]);
    assert!(missing.starts_with("exit code: 4\n"), "{missing}");
    site.succeed(&["autosave", "restore", &instance, &kept, "--yes"]);
    let pods = site.kubectl(&["get", "pods", "-o", "name"]);
    assert_eq!(pods, "", "no pod is left behind");
    let row = site.json(&["ps", &instance, "-o", "json"]);
    assert_eq!(row[0]["state"], "stopped", "{row:#}");
    site.succeed(&["start", &instance, "--yes"]);
    assert_eq!(site.get(&instance, "STAGE:SP"), "30.5");
}
