//! Expansion of `$(NAME)`, `${NAME=default}` and `$(NAME,X=1)` in one text.

use std::collections::HashMap;
use std::rc::Rc;

use super::{Entry, Environment, Macros, VALUE_LIMIT};

/// Deepest nesting of references that is followed; `macLib` follows until its stack ends.
const DEPTH_LIMIT: u32 = 64;
/// Bytes that one expansion may look at, against macros that double at every level.
const WORK_LIMIT: u32 = 4_000_000;
/// Longest result.
const OUTPUT_LIMIT: usize = 1 << 20;

/// Why a reference could not be expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MacroProblemKind {
    /// No macro of this name, and no default.
    Undefined,
    /// The macro refers to itself.
    Recursive,
    /// Nested too deeply, or too much text: a macro bomb.
    TooMuch,
    /// The parenthesis or brace is never closed. `macLib` accepts this, except after a comma,
    /// where it never returns.
    Unclosed,
    /// The value is longer than [`VALUE_LIMIT`] bytes, which `macLib` cuts off silently.
    Cut,
}

/// A reference that could not be expanded, or only partly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacroProblem {
    /// What is wrong.
    pub kind: MacroProblemKind,
    /// Name of the macro.
    pub name: String,
    /// Byte range of the reference in the expanded text's source.
    pub start: usize,
    /// End of that range.
    pub end: usize,
    /// The macro whose value holds the reference, if it is not in the text itself.
    pub inside: Option<String>,
}

/// Result of an expansion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The text with macros replaced. An undefined macro leaves `$(NAME,undefined)` behind, a
    /// recursive one `$(NAME,recursive)`.
    pub text: String,
    /// For each byte of `text` the byte offset in the source that it came from.
    pub origin: Vec<u32>,
    /// What went wrong, in order.
    pub problems: Vec<MacroProblem>,
}

impl Expansion {
    /// Whether `macLib` would report failure: an undefined or recursive macro (or one of the
    /// limits that only exist here).
    pub fn failed(&self) -> bool {
        self.problems.iter().any(|problem| {
            matches!(
                problem.kind,
                MacroProblemKind::Undefined
                    | MacroProblemKind::Recursive
                    | MacroProblemKind::TooMuch
            )
        })
    }

    /// Offset in the source of byte `offset` of the text; the end of the text maps behind the
    /// last source byte used.
    pub fn source_offset(&self, offset: usize) -> usize {
        match self.origin.get(offset) {
            Some(&origin) => origin as usize,
            None => self.origin.last().map_or(0, |&origin| origin as usize + 1),
        }
    }
}

/// Expands texts with one set of macros, and remembers values that were expanded already.
#[derive(Debug)]
pub struct Expander<'a> {
    entries: Vec<Entry>,
    level: u32,
    environment: Option<&'a Environment>,
    quiet: bool,
    quiet_from_start: bool,
    /// Scoped macros were used: values are expanded anew at each use.
    dirty: bool,
    values: HashMap<Rc<str>, Rc<Value>>,
    visited: Vec<usize>,
    inside: Vec<Rc<str>>,
    depth: u32,
    work: u32,
    outer_start: usize,
}

#[derive(Debug)]
struct Value {
    bytes: Vec<u8>,
    problems: Problems,
    cut: bool,
}

type Problems = Vec<Found>;

#[derive(Clone, Debug)]
struct Found {
    kind: MacroProblemKind,
    name: String,
    inside: Option<Rc<str>>,
    range: Option<(usize, usize)>,
}

/// Text under translation; only positions of the outermost text are positions of the source.
struct Source<'t> {
    bytes: &'t [u8],
    outermost: bool,
}

struct Output {
    bytes: Vec<u8>,
    origin: Option<Vec<u32>>,
    limit: usize,
    cut: bool,
}

