//! The part of Go that shows through Helm's templates: its values with their types, how it prints
//! and quotes them, and how Sprig converts between them.

pub(crate) mod convert;
mod floats;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod json_syntax;
pub(crate) mod objects;
pub(crate) mod quote;
pub(crate) mod text;
pub(crate) mod value;
