//! `faregate init`: what it writes passes `check` and serves, no key is in it or in what is said, and nothing that
//! exists is lost.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::client::{request, send};
use crate::process::Daemon;

/// Keys as they stand in the files to be imported.
const SECRETS: [&str; 5] = ["sk-live-one", "sk-live-two", "0a1b.live-three", "sk-live-four", "sk-live-master"];

const LITELLM: &str = r#"
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: sk-live-one
      rpm: 500
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://example.openai.azure.com/
      api_key: sk-live-two
      api_version: "2024-10-21"
  - model_name: glm
    litellm_params:
      model: openai/glm-5.3
      api_base: https://open.bigmodel.cn/api/paas/v4/
      api_key: os.environ/ZHIPU_API_KEY
  - model_name: house
    litellm_params:
      model: hosted_vllm/qwen3-8b
      api_base: http://127.0.0.1:8000/v1
      input_cost_per_token: 0.0000001
      output_cost_per_token: 0.0000003
    model_info:
      supports_function_calling: true
      max_input_tokens: 32768
router_settings:
  routing_strategy: cost-based-routing
  model_group_alias:
    gpt-4: gpt-4o
litellm_settings:
  drop_params: true
  cache: true
  fallbacks:
    - gpt-4o: [glm]
general_settings:
  master_key: sk-live-master
  database_url: postgresql://litellm:sk-live-four@db/litellm
"#;

const CHANNELS: &str = r#"{"success": true, "message": "", "data": [
  {"id": 3, "type": 16, "status": 1, "name": "zhipu", "weight": 0, "base_url": "", "models": "glm-5.3,gpt-4o",
   "group": "default", "model_mapping": "{\"gpt-4o\": \"glm-5.3\"}", "priority": 5, "config": "", "key": "0a1b.live-three\nsk-live-two"},
  {"id": 2, "type": 1, "status": 1, "name": "openai", "weight": 0, "base_url": null, "models": "gpt-4o,gpt-4o-mini",
   "group": "default", "model_mapping": null, "priority": 0, "config": "", "key": "sk-live-one"},
  {"id": 1, "type": 14, "status": 1, "name": "claude", "models": "claude-3-5-sonnet", "group": "default", "key": "sk-live-four"}]}"#;

/// The program in `folder`, with these variables and no others that hold keys.
fn faregate(arguments: &[&str], folder: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn without_secrets(text: &str) {
    assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "{text}");
}

/// Writes `text` as `name`, takes it over, and checks what came of it.
fn taken_over(option: &str, name: &str, text: &str, variables: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    let init = faregate(&["init", option, name], folder.path(), variables);
    assert_eq!(init.status.code(), Some(0), "{}", said(&init));
    let check = faregate(&["check", "faregate.toml", "--resolve"], folder.path(), variables);
    assert_eq!(check.status.code(), Some(0), "{}", said(&check));
    let said = said(&init) + &said(&check);
    without_secrets(&said);
    for file in ["faregate.toml", "policy.toml"] {
        without_secrets(&fs::read_to_string(folder.path().join(file)).unwrap());
    }
    (folder, said)
}

#[tokio::test]
async fn a_litellm_configuration_becomes_one_that_serves() {
    let zhipu = [("ZHIPU_API_KEY", "k")];
    let (folder, said) = taken_over("--from-litellm", "config.yaml", LITELLM, &zhipu);
    for word in
        ["azure/gpt-4o-eu", "litellm_settings.cache", "database_url", "wrote keys/ (2 keys", "serve -c faregate.toml"]
    {
        assert!(said.contains(word), "no {word} in\n{said}");
    }
    for word in ["openai/gpt-4o#openai", "zhipu/glm-5.3#ZHIPU_API_KEY", "vllm/qwen3-8b"] {
        assert!(said.contains(word), "no {word} in\n{said}");
    }
    assert_eq!(fs::read_to_string(folder.path().join("keys/openai")).unwrap(), "sk-live-one");

    let path = folder.path().join("faregate.toml");
    let local = fs::read_to_string(&path).unwrap().replace(":3273\"", ":0\"").replace(":3274\"", ":0\"");
    fs::write(&path, local.replace("env:ZHIPU_API_KEY", "file:keys/openai")).unwrap();
    let mut daemon = Daemon::start(&["serve", "-c", "faregate.toml"], folder.path());
    let data = daemon.address("data plane listening").parse().unwrap();
    let mut models = request("GET", "/v1/models", "");
    assert_eq!(send(data, models.clone()).await.unwrap().0, 401, "the master key became a tenant's");
    models.headers_mut().insert("authorization", "Bearer sk-live-master".parse().unwrap());
    let (status, body) = send(data, models).await.unwrap();
    assert_eq!(status, 200, "{body}");
    for name in ["gpt-4o", "\"gpt-4\"", "glm", "house"] {
        assert!(body.contains(name), "no {name} in {body}");
    }
}