impl Output {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            origin: None,
            limit,
            cut: false,
        }
    }

    fn has_room(&self) -> bool {
        self.bytes.len() < self.limit
    }

    fn push(&mut self, byte: u8, origin: usize) {
        if self.has_room() {
            self.bytes.push(byte);
            if let Some(map) = &mut self.origin {
                map.push(u32::try_from(origin).unwrap_or(u32::MAX));
            }
        } else {
            self.cut = true;
        }
    }

    fn extend(&mut self, bytes: &[u8], origin: usize) {
        for &byte in bytes {
            self.push(byte, origin);
        }
    }

    /// The text written so far, without a character that was cut in the middle.
    fn into_text(self) -> String {
        match String::from_utf8(self.bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }
}

impl<'a> Expander<'a> {
    /// An expander for these macros alone.
    pub fn new(macros: &Macros) -> Self {
        Self {
            entries: macros.entries.clone(),
            level: macros.level,
            environment: None,
            quiet: false,
            quiet_from_start: false,
            dirty: false,
            values: HashMap::new(),
            visited: Vec::new(),
            inside: Vec::new(),
            depth: 0,
            work: 0,
            outer_start: 0,
        }
    }

    /// Names that are not macros are looked up in this environment.
    #[must_use]
    pub fn with_environment(mut self, environment: &'a Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Leaves `$(NAME)` in place of an undefined macro, as `msi` without `-V` does.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self.quiet_from_start = true;
        self
    }

    /// Adds definitions, as `substitute` in a template does.
    pub(crate) fn define(&mut self, text: &str) {
        let entries = std::mem::take(&mut self.entries);
        let mut macros = Macros {
            entries,
            level: self.level,
        };
        macros.define(text);
        self.entries = macros.entries;
        self.values.clear();
    }

    /// Expands one text.
    pub fn expand(&mut self, text: &str) -> Expansion {
        self.dirty = false;
        self.depth = 0;
        self.work = 0;
        self.outer_start = 0;
        let mut output = Output {
            bytes: Vec::new(),
            origin: Some(Vec::new()),
            limit: OUTPUT_LIMIT,
            cut: false,
        };
        let mut found = Problems::new();
        let source = Source {
            bytes: text.as_bytes(),
            outermost: true,
        };
        self.translate(&source, 0, b"", 0, &mut output, &mut found);
        if output.cut {
            self.report(&mut found, MacroProblemKind::TooMuch, "");
        }
        let origin = output.origin.take().unwrap_or_default();
        let problems = found.into_iter().map(|found| {
            let (start, end) = found.range.unwrap_or((0, text.len()));
            MacroProblem {
                kind: found.kind,
                name: found.name,
                start,
                end,
                inside: found.inside.map(|name| name.to_string()),
            }
        });
        let problems = problems.collect();
        let length = output.bytes.len();
        let text = output.into_text();
        // Only a result cut at the limit can end inside a character; the map then gets no more
        // precise than the text.
        let mut origin = if text.len() == length {
            origin
        } else {
            vec![0; text.len()]
        };
        origin.truncate(text.len());
        Expansion {
            text,
            origin,
            problems,
        }
    }

    /// Copies from `position` up to one of the terminators or the end, replacing references.
    /// Returns the position of the terminator, or of the last byte at the end of the text.
    fn translate(
        &mut self,
        source: &Source<'_>,
        mut position: usize,
        terminators: &[u8],
        level: u32,
        output: &mut Output,
        found: &mut Problems,
    ) -> usize {
        let discard = level > 0;
        let mut quote = None;
        if self.depth >= DEPTH_LIMIT {
            self.report(found, MacroProblemKind::TooMuch, "");
            return Self::skip(source, position, terminators);
        }
        self.depth += 1;
        loop {
            let Some(&byte) = source.bytes.get(position) else {
                position = position.saturating_sub(1);
                break;
            };
            if terminators.contains(&byte) {
                break;
            }
            self.work = self.work.saturating_add(1);
            if self.work > WORK_LIMIT {
                self.report(found, MacroProblemKind::TooMuch, "");
                position = Self::skip(source, position, terminators);
                break;
            }
            match quote {
                Some(open) if byte == open => {
                    quote = None;
                    if discard {
                        position += 1;
                        continue;
                    }
                }
                None if byte == b'"' || byte == b'\'' => {
                    quote = Some(byte);
                    if discard {
                        position += 1;
                        continue;
                    }
                }
                _ => {}
            }
            let next = source.bytes.get(position + 1).copied();
            if byte == b'$' && matches!(next, Some(b'(' | b'{')) && quote != Some(b'\'') {
                position = self.refer(source, position, level, output, found);
            } else {
                let origin = if source.outermost {
                    position
                } else {
                    self.outer_start
                };
                match next {
                    Some(escaped) if byte == b'\\' => {
                        if !discard {
                            output.push(b'\\', origin);
                        }
                        // Where nothing more is written the escaped byte is looked at again: a
                        // backslash does not protect a parenthesis inside a default value.
                        if output.has_room() {
                            position += 1;
                            let origin = if source.outermost { position } else { origin };
                            output.push(escaped, origin);
                        } else {
                            output.cut = true;
                        }
                    }
                    _ => output.push(byte, origin),
                }
            }
            position += 1;
        }
        self.depth -= 1;
        position
    }

