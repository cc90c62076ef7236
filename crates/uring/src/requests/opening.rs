//! The first requests of a ring: what it watches, and what this kernel understands.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use proactor_core::{Error, Until};
use proactor_system::now;

use super::table::Table;
use super::{PATIENCE, PROBED, Requests, WATCHED};
use crate::address::Blocks;
use crate::file_requests::FileRequests;
use crate::message::Messages;
use crate::open::Setup;
use crate::poll_requests::PollRequests;
use crate::pools::Pools;
use crate::ring::Ring;
use crate::transfer::Manner;
use crate::vectors::Vectors;

impl Requests {
    /// # Errors
    /// The system's, from the first calls on the ring; [`Error::Unsupported`] if this kernel cannot watch a descriptor
    /// for as long as the ring lives.
    pub(crate) fn new(ring: Ring, setup: Setup, watched: BorrowedFd<'_>) -> Result<Self, Error> {
        let manner = Manner::with(setup);
        let mut requests = Self {
            ring,
            table: Table::default(),
            blocks: Blocks::default(),
            pools: Pools::default(),
            messages: Messages::default(),
            vectors: Vectors::default(),
            files: FileRequests::default(),
            polls: PollRequests::default(),
            impatient: manner.impatient(),
            manner,
            accepts_many: false,
            receives_many: false,
            sends_to: false,
            strays: 0,
            #[cfg(test)]
            waited_first: 0,
        };
        requests.probe(watched)?;
        Ok(requests)
    }

    /// Begins to watch a descriptor, and asks whether accepts and receives can go on for ever.
    fn probe(&mut self, watched: BorrowedFd<'_>) -> Result<(), Error> {
        self.watch(watched);
        let fd = Fd(watched.as_raw_fd());
        self.accepts_many = self.is_understood(opcode::AcceptMulti::new(fd).build())?;
        // No buffers are behind the number, and none is needed to say no.
        self.receives_many = self.is_understood(opcode::RecvMulti::new(fd, 0).build())?;
        let nowhere = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: 0 },
            sin_zero: [0; 8],
        };
        let address = opcode::Send::new(fd, ptr::null(), 0).dest_addr((&raw const nowhere).cast());
        let len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        self.sends_to = self.is_understood(address.dest_addr_len(len).build())?;
        #[cfg(test)]
        {
            // Tests count receives and sends of operations.
            self.ring.pushed.remove(&u32::from(opcode::Recv::CODE));
            self.ring.pushed.remove(&u32::from(opcode::Send::CODE));
        }
        Ok(())
    }

    /// Asks something of a descriptor that is no socket, of which only a kernel speaks that has understood the question.
    fn is_understood(&mut self, entry: squeue::Entry) -> Result<bool, Error> {
        // SAFETY: the entry points to nothing, or to an address of the caller's, which the kernel reads before it answers.
        unsafe { self.ring.push(&entry.user_data(PROBED)) };
        let deadline = now() + PATIENCE;
        while now() < deadline {
            self.ring.enter(Until::Deadline(deadline))?;
            if let Some(entry) = self.ring.completions().next() {
                if entry.user_data() != PROBED {
                    return Err(Error::Unsupported);
                }
                return Ok(entry.result() == -libc::ENOTSOCK);
            }
        }
        Err(Error::Unsupported)
    }

    /// Watches a descriptor: each write to it is answered with [`Answer::Watched`](super::Answer::Watched), until that says otherwise.
    pub(crate) fn watch(&mut self, watched: BorrowedFd<'_>) {
        let entry = opcode::PollAdd::new(Fd(watched.as_raw_fd()), libc::POLLIN as u32).multi(true).build();
        // SAFETY: the entry points to nothing.
        unsafe { self.ring.push(&entry.user_data(WATCHED)) };
    }
}
