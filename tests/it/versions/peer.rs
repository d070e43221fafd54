//! Compared with the way of `ec`: two git processes per tag.

use std::collections::BTreeMap;

use super::names;
use super::repository::GitRepository;
use crate::context::TestContext;

/// Versions as `ec` finds them: for each tag, by the date of the commit, the files that differ from the tag before; links
/// followed one level. Names are compared by whole folders, where `ec` takes `x-01` for `x-0`.
fn as_ec_does(repository: &GitRepository, instances: &[String]) -> BTreeMap<String, Vec<String>> {
    let tags = repository.git(&["tag", "--sort=committerdate"]);
    let tags: Vec<&str> = tags.lines().collect();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (index, tag) in tags.iter().enumerate() {
        let changed = if index == 0 {
            repository.git(&["ls-tree", "-r", "--name-only", tag])
        } else {
            repository.git(&["diff", "--name-only", "--no-renames", tags[index - 1], tag])
        };
        let links = repository.git(&["ls-tree", "-r", tag, "services"]);
        let targets: Vec<(&str, String)> = links
            .lines()
            .filter_map(|line| line.strip_prefix("120000 blob "))
            .map(|line| line.split_once('\t').unwrap())
            .map(|(id, path)| {
                let target = repository.git(&["cat-file", "blob", id]);
                (path, target.trim_start_matches("../").to_owned())
            })
            .collect();
        for instance in instances {
            let folder = format!("services/{instance}/");
            let is_changed = changed.lines().any(|file| {
                file.starts_with(&folder)
                    || file == "services/values.yaml"
                    || targets.iter().any(|(link, target)| {
                        link.starts_with(&folder) && file.starts_with(target.as_str())
                    })
            });
            if is_changed {
                found
                    .entry(instance.clone())
                    .or_default()
                    .push((*tag).to_owned());
            }
        }
    }
    found
}

#[test]
fn the_answers_are_those_of_ec() {
    let context = TestContext::new().without_engine();
    let repository = GitRepository::new(context.project().join("r"));
    let instances: Vec<String> = (0..8).map(|number| format!("x-{number:02}")).collect();
    repository.shared();
    for instance in &instances {
        repository.instance(instance);
    }
    repository.release("2026.1.0");
    // a generator of numbers that is the same everywhere
    let mut state: u32 = 7;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    for tag in 1..40 {
        for _ in 0..=random(3) {
            let instance = &instances[random(8) as usize];
            let text = format!("{tag} {}", random(1000));
            match random(7) {
                0 => repository.write("services/values.yaml", &format!("shared: {text}\n")),
                1 => repository.write(".helm-shared/templates/more.yaml", &format!("# {text}\n")),
                2 => repository.write(".helm-shared/unused.yaml", &text),
                3 => repository.write("README.md", &text),
                4 => repository.write(&format!("services/{instance}/config/deep/er/file"), &text),
                _ => repository.write(&format!("services/{instance}/values.yaml"), &text),
            };
        }
        repository.release(&format!("2026.{}.{}", 1 + tag / 10, tag % 10));
    }
    let theirs = as_ec_does(&repository, &instances);
    for instance in &instances {
        let mut ours = names(&context.json(&["versions", instance, "-r", "r"]));
        // newest first, where ec has the oldest first
        ours.reverse();
        assert_eq!(&ours, &theirs[instance], "{instance}");
        assert!(
            (5..40).contains(&ours.len()),
            "the repository shows nothing: {ours:?}"
        );
    }
}
