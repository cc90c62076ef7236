//! **proactor** over a simulated system: a deterministic [`Backend`] with sockets and files in memory and a
//! virtual clock.
//!
//! Nothing here makes a system call: a [`Sim`] has a network of its own, with a loopback interface for IPv4 and IPv6
//! and TCP and UDP over it, Unix sockets, files of its own, among them an empty directory `/tmp`, and a clock that only waiting moves.
//! The same seed and the same calls give the same outcomes in the same order, so a failure found once is found again,
//! and a timer of an hour takes no time to test.
//!
//! What the seed decides is what TCP leaves open: in which order the ready operations of different sockets complete,
//! how many bytes a transfer of more than a segment moves, which of several listeners on one port gets a
//! connection and which of several sockets a datagram, and in which order operations on files are done. Everything else,
//! faults with their error numbers above all, is as on Linux.
//!
//! ```
//! use std::time::Duration;
//!
//! use proactor_sim::{Config, Loop, RunMode, Time, Timer};
//!
//! # fn main() -> std::io::Result<()> {
//! let mut event_loop = Loop::<Time>::open(Config::default())?;
//! event_loop.context().submit(Timer::after(Duration::from_secs(3600)), |rang, context, expired| {
//!     assert_eq!(expired.result, Ok(()));
//!     *rang = context.now();
//! });
//! let mut rang = Time::ZERO;
//! event_loop.run(&mut rang, RunMode::UntilDone)?;
//! assert!(rang.since(Time::ZERO) >= Duration::from_secs(3600));
//! # Ok(())
//! # }
//! ```
//!
//! # What it is not
//! It has no descriptors of the system to attach or detach, no network beyond itself, no TIME_WAIT and no loss but
//! of datagrams that come to a full receive buffer: a connecting socket waits for ever where a real one would time out.
//! Its files have permissions, but nobody is refused for them.
#![warn(missing_docs)]

mod address;
mod attempt;
mod bytes;
mod choices;
mod clock;
mod datagram;
mod file;
mod files;
mod local_datagram;
mod message;
mod network;
mod parked;
mod recv_many;
mod resolve;
mod send_file;
mod signal;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod unix;
mod vectored;

use std::io;

pub use proactor_core::*;

use attempt::Attempt;
use choices::Choices;
use clock::Clock;
use file::Pending;
use files::Files;
use network::Network;
use parked::{Parked, Table};
use signal::Signal as Bell;

/// The event loop over a [`Sim`].
pub type Loop<S> = proactor_core::Loop<Sim, S>;

/// What callbacks of a [`Loop`] get.
pub type Context<'a, S> = proactor_core::Context<'a, Sim, S>;

/// Operations in, outcomes out, over a [`Sim`].
pub type Driver = proactor_core::Driver<Sim>;

/// A simulated system.
///
/// Under a loop, its seed is chosen by [`Loop::with_backend`].
///
/// Its clock starts near zero and stands still between calls. A wait that nothing ends jumps to its deadline at once;
/// any other turn takes a microsecond, a look at the clock a nanosecond. A wait without deadline blocks the thread until
/// another one wakes it; where no waker is left, it is [`Error::Deadlock`].
#[derive(Debug)]
pub struct Sim {
    clock: Clock,
    signal: Bell,
    network: Network,
    files: Files,
    /// Operations on files and names, to be done in the next pass.
    pending: Vec<Pending>,
    table: Table,
    choices: Choices,
    /// The bytes of several buffers in one piece; kept for its memory.
    gathered: Vec<u8>,
    /// What one pass tries; kept for its memory.
    pass: Vec<(Slot, Direction)>,
    /// What waits for a buffer of a pool that has run dry.
    dry: Dry<(Slot, Token)>,
    /// Outcomes of what was parked on a slot that was closed.
    ended: Vec<(Token, Outcome)>,
}

impl Sim {
    /// The seed of [`open`](Backend::open).
    pub const DEFAULT_SEED: u64 = 0;

    /// Opens a simulation that goes as `seed` decides.
    ///
    /// # Errors
    /// `InvalidInput` for a configuration out of range.
    pub fn with_seed(config: &Config, seed: u64) -> io::Result<Self> {
        config.check()?;
        Ok(Self {
            clock: Clock::new(),
            signal: Bell::default(),
            network: Network::new(),
            files: Files::new(),
            pending: Vec::new(),
            table: Table::default(),
            choices: Choices::new(seed),
            gathered: Vec::new(),
            pass: Vec::new(),
            dry: Dry::default(),
            ended: Vec::new(),
        })
    }

    /// Tries everything that is ready now, once. Returns whether there was anything.
    fn pass(&mut self, done: &mut Done) -> bool {
        for (slot, direction) in self.network.touched.drain(..) {
            self.table.make_ready(slot, direction);
        }
        let mut pass = std::mem::take(&mut self.pass);
        self.table.swap_ready(&mut pass);
        self.choices.order(&mut pass);
        let any = !pass.is_empty();
        for (slot, direction) in pass.drain(..) {
            let Some((socket, token, work)) = self.table.take_to_try(slot, direction) else { continue };
            match self.attempt(socket, token, work, done) {
                Attempt::Complete(outcome) => done.push(token, outcome),
                Attempt::Blocked(work) => self.table.park_again(slot, token, work),
                Attempt::Unfinished(work) => self.table.park(slot, token, work),
            }
        }
        self.pass = pass;
        any | self.do_pending(done)
    }

    /// Whether something is in a slot.
    fn is_taken(&self, slot: Slot) -> bool {
        self.table.is_taken(slot) || self.files.is_open(slot)
    }

