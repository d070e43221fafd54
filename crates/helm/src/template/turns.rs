//! The turns of a range: what its variables and the dot are, one after the other.

use super::exec::Evaluated;
use crate::go::text::Text;
use crate::go::value::{Element, IntType, Value};

/// The turns of a range.
pub(super) enum Turns {
    Count { next: i64, end: i64, kind: IntType },
    List(crate::go::value::List, usize),
    Entries(std::vec::IntoIter<(Text, Value)>, bool),
}

impl Turns {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Count { next, end, .. } => usize::try_from(end - next).unwrap_or(usize::MAX),
            Self::List(list, at) => list.items.len() - at,
            Self::Entries(entries, _) => entries.len(),
        }
    }
}

impl Iterator for Turns {
    type Item = (Evaluated, Evaluated);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Count { next, end, kind } => {
                if next >= end {
                    return None;
                }
                let value = Value::Int(*next, *kind);
                *next += 1;
                Some((Evaluated::bare(Value::Nil), Evaluated::bare(value)))
            }
            Self::List(list, at) => {
                let value = list.items.get(*at)?.clone();
                let index = Value::int(i64::try_from(*at).unwrap_or(i64::MAX));
                *at += 1;
                let in_interface = list.element == Element::Any;
                Some((
                    Evaluated::bare(index),
                    Evaluated {
                        value,
                        in_interface,
                    },
                ))
            }
            Self::Entries(entries, in_interface) => {
                let (key, value) = entries.next()?;
                let element = Evaluated {
                    value,
                    in_interface: *in_interface,
                };
                Some((Evaluated::bare(Value::Str(key)), element))
            }
        }
    }
}
