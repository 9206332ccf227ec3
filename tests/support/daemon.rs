//! Processes that tests start: real programs on ports of the system's choosing, found by what they say when they are
//! ready, and ended with the test.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long a start may take on a machine that is busy compiling.
const START: Duration = Duration::from_mins(1);

/// A running program of ours. Killed when dropped.
pub(crate) struct Daemon {
    /// Its process.
    pub(crate) child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Fails only if it has ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Daemon {
    /// Starts the program under test.
    pub(crate) fn start(arguments: &[&str], folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, lines) = channel();
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for pipe in pipes {
            let to = to.clone();
            thread::spawn(move || {
                BufReader::new(pipe).lines().map_while(Result::ok).try_for_each(|line| to.send(line))
            });
        }
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for the line that has all of `words` and returns the address in it.
    pub(crate) fn address(&mut self, words: &str) -> String {
        loop {
            let known = self.said.iter().find(|line| line.contains(words)).and_then(|line| address_in(line));
            if let Some(address) = known {
                return address;
            }
            match self.lines.recv_timeout(START) {
                Ok(line) => self.said.push(line),
                Err(error) => panic!("no line with `{words}` ({error}); it said:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Everything it has said so far.
    pub(crate) fn log(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        self.said.join("\n")
    }
}

/// The first `address:port` in a line, be it `addr=127.0.0.1:1`, `"addr":"127.0.0.1:1"` or plain.
pub(crate) fn address_in(line: &str) -> Option<String> {
    let parts = line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '=' | ',' | '{' | '}' | '/'));
    parts.filter_map(|part| part.parse::<std::net::SocketAddr>().ok()).map(|address| address.to_string()).next()
}
