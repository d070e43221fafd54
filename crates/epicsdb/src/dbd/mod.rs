//! Database definitions: which record types, fields, menus and device supports an IOC knows.
//!
//! A [`Dbd`] grows with every `dbLoadDatabase`; as in base, the first definition of a name stays
//! and later ones are passed over. Whether support code is linked in cannot be known from here.

mod build;

use std::collections::BTreeMap;
use std::fmt;

pub(crate) use build::{Growth, choice_index, grow};

use crate::files::{Files, Lookup, Search};
use crate::macros::{Environment, Macros};
use crate::syntax;
use crate::{Diagnostic, Span};

/// Everything that `.dbd` files define.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dbd {
    /// Menus by name.
    pub menus: BTreeMap<String, Menu>,
    /// Record types by name.
    pub record_types: BTreeMap<String, RecordType>,
    /// Driver support tables.
    pub drivers: Vec<String>,
    /// Registrar functions.
    pub registrars: Vec<String>,
    /// Functions that subroutine records can call.
    pub functions: Vec<String>,
    /// Variables of the IOC shell: name and C type.
    pub variables: BTreeMap<String, String>,
    /// JSON link types: key and support table.
    pub links: BTreeMap<String, String>,
    /// Breakpoint tables: pairs of raw and engineering value.
    pub break_tables: BTreeMap<String, Vec<(f64, f64)>>,
}

/// A menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// Its choices, in order of their numbers.
    pub choices: Vec<Choice>,
}

/// A choice of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Name in C.
    pub name: String,
    /// What stands in a database.
    pub text: String,
}

/// A record type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordType {
    /// Its fields, in order.
    pub fields: Vec<Field>,
    /// Device supports that DTYP can name, in order of their numbers.
    pub devices: Vec<Device>,
    /// Lines for the C header.
    pub c_lines: Vec<String>,
    by_name: BTreeMap<String, usize>,
}

impl RecordType {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.by_name
            .get(name)
            .and_then(|&index| self.fields.get(index))
    }

    /// The device support that DTYP names.
    pub fn device(&self, choice: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.choice == choice)
    }
}

/// Device support for a record type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What DTYP is set to.
    pub choice: String,
    /// Name of the device support table in C.
    pub table: String,
    /// What INP or OUT has to look like.
    pub link: LinkType,
}

/// A field of a record type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent attributes of the field"
)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: FieldKind,
    /// Explanation for people.
    pub prompt: String,
    /// Group of the configuration tools; a field without one is set by the IOC.
    pub prompt_group: Option<String>,
    /// Size in bytes of a string field, its final NUL included.
    pub size: u16,
    /// Menu of a menu field.
    pub menu: Option<String>,
    /// Value of a new record.
    pub initial: Option<String>,
    /// Special processing, such as `SPC_CALC`.
    pub special: Option<String>,
    /// C declaration of a field that only the record support knows.
    pub extra: Option<String>,
    /// Interest level of `dbpr`, 0 to 4.
    pub interest: i16,
    /// Access security level 0 instead of 1.
    pub access_level_0: bool,
    /// Putting a value processes a passive record.
    pub processes: bool,
    /// Shown in hexadecimal.
    pub hexadecimal: bool,
    /// A change is told to clients that watch properties.
    pub property: bool,
}

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All of them, by the name they have in `.dbd` files.
            pub const ALL: &'static [(&'static str, $name)] = &[$(($text, $name::$variant),)*];

            /// The one of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().find(|(text, _)| *text == name).map(|&(_, value)| value)
            }

            /// Its name in `.dbd` files.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// Type of a field.
    FieldKind {
        /// Text.
        String = "DBF_STRING",
        /// Signed, 8 bits.
        Char = "DBF_CHAR",
        /// Unsigned, 8 bits.
        UChar = "DBF_UCHAR",
        /// Signed, 16 bits.
        Short = "DBF_SHORT",
        /// Unsigned, 16 bits.
        UShort = "DBF_USHORT",
        /// Signed, 32 bits.
        Long = "DBF_LONG",
        /// Unsigned, 32 bits.
        ULong = "DBF_ULONG",
        /// Signed, 64 bits.
        Int64 = "DBF_INT64",
        /// Unsigned, 64 bits.
        UInt64 = "DBF_UINT64",
        /// Floating point, 32 bits.
        Float = "DBF_FLOAT",
        /// Floating point, 64 bits.
        Double = "DBF_DOUBLE",
        /// Number of a state.
        Enum = "DBF_ENUM",
        /// Choice of a menu.
        Menu = "DBF_MENU",
        /// Choice of a device support.
        Device = "DBF_DEVICE",
        /// Link that is read.
        InLink = "DBF_INLINK",
        /// Link that is written.
        OutLink = "DBF_OUTLINK",
        /// Link to the record to process next.
        ForwardLink = "DBF_FWDLINK",
        /// Known only to the record support; cannot be set in a database.
        NoAccess = "DBF_NOACCESS",
    }
}

