//! Sends of all sizes on one connection, some cancelled, some late: what arrives is what they say, in their order.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use proactor_epoll::{Buffer, Config, Driver, Error, Key, Outcome, Recv, SendAll, Until};

fn run(seed: u64, tcp: bool) {
    let mut seed = seed;
    let mut any = move |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    let mut driver = Driver::open(Config::default()).unwrap();
    let (handle, mut peer): (_, Box<dyn std::io::Read + Send>) = if tcp {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (driver.attach(ours).unwrap(), Box::new(listener.accept().unwrap().0))
    } else {
        let (ours, peer) = UnixStream::pair().unwrap();
        (driver.attach(ours).unwrap(), Box::new(peer))
    };
    let reader = thread::spawn(move || {
        let (mut all, mut bytes) = (Vec::new(), vec![0; 60_000]);
        loop {
            match peer.read(&mut bytes).unwrap() {
                0 => return all,
                len => all.extend_from_slice(&bytes[..len]),
            }
            if all.len() % 7 == 0 {
                thread::sleep(Duration::from_micros(200));
            }
        }
    });
    let _never = driver.submit(Recv { handle, buffer: Buffer::zeroed(1) });
    let mut keys: Vec<Key> = Vec::new();
    let mut sent: Vec<u8> = Vec::new();
    let mut open = 0;
    let mut ended = 0;
    let mut last = None;
    let mut take = |driver: &mut Driver, open: &mut usize, sent: &mut Vec<u8>, keys: &[Key]| {
        while let Some((key, outcome)) = driver.pop() {
            let Outcome::SendAll(done) = outcome else { continue };
            *open -= 1;
            ended += 1;
            match done.result {
                Ok(()) => {
                    assert_eq!(done.transferred, done.buffer.len());
                    let number = keys.iter().position(|other| *other == key).unwrap();
                    assert!(last < Some(number), "in order");
                    last = Some(number);
                }
                Err(Error::Canceled | Error::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
            sent.extend_from_slice(&done.buffer[..done.transferred]);
        }
        ended
    };
    for round in 0..200_u64 {
        for _ in 0..any(5) {
            let len = match any(6) {
                0 => 0,
                1 => 1_000_000,
                2 => 250_000,
                _ => any(3000) as usize,
            };
            let buffer = Buffer::from(vec![(keys.len() % 251) as u8; len]);
            let send = SendAll { handle, buffer };
            keys.push(match any(6) {
                0 => driver.submit(send.with_timeout(Duration::from_micros(any(3000)))),
                _ => driver.submit(send),
            });
            open += 1;
        }
        if any(4) == 0 && !keys.is_empty() {
            let which = keys.len() as u64 - 1 - any(keys.len().min(8) as u64);
            driver.cancel(keys[which as usize]);
        }
        let until = if any(2) == 0 && open > 0 { Until::Forever } else { Until::Now };
        driver.turn(until).unwrap();
        if round % 2 == 0 || any(2) == 0 {
            take(&mut driver, &mut open, &mut sent, &keys);
        }
    }
    while open > 0 {
        driver.turn(Until::Forever).unwrap();
        take(&mut driver, &mut open, &mut sent, &keys);
    }
    assert_eq!(take(&mut driver, &mut open, &mut sent, &keys), keys.len());
    driver.close(handle);
    drop(driver);
    let got = reader.join().unwrap();
    assert_eq!(got.len(), sent.len());
    assert!(got == sent, "what they say is what arrives");
}

#[test]
fn what_sends_say_is_what_arrives() {
    for seed in 0..6 {
        run(seed, seed % 2 == 0);
    }
}
