//! The demonstration's configuration: real files, in a private directory that goes when the demonstration does.
//!
//! They are what a user would write, so that what is shown is what the daemon does with files, reloads included.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::demo::market::Market;
use crate::cli::demo::traffic::ASKED_MODEL;
use crate::simulated::parse_duration;

/// A directory with `faregate.toml` and `policy.toml`.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    /// A directory of this process's own. One left by an earlier process of the same number is not reused.
    pub(super) fn create() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("faregate-demo-{}", std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        create_private(&folder)?;
        Ok(Self { folder })
    }

    /// Where the configuration is.
    pub(super) fn configuration(&self) -> PathBuf {
        self.folder.join("faregate.toml")
    }

    /// Writes both files, each replaced whole, so that a watching daemon never reads half of one.
    pub(super) fn write(&self, configuration: &str, policy: &str) -> io::Result<()> {
        self.replace("policy.toml", policy)?;
        self.replace("faregate.toml", configuration)
    }

    fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        let draft = self.folder.join(format!(".{name}.new"));
        fs::write(&draft, text)?;
        fs::rename(draft, self.folder.join(name))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "the demonstration's files are left behind");
        }
    }
}

#[cfg(unix)]
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_private(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)
}

/// `faregate.toml` for the market as it is `elapsed` after the start; `addresses` are the providers', in order.
pub(super) fn configuration(market: &Market, addresses: &[SocketAddr], elapsed: Duration) -> String {
    let mut text = String::from(
        "policy = \"policy.toml\"\n\n[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\naccess_log = \"off\"\n",
    );
    for (offer, address) in market.offers.iter().zip(addresses) {
        let (name, price, quota) = (&offer.profile.name, offer.price(elapsed), offer.profile.quota);
        let limits = [("rpm", quota.rpm), ("tpm", quota.tpm), ("concurrency", quota.concurrency)];
        let limits: Vec<String> =
            limits.iter().filter_map(|(name, limit)| limit.map(|limit| format!("{name} = {limit}"))).collect();
        let upstream = [
            format!("\n[upstreams.{name}]"),
            "dialect = \"openai\"".to_owned(),
            format!("base_url = \"http://{address}/v1\""),
            "keys = []".to_owned(),
            format!("regions = [\"{}\"]", offer.region),
            format!("limits = {{ {} }}", limits.join(", ")),
            format!("[upstreams.{name}.models.\"{}\"]", offer.model()),
            format!(
                "price = {{ input = \"{} USD\", output = \"{} USD\" }}",
                price.rates.input.as_dollars().0,
                price.rates.output.as_dollars().0
            ),
        ];
        let lines = upstream.iter().filter(|line| *line != "limits = {  }");
        for line in lines {
            // Writing to a string cannot fail.
            let written = writeln!(text, "{line}");
            debug_assert!(written.is_ok());
        }
    }
    text
}

/// The objective of the demonstration: a second is worth a fifth of a thousandth of a dollar, and first tokens are
/// wanted within a second.
pub(super) const OBJECTIVE: &str = "[objective]
value_of_second = \"0.0002 USD\"
target_first_token = \"1s\"
late_cost = \"0.001 USD\"
failure_cost = \"0.01 USD\"
spread = \"1%\"
exploration = \"1%\"
";

/// When the policy calls a first token late; the demonstration's own objective if it does not say.
pub(super) fn target(policy: &str) -> Duration {
    let table: Option<toml::Table> = toml::from_str(policy).ok();
    let said = table.as_ref().and_then(|table| table.get("objective")?.get("target_first_token")?.as_str());
    said.and_then(|text| parse_duration(text).ok()).unwrap_or(Duration::from_secs(1))
}

/// `policy` with its routes replaced by one over all providers of the market: what a policy wants is kept, but the
/// endpoints that it names do not exist here.
pub(super) fn policy(policy: &str, market: &Market) -> Result<String, toml::de::Error> {
    let mut table: toml::Table = toml::from_str(policy)?;
    let cluster: Vec<toml::Value> =
        market.offers.iter().map(|offer| format!("{}/{}", offer.profile.name, offer.model()).into()).collect();
    let mut route = toml::Table::new();
    route.insert("name".to_owned(), "chat".into());
    route.insert("models".to_owned(), vec![toml::Value::from(ASKED_MODEL)].into());
    route.insert("cluster".to_owned(), cluster.into());
    table.insert("routes".to_owned(), vec![toml::Value::from(route)].into());
    Ok(table.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);

    fn configuration_at(elapsed: Duration) -> toml::Table {
        let market = Market::over(LENGTH);
        let addresses: Vec<SocketAddr> = (1..=5).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        toml::from_str(&configuration(&market, &addresses, elapsed)).unwrap()
    }

    #[test]
    fn each_provider_is_an_upstream_with_its_price_its_limits_and_its_address() {
        let upstreams = configuration_at(Duration::ZERO)["upstreams"].clone();
        assert_eq!(upstreams["comet"]["base_url"].as_str(), Some("http://127.0.0.1:1/v1"));
        assert_eq!(upstreams["lantern"]["limits"]["rpm"].as_integer(), Some(90));
        assert_eq!(upstreams["metro"]["models"]["metro-large"]["price"]["input"].as_str(), Some("0.6 USD"));
        assert!(upstreams["comet"].get("limits").is_none(), "no empty table");
    }

    #[test]
    fn after_the_price_cut_the_file_says_so_and_nothing_else_changes() {
        let (mut before, after) = (configuration_at(Duration::ZERO), configuration_at(LENGTH));
        let price = &mut before["upstreams"]["metro"]["models"]["metro-large"]["price"];
        *price = toml::toml! { input = "0.2 USD"
        output = "0.8 USD" }
        .into();
        assert_eq!(before, after);
    }

    #[test]
    fn a_policy_keeps_its_objective_and_gets_the_markets_route() {
        let given = "[objective]\nvalue_of_second = \"1 USD\"\n[[routes]]\nname = \"x\"\nmodels = [\"y\"]\n";
        let table: toml::Table = toml::from_str(&policy(given, &Market::over(LENGTH)).unwrap()).unwrap();
        assert_eq!(table["objective"]["value_of_second"].as_str(), Some("1 USD"));
        let routes = table["routes"].as_array().unwrap();
        assert_eq!((routes.len(), routes[0]["models"][0].as_str()), (1, Some("gpt-4o")));
        assert_eq!(routes[0]["cluster"].as_array().unwrap().len(), 5);
    }

    #[test]
    fn a_policy_says_when_a_first_token_is_late() {
        assert_eq!(target(OBJECTIVE), Duration::from_secs(1));
        assert_eq!(target("[objective]\ntarget_first_token = \"800ms\"\n"), Duration::from_millis(800));
    }

    #[test]
    fn the_files_go_when_the_demonstration_does() {
        let files = Files { folder: tempfile::tempdir().unwrap().keep() };
        files.write("a = 1", "b = 2").unwrap();
        assert_eq!(fs::read_to_string(files.configuration()).unwrap(), "a = 1");
        let folder = files.folder.clone();
        drop(files);
        assert!(!folder.exists());
    }
}
