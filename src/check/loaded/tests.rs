use std::fmt::Write as _;

use super::*;
use crate::fleet::manifest;
use crate::fleet::plan::show;

/// An instance on a cluster: with what only a cluster knows, and a password from a Secret.
fn manifests<S: AsRef<str>>(files: &[(&str, S)], password: &str) -> String {
    let mut data = String::new();
    for (name, text) in files {
        writeln!(data, "  {name}: {:?}", text.as_ref()).unwrap();
    }
    format!(
        r#"---
kind: ConfigMap
metadata: {{name: config}}
data:
{data}---
kind: Secret
metadata: {{name: login}}
stringData: {{password: "{password}", "secret.db": "record(ai, \"S\") {{}}"}}
---
kind: StatefulSet
metadata: {{name: a}}
spec:
  replicas: 2
  template:
    metadata: {{labels: {{ioc: "true", chart: "{password}"}}}}
    spec:
      nodeName: somewhere-else
      priorityClassName: beamline
      noSuchField: 1
      containers:
        - name: a
          image: x:1
          command: [bash, -c, /epics/ioc/start.sh]
          env:
            - {{name: IOC_PREFIX, value: T01}}
            - {{name: PASSWORD, valueFrom: {{secretKeyRef: {{name: login, key: password}}}}}}
            - {{name: HOST, valueFrom: {{fieldRef: {{fieldPath: status.hostIP}}}}}}
          envFrom: [{{secretRef: {{name: login}}}}, {{configMapRef: {{name: not-here}}}}]
          volumeMounts:
            - {{name: config, mountPath: /epics/ioc/config}}
            - {{name: secret, mountPath: /epics/ioc/secret}}
            - {{name: data, mountPath: /autosave}}
      volumes:
        - {{name: config, configMap: {{name: config}}}}
        - {{name: secret, secret: {{secretName: login}}}}
        - {{name: other, csi: {{driver: x}}}}
  volumeClaimTemplates: [{{metadata: {{name: data}}}}]
"#
    )
}

fn ioc<S: AsRef<str>>(files: &[(&str, S)], password: &str) -> Result<Option<Ioc>, String> {
    let resources = manifest::parse(&manifests(files, password)).unwrap();
    reduced::ioc("a", "t01", &resources)
}

/// What is shown of a change of the files.
fn shown<S: AsRef<str>>(before: &[(&str, S)], after: &[(&str, S)], images: &Found) -> String {
    let read = |files| ioc(files, "geheim").unwrap().unwrap();
    let records = difference(&read(before), &read(after), images);
    anstream::adapter::strip_str(&show::records(&records)).to_string()
}

fn not_at_hand() -> Found {
    Found {
        missing: Some("the container engine has no image `x:1`".to_owned()),
        ..Found::default()
    }
}

/// An image with one database that uses a variable of the image.
fn image() -> Found {
    let contents = serde_json::json!({
        "form": 1, "id": "sha256:1", "links": {}, "complete": true,
        "environment": {"EPICS_DB_INCLUDE_PATH": "/epics/support/plant/db", "PLANT": "/epics/support/plant"},
        "files": {"/epics/support/plant/db/plant.db":
            "record(ai, \"$(P)TEMP\") { field(DESC, \"in $(PLANT)\") field(HIHI, \"$(HIHI=80)\") }"},
    });
    Found {
        before: Some(serde_json::from_value(contents).unwrap()),
        ..Found::default()
    }
}

const START: &str = "dbLoadRecords(\"a.db\", \"P=$(IOC_PREFIX):\")\niocInit\n";
const DATABASE: &str = "record(ai, \"$(P)A\") { field(HIHI, \"80\") }\n";

