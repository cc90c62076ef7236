use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Counts how often it was rung.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn rung(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Wake for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn inbox() -> (Inbox, Counter) {
    let bell = Counter::default();
    (Inbox::new(bell.clone()), bell)
}

fn drained(inbox: &mut Inbox) -> Vec<u32> {
    let mut waiters = Vec::new();
    inbox.drain(|waiter| waiters.push(waiter));
    waiters
}

#[test]
fn handles_go_to_other_threads() {
    fn assert_shared<T: Send + Sync + Clone + 'static>() {}
    assert_shared::<Notifier>();
    assert_shared::<Waker>();
}

#[test]
fn many_notifications_complete_one_wait() {
    let (mut inbox, bell) = inbox();
    let notifier = inbox.notifier();
    assert_eq!(inbox.register(&notifier, 7), Registration::Waiting);
    assert!(!inbox.has_mail());
    notifier.notify();
    notifier.clone().notify();
    assert!(inbox.has_mail());
    assert_eq!(drained(&mut inbox), [7]);
    assert!(!inbox.has_mail());
    notifier.notify();
    assert_eq!(drained(&mut inbox), [], "the registration has ended");
    assert_eq!(bell.rung(), 0, "the loop was awake");
}

#[test]
fn a_notification_is_kept_until_somebody_waits() {
    let (mut inbox, _) = inbox();
    let notifier = inbox.notifier();
    notifier.notify();
    assert!(!inbox.has_mail());
    assert_eq!(drained(&mut inbox), []);
    inbox.register(&notifier, 1);
    inbox.unregister(&notifier);
    assert_eq!(drained(&mut inbox), []);
    inbox.register(&notifier, 2);
    assert_eq!(drained(&mut inbox), [2]);
    inbox.register(&notifier, 3);
    assert_eq!(drained(&mut inbox), [], "it was kept once");
}

#[test]
fn one_wait_per_notifier_and_only_of_its_own_loop() {
    let (mut inbox, _) = inbox();
    let (mut other, _) = self::inbox();
    let notifier = inbox.notifier();
    assert_eq!(other.register(&notifier, 1), Registration::Foreign);
    assert_eq!(inbox.register(&notifier, 2), Registration::Waiting);
    assert_eq!(inbox.register(&notifier, 3), Registration::Busy);
    let namesake = other.notifier();
    other.register(&namesake, 4);
    other.unregister(&notifier);
    notifier.notify();
    assert_eq!(drained(&mut other), []);
    assert_eq!(drained(&mut inbox), [2]);
    namesake.notify();
    assert_eq!(drained(&mut other), [4], "its registration was not the other loop's to end");
}

#[test]
fn only_the_first_to_find_it_asleep_wakes_the_loop() {
    let (mut inbox, bell) = inbox();
    let (first, second, waker) = (inbox.notifier(), inbox.notifier(), inbox.waker());
    inbox.register(&first, 1);
    inbox.register(&second, 2);
    assert!(inbox.fall_asleep());
    first.notify();
    second.notify();
    waker.wake();
    assert_eq!(bell.rung(), 1);
    inbox.awake();
    assert!(!inbox.fall_asleep(), "there is mail");
    assert_eq!(drained(&mut inbox), [1, 2]);
    assert!(!inbox.fall_asleep(), "there is a wake-up");
    assert!(inbox.take_calls().woken());
    assert!(!inbox.take_calls().woken());
    assert!(inbox.fall_asleep());
    inbox.awake();
    first.notify();
    assert_eq!(bell.rung(), 0, "the loop was awake");
}

#[test]
fn a_wake_up_is_no_mail() {
    let (mut inbox, _) = inbox();
    let waker = inbox.waker();
    waker.wake();
    waker.clone().wake();
    assert!(!inbox.has_mail());
    assert_eq!(drained(&mut inbox), []);
    assert!(inbox.look());
    assert!(!inbox.fall_asleep());
    assert!(inbox.take_calls().woken());
    assert!(inbox.fall_asleep());
}

#[test]
fn a_wake_up_outlives_its_waker() {
    let (inbox, bell) = inbox();
    inbox.waker().wake();
    assert!(!inbox.fall_asleep());
    assert!(inbox.can_be_woken(0));
    assert!(inbox.take_calls().woken());
    assert!(!inbox.can_be_woken(0));
    assert!(inbox.fall_asleep());
    assert_eq!(bell.rung(), 0);
}

#[test]
fn what_the_loop_holds_cannot_wake_it() {
    let (mut inbox, bell) = inbox();
    assert!(!inbox.can_be_woken(0));
    let inside = inbox.notifier();
    inbox.register(&inside, 1);
    assert!(!inbox.can_be_woken(1));
    let (outside, waker) = (inside.clone(), inbox.waker());
    assert!(inbox.fall_asleep());
    assert!(inbox.can_be_woken(1));
    drop(outside);
    assert_eq!(bell.rung(), 0, "there is still a waker");
    assert!(inbox.can_be_woken(1));
    drop(waker);
    assert_eq!(bell.rung(), 1, "the loop sleeps, and nobody else could end that");
    inbox.awake();
    assert!(!inbox.can_be_woken(1));
    inside.notify();
    assert!(inbox.can_be_woken(1), "it has mail");
}

#[test]
fn nothing_of_the_loop_is_kept_by_who_outlives_it() {
    let (mut inbox, bell) = inbox();
    let (notifier, waker) = (inbox.notifier(), inbox.waker());
    inbox.register(&notifier, 1);
    notifier.notify();
    assert!(!inbox.fall_asleep());
    assert_eq!(drained(&mut inbox), [1]);
    assert!(inbox.fall_asleep());
    drop(inbox);
    assert_eq!(Arc::strong_count(&bell.0), 1, "the backend's waker went with the loop");
    notifier.notify();
    waker.wake();
    drop(notifier.clone());
    assert_eq!(bell.rung(), 0);
}

#[test]
fn a_place_is_used_again_without_what_was_left_there() {
    let (mut inbox, _) = inbox();
    let mut notifiers: Vec<_> = (0..40).map(|_| inbox.notifier()).collect();
    for notifier in &notifiers {
        notifier.notify();
        inbox.register(notifier, 1);
    }
    notifiers.clear();
    let places = inbox.waiters.len();
    let successors: Vec<_> = (0..40).map(|_| inbox.notifier()).collect();
    assert_eq!(inbox.waiters.len(), places);
    for successor in &successors {
        assert_eq!(inbox.register(successor, 2), Registration::Waiting);
    }
    assert_eq!(drained(&mut inbox), []);
}

#[test]
fn words_are_a_heap() {
    let (mut inbox, _) = inbox();
    // The last place that has two words above it.
    let count = LEAVES * (1 + FANOUT + FANOUT * FANOUT);
    let notifiers: Vec<_> = (0..count).map(|_| inbox.notifier()).collect();
    let depth = |notifier: &Notifier| {
        std::iter::successors(notifier.0.word.above.as_ref(), |above| above.word.above.as_ref()).count()
    };
    assert_eq!(depth(&notifiers[LEAVES - 1]), 0);
    assert_eq!(depth(&notifiers[LEAVES]), 1);
    assert_eq!(depth(&notifiers[LEAVES * (1 + FANOUT) - 1]), 1);
    assert_eq!(depth(&notifiers[LEAVES * (1 + FANOUT)]), 2);
    assert_eq!(depth(&notifiers[count - 1]), 2);
    assert_eq!(depth(&inbox.notifier()), 3);
    for (waiter, notifier) in notifiers.iter().enumerate() {
        inbox.register(notifier, waiter as u32);
        notifier.notify();
    }
    let mut waiters = drained(&mut inbox);
    waiters.sort_unstable();
    assert!(waiters.into_iter().eq(0..count as u32));
}

#[test]
fn ones_are_the_set_bits() {
    assert_eq!(ones(0).count(), 0);
    assert!(ones(0b1011).eq([0, 1, 3]));
    assert!(ones(u64::MAX).eq(0..64));
}

#[derive(Clone, Debug)]
enum Step {
    Create,
    Drop(prop::sample::Index),
    Notify(prop::sample::Index),
    Register(prop::sample::Index),
    Unregister(prop::sample::Index),
    Wake,
    Turn,
    Sleep,
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        1 => Just(Step::Create),
        1 => which().prop_map(Step::Drop),
        4 => which().prop_map(Step::Notify),
        4 => which().prop_map(Step::Register),
        1 => which().prop_map(Step::Unregister),
        1 => Just(Step::Wake),
        2 => Just(Step::Turn),
        2 => Just(Step::Sleep),
    ]
}

