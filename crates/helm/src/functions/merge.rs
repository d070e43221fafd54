//! Sprig: merging maps, by the rules of the library that it uses (mergo): a value that is empty
//! (`false`, `0`, `""`) counts as not there.

use super::arguments::value;
use super::dicts::plain_type;
use super::{Called, Function, Type, variadic};
use crate::go::value::{Entries, Kind, Map, Value};
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("merge", &[Type::Map], Type::Map, |_, arguments| {
        merge(arguments, false)
    }),
    variadic("mustMerge", &[Type::Map], Type::Map, |_, arguments| {
        merge(arguments, false)
    }),
    variadic("mergeOverwrite", &[Type::Map], Type::Map, merge_overwrite),
    variadic(
        "mustMergeOverwrite",
        &[Type::Map],
        Type::Map,
        merge_overwrite,
    ),
];

fn merge_overwrite(_: &mut State<'_>, arguments: &[Value]) -> Called {
    merge(arguments, true)
}

fn merge(arguments: &[Value], overwrite: bool) -> Called {
    // What was never made is made here.
    let made;
    let target = match value(arguments, 0) {
        Value::Map(map) if map.is_nil() => {
            made = Value::map(Entries::new());
            &made
        }
        given => given,
    };
    if let Value::Map(target) = target {
        for source in arguments.iter().skip(1) {
            if let Value::Map(source) = source {
                merge_maps(target, source, overwrite, 0);
            }
        }
    }
    Ok(plain_type(target))
}

const MAX_DEPTH: usize = 1000;

fn merge_maps(target: &Map, source: &Map, overwrite: bool, depth: usize) {
    if target.is_same(source) || depth > MAX_DEPTH {
        return;
    }
    for (key, new) in source.snapshot() {
        let old = target.borrow().get(key.as_bytes()).cloned();
        if new.is_nil() {
            if overwrite {
                target.insert(key, Value::Nil);
            }
            continue;
        }
        if let (Value::Map(new), Some(Value::Map(old))) = (&new, &old) {
            merge_maps(old, new, overwrite, depth + 1);
        }
        let new_is_list = new.kind() == Kind::Slice;
        if new_is_list {
            // The map itself must be empty for a list to be taken over without overwriting.
            let target_empty = target.len() == 0;
            let source_empty = source.len() == 0;
            let absent = matches!(old, None | Some(Value::Nil));
            if !source_empty && (overwrite || target_empty) {
                target.insert(key.clone(), new.clone());
            } else if absent {
                target.insert(key.clone(), Value::list(Vec::new()));
            }
        }
        let current = target.borrow().get(key.as_bytes()).cloned();
        if let Some(old) = &old
            && old.is_true()
        {
            let both_maps = matches!((&new, &current), (Value::Map(_), Some(Value::Map(_))));
            if new_is_list || both_maps {
                continue;
            }
        }
        // The element seen before a list was put in its place decides.
        if overwrite || !old.as_ref().is_some_and(Value::is_true) {
            target.insert(key, new);
        }
    }
}
