//! Several buffers: what goes to the ring for them, how what moves all goes on, and the memory that the kernel works on.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::opcode;
use proactor_core::{
    Backend, Buffer, Config, Done, Error, Fsync, Handle, IOV_MAX, Outcome, ReadVectored, ReadVectoredAt,
    ReadVectoredExact, ReadVectoredExactAt, Token, Until, WriteVectored, WriteVectoredAll,
    WriteVectoredAllAt, WriteVectoredAt,
};
use rustix::io::Errno;

use super::{CANCEL, POLL, RECV, Rig, SEND, SETUPS, in_a_child_with, is_child};
use crate::requests::Place;

const READV: u8 = opcode::Readv::CODE;
const WRITEV: u8 = opcode::Writev::CODE;
const RECV_MSG: u8 = opcode::RecvMsg::CODE;
const SEND_MSG: u8 = opcode::SendMsg::CODE;

fn zeroed(lens: &[usize]) -> Vec<Buffer> {
    lens.iter().map(|&len| Buffer::zeroed(len)).collect()
}

fn shares(shared: &Arc<[u8]>, count: usize) -> Vec<Buffer> {
    (0..count).map(|_| Arc::clone(shared).into()).collect()
}

/// Of an outcome on several buffers: whether it failed and why, how much was moved as far as that is told beside, and the
/// bytes of the buffers.
fn parts(mut outcome: Outcome) -> (Option<Error>, usize, Vec<u8>) {
    let error = outcome.error();
    let vectored = outcome.vectored().expect("an outcome on several buffers");
    let bytes = vectored.buffers.iter().map(Buffer::as_slice).collect::<Vec<_>>().concat();
    (error, vectored.transferred(), bytes)
}

impl Rig {
    /// Both ends of a pipe: the one to read in the loop, the one to write outside.
    fn pipe(&mut self) -> (Handle, File) {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        (self.attach(reader), File::from(writer))
    }

    /// A file without a name, of this length.
    pub(super) fn nameless(&mut self, len: usize) -> Handle {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::memfd_create("nameless", flags).unwrap());
        file.write_all(&vec![b'.'; len]).unwrap();
        self.attach(file)
    }

    /// How many entries of these went to the ring.
    fn all_pushed(&self, opcodes: &[u8]) -> Vec<usize> {
        opcodes.iter().map(|&opcode| self.pushed(opcode)).collect()
    }

    fn write_all_to(&mut self, handle: Handle, shared: &Arc<[u8]>, count: usize) -> Token {
        self.start(handle, WriteVectoredAll { handle, buffers: shares(shared, count) })
    }
}

#[test]
fn they_go_to_the_ring_once_and_nowhere_else() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (socket, mut far) = rig.pair();
        let (pipe, mut end) = rig.pipe();
        let handle = rig.nameless(100);
        far.write_all(b"0123456789").unwrap();
        end.write_all(b"0123456789").unwrap();
        let polls = rig.pushed(POLL);
        let (lens, texts) = (&[2, 0, 3], || vec![Buffer::from(b"one"), Buffer::from(b"two")]);
        let operations: [(u8, Handle, proactor_core::Operation); 10] = [
            (RECV_MSG, socket, ReadVectored { handle: socket, buffers: zeroed(lens) }.into()),
            (RECV_MSG, socket, ReadVectoredExact { handle: socket, buffers: zeroed(lens) }.into()),
            (SEND_MSG, socket, WriteVectored { handle: socket, buffers: texts() }.into()),
            (SEND_MSG, socket, WriteVectoredAll { handle: socket, buffers: texts() }.into()),
            (READV, pipe, ReadVectored { handle: pipe, buffers: zeroed(lens) }.into()),
            (READV, pipe, ReadVectoredExact { handle: pipe, buffers: zeroed(lens) }.into()),
            (READV, handle, ReadVectoredAt { handle, buffers: zeroed(lens), offset: 3 }.into()),
            (READV, handle, ReadVectoredExactAt { handle, buffers: zeroed(lens), offset: 3 }.into()),
            (WRITEV, handle, WriteVectoredAt { handle, buffers: texts(), offset: 3 }.into()),
            (WRITEV, handle, WriteVectoredAllAt { handle, buffers: texts(), offset: 3 }.into()),
        ];
        for (code, handle, operation) in operations {
            let (text, before) = (format!("{operation:?}"), rig.pushed(code));
            let token = rig.start(handle, operation);
            assert!(rig.done.is_empty(), "{text} is the kernel's");
            let (answered, outcome) = rig.next();
            assert_eq!((answered, outcome.error()), (token, None), "{text}");
            assert_eq!(rig.pushed(code), before + 1, "{text}");
        }
        let others = [RECV, SEND, opcode::Read::CODE, opcode::Write::CODE, POLL];
        assert_eq!(rig.all_pushed(&others), [0, 0, 0, 0, polls]);
        let mut bytes = [0; 12];
        far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"onetwoonetwo");
    }
}