/// What a notifier should be: a flag, and who waits.
struct Model {
    notifier: Notifier,
    pending: bool,
    waiter: Option<u32>,
}

impl Model {
    fn is_due(&self) -> bool {
        self.pending && self.waiter.is_some()
    }
}

fn check(first: usize, steps: Vec<Step>) {
    let (mut inbox, bell) = inbox();
    let waker = inbox.waker();
    let new = |inbox: &mut Inbox| Model { notifier: inbox.notifier(), pending: false, waiter: None };
    let mut models: Vec<_> = (0..first).map(|_| new(&mut inbox)).collect();
    let (mut waiters, mut woken, mut asleep, mut rings) = (0, false, false, 0);
    for step in steps {
        match step {
            Step::Create => models.push(new(&mut inbox)),
            Step::Drop(which) => {
                let which = which.index(models.len());
                // The completion that waits would hold one.
                if models[which].waiter.is_none() && models.len() > 1 {
                    models.swap_remove(which);
                }
            }
            Step::Notify(which) => {
                let model = which.get_mut(&mut models);
                model.notifier.notify();
                rings += usize::from(asleep && !model.pending);
                asleep &= model.pending;
                model.pending = true;
            }
            Step::Register(which) => {
                // A loop that registers is awake.
                inbox.awake();
                asleep = false;
                let model = which.get_mut(&mut models);
                let registration = inbox.register(&model.notifier, waiters);
                if model.waiter.is_some() {
                    assert_eq!(registration, Registration::Busy);
                } else {
                    assert_eq!(registration, Registration::Waiting);
                    model.waiter = Some(waiters);
                    waiters += 1;
                }
            }
            Step::Unregister(which) => {
                let model = which.get_mut(&mut models);
                inbox.unregister(&model.notifier);
                model.waiter = None;
            }
            Step::Wake => {
                waker.wake();
                rings += usize::from(asleep && !woken);
                asleep &= woken;
                woken = true;
            }
            Step::Turn => {
                inbox.awake();
                asleep = false;
                assert_eq!(inbox.take_calls().woken(), woken);
                woken = false;
                let mut due: Vec<_> =
                    models.iter().filter(|model| model.is_due()).map(|model| model.waiter.unwrap()).collect();
                assert!(inbox.has_mail() || due.is_empty());
                for model in models.iter_mut().filter(|model| model.is_due()) {
                    (model.pending, model.waiter) = (false, None);
                }
                let mut mail = drained(&mut inbox);
                due.sort_unstable();
                mail.sort_unstable();
                assert_eq!(mail, due);
                assert!(!inbox.has_mail());
            }
            Step::Sleep => {
                let before = inbox.has_mail() || woken;
                assert!(before || !models.iter().any(Model::is_due));
                assert_eq!(inbox.fall_asleep(), !before);
                asleep = !before;
            }
        }
        assert_eq!(bell.rung(), std::mem::take(&mut rings));
    }
}

