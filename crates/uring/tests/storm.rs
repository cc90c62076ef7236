//! Sends of all sizes on one connection, some cancelled, some late: what arrives is what they say, in their order.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use proactor_uring::{Buffer, Config, Driver, Error, Key, Outcome, Recv, SendAll, Until};

fn run(seed: u64, tcp: bool) {
    let mut state = seed;
    let mut any = move |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    let mut config = Config::default();
    config.entries = [1, 2, 256][seed as usize % 3];
    let mut driver = Driver::open(config).unwrap();
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

/// More than the queue takes, at once, on both directions.
#[test]
fn crowds() {
    for entries in [1, 2, 8] {
        let mut config = Config::default();
        config.entries = entries;
        let mut driver = Driver::open(config).unwrap();
        let pairs: Vec<_> = (0..40)
            .map(|_| {
                let (left, right) = UnixStream::pair().unwrap();
                (driver.attach(left).unwrap(), driver.attach(right).unwrap())
            })
            .collect();
        let mut ended = std::collections::HashMap::new();
        let mut count = 0;
        for round in 0..30_u8 {
            for &(left, right) in &pairs {
                for part in 0..3 {
                    driver.submit(Recv { handle: right, buffer: Buffer::zeroed(3) });
                    driver.submit(SendAll { handle: left, buffer: Buffer::from(vec![round * 3 + part; 3]) });
                    count += 2;
                }
            }
            while count > 0 {
                driver.turn(Until::Forever).unwrap();
                while let Some((_, outcome)) = driver.pop() {
                    count -= 1;
                    assert_eq!(outcome.error(), None);
                    if let Outcome::Recv(received) = outcome {
                        let next: &mut u8 = ended.entry(format!("{:?}", received.handle)).or_default();
                        assert_eq!(&received.buffer[..], [*next; 3]);
                        *next += 1;
                    }
                }
            }
        }
        assert_eq!((driver.active(), driver.backend_faults()), (0, 0));
    }
}
