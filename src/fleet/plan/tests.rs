use std::collections::BTreeMap;

use super::*;
use crate::fleet::manifest;
use crate::fleet::workload::{self, Surroundings, Workloads};

const BEFORE: &str = r#"---
kind: ConfigMap
metadata: {name: c}
data:
  ioc.db: |
    record(ai, "T") {
      field(HIGH, "80")
      field(HIHI, "90")
    }
  old.req: x
---
kind: Secret
metadata: {name: s}
data: {password: Z2VoZWlt}
---
kind: Pod
metadata: {name: p, labels: {app.kubernetes.io/name: x}}
spec:
  hostNetwork: true
  containers:
    - name: ioc
      image: localhost/ioc-sim:1
      env: [{name: A, value: "1"}, {name: B, value: "2"}]
    - {name: side, image: "localhost/side:1"}
---
kind: ServiceAccount
metadata: {name: gone}
"#;

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn shown(before: &str, after: &str) -> String {
    let before = manifest::parse(before).unwrap();
    let after = manifest::parse(after).unwrap();
    plain(&show::changes(&changes(&before, &after)))
}

#[test]
fn equal_manifests_have_no_changes_whatever_their_layout() {
    let again = BEFORE.replace("Z2VoZWlt", "\"Z2VoZWlt\"");
    assert_eq!(shown(BEFORE, &again), "");
}

