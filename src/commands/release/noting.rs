//! The notes of a release: what changed for each instance since the one before.

use std::collections::BTreeSet;

use super::{Item, Work};
use crate::fleet::manifest;
use crate::fleet::plan::{self, show};
use crate::release::notes::{InstanceNotes, Notes};
use crate::release::{ReleasedChart, chart, verify};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::versions::{self, Fate};

impl Work<'_> {
    /// As Markdown.
    pub(super) fn notes(&self, charts: &[ReleasedChart], items: &[Item]) -> CommandResult<String> {
        let mut notes = Notes {
            tag: self.tag.tag.clone(),
            commit: self.tag.commit.clone(),
            before: self.before.as_ref().map(|before| before.tag.clone()),
            instances: Vec::new(),
            unchanged: charts.len(),
            images: items
                .iter()
                .filter(|item| item.kind == "image")
                .map(|item| match &item.digest {
                    Some(digest) => format!("{} {digest}", item.reference),
                    None => item.reference.clone(),
                })
                .collect(),
        };
        for subject in &self.subjects {
            let before = self.before.as_ref().map(|before| before.tag.as_str());
            for (name, change) in versions::between(&subject.location, before, &self.tag.tag)? {
                let now = charts.iter().find(|chart| chart.instance == name);
                if change.fate != Fate::Removed {
                    notes.unchanged = notes.unchanged.saturating_sub(1);
                }
                let old = subject.before.as_ref().and_then(|before| {
                    let instance = before.instance(&name).ok()?;
                    // what the release before made of it may be broken, and is no concern of this one
                    chart(
                        instance,
                        &subject.beamline.namespace,
                        &self.chart_version,
                        &self.tag.tag,
                    )
                    .ok()
                });
                notes.instances.push(InstanceNotes {
                    images_before: images_of(old.as_ref()),
                    images: images_of(now),
                    manifests: match (&old, now) {
                        (Some(old), Some(now)) => difference(old, now)?,
                        _ => String::new(),
                    },
                    instance: name,
                    change,
                });
            }
        }
        Ok(notes.to_markdown())
    }
}

fn images_of(chart: Option<&ReleasedChart>) -> BTreeSet<String> {
    let manifests = chart.map(|chart| chart.rendered.rendered.manifests.as_slice());
    let documents = verify::documents(manifests.unwrap_or_default());
    documents
        .map(|documents| verify::images(&documents))
        .unwrap_or_default()
}

/// What is deployed differently, without colours.
fn difference(old: &ReleasedChart, now: &ReleasedChart) -> CommandResult<String> {
    let read = |chart: &ReleasedChart| {
        let text = chart.rendered.rendered.to_template_output();
        manifest::parse(&text)
            .map_err(|finding| CommandError::from_diagnostic(ErrorKind::Input, *finding))
    };
    let text = show::changes(&plan::changes(&read(old)?, &read(now)?));
    Ok(anstream::adapter::strip_str(&text).to_string())
}