    /// Pushes what ended outside a wait.
    fn push_ended(&mut self, done: &mut Done) {
        for (token, outcome) in self.ended.drain(..) {
            done.push(token, outcome);
        }
    }
}

impl Backend for Sim {
    const NAME: &'static str = "sim";

    type Waker = signal::Waker;

    fn open(config: &Config) -> io::Result<Self> {
        Self::with_seed(config, Self::DEFAULT_SEED)
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.ipv4 = true;
        capabilities.ipv6 = true;
        capabilities.unix_sockets = true;
        capabilities.streams = true;
        capabilities.threads = true;
        capabilities.files = true;
        capabilities.devices = true;
        capabilities.virtual_time = true;
        capabilities.unwinding = cfg!(panic = "unwind");
        capabilities
    }

    fn waker(&self) -> Self::Waker {
        self.signal.waker()
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn attach(&mut self, slot: Slot, descriptor: OwnedDescriptor) -> Result<(), (Error, OwnedDescriptor)> {
        let error = if self.is_taken(slot) { Error::Busy } else { Error::Unsupported };
        Err((error, descriptor))
    }

    fn detach(&mut self, slot: Slot) -> Result<OwnedDescriptor, Error> {
        Err(if self.is_taken(slot) { Error::Unsupported } else { Error::StaleHandle })
    }

    fn socket(&mut self, slot: Slot, family: Family, kind: SocketKind) -> Result<(), Error> {
        if self.is_taken(slot) {
            return Err(Error::Busy);
        }
        let is_known = matches!(family, Family::Ipv4 | Family::Ipv6 | Family::Unix)
            && matches!(kind, SocketKind::Stream | SocketKind::Datagram);
        if !is_known {
            return Err(Error::Unsupported);
        }
        let socket = self.network.open(family, kind, slot);
        self.table.insert(slot, socket);
        Ok(())
    }

    fn control(&mut self, slot: Slot, control: Control) -> Result<Reply, Error> {
        let socket = self.table.socket(slot).ok_or_else(|| self.no_socket(slot))?;
        match control {
            Control::Bind(address) if self.network.is_local(socket) => {
                self.bind_local(socket, &address)?;
                Ok(Reply::Done)
            }
            control => self.network.control(socket, control),
        }
    }

    fn start(&mut self, token: Token, slot: Slot, done: &mut Done) {
        let Some(operation) = done.take(token) else { return };
        let begun = match (operation.target(), operation) {
            (Target::None, Operation::Resolve(resolve)) => Err(Outcome::Resolve(resolve::resolve(resolve))),
            (Target::None, Operation::Nop(Nop)) => Err(Outcome::Nop(NopDone { result: Ok(()) })),
            (Target::Stream(_, direction), operation) => match self.table.vacant(slot, direction) {
                Ok(socket) => self.begin(socket, operation),
                Err(Error::StaleHandle) => Err(self.on_a_file(slot, operation)),
                Err(error) => Err(operation.fail(error)),
            },
            (Target::Unordered(_), operation) => return self.begin_file(token, Some(slot), operation, done),
            (Target::None, operation) => return self.begin_file(token, None, operation, done),
            // Timers, notifiers and closing are core's own.
            (_, operation) => Err(operation.fail(Error::Unsupported)),
        };
        match begun {
            Ok(work) => self.table.park(slot, token, work),
            Err(outcome) => done.push(token, outcome),
        }
    }

    fn cancel(&mut self, token: Token, slot: Slot, done: &mut Done) -> bool {
        if let Some(operation) = self.take_pending(token) {
            done.push(token, operation.fail(Error::Canceled));
            return true;
        }
        let Some((socket, work)) = self.table.take(slot, token) else { return false };
        if !self.dry.is_empty() {
            self.dry.remove(&(slot, token));
        }
        let outcome = self.decided(socket, work).unwrap_or_else(|work| {
            if matches!(work, parked::Work::Connect(_)) {
                self.network.withdraw_connect(socket);
            }
            work.fail(Error::Canceled)
        });
        done.push(token, outcome);
        true
    }

    fn wait(&mut self, until: Until, done: &mut Done) -> Result<(), Error> {
        let woken = self.signal.take();
        self.push_ended(done);
        let has_buffers = !self.dry.is_empty() && self.take_dry();
        while self.pass(done) && done.is_empty() {}
        if woken || has_buffers || !done.is_empty() {
            self.clock.turn();
            return Ok(());
        }
        match until {
            Until::Now => self.clock.turn(),
            Until::Deadline(deadline) if deadline < Time::NEVER => self.clock.sleep(deadline),
            Until::Deadline(_) | Until::Forever => {
                self.signal.wait()?;
                self.clock.turn();
            }
        }
        Ok(())
    }

    fn flush(&mut self, done: &mut Done) -> Result<(), Error> {
        self.push_ended(done);
        self.clock.turn();
        Ok(())
    }

    fn awaits_buffers(&self) -> bool {
        !self.dry.is_empty()
    }

    fn close(&mut self, slot: Slot) -> Result<(), Error> {
        self.end_pending(slot);
        if self.files.close(slot) {
            return Ok(());
        }
        let (socket, parked) = self.table.remove(slot).ok_or(Error::StaleHandle)?;
        for Parked { token, work, .. } in parked {
            self.dry.remove(&(slot, token));
            self.ended.push((token, work.fail(Error::Canceled)));
        }
        let bound = self.network.close(socket);
        self.release_name(bound);
        Ok(())
    }
}