#[test]
fn what_moves_all_goes_on_from_within_a_buffer() {
    let mut rig = Rig::new();
    let handle = rig.nameless(0);
    let len = 3 * IOV_MAX + 2;
    let shared: Arc<[u8]> = Arc::from(&b"ab"[..]);
    rig.start(handle, WriteVectoredAllAt { handle, buffers: shares(&shared, len), offset: 5 });
    let (error, moved, _) = parts(rig.next().1);
    assert_eq!((error, moved, rig.pushed(WRITEV)), (None, 2 * len, 4));
    rig.start(handle, ReadVectoredExactAt { handle, buffers: zeroed(&vec![3; len]), offset: 5 });
    let (error, moved, bytes) = parts(rig.next().1);
    assert_eq!((error, moved, rig.pushed(READV)), (Some(Error::EndOfStream), 2 * len, 4));
    assert!(bytes[..2 * len].chunks(2).all(|two| two == b"ab"));

    // A pipe brings what it is given, piece by piece.
    let (pipe, mut end) = rig.pipe();
    rig.start(pipe, ReadVectoredExact { handle: pipe, buffers: zeroed(&[3, 0, 4, 1]) });
    for piece in [&b"a"[..], b"bcd", b"ef"] {
        end.write_all(piece).unwrap();
        let pushed = rig.pushed(READV);
        while rig.pushed(READV) == pushed {
            assert!(rig.done.is_empty());
            rig.look();
        }
    }
    drop(end);
    assert_eq!(parts(rig.next().1), (Some(Error::EndOfStream), 6, b"abcdef\0\0".to_vec()));
}

/// What a kernel does not know, the pool does, with what is left of it.
#[test]
fn what_a_kernel_lacks_is_done_on_the_pool() {
    let mut rig = Rig::new();
    let handle = rig.nameless(100);
    rig.backend.requests.files.known &= !(1 << READV | 1 << WRITEV);
    let buffers = vec![Buffer::from(b"one"), Buffer::from(b"two")];
    rig.start(handle, WriteVectoredAllAt { handle, buffers, offset: 96 });
    rig.start(handle, ReadVectoredExactAt { handle, buffers: zeroed(&[2, 0, 5]), offset: 0 });
    rig.start(handle, ReadVectoredExactAt { handle, buffers: zeroed(&[0]), offset: 0 });
    assert_eq!(parts(rig.next().1), (None, 0, Vec::new()), "nothing needs nobody");
    while let Some((token, job)) = rig.done.take_returned() {
        rig.backend.returned(token, handle.slot(), job, &mut rig.done);
    }
    let mut ended = [parts(rig.next().1), parts(rig.next().1)];
    ended.sort_unstable_by_key(|(_, moved, _)| *moved);
    let expected = [(None, 6, b"onetwo".to_vec()), (None, 7, vec![b'.'; 7])];
    assert_eq!((ended, rig.all_pushed(&[READV, WRITEV])), (expected, vec![0, 0]));
    rig.close(handle);
}

