"""lm-eval's `local-chat-completions`: its command line runs a task of three questions that lie on this machine."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

COMMAND = """
lm_eval run --model local-chat-completions --apply_chat_template --tasks greetings \
  --model_args model=assistant,base_url=http://127.0.0.1:7700/v1/chat/completions,num_concurrent=4
"""
TASK = {
    "task": "greetings",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "questions.jsonl"}},
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "{{question}}",
    "doc_to_target": "echo: {{question}}",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 20, "temperature": 0.5},
    "metric_list": [{"metric": "exact_match"}],
}


def main() -> dict[str, float]:
    questions = [json.dumps({"question": question}) for question in ("hello", "good morning", "안녕하세요")]
    Path("questions.jsonl").write_text("\n".join(questions))
    Path("greetings.yaml").write_text(json.dumps(TASK))  # JSON is YAML
    command = COMMAND.replace("http://127.0.0.1:7700", os.environ["NORIA_URL"])
    lm_eval = [str(Path(sys.executable).with_name("lm_eval")), *shlex.split(command)[1:]]
    subprocess.run(
        [*lm_eval, "--include_path", ".", "--output_path", "results.json"],
        env={**os.environ, "OPENAI_API_KEY": os.environ["NORIA_KEY"]},
        check=True,
        stdout=sys.stderr,
    )
    found = next(Path().glob("**/results*.json"))
    results: dict[str, float] = json.loads(found.read_text())["results"]["greetings"]
    return results


if __name__ == "__main__":
    print(json.dumps(main()))
