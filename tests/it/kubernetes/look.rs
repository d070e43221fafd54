//! Looking at instances on a real cluster and talking to them: `ps`, `status`, `logs`, `attach`, `exec`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use serde_json::Value;

use super::site::{Site, sim_image_name};
use crate::terminal::{CTRL_C, LEAVE, Terminal};

/// The row of an instance.
fn row(site: &Site, instance: &str) -> Value {
    let rows = site.json(&["ps", "-o", "json"]);
    rows.as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == instance)
        .cloned()
        .unwrap_or(Value::Null)
}

/// Instances as charts of all generations make them, each in trouble of its own.
fn troubled(namespace: &str, image: &str) -> String {
    let workload = |kind: &str, name: &str, labels: &str, spec: &str| {
        format!(
            "\
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}, {labels}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      {spec}
"
        )
    };
    [
        workload(
            "Deployment",
            "old-mo-ioc-01",
            "is_ioc: \"True\", ioc_version: \"2021.10.7\"",
            &format!("containers: [{{name: old-mo-ioc-01, image: \"{image}\", imagePullPolicy: Never, command: [bash, -c, \"echo last words; exit 3\"]}}]"),
        ),
        workload(
            "StatefulSet",
            "group-ioc",
            "ioc_group: p47",
            "containers: [{name: group-ioc, image: \"localhost/nowhere:1\", imagePullPolicy: Never}]",
        ),
        workload(
            "StatefulSet",
            "moon-ioc",
            "ioc: \"true\"",
            &format!("nodeSelector: {{beamline: moon}}\n      containers: [{{name: moon-ioc, image: \"{image}\"}}]"),
        ),
        workload(
            "StatefulSet",
            "no-ioc",
            "app.kubernetes.io/name: opis",
            &format!("containers: [{{name: no-ioc, image: \"{image}\", imagePullPolicy: Never, command: [sleep, \"1000\"]}}]"),
        ),
    ]
    .join("---\n")
}

