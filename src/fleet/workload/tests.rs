use super::model::*;
use super::*;
use crate::diagnostic::Diagnostic;
use crate::fleet::manifest;

/// A StatefulSet as the charts of IOC instances render it, anchors included.
const INSTANCE: &str = r#"---
# Source: t01/templates/ioc.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: t01-ea-ioc-01-config
data:
  st.cmd: "iocInit\n"
binaryData:
  table.bin: AAEC/w==
---
# Source: t01/templates/ioc.yaml
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: t01-ea-ioc-01-data
  annotations: {helm.sh/resource-policy: keep}
spec:
  accessModes: [ReadWriteMany]
---
# Source: t01/templates/ioc.yaml
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: t01-ea-ioc-01
spec:
  replicas: 1
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: t01-ea-ioc-01}}
  template:
    metadata:
      labels: {app: t01-ea-ioc-01, configHash: "abc"}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 3
      securityContext: {runAsUser: 37630, runAsGroup: 37795, fsGroup: 37795}
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
              - matchExpressions: [{key: beamline, operator: In, values: [t01]}]
      tolerations: [{key: beamline, operator: Exists}]
      volumes:
        - name: config-volume
          configMap: {name: t01-ea-ioc-01-config, defaultMode: 0555}
        - name: data
          persistentVolumeClaim: {claimName: t01-ea-ioc-01-data}
        - name: autosave
          persistentVolumeClaim: {claimName: t01-autosave-claim}
        - name: serial
          hostPath: {path: /dev/ttyS0, type: CharDevice}
      containers:
        - name: t01-ea-ioc-01
          image: localhost/ioc-sim:latest
          imagePullPolicy: IfNotPresent
          command: [bash, -c]
          args: [/epics/ioc/start.sh $(IOC_NAME)]
          stdin: true
          tty: true
          securityContext: {readOnlyRootFilesystem: true, capabilities: {add: [CAP_NET_RAW], drop: [ALL]}, allowPrivilegeEscalation: false}
          resources: {limits: {cpu: 500m, memory: 256Mi}, requests: {cpu: 100m, memory: 64Mi}}
          volumeMounts: &volumeMounts
            - {name: config-volume, mountPath: /epics/ioc/config}
            - {name: data, mountPath: /data, mountPropagation: HostToContainer}
            - {name: autosave, mountPath: /autosave, subPath: t01-ea-ioc-01}
          env: &env
            - {name: IOC_NAME, value: t01-ea-ioc-01}
            - {name: IOC_PREFIX, value: $(IOC_NAME)}
            - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
            - {name: HASH, valueFrom: {fieldRef: {fieldPath: "metadata.labels['configHash']"}}}
            - {name: BOOT, valueFrom: {configMapKeyRef: {name: t01-ea-ioc-01-config, key: st.cmd}}}
          ports: [{containerPort: 5064, protocol: UDP}, {containerPort: 5064}]
          lifecycle: {preStop: {exec: {command: [bash, -c, /epics/ioc/stop.sh]}}}
          livenessProbe: {exec: {command: [/bin/bash, /epics/ioc/liveness.sh]}, initialDelaySeconds: 120, periodSeconds: 30}
          startupProbe: {exec: {command: [/bin/true]}, failureThreshold: 6, periodSeconds: 5}
        - name: sidecar
          image: localhost/debian:trixie
          workingDir: /tmp
          env: *env
          volumeMounts: *volumeMounts
"#;

fn surroundings() -> Surroundings<'static> {
    Surroundings {
        namespace: "t01",
        node: "node1",
    }
}

fn workloads(text: &str) -> Result<Workloads, Refused> {
    read(
        "t01-ea-ioc-01",
        &manifest::parse(text).unwrap(),
        &surroundings(),
    )
}

fn messages(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .map(|diagnostic| match &diagnostic.hint {
            Some(hint) => format!("{}; {hint}", diagnostic.message),
            None => diagnostic.message.clone(),
        })
        .collect()
}

