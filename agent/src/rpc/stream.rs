//! A connection that belongs to one stream of items, both ways.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::RpcError;
use super::frame::{Frame, FrameReader, Kind, MAX_PAYLOAD};
use super::serve::Socket;

/// Items both ways.
pub struct FrameStream {
    /// From the other side.
    pub source: FrameSource,
    /// To the other side.
    pub sink: FrameSink,
}

/// The receiving half. Cancel safe.
pub struct FrameSource {
    reader: FrameReader<ReadHalf<Socket>>,
    address: std::net::SocketAddr,
}

/// The sending half.
pub struct FrameSink {
    writer: WriteHalf<Socket>,
    buffer: BytesMut,
    address: std::net::SocketAddr,
}

impl FrameStream {
    pub(super) fn new(
        reader: FrameReader<ReadHalf<Socket>>,
        writer: WriteHalf<Socket>,
        address: std::net::SocketAddr,
    ) -> Self {
        Self {
            source: FrameSource { reader, address },
            sink: FrameSink {
                writer,
                buffer: BytesMut::new(),
                address,
            },
        }
    }

    /// Opens a stream on a fresh connection; `open` says which.
    pub async fn open(dialed: super::Dialed, open: Vec<u8>) -> Result<Self, RpcError> {
        let address = dialed.address;
        let (reader, writer) = tokio::io::split(dialed.socket);
        let mut stream = Self::new(FrameReader::new(reader), writer, address);
        stream.sink.push(Frame::new(Kind::Open, 0, open)).await?;
        Ok(stream)
    }
}

impl FrameSource {
    /// The next item; an error when the stream has ended, cleanly or not.
    pub async fn next(&mut self) -> Result<Bytes, RpcError> {
        let closed = |reason: String| RpcError::Closed {
            address: self.address,
            reason,
        };
        match self.reader.next().await {
            Ok(Some(frame)) if frame.kind == Kind::Item => Ok(frame.payload),
            Ok(Some(frame)) => Err(closed(format!(
                "a frame of kind {:?} on a stream",
                frame.kind
            ))),
            Ok(None) => Err(closed("the other side closed it".into())),
            Err(error) => Err(closed(error.to_string())),
        }
    }
}

impl FrameSink {
    /// Sends one item and flushes.
    pub async fn send(&mut self, item: impl Into<Bytes>) -> Result<(), RpcError> {
        self.push(Frame::new(Kind::Item, 0, item)).await
    }

    /// Says that nothing more will come.
    pub async fn close(&mut self) {
        let _ = self.writer.shutdown().await;
    }

    async fn push(&mut self, frame: Frame) -> Result<(), RpcError> {
        let (address, size) = (self.address, frame.payload.len());
        if size > MAX_PAYLOAD {
            return Err(RpcError::TooLarge { address, size });
        }
        self.buffer.clear();
        frame.write_to(&mut self.buffer);
        write_all(&mut self.writer, &self.buffer)
            .await
            .map_err(|error| RpcError::Closed {
                address,
                reason: error.to_string(),
            })
    }
}

pub(super) async fn write_all<W: AsyncWrite + Unpin>(
    writer: &mut W,
    bytes: &[u8],
) -> std::io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// What both halves of a connection need of their socket.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}
