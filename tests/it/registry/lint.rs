//! `ioc chart lint` says what `helm lint` says, to the byte.

use super::Bed;

/// A chart by name: its files.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const CHART: &str = "apiVersion: v2\nname: a\nversion: 0.1.0\n";
const T: &str = "templates/x.yaml";

const CASES: &[Case] = &[
    ("plain", &[("Chart.yaml", CHART), (T, "")]),
    ("no-templates", &[("Chart.yaml", CHART)]),
    (
        "templates-is-a-file",
        &[("Chart.yaml", CHART), ("templates", "x")],
    ),
    (
        "icon",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 0.1.0\nicon: https://x.example/y.png\n",
            ),
            ("values.yaml", "a: 1\n"),
            (T, "kind: A\nmetadata: {name: a}\n"),
        ],
    ),
    (
        "no-version",
        &[("Chart.yaml", "apiVersion: v2\nname: a\n"), (T, "")],
    ),
    (
        "bad-version",
        &[
            ("Chart.yaml", "apiVersion: v2\nname: a\nversion: a.b\n"),
            (T, ""),
        ],
    ),
    (
        "loose-version",
        &[
            ("Chart.yaml", "apiVersion: v2\nname: a\nversion: v1.2\n"),
            (T, ""),
        ],
    ),
    (
        "number-version",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 1\nappVersion: 1.5\n",
            ),
            (T, ""),
        ],
    ),
    (
        "no-api",
        &[("Chart.yaml", "name: a\nversion: 0.1.0\n"), (T, "")],
    ),
    (
        "api-v3",
        &[
            ("Chart.yaml", "apiVersion: v3\nname: a\nversion: 0.1.0\n"),
            (T, ""),
        ],
    ),
    (
        "type",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 0.1.0\ntype: foo\n",
            ),
            (T, ""),
        ],
    ),
    (
        "library",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 0.1.0\ntype: library\n",
            ),
            ("templates/_x.tpl", ""),
        ],
    ),
    (
        "people",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 0.1.0\nmaintainers: [{email: x}]\nsources: [foo]\nicon: foo\n",
            ),
            (T, ""),
        ],
    ),
    (
        "mail",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 0.1.0\nmaintainers: [{name: A, email: x}]\n",
            ),
            (T, ""),
        ],
    ),
    (
        "tab",
        &[
            ("Chart.yaml", "apiVersion: v2\nname: a\n\tversion: 1\n"),
            (T, ""),
        ],
    ),
    (
        "wrong-type",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 0.1.0\nappVersion: [1]\n",
            ),
            (T, ""),
        ],
    ),
    (
        "unknown-key",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 0.1.0\nfoo: 1\n",
            ),
            (T, ""),
        ],
    ),
    (
        "same-dependency-twice",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 0.1.0\ndependencies: [{name: b, version: 1.x, repository: 'https://x.example'}, {name: b, version: 1.x, repository: 'https://x.example'}]\n",
            ),
            (T, ""),
        ],
    ),
    (
        "missing-dependency",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: a\nversion: 0.1.0\ndependencies: [{name: b, version: 1.x, repository: 'https://x.example'}]\n",
            ),
            (T, ""),
        ],
    ),
    (
        "undeclared-dependency",
        &[
            ("Chart.yaml", CHART),
            (T, ""),
            (
                "charts/b/Chart.yaml",
                "apiVersion: v2\nname: b\nversion: 0.1.0\n",
            ),
        ],
    ),
    (
        "values-are-a-list",
        &[("Chart.yaml", CHART), (T, ""), ("values.yaml", "- a\n")],
    ),
    (
        "values-with-a-tab",
        &[
            ("Chart.yaml", CHART),
            (T, ""),
            ("values.yaml", "a:\n\tb: 2\n"),
        ],
    ),
    (
        "schema",
        &[
            ("Chart.yaml", CHART),
            (T, ""),
            ("values.yaml", "a: 1\n"),
            (
                "values.schema.json",
                "{\"required\":[\"x\"],\"properties\":{\"a\":{\"type\":\"string\"}}}",
            ),
        ],
    ),
    (
        "template-fails",
        &[("Chart.yaml", CHART), (T, "{{ .Values.a.b }}\n")],
    ),
    (
        "template-is-no-yaml",
        &[("Chart.yaml", CHART), (T, "a: b\n c: d\n")],
    ),
    (
        "required-is-forgiven",
        &[
            ("Chart.yaml", CHART),
            (T, "{{ required \"x\" .Values.x }}{{ fail \"y\" }}\n"),
        ],
    ),
    (
        "extension",
        &[
            ("Chart.yaml", CHART),
            ("templates/x.foo", "a: 1\n"),
            ("templates/_y.yaml", ""),
        ],
    ),
    (
        "names",
        &[
            ("Chart.yaml", CHART),
            (
                T,
                "kind: Service\nmetadata: {name: 1a}\n---\nkind: Namespace\nmetadata: {name: a.b}\n---\nkind: Role\nmetadata: {name: a/b}\n---\nkind: Widget\nmetadata: {name: A_b}\n---\nkind: Pod\n",
            ),
        ],
    ),
    (
        "deprecated",
        &[
            ("Chart.yaml", CHART),
            (
                T,
                "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ComponentStatus\nmetadata: {name: a}\n",
            ),
        ],
    ),
    (
        "selector",
        &[
            ("Chart.yaml", CHART),
            (
                T,
                "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\n",
            ),
        ],
    ),
    (
        "list",
        &[
            ("Chart.yaml", CHART),
            (
                T,
                "apiVersion: v1\nkind: List\nmetadata: {name: a}\nitems: [{kind: A, metadata: {annotations: {helm.sh/resource-policy: keep}}}]\n",
            ),
        ],
    ),
    (
        "indent",
        &[
            ("Chart.yaml", CHART),
            (T, "\n  a: b\n  metadata: {name: x}\n"),
        ],
    ),
    (
        "crds",
        &[
            ("Chart.yaml", CHART),
            (T, ""),
            ("crds/a.yaml", "apiVersion: v1\nkind: ConfigMap\n"),
            (
                "crds/b.yaml",
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n",
            ),
        ],
    ),
];

