//! Tokens into a tree of nodes, one document at a time.

use std::borrow::Cow;
use std::collections::HashMap;

use super::error::{Mark, YamlError};
use super::node::{Content, Node, NodeId, Tree};
use super::scanner::{MAX_DEPTH, Scanner};
use super::token::{Kind, Token};

const CORE_TAG_PREFIX: &str = "tag:yaml.org,2002:";

pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    tree: Tree<'a>,
    anchors: HashMap<&'a str, NodeId>,
    tag_prefixes: HashMap<Cow<'a, str>, Cow<'a, str>>,
    depth: usize,
    first_document: bool,
}

type Parsed<T> = Result<T, YamlError>;

/// What may precede the content of a node.
#[derive(Default)]
struct Properties<'a> {
    anchor: Option<&'a str>,
    tag: Cow<'a, str>,
    mark: Mark,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Parsed<Self> {
        Ok(Self {
            scanner: Scanner::new(text)?,
            tree: Tree::default(),
            anchors: HashMap::new(),
            tag_prefixes: HashMap::new(),
            depth: 0,
            first_document: true,
        })
    }

    /// The next document, or nothing at the end of the text.
    pub(super) fn document(&mut self) -> Parsed<Option<(Tree<'a>, NodeId)>> {
        self.tree = Tree::default();
        self.anchors.clear();
        self.tag_prefixes.clear();
        if !self.first_document {
            while self.scanner.peek()?.kind == Kind::DocumentEnd {
                self.scanner.take()?;
            }
        }
        let implicit = self.first_document;
        self.first_document = false;
        let root = match self.scanner.peek()?.kind {
            Kind::StreamEnd => return Ok(None),
            Kind::VersionDirective { .. } | Kind::TagDirective { .. } | Kind::DocumentStart => {
                self.explicit_document()?
            }
            _ if implicit => self.node(true, false)?,
            _ => {
                let start = self.scanner.peek()?.start;
                return Err(parser_error(
                    start,
                    "did not find expected <document start>",
                ));
            }
        };
        // Looking past the document finds what is wrong behind it, as Helm's parser does.
        if self.scanner.peek()?.kind == Kind::DocumentEnd {
            self.scanner.take()?;
        }
        Ok(Some((std::mem::take(&mut self.tree), root)))
    }

    fn explicit_document(&mut self) -> Parsed<NodeId> {
        let mut version_seen = false;
        loop {
            let token = self.scanner.take()?;
            match token.kind {
                Kind::VersionDirective { major, minor } => {
                    if version_seen {
                        return Err(parser_error(token.start, "found duplicate %YAML directive"));
                    }
                    if (major, minor) != (1, 1) {
                        return Err(parser_error(
                            token.start,
                            "found incompatible YAML document",
                        ));
                    }
                    version_seen = true;
                }
                Kind::TagDirective { handle, prefix } => {
                    if self.tag_prefixes.insert(handle.into(), prefix).is_some() {
                        return Err(parser_error(token.start, "found duplicate %TAG directive"));
                    }
                }
                Kind::DocumentStart => break,
                _ => {
                    return Err(parser_error(
                        token.start,
                        "did not find expected <document start>",
                    ));
                }
            }
        }
        let next = self.scanner.peek()?;
        match next.kind {
            Kind::VersionDirective { .. }
            | Kind::TagDirective { .. }
            | Kind::DocumentStart
            | Kind::DocumentEnd
            | Kind::StreamEnd => {
                let start = next.start;
                Ok(self.empty(start))
            }
            _ => self.node(true, false),
        }
    }

    fn empty(&mut self, mark: Mark) -> NodeId {
        let content = Content::Scalar {
            text: "".into(),
            plain: true,
        };
        self.tree.add(Node {
            content,
            tag: "".into(),
            mark,
        })
    }

    fn node(&mut self, block: bool, indentless: bool) -> Parsed<NodeId> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self
                .scanner
                .error(format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let node = self.node_content(block, indentless);
        self.depth -= 1;
        node
    }

    fn node_content(&mut self, block: bool, indentless: bool) -> Parsed<NodeId> {
        if let Kind::Alias(name) = self.scanner.peek()?.kind {
            let mark = self.scanner.take()?.start;
            let Some(&target) = self.anchors.get(name) else {
                return Err(YamlError::at(
                    mark,
                    0,
                    format!("unknown anchor '{name}' referenced"),
                ));
            };
            let content = Content::Alias { name, target };
            return Ok(self.tree.add(Node {
                content,
                tag: "".into(),
                mark,
            }));
        }
        let properties = self.properties()?;
        let (anchor, tag, mark) = (properties.anchor, properties.tag, properties.mark);
        let has_properties = anchor.is_some() || !tag.is_empty();
        let next = self.scanner.peek()?;
        let start = next.start;
        let collection: fn(&mut Self, NodeId) -> Parsed<Content<'a>> = match &next.kind {
            Kind::Scalar { .. } => {
                let Token {
                    kind: Kind::Scalar { text, plain },
                    ..
                } = self.scanner.take()?
                else {
                    return Err(parser_error(start, "did not find expected node content"));
                };
                let plain = (tag.is_empty() && plain) || tag == "!";
                let content = Content::Scalar { text, plain };
                return Ok(self.anchored(anchor, Node { content, tag, mark }));
            }
            Kind::BlockEntry if indentless => Self::indentless_sequence,
            Kind::FlowSequenceStart => Self::flow_sequence,
            Kind::FlowMappingStart => Self::flow_mapping,
            Kind::BlockSequenceStart if block => Self::block_sequence,
            Kind::BlockMappingStart if block => Self::block_mapping,
            _ if has_properties => {
                let content = Content::Scalar {
                    text: "".into(),
                    plain: tag.is_empty(),
                };
                return Ok(self.anchored(anchor, Node { content, tag, mark }));
            }
            _ => return Err(parser_error(start, "did not find expected node content")),
        };
        // The anchor is known inside the collection: an alias there is a cycle, found on decoding.
        let content = Content::Sequence(Vec::new());
        let id = self.anchored(anchor, Node { content, tag, mark });
        let content = collection(self, id)?;
        self.tree.set_content(id, content);
        Ok(id)
    }

    fn anchored(&mut self, anchor: Option<&'a str>, node: Node<'a>) -> NodeId {
        let id = self.tree.add(node);
        if let Some(name) = anchor {
            self.anchors.insert(name, id);
        }
        id
    }

    /// An anchor and a tag in either order, each at most once.
    fn properties(&mut self) -> Parsed<Properties<'a>> {
        let mut found = Properties {
            mark: self.scanner.peek()?.start,
            ..Properties::default()
        };
        let mut tag = None;
        loop {
            match &self.scanner.peek()?.kind {
                Kind::Anchor(name) if found.anchor.is_none() => {
                    found.anchor = Some(name);
                    self.scanner.take()?;
                }
                Kind::Tag { .. } if tag.is_none() => tag = Some(self.scanner.take()?),
                _ => break,
            }
        }
        if let Some(Token {
            kind: Kind::Tag { handle, suffix },
            ..
        }) = tag
        {
            found.tag = self.full_tag(&handle, suffix, found.mark)?;
        }
        Ok(found)
    }

    fn full_tag(&self, handle: &str, suffix: Cow<'a, str>, mark: Mark) -> Parsed<Cow<'a, str>> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        if let Some(prefix) = self.tag_prefixes.get(handle) {
            return Ok(format!("{prefix}{suffix}").into());
        }
        match handle {
            "!" => Ok(format!("!{suffix}").into()),
            "!!" => Ok(format!("{CORE_TAG_PREFIX}{suffix}").into()),
            _ => Err(parser_error(mark, "found undefined tag handle")),
        }
    }

    fn block_sequence(&mut self, _: NodeId) -> Parsed<Content<'a>> {
        let start = self.scanner.take()?.start;
        let mut items = Vec::new();
        loop {
            let token = self.scanner.peek()?;
            match token.kind {
                Kind::BlockEntry => {
                    let mark = self.scanner.take()?.end;
                    items.push(match self.scanner.peek()?.kind {
                        Kind::BlockEntry | Kind::BlockEnd => self.empty(mark),
                        _ => self.node(true, false)?,
                    });
                }
                Kind::BlockEnd => {
                    self.scanner.take()?;
                    return Ok(Content::Sequence(items));
                }
                _ => {
                    let at = token.start;
                    return Err(parser_error_in(
                        start,
                        at,
                        "did not find expected '-' indicator",
                    ));
                }
            }
        }
    }

    fn indentless_sequence(&mut self, _: NodeId) -> Parsed<Content<'a>> {
        let mut items = Vec::new();
        while self.scanner.peek()?.kind == Kind::BlockEntry {
            let mark = self.scanner.take()?.end;
            items.push(match self.scanner.peek()?.kind {
                Kind::BlockEntry | Kind::Key | Kind::Value | Kind::BlockEnd => self.empty(mark),
                _ => self.node(true, false)?,
            });
        }
        Ok(Content::Sequence(items))
    }

    fn block_mapping(&mut self, _: NodeId) -> Parsed<Content<'a>> {
        let start = self.scanner.take()?.start;
        let mut entries = Vec::new();
        loop {
            let token = self.scanner.peek()?;
            match token.kind {
                Kind::Key => {
                    let mark = self.scanner.take()?.end;
                    let key = self.block_mapping_part(mark)?;
                    let next = self.scanner.peek()?;
                    let (kind, mark) = (&next.kind, next.start);
                    let value = if *kind == Kind::Value {
                        let mark = self.scanner.take()?.end;
                        self.block_mapping_part(mark)?
                    } else {
                        self.empty(mark)
                    };
                    entries.push((key, value));
                }
                Kind::BlockEnd => {
                    self.scanner.take()?;
                    return Ok(Content::Mapping(entries));
                }
                _ => {
                    let at = token.start;
                    return Err(parser_error_in(start, at, "did not find expected key"));
                }
            }
        }
    }

    fn block_mapping_part(&mut self, mark: Mark) -> Parsed<NodeId> {
        match self.scanner.peek()?.kind {
            Kind::Key | Kind::Value | Kind::BlockEnd => Ok(self.empty(mark)),
            _ => self.node(true, true),
        }
    }

    fn flow_sequence(&mut self, _: NodeId) -> Parsed<Content<'a>> {
        let start = self.scanner.take()?.start;
        let mut items = Vec::new();
        loop {
            if self.flow_entry(items.is_empty(), start, &Kind::FlowSequenceEnd)? {
                return Ok(Content::Sequence(items));
            }
            let token = self.scanner.peek()?;
            if token.kind == Kind::Key {
                let mark = self.scanner.take()?.start;
                items.push(self.flow_pair(mark)?);
            } else {
                items.push(self.node(false, false)?);
            }
        }
    }

    /// Passes the comma before an entry; true when the collection has ended instead.
    fn flow_entry(&mut self, first: bool, start: Mark, end: &Kind<'a>) -> Parsed<bool> {
        if !first {
            let token = self.scanner.peek()?;
            if token.kind == Kind::FlowEntry {
                self.scanner.take()?;
            } else if token.kind != *end {
                let at = token.start;
                let message = match end {
                    Kind::FlowSequenceEnd => "did not find expected ',' or ']'",
                    _ => "did not find expected ',' or '}'",
                };
                return Err(parser_error_in(start, at, message));
            }
        }
        let ended = self.scanner.peek()?.kind == *end;
        if ended {
            self.scanner.take()?;
        }
        Ok(ended)
    }

    /// `[a: b]`: a mapping of one entry inside a sequence.
    fn flow_pair(&mut self, mark: Mark) -> Parsed<NodeId> {
        let next = self.scanner.peek()?;
        let (at, end) = (next.start, next.end);
        let key = match next.kind {
            Kind::Value | Kind::FlowEntry | Kind::FlowSequenceEnd => {
                // As in Helm's parser, which passes the token with the empty key.
                self.scanner.take()?;
                self.empty(end)
            }
            _ => self.node(false, false)?,
        };
        let value = if self.scanner.peek()?.kind == Kind::Value {
            self.scanner.take()?;
            match self.scanner.peek()?.kind {
                Kind::FlowEntry | Kind::FlowSequenceEnd => self.empty(at),
                _ => self.node(false, false)?,
            }
        } else {
            self.empty(at)
        };
        let content = Content::Mapping(vec![(key, value)]);
        Ok(self.tree.add(Node {
            content,
            tag: "".into(),
            mark,
        }))
    }

    fn flow_mapping(&mut self, _: NodeId) -> Parsed<Content<'a>> {
        let start = self.scanner.take()?.start;
        let mut entries = Vec::new();
        loop {
            if self.flow_entry(entries.is_empty(), start, &Kind::FlowMappingEnd)? {
                return Ok(Content::Mapping(entries));
            }
            let token = self.scanner.peek()?;
            let at = token.start;
            if token.kind != Kind::Key {
                let key = self.node(false, false)?;
                let value = self.empty(at);
                entries.push((key, value));
                continue;
            }
            self.scanner.take()?;
            let key = match self.scanner.peek()?.kind {
                Kind::Value | Kind::FlowEntry | Kind::FlowMappingEnd => self.empty(at),
                _ => self.node(false, false)?,
            };
            let value = if self.scanner.peek()?.kind == Kind::Value {
                self.scanner.take()?;
                match self.scanner.peek()?.kind {
                    Kind::FlowEntry | Kind::FlowMappingEnd => self.empty(at),
                    _ => self.node(false, false)?,
                }
            } else {
                self.empty(at)
            };
            entries.push((key, value));
        }
    }
}

/// Helm's parser names the line counted from 0 in errors of this kind.
fn parser_error(mark: Mark, message: &str) -> YamlError {
    YamlError::at(mark, mark.line as usize, message)
}

fn parser_error_in(start: Mark, mark: Mark, message: &str) -> YamlError {
    let line = if mark.line == 0 {
        start.line
    } else {
        mark.line
    };
    YamlError::at(mark, line as usize, message)
}
