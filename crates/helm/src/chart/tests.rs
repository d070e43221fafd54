use std::path::Path;

use pretty_assertions::assert_eq;

use super::*;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

fn chart_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "Chart.yaml",
        "apiVersion: v2\nname: a\nversion: 1.10\n",
    );
    write(folder.path(), "values.yaml", "x: 1\n");
    write(folder.path(), "templates/a.yaml", "a: {{ .Values.x }}\n");
    write(folder.path(), "config/st.cmd", "iocInit\n");
    folder
}

fn load(folder: &Path, links: LinkPolicy) -> Result<Chart, ChartError> {
    Chart::load(
        folder,
        &LoadOptions {
            links,
            ..LoadOptions::default()
        },
    )
}

fn archive_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    for (name, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        // The builder refuses such paths, so they are written into the header by hand.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_folder_is_sorted_into_its_parts() {
    let folder = chart_folder();
    let chart = load(folder.path(), LinkPolicy::Refuse).unwrap();
    assert_eq!(chart.metadata().version, "1.1");
    assert_eq!(chart.values().get("x"), Some(&Value::Float(1.0)));
    let names = |files: &mut dyn Iterator<Item = &File>| {
        files.map(|file| file.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut chart.templates()), ["templates/a.yaml"]);
    assert_eq!(names(&mut chart.files().iter()), ["config/st.cmd"]);
}

#[test]
fn a_packaged_chart_loads_as_the_same_chart() {
    let folder = chart_folder();
    write(
        folder.path(),
        "charts/lib/Chart.yaml",
        "apiVersion: v2\nname: lib\nversion: 0.1.0\n",
    );
    write(
        folder.path(),
        "charts/lib/templates/_a.tpl",
        "{{ define \"a\" }}x{{ end }}",
    );
    let chart = load(folder.path(), LinkPolicy::Refuse).unwrap();
    let package = chart.package().unwrap();
    assert_eq!(package.file_name, "a-1.1.tgz");
    assert_eq!(chart.package().unwrap(), package);
    let again = Chart::load_archive(&package.bytes, &LoadOptions::default()).unwrap();
    assert_eq!(again.metadata(), chart.metadata());
    assert_eq!(again.values(), chart.values());
    assert_eq!(again.dependencies()[0].name(), "lib");
    let data = |chart: &Chart| chart.files()[0].data.clone();
    assert_eq!(data(&again), data(&chart));
}

#[test]
fn links_are_followed_where_they_are_allowed() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.txt", "secret");
    let repository = tempfile::tempdir().unwrap();
    write(
        repository.path(),
        "shared/Chart.yaml",
        "apiVersion: v2\nname: a\nversion: 0.1.0\n",
    );
    let instance = repository.path().join("services/i");
    fs_err::create_dir_all(&instance).unwrap();
    std::os::unix::fs::symlink("../../shared/Chart.yaml", instance.join("Chart.yaml")).unwrap();

    let within = || LinkPolicy::Within(repository.path().to_owned());
    let chart = load(&instance, within()).unwrap();
    assert_eq!(chart.links().len(), 1);
    assert!(matches!(
        load(&instance, LinkPolicy::Refuse),
        Err(ChartError::LinkRefused(_))
    ));

    std::os::unix::fs::symlink(outside.path(), instance.join("config")).unwrap();
    let error = load(&instance, within()).unwrap_err();
    assert!(matches!(&error, ChartError::LinkOutside { .. }), "{error}");
    assert_eq!(
        load(&instance, LinkPolicy::Anywhere).unwrap().files().len(),
        1
    );
}

#[test]
fn links_in_a_circle_are_an_error() {
    let folder = chart_folder();
    std::os::unix::fs::symlink(".", folder.path().join("loop")).unwrap();
    let error = load(folder.path(), LinkPolicy::Anywhere).unwrap_err();
    assert!(
        matches!(&error, ChartError::TooLarge(_) | ChartError::Io(_)),
        "{error}"
    );
}

#[test]
fn hostile_archives_are_refused() {
    const CHART: &str = "apiVersion: v2\nname: a\nversion: 0.1.0\n";
    for path in ["a/../../x", "a//etc/passwd", "a/C:/x", "x", "a\\..\\..\\x"] {
        let bytes = archive_of(&[("a/Chart.yaml", CHART), (path, "x")]);
        let error = Chart::load_archive(&bytes, &LoadOptions::default()).unwrap_err();
        assert!(
            matches!(&error, ChartError::ArchivePath(_)),
            "{path}: {error}"
        );
    }
    let limits = LoadLimits {
        total_bytes: 10_000,
        entries: 2,
        depth: 1,
    };
    let options = LoadOptions {
        limits,
        ..LoadOptions::default()
    };
    let big = "x".repeat(20_000);
    let bytes = archive_of(&[("a/Chart.yaml", CHART), ("a/big", &big)]);
    assert!(matches!(
        Chart::load_archive(&bytes, &options),
        Err(ChartError::TooLarge(_))
    ));
    let bytes = archive_of(&[("a/Chart.yaml", CHART), ("a/1", ""), ("a/2", "")]);
    assert!(matches!(
        Chart::load_archive(&bytes, &options),
        Err(ChartError::TooLarge(_))
    ));
    assert!(matches!(
        Chart::load_archive(b"x", &options),
        Err(ChartError::Archive(_))
    ));
    let whole = archive_of(&[("a/Chart.yaml", CHART)]);
    assert!(Chart::load_archive(&whole[..whole.len() / 2], &options).is_err());
}

#[test]
fn wrong_metadata_says_which_field() {
    for (text, problem) in [
        (
            "apiVersion: v2\nname: a\n",
            "`Chart.yaml`: `version` is required",
        ),
        (
            "apiVersion: v2\nversion: 1.0.0\n",
            "`Chart.yaml`: `name` is required",
        ),
        (
            "apiVersion: v2\nname: a\nversion: one\n",
            "`Chart.yaml`: `version` is not a semantic version: `one`",
        ),
        (
            "apiVersion: v2\nname: [a]\nversion: 1.0.0\n",
            "`Chart.yaml`: `name` is a array, expected string",
        ),
        (
            "apiVersion: v2\nname: a\n\tversion: 1\n",
            "failed to parse `Chart.yaml`",
        ),
        (
            "apiVersion: v1\nname: a\nversion: 1.0.0\n",
            "`a` is a chart of API version v1, which is not supported",
        ),
        (
            "apiVersion: v9\nname: a\nversion: 1.0.0\n",
            "unsupported chart API version `v9`",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "Chart.yaml", text);
        let error = load(folder.path(), LinkPolicy::Refuse).unwrap_err();
        assert_eq!(error.to_string(), problem);
    }
}

#[test]
fn file_dependencies_need_not_be_vendored() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "lib/Chart.yaml",
        "apiVersion: v2\nname: lib\nversion: 0.2.0\n",
    );
    write(
        folder.path(),
        "app/Chart.yaml",
        "apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:\n- name: lib\n  version: ^0.2\n  repository: file://../lib\n",
    );
    let app = folder.path().join("app");
    let chart = load(&app, LinkPolicy::Anywhere).unwrap();
    assert_eq!(chart.missing_dependencies(), ["lib"]);
    let options = LoadOptions {
        follow_file_dependencies: true,
        ..LoadOptions::default()
    };
    let chart = Chart::load(&app, &options).unwrap();
    assert_eq!(chart.missing_dependencies(), Vec::<&str>::new());
}
