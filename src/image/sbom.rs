//! The bill of materials of an image in the format CycloneDX 1.6 (ECMA-424). Pure.
//!
//! The document depends on the image alone: made twice it is the same. Licences are not in it, because neither Debian's
//! package database nor a recipe names them in a form that a program understands.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::image::versions::ModuleVersion;

/// What the bill is of.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Reference of the image.
    pub reference: &'a str,
    /// The engine's identifier, a digest.
    pub id: &'a str,
    /// When it was made, as RFC 3339.
    pub created: &'a str,
}

/// A CycloneDX document, as far as it is written here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bom {
    #[serde(rename = "$schema")]
    schema: &'static str,
    #[serde(rename = "bomFormat")]
    format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata,
    /// Support modules in build order, then the packages of the operating system by name.
    pub components: Vec<Component>,
}

#[derive(Debug, Serialize)]
struct Metadata {
    timestamp: String,
    tools: Tools,
    component: Component,
}

#[derive(Debug, Serialize)]
struct Tools {
    components: Vec<Component>,
}

/// One thing inside, or the image itself.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    /// Name, as its makers write it.
    pub name: String,
    /// Version; empty where there is none.
    pub version: String,
    /// Package URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference>,
}

#[derive(Debug, Clone, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Debug, Clone, Serialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

/// What a component is to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Built from source: EPICS base, a support module.
    Module,
    /// A package of the operating system.
    Package,
    /// The operating system itself.
    System,
}

impl Component {
    fn new(kind: &'static str, name: &str, version: &str) -> Self {
        Self {
            kind,
            bom_ref: format!("{kind}:{name}@{version}"),
            name: name.to_owned(),
            version: version.to_owned(),
            purl: None,
            hashes: Vec::new(),
            external_references: Vec::new(),
        }
    }

    fn with_purl(mut self, purl: String) -> Self {
        self.bom_ref.clone_from(&purl);
        self.purl = Some(purl);
        self
    }

    /// What it is to a reader.
    pub fn kind(&self) -> Kind {
        match (self.kind, self.purl.as_deref()) {
            ("operating-system", _) => Kind::System,
            (_, Some(purl)) if purl.starts_with("pkg:deb/") => Kind::Package,
            _ => Kind::Module,
        }
    }
}

impl Bom {
    /// The bill of an image from its modules, the package database of dpkg and `/etc/os-release`.
    pub fn new(
        subject: &Subject<'_>,
        modules: &[ModuleVersion],
        packages: &str,
        distribution: &str,
    ) -> Self {
        let system = System::read(distribution);
        let mut components: Vec<Component> = modules.iter().map(module).collect();
        components.push(Component::new(
            "operating-system",
            &system.id,
            &system.version,
        ));
        components.extend(installed(packages, &system));
        let mut tool = Component::new("application", "ioc", env!("CARGO_PKG_VERSION"));
        "ioc".clone_into(&mut tool.bom_ref);
        let mut image = Component::new("container", subject.reference, subject.id);
        subject.id.clone_into(&mut image.bom_ref);
        if let Some(sum) = subject.id.strip_prefix("sha256:") {
            image.hashes.push(sha256(sum));
        }
        Self {
            schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
            format: "CycloneDX",
            spec_version: "1.6",
            version: 1,
            metadata: Metadata {
                timestamp: subject.created.to_owned(),
                tools: Tools {
                    components: vec![tool],
                },
                component: image,
            },
            components,
        }
    }
}

fn sha256(sum: &str) -> Hash {
    Hash {
        alg: "SHA-256",
        content: sum.to_owned(),
    }
}

fn module(module: &ModuleVersion) -> Component {
    let (name, version) = (module.name.as_str(), module.version.as_str());
    let commit = module.commit.as_deref();
    let mut component = Component::new("library", name, version);
    let mut purl = format!("pkg:generic/{}", encoded(name));
    let exact = Some(version).filter(|version| !version.is_empty());
    if let Some(exact) = exact.or(commit) {
        purl.push_str(&format!("@{}", encoded(exact)));
    }
    let source = module.source.as_str();
    let url = source.split_once(" at ").map_or(source, |(url, _tag)| url);
    if let Some(commit) = commit {
        let place = format!("git+{url}@{commit}");
        purl.push_str(&format!("?vcs_url={}", encoded(&place)));
    }
    if url.contains("://") {
        component.external_references.push(Reference {
            kind: if commit.is_some() {
                "vcs"
            } else {
                "distribution"
            },
            url: url.to_owned(),
        });
    }
    component
        .hashes
        .extend(module.sha256.as_deref().map(sha256));
    component.with_purl(purl)
}

/// The distribution, as its `os-release` says.
struct System {
    id: String,
    version: String,
}

impl System {
    fn read(text: &str) -> Self {
        let values: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches(['"', '\''])))
            .collect();
        let value = |key: &str| values.get(key).copied().unwrap_or_default().to_owned();
        let id = value("ID");
        Self {
            id: if id.is_empty() {
                "linux".to_owned()
            } else {
                id
            },
            version: value("VERSION_ID"),
        }
    }
}

