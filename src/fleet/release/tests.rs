use super::decide::{NoTarget, Revision};
use super::record::{Record, Status};
use super::*;
use Status::{
    Deployed, Failed, PendingInstall, PendingRollback, PendingUpgrade, Superseded, Uninstalling,
};
use proptest::prelude::*;

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
}

fn record() -> Record {
    Record {
        name: "t01-ea-ioc-01".into(),
        version: 1,
        namespace: "t01".into(),
        ..Record::default()
    }
}

#[test]
fn what_helm_has_no_field_for_survives_in_its_form() {
    let mut record = record();
    record::annotate(&mut record, record::IMAGES, "{\"a:1\":\"sha256:0\"}");
    record::annotate(&mut record, record::DEPLOYED_BY, "anna@node1");
    let again = record::decode(&record::encode(&record).unwrap()).unwrap();
    assert_eq!(record::images(&again)["a:1"], "sha256:0");
    assert_eq!(
        record::annotation(&again, record::DEPLOYED_BY),
        Some("anna@node1")
    );
    assert_eq!(record::annotation(&again, "other"), None);
    assert_eq!(record::revision(&again), 1);
}

#[test]
fn a_deletion_under_way_is_unfinished_though_helm_does_not_call_it_pending() {
    assert!(record::is_unfinished(Uninstalling));
    assert!(!record::is_unfinished(Deployed));
}
