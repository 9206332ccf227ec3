//! Upstreams over TLS: certificates are checked, and one that is wrong is no place to send a key to.

use faregate::simulated::Fault;

use crate::rig::{Rig, provider, serving, upstream};

fn over_tls(name: &str, price: &str) -> String {
    upstream(name, "m", price, price).replace("http://", "https://")
}

#[tokio::test(start_paused = true)]
async fn an_upstream_with_a_valid_certificate_is_served_over_tls_on_kept_connections() {
    let up = provider(serving(&["m"]));
    let rig = Rig::new(&over_tls("up", "1"), "", &[]);
    rig.plug_secure("up", "up", &up);

    for _ in 0..3 {
        assert_eq!(rig.chat("m").await.status, 200);
        assert!(rig.stream("m").await.text().ends_with("data: [DONE]\n\n"));
    }

    rig.unplug("up");
    assert_eq!(rig.chat("m").await.status, 200, "the connection was not kept");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_for_another_name_is_failed_over_and_never_sees_the_key() {
    let (impostor, honest) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = over_tls("cheap", "1") + &over_tls("dear", "5");
    let rig = Rig::new(&config, "", &[]);
    rig.plug_secure("cheap", "somebody-else", &impostor);
    rig.plug_secure("dear", "dear", &honest);

    let reply = rig.chat("m").await;

    assert_eq!((reply.status.as_u16(), reply.header("x-faregate-endpoint")), (200, "dear/m"));
    assert_eq!(impostor.stats().requests, 0);
    assert_eq!(rig.metric(r#"faregate_failovers_total{from="cheap/m",reason="unreachable"}"#), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_speak_tls_is_failed_over() {
    let honest = provider(serving(&["m"]));
    let config = over_tls("cheap", "1") + &over_tls("dear", "5");
    let rig = Rig::new(&config, "", &[]);
    rig.plug_raw("cheap", "HTTP/1.1 400 Bad Request\r\n\r\n");
    rig.plug_secure("dear", "dear", &honest);
    honest.fault_next(Fault::KeepAliveComments(1, std::time::Duration::ZERO));

    assert_eq!(rig.chat("m").await.header("x-faregate-endpoint"), "dear/m");
}
