//! `ioc autosave copy`: files of saved settings on this machine.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cli::autosave::CopyArgs;
use crate::commands::{Context, Outcome};
use crate::fleet::autosave::{Entry, restored_name};
use crate::fleet::store::atomic;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Copies them, with their times.
///
/// # Errors
///
/// The files cannot be read, or what is to be written is there already; nothing is written then.
pub(crate) async fn copy(args: &CopyArgs, context: &Context) -> CommandResult<Outcome> {
    let (instance, only) = match args.from.split_once(':') {
        Some((instance, file)) => (instance, Some(file)),
        None => (args.from.as_str(), None),
    };
    let mut files = match only {
        Some(name) => vec![super::file(instance, name, &args.place, context).await?],
        None => super::files(instance, None, &args.place, context).await?,
    };
    if only.is_none() {
        // other things may be in the folder
        files.retain(|entry| restored_name(&entry.name).is_some());
    }
    let copies: Vec<(&Entry, PathBuf)> = files
        .iter()
        .map(|entry| (entry, destination(&args.to, only, &entry.name)))
        .collect();
    for (entry, path) in &copies {
        super::bytes(entry)?;
        if path.exists() && !args.force {
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!("`{}` is there already", path.display()),
            )
            .hint("name another folder, or replace it with `--force`"));
        }
    }
    for (entry, path) in &copies {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs_err::create_dir_all(folder)?;
        }
        let path = match folder {
            Some(_) => path.clone(),
            None => Path::new(".").join(path),
        };
        atomic::write(&path, super::bytes(entry)?, 0o644)?;
        let file = fs_err::File::options().write(true).open(&path)?;
        file.file().set_modified(SystemTime::from(entry.modified))?;
        context
            .printer
            .info(format!("{} -> {}", entry.name, path.display()));
    }
    let paths: Vec<&PathBuf> = copies.iter().map(|(_, path)| path).collect();
    if context.printer.format() != crate::cli::global::OutputFormat::Table {
        context.printer.emit_text(&paths, |_| String::new())?;
    }
    if copies.is_empty() {
        context
            .printer
            .info(format!("`{instance}` has no saved settings yet"));
    }
    Ok(Outcome::Success)
}

/// Where a file goes: all of an instance, and one into a folder that is there or is named as one, under its own name.
fn destination(to: &Path, only: Option<&str>, name: &str) -> PathBuf {
    let is_folder = to.is_dir() || to.as_os_str().to_string_lossy().ends_with('/');
    if only.is_none() || is_folder {
        to.join(name)
    } else {
        to.to_path_buf()
    }
}
