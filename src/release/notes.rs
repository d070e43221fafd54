//! The notes of a release: per instance what changed since the release before, as Markdown.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::versions::{Fate, InstanceChange};

/// Most files that are listed for one instance.
const MOST_FILES: usize = 20;
/// Most lines of the difference of one instance's manifests.
const MOST_LINES: usize = 60;

/// What is said about a release.
#[derive(Debug, Clone, Serialize)]
pub struct Notes {
    /// The tag.
    pub tag: String,
    /// Its commit.
    pub commit: String,
    /// The release before.
    pub before: Option<String>,
    /// Instances that changed, by name.
    pub instances: Vec<InstanceNotes>,
    /// How many did not.
    pub unchanged: usize,
    /// Images of the release, with their digests.
    pub images: Vec<String>,
}

/// What is said about one instance.
#[derive(Debug, Clone, Serialize)]
pub struct InstanceNotes {
    /// Its name.
    pub instance: String,
    /// What became of it, and its files.
    #[serde(flatten)]
    pub change: InstanceChange,
    /// Images before.
    pub images_before: BTreeSet<String>,
    /// Images now.
    pub images: BTreeSet<String>,
    /// The difference of what is deployed, by resource and field; empty when there is none.
    pub manifests: String,
}

impl Notes {
    /// The notes as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n\nCommit {}", self.tag, self.commit);
        match &self.before {
            Some(before) => text.push_str(&format!(", compared with {before}.\n")),
            None => text.push_str(", the first release.\n"),
        }
        let of = |fate: Fate| {
            self.instances
                .iter()
                .filter(move |one| one.change.fate == fate)
        };
        for (fate, title) in [
            (Fate::Changed, "Changed"),
            (Fate::New, "New"),
            (Fate::Removed, "Removed"),
        ] {
            if of(fate).next().is_none() {
                continue;
            }
            text.push_str(&format!("\n## {title}\n"));
            for one in of(fate) {
                one.write(&mut text);
            }
        }
        match self.unchanged {
            0 => {}
            1 => text.push_str("\nOne instance is unchanged.\n"),
            count => text.push_str(&format!("\n{count} instances are unchanged.\n")),
        }
        if !self.images.is_empty() {
            text.push_str("\n## Images\n\n");
            for image in &self.images {
                text.push_str(&format!("* `{image}`\n"));
            }
        }
        text
    }
}

impl InstanceNotes {
    fn write(&self, text: &mut String) {
        text.push_str(&format!("\n### {}\n\n", self.instance));
        let files = &self.change.files;
        for file in files.iter().take(MOST_FILES) {
            text.push_str(&format!("* `{file}`\n"));
        }
        if files.len() > MOST_FILES {
            text.push_str(&format!("* and {} more files\n", files.len() - MOST_FILES));
        }
        let list = |images: &BTreeSet<String>| -> String {
            let images: Vec<String> = images.iter().map(|image| format!("`{image}`")).collect();
            images.join(", ")
        };
        if self.change.fate == Fate::Changed && self.images != self.images_before {
            text.push_str(&format!(
                "* image {} → {}\n",
                list(&self.images_before),
                list(&self.images)
            ));
        } else if self.change.fate == Fate::New && !self.images.is_empty() {
            text.push_str(&format!("* image {}\n", list(&self.images)));
        }
        if self.change.fate != Fate::Changed {
            return;
        }
        if self.manifests.is_empty() {
            text.push_str("* what is deployed stays the same\n");
            return;
        }
        text.push_str("\n```diff\n");
        let lines: Vec<&str> = self.manifests.lines().collect();
        for line in lines.iter().take(MOST_LINES) {
            // a fence in what is quoted would end the quotation
            text.push_str(&line.replace("```", "'''"));
            text.push('\n');
        }
        if lines.len() > MOST_LINES {
            text.push_str(&format!("… {} more lines\n", lines.len() - MOST_LINES));
        }
        text.push_str("```\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_tell_files_images_and_what_is_deployed() {
        let one = |instance: &str, fate: Fate, files: &[&str], manifests: &str| InstanceNotes {
            instance: instance.to_owned(),
            change: InstanceChange {
                fate,
                files: files.iter().map(|file| (*file).to_owned()).collect(),
            },
            images_before: BTreeSet::from(["r/ioc:1".to_owned()]),
            images: BTreeSet::from(["r/ioc:2".to_owned()]),
            manifests: manifests.to_owned(),
        };
        let notes = Notes {
            tag: "2026.2.1".to_owned(),
            commit: "c0ffee".to_owned(),
            before: Some("2026.1.1".to_owned()),
            instances: vec![
                one(
                    "x-1",
                    Fate::Changed,
                    &["services/x-1/values.yaml"],
                    "  ~ StatefulSet x-1\n      a: ``` -> 2\n",
                ),
                one("x-2", Fate::New, &[], ""),
                one("x-3", Fate::Removed, &[], ""),
            ],
            unchanged: 2,
            images: vec!["r/ioc:2 sha256:00".to_owned()],
        };
        insta::assert_snapshot!(notes.to_markdown(), @"
        # 2026.2.1

        Commit c0ffee, compared with 2026.1.1.

        ## Changed

        ### x-1

        * `services/x-1/values.yaml`
        * image `r/ioc:1` → `r/ioc:2`

        ```diff
          ~ StatefulSet x-1
              a: ''' -> 2
        ```

        ## New

        ### x-2

        * image `r/ioc:2`

        ## Removed

        ### x-3


        2 instances are unchanged.

        ## Images

        * `r/ioc:2 sha256:00`
        ");
    }
}
