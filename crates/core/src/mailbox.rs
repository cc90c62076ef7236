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
use std::time::{Duration, Instant};

use crate::notifier::Notifier;
use crate::sync::{Arc, AtomicUsize, Ordering, fence};

#[cfg(all(test, loom))]
mod loom_tests;
mod queue;
mod receive;
mod room;

use queue::Queue;
use room::Room;
pub(crate) use room::Rooms;

/// What senders and mailbox share.
struct Shared<T> {
    queue: Queue<T>,
    /// Of a bounded one.
    room: Option<std::sync::Arc<Room>>,
    notifier: Notifier,
    senders: AtomicUsize,
    mailboxes: AtomicUsize,
}

impl<T> Shared<T> {
    /// Whether nobody can receive any more.
    fn is_closed(&self) -> bool {
        self.mailboxes.load(Ordering::Acquire) == 0
    }

    /// Takes the next message, and tells those who wait for its place.
    fn pop(&self) -> Option<T> {
        let message = self.queue.pop();
        if let (Some(_), Some(room)) = (&message, &self.room) {
            room.is_made();
        }
        message
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
    /// The mailbox is as full as it may be: [`send`](MailboxSender::send) waits until some of it was delivered, and
    /// [`notify_when_room`](MailboxSender::notify_when_room) tells a loop.
    Full(T),
    /// The mailbox or its loop is gone.
    Closed(T),
}

/// A new mailbox on `notifier`, for `capacity` messages or any number.
pub(crate) fn mailbox<T>(notifier: Notifier, capacity: Option<usize>) -> (MailboxSender<T>, Mailbox<T>) {
    let shared = Arc::new(Shared {
        queue: Queue::new(capacity),
        room: capacity.map(|_| std::sync::Arc::new(Room::new())),
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

    /// Puts `message` into the mailbox as [`try_send`](Self::try_send), and waits for room where a bounded one is full, as long as
    /// that takes. For a thread that may block; a loop asks for a notification instead
    /// ([`notify_when_room`](Self::notify_when_room)), since it can do nothing else while it is blocked.
    ///
    /// Who waits here goes on when a message is taken, or with the end of the mailbox or its loop. So a callback of that loop must not
    /// wait for such a thread, by joining it for one; that which is dropped with the loop may.
    ///
    /// ```
    /// use std::thread;
    ///
    /// use proactor_sim::{Config, Delivery, Loop, RunMode};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut ev = Loop::<u64>::open(Config::default())?;
    /// let (sender, mailbox) = ev.context().mailbox::<u64>(16)?;
    /// ev.context().receive(&mailbox, |sum, _cx, delivery| {
    ///     if let Delivery::Message(number) = delivery {
    ///         *sum += number;
    ///     }
    /// });
    /// let worker = thread::spawn(move || (1..=1000).try_for_each(|number| sender.send(number)));
    ///
    /// let mut sum = 0;
    /// ev.run(&mut sum, RunMode::UntilDone)?;
    /// assert_eq!(sum, 500_500);
    /// assert_eq!(worker.join().expect("it does not panic"), Ok(()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TrySendError::Closed`] where nobody can receive it, also if that comes while it waits; [`TrySendError::Full`] on the
    /// thread of the mailbox's loop, which never waits here, since it could deliver nothing meanwhile. Either with the message.
    pub fn send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.send_within(message, None)
    }

    /// As [`send`](Self::send), but waits for at most `timeout`, of the system's time whatever clock the loop has.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`TrySendError::Full`] where there was no room within `timeout`.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), TrySendError<T>> {
        self.send_within(message, Some(timeout))
    }

    fn send_within(&self, message: T, timeout: Option<Duration>) -> Result<(), TrySendError<T>> {
        match (self.try_send(message), &self.0.room) {
            (Err(TrySendError::Full(message)), Some(room)) => {
                // One that no clock reaches is none.
                let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
                let attempt = |message| match self.try_send(message) {
                    Err(TrySendError::Full(message)) => Err(message),
                    done => Ok(done),
                };
                room.wait(message, end, attempt).unwrap_or_else(|message| Err(TrySendError::Full(message)))
            }
            (done, _) => done,
        }
    }

    /// Has `notifier` notified once, as soon as the mailbox has room or can receive nothing more; at once if that is so already.
    ///
    /// For a callback whose message came back: it keeps the message, and submits a
    /// [`NotifierWait`](crate::NotifierWait) with `notifier`, which is its own loop's. That there was room is all that the
    /// notification says: another sender may have been faster, and then it asks again. A notifier that has been asked for already,
    /// and was not notified since, is notified once.
    ///
    /// Never blocks. It allocates where more have asked than ever before, and looks through those who have: meant for some, not
    /// for thousands. The mailbox keeps a clone of the notifier until then, so its loop counts as one that can be woken, and a wait
    /// that nothing else could end is no [`Error::Deadlock`](crate::Error::Deadlock).
    ///
    /// ```
    /// use proactor_sim::{Action, Config, Delivery, Loop, NotifierWait, RunMode};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut ev = Loop::<Vec<u32>>::open(Config::default())?;
    /// let mut cx = ev.context();
    /// let (sender, mailbox) = cx.mailbox::<u32>(2)?;
    /// let mut numbers = 0..5;
    /// let mut next = numbers.next();
    /// let notifier = cx.notifier();
    /// notifier.notify();
    /// cx.submit_rearm(NotifierWait { notifier }, move |_received, _cx, notified| {
    ///     while let Some(number) = next {
    ///         if sender.try_send(number).is_err() {
    ///             sender.notify_when_room(&notified.notifier);
    ///             return Action::Rearm(NotifierWait { notifier: notified.notifier });
    ///         }
    ///         next = numbers.next();
    ///     }
    ///     Action::Disarm
    /// });
    /// cx.receive(&mailbox, |received, _cx, delivery| {
    ///     if let Delivery::Message(number) = delivery {
    ///         received.push(number);
    ///     }
    /// });
    ///
    /// let mut received = Vec::new();
    /// ev.run(&mut received, RunMode::UntilDone)?;
    /// assert_eq!(received, [0, 1, 2, 3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn notify_when_room(&self, notifier: &Notifier) {
        match &self.0.room {
            Some(room) => room.notify(notifier, || !self.0.queue.is_full() || self.is_closed()),
            None => notifier.notify(),
        }
    }

    /// Whether the mailbox or its loop is gone, so that nothing more can be sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let shared = &*self.0;
        shared.is_closed()
            || shared.room.as_ref().map_or_else(|| !shared.notifier.has_loop(), |room| room.is_closed())
    }
}

impl<T> Mailbox<T> {
    /// Takes the next message, if there is one: for what is left when nothing receives any more.
    pub fn try_receive(&self) -> Option<T> {
        self.0.pop()
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
            if let Some(room) = &self.0.room {
                room.is_gone();
            }
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