    /// Where [`Expander::translate`] would stop, without looking inside.
    fn skip(source: &Source<'_>, position: usize, terminators: &[u8]) -> usize {
        let rest = source.bytes.get(position..).unwrap_or_default();
        match rest.iter().position(|byte| terminators.contains(byte)) {
            Some(distance) => position + distance,
            None => source.bytes.len().saturating_sub(1),
        }
    }

    /// Replaces the reference whose `$` is at `start`; returns the position of its last byte.
    fn refer(
        &mut self,
        source: &Source<'_>,
        start: usize,
        level: u32,
        output: &mut Output,
        found: &mut Problems,
    ) -> usize {
        if source.outermost {
            self.outer_start = start;
        }
        let already = found.len();
        let end = self.refer_inner(source, start, level, output, found);
        if source.outermost {
            let range = Some((start, (end + 1).min(source.bytes.len())));
            for found in &mut found[already..] {
                found.range = found.range.or(range);
            }
            self.outer_start = start;
        }
        end
    }

    fn refer_inner(
        &mut self,
        source: &Source<'_>,
        start: usize,
        level: u32,
        output: &mut Output,
        found: &mut Problems,
    ) -> usize {
        let bytes = source.bytes;
        let ends: &[u8] = if bytes[start + 1] == b'(' {
            b"=,)"
        } else {
            b"=,}"
        };
        let ends_value = &ends[1..];
        let at = |position: usize| bytes.get(position).copied();

        let mut name = Output::new(VALUE_LIMIT);
        let mut position = self.translate(source, start + 2, ends, level + 1, &mut name, found);
        let name = name.into_text();

        let mut default = None;
        if at(position) == Some(b'=') {
            default = Some(position + 1);
            let was_quiet = std::mem::replace(&mut self.quiet, true);
            let mut nothing = Output::new(0);
            let mut ignored = Problems::new();
            position = self.translate(
                source,
                position + 1,
                ends_value,
                level + 1,
                &mut nothing,
                &mut ignored,
            );
            self.quiet = was_quiet;
        }

        let scoped = at(position) == Some(b',');
        if scoped {
            let was_quiet = std::mem::replace(&mut self.quiet, true);
            self.level += 1;
            while at(position) == Some(b',') {
                let before = position;
                position = self.scoped_definition(source, position + 1, ends, level);
                if position <= before {
                    break;
                }
            }
            self.quiet = was_quiet;
        }
        if at(position) != ends.last().copied() {
            self.report(found, MacroProblemKind::Unclosed, &name);
        }

        if let Some(index) = self.look_up(&name) {
            self.insert_value(index, level, output, found);
        } else if let Some(default) = default {
            self.translate(source, default, ends_value, level + 1, output, found);
        } else {
            self.report(found, MacroProblemKind::Undefined, &name);
            let origin = if source.outermost {
                start
            } else {
                self.outer_start
            };
            self.insert_failed(&name, b",undefined)", output, origin);
        }

        if scoped {
            let level = self.level;
            self.entries.retain(|entry| entry.level < level);
            self.level -= 1;
            self.dirty = true;
        }
        position
    }

