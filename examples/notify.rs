//! Work on other threads that reports to the loop through a notifier.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use proactor::{Action, Config, Loop, NotifierWait, RunMode};

const THREADS: u64 = 4;
const JOBS: u64 = 1000;

struct State {
    callbacks: u64,
}

fn main() -> io::Result<()> {
    let mut ev = Loop::<State>::open(Config::default())?;
    let mut cx = ev.context();
    let notifier = cx.notifier();
    let finished = Arc::new(AtomicU64::new(0));

    let workers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (notifier, finished) = (notifier.clone(), Arc::clone(&finished));
            thread::spawn(move || {
                for _ in 0..JOBS {
                    // What is written before `notify` is seen by the callback that follows it.
                    finished.fetch_add(1, Ordering::Relaxed);
                    notifier.notify();
                }
            })
        })
        .collect();

    cx.submit_rearm(NotifierWait { notifier }, move |state: &mut State, _cx, notified| {
        state.callbacks += 1;
        // Many notifications may come as one, but one always comes after the last.
        if finished.load(Ordering::Relaxed) == THREADS * JOBS {
            return Action::Disarm;
        }
        Action::Rearm(NotifierWait { notifier: notified.notifier })
    });

    let mut state = State { callbacks: 0 };
    ev.run(&mut state, RunMode::UntilDone)?;
    for worker in workers {
        worker.join().map_err(|_| io::Error::other("a worker panicked"))?;
    }
    assert!((1..=THREADS * JOBS).contains(&state.callbacks));
    println!("all {} jobs are finished", THREADS * JOBS);
    Ok(())
}
