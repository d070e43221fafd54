//! The images of a project as they are now: what each is made of, what the engine has, what is to be built.
//!
//! This is the shell around the pure parts: it reads the folder, asks the source cache and the engine, and
//! prepares every target. It builds nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::diagnostic::Diagnostic;
use crate::image::assets::{self, Files};
use crate::image::catalog::{Catalog, Module};
use crate::image::chain::{self, ChainError, Layer};
use crate::image::context::{Item, sha256};
use crate::image::definition::{Base, Target};
use crate::image::engine::{BuildObserver, EngineImage, ImageEngine};
use crate::image::lock::{FILE_NAME, Lock, LockedBase, LockedModule};
use crate::image::plan::{self, Reason};
use crate::image::prepare::{BaseImage, Naming, Parts, Prepared, prepare};
use crate::settings::Settings;
use crate::source::definition::Commit;
use crate::source::{FetchContext, Identity, IdentityKind, Source, fetch};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How the lock file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockUse {
    /// What it holds is taken, what it lacks is found.
    Follow,
    /// Everything is found anew.
    Update,
    /// Only what it holds: nothing is looked up that it does not have.
    OnlyKnown,
}

/// The images of a project as they are now.
#[derive(Debug)]
pub struct Survey<'a> {
    /// The wanted images and those below them, bases first.
    pub layers: Vec<Layer<'a>>,
    /// Their targets, in the same order, developer before runtime.
    pub targets: Vec<Prepared>,
    /// What the engine has under the reference of each target.
    pub present: Vec<Option<EngineImage>>,
    /// Images from outside the project, by reference.
    pub outside: BTreeMap<String, EngineImage>,
    /// The lock file as it is.
    pub lock: Lock,
    /// What the lock file would say of these images.
    pub lock_now: Lock,
    /// Sources that are on this machine already, by module.
    pub trees: BTreeMap<String, PathBuf>,
    /// Modules whose source is not known yet: only with [`LockUse::OnlyKnown`].
    pub unknown: Vec<String>,
}

/// Reads all images and recipes of the project.
///
/// # Errors
///
/// The folder does not exist or cannot be read.
pub fn load_catalog(settings: &Settings) -> CommandResult<Catalog> {
    let folder = &settings.images.folder;
    if !folder.is_dir() {
        return Err(CommandError::not_found(format!(
            "there is no folder `{}` with image definitions",
            folder.display()
        ))
        .hint("`folder` in `[images]` of `ioc.toml` names it; `ioc new generic-ioc` begins one"));
    }
    Ok(Catalog::load(folder, &shown(settings, folder))?)
}

/// The folder as the user would name it.
fn shown(settings: &Settings, folder: &Path) -> PathBuf {
    let below = settings
        .project
        .as_ref()
        .and_then(|project| folder.strip_prefix(project).ok());
    below.unwrap_or(folder).to_path_buf()
}

/// The wanted images with everything below them.
///
/// # Errors
///
/// An unknown name, or the mistakes in what is needed.
pub fn resolve<'a>(
    catalog: &'a Catalog,
    wanted: impl IntoIterator<Item = &'a str>,
) -> CommandResult<Vec<Layer<'a>>> {
    chain::resolve(catalog, wanted).map_err(|error| match error {
        ChainError::UnknownImage { name, nearest } => {
            let error = CommandError::not_found(format!("there is no image `{name}`"));
            match nearest {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("`ioc image ls` lists the images of the project"),
            }
        }
        ChainError::Findings(findings) => wrong_definitions(findings),
    })
}

fn wrong_definitions(findings: Vec<Diagnostic>) -> CommandError {
    match <[Diagnostic; 1]>::try_from(findings) {
        Ok([finding]) => CommandError::from_diagnostic(ErrorKind::Input, finding),
        Err(findings) => CommandError::from_diagnostics(
            ErrorKind::Input,
            format!("the image definitions have {} mistakes", findings.len()),
            findings,
        ),
    }
}

