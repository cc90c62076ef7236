//! Receiving for as long as bytes come, with the kernel's rings of buffers and without.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proactor_core::{Backend, Buffer, BufferPool, Error, Handle, Outcome, RecvMany, Token, Wake};

use super::{POLL, RECV, Rig, in_a_child_with, is_child};
use crate::requests::Place;

/// Counts how often it was woken, and shows by its clones whether a pool is still there.
#[derive(Clone, Default)]
struct Bell(Arc<AtomicUsize>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn pool_is_there(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Rig {
    fn pool(&self, count: u32, size: usize) -> BufferPool {
        self.done.buffer_pool(count, size, self.backend.waker()).unwrap()
    }

    fn recv_many(&mut self, handle: Handle, pool: &BufferPool) -> Token {
        let token = self.start(handle, RecvMany { handle, pool: pool.clone() });
        self.look();
        token
    }

    /// The next outcome, a piece of a `RecvMany`.
    fn piece(&mut self) -> Buffer {
        match self.next() {
            (_, Outcome::RecvManyItem(buffer)) => buffer,
            other => panic!("expected a piece, got {other:?}"),
        }
    }

    /// The next outcome, the end of a `RecvMany`.
    fn end_of_many(&mut self) -> Result<(), Error> {
        match self.next() {
            (_, Outcome::RecvManyEnded(ended)) => ended.result,
            other => panic!("expected an end, got {other:?}"),
        }
    }
}

/// With rings of buffers, and as on kernels that have none.
fn rigs() -> [Rig; 2] {
    let mut without = Rig::new();
    without.backend.requests.receives_many = false;
    [Rig::new(), without]
}

#[test]
fn one_entry_receives_all_that_comes() {
    let mut rig = Rig::new();
    assert!(rig.backend.requests.receives_many, "this kernel can");
    let (near, mut far) = rig.pair();
    let pool = rig.pool(8, 64);
    let before = (rig.pushed(RECV), rig.pushed(POLL));
    rig.recv_many(near, &pool);
    for round in 0..100_u8 {
        far.write_all(&[round; 64]).unwrap();
        assert_eq!(rig.piece()[..], [round; 64]);
    }
    assert_eq!((rig.pushed(RECV), rig.pushed(POLL)), (before.0 + 1, before.1));
    far.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rig.end_of_many(), Ok(()));
}

#[test]
fn without_rings_it_waits_without_a_buffer() {
    let [_, mut rig] = rigs();
    let (near, mut far) = rig.pair();
    let pool = rig.pool(1, 64);
    let token = rig.recv_many(near, &pool);
    for round in 0..10_u8 {
        assert!(pool.has_free());
        far.write_all(&[round; 64]).unwrap();
        assert_eq!(rig.piece()[..], [round; 64]);
        rig.look();
    }
    far.write_all(b"the end").unwrap();
    drop(far);
    assert_eq!(&rig.piece()[..], b"the end");
    assert_eq!(rig.end_of_many(), Ok(()));
    assert!(!rig.cancel(token, near));
}

#[test]
fn a_dry_pool_is_waited_for() {
    for mut rig in rigs() {
        let (near, mut far) = rig.pair();
        let pool = rig.pool(2, 4);
        rig.recv_many(near, &pool);
        far.write_all(b"aaaabbbbccccdddde").unwrap();
        far.shutdown(Shutdown::Write).unwrap();
        let mut kept = vec![rig.piece(), rig.piece()];
        for expected in [&b"aaaa"[..], b"bbbb", b"cccc"] {
            rig.look();
            rig.look();
            assert!(rig.done.is_empty(), "there is no buffer");
            let calls = rig.system_calls();
            assert_eq!(&kept.remove(0)[..], expected);
            kept.push(rig.piece());
            assert!(rig.system_calls() - calls < 20);
        }
        assert_eq!((&kept[0][..], &kept[1][..]), (&b"dddd"[..], &b"e"[..]));
        drop(kept);
        assert_eq!(rig.end_of_many(), Ok(()));
    }
}

#[test]
fn what_waits_for_a_buffer_can_be_cancelled() {
    for mut rig in rigs() {
        let (near, mut far) = rig.pair();
        let pool = rig.pool(1, 4);
        let token = rig.recv_many(near, &pool);
        far.write_all(b"aaaabbbb").unwrap();
        let kept = rig.piece();
        rig.look();
        rig.look();
        assert!(rig.cancel(token, near));
        assert_eq!(rig.end_of_many(), Err(Error::Canceled));
        assert!(!rig.cancel(token, near));
        drop(kept);
        rig.recv_many(near, &pool);
        assert_eq!(&rig.piece()[..], b"bbbb");
        rig.look();
        assert!(rig.done.is_empty());
    }
}

#[test]
fn what_waits_for_bytes_can_be_cancelled() {
    for mut rig in rigs() {
        let (near, mut far) = rig.pair();
        let pool = rig.pool(1, 4);
        let token = rig.recv_many(near, &pool);
        assert!(rig.cancel(token, near) && rig.cancel(token, near));
        assert_eq!(rig.end_of_many(), Err(Error::Canceled));
        far.write_all(b"late").unwrap();
        rig.recv(near);
        assert_eq!(rig.received(), Ok(b"late".to_vec()));
    }
}

#[test]
fn a_pool_goes_when_nothing_uses_it() {
    for mut rig in rigs() {
        let (near, mut far) = rig.pair();
        let bell = Bell::default();
        let pool = rig.done.buffer_pool(4, 16, bell.clone()).unwrap();
        let token = rig.recv_many(near, &pool);
        drop(pool);
        far.write_all(b"bytes").unwrap();
        let kept = rig.piece();
        assert!(rig.cancel(token, near));
        assert_eq!(rig.end_of_many(), Err(Error::Canceled));
        rig.look();
        assert!(bell.pool_is_there(), "a buffer is out");
        assert_eq!(&kept[..], b"bytes");
        drop(kept);
        rig.look();
        assert!(!bell.pool_is_there());
        // Its number is another's then.
        let (first, second) = (rig.pool(1, 8), rig.pool(1, 8));
        let (other, mut other_far) = rig.pair();
        rig.recv_many(near, &first);
        rig.recv_many(other, &second);
        other_far.write_all(b"second").unwrap();
        assert_eq!(&rig.piece()[..], b"second");
        far.write_all(b"first").unwrap();
        assert_eq!(&rig.piece()[..], b"first");
    }
}

#[test]
fn dropped_in_flight_it_frees_the_pool_and_leaves_buffers() {
    for mut rig in rigs() {
        let bell = Bell::default();
        let pool = rig.done.buffer_pool(2, 4, bell.clone()).unwrap();
        let (near, mut far) = rig.pair();
        let (dry, mut dry_far) = rig.pair();
        let (idle, mut idle_far) = rig.pair();
        rig.recv_many(near, &pool);
        far.write_all(b"aaaabbbb").unwrap();
        let kept = [rig.piece(), rig.piece()];
        rig.recv_many(dry, &pool);
        dry_far.write_all(b"cccc").unwrap();
        rig.look();
        rig.recv_many(idle, &pool);
        drop((rig, pool));
        assert!(bell.pool_is_there());
        assert_eq!((&kept[0][..], &kept[1][..]), (&b"aaaa"[..], &b"bbbb"[..]));
        drop(kept);
        assert!(!bell.pool_is_there());
        // What nobody had received tells the peer so, as the system does.
        assert!(dry_far.read(&mut [0; 1]).is_err());
        assert_eq!(idle_far.read(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn a_pool_that_the_kernel_does_not_let_go_of_is_not_freed() {
    const TEST: &str = "tests::recv_many::a_pool_that_the_kernel_does_not_let_go_of_is_not_freed";
    if !is_child(TEST) {
        // It is a leak, and a sanitizer that looks for them is right.
        return in_a_child_with(TEST, &[("ASAN_OPTIONS", "detect_leaks=0")]);
    }
    let mut rig = Rig::new();
    let bell = Bell::default();
    let pool = rig.done.buffer_pool(2, 1 << 20, bell.clone()).unwrap();
    let (near, _far) = rig.pair();
    rig.recv_many(near, &pool);
    rig.backend.requests.pretend_to_be_stuck(Place::reading(near.slot()));
    drop((rig, pool));
    assert!(bell.pool_is_there());
}

#[test]
fn only_streams_can_be_received_from_without_end() {
    for mut rig in rigs() {
        let (near, _far) = UnixDatagram::pair().unwrap();
        let near = rig.attach(near);
        let pool = rig.pool(1, 8);
        rig.recv_many(near, &pool);
        assert_eq!(rig.end_of_many(), Err(Error::Unsupported));
        let file = rig.attach(std::fs::File::open("/dev/null").unwrap());
        rig.recv_many(file, &pool);
        assert_eq!(rig.end_of_many(), Err(Error::Unsupported));
    }
}