    /// One `,X=1` of a reference; returns where it ends.
    fn scoped_definition(
        &mut self,
        source: &Source<'_>,
        start: usize,
        ends: &[u8],
        level: u32,
    ) -> usize {
        let mut ignored = Problems::new();
        let mut name = Output::new(VALUE_LIMIT);
        let position = self.translate(source, start, ends, level + 1, &mut name, &mut ignored);
        if source.bytes.get(position) != Some(&b'=') {
            return position;
        }
        let mut value = Output::new(VALUE_LIMIT);
        let end = self.translate(
            source,
            position + 1,
            &ends[1..],
            level + 1,
            &mut value,
            &mut ignored,
        );
        let name = name.into_text();
        let value: Rc<str> = value.into_text().into();
        let level = self.level;
        match self.look_up(&name).map(|index| &mut self.entries[index]) {
            Some(entry) if entry.level == level => entry.value = value,
            _ => self.entries.push(Entry {
                name: name.into(),
                value,
                level,
            }),
        }
        self.dirty = true;
        end
    }

    fn look_up(&mut self, name: &str) -> Option<usize> {
        let index = self.entries.iter().rposition(|entry| &*entry.name == name);
        if index.is_some() || name.is_empty() {
            return index;
        }
        let value = self.environment?.get(name)?;
        let entry = Entry {
            name: name.into(),
            value: value.as_str().into(),
            level: self.level,
        };
        self.entries.push(entry);
        Some(self.entries.len() - 1)
    }

    fn insert_value(
        &mut self,
        index: usize,
        level: u32,
        output: &mut Output,
        found: &mut Problems,
    ) {
        let name = Rc::clone(&self.entries[index].name);
        if self.dirty {
            if self.visited.contains(&index) {
                self.report(found, MacroProblemKind::Recursive, &name);
                self.insert_failed(&name, b",recursive)", output, self.outer_start);
                return;
            }
            let value = Rc::clone(&self.entries[index].value);
            let source = Source {
                bytes: value.as_bytes(),
                outermost: false,
            };
            self.visited.push(index);
            self.inside.push(name);
            self.translate(&source, 0, b"", level + 1, output, found);
            self.inside.pop();
            self.visited.pop();
            return;
        }
        let value = self.value(index);
        output.extend(&value.bytes, self.outer_start);
        found.extend(value.problems.iter().cloned());
        if value.cut {
            self.report(found, MacroProblemKind::Cut, &name);
        }
    }

    /// The value of a macro with its own references replaced, cut at [`VALUE_LIMIT`].
    fn value(&mut self, index: usize) -> Rc<Value> {
        let name = Rc::clone(&self.entries[index].name);
        if let Some(value) = self.values.get(&name) {
            return Rc::clone(value);
        }
        let raw = Rc::clone(&self.entries[index].value);
        let source = Source {
            bytes: raw.as_bytes(),
            outermost: false,
        };
        let mut output = Output::new(VALUE_LIMIT);
        let mut problems = Problems::new();
        // `macLib` expands all values beforehand, so being inside a default does not quieten this.
        let was_quiet = std::mem::replace(&mut self.quiet, self.quiet_from_start);
        self.dirty = true;
        self.inside.push(Rc::clone(&name));
        self.translate(&source, 0, b"", 1, &mut output, &mut problems);
        self.inside.pop();
        self.dirty = false;
        self.quiet = was_quiet;
        let cut = output.cut;
        let bytes = output.into_text().into_bytes();
        let value = Rc::new(Value {
            bytes,
            problems,
            cut,
        });
        self.values.insert(name, Rc::clone(&value));
        value
    }

    fn insert_failed(&self, name: &str, why: &[u8], output: &mut Output, origin: usize) {
        output.extend(b"$(", origin);
        output.extend(name.as_bytes(), origin);
        output.extend(if self.quiet { b")" } else { why }, origin);
    }

    fn report(&self, found: &mut Problems, kind: MacroProblemKind, name: &str) {
        // One bomb makes one complaint, not thousands.
        if kind == MacroProblemKind::TooMuch && found.iter().any(|found| found.kind == kind) {
            return;
        }
        let name = name.to_owned();
        found.push(Found {
            kind,
            name,
            inside: self.inside.last().cloned(),
            range: None,
        });
    }
}
