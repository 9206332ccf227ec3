"""The official OpenAI client for Python against every provider of the catalogue, each as strict as the real one.

Started by tests/providers, which says in the environment where the daemon is, which models there are, what each can do, and
what they say.
"""

import json
import os
import unittest

import openai

SAID = json.loads(os.environ["FAREGATE_SAID"])
MODELS = json.loads(os.environ["FAREGATE_MODELS"])
CLIENT = openai.OpenAI(base_url=f"{os.environ['FAREGATE_BASE_URL']}/v1", api_key="sk-of-the-client", max_retries=0, timeout=30)
HELLO = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Say hello to the world."}]
DOT = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def tool(name, field):
    schema = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field], "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "strict": True, "parameters": schema}}


TOOLS = [tool("weather", "city"), tool("clock", "zone")]


def chat(model, messages=HELLO, **options):
    return CLIENT.chat.completions.create(model=model, messages=messages, **options)


def put_together(stream):
    """The answer, its calls and its usage, as the SDK's users put them together."""
    text, calls, usage = "", {}, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for piece in choice.delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] = piece.id or call["id"]
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
    return text, [calls[index] for index in sorted(calls)], usage


class Providers(unittest.TestCase):
    def test_there_is_something_to_test(self):
        self.assertGreater(len(MODELS), 50)
        self.assertGreater(sum(1 for model in MODELS if model["wrong"]), 3)

    def each(self, capability=None):
        for model in MODELS:
            if capability is None or capability in model["can"]:
                with self.subTest(model=model["name"]):
                    yield model["name"]

    def are_the_calls(self, calls):
        self.assertEqual([[call["name"], call["arguments"]] for call in calls], SAID["calls"])
        self.assertEqual(len({call["id"] for call in calls} - {""}), len(calls))

    def test_chat(self):
        for name in self.each():
            answer = chat(name, max_completion_tokens=2000, temperature=0.7, seed=7)
            self.assertEqual(answer.choices[0].message.content, SAID["text"])
            self.assertEqual(answer.usage.prompt_tokens + answer.usage.completion_tokens > 0, True)

    def test_streams(self):
        for name in self.each():
            text, _, usage = put_together(chat(name, stream=True, stream_options={"include_usage": True}))
            self.assertEqual(text, SAID["text"])
            self.assertGreater(usage.prompt_tokens, 0)

    def test_tools(self):
        for name in self.each("tools"):
            message = chat(name, tools=TOOLS, tool_choice="required").choices[0].message
            calls = [{"id": call.id, **call.function.model_dump(include={"name", "arguments"})} for call in message.tool_calls]
            self.are_the_calls(calls)
            results = [{"role": "tool", "tool_call_id": call["id"], "content": "21"} for call in calls]
            history = [*HELLO, message.model_dump(exclude_none=True), *results]
            self.assertEqual(chat(name, history, tools=TOOLS).choices[0].message.content, SAID["text"])

    def test_streamed_tools(self):
        for name in self.each("tools"):
            _, calls, _ = put_together(chat(name, tools=TOOLS, stream=True))
            self.are_the_calls(calls)

    def test_vision(self):
        parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": DOT}}]
        for name in self.each("vision"):
            answer = chat(name, [{"role": "user", "content": parts}])
            self.assertEqual(answer.choices[0].message.content, SAID["picture"])

    def test_json_schema(self):
        fields = {"city": {"type": "string"}, "degrees": {"type": "integer"}}
        schema = {"type": "object", "properties": fields, "required": ["city", "degrees"], "additionalProperties": False}
        wanted = {"type": "json_schema", "json_schema": {"name": "weather", "strict": True, "schema": schema}}
        for name in self.each("json_schema"):
            answer = chat(name, response_format=wanted)
            self.assertEqual(answer.choices[0].message.content, SAID["object"])

    def test_errors(self):
        """What the client did wrong reaches it as the SDK's own exception, whatever shape it had."""
        for model in (model for model in MODELS if model["wrong"]):
            with self.subTest(model=model["name"]), self.assertRaises(openai.APIStatusError) as caught:
                chat(model["name"], [{"role": "user", "content": f"provoke:{model['wrong']}"}])
            self.assertIn(caught.exception.status_code, range(400, 500))


if __name__ == "__main__":
    unittest.main()
