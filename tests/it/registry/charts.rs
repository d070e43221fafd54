//! Charts between `ioc`, real helm and a real registry, in both directions.

use base64::Engine as _;
use std::collections::BTreeMap;
use std::io::Read;

use super::{Bed, bytes};
use crate::context::TestContext;

#[test]
fn what_ioc_pushes_helm_pulls_and_the_digest_is_the_same() {
    let Some(bed) = Bed::new("both") else { return };
    bed.chart("app", "1.2.0+build.7");
    bed.helm_succeeds(&["package", "app"]);
    let archive = "app-1.2.0+build.7.tgz";
    let ours = bed.context.json(&["chart", "push", archive, &bed.remote()]);
    let reference = format!("{}/{}/app:1.2.0_build.7", bed.open, bed.folder);
    assert_eq!(ours["reference"], reference.as_str());
    assert_eq!(ours["sent"], true);

    std::fs::create_dir(bed.path("by-helm")).unwrap();
    let pulled = bed.helm_succeeds(&[
        "pull",
        &format!("{}/app", bed.remote()),
        "--version",
        "1.2.0+build.7",
        "--plain-http",
        "-d",
        "by-helm",
    ]);
    assert!(
        pulled.contains(ours["digest"].as_str().unwrap()),
        "{pulled}"
    );
    assert_eq!(
        bytes(&bed.path(archive)),
        bytes(&bed.path("by-helm").join(archive))
    );

    let theirs = bed.helm_succeeds(&[
        "push",
        archive,
        &format!("{}/again", bed.remote()),
        "--plain-http",
    ]);
    assert!(
        theirs.contains(ours["digest"].as_str().unwrap()),
        "{theirs}"
    );

    let again = bed.context.json(&["chart", "push", archive, &bed.remote()]);
    assert_eq!(
        again["sent"], false,
        "what the registry has is not sent again"
    );
    assert_eq!(again["digest"], ours["digest"]);
}

#[test]
fn what_helm_pushes_ioc_pulls() {
    let Some(bed) = Bed::new("theirs") else {
        return;
    };
    for version in ["1.0.0", "1.1.0", "2.0.0-rc.1"] {
        bed.chart("app", version);
        bed.helm_succeeds(&["package", "app"]);
        bed.helm_succeeds(&[
            "push",
            &format!("app-{version}.tgz"),
            &bed.remote(),
            "--plain-http",
        ]);
    }
    let chart = format!("{}/app", bed.remote());
    std::fs::create_dir(bed.path("by-ioc")).unwrap();
    bed.context
        .succeed(&["chart", "pull", &chart, "-d", "by-ioc"]);
    assert_eq!(
        bytes(&bed.path("app-1.1.0.tgz")),
        bytes(&bed.path("by-ioc/app-1.1.0.tgz"))
    );
    bed.context.succeed(&[
        "chart",
        "pull",
        &chart,
        "--version",
        "~1.0",
        "-d",
        "by-ioc",
        "--untar",
    ]);
    let shown = bed
        .context
        .succeed(&["chart", "show", "chart", "by-ioc/app"]);
    assert!(shown.contains("version: 1.0.0\n"), "{shown}");
    bed.context
        .succeed(&["chart", "pull", &chart, "--devel", "-d", "by-ioc"]);
    assert!(bed.path("by-ioc/app-2.0.0-rc.1.tgz").exists());

    let report = bed
        .context
        .refuse(&["chart", "pull", &format!("{chart}:1.0.1")]);
    assert!(report.starts_with("exit code: 4"), "{report}");
    assert!(report.contains("has no tag `1.0.1`"), "{report}");
    assert!(report.contains("did you mean `1.0.0`?"), "{report}");
    let report = bed
        .context
        .refuse(&["chart", "pull", &chart, "--version", "^7"]);
    assert!(report.contains("no version that fits `^7`"), "{report}");
    let report = bed
        .context
        .refuse(&["chart", "pull", &format!("{}/none", bed.remote())]);
    assert!(report.contains("has no repository"), "{report}");
}

#[test]
fn show_prints_what_helm_prints() {
    let Some(bed) = Bed::new("show") else { return };
    bed.chart("app", "1.0.0");
    bed.context.write("app/crds/a.yaml", "kind: A\n");
    for what in ["chart", "values", "readme", "crds", "all"] {
        let theirs = bed.helm_succeeds(&["show", what, "app"]);
        assert_eq!(
            bed.context.succeed(&["chart", "show", what, "app"]),
            theirs,
            "{what}"
        );
    }
}

