//! Values files, and values that no template reads.

use std::collections::BTreeSet;
use std::path::Path;

use helm::Chart;
use helm::yaml::Value;

use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::services::Instance;
use crate::services::schema::Section;
use crate::text;
use crate::yaml::tree::{Cursor, Node, Tree};

/// Reads a values file.
///
/// # Errors
///
/// A finding with the place of the mistake.
pub fn read(path: &Path) -> Result<Tree, Box<Diagnostic>> {
    let source = text::read(path, crate::yaml::LARGEST_FILE).map_err(|error| {
        let finding = error.diagnostics().first().cloned();
        Box::new(finding.unwrap_or_else(|| Diagnostic::error(error.to_string()).in_file(path)))
    })?;
    let tree = Tree::parse(path, &source)?;
    match tree.root().node() {
        Node::Map(_) | Node::Null => Ok(tree),
        Node::List(_) | Node::Plain(_) | Node::Text(_) => Err(Box::new(
            Diagnostic::error("values are a mapping of names to values")
                .at(tree.root().place())
                .expected("expected `name: value` lines"),
        )),
    }
}

/// The place of a text value, wherever it is.
pub fn find_text(cursor: Cursor<'_>, text: &str) -> Option<Place> {
    if cursor.text() == Some(text) {
        return Some(cursor.place());
    }
    let mut below = cursor
        .entries()
        .map(|(_, child)| child)
        .chain(cursor.items());
    below.find_map(|child| find_text(child, text))
}

/// Values of charts without a schema that have no default and that no template mentions: those of the instance's
/// own file, and those of the file that all instances share.
///
/// Only warnings: a template can make up names as it runs.
pub fn unread(
    sections: &[Section<'_>],
    trees: &[Tree],
    instance: &Instance,
) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    let templates: Vec<String> = sections
        .iter()
        .flat_map(|section| section.chart.templates())
        .map(|template| String::from_utf8_lossy(&template.data).into_owned())
        .collect();
    let (mut own, mut shared) = (Vec::new(), Vec::new());
    for section in sections
        .iter()
        .filter(|section| section.chart.schema().is_none())
    {
        for tree in trees {
            let is_own = tree.path().starts_with(instance.folder());
            let findings = if is_own { &mut own } else { &mut shared };
            unread_in(section, &templates, tree, findings);
        }
    }
    (own, shared)
}

fn unread_in(
    section: &Section<'_>,
    templates: &[String],
    tree: &Tree,
    findings: &mut Vec<Diagnostic>,
) {
    let Some(here) = tree.get(section.path.iter().map(String::as_str)) else {
        return;
    };
    let mut known = BTreeSet::from(["global"]);
    // The defaults of the instance's own chart are the file that is being checked.
    if !section.path.is_empty() {
        keys(section.chart.values(), &mut known);
    }
    let dependencies = section.chart.metadata().dependencies.iter();
    known.extend(dependencies.map(helm::Dependency::used_name));
    for (name, value) in here.entries() {
        let place = value.key_place();
        // A mapping that only holds an anchor for others to merge is read by nobody.
        let is_anchor = place.text.as_deref().is_some_and(|line| line.contains('&'));
        if known.contains(name) || is_anchor || mentions(templates, name) {
            continue;
        }
        let mut finding =
            Diagnostic::warning(format!("no template of the chart reads the value `{name}`"));
        if let Some(near) = nearest(name, known.iter().copied()) {
            finding = finding.hint(format!("did you mean `{near}`?"));
        }
        findings.push(finding.at(place));
    }
}

/// All keys of default values, at any depth: `import-values` can move them.
fn keys<'a>(value: &'a Value, known: &mut BTreeSet<&'a str>) {
    for (name, value) in value.as_map().into_iter().flatten() {
        known.insert(name);
        keys(value, known);
    }
}

/// Whether any template of a chart or of the charts in it mentions a word.
pub fn chart_mentions(chart: &Chart, word: &str) -> bool {
    chart
        .templates()
        .any(|template| String::from_utf8_lossy(&template.data).contains(word))
        || chart
            .dependencies()
            .iter()
            .any(|chart| chart_mentions(chart, word))
}

/// Whether a name stands in a template as a word.
fn mentions(templates: &[String], name: &str) -> bool {
    let is_word =
        |character: char| character.is_alphanumeric() || character == '_' || character == '-';
    !name.is_empty()
        && templates.iter().any(|template| {
            template.match_indices(name).any(|(start, _)| {
                let before = template[..start].chars().next_back();
                let after = template[start + name.len()..].chars().next();
                !before.is_some_and(is_word) && !after.is_some_and(is_word)
            })
        })
}
