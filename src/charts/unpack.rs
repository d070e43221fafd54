//! Writing the files of a chart's archive into a folder.

use std::path::{Component, Path, PathBuf};

use helm::{Chart, LoadOptions};

use super::error::cannot_load;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Unpacks an archive into `folder/NAME`, beside its place first: either all of it is there or nothing.
///
/// # Errors
///
/// It is no chart, an entry leads out of it, something of that name is there, or writing fails.
pub fn unpack(from: &str, archive: &[u8], folder: &Path) -> CommandResult<PathBuf> {
    let chart = Chart::load_archive(archive, &LoadOptions::default())
        .map_err(|error| cannot_load(Path::new(from), &error))?;
    let target = folder.join(chart.name());
    if target.symlink_metadata().is_ok() {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!("`{}` is there already", target.display()),
        )
        .hint("remove it, or name another folder with `--untardir`"));
    }
    fs_err::create_dir_all(folder)?;
    let work = tempfile::Builder::new()
        .prefix(".ioc-chart-")
        .tempdir_in(folder)?;
    let inside = work.path().join("chart");
    let files = helm::archive_files(archive, &LoadOptions::default().limits)
        .map_err(|error| cannot_load(Path::new(from), &error))?;
    for file in files {
        let relative = Path::new(file.name.as_ref());
        // The reader has refused such names already; this is the last line of defence.
        if !relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(CommandError::new(
                ErrorKind::Input,
                format!("`{from}` has an entry that leads out of the chart"),
            ));
        }
        let path = inside.join(relative);
        if let Some(above) = path.parent() {
            fs_err::create_dir_all(above)?;
        }
        fs_err::write(path, &file.data)?;
    }
    fs_err::rename(&inside, &target)?;
    Ok(target)
}
