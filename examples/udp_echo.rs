//! An echo server for datagrams, and a client that checks it.
//!
//! `udp_echo server ADDRESS [COUNT]` sends back that many datagrams (1 unless given) and ends; port 0 lets the system choose
//! one, which the first line tells. `udp_echo client ADDRESS [COUNT]` sends datagrams of different sizes, an empty one first,
//! one at a time; what is lost it sends again, three times in all.

use std::env;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use proactor::{
    Action, Address, Buffer, Config, Connect, Context, Error, Handle, Loop, Peer, Recv, RecvFrom, RunMode,
    Send, SendTo,
};

/// The largest datagram: what UDP can carry.
const LARGEST: usize = 65_507;

/// How long the client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it sends one datagram.
const TRIES: u32 = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["server", address] => serve(address, "1"),
        ["server", address, count] => serve(address, count),
        ["client", address] => check(address, "1"),
        ["client", address, count] => check(address, count),
        _ => Err(io::Error::other("usage: udp_echo server|client ADDRESS [COUNT]")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("not understood: {text}")))
}

struct Server {
    left: u64,
    bytes: usize,
}

fn serve(address: &str, count: &str) -> io::Result<()> {
    let address: Address = parse(address)?;
    let mut server = Server { left: parse(count)?, bytes: 0 };
    let mut ev = Loop::<Server>::open(Config::default())?;
    let mut cx = ev.context();
    let handle = cx.datagram_socket(address.family())?;
    cx.bind(handle, address)?;
    println!("listening on {}", cx.local_address(handle)?);
    receive(&mut cx, RecvFrom { handle, buffer: Buffer::zeroed(LARGEST), peer: Peer::default() });
    ev.run(&mut server, RunMode::UntilDone)?;
    println!("echoed {} bytes", server.bytes);
    Ok(())
}

fn receive(cx: &mut Context<Server>, next: RecvFrom) {
    cx.submit(next, |server, cx, received| match received.result {
        Ok(datagram) => {
            server.bytes += datagram.len();
            server.left -= 1;
            let buffer = received.buffer.slice(..datagram.len());
            cx.submit(SendTo { handle: received.handle, buffer, peer: received.peer }, |server, cx, sent| {
                if let Err(error) = sent.result {
                    eprintln!("udp_echo: to {:?}: {error}", sent.peer);
                }
                if server.left == 0 {
                    return cx.close(sent.handle);
                }
                receive(cx, RecvFrom { handle: sent.handle, buffer: sent.buffer.unslice(), peer: sent.peer });
            });
        }
        Err(error) => cx.fail(error),
    });
}

struct Client {
    count: u64,
    checked: u64,
    tries: u32,
}

fn check(address: &str, count: &str) -> io::Result<()> {
    let address: Address = parse(address)?;
    let mut client = Client { count: parse(count)?, checked: 0, tries: 0 };
    let mut ev = Loop::<Client>::open(Config::default())?;
    let mut cx = ev.context();
    let handle = cx.datagram_socket(address.family())?;
    cx.submit(Connect { handle, address }, |_client, cx, connected| {
        if let Err(error) = connected.result {
            cx.fail(error);
        }
    });
    send(&mut client, &mut cx, handle);
    let receive = Recv { handle, buffer: Buffer::zeroed(LARGEST) }.with_timeout(PATIENCE);
    cx.submit_rearm(receive, |client, cx, received| {
        let again = |buffer| Action::Rearm(Recv { handle: received.handle, buffer }.with_timeout(PATIENCE));
        match received.result {
            Ok(n) if received.buffer[..n] == message(client.checked)[..] => {
                (client.checked, client.tries) = (client.checked + 1, 0);
                if client.checked == client.count {
                    cx.close(received.handle);
                    return Action::Disarm;
                }
                send(client, cx, received.handle);
                again(received.buffer)
            }
            // The answer to one that was sent twice.
            Ok(n) if client.checked > 0 && received.buffer[..n] == message(client.checked - 1)[..] => {
                again(received.buffer)
            }
            Ok(_) => {
                cx.fail(io::Error::other("what came back is not what was sent"));
                Action::Disarm
            }
            Err(Error::TimedOut) if client.tries < TRIES => {
                send(client, cx, received.handle);
                again(received.buffer)
            }
            Err(error) => {
                cx.fail(error);
                Action::Disarm
            }
        }
    });
    ev.run(&mut client, RunMode::UntilDone)?;
    println!("checked {} datagrams", client.checked);
    Ok(())
}

/// The datagram with this number: no two neighbours are alike, and the first is empty.
fn message(number: u64) -> Vec<u8> {
    let len = number as usize * 997 % LARGEST;
    (0..len).map(|position| (number as usize * 7 + position) as u8).collect()
}

fn send(client: &mut Client, cx: &mut Context<Client>, handle: Handle) {
    client.tries += 1;
    cx.submit(Send { handle, buffer: message(client.checked).into() }, |_client, cx, sent| {
        // Nobody listens there, which the receive hears as well; or the loop ends.
        if let Err(error) = sent.result
            && error != Error::Canceled
        {
            cx.fail(error);
        }
    });
}
