//! The text of a file of saved settings: names and values of PVs, and whether it was written to its end.
//!
//! Read are the files of the autosave module (`save_restore.c` and `dbrestore.c` of epics-modules/autosave) and those
//! of our own `simplant`, which differ in their first and last lines.

use serde::Serialize;

/// Last lines of a file that was written to its end: of autosave, and of simplant.
const ENDS: [&str; 2] = ["<END>", "end"];
/// First line of a file of simplant; there, a `#` does not begin a comment.
const SIMPLANT: &str = "# simplant setting save";
/// Stands before the elements of an array.
const ARRAY: &str = "@array@";

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SavedFile {
    /// Values in the order of the file.
    pub values: Vec<SavedValue>,
    /// Whether its last line is there. An IOC does not restore a file without it.
    pub is_complete: bool,
    /// PVs that were not connected when it was written, so that it has no value of theirs.
    pub not_connected: Vec<String>,
}

/// The value of one PV.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SavedValue {
    /// Name of the PV, `RECORD` or `RECORD.FIELD`.
    pub pv: String,
    /// Its value.
    pub value: Value,
}

/// A value, as it is written in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// One value.
    Scalar(String),
    /// The elements of an array.
    Array(Vec<String>),
}

impl std::fmt::Display for Value {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scalar(text) => formatter.write_str(text),
            Self::Array(elements) => write!(formatter, "[{}]", elements.join(", ")),
        }
    }
}

impl SavedFile {
    /// Reads a file. Bytes that are not UTF-8 (units in Latin-1, as `°C`) are shown as such; who copies a file copies bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::parse(&String::from_utf8_lossy(bytes))
    }

    /// Reads the text of a file. Nothing is refused: a file that was cut off says less, and is not complete.
    pub fn parse(text: &str) -> Self {
        let is_simplant = text.starts_with(SIMPLANT);
        let mut file = Self::default();
        for line in text.lines() {
            let line = line.trim_end_matches('\r');
            if ENDS.contains(&line.trim_end()) {
                file.is_complete = true;
                break;
            }
            if let Some(comment) = line.strip_prefix('#') {
                // `#NAME Search Issued`: autosave keeps its place for a PV that was not there
                let name = comment.split_whitespace().next();
                if !is_simplant && comment.contains("Search Issued") {
                    file.not_connected.extend(name.map(str::to_owned));
                }
                continue;
            }
            // `! 1 channel(s) not connected - or not all gets were successful`
            if line.starts_with('!') || line.trim().is_empty() {
                continue;
            }
            let (pv, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            file.values.push(SavedValue {
                pv: pv.to_owned(),
                value: value(rest),
            });
        }
        file
    }
}

/// A value; `@array@ { "1" "2" }` is an array, whose quotes and backslashes are escaped by a backslash.
fn value(text: &str) -> Value {
    let Some(rest) = text.trim_start().strip_prefix(ARRAY) else {
        return Value::Scalar(text.to_owned());
    };
    let mut elements = Vec::new();
    let mut element: Option<String> = None;
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match (character, &mut element) {
            ('"', None) => element = Some(String::new()),
            ('"', Some(_)) => elements.extend(element.take()),
            ('\\', Some(inside)) => inside.extend(characters.next()),
            (other, Some(inside)) => inside.push(other),
            (_, None) => {}
        }
    }
    Value::Array(elements)
}

/// A PV whose value a restored file changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueChange {
    /// Name of the PV.
    pub pv: String,
    /// Its value in the file that is there; `None` when that has none.
    pub before: Option<Value>,
    /// Its value in the file that takes its place; `None` when that has none.
    pub after: Option<Value>,
}

/// The PVs that differ between two files, in the order of the second, then those that only the first has.
pub fn differences(before: &SavedFile, after: &SavedFile) -> Vec<ValueChange> {
    let find = |file: &SavedFile| -> std::collections::HashMap<String, Value> {
        let values = file.values.iter();
        values
            .map(|one| (one.pv.clone(), one.value.clone()))
            .collect()
    };
    let (old, new) = (find(before), find(after));
    let mut changes: Vec<ValueChange> = Vec::new();
    let gone = before
        .values
        .iter()
        .filter(|one| !new.contains_key(&one.pv));
    for pv in after.values.iter().chain(gone).map(|one| &one.pv) {
        let (before, after) = (old.get(pv), new.get(pv));
        if before != after {
            changes.push(ValueChange {
                pv: pv.clone(),
                before: before.cloned(),
                after: after.cloned(),
            });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PV=value` of each line, then what else is known.
    fn read(text: &str) -> String {
        let file = SavedFile::parse(text);
        let values: Vec<String> = file
            .values
            .iter()
            .map(|one| format!("{}={}", one.pv, one.value))
            .collect();
        format!(
            "{} {} {:?}",
            values.join(" | "),
            if file.is_complete {
                "complete"
            } else {
                "cut off"
            },
            file.not_connected
        )
    }

    #[test]
    fn files_of_autosave_and_of_simplant() {
        for (name, text, expected) in [
            (
                "autosave",
                "# autosave R5.11\tAutomatically generated - DO NOT MODIFY - 261127-101112\n\
                 ! 1 channel(s) not connected - or not all gets were successful\n\
                 T01:M1.VAL 1.25\nT01:M1.DESC top slit, left blade\n#T01:GONE Search Issued\nT01:EMPTY \n<END>\n",
                "T01:M1.VAL=1.25 | T01:M1.DESC=top slit, left blade | T01:EMPTY= complete [\"T01:GONE\"]",
            ),
            (
                "an array with quotes inside",
                "A @array@ { \"1\" \"a \\\"b\\\\\" \"\" }\n<END>\n",
                "A=[1, a \"b\\, ] complete []",
            ),
            (
                "simplant",
                "# simplant setting save 1\nT01:STAGE:SP 40\nend\n",
                "T01:STAGE:SP=40 complete []",
            ),
            ("cut off", "# x\nA 1\nB 2", "A=1 | B=2 cut off []"),
            (
                "line ends of Windows",
                "A 1\r\n<END>\r\n",
                "A=1 complete []",
            ),
            ("behind the end", "A 1\n<END>\nB 2\n", "A=1 complete []"),
            ("nothing", "", " cut off []"),
            (
                "an array cut off",
                "A @array@ { \"1\" \"2",
                "A=[1] cut off []",
            ),
            ("a name alone", "A", "A= cut off []"),
        ] {
            assert_eq!(read(text), expected, "{name}");
        }
    }

    #[test]
    fn what_a_restored_file_changes() {
        let file = |text: &str| SavedFile::parse(text);
        let changes = differences(&file("A 1\nB 2\nC 3\n"), &file("B 2\nA 7\nD 4\n"));
        let shown: Vec<String> = changes
            .iter()
            .map(|change| {
                let text = |value: &Option<Value>| {
                    value.as_ref().map_or("-".to_owned(), ToString::to_string)
                };
                format!(
                    "{} {}>{}",
                    change.pv,
                    text(&change.before),
                    text(&change.after)
                )
            })
            .collect();
        assert_eq!(shown, ["A 1>7", "D ->4", "C 3>-"]);
    }
}
