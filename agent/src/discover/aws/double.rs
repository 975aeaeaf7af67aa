//! A stand-in for AWS in tests: answers as it is told, and remembers what it was asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::surroundings::{Surroundings, Variables};
use crate::task::{AbortOnDrop, spawn};

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `PUT /latest/api/token`.
    pub(super) what: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

pub(super) type Answer = (u16, String);

/// A server on a port of its own, until it is dropped.
pub(super) struct Double {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _task: AbortOnDrop,
}

impl Double {
    pub(super) async fn new(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        let task = spawn("double", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                let talk = service_fn(move |request| {
                    let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                    async move {
                        let asked = read(request).await;
                        let (status, text) = answer(&asked);
                        log.lock().unwrap().push(asked);
                        let answer = Response::builder().status(status);
                        Ok::<_, Infallible>(answer.body(Full::new(Bytes::from(text))).unwrap())
                    }
                });
                let stream = TokioIo::new(stream);
                spawn("double's connection", async move {
                    drop(http1::Builder::new().serve_connection(stream, talk).await);
                });
            }
        });
        Self {
            url,
            asked,
            _task: task.abort_on_drop(),
        }
    }

    /// A metadata service with these paths below `latest/meta-data/`.
    pub(super) async fn imds(paths: &[(&str, &str)]) -> Self {
        let paths: BTreeMap<String, String> = paths
            .iter()
            .map(|(path, text)| (format!("GET /latest/meta-data/{path}"), (*text).to_owned()))
            .collect();
        Self::new(move |asked| {
            if asked.what == "PUT /latest/api/token" {
                return match asked.header("x-aws-ec2-metadata-token-ttl-seconds") {
                    "21600" => (200, "t0ken".to_owned()),
                    _ => (400, String::new()),
                };
            }
            match paths.get(&asked.what) {
                _ if asked.header("x-aws-ec2-metadata-token") != "t0ken" => (401, String::new()),
                Some(text) => (200, text.clone()),
                None => (404, "<html>404</html>".to_owned()),
            }
        })
        .await
    }

    /// All that was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often exactly this was asked.
    pub(super) fn times(&self, what: &str) -> usize {
        self.asked()
            .iter()
            .filter(|asked| asked.what == what)
            .count()
    }
}

async fn read(request: Request<Incoming>) -> Asked {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        let value = value.to_str().unwrap().to_owned();
        (name.to_string(), value)
    });
    let body = body.collect().await.unwrap().to_bytes();
    Asked {
        what: format!("{} {}", head.method, head.uri),
        headers: headers.collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// A program whose environment has these, and nothing else.
pub(super) fn around(variables: &[(&str, &str)]) -> Surroundings {
    Surroundings::new(Variables::these(variables))
}

/// The arguments of an entry of `join`.
pub(super) fn args(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter().copied();
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
