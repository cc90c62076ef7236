//! A job's way from a loop to a thread and back under every interleaving, on the code that ships: whoever takes it, it
//! ends once. A lost job or wake-up shows as loom's deadlock.

use std::collections::VecDeque;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::job::Task;
use super::jobs::{Jobs, Withdrawal};
use super::{Pool, PoolChoice, PoolConfig};
use crate::Capabilities;
use crate::backend::Token;
use crate::notifier::Inbox;
use crate::notifier::loom_tests::{Bell, model};
use crate::operation::Submission;
use crate::work::{AnyWork, Work};

/// A loop reduced to its jobs.
struct Sleeper {
    jobs: Jobs,
    inbox: Inbox,
    bell: Bell,
    /// What has come back.
    returned: VecDeque<Token>,
}

impl Sleeper {
    fn new(pool: &Pool) -> Self {
        let bell = Bell::new();
        let inbox = Inbox::new(bell.clone());
        let capabilities = Capabilities { threads: true, ..Capabilities::default() };
        let jobs = Jobs::new(PoolChoice::Shared(pool.clone()), capabilities, inbox.bell());
        Self { jobs, inbox, bell, returned: VecDeque::new() }
    }

    /// Submits a job that counts its calls.
    fn submit(&mut self, index: u32, calls: &Arc<AtomicUsize>) -> Token {
        let calls = Arc::clone(calls);
        let outcome = Work::new(move || calls.fetch_add(1, Ordering::Relaxed)).undecided();
        let token = Token { index, arming: 0 };
        self.jobs.submit(token, Task { job: AnyWork::job(), outcome });
        token
    }

    /// Waits as a loop does until a job comes back; its token.
    fn wait(&mut self) -> Token {
        loop {
            if self.inbox.take_calls().jobs() {
                while let Some((token, returned)) = self.jobs.next_returned() {
                    assert_eq!(returned.outcome.error(), None);
                    self.returned.push_back(token);
                }
            }
            if let Some(token) = self.returned.pop_front() {
                return token;
            }
            if self.inbox.fall_asleep() {
                assert!(self.inbox.can_be_woken(0), "a job is out");
                self.bell.wait();
                self.inbox.awake();
            }
        }
    }
}

fn pool(queue: u32) -> Pool {
    Pool::new(PoolConfig::default().threads(1).queue(queue)).unwrap()
}

fn calls() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

/// The second job meets a thread that goes on, falls asleep or sleeps.
#[test]
fn a_job_goes_there_and_back() {
    model(Some(3), || {
        let (pool, calls) = (pool(2), calls());
        let mut sleeper = Sleeper::new(&pool);
        for index in 0..2 {
            let token = sleeper.submit(index, &calls);
            assert_eq!(sleeper.wait(), token);
        }
        drop(sleeper);
        drop(pool);
        assert_eq!((calls.load(Ordering::Relaxed), Arc::strong_count(&calls)), (2, 1));
    });
}

/// A cancel against the thread that takes the job: one of them has it.
#[test]
fn cancelled_against_taken() {
    model(Some(3), || {
        let (pool, calls) = (pool(2), calls());
        let mut sleeper = Sleeper::new(&pool);
        let token = sleeper.submit(0, &calls);
        let expected = match sleeper.jobs.withdraw(token) {
            Some(Withdrawal::TakenBack(_)) => {
                assert!(sleeper.jobs.withdraw(token).is_none());
                0
            }
            Some(Withdrawal::Running | Withdrawal::TooLate) => {
                assert_eq!(sleeper.wait(), token);
                1
            }
            None => panic!("it was submitted"),
        };
        // Its place serves the next one, which a stale ticket does not name.
        let token = sleeper.submit(0, &calls);
        assert_eq!(sleeper.wait(), token);
        assert!(!sleeper.inbox.can_be_woken(0) || sleeper.inbox.take_calls().jobs());
        drop(sleeper);
        drop(pool);
        assert_eq!((calls.load(Ordering::Relaxed), Arc::strong_count(&calls)), (expected + 1, 1));
    });
}

/// A loop is dropped while a thread takes its job, does it or gives it back: nothing is left, and nothing done twice.
#[test]
fn dropped_against_everything() {
    model(Some(3), || {
        let (pool, calls) = (pool(1), calls());
        let mut sleeper = Sleeper::new(&pool);
        sleeper.submit(0, &calls);
        sleeper.submit(1, &calls);
        drop(sleeper);
        assert_eq!(Arc::strong_count(&calls), 1, "nothing is under way");
        drop(pool);
        assert!(calls.load(Ordering::Relaxed) <= 2);
    });
}

/// Two loops share one place in the queue, so each waits for room that the other's jobs make.
#[test]
fn two_loops_and_one_place() {
    model(Some(2), || {
        let (pool, calls) = (pool(1), calls());
        let serve = |pool: Pool, calls: Arc<AtomicUsize>, jobs: u32| {
            let mut sleeper = Sleeper::new(&pool);
            (0..jobs).for_each(|index| assert_eq!(sleeper.submit(index, &calls).index, index));
            (0..jobs).for_each(|index| assert_eq!(sleeper.wait().index, index, "in order"));
        };
        let other = thread::spawn({
            let (pool, calls) = (pool.clone(), Arc::clone(&calls));
            move || serve(pool, calls, 1)
        });
        serve(pool.clone(), Arc::clone(&calls), 1);
        other.join().unwrap();
        drop(pool);
        assert_eq!((calls.load(Ordering::Relaxed), Arc::strong_count(&calls)), (2, 1));
    });
}
