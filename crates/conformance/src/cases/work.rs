//! The pool of threads, and what users have done on it (contract X2, X3, X5, L1, L5).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use proactor_core::{
    Action, Backend, Cancel, Config, Error, Loop, Nop, Pool, PoolConfig, Resolve, RunMode, State, Time,
    Timer, Work,
};

use crate::Fixture;
use crate::steps::{Captures, Log, Steps};

/// A pool of so many threads.
pub(crate) fn pool(threads: u32) -> Pool {
    Pool::new(PoolConfig::default().threads(threads)).expect("a configuration in its ranges")
}

/// A loop on that pool.
pub(crate) fn on<B: Backend>(fixture: &Fixture<B>, pool: &Pool) -> Loop<B, ()> {
    fixture.open_with(Config::default().pool(pool.clone()))
}

/// Lets one job begin and end when the case says so.
pub(crate) struct Gate {
    begun: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    /// The gate, and what a job does that goes through it: it says that it has begun, and ends when the gate opens or
    /// is gone.
    pub(crate) fn new() -> (Self, impl FnOnce() + Send + 'static) {
        let ((begin, begun), (open, opened)) = (channel(), channel());
        let pass = move || {
            let _ = begin.send(());
            let _ = opened.recv();
        };
        (Self { begun, open }, pass)
    }

    pub(crate) fn wait_until_begun(&self) {
        self.begun.recv().expect("the job begins");
    }

    pub(crate) fn open(&self) {
        self.open.send(()).expect("the job waits");
    }
}

/// Results come back with their own types, whatever the closure captures, and each once.
pub(crate) fn a_closure_returns_its_value<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let text = String::from("to a thread and back");
    let worked = ev.complete(Work::new(move || text.len()));
    assert_eq!((worked.result, worked.call.is_none()), (Ok(20), true));
    assert_eq!(ev.complete(Work::new(|| vec![String::from("owned")])).result, Ok(vec!["owned".to_owned()]));
    let many: Vec<_> = (0..500_u64).map(|number| ev.start(Work::new(move || number * number))).collect();
    ev.until_done();
    for (number, pending) in (0..).zip(&many) {
        assert_eq!(pending.take().result, Ok(number * number));
    }
}

/// A job is done on another thread, and the loop goes on meanwhile.
pub(crate) fn the_loop_goes_on_meanwhile<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = on(fixture, &pool(1));
    let (gate, pass) = Gate::new();
    let worked = ev.start(Work::new(move || {
        pass();
        thread::current().id()
    }));
    ev.no_wait();
    gate.wait_until_begun();
    assert_eq!(ev.complete(Nop).result, Ok(()));
    assert_eq!(ev.complete(Timer::after(Duration::from_millis(1))).result, Ok(()));
    assert!(!worked.is_done());
    gate.open();
    assert_ne!(ev.finish(&worked).result, Ok(thread::current().id()));
}

/// Without a pool, everything is done on the loop's thread, in order.
pub(crate) fn without_a_pool_the_loop_does_it<B: Backend>(fixture: &Fixture<B>) {
    let mut ev: Loop<B, ()> = fixture.open_with(Config::default().no_pool());
    let first = ev.start(Work::new(|| thread::current().id()));
    let panics = ev.start(Work::new(|| panic!("on the loop's thread")));
    let canceled = ev.start(Work::new(|| ()));
    assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
    ev.until_done();
    assert_eq!(first.take().result, Ok(thread::current().id()));
    let panicked: Result<(), Error> = panics.take().result;
    assert_eq!(panicked, Err(Error::Panicked));
    assert!(canceled.take().call.is_some());
}

/// Where there are no threads, a job that a pool was wanted for comes back uncalled, and a name is not looked up; what was
/// to be done by the loop is.
pub(crate) fn without_threads_it_comes_back<B: Backend>(fixture: &Fixture<B>) {
    for config in [Config::default(), Config::default().pool(pool(1))] {
        let mut ev: Loop<B, ()> = fixture.open_with(config);
        let number = 7;
        let worked = ev.complete(Work::new(move || number * 6));
        assert_eq!(worked.result, Err(Error::Unsupported));
        assert_eq!(worked.call.expect("it was not called")(), 42);
        let resolved = ev.complete(Resolve { host: "localhost".to_owned(), port: 80 });
        assert_eq!(resolved.result, Err(Error::Unsupported));
        assert_eq!((resolved.host.as_str(), resolved.port), ("localhost", 80));
        let canceled = ev.start(Work::new(|| ()));
        assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
        assert_eq!(ev.finish(&canceled).result, Err(Error::Canceled));
        assert_eq!(ev.complete(Nop).result, Ok(()));
    }
    let mut ev: Loop<B, ()> = fixture.open_with(Config::default().no_pool());
    assert_eq!(ev.complete(Work::new(|| 42)).result, Ok(42));
    let written_out = ev.complete(Resolve { host: "127.0.0.1".to_owned(), port: 80 });
    assert_eq!(written_out.result, Ok(vec!["127.0.0.1:80".parse().unwrap()]));
}

