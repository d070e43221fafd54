//! Templates inside templates: Helm's `include` and `tpl`.

use std::sync::Arc;

use super::error::ExecError;
use super::exec::{Evaluated, Executed, State, execute, execute_entry};
use super::set::{Entry, TemplateSet};
use crate::go::quote::quote;
use crate::go::text::Text;
use crate::go::value::Value;

impl State<'_> {
    /// Helm's `include`: the output of another template as a string.
    pub(crate) fn include(&mut self, name: &Text, data: Value) -> Executed<Text> {
        let runtime = self.runtime;
        let open = {
            let mut included = runtime.included.borrow_mut();
            let open = included.entry(name.clone()).or_insert(0);
            *open += 1;
            *open
        };
        if open > runtime.limits.include_depth + 1 {
            return Err(ExecError::plain(format!(
                "rendering template has a nested reference name: {}: unable to execute template",
                name.lossy()
            )));
        }
        let set = self.set;
        let result = self.deeper(|_| execute(runtime, set, name, &Evaluated::bare(data)));
        if let Some(open) = runtime.included.borrow_mut().get_mut(name) {
            *open -= 1;
        }
        result.map(Text::from_bytes)
    }

    /// Helm's `tpl`: a string executed as a template that sees all others.
    pub(crate) fn tpl(&mut self, template: &Text, data: Value) -> Executed<Text> {
        const NAME: &str = "gotpl";
        self.charge(template.len() as u64)?;
        let parsed = super::parser::parse(template).map_err(|error| {
            let template = quote(template);
            let text = error.go_text(NAME);
            ExecError::plain(format!("cannot parse template {template}: {text}"))
        })?;
        let file: Arc<str> = NAME.into();
        let mut set = TemplateSet::layer(self.set);
        set.add(&file, &parsed);
        let entry = Entry {
            name: NAME.into(),
            body: Arc::clone(&parsed.main),
            file,
            source: parsed.source.clone(),
        };
        let runtime = self.runtime;
        let out = self
            .deeper(|_| execute_entry(runtime, &set, &entry, &Evaluated::bare(data)))
            .map_err(|cause| ExecError::Tpl {
                template: template.clone(),
                cause: Box::new(cause),
            })?;
        Ok(without_no_value(Text::from_bytes(out)))
    }
}

/// Removes what Go prints for a value that is not there.
pub(crate) fn without_no_value(text: Text) -> Text {
    match text {
        Text::Utf8(text) if text.contains("<no value>") => text.replace("<no value>", "").into(),
        Text::Raw(bytes) => {
            let mut kept = Vec::with_capacity(bytes.len());
            let mut rest = bytes.as_ref();
            while let Some((&first, after)) = rest.split_first() {
                if let Some(after) = rest.strip_prefix(b"<no value>") {
                    rest = after;
                } else {
                    kept.push(first);
                    rest = after;
                }
            }
            Text::from_bytes(kept)
        }
        text @ Text::Utf8(_) => text,
    }
}
