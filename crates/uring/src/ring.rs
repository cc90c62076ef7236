//! The ring: the queues shared with the kernel, and the system call that moves them on.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, opcode, squeue};
use proactor_core::{Error, Time, Until};
use proactor_system::now;
use rustix::io::Errno;

/// How long the kernel, out of memory for what is to be submitted, is left alone where nothing else ends the wait.
const PRESSURE_PAUSE: Duration = Duration::from_millis(1);

/// The longest time passed to the kernel, 146 years: it counts in 63 bits, and adds the clock to durations.
const LONGEST_TIME: Duration = Duration::from_nanos(1 << 62);

/// A ring, and what its full submission queue had no room for.
pub(crate) struct Ring {
    ring: IoUring,
    /// First in, first out, and before everything that comes later.
    backlog: VecDeque<squeue::Entry>,
    /// Whether the submission queue was full since this was last reset. Then completions may have piled up.
    pub(crate) is_crowded: bool,
    /// What every wait has.
    wait_flags: EnterFlags,
    /// Whether the kernel takes a point in time where others take a duration.
    pub(crate) takes_deadlines: bool,
    /// How many entries were pushed, by opcode.
    #[cfg(test)]
    pub(crate) pushed: std::collections::BTreeMap<u32, usize>,
    /// How many system calls were made.
    #[cfg(test)]
    pub(crate) enters: std::cell::Cell<usize>,
    /// What the kernel is taken to answer to all submissions, without having seen them.
    #[cfg(test)]
    pub(crate) refusal: Option<Errno>,
}

impl Ring {
    pub(crate) fn new(ring: IoUring) -> Self {
        let mut wait_flags = EnterFlags::GETEVENTS;
        if ring.params().is_feature_no_iowait() {
            // A loop that waits for its peers does not wait for a disk, and monitors should not be told so.
            wait_flags |= EnterFlags::NO_IOWAIT;
        }
        let mut ring = Self {
            ring,
            backlog: VecDeque::new(),
            is_crowded: false,
            wait_flags,
            takes_deadlines: true,
            #[cfg(test)]
            pushed: std::collections::BTreeMap::new(),
            #[cfg(test)]
            enters: std::cell::Cell::new(0),
            #[cfg(test)]
            refusal: None,
        };
        // A kernel that does not know the flag refuses the call.
        ring.takes_deadlines = ring.call(0, 0, Some(Time::ZERO)) != Err(Errno::INVAL);
        ring
    }

