// The official OpenAI client for Node against every provider of the catalogue, each as strict as the real one. Started by
// tests/providers, which says in the environment where the daemon is, which models there are, what each can do, and what
// they say.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const said = JSON.parse(process.env.FAREGATE_SAID);
const models = JSON.parse(process.env.FAREGATE_MODELS);
const baseURL = `${process.env.FAREGATE_BASE_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: "sk-of-the-client", maxRetries: 0, timeout: 30_000 });
const hello = [
  { role: "developer", content: "Be brief." },
  { role: "user", content: "Say hello to the world." },
];

function tool(name, field) {
  const properties = { [field]: { type: "string" } };
  const parameters = { type: "object", properties, required: [field], additionalProperties: false };
  return { type: "function", function: { name, strict: true, parameters } };
}

const tools = [tool("weather", "city"), tool("clock", "zone")];

function areTheCalls(message, name) {
  const calls = message.tool_calls.map((call) => [call.function.name, call.function.arguments]);
  assert.deepEqual(calls, said.calls, name);
  assert.equal(new Set(message.tool_calls.map((call) => call.id)).size, calls.length, name);
}

async function each(capability, check) {
  for (const { name } of models.filter((model) => !capability || model.can.includes(capability))) {
    await check(name);
  }
}

test("chats", () =>
  each(null, async (model) => {
    const answer = await client.chat.completions.create({ model, messages: hello, max_completion_tokens: 2000 });
    assert.equal(answer.choices[0].message.content, said.text, model);
  }));

test("streams, put together by the SDK", () =>
  each(null, async (model) => {
    const stream = client.chat.completions.stream({ model, messages: hello });
    const message = await stream.finalMessage();
    assert.equal(message.content, said.text, model);
  }));

test("tools", () =>
  each("tools", async (model) => {
    const answer = await client.chat.completions.create({ model, messages: hello, tools, tool_choice: "required" });
    areTheCalls(answer.choices[0].message, model);
  }));

test("streamed tools, put together by the SDK", () =>
  each("tools", async (model) => {
    const stream = client.chat.completions.stream({ model, messages: hello, tools });
    areTheCalls(await stream.finalMessage(), model);
  }));
