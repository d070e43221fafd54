//! What a look reads of release records: revision and state out of labels, version and words out of the beginning of
//! the record. Pure.
//!
//! A record is tens of kilobytes of chart and manifest; the version stands in its first two. Reading stops there.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::state::shortened;
use crate::fleet::kubernetes::intent::STOPPED;
use crate::fleet::release::record::{BEAMLINE, DEPLOYED_BY, annotation, app_version};
use crate::fleet::release::{Record, Status};

/// More of a record is never unpacked in search of its version.
const LONGEST_HEAD: u64 = 4 * 1024 * 1024;

/// The beginning of a record. Its texts are whoever wrote it's: they are one line each, without control characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Version of the instance.
    pub app_version: String,
    /// Helm's words for what was done.
    pub description: String,
    /// When.
    pub last_deployed: String,
    /// Who did it, where `ioc` did.
    pub deployed_by: Option<String>,
    /// Beamline in `ioc.toml`, where `ioc` did.
    pub beamline: Option<String>,
    /// Who stopped it on purpose, where `ioc` did.
    pub stopped_by: Option<String>,
}

impl Head {
    /// The same of a whole record.
    pub fn of(record: &Record) -> Self {
        let own = |key: &str| annotation(record, key).map(shortened);
        Self {
            app_version: shortened(app_version(record)),
            description: shortened(&record.info.description),
            last_deployed: record
                .info
                .last_deployed
                .as_ref()
                .map(helm::release::format_time)
                .unwrap_or_default(),
            deployed_by: own(DEPLOYED_BY),
            beamline: own(BEAMLINE),
            stopped_by: annotation(record, STOPPED).and_then(who),
        }
    }
}

/// Who, in the annotation of a stop.
fn who(note: &str) -> Option<String> {
    let note: serde_json::Value = serde_json::from_str(note).ok()?;
    note.get("by")?.as_str().map(shortened)
}

/// One revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number.
    pub number: u32,
    /// Its state.
    pub status: Status,
    /// The beginning of its record; empty when it cannot be read.
    pub head: Head,
}

/// The revisions of a release that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The newest one.
    pub newest: Revision,
    /// The one that is deployed.
    pub deployed: Option<Revision>,
}

impl Release {
    /// The revision that is shown: what is deployed, else the newest.
    pub fn shown(&self) -> &Revision {
        self.deployed.as_ref().unwrap_or(&self.newest)
    }
}

/// Revisions of one release by number.
type Revisions = BTreeMap<u32, Revision>;

/// Releases by namespace and name.
#[derive(Debug, Clone, Default)]
pub struct Releases(BTreeMap<(String, String), Revisions>);

impl Releases {
    /// Adds a revision, in any order, or replaces what was known of it.
    pub fn add(&mut self, namespace: &str, name: &str, revision: Revision) {
        self.0
            .entry((namespace.to_owned(), name.to_owned()))
            .or_default()
            .insert(revision.number, revision);
    }

    /// Forgets a revision.
    pub fn remove(&mut self, namespace: &str, name: &str, number: u32) {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(revisions) = self.0.get_mut(&key) {
            revisions.remove(&number);
            if revisions.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    /// A release.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Release> {
        self.0
            .get(&(namespace.to_owned(), name.to_owned()))
            .and_then(release)
    }

    /// All releases: namespace, name, release.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Release)> {
        self.0.iter().filter_map(|((namespace, name), revisions)| {
            Some((namespace.as_str(), name.as_str(), release(revisions)?))
        })
    }
}

fn release(revisions: &Revisions) -> Option<Release> {
    let (_, newest) = revisions.last_key_value()?;
    let deployed = revisions
        .values()
        .rev()
        .find(|revision| revision.status == Status::Deployed);
    Some(Release {
        newest: newest.clone(),
        deployed: deployed.cloned(),
    })
}

/// Reads a revision from the labels and the content of its Secret; `content` is the text that Helm stores.
pub fn revision(
    labels: impl Fn(&str) -> Option<String>,
    content: &[u8],
) -> Option<(String, Revision)> {
    let (name, number, status) = self::labels(labels)?;
    let head = head(content).unwrap_or_default();
    Some((
        name,
        Revision {
            number,
            status,
            head,
        },
    ))
}

/// Name, number and state of a revision in the labels of its Secret.
pub fn labels(labels: impl Fn(&str) -> Option<String>) -> Option<(String, u32, Status)> {
    let name = labels("name")?;
    let number = labels("version")?.parse().ok()?;
    let status = serde_json::from_value(serde_json::Value::String(labels("status")?))
        .unwrap_or(Status::Unknown);
    Some((name, number, status))
}

/// The beginning of a record; `None` when it is none.
pub fn head(content: &[u8]) -> Option<Head> {
    let mut bytes = STANDARD.decode(content.trim_ascii()).ok()?;
    // the JSON of a Secret has it in Base64 once more
    if bytes.starts_with(b"H4sI") || bytes.starts_with(b"ey") {
        bytes = STANDARD.decode(bytes.trim_ascii()).ok()?;
    }
    if bytes.starts_with(b"\x1f\x8b") {
        let unpacked = GzDecoder::new(bytes.as_slice()).take(LONGEST_HEAD);
        read(BufReader::with_capacity(2048, unpacked))
    } else {
        read(bytes.as_slice())
    }
}

