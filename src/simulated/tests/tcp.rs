//! The provider on TCP: the only tests here with a real clock, so that nothing in them may depend on time.

use std::io::ErrorKind;
use std::net::SocketAddr;

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::simulated::{Fault, MockArgs, run_command};

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn get_models(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: p\r\nconnection: close\r\n\r\n").await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

#[tokio::test]
async fn stopping_frees_the_port_and_severs_open_connections() {
    let provider = provider();
    provider.set_fault(Some(Fault::HangBeforeHead));
    let listening = Arc::clone(&provider).listen(ANYWHERE).await.unwrap();
    let addr = listening.addr;
    let hung = tokio::spawn(get_models(addr));
    while provider.stats().in_flight == 0 {
        tokio::task::yield_now().await;
    }

    listening.stop().await;

    assert_eq!(hung.await.unwrap().unwrap_or_default(), "", "cut without a reply");
    assert_eq!(get_models(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let again = Arc::clone(&provider).listen(addr).await.unwrap();
    provider.set_fault(None);
    assert!(get_models(again.addr).await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_reset_reaches_the_client_as_a_reset() {
    let provider = provider();
    let listening = Arc::clone(&provider).listen(ANYWHERE).await.unwrap();
    provider.set_fault(Some(Fault::Reset));
    assert_eq!(get_models(listening.addr).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(provider.stats().failed, 1);
}

#[tokio::test]
async fn the_command_says_where_it_listens_and_serves_there() {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MockArgs,
    }
    let line = ["mock-provider", "--models", "a,b", "--key", "k", "--fault", "slow:2%0.5@1s-2s"];
    let args = Line::try_parse_from(line).unwrap().args;
    let (mut said, out) = std::io::pipe().unwrap();
    let command = tokio::spawn(async move {
        let mut out = out;
        run_command(args, &mut out).await
    });

    let first = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(&mut said), &mut line).map(|_| line)
    });
    let line = first.await.unwrap().unwrap();
    let addr = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
    assert!(get_models(addr).await.unwrap().starts_with("HTTP/1.1 401"), "the key is asked for");
    command.abort();
}
