"""LangChain's ``OpenAIAssistantRunnable``."""

from __future__ import annotations

import os

import openai
from langchain_classic.agents.openai_assistant import OpenAIAssistantRunnable
from langchain_core.agents import AgentFinish
from langchain_core.tools import tool
from serving import plain, serve

client = openai.OpenAI(
    base_url=os.environ["SERVER"] + "/openai/v1", api_key=os.environ["TOKEN"], max_retries=0
)


@tool
def multiply(a: int, b: int) -> str:
    """Multiply two numbers."""
    return str(a * b)


def made(tools, **fields):
    return OpenAIAssistantRunnable.create_assistant(
        name="LangChain",
        instructions="Answer.",
        tools=tools,
        model="scripted",
        client=client,
        async_client=object(),  # else it makes one for api.openai.com
        check_every_ms=100,
        **fields,
    )


def conversation(first, second):
    """Two questions on one thread, as messages."""
    runnable = made([{"type": "code_interpreter"}])
    answers = runnable.invoke({"content": first})
    again = runnable.invoke({"content": second, "thread_id": answers[0].thread_id})
    return [plain(answers), plain(again)]


def agent(text):
    """An agent whose tool is called here, the way the documentation shows."""
    runnable = made([multiply], as_agent=True)
    response = runnable.invoke({"content": text})
    asked = []
    while not isinstance(response, AgentFinish):
        outputs = []
        for action in response:
            asked.append([action.tool, action.tool_input])
            outputs.append(
                {
                    "output": multiply.invoke(action.tool_input),
                    "tool_call_id": action.tool_call_id,
                }
            )
        response = runnable.invoke(
            {"tool_outputs": outputs, "run_id": action.run_id, "thread_id": action.thread_id}
        )
    return {"asked": asked, "output": response.return_values["output"]}


serve({"conversation": conversation, "agent": agent})
