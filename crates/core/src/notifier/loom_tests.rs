//! Every interleaving of small programs, within loom's memory model, on the code that ships:
//! `RUSTFLAGS="--cfg loom" cargo test -p proactor-core --release loom`.
//!
//! A lost wake-up shows as loom's deadlock, a lost write as an assertion or as a deadlock, a leak as loom's leak.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::*;

/// What ends the wait of a backend: sticky, like an eventfd.
#[derive(Clone)]
pub(crate) struct Bell(Arc<(Mutex<bool>, Condvar, AtomicUsize)>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new(), AtomicUsize::new(0))))
    }

    pub(crate) fn wait(&self) {
        let mut rung = self.0.0.lock().unwrap();
        while !*rung {
            rung = self.0.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
        self.0.2.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a wait ended.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    Mail(Vec<u32>),
    Wake,
    Deadlock,
}

/// A loop reduced to its turns, in the order that `Inbox` asks for.
pub(crate) struct Sleeper {
    pub(crate) inbox: Inbox,
    bell: Bell,
}

impl Sleeper {
    pub(crate) fn new() -> Self {
        let bell = Bell::new();
        Self { inbox: Inbox::new(bell.clone()), bell }
    }

    pub(crate) fn wait(&mut self, held: usize) -> Ended {
        loop {
            let mut mail = Vec::new();
            self.inbox.drain(|waiter| mail.push(waiter));
            if !mail.is_empty() {
                return Ended::Mail(mail);
            }
            if self.inbox.take_calls().woken() {
                return Ended::Wake;
            }
            if self.inbox.fall_asleep() {
                if !self.inbox.can_be_woken(held) {
                    self.inbox.awake();
                    return Ended::Deadlock;
                }
                self.bell.wait();
                self.inbox.awake();
            }
        }
    }

    /// A notifier in the word below the root, the places above it taken by `others`.
    fn notifier_below(&mut self, others: &mut Vec<Notifier>) -> Notifier {
        others.extend((0..LEAVES).map(|_| self.inbox.notifier()));
        let notifier = self.inbox.notifier();
        assert!(notifier.0.word.above.is_some());
        notifier
    }
}

pub(crate) fn model(preemptions: Option<usize>, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(test);
}

/// One thread writes and notifies while the loop registers, sleeps and takes.
fn one_notification(below: bool) {
    model(None, move || {
        let mut others = Vec::new();
        let mut sleeper = Sleeper::new();
        let notifier = if below { sleeper.notifier_below(&mut others) } else { sleeper.inbox.notifier() };
        let written = Arc::new(AtomicUsize::new(0));
        let thread = thread::spawn({
            let (notifier, written) = (notifier.clone(), Arc::clone(&written));
            move || {
                written.store(1, Ordering::Relaxed);
                notifier.notify();
            }
        });
        assert_eq!(sleeper.inbox.register(&notifier, 7), Registration::Waiting);
        assert_eq!(sleeper.wait(1 + others.len()), Ended::Mail(vec![7]));
        assert_eq!(written.load(Ordering::Relaxed), 1);
        thread.join().unwrap();
    });
}

#[test]
fn notify_against_register_and_sleep() {
    one_notification(false);
}

#[test]
fn notify_against_register_and_sleep_below_the_root() {
    one_notification(true);
}

/// Two threads write and notify the same wait: there is a callback after the last of them, and it sees what they wrote.
/// What the redundant one of them wrote is seen by virtue of the fences alone.
fn two_notifications_of_one(below: bool) {
    model(Some(3), move || {
        let mut others = Vec::new();
        let mut sleeper = Sleeper::new();
        let notifier = if below { sleeper.notifier_below(&mut others) } else { sleeper.inbox.notifier() };
        let written = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
        let threads = written.clone().map(|written| {
            let notifier = notifier.clone();
            thread::spawn(move || {
                written.store(1, Ordering::Relaxed);
                notifier.notify();
            })
        });
        let mut callbacks = 0;
        while written.iter().any(|written| written.load(Ordering::Relaxed) == 0) || callbacks == 0 {
            // Both may have been notified and dropped, and the last callback may have seen it all: then this is not
            // reached. A deadlock here is a write that no callback saw.
            sleeper.inbox.register(&notifier, 7);
            assert_eq!(sleeper.wait(1 + others.len()), Ended::Mail(vec![7]));
            callbacks += 1;
        }
        assert!(callbacks <= 2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn redundant_notify_against_the_callback() {
    two_notifications_of_one(false);
}

#[test]
fn redundant_notify_against_the_callback_below_the_root() {
    two_notifications_of_one(true);
}

/// The same, in its smallest form: a notification is pending when the second thread writes and notifies.
#[test]
fn redundant_notify_is_not_lost() {
    model(None, || {
        let mut sleeper = Sleeper::new();
        let notifier = sleeper.inbox.notifier();
        notifier.notify();
        let written = Arc::new(AtomicUsize::new(0));
        let thread = thread::spawn({
            let (notifier, written) = (notifier.clone(), Arc::clone(&written));
            move || {
                written.store(1, Ordering::Relaxed);
                notifier.notify();
            }
        });
        sleeper.inbox.register(&notifier, 1);
        assert_eq!(sleeper.wait(1), Ended::Mail(vec![1]));
        if written.load(Ordering::Relaxed) == 0 {
            sleeper.inbox.register(&notifier, 2);
            assert_eq!(sleeper.wait(1), Ended::Mail(vec![2]));
            assert_eq!(written.load(Ordering::Relaxed), 1);
        }
        thread.join().unwrap();
    });
}

#[test]
fn two_notifiers_against_drain() {
    model(Some(3), || {
        let mut sleeper = Sleeper::new();
        let notifiers = [sleeper.inbox.notifier(), sleeper.inbox.notifier()];
        for (waiter, notifier) in notifiers.iter().enumerate() {
            sleeper.inbox.register(notifier, waiter as u32);
        }
        let threads = notifiers.clone().map(|notifier| thread::spawn(move || notifier.notify()));
        let mut seen = [0, 0];
        while seen != [1, 1] {
            let Ended::Mail(mail) = sleeper.wait(2) else { panic!("a notification is lost") };
            for waiter in mail {
                seen[waiter as usize] += 1;
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!sleeper.inbox.has_mail());
    });
}

#[test]
fn one_of_two_notifiers_wakes_the_loop() {
    model(Some(3), || {
        let mut sleeper = Sleeper::new();
        let notifiers = [sleeper.inbox.notifier(), sleeper.inbox.notifier()];
        assert!(sleeper.inbox.fall_asleep());
        let threads = notifiers.clone().map(|notifier| thread::spawn(move || notifier.notify()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(sleeper.bell.0.2.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_notifiers_of_one_word_below_the_root() {
    model(Some(2), || {
        let mut others = Vec::new();
        let mut sleeper = Sleeper::new();
        let notifiers = [sleeper.notifier_below(&mut others), sleeper.inbox.notifier()];
        for (waiter, notifier) in notifiers.iter().enumerate() {
            sleeper.inbox.register(notifier, waiter as u32);
        }
        let threads = notifiers.clone().map(|notifier| thread::spawn(move || notifier.notify()));
        let mut seen = [0, 0];
        while seen != [1, 1] {
            let Ended::Mail(mail) = sleeper.wait(2 + others.len()) else { panic!("a notification is lost") };
            for waiter in mail {
                seen[waiter as usize] += 1;
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn notify_against_unregister() {
    model(None, || {
        let mut sleeper = Sleeper::new();
        let notifier = sleeper.inbox.notifier();
        sleeper.inbox.register(&notifier, 1);
        let thread = thread::spawn({
            let notifier = notifier.clone();
            move || notifier.notify()
        });
        let mut mail = Vec::new();
        sleeper.inbox.drain(|waiter| mail.push(waiter));
        if mail.is_empty() {
            sleeper.inbox.unregister(&notifier);
            sleeper.inbox.drain(|_| panic!("nobody waits"));
            sleeper.inbox.register(&notifier, 2);
            assert_eq!(sleeper.wait(1), Ended::Mail(vec![2]));
        }
        thread.join().unwrap();
    });
}

#[test]
fn notify_and_wake_against_the_end_of_the_loop() {
    model(None, || {
        let mut sleeper = Sleeper::new();
        let (notifier, waker) = (sleeper.inbox.notifier(), sleeper.inbox.waker());
        sleeper.inbox.register(&notifier, 1);
        sleeper.inbox.fall_asleep();
        let thread = thread::spawn(move || {
            notifier.notify();
            waker.wake();
        });
        drop(sleeper);
        thread.join().unwrap();
    });
}

/// The place goes to another notifier, which does not inherit the notification.
#[test]
fn last_notifier_is_dropped_while_pending() {
    model(None, || {
        let mut sleeper = Sleeper::new();
        let notifier = sleeper.inbox.notifier();
        let thread = thread::spawn(move || notifier.notify());
        sleeper.inbox.drain(|_| panic!("nobody waits"));
        let successor = sleeper.inbox.notifier();
        sleeper.inbox.register(&successor, 2);
        sleeper.inbox.drain(|_| panic!("it was not notified"));
        thread.join().unwrap();
        sleeper.inbox.drain(|_| panic!("it was not notified"));
    });
}

#[test]
fn wake_against_sleep() {
    model(Some(3), || {
        let mut sleeper = Sleeper::new();
        let waker = sleeper.inbox.waker();
        let written = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
        let threads = written.clone().map(|written| {
            let waker = waker.clone();
            thread::spawn(move || {
                written.store(1, Ordering::Relaxed);
                waker.wake();
            })
        });
        let mut wakes = 0;
        while written.iter().any(|written| written.load(Ordering::Relaxed) == 0) {
            assert_eq!(sleeper.wait(1), Ended::Wake);
            wakes += 1;
        }
        assert!(wakes <= 2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// The only waker goes as soon as it was used: the wake-up stays.
#[test]
fn last_wake_against_sleep() {
    model(None, || {
        let mut sleeper = Sleeper::new();
        let waker = sleeper.inbox.waker();
        let thread = thread::spawn(move || waker.wake());
        assert_eq!(sleeper.wait(0), Ended::Wake);
        assert_eq!(sleeper.wait(0), Ended::Deadlock);
        thread.join().unwrap();
    });
}

/// The last notifier outside goes while the loop sleeps: the loop hears of it, and not before what was sent through it.
#[test]
fn last_one_outside_against_sleep() {
    model(None, || {
        let mut sleeper = Sleeper::new();
        let notifier = sleeper.inbox.notifier();
        sleeper.inbox.register(&notifier, 1);
        let thread = thread::spawn({
            let notifier = notifier.clone();
            move || notifier.notify()
        });
        assert_eq!(sleeper.wait(1), Ended::Mail(vec![1]));
        sleeper.inbox.register(&notifier, 2);
        assert_eq!(sleeper.wait(1), Ended::Deadlock);
        thread.join().unwrap();
    });
}

#[test]
fn last_two_outside_against_sleep() {
    model(Some(3), || {
        let mut sleeper = Sleeper::new();
        let (notifier, waker) = (sleeper.inbox.notifier(), sleeper.inbox.waker());
        sleeper.inbox.register(&notifier, 1);
        let threads = [
            thread::spawn({
                let notifier = notifier.clone();
                move || drop(notifier)
            }),
            thread::spawn(move || drop(waker)),
        ];
        assert_eq!(sleeper.wait(1), Ended::Deadlock);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
