use proptest::prelude::*;
use serde_json::json;

use super::decide::{NoTarget, Revision};
use super::record::{Info, Record, Status};
use super::*;
use Status::{
    Deployed, Failed, PendingInstall, PendingRollback, PendingUpgrade, Superseded, Uninstalling,
};

fn history(statuses: &[Status]) -> Vec<Revision> {
    (1..).zip(statuses.iter().copied()).collect()
}

#[test]
fn a_cut_short_operation_is_repaired_by_what_is_on_the_engine() {
    let cases: &[(&[Status], bool, Option<Repair>)] = &[
        (&[], false, None),
        (&[Deployed], false, None),
        (&[Superseded, Deployed], true, None),
        (&[Deployed, Failed], false, None),
        (
            &[PendingInstall],
            false,
            Some(Repair::Withdraw { revision: 1 }),
        ),
        (
            &[PendingInstall],
            true,
            Some(Repair::Finish { revision: 1 }),
        ),
        (
            &[Failed, PendingInstall],
            false,
            Some(Repair::Withdraw { revision: 2 }),
        ),
        (
            &[Deployed, PendingUpgrade],
            false,
            Some(Repair::Restore { revision: 2, to: 1 }),
        ),
        (
            &[Deployed, PendingUpgrade],
            true,
            Some(Repair::Finish { revision: 2 }),
        ),
        (
            &[Deployed, Failed, PendingUpgrade],
            false,
            Some(Repair::Restore { revision: 3, to: 1 }),
        ),
        (
            &[Superseded, Deployed, PendingRollback],
            false,
            Some(Repair::Restore { revision: 3, to: 2 }),
        ),
        // killed between marking the old one and the new one, as another tool orders it
        (
            &[Superseded, PendingUpgrade],
            false,
            Some(Repair::Restore { revision: 2, to: 1 }),
        ),
        (
            &[Superseded, Deployed, Uninstalling],
            false,
            Some(Repair::Delete { revision: 3 }),
        ),
        (&[Uninstalling], true, Some(Repair::Delete { revision: 1 })),
    ];
    for (statuses, complete, expected) in cases {
        assert_eq!(
            repair(&history(statuses), *complete),
            *expected,
            "{statuses:?} {complete}"
        );
    }
}

#[test]
fn rollback_goes_to_the_last_revision_that_ran_before_the_current_one() {
    type Case<'a> = (&'a [Status], Option<u32>, Result<u32, NoTarget>);
    let cases: &[Case<'_>] = &[
        (&[Superseded, Deployed], None, Ok(1)),
        (
            &[Superseded, Failed, Superseded, Failed, Deployed],
            None,
            Ok(3),
        ),
        (&[Superseded, Deployed, Failed], None, Ok(1)),
        (&[Superseded, Failed], None, Ok(1)),
        (&[Deployed], None, Err(NoTarget::NoEarlier)),
        (&[Failed, Deployed], None, Err(NoTarget::NoEarlier)),
        (&[Superseded, Deployed], Some(2), Err(NoTarget::Current(2))),
        (&[Superseded, Deployed], Some(7), Err(NoTarget::Unknown(7))),
        (
            &[Failed, Deployed],
            Some(1),
            Err(NoTarget::NeverRan(1, Failed)),
        ),
        (&[Superseded, Superseded, Deployed], Some(1), Ok(1)),
    ];
    for (statuses, asked, expected) in cases {
        assert_eq!(
            rollback_target(&history(statuses), *asked),
            *expected,
            "{statuses:?} {asked:?}"
        );
    }
}

#[test]
fn the_oldest_are_forgotten_first() {
    let mut many = vec![Superseded; 11];
    many.push(Deployed);
    assert_eq!(prune(&history(&many), 10), [1, 2, 3]);
    assert_eq!(
        prune(&history(&[Superseded, Deployed]), 10),
        Vec::<u32>::new()
    );
    // deployed long ago, and every attempt since then has failed
    let mut failed = vec![Deployed];
    failed.extend([Failed; 11]);
    assert_eq!(prune(&history(&failed), 10), [2, 3, 4]);
}

fn any_status() -> impl Strategy<Value = Status> {
    prop::sample::select(vec![
        Deployed,
        Superseded,
        Failed,
        PendingInstall,
        PendingUpgrade,
        PendingRollback,
    ])
}

proptest! {
    #[test]
    fn what_runs_is_never_forgotten_and_one_more_fits(statuses in prop::collection::vec(any_status(), 0..30), limit in 1_usize..12) {
        let history = history(&statuses);
        let gone = prune(&history, limit);
        if let Some(current) = deployed(&history) {
            prop_assert!(!gone.contains(&current));
        }
        let left = history.len() - gone.len() + 1;
        prop_assert!(left <= limit.max(2), "{} left", left);
        prop_assert!(next_revision(&history) > history.iter().map(|(revision, _)| *revision).max().unwrap_or(0));
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _result = Record::decode(&bytes);
    }
}

fn record() -> Record {
    Record {
        name: "t01-ea-ioc-01".into(),
        info: Info {
            first_deployed: Some("2026-11-22T10:00:00.123456789Z".parse().unwrap()),
            last_deployed: Some("2026-11-22T11:00:00Z".parse().unwrap()),
            deleted: None,
            description: "Install complete".into(),
            status: Deployed,
            notes: String::new(),
            other: serde_json::Map::new(),
        },
        chart: json!({"metadata": {"name": "ec-service", "version": "1.0.0", "appVersion": "3f2a"}}),
        config: json!({"global": {"location": "t01"}}),
        manifest: "---\nkind: Pod\n".into(),
        hooks: Vec::new(),
        version: 1,
        namespace: "t01".into(),
        other: serde_json::Map::from_iter([("apply_method".into(), json!("ssa"))]),
    }
}

#[test]
fn a_record_survives_packing_with_what_is_not_known_here() {
    let mut record = record();
    record.annotate(super::record::IMAGES, "{\"a:1\":\"sha256:0\"}");
    let again = Record::decode(&record.encode().unwrap()).unwrap();
    assert_eq!(again, record);
    assert_eq!(again.chart_name(), "ec-service-1.0.0");
    assert_eq!(again.app_version(), "3f2a");
    assert_eq!(again.images()["a:1"], "sha256:0");
}

#[test]
fn what_helm_3_wrote_is_read() {
    use base64::Engine as _;
    let json = r#"{"name":"a","info":{"first_deployed":"2026-11-22T11:00:00.5+01:00","last_deployed":"","deleted":"","description":"x","status":"pending-upgrade"},"version":3,"namespace":"n"}"#;
    let bytes = base64::engine::general_purpose::STANDARD.encode(json);
    let record = Record::decode(bytes.as_bytes()).unwrap();
    assert_eq!(record.info.status, PendingUpgrade);
    assert_eq!(
        record.info.first_deployed,
        Some("2026-11-22T10:00:00.5Z".parse().unwrap())
    );
    assert_eq!(record.info.last_deployed, None);
    assert_eq!((record.version, record.chart_name()), (3, String::new()));
}

#[test]
fn a_status_reads_as_helm_writes_it() {
    for status in [
        Status::Unknown,
        Deployed,
        Status::Uninstalled,
        Superseded,
        Failed,
        Uninstalling,
        PendingInstall,
        PendingUpgrade,
        PendingRollback,
    ] {
        assert_eq!(json!(status), status.name());
    }
}
