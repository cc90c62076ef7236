//! Mailboxes: messages from any thread, delivered to a callback on the loop (contract W2).
//!
//! A mailbox is a queue and a notifier. A sender puts its message into the queue, then notifies; the loop takes the
//! notification, then what is in the queue. So a message is either taken, or its notification is still to come: that is
//! what the notifier promises of whatever was written before `notify`.
//!
//! *The end of the senders.* The last one writes that it is gone, then notifies. Who reads that nobody is left (acquire)
//! sees all that they have sent.
//!
//! *The end of the mailbox.* It says that it is closed, then empties the queue; a sender puts its message in, then looks whether
//! it is closed, and if so empties the queue itself. With a `SeqCst` fence in between on both sides one of them sees the
//! other, so no message stays behind with a sender that lives on.

use std::fmt;

use crate::notifier::Notifier;
use crate::sync::{Arc, AtomicUsize, Ordering, fence};

#[cfg(all(test, loom))]
mod loom_tests;
mod queue;
mod receive;

use queue::Queue;

/// What senders and mailbox share.
struct Shared<T> {
    queue: Queue<T>,
    notifier: Notifier,
    senders: AtomicUsize,
    mailboxes: AtomicUsize,
}

impl<T> Shared<T> {
    /// Whether nobody can receive any more.
    fn is_closed(&self) -> bool {
        self.mailboxes.load(Ordering::Acquire) == 0
    }

    /// Drops what is in the queue.
    #[cold]
    fn empty(&self) {
        while self.queue.pop().is_some() {}
    }
}

/// Sends messages to a [`Mailbox`], from any thread. Clones send to the same one.
///
/// The messages of one sender arrive in the order in which it sent them. When the last one is dropped, the mailbox delivers
/// what is in it, and then its end.
pub struct MailboxSender<T>(Arc<Shared<T>>);

/// The receiving end of a mailbox, made by [`Context::mailbox`](crate::Context::mailbox) and
/// [`Context::unbounded_mailbox`](crate::Context::unbounded_mailbox), and read by
/// [`Context::receive`](crate::Context::receive) (contract W2).
///
/// Clones are the same mailbox. It is open as long as one of them, or the callback that receives from it, exists, and its
/// loop; then senders get [`TrySendError::Closed`]. What is in it is dropped with the last clone, until when
/// [`try_receive`](Self::try_receive) takes it, also after the loop.
///
/// ```
/// use std::thread;
///
/// use proactor_sim::{Config, Delivery, Loop, RunMode};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<Vec<u64>>::open(Config::default())?;
/// let mut cx = ev.context();
/// let (sender, mailbox) = cx.mailbox::<u64>(16)?;
/// cx.receive(&mailbox, |received, _cx, delivery| match delivery {
///     Delivery::Message(number) => received.push(number),
///     // All senders are gone.
///     Delivery::End(result) => assert_eq!(result, Ok(())),
/// });
/// let worker = thread::spawn(move || (0..10).try_for_each(|number| sender.try_send(number)));
///
/// let mut received = Vec::new();
/// ev.run(&mut received, RunMode::UntilDone)?;
/// assert!(received.into_iter().eq(0..10));
/// assert!(worker.join().expect("it does not panic").is_ok());
/// # Ok(())
/// # }
/// ```
pub struct Mailbox<T>(Arc<Shared<T>>);

/// What comes to the callback of [`Context::receive`](crate::Context::receive).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery<T> {
    /// A message.
    Message(T),
    /// Nothing comes any more: `Ok` when all senders are gone and all that they sent was delivered. Otherwise what is in
    /// the mailbox stays there: [`Error::Canceled`](crate::Error::Canceled), [`Error::Busy`](crate::Error::Busy) if the
    /// mailbox is being received from already, [`Error::InvalidInput`](crate::Error::InvalidInput) if it is another loop's.
    End(Result<(), crate::Error>),
}

/// Why a message was not sent; it comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The mailbox is as full as it may be: try again when some of it was delivered.
    Full(T),
    /// The mailbox or its loop is gone.
    Closed(T),
}

/// A new mailbox on `notifier`, for `capacity` messages or any number.
pub(crate) fn mailbox<T>(notifier: Notifier, capacity: Option<usize>) -> (MailboxSender<T>, Mailbox<T>) {
    let shared = Arc::new(Shared {
        queue: Queue::new(capacity),
        notifier,
        senders: AtomicUsize::new(1),
        mailboxes: AtomicUsize::new(1),
    });
    (MailboxSender(Arc::clone(&shared)), Mailbox(shared))
}

impl<T> MailboxSender<T> {
    /// Puts `message` into the mailbox, and wakes its loop if that sleeps.
    ///
    /// `Ok` says that it is there: it is delivered once, if the mailbox is received from until then, and dropped with the
    /// mailbox otherwise. Never blocks. A bounded mailbox allocates nothing for it; an unbounded one does now and then.
    ///
    /// # Errors
    /// [`TrySendError::Full`] where a bounded mailbox has no room, [`TrySendError::Closed`] where nobody can receive it;
    /// either with the message.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        if self.is_closed() {
            return Err(TrySendError::Closed(message));
        }
        let shared = &*self.0;
        shared.queue.push(message).map_err(TrySendError::Full)?;
        // With a fence, which the end of the mailbox has as well.
        shared.notifier.notify();
        if shared.is_closed() {
            shared.empty();
        }
        Ok(())
    }

    /// Whether the mailbox or its loop is gone, so that nothing more can be sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed() || !self.0.notifier.has_loop()
    }
}

impl<T> Mailbox<T> {
    /// Takes the next message, if there is one: for what is left when nothing receives any more.
    pub fn try_receive(&self) -> Option<T> {
        self.0.queue.pop()
    }

    /// How many messages wait in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.queue.len()
    }

    /// Whether none waits in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all senders are gone, and all that they sent was taken.
    fn is_over(&self) -> bool {
        // Acquire: what those who are gone have sent is seen.
        self.0.senders.load(Ordering::Acquire) == 0 && self.is_empty()
    }

    /// Has the receiver look again.
    fn notify(&self) {
        self.0.notifier.notify();
    }
}

impl<T> Clone for MailboxSender<T> {
    fn clone(&self) -> Self {
        // The one who calls has a sender, so the count cannot be zero.
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for MailboxSender<T> {
    fn drop(&mut self) {
        // Release, on every sender's count: what it sent is seen by who sees that all are gone.
        if self.0.senders.fetch_sub(1, Ordering::Release) == 1 {
            self.0.notifier.notify();
        }
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        self.0.mailboxes.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        if self.0.mailboxes.fetch_sub(1, Ordering::AcqRel) == 1 {
            fence(Ordering::SeqCst);
            self.0.empty();
        }
    }
}

impl<T> fmt::Debug for MailboxSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailboxSender").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> TrySendError<T> {
    /// The message.
    pub fn into_message(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the mailbox is full",
            Self::Closed(_) => "the mailbox is closed",
        })
    }
}

impl<T> std::error::Error for TrySendError<T> {}
