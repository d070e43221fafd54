//! How images and modules hang together: the wanted images with everything below them, each with the modules
//! that it inherits and builds. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::image::catalog::{Catalog, Content, DefinitionFile, Image, Module};
use crate::image::definition::Base;
use crate::image::graph;
use crate::yaml::Spanned;

/// An image with what it is built on.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// The image.
    pub image: &'a Image,
    /// What it is built on.
    pub base: Base,
    /// Modules that the images below it have, in build order.
    pub inherited: Vec<Placed<'a>>,
    /// Modules that it builds, in build order.
    pub own: Vec<Placed<'a>>,
}

/// A module at its place in a chain of images.
#[derive(Debug, Clone)]
pub struct Placed<'a> {
    /// The module.
    pub module: &'a Module,
    /// Names of the modules before it that it needs or uses, without theirs.
    pub uses: Vec<String>,
}

impl<'a> Layer<'a> {
    /// Name of the image.
    pub fn name(&self) -> &'a str {
        &self.image.name
    }

    /// All modules, in build order.
    pub fn modules(&self) -> impl DoubleEndedIterator<Item = &Placed<'a>> {
        self.inherited.iter().chain(&self.own)
    }

    /// The named modules and all that they use, in build order.
    pub fn closure<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<&Placed<'a>> {
        let mut wanted: BTreeSet<&str> = names.into_iter().collect();
        let mut closure: Vec<&Placed<'a>> = Vec::new();
        for placed in self.modules().rev() {
            if wanted.contains(placed.module.name.as_str()) {
                wanted.extend(placed.uses.iter().map(String::as_str));
                closure.push(placed);
            }
        }
        closure.reverse();
        closure
    }

    /// The modules that the application links, in build order.
    pub fn linked(&self) -> Vec<&Placed<'a>> {
        let application = self
            .image
            .definition()
            .and_then(|definition| definition.application.as_ref());
        match application.and_then(|application| application.modules.as_ref()) {
            Some(names) => self.closure(names.iter().map(|name| name.value.as_str())),
            None => self.modules().collect(),
        }
    }
}

/// Why images cannot be put together.
#[derive(Debug)]
pub enum ChainError {
    /// An image that was asked for does not exist; with the nearest name.
    UnknownImage {
        /// The name.
        name: String,
        /// What may be meant.
        nearest: Option<String>,
    },
    /// Mistakes in the definitions and recipes that are needed.
    Findings(Vec<Diagnostic>),
}

/// The wanted images and everything below them, bases first.
///
/// # Errors
///
/// A name that does not exist, or all mistakes in what is needed; mistakes elsewhere are not in the way.
pub fn resolve<'a>(
    catalog: &'a Catalog,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<Layer<'a>>, ChainError> {
    let wanted: Vec<&str> = wanted.into_iter().collect();
    for name in &wanted {
        if !catalog.has_image(name) {
            return Err(ChainError::UnknownImage {
                name: (*name).to_owned(),
                nearest: nearest(name, catalog.image_names()).map(str::to_owned),
            });
        }
    }
    let bases: BTreeMap<String, Option<String>> = catalog
        .image_names()
        .map(|name| (name.to_owned(), project_base(catalog, name)))
        .collect();
    let order = graph::build_order(wanted, &bases)
        .map_err(|cycle| ChainError::Findings(vec![cycle_finding(catalog, &cycle)]))?;
    let mut resolver = Resolver {
        catalog,
        layers: BTreeMap::new(),
        reported: BTreeSet::new(),
        findings: Vec::new(),
    };
    for name in &order {
        resolver.add(name);
    }
    if resolver.findings.is_empty() {
        let mut layers = resolver.layers;
        Ok(order
            .iter()
            .filter_map(|name| layers.remove(name))
            .collect())
    } else {
        Err(ChainError::Findings(resolver.findings))
    }
}

/// The image of the project that an image is built on, if its base is one. A Dockerfile's base that the
/// project does not have is taken as it stands there.
fn project_base(catalog: &Catalog, name: &str) -> Option<String> {
    let image = catalog.image(name)?;
    match image.base() {
        Base::Image(base) if catalog.has_image(&base) => Some(base),
        _ => None,
    }
}

fn cycle_finding(catalog: &Catalog, cycle: &graph::Cycle) -> Diagnostic {
    let finding = Diagnostic::error(format!("the bases of these images form a cycle: {cycle}"))
        .hint("let one of them have another `base`");
    match cycle.0.first().and_then(|name| catalog.image(name)) {
        Some(image) => finding.at(image.base_place()),
        None => finding,
    }
}

struct Resolver<'a> {
    catalog: &'a Catalog,
    layers: BTreeMap<String, Layer<'a>>,
    /// Recipes whose mistakes were told already.
    reported: BTreeSet<&'a str>,
    findings: Vec<Diagnostic>,
}

