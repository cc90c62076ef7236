//! Who runs a program, and what it passes in. A companion connects to the program's listener where it cannot do so itself,
//! writes to its standard input, and reads its standard output, where lines tell the companion what to do.
//!
//! On Unix the companion of standard streams is the case, and the program a child; a listener's is in the program. Elsewhere
//! `xtask` runs each case in a program of its own and is the companion of all.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use proactor_core::Backend;

use crate::Fixture;

/// Begins a line that has the rest of it, with its end, written to standard input.
pub(crate) const ANSWER: &str = "companion: answer ";

/// The line that ends standard input.
pub(crate) const END: &str = "companion: end the input";

/// Who connects to a listener that was passed in.
#[derive(Debug)]
pub(crate) struct Outside {
    #[cfg(unix)]
    address: std::net::SocketAddr,
}

#[cfg(unix)]
impl Outside {
    /// A listener as it was passed in, and who connects to it.
    pub(crate) fn listening() -> (TcpListener, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        (listener, Self { address })
    }

    /// Has two connections made, the ends of which are led to each other.
    pub(crate) fn connect_a_pair(&self) {
        use std::net::{Shutdown, TcpStream};

        let connect = || TcpStream::connect(self.address).expect("it listens");
        let (one, other) = (connect(), connect());
        let copies = [&one, &other].map(|stream| stream.try_clone().expect("a second descriptor"));
        let [one_again, other_again] = copies;
        for (mut from, mut to) in [(one, other_again), (other, one_again)] {
            std::thread::spawn(move || {
                // What breaks one breaks the other; who hears of it is not for us to say.
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    }
}

#[cfg(not(unix))]
impl Outside {
    /// A listener as it was passed in, and who connects to it.
    pub(crate) fn listening() -> (TcpListener, Self) {
        (std::mem::ManuallyDrop::into_inner(crate::given::listener()), Self {})
    }

    /// Has two connections made, the ends of which are led to each other.
    pub(crate) fn connect_a_pair(&self) {
        crate::given::ask_for_a_pair();
    }
}

/// Standard input and output, to be owned.
#[cfg(unix)]
pub(crate) fn standard_streams() -> [OwnedFd; 2] {
    use std::os::fd::AsFd;

    let again = "a second descriptor";
    [
        std::io::stdin().as_fd().try_clone_to_owned().expect(again),
        std::io::stdout().as_fd().try_clone_to_owned().expect(again),
    ]
}

#[cfg(not(unix))]
pub(crate) use crate::given::standard_streams;

/// Leaves them to the program.
#[cfg(unix)]
pub(crate) fn give_back(streams: [OwnedFd; 2]) {
    drop(streams);
}

/// Leaves them to the program, which has no others.
#[cfg(not(unix))]
pub(crate) fn give_back(streams: [OwnedFd; 2]) {
    use std::os::fd::IntoRawFd;

    let _ = streams.map(IntoRawFd::into_raw_fd);
}

/// Runs what speaks with a companion over its standard streams: in a child.
#[cfg(unix)]
pub(crate) fn with_companion<B: Backend>(fixture: &Fixture<B>, child: &str, _body: fn(&Fixture<B>)) {
    fixture.child_with(child, |mut input, output| {
        use std::io::{BufRead, Write};

        for line in std::io::BufReader::new(output).lines() {
            let line = line.expect("a line of text");
            if line == END {
                drop(input.take());
            } else if let (Some(answer), Some(input)) = (line.strip_prefix(ANSWER), &mut input) {
                input.write_all(format!("{answer}\n").as_bytes()).expect("it reads");
            }
        }
    });
}

/// Runs what speaks with a companion over its standard streams: here, where each case has a program of its own.
#[cfg(not(unix))]
pub(crate) fn with_companion<B: Backend>(fixture: &Fixture<B>, _child: &str, body: fn(&Fixture<B>)) {
    body(fixture);
}
