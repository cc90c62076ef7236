//! An echo server, and a client that checks it.
//!
//! `echo server ADDRESS [CONNECTIONS]` serves that many connections (1 unless given) and ends; port 0 lets the system
//! choose one, which the first line tells. `echo client ADDRESS [MESSAGES]` sends messages, compares what comes back
//! and ends.
//!
//! `proactor` is the backend's crate: one line in Cargo.toml chooses which.

use std::env;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use proactor::{
    Accept, Action, Address, Buffer, Config, Connect, Context, Handle, ListenOptions, Loop, Received, Recv,
    RunMode, SendAll, Shutdown, ShutdownHow,
};

/// Bytes of each of the client's messages.
const MESSAGE: usize = 1000;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["server", address] => serve(address, "1"),
        ["server", address, connections] => serve(address, connections),
        ["client", address] => check(address, "1"),
        ["client", address, messages] => check(address, messages),
        _ => Err(io::Error::other("usage: echo server|client ADDRESS [COUNT]")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("not understood: {text}")))
}

struct Server {
    connections_left: u64,
    bytes: usize,
}

fn serve(address: &str, connections: &str) -> io::Result<()> {
    let mut server = Server { connections_left: parse(connections)?, bytes: 0 };
    let mut ev = Loop::<Server>::open(Config::default())?;
    let mut cx = ev.context();
    let listener = cx.listen(parse(address)?, ListenOptions::default())?;
    println!("listening on {}", cx.local_address(listener)?);
    cx.submit_rearm(Accept { listener }, |server, cx, accepted| match accepted.result {
        Ok((peer, _address)) => {
            echo(cx, peer, Buffer::zeroed(4096));
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
    });
    ev.run(&mut server, RunMode::UntilDone)?;
    println!("echoed {} bytes", server.bytes);
    Ok(())
}

fn echo(cx: &mut Context<Server>, handle: Handle, buffer: Buffer) {
    cx.submit(Recv { handle, buffer }, |server, cx, Received { handle, buffer, result }| match result {
        Ok(0) | Err(_) => cx.close(handle),
        Ok(n) => {
            server.bytes += n;
            cx.submit(SendAll { handle, buffer: buffer.slice(..n) }, |_server, cx, sent| match sent.result {
                Ok(()) => echo(cx, sent.handle, sent.buffer.unslice()),
                Err(_) => cx.close(sent.handle),
            });
        }
    });
}

struct Client {
    messages_left: u64,
    checked: u64,
    received: Vec<u8>,
}

fn check(address: &str, messages: &str) -> io::Result<()> {
    let mut client = Client { messages_left: parse(messages)?, checked: 0, received: Vec::new() };
    let address: Address = parse(address)?;
    let mut ev = Loop::<Client>::open(Config::default())?;
    let mut cx = ev.context();
    let handle = cx.socket(address.family())?;
    // What is sent queues behind the connect.
    cx.submit(Connect { handle, address }, |_client, cx, connected| {
        if let Err(error) = connected.result {
            cx.fail(error);
        }
    });
    send(&mut client, &mut cx, handle);
    receive(&mut cx, handle, Buffer::zeroed(4096));
    ev.run(&mut client, RunMode::UntilDone)?;
    println!("checked {} messages of {MESSAGE} bytes", client.checked);
    Ok(())
}

/// The message with this number: no two neighbours are alike.
fn message(number: u64) -> Vec<u8> {
    (0..MESSAGE).map(|position| (number as usize * 7 + position) as u8).collect()
}

fn send(client: &mut Client, cx: &mut Context<Client>, handle: Handle) {
    if client.messages_left == 0 {
        cx.submit(Shutdown { handle, how: ShutdownHow::Write }, |_client, _cx, _shut_down| {});
        return;
    }
    client.messages_left -= 1;
    let buffer = Buffer::from(message(client.checked));
    cx.submit(SendAll { handle, buffer }, |_client, cx, sent| {
        if let Err(error) = sent.result {
            cx.fail(error);
        }
    });
}

fn receive(cx: &mut Context<Client>, handle: Handle, buffer: Buffer) {
    cx.submit(Recv { handle, buffer }, |client, cx, Received { handle, buffer, result }| match result {
        Ok(0) if client.messages_left == 0 && client.received.is_empty() => cx.close(handle),
        Ok(0) => cx.fail(io::Error::from(io::ErrorKind::UnexpectedEof)),
        Ok(n) => {
            client.received.extend_from_slice(&buffer[..n]);
            if client.received.len() >= MESSAGE {
                if client.received != message(client.checked) {
                    return cx.fail(io::Error::other("what came back is not what was sent"));
                }
                client.received.clear();
                client.checked += 1;
                send(client, cx, handle);
            }
            receive(cx, handle, buffer);
        }
        Err(error) => cx.fail(error),
    });
}
