//! The files of a version in place of the working copy, for every verb that has `--version`.

use std::borrow::Cow;
use std::path::Path;

use crate::commands::Context;
use crate::fleet::release::{Record, record};
use crate::services::Instance;
use crate::source::{FetchContext, FetchProgress};
use crate::ui::error::CommandResult;
use crate::versions::selected::{self, Wanted};
use crate::versions::{Checkout, Repository};

/// The same context, whose beamlines are those of the version that is wanted; the context itself where working copies are.
///
/// # Errors
///
/// No beamline has the tag, with what was probably meant; a server that cannot be reached.
pub(crate) async fn at<'a>(
    wanted: Wanted<'_>,
    context: &'a Context,
) -> CommandResult<Cow<'a, Context>> {
    if !wanted.is_elsewhere(&context.settings) {
        return Ok(Cow::Borrowed(context));
    }
    let fetch = fetching(wanted.tag.unwrap_or("charts"), context);
    let settings = selected::settings_at(&context.settings, wanted, &fetch).await?;
    Ok(Cow::Owned(Context {
        settings,
        ..context.clone()
    }))
}

/// The files of the git repository around a folder at a tag.
///
/// # Errors
///
/// As [`at`].
pub(crate) async fn folder_at(
    folder: &Path,
    tag: &str,
    context: &Context,
) -> CommandResult<Checkout> {
    let repository = Repository::Folder(folder.to_path_buf());
    repository.checkout(tag, &fetching(tag, context)).await
}

/// Warns when a revision was deployed from the same tag or chart while that was another commit.
pub(crate) fn warn_of_a_moved_tag(instance: &Instance, history: &[Record], context: &Context) {
    // the working copy is asked of git elsewhere, and never moves
    let moved = history.iter().rev().find_map(|earlier| {
        let annotation = |key: &'static str| record::annotation(earlier, key);
        instance.version().moved(annotation)
    });
    if let Some(moved) = moved {
        context
            .printer
            .warning(format!("{}: {moved}", instance.name()));
    }
}

fn fetching(tag: &str, context: &Context) -> FetchContext {
    let task = context.printer.progress().task(tag);
    FetchContext::new(&context.settings, context.cancel.clone()).with_progress(move |progress| {
        if let FetchProgress::Step(step) = progress {
            task.message(step);
        }
    })
}
