//! The example programs, run as a user would and judged from outside: by what they print, by how they end, and, for the
//! server, by a client that shares no code with it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

mod processes;
mod wasi;
mod web;

use crate::executables::{self, Executable, Programs};
use crate::process::{End, Running};
use crate::scratch::Scratch;
use crate::setup;
use crate::workspace::Workspace;

/// The packages that build the examples, what each adds to their names, and which they are: the same ones for each backend, and
/// those that are for several.
const PACKAGES: [(&str, &str, &[Example]); 3] = [
    ("examples/epoll", "", &EXAMPLES),
    ("examples/uring", "-uring", &EXAMPLES),
    ("examples/either", "", &[EITHER]),
];

/// How long one example may take, all its steps together.
const LIMIT: Duration = Duration::from_secs(30);

/// What the server prints before the address that it listens on.
const LISTENING: &str = "listening on ";

struct Example {
    name: &'static str,
    steps: &'static [Step],
}

/// What is done with an example's programs. `ADDRESS` in arguments stands for the server's address, `TARGET` for that of a
/// server of ours, which waits for the end of what comes before it sends it back, and `FOLDER` for a folder of the example's own.
enum Step {
    /// Runs it to its end, which is a success, and compares what it printed, line by line.
    Prints { arguments: &'static [&'static str], lines: &'static [&'static str] },
    /// Starts it as a server in the background, and waits until it says where it listens.
    Serves { arguments: &'static [&'static str] },
    /// The same where io_uring is refused to it, of which it says why that is, and goes on without.
    ServesWithoutUring { arguments: &'static [&'static str] },
    /// Connects to the server, sends so many bytes, and expects the same ones back.
    Echoes { bytes: usize },
    /// Sends the server a datagram of each of these lengths, and expects the same one back.
    EchoesDatagrams { lengths: &'static [usize] },
    /// The server ends by itself, successfully, and these are the lines it printed since.
    Ends { lines: &'static [&'static str] },
    /// Has it copy a file of so many bytes, and compares the copy.
    Copies { bytes: usize },
    /// Fetches pages from the server, which serves the folder, with curl and with wrk.
    IsBrowsed,
    /// Has it follow a file, and ends it by a signal.
    Follows,
    /// Has it look after other programs, and ends it by a signal.
    Supervises,
    /// Ends the server, which would not by itself.
    IsKilled,
    /// Runs it to its end, which is a failure that prints nothing to standard output.
    Fails { arguments: &'static [&'static str] },
}

