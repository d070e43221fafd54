//! What the registry has of a release, and the rest of it pushed.

use super::{Item, Work};
use crate::commands::build::BuiltImage;
use crate::engine::Engine;
use crate::image::prepare::KEY_LABEL;
use crate::registry::{self, Reference, Registry, RegistryError};
use crate::release::ReleasedChart;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

impl Work<'_> {
    pub(super) fn image_registry(&self) -> Registry {
        Registry::for_images(
            self.fetching("registry"),
            &self.settings.registry,
            self.args.plain_http,
        )
    }

    fn chart_registry(&self) -> Registry {
        Registry::for_charts(
            self.fetching("registry"),
            &self.settings.registry,
            self.args.plain_http,
        )
    }

    /// Whether the registry has the image; another one under the same tag is not replaced.
    pub(super) async fn compare_image(&self, image: &BuiltImage) -> CommandResult<Item> {
        let item = |state, digest| Item {
            kind: "image",
            reference: image.reference.clone(),
            state,
            digest,
        };
        let Ok(parsed) = registry::image::pushable(&image.reference) else {
            return Ok(item("to push", None));
        };
        let registry = self.image_registry();
        let Some(digest) = registry.digest(&parsed).await? else {
            return Ok(item("to push", None));
        };
        let labels = registry::image::labels(&registry, &parsed).await?;
        if labels.get(KEY_LABEL) != Some(&image.key) {
            return Err(replaced(&image.reference, "was made from other sources"));
        }
        Ok(item("there", Some(digest.to_string())))
    }

    /// Whether the registry has the chart; another one under the same version is not replaced.
    pub(super) async fn compare_chart(
        &self,
        chart: &ReleasedChart,
        folder: Option<&Reference>,
    ) -> CommandResult<Item> {
        let name = format!("{}:{}", chart.instance, self.chart_version);
        let Some(folder) = folder else {
            return Ok(Item {
                kind: "chart",
                reference: name,
                state: "to push",
                digest: None,
            });
        };
        let reference = folder
            .join(&chart.instance)
            .map_err(RegistryError::from)?
            .with_tag(registry::chart::tag_of(&self.chart_version));
        let registry = self.chart_registry();
        let item = |state, digest| Item {
            kind: "chart",
            reference: reference.to_string(),
            state,
            digest,
        };
        if registry.digest(&reference).await?.is_none() {
            return Ok(item("to push", None));
        }
        let there = registry::chart::pull(&registry, &reference).await?;
        if there.archive != chart.archive {
            return Err(replaced(&reference.to_string(), "has other contents"));
        }
        Ok(item("there", Some(there.digest.to_string())))
    }

    /// Pushes what is not there, images first: a chart never names an image that cannot be had.
    pub(super) async fn push(
        &self,
        planned: Vec<Item>,
        images: &[BuiltImage],
        charts: &[ReleasedChart],
        folder: Option<&Reference>,
    ) -> CommandResult<Vec<Item>> {
        let mut done: Vec<Item> = Vec::new();
        let all: Vec<String> = planned.iter().map(|item| item.reference.clone()).collect();
        for (index, mut item) in planned.into_iter().enumerate() {
            if item.state != "there" {
                let digest = if self.context.cancel.is_cancelled() {
                    Err(CommandError::new(ErrorKind::Interrupted, "interrupted"))
                } else if index < images.len() {
                    self.push_image(&item.reference).await
                } else {
                    self.push_chart(charts.get(index - images.len()), folder)
                        .await
                };
                match digest {
                    Ok(digest) => {
                        self.context
                            .printer
                            .info(format!("pushed {}", item.reference));
                        item.state = "pushed";
                        item.digest = Some(digest);
                    }
                    Err(error) => {
                        let left = all.get(index..).unwrap_or_default().join(", ");
                        let pushed: Vec<&str> =
                            done.iter().map(|item| item.reference.as_str()).collect();
                        let pushed = if pushed.is_empty() {
                            "none".to_owned()
                        } else {
                            pushed.join(", ")
                        };
                        return Err(error
                            .hint(format!("in the registry: {pushed}; not pushed: {left}"))
                            .hint(format!("`ioc release {}` goes on from here", self.tag.tag)));
                    }
                }
            }
            done.push(item);
        }
        Ok(done)
    }

    async fn push_image(&self, reference: &str) -> CommandResult<String> {
        let engine = Engine::connect(&self.settings).await?;
        let task = self.context.printer.progress().task(reference);
        let pushed = registry::image::push(&engine, &self.image_registry(), reference, |step| {
            task.message(step);
        })
        .await?;
        Ok(pushed.digest.to_string())
    }

    async fn push_chart(
        &self,
        chart: Option<&ReleasedChart>,
        folder: Option<&Reference>,
    ) -> CommandResult<String> {
        let (Some(chart), Some(folder)) = (chart, folder) else {
            return Err(CommandError::new(
                ErrorKind::Internal,
                "a chart without a place",
            ));
        };
        let registry = self.chart_registry();
        let archive = chart.archive.clone();
        // with the time of the commit, the digest is the same on every machine
        let pushed = registry::chart::push(&registry, folder, archive, None, self.tag.date).await?;
        Ok(pushed.digest.to_string())
    }
}

fn replaced(reference: &str, why: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Conflict,
        format!("the registry has `{reference}` already, and it {why}: nothing was pushed"),
    )
    .hint("what was released is not replaced: make a new tag")
}
