//! The threads of a pool: when one is started, what it does, when it ends.
//!
//! # Orderings
//! *P1, a job and a thread that falls asleep.* A loop queues a ticket, then reads how many threads could be called; a
//! thread says that it could be called, then looks at the queue. That neither sees the other's write is what a store
//! buffer does; a `SeqCst` fence on both sides forbids it.
//!
//! *P2, room and a loop that waits for it.* A loop finds the queue full, says that it waits, then tries again; a thread
//! takes a ticket, then reads whether a loop waits. The same pattern, the same fences.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::PoolConfig;
use super::job::forget_panic;
use super::slot::{Port, Ticket};
use crate::sync::shared::{ArrayQueue, Condvar, Mutex};
use crate::sync::{Arc, AtomicUsize, Ordering, fence};

/// What the loops and the threads of one pool share.
pub(super) struct Shared {
    config: PoolConfig,
    queue: ArrayQueue<Ticket>,
    /// How many threads could be called to a job: those that sleep and were not called yet, and those not started yet.
    callable: AtomicUsize,
    /// How many loops wait for room in the queue.
    hungry: AtomicUsize,
    state: Mutex<State>,
    /// A thread is called, or all are to end.
    called: Condvar,
    /// A thread ends.
    ended: Condvar,
}

struct State {
    threads: u32,
    /// Those that sleep.
    idle: u32,
    /// How many of these were called.
    called: u32,
    /// Loops that wait for room, first come first served.
    hungry: VecDeque<Arc<Port>>,
    is_closed: bool,
    /// Calls that never returned to their loop less those that have ended all the same.
    abandoned: i64,
    handles: Vec<JoinHandle<()>>,
}

