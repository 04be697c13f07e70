//! HTTP/1.1 over one kept-alive connection, with as little work as can be: it shares two cores with what it measures.

use std::io;
use std::ops::Range;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Octets of an answer's head at most.
const HEAD_OCTETS_MAX: usize = 64 * 1024;

/// Octets of an answer's body at most.
const BODY_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// Why there is no answer. The server may or may not have acted on the request, unless it was never connected to.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The address is not `http://host:port`.
    #[error("{0} is not http://host:port")]
    Address(String),
    /// The connection could not be made, or broke.
    #[error("connection lost")]
    Io(#[from] io::Error),
    /// The answer did not come in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer is not HTTP/1.1 as servers write it.
    #[error("not an HTTP answer: {0}")]
    Malformed(&'static str),
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Octets at the front of the buffer that belong to the last answer.
    used: usize,
    answer_timeout: Duration,
    closing: bool,
}

/// An answer, in the connection's buffer.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

struct Head {
    status: u16,
    body: Body,
    closing: bool,
    end: usize,
}

enum Body {
    Length(usize),
    Chunked,
}

/// The host and port of `http://host:port/...`.
fn authority(base_url: &str) -> Result<&str, WireError> {
    let address = || WireError::Address(base_url.to_owned());
    let rest = base_url.strip_prefix("http://").ok_or_else(address)?;
    rest.split('/')
        .next()
        .filter(|host| host.contains(':'))
        .ok_or_else(address)
}

impl Wire {
    /// Connects. Each answer may take `answer_timeout`.
    ///
    /// # Errors
    /// [`WireError`] if the address is none or nobody listens there.
    pub async fn connect(base_url: &str, answer_timeout: Duration) -> Result<Self, WireError> {
        let connecting = TcpStream::connect(authority(base_url)?);
        let stream = timeout(answer_timeout, connecting)
            .await
            .map_err(|_| WireError::Timeout(answer_timeout))??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(8192),
            used: 0,
            answer_timeout,
            closing: false,
        })
    }

    /// Whether the server has said that it closes the connection.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Sends a whole request and reads the whole answer.
    ///
    /// # Errors
    /// [`WireError`]; the connection is of no more use then.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Exchange<'_>, WireError> {
        let answer_timeout = self.answer_timeout;
        let (status, body) = timeout(answer_timeout, self.roundtrip(request))
            .await
            .map_err(|_| WireError::Timeout(answer_timeout))??;
        Ok(Exchange {
            status,
            body: self.buffer.get(body).unwrap_or_default(),
        })
    }

    async fn roundtrip(&mut self, request: &[u8]) -> Result<(u16, Range<usize>), WireError> {
        self.buffer.drain(..self.used.min(self.buffer.len()));
        self.used = 0;
        self.stream.write_all(request).await?;
        let head = self.read_head().await?;
        self.closing = head.closing;
        let body = match head.body {
            Body::Length(length) => {
                self.fill(head.end + length).await?;
                head.end..head.end + length
            }
            Body::Chunked => self.read_chunks(head.end).await?,
        };
        self.used = self.used.max(body.end);
        Ok((head.status, body))
    }

    async fn read_head(&mut self) -> Result<Head, WireError> {
        let mut searched: usize = 0;
        loop {
            let from = searched.saturating_sub(3);
            if let Some(at) = find(self.buffer.get(from..).unwrap_or_default(), b"\r\n\r\n") {
                return parse_head(&self.buffer, from + at + 4);
            }
            searched = self.buffer.len();
            if searched > HEAD_OCTETS_MAX {
                return Err(WireError::Malformed("the head has no end"));
            }
            self.fill(searched + 1).await?;
        }
    }

    /// Joins the chunks at the place of the first.
    async fn read_chunks(&mut self, start: usize) -> Result<Range<usize>, WireError> {
        let (mut end, mut at) = (start, start);
        loop {
            let line = self.read_line(at).await?;
            let digits = line.split(|octet| *octet == b';').next().unwrap_or_default();
            let size = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
            let size = size.filter(|size| end - start + size <= BODY_OCTETS_MAX);
            let size = size.ok_or(WireError::Malformed("a chunk without size"))?;
            at += line.len() + 2;
            self.fill(at + size + 2).await?;
            self.buffer.copy_within(at..at + size, end);
            (end, at) = (end + size, at + size + 2);
            if size == 0 {
                self.used = at;
                return Ok(start..end);
            }
        }
    }

    async fn read_line(&mut self, from: usize) -> Result<Vec<u8>, WireError> {
        loop {
            let rest = self.buffer.get(from..).unwrap_or_default();
            if let Some(line) = find(rest, b"\r\n").and_then(|end| rest.get(..end)) {
                return Ok(line.to_vec());
            }
            if rest.len() > HEAD_OCTETS_MAX {
                return Err(WireError::Malformed("a line has no end"));
            }
            self.fill(self.buffer.len() + 1).await?;
        }
    }

    /// Reads until the buffer holds so many octets.
    async fn fill(&mut self, octets: usize) -> Result<(), WireError> {
        if octets > HEAD_OCTETS_MAX + BODY_OCTETS_MAX {
            return Err(WireError::Malformed("the body is too long"));
        }
        while self.buffer.len() < octets {
            self.buffer.reserve(octets - self.buffer.len());
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        Ok(())
    }
}

fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets.windows(wanted.len()).position(|window| window == wanted)
}

fn parse_head(buffer: &[u8], end: usize) -> Result<Head, WireError> {
    let head = buffer.get(..end).and_then(|head| std::str::from_utf8(head).ok());
    let mut lines = head
        .ok_or(WireError::Malformed("the head is not text"))?
        .split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|rest| rest.get(..3));
    let status = status
        .and_then(|digits| digits.parse().ok())
        .ok_or(WireError::Malformed("no status line"))?;
    let mut parsed = Head {
        status,
        body: Body::Length(0),
        closing: false,
        end,
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length = value
                .parse()
                .map_err(|_| WireError::Malformed("content-length is no number"))?;
            parsed.body = Body::Length(length);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            parsed.body = Body::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            parsed.closing = value.eq_ignore_ascii_case("close");
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that answers each connection's requests (each ends in `!`) with the given octets, a few at a time.
    async fn serve(answers: Vec<&'static [u8]>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in answers {
                while stream.read_u8().await.unwrap() != b'!' {}
                for part in answer.chunks(7) {
                    stream.write_all(part).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn answers_are_read_whole_and_one_after_the_other() {
        let url = serve(vec![
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        ])
        .await;
        let mut wire = Wire::connect(&url, Duration::from_secs(5)).await.unwrap();
        for (status, body, closing) in [
            (200, &b"hello"[..], false),
            (404, b"abcdefg", false),
            (204, b"", true),
        ] {
            let exchange = wire.exchange(b"request!").await.unwrap();
            assert_eq!((exchange.status, exchange.body), (status, body));
            assert_eq!(wire.is_closing(), closing);
        }
        assert!(matches!(wire.exchange(b"request!").await, Err(WireError::Io(_))));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_http_is_an_error() {
        let url = serve(vec![b"SMTP ready\r\n\r\n"]).await;
        let mut wire = Wire::connect(&url, Duration::from_secs(5)).await.unwrap();
        assert!(matches!(wire.exchange(b"!").await, Err(WireError::Malformed(_))));
        let wrong = Wire::connect("https://localhost:1", Duration::from_secs(1)).await;
        assert!(matches!(wrong, Err(WireError::Address(_))));
    }
}
