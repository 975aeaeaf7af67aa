//! The frame: length (4 bytes, big endian, of what follows), kind (1), number (8), payload.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The largest frame, header included.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;

const HEADER: usize = 9;
/// The largest payload.
pub const MAX_PAYLOAD: usize = MAX_FRAME - HEADER;
/// The largest frame of someone who has shown no certificate.
pub(super) const MAX_STRANGE: usize = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// First frame of a stream; its payload says which.
    Open = 1,
    /// A call.
    Request = 2,
    /// Its answer.
    Reply = 3,
    /// Its caller has gone.
    Cancel = 4,
    /// One item of a stream.
    Item = 5,
    /// Are you there?
    Ping = 6,
    /// Yes.
    Pong = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Open,
            Self::Request,
            Self::Reply,
            Self::Cancel,
            Self::Item,
            Self::Ping,
            Self::Pong,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) payload: Bytes,
}

impl Frame {
    pub(super) fn new(kind: Kind, number: u64, payload: impl Into<Bytes>) -> Self {
        Self {
            kind,
            number,
            payload: payload.into(),
        }
    }

    pub(super) fn write_to(&self, buffer: &mut BytesMut) {
        // A payload that would not fit is a bug of ours; the receiver refuses it by its length.
        let length = u32::try_from(HEADER + self.payload.len()).unwrap_or(u32::MAX);
        buffer.put_u32(length);
        buffer.put_u8(self.kind as u8);
        buffer.put_u64(self.number);
        buffer.put_slice(&self.payload);
    }
}

fn invalid(what: String) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what)
}

/// Reads frames from one side of a connection. Cancel safe: a dropped `next` loses nothing.
pub(super) struct FrameReader<R> {
    inner: R,
    buffer: BytesMut,
    limit: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self::with_limit(inner, MAX_FRAME)
    }

    /// Refuses frames longer than `limit`.
    pub(super) fn with_limit(inner: R, limit: usize) -> Self {
        Self {
            inner,
            buffer: BytesMut::new(),
            limit,
        }
    }

    /// How much of the next frame is here.
    pub(super) fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None` at a clean end.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(8 * 1024);
            if self.inner.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(invalid("the connection ended within a frame".into()))
                };
            }
        }
    }

    fn take(&mut self) -> std::io::Result<Option<Frame>> {
        let Some(head) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*head) as usize;
        let limit = self.limit;
        if !(HEADER..=limit).contains(&length) {
            return Err(invalid(format!(
                "a frame of {length} bytes; {HEADER} to {limit} are allowed"
            )));
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        let mut body = self.buffer.split_to(length);
        let byte = body.get_u8();
        let number = body.get_u64();
        let kind =
            Kind::from_byte(byte).ok_or_else(|| invalid(format!("a frame of kind {byte}")))?;
        Ok(Some(Frame {
            kind,
            number,
            payload: body.freeze(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_as_they_went_in() {
        let mut bytes = BytesMut::new();
        Frame::new(Kind::Request, 7, &b"one"[..]).write_to(&mut bytes);
        Frame::new(Kind::Cancel, 8, Bytes::new()).write_to(&mut bytes);
        let mut reader = FrameReader::new(&bytes[..]);
        let first = reader.next().await.unwrap().unwrap();
        assert_eq!(
            (first.kind, first.number, &first.payload[..]),
            (Kind::Request, 7, &b"one"[..])
        );
        assert_eq!(reader.next().await.unwrap().unwrap().kind, Kind::Cancel);
        assert!(reader.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn garbage_is_an_error_and_not_an_allocation() {
        for garbage in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0, 0, 0, 1, 9],
            &[0xff; 64],
            &[0, 0, 0, 9, 77, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert!(FrameReader::new(garbage).next().await.is_err());
        }
    }
}
