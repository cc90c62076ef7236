//! The programs that follow a file and that look after other programs: ended by signals, as a user would.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::process::{End, Running, run};
use crate::scratch::Scratch;

/// One that runs, and what is expected of it.
struct Watched {
    running: Running,
    deadline: Instant,
}

impl Watched {
    fn start(program: &Path, arguments: &[&str], deadline: Instant) -> Result<Self> {
        let running = Running::start(Command::new(program).args(arguments))?;
        Ok(Self { running, deadline })
    }

    fn prints(&mut self, expected: &str) -> Result<()> {
        let line = self.running.line(self.deadline).with_context(|| format!("no line `{expected}` came"))?;
        ensure!(line == expected, "`{line}` came instead of `{expected}`");
        Ok(())
    }

    fn is_told(&self, signal: &str) -> Result<()> {
        run(Command::new("kill").args([&format!("-{signal}"), &self.running.id().to_string()]))
    }

    /// It ends by itself, having printed these lines and no others.
    fn ends(mut self, lines: &[&str], code: i32) -> Result<()> {
        lines.iter().try_for_each(|line| self.prints(line))?;
        let more = self.running.line(self.deadline);
        ensure!(more.is_none(), "it went on with {more:?}");
        let end = self.running.end(self.deadline)?;
        let ended = matches!(end, End::Exited(status) if status.code() == Some(code));
        ensure!(ended, "it was to end with {code}: {end}");
        Ok(())
    }
}

/// Has `program` follow a log that grows, is cut, is moved away and comes again.
pub(super) fn follow(program: &Path, folder: &Scratch, deadline: Instant) -> Result<()> {
    let log = folder.path().join("log");
    let moved = folder.path().join("log.1");
    let append = |path: &Path, text: &str| -> Result<()> {
        let mut file = fs::File::options().append(true).open(path).context("cannot append")?;
        file.write_all(text.as_bytes()).context("cannot append")
    };
    fs::write(&log, "never seen\nfirst\n")?;
    let path = log.to_str().context("a path of text")?;
    let mut tail = Watched::start(program, &[path, "6"], deadline)?;
    tail.prints("first")?;
    append(&log, "second\n")?;
    tail.prints("second")?;
    // More than is read at a time.
    let long = "x".repeat(100_000);
    append(&log, &format!("{long}\nafter it\n"))?;
    tail.prints(&long)?;
    tail.prints("after it")?;
    // Cut: from its beginning.
    fs::write(&log, "short\n")?;
    tail.prints("short")?;
    // Moved away, it is still the same file.
    fs::rename(&log, &moved)?;
    append(&moved, "moved\n")?;
    tail.prints("moved")?;
    // What is written to the old one before another has its name comes first.
    append(&moved, "last of the old\n")?;
    fs::write(&log, "first of the new\n")?;
    tail.prints("last of the old")?;
    tail.prints("first of the new")?;
    append(&log, "second of the new\n")?;
    tail.prints("second of the new")?;
    tail.is_told("TERM")?;
    tail.ends(&[], 0)?;
    let mut tail = Watched::start(program, &[path, "18"], deadline)?;
    tail.prints("second of the new")?;
    tail.is_told("INT")?;
    tail.ends(&[], 0)
}

/// Has `program` look after commands that succeed, fail, fail again and again, and end or not when they are told to.
pub(super) fn supervise(program: &Path, folder: &Scratch, deadline: Instant) -> Result<()> {
    let file = |name: &str| folder.path().join(name).display().to_string();
    let start = |arguments: &[&str]| Watched::start(program, arguments, deadline);
    start(&["3", "exit 0"])?
        .ends(&["0: started", "0: exited with 0", "1 finished, 0 given up, 0 restarts"], 0)?;

    let once = format!("test -e {0} || {{ touch {0}; exit 3; }}", file("failed-once"));
    let restarted = [
        "0: started",
        "0: exited with 3",
        "0: again in 50 ms",
        "0: started",
        "0: exited with 0",
        "1 finished, 0 given up, 1 restarts",
    ];
    let begun = Instant::now();
    start(&["3", &once])?.ends(&restarted, 0)?;
    ensure!(begun.elapsed() >= Duration::from_millis(50), "it did not wait");

    let given_up = [
        "0: started",
        "0: killed by signal 9",
        "0: again in 50 ms",
        "0: started",
        "0: killed by signal 9",
        "0: again in 100 ms",
        "0: started",
        "0: killed by signal 9",
        "0: given up",
        "0 finished, 1 given up, 2 restarts",
    ];
    start(&["3", "kill -9 $$"])?.ends(&given_up, 1)?;

    // One that ends when it is told to, and one that does not listen.
    let ready = [file("ready-0"), file("ready-1")];
    let waits = "while :; do sleep 0.05; done";
    let listens = format!("trap 'exit 7' TERM; touch {}; {waits}", ready[0]);
    let is_deaf = format!("trap '' TERM; touch {}; {waits}", ready[1]);
    let mut supervisor = start(&["3", &listens, &is_deaf])?;
    supervisor.prints("0: started")?;
    supervisor.prints("1: started")?;
    while !ready.iter().all(|path| Path::new(path).exists()) {
        ensure!(Instant::now() < deadline, "its commands do not run");
        std::thread::sleep(Duration::from_millis(5));
    }
    supervisor.is_told("TERM")?;
    let stopped = [
        "SIGTERM: stopping",
        "0: exited with 7",
        "1: killed by signal 9",
        "2 finished, 0 given up, 0 restarts",
    ];
    supervisor.ends(&stopped, 0)
}
