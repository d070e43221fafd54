//! A registry of charts as services repository: `repository = "oci://…"`.

use serde_json::Value;

use super::Bed;

/// A registry with three versions of the chart `app`, and a beamline whose instances come from there.
fn beamline(name: &str) -> Option<Bed> {
    let bed = Bed::new(name)?;
    for version in ["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"] {
        bed.chart("app", version);
        bed.context
            .write("app/values.yaml", format!("size: of {version}\n"));
        bed.helm_succeeds(&["package", "app"]);
        let archive = format!("app-{version}.tgz");
        bed.helm_succeeds(&["push", &archive, &bed.remote(), "--plain-http"]);
    }
    bed.context.write(
        "ioc.toml",
        format!("[beamline.t01]\nrepository = \"{}\"\n", bed.remote()),
    );
    Some(bed)
}

#[test]
fn an_instance_is_rendered_from_its_chart_as_helm_renders_it() {
    let Some(bed) = beamline("rendered") else {
        return;
    };
    let chart = format!("{}/app", bed.remote());
    let by_helm = |version: &str| {
        bed.helm_succeeds(&[
            "template",
            "app",
            &chart,
            "--version",
            version,
            "--plain-http",
            "-n",
            "t01",
        ])
    };
    let by_ioc = |arguments: &[&str]| {
        let output = bed
            .context
            .command(&[&["render", "app"], arguments].concat())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", bed.context.report(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    // the newest release, and no pre-release
    assert_eq!(by_ioc(&[]), by_helm("1.10.0"));
    assert_eq!(by_ioc(&["--version", "1.0.0"]), by_helm("1.0.0"));
    assert_eq!(by_ioc(&["--version", "2.0.0-rc.1"]), by_helm("2.0.0-rc.1"));
}

#[test]
fn versions_are_the_tags_of_the_chart() {
    let Some(bed) = beamline("tags") else { return };
    let versions = bed.context.json(&["versions", "app"]);
    let names: Vec<&str> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|version: &Value| version["version"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["1.10.0", "1.9.0", "1.0.0", "2.0.0-rc.1"]);
    assert_eq!(versions[3]["kind"], "pre-release");
    assert_eq!(
        versions[0]["chart"],
        format!("{}/app:1.10.0", bed.remote()).as_str()
    );
    let elsewhere = bed
        .context
        .json(&["versions", "app", "--repository", &bed.remote()]);
    assert_eq!(elsewhere, versions);
}

#[test]
fn what_no_registry_can_answer_is_said() {
    let Some(bed) = beamline("refused") else {
        return;
    };
    let report = bed
        .context
        .refuse(&["render", "app", "--version", "2026.01.1"]);
    assert!(
        report.contains("cannot be the version of a chart") && report.contains("`2026.1.1`"),
        "{report}"
    );
    let report = bed.context.refuse(&["render", "app", "--version", "3.0.0"]);
    assert!(report.starts_with("exit code: 4"), "{report}");
    let report = bed.context.refuse(&["render", "other"]);
    assert!(report.starts_with("exit code: 4"), "{report}");
    for all in [&["render", "--all"][..], &["versions"]] {
        let report = bed.context.refuse(all);
        assert!(report.contains("does not list its charts"), "{report}");
    }
}
