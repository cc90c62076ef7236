//! Several buffers in the place of one: operations with the same meaning, and their outcomes seen as those of one buffer.

use proactor_core::{
    Buffer, ExactRead, Outcome, Received, Sent, SentAll, VectoredExactRead, VectoredRead, VectoredWritten,
    VectoredWrittenAll,
};

use crate::cases::vectored::{cut, joined};

/// These bytes in buffers of odd lengths, which differ by `number`; of many bytes in more than one call takes.
pub(crate) fn in_pieces(bytes: &[u8], number: usize) -> Vec<Buffer> {
    cut(bytes, &[number % 7, 0, 300 + number % 3000])
}

/// The outcome that it would be with one buffer; what is of no several buffers stays as it is.
pub(crate) fn in_one_piece(outcome: Outcome) -> Outcome {
    let one = |buffers: Vec<Buffer>| Buffer::from(joined(&buffers));
    match outcome {
        Outcome::ReadVectored(VectoredRead { handle, buffers, result }) => {
            Outcome::Recv(Received { handle, buffer: one(buffers), result })
        }
        Outcome::ReadVectoredExact(VectoredExactRead { handle, buffers, transferred, result }) => {
            Outcome::ReadExact(ExactRead { handle, buffer: one(buffers), transferred, result })
        }
        Outcome::WriteVectored(VectoredWritten { handle, buffers, result }) => {
            Outcome::Send(Sent { handle, buffer: one(buffers), result })
        }
        Outcome::WriteVectoredAll(VectoredWrittenAll { handle, buffers, transferred, result }) => {
            Outcome::SendAll(SentAll { handle, buffer: one(buffers), transferred, result })
        }
        other => other,
    }
}
