//! The invariants of docs/architecture.md, checked on the sources.

use std::path::{Path, PathBuf};

use crate::context::repository;

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![repository().join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path.strip_prefix(repository()).unwrap().to_path_buf(), text));
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found.sort();
    found
}

/// Files of `folder` that contain `word` and are not allowed to.
fn offenders(folder: &str, word: &str, allowed: &[&str]) -> Vec<String> {
    sources(folder)
        .into_iter()
        .filter(|(path, text)| {
            text.contains(word) && !allowed.iter().any(|allowed| path.starts_with(allowed))
        })
        .map(|(path, _)| path.display().to_string())
        .collect()
}

#[test]
fn only_ui_writes_to_the_terminal() {
    for word in ["std::io::stdout", "std::io::stderr", "anstream::std"] {
        let allowed = ["src/ui", "src/commands"];
        assert_eq!(
            offenders("src", word, &allowed),
            Vec::<String>::new(),
            "{word}"
        );
    }
}

#[test]
fn only_settings_reads_the_environment() {
    let allowed = [
        "src/settings.rs",
        "src/main.rs",
        "src/fleet/workload/tests.rs",
    ];
    assert_eq!(
        offenders("src", "std::env::var", &allowed),
        Vec::<String>::new()
    );
}

#[test]
fn only_the_cluster_backend_knows_kubernetes() {
    let allowed = ["src/fleet/kubernetes"];
    for word in ["kube::", "k8s_openapi"] {
        assert_eq!(
            offenders("src", word, &allowed),
            Vec::<String>::new(),
            "{word}"
        );
    }
}

#[test]
fn crates_have_pure_cores() {
    for folder in ["crates/alarm/src", "crates/helm/src", "crates/epicsdb/src"] {
        for word in [
            "tokio",
            "std::env::var",
            "Timestamp::now",
            "SystemTime::now",
            "Instant::now",
        ] {
            assert_eq!(
                offenders(folder, word, &[]),
                Vec::<String>::new(),
                "{word} in {folder}"
            );
        }
    }
    let drivers = [
        "crates/ca/src/driver.rs",
        "crates/ca/src/driver",
        "crates/ca/src/lib.rs",
    ];
    for word in ["tokio::", "Instant::now", "std::env::var"] {
        // tests of the pure parts make times to pass in
        let offenders: Vec<String> = sources("crates/ca/src")
            .into_iter()
            .filter(|(path, text)| {
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                !path.ends_with("tests.rs")
                    && !path.iter().any(|folder| folder == "tests")
                    && !drivers.iter().any(|driver| path.starts_with(driver))
                    && code.contains(word)
            })
            .map(|(path, _)| path.display().to_string())
            .collect();
        assert_eq!(offenders, Vec::<String>::new(), "{word}");
    }
}

#[test]
fn one_tls_provider_and_one_yaml_library() {
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    for banned in [
        "aws-lc-rs",
        "native-tls",
        "serde_yaml",
        "serde_yml",
        "yaml-rust2",
    ] {
        assert!(
            !lock.contains(&format!("name = \"{banned}\"")),
            "{banned} came into Cargo.lock"
        );
    }
    let users: Vec<&str> = lock
        .split("[[package]]")
        .filter(|package| package.contains("\n \"openssl-sys\""))
        .filter_map(|package| package.trim().lines().next())
        .collect();
    assert_eq!(
        users,
        ["name = \"rdkafka-sys\""],
        "OpenSSL only inside librdkafka"
    );
}

#[test]
fn no_file_grows_past_what_one_concept_needs() {
    let long: Vec<String> = ["src", "crates"]
        .iter()
        .flat_map(|folder| sources(folder))
        .filter(|(path, _)| {
            !path
                .components()
                .any(|part| part.as_os_str() == Path::new("tests"))
        })
        .filter(|(_, text)| text.lines().count() > 800)
        .map(|(path, text)| format!("{} ({} lines)", path.display(), text.lines().count()))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}