/// A simulation does it on its own thread unless it is told otherwise, so that it can be repeated.
pub(crate) fn a_simulation_does_it_itself<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let log = Log::new();
    let worked = log.clone();
    let id = thread::current().id();
    ev.context().submit(Work::new(move || assert_eq!(thread::current().id(), id)), move |(), _, outcome| {
        assert_eq!(outcome.result, Ok(()));
        worked.push("work");
    });
    let fired = log.clone();
    ev.context().submit(Timer::after(Duration::from_millis(1)), move |(), _, _| fired.push("timer"));
    ev.until_done();
    assert_eq!(log.take(), ["work", "timer"]);
}

/// The closure may be one that is called many times: re-armed, it is submitted anew.
pub(crate) fn it_can_be_rearmed<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let total = Rc::new(Cell::new(0));
    let sum = Rc::clone(&total);
    let seven: fn() -> u32 = || 7;
    ev.context().submit_rearm(Work::new(seven), move |(), _, worked| {
        sum.set(sum.get() + worked.result.unwrap());
        if sum.get() < 70 { Action::Rearm(Work::new(seven)) } else { Action::Disarm }
    });
    ev.until_done();
    assert_eq!(total.get(), 70);
}

/// What no thread has begun ends at once when it is cancelled, though the pool is busy, and hands its closure back.
pub(crate) fn a_queued_one_is_cancelled_at_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = on(fixture, &pool(1));
    let (gate, pass) = Gate::new();
    let running = ev.start(Work::new(pass));
    let queued: Vec<_> = (0..3).map(|number| ev.start(Work::new(move || number))).collect();
    ev.no_wait();
    gate.wait_until_begun();
    assert_eq!(ev.state(queued[1].key), State::Active);
    assert_eq!(ev.cancel(queued[1].key), Cancel::Requested);
    ev.no_wait();
    let canceled = queued[1].take();
    assert_eq!((canceled.result, running.is_done()), (Err(Error::Canceled), false));
    assert_eq!(canceled.call.expect("it was not called")(), 1);
    gate.open();
    ev.until_done();
    assert_eq!((queued[0].take().result, queued[2].take().result), (Ok(0), Ok(2)));
    assert_eq!(ev.cancel(queued[2].key), Cancel::NotFound);
}

/// One that runs ends when it ends, with its result, and is under way until then.
pub(crate) fn a_running_one_ends_when_it_ends<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = on(fixture, &pool(1));
    let (gate, pass) = Gate::new();
    let running = ev.start(Work::new(move || {
        pass();
        5
    }));
    ev.no_wait();
    gate.wait_until_begun();
    for _ in 0..2 {
        assert_eq!(ev.cancel(running.key), Cancel::Requested);
        assert_eq!(ev.state(running.key), State::Deleting);
        ev.idle();
        assert_eq!((running.is_done(), ev.context().active()), (false, 1));
    }
    gate.open();
    assert_eq!(ev.finish(&running).result, Ok(5));
    assert_eq!(ev.cancel(running.key), Cancel::NotFound);
}

/// Cancelling everything ends what is queued, and leaves what runs under way.
pub(crate) fn cancel_all_waits_for_what_runs<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = on(fixture, &pool(1));
    let (gate, pass) = Gate::new();
    let written = Arc::new(AtomicU32::new(0));
    let write = Arc::clone(&written);
    let running = ev.start(Work::new(move || {
        pass();
        write.fetch_add(1, Ordering::Relaxed)
    }));
    let queued = ev.start(Work::new(|| ()));
    ev.no_wait();
    gate.wait_until_begun();
    let adding = ev.start(Work::new(|| ()));
    ev.context().cancel_all();
    ev.idle();
    assert_eq!((queued.take().result, adding.take().result), (Err(Error::Canceled), Err(Error::Canceled)));
    assert_eq!(ev.context().active(), 1, "a thread is still at it");
    gate.open();
    ev.until_done();
    assert_eq!((running.take().result, written.load(Ordering::Relaxed)), (Ok(0), 1));
}