#[test]
fn template_prints_what_helm_prints() {
    let Some(bed) = Bed::new("template") else {
        return;
    };
    bed.chart("app", "1.0.0");
    bed.context.write("app/templates/other.yaml", "kind: Secret\nmetadata: {name: {{ .Release.Namespace }}}\n---\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n");
    bed.context.write("app/crds/a.yaml", "kind: A\n");
    bed.context.write("more.yaml", "size: 5\n");
    for options in [
        &["app"][..],
        &["rel", "app", "-f", "more.yaml", "--namespace", "t01"],
        &[
            "rel",
            "app",
            "--set",
            "size=7",
            "--include-crds",
            "--skip-tests",
        ],
        &["rel", "app", "--show-only", "templates/other.yaml"],
        &["rel", "app", "--no-hooks", "--set-string", "size=08"],
        &["-g", "app", "--is-upgrade"],
        &["rel", "app", "--skip-crds", "--create-namespace"],
        &["rel", "app", "--dry-run=client", "--include-crds"],
        &["app", "--name-template", "x-{{ \"A\" | lower }}"],
        &[
            "rel",
            "app",
            "--labels",
            "a=b",
            "--description",
            "x",
            "--wait",
        ],
        &["rel", "app", "--timeout", "5s", "--rollback-on-failure"],
    ] {
        let theirs = bed.helm_succeeds(&[&["template"], options].concat());
        let ours = bed
            .context
            .succeed(&[&["chart", "template"], options].concat());
        assert_eq!(ours, theirs, "{options:?}");
    }
}

#[test]
fn template_reads_values_from_standard_input() {
    let Some(bed) = Bed::new("values-in") else {
        return;
    };
    bed.chart("app", "1.0.0");
    bed.context.write("more.yaml", "size: 5\n");
    for (piped, plain) in [
        (&["-f", "-"][..], &["-f", "more.yaml"][..]),
        (
            &["-f", "-", "--set", "a=6"],
            &["-f", "more.yaml", "--set", "a=6"],
        ),
        // there is nothing left the second time
        (&["-f", "-", "-f", "-"], &["-f", "more.yaml"]),
    ] {
        let theirs = bed.helm_succeeds(&[&["template", "rel", "app"], plain].concat());
        let output = bed
            .context
            .command(&[&["chart", "template", "rel", "app"], piped].concat())
            .stdin(std::fs::File::open(bed.path("more.yaml")).unwrap())
            .output()
            .unwrap();
        let ours = String::from_utf8(output.stdout).unwrap();
        assert_eq!(ours, theirs, "{piped:?}");
    }
}

#[test]
fn names_that_helm_refuses_are_refused() {
    let context = TestContext::new();
    let long = "x".repeat(54);
    for (arguments, why) in [
        (&["R", "app"][..], "may have lower-case letters"),
        (&["a_b", "app"], "may have lower-case letters"),
        (&[&long, "app"], "has 54 characters"),
        (&["--name-template", "A", "app"], "lower-case letters"),
        (&["--name-template", "{{ nosuch }}", "app"], "gives no name"),
        (&["--name-template", "a", "r", "app"], "exclude one another"),
    ] {
        let report = context.refuse(&[&["chart", "template"], arguments].concat());
        assert!(
            report.contains("exit code: 2") && report.contains(why),
            "{report}"
        );
    }
}

