// The Responses API, which the AI SDK speaks unless told otherwise, and OpenAI's client for Node.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { z } from "zod";

const URL = process.env.NORIA_URL + "/v1", KEY = process.env.NORIA_KEY;
const noria = createOpenAI({ baseURL: URL, apiKey: KEY });
const model = noria("assistant");
const { text } = await generateText({ model, prompt: "hello there" });

let streamed = "";
for await (const piece of streamText({ model, prompt: "hello there" }).textStream) streamed += piece;

const weather = tool({
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const helped = await generateText({
  model, prompt: "what is the weather?", tools: { weather }, stopWhen: stepCountIs(3),
});

const client = new OpenAI({ baseURL: URL, apiKey: KEY });
const answer = await client.responses.create({ model: "assistant", input: "hello there" });

console.log(JSON.stringify({ plain: text, streamed, tools: helped.text, openai: answer.output_text }));
