//! What a loop is opened with, and what its backend can do.

use crate::{Error, Offload, Pool, PoolChoice, PoolConfig};

/// How a loop is opened. Checked when opening: what is out of range is [`Error::InvalidInput`] (contract E1, L5).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Entries of the backend's rings, and of its batches of events as far as those go, 1 to 32,768; 256 unless set. It sizes
    /// rings only: more operations than that may be under way.
    pub entries: u32,
    /// How many operations may be under way at once, 1 and up; what is submitted beyond ends with
    /// [`Error::Full`]. No bound unless set.
    pub max_operations: Option<u32>,
    /// Whether times are measured, for [`Metrics`](crate::Metrics): two clock readings a wait and one a callback. Not unless
    /// set.
    pub measure: bool,
    /// Where is done what would block the loop: on a pool of its own unless set, whose threads are started when they are
    /// first needed. Most loops never need one: what goes there is what a backend cannot do otherwise, and
    /// [`Work`](crate::Work).
    pub pool: PoolChoice,
    /// What goes there of the operations on files and names, and of closing, where they do not say so themselves: what has
    /// to, unless set.
    pub offload: Offload,
}

impl Config {
    /// The largest value of [`Config::entries`].
    pub const MAX_ENTRIES: u32 = 32_768;

    /// Sets [`Config::entries`].
    #[must_use]
    pub const fn entries(mut self, entries: u32) -> Self {
        self.entries = entries;
        self
    }

    /// Sets [`Config::max_operations`].
    #[must_use]
    pub const fn max_operations(mut self, operations: u32) -> Self {
        self.max_operations = Some(operations);
        self
    }

    /// Sets [`Config::measure`].
    #[must_use]
    pub const fn measure(mut self) -> Self {
        self.measure = true;
        self
    }

    /// Sets [`Config::pool`](field@Self::pool) to one that several loops share.
    #[must_use]
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = PoolChoice::Shared(pool);
        self
    }

    /// Sets [`Config::pool`](field@Self::pool) to one of the loop's own, made like this.
    #[must_use]
    pub fn own_pool(mut self, config: PoolConfig) -> Self {
        self.pool = PoolChoice::Own(config);
        self
    }

    /// Sets [`Config::pool`](field@Self::pool) to none: what would block the loop does.
    #[must_use]
    pub fn no_pool(mut self) -> Self {
        self.pool = PoolChoice::None;
        self
    }

    /// Sets [`Config::offload`](field@Self::offload).
    #[must_use]
    pub const fn offload(mut self, offload: Offload) -> Self {
        self.offload = offload;
        self
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for `entries` outside 1 to 32,768, `max_operations` of zero, or a pool out of its ranges.
    pub const fn check(&self) -> Result<(), Error> {
        let entries_fit = self.entries >= 1 && self.entries <= Self::MAX_ENTRIES;
        if !entries_fit || matches!(self.max_operations, Some(0)) {
            return Err(Error::InvalidInput);
        }
        self.pool.check()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            entries: 256,
            max_operations: None,
            measure: false,
            pool: PoolChoice::default(),
            offload: Offload::WhereNeeded,
        }
    }
}

/// What a backend can do on this machine, found by probing it when it was opened.
///
/// What is false here ends with [`Error::Unsupported`](crate::Error::Unsupported), everything handed back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// TCP over IPv4: sockets can be opened, bound, listened to and connected.
    pub ipv4: bool,
    /// TCP over IPv6.
    pub ipv6: bool,
    /// Unix sockets of streams and of datagrams, by the forms of [`UnixAddress`](crate::UnixAddress) that the system has.
    pub unix_sockets: bool,
    /// Stream sockets can be accepted, received from, sent to and shut down: wherever they can be opened, and where whoever
    /// runs the program has passed one in (WASI).
    pub streams: bool,
    /// Descriptors of the system can be attached and detached (a simulator has none).
    pub descriptors: bool,
    /// Other threads exist, and can wake the loop. Without them there is no pool: [`PoolChoice`](crate::PoolChoice) says
    /// what becomes of what would go there.
    pub threads: bool,
    /// Completions come from the kernel (io_uring), not from readiness.
    pub kernel_completions: bool,
    /// Files: opened, read and written at positions, and all other operations on them and on their names.
    pub files: bool,
    /// Devices are there, and with them pipes and terminals, beside the standard streams: all that WASI has.
    pub devices: bool,
    /// Descriptors can be asked what they are ready for: [`Poll`](crate::Poll), [`PollMany`](crate::PollMany).
    pub polling: bool,
    /// The end of a child process can be waited for ([`WaitChild`](crate::WaitChild)): Linux 5.3 and later.
    pub child_processes: bool,
    /// The process's signals can be watched: [`Signals`](crate::Signals).
    pub signals: bool,
    /// Bytes can be moved between a pipe and another stream within the system: [`Splice`](crate::Splice) (Linux).
    pub splicing: bool,
    /// The clock is simulated: a wait that nothing else ends jumps to its deadline.
    pub virtual_time: bool,
    /// A panic unwinds, so that it can be caught and the loop is usable afterwards (contract C6). Otherwise it ends the
    /// program.
    pub unwinding: bool,
}

impl Capabilities {
    /// Every capability by name, for tables and reports.
    #[must_use]
    pub const fn list(&self) -> [(&'static str, bool); 15] {
        [
            ("ipv4", self.ipv4),
            ("ipv6", self.ipv6),
            ("unix_sockets", self.unix_sockets),
            ("streams", self.streams),
            ("descriptors", self.descriptors),
            ("threads", self.threads),
            ("kernel_completions", self.kernel_completions),
            ("files", self.files),
            ("devices", self.devices),
            ("polling", self.polling),
            ("child_processes", self.child_processes),
            ("signals", self.signals),
            ("splicing", self.splicing),
            ("virtual_time", self.virtual_time),
            ("unwinding", self.unwinding),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        assert_eq!(Config::default().check(), Ok(()));
        assert_eq!(Config::default().entries(1).check(), Ok(()));
        assert_eq!(Config::default().entries(0).check(), Err(Error::InvalidInput));
        assert_eq!(Config::default().entries(Config::MAX_ENTRIES + 1).check(), Err(Error::InvalidInput));
        assert_eq!(Config::default().max_operations(0).check(), Err(Error::InvalidInput));
        for (threads, queue, expected) in
            [(1, 1, Ok(())), (0, 1, Err(Error::InvalidInput)), (1, 0, Err(Error::InvalidInput))]
        {
            let config = PoolConfig::default().threads(threads).queue(queue);
            assert_eq!(Config::default().own_pool(config).check(), expected);
            assert_eq!(Pool::new(config).map(drop), expected);
        }
        let (threads, queue) = (PoolConfig::MAX_THREADS + 1, PoolConfig::MAX_QUEUE + 1);
        assert_eq!(PoolConfig::default().threads(threads).check(), Err(Error::InvalidInput));
        assert_eq!(PoolConfig::default().queue(queue).check(), Err(Error::InvalidInput));
    }
}
