//! Random programs of operations, run on a driver (so that turns and deliveries are the program's own steps) and shrunk
//! to what fails.
//!
//! [`settled`] gives each step the time to take effect; then the contract determines every outcome, a model predicts it,
//! and backends that agree with the model agree with each other; so do programs on [`files`], and those of what only waits,
//! [`watched`], and of a mailbox, [`mailboxes`]. [`raced`] gives no time at all,
//! and checks what must hold whatever comes first; [`datagrams`] does the same with messages, [`jobs`] with a file and what else
//! the pool's threads do, and [`spliced`] moves bytes along a chain, of which none may be lost.

use std::collections::BTreeMap;
use std::fmt;

use proactor_core::{Backend, Config};
use proptest::strategy::Strategy;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::Fixture;

pub(crate) mod datagrams;
pub(crate) mod files;
pub(crate) mod jobs;
pub(crate) mod mailboxes;
mod pieces;
pub(crate) mod raced;
pub(crate) mod settled;
#[cfg(unix)]
pub(crate) mod spliced;
#[cfg(unix)]
pub(crate) mod watched;

/// How many programs of each kind are run; 64 unless set.
const PROGRAMS_VARIABLE: &str = "PROACTOR_CONFORMANCE_PROGRAMS";
/// The seed that a failure printed, to see it again; from the clock unless set.
const SEED_VARIABLE: &str = "PROACTOR_CONFORMANCE_SEED";

/// Runs `check` on programs drawn from `strategy`. A failure is told as the smallest program found, with the seed.
pub(crate) fn check_programs<S>(strategy: &S, check: impl Fn(&S::Value))
where
    S: Strategy,
{
    let number = |variable| std::env::var(variable).ok().and_then(|text: String| text.parse::<u64>().ok());
    let seed = number(SEED_VARIABLE).unwrap_or_else(seed_from_clock);
    let cases = number(PROGRAMS_VARIABLE).and_then(|count| u32::try_from(count).ok()).unwrap_or(64);
    let config = proptest::test_runner::Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2000,
        max_shrink_time: 8000,
        ..Default::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result = TestRunner::new_with_rng(config, rng).run(strategy, |program| {
        check(&program);
        Ok::<(), TestCaseError>(())
    });
    if let Err(failure) = result {
        panic!("{SEED_VARIABLE}={seed}: {failure}");
    }
}

fn seed_from_clock() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// Runs each random program of streams and of files on `A` and on `B`: whatever is determined of it must be the same, the
/// order of what belongs together and the bytes of each operation included.
///
/// # Panics
/// With the smallest program found on which they differ, or where one of them breaks the contract.
pub fn check_that_both_do_the_same<A: Backend, B: Backend>() {
    let (first, second) = (fixture::<A>(), fixture::<B>());
    let config = Config::default();
    check_programs(&settled::program(), |program| {
        assert_eq!(settled::run::<A>(program, &config), settled::run::<B>(program, &config));
    });
    check_programs(&files::program(), |program| {
        assert_eq!(files::run(program, &config, &first), files::run(program, &config, &second));
    });
    #[cfg(unix)]
    if [&first.capabilities(), &second.capabilities()].into_iter().all(|can| can.polling) {
        check_programs(&watched::program(), |program| {
            assert_eq!(watched::run::<A>(program, &config), watched::run::<B>(program, &config));
        });
    }
}

fn fixture<B: Backend>() -> Fixture<B> {
    Fixture::probe().expect("the backend opens")
}

/// What came of a program whose every outcome is determined: what another backend has to tell as well, whatever the order
/// in which operations that have nothing to do with each other end, and in whatever pieces bytes come.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Trace(BTreeMap<usize, Told>);

/// What one operation has told.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Told {
    bytes: Vec<u8>,
    end: Option<String>,
}

impl Trace {
    /// Bytes came to the operation with this number.
    pub(crate) fn bytes(&mut self, number: usize, bytes: &[u8]) {
        self.0.entry(number).or_default().bytes.extend_from_slice(bytes);
    }

    /// It has ended.
    pub(crate) fn end(&mut self, number: usize, end: &impl fmt::Debug) {
        self.0.entry(number).or_default().end = Some(format!("{end:?}"));
    }
}
