use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use alarm::Severity;
use tokio::sync::mpsc;

use super::notice::tests::notice;
use super::*;

/// Gives what is sent to the test, after answering as the test says.
struct Script {
    sent: mpsc::UnboundedSender<Outgoing>,
    answers: Mutex<Vec<Result<(), ActionError>>>,
    calls: AtomicUsize,
    /// Never answers: as if the process were killed meanwhile.
    hangs: bool,
}

impl Deliver for Script {
    fn deliver(
        &self,
        message: Outgoing,
    ) -> Pin<Box<dyn Future<Output = Result<(), ActionError>> + Send + '_>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let answer = lock(&self.answers).pop().unwrap_or(Ok(()));
            self.sent.send(message).ok();
            if self.hangs {
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}

struct Bed {
    notifier: Notifier,
    script: Arc<Script>,
    sent: mpsc::UnboundedReceiver<Outgoing>,
    tasks: TaskTracker,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
}

fn quick() -> NotifySettings {
    NotifySettings {
        collect: Duration::from_millis(50),
        ..NotifySettings::default()
    }
}

fn bed(settings: NotifySettings, answers: Vec<Result<(), ActionError>>, hangs: bool) -> Bed {
    let (sender, sent) = mpsc::unbounded_channel();
    let script = Arc::new(Script {
        sent: sender,
        answers: Mutex::new(answers),
        calls: AtomicUsize::new(0),
        hangs,
    });
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let metrics = Arc::new(Metrics::default());
    let deliver: Arc<dyn Deliver> = script.clone();
    let notifier = Notifier::start(
        settings,
        "X",
        "h",
        deliver,
        Arc::clone(&metrics),
        &tasks,
        stop.clone(),
    )
    .unwrap();
    Bed {
        notifier,
        script,
        sent,
        tasks,
        stop,
        metrics,
    }
}

impl Bed {
    fn tell(&self, target: &str, path: &str) {
        self.notifier.tell(&notice(target, path, Severity::Major));
    }