/// A deleted one is silent: its closure is dropped uncalled, or its value when it has ended.
pub(crate) fn a_deleted_one_is_silent<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = on(fixture, &pool(1));
    let (gate, pass) = Gate::new();
    let (captures, value) = (Captures::default(), Arc::new(()));
    let mut submit = |call: Box<dyn FnOnce() + Send>| {
        let (held, value) = (captures.capture(), Arc::clone(&value));
        let work = Work::new(move || {
            call();
            value
        });
        ev.context().submit(work, move |(), _, _| {
            drop(held);
            unreachable!("nobody hears of it");
        })
    };
    let running = submit(Box::new(pass));
    let queued = submit(Box::new(|| unreachable!("it is not called")));
    ev.no_wait();
    gate.wait_until_begun();
    ev.context().delete(queued).unwrap();
    ev.no_wait();
    assert_eq!((Arc::strong_count(&value), captures.held()), (2, 1), "the closure is gone, uncalled");
    ev.context().delete(running).unwrap();
    ev.idle();
    assert_eq!((Arc::strong_count(&value), captures.held()), (2, 1), "it still runs");
    gate.open();
    ev.until_done();
    assert_eq!((Arc::strong_count(&value), captures.held()), (1, 0));
}

/// A panic ends its own job, with what it panicked with, and no thread.
pub(crate) fn a_panicking_job_ends_alone<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = on(fixture, &pool(1));
    let first = ev.complete(Work::new(|| thread::current().id())).result.unwrap();
    for round in 0..10 {
        let panicked = ev.complete(Work::new(move || {
            if round < 10 {
                std::panic::panic_any(round);
            }
        }));
        assert_eq!(panicked.result, Err(Error::Panicked));
        assert_eq!(panicked.panic.expect("its payload").downcast_ref(), Some(&round));
        assert_eq!(ev.complete(Work::new(|| thread::current().id())).result, Ok(first));
    }
}

/// More than pool and queue hold waits for its turn, in order, and is never an error.
pub(crate) fn a_full_queue_keeps_order<B: Backend>(fixture: &Fixture<B>) {
    const JOBS: u32 = 300;
    let pool = Pool::new(PoolConfig::default().threads(1).queue(2)).unwrap();
    let mut ev = on(fixture, &pool);
    let order = Arc::new(Mutex::new(Vec::new()));
    let jobs: Vec<_> = (0..JOBS)
        .map(|number| {
            let order = Arc::clone(&order);
            ev.start(Work::new(move || order.lock().unwrap().push(number)))
        })
        .collect();
    // What waits in the loop can be cancelled as well.
    ev.no_wait();
    let canceled = (JOBS - 3..JOBS).filter(|&number| {
        let job = &jobs[number as usize];
        number % 2 == 0 && !job.is_done() && ev.cancel(job.key) == Cancel::Requested
    });
    let canceled: Vec<_> = canceled.collect();
    ev.until_done();
    let mut order = order.lock().unwrap();
    for (number, job) in (0..).zip(&jobs) {
        let result = job.take().result;
        if canceled.contains(&number) && result == Err(Error::Canceled) {
            order.push(number);
        } else {
            assert_eq!(result, Ok(()));
        }
    }
    // The cancelled ones were put at the end, and all others are in the order of submission.
    let called = order.len() - canceled.len();
    assert!(order[..called].is_sorted(), "{order:?}");
    order.sort_unstable();
    assert!(order.iter().copied().eq(0..JOBS));
}

/// Loops on several threads share one pool, whose queue is smaller than what any of them submits; each gets its own
/// results, and a loop that waits for room is told of it, whichever loop's job has made it.
pub(crate) fn several_loops_share_a_pool<B: Backend>(fixture: &Fixture<B>) {
    let pool = Pool::new(PoolConfig::default().threads(2).queue(3)).unwrap();
    let serve = |which: u32| {
        let (fixture, pool) = (fixture.clone(), pool.clone());
        move || {
            let mut ev = on(&fixture, &pool);
            for round in 0..10 {
                let jobs: Vec<_> =
                    (0..50).map(|number| ev.start(Work::new(move || (which, round, number)))).collect();
                ev.until_done();
                for (number, job) in (0..).zip(&jobs) {
                    assert_eq!(job.take().result, Ok((which, round, number)));
                }
            }
        }
    };
    thread::scope(|scope| {
        for which in 0..4 {
            scope.spawn(serve(which));
        }
    });
}

/// A job in flight can end a wait, so the wait is no deadlock; without one it is.
pub(crate) fn a_wait_for_a_job_is_no_deadlock<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = on(fixture, &pool(1));
    let endless = ev.start(Timer::at(Time::NEVER));
    for _ in 0..3 {
        let slow = ev.start(Work::new(|| thread::sleep(Duration::from_millis(5))));
        ev.once();
        assert_eq!(slow.take().result, Ok(()));
        let deadlock = ev.run(&mut (), RunMode::UntilDone).unwrap_err();
        assert_eq!(deadlock.kind(), std::io::ErrorKind::Deadlock);
    }
    assert_eq!(ev.cancel(endless.key), Cancel::Requested);
    ev.until_done();
}

