//! Findings in the formats of CI systems, so that they appear beside the lines of a change.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::diagnostic::{Diagnostic, Severity};

/// Workflow commands of GitHub Actions (`::error file=…,line=…,col=…::message`), one line each.
pub fn github(findings: &[&Diagnostic]) -> String {
    let mut text = String::new();
    for finding in findings {
        let kind = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let mut properties = Vec::new();
        if let Some(place) = &finding.place {
            properties.push(format!(
                "file={}",
                property(&place.path.display().to_string())
            ));
            if place.line > 0 {
                properties.push(format!("line={}", place.line));
            }
            if place.column > 0 {
                properties.push(format!("col={}", place.column));
                properties.push(format!("endColumn={}", place.column + place.length));
            }
        }
        let blank = if properties.is_empty() { "" } else { " " };
        text.push_str(&format!(
            "::{kind}{blank}{}::{}\n",
            properties.join(","),
            data(&sentence(finding))
        ));
    }
    text
}

/// A code quality report of GitLab, a subset of the format of Code Climate.
pub fn gitlab(findings: &[&Diagnostic]) -> Value {
    let issues: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let (path, line) = finding.place.as_ref().map_or_else(
                || (String::new(), 1),
                |place| (place.path.display().to_string(), place.line.max(1)),
            );
            // what stays the same when lines above come and go
            let text = finding
                .place
                .as_ref()
                .and_then(|place| place.text.as_deref());
            let what = format!("{path}\n{}\n{}", finding.message, text.unwrap_or_default());
            let digest = Sha256::digest(what.as_bytes());
            let fingerprint = digest
                .iter()
                .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            json!({
                "description": sentence(finding),
                "check_name": "ioc-alarm-config",
                "fingerprint": fingerprint,
                "severity": match finding.severity {
                    Severity::Error => "major",
                    Severity::Warning => "minor",
                    Severity::Note => "info",
                },
                "location": {"path": path, "lines": {"begin": line}},
            })
        })
        .collect();
    Value::Array(issues)
}

/// What one file came to, for [`junit`].
#[derive(Debug)]
pub struct Case<'a> {
    /// The file.
    pub name: String,
    /// Its findings.
    pub findings: &'a [Diagnostic],
}

/// JUnit XML: a test case for each file, failed if it has findings as bad as `limit`.
pub fn junit(cases: &[Case<'_>], limit: Severity) -> String {
    let failed = |case: &&Case<'_>| case.findings.iter().any(|one| one.severity >= limit);
    let failures = cases.iter().filter(failed).count();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str(&format!(
        "<testsuite name=\"ioc alarm config check\" tests=\"{}\" failures=\"{failures}\">\n",
        cases.len()
    ));
    for case in cases {
        text.push_str(&format!(
            "  <testcase classname=\"alarm-config\" name=\"{}\">\n",
            xml(&case.name)
        ));
        let lines: Vec<String> = case.findings.iter().map(line).collect();
        let lines = xml(&lines.join("\n"));
        if failed(&case) {
            let bad = case.findings.iter().filter(|one| one.severity >= limit);
            let first = bad
                .map(|one| one.message.as_str())
                .next()
                .unwrap_or_default();
            text.push_str(&format!(
                "    <failure message=\"{}\">{lines}</failure>\n",
                xml(first)
            ));
        } else if !lines.is_empty() {
            text.push_str(&format!("    <system-out>{lines}</system-out>\n"));
        }
        text.push_str("  </testcase>\n");
    }
    text.push_str("</testsuite>\n");
    text
}

fn line(finding: &Diagnostic) -> String {
    match &finding.place {
        Some(place) => format!("{place}: {}: {}", finding.severity, sentence(finding)),
        None => format!("{}: {}", finding.severity, sentence(finding)),
    }
}

fn sentence(finding: &Diagnostic) -> String {
    let mut text = finding.message.clone();
    for more in finding.expected.iter().chain(&finding.hint) {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}

/// The escapes of a workflow command's message.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The escapes of a workflow command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn xml(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '&' => "&amp;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\n' => "&#10;".to_owned(),
            control if control.is_control() => char::REPLACEMENT_CHARACTER.to_string(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;

    fn finding() -> Diagnostic {
        Diagnostic::error("100 % of `a<b`\nis wrong")
            .at(Place::in_text("a,b:c.csv", "x y", 1, 3, 1))
            .hint("do it")
    }

    #[test]
    fn what_each_system_reads() {
        let finding = finding();
        insta::assert_snapshot!(github(&[&finding]), @"::error file=a%2Cb%3Ac.csv,line=1,col=3,endColumn=4::100 %25 of `a<b`%0Ais wrong; do it");
        let report = gitlab(&[&finding]);
        assert_eq!(report[0]["location"]["lines"]["begin"], 1);
        assert_eq!(report[0]["severity"], "major");
        let findings = [finding];
        let case = |limit| {
            let name = "a.csv".to_owned();
            let findings = &findings[..];
            junit(&[Case { name, findings }], limit)
        };
        insta::assert_snapshot!(case(Severity::Error), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuite name="ioc alarm config check" tests="1" failures="1">
          <testcase classname="alarm-config" name="a.csv">
            <failure message="100 % of `a&lt;b`&#10;is wrong">a,b:c.csv:1:3: error: 100 % of `a&lt;b`&#10;is wrong; do it</failure>
          </testcase>
        </testsuite>
        "#);
    }
}
