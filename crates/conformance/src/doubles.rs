//! Backends around backends: doubles that test core.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;

use proactor_core::{
    AcceptManyEnded, Backend, Capabilities, Config, Connection, Control, Done, Error, Family, Handle,
    NopDone, Outcome, OwnedDescriptor, Received, Reply, Slot, SocketKind, Time, Token, Until,
};

/// One breach of the rules of [`Backend`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mischief {
    /// Pushes outcomes for tokens that were never started.
    UnknownTokens,
    /// Pushes a second last outcome for what was started last, whether or not it had its own.
    Duplicate,
    /// Pushes an outcome of another kind for what was started last.
    Mismatch,
    /// Pushes an event of a multishot operation for what was started last.
    UnaskedEvent,
    /// Pushes the end of a multishot operation for what was started last.
    UnaskedEnd,
    /// Takes what was started last out of its record, and says that it is complete.
    EmptyCell,
    /// Names a handle that it has taken back already in an event for what was started last.
    StaleHandle,
}

impl Mischief {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::UnknownTokens,
        Self::Duplicate,
        Self::Mismatch,
        Self::UnaskedEvent,
        Self::UnaskedEnd,
        Self::EmptyCell,
        Self::StaleHandle,
    ];
}

/// What an [`Unruly`] backend does at its next wait, once.
pub type Script = Rc<Cell<Option<Mischief>>>;

/// A backend that does what `B` does, and breaks a rule where its script says so.
pub struct Unruly<B> {
    inner: B,
    script: Script,
    started: Token,
}

impl<B: Backend> Unruly<B> {
    /// One around `inner`.
    pub fn new(inner: B, script: Script) -> Self {
        Self { inner, script, started: Token { index: 0, arming: 0 } }
    }

    fn misbehave(&self, mischief: Mischief, done: &mut Done) {
        let nop = || Outcome::Nop(NopDone { result: Ok(()) });
        let token = self.started;
        match mischief {
            Mischief::UnknownTokens => {
                for index in [token.index + 1000, u32::MAX / 2, u32::MAX / 2 + 1, u32::MAX] {
                    for arming in [0, token.arming.wrapping_add(1), u32::MAX] {
                        done.push(Token { index, arming }, nop());
                    }
                }
                done.push(Token { index: token.index, arming: token.arming.wrapping_add(77) }, nop());
            }
            Mischief::Duplicate => {
                for _ in 0..2 {
                    let handle = done.new_handle();
                    done.discard_handle(handle);
                    let (buffer, result) = (vec![0; 8].into(), Ok(8));
                    done.push(token, Outcome::Recv(Received { handle, buffer, result }));
                }
            }
            Mischief::Mismatch => done.push(token, nop()),
            Mischief::UnaskedEvent => {
                let handle = done.new_handle();
                done.push(token, connection(handle));
            }
            Mischief::UnaskedEnd => {
                let listener = done.new_handle();
                done.discard_handle(listener);
                done.push(
                    token,
                    Outcome::AcceptManyEnded(AcceptManyEnded { listener, error: Error::Canceled }),
                );
            }
            Mischief::EmptyCell => {
                drop(done.take(token));
                done.decided(token);
                done.push(token, nop());
            }
            Mischief::StaleHandle => {
                let handle = done.new_handle();
                done.discard_handle(handle);
                done.push(token, connection(handle));
            }
        }
    }
}

fn connection(handle: Handle) -> Outcome {
    let address = "127.0.0.1:9".parse().expect("an address");
    Outcome::AcceptManyItem(Connection { handle, address })
}

impl<B> fmt::Debug for Unruly<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unruly").field("script", &self.script).finish_non_exhaustive()
    }
}

impl<B: Backend> Backend for Unruly<B> {
    const NAME: &'static str = "unruly";
    type Waker = B::Waker;

    fn open(config: &Config) -> io::Result<Self> {
        B::open(config).map(|inner| Self::new(inner, Script::default()))
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn waker(&self) -> B::Waker {
        self.inner.waker()
    }

    fn now(&self) -> Time {
        self.inner.now()
    }

    fn attach(&mut self, slot: Slot, descriptor: OwnedDescriptor) -> Result<(), (Error, OwnedDescriptor)> {
        self.inner.attach(slot, descriptor)
    }

    fn detach(&mut self, slot: Slot) -> Result<OwnedDescriptor, Error> {
        self.inner.detach(slot)
    }

    fn socket(&mut self, slot: Slot, family: Family, kind: SocketKind) -> Result<(), Error> {
        self.inner.socket(slot, family, kind)
    }

    fn control(&mut self, slot: Slot, control: Control) -> Result<Reply, Error> {
        self.inner.control(slot, control)
    }

    fn start(&mut self, token: Token, slot: Slot, done: &mut Done) {
        self.started = token;
        self.inner.start(token, slot, done);
    }

    fn cancel(&mut self, token: Token, slot: Slot, done: &mut Done) -> bool {
        self.inner.cancel(token, slot, done)
    }

    fn wait(&mut self, until: Until, done: &mut Done) -> Result<(), Error> {
        let mischief = self.script.take();
        let until = if mischief.is_some() { Until::Now } else { until };
        let waited = self.inner.wait(until, done);
        if let Some(mischief) = mischief {
            self.misbehave(mischief, done);
        }
        waited
    }

    fn flush(&mut self, done: &mut Done) -> Result<(), Error> {
        self.inner.flush(done)
    }

    fn close(&mut self, slot: Slot) -> Result<(), Error> {
        self.inner.close(slot)
    }
}