#[test]
fn every_instance_is_listed_with_its_state_and_why() {
    let Some(site) = Site::new() else { return };
    let runs = site.add("ea-ioc-01");
    let stopped = site.add("ea-ioc-02");
    let gone = site.add("mo-ioc-01");
    site.helm_deploy(&stopped, &[]);
    site.helm_deploy(&gone, &[]);
    site.cluster()
        .apply(&troubled(site.name(), &sim_image_name()));
    site.helm_deploy(&runs, &["--wait", "--timeout", "60s"]);
    site.kubectl(&["scale", &format!("statefulset/{stopped}"), "--replicas=0"]);
    site.kubectl(&["delete", &format!("statefulset/{gone}")]);

    site.until("each instance has its state", || {
        [
            (runs.as_str(), "running"),
            (&stopped, "stopped"),
            (&gone, "missing"),
            ("old-mo-ioc-01", "crash-looping"),
            ("group-ioc", "image-pull"),
            ("moon-ioc", "unschedulable"),
        ]
        .iter()
        .all(|(name, state)| row(&site, name)["state"] == *state)
    });

    let good = row(&site, &runs);
    assert_eq!(good["revision"], 1);
    assert_eq!(good["health"], "healthy");
    assert!(good["node"].as_str().unwrap().starts_with("node-"));
    assert!(
        good["image_digest"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    assert_eq!(good["drift"], serde_json::json!([]));
    let old = row(&site, "old-mo-ioc-01");
    assert_eq!(
        (&old["version"], &old["last_exit"]),
        (&"2021.10.7".into(), &"3".into())
    );
    assert_eq!(row(&site, "no-ioc"), Value::Null);
    // scaled past Helm: the release says one
    let drift = row(&site, &stopped)["drift"].to_string();
    assert!(drift.contains("spec.replicas: 0 instead of 1"), "{drift}");

    let everywhere = site.json(&["ps", "-A", "-o", "json"]);
    let namespaces: Vec<&Value> = everywhere
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["name"] == "group-ioc")
        .map(|row| &row["namespace"])
        .collect();
    assert!(
        namespaces.contains(&&Value::from(site.name())),
        "{namespaces:?}"
    );

    let story = site.run(&["status", "old-mo-ioc-01"]);
    for part in [
        "ends again and again",
        "ended with 3",
        "| last words",
        "`ioc logs old-mo-ioc-01 --previous`",
        "BackOff",
    ] {
        assert!(story.contains(part), "{part} is not in\n{story}");
    }
    let story = site.run(&["status", "moon-ioc"]);
    assert!(
        story.contains("finds no node") && story.contains("FailedScheduling"),
        "{story}"
    );
    let story = site.run(&["status", &gone]);
    assert!(
        story.contains("is released, and nothing of it is there"),
        "{story}"
    );
    let story = site.json(&["status", &runs, "-o", "json"]);
    assert_eq!(story["state"], "running");
    assert_eq!(story["release"]["revision"], 1);
    assert_eq!(story["machine"]["host_network"], true);
    assert_eq!(story["configuration"]["is_current"], true);
    let modules = story["modules"].as_array().unwrap();
    assert!(
        modules.iter().any(|module| module["name"] == "epics-base"),
        "{modules:?}"
    );
    let volumes = story["volumes"].as_array().unwrap();
    assert!(
        volumes
            .iter()
            .any(|volume| volume["state"].as_str().unwrap().starts_with("bound")),
        "{volumes:?}"
    );

    // a beamline on a cluster that is not known hides no other
    site.append(
        "ioc.toml",
        "\n[beamline.far]\nrepository = \"far\"\nbackend = \"kubernetes\"\ncontext = \"nowhere\"\n",
    );
    let report = site.run(&["ps"]);
    assert!(
        report.starts_with("exit code: 4")
            && report.contains("the kubeconfig has no context `nowhere`")
            && report.contains("crash-looping"),
        "{report}"
    );
    let ioc = std::fs::read_to_string(site.project().join("ioc.toml")).unwrap();
    let (before, _) = ioc.split_once("\n[beamline.far]").unwrap();
    site.write("ioc.toml", before);

    let both = site.succeed(&["logs", &runs, "old-mo-ioc-01"]);
    for (name, line) in [(runs.as_str(), "iocRun"), ("old-mo-ioc-01", "last words")] {
        let mut lines = both.lines();
        assert!(
            lines.any(|one| one.starts_with(name) && one.contains(line)),
            "{both}"
        );
    }

    let refused = site.refuse(&["ps", "group-iok"]);
    assert!(refused.contains("did you mean `group-ioc`?"), "{refused}");
}

#[test]
fn the_shell_of_an_ioc_is_reached_and_left_alone() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    site.helm_deploy(&instance, &["--wait", "--timeout", "60s"]);

    let code = site
        .command(&[
            "exec",
            &instance,
            "--",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 7",
        ])
        .output()
        .unwrap();
    assert_eq!(code.status.code(), Some(7), "{}", site.report(&code));
    assert_eq!(code.stdout, b"out\n");
    assert_eq!(code.stderr, b"err\n");
    let mut piped = site
        .command(&["exec", &instance, "--", "md5sum"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    piped
        .stdin
        .take()
        .unwrap()
        .write_all(&vec![b'x'; 300_000])
        .unwrap();
    let sum = piped.wait_with_output().unwrap();
    assert_eq!(
        sum.stdout,
        b"d408ed46ebcc326f9e7c6bb9c77af1cd  -\n".as_slice()
    );
    let missing = site.refuse(&["exec", &instance, "--", "nonsense"]);
    assert!(
        missing.contains("the container has no such command"),
        "{missing}"
    );

    let command = ["--", "sh", "-c", "cat /proc/1/comm; id -u; exit 7"];
    let beside = |image: &str| {
        let options = ["exec", instance.as_str(), "--debug-image", image];
        site.command(&[&options[..], &command].concat())
            .output()
            .unwrap()
    };
    let within = site
        .command(&[&["exec", instance.as_str()], &command[..]].concat())
        .output()
        .unwrap();
    let looked = beside(&sim_image_name());
    assert_eq!(looked.status.code(), Some(7), "{}", site.report(&looked));
    assert_eq!(looked.stdout, within.stdout, "{}", site.report(&looked));
    let missing = beside("localhost/none:1");
    let missing = site.report(&missing);
    assert!(
        missing.contains("localhost/none:1") && missing.contains("the IOC is not touched"),
        "{missing}"
    );
    // it ends with whoever asked for it
    site.until("the container beside has ended", || {
        let states = site.kubectl(&[
            "get",
            "pod",
            &format!("{instance}-0"),
            "-o",
            "jsonpath={.status.ephemeralContainerStatuses[?(@.name=='ioc-debug-1')].state}",
        ]);
        states.contains("terminated")
    });

    let mut script = site
        .command(&["attach", &instance, "--tail", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(b"dbl\n").unwrap();
    let answer = script.wait_with_output().unwrap();
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.contains(":STAGE:TEMP"), "{answer}");

    let mut terminal = Terminal::run(&site.command(&["attach", &instance]));
    terminal.expect("attached");
    terminal.press("\r");
    terminal.expect(&format!("{instance} > "));
    terminal.press(CTRL_C);
    terminal.expect("Ctrl-C would end the IOC");
    terminal.press("exit\r");
    terminal.expect("`exit` ends the IOC");
    terminal.press("n");
    terminal.press(LEAVE);
    terminal.expect("left the console");
    let (status, _) = terminal.end();
    assert!(status.success());
    assert_eq!(row(&site, &instance)["restarts"], 0);
}

#[test]
fn logs_go_on_through_a_restart_and_a_new_pod() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    site.helm_deploy(&instance, &["--wait", "--timeout", "60s"]);
    let refused = site.refuse(&["logs", &instance, "--previous"]);
    assert!(
        refused.contains("there is nothing from before"),
        "{refused}"
    );

    let mut follower = site
        .command(&["logs", "-f", &instance])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut until = |text: &str| loop {
        let line = lines.next().unwrap().unwrap();
        if line.contains(text) {
            break;
        }
    };
    until("All initialization complete");
    // the IOC crashes inside its pod
    site.kubectl(&[
        "exec",
        &format!("{instance}-0"),
        "--",
        "bash",
        "-c",
        "kill -SEGV $(pidof ioc) || kill -SEGV 1",
    ]);
    until("All initialization complete");
    // and its pod is made anew
    site.kubectl(&["delete", "pod", &format!("{instance}-0"), "--wait=false"]);
    until("All initialization complete");
    follower.kill().unwrap();
    follower.wait().unwrap();

    let lines = site.succeed(&[
        "logs",
        &instance,
        "--timestamps",
        "--grep",
        "initialization",
    ]);
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

#[test]
fn a_missing_permission_is_named_or_done_without() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    site.helm_deploy(&instance, &["--wait", "--timeout", "60s"]);
    let as_user = |kubeconfig: &std::path::Path, arguments: &[&str]| {
        let kubeconfig = kubeconfig.display().to_string();
        let options = ["--kubeconfig", &kubeconfig, "-n", site.name()];
        // before a `--` of the arguments
        let (verb, rest) = arguments.split_at(1);
        let arguments = [verb, &options, rest].concat();
        let output = site.command(&arguments).output().unwrap();
        (output.status.code(), site.report(&output))
    };
    let looks = site.user(
        "looks",
        &["apps|statefulsets,deployments|get,list", "|pods|get,list"],
    );
    let (code, text) = as_user(&looks, &["ps"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("running") && text.contains("versions and revisions are not shown"),
        "{text}"
    );
    let (code, text) = as_user(&looks, &["exec", &instance, "--", "true"]);
    assert_eq!(code, Some(13), "{text}");
    assert!(text.contains("pods/exec"), "{text}");
    let (code, text) = as_user(&looks, &["logs", &instance]);
    assert_eq!(code, Some(13), "{text}");
    assert!(text.contains("pods/log"), "{text}");

    let blind = site.user("blind", &["apps|statefulsets,deployments|list"]);
    let (code, text) = as_user(&blind, &["ps"]);
    assert_eq!(code, Some(13), "{text}");
    assert!(text.contains("may not list `pods`"), "{text}");
}

#[test]
fn a_list_on_the_screen_follows_what_happens() {
    let Some(site) = Site::new() else { return };
    let instance = site.add("ea-ioc-01");
    site.helm_deploy(&instance, &["--wait", "--timeout", "60s"]);
    let mut terminal = Terminal::run(&site.command(&["ps", "-w"]));
    terminal.resize(200, 40);
    terminal.expect("running");
    site.kubectl(&["scale", &format!("statefulset/{instance}"), "--replicas=0"]);
    terminal.expect("stopped");
    site.kubectl(&["scale", &format!("statefulset/{instance}"), "--replicas=1"]);
    terminal.expect("running");
    terminal.press(CTRL_C);
    let (status, shown) = terminal.end();
    assert!(status.success(), "{shown}");
}
