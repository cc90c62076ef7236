//! What the standard library, the C library and the kernel create once for the process, done before the first case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use proactor_core::{Backend, Config, Loop, NotifierWait, Pool, PoolConfig, Recv, SendAll, Timer, Work};

use crate::steps::Steps;

/// Uses a loop in most ways, on a thread of its own as cases are.
pub(crate) fn run<B: Backend>() {
    let work = || {
        // A loop that fails shows in the cases.
        let _ = catch_unwind(AssertUnwindSafe(use_a_loop::<B>));
        let _ = catch_unwind(|| panic!("the machinery of panics allocates"));
    };
    for _ in 0..2 {
        thread::spawn(work).join().expect("its panics are caught");
    }
}

fn use_a_loop<B: Backend>() {
    let mut ev = Loop::<B, ()>::open(proactor_core::Config::default()).expect("it was probed");
    let notifier = ev.context().notifier();
    let other = notifier.clone();
    let sender = thread::spawn(move || other.notify());
    ev.complete(NotifierWait { notifier });
    sender.join().expect("it only notifies");
    ev.complete(Timer::after(Duration::from_millis(1)));
    warm_up_a_pool::<B>();
    let (client, server) = ev.pair();
    ev.complete(SendAll { handle: client, buffer: b"warm".into() });
    ev.complete(Recv { handle: server, buffer: vec![0; 8].into() });
}

/// The locks of pools keep a table for the process, which grows with the number of threads that wait at once.
fn warm_up_a_pool<B: Backend>() {
    let pool = Pool::new(PoolConfig::default().threads(32)).expect("so many are allowed");
    let mut ev = Loop::<B, ()>::open(Config::default().pool(pool)).expect("it was probed");
    let all = std::sync::Arc::new(std::sync::Barrier::new(32));
    for _ in 0..32 {
        let all = std::sync::Arc::clone(&all);
        ev.start(Work::new(move || all.wait().is_leader()));
    }
    ev.until_done();
    thread::sleep(Duration::from_millis(5));
}
