//! Several buffers: what is done at once, what waits, and what a thread of the pool does.

use std::io::{Read, Write};
use std::sync::Arc;

use proactor_core::{
    Buffer, Error, Handle, IOV_MAX, Outcome, ReadVectored, ReadVectoredAt, ReadVectoredExact,
    ReadVectoredExactAt, WriteVectored, WriteVectoredAll, WriteVectoredAllAt, WriteVectoredAt,
};

use super::Rig;
use super::files::Scratch;

/// How many calls the loop's thread makes for one operation before others have their turn.
const CALLS: usize = 16;

fn zeroed(lens: &[usize]) -> Vec<Buffer> {
    lens.iter().map(|&len| Buffer::zeroed(len)).collect()
}

fn texts(texts: &[&'static [u8]]) -> Vec<Buffer> {
    texts.iter().map(|&text| text.into()).collect()
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
    /// The outcome of what was decided at once.
    fn at_once(&mut self) -> (Option<Error>, usize, Vec<u8>) {
        parts(self.done.pop().expect("it is decided at once").1)
    }

    fn file(&mut self, scratch: &Scratch) -> Handle {
        self.attach(scratch.open())
    }
}

#[test]
fn bytes_come_at_once_or_later() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    rig.start(handle, WriteVectored { handle, buffers: texts(&[b"ab", b"", b"cd"]) });
    assert_eq!(rig.at_once(), (None, 0, b"abcd".to_vec()));
    rig.start(handle, WriteVectoredAll { handle, buffers: texts(&[b"e", b"f"]) });
    assert_eq!(rig.at_once(), (None, 2, b"ef".to_vec()));
    let mut bytes = [0; 6];
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"abcdef");
    far.write_all(b"there").unwrap();
    rig.start(handle, ReadVectored { handle, buffers: zeroed(&[3, 0, 1]) });
    assert_eq!(rig.at_once(), (None, 0, b"ther".to_vec()));
    let exact = rig.start(handle, ReadVectoredExact { handle, buffers: zeroed(&[3, 3]) });
    assert!(rig.done.is_empty());
    far.write_all(b"later").unwrap();
    let (token, outcome) = rig.next();
    assert_eq!((token, parts(outcome)), (exact, (None, 6, b"elater".to_vec())));
    let exact = rig.start(handle, ReadVectoredExact { handle, buffers: zeroed(&[3, 3]) });
    far.write_all(b"last").unwrap();
    drop(far);
    let (token, outcome) = rig.next();
    assert_eq!((token, parts(outcome)), (exact, (Some(Error::EndOfStream), 4, b"last\0\0".to_vec())));
}

#[test]
fn what_is_cancelled_tells_how_far_it_came() {
    let mut rig = Rig::new();
    let (handle, mut far) = rig.pair();
    let shared: Arc<[u8]> = Arc::from(vec![7; 1 << 20]);
    let buffers = (0..64).map(|_| Arc::clone(&shared).into()).collect();
    let all = rig.start(handle, WriteVectoredAll { handle, buffers });
    assert!(rig.done.is_empty() && rig.cancel(all, handle));
    let (error, moved, bytes) = rig.at_once();
    assert_eq!((error, bytes.len()), (Some(Error::Canceled), 64 << 20));
    assert!(0 < moved && moved < 64 << 20);
    rig.close(handle);
    let mut received = Vec::new();
    far.read_to_end(&mut received).unwrap();
    assert!(received.len() == moved && received.iter().all(|&byte| byte == 7));
    assert_eq!(Arc::strong_count(&shared), 1);
}

/// A pipe that takes as much as it gets: others have their turn all the same.
#[test]
fn one_operation_has_its_turn_and_no_more() {
    let mut rig = Rig::new();
    let null = rig.attach(std::fs::File::options().write(true).open("/dev/null").unwrap());
    let count = CALLS * IOV_MAX + 1;
    let buffers = (0..count).map(|_| Buffer::from(b"x")).collect();
    rig.start(null, WriteVectoredAll { handle: null, buffers });
    assert!(rig.done.is_empty());
    rig.look();
    let (error, moved, _) = rig.at_once();
    assert_eq!((error, moved), (None, count));
}