#[test]
fn changes_are_shown_by_resource_and_field_and_secrets_stay_hidden() {
    let after = BEFORE
        .replace("\"80\"", "\"60\"")
        .replace("  old.req: x\n", "  new.req: |\n    a\n    b\n")
        .replace("Z2VoZWlt", "bmV1")
        .replace(
            "[{name: A, value: \"1\"}, {name: B, value: \"2\"}]",
            "[{name: Z, value: \"\\e[2J\"}, {name: B, value: \"3\"}]",
        )
        .replace("app.kubernetes.io/name: x", "app.kubernetes.io/name: y")
        .replace(
            "kind: ServiceAccount\nmetadata: {name: gone}",
            "kind: Service\nmetadata: {name: new}",
        );
    let text = shown(BEFORE, &after);
    assert!(!text.contains("bmV1") && !text.contains('\u{1b}'), "{text}");
    insta::assert_snapshot!(text, @r#"
    ~ ConfigMap c
        data[ioc.db]:
            record(ai, "T") {
          -   field(HIGH, "80")
          +   field(HIGH, "60")
              field(HIHI, "90")
            }
        - data[old.req]: x
        + data[new.req]: 2 lines
    ~ Secret s
        data.password: hidden, 8 characters -> hidden, 4 characters
    ~ Pod p
        metadata.labels[app.kubernetes.io/name]: x -> true
        - spec.containers[ioc].env[A]: {"name":"A","value":"1"}
        spec.containers[ioc].env[B].value: 2 -> 3
        + spec.containers[ioc].env[Z]: {"name":"Z","value":"\u001b[2J"}
    + Service new
    - ServiceAccount gone
    "#);
}

#[test]
fn an_order_of_variables_that_changed_is_a_change() {
    let after = BEFORE.replace(
        "[{name: A, value: \"1\"}, {name: B, value: \"2\"}]",
        "[{name: B, value: \"2\"}, {name: A, value: \"1\"}]",
    );
    insta::assert_snapshot!(shown(BEFORE, &after), @r#"
    ~ Pod p
        spec.containers[ioc].env (order): ["A","B"] -> ["B","A"]
    "#);
}

fn wanted() -> Workloads {
    let resources = manifest::parse(BEFORE).unwrap();
    let surroundings = Surroundings {
        namespace: "t01",
        node: "here",
    };
    workload::read("p", &resources, &surroundings).unwrap()
}

fn existing(workloads: &Workloads) -> Existing {
    let pod = &workloads.pods[0];
    Existing {
        pod: pod.name.clone(),
        hash: Some(pod.hash.clone()),
        containers: BTreeMap::from([
            ("ioc".to_owned(), "sha256:1".to_owned()),
            ("side".to_owned(), "sha256:2".to_owned()),
        ]),
        running: true,
    }
}

#[test]
fn actions_follow_from_what_is_wanted_and_what_is_there() {
    let workloads = wanted();
    let images = ImageFact::from([
        ("localhost/ioc-sim:1".to_owned(), "sha256:1".to_owned()),
        ("localhost/side:1".to_owned(), "sha256:2".to_owned()),
    ]);
    let there = existing(&workloads);
    let with = |change: &dyn Fn(&mut Existing)| {
        let mut one = existing(&workloads);
        change(&mut one);
        vec![one]
    };
    let rebuilt = ImageFact::from([("localhost/ioc-sim:1".to_owned(), "sha256:9".to_owned())]);
    let stranger = Existing {
        pod: "q".into(),
        ..there.clone()
    };
    let cases: Vec<(&str, Vec<Existing>, &ImageFact, bool)> = vec![
        ("nothing there", vec![], &images, false),
        ("as it should be", vec![there.clone()], &images, false),
        (
            "not running",
            with(&|one| one.running = false),
            &images,
            false,
        ),
        (
            "not running on purpose",
            with(&|one| one.running = false),
            &images,
            true,
        ),
        (
            "running against the intent",
            vec![there.clone()],
            &images,
            true,
        ),
        (
            "another template",
            with(&|one| one.hash = Some("0".into())),
            &images,
            false,
        ),
        (
            "mixed templates",
            with(&|one| one.hash = None),
            &images,
            false,
        ),
        (
            "a container is missing",
            with(&|one| drop(one.containers.remove("side"))),
            &images,
            false,
        ),
        ("image built again", vec![there.clone()], &rebuilt, false),
        ("a pod too many", vec![there, stranger], &images, false),
    ];
    let mut text = String::new();
    for (name, existing, images, stopped) in &cases {
        let actions = actions(&workloads, existing, images, *stopped);
        text.push_str(&format!("{name}:\n{}", plain(&show::actions(&actions))));
    }
    insta::assert_snapshot!(text, @"
    nothing there:
      start p (ioc, side)
    as it should be:
      keep p, it is not restarted
    not running:
      start p, which does not run
    not running on purpose:
      keep p, it is not restarted
    running against the intent:
      stop p
    another template:
      replace p: its template changed
    mixed templates:
      replace p: it is not complete
    a container is missing:
      replace p: it is not complete
    image built again:
      replace p: its image was built again
    a pod too many:
      stop and remove q
      keep p, it is not restarted
    ");
}

#[test]
fn what_kubectl_has_noted_of_a_secret_stays_hidden() {
    let secret = |value: &str| {
        serde_json::json!({"metadata": {"annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": value, "team": value,
        }}})
    };
    let shown: Vec<String> = super::fields("Secret", &secret("Z2VoZWlt"), &secret("bmV1"))
        .iter()
        .map(|change| format!("{} {:?}", change.path, change.after))
        .collect();
    let [noted, team] = shown.as_slice() else {
        panic!("{shown:?}");
    };
    assert!(noted.contains("hidden, 4 characters"), "{noted}");
    assert!(team.contains("bmV1"), "{team}");
}

#[test]
fn records_are_one_line_each_and_bounded() {
    let field = |name: &str, before: Option<&str>, after: Option<&str>| FieldValue {
        field: name.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let record = |name: &str, nature, fields| RecordChange {
        name: name.to_owned(),
        record_type: "ai".to_owned(),
        nature,
        fields,
    };
    let many: Vec<FieldValue> = ('A'..='K')
        .map(|letter| field(&letter.to_string(), None, Some("1")))
        .collect();
    let mut changes = vec![
        record(
            "T01:TEMP",
            Nature::Changed,
            vec![
                field("HIHI", Some("80"), Some("90")),
                field("DESC", Some(""), Some("hot, \u{1b}[31mvery hot")),
                field("EGU", None, Some("C")),
                field("LOLO", Some("3"), None),
            ],
        ),
        record("T01:MANY", Nature::Changed, many),
        record(
            "T01:OLD",
            Nature::Removed,
            vec![field("DESC", Some("Old one"), None)],
        ),
    ];
    let new = (0..352).map(|number| record(&format!("N{number:03}"), Nature::Added, Vec::new()));
    changes.extend(new);
    let records = Records {
        changes,
        not_compared: vec!["those of `x.db`: no image".to_owned()],
    };
    let text = plain(&show::records(&records));
    assert!(!text.contains('\u{1b}'), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 40 + 2, "{text}");
    insta::assert_snapshot!(format!("{}\n{}", lines[..5].join("\n"), lines[40..].join("\n")), @r#"
    records: 2 changed, 1 removed, 352 added
      ~ record ai T01:TEMP  HIHI 80 -> 90, DESC "" -> "hot, �[31mvery hot", +EGU C, -LOLO 3
      ~ record ai T01:MANY  +A 1, +B 1, +C 1, +D 1, +E 1, +F 1, +G 1, +H 1, … 3 more fields
      - record ai T01:OLD  "Old one"
      + record ai N000
      + record ai N036
      … and 315 more records
    records not compared: those of `x.db`: no image
    "#);
    assert_eq!(show::records(&Records::default()), "");
}