#[test]
fn macros_are_expanded_before_and_after() {
    let files = |high: &str| {
        let start = format!("dbLoadRecords(\"a.db\", \"P=$(IOC_PREFIX):,H={high}\")\niocInit\n");
        let database = "record(ai, \"$(P)A\") { field(HIHI, \"$(H)\") }\n";
        [("st.cmd", start), ("a.db", database.to_owned())]
    };
    insta::assert_snapshot!(shown(&files("80"), &files("90"), &not_at_hand()), @"
    records: 1 changed
      ~ record ai T01:A  HIHI 80 -> 90
    ");
}

#[test]
fn templates_and_substitutions_are_expanded() {
    let start = "dbLoadTemplate(\"config/a.substitutions\")\ndbLoadRecords(\"ioc.db\")\niocInit\n";
    let files = |rows: &str| {
        let set = format!("file \"a.template\" {{ pattern {{ N, H }}\n{rows} }}\n");
        [
            ("st.cmd", start.to_owned()),
            ("ioc.subst", set.replace("a.template", "b.template")),
            ("a.substitutions", set),
            (
                "a.template",
                "record(ai, \"T$(N)\") { field(HIHI, \"$(H)\") }\n".to_owned(),
            ),
            (
                "b.template",
                "record(ai, \"M$(N)\") { field(HIHI, \"$(H)\") }\n".to_owned(),
            ),
        ]
    };
    let (before, after) = (files("{ 1, 5 }\n{ 2, 5 }"), files("{ 2, 6 }\n{ 3, 5 }"));
    insta::assert_snapshot!(shown(&before, &after, &image()), @"
    records: 2 changed, 2 removed, 2 added
      ~ record ai T2  HIHI 5 -> 6
      ~ record ai M2  HIHI 5 -> 6
      - record ai T1
      - record ai M1
      + record ai T3
      + record ai M3
    ");
}

#[test]
fn databases_of_the_image_are_read_where_it_is_at_hand() {
    let start = |high: &str| format!("dbLoadRecords(\"plant.db\", \"P=T01:{high}\")\niocInit\n");
    let (before, after) = (start(""), start(",HIHI=85"));
    let (before, after) = ([("st.cmd", before.as_str())], [("st.cmd", after.as_str())]);
    insta::assert_snapshot!(shown(&before, &after, &image()), @"
    records: 1 changed
      ~ record ai T01:TEMP  HIHI 80 -> 85
    ");
    insta::assert_snapshot!(shown(&before, &after, &not_at_hand()), @"  records not compared: those of `plant.db`: the container engine has no image `x:1`");
    // the line itself cannot be read without a variable of the image
    let with_variable = |text: &str| text.replace("\"plant.db\"", "\"$(PLANT)/db/plant.db\"");
    let (before, after) = (with_variable(before[0].1), with_variable(after[0].1));
    let (before, after) = ([("st.cmd", before.as_str())], [("st.cmd", after.as_str())]);
    insta::assert_snapshot!(shown(&before, &after, &image()), @"
    records: 1 changed
      ~ record ai T01:TEMP  HIHI 80 -> 85
    ");
    insta::assert_snapshot!(shown(&before, &after, &not_at_hand()), @r#"  records not compared: those of `dbLoadRecords("$(PLANT)/db/plant.db", "P=T01:")`, `dbLoadRecords("$(PLANT)/db/plant.db", "P=T01:,HIHI=85")`: the container engine has no image `x:1`"#);
}

#[test]
fn what_may_be_in_a_file_that_was_not_read_is_neither_new_nor_gone() {
    let here = [("st.cmd", START), ("a.db", DATABASE)];
    let elsewhere = START.replace("a.db", "../db/a.db");
    let elsewhere = [("st.cmd", elsewhere.as_str()), ("b.db", "")];
    let gone = [("st.cmd", "iocInit\n")];
    insta::assert_snapshot!(shown(&here, &elsewhere, &not_at_hand()), @"  records not compared: those of `../db/a.db`: the container engine has no image `x:1`");
    insta::assert_snapshot!(shown(&elsewhere, &here, &not_at_hand()), @"  records not compared: those of `../db/a.db`: the container engine has no image `x:1`");
    insta::assert_snapshot!(shown(&here, &gone, &not_at_hand()), @"
    records: 1 removed
      - record ai T01:A
    ");
}

#[test]
fn what_does_not_parse_falls_back_to_the_lines() {
    let good = [("st.cmd", START), ("a.db", DATABASE)];
    let broken = [("st.cmd", START), ("a.db", "# one\nrecord(ai, \"X\" {\n")];
    insta::assert_snapshot!(shown(&good, &broken, &not_at_hand()), @"  records not compared: `a.db` does not parse, line 2: `{` is not expected here; the lines that differ stand above");
    insta::assert_snapshot!(shown(&broken, &good, &not_at_hand()), @"  records not compared: of what is deployed, `a.db` does not parse, line 2: `{` is not expected here; the lines that differ stand above");
    let by_itself = [("start.sh", "exec softIoc\n"), ("a.db", DATABASE)];
    insta::assert_snapshot!(shown(&good, &by_itself, &not_at_hand()), @"  records not compared: `config/start.sh` starts it, so what is loaded is not known");
    insta::assert_snapshot!(shown(&by_itself, &good, &not_at_hand()), @"  records not compared: of what is deployed, `config/start.sh` starts it, so what is loaded is not known");
}

#[test]
fn secrets_are_not_shown() {
    let database = "record(stringin, \"A\") { field(VAL, \"$(V)\") field(DESC, \"$(D)\") }\n";
    let start = |text: &str| {
        format!(
            "dbLoadRecords(\"a.db\", \"V=$(password),D={text}\")\ndbLoadRecords(\"secret/secret.db\")\niocInit\n"
        )
    };
    let (before, after) = (start("$(PASSWORD)1"), start("$(PASSWORD)2"));
    let files = |start: &str| [("st.cmd", start.to_owned()), ("a.db", database.to_owned())];
    let text = shown(&files(&before), &files(&after), &image());
    assert!(!text.contains("geheim"), "{text}");
    insta::assert_snapshot!(text, @"
    records: 1 changed
      ~ record stringin A  DESC *hidden*1 -> *hidden*2
    records not compared: those of `secret/secret.db`: they are neither in the configuration nor in the image
    ");
    // another password alone is no difference of records
    let one = ioc(&files(&before), "geheim").unwrap();
    assert!(one.is_some());
    assert_eq!(one, ioc(&files(&before), "anders").unwrap());
}

#[test]
fn services_that_are_no_iocs_have_no_records() {
    let text = "kind: Deployment\nmetadata: {name: opis}\nspec: {template: {spec: {containers: [{name: opis, image: nginx, command: [nginx]}]}}}\n";
    let resources = manifest::parse(text).unwrap();
    assert_eq!(reduced::ioc("opis", "t01", &resources), Ok(None));
    assert_eq!(reduced::ioc("opis", "t01", &[]), Ok(None));
}
