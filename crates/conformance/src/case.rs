//! What a case is.

use std::fmt;
use std::time::Duration;

use proactor_core::{Backend, Capabilities};

use crate::fixture::Fixture;

/// How long a case may take before it counts as hung.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// One case: what it shows, what it needs, and how it goes. It fails by panicking.
pub struct Case<B: Backend> {
    /// `theme::what_holds`.
    pub name: &'static str,
    /// The rules of the contract that it proves.
    pub rules: &'static [&'static str],
    /// The capabilities without which it cannot run; one with a `!` before it must be missing.
    pub needs: &'static [&'static str],
    /// How many times the suite's limit it may take: 1, and more where the contract asks for work that takes long.
    pub patience: u32,
    /// Shows it.
    pub run: fn(&Fixture<B>),
}

impl<B: Backend> fmt::Debug for Case<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl<B: Backend> Case<B> {
    /// The first need that `capabilities` do not meet.
    pub(crate) fn missing(&self, capabilities: &Capabilities) -> Option<&'static str> {
        self.needs.iter().copied().find(|need| !holds(need, capabilities))
    }
}

/// Whether `condition`, a capability's name with or without a `!`, holds.
///
/// # Panics
/// If there is no such capability.
pub(crate) fn holds(condition: &str, capabilities: &Capabilities) -> bool {
    let (name, wanted) = condition.strip_prefix('!').map_or((condition, true), |name| (name, false));
    let found = capabilities.list().into_iter().find(|(capability, _)| *capability == name);
    let (_, present) = found.unwrap_or_else(|| panic!("there is no capability `{name}`"));
    present == wanted
}

/// How a case ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Pass,
    /// It needs what the backend's probe did not find.
    NotHere(String),
    /// It failed, as the matrix says it does, for this reason.
    ExpectedFailure(String),
    Fail(String),
}

impl Verdict {
    /// As reports name it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotHere(_) => "not_here",
            Self::ExpectedFailure(_) => "expected_failure",
            Self::Fail(_) => "fail",
        }
    }

    pub(crate) fn detail(&self) -> Option<&str> {
        match self {
            Self::Pass => None,
            Self::NotHere(detail) | Self::ExpectedFailure(detail) | Self::Fail(detail) => Some(detail),
        }
    }
}
