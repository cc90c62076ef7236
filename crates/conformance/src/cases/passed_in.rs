//! What whoever runs a program passes in: a listener, standard input and standard output (contract H1, H3, H5, C1, C5, R1, X1,
//! X2, X4, L1).
//!
//! A [companion](crate::outside) connects to the one, and reads and writes at the other end of the others.

use std::os::fd::OwnedFd;
use std::time::Duration;

use proactor_core::{
    Accept, AcceptMany, Backend, Buffer, Cancel, Error, Event, Flow, Handle, Loop, OneShot, Read, ReadExact,
    ReadVectored, ReadVectoredExact, Recv, SendAll, Shutdown, ShutdownHow, WriteAll,
};

use rustix::fs::OFlags;

use crate::Fixture;
use crate::outside::{self, Outside};
use crate::peers::{receive_all, status_flags};
use crate::steps::{Log, Steps, assert_bytes};

const MS: Duration = Duration::from_millis(1);

/// Far more than an answer takes, and little enough to be waited for.
const LONG: Duration = Duration::from_secs(10);

fn recv(handle: Handle) -> Recv {
    Recv { handle, buffer: Buffer::zeroed(64) }
}

fn read(handle: Handle) -> Read {
    Read { handle, buffer: Buffer::zeroed(64) }
}

/// Connections to a listener that was passed in: accepted in order, received from, sent to and shut down.
pub(crate) fn connections_are_accepted<B: Backend>(fixture: &Fixture<B>) {
    let (listener, outside) = Outside::listening();
    let mut ev = fixture.open();
    let listener = ev.context().attach(listener).unwrap();
    let accepts = [ev.start(Accept { listener }), ev.start(Accept { listener })];
    ev.no_wait();
    assert!(!accepts[0].is_done() && !accepts[1].is_done(), "nobody has connected");
    outside.connect_a_pair();
    let [one, other] = accepts.map(|accept| ev.finish(&accept).result.unwrap().0);
    let waiting = ev.start(recv(other));
    ev.no_wait();
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(SendAll { handle: one, buffer: b"there".into() }).result, Ok(()));
    let received = ev.finish(&waiting);
    assert_eq!((received.result, &received.buffer[..5]), (Ok(5), &b"there"[..]));
    assert_eq!(ev.complete(SendAll { handle: other, buffer: b"and back".into() }).result, Ok(()));
    assert_eq!(ev.complete(Shutdown { handle: other, how: ShutdownHow::Write }).result, Ok(()));
    assert_eq!(receive_all(&mut ev, one, 3), (b"and back".to_vec(), Ok(())));
    // One direction is over, the other is not.
    assert_eq!(ev.complete(SendAll { handle: one, buffer: b"still".into() }).result, Ok(()));
    assert_eq!(ev.complete(Shutdown { handle: one, how: ShutdownHow::Write }).result, Ok(()));
    assert_eq!(receive_all(&mut ev, other, 64), (b"still".to_vec(), Ok(())));
}

/// One operation accepts them all, and what it leaves the next one gets. The listener comes out as it was.
pub(crate) fn many_are_accepted_until_it_stops<B: Backend>(fixture: &Fixture<B>) {
    let (listener, outside) = Outside::listening();
    let flags = status_flags(&listener);
    let mut ev = fixture.open();
    let listener = ev.context().attach(listener).unwrap();
    let (accepted, ended) = (Log::new(), Log::new());
    let (seen, over) = (accepted.clone(), ended.clone());
    ev.context().submit_multishot(AcceptMany { listener }, move |(), _cx, event| match event {
        Event::More(connection) => {
            seen.push(connection.handle);
            if seen.len() == 4 { Flow::Stop } else { Flow::Continue }
        }
        Event::Last(last) => {
            over.push(last.output.error);
            Flow::Stop
        }
    });
    ev.no_wait();
    for _ in 0..2 {
        outside.connect_a_pair();
    }
    ev.until(|| ended.len() == 1);
    assert_eq!(ended.take(), [Error::Canceled]);
    let handles = accepted.take();
    assert_eq!(handles.len(), 4);
    for (number, pair) in handles.chunks(2).enumerate() {
        let text = format!("pair {number}").into_bytes();
        assert_eq!(ev.complete(SendAll { handle: pair[0], buffer: text.clone().into() }).result, Ok(()));
        let received = ev.complete(recv(pair[1]));
        assert_eq!((received.result, &received.buffer[..6]), (Ok(6), &text[..]));
    }
    outside.connect_a_pair();
    for _ in 0..2 {
        assert!(ev.complete(Accept { listener }).result.is_ok(), "the listener goes on");
    }
    let back = ev.context().detach(listener).unwrap();
    assert_eq!(status_flags(&back), flags);
}

