//! Names in directories: given, taken, changed, and what they name (contract C2, R2).

use proactor_core::{
    Backend, FileType, Handle, Link, Links, Loop, MakeDir, OpenAt, OpenOptions, RemoveDir, Rename, Statx,
    Symlink, Unlink,
};
use rustix::io::Errno;

use super::file_ends::exists;
use super::files::{contents, file, open};
use crate::Fixture;
use crate::scratch::Scratch;
use crate::steps::{Steps, system};

fn directory<B: Backend>(ev: &mut Loop<B, ()>, scratch: &Scratch, name: &str) {
    let made = ev.complete(MakeDir { directory: None, path: scratch.path(name), mode: 0o755 });
    assert_eq!((made.result, made.path, made.mode), (Ok(()), scratch.path(name), 0o755));
}

/// What a name in the scratch directory is, links not followed.
#[track_caller]
fn told<B: Backend>(
    ev: &mut Loop<B, ()>,
    scratch: &Scratch,
    name: &str,
    links: Links,
) -> (FileType, u64, u32) {
    let done = ev.complete(Statx { path: scratch.path(name), links, ..Statx::path("") });
    assert_eq!((done.result, done.links), (Ok(()), links));
    (done.metadata.file_type, done.metadata.len, done.metadata.links)
}

/// A file moves from one name to another, over what was there before.
pub(crate) fn a_file_is_renamed<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let moved = file(&mut ev, &scratch, "from", b"moved");
    let replaced = file(&mut ev, &scratch, "to", b"replaced");
    let rename = |from, to| Rename { directory: None, from: scratch.path(from), to: scratch.path(to) };
    let done = ev.complete(rename("from", "to"));
    assert_eq!((done.result, done.from, done.to), (Ok(()), scratch.path("from"), scratch.path("to")));
    assert!(!exists(&mut ev, scratch.path("from")));
    let opened = ev.complete(open(&scratch, "to", OpenOptions::read())).result.unwrap();
    assert_eq!(contents(&mut ev, opened, 64, 0), b"moved");
    // Who has them open keeps them.
    assert_eq!(contents(&mut ev, replaced, 64, 0), b"replaced");
    assert_eq!(contents(&mut ev, moved, 64, 0), b"moved");
    assert_eq!(ev.complete(rename("missing", "to")).result, Err(system(Errno::NOENT)));
    directory(&mut ev, &scratch, "directory");
    assert_eq!(ev.complete(rename("to", "directory")).result, Err(system(Errno::ISDIR)));
    assert_eq!(ev.complete(rename("directory", "to")).result, Err(system(Errno::NOTDIR)));
    assert_eq!(ev.complete(rename("directory", "directory/inside")).result, Err(system(Errno::INVAL)));
    assert_eq!(ev.complete(rename("to", "directory/to")).result, Ok(()));
    assert_eq!(ev.complete(rename("directory", "moved")).result, Ok(()));
    assert_eq!(told(&mut ev, &scratch, "moved/to", Links::Stay), (FileType::File, 5, 1));
}

/// A file may have several names, and is gone with the last.
pub(crate) fn a_file_has_several_names<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let handle = file(&mut ev, &scratch, "first", b"bytes");
    let link = |from, to| Link { directory: None, from: scratch.path(from), to: scratch.path(to) };
    let done = ev.complete(link("first", "second"));
    assert_eq!((done.result, done.from, done.to), (Ok(()), scratch.path("first"), scratch.path("second")));
    assert_eq!(told(&mut ev, &scratch, "second", Links::Stay), (FileType::File, 5, 2));
    assert_eq!(ev.complete(link("first", "second")).result, Err(system(Errno::EXIST)));
    assert_eq!(ev.complete(link("missing", "third")).result, Err(system(Errno::NOENT)));
    let unlink = |name| Unlink { directory: None, path: scratch.path(name) };
    let done = ev.complete(unlink("first"));
    assert_eq!((done.result, done.path), (Ok(()), scratch.path("first")));
    assert_eq!(ev.complete(unlink("first")).result, Err(system(Errno::NOENT)));
    assert_eq!(told(&mut ev, &scratch, "second", Links::Stay), (FileType::File, 5, 1));
    assert_eq!(ev.complete(unlink("second")).result, Ok(()));
    assert!(!exists(&mut ev, scratch.path("second")));
    assert_eq!(contents(&mut ev, handle, 64, 0), b"bytes", "open, it stays without a name");
    assert_eq!(ev.complete(Statx::of(handle)).metadata.links, 0);
}

