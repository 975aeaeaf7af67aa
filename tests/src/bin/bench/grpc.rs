//! As much of gRPC (over HTTP/2, RFC 9113) as one call at a time to etcd needs. Small enough to
//! cost no more than the HTTP client beside it.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// One connection, one call at a time.
pub(crate) struct Grpc {
    stream: TcpStream,
    next: u32,
    buffer: Vec<u8>,
    filled: usize,
    out: Vec<u8>,
}

impl Grpc {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame(&mut hello, SETTINGS, 0, 0, &[]);
        // More than a run receives, so that the window needs no care later.
        frame(
            &mut hello,
            WINDOW_UPDATE,
            0,
            0,
            &0x7fff_0000u32.to_be_bytes(),
        );
        stream.write_all(&hello).await?;
        Ok(Self {
            stream,
            next: 1,
            buffer: vec![0; 32 * 1024],
            filled: 0,
            out: Vec::new(),
        })
    }

    /// Calls the method that `head` (see [`head`]) names. An answer without a message is an error.
    pub(crate) async fn call(&mut self, head: &[u8], message: &[u8]) -> Result<()> {
        let id = self.next;
        self.next += 2;
        let mut body = vec![0];
        body.extend(u32::try_from(message.len())?.to_be_bytes());
        body.extend(message);
        frame(&mut self.out, HEADERS, END_HEADERS, id, head);
        frame(&mut self.out, DATA, END_STREAM, id, &body);
        let mut answered = false;
        loop {
            if !self.out.is_empty() {
                self.stream.write_all(&self.out).await?;
                self.out.clear();
            }
            let (kind, flags, stream, payload) = self.read().await?;
            match kind {
                DATA if stream == id => answered |= payload.len() > 5 || payload.len() == 5,
                HEADERS if stream == id && flags & END_STREAM != 0 => break,
                RESET if stream == id => bail!("the call was reset"),
                GOAWAY => bail!("the server closes the connection"),
                SETTINGS | PING if flags & ACK == 0 => {
                    let echo = if kind == PING { payload } else { Vec::new() };
                    frame(&mut self.out, kind, ACK, 0, &echo);
                }
                _ => {}
            }
        }
        if !answered {
            bail!("the call failed");
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(u8, u8, u32, Vec<u8>)> {
        loop {
            if let Some(&[a, b, c, kind, flags, s0, s1, s2, s3]) = self
                .buffer
                .get(..self.filled)
                .and_then(|filled| filled.first_chunk::<9>())
            {
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                if self.filled >= 9 + length {
                    let payload = self.buffer[9..9 + length].to_vec();
                    self.buffer.copy_within(9 + length..self.filled, 0);
                    self.filled -= 9 + length;
                    let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
                    return Ok((kind, flags, stream, payload));
                }
            }
            let room = &mut self.buffer[self.filled..];
            match self.stream.read(room).await? {
                0 => bail!("the server closed the connection"),
                count => self.filled += count,
            }
        }
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend(&length.to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

/// The header block of a method's calls: literals without indexing (RFC 7541 section 6.2.2).
pub(crate) fn head(path: &str, authority: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let mut text = |prefix: &[u8], text: &str| {
        block.extend(prefix);
        block.push(u8::try_from(text.len()).unwrap_or(126));
        block.extend(text.as_bytes());
    };
    text(&[0x04], path);
    text(&[0x01], authority);
    text(&[0x0f, 0x10], "application/grpc");
    text(&[0x00, 2, b't', b'e'], "trailers");
    block
}

/// A length-delimited field of a protobuf message.
pub(crate) fn bytes_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
}
