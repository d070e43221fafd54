//! Files of a chart, each text between two NUL bytes: metadata, values, schema, a helper, a template; then lint.
#![no_main]

use helm::{
    Capabilities, Chart, File, Limits, LoadOptions, ReleaseOptions, TemplateOptions, Values, render,
};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 6] = [
    "Chart.yaml",
    "values.yaml",
    "values.schema.json",
    "templates/_a.tpl",
    "templates/a.yaml",
    "charts/b/Chart.yaml",
];

fuzz_target!(|bytes: &[u8]| {
    let texts = bytes.split(|byte| *byte == 0);
    let files: Vec<File> = NAMES
        .iter()
        .zip(texts)
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| File {
            name: (*name).into(),
            data: text.into(),
            modified: None,
        })
        .collect();
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
    if let Ok(rendered) = render(&chart, &values, &release, &Capabilities::default(), &limits) {
        let _ = rendered.template_output(&TemplateOptions::default());
    }
    let _ = chart.package();
});
