//! A web server for static files: HTTP/1.1, GET and HEAD, one request after the other on a connection.
//!
//! `http ADDRESS DIRECTORY [CONNECTIONS]` serves the files below the directory, to that many connections or for ever, and
//! ends when the last of them has; port 0 lets the system choose one, which the first line tells. A connection on which
//! nothing moves for ten seconds is closed.

use std::env;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use proactor::{
    Accept, Action, Buffer, Config, Context, Error, FileType, Handle, ListenOptions, Loop, OpenAt,
    OpenOptions, ReadAt, Recv, RunMode, SendAll, SocketOption, Statx,
};

/// How long nothing may move.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head of a request, and the bytes of a file that are sent at a time.
const BUFFER: usize = 16 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [address, directory] => serve(address, directory, None),
        [address, directory, connections] => {
            parse(connections).and_then(|n| serve(address, directory, Some(n)))
        }
        _ => Err(io::Error::other("usage: http ADDRESS DIRECTORY [CONNECTIONS]")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("not understood: {text}")))
}

struct Server {
    connections_left: Option<u64>,
    requests: u64,
}

/// A connection, with the part of a head that has arrived. It is handed from callback to callback.
struct Connection {
    socket: Handle,
    /// The directory that is served.
    root: Handle,
    head: Vec<u8>,
    buffer: Buffer,
}

fn serve(address: &str, directory: &str, connections_left: Option<u64>) -> io::Result<()> {
    let mut ev = Loop::<Server>::open(Config::default())?;
    let mut cx = ev.context();
    let listener = cx.listen(parse(address)?, ListenOptions::default())?;
    let bound = cx.local_address(listener)?;
    let root = OpenAt { directory: None, path: directory.into(), options: OpenOptions::read().directory() };
    cx.submit(root, move |_server, cx, opened| match opened.result {
        Ok(root) => {
            println!("listening on {bound}");
            accept(cx, listener, root);
        }
        Err(error) => cx.fail(error),
    });
    let mut server = Server { connections_left, requests: 0 };
    ev.run(&mut server, RunMode::UntilDone)?;
    println!("answered {} requests", server.requests);
    Ok(())
}

fn accept(cx: &mut Context<Server>, listener: Handle, root: Handle) {
    cx.submit_rearm(Accept { listener }, move |server, cx, accepted| match accepted.result {
        Ok((socket, _address)) => {
            // A head and its file are two sends: the second one is not to wait until the first is acknowledged. If this cannot
            // be set, it does.
            let _ = cx.set(socket, SocketOption::NoDelay(true));
            let (head, buffer) = (Vec::new(), Buffer::zeroed(BUFFER));
            receive(server, cx, Connection { socket, root, head, buffer });
            if let Some(left) = &mut server.connections_left {
                *left -= 1;
                if *left == 0 {
                    cx.close(accepted.listener);
                    return Action::Disarm;
                }
            }
            Action::Rearm(Accept { listener: accepted.listener })
        }
        Err(error) if error.is_transient() => {
            cx.rearm_after(Duration::from_millis(10), Accept { listener: accepted.listener })
        }
        Err(error) => {
            cx.fail(error);
            Action::Disarm
        }
    });
}

/// Receives until a head is whole, and answers it.
fn receive(server: &mut Server, cx: &mut Context<Server>, mut connection: Connection) {
    if let Some(end) = connection.head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
        let rest = connection.head.split_off(end + 4);
        let head = std::mem::replace(&mut connection.head, rest);
        server.requests += 1;
        return answer(cx, connection, &head);
    }
    if connection.head.len() >= BUFFER {
        return refuse(cx, connection, "431 Request Header Fields Too Large");
    }
    let buffer = std::mem::take(&mut connection.buffer);
    let receive_more = Recv { handle: connection.socket, buffer }.with_timeout(IDLE_TIMEOUT);
    cx.submit(receive_more, move |server, cx, received| match received.result {
        Ok(0) | Err(_) => cx.close(connection.socket),
        Ok(n) => {
            connection.head.extend_from_slice(&received.buffer[..n]);
            connection.buffer = received.buffer;
            receive(server, cx, connection);
        }
    });
}

/// What is wanted, of what a head says.
struct Request {
    path: String,
    /// Whether the file itself, not only what there is to be said of it.
    with_body: bool,
    keep_alive: bool,
}

