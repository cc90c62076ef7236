//! Files that others see as well: the standard library, other descriptors of the process, and pipes with names
//! (contract H2, H3, H4, X2, X5).

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use proactor_core::{Backend, Buffer, Cancel, Create, Error, Fsync, OpenAt, OpenOptions, Statx, WriteAt};

use super::files::{contents, made, open, read};
use crate::Fixture;
use crate::scratch::Scratch;
use crate::steps::{Steps, assert_bytes, pattern};

/// A file of the standard library goes in, is read and written at positions, and comes out with its own position where
/// it was.
pub(crate) fn positions_leave_the_file_s_own_alone<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let mut file =
        File::options().read(true).write(true).create_new(true).open(scratch.real("file")).unwrap();
    file.write_all(b"0123456789").unwrap();
    file.seek(SeekFrom::Start(3)).unwrap();
    let handle = ev.context().attach(file).unwrap();
    assert_eq!(contents(&mut ev, handle, 4, 5), b"5678");
    assert_eq!(ev.complete(WriteAt { handle, buffer: b"ab".into(), offset: 6 }).result, Ok(2));
    let mut file = File::from(ev.context().detach(handle).unwrap());
    assert_eq!(file.stream_position().unwrap(), 3);
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "345ab89");
}

/// What is written is what others read, and what they know of it is what is told.
#[cfg(unix)]
pub(crate) fn others_see_what_is_written<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let options = OpenOptions::write().create(Create::New).mode(0o640);
    let handle = ev.complete(open(&scratch, "file", options)).result.unwrap();
    let bytes = pattern(2, 100_000);
    assert_eq!(
        ev.complete(WriteAt { handle, buffer: bytes.clone().into(), offset: 0 }).result,
        Ok(bytes.len())
    );
    assert_eq!(ev.complete(Fsync { handle }).result, Ok(()));
    assert_bytes(&fs::read(scratch.real("file")).unwrap(), &bytes);
    let told = ev.complete(Statx::of(handle)).metadata;
    let known = File::open(scratch.real("file")).unwrap();
    let known_std = known.metadata().unwrap();
    let known = rustix::fs::fstat(&known).unwrap();
    assert_eq!((told.len, told.blocks), (known.st_size as u64, known.st_blocks as u64));
    assert_eq!((told.inode, told.links), (known.st_ino, known.st_nlink as u32));
    assert_eq!((told.owner, told.group), (known.st_uid, known.st_gid));
    assert_eq!(told.mode, known.st_mode as u32 & 0o7777);
    let device = (rustix::fs::major(known.st_dev), rustix::fs::minor(known.st_dev));
    assert_eq!((told.device, told.block_size), (device, known.st_blksize as u32));
    assert_eq!(told.modified, known_std.modified().unwrap());
    assert_eq!(told.accessed, known_std.accessed().unwrap());
    assert_eq!(told.created, known_std.created().ok());
}

/// A descriptor that is attached is what it is: a directory names what is in it, a null device takes everything.
pub(crate) fn attached_descriptors_are_what_they_are<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    fs::write(scratch.real("file"), b"bytes").unwrap();
    let directory = ev.context().attach(File::open(scratch.directory().as_path()).unwrap()).unwrap();
    let inside = OpenAt { directory: Some(directory), path: "file".into(), options: OpenOptions::read() };
    let inside = ev.complete(inside).result.unwrap();
    assert_eq!(contents(&mut ev, inside, 64, 1), b"ytes");
    let zero = ev.context().attach(File::open("/dev/zero").unwrap()).unwrap();
    assert_eq!(contents(&mut ev, zero, 1000, 12), vec![0; 1000]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"kept").unwrap();
    let reader = ev.context().attach(reader).unwrap();
    let done = ev.complete(read(reader, 8, 0));
    assert_eq!((done.result, done.buffer.len()), (Err(crate::steps::system(rustix::io::Errno::SPIPE)), 8));
    let mut reader = std::io::PipeReader::from(ev.context().detach(reader).unwrap());
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
}

