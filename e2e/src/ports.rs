//! Ports for servers that are told theirs.
//!
//! They lie below those from which the kernel gives out-going connections theirs: between the moment in which a port is
//! found free and the one in which its server listens, nobody else comes by it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

const FIRST: u16 = 12_000;
const COUNT: u16 = 16_000;

/// How many have been looked at; processes that run beside each other begin at different ones.
static LOOKED_AT: AtomicU16 = AtomicU16::new(0);

/// Ports that nobody listens on, each given once by this process.
///
/// # Errors
/// All are taken.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = next()?;
    }
    Ok(ports)
}

fn next() -> Result<u16> {
    let own = (std::process::id().wrapping_mul(151) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let port = FIRST + own.wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {FIRST} on")
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_port_is_given_twice_and_none_that_is_taken() {
        let held: [u16; 20] = super::free().unwrap();
        let taken = std::net::TcpListener::bind(("0.0.0.0", held[19].wrapping_add(1)));
        let more: [u16; 20] = super::free().unwrap();
        assert!(more.iter().all(|port| !held.contains(port)), "{held:?} {more:?}");
        if let Ok(taken) = taken {
            assert!(!more.contains(&taken.local_addr().unwrap().port()));
        }
    }
}
