//! The commands of a start-up script that matter to what an IOC loads.

use crate::Span;

/// A word of a command line after expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its text, without quotes.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A command line that the IOC runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it does.
    pub command: Command,
    /// The whole line.
    pub span: Span,
}

/// A command of the IOC shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `epicsEnvSet NAME VALUE`.
    SetEnvironment {
        /// Name of the variable.
        name: Argument,
        /// Its value.
        value: Argument,
    },
    /// `epicsEnvUnset NAME`.
    UnsetEnvironment(Argument),
    /// `cd DIRECTORY`.
    ChangeDirectory(Argument),
    /// `dbLoadDatabase FILE [PATH [MACROS]]`.
    LoadDatabase {
        /// The `.dbd` file.
        file: Argument,
        /// Directories to look in.
        path: Option<Argument>,
        /// Macro definitions.
        macros: Option<Argument>,
    },
    /// `dbLoadRecords FILE [MACROS]`.
    LoadRecords {
        /// The database.
        file: Argument,
        /// Macro definitions.
        macros: Option<Argument>,
    },
    /// `dbLoadTemplate FILE [MACROS [PATH]]`.
    LoadTemplate {
        /// The substitution file.
        file: Argument,
        /// Macro definitions.
        macros: Option<Argument>,
        /// Directories to look in.
        path: Option<Argument>,
    },
    /// `iocshLoad FILE [MACROS]`, or `< FILE` without macros.
    LoadScript {
        /// The script.
        file: Argument,
        /// Macro definitions.
        macros: Option<Argument>,
    },
    /// `iocshCmd COMMAND` and `iocshRun COMMAND [MACROS]`.
    RunLine {
        /// The command line.
        line: Argument,
        /// Macro definitions.
        macros: Option<Argument>,
    },
    /// `NAME_registerRecordDeviceDriver pdbbase`.
    RegisterSupport {
        /// The whole command word.
        name: String,
    },
    /// `iocInit`, or `iocBuild`, after which nothing can be loaded.
    IocInit,
    /// `var NAME VALUE`.
    SetVariable {
        /// Name of the variable.
        name: Argument,
        /// Its value.
        value: Argument,
    },
    /// `exit`: ends the script.
    Exit,
    /// A command that is not looked into, or one of the above with an argument missing.
    Unknown {
        /// The command word.
        name: String,
        /// Its arguments.
        arguments: Vec<Argument>,
    },
}

/// Commands that are recognised, to suggest one for a name that was mistyped.
pub(super) const KNOWN: [&str; 12] = [
    "epicsEnvSet",
    "epicsEnvUnset",
    "cd",
    "dbLoadDatabase",
    "dbLoadRecords",
    "dbLoadTemplate",
    "iocshLoad",
    "iocshCmd",
    "iocshRun",
    "iocInit",
    "iocBuild",
    "var",
];

impl Command {
    /// The command of these words. The first one is its name.
    pub(super) fn from_words(name: &Argument, arguments: &[Argument]) -> Self {
        let argument = |index: usize| arguments.get(index).cloned();
        let unknown = || Self::Unknown {
            name: name.text.clone(),
            arguments: arguments.to_vec(),
        };
        let Some(first) = argument(0) else {
            return match name.text.as_str() {
                "iocInit" | "iocBuild" => Self::IocInit,
                "exit" => Self::Exit,
                text if is_registration(text) => Self::RegisterSupport {
                    name: text.to_owned(),
                },
                _ => unknown(),
            };
        };
        match name.text.as_str() {
            "epicsEnvSet" => match argument(1) {
                Some(value) => Self::SetEnvironment { name: first, value },
                None => unknown(),
            },
            "epicsEnvUnset" => Self::UnsetEnvironment(first),
            "cd" => Self::ChangeDirectory(first),
            "dbLoadDatabase" => Self::LoadDatabase {
                file: first,
                path: argument(1),
                macros: argument(2),
            },
            "dbLoadRecords" => Self::LoadRecords {
                file: first,
                macros: argument(1),
            },
            "dbLoadTemplate" => Self::LoadTemplate {
                file: first,
                macros: argument(1),
                path: argument(2),
            },
            "iocshLoad" => Self::LoadScript {
                file: first,
                macros: argument(1),
            },
            "iocshCmd" => Self::RunLine {
                line: first,
                macros: None,
            },
            "iocshRun" => Self::RunLine {
                line: first,
                macros: argument(1),
            },
            "iocInit" | "iocBuild" => Self::IocInit,
            "exit" => Self::Exit,
            "var" => match argument(1) {
                Some(value) => Self::SetVariable { name: first, value },
                None => unknown(),
            },
            text if is_registration(text) => Self::RegisterSupport {
                name: text.to_owned(),
            },
            _ => unknown(),
        }
    }
}

fn is_registration(name: &str) -> bool {
    name.ends_with("_registerRecordDeviceDriver") || name == "registerAllRecordDeviceDrivers"
}
