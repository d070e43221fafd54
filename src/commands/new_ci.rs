//! `ioc new --ci github|gitlab`: the pipeline file that checks each push and releases each tag.

use std::path::Path;

use crate::cli::new::Ci;
use crate::commands::new_instance::show;
use crate::commands::{Context, Outcome};
use crate::services::scaffold::{Content, NewFile, ci, write};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs the command.
///
/// # Errors
///
/// There is such a file already; nothing is overwritten.
pub(crate) fn new_ci(kind: Ci, dry_run: bool, context: &Context) -> CommandResult<Outcome> {
    let (name, text) = match kind {
        Ci::Github => ci::GITHUB,
        Ci::Gitlab => ci::GITLAB,
    };
    let root = match &context.settings.project {
        Some(project) => project.clone(),
        None => std::env::current_dir()
            .map_err(|error| CommandError::system(error, "failed to find the current folder"))?,
    };
    let path = root.join(name);
    if path.symlink_metadata().is_ok() {
        return Err(
            CommandError::new(ErrorKind::Conflict, format!("`{name}` exists already"))
                .hint("rename it, write the new one, and compare them"),
        );
    }
    let file = NewFile {
        path: name.into(),
        content: Content::File(text.as_bytes().to_vec()),
    };
    show(context, Path::new(""), std::slice::from_ref(&file), dry_run)?;
    if dry_run {
        return Ok(Outcome::Success);
    }
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    write::replace(&path, text)?;
    context.printer.info(format!("the pipeline is in `{name}`"));
    context.printer.hint(
        "set the variables that its first lines name, then push a tag: `git tag 2026.11.1 && git push origin 2026.11.1`",
    );
    Ok(Outcome::Success)
}