const EXAMPLES: [Example; 9] = [
    Example {
        name: "copy_file",
        steps: &[
            Step::Copies { bytes: 0 },
            Step::Copies { bytes: 65_536 },
            Step::Copies { bytes: 3_000_017 },
            Step::Fails { arguments: &["FOLDER/nothing", "FOLDER/copy"] },
            Step::Fails { arguments: &["FOLDER", "FOLDER/nowhere/copy"] },
        ],
    },
    Example {
        name: "echo",
        steps: &[
            // It serves three connections and ends: one that says nothing, ours, and its own client's.
            Step::Serves { arguments: &["server", "127.0.0.1:0", "3"] },
            Step::Echoes { bytes: 0 },
            Step::Echoes { bytes: 1_000_003 },
            Step::Prints {
                arguments: &["client", "ADDRESS", "20"],
                lines: &["checked 20 messages of 1000 bytes"],
            },
            Step::Ends { lines: &["echoed 1020003 bytes"] },
            // Nobody listens there any more.
            Step::Fails { arguments: &["client", "ADDRESS"] },
            Step::Fails { arguments: &["server", "nowhere"] },
        ],
    },
    Example {
        name: "http",
        steps: &[
            Step::Serves { arguments: &["127.0.0.1:0", "FOLDER"] },
            Step::IsBrowsed,
            Step::IsKilled,
            Step::Fails { arguments: &["127.0.0.1:0", "FOLDER/nothing"] },
        ],
    },
    Example {
        name: "proxy",
        steps: &[
            // Our server answers only after the end of what it is sent: an end has to be passed on, and no more than it.
            Step::Serves { arguments: &["127.0.0.1:0", "TARGET", "3"] },
            Step::Echoes { bytes: 0 },
            Step::Echoes { bytes: 1_000_003 },
            Step::Echoes { bytes: 1 },
            Step::Ends { lines: &["passed on 2000008 bytes, gave up 0 connections"] },
            // Nobody listens there: the client's connection ends.
            Step::Serves { arguments: &["127.0.0.1:0", "127.0.0.1:1"] },
            Step::Echoes { bytes: 0 },
            Step::Ends { lines: &["passed on 0 bytes, gave up 1 connections"] },
            Step::Fails { arguments: &["127.0.0.1:0", "nowhere"] },
        ],
    },
    Example {
        name: "supervisor",
        steps: &[
            Step::Supervises,
            Step::Fails { arguments: &["3"] },
            Step::Fails { arguments: &["0", "exit 0"] },
        ],
    },
    Example {
        name: "tail",
        steps: &[
            Step::Follows,
            Step::Fails { arguments: &["FOLDER/nothing"] },
            Step::Fails { arguments: &["FOLDER"] },
        ],
    },
    Example {
        name: "timer",
        steps: &[Step::Prints {
            arguments: &[],
            lines: &[
                "canceled: Err(Canceled)",
                "first",
                "second",
                "third, put off",
                "tick 1",
                "tick 2",
                "tick 3",
                "done",
            ],
        }],
    },
    Example {
        name: "notify",
        steps: &[Step::Prints { arguments: &[], lines: &["all 4000 jobs are finished"] }],
    },
    Example {
        name: "udp_echo",
        steps: &[
            // It sends back ours, one by one, and those of its own client.
            Step::Serves { arguments: &["server", "127.0.0.1:0", "24"] },
            Step::EchoesDatagrams { lengths: &[0, 1, 1472, 65_507] },
            Step::Prints { arguments: &["client", "ADDRESS", "20"], lines: &["checked 20 datagrams"] },
            Step::Ends { lines: &["echoed 256410 bytes"] },
            Step::Fails { arguments: &["client", "ADDRESS"] },
            Step::Fails { arguments: &["server", "nowhere"] },
        ],
    },
];

const EITHER: Example = Example {
    name: "either",
    steps: &[
        Step::Serves { arguments: &["any", "127.0.0.1:0", "2"] },
        Step::Echoes { bytes: 0 },
        Step::Echoes { bytes: 1_000_003 },
        Step::Ends { lines: &["echoed 1000003 bytes on uring"] },
        Step::ServesWithoutUring { arguments: &["any", "127.0.0.1:0"] },
        Step::Echoes { bytes: 1_000_003 },
        Step::Ends { lines: &["echoed 1000003 bytes on epoll"] },
        Step::Serves { arguments: &["epoll", "127.0.0.1:0"] },
        Step::Echoes { bytes: 1 },
        Step::Ends { lines: &["echoed 1 bytes on epoll"] },
        Step::Fails { arguments: &["any", "nowhere"] },
        Step::Fails { arguments: &["iocp", "127.0.0.1:0"] },
    ],
};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::STRACE.require()?;
    for (folder, suffix, examples) in PACKAGES {
        let mut build = workspace.cargo();
        build.args(["build", "--manifest-path"]).arg(format!("{folder}/Cargo.toml"));
        let programs = executables::build(workspace, &mut build, Programs::Ordinary)?;
        play(&programs, folder, suffix, examples)?;
    }
    wasi::run(workspace)
}

