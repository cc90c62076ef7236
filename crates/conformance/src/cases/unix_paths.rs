//! Paths of Unix sockets, which are files like others: made by bind, renamed, linked, unlinked (contract R4, H1, E1, R2).

use std::path::PathBuf;

use proactor_core::{
    Accept, Address, Backend, Buffer, Close, Connect, Create, Error, Family, FilePath, FileType, Handle,
    Link, ListenOptions, Loop, OpenAt, OpenOptions, Peer, Recv, Rename, SendAll, SendTo, Statx, Symlink,
    UnixAddress, Unlink,
};
use rustix::io::Errno;

use crate::Fixture;
use crate::steps::{Steps, join_at, system};

/// Names that nothing has, in the directory for temporary files, real or not.
struct Names {
    directory: PathBuf,
    prefix: String,
    is_real: bool,
}

impl Names {
    fn new<B: Backend>(fixture: &Fixture<B>, case: &str) -> Self {
        let is_real = fixture.capabilities().descriptors;
        let directory = if is_real { std::env::temp_dir() } else { "/tmp".into() };
        Self { directory, prefix: format!("proactor-{}-{case}-{}", B::NAME, std::process::id()), is_real }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{}-{name}", self.prefix))
    }

    fn file(&self, name: &str) -> FilePath {
        FilePath::from(self.path(name))
    }

    fn address(&self, name: &str) -> Address {
        UnixAddress::path(self.path(name)).unwrap().into()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if self.is_real {
            for name in ["one", "other", "link"] {
                let _ = std::fs::remove_file(self.path(name));
            }
        }
    }
}

fn stream<B: Backend>(ev: &mut Loop<B, ()>) -> Handle {
    ev.context().socket(Family::Unix).unwrap()
}

#[track_caller]
fn connect<B: Backend>(ev: &mut Loop<B, ()>, address: Address) -> Result<(), Error> {
    let handle = stream(ev);
    ev.complete(Connect { handle, address }).result
}

/// A name leads to its socket under whichever name the file has, and to nobody when that is closed, until it is unlinked.
pub(crate) fn a_path_is_a_file<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let names = Names::new(fixture, "file");
    let one = names.address("one");
    let listener = ev.context().listen(one.clone(), ListenOptions::default()).unwrap();
    assert_eq!(ev.context().local_address(listener), Ok(one.clone()));
    let told = ev.complete(Statx::path(names.file("one")));
    assert_eq!((told.result, told.metadata.file_type), (Ok(()), FileType::Socket));
    let opened =
        ev.complete(OpenAt { directory: None, path: names.file("one"), options: OpenOptions::read() });
    assert_eq!(opened.result.map(drop), Err(system(Errno::NXIO)));
    let (client, server) = join_at(&mut ev, &mut (), listener, &one);
    assert_eq!(ev.context().peer_address(client), Ok(one.clone()));
    assert_eq!(ev.context().local_address(server), Ok(one.clone()));

    let link = Link { directory: None, from: names.file("one"), to: names.file("other") };
    assert_eq!(ev.complete(link).result, Ok(()));
    join_at(&mut ev, &mut (), listener, &names.address("other"));
    let rename = Rename { directory: None, from: names.file("other"), to: names.file("one") };
    assert_eq!(ev.complete(rename).result, Ok(()));
    let symlink = Symlink { directory: None, target: names.file("one"), path: names.file("link") };
    assert_eq!(ev.complete(symlink).result, Ok(()));
    join_at(&mut ev, &mut (), listener, &names.address("link"));
    let handle = stream(&mut ev);
    for name in ["one", "link"] {
        let taken = ev.context().bind(handle, names.address(name));
        assert_eq!(taken, Err(system(Errno::ADDRINUSE)), "{name}");
    }

    // Unlinked, it is found by nobody; what is connected stays so, and the name is free for another.
    for name in ["one", "other"] {
        let _ = ev.complete(Unlink { directory: None, path: names.file(name) });
    }
    assert_eq!(connect(&mut ev, one.clone()), Err(system(Errno::NOENT)));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"still".into() }).result, Ok(()));
    assert_eq!(ev.complete(Recv { handle: server, buffer: Buffer::zeroed(8) }).result, Ok(5));
    let second = ev.context().listen(one.clone(), ListenOptions::default()).unwrap();
    let waiting = ev.start(Accept { listener });
    join_at(&mut ev, &mut (), second, &one);
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(Close { handle: second }).result, Ok(()));
    assert_eq!(connect(&mut ev, one.clone()), Err(system(Errno::CONNREFUSED)));
    assert_eq!(ev.context().bind(handle, one.clone()), Err(system(Errno::ADDRINUSE)));
    assert_eq!(ev.complete(Unlink { directory: None, path: names.file("one") }).result, Ok(()));
    assert_eq!(ev.context().bind(handle, one), Ok(()));
}

/// What a path cannot be is told by the number that says so, and disturbs nothing.
pub(crate) fn faults_by_path_are_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let names = Names::new(fixture, "faults");
    let create = OpenOptions::write().create(Create::IfMissing);
    let file = ev.complete(OpenAt { directory: None, path: names.file("one"), options: create });
    assert!(file.result.is_ok());
    assert_eq!(connect(&mut ev, names.address("one")), Err(system(Errno::CONNREFUSED)));
    let handle = stream(&mut ev);
    assert_eq!(ev.context().bind(handle, names.address("one")), Err(system(Errno::ADDRINUSE)));
    let beneath = |name: &str| Address::from(UnixAddress::path(names.path(name).join("x")).unwrap());
    assert_eq!(ev.context().bind(handle, beneath("missing")), Err(system(Errno::NOENT)));
    assert_eq!(connect(&mut ev, beneath("missing")), Err(system(Errno::NOENT)));
    assert_eq!(ev.context().bind(handle, beneath("one")), Err(system(Errno::NOTDIR)));
    assert_eq!(connect(&mut ev, beneath("one")), Err(system(Errno::NOTDIR)));
    // Streams and datagrams share these names, and are told apart.
    ev.context().bind(handle, names.address("other")).unwrap();
    assert_eq!(
        connect(&mut ev, names.address("other")),
        Err(system(Errno::CONNREFUSED)),
        "it does not listen"
    );
    let datagrams = ev.context().datagram_socket(Family::Unix).unwrap();
    assert_eq!(ev.context().bind(datagrams, names.address("other")), Err(system(Errno::ADDRINUSE)));
    let wrong = ev.complete(SendTo {
        handle: datagrams,
        buffer: b"x".into(),
        peer: Peer::from(names.address("other")),
    });
    assert_eq!(wrong.result, Err(system(Errno::PROTOTYPE)));
    assert_eq!(wrong.peer, Peer::from(names.address("other")));
    let wrong = ev.complete(Connect { handle: datagrams, address: names.address("other") });
    assert_eq!(wrong.result, Err(system(Errno::PROTOTYPE)));
    ev.context().listen_on(handle, 4).unwrap();
    assert_eq!(connect(&mut ev, names.address("other")), Ok(()));
}
