//! Opening a ring: with the newest set-up that this kernel takes, or with an error that says what can be done.

use std::fs;
use std::io;

use io_uring::{IoUring, Probe};
use rustix::io::Errno;

/// How a ring is set up. Each step has all that those before it have, and came with a later kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Setup {
    /// With nothing: Linux 5.13.
    Plain,
    /// An entry that the kernel refuses does not stop those behind it: 5.18.
    SubmitAll,
    /// Completions do not interrupt the thread, a flag says that there are some: 5.19.
    CooperativeTaskrun,
    /// One thread submits: 6.0.
    SingleIssuer,
    /// Completions are worked off by the thread when it asks for them: 6.1.
    DeferTaskrun,
    /// Without the table of indices into the queue: 6.6.
    NoIndexArray,
}

impl Setup {
    /// The newest first.
    const LADDER: [Self; 6] = [
        Self::NoIndexArray,
        Self::DeferTaskrun,
        Self::SingleIssuer,
        Self::CooperativeTaskrun,
        Self::SubmitAll,
        Self::Plain,
    ];

    fn build(self, entries: u32) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(completion_entries(entries));
        if self >= Self::SubmitAll {
            builder.setup_submit_all();
        }
        if self >= Self::CooperativeTaskrun {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        if self >= Self::SingleIssuer {
            builder.setup_single_issuer();
        }
        if self >= Self::DeferTaskrun {
            builder.setup_defer_taskrun();
        }
        if self >= Self::NoIndexArray {
            builder.setup_no_sqarray();
        }
        builder.build(entries)
    }
}

/// Entries of the completion queue. One operation may complete many times over between two looks, and what does not fit
/// is kept by the kernel in memory that it has to allocate.
fn completion_entries(entries: u32) -> u32 {
    /// The kernel's limit.
    const MAX: u32 = 65_536;
    entries.saturating_mul(4).min(MAX)
}

/// How many threads of the kernel's may do what blocks (opening pipes, waiting for disks): its own choice, four times the
/// number of processors, would be used up by a few pipes that nobody writes to, and then no file could be opened.
const WORKERS: u32 = 256;

/// Opens a ring with the newest set-up that the kernel takes, `newest` at most.
pub(crate) fn open(entries: u32, newest: Setup) -> io::Result<(IoUring, Setup)> {
    for setup in Setup::LADDER.into_iter().filter(|&setup| setup <= newest) {
        match setup.build(entries) {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
            Ok(ring) => {
                let parameters = ring.params();
                // Waiting with a time-out as argument, and completions that are never dropped.
                if !parameters.is_feature_ext_arg() || !parameters.is_feature_nodrop() {
                    return Err(too_old());
                }
                // Older kernels do not know this, and go on with what they have.
                let _ = ring.submitter().register_iowq_max_workers(&mut [WORKERS, 0]);
                return Ok((ring, setup));
            }
            Err(error) => return Err(explain(&error, entries, &Facts::read())),
        }
    }
    Err(too_old())
}

/// The operations that the kernel knows: a bit each, by its code.
pub(crate) fn known(ring: &IoUring) -> u64 {
    let mut probe = Probe::new();
    // A kernel that cannot be asked knows as little.
    let is_told = ring.submitter().register_probe(&mut probe).is_ok();
    let codes = (0..64).filter(|&code| is_told && probe.is_supported(code));
    codes.fold(0, |known, code| known | 1 << code)
}

/// The error for a kernel whose io_uring lacks what this backend is built on.
pub(crate) fn too_old() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this kernel's io_uring is too old: Linux 5.13 or later is needed; the epoll backend runs on this one",
    )
}

/// `error` of one of io_uring's system calls, with its cause and the way out as far as this machine tells them.
pub(crate) fn explained(error: &io::Error, entries: u32) -> io::Error {
    explain(error, entries, &Facts::read())
}

/// What this machine says about io_uring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Facts {
    /// The value of the sysctl kernel.io_uring_disabled, where there is one.
    disabled: Option<u8>,
    /// Whether a seccomp filter holds for this thread.
    filtered: bool,
}

impl Facts {
    fn read() -> Self {
        let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        // Each thread has filters of its own.
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        Self {
            disabled: disabled.ok().and_then(|value| value.trim().parse().ok()),
            filtered: has_filter(&status),
        }
    }
}

