//! An XML document as elements with their places, includes resolved.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use encoding_rs::{Encoding, UTF_8};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::files::{Finding, Loader, Origin, Source, origin};

/// Largest file that is read, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;
/// How deep elements may be nested.
const DEEPEST: usize = 64;
/// How deep files may include each other.
const DEEPEST_INCLUDE: usize = 16;

/// An element.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    /// Its text, all pieces together.
    pub(super) text: String,
    /// Where its start tag is.
    pub(super) origin: Origin,
    /// Where its text is.
    pub(super) text_origin: Origin,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _value)| known == name);
        found.map(|(_name, value)| value.as_str())
    }

    pub(super) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    pub(super) fn child_text(&self, name: &str) -> Option<&str> {
        let child = self.children.iter().find(|child| child.name == name);
        child.map(|child| child.text.trim())
    }
}

pub(super) struct Documents<'a, 'b> {
    pub(super) sources: Vec<Source>,
    pub(super) findings: Vec<Finding>,
    load: &'a mut Loader<'b>,
    open: Vec<PathBuf>,
    size: usize,
}

impl<'a, 'b> Documents<'a, 'b> {
    pub(super) fn new(load: &'a mut Loader<'b>) -> Self {
        Self {
            sources: Vec::new(),
            findings: Vec::new(),
            load,
            open: Vec::new(),
            size: 0,
        }
    }

    /// The root of a file; `from` is where another file asks for it.
    pub(super) fn root(&mut self, path: &Path, from: Option<&Origin>) -> Option<Element> {
        let bytes = match (self.load)(path) {
            Ok(bytes) => bytes,
            Err(why) => {
                self.refuse(
                    path,
                    from,
                    format!("`{}` cannot be read: {why}", path.display()),
                );
                return None;
            }
        };
        self.size += bytes.len();
        if self.size > LARGEST {
            self.refuse(
                path,
                from,
                format!("the files have more than {LARGEST} bytes"),
            );
            return None;
        }
        let text = match decode(&bytes) {
            Ok(text) => text,
            Err(why) => {
                self.refuse(
                    path,
                    from,
                    format!("`{}` cannot be read: {why}", path.display()),
                );
                return None;
            }
        };
        let file = self.sources.len();
        self.sources.push(Source {
            path: path.to_owned(),
            text: text.clone(),
        });
        self.open.push(path.to_owned());
        let root = self.parse(&text, file, path);
        self.open.pop();
        root
    }

    fn refuse(&mut self, path: &Path, from: Option<&Origin>, message: String) {
        let origin = from.cloned().unwrap_or_else(|| {
            self.sources.push(Source {
                path: path.to_owned(),
                text: String::new(),
            });
            origin(self.sources.len() - 1, 0..0)
        });
        self.findings.push(Finding::error(origin, message));
    }