#[test]
fn lint_says_what_helm_says() {
    let Some(bed) = Bed::new("lint") else { return };
    let mut wrong = Vec::new();
    for (name, files) in CASES {
        for (file, text) in *files {
            bed.context.write(&format!("{name}/{file}"), text);
        }
        for options in [&[][..], &["--strict"], &["--quiet"]] {
            let theirs = bed.helm(&[&["lint", name], options].concat());
            let ours = bed
                .context
                .command(&[&["chart", "lint", name], options].concat())
                .output()
                .unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            // helm writes the sum of a failure to standard error
            let errors = text(&theirs.stderr);
            let sum = errors
                .lines()
                .filter_map(|line| line.strip_prefix("Error: "));
            let expected = sum.fold(text(&theirs.stdout), |all, line| all + line + "\n");
            let found = text(&ours.stdout);
            if found != expected || ours.status.code() != theirs.status.code() {
                wrong.push(format!(
                    "{name} {options:?}\n--- helm\n{expected}--- ioc\n{found}{}",
                    text(&ours.stderr)
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn what_helm_is_silent_about_is_said_beside() {
    let context = crate::context::TestContext::new();
    context.write("a/Chart.yaml", CHART);
    context.write("a/templates/x.yaml", "");
    context.write("a/values.yaml", "a: 1\nb: 2\na: 3\n");
    let report = context.run(&["chart", "lint", "a"]);
    assert!(report.starts_with("exit code: 0"), "{report}");
    assert!(
        report.contains("a key stands here a second time"),
        "{report}"
    );
    assert!(report.contains("--> a/values.yaml:3:1"), "{report}");
}
