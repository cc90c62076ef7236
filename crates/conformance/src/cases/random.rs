//! Random programs (contract C1, C2, H3 and all that they touch).

use proactor_core::{Backend, Config, PoolConfig};

#[cfg(unix)]
use super::unix::free_name_where;
use crate::Fixture;
use crate::random::{check_programs, datagrams, files, jobs, mailboxes, raced, settled};
#[cfg(unix)]
use crate::random::{spliced, watched};
use crate::steps::{IPV4, address};

/// Each step takes effect before the next, and every outcome is the one that the model predicts.
pub(crate) fn settled_programs_match_the_model<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&settled::program(), |program| {
        settled::run::<B>(program, &Config::default());
    });
}

/// The same with the smallest rings.
pub(crate) fn settled_programs_match_the_model_with_small_rings<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&settled::program(), |program| {
        settled::run::<B>(program, &Config::default().entries(1));
    });
}

/// Steps race with each other and with the system: each outcome is one that the contract allows.
pub(crate) fn raced_programs_keep_the_contract<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&raced::program(), |program| {
        raced::run::<B>(program, &Config::default(), || address(IPV4))
    });
}

/// The same with the smallest rings.
pub(crate) fn raced_programs_keep_the_contract_with_small_rings<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&raced::program(), |program| {
        raced::run::<B>(program, &Config::default().entries(1), || address(IPV4))
    });
}

/// The same over Unix sockets.
#[cfg(unix)]
pub(crate) fn raced_programs_over_unix_sockets_keep_the_contract<B: Backend>(fixture: &Fixture<B>) {
    check_programs(&raced::program(), |program| {
        let names = || free_name_where::<B>(fixture.capabilities());
        raced::run::<B>(program, &Config::default(), names);
    });
}

/// No datagram is lost, doubled or out of order, whatever is cancelled.
pub(crate) fn programs_of_datagrams_lose_none<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&datagrams::program(), |program| {
        datagrams::run::<B>(program, &Config::default(), || address(IPV4))
    });
}

/// The same with the smallest rings.
pub(crate) fn programs_of_datagrams_lose_none_with_small_rings<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&datagrams::program(), |program| {
        datagrams::run::<B>(program, &Config::default().entries(1), || address(IPV4))
    });
}

/// No datagram over Unix sockets is lost, doubled or out of order; who is full or gone is told.
#[cfg(unix)]
pub(crate) fn programs_of_unix_datagrams_lose_none<B: Backend>(fixture: &Fixture<B>) {
    check_programs(&datagrams::program(), |program| {
        let names = || free_name_where::<B>(fixture.capabilities());
        datagrams::run::<B>(program, &Config::default(), names);
    });
}

/// Files and names, work and hosts: each outcome is the one that the model predicts, and the files hold what it says.
pub(crate) fn programs_of_files_match_the_model<B: Backend>(fixture: &Fixture<B>) {
    check_programs(&files::program(), |program| {
        files::run(program, &Config::default(), fixture);
    });
}

/// The same with the smallest rings and the smallest pool.
pub(crate) fn programs_of_files_match_the_model_with_small_rings<B: Backend>(fixture: &Fixture<B>) {
    check_programs(&files::program(), |program| {
        files::run(program, &smallest(), fixture);
    });
}

/// Transfers of a file, jobs and lookups race with each other: each ends once, and no byte is but what was written.
pub(crate) fn programs_of_jobs_keep_the_contract<B: Backend>(fixture: &Fixture<B>) {
    check_programs(&jobs::program(), |program| jobs::run(program, &Config::default(), fixture));
}

/// The same with the smallest rings and the smallest pool.
pub(crate) fn programs_of_jobs_keep_the_contract_with_small_rings<B: Backend>(fixture: &Fixture<B>) {
    check_programs(&jobs::program(), |program| jobs::run(program, &smallest(), fixture));
}

/// Polls, child processes and signals: each outcome is the one that the model predicts.
#[cfg(unix)]
pub(crate) fn programs_of_what_waits_match_the_model<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&watched::program(), |program| {
        watched::run::<B>(program, &Config::default());
    });
}

/// The same with the smallest rings.
#[cfg(unix)]
pub(crate) fn programs_of_what_waits_match_the_model_with_small_rings<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&watched::program(), |program| {
        watched::run::<B>(program, &Config::default().entries(1));
    });
}

/// A mailbox, its senders and its receivers: what is sent is delivered once, in order, or is still there.
pub(crate) fn programs_of_a_mailbox_match_the_model<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&mailboxes::program(), |program| mailboxes::run::<B>(program, &Config::default()));
}

/// Pipes, and what carries on from one to the next: every byte arrives, once, in order, whatever was cancelled meanwhile.
#[cfg(unix)]
pub(crate) fn programs_of_splices_lose_no_byte<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&spliced::program(), |program| spliced::run::<B>(program, &Config::default()));
}

/// The same with the smallest rings.
#[cfg(unix)]
pub(crate) fn programs_of_splices_lose_no_byte_with_small_rings<B: Backend>(_fixture: &Fixture<B>) {
    check_programs(&spliced::program(), |program| spliced::run::<B>(program, &smallest()));
}

fn smallest() -> Config {
    Config::default().entries(1).own_pool(PoolConfig::default().threads(1).queue(1))
}

/// About what only Unix has.
#[cfg(not(unix))]
pub(crate) use super::{
    not_here as programs_of_splices_lose_no_byte,
    not_here as programs_of_splices_lose_no_byte_with_small_rings,
    not_here as programs_of_what_waits_match_the_model,
    not_here as programs_of_what_waits_match_the_model_with_small_rings,
};
