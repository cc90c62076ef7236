//! Running other programs: their output passes through as it comes, and none runs for ever.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exited(ExitStatus),
    /// It was still running at its deadline, and was killed.
    TimedOut,
}

impl End {
    /// As a program ends that returns this.
    #[cfg(unix)]
    pub(crate) fn of(code: i32) -> Self {
        Self::Exited(std::os::unix::process::ExitStatusExt::from_raw(code << 8))
    }

    pub(crate) fn success(self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(formatter, "{status}"),
            Self::TimedOut => formatter.write_str("killed at its deadline"),
        }
    }
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: End,
    pub(crate) lines: Vec<String>,
}

/// How many lines of what a failed program complained of are told.
const LAST_LINES: usize = 6;

/// Whether the lines of a child are shown while they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    Shown,
    Quiet,
}

/// Runs to the end with standard output and error passed through untouched.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", describe(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", describe(command));
    }
    Ok(())
}

/// The same with standard error read on its way: that a program failed is told with what it wrote there last.
pub(crate) fn run_and_tell(command: &mut Command) -> Result<()> {
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", describe(command)))?;
    let errors = child.stderr.take().context("the child has no standard error")?;
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || pass_lines(errors, &sender));
    let mut last = VecDeque::new();
    for line in lines {
        eprintln!("{line}");
        if !line.trim().is_empty() {
            last.push_back(line.trim().to_owned());
        }
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
    // It has nothing more to read, and cannot have panicked over bytes.
    let _ = reader.join();
    let status = child.wait().context("cannot wait for a child")?;
    if !status.success() {
        let said = Vec::from(last).join(" | ");
        bail!("{} ended with {status}: {said}", describe(command));
    }
    Ok(())
}

/// Runs to the end or to the limit, collecting standard output line by line.
pub(crate) fn collect(command: &mut Command, limit: Duration, echo: Echo) -> Result<Finished> {
    let mut running = Running::start(command)?;
    let deadline = Instant::now() + limit;
    let mut lines = Vec::new();
    while let Some(line) = running.line(deadline) {
        if echo == Echo::Shown {
            println!("{line}");
        }
        lines.push(line);
    }
    std::io::stdout().flush().context("cannot write to standard output")?;
    Ok(Finished { end: running.end(deadline)?, lines })
}

/// A program that runs while we do something else; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Self::start_from(command.stdin(Stdio::null()))
    }

    /// The same with a pipe as standard input, and its other end.
    pub(crate) fn start_with_input(command: &mut Command) -> Result<(Self, ChildStdin)> {
        let mut running = Self::start_from(command.stdin(Stdio::piped()))?;
        let input = running.child.stdin.take().context("the child has no standard input")?;
        Ok((running, input))
    }

    fn start_from(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", describe(command)))?;
        let output = child.stdout.take().context("the child has no standard output")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || pass_lines(output, &sender));
        Ok(Self { child, lines })
    }

    /// Its process identifier.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its output; none when the output ended or the deadline passed.
    pub(crate) fn line(&mut self, deadline: Instant) -> Option<String> {
        // A program that never stops printing must not outrun its deadline.
        let left = deadline.checked_duration_since(Instant::now())?;
        self.lines.recv_timeout(left).ok()
    }

    /// Waits for the end, until the deadline; lines that nobody asked for are dropped.
    pub(crate) fn end(&mut self, deadline: Instant) -> Result<End> {
        // The end of its output is the end of the program, or very nearly, so little is left for the loop below.
        while self.line(deadline).is_some() {}
        loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for a child")? {
                return Ok(End::Exited(status));
            }
            if Instant::now() >= deadline {
                self.kill()?;
                return Ok(End::TimedOut);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot end a child")?;
        self.child.wait().context("cannot wait for a child")?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // It may have ended between the two calls, which is what is wanted.
            let _ = self.kill();
        }
    }
}

/// Bytes that are no UTF-8 are shown as replacement characters: a test may print what it likes.
fn pass_lines(output: impl Read, sender: &mpsc::Sender<String>) {
    let mut reader = BufReader::new(output);
    let mut bytes = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut bytes) {
        while let Some(b'\n' | b'\r') = bytes.last() {
            bytes.pop();
        }
        if sender.send(String::from_utf8_lossy(&bytes).into_owned()).is_err() {
            return;
        }
        bytes.clear();
    }
}

/// The command as one would type it, without its environment.
pub(crate) fn describe(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let arguments = command.get_args().map(|argument| format!(" {}", argument.to_string_lossy()));
    std::iter::once(name).chain(arguments).collect()
}

/// The sums of the `test result:` lines that test programs print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestCounts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl TestCounts {
    pub(crate) fn from_lines(lines: &[String]) -> Self {
        let mut counts = Self::default();
        for line in lines.iter().filter_map(|line| line.trim().strip_prefix("test result:")) {
            counts.passed += number_before(line, "passed");
            counts.failed += number_before(line, "failed");
            counts.ignored += number_before(line, "ignored");
        }
        counts
    }
}

impl std::ops::AddAssign for TestCounts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl std::fmt::Display for TestCounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split_whitespace().collect();
    let position = words.iter().position(|candidate| candidate.trim_end_matches(';') == word);
    position.and_then(|position| words.get(position.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_and_status_of_a_child_are_collected() {
        let finished =
            collect(&mut shell("echo one; echo two; exit 3"), Duration::from_secs(60), Echo::Quiet).unwrap();
        assert_eq!(finished.lines, ["one", "two"]);
        assert!(matches!(finished.end, End::Exited(status) if status.code() == Some(3)));
        assert!(!finished.end.success());
    }

    #[test]
    fn a_child_that_does_not_end_is_killed_at_its_deadline() {
        let started = Instant::now();
        let finished =
            collect(&mut shell("echo one; exec sleep 600"), Duration::from_millis(50), Echo::Quiet).unwrap();
        assert_eq!(finished.end, End::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn a_child_that_never_stops_printing_is_killed_too() {
        let finished = collect(&mut shell("exec yes"), Duration::from_millis(50), Echo::Quiet).unwrap();
        assert_eq!(finished.end, End::TimedOut);
    }

    #[test]
    fn a_child_that_closed_its_output_is_killed_too() {
        let finished =
            collect(&mut shell("exec >&-; exec sleep 600"), Duration::from_millis(50), Echo::Quiet).unwrap();
        assert_eq!(finished.end, End::TimedOut);
    }

    #[test]
    fn a_failing_child_is_an_error_that_names_it() {
        let error = run(&mut shell("exit 4")).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 4") && error.contains('4'), "{error}");
        assert!(run(&mut shell("exit 0")).is_ok());
    }

    #[test]
    fn a_failing_child_is_told_with_the_last_that_it_complained_of() {
        let complaints = "for n in 1 2 3 4 5 6 7; do echo \"error $n\" >&2; echo >&2; done";
        let error = run_and_tell(&mut shell(&format!("{complaints}; exit 4"))).unwrap_err().to_string();
        let last = "exit status: 4: error 2 | error 3 | error 4 | error 5 | error 6 | error 7";
        assert!(error.ends_with(last), "{error}");
        assert!(run_and_tell(&mut shell(complaints)).is_ok());
    }

    #[test]
    fn summary_lines_are_added_up() {
        let lines = [
            "test a ... ok",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out",
        ]
        .map(str::to_owned);
        assert_eq!(TestCounts::from_lines(&lines), TestCounts { passed: 7, failed: 3, ignored: 1 });
    }
}
