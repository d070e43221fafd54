//! What comes as bytes: chart archives, and release records as Helm keeps them in Secrets.
#![no_main]

use helm::{Chart, LoadOptions, release};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Chart::load_archive(bytes, &LoadOptions::default());
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(record) = release::decode(text)
    {
        let _ = release::encode(&record);
    }
});
