//! Receiving from a mailbox, on the loop.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use rustix::io::Errno;

use super::{Delivery, Mailbox, MailboxSender, mailbox};
use crate::callback::Deliver;
use crate::event_loop::Inner;
use crate::operation::NotifierWait;
use crate::{Backend, Context, Error, Key};

impl<B: Backend, S> Context<'_, B, S> {
    /// A new mailbox of this loop for up to `capacity` messages, which pushes back when it is full, and its first sender.
    /// The memory for its messages is allocated here.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a capacity of zero, or of more messages than an address space holds; the system's
    /// ENOMEM where there is no memory for so many (contract E1).
    pub fn mailbox<T>(&mut self, capacity: usize) -> Result<(MailboxSender<T>, Mailbox<T>), Error> {
        find_memory::<T>(capacity)?;
        let (sender, mailbox) = mailbox(self.notifier(), Some(capacity));
        if let Some(room) = &mailbox.0.room {
            self.inner.rooms.push(room);
        }
        Ok((sender, mailbox))
    }

    /// A new mailbox of this loop that takes as many messages as memory does, and its first sender.
    #[must_use]
    pub fn unbounded_mailbox<T>(&mut self) -> (MailboxSender<T>, Mailbox<T>) {
        mailbox(self.notifier(), None)
    }

    /// Delivers the messages of `mailbox` to `callback`, each once, those of one sender in the order in which it sent them,
    /// until all senders are gone or the completion ends (contract W2).
    ///
    /// A turn delivers what is there when it comes to it, and leaves what is sent meanwhile to the next, so that no sender
    /// holds up the rest of the loop. When the completion ends otherwise (it is cancelled, deleted, or its callback panics)
    /// what was not delivered stays in the mailbox, as long as a clone of that exists, and another `receive` delivers it.
    /// From within its own callback it is ended by [`delete`](Self::delete): a [`cancel`](Self::cancel) comes too late there, and
    /// messages go on coming (contract X6). One at a time receives from a mailbox. Captures of up to three words are kept without allocating.
    pub fn receive<T, F>(&mut self, mailbox: &Mailbox<T>, callback: F) -> Key
    where
        T: 'static,
        F: FnMut(&mut S, &mut Context<'_, B, S>, Delivery<T>) + 'static,
    {
        // What was sent before may have been notified to one who is gone.
        mailbox.notify();
        let notifier = mailbox.0.notifier.clone();
        let callback = (mailbox.clone(), callback);
        self.inner.submit::<Receiver<T, F>>(NotifierWait { notifier }, callback)
    }
}

/// Whether a queue for so many messages can be made. Who makes one is told of nothing that is wrong but by a panic.
fn find_memory<T>(capacity: usize) -> Result<(), Error> {
    /// A place of the queue: a message, and whose turn it is.
    type Place<T> = (usize, MaybeUninit<T>);
    let bytes = capacity.checked_mul(size_of::<Place<T>>());
    if capacity == 0 || bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(Error::InvalidInput);
    }
    let found = Vec::<Place<T>>::new().try_reserve_exact(capacity);
    found.map_err(|_| Error::from_errno(Errno::NOMEM))
}

/// Callbacks of `receive`.
struct Receiver<T, F>(PhantomData<(T, F)>);

impl<B, S, T, F> Deliver<B, S> for Receiver<T, F>
where
    B: Backend,
    F: FnMut(&mut S, &mut Context<'_, B, S>, Delivery<T>),
{
    type Callback = (Mailbox<T>, F);

    type Operation = NotifierWait;

    fn deliver(
        inner: &mut Inner<B, S>,
        state: &mut S,
        (index, _item): (u32, u32),
        (mailbox, mut callback): Self::Callback,
    ) {
        let Some(notified) = inner.driver.take_output::<NotifierWait>(index) else {
            return inner.driver.finish::<NotifierWait>(index);
        };
        if notified.result.is_err() {
            callback(state, &mut Context::new(inner), Delivery::End(notified.result));
            return inner.driver.finish::<NotifierWait>(index);
        }
        let mut is_silent = true;
        for _ in 0..mailbox.len() {
            let Some(message) = mailbox.try_receive() else { break };
            is_silent = false;
            callback(state, &mut Context::new(inner), Delivery::Message(message));
            if inner.interrupted || inner.driver.is_leaving(index) {
                break;
            }
        }
        let goes_on = !inner.interrupted && !inner.driver.is_leaving(index);
        if goes_on && mailbox.is_over() {
            callback(state, &mut Context::new(inner), Delivery::End(Ok(())));
            return inner.driver.finish::<NotifierWait>(index);
        }
        // One notification may have been of many messages, and the rest have none of their own.
        if !mailbox.is_empty() || mailbox.is_over() {
            mailbox.notify();
        }
        inner.silent += usize::from(is_silent);
        if inner.driver.rearm(index, NotifierWait { notifier: notified.notifier }) {
            inner.put::<Self>(index, (mailbox, callback));
        }
    }
}
