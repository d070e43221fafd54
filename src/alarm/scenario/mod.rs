//! Scenarios: values of PVs over time and the alarms that are expected of a configuration, as YAML.
//!
//! Playing one is the business of `alarm::simulate`; this module reads it, and finds what it names in the
//! configuration.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use alarm::config::LeafConfig;
use alarm::files::{Item, TreeFile};
use alarm::formula::Formula;
use alarm::path::AlarmPath;
use alarm::server::{Request, Settings, Until};
use alarm::simulate::{Expectation, Happens, Limits, Scenario, Step};
use alarm::wire::config::ConfigMessage;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::yaml;
use file::{Many, ScenarioFile, Setting, StepFile};

/// Largest scenario that is read, in bytes.
pub const LARGEST_FILE: usize = yaml::LARGEST_FILE;
/// When a scenario begins that does not say: a Thursday without a change of the clock.
const BEGINS: DateTime = jiff::civil::date(2026, 1, 1).at(0, 0, 0, 0);

/// A scenario with the places of what it expects.
#[derive(Debug)]
pub struct Read {
    /// To be played.
    pub scenario: Scenario,
    /// Where each expectation stands, in their order.
    pub places: Vec<Place>,
}

/// A scenario before its configuration has been read.
#[derive(Debug)]
pub struct Script<'a> {
    path: &'a Path,
    text: &'a str,
    file: ScenarioFile,
}

impl<'a> Script<'a> {
    /// Reads the text of a scenario.
    ///
    /// # Errors
    ///
    /// A diagnostic with the place of the mistake.
    pub fn parse(path: &'a Path, text: &'a str) -> Result<Self, Box<Diagnostic>> {
        let file = yaml::from_str(path, text)?;
        Ok(Self { path, text, file })
    }

    /// The file with the configuration, relative to the scenario.
    pub fn configuration(&self) -> &str {
        &self.file.configuration.value
    }

    /// Where that stands.
    pub fn configuration_place(&self) -> Place {
        self.place(&self.file.configuration)
    }

    /// The name of the root, for a table.
    pub fn name(&self) -> Option<&str> {
        self.file.name.as_deref()
    }

    fn place<T>(&self, spanned: &yaml::Spanned<T>) -> Place {
        yaml::place_of(self.path, self.text, spanned)
    }

