//! A plain HTTP/1.1 client, small enough to see through: no retries, no pool, no redirects.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;

use crate::place::Place;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names (in lower case) and values, in the order of the answer.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header of that name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body of a 200 as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let text = self.ok()?.text();
        serde_json::from_str(&text)
            .with_context(|| format!("not the JSON that was expected: {text}"))
    }

    /// Itself if the status is 200, an error with the body otherwise.
    pub fn ok(&self) -> Result<&Self> {
        ensure!(self.status == 200, "HTTP {}: {}", self.status, self.text());
        Ok(self)
    }
}

/// A connection that is kept open between requests.
#[derive(Debug)]
pub struct Connection {
    host: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects from `place`; an answer may then take up to `patience`.
    pub fn open(place: &Place, to: SocketAddr, patience: Duration) -> Result<Self> {
        let stream = place
            .connect(to)
            .with_context(|| format!("connect to {to}"))?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            host: to,
            stream: BufReader::new(stream),
        })
    }

    /// One request and its answer. After an error the connection is of no further use.
    pub fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Response> {
        self.call_with(method, path, &[("Host", &self.host.to_string())], body)
    }

    /// Like [`Connection::call`], with these headers and no others but the body's length.
    pub fn call_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        let act = || format!("{method} http://{}{path}", self.host);
        let sent = self.stream.get_mut().write_all(&bytes);
        sent.with_context(act)?;
        self.answer(method)
            .with_context(|| format!("{method} http://{}{path}", self.host))
    }

    fn answer(&mut self, method: &str) -> Result<Response> {
        let status_line = self.line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("not a status line: {status_line:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        if method != "HEAD" && status != 204 && status != 304 {
            response.body = self.body(&response)?;
        }
        Ok(response)
    }

    fn body(&mut self, response: &Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line()?;
                let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)
                    .with_context(|| format!("not a chunk's size: {line:?}"))?;
                let start = body.len();
                body.resize(start + size, 0);
                self.stream.read_exact(&mut body[start..])?;
                self.line()?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        match response.header("content-length") {
            Some(length) => {
                body.resize(length.parse().context("Content-Length")?, 0);
                self.stream.read_exact(&mut body)?;
            }
            None => {
                self.stream.read_to_end(&mut body)?;
            }
        }
        Ok(body)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the connection was closed");
        }
        Ok(line.trim_end().to_owned())
    }
}
