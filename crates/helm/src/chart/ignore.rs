//! `.helmignore`: which files of a folder are no part of the chart.
//!
//! Patterns are those of a shell; unlike in `.gitignore`, the first that decides wins, `**` is
//! refused, and a `!` pattern ignores everything that it does not match.

use super::ChartError;

#[derive(Debug, Default)]
pub(super) struct Rules {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    negated: bool,
    folders_only: bool,
    /// Compared with the whole path rather than the file name.
    whole_path: bool,
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

impl Rules {
    /// The rules that hold without a file.
    pub(super) fn with_defaults(mut self) -> Result<Self, ChartError> {
        self.add("templates/.?*")?;
        Ok(self)
    }

    pub(super) fn parse(text: &str) -> Result<Self, ChartError> {
        let mut rules = Self::default();
        for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
            rules.add(line)?;
        }
        Ok(rules)
    }

    fn add(&mut self, line: &str) -> Result<(), ChartError> {
        let rule = line.trim();
        if rule.is_empty() || rule.starts_with('#') {
            return Ok(());
        }
        if rule.contains("**") {
            let problem = format!("double-star (**) syntax is not supported: `{rule}`");
            return Err(ChartError::Ignore(problem));
        }
        let (negated, rule) = rule
            .strip_prefix('!')
            .map_or((false, rule), |rule| (true, rule));
        let (folders_only, rule) = rule
            .strip_suffix('/')
            .map_or((false, rule), |rule| (true, rule));
        let (rooted, rule) = rule
            .strip_prefix('/')
            .map_or((false, rule), |rule| (true, rule));
        let parts = compile(rule)
            .ok_or_else(|| ChartError::Ignore(format!("syntax error in pattern `{line}`")))?;
        let whole_path = rooted || rule.contains('/');
        self.patterns.push(Pattern {
            negated,
            folders_only,
            whole_path,
            parts,
        });
        Ok(())
    }

    pub(super) fn ignores(&self, path: &str, is_folder: bool) -> bool {
        for pattern in &self.patterns {
            if pattern.negated {
                if (pattern.folders_only && !is_folder) || !pattern.matches(path) {
                    return true;
                }
            } else if (is_folder || !pattern.folders_only) && pattern.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        let text = if self.whole_path {
            path
        } else {
            path.rsplit('/').next().unwrap_or(path)
        };
        let characters: Vec<char> = text.chars().collect();
        matches(&self.parts, &characters)
    }
}

/// Go's `filepath.Match` syntax; nothing when malformed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_decide_as_in_helm() {
        for (rules, path, is_folder, ignored) in [
            ("*.txt", "a/b.txt", false, true),
            ("/*.txt", "a/b.txt", false, false),
            ("a/*.txt", "a/b.txt", false, true),
            ("ci/", "ci", true, true),
            ("ci/", "ci", false, false),
            ("# comment\n\nb[0-9]", "b1", false, true),
            ("b[^0-9]", "b1", false, false),
            ("!keep.me", "other", false, true),
            ("!keep.me", "keep.me", false, false),
            ("", "templates/.hidden", false, true),
            ("", "templates/a.yaml", false, false),
        ] {
            let rules = Rules::parse(rules).and_then(Rules::with_defaults).unwrap();
            assert_eq!(rules.ignores(path, is_folder), ignored, "{rules:?} {path}");
        }
        assert!(Rules::parse("a/**").is_err());
        assert!(Rules::parse("a[").is_err());
    }
}