impl Shared {
    pub(super) fn new(config: PoolConfig) -> Self {
        let state = State {
            threads: 0,
            idle: 0,
            called: 0,
            hungry: VecDeque::new(),
            is_closed: false,
            abandoned: 0,
            handles: Vec::new(),
        };
        Self {
            queue: ArrayQueue::new(config.queue as usize),
            callable: AtomicUsize::new(config.threads as usize),
            hungry: AtomicUsize::new(0),
            config,
            state: Mutex::new(state),
            called: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// Queues a ticket. It comes back where there is no room.
    ///
    /// # Errors
    /// The system's, where it gives no thread at all: the ticket is queued, and nobody will take it.
    pub(super) fn queue(this: &Arc<Self>, ticket: Ticket) -> Result<(), Refused> {
        this.queue.push(ticket).map_err(|_| Refused::Full)?;
        fence(Ordering::SeqCst); // P1
        if this.callable.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        Self::call_a_thread(this).map_err(Refused::NoThread)
    }

    #[cold]
    fn call_a_thread(this: &Arc<Self>) -> io::Result<()> {
        let mut state = this.state.lock();
        if state.idle > state.called {
            state.called += 1;
            this.count_callable(&state);
            this.called.notify_one();
            return Ok(());
        }
        if state.threads == this.config.threads {
            return Ok(());
        }
        match Self::start_a_thread(this) {
            Ok(handle) => {
                state.threads += 1;
                this.count_callable(&state);
                state.handles.extend(handle);
                Ok(())
            }
            // Those that there are will come to it.
            Err(_) if state.threads > 0 => Ok(()),
            Err(error) => Err(error),
        }
    }

    #[cfg(not(loom))]
    fn start_a_thread(this: &Arc<Self>) -> io::Result<Option<JoinHandle<()>>> {
        let mut builder = thread::Builder::new().name("proactor-pool".to_owned());
        if let Some(size) = this.config.stack_size {
            builder = builder.stack_size(size);
        }
        let shared = Arc::clone(this);
        builder.spawn(move || shared.run()).map(Some)
    }

    #[cfg(loom)]
    fn start_a_thread(this: &Arc<Self>) -> io::Result<Option<JoinHandle<()>>> {
        let shared = Arc::clone(this);
        loom::thread::spawn(move || shared.run());
        Ok(None)
    }

    /// What a thread does.
    fn run(&self) {
        loop {
            while let Some(ticket) = self.next() {
                // Everything is caught that a call may do; what is caught here is a drop of the user's, of what nobody
                // waits for any more.
                match catch_unwind(AssertUnwindSafe(|| ticket.work())) {
                    Ok(true) => {}
                    Ok(false) => self.state.lock().abandoned -= 1,
                    Err(payload) => {
                        forget_panic(payload);
                        self.state.lock().abandoned -= 1;
                    }
                }
            }
            if !self.sleep() {
                return;
            }
        }
    }

    fn next(&self) -> Option<Ticket> {
        let ticket = self.queue.pop()?;
        fence(Ordering::SeqCst); // P2
        if self.hungry.load(Ordering::Relaxed) > 0 {
            self.tell_of_room();
        }
        Some(ticket)
    }

    /// Tells one loop that there is room; all of them if the queue is empty, since nobody would tell them later.
    #[cold]
    fn tell_of_room(&self) {
        loop {
            let mut state = self.state.lock();
            let port = state.hungry.pop_front();
            self.hungry.store(state.hungry.len(), Ordering::Relaxed);
            drop(state);
            let Some(port) = port else { return };
            port.bell.ring();
            if !self.queue.is_empty() {
                return;
            }
        }
    }

    /// Has `port` rung when there is room. To be followed by another attempt: there may be some already.
    pub(super) fn wait_for_room(&self, port: &Arc<Port>) {
        let mut state = self.state.lock();
        if !state.hungry.iter().any(|other| Arc::ptr_eq(other, port)) {
            state.hungry.push_back(Arc::clone(port));
            self.hungry.store(state.hungry.len(), Ordering::Relaxed);
        }
        drop(state);
        fence(Ordering::SeqCst); // P2
    }

    /// Sleeps until there is something to do. False if the thread is to end.
    fn sleep(&self) -> bool {
        let mut state = self.state.lock();
        state.idle += 1;
        self.count_callable(&state);
        fence(Ordering::SeqCst); // P1
        let deadline = Instant::now().checked_add(self.config.idle);
        let has_work = |state: &State| state.called > 0 || !self.queue.is_empty();
        let mut timed_out = false;
        while !state.is_closed && !timed_out && !has_work(&state) {
            match deadline {
                Some(deadline) => timed_out = self.called.wait_until(&mut state, deadline).timed_out(),
                None => self.called.wait(&mut state),
            }
        }
        let goes_on = !state.is_closed && has_work(&state);
        state.idle -= 1;
        state.called = state.called.saturating_sub(1);
        if !goes_on {
            state.threads -= 1;
            self.forget_this_thread(&mut state);
            self.ended.notify_all();
        }
        self.count_callable(&state);
        goes_on
    }

    /// A thread that ends by itself is joined by nobody.
    fn forget_this_thread(&self, state: &mut State) {
        if !state.is_closed {
            let this = thread::current().id();
            state.handles.retain(|handle| handle.thread().id() != this);
        }
    }

    fn count_callable(&self, state: &State) {
        let callable = state.idle - state.called + (self.config.threads - state.threads);
        self.callable.store(callable as usize, Ordering::Relaxed);
    }

    /// A loop has gone that may wait for room.
    pub(super) fn forget(&self, port: &Arc<Port>) {
        let mut state = self.state.lock();
        state.hungry.retain(|other| !Arc::ptr_eq(other, port));
        self.hungry.store(state.hungry.len(), Ordering::Relaxed);
    }

    /// So many calls do not return, and their loop waits for them no more.
    pub(super) fn abandon(&self, calls: usize) {
        self.state.lock().abandoned += calls as i64;
    }

    /// Ends the threads, and waits for those that are not known to be stuck, at most until `deadline`.
    pub(super) fn close(&self, deadline: Instant) {
        let mut state = self.state.lock();
        state.is_closed = true;
        self.called.notify_all();
        let handles = std::mem::take(&mut state.handles);
        let this = thread::current().id();
        if handles.iter().any(|handle| handle.thread().id() == this) {
            // A job had the last share in its own pool: this thread ends after it.
            return;
        }
        while i64::from(state.threads) > state.abandoned {
            if self.ended.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        let all_ended = state.threads == 0;
        drop(state);
        for handle in handles {
            if all_ended || handle.is_finished() {
                // Nothing unwinds out of `run`.
                let _ = handle.join();
            }
        }
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> u32 {
        self.state.lock().threads
    }
}

/// Why a ticket waits.
#[derive(Debug)]
pub(super) enum Refused {
    Full,
    NoThread(io::Error),
}
