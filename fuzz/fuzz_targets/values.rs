//! Values files and the expressions of `--set`.
#![no_main]

use helm::Values;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let base = || Values::new().set("a.b=1,l={x,y}").unwrap_or_default();
    let _ = base().file("values.yaml", text);
    let _ = base().set(text);
    let _ = base().set_string(text);
    let _ = base().set_json(text);
    let _ = base().set_literal(text);
    let _ = base().set_file(text, |_| Ok(String::new()));
});
