//! Threads that notify one waiting completion in a tight loop, until it was called back often enough.

use std::sync::Arc;
use std::thread;

use proactor_core::{Action, Backend, Config, Loop, Notifier, NotifierWait, RunMode};

use crate::cores::Cores;
use crate::measurement::{Figures, Meter, NOTIFIES, Result};
use crate::pummel::{self, Phase};

/// Runs until `count` callbacks have been made while `threads` threads notified.
///
/// # Errors
/// What the loop answers.
pub(crate) fn run<B: Backend>(threads: usize, count: u64, cores: &Cores) -> Result<Figures> {
    let mut ev = Loop::<B, u64>::open(Config::default())?;
    let mut cx = ev.context();
    let notifier = cx.notifier();
    let phase = Arc::new(Phase::default());
    let notifiers: Vec<Notifier> = (0..threads).map(|_| notifier.clone()).collect();
    if count > 0 {
        cx.submit_rearm(NotifierWait { notifier }, move |callbacks: &mut u64, cx, notified| {
            if let Err(error) = notified.result {
                cx.fail(error);
                return Action::Disarm;
            }
            *callbacks += 1;
            if *callbacks < count {
                Action::Rearm(NotifierWait { notifier: notified.notifier })
            } else {
                Action::Disarm
            }
        });
    }

    let meter = Meter::start();
    let threads: Vec<_> = notifiers
        .into_iter()
        .enumerate()
        .map(|(index, notifier)| {
            let (phase, cores) = (Arc::clone(&phase), cores.clone());
            let notify = move || {
                notifier.notify();
                Ok(())
            };
            thread::spawn(move || pummel::notify(index, &phase, &cores, notify))
        })
        .collect();
    cores.stay_on(0)?;
    let mut callbacks = 0;
    let ran = ev.run(&mut callbacks, RunMode::UntilDone);
    let notifies = pummel::finish(&phase, threads)?;
    let figures = meter.stop(callbacks).with(NOTIFIES, notifies as f64);
    ran?;
    if callbacks == count { Ok(figures) } else { Err(format!("{callbacks} callbacks of {count}").into()) }
}
