//! Signals of the system, as events.

use std::fmt;

#[cfg(unix)]
use rustix::process::Signal as System;

use crate::Error;
use crate::operation::{Multishot, Target, UNDECIDED, submission};
use crate::outcome::Outcome;

#[cfg(not(unix))]
mod numbers;
#[cfg(not(unix))]
use numbers::System;

/// A signal of the system, by its number there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

impl Signal {
    /// SIGHUP: the terminal is gone; by custom, read the configuration again.
    pub const HUP: Self = Self::of(System::HUP);
    /// SIGINT: interrupt from the terminal, Ctrl-C.
    pub const INT: Self = Self::of(System::INT);
    /// SIGQUIT: quit from the terminal.
    pub const QUIT: Self = Self::of(System::QUIT);
    /// SIGTERM: end.
    pub const TERM: Self = Self::of(System::TERM);
    /// SIGUSR1: the program's own.
    pub const USR1: Self = Self::of(System::USR1);
    /// SIGUSR2: the program's own.
    pub const USR2: Self = Self::of(System::USR2);
    /// SIGALRM: an alarm clock.
    pub const ALRM: Self = Self::of(System::ALARM);
    /// SIGCHLD: a child has ended or stopped. [`WaitChild`](crate::WaitChild) has no need of it.
    pub const CHLD: Self = Self::of(System::CHILD);
    /// SIGCONT: go on.
    pub const CONT: Self = Self::of(System::CONT);
    /// SIGTSTP: stop from the terminal, Ctrl-Z.
    pub const TSTP: Self = Self::of(System::TSTP);
    /// SIGTTIN: a background process has read from the terminal.
    pub const TTIN: Self = Self::of(System::TTIN);
    /// SIGTTOU: a background process has written to the terminal.
    pub const TTOU: Self = Self::of(System::TTOU);
    /// SIGPIPE: nobody reads what was written.
    pub const PIPE: Self = Self::of(System::PIPE);
    /// SIGWINCH: the terminal's window has another size.
    pub const WINCH: Self = Self::of(System::WINCH);

    /// The largest number of a signal.
    const MAX: i32 = 64;

    /// What no program can have delivered: the system keeps these for itself, or raises them for a fault of the very
    /// instruction that would be executed again afterwards.
    const FORBIDDEN: SignalSet = SignalSet::NONE
        .with(Self::of(System::KILL))
        .with(Self::of(System::STOP))
        .with(Self::of(System::ILL))
        .with(Self::of(System::FPE))
        .with(Self::of(System::SEGV))
        .with(Self::of(System::BUS));

    const fn of(signal: System) -> Self {
        Self(signal.as_raw() as u8)
    }

    /// The signal with a number of the system, real-time signals too: 1 to 64.
    #[must_use]
    pub const fn from_raw(number: i32) -> Option<Self> {
        if number >= 1 && number <= Self::MAX { Some(Self(number as u8)) } else { None }
    }

    /// Its number in the system.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0 as i32
    }

    const fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }
}

/// Its name, or its number where it has no name here.
impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: [(Signal, &str); 14] = [
            (Signal::HUP, "HUP"),
            (Signal::INT, "INT"),
            (Signal::QUIT, "QUIT"),
            (Signal::TERM, "TERM"),
            (Signal::USR1, "USR1"),
            (Signal::USR2, "USR2"),
            (Signal::ALRM, "ALRM"),
            (Signal::CHLD, "CHLD"),
            (Signal::CONT, "CONT"),
            (Signal::TSTP, "TSTP"),
            (Signal::TTIN, "TTIN"),
            (Signal::TTOU, "TTOU"),
            (Signal::PIPE, "PIPE"),
            (Signal::WINCH, "WINCH"),
        ];
        match NAMED.iter().find(|(signal, _)| signal == self) {
            Some((_, name)) => write!(f, "SIG{name}"),
            None => write!(f, "Signal({})", self.0),
        }
    }
}

/// A set of signals.
///
/// ```
/// use proactor_core::{Signal, SignalSet};
/// let set = SignalSet::from([Signal::TERM, Signal::INT]);
/// assert!(set.contains(Signal::INT) && !set.contains(Signal::HUP));
/// assert_eq!(set.iter().collect::<Vec<_>>(), [Signal::INT, Signal::TERM]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SignalSet(u64);