#[tokio::test]
async fn channels_of_one_api_become_a_configuration_that_serves() {
    let (folder, said) = taken_over("--from-one-api", "channels.json", CHANNELS, &[]);
    for word in ["channel 1 (claude)", "wrote keys/ (3 keys", "zhipu/glm-5.3#zhipu-2"] {
        assert!(said.contains(word), "no {word} in\n{said}");
    }
    let path = folder.path().join("faregate.toml");
    let local = fs::read_to_string(&path).unwrap().replace(":3273\"", ":0\"").replace(":3274\"", ":0\"");
    fs::write(&path, local).unwrap();
    let mut daemon = Daemon::start(&["serve", "-c", "faregate.toml"], folder.path());
    let data = daemon.address("data plane listening").parse().unwrap();
    let (status, body) = send(data, request("GET", "/v1/models", "")).await.unwrap();
    assert!(status == 200 && body.contains("gpt-4o-mini"), "{status} {body}");
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = taken_over("--from-one-api", "channels.json", CHANNELS, &[]);
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("keys"), mode("keys/zhipu"), mode("keys/openai")), (0o700, 0o600, 0o600));
    fs::set_permissions(folder.path().join("keys"), fs::Permissions::from_mode(0o755)).unwrap();
    let again = faregate(&["init", "--from-one-api", "channels.json", "--force"], folder.path(), &[]);
    assert!(said(&again).contains("keys was there before, and open to others than you"), "{}", said(&again));
}

#[test]
fn the_keys_that_are_set_are_enough_and_none_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = faregate(&["init"], folder.path(), &[]);
    assert_eq!(nothing.status.code(), Some(2));
    for word in ["OPENAI_API_KEY", "--from-litellm", "--from-one-api", "faregate demo"] {
        assert!(said(&nothing).contains(word), "no {word} in\n{}", said(&nothing));
    }
    let set = [("OPENAI_API_KEY", "sk-live-one"), ("DASHSCOPE_API_KEY", "sk-live-two")];
    let init = faregate(&["init"], folder.path(), &set);
    assert_eq!(init.status.code(), Some(0), "{}", said(&init));
    let text = fs::read_to_string(folder.path().join("faregate.toml")).unwrap();
    assert!(text.contains("[upstreams.dashscope]") && text.contains("builtin:migrate-from-openai"), "{text}");
    without_secrets(&(text + &said(&init)));
    assert_eq!(faregate(&["check", "faregate.toml"], folder.path(), &set).status.code(), Some(0));
}

#[test]
fn nothing_that_exists_is_lost_unless_it_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("channels.json"), CHANNELS).unwrap();
    fs::write(folder.path().join("policy.toml"), "mine").unwrap();
    let arguments = ["init", "--from-one-api", "channels.json"];

    let refused = faregate(&arguments, folder.path(), &[]);

    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("policy.toml") && said(&refused).contains("--force"), "{}", said(&refused));
    assert!(!folder.path().join("faregate.toml").exists() && !folder.path().join("keys").exists());
    assert_eq!(fs::read_to_string(folder.path().join("policy.toml")).unwrap(), "mine");
    let forced = faregate(&[&arguments[..], &["--force"]].concat(), folder.path(), &[]);
    assert_eq!(forced.status.code(), Some(0), "{}", said(&forced));
    assert!(fs::read_to_string(folder.path().join("policy.toml")).unwrap().contains("[[routes]]"));
}