/// What waits for a connection ends when it is cancelled, timed out, deleted, or when its listener closes, and takes no
/// connection with it.
pub(crate) fn a_waiting_accept_can_be_ended<B: Backend>(fixture: &Fixture<B>) {
    let (listener, outside) = Outside::listening();
    let mut ev = fixture.open();
    let listener = ev.context().attach(listener).unwrap();
    let accept = || Accept { listener };
    let canceled = ev.start(accept());
    ev.no_wait();
    assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
    assert_eq!(ev.finish(&canceled).result.map(drop), Err(Error::Canceled));
    assert_eq!(ev.complete(accept().with_timeout(10 * MS)).result.map(drop), Err(Error::TimedOut));
    let deleted = ev.start(accept());
    ev.no_wait();
    ev.context().delete(deleted.key).unwrap();
    outside.connect_a_pair();
    let connections =
        [ev.complete(accept()), ev.complete(accept())].map(|accepted| accepted.result.unwrap().0);
    assert!(!deleted.is_done());
    assert_eq!(ev.complete(SendAll { handle: connections[0], buffer: b"hello".into() }).result, Ok(()));
    assert_eq!(ev.complete(recv(connections[1])).result, Ok(5));
    let closed = ev.start(accept());
    ev.no_wait();
    ev.context().close(listener);
    assert_eq!(ev.finish(&closed).result.map(drop), Err(Error::Canceled));
    assert_eq!(ev.complete(accept()).result.map(drop), Err(Error::StaleHandle));
}

/// Standard input and output in a loop, and what they were before.
struct Standard<B: Backend> {
    ev: Loop<B, ()>,
    input: Handle,
    output: Handle,
    flags: [OFlags; 2],
}

impl<B: Backend> Standard<B> {
    fn open(fixture: &Fixture<B>) -> Self {
        let mut ev = fixture.open();
        let [input, output] = outside::standard_streams();
        let flags = [status_flags(&input), status_flags(&output)];
        let mut attach = |stream: OwnedFd| ev.context().attach(stream).expect("a descriptor");
        let (input, output) = (attach(input), attach(output));
        Self { ev, input, output, flags }
    }

    /// Has the companion write `text` and the end of a line to standard input.
    fn have_answered(&mut self, text: &str) {
        self.say(format!("{}{text}\n", outside::ANSWER));
    }

    fn say(&mut self, line: String) {
        let len = line.len();
        let written = self.ev.complete(WriteAll { handle: self.output, buffer: line.into_bytes().into() });
        assert_eq!((written.result, written.transferred), (Ok(()), len));
    }

    /// Runs until the outcome is there.
    fn complete<O: OneShot>(&mut self, operation: O) -> O::Output
    where
        O::Output: 'static,
    {
        self.ev.complete(operation)
    }

    /// Takes them out, for others to use again.
    fn close(mut self) {
        let back = [self.input, self.output].map(|handle| self.ev.context().detach(handle).unwrap());
        assert_eq!([status_flags(&back[0]), status_flags(&back[1])], self.flags);
        outside::give_back(back);
    }
}

/// What is written to standard output arrives, and so does what is written to standard input, up to its end.
pub(crate) fn standard_streams_are_read_and_written<B: Backend>(fixture: &Fixture<B>) {
    outside::with_companion(fixture, "talk_over_standard_streams", talk_over_standard_streams::<B>);
}

