//! Reads, writes, receives and sends of one buffer: what of the ring's each of them is.

use std::io::{Read as _, Write as _};

use io_uring::opcode;
use proactor_core::{
    Buffer, Config, Handle, Operation, Read, ReadExact, Recv, Send, SendAll, Write, WriteAll,
};

use super::{POLL, RECV, Rig, SEND, SETUPS};

const READ: u8 = opcode::Read::CODE;
const WRITE: u8 = opcode::Write::CODE;

#[test]
fn each_goes_to_the_ring_once_and_nowhere_else() {
    for setup in SETUPS {
        let mut rig = Rig::with(&Config::default(), setup);
        let (socket, mut far) = rig.pair();
        let (reader, mut into) = std::io::pipe().unwrap();
        let (mut out, writer) = std::io::pipe().unwrap();
        let (reader, writer) = (rig.attach(reader), rig.attach(writer));
        far.write_all(b"0123456789").unwrap();
        into.write_all(b"0123456789").unwrap();
        let (room, text) = (|| Buffer::zeroed(3), || Buffer::from(&b"abc"[..]));
        let operations: [(u8, Handle, Operation); 11] = [
            (RECV, socket, Recv { handle: socket, buffer: room() }.into()),
            (RECV, socket, Read { handle: socket, buffer: room() }.into()),
            (RECV, socket, ReadExact { handle: socket, buffer: room() }.into()),
            (SEND, socket, Send { handle: socket, buffer: text() }.into()),
            (SEND, socket, SendAll { handle: socket, buffer: text() }.into()),
            (SEND, socket, Write { handle: socket, buffer: text() }.into()),
            (SEND, socket, WriteAll { handle: socket, buffer: text() }.into()),
            (READ, reader, Read { handle: reader, buffer: room() }.into()),
            (READ, reader, ReadExact { handle: reader, buffer: room() }.into()),
            (WRITE, writer, Write { handle: writer, buffer: text() }.into()),
            (WRITE, writer, WriteAll { handle: writer, buffer: text() }.into()),
        ];
        let all =
            |rig: &Rig| [RECV, SEND, READ, WRITE, POLL].map(|code| rig.pushed(code)).iter().sum::<usize>();
        for (code, handle, operation) in operations {
            let (text, before, in_all) = (format!("{operation:?}"), rig.pushed(code), all(&rig));
            let token = rig.start(handle, operation);
            assert!(rig.done.is_empty(), "{text} is the kernel's");
            let (answered, outcome) = rig.next();
            assert_eq!((answered, outcome.error()), (token, None), "{text}");
            assert_eq!((rig.pushed(code), all(&rig)), (before + 1, in_all + 1), "{text}");
        }
        let (mut sent, mut written) = ([0; 12], [0; 6]);
        far.read_exact(&mut sent).unwrap();
        out.read_exact(&mut written).unwrap();
        assert_eq!((&sent, &written), (b"abcabcabcabc", b"abcabc"));
    }
}
