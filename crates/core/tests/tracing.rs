//! What a collector of events hears of a loop.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor_sim::{AcceptMany, Config, Connect, Event, Flow, ListenOptions, Loop, Nop, RunMode, Timer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber, subscriber};

/// Keeps the lines of all events, level first.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => write!(self.0, " {value:?}").unwrap(),
            // Numbers of loops and turns are others each time.
            "key" | "turn" | "queued" => write!(self.0, " {}", field.name()).unwrap(),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "proactor"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The events of what `program` does with a loop, turns left out.
fn events_of(program: impl FnOnce(&mut Loop<()>)) -> Vec<String> {
    let collector = Collector::default();
    subscriber::with_default(collector.clone(), || {
        program(&mut Loop::open(Config::default()).unwrap());
    });
    let mut lines = collector.0.lock().unwrap();
    lines.retain(|line| line != "TRACE turn turn queued");
    lines.clone()
}

#[test]
fn what_is_submitted_cancelled_and_completed_is_told() {
    let events = events_of(|ev| {
        let mut cx = ev.context();
        cx.submit(Nop, |(), _, _| ());
        let never = cx.submit(Timer::after(Duration::from_secs(1000)), |(), _, _| ());
        cx.cancel(never);
        ev.run(&mut (), RunMode::UntilDone).unwrap();
    });
    let expected = [
        "DEBUG opened backend=\"sim\"",
        "TRACE submitted kind=Nop key",
        "TRACE submitted kind=Timer key",
        "TRACE cancelled key answer=Requested",
        "TRACE completed kind=Timer key error=Some(Canceled)",
        "TRACE completed kind=Nop key error=None",
    ];
    let mut sorted = [events.clone(), expected.map(str::to_owned).to_vec()];
    sorted.iter_mut().for_each(|lines| lines.sort());
    assert_eq!(sorted[0], sorted[1], "{events:?}");
    assert_eq!(events[..4], expected[..4]);
}

#[test]
fn items_are_told_one_by_one() {
    let events = events_of(|ev| {
        let mut cx = ev.context();
        let listener = cx.listen("127.0.0.1:0".parse().unwrap(), ListenOptions::default()).unwrap();
        let address = cx.local_address(listener).unwrap();
        cx.submit_multishot(AcceptMany { listener }, |(), _, event| match event {
            Event::More(_) => Flow::Stop,
            Event::Last(_) => Flow::Continue,
        });
        let handle = cx.socket(address.family()).unwrap();
        cx.submit(Connect { handle, address }, |(), _, _| ());
        ev.run(&mut (), RunMode::UntilDone).unwrap();
    });
    let of = |kind: &str| events.iter().filter(|line| line.contains(&format!("kind={kind} "))).count();
    assert_eq!((of("AcceptMany"), of("Connect")), (3, 2), "{events:?}");
    assert!(events.iter().any(|line| line == "TRACE item kind=AcceptMany key"), "{events:?}");
    assert!(events.iter().all(|line| !line.starts_with(Level::WARN.as_str())), "{events:?}");
}