/// A symbolic link leads to what it says, or to nothing.
pub(crate) fn a_symbolic_link_is_followed_or_not<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    file(&mut ev, &scratch, "file", b"bytes");
    let symlink =
        |target: &str, name| Symlink { directory: None, target: target.into(), path: scratch.path(name) };
    let done = ev.complete(symlink("file", "link"));
    assert_eq!((done.result, done.target, done.path), (Ok(()), "file".into(), scratch.path("link")));
    assert_eq!(ev.complete(symlink("file", "link")).result, Err(system(Errno::EXIST)));
    assert_eq!(told(&mut ev, &scratch, "link", Links::Stay), (FileType::Symlink, 4, 1));
    assert_eq!(told(&mut ev, &scratch, "link", Links::Follow), (FileType::File, 5, 1));
    let opened = ev.complete(open(&scratch, "link", OpenOptions::read())).result.unwrap();
    assert_eq!(contents(&mut ev, opened, 64, 0), b"bytes");
    assert_eq!(ev.complete(symlink("nowhere", "dangling")).result, Ok(()));
    assert!(!exists(&mut ev, scratch.path("dangling")));
    assert_eq!(told(&mut ev, &scratch, "dangling", Links::Stay), (FileType::Symlink, 7, 1));
    assert_eq!(ev.complete(symlink("round", "round")).result, Ok(()));
    let circle = ev.complete(open(&scratch, "round", OpenOptions::read()));
    assert_eq!(circle.result.map(drop), Err(system(Errno::LOOP)));
    assert_eq!(ev.complete(Unlink { directory: None, path: scratch.path("link") }).result, Ok(()));
    assert!(exists(&mut ev, scratch.path("file")), "the link alone is gone");
}

/// A directory is made, filled, emptied and removed.
pub(crate) fn a_directory_is_made_and_removed<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    directory(&mut ev, &scratch, "outer");
    directory(&mut ev, &scratch, "outer/inner");
    let again = MakeDir { directory: None, path: scratch.path("outer"), mode: 0o755 };
    assert_eq!(ev.complete(again).result, Err(system(Errno::EXIST)));
    let nowhere = MakeDir { directory: None, path: scratch.path("missing/inner"), mode: 0o755 };
    assert_eq!(ev.complete(nowhere).result, Err(system(Errno::NOENT)));
    assert_eq!(told(&mut ev, &scratch, "outer", Links::Stay).0, FileType::Directory);
    file(&mut ev, &scratch, "outer/file", b"");
    let remove = |name| RemoveDir { directory: None, path: scratch.path(name) };
    assert_eq!(ev.complete(remove("outer")).result, Err(system(Errno::NOTEMPTY)));
    assert_eq!(ev.complete(remove("outer/file")).result, Err(system(Errno::NOTDIR)));
    let unlink = |name| Unlink { directory: None, path: scratch.path(name) };
    assert_eq!(ev.complete(unlink("outer/inner")).result, Err(system(Errno::ISDIR)));
    assert_eq!(ev.complete(unlink("outer/file")).result, Ok(()));
    let done = ev.complete(remove("outer/inner"));
    assert_eq!((done.result, done.path), (Ok(()), scratch.path("outer/inner")));
    assert_eq!(ev.complete(remove("outer")).result, Ok(()));
    assert!(!exists(&mut ev, scratch.path("outer")));
}

/// Names are relative to a directory that is a handle.
pub(crate) fn names_are_relative_to_a_handle<B: Backend>(fixture: &Fixture<B>) {
    fn open_directory<B: Backend>(ev: &mut Loop<B, ()>, scratch: &Scratch) -> Handle {
        let options = OpenOptions::read().directory();
        ev.complete(OpenAt { directory: None, path: scratch.directory(), options }).result.unwrap()
    }
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let directory = Some(open_directory(&mut ev, &scratch));
    let done = ev.complete(MakeDir { directory, path: "made".into(), mode: 0o755 });
    assert_eq!((done.result, done.directory), (Ok(()), directory));
    file(&mut ev, &scratch, "file", b"bytes");
    let done = ev.complete(Link { directory, from: "file".into(), to: "made/linked".into() });
    assert_eq!((done.result, done.directory), (Ok(()), directory));
    let done = ev.complete(Rename { directory, from: "made/linked".into(), to: "renamed".into() });
    assert_eq!((done.result, done.directory), (Ok(()), directory));
    let done = ev.complete(Symlink { directory, target: "renamed".into(), path: "symlinked".into() });
    assert_eq!((done.result, done.directory), (Ok(()), directory));
    assert_eq!(told(&mut ev, &scratch, "symlinked", Links::Follow), (FileType::File, 5, 2));
    let done = ev.complete(Unlink { directory, path: "renamed".into() });
    assert_eq!((done.result, done.directory), (Ok(()), directory));
    let done = ev.complete(RemoveDir { directory, path: "made".into() });
    assert_eq!((done.result, done.directory), (Ok(()), directory));
    assert!(!exists(&mut ev, scratch.path("made")) && !exists(&mut ev, scratch.path("renamed")));
}
