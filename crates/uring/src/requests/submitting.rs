//! Requests that have no shorter way, and how each is handed to the kernel, or waits to be.
#![allow(unsafe_code)]

use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use io_uring::opcode;
use io_uring::types::Fd;
use proactor_core::{Address, Buffer, Error, Kind, Token};
use proactor_system::{DescriptorKind, MAX_TRANSFER};

use super::{Place, Requests, Task, has_block};
use crate::bytes;
use crate::transfer::{Rest, transfer};
use crate::vectored;

impl Requests {
    /// Hands a read or a write of `kind`, or a send to be told apart, to the kernel, taking its buffer away.
    ///
    /// # Errors
    /// [`Error::Busy`] if something is on its way at `place` already, [`Error::ReadOnlyBuffer`] if the buffer is to be
    /// read into and cannot.
    pub(crate) fn begin_bytes(
        &mut self,
        place: Place,
        descriptor: BorrowedFd<'_>,
        (token, kind): (Token, Kind),
        buffer: &mut Buffer,
        on: DescriptorKind,
    ) -> Result<(), Error> {
        let request = self.idle(place).ok_or(Error::Busy)?;
        if bytes::fills_buffer(kind) && !buffer.is_writable() {
            return Err(Error::ReadOnlyBuffer);
        }
        request.buffer = Some(mem::take(buffer));
        request.task = Some(Task::new(token, kind, 0).on(on));
        self.submit(place, descriptor);
        Ok(())
    }

    /// Hands an accept of `kind` to the kernel.
    ///
    /// # Errors
    /// [`Error::Busy`] if something is on its way at `place` already.
    pub(crate) fn begin_accept(
        &mut self,
        place: Place,
        descriptor: BorrowedFd<'_>,
        (token, kind): (Token, Kind),
    ) -> Result<(), Error> {
        self.idle(place).ok_or(Error::Busy)?;
        let extra = if has_block(kind) { self.blocks.take() } else { 0 };
        self.table[place].task = Some(Task::new(token, kind, extra));
        self.submit(place, descriptor);
        Ok(())
    }

    /// Hands a connect to the kernel.
    ///
    /// # Errors
    /// [`Error::Busy`] if something is on its way at `place` already, [`Error::Unsupported`] for an address that has no
    /// form in the kernel.
    pub(crate) fn begin_connect(
        &mut self,
        place: Place,
        descriptor: BorrowedFd<'_>,
        token: Token,
        address: &Address,
    ) -> Result<(), Error> {
        self.idle(place).ok_or(Error::Busy)?;
        let block = self.blocks.take_with(address)?;
        self.table[place].task = Some(Task::new(token, Kind::Connect, block));
        self.submit(place, descriptor);
        Ok(())
    }

    /// Hands what is held at `place` to the kernel, to be done on `descriptor`. Does nothing if nothing is.
    pub(crate) fn submit(&mut self, place: Place, descriptor: BorrowedFd<'_>) {
        let Some(request) = self.table.get_mut(place) else { return };
        if request.is_in_kernel() {
            return;
        }
        let Some(task) = &mut request.task else { return };
        task.is_poll = false;
        let fd = Fd(descriptor.as_raw_fd());
        let manner = if task.is_impatient { &self.impatient } else { &self.manner };
        let entry = match task.kind {
            Kind::Accept => {
                let (address, len) = self.blocks.for_writing(task.extra);
                opcode::Accept::new(fd, address, len).flags(libc::SOCK_CLOEXEC).build()
            }
            Kind::AcceptMany if self.accepts_many => {
                opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build()
            }
            Kind::AcceptMany => {
                let accept = opcode::Accept::new(fd, ptr::null_mut(), ptr::null_mut());
                accept.flags(libc::SOCK_CLOEXEC).build()
            }
            Kind::Connect => {
                let (address, len) = self.blocks.for_reading(task.extra);
                opcode::Connect::new(fd, address, len).build()
            }
            Kind::RecvMany if self.pools.is_provided(task.extra) => {
                opcode::RecvMulti::new(fd, task.extra as u16).build()
            }
            Kind::RecvMany => {
                request.buffer = self.pools.take(task.extra);
                let Some(buffer) = &mut request.buffer else { return self.pools.wait(task.extra, place) };
                // It is not to wait with a buffer.
                let len = buffer.len().min(MAX_TRANSFER) as u32;
                opcode::Recv::new(fd, buffer.as_mut_ptr(), len).flags(libc::MSG_DONTWAIT).build()
            }
            kind if vectored::is_vectored(kind) => task.vectored_entry(&mut self.vectors, descriptor, manner),
            kind => match &mut request.buffer {
                Some(buffer) if kind == Kind::RecvMsg => {
                    let flags = manner.recv | libc::MSG_CMSG_CLOEXEC;
                    self.messages.receive(task.extra, descriptor, buffer, flags)
                }
                Some(buffer) if kind == Kind::RecvFrom => {
                    self.messages.receive(task.extra, descriptor, buffer, manner.recv)
                }
                Some(buffer) if matches!(kind, Kind::SendTo | Kind::SendMsg) => {
                    self.messages.send(task.extra, descriptor, buffer, manner.send)
                }
                Some(buffer) => {
                    let rest = Rest { kind, transferred: task.extra, options: 0, is_socket: task.is_socket };
                    transfer(buffer, descriptor, manner, rest)
                }
                None => return,
            },
        };
        let user_data = request.submitted(place);
        // SAFETY: the entry points to nothing, to the buffer or the block of this task, which stay in the table while the
        // kernel has the task (see `requests`), or names a group of buffers, which `pools` keeps while it has users.
        unsafe { self.ring.push(&entry.user_data(user_data)) };
    }

    /// Waits until `descriptor` may be ready for what is held at `place`, which is answered by a reply that
    /// [`is_poll`](super::Reply::is_poll).
    pub(crate) fn poll(&mut self, place: Place, descriptor: BorrowedFd<'_>) {
        let Some(request) = self.table.get_mut(place) else { return };
        let Some(task) = request.held() else { return };
        task.is_poll = true;
        let user_data = request.submitted(place);
        let events = if place.is_reading() { libc::POLLIN } else { libc::POLLOUT };
        let entry = opcode::PollAdd::new(Fd(descriptor.as_raw_fd()), events as u32).build();
        // SAFETY: the entry points to nothing.
        unsafe { self.ring.push(&entry.user_data(user_data)) };
    }
}
