//! The backend of a crate that is built for a system that has none of its kind: a type without values, so that programs can be
//! checked there and documented. One that is built is told, where it opens a loop, which target it takes: without this type it would
//! find the loop of core, which has one parameter more, and the compiler would ask for that.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;

use crate::backend::{Backend, OwnedDescriptor, Token, Until, Wake};
use crate::config::{Capabilities, Config};
use crate::done::Done;
use crate::error::Error;
use crate::handle::Slot;
use crate::socket::{Control, Family, Reply, SocketKind};
use crate::time::Time;

/// Where a backend is at home.
#[doc(hidden)]
pub trait Home: 'static {
    /// The backend's name.
    const NAME: &'static str;

    /// What the compiler tells a program that opens a loop elsewhere.
    const TOLD_ELSEWHERE: &'static str;
}

/// In place of the backend of a `T`. That it has a parameter puts the error off until a program opens one.
#[doc(hidden)]
#[derive(Debug)]
pub struct Elsewhere<T> {
    never: Infallible,
    of: PhantomData<T>,
}

/// In place of its waker.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct NoWaker(Infallible);

impl Wake for NoWaker {
    fn wake(&self) {
        match self.0 {}
    }
}

impl<T: Home> Elsewhere<T> {
    const IS_HERE: () = panic!("{}", T::TOLD_ELSEWHERE);
}

impl<T: Home> Backend for Elsewhere<T> {
    const NAME: &'static str = T::NAME;

    type Waker = NoWaker;

    fn open(_config: &Config) -> io::Result<Self> {
        let () = Self::IS_HERE;
        Err(io::ErrorKind::Unsupported.into())
    }

    fn capabilities(&self) -> Capabilities {
        match self.never {}
    }

    fn waker(&self) -> NoWaker {
        match self.never {}
    }

    fn now(&self) -> Time {
        match self.never {}
    }

    fn attach(&mut self, _: Slot, _: OwnedDescriptor) -> Result<(), (Error, OwnedDescriptor)> {
        match self.never {}
    }

    fn detach(&mut self, _: Slot) -> Result<OwnedDescriptor, Error> {
        match self.never {}
    }

    fn socket(&mut self, _: Slot, _: Family, _: SocketKind) -> Result<(), Error> {
        match self.never {}
    }

    fn control(&mut self, _: Slot, _: Control) -> Result<Reply, Error> {
        match self.never {}
    }

    fn start(&mut self, _: Token, _: Slot, _: &mut Done) {
        match self.never {}
    }

    fn cancel(&mut self, _: Token, _: Slot, _: &mut Done) -> bool {
        match self.never {}
    }

    fn wait(&mut self, _: Until, _: &mut Done) -> Result<(), Error> {
        match self.never {}
    }

    fn close(&mut self, _: Slot) -> Result<(), Error> {
        match self.never {}
    }
}
