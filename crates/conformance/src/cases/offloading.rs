//! What is to go to the pool, because a loop or an operation says so (contract X1, X2, X4, X5, C2, C5, H1, H2).

use std::io::Read;
use std::time::Duration;

use proactor_core::{
    Action, Allocate, Backend, Buffer, Cancel, Close, Config, Error, Fdatasync, Fsync, Handle, Key, Link,
    Loop, MakeDir, Offload, OneShot, ReadAt, ReadAtDone, RemoveDir, Rename, Statx, Symlink, Truncate, Unlink,
    Work, WriteAt,
};
use rustix::io::Errno;

use super::files::{contents, file, made, open, read};
use super::work::{Gate, on, pool};
use crate::Fixture;
use crate::scratch::Scratch;
use crate::steps::{Captures, Log, Steps, system};

/// Has the only thread of the loop's pool wait at a gate.
fn hold_up<B: Backend>(ev: &mut Loop<B, ()>) -> Gate {
    let (gate, pass) = Gate::new();
    ev.start(Work::new(pass));
    ev.no_wait();
    gate.wait_until_begun();
    gate
}

/// An operation under way, whichever it is.
struct Waiting {
    key: Key,
    is_done: Box<dyn Fn() -> bool>,
    result: Box<dyn Fn() -> Result<(), Error>>,
}

fn start<B: Backend, O: OneShot>(
    ev: &mut Loop<B, ()>,
    operation: O,
    result: fn(O::Output) -> Result<(), Error>,
) -> Waiting
where
    O::Output: 'static,
{
    let pending = std::rc::Rc::new(ev.start(operation));
    let (key, other) = (pending.key, std::rc::Rc::clone(&pending));
    Waiting {
        key,
        is_done: Box::new(move || other.is_done()),
        result: Box::new(move || result(pending.take())),
    }
}

/// Starts one of each kind that can be said to go to the pool, closing aside; `choose` says how.
macro_rules! start_each {
    ($ev:ident, $scratch:ident, $handle:ident, $choose:ident) => {{
        let path = |name: &str| $scratch.path(name);
        let (directory, handle) = (None, $handle);
        let target = || "file".into();
        [
            start(&mut $ev, $choose!(open(&$scratch, "opened", made())), |done| done.result.map(drop)),
            start(&mut $ev, $choose!(read(handle, 16, 0)), |done| done.result.map(drop)),
            start(&mut $ev, $choose!(WriteAt { handle, buffer: b"again".into(), offset: 0 }), |done| {
                done.result.map(drop)
            }),
            start(&mut $ev, $choose!(Fsync { handle }), |done| done.result),
            start(&mut $ev, $choose!(Fdatasync { handle }), |done| done.result),
            start(&mut $ev, $choose!(Truncate { handle, len: 5 }), |done| done.result),
            start(&mut $ev, $choose!(Allocate { handle, offset: 0, len: 5 }), |done| done.result),
            start(&mut $ev, $choose!(Statx::of(handle)), |done| done.result),
            start(
                &mut $ev,
                $choose!(Rename { directory, from: path("before"), to: path("renamed") }),
                |done| done.result,
            ),
            start(&mut $ev, $choose!(Link { directory, from: path("file"), to: path("linked") }), |done| {
                done.result
            }),
            start(
                &mut $ev,
                $choose!(Symlink { directory, target: target(), path: path("symlinked") }),
                |done| done.result,
            ),
            start(&mut $ev, $choose!(Unlink { directory, path: path("gone") }), |done| done.result),
            start(&mut $ev, $choose!(MakeDir { directory, path: path("made"), mode: 0o755 }), |done| {
                done.result
            }),
            start(&mut $ev, $choose!(RemoveDir { directory, path: path("removed") }), |done| done.result),
        ]
    }};
}

/// As the operation itself says.
macro_rules! on_pool {
    ($operation:expr) => {
        $operation.on_pool()
    };
}

/// As the loop says.
macro_rules! as_it_is {
    ($operation:expr) => {
        $operation
    };
}

/// The files that [`start_each`] needs; one of them open.
#[track_caller]
fn files_for_each<B: Backend>(ev: &mut Loop<B, ()>, scratch: &Scratch) -> Handle {
    file(ev, scratch, "gone", b"");
    file(ev, scratch, "before", b"");
    let made = ev.complete(MakeDir { directory: None, path: scratch.path("removed"), mode: 0o755 });
    assert_eq!(made.result, Ok(()));
    file(ev, scratch, "file", b"bytes")
}

