//! From the records of IOCs to an alarm tree that people edit.

use alarm::config::{LeafConfig, Notes};
use alarm::files::{Branch, Entry, Origin, Places, TreeFile};

use crate::check::Records;
use crate::check::database::Record;
use crate::cli::alarm::{GroupBy, LeastSeverity};

/// What of the records becomes PVs, and how they are grouped.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// What the groups are.
    pub by: GroupBy,
    /// Records that go into no alarm as severe as this are left out.
    pub severity: LeastSeverity,
}

/// Conditions that say something about the record's processing instead of about the plant: when it is disabled,
/// simulated, or has never been processed.
const NOT_OF_THE_PLANT: [&str; 3] = ["DISS", "SIMS", "UDFS"];

/// The tree `name` of all records that can go into alarm by their own fields. Instances without one are left out.
pub fn tree(name: &str, instances: &[Records], wishes: Wishes) -> TreeFile {
    let mut tree = TreeFile {
        name: name.to_owned(),
        origin: Origin::default(),
        notes: Notes::default(),
        places: Places::default(),
        entries: Vec::new(),
    };
    for instance in instances {
        let pvs: Vec<Entry> = instance
            .records
            .iter()
            .filter(|record| alarms(record, wishes.severity))
            .map(pv)
            .collect();
        if pvs.is_empty() {
            continue;
        }
        let branch = group(&instance.instance, pvs);
        match area(&instance.instance).filter(|_| wishes.by == GroupBy::Area) {
            None => tree.entries.push(Entry::Group(branch)),
            Some(area) => {
                let known = tree.entries.iter_mut().find_map(|entry| match entry {
                    Entry::Group(group) if group.name == area => Some(group),
                    _ => None,
                });
                let entry = Entry::Group(branch);
                match known {
                    Some(group) => group.entries.push(entry),
                    None => tree.entries.push(Entry::Group(group(area, vec![entry]))),
                }
            }
        }
    }
    tree
}

/// The area in the name of an instance, as `ea` in `t01-ea-ioc-01`.
fn area(instance: &str) -> Option<&str> {
    let parts: Vec<&str> = instance.split('-').collect();
    match parts.as_slice() {
        [_beamline, area, _kind, _number, ..] => Some(area),
        _ => None,
    }
}

fn alarms(record: &Record, least: LeastSeverity) -> bool {
    // a macro that nobody defines makes no PV
    let has_a_name = !record.name.contains("$(") && !record.name.contains("${");
    let mut conditions = record.alarms.iter();
    has_a_name
        && conditions.any(|condition| {
            let is_severe = match least {
                LeastSeverity::Minor => true,
                LeastSeverity::Major => condition.severity != "MINOR",
            };
            is_severe && !NOT_OF_THE_PLANT.contains(&condition.field.as_str())
        })
}

fn pv(record: &Record) -> Entry {
    let description = record.description.as_deref().unwrap_or(&record.name);
    Entry::Pv {
        name: record.name.clone(),
        origin: Origin::default(),
        places: Places::default(),
        config: LeafConfig::new(description),
    }
}

fn group(name: &str, entries: Vec<Entry>) -> Branch {
    Branch {
        name: name.to_owned(),
        origin: Origin::default(),
        notes: Notes::default(),
        places: Places::default(),
        entries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;

    fn record(name: &str, field: &str, severity: &str) -> Record {
        Record {
            name: name.to_owned(),
            description: Some(format!("what {name} is")),
            alarms: vec![epicsdb::AlarmCondition {
                field: field.to_owned(),
                severity: severity.to_owned(),
                limit: None,
            }],
            place: Place::file("x.db"),
        }
    }

    fn paths(wishes: Wishes) -> Vec<String> {
        let instances = [
            Records {
                instance: "t01-ea-ioc-01".to_owned(),
                records: vec![
                    record("A", "HHSV", "MAJOR"),
                    record("B", "HSV", "MINOR"),
                    record("C", "DISS", "INVALID"),
                    record("$(P)D", "HHSV", "MAJOR"),
                ],
            },
            Records {
                instance: "t01-ea-ioc-02".to_owned(),
                records: vec![record("E", "ZSV", "MAJOR")],
            },
            Records {
                instance: "gateway".to_owned(),
                records: vec![record("F", "COSV", "MINOR")],
            },
        ];
        let tree = tree("T01", &instances, wishes);
        let items = tree.items().into_iter();
        items.map(|(path, _item)| path.to_string()).collect()
    }

    #[test]
    fn what_can_alarm_by_area_or_instance() {
        let wishes = Wishes {
            by: GroupBy::Area,
            severity: LeastSeverity::Minor,
        };
        assert_eq!(
            paths(wishes),
            [
                "/T01",
                "/T01/ea",
                "/T01/ea/t01-ea-ioc-01",
                "/T01/ea/t01-ea-ioc-01/A",
                "/T01/ea/t01-ea-ioc-01/B",
                "/T01/ea/t01-ea-ioc-02",
                "/T01/ea/t01-ea-ioc-02/E",
                "/T01/gateway",
                "/T01/gateway/F"
            ]
        );
        let wishes = Wishes {
            by: GroupBy::Instance,
            severity: LeastSeverity::Major,
        };
        assert_eq!(
            paths(wishes),
            [
                "/T01",
                "/T01/t01-ea-ioc-01",
                "/T01/t01-ea-ioc-01/A",
                "/T01/t01-ea-ioc-02",
                "/T01/t01-ea-ioc-02/E"
            ]
        );
    }
}
