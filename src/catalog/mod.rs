//! The embedded catalogue: which providers exist, where their hosts are, what their models cost and can do.
//!
//! This file holds texts only. They are read by the same reader as a user's configuration (`policy`), in the same
//! form, so that whatever the catalogue can say a user can override field by field, and a mistake in it is reported
//! with file, line and column like any other. Prices are list prices, dated row by row, with
//! their tiers, their hours and how sure the source is of them.

/// A provider of the catalogue: its name in configurations, and its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name that `provider = "…"` uses.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
}

/// Every provider, in the order in which they are tried and listed.
pub const PROVIDERS: [Entry; 27] = [
    Entry { name: "openai", text: include_str!("providers/openai.toml") },
    Entry { name: "zhipu", text: include_str!("providers/zhipu.toml") },
    Entry { name: "dashscope", text: include_str!("providers/dashscope.toml") },
    Entry { name: "qianfan", text: include_str!("providers/qianfan.toml") },
    Entry { name: "baichuan", text: include_str!("providers/baichuan.toml") },
    Entry { name: "zhinao", text: include_str!("providers/zhinao.toml") },
    Entry { name: "deepseek", text: include_str!("providers/deepseek.toml") },
    Entry { name: "moonshot", text: include_str!("providers/moonshot.toml") },
    Entry { name: "volcengine", text: include_str!("providers/volcengine.toml") },
    Entry { name: "minimax", text: include_str!("providers/minimax.toml") },
    Entry { name: "hunyuan", text: include_str!("providers/hunyuan.toml") },
    Entry { name: "siliconflow", text: include_str!("providers/siliconflow.toml") },
    Entry { name: "stepfun", text: include_str!("providers/stepfun.toml") },
    Entry { name: "groq", text: include_str!("providers/groq.toml") },
    Entry { name: "mistral", text: include_str!("providers/mistral.toml") },
    Entry { name: "xai", text: include_str!("providers/xai.toml") },
    Entry { name: "together", text: include_str!("providers/together.toml") },
    Entry { name: "fireworks", text: include_str!("providers/fireworks.toml") },
    Entry { name: "cerebras", text: include_str!("providers/cerebras.toml") },
    Entry { name: "gemini", text: include_str!("providers/gemini.toml") },
    Entry { name: "openrouter", text: include_str!("providers/openrouter.toml") },
    Entry { name: "sensenova", text: include_str!("providers/sensenova.toml") },
    Entry { name: "spark", text: include_str!("providers/spark.toml") },
    Entry { name: "lingyiwanwu", text: include_str!("providers/lingyiwanwu.toml") },
    Entry { name: "vllm", text: include_str!("providers/vllm.toml") },
    Entry { name: "ollama", text: include_str!("providers/ollama.toml") },
    Entry { name: "llamacpp", text: include_str!("providers/llamacpp.toml") },
];

/// What errors mean, whoever sends them.
pub const ERRORS: &str = include_str!("errors.toml");

/// Which models stand in for OpenAI's.
pub const STAND_INS: &str = include_str!("stand_ins.toml");

/// The provider called `name`.
pub fn find(name: &str) -> Option<&'static Entry> {
    PROVIDERS.iter().find(|entry| entry.name == name)
}
