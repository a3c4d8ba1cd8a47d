"""The walk-throughs of docs/moving-from-*.md say what the commands say."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from noria.registry.commands_moving import import_

DOCS = Path(__file__).parents[3] / "docs"
SET = ("AZURE_SWEDEN_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY")


@pytest.mark.parametrize(
    ("kind", "language", "name"), [("litellm", "yaml", "config.yaml"), ("tensorzero", "toml", "tensorzero.toml")]
)
def test_the_plan_in_the_documentation_is_what_is_printed(kind: str, language: str, name: str, tmp_path: Path) -> None:
    page = (DOCS / f"moving-from-{kind}.md").read_text(encoding="utf-8")
    file = tmp_path / name
    file.write_text(page.partition(f"```{language}\n")[2].partition("```")[0])
    done = CliRunner(env=dict.fromkeys(SET, "sk-0123456789abcdef")).invoke(import_, [kind, str(file), "--dry-run"])
    assert done.exit_code == 0, done.output
    shown = page.partition("```text\n")[2].partition("```")[0]
    told = [line for line in done.output.splitlines() if line[:2] == "  "]
    assert told == shown.splitlines()