    /// The scenario for its configuration.
    ///
    /// # Errors
    ///
    /// What it names and the configuration does not have, and dates that are none.
    pub fn with(self, tree: &TreeFile) -> Result<Read, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let names = Names::of(tree);
        let zone = self.zone(&mut errors);
        let begins = self.begins(&mut errors);
        let begins = zone
            .to_ambiguous_timestamp(begins)
            .compatible()
            .unwrap_or_default();
        let nano = u32::try_from(begins.subsec_nanosecond()).unwrap_or(0);
        let mut scenario = Scenario {
            configuration: tree.name.clone(),
            items: tree
                .items()
                .into_iter()
                .map(|(path, item)| match item {
                    Item::Group(notes) => (path, ConfigMessage::Group(notes.clone())),
                    Item::Pv(config) => (path, ConfigMessage::Leaf(config.clone())),
                })
                .collect(),
            settings: Settings {
                zone,
                ..Settings::default()
            },
            begins: alarm::Time::new(begins.as_second(), nano),
            limits: BTreeMap::new(),
            steps: Vec::new(),
            expectations: Vec::new(),
            lasts: self.file.lasts.map_or(Duration::ZERO, |seconds| seconds.0),
        };
        if let Some(seconds) = self.file.connection_timeout {
            scenario.settings.connection_timeout = seconds.0;
        }
        scenario.settings.nag_period = self.file.nag_period.map(|seconds| seconds.0);
        for (name, limits) in &self.file.limits.0 {
            self.known_pv(name, &names, &mut errors);
            let limits = Limits {
                hihi: limits.hihi.map(file::Limit::pair),
                high: limits.high.map(file::Limit::pair),
                low: limits.low.map(file::Limit::pair),
                lolo: limits.lolo.map(file::Limit::pair),
            };
            scenario.limits.insert(bare(&name.value).to_owned(), limits);
        }
        let mut places = Vec::new();
        for step in &self.file.steps {
            self.step(step, &names, &mut scenario, &mut places, &mut errors);
        }
        if errors.is_empty() {
            Ok(Read { scenario, places })
        } else {
            Err(errors)
        }
    }

    fn zone(&self, errors: &mut Vec<Diagnostic>) -> TimeZone {
        let Some(name) = &self.file.zone else {
            return TimeZone::UTC;
        };
        TimeZone::get(&name.value).unwrap_or_else(|_unknown| {
            let message = format!("`{}` is no time zone", name.value);
            errors.push(
                Diagnostic::error(message)
                    .at(self.place(name))
                    .expected("expected a name such as `Europe/Berlin`"),
            );
            TimeZone::UTC
        })
    }

    fn begins(&self, errors: &mut Vec<Diagnostic>) -> DateTime {
        let Some(text) = &self.file.begins else {
            return BEGINS;
        };
        alarm::wire::config::date(&text.value).unwrap_or_else(|| {
            errors.push(
                Diagnostic::error(format!("`{}` is no date", text.value))
                    .at(self.place(text))
                    .expected("expected a local time such as `2026-12-03T10:15:30`"),
            );
            BEGINS
        })
    }

    fn step(
        &self,
        step: &StepFile,
        names: &Names,
        scenario: &mut Scenario,
        places: &mut Vec<Place>,
        errors: &mut Vec<Diagnostic>,
    ) {
        let at = step.at.0;
        let mut happens = Vec::new();
        for (name, setting) in &step.set.0 {
            self.known_pv(name, names, errors);
            let Setting { value, alarm } = setting.clone();
            let pv = name.value.clone();
            happens.push(Happens::Value { pv, value, alarm });
        }
        for name in &step.disconnect.0 {
            self.known_pv(name, names, errors);
            let pv = name.value.clone();
            happens.push(Happens::Disconnect { pv });
        }
        let mut items = |many: &Many| -> Option<Vec<String>> {
            for item in &many.0 {
                self.known_item(item, names, errors);
            }
            let items: Vec<String> = many.0.iter().map(|item| item.value.clone()).collect();
            (!items.is_empty()).then_some(items)
        };
        let mut requests = Vec::new();
        requests.extend(items(&step.acknowledge).map(Request::Acknowledge));
        requests.extend(items(&step.unacknowledge).map(Request::Unacknowledge));
        requests.extend(items(&step.enable).map(Request::Enable));
        requests.extend(items(&step.disable).map(|items| Request::Disable {
            items,
            reason: None,
        }));
        if let Some(shelve) = &step.shelve {
            requests.extend(items(&shelve.items).map(|items| Request::Shelve {
                items,
                until: Until::For(shelve.time.0),
                reason: shelve.reason.clone(),
            }));
        }
        requests.extend(items(&step.unshelve).map(Request::Unshelve));
        requests.extend(step.maintenance.map(Request::Maintenance));
        requests.extend(step.notify.map(Request::Notify));
        happens.extend(requests.into_iter().map(Happens::Request));
        let steps = happens.into_iter().map(|what| Step { at, what });
        scenario.steps.extend(steps);
        for (item, expected) in &step.expect.0 {
            self.known_item(item, names, errors);
            for path in names.paths(&item.value) {
                places.push(self.place(item));
                scenario.expectations.push(Expectation {
                    severity: expected.severity,
                    message: expected.message.clone(),
                    current_severity: expected.current,
                    disabled: expected.disabled,
                    announced: expected.announced,
                    actions: expected.actions,
                    ..Expectation::new(at, path)
                });
            }
        }
    }

    fn known_pv(&self, name: &yaml::Spanned<String>, names: &Names, errors: &mut Vec<Diagnostic>) {
        let wanted = bare(&name.value);
        if names.pvs.contains(wanted) {
            return;
        }
        let message = format!("neither a PV nor a filter of the configuration is `{wanted}`");
        self.unknown(name, message, names.pvs.iter().map(String::as_str), errors);
    }

    fn known_item(
        &self,
        item: &yaml::Spanned<String>,
        names: &Names,
        errors: &mut Vec<Diagnostic>,
    ) {
        if names.paths(&item.value).is_empty() {
            let message = format!("the configuration has no item `{}`", item.value);
            let known = names.pvs.iter().map(String::as_str);
            let paths: Vec<String> = names.items.iter().map(ToString::to_string).collect();
            let known = known.chain(paths.iter().map(String::as_str));
            self.unknown(item, message, known, errors);
        }
    }

    fn unknown<'b>(
        &self,
        name: &yaml::Spanned<String>,
        message: String,
        known: impl Iterator<Item = &'b str>,
        errors: &mut Vec<Diagnostic>,
    ) {
        let mut finding = Diagnostic::error(message).at(self.place(name));
        if let Some(near) = nearest(&name.value, known) {
            finding = finding.hint(format!("did you mean `{near}`?"));
        }
        errors.push(finding);
    }
}

/// What a scenario can name.
struct Names {
    /// PVs, and those of filters.
    pvs: BTreeSet<String>,
    items: BTreeSet<AlarmPath>,
    leaves: BTreeMap<String, Vec<AlarmPath>>,
}

impl Names {
    fn of(tree: &TreeFile) -> Self {
        let mut names = Self {
            pvs: BTreeSet::new(),
            items: BTreeSet::new(),
            leaves: BTreeMap::new(),
        };
        for (path, item) in tree.items() {
            if let Item::Pv(config) = item {
                names.leaf(&path, config);
            }
            names.items.insert(path);
        }
        names
    }

    fn leaf(&mut self, path: &AlarmPath, config: &LeafConfig) {
        let name = path.name();
        let mut formulas = vec![config.filter.trim()];
        match name
            .strip_prefix("eq://")
            .or_else(|| name.strip_prefix('='))
        {
            Some(formula) => formulas.push(formula),
            None => {
                self.pvs.insert(bare(name).to_owned());
            }
        }
        for formula in formulas {
            // a filter that is none has been refused before
            if let Ok(formula) = Formula::parse(formula) {
                let inputs = formula.inputs().iter();
                self.pvs.extend(inputs.map(|input| bare(input).to_owned()));
            }
        }
        self.leaves
            .entry(name.to_owned())
            .or_default()
            .push(path.clone());
    }

    /// The items that a path or the name of a PV means.
    fn paths(&self, wanted: &str) -> Vec<AlarmPath> {
        if let Some(paths) = self.leaves.get(wanted) {
            return paths.clone();
        }
        let path = AlarmPath::parse(wanted).ok();
        path.filter(|path| self.items.contains(path))
            .into_iter()
            .collect()
    }
}

/// The name of a PV without the kind that it has anyway.
fn bare(name: &str) -> &str {
    name.strip_prefix("ca://").unwrap_or(name)
}
