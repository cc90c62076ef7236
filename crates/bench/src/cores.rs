//! Which processors a run may use: always chosen, never left to chance, since two threads that share a core and two
//! that do not are ten times apart.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::measurement::Result;

/// The processors of a run; at least one.
#[derive(Debug, Clone)]
pub(crate) struct Cores(Vec<usize>);

impl Cores {
    /// Takes the first `count` of the processors that this process may use, and confines it to them.
    ///
    /// # Errors
    /// When there are fewer, or the system refuses.
    pub(crate) fn confine(count: u32) -> Result<Self> {
        let count = count as usize;
        let mut allowed = Self::allowed()?;
        if allowed.len() < count || count == 0 {
            return Err(format!("{count} cores were asked for, {} are there", allowed.len()).into());
        }
        allowed.truncate(count);
        let cores = Cores(allowed);
        cores.spread()?;
        Ok(cores)
    }

    /// All the processors that this process may use.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn all() -> Result<Self> {
        Ok(Cores(Self::allowed()?))
    }

    /// The number of processors that this process may use.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn available() -> Result<usize> {
        Ok(Self::allowed()?.len())
    }

    fn allowed() -> Result<Vec<usize>> {
        let set = sched_getaffinity(None)?;
        Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
    }

    /// Keeps the calling thread on one of the run's cores: number `index`, counted round.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn stay_on(&self, index: usize) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(self.0[index % self.0.len()]);
        Ok(sched_setaffinity(None, &set)?)
    }

    /// Lets the calling thread, and those that it starts, use each of the run's cores.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn spread(&self) -> Result<()> {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|&core| set.set(core));
        Ok(sched_setaffinity(None, &set)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // In threads of their own, whose affinity dies with them.
    #[test]
    fn a_thread_stays_where_it_was_put() {
        std::thread::spawn(|| {
            let cores = Cores::confine(1).expect("one core is always there");
            cores.stay_on(3).expect("counted round, it is there");
            assert_eq!(Cores::available().expect("the system tells"), 1);
        })
        .join()
        .expect("the thread's assertions hold");
    }

    #[test]
    fn more_cores_than_there_are_is_an_error_that_says_so() {
        let message = Cores::confine(u32::MAX).expect_err("nobody has that many").to_string();
        assert!(message.starts_with("4294967295 cores were asked for"), "{message}");
    }
}
