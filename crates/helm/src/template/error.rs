//! What goes wrong in a template: while parsing it, and while executing it, with the chain of
//! templates and functions that led there.

use std::sync::Arc;

use crate::go::quote::quote;
use crate::go::text::Text;

/// A template that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParseError {
    /// Line, counted from 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl ParseError {
    /// A lexer's message with the place where the action began. The file name is filled in by
    /// `helm_text`, since a parsed template does not know its file.
    pub(crate) fn in_action(message: &str, line: usize) -> String {
        let extra = if message.ends_with(" action") {
            ""
        } else {
            " in action"
        };
        format!("{message}{extra} started at \u{0}:{line}")
    }

    pub(crate) fn message_for(&self, file: &str) -> String {
        self.message.replace('\u{0}', file)
    }

    /// The text of Go's own message.
    pub(crate) fn go_text(&self, file: &str) -> String {
        format!("template: {file}:{}: {}", self.line, self.message_for(file))
    }
}

/// Where execution was when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Path of the template file, for example `ec-service/charts/ioc-instance/templates/_pvc.tpl`.
    pub file: String,
    /// Line in that file, counted from 1.
    pub line: usize,
    /// Bytes before the place on that line, as Helm counts them.
    pub column: usize,
    /// Name of the template being executed: the file's path or what `define` named.
    pub template: String,
    /// The expression, as the template has it.
    pub expression: String,
    /// The text of the line.
    pub source_line: String,
}

/// Execution that failed.
#[derive(Debug, Clone)]
pub(crate) enum ExecError {
    /// `template: FILE:LINE:COL: executing "T" at <E>: MESSAGE`
    At {
        location: Arc<Location>,
        message: String,
    },
    /// As above, the message being that a function failed.
    Calling {
        location: Arc<Location>,
        function: &'static str,
        cause: Box<ExecError>,
    },
    /// A failure of a function itself.
    Plain(String),
    /// What `required` and `fail` say: nothing but the chart's own words.
    Warning(String),
    /// A failure inside `tpl`.
    Tpl {
        template: Text,
        cause: Box<ExecError>,
    },
}

impl ExecError {
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self::Plain(message.into())
    }

    /// The text of Go's message, the whole chain in one line.
    pub(crate) fn go_text(&self) -> String {
        match self {
            Self::At { location, message } => format!("{}{message}", location_text(location)),
            Self::Calling {
                location,
                function,
                cause,
            } => {
                let location = location_text(location);
                format!("{location}error calling {function}: {}", cause.go_text())
            }
            Self::Plain(message) => message.clone(),
            Self::Warning(message) => format!("HELM_ERR_START{message}HELM_ERR_END"),
            Self::Tpl { template, cause } => {
                let template = quote(template);
                format!(
                    "error during tpl function execution for {template}: {}",
                    cause.go_text()
                )
            }
        }
    }

    fn cause(&self) -> Option<&Self> {
        match self {
            Self::Calling { cause, .. } | Self::Tpl { cause, .. } => Some(cause),
            _ => None,
        }
    }

    fn causes(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |error| error.cause())
    }

    /// The places passed on the way to the failure, outermost first.
    pub(crate) fn locations(&self) -> Vec<Arc<Location>> {
        self.causes()
            .filter_map(|error| match error {
                Self::At { location, .. } | Self::Calling { location, .. } => {
                    Some(Arc::clone(location))
                }
                _ => None,
            })
            .collect()
    }

    /// The words of `required` or `fail`, when one of them is the cause.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.causes().find_map(|error| match error {
            Self::Warning(message) => Some(message.as_str()),
            _ => None,
        })
    }

    /// What failed in the end, without the places.
    pub(crate) fn root_message(&self) -> String {
        match self.causes().last() {
            Some(Self::At { message, .. } | Self::Plain(message) | Self::Warning(message)) => {
                message.clone()
            }
            _ => String::new(),
        }
    }

    /// The message as Helm prints it.
    pub(crate) fn helm_text(&self) -> String {
        if let (Some(warning), Some(location)) = (self.warning(), self.locations().first()) {
            let Location {
                file, line, column, ..
            } = location.as_ref();
            return format!("execution error at ({file}:{line}:{column}): {warning}");
        }
        // Helm takes the chain apart when each link is a template error, else prints it whole.
        let mut text = String::new();
        let mut previous = String::new();
        for error in self.causes() {
            let location = match error {
                Self::At { location, .. } | Self::Calling { location, .. } => location,
                Self::Plain(message) if message.starts_with("template: no template ") => {
                    text.push_str(message);
                    text.push('\n');
                    continue;
                }
                _ => return self.go_text(),
            };
            let message = match error {
                Self::At { message, .. } => message.clone(),
                Self::Calling {
                    function, cause, ..
                } => {
                    format!("error calling {function}: {}", cause.go_text())
                }
                _ => String::new(),
            };
            let message = message
                .split(" template:")
                .next()
                .unwrap_or_default()
                .to_owned();
            let link = format!(
                "{}:{}:{}\n  executing {} at <{}>:\n    {message}\n",
                location.file,
                location.line,
                location.column,
                quote(&location.template.as_str().into()),
                location.expression,
            );
            if link != previous {
                text.push_str(&link);
            }
            previous = link;
        }
        text.trim().to_owned()
    }
}

fn location_text(location: &Location) -> String {
    format!(
        "template: {}:{}:{}: executing {} at <{}>: ",
        location.file,
        location.line,
        location.column,
        quote(&location.template.as_str().into()),
        location.expression
    )
}
