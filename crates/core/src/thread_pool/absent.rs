//! In place of the threads, where a target has none: nothing ever goes to a pool.

use std::time::Instant;

use super::job::{Returned, Task};
use super::jobs::Withdrawal;
use super::{Pool, PoolConfig};
use crate::backend::Token;
use crate::notifier::Bell;

/// What the loops of a pool would share.
pub(super) struct Shared;

impl Shared {
    pub(super) const fn new(_config: PoolConfig) -> Self {
        Self
    }

    pub(super) const fn close(&self, _deadline: Instant) {}

    pub(super) const fn threads(&self) -> u32 {
        0
    }
}

/// A loop's jobs on a pool. None is ever made: a backend there says that it has no threads.
#[derive(Debug)]
pub(crate) struct Client;

impl Client {
    pub(super) fn new(_pool: Pool, _bell: Bell) -> Self {
        Self
    }

    pub(super) fn submit(&mut self, _token: Token, _task: Task) {
        unreachable!("a backend that has threads, on a target that has none")
    }

    pub(super) const fn withdraw(&mut self, _token: Token) -> Option<Withdrawal> {
        None
    }

    pub(super) const fn next_returned(&mut self) -> Option<(Token, Returned)> {
        None
    }
}
