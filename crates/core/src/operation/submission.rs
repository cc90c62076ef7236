//! What all operations have in common: what each uses, and how it becomes a variant and its outcome comes out of one.

use std::time::Duration;

use super::Kind;
use crate::outcome::Outcome;
use crate::{Error, Handle, Offload, Time};

/// The side of a handle on which an operation queues (contract H3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Accept, receive and read.
    Read,
    /// Connect, send, write and shut down.
    Write,
}

/// What an operation uses of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Nothing: it is started as it comes.
    None,
    /// Core's own timers: due at this time, or so much after it is armed.
    Timer(Result<Time, Duration>),
    /// Core's own notifiers.
    Notifier,
    /// One direction of a handle, first in first out.
    Stream(Handle, Direction),
    /// A handle beside whatever else uses it, in no order: any number at once.
    Unordered(Handle),
    /// The whole of a handle, which it makes stale.
    Close(Handle),
}

/// An operation as its user writes it. Implemented by each struct of [`Operation`](super::Operation)'s variants, and by nothing else.
pub trait Submission: sealed::Sealed + Sized {
    /// What the callback gets.
    type Output;

    /// Which operation it is.
    #[doc(hidden)]
    const KIND: Kind;

    /// What it uses.
    #[doc(hidden)]
    fn target(&self) -> Target;

    /// When it is to have ended, if there is such a time: a point, or so much after it is armed.
    #[doc(hidden)]
    #[inline(always)]
    fn deadline(&self) -> Option<Result<Time, Duration>> {
        None
    }

    /// The handle that it uses beside that of its target, in no order.
    #[doc(hidden)]
    #[inline(always)]
    fn second(&self) -> Option<Handle> {
        None
    }

    /// What of it goes to the pool, if it says so itself.
    #[doc(hidden)]
    #[inline(always)]
    fn offload(&self) -> Option<Offload> {
        None
    }

    /// What is wrong with it, whatever the backend. It fails with that before a backend sees it.
    #[doc(hidden)]
    #[inline(always)]
    fn objection(&self) -> Option<Error> {
        None
    }

    /// Why it failed, if it did.
    #[doc(hidden)]
    fn error(output: &Self::Output) -> Option<Error>;

    /// Into the variant of [`Outcome`], its result not decided yet.
    #[doc(hidden)]
    fn undecided(self) -> Outcome;

    /// Whether an outcome is of that variant.
    #[doc(hidden)]
    #[inline(always)]
    fn is_output(outcome: &Outcome) -> bool {
        outcome.kind() == Self::KIND && !outcome.is_more()
    }

    /// Out of the variant of [`Outcome`]; nothing from another one.
    #[doc(hidden)]
    fn output(outcome: Outcome) -> Option<Self::Output>;
}

/// A [`Submission`] that ends once, with one outcome. Submitted by `submit` and `submit_rearm`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be submitted with `submit` or `submit_rearm`",
    label = "no operation with one outcome",
    note = "operations with many outcomes (`AcceptMany`, `RecvMany`, `PollMany`, `Signals`) are submitted with \
            `submit_multishot`"
)]
pub trait OneShot: Submission {}

/// A [`Submission`] with any number of items before its one outcome. Submitted by `submit_multishot`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be submitted with `submit_multishot`",
    label = "no operation with many outcomes",
    note = "operations with one outcome are submitted with `submit`, or with `submit_rearm` to be armed again"
)]
pub trait Multishot: Submission {
    /// What comes with each event before the last.
    type Item;

    /// Out of the variant of [`Outcome`]; nothing from another one.
    #[doc(hidden)]
    fn item(outcome: Outcome) -> Option<Self::Item>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// One variant: its struct, its output, and what it uses. Families of operations have files of their own, beside this one.
macro_rules! submission {
    (
        $name:ident => $output:ident, $outcome:ident, |$this:ident| $target:expr, |$whole:ident| $undecided:expr
        $(, |$asked:ident| $objection:expr)? $(; |$two:ident| $second:expr)?
    ) => {
        impl $crate::operation::sealed::Sealed for $name {}

        impl $crate::Submission for $name {
            type Output = $output;
            const KIND: $crate::Kind = $crate::Kind::$name;

            #[inline(always)]
            fn target(&self) -> $crate::Target {
                let $this = self;
                $target
            }

            $(
                fn objection(&self) -> Option<$crate::Error> {
                    let $asked = self;
                    $objection
                }
            )?

            $(
                #[inline(always)]
                fn second(&self) -> Option<$crate::Handle> {
                    let $two = self;
                    Some($second)
                }
            )?

            #[inline(always)]
            fn error(output: &$output) -> Option<$crate::Error> {
                output.error()
            }

            #[inline(always)]
            fn undecided(self) -> $crate::Outcome {
                let $whole = self;
                $crate::Outcome::$outcome($undecided)
            }

            #[inline(always)]
            fn is_output(outcome: &$crate::Outcome) -> bool {
                matches!(outcome, $crate::Outcome::$outcome(_))
            }

            #[inline(always)]
            fn output(outcome: $crate::Outcome) -> Option<$output> {
                match outcome {
                    $crate::Outcome::$outcome(output) => Some(output),
                    // Never reached: the driver has looked. To drop it properly would cost a copy of each outcome.
                    other => {
                        std::mem::forget(other);
                        None
                    }
                }
            }
        }

        impl $name {
            /// The same operation, to end with [`Error::TimedOut`](crate::Error::TimedOut) unless it has `timeout` after it is
            /// armed; see [`WithDeadline`](crate::WithDeadline) (contract X4).
            #[must_use]
            #[inline(always)]
            pub const fn with_timeout(self, timeout: std::time::Duration) -> $crate::WithDeadline<Self> {
                $crate::WithDeadline::new(self, Err(timeout))
            }

            /// The same operation, to end with [`Error::TimedOut`](crate::Error::TimedOut) unless it has at `deadline`, on the
            /// loop's clock; see [`WithDeadline`](crate::WithDeadline) (contract X4).
            #[must_use]
            #[inline(always)]
            pub const fn with_deadline(self, deadline: $crate::Time) -> $crate::WithDeadline<Self> {
                $crate::WithDeadline::new(self, Ok(deadline))
            }
        }

        impl From<$name> for $crate::Operation {
            #[inline(always)]
            fn from(operation: $name) -> Self {
                Self::$name(operation)
            }
        }
    };
}

pub(crate) use submission;