/// Plays examples with the programs that `folder` has built of them.
fn play<'a>(
    programs: &[Executable],
    folder: &str,
    suffix: &str,
    examples: impl IntoIterator<Item = &'a Example>,
) -> Result<()> {
    for example in examples {
        let name = format!("{}{suffix}", example.name);
        let program = programs
            .iter()
            .find(|program| program.target == name)
            .with_context(|| format!("{folder} has no program `{name}`"))?;
        let started = Instant::now();
        Play::new(program, started + LIMIT).steps(example.steps).with_context(|| name.clone())?;
        println!("{name}: ok, {:.2} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}

struct Play<'a> {
    program: &'a Executable,
    folder: Scratch,
    server: Option<Running>,
    address: Option<SocketAddr>,
    /// Where our own server listens, once a step has needed it.
    target: Option<SocketAddr>,
    deadline: Instant,
}

impl<'a> Play<'a> {
    fn new(program: &'a Executable, deadline: Instant) -> Self {
        Self { program, folder: Scratch::new(), server: None, address: None, target: None, deadline }
    }

    fn steps(mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            match step {
                Step::Prints { arguments, lines } => self.prints(arguments, lines)?,
                Step::Serves { arguments } => self.serves(arguments)?,
                Step::ServesWithoutUring { arguments } => self.serves_without_uring(arguments)?,
                Step::Echoes { bytes } => self.echoes(*bytes)?,
                Step::EchoesDatagrams { lengths } => self.echoes_datagrams(lengths)?,
                Step::Ends { lines } => self.ends(lines)?,
                Step::Copies { bytes } => self.copies(*bytes)?,
                Step::IsBrowsed => web::browse(self.server_address()?, &self.folder, self.deadline)?,
                Step::Follows => processes::follow(&self.program.path, &self.folder, self.deadline)?,
                Step::Supervises => processes::supervise(&self.program.path, &self.folder, self.deadline)?,
                Step::IsKilled => drop(self.server.take().context("no server was started")?),
                Step::Fails { arguments } => self.fails(arguments)?,
            }
        }
        ensure!(self.server.is_none(), "its server was left running");
        Ok(())
    }

    fn start(&mut self, arguments: &[&str]) -> Result<Running> {
        Running::start(&mut self.command(arguments)?)
    }

    fn command(&mut self, arguments: &[&str]) -> Result<Command> {
        let mut command = match self.program.host() {
            None => Command::new(&self.program.path),
            // Of the files it is given those of its folder, by the same names.
            Some(host) => {
                let mut command = host.run();
                command.arg("--dir").arg(self.folder.path()).arg("--").arg(&self.program.path);
                command
            }
        };
        for argument in arguments {
            match (*argument, self.address) {
                ("ADDRESS", Some(address)) => command.arg(address.to_string()),
                ("ADDRESS", None) => bail!("no server said where it listens"),
                ("TARGET", _) => {
                    let target = self.target.map_or_else(late_echo, Ok)?;
                    self.target = Some(target);
                    command.arg(target.to_string())
                }
                (argument, _) => match argument.strip_prefix("FOLDER") {
                    Some(rest) => command.arg(format!("{}{rest}", self.folder.path().display())),
                    None => command.arg(argument),
                },
            };
        }
        Ok(command)
    }

    fn prints(&mut self, arguments: &[&str], expected: &[&str]) -> Result<()> {
        let (lines, end) = rest(self.start(arguments)?, self.deadline)?;
        ensure!(end.success(), "{arguments:?}: {end}, having printed {lines:?}");
        ensure!(lines == expected, "{arguments:?} printed {lines:?}, not {expected:?}");
        Ok(())
    }

    fn fails(&mut self, arguments: &[&str]) -> Result<()> {
        let (lines, end) = rest(self.start(arguments)?, self.deadline)?;
        let failed = matches!(end, End::Exited(status) if status.code().is_some_and(|code| code != 0));
        ensure!(failed && lines.is_empty(), "{arguments:?} was to fail: {end}, having printed {lines:?}");
        Ok(())
    }

    fn serves(&mut self, arguments: &[&str]) -> Result<()> {
        let server = self.start(arguments)?;
        self.listens(server)
    }

    fn serves_without_uring(&mut self, arguments: &[&str]) -> Result<()> {
        let program = self.command(arguments)?;
        let complaints = self.folder.path().join("complaints");
        let mut command = without_uring(&program);
        command.stderr(File::create(&complaints).context("no file for what it complains of")?);
        let server = Running::start(&mut command)?;
        self.listens(server)?;
        let complaints = std::fs::read_to_string(&complaints).context("cannot read what it complained of")?;
        ensure!(tells_why(&complaints), "it does not say why it has no io_uring: `{}`", complaints.trim());
        Ok(())
    }

    fn listens(&mut self, mut server: Running) -> Result<()> {
        let line = server.line(self.deadline).context("the server printed nothing")?;
        let address = line.strip_prefix(LISTENING).with_context(|| format!("the server printed `{line}`"))?;
        self.address = Some(address.parse().with_context(|| format!("`{address}` is no address"))?);
        self.server = Some(server);
        Ok(())
    }

    fn echoes(&self, bytes: usize) -> Result<()> {
        let address = self.server_address()?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut stream = TcpStream::connect_timeout(&address, left).context("cannot connect")?;
        stream.set_read_timeout(Some(left))?;
        stream.set_write_timeout(Some(left))?;
        let sent = pattern(bytes);
        let mut writer = stream.try_clone()?;
        let received = std::thread::scope(|scope| {
            let writing =
                scope.spawn(|| writer.write_all(&sent).and_then(|()| writer.shutdown(Shutdown::Write)));
            let mut received = Vec::new();
            let read = stream.read_to_end(&mut received).context("cannot receive");
            let written = writing.join().map_err(|_| anyhow::anyhow!("the writing thread panicked"))?;
            written.context("cannot send")?;
            read.map(|_| received)
        })?;
        ensure!(received.len() == sent.len(), "{} bytes came back of {bytes}", received.len());
        ensure!(received == sent, "other bytes came back than were sent");
        Ok(())
    }

    fn echoes_datagrams(&self, lengths: &[usize]) -> Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("cannot bind")?;
        socket.connect(self.server_address()?).context("cannot connect")?;
        socket.set_read_timeout(Some(self.deadline.saturating_duration_since(Instant::now())))?;
        for &length in lengths {
            let sent = pattern(length);
            socket.send(&sent).context("cannot send")?;
            let mut received = vec![0; sent.len() + 1];
            let len = socket.recv(&mut received).context("cannot receive")?;
            ensure!(received[..len] == sent, "{len} other bytes came back than the {length} that were sent");
        }
        Ok(())
    }

    fn server_address(&self) -> Result<SocketAddr> {
        self.address.context("no server said where it listens")
    }

    fn copies(&mut self, bytes: usize) -> Result<()> {
        let (original, copy) = (self.folder.path().join("original"), self.folder.path().join("copy"));
        std::fs::write(&original, pattern(bytes)).context("cannot write the original")?;
        // What was there before has to go, also where it is longer.
        std::fs::write(&copy, pattern(bytes + 1000)).context("cannot write what was there before")?;
        self.prints(&["FOLDER/original", "FOLDER/copy"], &[&format!("copied {bytes} bytes")])?;
        let copied = std::fs::read(&copy).context("cannot read the copy")?;
        ensure!(copied == pattern(bytes), "the copy has {} bytes, and not the right {bytes}", copied.len());
        Ok(())
    }

    fn ends(&mut self, expected: &[&str]) -> Result<()> {
        let server = self.server.take().context("no server was started")?;
        let (lines, end) = rest(server, self.deadline)?;
        ensure!(end.success(), "the server: {end}, having printed {lines:?}");
        ensure!(lines == expected, "the server printed {lines:?}, not {expected:?}");
        Ok(())
    }
}