#[test]
fn blocks_are_used_again_whatever_became_of_them() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let file = rig.nameless(100);
    for round in 0..300_u32 {
        let token = rig.start(handle, ReadVectoredExact { handle, buffers: zeroed(&[1, 3]) });
        rig.start(file, ReadVectoredAt { handle: file, buffers: zeroed(&[10, 20]), offset: 5 });
        let ended = rig.next();
        assert_eq!(parts(ended.1), (None, 0, vec![b'.'; 30]));
        if round % 3 == 0 {
            far.write_all(&[7]).unwrap();
            let pushed = rig.pushed(RECV_MSG);
            while rig.pushed(RECV_MSG) == pushed {
                rig.look();
            }
            assert!(rig.cancel(token, handle));
            assert_eq!(parts(rig.next().1), (Some(Error::Canceled), 1, vec![7, 0, 0, 0]));
        } else {
            far.write_all(&round.to_ne_bytes()).unwrap();
            assert_eq!(parts(rig.next().1), (None, 4, round.to_ne_bytes().to_vec()));
        }
    }
    assert_eq!((rig.backend.requests.vectored_blocks(), rig.pushed(CANCEL)), (2, 100));
    rig.close(handle);
    rig.close(file);
}

#[test]
fn what_would_block_after_all_waits_until_it_is_ready() {
    let mut rig = Rig::new();
    rig.never_wait();
    let (handle, mut far) = rig.pair();
    let polls = rig.pushed(POLL);
    rig.start(handle, ReadVectored { handle, buffers: zeroed(&[3, 3]) });
    rig.look();
    rig.look();
    assert_eq!((rig.done.len(), rig.pushed(RECV_MSG), rig.pushed(POLL)), (0, 1, polls + 1));
    far.write_all(b"bytes").unwrap();
    assert_eq!(parts(rig.next().1).2, b"bytes\0");
    let shared: Arc<[u8]> = Arc::from(vec![7; 1 << 20]);
    rig.write_all_to(handle, &shared, 32);
    let reader = std::thread::spawn(move || {
        let mut received = vec![0; 32 << 20];
        far.read_exact(&mut received).unwrap();
        received.iter().all(|&byte| byte == 7)
    });
    let (error, moved, _) = parts(rig.next().1);
    assert_eq!((error, moved, reader.join().unwrap()), (None, 32 << 20, true));
    assert!(rig.pushed(SEND_MSG) > 1 && rig.pushed(POLL) > polls + 1);
}

#[test]
fn a_write_that_writes_nothing_is_not_tried_for_ever() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    let shared: Arc<[u8]> = Arc::from(vec![0; 1 << 20]);
    rig.write_all_to(handle, &shared, 64);
    rig.look();
    let place = Place::writing(handle.slot());
    rig.take_back(place);
    rig.backend.moved_vectored(place, Ok(0), &mut rig.done);
    let (error, _, bytes) = parts(rig.next().1);
    assert_eq!((error, bytes.len()), (Some(Errno::IO.into()), 64 << 20));
}

