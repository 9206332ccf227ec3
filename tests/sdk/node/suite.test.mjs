// The official OpenAI client for Node against the real daemon: what an application sees when it changes its base URL.
// Started by tests/sdk.rs, which says in the environment where the daemon is.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const base = process.env.FAREGATE_BASE_URL;
const admin = process.env.FAREGATE_ADMIN_URL;
const hello = [{ role: "user", content: "Say hello to the world." }];
const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

function client(apiKey = "team-key", options = {}) {
  return new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0, timeout: 20_000, ...options });
}

function chat(options = {}, from = client()) {
  return from.chat.completions.create({ model: "gpt-4o-mini", messages: hello, ...options });
}

/** The sum over the series of `name` that carry these labels. */
async function metric(name, labels = {}) {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return text
    .split("\n")
    .map((line) => line.match(/^(\w+)(?:\{(.*)\})? (\S+)$/))
    .filter((sample) => sample?.[1] === name)
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample[2]?.includes(`${label}="${value}"`)))
    .reduce((sum, sample) => sum + Number(sample[3]), 0);
}

/** What settles after the answer has no moment of its own, so it is polled, briefly and with an end. */
async function eventually(holds) {
  const end = Date.now() + 10_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, "it never came true");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a plain chat has text and usage", async () => {
  const answer = await chat();
  assert.ok(answer.choices[0].message.content);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a reply says who answered and what it cost", async () => {
  const { response } = await chat().withResponse();
  const upstream = response.headers.get("x-faregate-upstream");
  assert.ok(["north", "south"].includes(upstream));
  assert.equal(response.headers.get("x-faregate-endpoint"), `${upstream}/small#main`);
  assert.ok(Number(response.headers.get("x-faregate-cost-usd")) > 0);
});

test("a stream without usage has no usage chunk", async () => {
  let text = "";
  for await (const chunk of await chat({ stream: true })) {
    assert.equal(chunk.choices.length, 1);
    assert.ok(!chunk.usage);
    text += chunk.choices[0].delta.content ?? "";
  }
  assert.ok(text);
});

test("a stream with usage ends in it", async () => {
  let last;
  for await (const chunk of await chat({ stream: true, stream_options: { include_usage: true } })) last = chunk;
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.completion_tokens > 0);
});

test("a required tool is called, at once and over a stream", async () => {
  const tools = { tools: [weather], tool_choice: "required" };
  const call = (await chat(tools)).choices[0].message.tool_calls[0];
  assert.equal(call.function.name, "weather");
  assert.equal(typeof JSON.parse(call.function.arguments), "object");

  const final = await client()
    .chat.completions.stream({ model: "gpt-4o-mini", messages: hello, ...tools })
    .finalChatCompletion();
  assert.equal(final.choices[0].message.tool_calls[0].function.name, "weather");
  assert.equal(typeof JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), "object");
});

test("embeddings come one per input", async () => {
  // The client asks for base64 by itself and decodes it: whatever comes must survive the way through.
  const answer = await client().embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] });
  assert.deepEqual(answer.data.map((item) => item.index), [0, 1]);
  assert.ok(answer.data.every((item) => item.embedding.every((number) => typeof number === "number")));
});

test("models are what this tenant may call", async () => {
  const names = [];
  for await (const model of client().models.list()) names.push(model.id);
  assert.ok(names.includes("gpt-4o-mini"));
  assert.equal((await client().models.retrieve("gpt-4o-mini")).id, "gpt-4o-mini");
  const guests = [];
  for await (const model of client("guest-key").models.list()) guests.push(model.id);
  assert.ok(guests.includes("text-embedding-3-small") && !guests.includes("gpt-4o-mini"));
});

test("a failing provider is not noticed", async () => {
  const { data, response } = await chat({ model: "survivor" }).withResponse();
  assert.equal(response.headers.get("x-faregate-upstream"), "south");
  assert.ok(data.choices[0].message.content);
});

const failures = [
  ["a model that is no text is a bad request", { model: 123 }, "team-key", OpenAI.BadRequestError, 400, "invalid_request"],
  ["the upstream's own bad request survives", { model: "bad-request" }, "team-key", OpenAI.BadRequestError, 400, "fixture_400"],
  ["a wrong key is an authentication error", {}, "not-a-key", OpenAI.AuthenticationError, 401],
  ["a route that the tenant may not use is denied", {}, "guest-key", OpenAI.PermissionDeniedError, 403],
  ["an unknown model is not found", { model: "gpt-99" }, "team-key", OpenAI.NotFoundError, 404, "no_route"],
  ["a throttled provider is a rate limit", { model: "throttled" }, "team-key", OpenAI.RateLimitError, 429],
  ["a broken provider is a server error", { model: "broken" }, "team-key", OpenAI.InternalServerError],
  ["a provider's complaint about our key is not the client's fault", { model: "revoked" }, "team-key", OpenAI.InternalServerError],
];

for (const [rule, options, key, kind, status, code] of failures) {
  test(rule, async () => {
    const error = await chat(options, client(key)).then(() => assert.fail("it was answered"), (error) => error);
    assert.ok(error instanceof kind, String(error));
    if (status) assert.equal(error.status, status);
    if (code) assert.equal(error.code, code);
    assert.ok(error.error.message, "the error has OpenAI's shape");
    assert.ok(!JSON.stringify(error.error).includes("sk-fixture"), "providers echo keys; faregate does not");
  });
}

test("what is not served says so", async () => {
  await assert.rejects(client().files.list(), { status: 404, code: "unsupported_endpoint" });
  const wrong = client("team-key", { baseURL: `${base}/v2` });
  await assert.rejects(wrong.models.list(), { status: 404, code: "unsupported_endpoint" });
});

test("the SDK does not repeat what faregate gave up", async () => {
  const asked = () => metric("faregate_requests_total", { tenant: "team", outcome: "upstream_error" });
  const before = await asked();
  const stubborn = client("team-key", { maxRetries: 2 });
  await assert.rejects(chat({ model: "broken-too" }, stubborn), OpenAI.InternalServerError);
  await eventually(async () => (await asked()) > before);
  assert.equal((await asked()) - before, 1);
});

test("a client that leaves is counted and its upstream call ends", async () => {
  const cancelled = () => metric("faregate_requests_total", { outcome: "cancelled" });
  const before = await cancelled();
  const stream = await chat({ stream: true, max_tokens: 4000 });
  for await (const _ of stream) break;
  stream.controller.abort();
  await eventually(async () => (await cancelled()) === before + 1);
  await eventually(async () => (await metric("faregate_inflight_requests")) === 0);
  assert.equal(await metric("faregate_endpoint_inflight"), 0);
});