#[test]
fn a_configuration_does_not_take_the_place_of_what_belongs_to_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("channels.json"), CHANNELS).unwrap();
    for name in ["policy.toml", "Policy.TOML", "keys"] {
        let refused = faregate(&["init", "--from-one-api", "channels.json", "-o", name], folder.path(), &[]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains("choose another name"), "{}", said(&refused));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was written");
    let elsewhere = faregate(&["init", "--from-one-api", "channels.json", "-o", "a/b.toml"], folder.path(), &[]);
    assert_eq!(elsewhere.status.code(), Some(0), "{}", said(&elsewhere));
    assert_eq!(faregate(&["check", "a/b.toml"], folder.path(), &[]).status.code(), Some(0));
}

#[test]
fn on_standard_output_there_are_no_keys_and_no_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.yaml"), LITELLM).unwrap();
    let init = faregate(&["init", "--from-litellm", "config.yaml", "-o", "-"], folder.path(), &[]);
    assert_eq!(init.status.code(), Some(0), "{}", said(&init));
    without_secrets(&said(&init));
    let printed = String::from_utf8(init.stdout).unwrap();
    assert!(printed.contains("env:OPENAI_API_KEY") && printed.contains("[[routes]]") && !printed.contains("file:"));
    assert!(String::from_utf8_lossy(&init.stderr).contains("FAREGATE_KEY, OPENAI_API_KEY, ZHIPU_API_KEY"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn bad_input_is_refused_with_its_place_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |option: &str, text: &[u8]| {
        fs::write(folder.path().join("in"), text).unwrap();
        let output = faregate(&["init", option, "in"], folder.path(), &[]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was written");
        said(&output)
    };
    let cases = [
        refused("--from-litellm", b"a: [unclosed"),
        refused("--from-litellm", b"model_list: [{model_name: g, litellm_params: {model: openai/m, api_key: ''}}]"),
        refused("--from-litellm", b"\xff\xfe"),
        refused("--from-litellm", &vec![b'#'; (16 << 20) + 1]),
        refused("--from-litellm", b"model_list: [{model_name: g, litellm_params: {model: azure/m}}]"),
        refused("--from-one-api", br#"[{"id": 1, "type": 4242, "models": "m", "key": "sk-live-one"}]"#),
        refused("--from-one-api", b"{}"),
    ];
    for (said, words) in cases.iter().zip([
        ["line 1", "YAML"],
        ["model_list[0].litellm_params.api_key", "empty"],
        ["in: ", "UTF-8"],
        ["larger", "16 MiB"],
        ["azure/m", "nothing in it can be called"],
        ["channel type 4242", "nothing in it can be called"],
        ["data", "missing"],
    ]) {
        assert!(words.iter().all(|word| said.contains(word)) && said.contains("hint: "), "no {words:?} in\n{said}");
        without_secrets(said);
    }
}

#[test]
fn a_built_in_policy_comes_along_to_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [("OPENAI_API_KEY", "sk-live-1"), ("ZHIPU_API_KEY", "sk-live-2")];
    let unknown = faregate(&["init", "--policy", "migrate"], folder.path(), &keys);
    assert_eq!((unknown.status.code(), fs::read_dir(folder.path()).unwrap().count()), (Some(2), 0));
    assert!(said(&unknown).contains("there are: balanced, cheapest"), "{}", said(&unknown));

    let init = faregate(&["init", "--policy", "migrate-from-openai"], folder.path(), &keys);
    assert_eq!(init.status.code(), Some(0), "{}", said(&init));
    assert!(!said(&init).contains("0 routes"), "{}", said(&init));
    let policy = fs::read_to_string(folder.path().join("policy.toml")).unwrap();
    assert_eq!(policy, include_str!("../../policies/migrate-from-openai.toml"));
    let configuration = fs::read_to_string(folder.path().join("faregate.toml")).unwrap();
    assert!(
        configuration.contains("policy = \"policy.toml\"") && !configuration.contains("dashscope"),
        "{configuration}"
    );
    let check = faregate(&["check", "faregate.toml"], folder.path(), &keys);
    assert_eq!(check.status.code(), Some(0), "{}", said(&check));
}
