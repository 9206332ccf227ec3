//! Reloads: what runs is not disturbed, what is wrong is not taken, and every way of changing a file is noticed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use faregate::control::Daemon;
use faregate::engine::Price;
use faregate::simulated::{Profile, Provider};

use crate::client::{Outcome, chat, is_whole_stream, request, send};
use crate::stage::{Stage, policy, source};

/// Runs all of them at once, each in a task of its own.
async fn all<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test]
async fn reloads_under_200_concurrent_streams_fail_none_of_them() {
    let stage = Stage::new(3, 40, Duration::from_millis(20)).await;
    let data = stage.daemon.data;
    let streams = all((0..200).map(move |_| send(data, chat(true))));
    let streams = tokio::spawn(streams);

    for cost in 2..8 {
        stage.replace("policy.toml", &policy(cost));
        let (status, body) = stage.admin("POST", "/v1/reload").await;
        assert_eq!(status, 200, "{body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let outcomes: Vec<Outcome> = streams.await.unwrap();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !is_whole_stream(outcome)).collect();
    assert!(failed.is_empty(), "{} of 200 failed: {:?}", failed.len(), failed.first());
    assert_eq!(stage.ready().await["generation"], 7);
    stage.daemon.stop();
}

#[tokio::test]
async fn a_changed_file_is_noticed_without_being_told() {
    let stage = Stage::new(1, 1, Duration::ZERO).await;
    stage.replace("policy.toml", &policy(2));
    stage.until_ready("the new generation", |ready| ready["generation"] == 2).await;
    stage.daemon.stop();
}

#[tokio::test]
async fn a_swapped_link_above_the_file_is_noticed_as_kubernetes_does_it() {
    // Given a policy that is reached as a ConfigMap is: file -> ..data/file, ..data -> a dated directory
    let stage = Stage::new(1, 1, Duration::ZERO).await;
    let folder = stage.folder.path();
    for (name, cost) in [("..2026_1", 1), ("..2026_2", 2)] {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("policy.toml"), policy(cost)).unwrap();
    }
    symlink("..2026_1", folder.join("..data")).unwrap();
    fs::remove_file(folder.join("policy.toml")).unwrap();
    symlink("..data/policy.toml", folder.join("policy.toml")).unwrap();
    stage.admin("POST", "/v1/reload").await;
    assert_eq!(stage.ready().await["generation"], 1, "the content is the same");

    // When the link is swapped
    symlink("..2026_2", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();

    // Then the new policy is taken.
    stage.until_ready("the new generation", |ready| ready["generation"] == 2).await;
    stage.daemon.stop();
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_is_shown_until_it_is_mended() {
    let stage = Stage::new(1, 1, Duration::ZERO).await;
    stage.replace("policy.toml", "[objective]\nfailure_kost = \"2 USD\"\n");

    let (status, body) = stage.admin("POST", "/v1/reload").await;

    assert_eq!(status, 422);
    assert!(body.contains("failure_kost") && body.contains("policy.toml:2:1"), "{body}");
    let ready = stage.ready().await;
    assert_eq!((&ready["ready"], &ready["generation"]), (&true.into(), &1.into()));
    assert!(ready["last_reload"]["diagnostics"].as_str().unwrap().contains("did you mean"), "{ready}");
    assert!(stage.admin("GET", "/metrics").await.1.contains("faregate_config_last_reload_successful 0"));
    assert_eq!(send(stage.daemon.data, chat(false)).await.unwrap().0, 200);

    stage.replace("policy.toml", &policy(3));
    stage.until_ready("the mended policy", |ready| ready["last_reload"]["successful"] == true).await;
    assert!(stage.admin("GET", "/metrics").await.1.contains("faregate_config_last_reload_successful 1"));
    stage.daemon.stop();
}

#[tokio::test]
async fn a_reload_does_not_open_a_listener_that_tenants_protect() {
    let stage = Stage::new(1, 1, Duration::ZERO).await;
    let folder = stage.folder.path();
    let local = fs::read_to_string(folder.join("faregate.toml")).unwrap();
    let tenants = "[[tenants]]\nname = \"t\"\nkeys = [\"literal:of-a-tenant\"]\n";
    let exposed = local.replacen("127.0.0.1:0", "0.0.0.0:0", 1);
    fs::write(folder.join("exposed.toml"), format!("{exposed}{tenants}")).unwrap();
    let daemon = Daemon::start(source(&folder.join("exposed.toml"))).unwrap();
    let data = SocketAddr::from((Ipv4Addr::LOCALHOST, daemon.data.port()));
    assert_eq!(send(data, chat(false)).await.unwrap().0, 401);

    // What would be fine for a start is not while the old listener is bound.
    stage.replace("exposed.toml", &local);
    let (status, body) = send(daemon.admin, request("POST", "/v1/reload", "")).await.unwrap();

    assert_eq!(status, 422, "{body}");
    assert!(body.contains("no tenants"), "{body}");
    assert_eq!(send(data, chat(false)).await.unwrap().0, 401);
    daemon.stop();
    stage.daemon.stop();
}

#[tokio::test]
async fn half_a_file_takes_away_neither_the_tenants_nor_the_upstreams() {
    let stage = Stage::new(1, 1, Duration::ZERO).await;
    let folder = stage.folder.path();
    let whole = fs::read_to_string(folder.join("faregate.toml")).unwrap();
    let tenants = "[[tenants]]\nname = \"t\"\nkeys = [\"literal:of-a-tenant\"]\n";
    fs::write(folder.join("with.toml"), format!("{whole}{tenants}")).unwrap();
    let daemon = Daemon::start(source(&folder.join("with.toml"))).unwrap();

    for (half, reason) in [("", "no endpoint"), (whole.as_str(), "no tenants")] {
        stage.replace("with.toml", half);
        let (status, body) = send(daemon.admin, request("POST", "/v1/reload", "")).await.unwrap();
        assert_eq!(status, 422, "{body}");
        assert!(body.contains(reason), "{body}");
        assert_eq!(send(daemon.data, chat(false)).await.unwrap().0, 401);
    }

    let opened = whole.replacen("[server]", "[server]\nopen = true", 1);
    stage.replace("with.toml", &opened);
    assert_eq!(
        send(daemon.admin, request("POST", "/v1/reload", "")).await.unwrap().0,
        200,
        "said so, it is a decision"
    );
    daemon.stop();
    stage.daemon.stop();
}

#[tokio::test]
async fn a_key_that_is_replaced_in_its_file_is_used_at_once_though_the_old_one_was_refused() {
    let stage = Stage::new(1, 1, Duration::ZERO).await;
    let profile =
        Profile { api_key: Some("sk-new".to_owned()), ..Profile::named("p").with_model("m", Price::default()) };
    let provider = Provider::new(profile, 1);
    let listening = Arc::clone(&provider).listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let keyless = fs::read_to_string(stage.folder.path().join("faregate.toml")).unwrap();
    let base_url = keyless.lines().find(|line| line.starts_with("base_url")).unwrap();
    let keyed = keyless
        .replace(base_url, &format!("base_url = \"http://{}/v1\"", listening.addr))
        .replace("keys = []", "keys = [\"file:key\"]");
    stage.replace("key", "sk-old\n");
    stage.replace("faregate.toml", &keyed);
    stage.until_ready("the keyed upstream", |ready| ready["generation"] == 2).await;

    assert_ne!(send(stage.daemon.data, chat(false)).await.unwrap().0, 200, "the key is not good");
    let shown = stage.admin("GET", "/v1/endpoints").await.1;
    assert!(shown.contains("\"because\": \"auth\"") && !shown.contains("sk-old"), "{shown}");

    stage.replace("key", "sk-new\n");
    stage.until_ready("the new key", |ready| ready["generation"] == 3).await;
    assert_eq!(send(stage.daemon.data, chat(false)).await.unwrap().0, 200, "nothing waits for the old key's time");
    stage.daemon.stop();
}
