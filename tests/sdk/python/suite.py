"""The official OpenAI client for Python against the real daemon: what an application sees when it changes its base URL.

Started by tests/sdk.rs, which says in the environment where the daemon is. Needs `openai`, and nothing else.
"""

import asyncio
import json
import os
import re
import time
import unittest
import urllib.request

import openai

BASE = os.environ["FAREGATE_BASE_URL"]
ADMIN = os.environ["FAREGATE_ADMIN_URL"]
HELLO = [{"role": "user", "content": "Say hello to the world."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def client(key="team-key", **options):
    options.setdefault("max_retries", 0)
    return openai.OpenAI(base_url=f"{BASE}/v1", api_key=key, timeout=20, **options)


def metric(name, **labels):
    """The sum over the series of `name` that carry these labels."""
    text = urllib.request.urlopen(f"{ADMIN}/metrics", timeout=5).read().decode()
    total = 0.0
    for line in text.splitlines():
        match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if match:
            found = dict(re.findall(r'(\w+)="([^"]*)"', match.group(1) or ""))
            if all(found.get(label) == value for label, value in labels.items()):
                total += float(match.group(2))
    return total


def eventually(holds, seconds=10):
    """What settles after the answer has no moment of its own, so it is polled, briefly and with an end."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Answers(unittest.TestCase):
    def test_a_plain_chat_has_text_and_usage(self):
        answer = client().chat.completions.create(model="gpt-4o-mini", messages=HELLO)
        self.assertTrue(answer.choices[0].message.content)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertGreater(answer.usage.prompt_tokens, 0)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)

    def test_a_reply_says_who_answered_and_what_it_cost(self):
        raw = client().chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=HELLO)
        headers = raw.headers
        self.assertIn(headers["x-faregate-upstream"], ("north", "south"))
        self.assertEqual(headers["x-faregate-route"], "chat")
        self.assertEqual(headers["x-faregate-model"], "small")
        self.assertEqual(headers["x-faregate-endpoint"], f"{headers['x-faregate-upstream']}/small#main")
        self.assertEqual(headers["x-faregate-attempts"], "1")
        self.assertGreater(float(headers["x-faregate-cost-usd"]), 0)
        self.assertTrue(headers["x-faregate-request-id"])

    def test_the_second_key_of_a_tenant_works_as_well(self):
        self.assertTrue(client("team-key-2").chat.completions.create(model="gpt-4o-mini", messages=HELLO).choices)

    def test_a_stream_without_usage_has_no_usage_chunk(self):
        chunks = list(client().chat.completions.create(model="gpt-4o-mini", messages=HELLO, stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertTrue(text)
        self.assertTrue(all(chunk.choices for chunk in chunks), "the client did not ask for usage")
        self.assertTrue(all(chunk.usage is None for chunk in chunks))
        self.assertEqual(chunks[-1].choices[0].finish_reason, "stop")

    def test_a_stream_with_usage_ends_in_it(self):
        options = {"include_usage": True}
        stream = client().chat.completions.create(
            model="gpt-4o-mini", messages=HELLO, stream=True, stream_options=options
        )
        chunks = list(stream)
        self.assertEqual(chunks[-1].choices, [])
        self.assertGreater(chunks[-1].usage.completion_tokens, 0)

    def test_a_stream_is_billed_even_if_the_client_did_not_ask_for_usage(self):
        before = metric("faregate_tokens_total", kind="output", tenant="team")
        list(client().chat.completions.create(model="gpt-4o-mini", messages=HELLO, stream=True))
        self.assertTrue(eventually(lambda: metric("faregate_tokens_total", kind="output", tenant="team") > before))

    def test_a_required_tool_is_called(self):
        answer = client().chat.completions.create(
            model="gpt-4o-mini", messages=HELLO, tools=[WEATHER], tool_choice="required"
        )
        call = answer.choices[0].message.tool_calls[0]
        self.assertEqual(call.function.name, "weather")
        self.assertIsInstance(json.loads(call.function.arguments), dict)
        self.assertEqual(answer.choices[0].finish_reason, "tool_calls")

    def test_a_tool_call_arrives_whole_over_a_stream(self):
        stream = client().chat.completions.create(
            model="gpt-4o-mini", messages=HELLO, tools=[WEATHER], tool_choice="required", stream=True
        )
        name, arguments = "", ""
        for chunk in stream:
            for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
                name += call.function.name or ""
                arguments += call.function.arguments or ""
        self.assertEqual(name, "weather")
        self.assertIsInstance(json.loads(arguments), dict)

    def test_embeddings_come_one_per_input(self):
        # The client asks for base64 by itself and decodes it: whatever comes must survive the way through.
        answer = client().embeddings.create(model="text-embedding-3-small", input=["one", "two"])
        self.assertEqual([item.index for item in answer.data], [0, 1])
        self.assertTrue(all(isinstance(number, float) for item in answer.data for number in item.embedding))

    def test_models_are_what_this_tenant_may_call(self):
        names = [model.id for model in client().models.list()]
        self.assertIn("gpt-4o-mini", names)
        self.assertIn("north/small", names)
        self.assertEqual(client().models.retrieve("gpt-4o-mini").id, "gpt-4o-mini")
        guests = [model.id for model in client("guest-key").models.list()]
        self.assertIn("text-embedding-3-small", guests)
        self.assertNotIn("gpt-4o-mini", guests)
        self.assertNotIn("north/small", guests)

    def test_an_endpoint_can_be_named_directly(self):
        raw = client().chat.completions.with_raw_response.create(model="south/small", messages=HELLO)
        self.assertEqual(raw.headers["x-faregate-upstream"], "south")

    def test_a_failing_provider_is_not_noticed(self):
        raw = client().chat.completions.with_raw_response.create(model="survivor", messages=HELLO)
        self.assertEqual(raw.headers["x-faregate-upstream"], "south")
        self.assertTrue(raw.parse().choices[0].message.content)

    def test_the_async_client_runs_many_at_once(self):
        async def ask():
            options = {"base_url": f"{BASE}/v1", "api_key": "team-key", "max_retries": 0, "timeout": 20}
            async with openai.AsyncOpenAI(**options) as asynchronous:
                one = asynchronous.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
                many = [asynchronous.chat.completions.create(model="gpt-4o-mini", messages=HELLO) for _ in range(15)]
                answers = await asyncio.gather(one, *many)
                stream = await asynchronous.chat.completions.create(model="gpt-4o-mini", messages=HELLO, stream=True)
                text = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
                return answers, "".join(text)

        answers, text = asyncio.run(ask())
        self.assertEqual(len(answers), 16)
        self.assertTrue(all(answer.choices[0].message.content for answer in answers) and text)


class Errors(unittest.TestCase):
    def fails(self, kind, status, call, code=None):
        with self.assertRaises(kind) as caught:
            call()
        error = caught.exception
        if status is not None:
            self.assertEqual(error.status_code, status)
        self.assertIsInstance(error.body, dict, "the error has OpenAI's shape")
        self.assertTrue(error.body["message"])
        if code is not None:
            self.assertEqual(error.code, code)
        return error

    def chat(self, model, key="team-key", **options):
        return lambda: client(key, **options).chat.completions.create(model=model, messages=HELLO)

    def test_a_model_that_is_no_text_is_a_bad_request(self):
        self.fails(openai.BadRequestError, 400, self.chat(123), "invalid_request")

    def test_the_upstreams_own_bad_request_survives(self):
        error = self.fails(openai.BadRequestError, 400, self.chat("bad-request"), "fixture_400")
        self.assertEqual(error.param, "messages")

    def test_a_wrong_key_is_an_authentication_error(self):
        self.fails(openai.AuthenticationError, 401, self.chat("gpt-4o-mini", "not-a-key"))
        self.fails(openai.AuthenticationError, 401, lambda: client("not-a-key").models.list())

    def test_a_route_that_the_tenant_may_not_use_is_denied(self):
        self.fails(openai.PermissionDeniedError, 403, self.chat("gpt-4o-mini", "guest-key"))
        # Naming the model directly is no way around it.
        self.fails(openai.PermissionDeniedError, 403, self.chat("north/small", "guest-key"))

    def test_an_unknown_model_is_not_found(self):
        self.fails(openai.NotFoundError, 404, self.chat("gpt-99"), "no_route")
        self.fails(openai.NotFoundError, 404, lambda: client().models.retrieve("gpt-99"))

    def test_what_is_not_served_says_so(self):
        self.fails(openai.NotFoundError, 404, lambda: client().files.list(), "unsupported_endpoint")
        wrong = openai.OpenAI(base_url=f"{BASE}/v2", api_key="team-key", max_retries=0)
        self.fails(openai.NotFoundError, 404, lambda: wrong.models.list(), "unsupported_endpoint")

    def test_a_throttled_provider_is_a_rate_limit_with_a_time(self):
        error = self.fails(openai.RateLimitError, 429, self.chat("throttled"))
        self.assertGreaterEqual(float(error.response.headers["retry-after"]), 1)

    def test_a_broken_provider_is_a_server_error(self):
        error = self.fails(openai.InternalServerError, None, self.chat("broken"))
        self.assertEqual(error.response.headers["x-should-retry"], "false")

    def test_a_providers_complaint_about_our_key_is_not_the_clients_fault(self):
        error = self.fails(openai.InternalServerError, None, self.chat("revoked"))
        self.assertNotIn("sk-fixture", str(error.body), "providers echo keys; faregate does not")

    def test_the_sdk_does_not_repeat_what_faregate_gave_up(self):
        def asked():
            return metric("faregate_requests_total", tenant="team", outcome="upstream_error")

        before = asked()
        with self.assertRaises(openai.InternalServerError) as caught:
            self.chat("broken-too", max_retries=2)()
        self.assertEqual(caught.exception.response.headers["x-should-retry"], "false")
        self.assertTrue(eventually(lambda: asked() > before))
        self.assertEqual(asked() - before, 1)

    def test_a_client_that_leaves_is_counted_and_its_upstream_call_ends(self):
        before = metric("faregate_requests_total", outcome="cancelled")
        stream = client().chat.completions.create(
            model="gpt-4o-mini", messages=HELLO, stream=True, max_tokens=4000
        )
        next(iter(stream))
        stream.close()
        self.assertTrue(eventually(lambda: metric("faregate_requests_total", outcome="cancelled") == before + 1))
        self.assertTrue(eventually(lambda: metric("faregate_inflight_requests") == 0))
        self.assertEqual(metric("faregate_endpoint_inflight"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
