//! Dropping.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use proactor_core::{Accept, Backend, Buffer, Config, Connect, Done, Family, SocketKind, Token, Wake};

use super::{Rig, SETUPS, in_a_child_with, is_child, tcp_pair};

#[test]
fn everything_in_flight_is_ended_and_freed() {
    for setup in SETUPS {
        for entries in [1, 256] {
            let mut rig = Rig::with(&Config::default().entries(entries), setup);
            let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
            let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
            let [one, many] = listeners.map(|listener| rig.attach(listener));
            rig.start(one, Accept { listener: one });
            rig.accept_many(many);
            let shared: Arc<[u8]> = Arc::from(vec![0; 8 << 20]);
            let mut peers = Vec::new();
            for _ in 0..20 {
                let (handle, far) = rig.pair();
                rig.recv(handle);
                rig.send_all(handle, Arc::clone(&shared));
                peers.push(far);
            }
            // Some of it is submitted, some is not.
            rig.look();
            let (handle, far) = rig.pair();
            rig.recv(handle);
            rig.send_all(handle, Arc::clone(&shared));
            peers.push(far);
            // And some has completed, and was not taken.
            peers.iter_mut().take(5).for_each(|far| far.write_all(b"bytes").unwrap());
            peers.extend(addresses.map(|address| TcpStream::connect(address).unwrap()));
            drop(rig);
            assert_eq!(Arc::strong_count(&shared), 1, "{setup:?}");
            // Nothing keeps the sockets open, those that were accepted meanwhile included.
            for mut far in peers {
                far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                // Reset where bytes were left unread; "would block" is what the time-out says.
                let end = loop {
                    match far.read(&mut [0; 65536]) {
                        Ok(1..) => {}
                        end => break end.map_err(|error| error.kind()),
                    }
                };
                assert!(matches!(end, Ok(0) | Err(io::ErrorKind::ConnectionReset)), "{end:?}");
            }
        }
    }
}

#[test]
fn a_connect_in_flight_is_ended() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let _client = TcpStream::connect(address).unwrap();
    let handle = rig.done.new_handle();
    rig.backend.socket(handle.slot(), Family::Ipv4, SocketKind::Stream).unwrap();
    rig.start(handle, Connect { handle, address: address.into() });
    rig.look();
    assert!(rig.done.is_empty());
}

#[test]
fn what_the_kernel_does_not_let_go_of_is_not_freed() {
    const TEST: &str = "tests::ending::what_the_kernel_does_not_let_go_of_is_not_freed";
    if !is_child(TEST) {
        // It is a leak, and a sanitizer that looks for them is right.
        return in_a_child_with(TEST, &[("ASAN_OPTIONS", "detect_leaks=0")]);
    }
    let mut rig = Rig::new();
    let (handle, _far) = rig.pair();
    let shared: Arc<[u8]> = Arc::from(vec![0; 8 << 20]);
    rig.send_all(handle, Arc::clone(&shared));
    rig.look();
    // A completion that nobody will hear of: as if the kernel were busy with it for ever.
    let place = crate::requests::Place::writing(handle.slot());
    rig.backend.requests.pretend_to_be_stuck(place);
    drop(rig);
    assert_eq!(Arc::strong_count(&shared), 2);
}

#[test]
fn outcomes_that_nobody_took_close_what_they_brought() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = rig.attach(listener);
    rig.accept_many(listener);
    rig.look();
    let mut client = TcpStream::connect(address).unwrap();
    rig.wait_for(1);
    drop(rig);
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn rings_of_one_thread_do_not_disturb_each_other() {
    let (near, far) = tcp_pair();
    let (mut first, mut second) = (Rig::new(), Rig::new());
    let (near, far) = (first.attach(near), second.attach(far));
    let token: Token = first.recv(near);
    first.look();
    second.send_all(far, Buffer::from(b"bytes"));
    assert_eq!(second.sent_all().transferred, 5);
    second.backend.waker().wake();
    drop(second);
    let (ended, _) = first.next();
    assert_eq!(ended, token);
    assert!(Done::new().is_empty());
}
