//! Directories, read in batches (contract H3, C2, X1, X2, X5, H1, E1).

use std::collections::BTreeMap;

use proactor_core::{
    Backend, Cancel, Close, DirEntries, DirRead, Error, FileType, Handle, Loop, MakeDir, OpenAt, OpenOptions,
    ReadDir, RemoveDir, Statx, Symlink, Unlink, Work,
};
use rustix::io::Errno;

use super::files::file;
use super::work::{Gate, on, pool};
use crate::Fixture;
use crate::scratch::Scratch;
use crate::steps::{Captures, Steps, system};

/// How many files are in the directory of most cases, and more than one batch can hold.
const FILES: usize = 60;

/// Opens the directory of a case.
#[track_caller]
fn open<B: Backend>(ev: &mut Loop<B, ()>, scratch: &Scratch) -> Handle {
    let options = OpenOptions::read().directory();
    ev.complete(OpenAt { directory: None, path: scratch.directory(), options }).result.expect("a directory")
}

/// The same, with files in it.
#[track_caller]
fn open_full<B: Backend>(ev: &mut Loop<B, ()>, scratch: &Scratch) -> Handle {
    for number in 0..FILES {
        let handle = file(ev, scratch, &name(number), b"");
        ev.context().close(handle);
    }
    open(ev, scratch)
}

fn name(number: usize) -> String {
    format!("{number:02}-a-name-of-some-length-so-that-few-fit-into-one-batch")
}

/// The next batch, a small one.
fn next(handle: Handle) -> ReadDir {
    ReadDir { handle, entries: DirEntries::with_room(0), rewind: false }
}

fn names(read: &DirRead) -> impl Iterator<Item = String> {
    read.entries.iter().map(|entry| entry.file_name().to_str().expect("a name of the case").to_owned())
}

/// All there is comes once, in batches no larger than they may be, and then the end, as often as it is asked for; rewound, all
/// of it again, into the same memory.
pub(crate) fn all_comes_in_batches<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = open_full(&mut ev, &scratch);
    let made = ev.complete(MakeDir { directory: None, path: scratch.path("inner"), mode: 0o755 });
    assert_eq!(made.result, Ok(()));
    let link = Symlink { directory: None, target: "inner".into(), path: scratch.path("link") };
    assert_eq!(ev.complete(link).result, Ok(()));
    let mut entries = DirEntries::with_room(0);
    for round in 0..3 {
        let (mut found, mut batches) = (BTreeMap::new(), 0);
        loop {
            let rewind = round > 0 && batches == 0;
            let read = ev.complete(ReadDir { handle, entries, rewind });
            assert_eq!((read.handle, read.rewind, read.result), (handle, rewind, Ok(read.entries.len())));
            for entry in read.entries.iter() {
                let name = entry.file_name().to_str().unwrap().to_owned();
                assert!(found.insert(name, (entry.file_type, entry.inode)).is_none(), "each comes once");
            }
            let bytes: usize = read.entries.iter().map(|entry| entry.as_bytes().len()).sum();
            assert!(bytes <= read.entries.room(), "{bytes} bytes of names in one batch");
            entries = read.entries;
            if entries.is_empty() {
                break;
            }
            batches += 1;
        }
        assert!(batches > 1, "they do not fit into one");
        let mut expected: Vec<_> = (0..FILES).map(name).chain(["inner".into(), "link".into()]).collect();
        expected.sort();
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), expected);
        for (name, (file_type, inode)) in found {
            let kind = match &*name {
                "inner" => FileType::Directory,
                "link" => FileType::Symlink,
                _ => FileType::File,
            };
            assert!(file_type.is_none_or(|told| told == kind), "{name} is a {file_type:?}");
            if name != "link" {
                let told = ev.complete(Statx { path: scratch.path(&name), ..Statx::path("") });
                assert_eq!(told.metadata.inode, inode, "{name}");
            }
        }
        let read = ev.complete(ReadDir { handle, entries, rewind: false });
        assert_eq!(read.result, Ok(0), "it stays at its end");
        entries = read.entries;
    }
}

/// What is queued on one handle goes first in, first out: each gets what is behind the one before.
pub(crate) fn queued_batches_follow_each_other<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = open_full(&mut ev, &scratch);
    let reads: Vec<_> = (0..FILES + 2).map(|_| ev.start(next(handle))).collect();
    assert_eq!(ev.context().detach(handle).map(drop), Err(Error::Busy));
    ev.until_done();
    let reads: Vec<_> = reads.iter().map(|read| read.take()).collect();
    let mut all: Vec<_> = reads.iter().flat_map(names).collect();
    all.sort();
    assert_eq!(all, (0..FILES).map(name).collect::<Vec<_>>());
    let end = reads.iter().position(|read| read.result == Ok(0)).expect("there is an end");
    assert!(end > 1 && reads[end..].iter().all(|read| read.result == Ok(0)), "nothing comes behind the end");
}

