//! Cases that look between a turn and its deliveries: on the driver, without callbacks.

use std::time::Duration;

use proactor_core::{
    Accept, Address, Backend, Connect, Driver, Error, Handle, Key, Outcome, Recv, SendAll, Until,
};

use crate::steps::{IPV4, address};

/// How long a turn waits for what the system has promised already.
const SETTLING_TIME: Duration = Duration::from_millis(5);

/// Where a driver is led turn by turn.
pub(crate) trait Turns {
    /// One turn that does not wait.
    fn turn_now(&mut self);

    /// Turns until what the system has promised is queued: a few, which do not wait once something is.
    fn settle(&mut self);

    /// Turns until the outcome of `key` comes out, nothing else having come before.
    fn outcome_of(&mut self, key: Key) -> Outcome;

    /// A listener on a free port of the loopback, and its address.
    fn listener(&mut self) -> (Handle, Address);

    /// Sends all of `bytes`.
    fn send(&mut self, handle: Handle, bytes: &'static [u8]);

    /// Receives once.
    fn receive_result(&mut self, handle: Handle) -> Result<Vec<u8>, Error>;

    /// Receives once, what must be there.
    fn receive(&mut self, handle: Handle) -> Vec<u8>;
}

impl<B: Backend> Turns for Driver<B> {
    #[track_caller]
    fn turn_now(&mut self) {
        self.turn(Until::Now).expect("a turn that does not wait");
    }

    #[track_caller]
    fn settle(&mut self) {
        for _ in 0..10 {
            self.turn_now();
            let end = self.update_now() + SETTLING_TIME;
            self.turn(Until::Deadline(end)).expect("a turn that waits a little");
        }
    }

    #[track_caller]
    fn outcome_of(&mut self, key: Key) -> Outcome {
        loop {
            if let Some((found, outcome)) = self.pop() {
                assert_eq!(found, key, "{outcome:?}");
                return outcome;
            }
            self.turn(Until::Forever).expect("a turn that waits");
        }
    }

    #[track_caller]
    fn listener(&mut self) -> (Handle, Address) {
        listener_on(self, address(IPV4))
    }

    #[track_caller]
    fn send(&mut self, handle: Handle, bytes: &'static [u8]) {
        let key = self.submit(SendAll { handle, buffer: bytes.into() });
        let Outcome::SendAll(sent) = self.outcome_of(key) else { panic!("a send ends as one") };
        assert_eq!((sent.result, sent.transferred), (Ok(()), bytes.len()));
    }

    #[track_caller]
    fn receive_result(&mut self, handle: Handle) -> Result<Vec<u8>, Error> {
        let key = self.submit(Recv { handle, buffer: vec![0; 64].into() });
        let Outcome::Recv(received) = self.outcome_of(key) else { panic!("a receive ends as one") };
        received.result.map(|count| received.buffer[..count].to_vec())
    }

    #[track_caller]
    fn receive(&mut self, handle: Handle) -> Vec<u8> {
        self.receive_result(handle).expect("something to receive")
    }
}

#[track_caller]
fn listener_on<B: Backend>(driver: &mut Driver<B>, wanted: Address) -> (Handle, Address) {
    let listener = driver.socket(wanted.family()).expect("a socket");
    driver.bind(listener, wanted).expect("a free port");
    driver.listen_on(listener, 16).expect("a listener");
    let bound = driver.local_address(listener).expect("a listener has an address");
    (listener, bound)
}

/// Two ends of a connection, both in this driver, and nothing else under way.
#[track_caller]
pub(crate) fn pair<B: Backend>(driver: &mut Driver<B>) -> (Handle, Handle) {
    pair_on(driver, address(IPV4))
}

/// The same, where nothing can connect.
#[cfg(not(unix))]
#[track_caller]
pub(crate) fn pair_on<B: Backend>(driver: &mut Driver<B>, _wanted: Address) -> (Handle, Handle) {
    crate::given::pair_in(driver)
}

/// The same at a free place of `wanted`.
#[cfg(unix)]
#[track_caller]
pub(crate) fn pair_on<B: Backend>(driver: &mut Driver<B>, wanted: Address) -> (Handle, Handle) {
    let (listener, address) = listener_on(driver, wanted);
    let client = driver.socket(address.family()).expect("a socket");
    let accept = driver.submit(Accept { listener });
    let connect = driver.submit(Connect { handle: client, address });
    let (mut server, mut connected) = (None, false);
    while server.is_none() || !connected {
        match driver.pop() {
            Some((key, Outcome::Accept(accepted))) if key == accept => {
                server = Some(accepted.result.expect("a connection is accepted").0);
            }
            Some((key, Outcome::Connect(outcome))) if key == connect => connected = outcome.result == Ok(()),
            Some(other) => panic!("not asked for: {other:?}"),
            None => driver.turn(Until::Forever).expect("a turn that waits"),
        }
    }
    driver.close(listener);
    (client, server.expect("it was accepted"))
}
