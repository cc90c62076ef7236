use super::*;
use crate::AcceptMany;

const CONNECTIONS: usize = 4;
const BYTES: usize = 200_000;

/// What was seen of one run.
#[derive(Debug, PartialEq)]
struct Run {
    /// In which order what completed, with how many bytes.
    trace: Vec<(u32, usize)>,
    /// What each connection received, by the byte that it sends.
    received: BTreeMap<u8, usize>,
}

/// Several connections at once, each sending its own byte.
fn run(seed: u64) -> Run {
    let mut bed = Bed::with_seed(seed);
    let (listener, address) = bed.listener("127.0.0.1:0", 10);
    let many = bed.start(AcceptMany { listener });
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| bed.connect(&address).0).collect();
    let mut run = Run { trace: Vec::new(), received: BTreeMap::new() };
    let mut ends: usize = 0;
    while ends < CONNECTIONS {
        bed.sim.wait(Until::Now, &mut bed.done).unwrap();
        let mut any = false;
        while let Some((token, outcome)) = bed.done.pop() {
            any = true;
            let mut moved = 0;
            match outcome {
                Outcome::AcceptManyItem(connection) => {
                    assert_eq!(token, many);
                    bed.start_recv(connection.handle, 30_000);
                }
                Outcome::Connect(connected) => {
                    let byte = clients.iter().position(|&client| client == connected.handle).unwrap() as u8;
                    bed.start_send_all(connected.handle, vec![byte; BYTES]);
                }
                Outcome::SendAll(sent) => {
                    moved = sent.transferred;
                    bed.start(Shutdown { handle: sent.handle, how: ShutdownHow::Write });
                }
                Outcome::Recv(Received { handle, buffer, result }) => {
                    moved = result.unwrap();
                    if moved == 0 {
                        ends += 1;
                    } else {
                        assert!(buffer[..moved].iter().all(|&byte| byte == buffer[0]));
                        *run.received.entry(buffer[0]).or_default() += moved;
                        bed.start(Recv { handle, buffer });
                    }
                }
                Outcome::Shutdown(shut) => assert_eq!(shut.result, Ok(())),
                other => panic!("{other:?}"),
            }
            run.trace.push((token.index, moved));
        }
        assert!(any, "a turn without progress: {run:?}");
    }
    run
}

#[test]
fn one_seed_gives_one_run() {
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed));
    }
}

#[test]
fn other_seeds_give_other_runs_with_the_same_bytes() {
    let first = run(0);
    assert_eq!(first.received, (0..CONNECTIONS as u8).map(|byte| (byte, BYTES)).collect());
    for seed in 1..20 {
        let other = run(seed);
        assert_ne!(other.trace, first.trace, "seed {seed}");
        assert_eq!(other.received, first.received, "seed {seed}");
    }
}

#[test]
fn the_seed_chooses_the_order_between_sockets() {
    let order = |seed| {
        let mut bed = Bed::with_seed(seed);
        let pairs: Vec<_> = (0..4).map(|_| bed.pair()).collect();
        for (client, _) in &pairs {
            bed.send(*client, b"x").unwrap();
        }
        let tokens: Vec<_> = pairs.iter().map(|(_, server)| bed.start_recv(*server, 1)).collect();
        bed.sim.wait(Until::Now, &mut bed.done).unwrap();
        let popped = std::iter::from_fn(|| bed.done.pop()).map(|(token, _)| token);
        popped.map(|token| tokens.iter().position(|&started| started == token).unwrap()).collect::<Vec<_>>()
    };
    let orders: std::collections::BTreeSet<_> = (0..20).map(order).collect();
    assert!(orders.len() > 10, "{orders:?}");
    assert!(orders.iter().all(|order| order.len() == 4));
}

#[test]
fn the_default_seed_is_that_of_open() {
    let mut bed = Bed::new();
    bed.sim = Sim::open(&Config::default()).unwrap();
    let lengths = |mut bed: Bed| {
        let (client, server) = bed.pair();
        bed.start_send_all(client, pattern(100_000));
        (0..5).map(|_| bed.recv(server, 10_000).unwrap().len()).collect::<Vec<_>>()
    };
    assert_eq!(lengths(bed), lengths(Bed::with_seed(Sim::DEFAULT_SEED)));
}