pub(crate) fn talk_over_standard_streams<B: Backend>(fixture: &Fixture<B>) {
    let mut standard = Standard::open(fixture);
    let input = standard.input;
    let waiting = standard.ev.start(read(input));
    standard.ev.no_wait();
    standard.ev.no_wait();
    assert!(!waiting.is_done(), "nothing was written yet");
    standard.have_answered("hello");
    let found = standard.ev.finish(&waiting);
    assert_eq!((found.result, &found.buffer[..6]), (Ok(6), &b"hello\n"[..]));
    // More than pipes hold, and more than one read or write moves.
    let long: String = ('a'..='y').cycle().take(300_000).collect();
    standard.have_answered(&long);
    let exact = standard.complete(ReadExact { handle: input, buffer: Buffer::zeroed(long.len() + 1) });
    assert_eq!((exact.result, exact.transferred), (Ok(()), long.len() + 1));
    assert_bytes(&exact.buffer[..long.len()], long.as_bytes());
    standard.say(format!("{}\n", outside::END));
    assert_eq!(standard.complete(read(input)).result, Ok(0));
    assert_eq!(standard.complete(read(input)).result, Ok(0), "the end stays");
    standard.close();
}

/// A read that waits for standard input ends when it is cancelled, timed out or deleted, and takes nothing with it.
pub(crate) fn what_waits_for_standard_input_can_be_ended<B: Backend>(fixture: &Fixture<B>) {
    outside::with_companion(fixture, "wait_for_standard_input", wait_for_standard_input::<B>);
}

pub(crate) fn wait_for_standard_input<B: Backend>(fixture: &Fixture<B>) {
    let mut standard = Standard::open(fixture);
    let input = standard.input;
    let canceled = standard.ev.start(read(input));
    standard.ev.no_wait();
    assert_eq!(standard.ev.cancel(canceled.key), Cancel::Requested);
    assert_eq!(standard.ev.finish(&canceled).result, Err(Error::Canceled));
    assert_eq!(standard.complete(read(input).with_timeout(10 * MS)).result, Err(Error::TimedOut));
    let deleted = standard.ev.start(read(input));
    standard.ev.no_wait();
    standard.ev.context().delete(deleted.key).unwrap();
    standard.have_answered("for another");
    let found = standard.complete(read(input));
    assert_eq!((found.result, &found.buffer[..12]), (Ok(12), &b"for another\n"[..]));
    assert!(!deleted.is_done());
    standard.close();
}

/// A read into several buffers takes what there is, also where that fills the first of them to its end: it does not wait for
/// the second.
pub(crate) fn several_buffers_are_read_as_far_as_there_is_input<B: Backend>(fixture: &Fixture<B>) {
    outside::with_companion(fixture, "read_into_several_buffers", read_into_several_buffers::<B>);
}

pub(crate) fn read_into_several_buffers<B: Backend>(fixture: &Fixture<B>) {
    let mut standard = Standard::open(fixture);
    let handle = standard.input;
    let buffers = |lens: &[usize]| lens.iter().map(|len| Buffer::zeroed(*len)).collect::<Vec<_>>();
    let several = standard.ev.start(ReadVectored { handle, buffers: buffers(&[6, 10]) });
    standard.have_answered("first");
    let found = standard.ev.finish(&several);
    assert_eq!((found.result, &found.buffers[0][..]), (Ok(6), &b"first\n"[..]));
    let exact =
        standard.ev.start(ReadVectoredExact { handle, buffers: buffers(&[3, 3, 5]) }.with_timeout(LONG));
    standard.have_answered("one");
    for _ in 0..20 {
        standard.ev.run_for(&mut (), MS).unwrap();
    }
    assert!(!exact.is_done(), "there is more to come");
    standard.have_answered("second");
    let found = standard.ev.finish(&exact);
    assert_eq!((found.result, found.transferred), (Ok(()), 11));
    assert_eq!(found.buffers.iter().map(|buffer| &buffer[..]).collect::<Vec<_>>().concat(), b"one\nsecond\n");
    standard.close();
}