    fn parse(&mut self, text: &str, file: usize, path: &Path) -> Option<Element> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut open: Vec<Element> = Vec::new();
        let mut root = None;
        loop {
            let begin = position(&reader);
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    let at = usize::try_from(reader.error_position())
                        .unwrap_or(usize::MAX)
                        .min(text.len());
                    let at = floor(text, at);
                    let span = at..ceil(text, (at + 1).min(text.len()));
                    self.findings.push(
                        Finding::error(
                            origin(file, span),
                            format!("this is no well-formed XML: {error}"),
                        )
                        .hint(open_elements(&open)),
                    );
                    return None;
                }
            };
            let span = begin..position(&reader);
            match event {
                Event::Start(start) => {
                    if open.len() == DEEPEST {
                        let finding = Finding::error(
                            origin(file, tag(text, span)),
                            format!("elements are nested more than {DEEPEST} deep"),
                        );
                        self.findings.push(finding);
                        return None;
                    }
                    open.push(self.element(&start, text, file, span)?);
                }
                Event::End(_end) => {
                    let Some(mut element) = open.pop() else {
                        continue;
                    };
                    if element.name == "include" {
                        element = match self.include(&element, path) {
                            Some(included) => included,
                            None => continue,
                        };
                    }
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => root = Some(element),
                    }
                }
                Event::Text(piece) => {
                    // white space between elements is of no interest, and entities come as events of their own
                    add_text(&mut open, &piece, file, span);
                }
                Event::CData(piece) => {
                    add_text(&mut open, &piece, file, span);
                }
                Event::GeneralRef(reference) => {
                    let name = reference.to_string();
                    if let Some(character) = entity(&name) {
                        add_text(&mut open, &character.to_string(), file, span);
                    } else {
                        let finding = Finding::error(
                            origin(file, span),
                            format!("`&{name};` is no character that XML knows"),
                        );
                        self.findings.push(finding.expected("`&lt;`, `&gt;`, `&amp;`, `&quot;`, `&apos;` or a number such as `&#176;`"));
                    }
                }
                Event::DocType(_) => {
                    // entities of its own could grow without end
                    let finding = Finding::error(
                        origin(file, tag(text, span)),
                        "a document type is not read: alarm configurations have none",
                    );
                    self.findings.push(finding);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        if let Some(element) = open.last() {
            let finding = Finding::error(
                element.origin.clone(),
                format!(
                    "`<{}>` has no end: the file ends before `</{}>`",
                    element.name, element.name
                ),
            );
            self.findings.push(finding);
            return None;
        }
        if root.is_none() {
            self.findings.push(
                Finding::error(origin(file, 0..0), "there is no element in it")
                    .expected("`<config name=\"…\">`"),
            );
        }
        root
    }

    fn element(
        &mut self,
        start: &BytesStart<'_>,
        text: &str,
        file: usize,
        span: Range<usize>,
    ) -> Option<Element> {
        let span = tag(text, span);
        let name = start.local_name().as_ref().to_owned();
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let value = attribute
                .map_err(|error| error.to_string())
                .and_then(|attribute| {
                    let key = attribute.key.local_name().as_ref().to_owned();
                    let value = quick_xml::escape::unescape(&attribute.value)
                        .map_err(|error| error.to_string())?;
                    Ok((key, value.into_owned()))
                });
            match value {
                Ok(attribute) => attributes.push(attribute),
                Err(why) => {
                    let finding = Finding::error(
                        origin(file, span),
                        format!("an attribute of `<{name}>` cannot be read: {why}"),
                    );
                    self.findings.push(finding);
                    return None;
                }
            }
        }
        let end = span.end;
        Some(Element {
            name,
            attributes,
            children: Vec::new(),
            text: String::new(),
            origin: origin(file, span),
            text_origin: origin(file, end..end),
        })
    }

    /// What an `<xi:include>` stands for.
    fn include(&mut self, element: &Element, path: &Path) -> Option<Element> {
        let from = element.origin.clone();
        let Some(href) = element.attribute("href").filter(|href| !href.is_empty()) else {
            self.findings.push(
                Finding::error(from, "an include without `href`")
                    .expected("`<xi:include href=\"file.xml\"/>`"),
            );
            return None;
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let wanted = folder.join(href);
        if href.contains("://")
            || Path::new(href).is_absolute()
            || href.split('/').any(|part| part == "..")
        {
            self.findings.push(
                Finding::error(
                    from,
                    format!("`{href}` is not included: only files beside or below this one are"),
                )
                .hint("copy the file, or link its folder"),
            );
            return None;
        }
        if self.open.contains(&wanted) {
            let circle: Vec<String> = self
                .open
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            self.findings.push(Finding::error(
                from,
                format!(
                    "`{href}` includes itself: {} -> {}",
                    circle.join(" -> "),
                    wanted.display()
                ),
            ));
            return None;
        }
        if self.open.len() == DEEPEST_INCLUDE {
            self.findings.push(Finding::error(
                from,
                format!("files include each other more than {DEEPEST_INCLUDE} deep"),
            ));
            return None;
        }
        let root = self.root(&wanted, Some(&from))?;
        match element.attribute("xpointer") {
            None => Some(root),
            Some(pointer) => self.pointed(root, pointer, from),
        }
    }

    /// The element that `element(/1/2)` means.
    fn pointed(&mut self, root: Element, pointer: &str, from: Origin) -> Option<Element> {
        let steps = pointer
            .trim()
            .strip_prefix("element(/1")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|rest| {
                let steps = rest.split('/').filter(|step| !step.is_empty());
                steps
                    .map(|step| step.parse::<usize>().ok())
                    .collect::<Option<Vec<usize>>>()
            });
        let Some(steps) = steps else {
            self.findings.push(
                Finding::error(from, format!("the pointer `{pointer}` is not understood"))
                    .expected(
                        "`element(/1)` or `element(/1/2)`: places of elements, from the root",
                    ),
            );
            return None;
        };
        let mut at = root;
        for step in steps {
            if step == 0 || step > at.children.len() {
                self.findings.push(Finding::error(
                    from,
                    format!(
                        "`<{}>` has {} elements, there is no number {step}",
                        at.name,
                        at.children.len()
                    ),
                ));
                return None;
            }
            at = at.children.swap_remove(step - 1);
        }
        Some(at)
    }
}

