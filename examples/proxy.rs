//! A TCP proxy: what comes at one end goes out at the other, in both directions, and so does an end of stream.
//!
//! `proxy ADDRESS TARGET [CONNECTIONS]` passes that many connections (1 unless given) on to the target and ends; port 0
//! lets the system choose one, which the first line tells. A target that does not answer within five seconds, and a
//! connection on which nothing moves for thirty, are given up.

use std::cell::Cell;
use std::env;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use proactor::{
    Accept, Action, Address, Buffer, Config, Connect, Context, Error, Handle, ListenOptions, Loop, Recv,
    RunMode, SendAll, Shutdown, ShutdownHow,
};

/// How long the target may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing may move.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that each direction has on their way.
const BUFFER: usize = 16 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [address, target] => serve(address, target, "1"),
        [address, target, connections] => serve(address, target, connections),
        _ => Err(io::Error::other("usage: proxy ADDRESS TARGET [CONNECTIONS]")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("not understood: {text}")))
}

struct Proxy {
    target: Address,
    connections_left: u64,
    bytes: u64,
    given_up: u64,
}

/// One direction of a connection.
struct Pipe {
    from: Handle,
    to: Handle,
    /// Whether one of the two directions has come to its end; shared by both.
    half_closed: Rc<Cell<bool>>,
}

fn serve(address: &str, target: &str, connections: &str) -> io::Result<()> {
    let (target, connections_left) = (parse(target)?, parse(connections)?);
    let mut proxy = Proxy { target, connections_left, bytes: 0, given_up: 0 };
    let mut ev = Loop::<Proxy>::open(Config::default())?;
    let mut cx = ev.context();
    let listener = cx.listen(parse(address)?, ListenOptions::default())?;
    println!("listening on {}", cx.local_address(listener)?);
    cx.submit_rearm(Accept { listener }, |proxy, cx, accepted| match accepted.result {
        Ok((client, _address)) => {
            connect(proxy, cx, client);
            proxy.connections_left -= 1;
            if proxy.connections_left == 0 {
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
    ev.run(&mut proxy, RunMode::UntilDone)?;
    println!("passed on {} bytes, gave up {} connections", proxy.bytes, proxy.given_up);
    Ok(())
}

/// Connects to the target; what the client sends meanwhile waits in its socket.
fn connect(proxy: &mut Proxy, cx: &mut Context<Proxy>, client: Handle) {
    let address = proxy.target.clone();
    let server = match cx.socket(address.family()) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("proxy: {error}");
            proxy.given_up += 1;
            return cx.close(client);
        }
    };
    let connect = Connect { handle: server, address }.with_timeout(CONNECT_TIMEOUT);
    cx.submit(connect, move |proxy, cx, connected| {
        let half_closed = Rc::new(Cell::new(false));
        let there = Pipe { from: client, to: server, half_closed: Rc::clone(&half_closed) };
        let back = Pipe { from: server, to: client, half_closed };
        match connected.result {
            Ok(()) => {
                pass_on(cx, there, Buffer::zeroed(BUFFER));
                pass_on(cx, back, Buffer::zeroed(BUFFER));
            }
            Err(error) => give_up(proxy, cx, &there, error),
        }
    });
}

/// Passes on what comes next, and then what comes after that.
fn pass_on(cx: &mut Context<Proxy>, pipe: Pipe, buffer: Buffer) {
    let receive = Recv { handle: pipe.from, buffer }.with_timeout(IDLE_TIMEOUT);
    cx.submit(receive, move |proxy, cx, received| match received.result {
        Ok(0) => end(cx, &pipe),
        Ok(n) => {
            let send = SendAll { handle: pipe.to, buffer: received.buffer.slice(..n) };
            cx.submit(send.with_timeout(IDLE_TIMEOUT), move |proxy, cx, sent| match sent.result {
                Ok(()) => {
                    proxy.bytes += sent.transferred as u64;
                    pass_on(cx, pipe, sent.buffer.unslice());
                }
                Err(error) => give_up(proxy, cx, &pipe, error),
            });
        }
        Err(error) => give_up(proxy, cx, &pipe, error),
    });
}

/// One direction has come to its end, and says so to whom it passes on. With the second one, the connection is over.
fn end(cx: &mut Context<Proxy>, pipe: &Pipe) {
    if pipe.half_closed.replace(true) {
        cx.close(pipe.from);
        cx.close(pipe.to);
    } else {
        // What could go wrong with it, the other direction finds out as well.
        cx.submit(Shutdown { handle: pipe.to, how: ShutdownHow::Write }, |_proxy, _cx, _shut_down| {});
    }
}

/// Closes both ends, which ends what is pending in the other direction as cancelled.
fn give_up(proxy: &mut Proxy, cx: &mut Context<Proxy>, pipe: &Pipe, error: Error) {
    if error != Error::Canceled {
        eprintln!("proxy: {error}");
        proxy.given_up += 1;
    }
    cx.close(pipe.from);
    cx.close(pipe.to);
}
