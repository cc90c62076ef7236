//! Signals: a storm of them, and the disposition with which a process starts; and child processes that have ended.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use proactor_core::Signal;

static DELIVERED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_signal: libc::c_int) {
    DELIVERED.fetch_add(1, Ordering::Relaxed);
}

/// A thousand signals a second to the thread that started it, as long as it lives.
#[derive(Debug)]
pub(crate) struct Storm {
    ends: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
    delivered_before: u64,
}

impl Storm {
    pub(crate) fn begin() -> Self {
        handle(libc::SIGUSR1, count as *const () as libc::sighandler_t);
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        // SAFETY: asks who the calling thread is; no memory is involved.
        let target = unsafe { libc::pthread_self() };
        let sender = thread::spawn(move || {
            while !ended.load(Ordering::Acquire) {
                // SAFETY: `target` began this storm, and ends it (joining this thread) before it ends itself.
                let sent = unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
                assert_eq!(sent, 0, "a thread that lives takes signals");
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { ends, sender: Some(sender), delivered_before: DELIVERED.load(Ordering::Relaxed) }
    }

    /// How many were delivered so far.
    pub(crate) fn delivered(&self) -> u64 {
        DELIVERED.load(Ordering::Relaxed) - self.delivered_before
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        if let Some(sender) = self.sender.take() {
            sender.join().expect("the sender only sends");
        }
        handle(libc::SIGUSR1, libc::SIG_DFL);
    }
}

/// Gives SIGPIPE its default action again, which ends the process; the standard library ignores it from the start.
pub(crate) fn restore_default_of_sigpipe() {
    handle(libc::SIGPIPE, libc::SIG_DFL);
}

/// What is done on a signal.
pub(crate) fn disposition(signal: Signal) -> libc::sighandler_t {
    // SAFETY: all zero is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `action` is a whole `sigaction`, and nothing is set.
    let done = unsafe { libc::sigaction(signal.as_raw(), std::ptr::null(), &raw mut action) };
    assert_eq!(done, 0, "every signal can be asked for");
    action.sa_sigaction
}

/// What a program has of its parent: the signals that are blocked, in the calling thread, and those that are ignored.
pub(crate) fn blocked_and_ignored() -> [Vec<i32>; 2] {
    // SAFETY: all zero is a valid `sigset_t`, whose parts are numbers.
    let mut mask: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `mask` is a whole `sigset_t`, and nothing is set.
    let done = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut mask) };
    assert_eq!(done, 0, "the mask can be asked for");
    // SAFETY: `mask` is a whole `sigset_t`, and these are numbers of signals on every system.
    let is_blocked = |&signal: &i32| unsafe { libc::sigismember(&raw const mask, signal) } == 1;
    let blocked = (1..=31).filter(is_blocked).collect();
    // Of those two it is no question.
    let others = (1..=31).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal));
    let ignored = others.filter(|&signal| {
        Signal::from_raw(signal).is_some_and(|signal| disposition(signal) == libc::SIG_IGN)
    });
    [blocked, ignored.collect()]
}

/// Has the process ignore a signal.
pub(crate) fn set_ignored(signal: Signal) {
    handle(signal.as_raw(), libc::SIG_IGN);
}

/// Sets again what [`disposition`] has told, which has to be one of the system's own.
pub(crate) fn restore(signal: Signal, disposition: libc::sighandler_t) {
    assert!([libc::SIG_IGN, libc::SIG_DFL].contains(&disposition));
    handle(signal.as_raw(), disposition);
}

/// Sends a signal to the calling thread, whose handler has run when this returns.
pub(crate) fn send_to_this_thread(signal: Signal) {
    // SAFETY: asks who the calling thread is; no memory is involved.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: the calling thread lives.
    let sent = unsafe { libc::pthread_kill(this, signal.as_raw()) };
    assert_eq!(sent, 0, "a thread that lives takes signals");
}

/// Sets a signal's disposition, without SA_RESTART: system calls are interrupted.
fn handle(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: all zero is a valid `sigaction`: no flags, an empty mask, the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: `action` is a whole `sigaction`, whose handler only adds to an atomic or is one of the system's own, and
    // the old one is not asked for.
    let done = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(done, 0, "signals other than KILL and STOP can be handled");
}

/// Waits until a child process of this number has ended, and leaves its status where it is.
#[cfg(not(target_os = "openbsd"))]
pub(crate) fn let_end(id: u32) {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    assert!(
        waitid(WaitId::Pid(Pid::from_raw(id as i32).expect("it is not zero")), options)
            .expect("it is ours")
            .is_some()
    );
}

/// The same, where rustix has no call for it.
#[cfg(target_os = "openbsd")]
pub(crate) fn let_end(id: u32) {
    let id = id.to_string();
    loop {
        let told = std::process::Command::new("ps").args(["-o", "stat=", "-p", &id]).output();
        if told.expect("there is ps").stdout.starts_with(b"Z") {
            return;
        }
    }
}

/// The processor time that this process has used in its own code and the system's.
#[cfg(target_os = "netbsd")]
pub(crate) fn processor_time() -> Duration {
    // SAFETY: all zero is a valid `rusage`, whose fields are numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes one `rusage`, which `usage` is, and keeps nothing.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) }, 0);
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, 1000 * time.tv_usec as u32);
    time(usage.ru_utime) + time(usage.ru_stime)
}