impl SignalSet {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// The set and `signal`.
    #[must_use]
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | signal.bit())
    }

    /// The set without `signal`.
    #[must_use]
    pub const fn without(self, signal: Signal) -> Self {
        Self(self.0 & !signal.bit())
    }

    /// Whether `signal` is in it.
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & signal.bit() != 0
    }

    /// Whether it is the empty set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its signals, by their numbers.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        (1..=Signal::MAX).filter_map(Signal::from_raw).filter(move |signal| self.contains(*signal))
    }
}

impl<const N: usize> From<[Signal; N]> for SignalSet {
    fn from(signals: [Signal; N]) -> Self {
        signals.into_iter().collect()
    }
}

impl From<Signal> for SignalSet {
    fn from(signal: Signal) -> Self {
        Self::NONE.with(signal)
    }
}

impl FromIterator<Signal> for SignalSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        signals.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Tells of each signal of a set that this process gets, until it is stopped: one event for each signal, those that came
/// together by their numbers. Submitted by [`Context::submit_multishot`](crate::Context::submit_multishot).
///
/// What there is to know, since the action on a signal is the whole process's:
///
/// - While somebody watches a signal, a handler is in the place of what was set for it, so that SIGTERM, for one, no longer
///   ends the process. Any number of loops, and of `Signals` on one loop, may watch the same; each gets an event. When the
///   last of them has ended, what was there before the first is set again, unless somebody has set something else since.
/// - The same signal several times may be one event, as the system itself joins those that are pending; after the last
///   of them there is at least one.
/// - It needs a thread of this process that does not block the signal, any one. No mask of any thread is changed, so that
///   child processes inherit none, and the handler restarts interrupted calls where the system does (`SA_RESTART`). A child
///   that a `fork` makes has the handler until it calls `exec`, which sets the default again; its events are its own.
/// - SIGKILL, SIGSTOP, and those that a fault raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL), cannot be watched: it ends with
///   [`Error::InvalidInput`], as for an empty set and for signals that the C library keeps to itself.
///
/// Where [`Capabilities::signals`](crate::Capabilities) is missing it ends with [`Error::Unsupported`].
///
/// ```no_run
/// # // Any backend that has signals; the simulator has none.
/// use proactor_sim::{Config, Event, Flow, Loop, RunMode, Signal, Signals};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ev = Loop::<()>::open(Config::default())?;
/// let set = [Signal::INT, Signal::TERM].into();
/// ev.context().submit_multishot(Signals { set }, |_, cx, event| {
///     if let Event::More(signal) = event {
///         println!("{signal:?}: ending");
///         cx.cancel_all();
///     }
///     Flow::Continue
/// });
/// ev.run(&mut (), RunMode::UntilDone)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Signals {
    /// Which.
    pub set: SignalSet,
}

/// How a [`Signals`](crate::Signals) ended.
#[derive(Debug)]
pub struct SignalsEnded {
    /// Which, to watch again.
    pub set: SignalSet,
    /// Why it ended: [`Error::Canceled`] after it was stopped or cancelled.
    pub error: Error,
}

submission!(Signals => SignalsEnded, SignalsEnded, |_this| Target::None, |this| {
    SignalsEnded { set: this.set, error: UNDECIDED }
}, |this| {
    let is_forbidden = this.set.0 & Signal::FORBIDDEN.0 != 0;
    (this.set.is_empty() || is_forbidden).then_some(Error::InvalidInput)
});

impl Multishot for Signals {
    type Item = Signal;

    #[inline(always)]
    fn item(outcome: Outcome) -> Option<Signal> {
        match outcome {
            Outcome::SignalsItem(signal) => Some(signal),
            // As for outputs.
            other => {
                std::mem::forget(other);
                None
            }
        }
    }
}

impl SignalsEnded {
    /// Why it ended.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        Some(self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let highest = Signal::from_raw(64).unwrap();
        let set = SignalSet::from([Signal::TERM, highest, Signal::HUP]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Signal::HUP, Signal::TERM, highest]);
        assert!(!set.without(highest).contains(highest) && SignalSet::NONE.is_empty());
        assert_eq!(format!("{set:?}"), "{SIGHUP, SIGTERM, Signal(64)}");
        assert_eq!((Signal::from_raw(0), Signal::from_raw(65)), (None, None));
        assert_eq!(Signal::from_raw(Signal::TERM.as_raw()), Some(Signal::TERM));
    }
}