named! {
    /// What the device link (INP or OUT) of a device support looks like.
    LinkType {
        /// A number, a record or a JSON link.
        Constant = "CONSTANT",
        /// A number, a record or a JSON link.
        Pv = "PV_LINK",
        /// `#C0 S0 @parameter`
        Vme = "VME_IO",
        /// `#B0 C0 N0 A0 F0 @parameter`
        Camac = "CAMAC_IO",
        /// `#L0 A0 C0 S0 @parameter`
        AllenBradley = "AB_IO",
        /// `#L0 A0 @parameter`
        Gpib = "GPIB_IO",
        /// `#L0 N0 P0 S0 @parameter`
        Bitbus = "BITBUS_IO",
        /// A number, a record or a JSON link.
        Json = "JSON_LINK",
        /// Made by the IOC itself.
        Database = "DB_LINK",
        /// Made by the IOC itself.
        ChannelAccess = "CA_LINK",
        /// `@parameter`
        Instrument = "INST_IO",
        /// `#L0 B0 G0 @parameter`
        BitbusGpib = "BBGPIB_IO",
        /// `#R0 M0 D0 E0`
        Rf = "RF_IO",
        /// `#V0 C0 S0 @parameter`
        Vxi = "VXI_IO",
    }
}

impl LinkType {
    /// What such a link looks like.
    pub fn example(self) -> &'static str {
        match self {
            Self::Constant | Self::Pv | Self::Json | Self::Database | Self::ChannelAccess => {
                "a number, a record name or a JSON link"
            }
            Self::Vme => "`#C0 S0 @parameter`",
            Self::Camac => "`#B0 C0 N0 A0 F0 @parameter`",
            Self::AllenBradley => "`#L0 A0 C0 S0 @parameter`",
            Self::Gpib => "`#L0 A0 @parameter`",
            Self::Bitbus => "`#L0 N0 P0 S0 @parameter`",
            Self::Instrument => "`@parameter`",
            Self::BitbusGpib => "`#L0 B0 G0 @parameter`",
            Self::Rf => "`#R0 M0 D0 E0`",
            Self::Vxi => "`#V0 C0 S0 @parameter`",
        }
    }

    /// Number, record or JSON, as opposed to an address of hardware.
    pub fn is_soft(self) -> bool {
        matches!(
            self,
            Self::Constant | Self::Pv | Self::Json | Self::Database | Self::ChannelAccess
        )
    }
}

/// A definition file that was read.
#[derive(Clone, Debug, Default)]
pub struct LoadedDbd {
    /// What it defines.
    pub dbd: Dbd,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

impl Dbd {
    /// Reads one `.dbd` file and what it includes, looking for names along `include_path`.
    pub fn load(files: &dyn Files, name: &str, include_path: &[&str]) -> LoadedDbd {
        let mut search = Search::new(files);
        for directory in include_path {
            search.add_path(directory);
        }
        let found = search.find(name);
        let mut dbd = Self::default();
        let diagnostics = match found.lookup {
            Lookup::Text(text) => {
                let parsed = syntax::parse(syntax::Source {
                    name: found.path,
                    text,
                    search,
                    macros: &Macros::new(),
                    environment: &Environment::new(),
                    through_msi: false,
                    loaded_from: None,
                });
                let mut findings = parsed.findings;
                for (path, span) in parsed.unavailable {
                    let message = format!("included file `{path}` is not at hand");
                    findings.push(Diagnostic::error(span, message));
                }
                for item in &parsed.items {
                    grow(&mut dbd, item, &mut findings);
                }
                findings.into_vec()
            }
            Lookup::Missing | Lookup::Unknown => {
                vec![Diagnostic::error(
                    Span::file(found.path),
                    format!("file `{name}` does not exist"),
                )]
            }
        };
        LoadedDbd { dbd, diagnostics }
    }
}