/// Whether [`start_each`] has done what can be seen, or nothing of it.
#[track_caller]
fn assert_done(scratch: &Scratch, done: bool) {
    for name in ["opened", "renamed", "linked", "symlinked", "made"] {
        assert_eq!(scratch.real(name).exists(), done, "{name}");
    }
    for name in ["before", "gone", "removed"] {
        assert_eq!(scratch.real(name).exists(), !done, "{name}");
    }
    let bytes: &[u8] = if done { b"again" } else { b"bytes" };
    assert_eq!(std::fs::read(scratch.real("file")).unwrap(), bytes);
}

/// Each kind waits for a thread where it is to be done by one, because it says so or its loop, and ends well once there is
/// one; the rest of the loop goes on.
pub(crate) fn each_kind_waits_for_a_thread<B: Backend>(fixture: &Fixture<B>) {
    for by_the_loop in [false, true] {
        let scratch = Scratch::new(fixture);
        let config = Config::default().pool(pool(1));
        let config = if by_the_loop { config.offload(Offload::Always) } else { config };
        let mut ev: Loop<B, ()> = fixture.open_with(config);
        let handle = files_for_each(&mut ev, &scratch);
        let gate = hold_up(&mut ev);
        let all = if by_the_loop {
            start_each!(ev, scratch, handle, as_it_is)
        } else {
            start_each!(ev, scratch, handle, on_pool)
        };
        for _ in 0..3 {
            ev.idle();
        }
        assert!(all.iter().all(|waiting| !(waiting.is_done)()), "no thread has done anything");
        assert_done(&scratch, false);
        gate.open();
        ev.until_done();
        for waiting in &all {
            assert_eq!((waiting.result)(), Ok(()));
        }
        assert_done(&scratch, true);
    }
}

/// What no thread has begun ends at once when it is cancelled, and has done nothing.
pub(crate) fn waiting_for_a_thread_each_can_be_cancelled<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = on(fixture, &pool(1));
    let handle = files_for_each(&mut ev, &scratch);
    let gate = hold_up(&mut ev);
    let all = start_each!(ev, scratch, handle, on_pool);
    ev.idle();
    for waiting in &all {
        assert_eq!(ev.cancel(waiting.key), Cancel::Requested);
    }
    ev.no_wait();
    for waiting in &all {
        assert_eq!((waiting.result)(), Err(Error::Canceled));
    }
    let deleted = start_each!(ev, scratch, handle, on_pool);
    ev.no_wait();
    for waiting in &deleted {
        assert_eq!(ev.context().delete(waiting.key), Ok(()));
    }
    gate.open();
    ev.until_done();
    assert!(deleted.iter().all(|waiting| !(waiting.is_done)()), "nobody hears of them");
    assert_done(&scratch, false);
}

/// Its buffer comes back when its handle is closed under it, and when its deadline passes; dropping the loop lets go of it.
pub(crate) fn waiting_for_a_thread_it_ends_early<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = on(fixture, &pool(1));
    let handle = file(&mut ev, &scratch, "file", b"bytes");
    let gate = hold_up(&mut ev);
    let write = || WriteAt { handle, buffer: b"never written".into(), offset: 7 };
    let late = ev.complete(write().on_pool().with_timeout(Duration::from_millis(1)));
    assert_eq!(
        (late.result, &late.buffer[..], late.offset),
        (Err(Error::TimedOut), &b"never written"[..], 7)
    );
    let closed_under = ev.start(write().on_pool());
    ev.no_wait();
    let closed = ev.complete(Close { handle });
    assert_eq!(closed.result, Ok(()));
    let ended = closed_under.take();
    assert_eq!((ended.result, &ended.buffer[..]), (Err(Error::Canceled), &b"never written"[..]));
    let refused = ev.complete(write().on_pool());
    assert_eq!((refused.result, &refused.buffer[..]), (Err(Error::StaleHandle), &b"never written"[..]));
    gate.open();
    ev.until_done();
    assert_eq!(std::fs::read(scratch.real("file")).unwrap(), b"bytes");

    let captures = Captures::default();
    let handle = ev.complete(open(&scratch, "file", made())).result.unwrap();
    let gate = hold_up(&mut ev);
    for _ in 0..3 {
        let held = captures.capture();
        ev.context().submit(read(handle, 4096, 0).on_pool(), move |(), _, _| drop(held));
    }
    ev.no_wait();
    drop(gate);
    drop(ev);
    assert_eq!(captures.held(), 0);
}