/// No thread is there before it is needed, nor after it has been idle for its time. Linux alone tells how many there are:
/// elsewhere, that what is idle for its time comes again.
pub(crate) fn threads_come_and_go<B: Backend>(fixture: &Fixture<B>) {
    let threads = || std::path::Path::new("/proc/self/task").read_dir().map_or(0, Iterator::count);
    let config = PoolConfig::default().threads(3).idle(Duration::from_millis(1)).stack_size(1 << 20);
    let pool = Pool::new(config).unwrap();
    let mut ev = on(fixture, &pool);
    ev.idle();
    let before = threads();
    let gates: Vec<_> = (0..3).map(|_| Gate::new()).collect();
    let (gates, passes): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
    let jobs: Vec<_> = passes.into_iter().map(|pass| ev.start(Work::new(pass))).collect();
    ev.no_wait();
    gates.iter().for_each(Gate::wait_until_begun);
    if cfg!(target_os = "linux") {
        assert_eq!((before > 0, threads()), (true, before + 3), "one for each job that runs");
    }
    gates.iter().for_each(Gate::open);
    ev.until_done();
    let patience = Instant::now() + Duration::from_secs(10);
    while threads() > before {
        assert!(Instant::now() < patience, "they end when they are idle");
        thread::yield_now();
    }
    assert_eq!(jobs.iter().filter(|job| job.take().result.is_ok()).count(), 3);
    assert_eq!(ev.complete(Work::new(|| 1)).result, Ok(1), "and come again");
}

/// A loop that is dropped takes back what no thread has begun, and waits for what runs.
pub(crate) fn dropping_the_loop_takes_back_what_is_queued<B: Backend>(fixture: &Fixture<B>) {
    let pool = pool(1);
    let mut ev = on(fixture, &pool);
    let (gate, pass) = Gate::new();
    let (captures, value) = (Captures::default(), Arc::new(()));
    let (held, ended) = (captures.capture(), Arc::new(AtomicBool::new(false)));
    let (end, kept) = (Arc::clone(&ended), Arc::clone(&value));
    let running = Work::new(move || {
        pass();
        end.store(true, Ordering::SeqCst);
        kept
    });
    ev.context().submit(running, move |(), _, _| drop(held));
    for _ in 0..400 {
        let kept = Arc::clone(&value);
        ev.start(Work::new(move || unreachable!("{}", Arc::strong_count(&kept))));
    }
    ev.no_wait();
    gate.wait_until_begun();
    let opener = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        gate.open();
    });
    drop(ev);
    assert!(ended.load(Ordering::SeqCst), "the drop has waited");
    assert_eq!((Arc::strong_count(&value), captures.held()), (1, 0), "nothing is kept");
    opener.join().unwrap();
    // The pool is none the worse.
    assert_eq!(on(fixture, &pool).complete(Work::new(|| 1)).result, Ok(1));
}

/// A call that does not return holds up neither the drop of its loop nor that of its pool, and what it works on stays
/// its own until it does.
pub(crate) fn a_stuck_thread_holds_up_no_drop<B: Backend>(fixture: &Fixture<B>) {
    for is_shared in [true, false] {
        let pool = pool(2);
        let config =
            if is_shared { Config::default().pool(pool.clone()) } else { Config::default().own_pool(one()) };
        if !is_shared && fixture.capabilities().virtual_time {
            // A simulation has no pool of its own.
            continue;
        }
        let mut ev: Loop<B, ()> = fixture.open_with(config);
        let (gate, pass) = Gate::new();
        let touched = Arc::new(());
        let touch = Arc::clone(&touched);
        ev.start(Work::new(move || {
            pass();
            touch
        }));
        ev.no_wait();
        gate.wait_until_begun();
        ev.context().cancel_all();
        ev.idle();
        assert_eq!(ev.context().active(), 1);
        let begin = Instant::now();
        drop(ev);
        drop(pool);
        assert!(begin.elapsed() < Duration::from_secs(5), "bounded: {:?}", begin.elapsed());
        assert_eq!(Arc::strong_count(&touched), 2, "abandoned, not freed");
        gate.open();
        let patience = Instant::now() + Duration::from_secs(10);
        while Arc::strong_count(&touched) > 1 {
            assert!(Instant::now() < patience, "the thread frees it when it is done");
            thread::yield_now();
        }
    }
}

fn one() -> PoolConfig {
    PoolConfig::default().threads(1)
}

/// A pool that its own job has the last share of ends without waiting for itself.
pub(crate) fn a_job_may_drop_its_own_pool<B: Backend>(fixture: &Fixture<B>) {
    let (gate, pass) = Gate::new();
    let pool = pool(1);
    let mut ev = on(fixture, &pool);
    ev.start(Work::new(move || {
        pass();
        drop(pool);
    }));
    ev.no_wait();
    gate.wait_until_begun();
    // Its loop waits for it in vain, since the gate is shut.
    drop(ev);
    gate.open();
}
