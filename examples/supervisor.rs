//! Runs commands and keeps them running: one that fails is started again, after a while that doubles each time.
//!
//! `supervisor ATTEMPTS COMMAND...` gives each command to `sh`, and gives it up when it has failed so many times in a row.
//! It ends when no command is left to run; on SIGTERM or SIGINT it passes SIGTERM on, and kills what has not ended a second
//! later.

use std::collections::HashMap;
use std::env;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use proactor::{
    ChildExited, Config, Context, Error, Event, Flow, Key, Loop, RunMode, Signal, Signals, Time, WaitChild,
};
use rustix::process::{Pid, kill_process};

/// The wait before a command is started again for the first time, and for the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Who has run so long has not failed at the start, and is started again as if for the first time.
const SETTLED: Duration = Duration::from_secs(5);

/// How long commands may take to end when they are told to.
const GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match &arguments[..] {
        [attempts, commands @ ..] if !commands.is_empty() => attempts
            .parse()
            .ok()
            .filter(|attempts| *attempts > 0)
            .ok_or_else(|| io::Error::other("ATTEMPTS is a number, 1 and up"))
            .and_then(|attempts| supervise(attempts, commands)),
        _ => Err(io::Error::other("usage: supervisor ATTEMPTS COMMAND...")),
    };
    match result {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("supervisor: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Supervisor {
    services: Vec<Service>,
    /// What is under way for each service that is not over: the wait for its process, or for its next start.
    under_way: HashMap<usize, Key>,
    attempts: u32,
    stopping: bool,
    finished: u32,
    given_up: u32,
    restarts: u32,
}

/// A command that is kept running.
struct Service {
    command: String,
    /// Failures in a row.
    failures: u32,
    started: Time,
}

impl Service {
    /// How long to wait after so many failures.
    fn pause(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(20);
        FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
    }
}

fn supervise(attempts: u32, commands: &[String]) -> io::Result<u32> {
    let mut ev = Loop::<Supervisor>::open(Config::default())?;
    let mut cx = ev.context();
    let service = |command: &String| Service { command: command.clone(), failures: 0, started: Time::ZERO };
    let mut supervisor = Supervisor {
        services: commands.iter().map(service).collect(),
        under_way: HashMap::new(),
        attempts,
        stopping: false,
        finished: 0,
        given_up: 0,
        restarts: 0,
    };
    let set = [Signal::TERM, Signal::INT].into();
    let signals = cx.submit_multishot(Signals { set }, |supervisor: &mut Supervisor, cx, event| {
        match event {
            Event::More(signal) => stop(supervisor, cx, signal),
            Event::Last(last) => cx.fail(last.output.error),
        }
        Flow::Continue
    });
    // Nobody is kept running by its waiting for signals alone.
    cx.background(signals)?;
    for index in 0..commands.len() {
        start(&mut supervisor, &mut cx, index);
    }
    ev.run(&mut supervisor, RunMode::UntilDone)?;
    let Supervisor { finished, given_up, restarts, .. } = supervisor;
    println!("{finished} finished, {given_up} given up, {restarts} restarts");
    Ok(given_up)
}

/// Starts the process of a service.
fn start(supervisor: &mut Supervisor, cx: &mut Context<Supervisor>, index: usize) {
    let service = &mut supervisor.services[index];
    service.started = cx.update_now();
    match Command::new("sh").args(["-c", &service.command]).stdin(Stdio::null()).spawn() {
        Ok(child) => {
            println!("{index}: started");
            wait_for(supervisor, cx, index, child);
        }
        Err(error) => {
            println!("{index}: cannot be started: {error}");
            failed(supervisor, cx, index);
        }
    }
}

fn wait_for(supervisor: &mut Supervisor, cx: &mut Context<Supervisor>, index: usize, child: Child) {
    let wait = WaitChild { child: child.into() };
    let key = cx.submit(wait, move |supervisor, cx, exited| ended(supervisor, cx, index, exited));
    supervisor.under_way.insert(index, key);
}

/// The wait for a process is over: because it has ended, or because it is to be told to.
fn ended(supervisor: &mut Supervisor, cx: &mut Context<Supervisor>, index: usize, exited: ChildExited) {
    supervisor.under_way.remove(&index);
    match (exited.result, exited.child.into_std()) {
        (Ok(status), _) => {
            println!("{index}: {}", told(status));
            if supervisor.stopping || status.success() {
                supervisor.finished += 1;
            } else {
                failed(supervisor, cx, index);
            }
        }
        // Nobody has taken its status, so its number is still its own.
        (Err(Error::Canceled), Some(child)) => terminate(cx, index, child),
        (Err(error), _) => cx.fail(error),
    }
}

fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Starts it again, later, or gives it up.
fn failed(supervisor: &mut Supervisor, cx: &mut Context<Supervisor>, index: usize) {
    let now = cx.update_now();
    let service = &mut supervisor.services[index];
    if now.since(service.started) >= SETTLED {
        service.failures = 0;
    }
    service.failures += 1;
    if service.failures >= supervisor.attempts {
        println!("{index}: given up");
        supervisor.given_up += 1;
        return;
    }
    let pause = service.pause();
    println!("{index}: again in {} ms", pause.as_millis());
    let key = cx.timer_after(pause, move |supervisor, cx| {
        supervisor.under_way.remove(&index);
        supervisor.restarts += 1;
        start(supervisor, cx, index);
    });
    supervisor.under_way.insert(index, key);
}

/// Ends all waits: those for a process hand it back, to be told.
fn stop(supervisor: &mut Supervisor, cx: &mut Context<Supervisor>, signal: Signal) {
    if supervisor.stopping {
        return;
    }
    println!("{signal:?}: stopping");
    supervisor.stopping = true;
    for key in supervisor.under_way.values() {
        cx.cancel(*key);
    }
}

/// Tells a process to end, and has it killed if it does not.
fn terminate(cx: &mut Context<Supervisor>, index: usize, child: Child) {
    if let Err(error) = kill_process(Pid::from_child(&child), rustix::process::Signal::TERM) {
        return cx.fail(io::Error::from(error));
    }
    let wait = WaitChild { child: child.into() }.with_timeout(GRACE);
    cx.submit(wait, move |supervisor, cx, exited| match (exited.result, exited.child.into_std()) {
        (Err(Error::TimedOut), Some(mut child)) => match child.kill() {
            Ok(()) => wait_for(supervisor, cx, index, child),
            Err(error) => cx.fail(error),
        },
        (result, child) => {
            let child = child.map(Into::into).unwrap_or(proactor::ChildProcess::Id(0));
            ended(supervisor, cx, index, ChildExited { child, result });
        }
    });
}