#[test]
fn template_writes_the_files_that_helm_writes() {
    let Some(bed) = Bed::new("output-dir") else {
        return;
    };
    bed.chart("app", "1.0.0");
    let hook = "metadata: {name: h, annotations: {helm.sh/hook: pre-install}}";
    let test = "metadata: {name: t, annotations: {helm.sh/hook: test}}";
    let templates = format!("kind: Secret\n---\nkind: Job\n{hook}\n---\nkind: Pod\n{test}\n");
    bed.context.write("app/templates/more.yaml", templates);
    bed.context.write("app/crds/a.yaml", "kind: A\n");
    for (folder, options) in [
        ("plain", &[][..]),
        ("all", &["--include-crds"]),
        ("named", &["--release-name"]),
        ("few", &["--skip-tests"]),
        ("fewer", &["--no-hooks"]),
    ] {
        let theirs = format!("theirs-{folder}");
        let ours = format!("ours-{folder}");
        let call = ["template", "rel", "app", "--output-dir"];
        let said = bed.helm_succeeds(&[&call[..], &[theirs.as_str()], options].concat());
        let own = bed
            .context
            .succeed(&[&["chart"], &call[..], &[ours.as_str()], options].concat());
        let files = |said: &str| -> Vec<(String, String)> {
            let mut files: Vec<(String, String)> = said
                .lines()
                .filter_map(|line| line.strip_prefix("wrote "))
                .map(|path| {
                    let written = String::from_utf8(bytes(&bed.path(path))).unwrap();
                    let inner = path.split_once('/').unwrap().1;
                    (inner.to_owned(), written)
                })
                .collect();
            files.sort();
            // helm names a file once for each document
            files.dedup();
            files
        };
        assert_eq!(files(&own), files(&said), "{folder}");
    }
    let one = ["--output-dir", "one", "-s", "templates/more.yaml"];
    let own = bed
        .context
        .succeed(&[&["chart", "template", "app"], &one[..]].concat());
    assert_eq!(own, "wrote one/app/templates/more.yaml\n");
}

#[test]
fn flags_of_helm_that_are_not_done_are_refused_with_what_to_do() {
    let context = TestContext::new();
    for (flag, instead) in [
        ("--post-renderer=kustomize", "pipe the output into it"),
        ("--validate", "`ioc diff INSTANCE` asks the cluster"),
        ("--dry-run=server", "`ioc diff INSTANCE` asks the cluster"),
        ("--enable-dns", "give the address as a value"),
    ] {
        let report = context.refuse(&["chart", "template", "app", flag]);
        let name = flag.split('=').next().unwrap();
        assert!(
            report.contains("exit code: 2") && report.contains(name) && report.contains(instead),
            "{report}"
        );
    }
}

#[test]
fn packages_hold_what_those_of_helm_hold() {
    let Some(bed) = Bed::new("package") else {
        return;
    };
    bed.chart("app", "1.0.0");
    bed.context.write("app/.helmignore", "*.bak\n");
    bed.context.write("app/x.bak", "no\n");
    bed.context.write("app/files/a.txt", "text\n");
    bed.context.write(
        "app/charts/sub/Chart.yaml",
        "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
    );
    let options = [
        "app",
        "--version",
        "2026.11.1",
        "--app-version",
        "0815",
        "-d",
    ];
    std::fs::create_dir(bed.path("theirs")).unwrap();
    bed.helm_succeeds(&[&["package"][..], &options, &["theirs"]].concat());
    let said = bed
        .context
        .succeed(&[&["chart", "package"][..], &options, &["ours"]].concat());
    assert_eq!(
        said,
        "Successfully packaged chart and saved it to: ours/app-2026.11.1.tgz\n"
    );
    let name = "app-2026.11.1.tgz";
    assert_eq!(
        entries(&bytes(&bed.path("ours").join(name))),
        entries(&bytes(&bed.path("theirs").join(name)))
    );
}

/// Name, mode and content of each file of an archive.
fn entries(archive: &[u8]) -> BTreeMap<String, (u32, String)> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mode = entry.header().mode().unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, (mode, text))
        })
        .collect()
}

#[test]
fn logins_of_helm_are_used_and_wrong_ones_are_named() {
    let Some(bed) = Bed::new("login") else { return };
    bed.chart("app", "1.0.0");
    bed.helm_succeeds(&["package", "app"]);
    let remote = format!("oci://{}/{}", bed.login, bed.folder);
    let push = ["chart", "push", "app-1.0.0.tgz", &remote];

    let report = bed.context.refuse(&push);
    assert!(report.starts_with("exit code: 8"), "{report}");
    assert!(
        report.contains("wants a login to write, and there is none"),
        "{report}"
    );
    assert!(
        report.contains(&format!("helm registry login {}", bed.login)),
        "{report}"
    );

    bed.helm_succeeds(&[
        "registry",
        "login",
        &bed.login,
        "-u",
        &bed.user,
        "-p",
        &bed.password,
        "--plain-http",
    ]);
    bed.context.succeed(&push);
    bed.context
        .succeed(&["chart", "show", "values", &format!("{remote}/app:1.0.0")]);

    // the same host, and a password that is wrong
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:guessed", bed.user));
    let config = bed
        .context
        .root()
        .join("home/.config/helm/registry/config.json");
    std::fs::write(
        &config,
        format!(
            "{{\"auths\": {{\"{}\": {{\"auth\": \"{pair}\"}}}}}}",
            bed.login
        ),
    )
    .unwrap();
    let report = bed.context.refuse(&push);
    assert!(
        report.contains(&format!(
            "refuses the login of `{}` from `[ROOT]/home/",
            bed.user
        )),
        "{report}"
    );
    assert!(
        !report.contains("guessed") && !report.contains(&pair),
        "{report}"
    );
}

