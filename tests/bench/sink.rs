//! The fastest SMTP server there can be: it says yes to everything and keeps nothing.
//!
//! It relies on a client that waits for each reply, and looks for the end of data only where such a
//! client's last bytes are. Good for measuring what is between, for nothing else.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::lab::{Because, Outcome, Side};

/// Listens on the server until the process ends.
pub(crate) fn open(address: SocketAddr) -> Outcome {
    let listener = Side::Server.within(|| TcpListener::bind(address).because(address))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks is the sender's error, and reported there.
            thread::spawn(move || serve(stream));
        }
    });
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_OCTETS];
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink\r\n")?;
    loop {
        let count = stream.read(&mut buffer)?;
        match buffer.get(..count).unwrap_or_default() {
            [] => return Ok(()),
            [b'D', ..] => {
                stream.write_all(b"354 go on\r\n")?;
                skip_data(&mut stream, &mut buffer)?;
                stream.write_all(b"250 stored nowhere\r\n")?;
            }
            [b'Q', ..] => stream.write_all(b"221 bye\r\n")?,
            _ => stream.write_all(b"250 ok\r\n")?,
        }
    }
}

fn skip_data(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut last = [0; 5];
    while last != *b"\r\n.\r\n" {
        let count = stream.read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let arrived = buffer.get(..count).unwrap_or_default();
        let tail = arrived.get(count.saturating_sub(last.len())..).unwrap_or_default();
        last.rotate_left(tail.len());
        let keep = last.len() - tail.len();
        last.iter_mut().skip(keep).zip(tail).for_each(|(old, new)| *old = *new);
    }
    Ok(())
}

const BUFFER_OCTETS: usize = 256 << 10;