/// The packages that are installed, by name: paragraphs of `Key: value` with an empty line in between (deb-control(5)).
fn installed(text: &str, system: &System) -> Vec<Component> {
    let mut packages: Vec<Component> = text
        .split("\n\n")
        .filter_map(|paragraph| package(paragraph, system))
        .collect();
    packages.sort_by(|a, b| a.bom_ref.cmp(&b.bom_ref));
    packages.dedup_by(|a, b| a.bom_ref == b.bom_ref);
    packages
}

fn package(paragraph: &str, system: &System) -> Option<Component> {
    let field = |wanted: &str| {
        paragraph
            .lines()
            .filter(|line| !line.starts_with(char::is_whitespace))
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
    };
    // what was removed but for its settings is not inside any more
    field("Status")?.ends_with(" installed").then_some(())?;
    let (name, version) = (field("Package")?, field("Version")?);
    let mut purl = format!(
        "pkg:deb/{}/{}@{}",
        encoded(&system.id),
        encoded(name),
        encoded(version)
    );
    let release = if system.version.is_empty() {
        String::new()
    } else {
        format!("{}-{}", system.id, system.version)
    };
    let qualifiers: Vec<String> = [
        ("arch", field("Architecture").unwrap_or_default()),
        ("distro", &release),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(key, value)| format!("{key}={}", encoded(value)))
    .collect();
    if !qualifiers.is_empty() {
        purl.push_str(&format!("?{}", qualifiers.join("&")));
    }
    Some(Component::new("library", name, version).with_purl(purl))
}

/// A part of a package URL: everything but letters, digits and `.-_~:` is percent-encoded.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STATUS: &str = "\
Package: libc6
Status: install ok installed
Priority: optional
Architecture: amd64
Version: 2.41-12+deb13u1
Description: GNU C Library
 Package: not a field
 more text

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: epoch
Status: install ok installed
Architecture: all
Version: 1:2.0-1
";

    fn subject() -> Subject<'static> {
        Subject {
            reference: "localhost/ioc-sim-runtime:latest",
            id: "sha256:0011223344556677889900112233445566778899001122334455667788990011",
            created: "2026-11-27T09:00:00Z",
        }
    }

    #[test]
    fn modules_first_then_the_system_and_its_packages() {
        let versions = json!({"image": "ioc-sim", "base": "epics-base", "modules": [
            {"name": "epics-base", "version": "7.0.9", "source": "Debian source package epics-base 7.0.9",
             "sha256": "ab".repeat(32)},
            {"name": "asyn", "version": "R4-45", "source": "https://git.example/asyn.git at R4-45",
             "commit": "cd".repeat(20)},
            {"name": "simulation", "version": "", "source": "folder application"},
        ]});
        let modules = ModuleVersion::read(&versions);
        let bom = Bom::new(
            &subject(),
            &modules,
            STATUS,
            "ID=debian\nVERSION_ID=\"13\"\n",
        );
        let rows: Vec<String> = bom
            .components
            .iter()
            .map(|each| {
                format!(
                    "{:?} {} {} {}",
                    each.kind(),
                    each.name,
                    each.version,
                    each.purl.as_deref().unwrap_or("-")
                )
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @"
        Module epics-base 7.0.9 pkg:generic/epics-base@7.0.9
        Module asyn R4-45 pkg:generic/asyn@R4-45?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Fasyn.git%40cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
        Module simulation  pkg:generic/simulation
        System debian 13 -
        Package epoch 1:2.0-1 pkg:deb/debian/epoch@1:2.0-1?arch=all&distro=debian-13
        Package libc6 2.41-12+deb13u1 pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64&distro=debian-13
        ");
        let value = serde_json::to_value(&bom).unwrap();
        assert_eq!(value["bomFormat"], "CycloneDX");
        assert_eq!(
            value["metadata"]["component"]["hashes"][0]["alg"],
            "SHA-256"
        );
        assert_eq!(
            value["components"][0]["hashes"][0]["content"],
            "ab".repeat(32)
        );
        assert_eq!(
            value["components"][1]["externalReferences"][0],
            json!({"type": "vcs", "url": "https://git.example/asyn.git"})
        );
        let refs: std::collections::BTreeSet<&str> = bom
            .components
            .iter()
            .map(|each| each.bom_ref.as_str())
            .collect();
        assert_eq!(
            refs.len(),
            bom.components.len(),
            "every reference is there once"
        );
    }

    #[test]
    fn labels_of_other_builders_count_as_modules() {
        let versions = json!({"asyn": "R4-45", "odd name": 7});
        let bom = Bom::new(&subject(), &ModuleVersion::read(&versions), "", "");
        let purls: Vec<&str> = bom
            .components
            .iter()
            .filter_map(|each| each.purl.as_deref())
            .collect();
        assert_eq!(
            purls,
            ["pkg:generic/asyn@R4-45", "pkg:generic/odd%20name@7"]
        );
    }
}
