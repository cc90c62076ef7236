//! A companion for a program that can accept connections and open none, and that is given its standard streams: lines of its
//! output say what it wants. For a pair of connected sockets the companion connects to its listener twice, and carries what
//! comes on either connection to the other; what is to be answered it writes to the program's input.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The line with which a program asks for a pair.
const ASK: &str = "companion: connect a pair";

/// Begins a line of which the rest, with its end, is to be written to its input.
const ANSWER: &str = "companion: answer ";

/// The line with which it asks for the end of its input.
const END: &str = "companion: end the input";

/// How long the host may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where programs listen: below what systems give out to whoever asks for any port, as other tests do all the time.
const PORTS: Range<u16> = 20_000..32_000;

/// A companion of one program.
#[derive(Debug)]
pub(super) struct Companion {
    address: SocketAddr,
    /// What is to be written to its input, which ends with this.
    answers: Option<Sender<String>>,
}

impl Companion {
    /// Where a program can listen: nobody does so now, and until it does, none of the ports that the system gives out by itself
    /// is this one.
    pub(super) fn free_address() -> Result<SocketAddr> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Another process of ours begins elsewhere, and none takes one twice before it has had all others.
        let port = |_| {
            let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(61 * std::process::id());
            PORTS.start + (step % u32::from(PORTS.end - PORTS.start)) as u16
        };
        PORTS
            .map(port)
            .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?.local_addr().ok())
            .context("no free port")
    }

    /// One for a program that will listen at `address` and reads the other end of `input`.
    pub(super) fn new(address: SocketAddr, mut input: impl Write + Send + 'static) -> Self {
        let (answers, written) = channel::<String>();
        // A program that does not read holds up nobody else.
        thread::spawn(move || {
            for answer in written {
                // Nobody reads it where the program has ended.
                let _ = input.write_all(answer.as_bytes()).and_then(|()| input.flush());
            }
        });
        Self { address, answers: Some(answers) }
    }

    /// Does what a line of the program's output asks for, if it does.
    pub(super) fn hear(&mut self, line: &str) -> Result<()> {
        if line == ASK {
            self.connect()?;
        } else if line == END {
            self.answers = None;
        } else if let (Some(answer), Some(answers)) = (line.strip_prefix(ANSWER), &self.answers) {
            answers.send(format!("{answer}\n")).context("nobody writes to its input")?;
        }
        Ok(())
    }

    /// Connects twice, the first one first, and carries bytes in both directions until both are over.
    fn connect(&self) -> Result<()> {
        let (one, other) = (self.dial()?, self.dial()?);
        for (from, to) in [(one.try_clone()?, other.try_clone()?), (other, one)] {
            thread::spawn(move || carry(&from, &to));
        }
        Ok(())
    }

    fn dial(&self) -> Result<TcpStream> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(self.address) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(error).context("the program does not listen"),
            }
        }
    }
}

/// Carries bytes in one direction. The end of one side is passed on; what breaks one breaks the other.
fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let carried = match from.read(&mut bytes) {
            Ok(0) => {
                // Nobody hears of it where the other side is gone.
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(len) => to.write_all(&bytes[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        if carried.is_err() {
            for stream in [from, to] {
                let _ = stream.shutdown(Shutdown::Both);
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_at_one_end_comes_out_at_the_other() {
        let address = Companion::free_address().unwrap();
        let mut companion = Companion::new(address, std::io::sink());
        let listener = TcpListener::bind(address).unwrap();
        companion.hear("companion: connect a pair").unwrap();
        let (mut one, mut other) = (listener.accept().unwrap().0, listener.accept().unwrap().0);
        one.write_all(b"there").unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        other.write_all(b"and back").unwrap();
        drop(other.try_clone().unwrap());
        let mut text = String::new();
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "there");
        drop(other);
        text.clear();
        one.read_to_string(&mut text).unwrap();
        assert_eq!(text, "and back");
    }

    #[test]
    fn no_two_programs_listen_at_one_address() {
        let addresses: Vec<_> = (0..100).map(|_| Companion::free_address().unwrap()).collect();
        let listeners: Vec<_> = addresses.iter().map(|address| TcpListener::bind(address).unwrap()).collect();
        assert!(listeners.iter().all(|listener| PORTS.contains(&listener.local_addr().unwrap().port())));
        assert!(!addresses.contains(&Companion::free_address().unwrap()));
    }

    #[test]
    fn what_is_to_be_answered_is_written_until_its_end() {
        let (mut input, output) = std::io::pipe().unwrap();
        let address = Companion::free_address().unwrap();
        let mut companion = Companion::new(address, output);
        for line in
            ["test a ... ok", "companion: answer one", "companion: answer ", "companion: end the input"]
        {
            companion.hear(line).unwrap();
        }
        companion.hear("companion: answer too late").unwrap();
        let mut text = String::new();
        input.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\n\n");
    }
}
