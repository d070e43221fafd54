use super::*;

fn said(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    let options = LintOptions {
        namespace: "default".into(),
        capabilities: Capabilities::default(),
        skip_schema: false,
        now: Zoned::now(),
    };
    lint(folder.path(), &Value::empty_map(), &options)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect()
}

const CHART: (&str, &str) = (
    "Chart.yaml",
    "apiVersion: v2\nname: a\nversion: 0.1.0\nicon: https://x/y\n",
);

#[test]
fn a_good_chart_is_not_talked_about() {
    let template =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ required \"x\" .Values.x }}a}\n";
    let said = said(&[
        CHART,
        ("values.yaml", "a: 1\n"),
        ("templates/a.yaml", template),
    ]);
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn objects_are_judged() {
    let template =
        "kind: Deployment\napiVersion: apps/v1beta1\nmetadata: {name: A}\n---\n bad: yaml: too\n";
    let said = said(&[CHART, ("values.yaml", ""), ("templates/a.yaml", template)]);
    assert_eq!(said.len(), 4, "{said:#?}");
    assert!(said[0].starts_with("[WARNING] templates/a.yaml: object name does not conform"));
    assert_eq!(
        said[1],
        "[WARNING] templates/a.yaml: apps/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment"
    );
    assert!(said[2].starts_with("[ERROR] templates/a.yaml: a Deployment must contain matchLabels"));
    assert!(said[3].starts_with("[ERROR] templates/a.yaml: unable to parse YAML"));
}

#[test]
fn a_chart_of_version_1_is_told_to_move() {
    let said = said(&[(
        "Chart.yaml",
        "apiVersion: v1\nname: a\nversion: 0.1.0\nicon: https://x/y\n",
    )]);
    assert!(
        said[0].contains("charts of apiVersion v1 are not supported"),
        "{said:#?}"
    );
}

#[test]
fn a_chart_inside_that_cannot_be_loaded_is_named_with_the_reason() {
    let said = said(&[
        CHART,
        ("values.yaml", ""),
        ("charts/s/values.yaml", "a: 1\n"),
    ]);
    let why = "error unpacking subchart s in a: Chart.yaml file is missing";
    assert!(said.iter().any(|line| line.contains(why)), "{said:#?}");
}
