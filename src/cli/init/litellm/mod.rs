//! The configuration of LiteLLM's proxy: model groups become routes, deployments endpoints, fallbacks tiers.
//!
//! What it says and faregate has no place for becomes a remark, never nothing.

mod deployments;
mod facts;
mod others;
mod providers;
mod routes;
mod settings;
mod variables;

use super::draft::{Draft, Tenant};
use super::fault::Fault;
use super::places::Catalogue;
use super::said::Said;
use super::{retired, route_names, tree};

use self::deployments::Reading;
use self::variables::Variables;

/// Sections of settings. What stands in several counts where it stands first, as in LiteLLM.
const SECTIONS: [&str; 3] = ["router_settings", "litellm_settings", "general_settings"];

/// Where LiteLLM finds the master key if none is written.
const MASTER_KEY: &str = "LITELLM_MASTER_KEY";

/// The draft of a configuration.
pub(super) fn draft(text: &str, catalogue: &Catalogue, env: &dyn Fn(&str) -> Option<String>) -> Result<Draft, Fault> {
    let tree = tree::yaml(text)?;
    let whole = Said::whole(&tree);
    let list = whole.need("model_list")?;
    let sections = SECTIONS.iter().filter_map(|name| whole.field(name)).collect::<Vec<_>>();
    let variables = Variables::new(whole.field("environment_variables"), env);
    let reading = Reading { catalogue, variables };
    let mut draft = Draft::default();
    let declared = reading.all(&list, &mut draft)?;
    draft.deployments = declared.iter().map(|one| std::rc::Rc::clone(&one.deployment)).collect();
    routes::remark_differences(&mut draft);
    routes::routes(&declared, &sections, &mut draft)?;
    draft.attempts = settings::attempts(&sections, &mut draft)?;
    draft.total = settings::total(&sections, &mut draft)?;
    draft.tenants.extend(master(&whole, &reading.variables)?);
    route_names::settle(&mut draft);
    retired::remarks(&mut draft, catalogue);
    settings::remarks(&whole, &sections, &mut draft);
    for place in reading.variables.unused() {
        draft.remark_on(place, "no entry refers to it, and it is not set for this program");
    }
    Ok(draft)
}

/// Who may call with the master key.
fn master(whole: &Said<'_>, variables: &Variables<'_>) -> Result<Option<Tenant>, Fault> {
    let written = whole.field("general_settings").and_then(|section| section.field("master_key"));
    let key = match written {
        Some(key) => variables.secret(&key)?,
        None if variables.find(MASTER_KEY)?.is_some() => variables.key(MASTER_KEY)?,
        None => return Ok(None),
    };
    Ok(Some(Tenant { name: "master".to_owned(), key }))
}

#[cfg(test)]
mod tests;