/// An operation overrules its loop: what the kernel does by itself needs no thread, though the loop is one that has it all
/// done by threads.
pub(crate) fn an_operation_overrules_its_loop<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let config = Config::default().pool(pool(1)).offload(Offload::Always);
    let mut ev: Loop<B, ()> = fixture.open_with(config);
    let handle = file(&mut ev, &scratch, "file", b"bytes");
    let gate = hold_up(&mut ev);
    let waits = ev.start(read(handle, 16, 0));
    let done = ev.complete(read(handle, 16, 0).offload(Offload::WhereNeeded));
    assert_eq!((done.result, waits.is_done()), (Ok(5), false));
    // Each arming says so for itself.
    let log = Log::new();
    let times = log.clone();
    ev.context().submit_rearm(read(handle, 16, 0).offload(Offload::WhereNeeded), move |(), _, done| {
        times.push(done.result);
        if times.len() == 3 {
            return Action::Disarm;
        }
        let ReadAtDone { handle, buffer, offset, .. } = done;
        Action::Rearm(ReadAt { handle, buffer, offset }.offload(Offload::WhereNeeded))
    });
    ev.until(|| log.len() == 3);
    assert_eq!((log.take(), waits.is_done()), (vec![Ok(5); 3], false));
    gate.open();
    ev.until_done();
    assert_eq!(waits.take().result, Ok(5));
}

/// A handle that a thread closes is stale at once, what is pending on it ends, and the result comes when a thread has closed
/// it; until then nobody gets its number. It cannot be cancelled.
pub(crate) fn closing_waits_for_a_thread<B: Backend>(fixture: &Fixture<B>) {
    for by_the_loop in [false, true] {
        let config = Config::default().pool(pool(1));
        let config = if by_the_loop { config.offload(Offload::Always) } else { config };
        let mut ev: Loop<B, ()> = fixture.open_with(config);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let handle = ev.context().attach(writer).unwrap();
        let gate = hold_up(&mut ev);
        let pending = ev.start(proactor_core::WriteAll { handle, buffer: Buffer::zeroed(1 << 20) });
        ev.no_wait();
        let closed =
            if by_the_loop { ev.start(Close { handle }) } else { ev.start(Close { handle }.on_pool()) };
        assert_eq!(ev.context().detach(handle).map(drop), Err(Error::StaleHandle));
        let ended = ev.finish(&pending);
        assert_eq!(ended.result, Err(Error::Canceled));
        ev.idle();
        assert!(!closed.is_done(), "no thread has closed it");
        assert_eq!(ev.cancel(closed.key), Cancel::TooLate);
        ev.context().cancel_all();
        ev.idle();
        assert!(!closed.is_done());
        gate.open();
        assert_eq!(ev.finish(&closed).result, Ok(()));
        ev.until_done();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), ended.transferred, "its end");
        assert_eq!(ev.complete(Close { handle }.on_pool()).result, Err(Error::StaleHandle));
    }
}

/// Deleted, or with the loop gone, what was to be closed is closed all the same.
pub(crate) fn what_a_thread_was_to_close_is_closed<B: Backend>(fixture: &Fixture<B>) {
    for turns in 0..3 {
        for deleted in [false, true] {
            let mut ev = on(fixture, &pool(1));
            let (mut reader, writer) = std::io::pipe().unwrap();
            let handle = ev.context().attach(writer).unwrap();
            let gate = hold_up(&mut ev);
            let closed = ev.start(Close { handle }.on_pool());
            for _ in 0..turns {
                ev.no_wait();
            }
            if deleted {
                ev.context().delete(closed.key).unwrap();
                gate.open();
                ev.until_done();
                assert!(!closed.is_done(), "nobody hears of it");
            }
            drop(gate);
            drop(ev);
            assert_eq!(reader.read(&mut [0]).unwrap(), 0, "after {turns} turns");
        }
    }
}

/// Without a pool, the loop does what was to go there, with the same results; and a simulation does it in memory.
pub(crate) fn without_a_pool_the_loop_does_it<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev: Loop<B, ()> = fixture.open_with(Config::default().no_pool().offload(Offload::Always));
    let handle = files_for_each(&mut ev, &scratch);
    let all = start_each!(ev, scratch, handle, on_pool);
    ev.until_done();
    for waiting in &all {
        assert_eq!((waiting.result)(), Ok(()));
    }
    assert_eq!(contents(&mut ev, handle, 64, 0), b"again");
    let shared = ReadAt { handle, buffer: b"read only".into(), offset: 0 };
    let refused = ev.complete(shared.on_pool());
    assert_eq!((refused.result, &refused.buffer[..]), (Err(Error::ReadOnlyBuffer), &b"read only"[..]));
    assert_eq!(ev.complete(read(handle, 0, 0).on_pool()).result, Ok(0));
    let missing = Unlink { directory: None, path: scratch.path("missing") };
    let missing = ev.complete(missing.on_pool());
    assert_eq!((missing.result, missing.path), (Err(system(Errno::NOENT)), scratch.path("missing")));
    assert_eq!(ev.complete(Close { handle }.on_pool()).result, Ok(()));
    assert_eq!(ev.complete(read(handle, 8, 0).on_pool()).result, Err(Error::StaleHandle));
}