#[test]
fn an_instance_becomes_a_pod_with_all_that_its_manifest_says() {
    let workloads = workloads(INSTANCE).unwrap();
    let pod = &workloads.pods[0];
    assert_eq!(pod.name, "t01-ea-ioc-01-0");
    assert_eq!(pod.grace_seconds, 3);
    assert_eq!(pod.volume_group, Some(37795));
    let ioc = &pod.containers[0];
    assert_eq!(ioc.args, ["/epics/ioc/start.sh t01-ea-ioc-01"]);
    assert_eq!((ioc.stdin, ioc.tty), (true, true));
    assert_eq!((ioc.user, ioc.group), (Some(37630), Some(37795)));
    assert_eq!(ioc.supplemental_groups, [37795]);
    assert_eq!(ioc.variable("IOC_PREFIX"), Some("t01-ea-ioc-01"));
    assert_eq!(ioc.variable("NODE"), Some("node1"));
    assert_eq!(ioc.variable("HASH"), Some("abc"));
    assert_eq!(ioc.variable("BOOT"), Some("iocInit\n"));
    assert_eq!(
        ioc.security,
        Security {
            read_only_root: true,
            no_new_privileges: true,
            add: vec!["NET_RAW".into()],
            drop: vec!["ALL".into()],
            ..Security::default()
        }
    );
    assert_eq!(
        ioc.resources,
        Resources {
            cpu_limit_milli: Some(500),
            cpu_request_milli: Some(100),
            memory_limit: Some(256 << 20),
            memory_request: Some(64 << 20),
        }
    );
    assert_eq!(ioc.ports[0].to_string(), "UDP port 5064");
    let health = ioc.health.as_ref().unwrap();
    assert_eq!(
        (
            health.probe,
            health.start_period,
            health.period,
            health.timeout,
            health.failures
        ),
        ("livenessProbe", 150, 30, 1, 3)
    );
    assert_eq!(
        ioc.pre_stop,
        Some(PreStop::Exec(vec![
            "bash".into(),
            "-c".into(),
            "/epics/ioc/stop.sh".into()
        ]))
    );
    assert_eq!(ioc.mounts[2].sub_path.as_deref(), Some("t01-ea-ioc-01"));
    assert_eq!(ioc.mounts[1].propagation, Propagation::HostToContainer);
    let Volume::Files(files) = &pod.volumes["config-volume"] else {
        unreachable!("it is a ConfigMap");
    };
    let listed: Vec<_> = files
        .iter()
        .map(|file| (file.path.as_str(), file.mode, file.contents.as_slice()))
        .collect();
    assert_eq!(
        listed,
        [
            ("st.cmd", 0o555, b"iocInit\n".as_slice()),
            ("table.bin", 0o555, &[0, 1, 2, 255]),
        ]
    );
    // the second container shares variables and mounts by YAML aliases
    assert_eq!(pod.containers[1].env, ioc.env);
    assert_eq!(pod.containers[1].mounts, ioc.mounts);
    assert_eq!(
        workloads.claims,
        [Claim {
            name: "t01-ea-ioc-01-data".into(),
        }]
    );
    assert_eq!(
        workloads.main("t01-ea-ioc-01").unwrap().1.name,
        "t01-ea-ioc-01"
    );
    insta::assert_snapshot!(messages(&workloads.notes).join("\n"), @"`StatefulSet t01-ea-ioc-01`: `spec.template.spec.affinity` has no effect: whether this machine is labelled `beamline` In t01 is not known here");
}

#[test]
fn the_hash_changes_with_the_template_only() {
    let hash = |text: &str| workloads(text).unwrap().pods[0].hash.clone();
    let first = hash(INSTANCE);
    assert_eq!(first, hash(&INSTANCE.replace("replicas: 1", "replicas: 0")));
    assert_eq!(first, hash(&INSTANCE.replace("iocInit", "iocInit2")));
    assert_ne!(first, hash(&INSTANCE.replace("\"abc\"", "\"abd\"")));
    assert!(
        !workloads(&INSTANCE.replace("replicas: 1", "replicas: 0"))
            .unwrap()
            .pods[0]
            .wanted
    );
}

