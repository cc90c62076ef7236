//! Socket addresses in the kernel's form.
#![allow(unsafe_code)]

use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use proactor_core::{Address, Error};
use proactor_system::{address_from_system, address_to_system};
use rustix::io::Errno;
use rustix::net::SocketAddrAny;
use rustix::net::addr::{SocketAddrLen, SocketAddrStorage};

const STORAGE_LEN: SocketAddrLen = size_of::<SocketAddrStorage>() as SocketAddrLen;

/// Room for one address, which the kernel reads and writes: an accept's or a connect's.
#[repr(C)]
struct Block {
    /// Initialised, with zeros before the first use.
    storage: MaybeUninit<SocketAddrStorage>,
    len: SocketAddrLen,
}

/// Rooms for addresses, at places that never change, and used again and again.
///
/// They are reached through pointers only, never a reference that would claim to be alone with what the kernel writes.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    all: Vec<NonNull<Block>>,
    free: Vec<u32>,
}

impl Blocks {
    /// Takes a block and tells its number.
    pub(crate) fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let block = Box::new(Block { storage: MaybeUninit::zeroed(), len: 0 });
            // SAFETY: a box's pointer is not null.
            self.all.push(unsafe { NonNull::new_unchecked(Box::into_raw(block)) });
            // As many as operations in flight, which core numbers with 32 bits.
            self.all.len() as u32 - 1
        })
    }

    /// How many there are, used and free.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Gives back a block that [`take`](Self::take) gave, and that the kernel does not use any more.
    pub(crate) fn give_back(&mut self, number: u32) {
        self.free.push(number);
    }

    /// Where the kernel writes an address, and where the length of the room stands, to be replaced by the address's.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn for_writing(&self, number: u32) -> (*mut libc::sockaddr, *mut libc::socklen_t) {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and only the owner of its number uses it, who is about to hand it
        // to the kernel.
        unsafe { (*block).len = STORAGE_LEN };
        // SAFETY: a field's address within a live block.
        let storage = unsafe { &raw mut (*block).storage };
        // SAFETY: as above.
        let len = unsafe { &raw mut (*block).len };
        (storage.cast(), len)
    }

    /// Takes a block, puts an address into it and tells its number.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it has no form in the kernel.
    pub(crate) fn take_with(&mut self, address: &Address) -> Result<u32, Error> {
        let address = address_to_system(address)?;
        let number = self.take();
        let (storage, len) = self.for_writing(number);
        // SAFETY: the first `addr_len` bytes of an address are initialised, and no more than the block has room for. The
        // block was free, so the kernel does not use it.
        unsafe { storage.cast::<u8>().copy_from(address.as_ptr().cast(), address.addr_len() as usize) };
        // SAFETY: as above.
        unsafe { len.write(address.addr_len()) };
        Ok(number)
    }

    /// Where the kernel reads the address that is in a block, and its length.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn for_reading(&self, number: u32) -> (*const libc::sockaddr, libc::socklen_t) {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and its address was put there before by us.
        let len = unsafe { (*block).len };
        (block.cast_const().cast(), len)
    }

    /// The address in a block which the kernel is done with.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it is of a family that core has no name for.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn address(&self, number: u32) -> Result<Address, Error> {
        let block = self.all[number as usize].as_ptr();
        // SAFETY: the block lives as long as `self`, and its owner, who asks, has it back from the kernel.
        let len = unsafe { (*block).len };
        // SAFETY: as above; the storage is initialised from the beginning.
        let storage = unsafe { (*block).storage };
        address(storage, len)
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for block in self.all.drain(..) {
            // SAFETY: it came from a box, in `take`, and is given up once. That the kernel is done with it is upheld by
            // the owner of these blocks, who forgets them otherwise.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }
}

/// The address in initialised `storage`, as the kernel has written it with this length.
pub(crate) fn address(storage: MaybeUninit<SocketAddrStorage>, len: SocketAddrLen) -> Result<Address, Error> {
    let shortest = size_of::<libc::sa_family_t>() as SocketAddrLen;
    if !(shortest..=STORAGE_LEN).contains(&len) {
        return Err(Error::Unsupported);
    }
    // SAFETY: the storage is initialised and holds an address of the kernel's, of a length that was just checked.
    address_from_system(unsafe { SocketAddrAny::new(storage, len) })
}

/// The address of an accepted socket's peer, also where the peer has reset the connection since, of which getpeername
/// knows nothing any more.
///
/// # Errors
/// What the system said; [`Error::Unsupported`] for a family that core has no name for.
pub(crate) fn peer(socket: BorrowedFd<'_>) -> Result<Address, Error> {
    let mut storage = MaybeUninit::<SocketAddrStorage>::zeroed();
    // The kernel wants to be asked for no more than there is, and cuts off what is more than it was asked for.
    let mut len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    peer_name(socket, &mut storage, len)?;
    // SAFETY: zeroed at first, and any bytes are a storage.
    if unsafe { storage.assume_init_ref() }.family() == rustix::net::AddressFamily::INET6 {
        len = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        peer_name(socket, &mut storage, len)?;
    }
    address(storage, len)
}

/// Asks for the first `len` bytes of the address of a socket's peer.
fn peer_name(
    socket: BorrowedFd<'_>,
    storage: &mut MaybeUninit<SocketAddrStorage>,
    mut len: libc::socklen_t,
) -> Result<(), Error> {
    // SAFETY: the descriptor is open, and the kernel writes at most `len` bytes to the storage, which has room for any
    // address, and the length.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERNAME,
            storage.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if answer == 0 {
        return Ok(());
    }
    let errno = Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO);
    Err(Error::from_errno(errno))
}

const _: () = assert!(mem::offset_of!(Block, storage) == 0);
const _: () = assert!(size_of::<SocketAddrStorage>() == size_of::<libc::sockaddr_storage>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stay_where_they_are_and_are_used_again() {
        let mut blocks = Blocks::default();
        let first = blocks.take();
        let place = blocks.for_writing(first);
        let others: Vec<u32> = (0..100).map(|_| blocks.take()).collect();
        assert_eq!(blocks.for_writing(first), place);
        blocks.give_back(others[7]);
        assert_eq!(blocks.take(), others[7]);
        assert_eq!(blocks.all.len(), 101);
    }

    #[test]
    fn an_address_is_read_back_as_it_was_written() {
        let mut blocks = Blocks::default();
        for text in ["1.2.3.4:5", "[fe80::9%3]:70"] {
            let expected: Address = text.parse().unwrap();
            let number = blocks.take_with(&expected).unwrap();
            assert_eq!(blocks.address(number), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_address_of_ours_is_unsupported() {
        let mut blocks = Blocks::default();
        let number = blocks.take();
        assert_eq!(blocks.address(number), Err(Error::Unsupported));
        blocks.for_writing(number);
        assert_eq!(blocks.address(number), Err(Error::Unsupported));
    }
}