/// Whether the text of a thread's status in /proc tells of a seccomp filter.
fn has_filter(status: &str) -> bool {
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

fn explain(error: &io::Error, entries: u32, facts: &Facts) -> io::Error {
    const PROFILE: &str =
        "allow io_uring_setup, io_uring_enter and io_uring_register in the filter's profile";
    const OTHERWISE: &str = "or use the epoll backend";
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let reason = match (errno, facts.disabled) {
        (Some(Errno::PERM), Some(1)) => format!(
            "io_uring is reserved: the sysctl kernel.io_uring_disabled is 1; \
             have the administrator set it to 0, run in the group that kernel.io_uring_group names, {OTHERWISE}"
        ),
        (Some(Errno::PERM), Some(value @ 2..)) => format!(
            "io_uring is switched off: the sysctl kernel.io_uring_disabled is {value}; \
             have the administrator set it to 0, {OTHERWISE}"
        ),
        (Some(Errno::PERM | Errno::ACCESS), _) if facts.filtered => format!(
            "io_uring is forbidden by a seccomp filter, as containers have them; {PROFILE}, {OTHERWISE}"
        ),
        (Some(Errno::PERM | Errno::ACCESS), _) => {
            format!("io_uring is forbidden by a security module of this system; allow it there, {OTHERWISE}")
        }
        (Some(Errno::NOSYS), _) if facts.filtered => format!(
            "io_uring is hidden by a seccomp filter, or missing from this kernel; {PROFILE}, {OTHERWISE}"
        ),
        (Some(Errno::NOSYS), _) => format!(
            "this kernel has no io_uring: it is older than Linux 5.1, or was built without; \
             boot Linux 5.13 or later, {OTHERWISE}"
        ),
        (Some(Errno::NOMEM), _) => format!(
            "no memory for an io_uring of {entries} entries; some kernels count it as locked memory: \
             raise that limit (RLIMIT_MEMLOCK, `ulimit -l`), or ask for fewer with Config::entries"
        ),
        _ => format!("an io_uring of {entries} entries could not be opened"),
    };
    io::Error::new(error.kind(), format!("{reason} ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(errno: Errno, disabled: Option<u8>, filtered: bool) -> (io::ErrorKind, String) {
        let error = io::Error::from_raw_os_error(errno.raw_os_error());
        let explained = explain(&error, 256, &Facts { disabled, filtered });
        (explained.kind(), explained.to_string())
    }

    #[test]
    fn the_sysctl_is_told_from_the_filter_and_from_the_rest() {
        let (kind, reason) = text(Errno::PERM, Some(2), true);
        assert_eq!(kind, io::ErrorKind::PermissionDenied);
        assert!(reason.contains("kernel.io_uring_disabled is 2") && reason.contains("epoll"), "{reason}");
        let (_, reason) = text(Errno::PERM, Some(1), false);
        assert!(reason.contains("kernel.io_uring_group"), "{reason}");
        let (_, reason) = text(Errno::PERM, Some(0), true);
        assert!(reason.contains("seccomp") && reason.contains("io_uring_setup"), "{reason}");
        let (_, reason) = text(Errno::PERM, None, false);
        assert!(reason.contains("security module"), "{reason}");
    }

    #[test]
    fn a_missing_system_call_and_missing_memory_say_what_to_do() {
        let (kind, reason) = text(Errno::NOSYS, None, false);
        assert_eq!(kind, io::ErrorKind::Unsupported);
        assert!(reason.contains("5.13"), "{reason}");
        let (_, reason) = text(Errno::NOSYS, None, true);
        assert!(reason.contains("seccomp"), "{reason}");
        let (kind, reason) = text(Errno::NOMEM, Some(0), false);
        assert_eq!(kind, io::ErrorKind::OutOfMemory);
        assert!(reason.contains("RLIMIT_MEMLOCK") && reason.contains("256"), "{reason}");
        let (_, reason) = text(Errno::MFILE, Some(0), false);
        assert!(reason.contains("os error 24"), "{reason}");
        assert_eq!(too_old().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn only_a_filter_is_a_filter() {
        assert!(has_filter("Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!has_filter("Seccomp:\t0\nSeccomp_filters:\t2\n"));
        assert!(!has_filter(""));
    }

    #[test]
    fn each_step_of_the_ladder_opens_with_the_queues_that_were_asked_for() {
        for newest in Setup::LADDER {
            let (ring, setup) = open(8, newest).unwrap();
            assert!(setup <= newest);
            assert_eq!((ring.params().sq_entries(), ring.params().cq_entries()), (8, 32));
            assert_eq!(ring.params().is_setup_single_issuer(), setup >= Setup::SingleIssuer);
        }
        assert_eq!(completion_entries(32_768), 65_536);
        // Rings are taken down in the background, so that for a moment there may be no memory for one that large.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while let Err(error) = open(32_768, Setup::Plain) {
            let is_memory = error.kind() == io::ErrorKind::OutOfMemory;
            assert!(is_memory && std::time::Instant::now() < deadline, "{error}");
            std::thread::yield_now();
        }
    }
}
