//! Deploying on a cluster what was pushed into a registry.

use std::process::Command;

use serde_json::Value;

use super::cluster::Cluster;
use super::site::Site;
use crate::testbed;

const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {version: {{ .Chart.Version | quote }}}\n";

#[test]
fn an_instance_comes_from_its_chart_and_the_release_has_its_digest() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let (Some(registry), Some(helm)) = (
        testbed::part("registry.sh", "REGISTRY"),
        testbed::part("helm.sh", "HELM_BINARY"),
    ) else {
        return;
    };
    let site = Site::without_image(cluster);
    let remote = format!("oci://{registry}/{}", site.name());
    let push = |version: &str| {
        site.write(
            "app/Chart.yaml",
            format!("apiVersion: v2\nname: app\nversion: {version}\n"),
        );
        site.write("app/templates/config.yaml", TEMPLATE);
        for arguments in [
            &["package", "app"][..],
            &[
                "push",
                &format!("app-{version}.tgz"),
                &remote,
                "--plain-http",
            ],
        ] {
            let output = Command::new(&helm)
                .args(arguments)
                .current_dir(site.project())
                .env("HOME", site.root().join("home"))
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    };
    push("2026.11.1");
    push("2026.11.2");
    site.write(
        "ioc.toml",
        format!(
            "[beamline.reg]\nrepository = \"{remote}\"\nbackend = \"kubernetes\"\nnamespace = \"{}\"\n",
            site.name()
        ),
    );
    let version = || {
        let map = site.object("configmap/app");
        map["data"]["version"].as_str().unwrap().to_owned()
    };
    site.succeed(&["deploy", "app", "--version", "2026.11.1", "--yes"]);
    assert_eq!(version(), "2026.11.1");
    // without a version the newest one
    site.succeed(&["deploy", "app", "--yes"]);
    assert_eq!(version(), "2026.11.2");
    let all = site.helm(&["get", "metadata", "app", "-o", "json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["appVersion"], "2026.11.2");
    assert_eq!(
        all["annotations"]["ioc/repository"],
        format!("{remote}/app").as_str()
    );
    let digest = all["annotations"]["ioc/digest"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(digest.starts_with("sha256:"), "{digest}");

    // what was pushed again under the same version is another chart, which is said
    site.write("app/README.md", "another chart\n");
    push("2026.11.2");
    let report = site.run(&["deploy", "app", "--yes"]);
    assert!(
        report.contains("has moved since it was deployed"),
        "{report}"
    );
}
