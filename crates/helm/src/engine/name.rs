//! `--name-template`: the name of a release out of a template, such as `scan-{{ randAlpha 5 | lower }}`.

use std::sync::Arc;

use jiff::Zoned;

use super::RenderError;
use crate::go::text::Text;
use crate::go::value::Value;
use crate::limits::Limits;
use crate::template::exec::{Evaluated, Runtime, execute};
use crate::template::parser::parse;
use crate::template::set::TemplateSet;

/// The template has no place in a chart; this is how Helm calls it.
const NAME: &str = "name-template";

/// What such a template may do: it makes a name of 53 characters.
const LIMITS: Limits = Limits {
    output_bytes: 64 * 1024,
    steps: 100_000,
    memory_bytes: 1024 * 1024,
    include_depth: 1,
    nesting: 100,
};

/// The name that a template gives; whether it can be the name of a release is for
/// [`validate_name`](crate::release::validate_name) to say.
///
/// # Errors
/// When the template cannot be parsed or fails.
pub fn release_name(template: &str, now: Zoned) -> Result<String, RenderError> {
    let file: Arc<str> = NAME.into();
    let parsed =
        parse(&template.into()).map_err(|error| RenderError::parse(&file, &error, template))?;
    let mut set = TemplateSet::default();
    set.add(&file, &parsed);
    let runtime = Runtime::new(LIMITS, now);
    let nothing = Evaluated::bare(Value::Nil);
    let out = execute(&runtime, &set, &Text::Utf8(file), &nothing)
        .map_err(|error| RenderError::execution(&error))?;
    Ok(Text::from_bytes(out).lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_gives_a_name() {
        let name = |template: &str| release_name(template, Zoned::now());
        assert_eq!(name("scan-{{ 5 | add 2 }}").unwrap(), "scan-7");
        assert_eq!(name("x{{ randAlpha 5 | lower | len }}").unwrap(), "x5");
        assert!(name("{{ nosuch }}").is_err());
        assert!(name("{{ range until 100000 }}{{ end }}").is_err());
    }
}
