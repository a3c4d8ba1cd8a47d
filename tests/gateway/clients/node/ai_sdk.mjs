// The AI SDK with its OpenAI provider: text, stream, a tool loop, a typed object.
import { createOpenAI } from "@ai-sdk/openai";
import { Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const URL = process.env.NORIA_URL + "/v1", KEY = process.env.NORIA_KEY;
const noria = createOpenAI({ baseURL: URL, apiKey: KEY });
const model = noria.chat("assistant");
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

const schema = z.object({ number: z.number().int(), customer: z.string() });
const typed = await generateText({ model, prompt: "order", output: Output.object({ schema }) });

console.log(JSON.stringify({ plain: text, streamed, tools: helped.text, order: typed.output }));
