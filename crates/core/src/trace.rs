//! Events for the crate `tracing`, with the feature of that name. Without it there is nothing of them, and what they would tell
//! is not even evaluated.

/// An event of every operation.
macro_rules! trace {
    ($($arguments:tt)*) => {
        #[cfg(feature = "tracing")]
        ::tracing::trace!(target: "proactor", $($arguments)*);
    };
}

/// An event of a loop's life.
macro_rules! debug {
    ($($arguments:tt)*) => {
        #[cfg(feature = "tracing")]
        ::tracing::debug!(target: "proactor", $($arguments)*);
    };
}

/// An event that should never come.
macro_rules! warning {
    ($($arguments:tt)*) => {
        #[cfg(feature = "tracing")]
        ::tracing::warn!(target: "proactor", $($arguments)*);
    };
}

pub(crate) use {debug, trace, warning};