#[test]
fn what_no_driver_would_start_is_refused() {
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    let file = rig.nameless(100);
    let fixed = || vec![Buffer::zeroed(3), Buffer::from(b"fixed")];
    for operation in [
        proactor_core::Operation::from(ReadVectored { handle, buffers: fixed() }),
        ReadVectoredExact { handle, buffers: fixed() }.into(),
    ] {
        rig.start(handle, operation);
        assert_eq!(parts(rig.next().1), (Some(Error::ReadOnlyBuffer), 0, b"\0\0\0fixed".to_vec()));
    }
    rig.start(file, ReadVectoredExactAt { handle: file, buffers: fixed(), offset: 0 });
    assert_eq!(parts(rig.next().1), (Some(Error::ReadOnlyBuffer), 0, b"\0\0\0fixed".to_vec()));
    let first = rig.start(handle, ReadVectored { handle, buffers: zeroed(&[3]) });
    rig.start(handle, ReadVectoredExact { handle, buffers: zeroed(&[4]) });
    assert_eq!(parts(rig.next().1), (Some(Error::Busy), 0, vec![0; 4]));
    // The same token again, and an operation of a file on its way as another's.
    rig.backend.start(first, handle.slot(), &mut rig.done);
    assert_eq!(parts(rig.next().1).0, Some(Error::Busy));
    assert!(!rig.cancel(first, file), "it waits elsewhere");
    rig.cancel(first, handle);
    rig.look();
    assert!(rig.done.is_empty());
    rig.close(handle);
    assert_eq!(rig.backend.requests.vectored_blocks(), 1);
}

/// What the kernel does goes on in its own memory, whatever the caller has done with its queue meanwhile.
#[test]
fn another_queue_than_it_was_started_with() {
    let mut rig = Rig::new();
    let (file, (pipe, mut end)) = (rig.nameless(8192), rig.pipe());
    let first =
        rig.start(file, ReadVectoredExactAt { handle: file, buffers: zeroed(&[96, 4000]), offset: 0 });
    rig.start(pipe, ReadVectoredExact { handle: pipe, buffers: zeroed(&[3, 3]) });
    let mut other = Done::new();
    assert_eq!(first, other.submit(Fsync { handle: file }.into()), "the same token, of another operation");
    end.write_all(b"bytes!").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while rig.backend.requests.files.uses(file.slot()) || rig.backend.close(pipe.slot()).is_err() {
        assert!(Instant::now() < deadline);
        rig.backend.wait(Until::Now, &mut other).unwrap();
    }
    assert!(other.is_empty() && rig.done.is_empty());
    rig.close(file);
}

#[test]
fn everything_in_flight_is_ended_and_freed() {
    for (entries, submitted) in [(1, true), (256, true), (256, false)] {
        let shared: Arc<[u8]> = Arc::from(vec![0; 1 << 20]);
        let mut rig = Rig::with(&Config::default().entries(entries), SETUPS[0]);
        let mut kept = Vec::new();
        for _ in 0..8 {
            let (handle, far) = rig.pair();
            kept.push(far);
            rig.start(handle, ReadVectoredExact { handle, buffers: zeroed(&[16, 16]) });
            rig.write_all_to(handle, &shared, 20);
            let file = rig.nameless(1 << 20);
            for _ in 0..3 {
                let buffers = zeroed(&[1 << 19, 1 << 19]);
                rig.start(file, ReadVectoredExactAt { handle: file, buffers, offset: 0 });
                let buffers = shares(&shared, 2);
                rig.start(file, WriteVectoredAllAt { handle: file, buffers, offset: 0 });
            }
        }
        if submitted {
            rig.look();
        }
        let before = Instant::now();
        drop(rig);
        assert!(before.elapsed() < Duration::from_secs(5));
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}

#[test]
fn what_the_kernel_does_not_let_go_of_is_not_freed() {
    const TEST: &str = "tests::vectored::what_the_kernel_does_not_let_go_of_is_not_freed";
    if !is_child(TEST) {
        // It is a leak, and a sanitizer that looks for them is right.
        return in_a_child_with(TEST, &[("ASAN_OPTIONS", "detect_leaks=0")]);
    }
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    let shared: Arc<[u8]> = Arc::from(vec![0; 8 << 20]);
    rig.write_all_to(handle, &shared, 4);
    rig.look();
    // A completion that nobody will hear of: as if the kernel were busy with it for ever.
    rig.backend.requests.pretend_to_be_stuck(Place::writing(handle.slot()));
    drop(rig);
    assert_eq!(Arc::strong_count(&shared), 5);
}