/// Reads the lock file; an empty one if there is none.
///
/// # Errors
///
/// The file cannot be read or is damaged.
pub fn read_lock(settings: &Settings) -> CommandResult<Lock> {
    let path = settings.images.folder.join(FILE_NAME);
    if !path.exists() {
        return Ok(Lock::default());
    }
    let text = fs_err::read_to_string(&path)?;
    Lock::parse(
        &shown(settings, &settings.images.folder).join(FILE_NAME),
        &text,
    )
    .map_err(|finding| CommandError::from_diagnostic(ErrorKind::Input, *finding))
}

/// Finds out how the wanted images are.
///
/// # Errors
///
/// A source that cannot be had, a base image that is missing, an engine that does not answer.
pub async fn survey<'a>(
    settings: &Settings,
    engine: &ImageEngine,
    layers: Vec<Layer<'a>>,
    lock_use: LockUse,
    observer: &dyn BuildObserver,
    cancel: &CancellationToken,
) -> CommandResult<Survey<'a>> {
    let lock = read_lock(settings)?;
    let mut survey = Survey {
        layers,
        targets: Vec::new(),
        present: Vec::new(),
        outside: BTreeMap::new(),
        lock,
        lock_now: Lock::default(),
        trees: BTreeMap::new(),
        unknown: Vec::new(),
    };
    let identities = survey.identities(settings, lock_use, cancel).await?;
    let naming = Naming {
        registry: settings.images.registry.clone(),
        tag: settings.images.tag.clone(),
    };
    let site = site_files(settings)?;
    let mut keys: BTreeMap<(String, Target), String> = BTreeMap::new();
    for layer in survey.layers.clone() {
        let assets = assets::read(&layer, &settings.images.folder)?;
        let mut bases = BTreeMap::new();
        for target in Target::ALL {
            let base = match &layer.base {
                Base::Image(name) => BaseImage {
                    reference: naming.reference(name, target),
                    identity: keys
                        .get(&(name.clone(), target))
                        .cloned()
                        .unwrap_or_default(),
                },
                Base::OperatingSystem => {
                    survey
                        .outside(&settings.images.base, engine, lock_use, observer)
                        .await?
                }
                Base::Reference(text) => {
                    let reference = text.replace("{target}", target.as_str());
                    survey
                        .outside(&reference, engine, lock_use, observer)
                        .await?
                }
            };
            bases.insert(target, base);
        }
        let parts = Parts {
            layer: &layer,
            naming: &naming,
            assets: &assets,
            identities: &identities,
            trees: &survey.trees,
            bases: &bases,
            host_arch: engine.host_arch(),
            site: &site,
        };
        let mut developer_key = String::new();
        for target in Target::ALL {
            let mut prepared = prepare(&parts, target, &developer_key).map_err(|error| {
                CommandError::new(ErrorKind::Internal, "a Containerfile cannot be rendered")
                    .caused_by(error)
            })?;
            if layer.image.definition().is_none() {
                // Arguments that every builder knows and that stay in no image.
                for (name, value) in proxy_arguments(settings) {
                    prepared.arguments.insert(name.to_owned(), value);
                }
            }
            developer_key = prepared.key();
            keys.insert((prepared.image.clone(), target), developer_key.clone());
            survey
                .present
                .push(engine.inspect(&prepared.reference).await?);
            survey.targets.push(prepared);
        }
    }
    Ok(survey)
}

