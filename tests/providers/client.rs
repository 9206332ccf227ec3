//! A client without any SDK: one connection per request, the reply read to its end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// How long a reply may take on a machine that is busy compiling.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a client of `OpenAI` has in its head, and no provider is to see.
const OWN_HEADERS: &str = "authorization: Bearer sk-of-the-client\r\nopenai-organization: org-of-the-client\r\n\
                           openai-project: proj_of_the_client\r\ncookie: session=of-the-client\r\n";

/// How often it is looked for what settles after an answer's end, and how long between two looks.
const LOOKS: u32 = 500;
const BETWEEN: Duration = Duration::from_millis(20);

/// What `look` finds, once it finds something; `None` if it never does.
pub(crate) fn eventually<T>(look: impl Fn() -> Result<Option<T>, String>) -> Result<Option<T>, String> {
    for _ in 0..LOOKS {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        std::thread::park_timeout(BETWEEN);
    }
    Ok(None)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> Result<Value, String> {
        serde_json::from_str(&self.text).map_err(|error| format!("{error}: {}", self.text))
    }

    /// The chunks of a stream that ended as it should.
    pub(crate) fn chunks(&self) -> Result<Vec<Value>, String> {
        let bad = |why: &str| format!("{why}: {} {}", self.status, self.text);
        let text = self.text.replace("\r\n", "\n");
        let events: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
        let Some((&"[DONE]", events)) = events.split_last() else { return Err(bad("no [DONE] at the end")) };
        events.iter().map(|event| serde_json::from_str(event).map_err(|_| bad("an event is not JSON"))).collect()
    }
}

/// A chat, as `OpenAI`'s client would send it.
pub(crate) fn chat(to: &str, body: &Value) -> Result<Reply, String> {
    send(to, "POST", "/v1/chat/completions", OWN_HEADERS, &body.to_string())
}

/// A page of the admin plane.
pub(crate) fn page(of: &str, path: &str) -> Result<Reply, String> {
    send(of, "GET", path, "", "")
}

/// A wish to the admin plane.
pub(crate) fn tell(to: &str, path: &str, wish: &str) -> Result<Reply, String> {
    send(to, "POST", path, "", wish)
}

fn send(to: &str, method: &str, path: &str, headers: &str, body: &str) -> Result<Reply, String> {
    let failed = |error: std::io::Error| format!("{method} {path}: {error}");
    let mut connection = TcpStream::connect(to).map_err(failed)?;
    connection.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         {headers}content-length: {length}\r\n\r\n{body}"
    );
    connection.write_all(request.as_bytes()).map_err(failed)?;
    let mut all = Vec::new();
    connection.read_to_end(&mut all).map_err(failed)?;
    read(&String::from_utf8_lossy(&all)).ok_or_else(|| format!("{method} {path}: no HTTP"))
}

fn read(all: &str) -> Option<Reply> {
    let (head, body) = all.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut reply = Reply { status, head: head.to_owned(), text: body.to_owned() };
    if reply.header("transfer-encoding").is_some() {
        reply.text = whole(body)?;
    }
    Some(reply)
}

/// Chunks put together.
fn whole(body: &str) -> Option<String> {
    let (mut rest, mut text) = (body.as_bytes(), Vec::new());
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..end)?).ok()?, 16).ok()?;
        if size == 0 {
            return String::from_utf8(text).ok();
        }
        text.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + size + 4..)?;
    }
}

/// A question in words.
pub(crate) fn question(model: &str, text: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": text }] })
}

/// The same, with more fields.
pub(crate) fn with(mut body: Value, more: &Value) -> Value {
    let fields = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}