/// Adds a piece of text to the innermost element; white space in front of the text does not count.
fn add_text(open: &mut [Element], piece: &str, file: usize, span: Range<usize>) {
    let Some(element) = open.last_mut() else {
        return;
    };
    if element.text.trim().is_empty() && !piece.trim().is_empty() {
        let skipped = piece.len() - piece.trim_start().len();
        element.text_origin = origin(file, span.start + skipped..span.end);
        element.text.clear();
    } else {
        element.text_origin.span.end = span.end;
    }
    element.text.push_str(piece);
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// A tag without the white space in front of it that a reader may count with it.
fn tag(text: &str, span: Range<usize>) -> Range<usize> {
    let piece = text.get(span.clone()).unwrap_or_default();
    let skipped = piece.len() - piece.trim_start().len();
    // a tag over several lines is shown by its first
    let first = piece.trim_start().lines().next().map_or(0, str::len);
    span.start + skipped..span.start + skipped + first
}

fn open_elements(open: &[Element]) -> String {
    match open.last() {
        Some(element) => format!(
            "the innermost element that is open here is `<{}>`",
            element.name
        ),
        None => "a `&` in a text is written `&amp;`, a `<` is written `&lt;`".to_owned(),
    }
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|character| *character != '\0');
    }
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// The text of a file in the encoding that it names: by a byte order mark, else by its declaration, else UTF-8.
fn decode(bytes: &[u8]) -> Result<String, String> {
    let (encoding, bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, &bytes[length..]),
        None => (declared(bytes)?, bytes),
    };
    if encoding == UTF_8 {
        return String::from_utf8(bytes.to_vec()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = String::from_utf8_lossy(&bytes[..at]).matches('\n').count() + 1;
            format!("line {line} is not UTF-8, and the file names no other encoding")
        });
    }
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    text.map(Cow::into_owned)
        .ok_or_else(|| format!("it is not {}, as it says", encoding.name()))
}

/// The encoding of the XML declaration; UTF-8 without one.
fn declared(bytes: &[u8]) -> Result<&'static Encoding, String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    let named = head
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split_once("?>"))
        .and_then(|(declaration, _rest)| declaration.split_once("encoding"))
        .and_then(|(_before, rest)| {
            let rest = rest.trim_start().strip_prefix('=')?.trim_start();
            let quote = rest
                .chars()
                .next()
                .filter(|quote| matches!(quote, '"' | '\''))?;
            rest[1..].split(quote).next()
        });
    match named {
        None => Ok(UTF_8),
        Some(name) => Encoding::for_label(name.as_bytes())
            .ok_or_else(|| format!("it names the encoding `{name}`, which is not known")),
    }
}