impl Survey<'_> {
    /// Why each target has to be built; `None` for those that are up to date or not asked for.
    pub fn reasons(&self, wanted: impl Fn(&Prepared) -> bool, all: bool) -> Vec<Option<Reason>> {
        self.targets
            .iter()
            .zip(&self.present)
            .map(|(prepared, present)| {
                if !wanted(prepared) {
                    return None;
                }
                let present = present.as_ref().map(EngineImage::present);
                plan::reason(prepared, present.as_ref(), all)
            })
            .collect()
    }

    /// The image of the project that an image is built on.
    pub fn base_of(&self, image: &str) -> Option<String> {
        let layer = self.layers.iter().find(|layer| layer.name() == image)?;
        match &layer.base {
            Base::Image(name) => Some(name.clone()),
            Base::OperatingSystem | Base::Reference(_) => None,
        }
    }

    /// Puts a fetched source in its place in the contexts.
    pub fn set_tree(&mut self, module: &str, tree: PathBuf, identity: &str) {
        let place = format!("modules/{module}/source");
        for prepared in &mut self.targets {
            if prepared.context.paths().any(|path| path == place) {
                let item = Item::Folder {
                    path: tree.clone(),
                    identity: identity.to_owned(),
                };
                prepared.context.insert(place.clone(), item);
            }
        }
        self.trees.insert(module.to_owned(), tree);
    }

    /// What each source is: from the lock, from the recipe, or by fetching it.
    async fn identities(
        &mut self,
        settings: &Settings,
        lock_use: LockUse,
        cancel: &CancellationToken,
    ) -> CommandResult<BTreeMap<String, Identity>> {
        let context = FetchContext::new(settings, cancel.clone());
        let mut identities = BTreeMap::new();
        for layer in &self.layers {
            for placed in &layer.own {
                let module = placed.module;
                let source = &module.recipe.source.value;
                let locked = match lock_use {
                    LockUse::Update => None,
                    LockUse::Follow | LockUse::OnlyKnown => self
                        .lock
                        .identity_of(&module.name, &lock_words(source))
                        .and_then(|text| parse_identity(text, source)),
                };
                let known = locked.or_else(|| pinned(source));
                let identity = match known {
                    Some(identity) => identity,
                    None if lock_use == LockUse::OnlyKnown && !module.is_local() => {
                        self.unknown.push(module.name.clone());
                        continue;
                    }
                    None => {
                        let fetched = fetch_module(module, &context, None).await?;
                        self.trees.insert(module.name.clone(), fetched.tree);
                        fetched.identity
                    }
                };
                if identity.kind != IdentityKind::Content {
                    self.lock_now.module.insert(
                        module.name.clone(),
                        LockedModule {
                            source: lock_words(source),
                            identity: identity.to_string(),
                        },
                    );
                }
                identities.insert(module.name.clone(), identity);
            }
        }
        Ok(identities)
    }

    /// An image from outside the project, by its locked digest if it has one.
    async fn outside(
        &mut self,
        reference: &str,
        engine: &ImageEngine,
        lock_use: LockUse,
        observer: &dyn BuildObserver,
    ) -> CommandResult<BaseImage> {
        let locked = match lock_use {
            LockUse::Update => None,
            LockUse::Follow | LockUse::OnlyKnown => self.lock.base.get(reference),
        };
        let exact = match locked {
            Some(base) if !reference.contains('@') => {
                format!("{}@{}", without_tag(reference), base.digest)
            }
            _ => reference.to_owned(),
        };
        let image = match lock_use {
            LockUse::OnlyKnown => engine.inspect(&exact).await?.unwrap_or_default(),
            LockUse::Follow | LockUse::Update => engine.inspect_or_pull(&exact, observer).await?,
        };
        let identity = match image.registry_digest() {
            Some(digest) => {
                let locked = LockedBase {
                    digest: digest.to_owned(),
                };
                self.lock_now.base.insert(reference.to_owned(), locked);
                digest.to_owned()
            }
            None => image.id.clone(),
        };
        self.outside.insert(reference.to_owned(), image);
        Ok(BaseImage {
            reference: exact,
            identity,
        })
    }
}

/// Fetches the source of a module; `identity` is what it has to be, if that is known.
///
/// # Errors
///
/// The source cannot be had or is something else.
pub async fn fetch_module(
    module: &Module,
    context: &FetchContext,
    identity: Option<&str>,
) -> CommandResult<crate::source::Fetched> {
    let mut source = module
        .recipe
        .source
        .value
        .clone()
        .relative_to(module.file.folder());
    let commit = identity.and_then(|identity| identity.strip_prefix("commit:"));
    if let (Source::Git(git), Some(commit)) = (&mut source, commit)
        && git.commit.is_none()
    {
        git.commit = Commit::new(commit).ok();
    }
    let fetched = fetch(&source, context).await.map_err(|error| {
        let error = CommandError::from(error);
        let place = module.file.place(&module.recipe.source);
        error.hint(format!(
            "the source of `{}` is named at {place}",
            module.name
        ))
    })?;
    match identity {
        Some(identity) if fetched.identity.to_string() != identity => Err(CommandError::new(
            ErrorKind::Fetch,
            format!(
                "the source of `{}` is {}, `{FILE_NAME}` says {identity}",
                module.name, fetched.identity
            ),
        )
        .hint("`ioc build --update` takes what is there now")),
        _ => Ok(fetched),
    }
}