/// What the plan says when one place of [`INSTANCE`] is changed.
#[test]
fn what_cannot_be_honoured_is_refused_with_the_field_and_what_to_do() {
    let pod = |line: &str| {
        INSTANCE.replace(
            "      hostNetwork: true\n",
            &format!("      hostNetwork: true\n      {line}\n"),
        )
    };
    let ioc = |line: &str| {
        INSTANCE.replace(
            "          stdin: true\n",
            &format!("          stdin: true\n          {line}\n"),
        )
    };
    let cases = [
        pod("initContainers: [{name: wait, image: x}]"),
        pod("resourceClaims: [{name: usb}]"),
        pod("nodeName: node2"),
        pod("nodeSelector: {kubernetes.io/hostname: node2}"),
        INSTANCE.replace(
            "key: beamline, operator: In, values: [t01]",
            "key: kubernetes.io/hostname, operator: In, values: [node2, node3]",
        ),
        INSTANCE.replace("replicas: 1", "replicas: 2"),
        INSTANCE.replace(
            "hostPath: {path: /dev/ttyS0, type: CharDevice}",
            "nfs: {server: a, path: /b}",
        ),
        INSTANCE.replace("/dev/ttyS0", "/dev/../etc"),
        INSTANCE.replace("subPath: t01-ea-ioc-01", "subPath: ../../etc"),
        INSTANCE.replace(
            "configMap: {name: t01-ea-ioc-01-config,",
            "configMap: {name: other,",
        ),
        INSTANCE.replace("table.bin: AAEC/w==", "table.bin: \"?\""),
        INSTANCE.replace("st.cmd: \"iocInit\\n\"", "../st.cmd: x"),
        INSTANCE.replace("cpu: 500m", "cpu: lots"),
        INSTANCE.replace("cpu: 500m", "example.com/gpu: 1"),
        ioc("livenesProbe: {exec: {command: [x]}}"),
        ioc("lifecycle2: {}\n          securityContext2: {a: 1}"),
        INSTANCE.replace("stdin: true", "stdin: \"true\""),
        INSTANCE.replace(
            "{name: IOC_NAME, value: t01-ea-ioc-01}",
            "{name: IOC_NAME, value: 5}",
        ),
        INSTANCE.replace("fieldPath: spec.nodeName", "fieldPath: status.podIP"),
        format!("{INSTANCE}---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: j}}\n"),
        format!("{INSTANCE}---\napiVersion: x/v1\nkind: Widget\nmetadata: {{name: w}}\n"),
        format!(
            "{}---\nkind: Service\nmetadata: {{name: s}}\n",
            INSTANCE.replace("hostNetwork: true", "hostNetwork: false")
        ),
    ];
    let shown: Vec<String> = cases
        .iter()
        .map(|case| match workloads(case) {
            Ok(_) => panic!("was not refused:\n{case}"),
            Err(refused) => messages(&refused.diagnostics).join("\n"),
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.initContainers`: there is nothing here that runs containers one after another; do its work in the start script of the image, or make it an extra container
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.resourceClaims`: there is no device allocation here; mount the device as a hostPath below /dev, for USB /dev/bus/usb
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.nodeName` wants `node2`, and this machine is `node1`; run `ioc` on that machine, or change where the instance belongs
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.nodeSelector[kubernetes.io/hostname]` wants `node2`, and this machine is `node1`; run `ioc` on that machine, or change where the instance belongs
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.affinity` wants `node2` or `node3`, and this machine is `node1`; run `ioc` on that machine, or change where the instance belongs
    `StatefulSet t01-ea-ioc-01`: `spec.replicas` is 2: on one host network each of them would serve the same PVs; set `replicas: 1`
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.volumes[serial].nfs`: volumes are not mounted over the network here; mount it on this machine and use a hostPath
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.volumes[serial].hostPath.path` must be an absolute path without `..`
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.containers[t01-ea-ioc-01].volumeMounts[/autosave].subPath` must be a relative path without `..`
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.volumes[config-volume].configMap.name` is `other`, a ConfigMap that the release does not have
    `ConfigMap t01-ea-ioc-01-config`: `binaryData[table.bin]` is not base64: Invalid symbol 63, offset 0.
    `ConfigMap t01-ea-ioc-01-config`: `data[../st.cmd]` is not a name for a file: letters, digits, `-`, `_` and `.`
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.containers[t01-ea-ioc-01].resources.limits[cpu]` is `lots`, not a quantity such as `500m` or `256Mi`
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.containers[t01-ea-ioc-01].resources.limits[example.com/gpu]` cannot be limited on the local backend, only `cpu` and `memory`; a device is mounted as a hostPath below /dev
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.containers[t01-ea-ioc-01].livenesProbe` is not a field that the local backend knows; did you mean `livenessProbe`?
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.containers[t01-ea-ioc-01].securityContext2` is not a field that the local backend knows; did you mean `securityContext`?
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.containers[t01-ea-ioc-01].stdin` must be true or false
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.containers[t01-ea-ioc-01].env[IOC_NAME].value` must be a text: put it into quotes
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.containers[t01-ea-ioc-01].env[NODE].valueFrom.fieldRef.fieldPath` is `status.podIP`, which has no meaning on the local backend; write the value itself
    `Job j`: jobs are not run here; run it by hand with `ioc exec`, or deploy it to a cluster
    `Widget w`: the local backend does not know this kind of resource; leave it out for this beamline, or deploy it to a cluster
    `Service s`: there are no addresses of Services here, and its pods do not use the host network; set `hostNetwork: true`
    ");
}

#[test]
fn differences_from_a_cluster_are_named() {
    let text = INSTANCE
        .replace("      hostNetwork: true\n", "      runtimeClassName: kata\n      nodeSelector: {gpu: \"yes\"}\n      serviceAccountName: x\n")
        .replace("livenessProbe: {exec: {command: [/bin/bash, /epics/ioc/liveness.sh]}", "livenessProbe: {tcpSocket: {port: 5064}");
    insta::assert_snapshot!(messages(&workloads(&text).unwrap().notes).join("\n"), @"
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.runtimeClassName` has no effect: the engine's default runtime is used
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.serviceAccountName` has no effect: there is no Kubernetes API to use it with
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.nodeSelector[gpu]` has no effect: labels of this machine are not known here
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.affinity` has no effect: whether this machine is labelled `beamline` In t01 is not known here
    `StatefulSet t01-ea-ioc-01`: its pod uses the network of this machine, since there is no other here
    `StatefulSet t01-ea-ioc-01`: `spec.template.spec.containers[t01-ea-ioc-01].livenessProbe` has no effect: only `exec` probes become health checks here
    ");
}

#[test]
fn a_node_is_this_machine_with_or_without_its_domain() {
    for (node, expected) in [
        ("node1", true),
        ("NODE1", true),
        ("node1.lab.example", true),
        ("node2", false),
    ] {
        let text = INSTANCE.replace(
            "      hostNetwork: true\n",
            &format!("      hostNetwork: true\n      nodeName: {node}\n"),
        );
        assert_eq!(workloads(&text).is_ok(), expected, "{node}");
    }
}

#[test]
fn a_config_map_over_one_mebibyte_is_refused() {
    let text = INSTANCE.replace("iocInit", &"x".repeat(1024 * 1024));
    let refused = workloads(&text).unwrap_err();
    assert!(
        refused.diagnostics[0]
            .message
            .contains("holds at most 1048576"),
        "{refused:?}"
    );
}

#[test]
fn items_modes_and_optional_maps() {
    let text = INSTANCE
        .replace(
            "defaultMode: 0555",
            "items: [{key: st.cmd, path: boot/st.cmd, mode: 0400}]",
        )
        .replace(
            "hostPath: {path: /dev/ttyS0, type: CharDevice}",
            "configMap: {name: missing, optional: true}",
        );
    let pod = workloads(&text).unwrap().pods.remove(0);
    let Volume::Files(files) = &pod.volumes["config-volume"] else {
        unreachable!("it is a ConfigMap");
    };
    assert_eq!(
        (files[0].path.as_str(), files[0].mode),
        ("boot/st.cmd", 0o400)
    );
    assert_eq!(pod.volumes["serial"], Volume::Files(Vec::new()));
}

#[test]
fn contents_of_files_do_not_reach_debug_output() {
    let file = File {
        path: "password".into(),
        mode: 0o400,
        contents: b"geheim".to_vec(),
    };
    assert!(!format!("{file:?}").contains("geheim"));
}

#[test]
fn the_documentation_has_the_tables() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/local-backend.md");
    let text = fs_err::read_to_string(&path).unwrap();
    let begin = text.find("### Kinds of resources").unwrap_or(text.len());
    let tables = support::markdown();
    if text[begin..] != tables {
        // INSTA_UPDATE=always, as for snapshots, writes it
        if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
            fs_err::write(&path, format!("{}{tables}", &text[..begin])).unwrap();
            return;
        }
        panic!("docs/local-backend.md is behind; run this test with INSTA_UPDATE=always");
    }
}

#[test]
fn no_field_is_decided_twice() {
    for table in [support::POD, support::CONTROLLER, support::KINDS] {
        let mut rows: Vec<&str> = table.iter().map(|(row, _)| *row).collect();
        rows.sort_unstable();
        let all = rows.len();
        rows.dedup();
        assert_eq!(rows.len(), all);
    }
}