#[test]
fn what_is_in_the_cache_is_read_at_once() {
    let scratch = Scratch::new(10_000);
    let mut rig = Rig::new();
    let handle = rig.file(&scratch);
    rig.start(handle, ReadVectoredAt { handle, buffers: zeroed(&[2, 0, 3]), offset: 9996 });
    assert_eq!(rig.at_once(), (None, 0, b"....\0".to_vec()));
    rig.start(handle, ReadVectoredExactAt { handle, buffers: zeroed(&[3, 4000]), offset: 9990 });
    let (error, moved, bytes) = rig.at_once();
    assert_eq!((error, moved, &bytes[..12]), (Some(Error::EndOfStream), 10, &b"..........\0\0"[..]));
    rig.start(handle, ReadVectoredExactAt { handle, buffers: zeroed(&[2; 3 * IOV_MAX]), offset: 0 });
    assert_eq!(rig.at_once(), (None, 6 * IOV_MAX, vec![b'.'; 6 * IOV_MAX]));
    assert!(rig.done.take_returned().is_none());
    rig.close(handle);
}

/// What takes many calls does not hold up the loop: a thread goes on where it has stopped.
#[test]
fn a_thread_of_the_pool_does_the_rest() {
    let scratch = Scratch::new(0);
    let mut rig = Rig::new();
    let handle = rig.file(&scratch);
    let count = (CALLS + 2) * IOV_MAX + 7;
    let bytes: Vec<u8> = (0..2 * count).map(|number| number as u8).collect();
    let buffers = bytes.chunks(2).map(|two| Buffer::from(two.to_vec())).collect();
    // On the file system of this machine a write may be one that cannot be done at once.
    rig.start(handle, WriteVectoredAllAt { handle, buffers, offset: 3 });
    let (error, moved, _) = parts(rig.take_returned(handle.slot()));
    assert_eq!((error, moved), (None, 2 * count));
    assert!(std::fs::read(&scratch.0).unwrap()[3..] == bytes);
    let lens = vec![2; CALLS * IOV_MAX];
    rig.start(handle, ReadVectoredExactAt { handle, buffers: zeroed(&lens), offset: 3 });
    let (error, moved, read) = rig.at_once();
    assert!((error, moved) == (None, 2 * CALLS * IOV_MAX) && read == bytes[..moved]);
    let lens = vec![2; count];
    rig.start(handle, ReadVectoredExactAt { handle, buffers: zeroed(&lens), offset: 3 });
    let (error, moved, read) = parts(rig.take_returned(handle.slot()));
    assert!((error, moved) == (None, 2 * count) && read == bytes);
    rig.start(handle, WriteVectoredAt { handle, buffers: texts(&[b"one", b"two"]), offset: 0 });
    let (error, _, bytes) = match rig.done.pop() {
        Some((_, outcome)) => parts(outcome),
        None => parts(rig.take_returned(handle.slot())),
    };
    assert_eq!((error, bytes), (None, b"onetwo".to_vec()));
    assert_eq!(std::fs::read(&scratch.0).unwrap()[..6], *b"onetwo");
    rig.close(handle);
}

// macOS and OpenBSD have no such flag.
#[cfg(not(any(target_vendor = "apple", target_os = "openbsd")))]
#[test]
fn what_goes_past_the_cache_is_for_the_pool() {
    use std::os::unix::fs::OpenOptionsExt;
    let scratch = Scratch::new(16_384);
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    let opened = std::fs::File::options().read(true).write(true).custom_flags(direct).open(&scratch.0);
    // A file system without such a thing has none to show.
    let Ok(file) = opened else { return };
    let mut rig = Rig::new();
    let handle = rig.attach(file);
    let aligned = || [8192, 4096].map(|len| Buffer::aligned(len, 4096).unwrap()).into();
    rig.start(handle, ReadVectoredAt { handle, buffers: aligned(), offset: 4096 });
    let (error, _, bytes) = parts(rig.take_returned(handle.slot()));
    assert!(error.is_none() && bytes == vec![b'.'; 12_288]);
    rig.start(handle, WriteVectoredAllAt { handle, buffers: aligned(), offset: 0 });
    assert_eq!(parts(rig.take_returned(handle.slot())).1, 12_288);
    rig.close(handle);
}