/// The source as the lock names it: in words, with a digest of everything that the recipe says about it.
fn lock_words(source: &Source) -> String {
    let exact = serde_json::to_string(source).unwrap_or_default();
    let digest = sha256(&exact);
    format!("{source} #{}", digest.get(..8).unwrap_or_default())
}

/// What a source is if the recipe pins it.
fn pinned(source: &Source) -> Option<Identity> {
    match source {
        Source::Git(git) => git.commit.as_ref().map(|commit| Identity {
            kind: IdentityKind::Commit,
            value: commit.to_string(),
            description: source.to_string(),
        }),
        Source::Archive(archive) => Some(Identity {
            kind: IdentityKind::Sha256,
            value: archive.sha256.to_string(),
            description: source.to_string(),
        }),
        Source::Debian(_) | Source::Path(_) => None,
    }
}

fn parse_identity(text: &str, source: &Source) -> Option<Identity> {
    let (kind, value) = text.split_once(':')?;
    let kind = match kind {
        "commit" => IdentityKind::Commit,
        "sha256" => IdentityKind::Sha256,
        _ => return None,
    };
    Some(Identity {
        kind,
        value: value.to_owned(),
        description: source.to_string(),
    })
}

/// A reference without its tag; a port is not a tag.
fn without_tag(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => reference,
    }
}

/// The proxy for images with a Dockerfile of their own.
fn proxy_arguments(settings: &Settings) -> Vec<(&'static str, String)> {
    let fetch = &settings.fetch;
    let mut arguments = Vec::new();
    if let Some(proxy) = &fetch.proxy {
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            arguments.push((name, proxy.clone()));
        }
    }
    if let Some(hosts) = &fetch.no_proxy {
        for name in ["no_proxy", "NO_PROXY"] {
            arguments.push((name, hosts.clone()));
        }
    }
    arguments
}

/// Certificates and proxy of the site for build steps: mounted while a step runs, never part of an image.
fn site_files(settings: &Settings) -> CommandResult<Files> {
    let mut files = Files::new();
    let mut environment = String::new();
    let mut apt = String::new();
    if let Some(path) = &settings.fetch.ca_bundle {
        let content = fs_err::read(path)?;
        files.insert(
            "ca-bundle.pem".to_owned(),
            Item::File {
                content,
                executable: false,
            },
        );
        apt.push_str("Acquire::https::CAInfo \"/site/ca-bundle.pem\";\n");
        for name in [
            "SSL_CERT_FILE",
            "CURL_CA_BUNDLE",
            "GIT_SSL_CAINFO",
            "REQUESTS_CA_BUNDLE",
            "PIP_CERT",
        ] {
            environment.push_str(&format!("export {name}=/site/ca-bundle.pem\n"));
        }
    }
    if let Some(proxy) = &settings.fetch.proxy {
        let quoted = crate::image::script::quote(proxy);
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            environment.push_str(&format!("export {name}={quoted}\n"));
        }
        if let Some(hosts) = &settings.fetch.no_proxy {
            let quoted = crate::image::script::quote(hosts);
            environment.push_str(&format!("export no_proxy={quoted} NO_PROXY={quoted}\n"));
        }
        let plain = proxy.replace(['"', '\\', '\n'], "");
        apt.push_str(&format!(
            "Acquire::http::Proxy \"{plain}\";\nAcquire::https::Proxy \"{plain}\";\n"
        ));
    }
    for (name, text) in [("environment", environment), ("apt.conf", apt)] {
        if !text.is_empty() {
            files.insert(
                name.to_owned(),
                Item::File {
                    content: text.into_bytes(),
                    executable: false,
                },
            );
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_not_a_tag() {
        for (reference, name) in [
            ("debian:trixie", "debian"),
            ("host:5000/debian", "host:5000/debian"),
            ("host:5000/debian:trixie", "host:5000/debian"),
            ("debian", "debian"),
        ] {
            assert_eq!(without_tag(reference), name);
        }
    }
}
