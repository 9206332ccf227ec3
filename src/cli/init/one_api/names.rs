//! Public names, and the models that are meant by them. one-api looks a name up once; new-api goes on from model to
//! model, and answers with an error where that leads in a circle.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::cli::init::draft::Draft;
use crate::cli::init::fault::Fault;
use crate::cli::init::models::is_of_another_kind;
use crate::cli::init::said::Said;

use super::settings::table;
use super::types::Flavour;

/// The names that `channel` serves, with their models.
pub(super) fn names(
    channel: &Said<'_>,
    called: &str,
    flavour: Flavour,
    draft: &mut Draft,
) -> Result<Vec<(String, String)>, Fault> {
    let text = models(channel)?;
    let mapping = mapping(channel)?;
    let listed = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect::<Vec<_>>();
    if listed.is_empty() {
        draft.remark_on(called, "it lists no models, so nothing is sent to it, and it is left out");
    }
    let mut names: Vec<(String, String)> = Vec::new();
    let mut met: BTreeSet<&str> = BTreeSet::new();
    for public in listed {
        let chain = chain(public, &mapping, flavour);
        met.extend(chain.names.iter().take(flavour.steps()).copied());
        match chain.model(public) {
            Err(why) => draft.remark_on(format!("`{public}` of {called}"), why),
            Ok(_) if names.iter().any(|(known, _)| known == public) => {}
            Ok(model) => names.push((public.to_owned(), model.to_owned())),
        }
    }
    let idle = mapping.iter().filter(|(name, to)| !met.contains(name.as_str()) && !Said::whole(to).is_idle());
    for (name, _) in idle {
        let what = "`model_mapping` has it and `models` has not, so nobody could ask for it; left out";
        draft.remark_on(format!("`{name}` of {called}"), what);
    }
    Ok(names)
}

/// `models`: names with commas between them, or a list of such.
fn models(channel: &Said<'_>) -> Result<String, Fault> {
    let said = channel.need("models")?;
    if said.is_list() {
        return Ok(said.list()?.iter().map(Said::text).collect::<Result<Vec<_>, _>>()?.join(","));
    }
    Ok(said.text()?.to_owned())
}

/// The names that lead from what is asked for to what is sent, and how that ends.
struct Chain<'m> {
    names: Vec<&'m str>,
    end: Result<(), &'static str>,
}

impl<'m> Chain<'m> {
    /// The model that is asked for in place of `public`, or why none is.
    fn model(&self, public: &'m str) -> Result<&'m str, &'static str> {
        self.end?;
        fit(public, self.names.last().copied().unwrap_or(public))
    }
}

/// `model`, if it can be asked for by the name `public`.
fn fit<'m>(public: &str, model: &'m str) -> Result<&'m str, &'static str> {
    if [public, model].iter().any(|name| name.contains(|c: char| c.is_whitespace() || c == '#' || c == '*')) {
        return Err("no model can be called so, with spaces, `#` or `*`; left out");
    }
    if is_of_another_kind(model) {
        return Err("left out: only chat, completions and embeddings are served");
    }
    Ok(model)
}

fn chain<'m>(public: &'m str, mapping: &'m Map<String, Value>, flavour: Flavour) -> Chain<'m> {
    let mut names = vec![public];
    let mut name = public;
    while names.len() <= flavour.steps()
        && let Some(to) = mapping.get(name).filter(|to| !to.is_null())
    {
        let Some(to) = to.as_str().map(str::trim) else {
            return Chain { names, end: Err("its mapping is not the name of a model; left out") };
        };
        if to.is_empty() || to == name {
            break;
        }
        if names.contains(&to) {
            let end = Err("its mapping leads in a circle, which was answered with an error; left out");
            return Chain { names, end };
        }
        names.push(to);
        name = to;
    }
    Chain { names, end: Ok(()) }
}

/// `model_mapping`: a table, or the text of one.
fn mapping(channel: &Said<'_>) -> Result<Map<String, Value>, Fault> {
    let Some(said) = channel.field("model_mapping").filter(|said| !said.is_idle()) else { return Ok(Map::new()) };
    table(&said).ok_or_else(|| said.not("a table of names, as the text of a JSON object"))
}
