//! YAML: what is read and written is read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(value) = helm::yaml::parse(text) {
        let written = helm::yaml::to_yaml(&value);
        let _ = helm::yaml::parse(&written);
    }
    let _ = helm::yaml::parse_all(text);
});