impl Request {
    /// # Errors
    /// The status to refuse it with.
    fn read(head: &[u8]) -> Result<Self, &'static str> {
        let head = std::str::from_utf8(head).map_err(|_| "400 Bad Request")?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("400 Bad Request");
        };
        let with_body = match method {
            "GET" => true,
            "HEAD" => false,
            _ => return Err("501 Not Implemented"),
        };
        let mut keep_alive = match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            _ => return Err("505 HTTP Version Not Supported"),
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("connection") {
                keep_alive = !value.trim().eq_ignore_ascii_case("close")
                    && (keep_alive || value.trim().eq_ignore_ascii_case("keep-alive"));
            }
        }
        let path = target.split('?').next().unwrap_or_default().trim_start_matches('/');
        // Nothing outside the directory: neither upwards, nor by another name for it.
        if path.split('/').any(|name| name == "..") || path.contains(['\0', '%']) {
            return Err("403 Forbidden");
        }
        let index = if path.is_empty() || path.ends_with('/') { "index.html" } else { "" };
        Ok(Self { path: format!("{path}{index}"), with_body, keep_alive })
    }
}

fn answer(cx: &mut Context<Server>, connection: Connection, head: &[u8]) {
    match Request::read(head) {
        Ok(request) => open(cx, connection, request),
        Err(status) => refuse(cx, connection, status),
    }
}

fn open(cx: &mut Context<Server>, connection: Connection, request: Request) {
    let (directory, path) = (Some(connection.root), request.path.as_str().into());
    cx.submit(OpenAt { directory, path, options: OpenOptions::read() }, move |_server, cx, opened| {
        match opened.result {
            Ok(file) => measure(cx, connection, request, file),
            Err(_) => refuse(cx, connection, "404 Not Found"),
        }
    });
}

fn measure(cx: &mut Context<Server>, connection: Connection, request: Request, file: Handle) {
    cx.submit(Statx::of(file), move |_server, cx, known| {
        if known.result.is_err() || known.metadata.file_type != FileType::File {
            cx.close(file);
            return refuse(cx, connection, "404 Not Found");
        }
        let len = known.metadata.len;
        let kind = kind(&request.path);
        let keep = if request.keep_alive { "keep-alive" } else { "close" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nContent-Type: {kind}\r\nConnection: {keep}\r\n\r\n"
        );
        let body = Body { file, offset: 0, left: if request.with_body { len } else { 0 } };
        send(cx, connection, head.into_bytes().into(), move |server, cx, connection, _head| {
            send_file(server, cx, connection, body, request.keep_alive);
        });
    });
}

/// What is left of a file to be sent.
#[derive(Clone, Copy)]
struct Body {
    file: Handle,
    offset: u64,
    left: u64,
}

fn send_file(
    server: &mut Server,
    cx: &mut Context<Server>,
    mut connection: Connection,
    body: Body,
    keep_alive: bool,
) {
    if body.left == 0 {
        cx.close(body.file);
        return if keep_alive { receive(server, cx, connection) } else { cx.close(connection.socket) };
    }
    let len = body.left.min(BUFFER as u64) as usize;
    let buffer = std::mem::take(&mut connection.buffer).unslice().slice(..len);
    let read = ReadAt { handle: body.file, buffer, offset: body.offset };
    cx.submit(read, move |_server, cx, read| match read.result {
        // A file that has become shorter meanwhile: the client hears of it by the end of the connection.
        Ok(0) | Err(_) => {
            cx.close(body.file);
            cx.close(connection.socket);
        }
        Ok(n) => send(cx, connection, read.buffer.slice(..n), move |server, cx, mut connection, buffer| {
            connection.buffer = buffer.unslice();
            let body = Body { offset: body.offset + n as u64, left: body.left - n as u64, ..body };
            send_file(server, cx, connection, body, keep_alive);
        }),
    });
}

/// Sends, and goes on with what the buffer was in; a connection that takes nothing is closed.
fn send<F>(cx: &mut Context<Server>, connection: Connection, buffer: Buffer, then: F)
where
    F: FnOnce(&mut Server, &mut Context<Server>, Connection, Buffer) + 'static,
{
    let all = SendAll { handle: connection.socket, buffer }.with_timeout(IDLE_TIMEOUT);
    cx.submit(all, move |server, cx, sent| match sent.result {
        Ok(()) => then(server, cx, connection, sent.buffer),
        Err(error) => {
            if error != Error::Canceled {
                eprintln!("http: {error}");
            }
            cx.close(connection.socket);
        }
    });
}

fn refuse(cx: &mut Context<Server>, connection: Connection, status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    send(cx, connection, answer.into_bytes().into(), |_server, cx, connection, _buffer| {
        cx.close(connection.socket);
    });
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
