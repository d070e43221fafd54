//! Charts, archives, values and references that are wrong.

use std::io::Write;

use crate::context::TestContext;

/// A gzipped tar of files of four bytes whose headers say what a hostile maker wrote.
fn archive(names: &[&str], size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        // `set_path` refuses what a hostile maker writes
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(b"text");
        bytes.extend_from_slice(&[0; 508]);
    }
    bytes.extend_from_slice(&[0; 1024]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_folder_that_is_no_chart() {
    let context = TestContext::new();
    context.write("app/values.yaml", "a: 1\n");
    insta::assert_snapshot!(context.refuse(&["chart", "package", "app"]), @"
    exit code: 3
    ----- stderr -----
    error: `app` is not a chart: it has no `Chart.yaml`
     --> app
    hint: name the folder that holds `Chart.yaml`, or a `.tgz` of one
    ");
}

#[test]
fn a_chart_that_is_not_there() {
    let context = TestContext::new();
    insta::assert_snapshot!(context.refuse(&["chart", "template", "nowhere"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no chart `nowhere`
    hint: name a folder with `Chart.yaml`, a `.tgz`, `oci://HOST/PATH/NAME`, or a name with `--repo URL`
    ");
}

#[test]
fn a_chart_file_that_is_no_yaml() {
    let context = TestContext::new();
    context.write(
        "app/Chart.yaml",
        "apiVersion: v2\nname: app\n\tversion: 1.0.0\n",
    );
    insta::assert_snapshot!(context.refuse(&["chart", "package", "app"]), @"
    exit code: 3
    ----- stderr -----
    error: found a tab character that violates indentation
     --> app/Chart.yaml:3:1
      |
    3 |  version: 1.0.0
      | ^
    ");
}

#[test]
fn a_chart_without_a_version() {
    let context = TestContext::new();
    context.write("app/Chart.yaml", "apiVersion: v2\nname: app\n");
    insta::assert_snapshot!(context.refuse(&["chart", "package", "app"]), @"
    exit code: 3
    ----- stderr -----
    error: `version` is required
     --> app/Chart.yaml
    ");
}

#[test]
fn a_chart_of_version_1() {
    let context = TestContext::new();
    context.write(
        "app/Chart.yaml",
        "apiVersion: v1\nname: app\nversion: 1.0.0\n",
    );
    insta::assert_snapshot!(context.refuse(&["chart", "template", "app"]), @"
    exit code: 3
    ----- stderr -----
    error: `app` is a chart of API version v1, which is not supported
     --> app
    hint: set `apiVersion: v2` in Chart.yaml and move `requirements.yaml` into its `dependencies`
    ");
}

#[test]
fn a_dependency_that_is_not_vendored() {
    let context = TestContext::new();
    context.write("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- name: lib\n  version: 1.x\n  repository: oci://registry.example/charts\n");
    insta::assert_snapshot!(context.refuse(&["chart", "template", "app"]), @"
    exit code: 3
    ----- stderr -----
    error: the chart needs `lib`, which is not in `charts/`
     --> app/Chart.yaml:5:9
      |
    5 | - name: lib
      |         ^^^
    hint: vendor it first: `ioc chart dependency build app`
    ");
}

#[test]
fn a_dependency_whose_folder_is_missing() {
    let context = TestContext::new();
    context.write("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- name: lib\n  version: 1.x\n  repository: file://../lib\n");
    insta::assert_snapshot!(context.refuse(&["chart", "dependency", "update", "app"]), @"
    exit code: 4
    ----- stderr -----
    error: the dependency `lib` cannot be had
     --> app/Chart.yaml:5:9
      |
    5 | - name: lib
      |         ^^^
      cause: there is no chart in `app/../lib`
    hint: nothing was changed
    ");
}

#[test]
fn a_value_that_the_schema_forbids() {
    let context = TestContext::new();
    context.write(
        "app/Chart.yaml",
        "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    );
    context.write(
        "app/values.schema.json",
        "{\"properties\": {\"size\": {\"type\": \"integer\"}}}",
    );
    insta::assert_snapshot!(context.refuse(&["chart", "template", "app", "--set", "size=big"]), @"
    exit code: 3
    ----- stderr -----
    error: `size`: got string, want integer
     --> app/values.schema.json
    hint: the schema of the chart `app` says so
    error: the values are not what the chart allows
    ");
}

#[test]
fn values_with_a_tab() {
    let context = TestContext::new();
    context.write(
        "app/Chart.yaml",
        "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    );
    context.write("more.yaml", "a:\n\tb: 1\n");
    insta::assert_snapshot!(context.refuse(&["chart", "template", "app", "-f", "more.yaml"]), @"
    exit code: 3
    ----- stderr -----
    error: found character that cannot start any token
     --> more.yaml:2:1
      |
    2 |  b: 1
      | ^
    hint: YAML is indented with blanks: replace the tabs
    ");
}

#[test]
fn a_template_that_fails() {
    let context = TestContext::new();
    context.write(
        "app/Chart.yaml",
        "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    );
    context.write(
        "app/templates/_x.tpl",
        "{{ define \"x\" }}\n{{ .Values.a.b }}{{ end }}\n",
    );
    context.write("app/templates/a.yaml", "a: {{ include \"x\" . }}\n");
    insta::assert_snapshot!(context.refuse(&["chart", "template", "app"]), @"
    exit code: 3
    ----- stderr -----
    error: nil pointer evaluating interface {}.b
     --> app/templates/_x.tpl:2:11
      |
    2 | {{ .Values.a.b }}{{ end }}
      |           ^^^^^^^^^^^
    ");
}

#[test]
fn a_file_of_values_that_is_not_there() {
    let context = TestContext::new();
    context.write(
        "app/Chart.yaml",
        "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    );
    insta::assert_snapshot!(context.refuse(&["chart", "lint", "app", "-f", "none.yaml"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no file `none.yaml`
    hint: `--values` names a file of values, relative to the current folder
    ");
}

#[test]
fn a_version_that_is_no_version() {
    let context = TestContext::new();
    context.write(
        "app/Chart.yaml",
        "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    );
    insta::assert_snapshot!(context.refuse(&["chart", "package", "app", "--version", "2026.01.1"]), @"
    exit code: 2
    ----- stderr -----
    error: `--version 2026.01.1` is not a semantic version
    hint: a chart needs three numbers without leading zeros, such as `2026.11.1` or `1.0.0-rc.1`
    ");
}

#[test]
fn an_archive_that_leads_out_of_the_chart() {
    let context = TestContext::new();
    context.write(
        "bad.tgz",
        archive(&["app/Chart.yaml", "app/../../escape"], 4),
    );
    insta::assert_snapshot!(context.refuse(&["chart", "show", "chart", "bad.tgz"]), @"
    exit code: 3
    ----- stderr -----
    error: the archive has an entry that leads out of the chart: `app/../../escape`
     --> bad.tgz
    hint: nothing was unpacked; do not use this archive
    ");
}

#[test]
fn an_archive_that_is_too_large() {
    let context = TestContext::new();
    context.write("bad.tgz", archive(&["app/Chart.yaml"], 200 * 1024 * 1024));
    insta::assert_snapshot!(context.refuse(&["chart", "show", "chart", "bad.tgz"]), @"
    exit code: 3
    ----- stderr -----
    error: the chart is larger than allowed: more than 104857600 bytes
     --> bad.tgz
    hint: nothing was unpacked; `.helmignore` keeps files of a folder out of the chart
    ");
}

#[test]
fn an_archive_that_is_none() {
    let context = TestContext::new();
    context.write("bad.tgz", "text\n");
    insta::assert_snapshot!(context.refuse(&["chart", "push", "bad.tgz", "oci://registry.example/charts"]), @"
    exit code: 3
    ----- stderr -----
    error: it is not the archive of a chart: it is not gzipped
     --> bad.tgz
    hint: `ioc chart package` makes one of a folder
    ");
}

#[test]
fn a_reference_that_is_malformed() {
    let context = TestContext::new();
    insta::assert_snapshot!(context.refuse(&["chart", "pull", "oci://registry.example/Charts/app:1.0"]), @"
    exit code: 2
    ----- stderr -----
    error: `oci://registry.example/Charts/app:1.0` is not a registry reference: `Charts` cannot be part of a path
     --> the command line:1:24
      |
    1 | oci://registry.example/Charts/app:1.0
      |                        ^
    hint: a path has lower-case letters and digits, with `.`, `_`, `__` or `-` between them
    ");
}

#[test]
fn a_reference_with_a_password() {
    let context = TestContext::new();
    insta::assert_snapshot!(context.refuse(&["chart", "pull", "oci://me:secret@registry.example/charts/app"]), @"
    exit code: 2
    ----- stderr -----
    error: `…@registry.example/charts/app` is not a registry reference: it holds a user name
     --> the command line:1:1
      |
    1 | …@registry.example/charts/app
      | ^^
    hint: a login does not belong here: it comes from `helm registry login` or `docker login`
    ");
}

#[test]
fn a_place_that_is_no_registry() {
    let context = TestContext::new();
    context.write("app.tgz", "x");
    insta::assert_snapshot!(context.refuse(&["chart", "push", "app.tgz", "registry.example/charts"]), @"
    exit code: 2
    ----- stderr -----
    error: `registry.example/charts` is not a place in a registry
    hint: write it as `oci://HOST/PATH`
    ");
}

#[test]
fn two_versions_at_once() {
    let context = TestContext::new();
    insta::assert_snapshot!(context.refuse(&["chart", "pull", "oci://registry.example/app:1.0.0", "--version", "2.0.0"]), @"
    exit code: 2
    ----- stderr -----
    error: `oci://registry.example/app:1.0.0` and `--version 2.0.0` name different versions
    hint: leave one of them out
    ");
}
