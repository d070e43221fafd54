//! A value of a manifest together with its path, so that a mistake can be named.

use serde_json::Value;

/// A field of a manifest, present or not.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    value: Option<&'a Value>,
    path: String,
}

/// A field that is not what the Kubernetes API says it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {problem}")]
pub struct FieldError {
    /// The field.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl<'a> Node<'a> {
    /// The resource as a whole.
    pub fn root(value: &'a Value) -> Self {
        Self {
            value: Some(value),
            path: String::new(),
        }
    }

    /// The path as people write it: `spec.template.spec.containers[ioc].env[NAME]`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value, unless it is missing or null.
    pub fn value(&self) -> Option<&'a Value> {
        self.value.filter(|value| !value.is_null())
    }

    /// Whether it is there and not null.
    pub fn is_present(&self) -> bool {
        self.value().is_some()
    }

    /// A field of it.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        Self {
            value: self.value.and_then(|value| value.get(name)),
            path,
        }
    }

    /// An entry whose name the user chose.
    fn key(&self, name: &str) -> Self {
        Self {
            value: self.value.and_then(|value| value.get(name)),
            path: format!("{}[{name}]", self.path),
        }
    }

    /// A field below a field.
    #[must_use]
    pub fn descend(&self, path: &[&str]) -> Self {
        path.iter()
            .fold(self.clone(), |node, name| node.field(name))
    }

    /// Its elements, named by the first of `keys` that they have, else by their number.
    ///
    /// # Errors
    ///
    /// When it is there and not a list.
    pub fn items(&self, keys: &[&str]) -> Result<Vec<Self>, FieldError> {
        let Some(value) = self.value() else {
            return Ok(Vec::new());
        };
        let list = value
            .as_array()
            .ok_or_else(|| self.wrong("must be a list"))?;
        Ok(list
            .iter()
            .enumerate()
            .map(|(index, item)| Self {
                value: Some(item),
                path: format!("{}[{}]", self.path, item_name(item, keys, index)),
            })
            .collect())
    }

    /// Its fields.
    ///
    /// # Errors
    ///
    /// When it is there and not a mapping.
    pub fn entries(&self) -> Result<Vec<(&'a str, Self)>, FieldError> {
        let Some(value) = self.value() else {
            return Ok(Vec::new());
        };
        let map = value
            .as_object()
            .ok_or_else(|| self.wrong("must be keys with values"))?;
        Ok(map
            .keys()
            .map(|key| (key.as_str(), self.key(key)))
            .collect())
    }

    /// Keys and texts.
    ///
    /// # Errors
    ///
    /// When it is not a mapping of texts.
    pub fn texts(&self) -> Result<Vec<(&'a str, &'a str)>, FieldError> {
        self.entries()?
            .into_iter()
            .filter(|(_, node)| node.is_present())
            .map(|(key, node)| Ok((key, node.required_text()?)))
            .collect()
    }

    /// A text.
    ///
    /// # Errors
    ///
    /// When it is there and not a text.
    pub fn text(&self) -> Result<Option<&'a str>, FieldError> {
        match self.value() {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(_) | Value::Bool(_)) => {
                Err(self.wrong("must be a text: put it into quotes"))
            }
            Some(_) => Err(self.wrong("must be a text")),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    ///
    /// When it is missing, empty or not a text.
    pub fn required_text(&self) -> Result<&'a str, FieldError> {
        self.text()?.ok_or_else(|| self.wrong("is missing"))
    }

    /// Yes or no; no when it is missing.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn flag(&self) -> Result<bool, FieldError> {
        match self.value() {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong("must be true or false")),
        }
    }

    /// A whole number from 0 on.
    ///
    /// # Errors
    ///
    /// When it is something else or too large.
    pub fn number(&self) -> Result<Option<u32>, FieldError> {
        match self.value() {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .map(Some)
                .ok_or_else(|| self.wrong("must be a whole number from 0 on")),
        }
    }

    /// A list of texts.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn list_of_texts(&self) -> Result<Vec<String>, FieldError> {
        self.items(&[])?
            .iter()
            .map(|item| item.required_text().map(str::to_owned))
            .collect()
    }

    /// An error at this place.
    pub fn wrong(&self, problem: impl Into<String>) -> FieldError {
        FieldError {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }
}

/// The name that tells an element from its neighbours.
pub fn item_name(item: &Value, keys: &[&str], index: usize) -> String {
    keys.iter()
        .find_map(|key| match item.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        })
        .unwrap_or_else(|| index.to_string())
}