impl<'a> Resolver<'a> {
    fn add(&mut self, name: &str) {
        self.findings
            .extend_from_slice(self.catalog.image_findings(name));
        let Some(image) = self.catalog.image(name) else {
            return;
        };
        let mut base = image.base();
        let mut inherited = Vec::new();
        if let Base::Image(below) = &base {
            match (self.layers.get(below), &image.content) {
                (Some(layer), _) => inherited = layer.modules().cloned().collect(),
                // told with the mistakes of the base
                (None, _) if self.catalog.has_image(below) => return,
                (None, Content::Dockerfile(_)) => base = Base::Reference(below.clone()),
                (None, Content::Definition(_)) => self.unknown_base(image, below),
            }
        }
        let mut layer = Layer {
            image,
            base,
            inherited,
            own: Vec::new(),
        };
        if let Content::Definition(definition) = &image.content {
            for provided in &definition.provides {
                if let Some(module) = self.module(provided, &image.file) {
                    layer.inherited.push(Placed {
                        module,
                        uses: Vec::new(),
                    });
                }
            }
            for (index, entry) in definition.modules.iter().enumerate() {
                let following = definition.modules.get(index + 1..).unwrap_or_default();
                self.add_module(&mut layer, entry, following);
            }
            let linked = definition
                .application
                .iter()
                .flat_map(|application| application.modules.iter().flatten());
            for entry in linked {
                let present = layer
                    .modules()
                    .any(|placed| placed.module.name == entry.value);
                if !present && self.module(entry, &image.file).is_some() {
                    self.findings.push(
                        Diagnostic::error(format!(
                            "the application links `{}`, which neither this image nor its bases have",
                            entry.value
                        ))
                        .at(image.file.place(entry))
                        .hint(format!("add `{}` to `modules` of the image", entry.value)),
                    );
                }
            }
        }
        self.layers.insert(name.to_owned(), layer);
    }

    fn unknown_base(&mut self, image: &Image, base: &str) {
        let finding =
            Diagnostic::error(format!("there is no image `{base}`")).at(image.base_place());
        let near = nearest(
            base,
            self.catalog
                .image_names()
                .filter(|name| *name != image.name),
        );
        self.findings.push(match near {
            Some(near) => finding.hint(format!("did you mean `{near}`?")),
            None => finding
                .hint("write `os` for the operating system, or a registry reference with its tag"),
        });
    }

    /// The module that an image names, or a finding.
    fn module(&mut self, entry: &Spanned<String>, file: &DefinitionFile) -> Option<&'a Module> {
        if !self.catalog.has_module(&entry.value) {
            let place = file.place(entry);
            self.findings.push(self.unknown_module(&entry.value, place));
            return None;
        }
        let name = self
            .catalog
            .module_names()
            .find(|name| *name == entry.value)?;
        if self.reported.insert(name) {
            self.findings
                .extend_from_slice(self.catalog.module_findings(name));
        }
        self.catalog.module(name)
    }

    /// Whether the recipe `name` needs or uses the recipe `other`.
    fn needs(&self, name: &str, other: &str) -> bool {
        self.catalog.module(name).is_some_and(|module| {
            let mut dependencies = module.recipe.depends.iter().chain(&module.recipe.uses);
            dependencies.any(|dependency| dependency.value == other)
        })
    }

    fn unknown_module(&self, name: &str, place: Place) -> Diagnostic {
        let finding =
            Diagnostic::error(format!("there is no recipe for a module `{name}`")).at(place);
        match nearest(name, self.catalog.module_names()) {
            Some(near) => finding.hint(format!("did you mean `{near}`?")),
            None => finding.hint(format!(
                "write `{}/{name}.yaml`, or read one with `ioc import recipe`",
                super::catalog::MODULES
            )),
        }
    }

    fn add_module(
        &mut self,
        layer: &mut Layer<'a>,
        entry: &Spanned<String>,
        following: &[Spanned<String>],
    ) {
        let file = &layer.image.file;
        let already = layer
            .own
            .iter()
            .any(|placed| placed.module.name == entry.value);
        let below = layer
            .inherited
            .iter()
            .any(|placed| placed.module.name == entry.value);
        if already || below {
            let (message, hint) = if already {
                (
                    format!("`{}` stands in `modules` twice", entry.value),
                    "keep one of the two",
                )
            } else {
                (
                    format!("`{}` is already in an image below this one", entry.value),
                    "remove it here: images inherit the modules of their base",
                )
            };
            self.findings
                .push(Diagnostic::error(message).at(file.place(entry)).hint(hint));
            return;
        }
        let Some(module) = self.module(entry, file) else {
            return;
        };
        let mut uses = Vec::new();
        let required = module.recipe.depends.iter().map(|name| (name, true));
        let optional = module.recipe.uses.iter().map(|name| (name, false));
        for (dependency, is_needed) in required.chain(optional) {
            let name = &dependency.value;
            if !self.catalog.has_module(name) {
                let finding = self.unknown_module(name, module.file.place(dependency));
                if !self.findings.contains(&finding) {
                    self.findings.push(finding);
                }
            } else if layer.modules().any(|placed| placed.module.name == *name) {
                uses.push(name.clone());
            } else if self.needs(name, &entry.value) {
                self.findings.push(
                    Diagnostic::error(format!("`{}` and `{name}` need each other", entry.value))
                        .at(module.file.place(dependency))
                        .hint("neither can be built first: remove one of the two dependencies"),
                );
            } else if following.iter().any(|other| other.value == *name) {
                let verb = if is_needed { "needs" } else { "uses" };
                self.findings.push(
                    Diagnostic::error(format!(
                        "`{}` {verb} `{name}`, which stands after it in `modules`",
                        entry.value
                    ))
                    .at(file.place(entry))
                    .expected(format!("`{name}` belongs before this line"))
                    .hint("modules are built in the order in which they stand"),
                );
            } else if is_needed && self.catalog.module(name).is_some() {
                self.findings.push(
                    Diagnostic::error(format!(
                        "`{}` needs `{name}`, which neither this image nor its bases have",
                        entry.value
                    ))
                    .at(file.place(entry))
                    .hint(format!(
                        "add `- {name}` before it, or take a `base` that has it"
                    )),
                );
            }
        }
        layer.own.push(Placed { module, uses });
    }
}