/// How io_uring is refused: strace's name for the error, and what std makes of it.
const REFUSED: (&str, &str) = ("EPERM", "(os error 1)");

/// The same program, run so that it gets no ring. What traces it is no parent of it, and ends with it.
fn without_uring(program: &Command) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-qq", "-o", "/dev/null", "-e", "trace=io_uring_setup"]);
    command.arg("-e").arg(format!("inject=io_uring_setup:error={}", REFUSED.0));
    command.arg(program.get_program()).args(program.get_args());
    command
}

/// Whether a program whose ring was refused says so, with the backend's own reason and the system's.
fn tells_why(complaints: &str) -> bool {
    complaints.contains("no uring: io_uring is ") && complaints.contains(REFUSED.1)
}

/// Bytes of which no two stretches are alike, so that a piece lost, doubled or out of place shows.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|index| (index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

/// A server that sends back what came once its end has come. It ends with this process.
fn late_echo() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut received = Vec::new();
            // Who is interested in what went wrong is the other end, which gets less than it has sent.
            let _ = stream.read_to_end(&mut received).and_then(|_| stream.write_all(&received));
        }
    });
    Ok(address)
}

fn rest(mut program: Running, deadline: Instant) -> Result<(Vec<String>, End)> {
    let lines = std::iter::from_fn(|| program.line(deadline)).collect();
    Ok((lines, program.end(deadline)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(script: &str, steps: &[Step]) -> Result<()> {
        let scratch = Scratch::new();
        let program = scratch.program("example", &format!("#!/bin/sh\n{script}\n"));
        let program = Executable::for_test("examples/x", "example", program);
        let deadline = Instant::now() + Duration::from_secs(20);
        Play::new(&program, deadline).steps(steps)
    }

    const TICKS: &[Step] = &[Step::Prints { arguments: &["x"], lines: &["tick", "done"] }];

    #[test]
    fn lines_and_status_are_both_compared() {
        assert!(play("echo tick; echo done", TICKS).is_ok());
        assert!(play("echo tick; echo done; exit 1", TICKS).is_err());
        assert!(play("echo tick", TICKS).is_err());
        assert!(play("echo done; echo tick", TICKS).is_err());
        assert!(play("echo tick; echo done; echo more", TICKS).is_err());
    }

    #[test]
    fn what_is_to_fail_may_neither_succeed_nor_print() {
        let fails: &[Step] = &[Step::Fails { arguments: &[] }];
        assert!(play("exit 1", fails).is_ok());
        assert!(play("exit 0", fails).is_err());
        assert!(play("echo fine; exit 1", fails).is_err());
    }

    /// A server in this process; the script only says where it is.
    fn echo_through(answer: impl Fn(Vec<u8>) -> Vec<u8> + Send, bytes: usize) -> Result<()> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut received = Vec::new();
                stream.read_to_end(&mut received).unwrap();
                stream.write_all(&answer(received)).unwrap();
            });
            play(
                &format!("echo {LISTENING}{address}; echo bye"),
                &[Step::Serves { arguments: &[] }, Step::Echoes { bytes }, Step::Ends { lines: &["bye"] }],
            )
        })
    }

    #[test]
    fn an_echo_is_compared_byte_by_byte() {
        assert!(echo_through(|bytes| bytes, 70_001).is_ok());
        assert!(echo_through(|bytes| bytes, 0).is_ok());
        assert_ne!(pattern(70_001)[100], pattern(70_001)[60_000], "the swap must change something");
        let swapped = |mut bytes: Vec<u8>| {
            bytes.swap(100, 60_000);
            bytes
        };
        assert!(echo_through(swapped, 70_001).is_err());
        assert!(echo_through(|bytes| bytes[1..].to_vec(), 70_001).is_err());
    }

    #[test]
    fn a_program_without_io_uring_runs_as_it_is_and_has_to_say_why() {
        let mut program = Command::new("/there/either");
        program.args(["any", "127.0.0.1:0"]);
        let line = crate::process::describe(&without_uring(&program));
        assert!(line.ends_with("inject=io_uring_setup:error=EPERM /there/either any 127.0.0.1:0"), "{line}");
        let refused = std::io::Error::from_raw_os_error(1);
        assert!(tells_why(&format!("either: no uring: io_uring is forbidden by a filter ({refused})\n")));
        assert!(!tells_why("") && !tells_why("either: no uring\n"));
        assert!(!tells_why("either: no uring: io_uring is too old\n"));
    }

    #[test]
    fn a_server_must_say_where_it_listens_and_must_end() {
        let serves: &[Step] = &[Step::Serves { arguments: &[] }, Step::Ends { lines: &[] }];
        assert!(play("echo hello", serves).is_err());
        assert!(play("exit 0", serves).is_err());
        assert!(play(&format!("echo {LISTENING}127.0.0.1:1"), serves).is_ok());
        assert!(play(&format!("echo {LISTENING}127.0.0.1:1; exit 1"), serves).is_err());
        assert!(play(&format!("echo {LISTENING}127.0.0.1:1"), &serves[..1]).is_err());
    }
}
