//! Where a loop has its jobs done: on a pool, or by itself.

use std::collections::VecDeque;

use super::job::{Returned, Task};
use super::{Client, Pool, PoolChoice, PoolConfig};
use crate::backend::Token;
use crate::notifier::Bell;
use crate::outcome::Outcome;
use crate::{Capabilities, Error};

/// Where a loop's jobs are done.
#[derive(Debug)]
pub(crate) enum Jobs {
    /// On the loop's thread.
    Here(Here),
    /// On a pool that is to be made yet.
    Later(PoolConfig, Bell),
    /// On a pool.
    There(Box<Client>),
}

/// Jobs that the loop has done itself.
#[derive(Default, Debug)]
pub(crate) struct Here {
    returned: VecDeque<(Token, Returned)>,
    /// None for a queue without a loop, as tests of backends have one.
    bell: Option<Bell>,
    /// Whether a pool was wanted and cannot be had: what is nothing but a job, however long, is refused then.
    lacks_threads: bool,
}

/// What has become of a job that is to be cancelled.
#[derive(Debug)]
#[cfg_attr(not(unix), allow(dead_code, reason = "no thread ever has a job"))]
pub(crate) enum Withdrawal {
    /// No thread had taken it: here it is.
    TakenBack(Outcome),
    /// A thread has it.
    Running,
    /// It is done already.
    TooLate,
}

impl Jobs {
    pub(crate) fn new(choice: PoolChoice, capabilities: Capabilities, bell: Bell) -> Self {
        match choice {
            PoolChoice::Shared(pool) if capabilities.threads => {
                Self::There(Box::new(Client::new(pool, bell)))
            }
            PoolChoice::Own(config) if capabilities.threads && !capabilities.virtual_time => {
                Self::Later(config, bell)
            }
            PoolChoice::Own(_) | PoolChoice::Shared(_) if !capabilities.threads => {
                Self::Here(Here { bell: Some(bell), lacks_threads: true, ..Here::default() })
            }
            _ => Self::Here(Here { bell: Some(bell), ..Here::default() }),
        }
    }

    /// Has a job done that decides the operation of `token`.
    #[cold]
    pub(crate) fn submit(&mut self, token: Token, task: Task) {
        if let Self::Later(config, bell) = self {
            // Its ranges were checked when the loop was opened.
            let pool = Pool::unchecked(*config);
            *self = Self::There(Box::new(Client::new(pool, bell.clone())));
        }
        match self {
            Self::There(client) => client.submit(token, task),
            Self::Here(here) => {
                here.returned.push_back((token, here.run(task)));
                if let Some(bell) = &here.bell {
                    bell.ring();
                }
            }
            Self::Later(..) => unreachable!("it is made by now"),
        }
    }

    /// Takes back the job of `token`, if it is one.
    pub(crate) fn withdraw(&mut self, token: Token) -> Option<Withdrawal> {
        match self {
            Self::There(client) => client.withdraw(token),
            Self::Here(here) => {
                here.returned.iter().any(|(done, _)| *done == token).then_some(Withdrawal::TooLate)
            }
            Self::Later(..) => None,
        }
    }

    /// The next job that has come back.
    pub(crate) fn next_returned(&mut self) -> Option<(Token, Returned)> {
        match self {
            Self::There(client) => client.next_returned(),
            Self::Here(here) => here.returned.pop_front(),
            Self::Later(..) => None,
        }
    }
}

impl Here {
    fn run(&self, mut task: Task) -> Returned {
        if self.lacks_threads && matches!(task.outcome, Outcome::Work(_) | Outcome::Resolve(_)) {
            task.outcome.set_error(Error::Unsupported);
            return Returned { outcome: task.outcome, opened: None, is_canceled: false };
        }
        task.run()
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self::Here(Here::default())
    }
}
