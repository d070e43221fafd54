//! What a database or database definition file consists of.

use crate::Span;

/// A word or quoted string after macro expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// Its characters, without quotes; backslashes are kept.
    pub(crate) value: String,
    /// Where it stands in the file.
    pub(crate) span: Span,
    /// It holds an undefined or recursive macro, which has been reported.
    pub(crate) unresolved: bool,
}

/// The value of a field or an info item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// What the IOC puts into the field: quotes removed and escapes translated, JSON as written.
    pub(crate) text: String,
    /// How it was written.
    pub(crate) kind: ValueKind,
    /// Where it stands in the file.
    pub(crate) span: Span,
    /// It holds an undefined or recursive macro, which has been reported.
    pub(crate) unresolved: bool,
}

/// How a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// In quotes.
    Quoted,
    /// A word, number, `true`, `false` or `null` without quotes.
    Bare,
    /// A JSON array or object.
    Json,
}

/// `record(TYPE, "NAME") { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordItem {
    /// Record type; `*` adds to an existing record of any type, `#` deletes one.
    pub(crate) record_type: Text,
    /// Record name.
    pub(crate) name: Text,
    /// Fields in order.
    pub(crate) fields: Vec<FieldItem>,
    /// Info items in order.
    pub(crate) infos: Vec<InfoItem>,
    /// Aliases inside the record.
    pub(crate) aliases: Vec<Text>,
}

/// `field(NAME, VALUE)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldItem {
    /// Field name.
    pub(crate) name: Text,
    /// Its value.
    pub(crate) value: Value,
}

/// `info(NAME, VALUE)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InfoItem {
    /// Name of the item.
    pub(crate) name: Text,
    /// Its value.
    pub(crate) value: Value,
}

/// `recordtype(NAME) { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordTypeItem {
    /// Name of the type.
    pub(crate) name: Text,
    /// Fields in order.
    pub(crate) fields: Vec<FieldDefinition>,
    /// Lines for the C header, without the `%`.
    pub(crate) c_lines: Vec<String>,
    /// Nothing stands between the braces.
    pub(crate) empty: bool,
}

/// `field(NAME, DBF_…) { … }` of a record type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldDefinition {
    /// Field name.
    pub(crate) name: Text,
    /// `DBF_…`.
    pub(crate) kind: Text,
    /// `prompt("…")` and so on.
    pub(crate) attributes: Vec<(Text, Text)>,
}

/// One statement, in the order of the file, included files merged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// `menu(NAME) { choice(…) }`.
    Menu {
        /// Name of the menu.
        name: Text,
        /// Choice names and strings.
        choices: Vec<(Text, Text)>,
    },
    /// `recordtype(NAME) { … }`.
    RecordType(RecordTypeItem),
    /// `device(TYPE, LINK, DSET, "CHOICE")`.
    Device {
        /// Record type.
        record_type: Text,
        /// Link type, such as `INST_IO`.
        link: Text,
        /// Name of the device support table.
        table: Text,
        /// What DTYP is set to.
        choice: Text,
    },
    /// `driver(NAME)`.
    Driver(Text),
    /// `registrar(NAME)`.
    Registrar(Text),
    /// `function(NAME)`.
    Function(Text),
    /// `variable(NAME, TYPE)`; the type is `int` if not given.
    Variable(Text, Option<Text>),
    /// `link(KEY, SUPPORT)`.
    Link(Text, Text),
    /// `breaktable(NAME) { … }`.
    BreakTable {
        /// Name of the table.
        name: Text,
        /// Raw and engineering values in turn.
        numbers: Vec<Text>,
    },
    /// `record` or `grecord`.
    Record(RecordItem),
    /// `alias(RECORD, ALIAS)`.
    Alias {
        /// The existing record.
        record: Text,
        /// Its further name.
        alias: Text,
    },
}
