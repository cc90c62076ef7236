//! The end of all requests, when their ring goes.

use std::mem;
use std::time::Duration;

use proactor_core::{Done, Until};
use proactor_system::now;

use super::{Answer, PATIENCE, Requests};
use crate::file_requests::FileRequests;

impl Requests {
    /// Cancels everything and waits, for at most this long, until the kernel has let go of it. Returns how many requests
    /// it has kept. What completes meanwhile is dropped, sockets and files that come are closed.
    fn end_all(&mut self, patience: Duration) -> usize {
        let mut in_kernel = self.files.cancel_all(&mut self.ring);
        in_kernel += self.polls.cancel_all(&mut self.ring);
        for place in self.table.places() {
            if self.table[place].is_in_kernel() {
                in_kernel += 1;
                self.cancel(place);
            }
        }
        // It knows none of the operations, so all of them come out here.
        let mut nobody = Done::new();
        let deadline = now() + patience;
        while in_kernel > 0 && now() < deadline {
            if self.ring.enter(Until::Deadline(deadline)).is_err() {
                break;
            }
            let mut left = usize::MAX;
            while let Some(unread) = self.reap_transfers(&mut left, &mut nobody) {
                let reply = match self.read(unread) {
                    Answer::Request(reply) => reply,
                    Answer::File(reply) => {
                        in_kernel -= 1;
                        let place = reply.place;
                        drop(FileRequests::opened(reply));
                        self.files.end(place, &mut nobody, |_, _| {});
                        continue;
                    }
                    Answer::Poll(reply) => {
                        in_kernel -= usize::from(reply.is_last);
                        self.polls.end(reply.place, &mut nobody, |_| {});
                        continue;
                    }
                    Answer::Watched { .. } | Answer::Nobody => continue,
                };
                in_kernel -= usize::from(reply.is_last);
                let place = reply.place;
                drop(Self::accepted(reply));
                self.end(place, &mut nobody, |_| {});
            }
        }
        in_kernel
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        if self.end_all(PATIENCE) > 0 {
            // The kernel may still write to buffers and blocks of these. The ring itself can go: the kernel counts its
            // own references to that memory, and closing is one more reason for it to end what is left.
            mem::forget(mem::take(&mut self.table));
            mem::forget(mem::take(&mut self.blocks));
            mem::forget(mem::take(&mut self.pools));
            mem::forget(mem::take(&mut self.messages));
            mem::forget(mem::take(&mut self.vectors));
            self.files.forget();
        }
    }
}