#[test]
fn a_credential_helper_is_asked() {
    let Some(bed) = Bed::new("helper") else {
        return;
    };
    bed.chart("app", "1.0.0");
    bed.helm_succeeds(&["package", "app"]);
    let docker = bed.context.root().join("home/.docker");
    std::fs::create_dir_all(&docker).unwrap();
    std::fs::write(
        docker.join("config.json"),
        format!("{{\"credHelpers\": {{\"{}\": \"fortest\"}}}}", bed.login),
    )
    .unwrap();
    let push = |helper: &str| {
        let programs = bed.context.program("docker-credential-fortest", helper);
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let place = format!("oci://{}/{}", bed.login, bed.folder);
        let arguments = ["chart", "push", "app-1.0.0.tgz", &place];
        let mut command = bed.context.command(&arguments);
        bed.context
            .report(&command.env("PATH", path).output().unwrap())
    };
    let login = format!(
        "echo '{{\"Username\": \"{}\", \"Secret\": \"{}\"}}'",
        bed.user, bed.password
    );
    // asked as Docker asks: what is wanted, for which registry
    let asked = format!(
        "[ \"$1 $(cat)\" = \"get {}\" ] || exit 1\n{login}\n",
        bed.login
    );
    let report = push(&asked);
    assert!(report.starts_with("exit code: 0"), "{report}");
    // one that knows a single login does not read, and has ended before it is told
    let report = push(&format!("exec <&-\n{login}\n"));
    assert!(report.starts_with("exit code: 0"), "{report}");
    let report = push("echo 'credentials not found in native keychain'; exit 1\n");
    assert!(
        report.starts_with("exit code: 8") && report.contains("wants a login"),
        "{report}"
    );
    let report = push("echo no ticket >&2; exit 3\n");
    assert!(
        report.starts_with("exit code: 3")
            && report.contains("the credential helper `docker-credential-fortest` failed"),
        "{report}"
    );
}

#[test]
fn mirrors_and_chart_repositories() {
    let Some(bed) = Bed::new("mirror") else {
        return;
    };
    bed.chart("app", "1.0.0");
    bed.helm_succeeds(&["package", "app"]);
    bed.context
        .succeed(&["chart", "push", "app-1.0.0.tgz", &bed.remote()]);
    bed.context.write(
        "ioc.toml",
        format!(
            "[[mirror]]\nprefix = \"oci://registry.example/epics/\"\nreplace = \"{}/\"\n",
            bed.remote()
        ),
    );
    let shown =
        bed.context
            .succeed(&["chart", "show", "chart", "oci://registry.example/epics/app"]);
    assert!(shown.contains("version: 1.0.0"), "{shown}");

    bed.helm_succeeds(&["repo", "index", "."]);
    let index = bytes(&bed.path("index.yaml"));
    let archive = bytes(&bed.path("app-1.0.0.tgz"));
    let web =
        crate::web::Server::start(&[("index.yaml", index.clone()), ("app-1.0.0.tgz", archive)]);
    bed.context.succeed(&[
        "chart",
        "pull",
        "app",
        "--repo",
        &web.url,
        "--untar",
        "--untardir",
        "from-web",
    ]);
    assert!(bed.path("from-web/app/Chart.yaml").exists());
    let other =
        crate::web::Server::start(&[("index.yaml", index), ("app-1.0.0.tgz", b"other".to_vec())]);
    let report = bed
        .context
        .refuse(&["chart", "pull", "app", "--repo", &other.url]);
    assert!(
        report.contains("is not what the index promises"),
        "{report}"
    );
}
