//! Providers as LiteLLM calls them, and what they are here. A table, and nothing else.

/// What a provider of LiteLLM is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A provider of the catalogue, at one of its hosts, with the variables that LiteLLM takes its key from.
    Listed(&'static str, &'static str, &'static [&'static str]),
    /// A server of one's own, which needs no key, with the variables that LiteLLM takes one from if it is set.
    SelfHosted(&'static str, &'static [&'static str]),
    /// Somebody else who speaks the OpenAI API: address (`""`: only the configuration knows it) and variables.
    Compatible(&'static str, &'static [&'static str]),
    /// Not called by this version: why, and what to do.
    Foreign(&'static str),
}

const VERTEX: &str = "Vertex AI wants tokens that expire; use Gemini's own API (`provider = \"gemini\"`), or keep it behind the old proxy";
const AZURE: &str =
    "Azure's wire format is not spoken; an upstream with base_url = \"https://NAME.openai.azure.com/openai/v1\" may do";
const AWS: &str =
    "AWS's signatures are not made; keep it behind the old proxy, as an upstream with that one's base_url";
const ANTHROPIC: &str = "Anthropic's wire format is not spoken; its models can be had from OpenRouter, or from the old proxy as an upstream";
const OTHER: &str =
    "its wire format is not spoken; keep it behind the old proxy, as an upstream with that one's base_url";

const TABLE: &[(&str, Known)] = &[
    ("openai", Known::Listed("openai", "", &["OPENAI_API_KEY"])),
    ("text-completion-openai", Known::Listed("openai", "", &["OPENAI_API_KEY"])),
    ("zai", Known::Listed("zhipu", "intl", &["ZAI_API_KEY"])),
    ("zhipuai", Known::Listed("zhipu", "", &["ZHIPUAI_API_KEY", "ZHIPU_API_KEY"])),
    ("zhipu", Known::Listed("zhipu", "", &["ZHIPU_API_KEY", "ZHIPUAI_API_KEY"])),
    ("bigmodel", Known::Listed("zhipu", "", &["BIGMODEL_API_KEY", "ZHIPUAI_API_KEY"])),
    ("dashscope", Known::Listed("dashscope", "intl", &["DASHSCOPE_API_KEY"])),
    ("volcengine", Known::Listed("volcengine", "", &["VOLCENGINE_API_KEY", "ARK_API_KEY"])),
    ("moonshot", Known::Listed("moonshot", "intl", &["MOONSHOT_API_KEY"])),
    ("minimax", Known::Listed("minimax", "intl", &["MINIMAX_API_KEY"])),
    ("deepseek", Known::Listed("deepseek", "", &["DEEPSEEK_API_KEY"])),
    ("groq", Known::Listed("groq", "", &["GROQ_API_KEY"])),
    ("mistral", Known::Listed("mistral", "", &["MISTRAL_API_KEY"])),
    ("xai", Known::Listed("xai", "", &["XAI_API_KEY"])),
    ("together_ai", Known::Listed("together", "", &["TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY"])),
    (
        "fireworks_ai",
        Known::Listed("fireworks", "", &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY"]),
    ),
    ("cerebras", Known::Listed("cerebras", "", &["CEREBRAS_API_KEY"])),
    ("gemini", Known::Listed("gemini", "", &["GEMINI_API_KEY", "GOOGLE_API_KEY"])),
    ("openrouter", Known::Listed("openrouter", "", &["OPENROUTER_API_KEY", "OR_API_KEY"])),
    ("siliconflow", Known::Listed("siliconflow", "", &["SILICONFLOW_API_KEY"])),
    ("ollama", Known::SelfHosted("ollama", &["OLLAMA_API_KEY"])),
    ("ollama_chat", Known::SelfHosted("ollama", &["OLLAMA_API_KEY"])),
    ("hosted_vllm", Known::SelfHosted("vllm", &["HOSTED_VLLM_API_KEY"])),
    ("vllm", Known::SelfHosted("vllm", &["HOSTED_VLLM_API_KEY"])),
    ("llamafile", Known::SelfHosted("llamacpp", &["LLAMAFILE_API_KEY"])),
    ("perplexity", Known::Compatible("https://api.perplexity.ai", &["PERPLEXITYAI_API_KEY"])),
    ("deepinfra", Known::Compatible("https://api.deepinfra.com/v1/openai", &["DEEPINFRA_API_KEY"])),
    ("nvidia_nim", Known::Compatible("https://integrate.api.nvidia.com/v1", &["NVIDIA_NIM_API_KEY"])),
    ("sambanova", Known::Compatible("https://api.sambanova.ai/v1", &["SAMBANOVA_API_KEY"])),
    ("novita", Known::Compatible("https://api.novita.ai/v3/openai", &["NOVITA_API_KEY"])),
    ("hyperbolic", Known::Compatible("https://api.hyperbolic.xyz/v1", &["HYPERBOLIC_API_KEY"])),
    ("custom_openai", Known::Compatible("", &["OPENAI_API_KEY"])),
    ("openai_like", Known::Compatible("", &["OPENAI_LIKE_API_KEY"])),
    ("litellm_proxy", Known::Compatible("", &["LITELLM_PROXY_API_KEY"])),
    ("lm_studio", Known::Compatible("", &["LM_STUDIO_API_KEY"])),
    ("xinference", Known::Compatible("", &["XINFERENCE_API_KEY"])),
    ("azure", Known::Foreign(AZURE)),
    ("azure_ai", Known::Foreign(AZURE)),
    ("azure_text", Known::Foreign(AZURE)),
    ("bedrock", Known::Foreign(AWS)),
    ("bedrock_converse", Known::Foreign(AWS)),
    ("sagemaker", Known::Foreign(AWS)),
    ("sagemaker_chat", Known::Foreign(AWS)),
    ("anthropic", Known::Foreign(ANTHROPIC)),
    ("vertex_ai", Known::Foreign(VERTEX)),
    ("vertex_ai_beta", Known::Foreign(VERTEX)),
    ("cohere", Known::Foreign(OTHER)),
    ("cohere_chat", Known::Foreign(OTHER)),
    ("databricks", Known::Foreign(OTHER)),
    ("watsonx", Known::Foreign(OTHER)),
    ("replicate", Known::Foreign(OTHER)),
    ("huggingface", Known::Foreign(OTHER)),
    ("snowflake", Known::Foreign(OTHER)),
    ("github_copilot", Known::Foreign(OTHER)),
    ("jina_ai", Known::Foreign(OTHER)),
    ("voyage", Known::Foreign(OTHER)),
];

impl Known {
    /// Where its key is looked for if none is written.
    pub(super) const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Listed(_, _, variables) | Self::SelfHosted(_, variables) | Self::Compatible(_, variables) => {
                variables
            }
            Self::Foreign(_) => &[],
        }
    }
}

/// What LiteLLM's provider `name` is here.
pub(super) fn find(name: &str) -> Option<Known> {
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, known)| *known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::places::Catalogue;
    use crate::policy::base_url;

    #[test]
    fn every_provider_of_the_table_is_in_the_catalogue() {
        let catalogue = Catalogue::new();
        for (name, known) in TABLE {
            match known {
                Known::Listed(provider, region, variables) => {
                    let offer = catalogue.offer(provider).unwrap_or_else(|| panic!("{name}: {provider}"));
                    assert!(region.is_empty() || offer.host(Some(region)).is_some(), "{name}: {region}");
                    assert!(!variables.is_empty(), "{name}");
                }
                Known::SelfHosted(provider, _) => {
                    assert!(catalogue.offer(provider).unwrap().key_variables.is_empty(), "{name}");
                }
                Known::Compatible(url, _) => assert!(url.is_empty() || base_url(url).is_ok(), "{name}: {url}"),
                Known::Foreign(why) => assert!(!why.is_empty(), "{name}"),
            }
            assert_eq!(find(name), Some(*known), "{name} is there twice");
        }
    }
}
