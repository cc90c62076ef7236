//! The backend where this is built for another target than WASI: a type without values, so that programs can be checked there and
//! documented. One that is built is told, where it opens a loop, which target it takes: without this type it would find the loop of
//! core, which has one parameter more, and the compiler would ask for that.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;

use proactor_core::{
    Backend, Capabilities, Config, Control, Done, Error, Family, OwnedDescriptor, Reply, Slot, SocketKind,
    Time, Token, Until, Wake,
};

/// In place of the backend. That it has a parameter puts the error off until a program opens one.
///
/// ```compile_fail
/// let ev = proactor_wasi::Loop::<()>::open(proactor_wasi::Config::default());
/// ```
///
/// ```no_run
/// let ev = proactor_wasi::Loop::<()>::open(proactor_wasi::Config::default());
/// ```
#[derive(Debug)]
pub struct Elsewhere<T> {
    never: Infallible,
    of: PhantomData<T>,
}

/// In place of its waker.
#[derive(Clone, Debug)]
pub struct NoWaker(Infallible);

impl Wake for NoWaker {
    fn wake(&self) {
        match self.0 {}
    }
}

impl<T> Elsewhere<T> {
    const IS_ON_WASI: () = panic!(
        "proactor-wasi has a loop on WASI alone: build with `--target wasm32-wasip1`. The section \"WASI\" of proactor's README says what \
         that takes and how such a program is run."
    );
}

impl<T: 'static> Backend for Elsewhere<T> {
    const NAME: &'static str = "wasi";

    type Waker = NoWaker;

    fn open(_config: &Config) -> io::Result<Self> {
        let () = Self::IS_ON_WASI;
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
