//! `.helmignore`: which files of a folder are no part of the chart.
//!
//! Patterns are those of a shell; unlike in `.gitignore`, the first that decides wins, `**` is
//! refused, and a `!` pattern ignores everything that it does not match.

use super::ChartError;
use crate::path_pattern::PathPattern;

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
    path: PathPattern,
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
        let path = PathPattern::new(rule)
            .ok_or_else(|| ChartError::Ignore(format!("syntax error in pattern `{line}`")))?;
        let whole_path = rooted || rule.contains('/');
        self.patterns.push(Pattern {
            negated,
            folders_only,
            whole_path,
            path,
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
        self.path.matches(text)
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
