//! An echo server for any backend, which is chosen when the program runs: io_uring where it can be had, and otherwise epoll.
//!
//! `either BACKEND ADDRESS [CONNECTIONS]` serves that many connections (1 unless given) and ends. BACKEND is `uring`, `epoll`, or
//! `any`: the first of the two that opens, and of the other one why it does not. Port 0 lets the system choose one, which the
//! line `listening on` tells.
//!
//! What is the same on every backend is `proactor-core`'s, with the backend as a parameter. Each backend's crate is named once, in
//! `main`.

use std::env;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use proactor_core::{
    Accept, Accepted, Action, Backend, Buffer, Config, Context, Handle, ListenOptions, Loop, Received, Recv,
    RunMode, SendAll,
};
use proactor_epoll::Epoll;
use proactor_uring::Uring;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [backend, address] => choose(backend, address, "1"),
        [backend, address, connections] => choose(backend, address, connections),
        _ => Err(io::Error::other("usage: either any|uring|epoll ADDRESS [CONNECTIONS]")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("either: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Opens a loop on the backend and has it serve. Which one it is, nothing below asks.
fn choose(backend: &str, address: &str, connections: &str) -> io::Result<()> {
    let config = Config::default();
    match backend {
        "uring" => serve(Loop::<Uring, _>::open(config)?, address, connections),
        "epoll" => serve(Loop::<Epoll, _>::open(config)?, address, connections),
        "any" => match Loop::<Uring, _>::open(config.clone()) {
            Ok(ev) => serve(ev, address, connections),
            Err(error) => {
                eprintln!("either: no {}: {error}", Uring::NAME);
                serve(Loop::<Epoll, _>::open(config)?, address, connections)
            }
        },
        _ => Err(io::Error::other(format!("there is no backend `{backend}`"))),
    }
}

struct Server {
    connections_left: u64,
    bytes: usize,
}

fn serve<B: Backend>(mut ev: Loop<B, Server>, address: &str, connections: &str) -> io::Result<()> {
    let mut server = Server { connections_left: parse(connections)?, bytes: 0 };
    let mut cx = ev.context();
    let listener = cx.listen(parse(address)?, ListenOptions::default())?;
    println!("listening on {}", cx.local_address(listener)?);
    cx.submit_rearm(Accept { listener }, accepted);
    ev.run(&mut server, RunMode::UntilDone)?;
    println!("echoed {} bytes on {}", server.bytes, B::NAME);
    Ok(())
}

fn parse<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("not understood: {text}")))
}

/// A callback that stands by itself is a function of its own for each backend.
fn accepted<B: Backend>(
    server: &mut Server,
    cx: &mut Context<'_, B, Server>,
    accepted: Accepted,
) -> Action<Accept> {
    match accepted.result {
        Ok((connection, _peer)) => {
            receive(cx, connection, Buffer::zeroed(4096));
            server.connections_left -= 1;
            if server.connections_left == 0 {
                cx.close(accepted.listener);
                return Action::Disarm;
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
    }
}

/// Closures say nothing of the backend.
fn receive<B: Backend>(cx: &mut Context<'_, B, Server>, handle: Handle, buffer: Buffer) {
    cx.submit(Recv { handle, buffer }, |server, cx, Received { handle, buffer, result }| match result {
        Ok(0) | Err(_) => cx.close(handle),
        Ok(n) => {
            server.bytes += n;
            cx.submit(SendAll { handle, buffer: buffer.slice(..n) }, |_server, cx, sent| match sent.result {
                Ok(()) => receive(cx, sent.handle, sent.buffer.unslice()),
                Err(_) => cx.close(sent.handle),
            });
        }
    });
}