/// The number of a file that is closed while it is read, and of the one that gets it next, are not confused: no read
/// gives what belongs to the other.
pub(crate) fn a_recycled_number_is_not_read<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 1 << 20;
    let scratch = Scratch::new(fixture);
    fs::write(scratch.real("ours"), vec![b'o'; LEN]).unwrap();
    fs::write(scratch.real("theirs"), vec![b't'; LEN]).unwrap();
    let mut recycled = 0;
    for round in 0..20 {
        let mut ev = fixture.open();
        let ours = File::open(scratch.real("ours")).unwrap();
        let number = ours.as_raw_fd();
        let handle = ev.context().attach(ours).unwrap();
        let reads: Vec<_> = (0..8).map(|_| ev.start(read(handle, LEN, 0))).collect();
        if round % 2 == 0 {
            ev.no_wait();
        }
        ev.context().close(handle);
        let theirs = File::open(scratch.real("theirs")).unwrap();
        recycled += usize::from(theirs.as_raw_fd() == number);
        for read in &reads {
            let done = ev.finish(read);
            let read = done.result.unwrap_or(0);
            assert!(matches!(done.result, Ok(LEN) | Err(Error::Canceled)), "{:?}", done.result);
            assert!(done.buffer[..read].iter().all(|&byte| byte == b'o'), "another file's bytes");
        }
        ev.until_done();
        let later = File::open(scratch.real("theirs")).unwrap();
        recycled += usize::from(later.as_raw_fd() == number);
        drop(theirs);
    }
    // Hosts of WASI need not, and some do not.
    assert!(recycled > 0 || cfg!(not(unix)), "a number was used again, or this shows nothing");
}

/// Opening a pipe that nobody writes to waits, and holds up nothing else. It can be cancelled, and the loop dropped.
#[cfg(unix)]
pub(crate) fn opening_a_pipe_that_nobody_writes_to_can_be_given_up<B: Backend>(fixture: &Fixture<B>) {
    let scratch = Scratch::new(fixture);
    let pipe = scratch.real("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut ev = fixture.open();
    let stuck = ev.start(open(&scratch, "pipe", OpenOptions::read()));
    let file = ev.complete(open(&scratch, "file", made())).result.unwrap();
    assert_eq!(ev.complete(WriteAt { handle: file, buffer: b"meanwhile".into(), offset: 0 }).result, Ok(9));
    ev.idle();
    assert!(!stuck.is_done());
    assert_eq!(ev.cancel(stuck.key), Cancel::Requested);
    // On a thread of a pool it ends when somebody writes; inside the kernel, when it is told to.
    let writer = File::options().read(true).write(true).open(&pipe).unwrap();
    let opened = ev.finish(&stuck);
    match opened.result {
        Ok(handle) => ev.context().close(handle),
        Err(error) => assert_eq!(error, Error::Canceled),
    }
    drop(writer);

    let captures = crate::steps::Captures::default();
    let held = captures.capture();
    let _ = ev.start(open(&scratch, "pipe", OpenOptions::read()));
    ev.context().submit(open(&scratch, "pipe", OpenOptions::read()), move |(), _, _| drop(held));
    ev.idle();
    let before = Instant::now();
    ev.context().cancel_all();
    drop(ev);
    assert!(before.elapsed() < Duration::from_secs(10), "dropping the loop is bounded");
    assert_eq!(captures.held(), 0);
    // Whoever still waits is let go, so that nothing is left of it.
    drop(File::options().read(true).write(true).open(&pipe).unwrap());
}

/// Buffers that are aligned as a disk wants them are read past the cache; others are refused, or copied, by the system.
pub(crate) fn transfers_past_the_cache<B: Backend>(fixture: &Fixture<B>) {
    const LEN: usize = 64 << 10;
    let scratch = Scratch::new(fixture);
    let mut ev = fixture.open();
    let bytes = pattern(4, LEN);
    fs::write(scratch.real("file"), &bytes).unwrap();
    let opened = ev.complete(open(&scratch, "file", OpenOptions::read_write().direct()));
    let Ok(handle) = opened.result else {
        // Some file systems have no such thing, and say so when opening.
        return assert_eq!(opened.result.map(drop), Err(crate::steps::system(rustix::io::Errno::INVAL)));
    };
    let aligned = || Buffer::aligned(LEN, 4096).unwrap();
    let done = ev.complete(proactor_core::ReadAt { handle, buffer: aligned(), offset: 0 });
    assert_eq!(done.result, Ok(LEN));
    assert_bytes(&done.buffer, &bytes);
    let buffer = aligned().slice(1..4097);
    let odd = ev.complete(proactor_core::ReadAt { handle, buffer, offset: 0 });
    match odd.result {
        Ok(count) => assert_bytes(&odd.buffer[..count], &bytes[..count]),
        Err(error) => assert_eq!(error, crate::steps::system(rustix::io::Errno::INVAL)),
    }
    let mut buffer = aligned();
    buffer.as_mut_slice().unwrap().copy_from_slice(&pattern(6, LEN));
    assert_eq!(ev.complete(WriteAt { handle, buffer, offset: 0 }).result, Ok(LEN));
    assert_bytes(&fs::read(scratch.real("file")).unwrap(), &pattern(6, LEN));
}

/// About what only Unix has.
#[cfg(not(unix))]
pub(crate) use super::{
    not_here as others_see_what_is_written, not_here as opening_a_pipe_that_nobody_writes_to_can_be_given_up,
};
