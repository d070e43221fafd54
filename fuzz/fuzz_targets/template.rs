//! Lexer, parser and executor: any text as the only template of a chart.
#![no_main]

use helm::{Capabilities, Chart, File, Limits, LoadOptions, ReleaseOptions, Values, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &[u8]| {
    let file = |name: &str, data: &[u8]| File {
        name: name.into(),
        data: data.into(),
        modified: None,
    };
    let files = vec![
        file("Chart.yaml", b"apiVersion: v2\nname: t\nversion: 1.0.0\n"),
        file("values.yaml", b"a: {b: [1, x, null]}\nn: 5\n"),
        file("templates/a.yaml", source),
    ];
    let Ok(chart) = Chart::from_files(files, &LoadOptions::default()) else {
        return;
    };
    let limits = Limits {
        steps: 100_000,
        output_bytes: 1 << 20,
        memory_bytes: 1 << 24,
        ..Limits::default()
    };
    let release = ReleaseOptions::install("r", "default", jiff::Zoned::now());
    let values = Values::new().into_value();
    let _ = render(&chart, &values, &release, &Capabilities::default(), &limits);
});
