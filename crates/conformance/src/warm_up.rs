//! What the standard library, the C library and the kernel create once for the process, done before the first case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use proactor_core::{Backend, Loop, NotifierWait, Recv, SendAll, Timer};

use crate::steps::Steps;

/// Uses a loop in most ways, on a thread of its own as cases are.
pub(crate) fn run<B: Backend + 'static>() {
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
    let (client, server) = ev.pair();
    ev.complete(SendAll { handle: client, buffer: b"warm".into() });
    ev.complete(Recv { handle: server, buffer: vec![0; 8].into() });
}
