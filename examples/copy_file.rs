//! Copies a file: eight pieces at a time, each read and then written where it belongs, in whatever order they complete.
//!
//! `copy_file FROM TO` makes or replaces the second file, and ends once the disk has it.

use std::env;
use std::io;
use std::process::ExitCode;

use proactor::{
    Buffer, Close, Config, Context, Create, Error, Fsync, Handle, Loop, OpenAt, OpenOptions, ReadAt, RunMode,
    WriteAt,
};

/// Bytes of one piece.
const PIECE: usize = 64 * 1024;

/// How many are under way at a time.
const DEPTH: usize = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [from, to] => copy(from, to),
        _ => Err(io::Error::other("usage: copy_file FROM TO")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("copy_file: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Copy {
    /// Where the next piece begins.
    next: u64,
    bytes: u64,
    /// Pieces that are under way.
    under_way: usize,
}

/// Both files.
#[derive(Clone, Copy)]
struct Files {
    from: Handle,
    to: Handle,
}

fn copy(from: &str, to: &str) -> io::Result<()> {
    let mut ev = Loop::<Copy>::open(Config::default())?;
    let mut cx = ev.context();
    let to = to.to_owned();
    let open = OpenAt { directory: None, path: from.into(), options: OpenOptions::read() };
    cx.submit(open, move |_copy, cx, opened| match opened.result {
        Ok(from) => create(cx, from, to),
        Err(error) => fail(cx, "cannot open what is to be copied", error),
    });
    let mut copy = Copy::default();
    ev.run(&mut copy, RunMode::UntilDone)?;
    println!("copied {} bytes", copy.bytes);
    Ok(())
}

fn create(cx: &mut Context<Copy>, from: Handle, path: String) {
    let options = OpenOptions::write().create(Create::IfMissing).truncate();
    cx.submit(OpenAt { directory: None, path: path.into(), options }, move |copy, cx, opened| {
        let to = match opened.result {
            Ok(to) => to,
            Err(error) => return fail(cx, "cannot make the copy", error),
        };
        copy.under_way = DEPTH;
        for _ in 0..DEPTH {
            next_piece(copy, cx, Files { from, to }, Buffer::zeroed(PIECE));
        }
    });
}

/// Copies the next piece that nobody has begun.
fn next_piece(copy: &mut Copy, cx: &mut Context<Copy>, files: Files, buffer: Buffer) {
    let offset = copy.next;
    copy.next += PIECE as u64;
    read(cx, files, buffer.unslice(), offset);
}

/// Reads what is left of a piece.
fn read(cx: &mut Context<Copy>, files: Files, buffer: Buffer, offset: u64) {
    cx.submit(ReadAt { handle: files.from, buffer, offset }, move |copy, cx, read| match read.result {
        // The end of the file: so are the pieces after this one.
        Ok(0) => finish_piece(copy, cx, files),
        Ok(n) => {
            let rest = Rest { after: n, of: read.buffer.len() };
            write(cx, files, (read.buffer.slice(..n), offset), rest);
        }
        Err(error) => fail(cx, "cannot read", error),
    });
}

/// How much of a piece was read: all of it, but near the end of the file.
#[derive(Clone, Copy)]
struct Rest {
    after: usize,
    of: usize,
}

fn write(cx: &mut Context<Copy>, files: Files, (buffer, offset): (Buffer, u64), rest: Rest) {
    // More captures than four words are kept in a box; a piece of 64 KiB can afford one.
    cx.submit(WriteAt { handle: files.to, buffer, offset }, move |copy, cx, written| match written.result {
        Ok(n) if n < written.buffer.len() => {
            copy.bytes += n as u64;
            write(cx, files, (written.buffer.slice(n..), written.offset + n as u64), rest);
        }
        Ok(n) => {
            copy.bytes += n as u64;
            if rest.after == rest.of {
                return next_piece(copy, cx, files, written.buffer);
            }
            let left = rest.of - rest.after;
            read(cx, files, written.buffer.unslice().slice(..left), written.offset + n as u64);
        }
        Err(error) => fail(cx, "cannot write", error),
    });
}

/// No more pieces here; after the last one, the disk has to have it all.
fn finish_piece(copy: &mut Copy, cx: &mut Context<Copy>, files: Files) {
    copy.under_way -= 1;
    if copy.under_way > 0 {
        return;
    }
    cx.close(files.from);
    cx.submit(Fsync { handle: files.to }, |_copy, cx, synced| {
        if let Err(error) = synced.result {
            return fail(cx, "cannot write to the disk", error);
        }
        cx.submit(Close { handle: synced.handle }, |_copy, cx, closed| {
            if let Err(error) = closed.result {
                fail(cx, "cannot close the copy", error);
            }
        });
    });
}

fn fail(cx: &mut Context<Copy>, what: &str, error: Error) {
    let error = io::Error::from(error);
    cx.fail(io::Error::new(error.kind(), format!("{what}: {error}")));
}
