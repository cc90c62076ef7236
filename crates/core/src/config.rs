//! What a loop is opened with, and what its backend can do.

use crate::Error;

/// How a loop is opened. Checked when opening: what is out of range is [`Error::InvalidInput`] (contract E1, L5).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Entries of the backend's rings and event batches, 1 to 32,768; 256 unless set. It sizes rings only:
    /// more operations than that may be under way.
    pub entries: u32,
    /// How many operations may be under way at once, 1 and up; what is submitted beyond ends with
    /// [`Error::Full`]. No bound unless set.
    pub max_operations: Option<u32>,
    /// Whether times are measured, for [`Metrics`](crate::Metrics): two clock readings a wait and one a callback. Not unless
    /// set.
    pub measure: bool,
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

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for `entries` outside 1 to 32,768 or `max_operations` of zero.
    pub const fn check(&self) -> Result<(), Error> {
        let entries_fit = self.entries >= 1 && self.entries <= Self::MAX_ENTRIES;
        if !entries_fit || matches!(self.max_operations, Some(0)) {
            return Err(Error::InvalidInput);
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { entries: 256, max_operations: None, measure: false }
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
    /// Unix stream sockets, by the forms of [`UnixAddress`](crate::UnixAddress) that the system has.
    pub unix_sockets: bool,
    /// Descriptors of the system can be attached and detached (a simulator has none).
    pub descriptors: bool,
    /// Other threads exist, and can wake the loop.
    pub threads: bool,
    /// Completions come from the kernel (io_uring), not from readiness.
    pub kernel_completions: bool,
    /// Files: opened, read and written at positions, and all other operations on them and on their names.
    pub files: bool,
    /// The clock is simulated: a wait that nothing else ends jumps to its deadline.
    pub virtual_time: bool,
}

impl Capabilities {
    /// Every capability by name, for tables and reports.
    #[must_use]
    pub const fn list(&self) -> [(&'static str, bool); 8] {
        [
            ("ipv4", self.ipv4),
            ("ipv6", self.ipv6),
            ("unix_sockets", self.unix_sockets),
            ("descriptors", self.descriptors),
            ("threads", self.threads),
            ("kernel_completions", self.kernel_completions),
            ("files", self.files),
            ("virtual_time", self.virtual_time),
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
    }
}
