//! The tree by looking at everything after each step.

use super::*;
use proptest::prelude::*;

type Plain = Tree<(), ()>;

fn path(text: &str) -> AlarmPath {
    AlarmPath::parse(text).unwrap()
}

fn severity(tree: &Plain, at: &str) -> Severity {
    tree.item(tree.find(&path(at)).unwrap()).unwrap().severity()
}

/// The severity of every group by looking at all its children.
fn check(tree: &Plain) {
    for id in tree.below(tree.root()) {
        let item = tree.item(id).unwrap();
        let mut counted = Counts::default();
        for leaf in tree.below(id) {
            let leaf = tree.item(leaf).unwrap();
            if matches!(leaf.content, Content::Leaf(())) {
                let one = Counts::of(leaf.severity(), leaf.marks());
                counted.replace(&Counts::default(), &one);
            }
        }
        assert_eq!(tree.counts(id), Some(counted), "{}", item.path);
        if let Content::Group { children, .. } = &item.content {
            let worst = children
                .iter()
                .map(|child| tree.item(*child).unwrap().severity())
                .max()
                .unwrap_or_default();
            assert_eq!(item.severity(), worst, "{}", item.path);
        }
    }
}

#[test]
fn groups_come_with_their_leaves_and_take_the_worst() {
    let mut tree = Plain::new(path("/X"));
    let (low, _) = tree.put_leaf(&path("/X/a/b/low"), ()).unwrap();
    let (high, _) = tree.put_leaf(&path("/X/a/high"), ()).unwrap();
    assert_eq!(tree.len(), 5);
    assert_eq!(tree.set_severity(low, Severity::Minor).len(), 3);
    assert_eq!(tree.set_severity(high, Severity::Major).len(), 2);
    assert_eq!(tree.set_severity(high, Severity::Major).len(), 0);
    assert_eq!(severity(&tree, "/X"), Severity::Major);
    assert_eq!(severity(&tree, "/X/a/b"), Severity::Minor);
    let (removed, changed) = tree.remove(&path("/X/a/high"));
    assert_eq!((removed.len(), changed.len()), (1, 2));
    assert_eq!(severity(&tree, "/X"), Severity::Minor);
    check(&tree);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut tree = Plain::new(path("/X"));
    tree.put_leaf(&path("/X/a/pv"), ()).unwrap();
    let refused = [
        tree.put_leaf(&path("/Y/a"), ()).unwrap_err(),
        tree.put_leaf(&path("/X/a"), ()).unwrap_err(),
        tree.put_leaf(&path("/X/a/pv/below"), ()).unwrap_err(),
        tree.put_group(&path("/X/a/pv")).unwrap_err(),
        tree.put_leaf(&path("/Y"), ()).unwrap_err(),
    ];
    let words: Vec<String> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "`/Y/a` does not belong to the configuration `X`",
            "`/X/a` is a group and cannot become a PV",
            "`/X/a/pv` is a PV and cannot have items below it",
            "`/X/a/pv` is a PV and cannot have items below it",
            "`/Y` does not belong to the configuration `X`"
        ]
    );
    assert_eq!(tree.len(), 3);
}

#[test]
fn the_root_stays() {
    let mut tree = Plain::new(path("/X"));
    let (id, _) = tree.put_leaf(&path("/X/a/pv"), ()).unwrap();
    tree.set_severity(id, Severity::Invalid);
    let (removed, changed) = tree.remove(&path("/X"));
    assert_eq!((removed.len(), changed.len()), (2, 1));
    assert!(tree.is_empty());
    check(&tree);
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8),
    Remove(u8),
    Set(u8, Severity),
    Mark(u8, Marks),
}

fn place(number: u8) -> AlarmPath {
    let names = ["/X", "a", "b", "c"];
    let depth = usize::from(number % 3) + 1;
    let mut text = names[..depth].join("/");
    text.push_str(&format!(
        "/{}",
        if number & 64 == 0 {
            format!("pv{number}")
        } else {
            format!("g{}/pv{number}", number % 5)
        }
    ));
    path(&text)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<u8>().prop_map(Step::Put),
        any::<u8>().prop_map(Step::Remove),
        (any::<u8>(), 0_usize..9).prop_map(|(at, severity)| Step::Set(at, Severity::ALL[severity])),
        (any::<u8>(), 0_usize..5, any::<bool>())
            .prop_map(|(at, mark, on)| Step::Mark(at, Marks::default().with(Mark::ALL[mark], on))),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn groups_are_the_worst_of_their_items_after_any_steps(steps in steps()) {
        let mut tree = Plain::new(path("/X"));
        for step in steps {
            match step {
                Step::Put(at) => {
                    tree.put_leaf(&place(at), ()).unwrap();
                }
                Step::Remove(at) => {
                    let doomed = place(at);
                    let doomed = if at % 7 == 0 { doomed.parent().unwrap() } else { doomed };
                    tree.remove(&doomed);
                }
                Step::Mark(at, marks) => {
                    if let Some(id) = tree.find(&place(at)) {
                        tree.set_marks(id, marks);
                        tree.note(id);
                    }
                }
                Step::Set(at, severity) => {
                    if let Some(id) = tree.find(&place(at)) {
                        let before: Vec<Severity> = tree.below(tree.root()).iter().map(|one| tree.item(*one).unwrap().severity()).collect();
                        let changed = tree.set_severity(id, severity);
                        let after: Vec<Severity> = tree.below(tree.root()).iter().map(|one| tree.item(*one).unwrap().severity()).collect();
                        let different = before.iter().zip(&after).filter(|(one, other)| one != other).count();
                        // the leaf itself is not among the groups
                        prop_assert!(different == changed.len() || different == changed.len() + 1);
                    }
                }
            }
            check(&tree);
        }
        let noted = tree.take_noted();
        let mut once = noted.clone();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), noted.len());
        prop_assert!(noted.iter().all(|id| tree.item(*id).is_some()));
        prop_assert_eq!(tree.take_noted(), vec![]);
    }
}
