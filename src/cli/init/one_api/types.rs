//! Channel types: integers whose meaning is a fact of the program that exported them. one-api and new-api agree on the
//! first, and part ways after 25.

/// Which program exported the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    OneApi,
    NewApi,
}

impl Flavour {
    /// How many times in a row a name is looked up in a channel's mapping.
    pub(super) const fn steps(self) -> usize {
        match self {
            Self::OneApi => 1,
            Self::NewApi => usize::MAX,
        }
    }
}

/// What a channel type is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A provider of the catalogue, with the address that the exporting program calls it at and what follows a
    /// channel's own address.
    Listed { provider: &'static str, base: &'static str, path: &'static str },
    /// Somebody else who speaks the OpenAI API, likewise; `""` if only the channel knows where.
    Compatible { base: &'static str, path: &'static str },
    /// Not called by this version: who it is, and what to do.
    Foreign(&'static str),
}

const fn listed(provider: &'static str, base: &'static str, path: &'static str) -> Kind {
    Kind::Listed { provider, base, path }
}

const fn compatible(base: &'static str, path: &'static str) -> Kind {
    Kind::Compatible { base, path }
}

const AZURE: Kind = Kind::Foreign(
    "Azure's wire format is not spoken; an upstream with base_url = \"https://NAME.openai.azure.com/openai/v1\" may do",
);
const ANTHROPIC: Kind = Kind::Foreign("Anthropic's wire format is not spoken; its models can be had from OpenRouter");
const BAIDU: Kind = Kind::Foreign(
    "it has a pair of keys for Baidu's old interface; make an API key for Qianfan v2, and add an upstream with provider = \"qianfan\"",
);
const XUNFEI: Kind = Kind::Foreign(
    "it has three keys for Spark's WebSocket; take the APIPassword of the HTTP interface, and add an upstream with provider = \"spark\"",
);
const TENCENT: Kind = Kind::Foreign(
    "it has a pair of keys for signatures; make an API key for Hunyuan, and add an upstream with provider = \"hunyuan\"",
);
const AWS: Kind = Kind::Foreign("AWS's signatures are not made; keep it behind the old proxy, as an upstream");
const VERTEX: Kind = Kind::Foreign("Vertex AI wants tokens that expire; add an upstream with provider = \"gemini\"");
const OTHER: Kind = Kind::Foreign("its wire format is not spoken; keep it behind the old proxy, as an upstream");
const MEDIA: Kind = Kind::Foreign("images, audio and video are not served");

/// Types that mean the same in both.
const BOTH: [(i64, Kind); 24] = [
    (1, listed("openai", "https://api.openai.com", "/v1")),
    (3, AZURE),
    (6, compatible("https://api.openaimax.com", "/v1")),
    (7, compatible("https://api.ohmygpt.com", "/v1")),
    (8, compatible("", "/v1")),
    (9, compatible("https://api.caipacity.com", "/v1")),
    (10, compatible("https://api.aiproxy.io", "/v1")),
    (11, OTHER),
    (12, compatible("https://api.api2gpt.com", "/v1")),
    (13, compatible("https://api.aigc2d.com", "/v1")),
    (14, ANTHROPIC),
    (15, BAIDU),
    (16, listed("zhipu", "https://open.bigmodel.cn", "/api/paas/v4")),
    (17, listed("dashscope", "https://dashscope.aliyuncs.com", "/compatible-mode/v1")),
    (18, XUNFEI),
    (19, listed("zhinao", "https://api.360.cn", "/v1")),
    (20, listed("openrouter", "https://openrouter.ai/api", "/v1")),
    (21, OTHER),
    (22, compatible("https://fastgpt.run/api/openapi", "/v1")),
    (23, TENCENT),
    (24, listed("gemini", "https://generativelanguage.googleapis.com", "/v1beta/openai")),
    (25, listed("moonshot", "https://api.moonshot.cn", "/v1")),
    (31, listed("lingyiwanwu", "https://api.lingyiwanwu.com", "/v1")),
    (33, AWS),
];

const ONE_API: [(i64, Kind); 27] = [
    (2, compatible("https://oa.api2d.net", "/v1")),
    (4, compatible("https://api.closeai-proxy.xyz", "/v1")),
    (5, compatible("https://api.openai-sb.com", "/v1")),
    (26, listed("baichuan", "https://api.baichuan-ai.com", "/v1")),
    (27, listed("minimax", "https://api.minimax.chat", "/v1")),
    (28, listed("mistral", "https://api.mistral.ai", "/v1")),
    (29, listed("groq", "https://api.groq.com/openai", "/v1")),
    (30, listed("ollama", "http://localhost:11434", "/v1")),
    (32, listed("stepfun", "https://api.stepfun.com", "/v1")),
    (34, OTHER),
    (35, OTHER),
    (36, listed("deepseek", "https://api.deepseek.com", "/v1")),
    (37, OTHER),
    (38, OTHER),
    (39, listed("together", "https://api.together.xyz", "/v1")),
    (40, listed("volcengine", "https://ark.cn-beijing.volces.com", "/api/v3")),
    (41, compatible("https://api.novita.ai/v3/openai", "")),
    (42, VERTEX),
    (43, OTHER),
    (44, listed("siliconflow", "https://api.siliconflow.cn", "/v1")),
    (45, listed("xai", "https://api.x.ai", "/v1")),
    (46, OTHER),
    (47, listed("qianfan", "https://qianfan.baidubce.com", "/v2")),
    (48, listed("spark", "https://spark-api-open.xf-yun.com", "/v1")),
    (49, listed("dashscope", "https://dashscope.aliyuncs.com", "/compatible-mode/v1")),
    (50, compatible("", "")),
    (51, listed("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "")),
];

const NEW_API: [(i64, Kind); 30] = [
    (2, MEDIA),
    (4, listed("ollama", "http://localhost:11434", "/v1")),
    (5, MEDIA),
    (26, listed("zhipu", "https://open.bigmodel.cn", "/api/paas/v4")),
    (27, compatible("https://api.perplexity.ai", "")),
    (34, OTHER),
    (35, listed("minimax", "https://api.minimax.chat", "/v1")),
    (36, MEDIA),
    (37, OTHER),
    (38, OTHER),
    (39, OTHER),
    (40, listed("siliconflow", "https://api.siliconflow.cn", "/v1")),
    (41, VERTEX),
    (42, listed("mistral", "https://api.mistral.ai", "/v1")),
    (43, listed("deepseek", "https://api.deepseek.com", "/v1")),
    (44, OTHER),
    (45, listed("volcengine", "https://ark.cn-beijing.volces.com", "/api/v3")),
    (46, listed("qianfan", "https://qianfan.baidubce.com", "/v2")),
    (47, compatible("", "/v1")),
    (48, listed("xai", "https://api.x.ai", "/v1")),
    (49, OTHER),
    (50, MEDIA),
    (51, MEDIA),
    (52, MEDIA),
    (53, compatible("https://llm.submodel.ai", "/v1")),
    (54, MEDIA),
    (55, MEDIA),
    (56, MEDIA),
    (57, OTHER),
    (58, MEDIA),
];

/// What the type `number` is.
pub(super) fn find(number: i64, flavour: Flavour) -> Option<Kind> {
    let own: &[(i64, Kind)] = match flavour {
        Flavour::OneApi => &ONE_API,
        Flavour::NewApi => &NEW_API,
    };
    BOTH.iter().chain(own).find(|(known, _)| *known == number).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::places::Catalogue;
    use crate::policy::base_url;

    #[test]
    fn every_type_is_there_once_and_leads_to_a_provider_or_an_address() {
        let catalogue = Catalogue::new();
        for (flavour, table) in [(Flavour::OneApi, &ONE_API[..]), (Flavour::NewApi, &NEW_API[..])] {
            for (number, kind) in BOTH.iter().chain(table) {
                assert_eq!(find(*number, flavour), Some(*kind), "{number} is there twice");
                match kind {
                    Kind::Listed { provider, base, path } => {
                        assert!(catalogue.offer(provider).is_some(), "{number}: {provider}");
                        assert!(base_url(&format!("{base}{path}")).is_ok(), "{number}: {base}");
                    }
                    Kind::Compatible { base, path } => {
                        assert!(base.is_empty() || base_url(&format!("{base}{path}")).is_ok(), "{number}: {base}");
                    }
                    Kind::Foreign(why) => assert!(!why.is_empty(), "{number}"),
                }
            }
        }
        assert_eq!(find(26, Flavour::OneApi), Some(listed("baichuan", "https://api.baichuan-ai.com", "/v1")));
        assert_eq!(find(9_999, Flavour::NewApi), None);
    }
}
