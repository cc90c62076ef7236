//! The runtime under which programs of WASI run, and their companion outside, which connects to the listener that each is
//! given, since none can connect, and leads what comes on either of two connections to the other.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::blocks;
use crate::measurement::Result;
use crate::workload::{Mechanism, Program, Workload};

/// Names the runtime's program.
const RUNNER_VARIABLE: &str = "PROACTOR_BENCH_WASI_RUNNER";
/// The arguments that a run of it begins with, with a space between.
const OPTIONS_VARIABLE: &str = "PROACTOR_BENCH_WASI_OPTIONS";
/// Its option that passes a listener in, to which the address is added.
const LISTENER_VARIABLE: &str = "PROACTOR_BENCH_WASI_LISTENER";
/// What the runtime is called, with its version.
const NAME_VARIABLE: &str = "PROACTOR_BENCH_WASI_RUNTIME";
/// Names the program of WASI.
const PROGRAM_VARIABLE: &str = "PROACTOR_BENCH_WASI_PROGRAM";

/// The line with which a program asks for a pair of connections.
const ASK: &str = "companion: connect a pair";

/// How long a runtime may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// More pairs are not led to each other: there are two threads for each.
const MOST_PAIRS: u32 = 64;

/// A runtime and the program for it.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    runner: PathBuf,
    options: String,
    listener: String,
    program: PathBuf,
    /// Its name and version.
    pub(crate) name: String,
}

impl Runtime {
    /// The one that whoever runs us has named, if it has.
    pub(crate) fn find() -> Option<Self> {
        let path = |variable| std::env::var_os(variable).map(PathBuf::from);
        let (runner, program) = (path(RUNNER_VARIABLE)?, path(PROGRAM_VARIABLE)?);
        let text = |variable| std::env::var(variable).ok();
        let (options, listener) = (text(OPTIONS_VARIABLE)?, text(LISTENER_VARIABLE)?);
        Some(Self { runner, options, listener, program, name: text(NAME_VARIABLE)? })
    }

    /// A command that runs the program with `arguments`, and its companion. The program is given a listener if it connects, and not
    /// otherwise: behind that the C library would find no directory.
    ///
    /// # Errors
    /// When there is no free port, or no directory.
    pub(crate) fn command(&self, arguments: &[String], connects: bool) -> Result<(Command, Companion)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let directory = blocks::directory()?;
        let mut command = Command::new(&self.runner);
        command.args(self.options.split(' '));
        if connects {
            command.arg(format!("{}{address}", self.listener));
        }
        command.arg("--dir").arg(&directory);
        command.arg("--env").arg(format!("{}={}", blocks::DIRECTORY_VARIABLE, directory.display()));
        command.arg("--").arg(&self.program).args(arguments);
        Ok((command, Companion { address }))
    }
}

/// Whether `program` can run `workload` here.
pub(crate) fn can_run(program: &Program, workload: Workload) -> bool {
    program.mechanism != Mechanism::Wasi || (workload.parameter <= MOST_PAIRS && Runtime::find().is_some())
}

/// Who connects for a program.
#[derive(Debug)]
pub(crate) struct Companion {
    address: SocketAddr,
}

impl Companion {
    /// Does what a line of the program's output asks for; whether it asked for something.
    ///
    /// # Errors
    /// When the program does not listen.
    pub(crate) fn hear(&self, line: &str) -> Result<bool> {
        if line != ASK {
            return Ok(false);
        }
        let (one, other) = (self.dial()?, self.dial()?);
        for (from, to) in [(one.try_clone()?, other.try_clone()?), (other, one)] {
            thread::spawn(move || carry(&from, &to));
        }
        Ok(true)
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
                Err(error) => return Err(format!("the program does not listen: {error}").into()),
            }
        }
    }
}

/// Carries bytes in one direction until it is over, or broken.
fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    // Nobody hears of it where the other side is gone.
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_companion_leads_two_connections_to_each_other() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let companion = Companion { address: listener.local_addr().expect("it is bound") };
        assert!(!companion.hear("{}").expect("nothing to do"));
        assert!(companion.hear(ASK).expect("it listens"));
        let accept = || listener.accept().expect("a connection").0;
        let (mut one, mut other) = (accept(), accept());
        one.write_all(b"there").expect("it is connected");
        one.shutdown(Shutdown::Write).expect("it is connected");
        let mut text = String::new();
        other.read_to_string(&mut text).expect("it ends");
        assert_eq!(text, "there");
    }

    #[test]
    fn a_program_gets_its_arguments_and_its_listener() {
        let (runner, program) = ("runner".into(), "x.wasm".into());
        let (options, listener) = ("run --fast".to_owned(), "--listen=".to_owned());
        let runtime = Runtime { runner, options, listener, program, name: "a runtime".to_owned() };
        let command = |connects| runtime.command(&["child".to_owned()], connects).expect("a free port");
        let (without, _) = command(false);
        assert!(!without.get_args().any(|each| each.to_string_lossy().starts_with("--listen")));
        let (command, companion) = command(true);
        let arguments: Vec<_> = command.get_args().map(|each| each.to_string_lossy().into_owned()).collect();
        let listener = format!("--listen={}", companion.address);
        assert_eq!(arguments[..3], ["run".to_owned(), "--fast".to_owned(), listener]);
        assert!(arguments.ends_with(&["--".to_owned(), "x.wasm".to_owned(), "child".to_owned()]));
    }
}