fn read(reader: impl Read) -> Option<Head> {
    let mut found = Found::default();
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    // ends with an error as soon as enough was read
    let _enough = Top(&mut found).deserialize(&mut deserializer);
    let metadata = found.metadata?;
    let info = found.info.unwrap_or_default();
    let annotation = |key: &str| metadata.annotations.get(key).map(|text| shortened(text));
    Some(Head {
        deployed_by: annotation(DEPLOYED_BY),
        beamline: annotation(BEAMLINE),
        stopped_by: metadata.annotations.get(STOPPED).and_then(|note| who(note)),
        app_version: shortened(&metadata.app_version),
        description: shortened(&info.description),
        last_deployed: shortened(&info.last_deployed),
    })
}

#[derive(Default)]
struct Found {
    info: Option<Info>,
    metadata: Option<Metadata>,
}

impl Found {
    fn is_enough(&self) -> bool {
        self.info.is_some() && self.metadata.is_some()
    }
}

#[derive(Default, Deserialize)]
struct Info {
    #[serde(default)]
    description: String,
    #[serde(default)]
    last_deployed: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    app_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

struct Top<'a>(&'a mut Found);
struct Chart<'a>(&'a mut Found);

macro_rules! stops_when_enough {
    ($name:ident, $($key:literal => $read:expr),+) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = ();

            fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_map(self)
            }
        }

        impl<'de> Visitor<'de> for $name<'_> {
            type Value = ();

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of a release record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        $($key => $read(&mut *self.0, &mut map)?,)+
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    if self.0.is_enough() {
                        return Err(A::Error::custom("enough"));
                    }
                }
                Ok(())
            }
        }
    };
}

stops_when_enough!(Top,
    "info" => read_info,
    "chart" => |found, map: &mut A| map.next_value_seed(Chart(found)));
stops_when_enough!(Chart,
    "metadata" => read_metadata);

fn read_info<'de, A: MapAccess<'de>>(found: &mut Found, map: &mut A) -> Result<(), A::Error> {
    found.info = Some(map.next_value()?);
    Ok(())
}

fn read_metadata<'de, A: MapAccess<'de>>(found: &mut Found, map: &mut A) -> Result<(), A::Error> {
    found.metadata = Some(map.next_value()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const RECORD: &str = r#"{"name":"a","info":{"first_deployed":"2026-11-26T10:00:00Z","last_deployed":"2026-11-26T11:00:00Z","deleted":"","description":"Upgrade complete","status":"deployed","notes":"x"},"chart":{"metadata":{"name":"ec-service","version":"1.0.0","appVersion":"2026.11.1","annotations":{"ioc/deployed-by":"me@here","ioc/beamline":"t01","ioc/stopped":"{\"by\":\"anna@desk\"}"}},"lock":null,"templates":[]},"config":{},"manifest":"…","version":3,"namespace":"t01"}"#;

    fn packed(json: &str) -> String {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(json.as_bytes()).unwrap();
        STANDARD.encode(encoder.finish().unwrap())
    }

    #[test]
    fn the_beginning_is_read_in_every_form_of_storage() {
        let once = packed(RECORD);
        let forms = [
            once.clone(),
            STANDARD.encode(&once),
            STANDARD.encode(RECORD),
            STANDARD.encode(STANDARD.encode(RECORD)),
        ];
        for form in forms {
            let head = head(form.as_bytes()).unwrap();
            assert_eq!(head.app_version, "2026.11.1");
            assert_eq!(head.description, "Upgrade complete");
            assert_eq!(head.deployed_by.as_deref(), Some("me@here"));
            assert_eq!(head.beamline.as_deref(), Some("t01"));
            assert_eq!(head.stopped_by.as_deref(), Some("anna@desk"));
        }
    }

    #[test]
    fn the_rest_is_not_looked_at() {
        let cut = RECORD.split_once(",\"lock\"").unwrap().0;
        assert_eq!(
            head(packed(cut).as_bytes()).unwrap().app_version,
            "2026.11.1"
        );
        for damaged in [
            "",
            "!",
            "H4sI",
            &packed("[]"),
            &packed("{\"chart\":{}}"),
            &packed("{\"info\":7}"),
        ] {
            assert_eq!(head(damaged.as_bytes()), None, "{damaged}");
        }
    }

    #[test]
    fn the_newest_and_the_deployed_revision_count_in_any_order() {
        let revision = |number, status| Revision {
            number,
            status,
            head: Head::default(),
        };
        let deployed = revision(3, Status::Deployed);
        let pending = revision(4, Status::PendingUpgrade);
        for order in [[&deployed, &pending], [&pending, &deployed]] {
            let mut releases = Releases::default();
            for revision in order {
                releases.add("t01", "a", revision.clone());
            }
            let release = releases.get("t01", "a").unwrap();
            assert_eq!((release.newest.number, release.shown().number), (4, 3));
            releases.remove("t01", "a", 3);
            releases.add("t01", "a", revision(4, Status::Failed));
            let release = releases.get("t01", "a").unwrap();
            assert_eq!(
                (release.shown().status, release.deployed),
                (Status::Failed, None)
            );
        }
    }
}
