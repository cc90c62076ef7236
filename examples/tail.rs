//! Prints what is appended to a file for as long as it grows, as `tail -F` does.
//!
//! `tail FILE [BYTES]` begins with the last so many bytes, 1000 unless told otherwise. A file that has become shorter is
//! printed from its beginning; where another file has taken the name, the old one is printed to its end and then the new one.
//! It ends on SIGINT or SIGTERM.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use proactor::{
    Buffer, Config, Context, Error, Event, Flow, Handle, Loop, Metadata, OpenAt, OpenOptions, ReadAt,
    RunMode, Signal, Signals, Statx,
};

/// How much is read at a time.
const PIECE: usize = 64 * 1024;

/// How often it is looked whether there is more. No system tells that of every file.
const PERIOD: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [path] => follow(path, 1000),
        [path, bytes] => match bytes.parse() {
            Ok(bytes) => follow(path, bytes),
            Err(_) => Err(io::Error::other("BYTES is a number")),
        },
        _ => Err(io::Error::other("usage: tail FILE [BYTES]")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tail: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Tail {
    path: String,
    /// How much of the first file is printed that is there already.
    bytes: u64,
    file: Option<File>,
    /// They go round.
    buffer: Buffer,
    metadata: Box<Metadata>,
}

/// The file that is followed.
#[derive(Clone, Copy)]
struct File {
    handle: Handle,
    /// What makes it the same file, whatever its name.
    identity: Identity,
    /// Where the next piece begins.
    offset: u64,
    /// Another file has its name: this one is read to its end.
    is_left: bool,
}

type Identity = ((u32, u32), u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.device, metadata.inode)
}

fn follow(path: &str, bytes: u64) -> io::Result<()> {
    let mut ev = Loop::<Tail>::open(Config::default())?;
    let mut cx = ev.context();
    let set = [Signal::INT, Signal::TERM].into();
    cx.submit_multishot(Signals { set }, |_tail: &mut Tail, cx, event| {
        match event {
            // What is under way goes with the loop.
            Event::More(_) => cx.stop(),
            Event::Last(last) => fail(cx, last.output.error, "cannot watch signals"),
        }
        Flow::Continue
    });
    let mut tail = Tail {
        path: path.to_owned(),
        bytes,
        file: None,
        buffer: Buffer::zeroed(PIECE),
        metadata: Box::default(),
    };
    open(&mut tail, &mut cx);
    ev.run(&mut tail, RunMode::UntilDone)
}

/// Opens what has the name now.
fn open(tail: &mut Tail, cx: &mut Context<Tail>) {
    let open = OpenAt { directory: None, path: tail.path.as_str().into(), options: OpenOptions::read() };
    cx.submit(open, |tail, cx, opened| match opened.result {
        Ok(handle) => identify(tail, cx, handle),
        // It may come back; but there has to be one at first.
        Err(error) if tail.file.is_some() && is_missing(error) => look_later(cx),
        Err(error) => fail(cx, error, "cannot open the file"),
    });
}

/// Finds out what was opened, and begins to print it.
fn identify(tail: &mut Tail, cx: &mut Context<Tail>, handle: Handle) {
    let statx = Statx { metadata: std::mem::take(&mut tail.metadata), ..Statx::of(handle) };
    cx.submit(statx, move |tail, cx, done| {
        tail.metadata = done.metadata;
        if let Err(error) = done.result {
            return fail(cx, error, "cannot ask for the file");
        }
        // Of a file that takes another's place all is new.
        let offset = match tail.file {
            Some(_) => 0,
            None => tail.metadata.len.saturating_sub(tail.bytes),
        };
        if let Some(left) = tail.file.take() {
            eprintln!("tail: another file has the name");
            cx.close(left.handle);
        }
        tail.file = Some(File { handle, identity: identity(&tail.metadata), offset, is_left: false });
        print(tail, cx);
    });
}

/// Prints what there is, piece by piece.
fn print(tail: &mut Tail, cx: &mut Context<Tail>) {
    let Some(File { handle, offset, .. }) = tail.file else { return };
    let buffer = std::mem::take(&mut tail.buffer);
    cx.submit(ReadAt { handle, buffer, offset }, |tail, cx, read| {
        tail.buffer = read.buffer;
        let count = match read.result {
            Ok(count) => count,
            Err(error) => return fail(cx, error, "cannot read"),
        };
        let mut output = io::stdout().lock();
        if let Err(error) = output.write_all(&tail.buffer[..count]).and_then(|()| output.flush()) {
            return cx.fail(error);
        }
        let Some(file) = &mut tail.file else { return };
        file.offset += count as u64;
        match (count, file.is_left) {
            (1.., _) => print(tail, cx),
            (0, true) => open(tail, cx),
            (0, false) => look_later(cx),
        }
    });
}

fn look_later(cx: &mut Context<Tail>) {
    cx.timer_after(PERIOD, look_at_the_file);
}

/// Looks whether the file has become shorter.
fn look_at_the_file(tail: &mut Tail, cx: &mut Context<Tail>) {
    let Some(File { handle, .. }) = tail.file else { return };
    let statx = Statx { metadata: std::mem::take(&mut tail.metadata), ..Statx::of(handle) };
    cx.submit(statx, |tail, cx, done| {
        tail.metadata = done.metadata;
        if let Err(error) = done.result {
            return fail(cx, error, "cannot ask for the file");
        }
        let Some(file) = &mut tail.file else { return };
        if tail.metadata.len < file.offset {
            eprintln!("tail: the file has become shorter");
            file.offset = 0;
        }
        look_at_the_name(tail, cx);
    });
}

/// Looks whether the name is another file's, and goes on printing.
fn look_at_the_name(tail: &mut Tail, cx: &mut Context<Tail>) {
    let metadata = std::mem::take(&mut tail.metadata);
    let statx = Statx { metadata, ..Statx::path(tail.path.as_str()) };
    cx.submit(statx, |tail, cx, done| {
        tail.metadata = done.metadata;
        match done.result {
            Ok(()) => {}
            // Nobody has the name: what is open may grow all the same.
            Err(error) if is_missing(error) => return print(tail, cx),
            Err(error) => return fail(cx, error, "cannot ask for the name"),
        }
        let Some(file) = &mut tail.file else { return };
        file.is_left = identity(&tail.metadata) != file.identity;
        print(tail, cx);
    });
}

fn is_missing(error: Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Ends the run as failed.
fn fail(cx: &mut Context<Tail>, error: Error, what: &str) {
    let error = io::Error::from(error);
    cx.fail(io::Error::new(error.kind(), format!("{what}: {error}")));
}
