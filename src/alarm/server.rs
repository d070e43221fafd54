//! Which alarm server is meant: where the servers of this machine say that they are, and what the options and settings
//! say.
//!
//! A server writes its address into `servers/NAME.json` of the bus folder, or, with Kafka, of the folder
//! `alarm-servers` in the state folder, and removes it at its end. What a killed server left behind is recognised by
//! nobody answering there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::alarm::bus::Choice;
use crate::settings::Settings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Largest file that says where a server is, in bytes.
const LARGEST: usize = 64 << 10;

/// Where a server says that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Its configuration.
    pub configuration: String,
    /// Address of its control API, `http://host:port`.
    pub api: String,
    /// Number of its process.
    pub pid: u32,
}

/// The address of a server, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Address of the control API.
    pub address: String,
    /// The file that says so; `None` if an option or a setting does.
    pub file: Option<PathBuf>,
    /// The configuration, if it is known.
    pub configuration: Option<String>,
}

/// The folder in which servers of this bus say where they are.
pub fn folder(choice: &Choice, settings: &Settings) -> PathBuf {
    match choice {
        Choice::Folder(folder) => folder.join("servers"),
        Choice::Kafka { .. } => settings.state.join("alarm-servers"),
    }
}

/// Tells others where a server is, until dropped.
#[derive(Debug)]
pub struct Announced {
    file: PathBuf,
    announcement: Announcement,
}

/// Says where a server is.
///
/// # Errors
///
/// A folder that cannot be written.
pub fn announce(folder: &Path, announcement: Announcement) -> std::io::Result<Announced> {
    fs_err::create_dir_all(folder)?;
    let file = folder.join(format!("{}.json", announcement.configuration));
    let text = serde_json::to_string(&announcement)?;
    // a reader sees the old file or the new one
    let mut new = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    std::io::Write::write_all(&mut new, text.as_bytes())?;
    new.persist(&file).map_err(|error| error.error)?;
    Ok(Announced { file, announcement })
}

impl Drop for Announced {
    fn drop(&mut self) {
        // another server may have taken its place
        if read(&self.file).is_some_and(|now| now == self.announcement)
            && let Err(error) = fs_err::remove_file(&self.file)
        {
            tracing::debug!("{error}");
        }
    }
}

/// Where the server of a configuration says that it is; it may be gone.
pub fn announced(folder: &Path, configuration: &str) -> Option<Announcement> {
    // a name with a slash leads nowhere else
    if configuration.contains('/') {
        return None;
    }
    read(&folder.join(format!("{configuration}.json")))
}

fn read(file: &Path) -> Option<Announcement> {
    let text = crate::text::read(file, LARGEST).ok()?;
    serde_json::from_str(&text).ok()
}

/// Finds the server that is meant: the option, the setting, then what servers of this machine say.
///
/// # Errors
///
/// None, or several and nothing says which.
pub fn find(
    option: Option<&str>,
    configuration: Option<&str>,
    choice: &Choice,
    settings: &Settings,
) -> CommandResult<Place> {
    let configuration = configuration.or(settings.alarm.config.as_deref());
    if let Some(address) = option.or(settings.alarm.api.as_deref()) {
        return Ok(Place {
            address: address.to_owned(),
            file: None,
            configuration: configuration.map(str::to_owned),
        });
    }
    let folder = folder(choice, settings);
    let place = |announcement: Announcement, file: PathBuf| Place {
        address: announcement.api,
        file: Some(file),
        configuration: Some(announcement.configuration),
    };
    if let Some(name) = configuration {
        return match announced(&folder, name) {
            Some(announcement) => {
                let file = folder.join(format!("{name}.json"));
                Ok(place(announcement, file))
            }
            None => Err(none_runs(Some(name), choice)),
        };
    }
    let mut found: Vec<(Announcement, PathBuf)> = fs_err::read_dir(&folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter_map(|path| Some((read(&path)?, path)))
        .collect();
    found.sort_by(|one, other| one.1.cmp(&other.1));
    match found.len() {
        0 => Err(none_runs(None, choice)),
        1 => {
            let (announcement, file) = found.remove(0);
            Ok(place(announcement, file))
        }
        _ => {
            let names: Vec<&str> = found
                .iter()
                .map(|(announcement, _file)| announcement.configuration.as_str())
                .collect();
            Err(CommandError::new(
                ErrorKind::Usage,
                format!("several alarm servers run here: {}", names.join(", ")),
            )
            .hint(format!("`--config {}` means one of them", names[0])))
        }
    }
}

fn none_runs(configuration: Option<&str>, choice: &Choice) -> CommandError {
    let of = configuration.map_or_else(String::new, |name| format!(" of `{name}`"));
    CommandError::new(
        ErrorKind::Bus,
        format!(
            "no alarm server{of} runs on this machine with {}",
            choice.words()
        ),
    )
    .hint(format!(
        "`{}` starts one",
        serve_words(configuration, choice)
    ))
    .hint("`--server URL` asks one on another machine")
}

/// The command that would start the server.
pub fn serve_words(configuration: Option<&str>, choice: &Choice) -> String {
    let name = configuration.unwrap_or("NAME");
    match choice {
        Choice::Folder(_) => format!("ioc alarm serve --config {name}"),
        Choice::Kafka { servers, .. } => {
            format!("ioc alarm serve --config {name} --kafka {servers}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(folder: &Path, name: &str, port: u16) -> Announced {
        let announcement = Announcement {
            configuration: name.to_owned(),
            api: format!("http://127.0.0.1:{port}"),
            pid: u32::from(port),
        };
        announce(folder, announcement).unwrap()
    }

    #[test]
    fn a_server_is_found_as_long_as_it_runs() {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings::for_test(home.path());
        let choice = Choice::Folder(home.path().join("bus"));
        let find = |name: Option<&str>| {
            find(None, name, &choice, &settings)
                .map(|place| place.address)
                .map_err(|error| error.to_string())
        };
        let folder = folder(&choice, &settings);
        assert!(find(None).unwrap_err().starts_with("no alarm server runs"));
        let one = start(&folder, "One", 1);
        assert_eq!(find(None).unwrap(), "http://127.0.0.1:1");
        let two = start(&folder, "Two", 2);
        assert_eq!(
            find(None).unwrap_err(),
            "several alarm servers run here: One, Two"
        );
        assert_eq!(find(Some("Two")).unwrap(), "http://127.0.0.1:2");
        assert_eq!(
            super::announced(&folder, "Two").map(|found| found.pid),
            Some(2)
        );
        // the one that comes later takes the place of the one before, which leaves it there
        let later = start(&folder, "Two", 3);
        drop(two);
        assert_eq!(find(Some("Two")).unwrap(), "http://127.0.0.1:3");
        drop(later);
        drop(one);
        assert!(find(Some("../Two")).is_err());
        assert!(find(None).is_err());
        let place = super::find(Some("https://far"), None, &choice, &settings).unwrap();
        assert_eq!((place.address.as_str(), place.file), ("https://far", None));
    }
}