    async fn next(&mut self) -> Outgoing {
        tokio::time::timeout(Duration::from_secs(20), self.sent.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// As at a kill: nothing is settled any more.
    async fn kill(self) {
        self.stop.cancel();
        drop(self.notifier);
        drop(self.script);
        tokio::task::yield_now().await;
    }

    fn counted(&self, result: &str) -> u64 {
        let labels = crate::metrics::ResultLabels {
            kind: "mailto".to_owned(),
            result: result.to_owned(),
        };
        self.metrics.actions.get_or_create(&labels).get()
    }

    async fn until_empty(&self) {
        let empty = async {
            while self.notifier.waiting() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), empty)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn few_come_one_by_one_and_a_flood_as_one() {
    let mut bed = bed(quick(), Vec::new(), false);
    bed.tell("a@b", "/X/V/1");
    bed.tell("a@b", "/X/V/2");
    assert_eq!(bed.next().await.subject, "MAJOR alarm: /X/V/1");
    assert_eq!(bed.next().await.subject, "MAJOR alarm: /X/V/2");
    for number in 0..37 {
        bed.tell("a@b", &format!("/X/V/p{number}"));
    }
    bed.tell("c@d", "/X/W/1");
    let mut both = [bed.next().await, bed.next().await];
    both.sort_by(|one, other| one.target.cmp(&other.target));
    assert_eq!(both[0].subject, "37 alarms in /X/V");
    assert_eq!(both[1].subject, "MAJOR alarm: /X/W/1");
    bed.until_empty().await;
    assert_eq!(bed.counted("done"), 40);
}

#[tokio::test]
async fn what_a_rate_holds_back_becomes_one() {
    let settings = NotifySettings {
        per_minute: 120,
        burst: 1,
        collect: Duration::ZERO,
        ..NotifySettings::default()
    };
    let mut bed = bed(settings, Vec::new(), false);
    for number in 0..3 {
        bed.tell("a@b", &format!("/X/{number}"));
    }
    let begin = Instant::now();
    let first = bed.next().await;
    let rest = bed.next().await;
    assert_eq!(first.subject, "MAJOR alarm: /X/0");
    assert_eq!(rest.subject, "2 alarms in /X");
    assert!(begin.elapsed() >= Duration::from_millis(400));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_taken_is_tried_again_and_what_may_have_been_is_not() {
    let later = |after| ActionError::Later {
        why: "503".to_owned(),
        after,
    };
    // the last is the first answer
    let answers = vec![
        Err(ActionError::Unknown("timeout".to_owned())),
        Ok(()),
        Err(later(None)),
    ];
    let mut bed = bed(
        NotifySettings {
            collect: Duration::ZERO,
            ..NotifySettings::default()
        },
        answers,
        false,
    );
    bed.tell("a@b", "/X/1");
    let first = bed.next().await;
    assert_eq!(bed.script.calls.load(Ordering::SeqCst), 1);
    // the clock of the queue is the machine's, that of waiting is paused: due at once for the one is after 5 s for the other
    let waiting = lock(&bed.notifier.shared.queue).queue.due().unwrap();
    assert!(waiting.is_empty() || waiting[0].at >= now() + 4000);
    lock(&bed.notifier.shared.queue)
        .queue
        .again(&[1], 0)
        .unwrap();
    bed.notifier.shared.wake.notify_one();
    let second = bed.next().await;
    assert_eq!(first.id, second.id, "a repeat is recognised");
    bed.until_empty().await;
    bed.tell("a@b", "/X/2");
    bed.next().await;
    bed.until_empty().await;
    assert_eq!(
        (
            bed.counted("retried"),
            bed.counted("done"),
            bed.counted("unknown")
        ),
        (1, 1, 1)
    );
}

fn durable(path: &Path, at_least_once: bool) -> NotifySettings {
    NotifySettings {
        queue: Some(path.to_owned()),
        at_least_once,
        collect: Duration::ZERO,
        ..NotifySettings::default()
    }
}

#[tokio::test]
async fn a_killed_server_loses_nothing_that_it_had_not_begun_to_send() {
    for (at_least_once, expected) in [(false, vec!["/X/2"]), (true, vec!["/X/1", "/X/2"])] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("X.sqlite");
        {
            let mut bed = bed(durable(&path, at_least_once), Vec::new(), true);
            bed.tell("a@b", "/X/1");
            bed.next().await;
            // waits behind the one that hangs
            bed.tell("a@b", "/X/2");
            let tasks = bed.tasks.clone();
            bed.kill().await;
            tasks.close();
            // the task that hangs holds the queue; a process that is killed lets it go
            drop(tasks);
        }
        let copy = folder.path().join("copy.sqlite");
        for ending in ["", "-wal", "-shm"] {
            let from = folder.path().join(format!("X.sqlite{ending}"));
            if from.exists() {
                fs_err::copy(from, folder.path().join(format!("copy.sqlite{ending}"))).unwrap();
            }
        }
        let mut bed = bed(durable(&copy, at_least_once), Vec::new(), false);
        for path in expected {
            assert_eq!(bed.next().await.subject, format!("MAJOR alarm: {path}"));
        }
        bed.until_empty().await;
        assert_eq!(bed.counted("unknown"), u64::from(!at_least_once));
    }
}

#[tokio::test]
async fn at_the_end_what_is_in_memory_goes_and_what_is_in_a_file_stays() {
    let mut memory = bed(
        NotifySettings {
            collect: Duration::from_hours(1),
            ..NotifySettings::default()
        },
        Vec::new(),
        false,
    );
    memory.tell("a@b", "/X/1");
    memory.notifier.end();
    memory.tasks.close();
    tokio::time::timeout(Duration::from_secs(20), memory.tasks.wait())
        .await
        .unwrap();
    assert_eq!(memory.next().await.subject, "MAJOR alarm: /X/1");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("X.sqlite");
    let file = bed(
        NotifySettings {
            collect: Duration::from_hours(1),
            ..durable(&path, false)
        },
        Vec::new(),
        false,
    );
    file.tell("a@b", "/X/1");
    file.notifier.end();
    file.tasks.close();
    tokio::time::timeout(Duration::from_secs(20), file.tasks.wait())
        .await
        .unwrap();
    assert_eq!(file.script.calls.load(Ordering::SeqCst), 0);
    assert_eq!(file.notifier.waiting(), 1);
}
