//! Blocks of a file beside epoll, which says nothing of files: at once where the system can do that without waiting for
//! a disk, and by threads otherwise, which ring the loop's eventfd.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use rustix::fd::OwnedFd;
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2};

use super::wake::{Sleep, WakeWord};
use super::wake_epoll::{EpollSleep, ring};
use crate::blocks::{self, BLOCK_BYTES, Block, Blocks, DEPTH, Transfer};
use crate::measurement::{Figures, Meter, Result};

/// Threads that transfer blocks: as many as a pool of this library has.
const THREADS: usize = 4;

/// Moves `count` blocks.
///
/// # Errors
/// What the system answers, or a block that is not what was written.
pub(crate) fn run(transfer: Transfer, count: u64) -> Result<Figures> {
    let blocks = Arc::new(Blocks::make(transfer)?);
    let figures = if !transfer.is_direct && can_do_at_once(&blocks, transfer)? {
        at_once(&blocks, transfer, count)?
    } else {
        by_threads(&blocks, transfer, count)?
    };
    if transfer.is_write {
        blocks.check_written(count)?;
    }
    Ok(figures)
}

/// A block on its way to or from the file.
struct Job {
    block: Box<Block>,
    number: u64,
    moved: Result<usize>,
}

impl Job {
    fn new() -> Self {
        Self { block: Box::new(Block([0; BLOCK_BYTES])), number: 0, moved: Ok(0) }
    }

    /// Becomes the one with this number.
    #[inline(always)]
    fn begin(&mut self, transfer: Transfer, number: u64) {
        self.number = number;
        if transfer.is_write {
            blocks::mark_written(&mut self.block.0, number);
        }
    }

    /// Checks what came of it.
    #[inline(always)]
    fn end(&self, transfer: Transfer) -> Result<()> {
        match &self.moved {
            Ok(BLOCK_BYTES) if transfer.is_write => Ok(()),
            Ok(BLOCK_BYTES) => blocks::check_read(&self.block.0, blocks::offset(self.number)),
            Ok(moved) => Err(blocks::incomplete(*moved)),
            Err(error) => Err(error.to_string().into()),
        }
    }

    /// Transfers it, and waits for the disk if need be.
    fn wait(&mut self, blocks: &Blocks, transfer: Transfer) {
        let offset = blocks::offset(self.number);
        let moved = if transfer.is_write {
            blocks.file.write_at(&self.block.0, offset)
        } else {
            blocks.file.read_at(&mut self.block.0, offset)
        };
        self.moved = moved.map_err(Into::into);
    }

    /// Transfers it if that needs no waiting; whether it was.
    #[inline(always)]
    fn try_now(&mut self, blocks: &Blocks, transfer: Transfer) -> Result<bool> {
        let offset = blocks::offset(self.number);
        let moved = if transfer.is_write {
            pwritev2(&blocks.file, &[IoSlice::new(&self.block.0)], offset, ReadWriteFlags::NOWAIT)
        } else {
            let bytes = &mut [IoSliceMut::new(&mut self.block.0)];
            preadv2(&blocks.file, bytes, offset, ReadWriteFlags::NOWAIT)
        };
        match moved {
            Ok(moved) => {
                self.moved = Ok(moved);
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether this file system has transfers that do not wait.
fn can_do_at_once(blocks: &Blocks, transfer: Transfer) -> Result<bool> {
    // Nothing is transferred, so that nothing changes.
    let moved = if transfer.is_write {
        // Of nothing, the system says nothing: what is there already is written once more.
        let mut same = Job::new();
        blocks.file.read_exact_at(&mut same.block.0, blocks::offset(0))?;
        pwritev2(&blocks.file, &[IoSlice::new(&same.block.0)], blocks::offset(0), ReadWriteFlags::NOWAIT)
    } else {
        preadv2(
            &blocks.file,
            &mut [IoSliceMut::new(&mut [0; BLOCK_BYTES])],
            blocks::offset(0),
            ReadWriteFlags::NOWAIT,
        )
    };
    match moved {
        Ok(_) | Err(Errno::AGAIN) => Ok(true),
        Err(Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn at_once(blocks: &Blocks, transfer: Transfer, count: u64) -> Result<Figures> {
    let mut jobs: Vec<Job> = (0..DEPTH).map(|_| Job::new()).collect();
    let meter = Meter::start();
    let mut number = 0;
    while number < count {
        for job in &mut jobs {
            if number == count {
                break;
            }
            job.begin(transfer, number);
            if !job.try_now(blocks, transfer)? {
                job.wait(blocks, transfer);
            }
            job.end(transfer)?;
            number += 1;
        }
    }
    Ok(meter.stop(count))
}

/// What the loop and its threads share.
struct Shared {
    blocks: Arc<Blocks>,
    transfer: Transfer,
    /// None is added when it is over.
    queue: Mutex<(VecDeque<Job>, bool)>,
    queued: Condvar,
    done: Mutex<Vec<Job>>,
    word: WakeWord,
}

fn by_threads(blocks: &Arc<Blocks>, transfer: Transfer, count: u64) -> Result<Figures> {
    let mut sleeper = EpollSleep::open()?;
    let shared = Arc::new(Shared {
        blocks: Arc::clone(blocks),
        transfer,
        queue: Mutex::new((VecDeque::with_capacity(DEPTH as usize), false)),
        queued: Condvar::new(),
        done: Mutex::new(Vec::with_capacity(DEPTH as usize)),
        word: WakeWord::default(),
    });
    let jobs = (0..DEPTH).map(|_| Job::new()).collect();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (shared, bell) = (Arc::clone(&shared), sleeper.address());
            thread::spawn(move || shared.serve(&bell))
        })
        .collect();
    let meter = Meter::start();
    let moved = shared.lead(&mut sleeper, jobs, count);
    shared.queue.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
    shared.queued.notify_all();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    moved?;
    Ok(meter.stop(count))
}

impl Shared {
    /// The loop's side.
    fn lead(&self, sleeper: &mut EpollSleep, mut jobs: Vec<Job>, count: u64) -> Result<()> {
        let (mut started, mut ended) = (0, 0);
        loop {
            let mut added = 0;
            {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                for mut job in jobs.drain(..) {
                    if started < count {
                        job.begin(self.transfer, started);
                        queue.0.push_back(job);
                        (started, added) = (started + 1, added + 1);
                    }
                }
            }
            (0..added.min(THREADS)).for_each(|_| self.queued.notify_one());
            if ended == count {
                return Ok(());
            }
            self.word.sleep(sleeper)?;
            std::mem::swap(&mut jobs, &mut self.done.lock().unwrap_or_else(PoisonError::into_inner));
            for job in &jobs {
                job.end(self.transfer)?;
                ended += 1;
            }
        }
    }

    /// A thread's side.
    fn serve(&self, bell: &Arc<OwnedFd>) -> Result<()> {
        loop {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let mut job = loop {
                match (queue.0.pop_front(), queue.1) {
                    (Some(job), _) => break job,
                    (None, true) => return Ok(()),
                    (None, false) => {
                        queue = self.queued.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            drop(queue);
            job.wait(&self.blocks, self.transfer);
            self.done.lock().unwrap_or_else(PoisonError::into_inner).push(job);
            if self.word.notify() {
                ring(bell)?;
            }
        }
    }
}
