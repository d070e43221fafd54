//! `ioc render`: what it prints is what `helm template` prints, and what it says about mistakes.

use std::path::Path;
use std::process::Command;

use crate::context::{TestContext, repository};
use crate::testbed;

const VALUES: &str = "beamlines/t02/services/t02-ea-ioc-01/values.yaml";

/// What the real helm prints for an instance folder, or its error.
fn helm(binary: &str, name: &str, folder: &Path, values: &[&Path]) -> Result<String, String> {
    let mut command = Command::new(binary);
    command.args(["template", name, "-n", "t02"]).arg(folder);
    for file in values {
        command.arg("--values").arg(file);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Values that reach every branch of the library chart.
const EVERYTHING: &str = r#"
ioc-instance:
  image: registry.example.org/ioc-motor-runtime@sha256:0123
  imagePullPolicy: Always
  location: hall.2
  domain: motion
  beamline: t02-1
  prefix: "T02-MO:"
  globalEnv: [{name: A, value: "1"}, {name: TERM, value: vt100}]
  iocEnv: [{name: A, value: "2"}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
  command: [/bin/sh]
  args: []
  iocConfig: /cfg
  livenessExecutable: ""
  readinessExecutable: /ready.sh
  startupExecutable: /startup.sh
  preStopExecutable: /stop.sh
  livenessProbe: {exec: {command: [/bin/true]}, periodSeconds: 7}
  hostNetwork: false
  nodeSelector: {disk: ssd}
  affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: []}}
  tolerations: [{key: x, operator: Exists}]
  podSecurityContext: {runAsUser: 37630, runAsGroup: 37630, fsGroup: 37630, supplementalGroups: [20]}
  serviceAccountName: iocs
  runtimeClassName: usb
  resources: {limits: {cpu: 2, memory: 1Gi}}
  terminationGracePeriodSeconds: 30
  autosave: {size: 1Gi, storageClassName: nfs, mountPath: /save, accessModes: [ReadWriteOnce]}
  runtimeClaim: runtime
  opisClaim: opis
  dataVolume: {pvc: true, hostPath: /dls/t02, spec: {accessModes: [ReadWriteMany], storageClassName: fast}}
  devices: [{path: /dev/ttyS0}, {path: /dev/bus/usb, type: Directory, containerPath: /usb}]
  volumes: [{name: extra, emptyDir: {}}]
  volumeMounts: [{name: extra, mountPath: /extra, readOnly: true}]
  extraContainers: [{name: side, image: side:1}, {name: own, image: own:1, env: [{name: X, value: "y"}], volumeMounts: []}]
  initContainers: [{name: first, image: first:1, command: [sh, -c, "echo \"hello\""]}]
  podLabels: {team: motion, app: ignored}
  podAnnotations: {note: "a: b"}
global:
  enabled: false
  labels: {site: north}
"#;

#[test]
fn every_branch_of_the_library_chart_renders_as_with_helm() {
    let Some(binary) = testbed::part("helm.sh", "HELM_BINARY") else {
        return;
    };
    let context = TestContext::with_instance();
    let folder = context
        .project()
        .join("beamlines/t02/services/t02-ea-ioc-01");
    context.write(
        "beamlines/t02/services/t02-ea-ioc-01/config-binary/map.bin",
        [0, 159, 146, 150],
    );
    context.write(
        "beamlines/t02/services/t02-ea-ioc-01/config/x.db",
        "# grün\n\n\trecord(ai, \"a\") {}\n\n",
    );
    let everything = context.write("everything.yaml", EVERYTHING);
    let claim = context.write(
        "claim.yaml",
        "ioc-instance: {autosaveClaim: shared, dataVolume: {hostPath: /data/t02}, nodeName: n1}\n",
    );
    let nothing = context.write("nothing.yaml", "ioc-instance: {autosave: {enabled: false}, livenessExecutable: \"\", securityContext: {}, resources: null}\n");
    let shared = context.project().join("beamlines/t02/services/values.yaml");
    let own = folder.join("values.yaml");
    for more in [&[][..], &[&everything], &[&claim], &[&nothing]] {
        let mut values = vec![shared.as_path(), own.as_path()];
        values.extend(more.iter().map(|path| path.as_path()));
        let expected = helm(&binary, "t02-ea-ioc-01", &folder, &values).unwrap();
        let mut arguments = vec!["render", "t02-ea-ioc-01"];
        for path in more {
            arguments.extend(["-f", path.to_str().unwrap()]);
        }
        pretty_assertions::assert_eq!(context.succeed(&arguments), expected, "{more:?}");
    }
}

#[test]
fn the_example_beamline_renders_as_with_helm_and_helm_finds_nothing_wrong() {
    let Some(binary) = testbed::part("helm.sh", "HELM_BINARY") else {
        return;
    };
    let services = repository().join("beamlines/t01/services");
    let shared = services.join("values.yaml");
    for name in ["t01-ea-ioc-01", "t01-mo-ioc-01", "t01-al-ioc-01"] {
        let own = services.join(name).join("values.yaml");
        let expected = helm(&binary, name, &services.join(name), &[&shared, &own]).unwrap();
        let context = TestContext::new();
        let project = repository().to_str().unwrap();
        let ours = context.succeed(&["--project", project, "render", name]);
        // The namespace of the beamline stands in no resource of this chart.
        pretty_assertions::assert_eq!(ours, expected, "{name}");
        let lint = Command::new(&binary)
            .args(["lint", "--strict", "--values"])
            .arg(&shared)
            .arg("--values")
            .arg(&own)
            .arg(services.join(name))
            .output()
            .unwrap();
        assert!(
            lint.status.success(),
            "{}",
            String::from_utf8_lossy(&lint.stdout)
        );
    }
}

/// The shape of the services repositories of epics-containers: values of the library chart below its own name and
/// imported by the chart that instances share, anchors and merge keys in the shared values, skeletons.
fn repository_of_epics_containers() -> TestContext {
    let context = TestContext::new();
    for (path, text) in [
        ("ioc.toml", "[beamline.bl01t]\nrepository = \"bl01t\"\n"),
        (
            "bl01t/.helm-shared/Chart.yaml",
            "apiVersion: v2\nname: ec-service\nversion: 1.0.0\ndependencies:\n  - name: ioc-instance\n    version: 5.5.0\n    repository: oci://registry.example.org/charts\n    import-values:\n      - child: ioc-instance\n        parent: ioc-instance\n",
        ),
        (
            "bl01t/.helm-shared/templates/ioc_instance.yaml",
            "{{ include \"ioc-instance\" . }}\n",
        ),
        (
            "bl01t/library/ioc-instance/Chart.yaml",
            "apiVersion: v2\nname: ioc-instance\ntype: library\nversion: 5.5.0\n",
        ),
        (
            "bl01t/library/ioc-instance/values.yaml",
            "ioc-instance:\n  image: \"\"\n  hostNetwork: true\n  iocEnv: []\n  resources: {limits: {cpu: 500m}}\n",
        ),
        (
            "bl01t/library/ioc-instance/templates/_ioc.tpl",
            "{{- define \"ioc-instance\" -}}\n{{- $values := index .Values \"ioc-instance\" -}}\n{{- $_ := set .Values \"files\" (.Files.Glob \"config/*\").AsConfig -}}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  labels: {location: {{ $values.location }}, domain: {{ $values.domain | default .Values.global.domain }}}\ndata:\n{{ .Values.files | indent 2 }}\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  hostNetwork: {{ $values.hostNetwork }}\n  containers:\n    - name: ioc\n      image: {{ required \"ERROR - You must supply image.\" $values.image }}\n      env: &env\n        {{- toYaml $values.iocEnv | nindent 8 }}\n    - {name: side, image: a, env: *env}\n{{- end -}}\n",
        ),
        (
            "bl01t/services/values.yaml",
            "shared: &shared\n  location: bl01t\n  iocEnv: [{name: A, value: \"0755\"}]\nglobal: {domain: p45}\nioc-instance:\n  <<: *shared\n",
        ),
        ("bl01t/services/.ioc_template/Chart.yaml", "not: a chart\n"),
        (
            "bl01t/services/bl01t-ea-test-01/values.yaml",
            "ioc-instance:\n  image: registry.example.org/ioc:1\n",
        ),
        ("bl01t/services/bl01t-ea-test-01/config/st.cmd", "iocInit\n"),
    ] {
        context.write(path, text);
    }
    let instance = "bl01t/services/bl01t-ea-test-01";
    for part in ["Chart.yaml", "templates"] {
        context.symlink(
            &format!("../../.helm-shared/{part}"),
            &format!("{instance}/{part}"),
        );
    }
    context.symlink(
        "../../../library/ioc-instance",
        &format!("{instance}/charts/ioc-instance"),
    );
    context
}

#[test]
fn a_repository_of_epics_containers_renders_as_with_helm() {
    let Some(binary) = testbed::part("helm.sh", "HELM_BINARY") else {
        return;
    };
    let context = repository_of_epics_containers();
    let services = context.project().join("bl01t/services");
    let folder = services.join("bl01t-ea-test-01");
    let (shared, own) = (services.join("values.yaml"), folder.join("values.yaml"));
    let expected = helm(&binary, "bl01t-ea-test-01", &folder, &[&shared, &own]).unwrap();
    let ours = context.succeed(&["render", "--all", "-b", "bl01t"]);
    pretty_assertions::assert_eq!(ours, expected);
}

#[test]
fn a_repository_of_epics_containers_has_no_findings() {
    let context = repository_of_epics_containers();
    let report = context.run(&["check", "bl01t", "--no-engine"]);
    assert!(
        report.contains("1 instance, 0 records: no findings"),
        "{report}"
    );
    context.write(
        "bl01t/services/bl01t-ea-test-01/values.yaml",
        "ioc-instance:\n  image: registry.example.org/ioc:1\n  hostNetwrok: false\n",
    );
    let report = context.run(&["check", "bl01t", "--no-engine"]);
    assert!(
        report.contains("no template of the chart reads the value `hostNetwrok`"),
        "{report}"
    );
    assert!(report.contains("did you mean `hostNetwork`?"), "{report}");
}

#[test]
fn manifests_as_data() {
    let context = TestContext::with_instance();
    let json = context.succeed(&["render", "t02-ea-ioc-01", "-o", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let kinds: Vec<&str> = value[0]["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|manifest| manifest["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ConfigMap", "PersistentVolumeClaim", "StatefulSet"]);
    assert_eq!(
        value[0]["version"], "unknown",
        "the project is no git repository"
    );
}

#[test]
fn a_misspelt_value_and_a_wrong_type() {
    let context = TestContext::with_instance();
    context.write(VALUES, "ioc-instance:\n  image: a/b:1\n  hostNetwrok: true\n  iocEnv:\n    - {name: A, value: 5}\n  resources:\n    limits: {cpu: 2, memory: lots}\n  imagePullPolicy: Alway\n  devices: [{type: CharDevice}]\n");
    insta::assert_snapshot!(context.run(&["render", "t02-ea-ioc-01"]), @r#"
    exit code: 3
    ----- stderr -----
    error: `path` is missing in `ioc-instance.devices[0]`
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:9:13
      |
    9 |   devices: [{type: CharDevice}]
      |             ^ `path:` belongs here
    error: `ioc-instance.imagePullPolicy` cannot be `Alway`
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:8:20
      |
    8 |   imagePullPolicy: Alway
      |                    ^^^^^ expected one of `Always`, `IfNotPresent`, `Never`
    hint: did you mean `Always`?
    error: `ioc-instance.iocEnv[0].value` is a number
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:5:24
      |
    5 |     - {name: A, value: 5}
      |                        ^ expected a text
    hint: write it in quotes: "5"
    error: `ioc-instance.resources.limits.memory` cannot be "lots"
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:7:30
      |
    7 |     limits: {cpu: 2, memory: lots}
      |                              ^^^^ expected a text that matches ^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$
    error: unknown value `hostNetwrok`
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:3:3
      |
    3 |   hostNetwrok: true
      |   ^^^^^^^^^^^
    hint: did you mean `hostNetwork`?
    error: 5 mistakes in the services repository
    "#);
}

#[test]
fn a_value_of_the_command_line_has_no_file() {
    let context = TestContext::with_instance();
    insta::assert_snapshot!(context.run(&["render", "t02-ea-ioc-01", "--set", "ioc-instance.domain=5"]), @r#"
    exit code: 3
    ----- stderr -----
    error: `ioc-instance.domain` is a number
     --> the command line (--set)
      = expected a text
    hint: write it in quotes: "5"
    "#);
    insta::assert_snapshot!(context.run(&["render", "t02-ea-ioc-01", "--set", "a["]), @r"
    exit code: 2
    ----- stderr -----
    error: `--set a[` cannot be read: error parsing index: EOF
    hint: write it as `a.b=value`, several with commas; `\,` is a comma inside a value
    ");
}

#[test]
fn a_required_value_that_is_missing_shows_the_way_through_the_templates() {
    let context = TestContext::with_instance();
    context.write(VALUES, "ioc-instance: {}\n");
    insta::assert_snapshot!(context.run(&["render", "t02-ea-ioc-01"]), @r#"
    exit code: 3
    ----- stderr -----
    error: `image` is missing: set `ioc-instance.image` to the generic IOC image (called from beamlines/t02/.helm-shared/charts/ioc-instance/templates/_ioc-instance.tpl:6, beamlines/t02/.helm-shared/templates/ioc-instance.yaml:1)
      --> beamlines/t02/.helm-shared/charts/ioc-instance/templates/_ioc-instance.tpl:16:11
       |
    16 | {{- $_ := required "`image` is missing: set `ioc-instance.image` to the generic IOC image" $values.image -}}
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_template_that_fails_shows_file_and_line() {
    let context = TestContext::with_instance();
    let chart = "beamlines/t02/services/t02-ff-ioc-01";
    context.write(
        &format!("{chart}/Chart.yaml"),
        "apiVersion: v2\nname: plain\nversion: 1.0.0\n",
    );
    context.write(
        &format!("{chart}/templates/a.yaml"),
        "kind: ConfigMap\nname: {{ .Values.a.b.c }}\n",
    );
    insta::assert_snapshot!(context.run(&["render", "t02-ff-ioc-01"]), @"
    exit code: 3
    ----- stderr -----
    error: nil pointer evaluating interface {}.b
     --> beamlines/t02/services/t02-ff-ioc-01/templates/a.yaml:2:17
      |
    2 | name: {{ .Values.a.b.c }}
      |                 ^^^^^^^^^
    hint: in `.Values.a.b.c` something before the last name is not set: set it in the values, or give it a default in the chart
    ");
    context.write(&format!("{chart}/templates/a.yaml"), "kind: {{ if }}\n");
    insta::assert_snapshot!(context.run(&["render", "t02-ff-ioc-01"]), @"
    exit code: 3
    ----- stderr -----
    error: missing value for if
     --> beamlines/t02/services/t02-ff-ioc-01/templates/a.yaml:1:1
      |
    1 | kind: {{ if }}
      | ^
    ");
    context.write(
        &format!("{chart}/templates/a.yaml"),
        "kind: A\nspec:\n  - b\n c: d\n",
    );
    insta::assert_snapshot!(context.run(&["render", "t02-ff-ioc-01"]), @"
    exit code: 3
    ----- stderr -----
    error: a template wrote what is not YAML: did not find expected key
     --> plain/templates/a.yaml as rendered:4:2
      |
    4 |  c: d
      |  ^
    hint: the template is `beamlines/t02/services/t02-ff-ioc-01/templates/a.yaml`
    ");
}

#[test]
fn a_chart_that_is_not_vendored() {
    let context = TestContext::with_instance();
    let chart = "beamlines/t02/services/t02-ff-ioc-01";
    context.write(
        &format!("{chart}/Chart.yaml"),
        "apiVersion: v2\nname: ioc\nversion: 1.0.0\ndependencies:\n  - name: ioc-instance\n    version: 5.5.0\n    repository: oci://registry.example.org/charts\n",
    );
    insta::assert_snapshot!(context.run(&["render", "t02-ff-ioc-01"]), @"
    exit code: 3
    ----- stderr -----
    error: the chart needs `ioc-instance`, which is not vendored
     --> beamlines/t02/services/t02-ff-ioc-01/Chart.yaml:5:11
      |
    5 |   - name: ioc-instance
      |           ^^^^^^^^^^^^
    hint: link the vendored charts: `ln -s ../../.helm-shared/charts beamlines/t02/services/t02-ff-ioc-01/charts`
    ");
}

#[test]
fn a_link_out_of_the_repository() {
    let context = TestContext::with_instance();
    context.write("secret", "password");
    context.symlink(
        "../../../../../secret",
        "beamlines/t02/services/t02-ea-ioc-01/config/key",
    );
    insta::assert_snapshot!(context.run(&["render", "t02-ea-ioc-01"]), @"
    exit code: 3
    ----- stderr -----
    error: the symbolic link to `../../../../../secret` leaves the services repository
     --> beamlines/t02/services/t02-ea-ioc-01/config/key
      = a relative link that stays below `[ROOT]/project/beamlines/t02`
    hint: copy the file into the services repository
    ");
    let folder = "beamlines/t02/services/t02-ea-ioc-01";
    for path in [VALUES.to_owned(), format!("{folder}/config/key")] {
        std::fs::remove_file(context.project().join(path)).unwrap();
    }
    context.symlink("../../../../secret", VALUES);
    insta::assert_snapshot!(context.run(&["render", "t02-ea-ioc-01"]), @"
    exit code: 3
    ----- stderr -----
    error: the symbolic link to `../../../../secret` leaves the services repository
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml
      = a relative link that stays below `[ROOT]/project/beamlines/t02`
    hint: copy the file into the services repository
    ");
}

#[test]
fn broken_yaml_and_a_bomb() {
    let context = TestContext::with_instance();
    context.write(VALUES, "ioc-instance:\n  image: [a\n  prefix: b\n");
    insta::assert_snapshot!(context.run(&["render", "t02-ea-ioc-01"]), @"
    exit code: 3
    ----- stderr -----
    error: did not find expected ',' or ']'
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:3:9
      |
    3 |   prefix: b
      |         ^
    ");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{row}]\n"));
    }
    context.write(VALUES, &bomb);
    let output = context.run(&["render", "t02-ea-ioc-01"]);
    assert!(output.starts_with("exit code: 3"), "{output}");
}

#[test]
fn an_instance_that_two_beamlines_have() {
    let context = TestContext::with_instance();
    let plain = "apiVersion: v2\nname: plain\nversion: 1.0.0\n";
    context.write("other/services/t02-ea-ioc-01/Chart.yaml", plain);
    let mut project = std::fs::read_to_string(context.project().join("ioc.toml")).unwrap();
    project.push_str("[beamline.other]\nrepository = \"other\"\n");
    context.write("ioc.toml", project);
    insta::assert_snapshot!(context.run(&["render", "t02-ea-ioc-01"]), @"
    exit code: 5
    ----- stderr -----
    error: the beamlines `other` and `t02` both have an instance `t02-ea-ioc-01`
    hint: name one with `--beamline other`
    ");
    assert!(
        context
            .run(&["render", "t02-ea-ioc-01", "-b", "t02"])
            .starts_with("exit code: 0")
    );
}

#[test]
fn an_unknown_instance_or_beamline() {
    let context = TestContext::with_instance();
    insta::assert_snapshot!(context.run(&["render", "t02-ae-ioc-01"]), @"
    exit code: 4
    ----- stderr -----
    error: beamline `t02` has no IOC instance `t02-ae-ioc-01`
    hint: did you mean `t02-ea-ioc-01`?
    ");
    insta::assert_snapshot!(context.run(&["render", "--all", "-b", "t20"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no beamline `t20`
    hint: did you mean `t02`?
    ");
    insta::assert_snapshot!(TestContext::new().run(&["render", "x"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no `ioc.toml` in this folder or above it
    hint: change into the project, or name it with `--project FOLDER`
    ");
}
