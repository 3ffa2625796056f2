//! Reviews whose text is broken, and bytes that were never a review.

use super::{Generator, twist};
use crate::input::Input;
use crate::source::Source;

const PATHS: [&str; 7] = [
    "/convert",
    "/mutate-pod",
    "/mutate-apps-kruise-io-cloneset",
    "/validate-apps-kruise-io-cloneset",
    "/validate-pod",
    "/healthz",
    "/mutate-apps-kruise-io-unknown",
];
/// Pieces of JSON, whole and broken, and what is none.
const PIECES: [&[u8]; 26] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"\x00",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\\u0000",
    b"\\ud800",
    b"\"\"",
    b"1e999",
    b"-",
    b" ",
    b"\n",
    b"/**/",
    b"{\"a\":1}",
    b"\"uid\":\"2\",",
    b"\xf0\x9f\x98\x80",
    b"0",
];

impl Generator {
    /// A body of bytes.
    pub(super) fn bytes(&self, source: &mut Source) -> Input {
        let mut input = if source.percent(35) { self.conversion(source) } else { self.admission(source) };
        if source.percent(15) {
            (*source.pick(&PATHS)).clone_into(&mut input.path);
        }
        if source.percent(12) {
            input.body = garbage(source);
            return input;
        }
        for _ in 0..1 + source.times(40, 6) {
            self.change(&mut input.body, source);
        }
        input
    }

    fn change(&self, body: &mut Vec<u8>, source: &mut Source) {
        let at = place(body.len(), source);
        match source.below(8) {
            0 => body.truncate(at),
            1 => body.get_mut(at).into_iter().for_each(|byte| *byte ^= 1_u8.wrapping_shl(u32::from(source.below(8)))),
            2 => {
                let end = (at + usize::from(source.below(64))).min(body.len());
                drop(body.drain(at..end));
            }
            3 => {
                let from = place(body.len(), source);
                let end = (from + usize::from(source.below(400))).min(body.len());
                let chunk = body.get(from..end).unwrap_or_default().to_vec();
                drop(body.splice(at..at, chunk));
            }
            4 => {
                let other = self.admission(source).body;
                let from = place(other.len(), source);
                let end = (from + usize::from(source.below(400))).min(other.len());
                drop(body.splice(at..at, other.get(from..end).unwrap_or_default().iter().copied()));
            }
            5 => drop(body.splice(at..at, twist::deep(source).write().into_bytes())),
            _ => {
                let piece = *source.pick(&PIECES);
                let times = *source.pick(&[1, 1, 1, 1, 2, 100]);
                drop(body.splice(at..at, piece.repeat(times)));
            }
        }
    }
}

/// A place in a body, its end among them.
fn place(len: usize, source: &mut Source) -> usize {
    // Two draws: bodies are longer than one can count.
    let (high, low) = (usize::from(source.below(1 << 10)), usize::from(source.below(1 << 10)));
    (((high << 10) | low) * (len + 1)) >> 20
}

fn garbage(source: &mut Source) -> Vec<u8> {
    if source.percent(50) {
        return (0..source.times(90, 60)).flat_map(|_| source.pick(&PIECES).to_vec()).collect();
    }
    (0..usize::from(source.below(300))).map(|_| source.below(256).to_le_bytes()[0]).collect()
}
