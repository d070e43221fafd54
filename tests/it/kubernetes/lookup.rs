//! `lookup` in templates, as real `helm upgrade --install` finds it.

use super::cluster::Cluster;
use super::site::Site;

const TEMPLATE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-look}
data:
  {{- $namespace := .Release.Namespace }}
  found: {{ (lookup "v1" "ConfigMap" $namespace "given").data.key | quote }}
  absent: {{ lookup "v1" "ConfigMap" $namespace "absent" | toJson | quote }}
  without: {{ lookup "v1" "ConfigMap" "" "given" | toJson | quote }}
  list: {{ (lookup "v1" "Service" $namespace "").kind | quote }}
  count: {{ len (lookup "v1" "Service" $namespace "").items | quote }}
  whole: {{ (lookup "v1" "Namespace" "" $namespace).metadata.name | quote }}
  number: {{ printf "%T %v" (index (lookup "v1" "Service" $namespace "given").spec.ports 0).port (index (lookup "v1" "Service" $namespace "given").spec.ports 0).port | quote }}
"#;

#[test]
fn templates_find_what_helm_finds() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let (by_helm, by_ioc) = (site.add("ea-ioc-01"), site.add("ea-ioc-02"));
    let template = format!("beamlines/{}/.helm-shared/templates/look.yaml", site.name());
    site.write(&template, TEMPLATE);
    site.kubectl(&["create", "configmap", "given", "--from-literal=key=value"]);
    site.kubectl(&["create", "service", "clusterip", "given", "--tcp=5064"]);
    let data = |instance: &str| site.object(&format!("configmap/{instance}-look"))["data"].clone();
    // the charts have a service of their own, which is not there yet for the first one
    site.helm_deploy(&by_helm, &[]);
    site.helm_deploy(&by_helm, &[]);
    site.succeed(&["deploy", &by_ioc, "--yes", "--no-wait"]);
    let (theirs, mut ours) = (data(&by_helm), data(&by_ioc));
    assert_eq!(ours["found"], "value");
    assert_eq!(ours["number"], "int64 5064");
    ours["count"] = theirs["count"].clone();
    assert_eq!(ours, theirs);

    site.write(&template, TEMPLATE.replace("\"Service\"", "\"Crate\""));
    let report = site.refuse(&["deploy", &by_ioc, "--yes", "--no-wait"]);
    assert!(
        report.contains("look.yaml") && report.contains("does not know the kind Crate of `v1`"),
        "{report}"
    );
}