    /// Queues an entry behind all others; a later call of [`enter`](Self::enter) or [`flush`](Self::flush) submits it.
    ///
    /// # Safety
    /// What the entry points to must stay valid, and be left alone where the kernel writes to it, until the entry's
    /// last completion was taken out of [`completions`](Self::completions).
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) {
        #[cfg(test)]
        {
            *self.pushed.entry(entry.get_opcode()).or_default() += 1;
        }
        // Nothing is overtaken: while something waits in the backlog, the queue is full.
        // SAFETY: the caller vouches for the entry.
        if unsafe { self.ring.submission().push(entry) }.is_err() {
            self.push_crowded(entry.clone());
        }
    }

    /// Queues an entry that has the kernel tell what `descriptor` is ready for, once or again and again. The descriptor has to
    /// stay open until that was submitted, for otherwise it is another's number.
    pub(crate) fn push_poll(
        &mut self,
        descriptor: BorrowedFd<'_>,
        events: u32,
        goes_on: bool,
        user_data: u64,
    ) {
        let entry = opcode::PollAdd::new(Fd(descriptor.as_raw_fd()), events).multi(goes_on).build();
        // SAFETY: the entry points to nothing.
        unsafe { self.push(&entry.user_data(user_data)) };
    }

    /// Queues an entry that completes once the child process with this number has ended, and leaves its status where it is.
    pub(crate) fn push_wait_child(&mut self, id: u32, user_data: u64) {
        let options = libc::WEXITED | libc::WNOWAIT;
        let entry = opcode::WaitId::new(libc::P_PID, id, options).build();
        // SAFETY: the entry points to nothing: it asks for no more than that the child has ended.
        unsafe { self.push(&entry.user_data(user_data)) };
    }

    /// Queues an entry that has the kernel end what has this number; its own completion is of `nobody`.
    pub(crate) fn push_cancel(&mut self, user_data: u64, nobody: u64) {
        let entry = opcode::AsyncCancel::new(user_data).build().user_data(nobody);
        // SAFETY: the entry points to nothing.
        unsafe { self.push(&entry) };
    }

    /// A full submission queue is submitted at once; what the kernel does not take now waits in order.
    #[cold]
    #[inline(never)]
    fn push_crowded(&mut self, entry: squeue::Entry) {
        self.is_crowded = true;
        self.backlog.push_back(entry);
        self.drain_backlog();
    }

    /// Moves the backlog into the submission queue, submitting what is in its way; returns whether all of it went. If not,
    /// the queue is full, and the kernel does not take what is in it.
    fn drain_backlog(&mut self) -> bool {
        loop {
            let mut queue = self.ring.submission();
            while let Some(entry) = self.backlog.front() {
                // SAFETY: the entry came through `push`, whose caller vouched for it until its last completion.
                if unsafe { queue.push(entry) }.is_err() {
                    break;
                }
                self.backlog.pop_front();
            }
            drop(queue);
            if self.backlog.is_empty() {
                return true;
            }
            let count = self.unsubmitted();
            if !matches!(self.submit(count), Ok(1..)) {
                return false;
            }
        }
    }

    /// Gives the kernel a ring of buffers to receive into.
    ///
    /// # Safety
    /// `address` must be that of `entries` entries, page-aligned and zero, which stay valid until the ring of buffers is
    /// unregistered or this ring is closed; what the entries point to, for as long as something uses the group.
    pub(crate) unsafe fn register_buffers(
        &self,
        address: u64,
        entries: u16,
        group: u16,
    ) -> std::io::Result<()> {
        // SAFETY: the caller vouches for the memory.
        unsafe { self.ring.submitter().register_buf_ring_with_flags(address, entries, group, 0) }
    }

    /// Takes it back.
    pub(crate) fn unregister_buffers(&self, group: u16) -> std::io::Result<()> {
        self.ring.submitter().unregister_buf_ring(group)
    }

    /// Has the kernel count up an eventfd whenever something is complete, or is to be worked off.
    pub(crate) fn show_on(&self, eventfd: BorrowedFd<'_>) -> Result<(), Errno> {
        let registered = self.ring.submitter().register_eventfd(eventfd.as_raw_fd());
        registered.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// Whether something waits that the kernel did not take, or was not given yet.
    pub(crate) fn is_behind(&mut self) -> bool {
        !self.backlog.is_empty() || self.unsubmitted() > 0
    }

    /// The completions that are there.
    #[inline(always)]
    pub(crate) fn completions(&mut self) -> CompletionQueue<'_> {
        self.ring.completion()
    }

    #[inline(always)]
    fn unsubmitted(&mut self) -> u32 {
        // Never over the queue's length, which is a u32.
        self.ring.submission().len() as u32
    }

    /// Whether the kernel holds completions back until it is entered.
    pub(crate) fn holds_back(&mut self) -> bool {
        let queue = self.ring.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    /// Submits what is queued and takes what is complete, without waiting. No system call where nothing is queued.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if self.unsubmitted() == 0 && self.backlog.is_empty() { Ok(()) } else { self.enter(Until::Now) }
    }

    /// Submits what is queued and waits, in one system call, or in none where it could do nothing.
    ///
    /// # Errors
    /// The system's; never that it is busy, or was interrupted, which count as a return with nothing.
    pub(crate) fn enter(&mut self, until: Until) -> Result<(), Error> {
        if !self.backlog.is_empty() && !self.drain_backlog() {
            return self.enter_under_pressure(until);
        }
        let to_submit = self.unsubmitted();
        let entered = match until {
            Until::Now if to_submit == 0 && !self.holds_back() => return Ok(()),
            Until::Now => self.call(to_submit, 0, None),
            Until::Deadline(deadline) => self.call(to_submit, 1, Some(deadline)),
            Until::Forever => self.call(to_submit, 1, None),
        };
        match entered {
            // Busy is what kernels before 5.19 say until overflown completions were taken; again, if they lack memory.
            Err(Errno::BUSY | Errno::AGAIN) => self.enter_under_pressure(until),
            entered => outcome(entered),
        }
    }

    /// Takes what the kernel holds back, without submitting and without waiting.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub(crate) fn work_off(&self) -> Result<(), Error> {
        outcome(self.call(0, 0, None))
    }

    /// Waits without submitting, which the kernel has just refused to do: for a completion, or for a moment.
    #[cold]
    fn enter_under_pressure(&mut self, until: Until) -> Result<(), Error> {
        let pause = now() + PRESSURE_PAUSE;
        outcome(match until {
            Until::Now => self.call(0, 0, None),
            Until::Deadline(deadline) => self.call(0, 1, Some(deadline.min(pause))),
            Until::Forever => self.call(0, 1, Some(pause)),
        })
    }

    /// Submits up to `count` entries and tells how many went.
    fn submit(&self, count: u32) -> Result<usize, Errno> {
        self.raw_enter(count, 0, EnterFlags::empty(), None)
    }

    /// Submits `to_submit` entries and, if all of them went, works off what is to be completed and waits until
    /// `min_complete` completions are there or the deadline has passed. Returns how many entries went.
    fn call(&self, to_submit: u32, min_complete: u32, deadline: Option<Time>) -> Result<usize, Errno> {
        let Some(deadline) = deadline else {
            return self.raw_enter(to_submit, min_complete, self.wait_flags, None);
        };
        let mut flags = self.wait_flags | EnterFlags::EXT_ARG;
        let time = if self.takes_deadlines {
            flags |= EnterFlags::ABS_TIMER;
            deadline.since(Time::ZERO)
        } else {
            deadline.since(now())
        };
        let time = Timespec::from(time.min(LONGEST_TIME));
        self.raw_enter(to_submit, min_complete, flags, Some(&SubmitArgs::new().timespec(&time)))
    }

    fn raw_enter(
        &self,
        to_submit: u32,
        min_complete: u32,
        flags: EnterFlags,
        arguments: Option<&SubmitArgs<'_, '_>>,
    ) -> Result<usize, Errno> {
        #[cfg(test)]
        self.enters.set(self.enters.get() + 1);
        #[cfg(test)]
        if let Some(refusal) = self.refusal.filter(|_| to_submit > 0) {
            return Err(refusal);
        }
        let submitter = self.ring.submitter();
        // SAFETY: the flags are those that go with the arguments: EXT_ARG where there are any, and what these refer to
        // lives through the call. The entries were vouched for by those who pushed them.
        let entered = unsafe { submitter.enter(to_submit, min_complete, flags.bits(), arguments) };
        entered.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

/// What a caller hears of a system call that waits.
fn outcome(entered: Result<usize, Errno>) -> Result<(), Error> {
    match entered {
        Ok(_) | Err(Errno::INTR | Errno::TIME | Errno::BUSY | Errno::AGAIN) => Ok(()),
        Err(errno) => Err(Error::from_errno(errno)),
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("parameters", self.ring.params())
            .field("backlog", &self.backlog.len())
            .finish_non_exhaustive()
    }
}
