//! Names of hosts to addresses.

use crate::operation::{OneShot, Target, UNDECIDED, submission};
use crate::outcome::error_of_result;
use crate::{Address, Error};

/// Looks up the addresses of a host, as the system does it for every program: its files, its name servers.
///
/// That blocks, so it is done on the loop's pool of threads ([`Pool`](crate::Pool)): while no thread has begun it, a cancel
/// ends it at once, and one that runs ends when it ends, a deadline passed or not (contract X2). Addresses that are written out are not looked up
/// and always resolve. The simulation knows these and `localhost`.
///
/// ```
/// use proactor_sim::{Address, Config, Loop, Resolve, RunMode};
///
/// # fn main() -> std::io::Result<()> {
/// let mut ev = Loop::<Vec<Address>>::open(Config::default())?;
/// let resolve = Resolve { host: "127.0.0.1".into(), port: 80 };
/// ev.context().submit(resolve, |addresses, cx, resolved| match resolved.result {
///     Ok(found) => *addresses = found,
///     Err(error) => cx.fail(error),
/// });
/// let mut addresses = Vec::new();
/// ev.run(&mut addresses, RunMode::UntilDone)?;
/// assert_eq!(addresses, ["127.0.0.1:80".parse().expect("an address")]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Resolve {
    /// A name, or an IPv4 or IPv6 address without brackets. An empty one, or one with a NUL, is [`Error::InvalidInput`].
    pub host: String,
    /// The port of the addresses that are found.
    pub port: u16,
}

/// How a [`Resolve`] went.
#[derive(Debug)]
pub struct Resolved {
    /// What was looked up.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The addresses, at least one, in the order in which they should be tried. [`Error::NotResolved`] if there are none,
    /// or nobody could be asked: the system does not tell these apart.
    pub result: Result<Vec<Address>, Error>,
}

submission!(Resolve => Resolved, Resolve, |_this| Target::None, |this| {
    Resolved { host: this.host, port: this.port, result: Err(UNDECIDED) }
});

impl OneShot for Resolve {}

error_of_result!(Resolved);
