//! The trait, driven without a loop.

mod cancel;
mod connect;
mod control;
mod datagram;
mod event_loop;
mod hostile;
mod random;
mod seed;
mod stream;
mod wait;

use std::collections::{BTreeMap, HashMap};

use rustix::io::Errno;

use crate::{
    Accept, Accepted, Address, Backend, Buffer, Config, Connect, Connected, Control, Done, Error, Family,
    Handle, Operation, Outcome, Received, Recv, Reply, Send, SendAll, Sent, SentAll, ShutDown, Shutdown,
    ShutdownHow, Sim, SocketKind, SocketOption, Token, Until,
};

/// A simulation, and what came out of it.
struct Bed {
    sim: Sim,
    done: Box<Done>,
    started: Vec<Token>,
    /// By [`Token::index`], oldest first.
    outcomes: HashMap<Token, Vec<Outcome>>,
}

impl Bed {
    fn new() -> Self {
        Self::with_seed(Sim::DEFAULT_SEED)
    }

    fn with_seed(seed: u64) -> Self {
        let sim = Sim::with_seed(&Config::default(), seed).unwrap();
        Self { sim, done: Done::new(), started: Vec::new(), outcomes: HashMap::new() }
    }

    /// Everything that can happen without another call, happens.
    fn settle(&mut self) {
        loop {
            self.sim.wait(Until::Now, &mut self.done).unwrap();
            if self.done.is_empty() {
                return;
            }
            self.collect();
        }
    }

    fn collect(&mut self) {
        while let Some((token, outcome)) = self.done.pop() {
            self.outcomes.entry(token).or_default().push(outcome);
        }
    }

    fn start(&mut self, operation: impl Into<Operation>) -> Token {
        let operation = operation.into();
        let slot = match operation.target() {
            crate::Target::Stream(handle, _) => handle.slot(),
            _ => crate::Slot(0),
        };
        let token = self.done.submit(operation);
        self.started.push(token);
        self.sim.start(token, slot, &mut self.done);
        token
    }

    /// The outcome of what was started as `token`, if there is one by now.
    fn poll(&mut self, token: Token) -> Option<Outcome> {
        self.settle();
        let outcomes = self.outcomes.get_mut(&token)?;
        (!outcomes.is_empty()).then(|| outcomes.remove(0))
    }

    fn outcome(&mut self, token: Token) -> Outcome {
        self.poll(token).unwrap_or_else(|| panic!("{token:?} is still under way"))
    }

    fn cancel(&mut self, token: Token, handle: Handle) -> bool {
        let held = self.sim.cancel(token, handle.slot(), &mut self.done);
        self.collect();
        held
    }

    fn socket(&mut self, family: Family) -> Handle {
        let handle = self.done.new_handle();
        self.sim.socket(handle.slot(), family, SocketKind::Stream).unwrap();
        handle
    }

    fn close(&mut self, handle: Handle) {
        self.sim.close(handle.slot()).unwrap();
        self.done.discard_handle(handle);
    }

    fn control(&mut self, handle: Handle, control: Control) -> Result<Reply, Error> {
        self.sim.control(handle.slot(), control)
    }

    fn set(&mut self, handle: Handle, option: SocketOption) {
        assert_eq!(self.control(handle, Control::Set(option)), Ok(Reply::Done));
    }

    fn bind(&mut self, handle: Handle, address: impl AsRef<str>) -> Result<Reply, Error> {
        self.control(handle, Control::Bind(address.as_ref().parse().unwrap()))
    }

    fn local(&mut self, handle: Handle) -> Address {
        match self.control(handle, Control::LocalAddress) {
            Ok(Reply::Address(address)) => address,
            other => panic!("no address but {other:?}"),
        }
    }

    fn port(&mut self, handle: Handle) -> u16 {
        self.local(handle).as_inet().unwrap().port()
    }

    /// Listens on `address`, which is told with its port.
    fn listener(&mut self, address: &str, backlog: u32) -> (Handle, Address) {
        let address: Address = address.parse().unwrap();
        let listener = self.socket(address.family());
        assert_eq!(self.control(listener, Control::Bind(address)), Ok(Reply::Done));
        assert_eq!(self.control(listener, Control::Listen(backlog)), Ok(Reply::Done));
        let address = self.local(listener);
        (listener, address)
    }

    /// Starts to connect a new socket to `address`.
    fn connect(&mut self, address: &Address) -> (Handle, Token) {
        let handle = self.socket(address.family());
        let token = self.start(Connect { handle, address: address.clone() });
        (handle, token)
    }

    fn connected(&mut self, token: Token) -> Result<(), Error> {
        match self.outcome(token) {
            Outcome::Connect(Connected { result, .. }) => result,
            other => panic!("not of a connect: {other:?}"),
        }
    }

    fn accepted(&mut self, token: Token) -> Result<(Handle, Address), Error> {
        match self.outcome(token) {
            Outcome::Accept(Accepted { result, .. }) => result,
            other => panic!("not of an accept: {other:?}"),
        }
    }

    /// A new connection: the connecting end and the accepted one.
    fn pair(&mut self) -> (Handle, Handle) {
        let (listener, address) = self.listener("127.0.0.1:0", 1);
        let (client, token) = self.connect(&address);
        assert_eq!(self.connected(token), Ok(()));
        let token = self.start(Accept { listener });
        let (server, _) = self.accepted(token).unwrap();
        self.close(listener);
        (client, server)
    }

    fn send(&mut self, handle: Handle, bytes: &'static [u8]) -> Result<usize, Error> {
        let token = self.start(Send { handle, buffer: bytes.into() });
        match self.outcome(token) {
            Outcome::Send(Sent { result, .. }) => result,
            other => panic!("not of a send: {other:?}"),
        }
    }

    fn start_recv(&mut self, handle: Handle, len: usize) -> Token {
        self.start(Recv { handle, buffer: Buffer::zeroed(len) })
    }

    fn received(&mut self, token: Token) -> Result<Vec<u8>, Error> {
        match self.outcome(token) {
            Outcome::Recv(Received { buffer, result, .. }) => Ok(buffer.slice(..result?).into_vec()),
            other => panic!("not of a receive: {other:?}"),
        }
    }

    fn recv(&mut self, handle: Handle, len: usize) -> Result<Vec<u8>, Error> {
        let token = self.start_recv(handle, len);
        self.received(token)
    }

    fn start_send_all(&mut self, handle: Handle, bytes: Vec<u8>) -> Token {
        self.start(SendAll { handle, buffer: bytes.into() })
    }

    fn sent_all(&mut self, token: Token) -> (usize, Result<(), Error>) {
        match self.outcome(token) {
            Outcome::SendAll(SentAll { transferred, result, .. }) => (transferred, result),
            other => panic!("not of a send: {other:?}"),
        }
    }

    fn shutdown(&mut self, handle: Handle, how: ShutdownHow) -> Result<(), Error> {
        let token = self.start(Shutdown { handle, how });
        match self.outcome(token) {
            Outcome::Shutdown(ShutDown { result, .. }) => result,
            other => panic!("not of a shutdown: {other:?}"),
        }
    }
}

/// A failure with the system's number.
fn fault<T>(errno: Errno) -> Result<T, Error> {
    Err(errno.into())
}

/// Bytes whose order can be checked.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}
