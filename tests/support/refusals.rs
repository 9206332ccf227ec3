//! A provider that always says no: it answers every request with the status in its path, in the shape of a real one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Starts it on a port of the system's choosing, for as long as the test process lives. `POST /429/v1/…` gets a 429, and
/// `POST /region/v1/…` what OpenAI says to those whose country it does not serve.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(connection));
        }
    });
    address
}

fn serve(connection: TcpStream) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut writer = connection;
    while let Some(status) = next_request(&mut reader) {
        if writer.write_all(refusal(&status).as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads a request to its end and returns the first segment of its path.
fn next_request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    head.split('/').nth(1).map(str::to_owned)
}

fn refusal(status: &str) -> String {
    if status == "region" {
        let body = r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","param":null,"type":"request_forbidden"}}"#;
        let length = body.len();
        return format!(
            "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    }
    let message = format!("refused with {status}; your key sk-fixture-0123456789 is known");
    let error = serde_json::json!({
        "error": {"message": message, "type": "fixture", "param": "messages", "code": format!("fixture_{status}")}
    });
    let body = error.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Refused\r\ncontent-type: application/json\r\nretry-after: 7\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}
