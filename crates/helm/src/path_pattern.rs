//! Patterns of a shell for whole paths, as Go's `filepath.Match` reads them: `*`, `?` and `[a-z]`
//! stop at a slash, `\` takes the next character as it is. `.helmignore` and `--show-only` have them.

/// A pattern, ready to be compared with many paths.
#[derive(Debug)]
pub(crate) struct PathPattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(char),
    AnyOne,
    Any,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl PathPattern {
    /// Nothing when the pattern is malformed.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        compile(pattern).map(|parts| Self { parts })
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        let characters: Vec<char> = path.chars().collect();
        matches(&self.parts, &characters)
    }
}

fn compile(pattern: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        parts.push(match character {
            '*' => Part::Any,
            '?' => Part::AnyOne,
            '\\' => Part::Literal(characters.next()?),
            '[' => {
                let negated = characters.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || characters.peek() != Some(&']') {
                    let low = class_member(&mut characters)?;
                    let high = match characters.next_if_eq(&'-') {
                        Some(_) => class_member(&mut characters)?,
                        None => low,
                    };
                    ranges.push((low, high));
                }
                characters.next();
                Part::Class { negated, ranges }
            }
            other => Part::Literal(other),
        });
    }
    Some(parts)
}

fn class_member(characters: &mut std::iter::Peekable<std::str::Chars>) -> Option<char> {
    match characters.next()? {
        '-' | ']' => None,
        '\\' => characters.next(),
        other => Some(other),
    }
}

/// Stars give back what they took, the last one first.
fn matches(parts: &[Part], text: &[char]) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if part == parts.len() && at == text.len() {
            return true;
        }
        let fits = match (parts.get(part), text.get(at)) {
            (Some(Part::Any), _) => {
                star = Some((part, at));
                part += 1;
                continue;
            }
            (Some(Part::Literal(wanted)), Some(found)) => wanted == found,
            (Some(Part::AnyOne), Some(found)) => *found != '/',
            (Some(Part::Class { negated, ranges }), Some(found)) => {
                *found != '/'
                    && ranges
                        .iter()
                        .any(|(low, high)| (low..=high).contains(&found))
                        != *negated
            }
            _ => false,
        };
        if fits {
            part += 1;
            at += 1;
            continue;
        }
        match star {
            Some((star_part, star_at)) if text.get(star_at).is_some_and(|c| *c != '/') => {
                star = Some((star_part, star_at + 1));
                part = star_part + 1;
                at = star_at + 1;
            }
            _ => return false,
        }
    }
}
