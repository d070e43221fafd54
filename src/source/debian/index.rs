//! What the mirror says about a source package: only to tell a person what to write into the recipe.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::{mirrors, pool};
use crate::source::apt::AptMirror;
use crate::source::cache::Cache;
use crate::source::definition::DebianSource;
use crate::source::download::Downloader;
use crate::source::{FetchContext, SourceError, mirror};

/// Largest `.dsc` file, in bytes.
const LARGEST_DSC: u64 = 1 << 20;
/// Largest compressed index of all source packages, in bytes (trixie: 10 MB).
const LARGEST_INDEX: u64 = 64 << 20;
/// Largest index after decompression, in bytes.
const LARGEST_TEXT: u64 = 1 << 30;
/// Suites that are looked at when apt names none.
const USUAL_SUITES: [&str; 2] = ["trixie", "bookworm"];

/// What was found out about a package.
#[derive(Debug, Default)]
struct Found {
    /// Its archives in YAML.
    files: Option<String>,
    /// Other versions that the mirror has.
    versions: BTreeSet<String>,
}

/// The error for a recipe without files, with what the mirror has if it can be found out.
pub(super) async fn missing_files(source: &DebianSource, context: &FetchContext) -> SourceError {
    let found = match discover(source, context).await {
        Ok(found) => found,
        Err(SourceError::Cancelled) => return SourceError::Cancelled,
        // The files are missing with or without a mirror that helps to find them.
        Err(_unknown) => Found::default(),
    };
    SourceError::DebianFiles {
        package: source.package.to_string(),
        version: source.version.to_string(),
        found: found.files,
        versions: found.versions.into_iter().collect(),
    }
}

async fn discover(source: &DebianSource, context: &FetchContext) -> Result<Found, SourceError> {
    let work = Cache::new(context).work()?;
    let path = work.path().join("file");
    let mut downloader = Downloader::new(context);
    let mut found = Found::default();
    for debian in mirrors(context)? {
        context.step(&format!("looking for {} at {}", source.package, debian.url));
        let url = format!("{}/{}", pool(source, &debian), dsc_name(source));
        if receive(&mut downloader, &url, &path, LARGEST_DSC, context).await? {
            let text = fs_err::read(&path).unwrap_or_default();
            found.files = files_of(String::from_utf8_lossy(&text).lines());
        }
        for suite in suites(&debian) {
            if found.files.is_some() {
                return Ok(found);
            }
            let url = format!(
                "{}/dists/{suite}/{}/source/Sources.xz",
                debian.url,
                source.component.folder()
            );
            if receive(&mut downloader, &url, &path, LARGEST_INDEX, context).await? {
                search(&path, source, &mut found);
            }
        }
    }
    Ok(found)
}

fn suites(mirror: &AptMirror) -> Vec<&str> {
    let known = mirror.suites.iter().map(String::as_str);
    let mut suites: Vec<&str> = known.filter(|suite| !suite.contains('-')).collect();
    for usual in USUAL_SUITES {
        if !suites.contains(&usual) {
            suites.push(usual);
        }
    }
    suites
}

/// Receives a file that need not exist.
async fn receive(
    downloader: &mut Downloader<'_>,
    url: &str,
    path: &Path,
    limit: u64,
    context: &FetchContext,
) -> Result<bool, SourceError> {
    let address = mirror::rewrite(url, &context.mirrors);
    match downloader.receive(&address, path, limit).await {
        Ok(_received) => Ok(true),
        Err(SourceError::Cancelled) => Err(SourceError::Cancelled),
        Err(_not_there) => Ok(false),
    }
}

fn dsc_name(source: &DebianSource) -> String {
    let version = source.version.as_str();
    let version = version
        .split_once(':')
        .map_or(version, |(_epoch, rest)| rest);
    format!("{}_{version}.dsc", source.package)
}

/// Looks for the package in an index of all source packages.
fn search(path: &Path, source: &DebianSource, found: &mut Found) {
    let Ok(file) = fs_err::File::open(path) else {
        return;
    };
    let text = liblzma::bufread::XzDecoder::new(BufReader::new(file)).take(LARGEST_TEXT);
    let mut stanza: Vec<String> = Vec::new();
    let mut lines = BufReader::new(text).lines();
    loop {
        match lines.next() {
            Some(Ok(line)) if !line.is_empty() => stanza.push(line),
            Some(Err(_broken)) => return,
            end_of_stanza => {
                let is_package = stanza
                    .iter()
                    .any(|line| line.strip_prefix("Package: ") == Some(source.package.as_str()));
                let version = stanza
                    .iter()
                    .find_map(|line| line.strip_prefix("Version: "));
                if let (true, Some(version)) = (is_package, version) {
                    if version == source.version.as_str() {
                        found.files = files_of(stanza.iter().map(String::as_str));
                    } else {
                        found.versions.insert(version.to_owned());
                    }
                }
                stanza.clear();
                if end_of_stanza.is_none() {
                    return;
                }
            }
        }
    }
}

/// The archives under `Checksums-Sha256` as YAML for a recipe, without those of the distribution's own changes.
fn files_of<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let files: String = lines
        .skip_while(|line| *line != "Checksums-Sha256:")
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (sum, _size, name) = (words.next()?, words.next()?, words.next()?);
            let harmless = |text: &str| text.chars().all(|letter| letter.is_ascii_graphic());
            let wanted = name.contains(".tar.") && !name.contains(".debian.tar.");
            let is_signature = Path::new(name).extension().is_some_and(|end| end == "asc");
            (wanted && !is_signature && harmless(name) && harmless(sum))
                .then(|| format!("  - name: {name}\n    sha256: {sum}\n"))
        })
        .collect();
    (!files.is_empty()).then(|| format!("files:\n{}", files.trim_end()))
}