proptest! {
    #[test]
    fn behaves_like_a_flag_and_a_waiter_each(steps in prop::collection::vec(step(), 0..200)) {
        check(4, steps);
    }

    #[test]
    fn behaves_like_a_flag_and_a_waiter_each_when_they_are_many(steps in prop::collection::vec(step(), 0..200)) {
        // Most of them have one word above theirs, some two.
        check(LEAVES * (FANOUT + 2), steps);
    }
}

/// What ends the wait of a backend: sticky, like an eventfd.
#[derive(Clone, Default)]
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    /// False if it took so long that the wake-up must have been lost.
    fn wait(&self) -> bool {
        let rung = self.0.0.lock().unwrap();
        let (mut rung, timeout) =
            self.0.1.wait_timeout_while(rung, Duration::from_secs(20), |rung| !*rung).unwrap();
        *rung = false;
        !timeout.timed_out()
    }
}

impl Wake for Bell {
    fn wake(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }
}

/// Each thread counts up and notifies, the redundant ones mostly; the loop, which sleeps whenever it can, has to see
/// the last count of each without anything else to wake it.
#[test]
fn threads_lose_nothing() {
    const THREADS: usize = 4;
    let bell = Bell::default();
    let mut inbox = Inbox::new(bell.clone());
    // Two threads share one, and one is below the root.
    let mut notifiers: Vec<_> = (0..=LEAVES).map(|_| inbox.notifier()).collect();
    notifiers.drain(2..LEAVES);
    let counts: Arc<[AtomicU64; THREADS]> = Arc::default();
    let (stop, start) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(THREADS + 1)));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (notifier, counts) = (notifiers[thread % notifiers.len()].clone(), Arc::clone(&counts));
            let (stop, start) = (Arc::clone(&stop), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..100 {
                        count += 1;
                        counts[thread].store(count, Ordering::Relaxed);
                        notifier.notify();
                    }
                    thread::yield_now();
                }
                count
            })
        })
        .collect();
    for (waiter, notifier) in notifiers.iter().enumerate() {
        inbox.register(notifier, waiter as u32);
    }
    start.wait();
    let (mut seen, mut callbacks) = ([0; THREADS], BTreeMap::<u32, u64>::new());
    let mut turn = |inbox: &mut Inbox, seen: &mut [u64; THREADS]| {
        let mail = drained(inbox);
        for &waiter in &mail {
            *callbacks.entry(waiter).or_default() += 1;
            for (seen, count) in seen.iter_mut().zip(&*counts).skip(waiter as usize).step_by(notifiers.len())
            {
                *seen = count.load(Ordering::Relaxed);
            }
            inbox.register(&notifiers[waiter as usize], waiter);
        }
        if mail.is_empty() && !inbox.look() && inbox.fall_asleep() {
            assert!(bell.wait(), "a wake-up was lost");
            inbox.awake();
        }
    };
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(300) {
        turn(&mut inbox, &mut seen);
    }
    stop.store(true, Ordering::Relaxed);
    let last: Vec<u64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    while inbox.has_mail() {
        turn(&mut inbox, &mut seen);
    }
    assert_eq!(seen.as_slice(), last);
    assert!(callbacks.len() == notifiers.len() && callbacks.values().sum::<u64>() <= last.iter().sum());
}
