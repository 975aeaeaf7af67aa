//! Whether a node's DNS answers with an address (RFC 1035 section 4.1).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_millis(200);
const ID: [u8; 2] = [0x5a, 0x77];
/// One question, of type A and class IN.
const QUESTION: [u8; 4] = [0, 1, 0, 1];

/// Whether the server at `at` gives `name` an address.
pub(super) async fn answers(at: SocketAddr, name: &str) -> bool {
    let asked = tokio::time::timeout(PATIENCE, ask(at, name)).await;
    matches!(asked, Ok(Ok(true)))
}

async fn ask(at: SocketAddr, name: &str) -> std::io::Result<bool> {
    let socket = UdpSocket::bind((at.ip(), 0)).await?;
    socket.connect(at).await?;
    socket.send(&query(name)).await?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).await?;
    Ok(has_answer(answer.get(..length).unwrap_or_default()))
}

fn query(name: &str) -> Vec<u8> {
    let mut message = ID.to_vec();
    message.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(0));
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&QUESTION);
    message
}

/// Our answer, without an error, with at least one record.
fn has_answer(message: &[u8]) -> bool {
    match message {
        [a, b, flags, code, _, _, high, low, ..] => {
            [*a, *b] == ID && flags & 0x80 != 0 && code & 0x0f == 0 && (*high, *low) != (0, 0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_with_a_record_counts() {
        assert_eq!(query("a.bc").len(), 12 + 6 + 4);
        let good = [0x5a, 0x77, 0x84, 0, 0, 1, 0, 1, 0, 0];
        assert!(has_answer(&good));
        for (at, byte) in [(0, 0), (2, 0x04), (3, 3), (7, 0)] {
            let mut bad = good;
            bad[at] = byte;
            assert!(!has_answer(&bad), "byte {at}");
        }
        assert!(!has_answer(&good[..7]));
    }
}
