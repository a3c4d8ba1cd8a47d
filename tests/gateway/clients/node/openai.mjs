// OpenAI's client for Node: plain, streamed, tools with its runner, parsed answers, errors.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const URL = process.env.NORIA_URL + "/v1", KEY = process.env.NORIA_KEY;
const client = new OpenAI({ baseURL: URL, apiKey: KEY });
const messages = [{ role: "user", content: "hello there" }];

const answer = await client.chat.completions.create({ model: "assistant", messages });

let streamed = "";
for await (const chunk of await client.chat.completions.create({ model: "assistant", messages, stream: true }))
  streamed += chunk.choices[0]?.delta?.content ?? "";

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } } },
    parse: JSON.parse,
    function: ({ city }) => `sunny in ${city}`,
  },
};
const runner = client.chat.completions.runTools({ model: "assistant", messages, tools: [weather] });

const Order = z.object({ number: z.number().int(), customer: z.string() });
const parsed = await client.chat.completions.parse({
  model: "assistant", messages, response_format: zodResponseFormat(Order, "order"),
});

const failure = await client.chat.completions.create({ model: "nobody", messages }).catch((error) => error);
const failed = failure instanceof OpenAI.NotFoundError && failure.code;

console.log(JSON.stringify({
  plain: answer.choices[0].message.content,
  streamed,
  tools: await runner.finalContent(),
  order: parsed.choices[0].message.parsed,
  failed,
}));
