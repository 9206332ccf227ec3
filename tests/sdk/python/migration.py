"""An application that was written for OpenAI, and goes on when OpenAI no longer answers.

The application is everything up to the suite: it asks for OpenAI's models by OpenAI's names, with OpenAI's SDK, and is told
nothing but the two variables that the SDK itself reads. Started by tests/sdk.rs.
"""

import collections
import json
import os
import re
import unittest
import urllib.request

import openai

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


class Assistant:
    """A conversation with what the application calls its assistant."""

    def __init__(self, client, model, instructions):
        self.client = client
        self.model = model
        self.messages = [{"role": "system", "content": instructions}]
        self.served_by = []

    def ask(self, question, **options):
        self.messages.append({"role": "user", "content": question})
        raw = self.client.chat.completions.with_raw_response.create(model=self.model, messages=self.messages, **options)
        self.served_by.append(raw.headers["x-faregate-upstream"])
        message = raw.parse().choices[0].message
        self.messages.append(message.model_dump(exclude_none=True))
        return message

    def tell(self, question):
        """The same, shown while it is written."""
        self.messages.append({"role": "user", "content": question})
        text, usage = "", None
        options = {"stream": True, "stream_options": {"include_usage": True}}
        with self.client.chat.completions.create(model=self.model, messages=self.messages, **options) as stream:
            self.served_by.append(stream.response.headers["x-faregate-upstream"])
            for chunk in stream:
                usage = chunk.usage or usage
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
        self.messages.append({"role": "assistant", "content": text})
        return text, usage


def endpoints():
    with urllib.request.urlopen(f"{os.environ['FAREGATE_ADMIN_URL']}/v1/endpoints", timeout=5) as reply:
        return json.load(reply)["endpoints"]


def refused():
    """What the simulated OpenAI has been asked, by the daemon's own count."""
    with urllib.request.urlopen(f"{os.environ['FAREGATE_ADMIN_URL']}/metrics", timeout=5) as reply:
        text = reply.read().decode()
    pattern = r'faregate_attempts_total\{model="[^"]*",result="region_blocked",upstream="openai"\} (\S+)'
    return sum(float(count) for count in re.findall(pattern, text))


class Migration(unittest.TestCase):
    def test_every_answer_comes_from_somebody_else(self):
        client = openai.OpenAI(timeout=20, max_retries=0)
        served = collections.Counter()
        for number in range(20):
            assistant = Assistant(client, "gpt-4o", f"You are assistant number {number}.")
            self.assertTrue(assistant.ask("Good morning!").content)
            text, usage = assistant.tell("And what is new?")
            self.assertTrue(text)
            self.assertGreater(usage.completion_tokens, 0)
            call = assistant.ask("How is the weather in Basel?", tools=TOOLS).tool_calls[0]
            self.assertIn("city", json.loads(call.function.arguments))
            assistant.messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
            self.assertTrue(assistant.ask("Thank you.", temperature=1.4, max_completion_tokens=200).content)
            served.update(assistant.served_by)
        self.assertEqual(sum(served.values()), 80)
        self.assertNotIn("openai", served)
        small = Assistant(client, "gpt-4o-mini", "Answer with one word.")
        self.assertTrue(small.ask("Which?").content)
        self.assertNotIn("openai", small.served_by)

    def test_the_block_is_learned_from_its_first_answer_and_shown(self):
        client = openai.OpenAI(timeout=20, max_retries=0)
        for _ in range(10):
            Assistant(client, "gpt-4o", "Be brief.").ask("Hello?")
        self.assertLessEqual(refused(), 2)
        states = {one["id"]: (one["state"], one["because"]) for one in endpoints() if one["upstream"] == "openai"}
        self.assertTrue(states)
        for state in states.values():
            self.assertEqual(state, ("open", "region_blocked"))

    def test_nobody_takes_the_place_of_an_embedding_model(self):
        client = openai.OpenAI(timeout=20, max_retries=0)
        with self.assertRaises(openai.APIStatusError):
            client.embeddings.create(model="text-embedding-3-small", input="vectors do not compare")


if __name__ == "__main__":
    unittest.main(verbosity=2)