/// An empty directory has its end, and what is removed meanwhile does not come any more.
pub(crate) fn a_directory_that_changes_is_read<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = open(&mut ev, &scratch);
    assert_eq!(ev.complete(next(handle)).result, Ok(0));
    file(&mut ev, &scratch, "first", b"");
    file(&mut ev, &scratch, "second", b"");
    let again = || ReadDir { rewind: true, ..next(handle) };
    let mut both: Vec<_> = names(&ev.complete(again())).collect();
    both.sort();
    assert_eq!(both, ["first", "second"]);
    let unlinked = ev.complete(Unlink { directory: None, path: scratch.path("first") });
    assert_eq!(unlinked.result, Ok(()));
    assert_eq!(names(&ev.complete(again())).collect::<Vec<_>>(), ["second"]);
}

/// What is no directory, or none any more, says so, and the memory comes back empty.
pub(crate) fn what_is_no_directory_says_so<B: Backend>(fixture: &Fixture<B>) {
    #[track_caller]
    fn fails<B: Backend>(ev: &mut Loop<B, ()>, handle: Handle, error: Error) {
        let mut entries = DirEntries::with_room(5000);
        entries.push(b"from before", None, 7);
        let read = ev.complete(ReadDir { handle, entries, rewind: true });
        assert_eq!((read.result, read.handle, read.rewind), (Err(error), handle, true));
        assert_eq!((read.entries.len(), read.entries.room()), (0, 5000));
    }
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let regular = file(&mut ev, &scratch, "file", b"bytes");
    let path = || scratch.path("removed");
    let made = ev.complete(MakeDir { directory: None, path: path(), mode: 0o755 });
    assert_eq!(made.result, Ok(()));
    let options = OpenOptions::read().directory();
    let removed = ev.complete(OpenAt { directory: None, path: path(), options }).result.unwrap();
    assert_eq!(ev.complete(RemoveDir { directory: None, path: path() }).result, Ok(()));
    let not = system(Errno::NOTDIR);
    fails(&mut ev, regular, not);
    if cfg!(unix) {
        // Hosts of WASI say that nothing is in it.
        fails(&mut ev, removed, system(Errno::NOENT));
    }
    if fixture.capabilities().ipv4 {
        let (client, _) = ev.pair();
        // One that is rewound first says that it has no positions.
        let read = ev.complete(next(client));
        assert_eq!(read.result, Err(not));
    }
    ev.context().close(removed);
    fails(&mut ev, removed, Error::StaleHandle);
}

/// Before its turn it is taken back: cancelled with its memory, deleted unheard, and the position stays where it was.
pub(crate) fn taken_back_while_queued_it_has_read_nothing<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = open_full(&mut ev, &scratch);
    let captures = Captures::default();
    let held = captures.capture();
    let deleted = ev.context().submit(next(handle), move |(), _, _| drop(held));
    let canceled = ev.start(next(handle));
    assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
    assert_eq!(ev.context().delete(deleted), Ok(()));
    let read = ev.finish(&canceled);
    assert_eq!((read.result, read.entries.room()), (Err(Error::Canceled), DirEntries::MIN_ROOM));
    ev.until_done();
    assert_eq!(captures.held(), 0);
    let mut all = 0;
    while let Ok(count @ 1..) = ev.complete(next(handle)).result {
        all += count;
    }
    assert_eq!(all, FILES);
}

/// One that no thread has begun ends at once when it is cancelled, though the pool is busy; closing its handle ends what is
/// there and what is behind it, and dropping the loop lets go of it.
pub(crate) fn waiting_for_a_thread_it_ends_early<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let (busy, (gate, pass)) = (pool(1), Gate::new());
    let mut ev = on(fixture, &busy);
    // Opened by whom it may be: the only thread is free as yet.
    let handle = open_full(&mut ev, &scratch);
    ev.start(Work::new(pass));
    ev.no_wait();
    gate.wait_until_begun();
    let first = ev.start(next(handle));
    let second = ev.start(next(handle));
    ev.no_wait();
    ev.idle();
    assert!(!first.is_done() && !second.is_done());
    assert_eq!(ev.cancel(first.key), Cancel::Requested);
    let read = ev.finish(&first);
    assert_eq!((read.result, read.entries.room()), (Err(Error::Canceled), DirEntries::MIN_ROOM));
    ev.no_wait();
    let third = ev.start(next(handle));
    let closed = ev.start(Close { handle });
    assert_eq!(ev.finish(&closed).result, Ok(()));
    for read in [second, third] {
        assert_eq!(read.take().result, Err(Error::Canceled));
    }
    gate.open();
    ev.until_done();
    let handle = open(&mut ev, &scratch);
    let (captures, (gate, pass)) = (Captures::default(), Gate::new());
    ev.start(Work::new(pass));
    ev.no_wait();
    gate.wait_until_begun();
    for _ in 0..3 {
        let held = captures.capture();
        ev.context().submit(next(handle), move |(), _, _| drop(held));
    }
    ev.no_wait();
    drop(gate);
    drop(ev);
    assert_eq!(captures.held(), 0);
}
